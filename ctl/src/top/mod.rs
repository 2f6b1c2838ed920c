//! `daedalusctl top`: what the daemon is decoding.
//!
//! What can keep a thread waiting has one of its own: the daemon, the terminal's keys, its end, signals. The
//! program ends whatever each of them is doing.

mod table;

use std::{
    io::{self, IsTerminal},
    mem::ManuallyDrop,
    os::fd::AsFd,
    path::{Path, PathBuf},
    process::{self, ExitCode},
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{Receiver, Sender, channel},
    },
    thread,
    time::Duration,
};

use daedalus_uapi::control::Status;
use nix::{
    errno::Errno,
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::signal::{SigSet, Signal},
};
use ratatui::{
    DefaultTerminal,
    crossterm::{
        cursor,
        event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers},
        execute,
        terminal::disable_raw_mode,
    },
};

use crate::{arguments::Top, client::Connection, program};
use table::View;

/// How long a terminal may take to be put back once a signal has come.
const GRACE: Duration = Duration::from_secs(1);

/// What there is to show, or to do.
enum News {
    /// There is something new to show.
    View,
    /// The terminal has another size.
    Resized,
    /// Somebody has seen enough, or the terminal is gone.
    End,
    /// The terminal cannot be read.
    Failed(io::Error),
}

/// What is to be shown next. A terminal that takes nothing for a while gets the last of what there was.
#[derive(Default)]
struct Newest(Mutex<Option<View>>);

/// Shows the table until somebody has seen enough, or once.
pub fn run(socket: &Path, options: &Top) -> Result<ExitCode, String> {
    if options.once || !io::stdout().is_terminal() {
        let status = ask(socket)?;
        return program::print(&View::new(Ok(status), None).text());
    }
    // Whoever ends this from elsewhere gets the terminal back, too. Blocked before any thread starts, so that
    // all have them blocked.
    let signals = SigSet::from_iter([Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP]);
    signals.thread_block().map_err(|errno| format!("blocking signals: {errno}"))?;
    let failed = |error: io::Error| format!("the terminal: {error}");
    let (tell, news) = channel();
    let newest = Arc::new(Newest::default());
    wait_for_signals(signals, tell.clone());
    // Its drop would say on standard error that it failed, and panic where that is gone, too.
    let mut terminal = ManuallyDrop::new(ratatui::try_init().map_err(|error| {
        // It may have failed half-way.
        leave();
        failed(error)
    })?);
    wait_for_the_end(tell.clone());
    read_keys(tell.clone());
    let interval = Duration::from_secs(options.interval.into());
    ask_again_and_again(socket.to_owned(), interval, newest.clone(), tell);
    let shown = show(&mut terminal, &news, &newest);
    leave();
    shown.map_err(failed)?;
    Ok(ExitCode::SUCCESS)
}

/// Puts the terminal back. There is nobody to tell that it failed.
fn leave() {
    let _ = ratatui::try_restore();
    let _ = execute!(io::stdout(), cursor::Show);
}

fn ask(socket: &Path) -> Result<Status, String> {
    let mut connection = Connection::open(socket).map_err(|error| error.say(socket))?;
    connection.status().map_err(|error| error.say(socket))
}

fn wait_for_signals(signals: SigSet, tell: Sender<News>) {
    thread::spawn(move || {
        let _ = signals.wait();
        let _ = tell.send(News::End);
        // A terminal that takes nothing (Ctrl-S) holds up who writes to it.
        thread::sleep(GRACE);
        let _ = disable_raw_mode();
        process::exit(0);
    });
}

/// Tells when the terminal is hung up. Who reads its keys does not notice, and SIGHUP comes to those alone whose
/// own terminal it is.
fn wait_for_the_end(tell: Sender<News>) {
    thread::spawn(move || {
        let terminal = io::stdout();
        // What is not asked for comes in any case: POLLHUP, POLLERR.
        let mut fds = [PollFd::new(terminal.as_fd(), PollFlags::empty())];
        while poll(&mut fds, PollTimeout::NONE) == Err(Errno::EINTR) {}
        let _ = tell.send(News::End);
    });
}

fn read_keys(tell: Sender<News>) {
    thread::spawn(move || {
        loop {
            let news = match event::read() {
                Ok(Event::Key(key)) if is_end(&key) => News::End,
                Ok(Event::Resize(..)) => News::Resized,
                Ok(_) => continue,
                Err(error) => News::Failed(error),
            };
            let is_last = matches!(news, News::Failed(_));
            if tell.send(news).is_err() || is_last {
                return;
            }
        }
    });
}

fn is_end(key: &KeyEvent) -> bool {
    let ends = match key.code {
        KeyCode::Char('q') | KeyCode::Esc => true,
        KeyCode::Char('c') => key.modifiers.contains(KeyModifiers::CONTROL),
        _ => false,
    };
    ends && key.kind == KeyEventKind::Press
}

/// Asks, and looks up whose the sessions are, which may take as long.
fn ask_again_and_again(
    socket: PathBuf,
    interval: Duration,
    newest: Arc<Newest>,
    tell: Sender<News>,
) {
    thread::spawn(move || {
        let mut used = None;
        loop {
            let view = View::new(ask(&socket), used);
            used = view.used();
            // Who has not shown the last one yet has been told.
            let unseen = newest.0.lock().unwrap_or_else(PoisonError::into_inner).replace(view);
            if unseen.is_none() && tell.send(News::View).is_err() {
                return;
            }
            thread::sleep(interval);
        }
    });
}

fn show(terminal: &mut DefaultTerminal, news: &Receiver<News>, newest: &Newest) -> io::Result<()> {
    let mut view: Option<View> = None;
    // It ends when nobody is left to tell anything, which those who do never are.
    for news in news {
        match news {
            News::View => {
                let new = newest.0.lock().unwrap_or_else(PoisonError::into_inner).take();
                view = new.or(view);
            }
            News::Resized => {}
            News::End => return Ok(()),
            News::Failed(error) => return Err(error),
        }
        if let Some(view) = &view {
            terminal.draw(|frame| view.draw(frame))?;
        }
    }
    Ok(())
}
