//! `daedalusctl status`: the doctor.

use std::{fmt::Write, path::Path, process::ExitCode};

use daedalus_uapi::control;
use serde::Serialize;

use crate::{
    arguments,
    judge::{Finding, Severity, judge},
    look::{Answer, DRIVER_FILE, Device, Driver, Facts, Node, Opening, Outcome, look},
    program,
};

#[derive(Serialize)]
struct Report<'a> {
    version: &'a str,
    revision: &'a str,
    healthy: bool,
    findings: &'a [Finding],
    facts: &'a Facts,
}

/// Looks, judges, says it.
pub fn run(socket: &Path, options: &arguments::Status) -> Result<ExitCode, String> {
    let facts = look(socket);
    let findings = judge(&facts);
    let healthy = findings.iter().all(|finding| finding.severity == Severity::Note);
    let text = match options.json {
        true => {
            let report = Report {
                version: daedalus_version::VERSION,
                revision: daedalus_version::REVISION,
                healthy,
                findings: &findings,
                facts: &facts,
            };
            let report =
                serde_json::to_string_pretty(&report).map_err(|error| error.to_string())?;
            program::harmless_json(&report) + "\n"
        }
        false => words(&facts, &findings),
    };
    program::print(&text)?;
    Ok(if healthy { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// A line for each thing that was looked at, then what is wrong.
fn words(facts: &Facts, findings: &[Finding]) -> String {
    let mut text = String::new();
    let mut line = |name: &str, what: String| {
        // Writing to a string does not fail.
        let _ = writeln!(text, "{name:<9} {}", program::harmless(&what));
    };
    line("version", daedalus_version::TEXT.into());
    line("user", format!("{} ({})", facts.user.name, facts.user.groups.join(", ")));
    let module = &facts.module;
    let loaded = if module.loaded { "loaded" } else { "not loaded" };
    line("module", format!("{loaded}, kernel {}", module.kernel));
    for Device { video, media, attached, .. } in &module.devices {
        line("device", node(video));
        if let Some(media) = media {
            line("device", node(media));
        }
        let attached = match attached {
            Some(true) => "attached",
            Some(false) => "absent",
            None => "not told by the module",
        };
        line("daemon", attached.into());
    }
    line("socket", format!("{}: {}", facts.daemon.socket.display(), answer(&facts.daemon.answer)));
    let Driver { found, elsewhere, .. } = &facts.driver;
    let driver = match (found, &elsewhere[..]) {
        (Some(file), _) => file.display().to_string(),
        (None, []) => "not found".into(),
        (None, folders) => {
            let files = folders.iter().map(|f| f.join(DRIVER_FILE).display().to_string());
            files.collect::<Vec<_>>().join(", ")
        }
    };
    line("driver", driver);
    line("libva", libva(facts));
    if findings.is_empty() {
        text.push_str("\nNothing is wrong.\n");
    }
    for Finding { severity, what, mend, .. } in findings {
        let severity = if *severity == Severity::Note { "note" } else { "problem" };
        let (what, mend) = (program::harmless(what), program::harmless(mend));
        let _ = write!(text, "\n{severity}: {what}\n  {mend}\n");
    }
    text
}

fn node(node: &Node) -> String {
    let opening = match &node.opening {
        Opening::Opens => "can be opened",
        Opening::Missing => "missing",
        Opening::Denied => "permission denied",
        Opening::Busy => "busy",
        Opening::Full => "the limit of sessions is met",
        Opening::Failed(error) => error,
    };
    let rights = node.rights.as_deref().map(|rights| format!(" ({rights})")).unwrap_or_default();
    format!("{}{rights}: {opening}", node.path.display())
}

fn answer(answer: &Answer) -> String {
    let control::Status { version, revision, pid, uptime_s, sandbox, sessions, total, .. } =
        match answer {
            Answer::Status(status) => &**status,
            Answer::Missing => return "no such socket".into(),
            Answer::Refused => return "nobody listens".into(),
            Answer::Denied => return "permission denied".into(),
            Answer::Silent => return "no answer".into(),
            Answer::Busy(error) | Answer::Unasked(error) | Answer::Other(error) => {
                return error.clone();
            }
        };
    let revision = if revision.is_empty() { String::new() } else { format!(" ({revision})") };
    let cage = match (sandbox.active, sandbox.system_calls) {
        (true, Some(calls)) => format!("sandbox with {calls} system calls"),
        (true, None) => "sandbox without a filter of system calls".into(),
        (false, _) => "no sandbox".into(),
    };
    let control::Total { sessions: ever, pictures } = total;
    format!(
        "daedalusd {version}{revision}, process {pid}, up {uptime_s:.0} s, {cage}, {} of {ever} sessions open, {} \
         pictures, {} damaged, {} failed",
        sessions.len(),
        pictures.done,
        pictures.damaged,
        pictures.failed
    )
}

fn libva(facts: &Facts) -> String {
    let version = match facts.libva.version {
        Some((major, minor)) => format!("VA-API {major}.{minor}, "),
        None => String::new(),
    };
    let outcome = match &facts.libva.outcome {
        Outcome::Works { display, vendor, profiles } => {
            format!("{vendor} on {display}, {profiles} profiles")
        }
        Outcome::Fails { display, error } => format!("no driver on {display}: {error}"),
        Outcome::NoDisplay(_) => "no display to ask it about".into(),
        Outcome::NoLibrary(_) => "not there".into(),
        Outcome::Predecessor => "libva.so.1 alone".into(),
        Outcome::Crashed(signal) => format!("a driver crashed ({signal})"),
        Outcome::Hung => "a driver hangs".into(),
        Outcome::DisplayHangs(display) => format!("the display {display} does not answer"),
        Outcome::Broken(error) => error.clone(),
    };
    version + &outcome
}
