//! The journal's own protocol: one datagram per record, a line per field
//! (<https://systemd.io/JOURNAL_NATIVE_PROTOCOL/>).
//!
//! The socket is connected once, so that a daemon in its sandbox needs no more than write().

use std::{
    fs::File,
    io::{self, Write},
    os::{fd::OwnedFd, unix::net::UnixDatagram},
};

use log::{
    Record,
    kv::{self, Key, Value, VisitSource},
};

use crate::sink::priority;

const SOCKET: &str = "/run/systemd/journal/socket";

/// What the names of a record's own fields begin with.
const OURS: &str = "DAEDALUS_";

/// The connection.
#[derive(Debug)]
pub(crate) struct Journal {
    /// A socket.
    socket: File,
    identifier: &'static str,
}

impl Journal {
    pub fn connect(identifier: &'static str) -> io::Result<Journal> {
        let socket = UnixDatagram::unbound()?;
        socket.connect(SOCKET)?;
        Ok(Journal { socket: OwnedFd::from(socket).into(), identifier })
    }

    /// Sends a record. An error: nobody has it.
    pub fn write(&self, record: &Record<'_>) -> io::Result<()> {
        (&self.socket).write(&payload(self.identifier, record)).map(drop)
    }
}

/// A record as the journal takes it.
fn payload(identifier: &str, record: &Record<'_>) -> Vec<u8> {
    let mut fields = Fields(Vec::new());
    fields.add("MESSAGE", &record.args().to_string());
    fields.add("PRIORITY", &priority(record.level()).to_string());
    fields.add("SYSLOG_IDENTIFIER", identifier);
    fields.add("TARGET", record.target());
    if let (Some(file), Some(line)) = (record.file(), record.line()) {
        fields.add("CODE_FILE", file);
        fields.add("CODE_LINE", &line.to_string());
    }
    // It never fails.
    let _ = record.key_values().visit(&mut fields);
    fields.0
}

struct Fields(Vec<u8>);

impl Fields {
    fn add(&mut self, name: &str, value: &str) {
        self.0.extend_from_slice(name.as_bytes());
        if value.contains('\n') {
            // Its length stands before it.
            self.0.push(b'\n');
            self.0.extend_from_slice(&(value.len() as u64).to_le_bytes());
        } else {
            self.0.push(b'=');
        }
        self.0.extend_from_slice(value.as_bytes());
        self.0.push(b'\n');
    }
}

impl<'kvs> VisitSource<'kvs> for Fields {
    fn visit_pair(&mut self, key: Key<'kvs>, value: Value<'kvs>) -> Result<(), kv::Error> {
        let name = format!("{OURS}{}", key.as_str().to_uppercase());
        self.add(&name, &value.to_string());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_a_line_per_field() {
        let values = [("session", Value::from(5)), ("codec", Value::from("VP9"))];
        let mut record = Record::builder();
        record.level(log::Level::Error).target("place").key_values(&values);
        record.file_static(Some("a.rs")).line(Some(7));
        let payload = payload("daedalusd", &record.args(format_args!("some text")).build());
        let expected = "MESSAGE=some text\nPRIORITY=3\nSYSLOG_IDENTIFIER=daedalusd\nTARGET=place\n\
                        CODE_FILE=a.rs\nCODE_LINE=7\nDAEDALUS_SESSION=5\nDAEDALUS_CODEC=VP9\n";
        assert_eq!(String::from_utf8(payload).unwrap(), expected);
    }

    #[test]
    fn text_of_several_lines_comes_with_its_length() {
        let payload = payload("d", &Record::builder().args(format_args!("a\nPRIORITY=0")).build());
        assert!(payload.starts_with(b"MESSAGE\n\x0c\0\0\0\0\0\0\0a\nPRIORITY=0\nPRIORITY=6\n"));
    }
}
