//! The driver's own connection to an X server.

use std::{
    io::{Error as IoError, ErrorKind, IoSlice},
    os::fd::AsRawFd,
};

use nix::sys::socket::{ControlMessage, MsgFlags, sendmsg};
use x11rb::{
    reexports::x11rb_protocol::{parse_display::parse_display, xauth::get_auth},
    rust_connection::{DefaultStream, PollMode, RustConnection, Stream},
    utils::RawFdContainer,
};

use super::Error;

/// A connection that neither raises SIGPIPE nor calls error handlers.
pub(super) type Connection = RustConnection<QuietStream>;

/// x11rb's stream, but writing to a server that is gone is an error and not a signal: the host program
/// decides about signals.
#[derive(Debug)]
pub(super) struct QuietStream(DefaultStream);

impl Stream for QuietStream {
    fn poll(&self, mode: PollMode) -> std::io::Result<()> {
        self.0.poll(mode)
    }

    fn read(
        &self,
        buffer: &mut [u8],
        descriptors: &mut Vec<RawFdContainer>,
    ) -> std::io::Result<usize> {
        self.0.read(buffer, descriptors)
    }

    fn write(
        &self,
        buffer: &[u8],
        descriptors: &mut Vec<RawFdContainer>,
    ) -> std::io::Result<usize> {
        self.write_vectored(&[IoSlice::new(buffer)], descriptors)
    }

    fn write_vectored(
        &self,
        buffers: &[IoSlice<'_>],
        descriptors: &mut Vec<RawFdContainer>,
    ) -> std::io::Result<usize> {
        if !descriptors.is_empty() {
            return Err(IoError::new(ErrorKind::Unsupported, "no request carries descriptors"));
        }
        loop {
            let none: &[ControlMessage<'_>] = &[];
            match sendmsg::<()>(self.0.as_raw_fd(), buffers, none, MsgFlags::MSG_NOSIGNAL, None) {
                Err(nix::Error::EINTR) => {}
                result => return result.map_err(IoError::from),
            }
        }
    }
}

/// Connects to the server of `display`, as Xlib does: `None` means `$DISPLAY`, cookies come from
/// `$XAUTHORITY` or `~/.Xauthority`. Fails with [`Error::Server`].
pub(super) fn connect(display: Option<&str>) -> Result<Connection, Error> {
    let failed = |error: &dyn std::fmt::Display| Error::Server(error.to_string());
    let parsed = parse_display(display).map_err(|error| failed(&error))?;
    let mut last = failed(&"no address to connect to");
    for address in parsed.connect_instruction() {
        let (stream, (family, peer)) = match DefaultStream::connect(&address) {
            Ok(connected) => connected,
            Err(error) => {
                last = failed(&error);
                continue;
            }
        };
        // Without a cookie the server may still let us in.
        let (name, data) =
            get_auth(family, &peer, parsed.display).ok().flatten().unwrap_or_default();
        let screen = parsed.screen.into();
        return RustConnection::connect_to_stream_with_auth_info(
            QuietStream(stream),
            screen,
            name,
            data,
        )
        .map_err(|error| failed(&error));
    }
    Err(last)
}
