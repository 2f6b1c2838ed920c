//! A device that is a test: messages come through a socket, dma-bufs are memfds.

// Each test has parts of it.
#![allow(dead_code)]

pub mod stream;

use std::{
    collections::{HashMap, HashSet},
    fs::File,
    io::{self, Read},
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::fs::FileExt,
    },
    path::Path,
    sync::{
        Arc, Mutex, MutexGuard,
        mpsc::{self, Receiver, Sender},
    },
    thread,
    time::Duration,
};

use daedalus_daemon::{
    Result,
    control::{About, Inherited, Server, Socket, Watch},
    device::{Device, Status},
    dump::Dump,
    pump::Pump,
    sandbox,
};
use daedalus_engine as engine;
use daedalus_uapi::{
    Codec, FromZeros,
    protocol::{
        CODEC_AV1, CODEC_H264, CODEC_VP9, DecodeMessage, ForgetMessage, Head, MSG_CLOSE,
        MSG_DECODE, MSG_FLUSH, MSG_FORGET, MSG_OPEN, OpenMessage,
    },
};
use nix::sys::{
    eventfd::EventFd,
    memfd::{MFdFlags, memfd_create},
    socket::{AddressFamily, MsgFlags, SockFlag, SockType, send, socketpair},
};
use zerocopy::IntoBytes;

/// Longer than anything here takes.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// An answer: session, cookie, status.
pub type Answer = (u64, u64, Status);

#[derive(Default)]
struct State {
    /// The dma-bufs of each buffer.
    buffers: HashMap<u64, Vec<DmaBuf>>,
    /// The buffer of each request.
    requests: HashMap<u64, u64>,
    /// Requests that the client has taken back.
    taken_back: HashSet<u64>,
    /// Requests whose completion waits until it is taken out of here.
    gates: HashMap<u64, Receiver<()>>,
    /// What completing fails with.
    broken: Option<nix::errno::Errno>,
    /// Every dma-buf that was asked for: cookie, index.
    asked: Vec<(u64, u32)>,
}

struct DmaBuf {
    file: File,
    /// Descriptors for the daemon, which cannot make any in its sandbox.
    descriptors: Vec<OwnedFd>,
}

/// The module's side.
struct Fake {
    socket: File,
    state: Mutex<State>,
    answers: Sender<Answer>,
}

impl Fake {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }
}

impl Device for Fake {
    fn poll_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    fn read(&self, message: &mut [u8]) -> io::Result<usize> {
        (&self.socket).read(message)
    }

    fn get_buffer(&self, _session: u64, cookie: u64, index: u32) -> io::Result<OwnedFd> {
        let state = &mut *self.state();
        state.asked.push((cookie, index));
        let buffer = state.requests.get(&cookie).ok_or(io::ErrorKind::NotFound)?;
        let dma_bufs = state.buffers.get_mut(buffer).ok_or(io::ErrorKind::NotFound)?;
        let dma_buf = dma_bufs.get_mut(index as usize).ok_or(io::ErrorKind::NotFound)?;
        Ok(dma_buf.descriptors.pop().expect("a buffer is not asked for so often"))
    }

    fn complete(&self, session: u64, cookie: u64, status: Status) -> io::Result<()> {
        let gate = self.state().gates.remove(&cookie);
        if let Some(gate) = gate {
            gate.recv_timeout(PATIENCE).unwrap();
        }
        if let Some(errno) = self.state().broken {
            return Err(errno.into());
        }
        self.answers.send((session, cookie, status)).unwrap();
        if self.state().taken_back.contains(&cookie) {
            return Err(io::ErrorKind::NotFound.into());
        }
        Ok(())
    }
}

/// A daemon with a test for a module. It is in its sandbox, where the test is not.
pub struct Bench {
    fake: Arc<Fake>,
    module: Option<OwnedFd>,
    stop: Arc<EventFd>,
    pump: Option<thread::JoinHandle<Result<()>>>,
    answers: Receiver<Answer>,
    watch: Arc<Watch>,
    last_cookie: u64,
}

impl Bench {
    pub fn new() -> Bench {
        Bench::with_dump(None)
    }

    pub fn with_dump(dump: Option<Dump>) -> Bench {
        Bench::with(dump, None, engine::Options::default())
    }

    /// With so many threads for each decoder.
    pub fn with_threads(threads: usize) -> Bench {
        Bench::with(None, None, engine::Options { threads, ..engine::Options::default() })
    }

    /// With a control socket at this path, which is there when this returns.
    pub fn with_socket(path: &Path) -> Bench {
        let socket = Socket::open(Inherited::default(), path, 0o660, None).unwrap();
        Bench::with(None, Some(socket), engine::Options::default())
    }

    fn with(dump: Option<Dump>, socket: Option<Socket>, options: engine::Options) -> Bench {
        let (daemon, module) =
            socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC)
                .unwrap();
        let (send, answers) = mpsc::channel();
        let fake = Arc::new(Fake { socket: daemon.into(), state: Mutex::default(), answers: send });
        let stop = Arc::new(EventFd::new().unwrap());
        let pump = Pump::new(fake.clone(), 1 << 20, options, dump).unwrap();
        let watch = pump.watch();
        let pump = thread::spawn({
            let stop = stop.clone();
            move || {
                let sandbox = sandbox::enter(None, socket.as_ref().map(Socket::descriptor))?;
                let about = About { sandbox, codecs: vec!["vp9".into()], ..About::default() };
                let server = socket.map(|socket| Server::start(socket, about, pump.watch()));
                let _server = server.transpose()?;
                pump.run(stop.as_fd())
            }
        });
        let (module, pump) = (Some(module), Some(pump));
        Bench { fake, module, stop, pump, answers, watch, last_cookie: 100 }
    }

    pub fn send(&self, message: &[u8]) {
        let socket = self.module.as_ref().unwrap();
        send(std::os::fd::AsRawFd::as_raw_fd(socket), message, MsgFlags::empty()).unwrap();
    }

    fn head<T>(kind: u32, session: u64) -> Head {
        Head { kind, size: size_of::<T>() as u32, session }
    }

    /// For process 1 of user 1000.
    pub fn open(&self, session: u64, codec: Codec) {
        self.open_for(1000, session, codec);
    }

    /// For process 1 of user `uid`.
    pub fn open_for(&self, uid: u32, session: u64, codec: Codec) {
        let codec = match codec {
            Codec::H264 => CODEC_H264,
            Codec::Vp9 => CODEC_VP9,
            Codec::Av1 => CODEC_AV1,
        };
        let head = Self::head::<OpenMessage>(MSG_OPEN, session);
        self.send(OpenMessage { head, codec, uid, pid: 1, reserved: 0 }.as_bytes());
    }

    pub fn close(&self, session: u64) {
        self.send(Self::head::<Head>(MSG_CLOSE, session).as_bytes());
    }

    pub fn flush(&self, session: u64) {
        self.send(Self::head::<Head>(MSG_FLUSH, session).as_bytes());
    }

    pub fn forget(&self, session: u64, buffer: u64) {
        let head = Self::head::<ForgetMessage>(MSG_FORGET, session);
        self.send(ForgetMessage { head, buffer }.as_bytes());
    }

    /// Makes a buffer of memfds that are filled with 0xEE.
    pub fn buffer(&self, number: u64, sizes: &[u32]) {
        let make = |size: &u32| {
            let file = File::from(memfd_create(c"dma-buf", MFdFlags::MFD_CLOEXEC).unwrap());
            file.write_all_at(&vec![0xEE; *size as usize], 0).unwrap();
            let descriptors = (0..4).map(|_| file.try_clone().unwrap().into()).collect();
            DmaBuf { file, descriptors }
        };
        self.fake.state().buffers.insert(number, sizes.iter().map(make).collect());
    }

    /// What is in a dma-buf of a buffer.
    pub fn content(&self, number: u64, index: usize) -> Vec<u8> {
        let file = &self.fake.state().buffers[&number][index].file;
        let mut content = vec![0; file.metadata().unwrap().len() as usize];
        file.read_exact_at(&mut content, 0).unwrap();
        content
    }

    /// Sends a request: its controls and data, into the frame of `edit`. Returns its cookie.
    pub fn decode(
        &mut self,
        session: u64,
        controls: &[u8],
        num_controls: u32,
        data: &[u8],
        edit: impl FnOnce(&mut DecodeMessage),
    ) -> u64 {
        let cookie = self.next_cookie();
        let mut message = DecodeMessage::new_zeroed();
        message.head = Head { kind: MSG_DECODE, size: 0, session };
        message.cookie = cookie;
        message.num_controls = num_controls;
        message.data_offset = (size_of::<DecodeMessage>() + controls.len()) as u32;
        message.data_size = data.len() as u32;
        message.head.size = message.data_offset + message.data_size;
        edit(&mut message);
        self.last_cookie = cookie;
        self.fake.state().requests.insert(cookie, message.buffer);
        self.send(&[message.as_bytes(), controls, data].concat());
        cookie
    }

    /// The cookie of the next request.
    pub fn next_cookie(&self) -> u64 {
        self.last_cookie + 1
    }

    /// The next answer.
    pub fn answer(&self) -> Answer {
        self.answers.recv_timeout(PATIENCE).expect("an answer")
    }

    /// The answers that are there and not fetched yet.
    pub fn rest(&self) -> Vec<Answer> {
        self.answers.try_iter().collect()
    }

    /// Whether there is no answer that is not fetched yet.
    pub fn is_silent(&self) -> bool {
        self.answers.try_recv().is_err()
    }

    /// Every dma-buf that was asked for: cookie, index.
    pub fn asked(&self) -> Vec<(u64, u32)> {
        self.fake.state().asked.clone()
    }

    /// Waits until a request's buffer is asked for: all messages before it are read by then.
    pub fn until_asked(&self, cookie: u64) {
        self.until("a buffer was not asked for", |state| {
            state.asked.iter().any(|(asked, _)| *asked == cookie)
        });
    }

    /// Makes the completion of a request wait for a word through what is returned.
    pub fn gate(&self, cookie: u64) -> Sender<()> {
        let (open, gate) = mpsc::channel();
        self.fake.state().gates.insert(cookie, gate);
        open
    }

    /// Waits until a worker stands at the gate of its request.
    pub fn until_at_gate(&self, cookie: u64) {
        self.until("nobody is at the gate", |state| !state.gates.contains_key(&cookie));
    }

    /// Waits until the daemon knows a session no more. Its decoder may still be at work.
    pub fn until_ended(&self, session: u64) {
        self.until("a session does not end", |_| self.watch.statistics.session(session).is_none());
    }

    fn until(&self, otherwise: &str, condition: impl Fn(&State) -> bool) {
        for _ in 0..PATIENCE.as_millis() {
            if condition(&self.fake.state()) {
                return;
            }
            thread::sleep(Duration::from_millis(1));
        }
        panic!("{otherwise}");
    }

    pub fn take_back(&self, cookie: u64) {
        self.fake.state().taken_back.insert(cookie);
    }

    pub fn break_device(&self, errno: nix::errno::Errno) {
        self.fake.state().broken = Some(errno);
    }

    /// The module goes away.
    pub fn hang_up(&mut self) {
        self.module = None;
    }

    /// Asks the daemon to end.
    pub fn stop(&self) {
        self.stop.write(1).unwrap();
    }

    /// What the daemon ends with.
    pub fn end(&mut self) -> Result<()> {
        self.pump.take().unwrap().join().unwrap()
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        if let Some(pump) = self.pump.take() {
            self.stop();
            let ended = pump.join();
            if !thread::panicking() {
                ended.unwrap().unwrap();
            }
        }
    }
}
