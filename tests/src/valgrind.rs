//! Running a program under valgrind and reading what concerns the driver.
//!
//! Clients and the libraries they load leak and overread in places of their own; what counts here is
//! every error and every lost block with the driver in its stack.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::driver;
use crate::process::{self, Finished};

/// A program and what valgrind says of it.
#[derive(Debug)]
pub struct Checked {
    /// How the program ended and what it wrote.
    pub done: Finished,
    /// Errors and leaks with the driver in the stack, readable.
    pub errors: Vec<String>,
}

/// Runs `command`, whose environment must be set already, under valgrind. `report` is overwritten.
pub fn run(command: &Command, report: &Path, limit: Duration) -> Result<Checked, String> {
    let mut valgrind = process::command("valgrind");
    let mut file = std::ffi::OsString::from("--xml-file=");
    file.push(report);
    valgrind.args(["--xml=yes", "--leak-check=full", "--num-callers=60"]).arg(file);
    // Valgrind translates code in blocks; those of AV1 assembly overflow its memory unless kept short.
    valgrind.arg("--vex-guest-max-insns=20");
    // Rust threads keep their stacks and TLS to the end of the process: those are not lost.
    valgrind.arg("--show-leak-kinds=definite,indirect,possible");
    valgrind.arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => valgrind.env(name, value),
            None => valgrind.env_remove(name),
        };
    }
    let done = process::run(&mut valgrind, limit).map_err(|e| e.to_string())?;
    let xml = fs::read_to_string(report).map_err(|e| format!("{}: {e}", report.display()))?;
    // Without its last element the report is cut short, and what it lacks is unknown.
    if !xml.trim_end().ends_with("</valgrindoutput>") {
        return Err(format!("valgrind's report is cut short:\n{}", done.log_tail(20)));
    }
    Ok(Checked { done, errors: errors(&xml, driver::FILE) })
}

/// The `<error>` elements that have `library` in a stack.
fn errors(xml: &str, library: &str) -> Vec<String> {
    let object = format!("{library}</obj>");
    xml.split("<error>")
        .skip(1)
        .filter_map(|rest| rest.split("</error>").next())
        .filter(|error| error.contains(&object) && !is_vector_padding(error, &object))
        .map(describe)
        .collect()
}

/// Whether the error is one of dav1d's assembly, which reads pictures in whole vectors, and so what
/// was never written beside them, without the result depending on it. In the library that `linked` ends the name of,
/// whose compiled code has names, assembly is what has none.
fn is_vector_padding(error: &str, linked: &str) -> bool {
    let kind = element(error, "kind").unwrap_or_default();
    let Some(place) = error.split("<frame>").nth(1) else { return false };
    let of_dav1d = element(place, "obj").is_some_and(|object| object.contains("/libdav1d.so"));
    let unnamed = place.contains(linked) && element(place, "fn").is_none();
    kind.starts_with("Uninit") && (of_dav1d || unnamed)
}

/// The kind, the text, and a line per stack frame.
fn describe(error: &str) -> String {
    let text = ["what", "text"].iter().find_map(|name| element(error, name)).unwrap_or("?");
    let mut lines = vec![format!("{}: {text}", element(error, "kind").unwrap_or("?"))];
    for frame in error.split("<frame>").skip(1) {
        let function = element(frame, "fn").unwrap_or("?");
        let place = match (element(frame, "file"), element(frame, "line")) {
            (Some(file), Some(line)) => format!("{file}:{line}"),
            _ => element(frame, "obj").and_then(|o| o.rsplit('/').next()).unwrap_or("?").into(),
        };
        lines.push(format!("    {function} ({place})"));
    }
    lines.join("\n")
}

/// The content of the first `<name>` element.
fn element<'x>(xml: &'x str, name: &str) -> Option<&'x str> {
    let (_, rest) = xml.split_once(&format!("<{name}>"))?;
    rest.split_once(&format!("</{name}>")).map(|(content, _)| content)
}

#[cfg(test)]
mod tests {
    use super::*;

    const REPORT: &str = "<valgrindoutput>\
        <error><kind>InvalidRead</kind><what>Invalid read of size 4</what><stack>\
        <frame><obj>/usr/lib/libx264.so</obj><fn>scan</fn></frame></stack></error>\
        <error><kind>Leak_DefinitelyLost</kind><xwhat><text>8 bytes lost</text></xwhat><stack>\
        <frame><obj>/usr/lib/libc.so</obj><fn>malloc</fn></frame>\
        <frame><obj>/x/daedalus_drv_video.so</obj><fn>open</fn><file>a.rs</file><line>7</line></frame>\
        </stack></error></valgrindoutput>";

    #[test]
    fn padding_that_assembly_reads_does_not_count_but_all_else_does() {
        let error = |kind: &str, place: &str| {
            format!(
                "<error><kind>{kind}</kind><stack><frame><obj>/usr/lib/{place}</frame>\
                 <frame><obj>/x/daedalus_drv_video.so</obj></frame></stack></error>"
            )
        };
        let named = |kind, object: &str| {
            errors(&error(kind, &format!("{object}</obj><fn>decode</fn>")), driver::FILE).len()
        };
        let count = |kind, object: &str| {
            errors(&error(kind, &format!("{object}</obj>")), driver::FILE).len()
        };
        assert_eq!(count("UninitValue", "libdav1d.so.7.0.0"), 0);
        assert_eq!(count("InvalidRead", "libdav1d.so.7.0.0"), 1);
        assert_eq!(count("UninitValue", "libavcodec.so.61"), 1);
        assert_eq!(count("UninitCondition", driver::FILE), 0);
        assert_eq!(count("InvalidRead", driver::FILE), 1);
        assert_eq!(named("UninitCondition", driver::FILE), 1);
    }

    #[test]
    fn only_stacks_through_the_driver_count() {
        let found = errors(REPORT, driver::FILE);
        assert_eq!(
            found,
            ["Leak_DefinitelyLost: 8 bytes lost\n    malloc (libc.so)\n    open (a.rs:7)"]
        );
    }
}
