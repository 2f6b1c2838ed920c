//! Being a well-behaved program.

use std::{
    io::{self, Write},
    process::ExitCode,
};

/// Writes to standard output. Whoever reads it may have had enough (`| head`).
pub fn print(text: &str) -> Result<ExitCode, String> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(format!("standard output: {error}"))
        }
        _ => Ok(ExitCode::SUCCESS),
    }
}

/// Text of others' making, fit for a terminal: without control characters.
pub fn harmless(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '?' } else { c }).collect()
}
