//! `daedalusctl top`: what the daemon is decoding.

mod table;

use std::{
    io::{self, IsTerminal},
    path::Path,
    process::ExitCode,
    time::{Duration, Instant},
};

use nix::sys::{
    signal::{SigSet, Signal},
    signalfd::{SfdFlags, SignalFd},
};
use ratatui::{
    DefaultTerminal,
    crossterm::event::{self, Event, KeyCode, KeyEventKind, KeyModifiers},
};

use crate::{arguments::Top, client::Connection, program};
use table::View;

/// How often keys and signals are looked at.
const ATTENTION: Duration = Duration::from_millis(100);

/// Shows the table until somebody has seen enough, or once.
pub fn run(socket: &Path, options: &Top) -> Result<ExitCode, String> {
    if options.once || !io::stdout().is_terminal() {
        let status = ask(socket)?;
        return program::print(&View::new(Ok(status), None).text());
    }
    // Whoever ends this from elsewhere gets the terminal back, too.
    let signals = SigSet::from_iter([Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP]);
    signals.thread_block().map_err(|errno| format!("blocking signals: {errno}"))?;
    let flags = SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK;
    let ends =
        SignalFd::with_flags(&signals, flags).map_err(|errno| format!("signalfd: {errno}"))?;
    let mut terminal = ratatui::try_init().map_err(|error| format!("the terminal: {error}"))?;
    let shown = show(&mut terminal, socket, Duration::from_secs(options.interval.into()), &ends);
    ratatui::restore();
    shown.map_err(|error| format!("the terminal: {error}"))?;
    Ok(ExitCode::SUCCESS)
}

fn ask(socket: &Path) -> Result<daedalus_uapi::control::Status, String> {
    let mut connection = Connection::open(socket).map_err(|error| error.say(socket))?;
    connection.status().map_err(|error| error.say(socket))
}

fn show(
    terminal: &mut DefaultTerminal,
    socket: &Path,
    interval: Duration,
    ends: &SignalFd,
) -> io::Result<()> {
    let mut view = View::new(ask(socket), None);
    let mut asked = Instant::now();
    loop {
        terminal.draw(|frame| view.draw(frame))?;
        // Until there is something new to draw.
        loop {
            if ends.read_signal().map_err(io::Error::from)?.is_some() {
                return Ok(());
            }
            let left = interval.saturating_sub(asked.elapsed());
            if left.is_zero() {
                view = View::new(ask(socket), Some(view));
                asked = Instant::now();
                break;
            }
            if !event::poll(left.min(ATTENTION))? {
                continue;
            }
            match event::read()? {
                Event::Key(key) if key.kind == KeyEventKind::Press => match key.code {
                    KeyCode::Char('q') | KeyCode::Esc => return Ok(()),
                    KeyCode::Char('c') if key.modifiers.contains(KeyModifiers::CONTROL) => {
                        return Ok(());
                    }
                    _ => {}
                },
                Event::Resize(..) => break,
                _ => {}
            }
        }
    }
}
