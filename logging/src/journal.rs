//! The journal's own protocol: one datagram per record, a line per field
//! (<https://systemd.io/JOURNAL_NATIVE_PROTOCOL/>).
//!
//! The socket is connected once, so that a daemon in its sandbox needs no more than write().

use std::{
    fs::File,
    io::{self, ErrorKind, Write},
    os::{fd::OwnedFd, unix::net::UnixDatagram},
    path::Path,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use log::{
    Level, Record,
    kv::{self, Key, Value, VisitSource},
};

use crate::sink::priority;

const SOCKET: &str = "/run/systemd/journal/socket";

/// What the names of a record's own fields begin with.
const OURS: &str = "DAEDALUS_";

/// How long a record may wait for a journal that has much to do.
const PATIENCE: Duration = Duration::from_millis(100);

/// How long a journal that has taken nothing in that time is left alone: decoding must not wait for it.
const PAUSE: Duration = Duration::from_secs(10);

/// The same for errors.
const PAUSE_OF_ERRORS: Duration = Duration::from_secs(1);

/// The connection.
#[derive(Debug)]
pub(crate) struct Journal {
    /// A socket.
    socket: File,
    identifier: &'static str,
    lost: Mutex<Lost>,
}

/// What a journal that hangs did not take.
#[derive(Debug, Default)]
struct Lost {
    records: u64,
    /// Until when no more are offered.
    until: Option<Instant>,
}

impl Journal {
    pub fn connect(identifier: &'static str) -> io::Result<Journal> {
        Journal::at(Path::new(SOCKET), identifier)
    }

    fn at(path: &Path, identifier: &'static str) -> io::Result<Journal> {
        let socket = UnixDatagram::unbound()?;
        socket.connect(path)?;
        // Before the sandbox, in which write() may be called and nothing else.
        socket.set_write_timeout(Some(PATIENCE))?;
        let socket = OwnedFd::from(socket).into();
        Ok(Journal { socket, identifier, lost: Mutex::default() })
    }

    /// Sends a record. An error: nobody has it. One that a journal that hangs does not take is lost, since standard
    /// error is that journal's, too; how many were is said once it takes them again.
    pub fn write(&self, record: &Record<'_>) -> io::Result<()> {
        self.write_at(record, Instant::now())
    }

    fn write_at(&self, record: &Record<'_>, now: Instant) -> io::Result<()> {
        {
            let mut lost = self.lost();
            // Why a daemon ends is offered sooner.
            let early = match record.level() {
                Level::Error => PAUSE - PAUSE_OF_ERRORS,
                _ => Duration::ZERO,
            };
            if lost.until.is_some_and(|until| now + early < until) {
                lost.records += 1;
                return Ok(());
            }
        }
        match self.send(record) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                let mut lost = self.lost();
                lost.records += 1;
                lost.until = Some(now + PAUSE);
                return Ok(());
            }
            sent => sent?,
        }
        self.settle();
        Ok(())
    }

    /// Says how many records are lost, if any are.
    pub fn settle(&self) {
        let Lost { records, .. } = std::mem::take(&mut *self.lost());
        if records > 0 {
            let text = format!("{records} records before this are lost: the journal hung");
            let mut said = Record::builder();
            said.level(Level::Warn).target(module_path!());
            if self.send(&said.args(format_args!("{text}")).build()).is_err() {
                // It hangs again.
                let mut lost = self.lost();
                lost.records += records;
                lost.until = Some(Instant::now() + PAUSE);
            }
        }
    }

    fn send(&self, record: &Record<'_>) -> io::Result<()> {
        (&self.socket).write(&payload(self.identifier, record)).map(drop)
    }

    fn lost(&self) -> MutexGuard<'_, Lost> {
        self.lost.lock().unwrap_or_else(PoisonError::into_inner)
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
    use std::{sync::mpsc, thread};

    use super::*;

    fn write(journal: &Journal, text: &str, now: Instant) {
        journal.write_at(&Record::builder().args(format_args!("{text}")).build(), now).unwrap();
    }

    #[test]
    fn a_journal_that_hangs_loses_records_and_holds_up_nobody() {
        let path = std::env::temp_dir().join(format!("daedalus-journal-{}", std::process::id()));
        let _ = std::fs::remove_file(&path);
        let theirs = UnixDatagram::bind(&path).unwrap();
        let journal = Journal::at(&path, "d").unwrap();
        let now = Instant::now();
        let (tell, told) = mpsc::channel();
        thread::spawn(move || {
            while journal.lost().records == 0 {
                write(&journal, "early", now);
            }
            let _ = tell.send(journal);
        });
        // Longer than it takes to fill a socket.
        let journal = told.recv_timeout(Duration::from_secs(60)).expect("it waits for the journal");
        theirs.set_nonblocking(true).unwrap();
        let mut bytes = [0; 1024];
        let mut next = || {
            let count = theirs.recv(&mut bytes).ok()?;
            Some(String::from_utf8(bytes[..count].to_vec()).unwrap())
        };
        while next().is_some_and(|record| record.contains("MESSAGE=early\n")) {}
        // It is left alone for some time.
        write(&journal, "lost", now + PAUSE / 2);
        assert_eq!(next(), None);
        // Not so with what matters.
        let mut fatal = Record::builder();
        fatal.level(Level::Error).args(format_args!("fatal"));
        journal.write_at(&fatal.build(), now + PAUSE / 2).unwrap();
        assert!(next().unwrap().contains("MESSAGE=fatal\n"));
        assert!(next().unwrap().starts_with("MESSAGE=2 records before this are lost"));
        // Nor is it forgotten at the end.
        *journal.lost() = Lost { records: 2, until: Some(now + PAUSE) };
        journal.settle();
        assert!(next().unwrap().starts_with("MESSAGE=2 records before this are lost"));
        *journal.lost() = Lost { records: 2, until: Some(now + PAUSE) };
        write(&journal, "late", now + PAUSE);
        assert!(next().unwrap().contains("MESSAGE=late\n"));
        assert!(next().unwrap().starts_with("MESSAGE=2 records before this are lost"));
        write(&journal, "later", now + PAUSE);
        assert!(next().unwrap().contains("MESSAGE=later\n"));
        assert_eq!(next(), None);
        std::fs::remove_file(&path).unwrap();
    }

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
