//! Every client decodes every stream exactly: one test per pair, named `client::stream`.
//!
//! The streams are those of the catalogue beside the project; without it, clips made here and decoded
//! in software for reference. `DAEDALUS_TIER=full` takes every stream of the catalogue that must
//! decode, not just the core.
//!
//! With `DAEDALUS_DEVICE=kernel` the driver uses the kernel's device, for which a daemon is started here,
//! and GStreamer's v4l2codecs joins the clients; so does its va plugin where there is a DRM render node.

use std::collections::HashMap;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use daedalus_tests::catalogue::Tier;
use daedalus_tests::clients::{self, Client, Failure, Setting, gstreamer};
use daedalus_tests::corpus::{self, Corpus};
use daedalus_tests::display::Xvfb;
use daedalus_tests::driver::{self, Environment};
use daedalus_tests::frames;
use daedalus_tests::kernel::{self, Daemon};
use daedalus_tests::refusals::{self, Fault, Refusal, Witness};
use daedalus_tests::stream::{Codec, Stream};
use libtest_mimic::{Arguments, Failed, Trial};

/// How long a client is given that is known to hang.
const HANG: Duration = Duration::from_secs(20);

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    match run(&arguments) {
        Ok(code) => code,
        Err(why) => {
            eprintln!("clients: {why}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<ExitCode, String> {
    let display = Xvfb::start().map_err(|e| e.to_string())?;
    let scratch = corpus::scratch(Path::new(env!("CARGO_TARGET_TMPDIR")), "clients")?;
    let (mut daemon, mut clients) = (None, clients::ALL.to_vec());
    if kernel::is_wanted() {
        daemon = Some(Daemon::start(&scratch.join("daemon.log"), &[])?);
        clients.push(Client::GstreamerV4l2);
        if Client::GstreamerVa.missing().is_none() {
            clients.push(Client::GstreamerVa);
        }
    }
    let setting = Arc::new(Setting {
        environment: Environment {
            directory: driver::directory()?,
            display: display.name().to_owned(),
        },
        scratch,
        limit: clients::limit(),
    });
    let Corpus { streams, generated } = corpus::streams(tier()?)?;
    let mut trials = Vec::new();
    if generated {
        // Ignored, so that the summary says that something was left out.
        let name = "catalogue: ../shared/vectors is absent, generated clips are used instead";
        trials.push(Trial::test(name, || Ok(())).with_ignored_flag(true));
    }
    let refusals = refusals::table()?;
    let versions = versions(&clients)?;
    let v4l2_av1 = clients.contains(&Client::GstreamerV4l2)
        && gstreamer::decodes(Client::GstreamerV4l2, Codec::Av1, &setting);
    if clients.contains(&Client::GstreamerV4l2) && !v4l2_av1 {
        let name = "gstreamer-v4l2::av1: this GStreamer was built without AV1 on V4L2";
        trials.push(Trial::test(name, || Ok(())).with_ignored_flag(true));
    }
    for stream in streams.into_iter().map(Arc::new) {
        for client in clients.iter().copied() {
            let refusal = refusals
                .iter()
                .find(|line| line.stream == stream.name && line.applies(client, &versions[&client]))
                .cloned();
            let (stream, setting) = (Arc::clone(&stream), Arc::clone(&setting));
            let name = format!("{client}::{}", stream.name);
            if client == Client::GstreamerV4l2 && stream.codec == Codec::Av1 && !v4l2_av1 {
                continue;
            }
            trials.push(Trial::test(name, move || match refusal {
                None => exact(client, &stream, &setting),
                Some(refusal) => refused(&refusal, &stream, &setting),
            }));
        }
    }
    // Grouped by client: a broken client shows as a block.
    trials.sort_by_key(|trial| trial.name().split("::").next().unwrap_or_default().to_owned());
    let conclusion = libtest_mimic::run(arguments, trials);
    // The display goes before the process does: `conclusion.exit()` would skip its destructor.
    drop(display);
    if let Some(daemon) = daemon {
        daemon.stop()?;
    }
    Ok(if conclusion.has_failed() { ExitCode::from(101) } else { ExitCode::SUCCESS })
}

/// The client decodes in hardware, as it believes, and every frame is right.
fn exact(client: Client, stream: &Stream, setting: &Setting) -> Result<(), Failed> {
    let got = client.decode(stream, setting).map_err(|failure| failure.to_string())?;
    match frames::compare(&stream.frames, &got) {
        None => Ok(()),
        Some(difference) => Err(difference.to_string().into()),
    }
}

/// The client fails as the table says, and the other client is exact.
fn refused(refusal: &Refusal, stream: &Stream, setting: &Setting) -> Result<(), Failed> {
    // A client that hangs need not be watched for long.
    let short = Setting { limit: HANG, ..setting.clone() };
    let setting_of_fault = if refusal.fault == Fault::Hangs { &short } else { setting };
    match (&refusal.fault, refusal.client.decode(stream, setting_of_fault)) {
        (Fault::Says(message), Err(failure)) if failure.log().contains(message) => {}
        (Fault::Says(message), Err(failure)) => {
            return Err(format!("fails without saying {message:?}: {failure}").into());
        }
        (Fault::Differs, Err(Failure::Output { .. })) => {}
        (Fault::Hangs, Err(failure)) if failure.hung() => {}
        (Fault::Overruns, Err(failure)) if !failure.hung() => {}
        (Fault::AmongOthers, Ok(got)) if frames::are_among(&stream.frames, &got) => {}
        (Fault::Hangs | Fault::Differs | Fault::Overruns | Fault::AmongOthers, Err(failure)) => {
            return Err(failure.to_string().into());
        }
        (Fault::Differs | Fault::Overruns, Ok(got))
            if frames::compare(&stream.frames, &got).is_some() => {}
        (_, Ok(_)) => {
            return Err(
                "decodes, although refusals.tsv says that it does not: take the line out".into()
            );
        }
    }
    match refusal.exact_through {
        Witness::Client(witness) => exact(witness, stream, setting).map_err(|failed| {
            format!("{witness}: {}", failed.message().unwrap_or_default()).into()
        }),
        // That is a test of its own, in small_client/.
        Witness::SmallClient | Witness::Nobody => Ok(()),
    }
}

fn versions(clients: &[Client]) -> Result<HashMap<Client, String>, String> {
    let version = |client: Client| match client.version() {
        Ok(version) => Ok((client, version)),
        Err(why) => Err(format!("{client}: {why}")),
    };
    clients.iter().copied().map(version).collect()
}

fn tier() -> Result<Tier, String> {
    match std::env::var("DAEDALUS_TIER").as_deref() {
        Err(_) | Ok("core") => Ok(Tier::Core),
        Ok("full") => Ok(Tier::Full),
        Ok(other) => Err(format!("DAEDALUS_TIER is {other:?}, neither core nor full")),
    }
}
