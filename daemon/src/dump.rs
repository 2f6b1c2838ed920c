//! Requests as lines of JSON, for those who ask for them.

use std::{
    fs::File,
    io::{self, Write},
    path::Path,
};

use daedalus_uapi::{DecodeRequest, record::Record};

/// Writes one [`Record`] per request, and each at once.
pub struct Dump {
    /// `None` once it could not be written.
    out: Option<Box<dyn Write + Send>>,
}

/// What nothing has been written to yet: it may be another daemon's.
pub struct Opened(Option<File>);

impl Opened {
    /// Begins a dump. What was in the file goes.
    pub fn begin(self) -> io::Result<Dump> {
        let Some(file) = self.0 else { return Ok(Dump::to(io::stdout())) };
        if file.metadata()?.is_file() {
            file.set_len(0)?;
        }
        Ok(Dump::to(file))
    }
}

impl Dump {
    /// Where a dump is to go: a file, new or not, or standard output (`-`).
    pub fn open(path: &Path) -> io::Result<Opened> {
        if path.to_str() == Some("-") {
            return Ok(Opened(None));
        }
        let file = File::options().write(true).create(true).truncate(false).open(path)?;
        Ok(Opened(Some(file)))
    }

    /// A dump to anything.
    pub fn to(out: impl Write + Send + 'static) -> Dump {
        Dump { out: Some(Box::new(out)) }
    }

    /// Takes down a request of a session. The first failure is logged and the last.
    pub fn write<T>(&mut self, session: u64, request: &DecodeRequest<T>) {
        let Some(out) = &mut self.out else { return };
        let mut line = Record::of(session, request).to_json();
        line.push('\n');
        if let Err(error) = out.write_all(line.as_bytes()).and_then(|()| out.flush()) {
            log::error!("the dump ends here: {error}");
            self.out = None;
        }
    }
}
