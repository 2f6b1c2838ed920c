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

use daedalus_uapi::control::TOO_MANY;
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

/// The least time from when connections were accepted to when the next ones are.
const PACE: Duration = Duration::from_millis(10);

/// Connections that are accepted, or told that there are too many, at a time. Who connects again and again must not
/// fill the queue in which others wait.
const MOST_ACCEPTED: usize = 32;

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
    let served = answer(&mut clients, socket, about, watch, stop);
    // Nobody reads their queues any more.
    clients.iter().filter_map(Client::tap).for_each(|tap| watch.taps.remove(tap));
    served
}

fn answer(
    clients: &mut Vec<Client>,
    socket: &Socket,
    about: &About,
    watch: &Watch,
    stop: &AtomicBool,
) -> io::Result<()> {
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
        // These come whether they are asked for or not, and again at once.
        if events[0].intersects(PollFlags::POLLERR | PollFlags::POLLHUP | PollFlags::POLLNVAL) {
            return Err(io::Error::other(format!("poll says {:?}", events[0])));
        }
        if events[0].contains(PollFlags::POLLIN) {
            pace = now + PACE;
            for fd in std::iter::from_fn(|| accept(socket)).take(MOST_ACCEPTED) {
                clients.extend(admit(fd, clients, now));
            }
        }
    }
    Ok(())
}

/// A connection, if one waits.
#[allow(unsafe_code)]
fn accept(socket: &Socket) -> Option<OwnedFd> {
    match accept4(socket.descriptor(), SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK) {
        // SAFETY: the kernel has made it for this call; nobody else knows it.
        Ok(fd) => Some(unsafe { OwnedFd::from_raw_fd(fd) }),
        Err(Errno::EAGAIN) => None,
        // It went away, or there are no descriptors for it: decoding needs them more.
        Err(errno) => {
            log::debug!("control socket: accept: {errno}");
            None
        }
    }
}

/// Takes a connection, if there is room for it.
fn admit(fd: OwnedFd, clients: &[Client], now: Instant) -> Option<Client> {
    let uid = match getsockopt(&fd, PeerCredentials) {
        Ok(peer) => peer.uid(),
        Err(errno) => {
            log::warn!("control socket: who is that? {errno}");
            return None;
        }
    };
    let mut client = Client::new(fd, uid, now);
    if is_full(clients.iter().map(Client::uid), uid) {
        client.dismiss(TOO_MANY);
        return None;
    }
    Some(client)
}

/// Whether there is no room for one more of a user, where there are connections of `uids`.
fn is_full(uids: impl Iterator<Item = u32> + Clone, uid: u32) -> bool {
    let all = uids.clone().count();
    match uid {
        0 => all >= MOST_CLIENTS,
        _ => {
            let of_user = uids.filter(|other| *other == uid).count();
            all >= MOST_CLIENTS - FOR_ROOT || of_user >= MOST_OF_USER
        }
    }
}

/// Until `wakes`, rounded up, so that it is then.
fn timeout(wakes: Option<Instant>, now: Instant) -> PollTimeout {
    let Some(wakes) = wakes else { return PollTimeout::NONE };
    let milliseconds = wakes.saturating_duration_since(now).as_micros().div_ceil(1000);
    PollTimeout::try_from(milliseconds).unwrap_or(PollTimeout::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_leaves_room_for_others_and_all_leave_some_for_root() {
        // Users with so many connections, who comes, and whether there is no room.
        for (there, uid, full) in [
            (&[][..], 1000, false),
            (&[(1000, 7)], 1000, false),
            (&[(1000, 8)], 1000, true),
            (&[(1000, 8)], 1001, false),
            (&[(1000, 8)], 0, false),
            (&[(1000, 8), (1001, 8), (1002, 7)], 1003, false),
            (&[(1000, 8), (1001, 8), (1002, 8)], 1003, true),
            (&[(1000, 8), (1001, 8), (1002, 8)], 0, false),
            (&[(0, 24)], 1000, true),
            (&[(0, 31)], 0, false),
            (&[(0, 32)], 0, true),
            (&[(1000, 8), (1001, 8), (1002, 8), (0, 8)], 0, true),
        ] {
            let uids = there.iter().flat_map(|(uid, count)| std::iter::repeat_n(*uid, *count));
            assert_eq!(is_full(uids, uid), full, "{uid} with {there:?}");
        }
    }

    #[test]
    fn a_socket_that_is_none_any_more_ends_it() {
        let (ours, theirs) = std::os::unix::net::UnixStream::pair().unwrap();
        drop(theirs);
        let watch = Watch {
            statistics: crate::statistics::Statistics::default(),
            taps: super::super::tap::Taps::new().unwrap(),
        };
        let (tell, told) = std::sync::mpsc::channel();
        thread::spawn(move || {
            let socket = Socket::of(ours.into());
            tell.send(serve(&socket, &About::default(), &watch, &AtomicBool::new(false)))
        });
        let served = told.recv_timeout(Duration::from_secs(60)).expect("it goes on for ever");
        assert!(served.unwrap_err().to_string().contains("POLLHUP"));
    }
}
