//! The thread that answers.

use std::{
    io,
    os::fd::{AsFd, FromRawFd, OwnedFd},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use nix::{
    errno::Errno,
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::socket::{SockFlag, accept4, getsockopt, sockopt::PeerCredentials},
};

use super::{
    About, Socket, Watch,
    client::{Client, Source},
};
use crate::{Error, Result};

/// Connections at once.
const MOST_CLIENTS: usize = 32;

/// Of these, what others leave to root.
const FOR_ROOT: usize = 8;

/// Connections of one user, unless that is root.
const MOST_OF_USER: usize = 8;

/// Connections that read requests of sessions, without root's.
const MOST_DUMPS: usize = 4;

/// The least time from one connection to the next.
const PACE: Duration = Duration::from_millis(10);

/// The running thread. Dropping it ends it.
#[derive(Debug)]
pub struct Server {
    watch: Arc<Watch>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Begins to answer. To be called in the sandbox, so that the thread is in there, too.
    pub fn start(socket: Socket, about: About, watch: Arc<Watch>) -> Result<Server> {
        let stop = Arc::new(AtomicBool::new(false));
        let thread = thread::Builder::new().name("control".into()).spawn({
            let (stop, watch) = (stop.clone(), watch.clone());
            move || {
                if let Err(error) = serve(&socket, &about, &watch, &stop) {
                    log::error!("nobody listens to the control socket any more: {error}");
                }
            }
        });
        let thread = thread.map_err(|e| Error::System("starting a thread", e))?;
        Ok(Server { watch, stop, thread: Some(thread) })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        self.watch.taps.wake();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn serve(socket: &Socket, about: &About, watch: &Watch, stop: &AtomicBool) -> io::Result<()> {
    let mut clients: Vec<Client> = Vec::new();
    let mut pace = Instant::now();
    while !stop.load(Ordering::Relaxed) {
        let now = Instant::now();
        let listens = if now < pace { PollFlags::empty() } else { PollFlags::POLLIN };
        let mut fds = vec![
            PollFd::new(socket.as_fd(), listens),
            PollFd::new(watch.taps.wake_fd(), PollFlags::POLLIN),
        ];
        fds.extend(clients.iter().map(|client| PollFd::new(client.as_fd(), client.interest(now))));
        let wakes = clients.iter().map(|client| client.wakes(now));
        let wakes = wakes.chain((now < pace).then_some(pace)).min();
        match poll(&mut fds, timeout(wakes, now)) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno.into()),
        }
        let events: Vec<PollFlags> =
            fds.iter().map(|fd| fd.revents().unwrap_or(PollFlags::empty())).collect();
        let now = Instant::now();
        if !events[1].is_empty() {
            watch.taps.awake();
        }
        // Root can look at everything at any time.
        let dumps = clients.iter().filter(|client| client.uid() != 0 && client.tap().is_some());
        let dumps = dumps.count();
        let mut source = Source { about, watch, dumps_left: MOST_DUMPS.saturating_sub(dumps) };
        let mut events_of = events[2..].iter();
        clients.retain_mut(|client| {
            let events = *events_of.next().unwrap_or(&PollFlags::empty());
            let goes_on = client.step(events, &mut source, now).is_ok();
            if let (false, Some(tap)) = (goes_on, client.tap()) {
                watch.taps.remove(tap);
            }
            goes_on
        });
        if events[0].contains(PollFlags::POLLIN) {
            pace = now + PACE;
            clients.extend(admit(socket, &clients, now)?);
        }
    }
    clients.iter().filter_map(Client::tap).for_each(|tap| watch.taps.remove(tap));
    Ok(())
}

/// Takes a connection, if there is one and room for it.
#[allow(unsafe_code)]
fn admit(socket: &Socket, clients: &[Client], now: Instant) -> io::Result<Option<Client>> {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let fd = match accept4(socket.descriptor(), flags) {
        // SAFETY: the kernel has made it for this call; nobody else knows it.
        Ok(fd) => unsafe { OwnedFd::from_raw_fd(fd) },
        // It went away, or there are no descriptors for it: decoding needs them more.
        Err(errno) => {
            log::debug!("control socket: accept: {errno}");
            return Ok(None);
        }
    };
    let uid = match getsockopt(&fd, PeerCredentials) {
        Ok(peer) => peer.uid(),
        Err(errno) => {
            log::warn!("control socket: who is that? {errno}");
            return Ok(None);
        }
    };
    let mut client = Client::new(fd, uid, now);
    let of_user = clients.iter().filter(|client| client.uid() == uid).count();
    let full = match uid {
        0 => clients.len() >= MOST_CLIENTS,
        _ => clients.len() >= MOST_CLIENTS - FOR_ROOT || of_user >= MOST_OF_USER,
    };
    if full {
        client.dismiss("too many connections");
        return Ok(None);
    }
    Ok(Some(client))
}

/// Until `wakes`, rounded up, so that it is then.
fn timeout(wakes: Option<Instant>, now: Instant) -> PollTimeout {
    let Some(wakes) = wakes else { return PollTimeout::NONE };
    let milliseconds = wakes.saturating_duration_since(now).as_micros().div_ceil(1000);
    PollTimeout::try_from(milliseconds).unwrap_or(PollTimeout::MAX)
}
