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

impl Dump {
    /// A dump to a new file; `-` is standard output.
    pub fn create(path: &Path) -> io::Result<Dump> {
        match path.to_str() {
            Some("-") => Ok(Dump::to(io::stdout())),
            _ => File::create(path).map(Dump::to),
        }
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
