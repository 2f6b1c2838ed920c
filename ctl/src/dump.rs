//! `daedalusctl dump`: the requests of a session.

use std::{
    fs::File,
    io::{self, BufWriter, Write},
    path::Path,
    process::ExitCode,
};

use daedalus_uapi::control::{DumpStart, End, Lost, Request};

use crate::{
    arguments::Dump,
    client::{Connection, Error},
    program,
};

/// Writes until the session ends, or enough was written.
pub fn run(socket: &Path, options: &Dump) -> Result<ExitCode, String> {
    let said = |error: Error| error.say(socket);
    let mut connection = Connection::open(socket).map_err(said)?;
    connection.ask(Request::Dump(options.session)).map_err(said)?;
    let start = connection.line().and_then(|line| line.ok_or(Error::Cut)).map_err(said)?;
    if serde_json::from_str::<DumpStart>(&start).is_err() {
        return Err(said(Error::Garbled(start)));
    }
    connection.be_patient();
    let (out, name): (Box<dyn Write>, String) = match &options.output {
        Some(path) => {
            let name = path.display().to_string();
            (Box::new(File::create(path).map_err(|e| format!("{name}: {e}"))?), name)
        }
        None => (Box::new(io::stdout().lock()), "standard output".into()),
    };
    match copy(&mut connection, &mut BufWriter::new(out), options) {
        Err(Failure::Write(error)) if error.kind() == io::ErrorKind::BrokenPipe => {}
        Err(Failure::Write(error)) => return Err(format!("{name}: {error}")),
        Err(Failure::Read(error)) => return Err(said(error)),
        Ok(()) => {}
    }
    Ok(ExitCode::SUCCESS)
}

enum Failure {
    Read(Error),
    Write(io::Error),
}

fn copy(connection: &mut Connection, out: &mut impl Write, options: &Dump) -> Result<(), Failure> {
    let mut written = 0;
    while options.count.is_none_or(|count| written < count) {
        let Some(line) = connection.line().map_err(Failure::Read)? else {
            return Err(Failure::Read(Error::Cut));
        };
        if let Ok(Lost { lost }) = serde_json::from_str(&line) {
            let missing = format!("after line {written}, {lost} requests are missing: too slow");
            program::complain(&missing);
        } else if let Ok(End { end }) = serde_json::from_str(&line) {
            program::complain(&end);
            break;
        } else {
            written += 1;
            // Each at once: whoever ends this with Ctrl-C wants what there was.
            writeln!(out, "{line}").and_then(|()| out.flush()).map_err(Failure::Write)?;
        }
    }
    Ok(())
}
