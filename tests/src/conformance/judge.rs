//! Having a client decode a stream, and saying what became of it.

use std::time::Duration;

use super::{Case, Expectation, Verdict};
use crate::clients::{Client, Failure, Setting, ffmpeg};
use crate::frames::{self, Difference};
use crate::refusals::{Fault, Refusal};
use crate::stream::{Codec, Stream};
use crate::{catalogue, pinpoint, software, valgrind};

/// A client's words when it does not come to the driver with a stream.
const REFUSES: [&str; 5] = [
    "not supported for hardware decode",
    "Failed to get pixel format",
    "hwaccel initialisation returned error",
    "doesn't suppport hardware accelerated AV1 decoding",
    "reason not-linked",
];

/// What becomes of `case` through `client`. `refusal` is what refusals.tsv says of the two; `memory` asks
/// for a look at memory with valgrind, which only the ffmpeg clients take.
pub fn judge(
    case: &Case,
    client: Client,
    refusal: Option<&Refusal>,
    setting: &Setting,
    memory: bool,
) -> Verdict {
    if memory {
        return memory_of(case, client, setting);
    }
    match case.expectation {
        Expectation::Exact => exact(&case.stream, client, refusal, setting),
        Expectation::Survive => match client.decode(&case.stream, setting) {
            Ok(_) => Verdict::Survives,
            // A fault of the client's own, with its message.
            Err(failure) if refusal.is_some_and(|r| r.is_said_in(failure.log())) => {
                Verdict::Refused(brief(&failure))
            }
            Err(failure) if is_crash(&failure) => Verdict::Crash(brief(&failure)),
            Err(failure) if failure.hung() => Verdict::Timeout,
            Err(Failure::Process(error)) => Verdict::Error(error.to_string()),
            Err(_) => Verdict::Survives,
        },
        Expectation::FallBack { frames } => falls_back(&case.stream, frames, client, setting),
    }
}

fn exact(stream: &Stream, client: Client, refusal: Option<&Refusal>, setting: &Setting) -> Verdict {
    // Who is known to hang need not be watched for long.
    let hangs = refusal.is_some_and(|refusal| refusal.fault == Fault::Hangs);
    let limit = if hangs { Duration::from_secs(20) } else { setting.limit };
    let got = client.decode(stream, &Setting { limit, ..setting.clone() });
    let fault = refusal.map(|refusal| &refusal.fault);
    match got {
        Ok(got) => match (frames::compare(&stream.frames, &got), fault) {
            (None, _) => Verdict::Exact,
            (Some(difference), Some(Fault::Differs | Fault::Overruns)) => {
                Verdict::Refused(format!("{difference} (known of this client)"))
            }
            (Some(_), Some(Fault::AmongOthers)) if frames::are_among(&stream.frames, &got) => {
                Verdict::AmongOthers
            }
            (Some(_), _) if second_opinion(stream, &got) => Verdict::Exact,
            (Some(difference), _) => {
                Verdict::Differs(differs(stream, &difference, client, setting))
            }
        },
        Err(failure) => match fault {
            Some(Fault::Says(words)) if failure.log().contains(words) => {
                Verdict::Refused(words.clone())
            }
            Some(Fault::Differs) if matches!(failure, Failure::Output { .. }) => {
                Verdict::Refused("differs (known of this client)".into())
            }
            Some(Fault::Hangs) if failure.hung() => Verdict::Refused("hangs by itself".into()),
            Some(Fault::Overruns) if !failure.hung() => {
                Verdict::Refused("overruns its surfaces".into())
            }
            _ if failure.hung() => Verdict::Timeout,
            _ if is_crash(&failure) => Verdict::Crash(brief(&failure)),
            _ => match REFUSES.iter().find(|words| failure.log().contains(**words)) {
                Some(words) => Verdict::Refused((*words).to_owned()),
                None => Verdict::Error(brief(&failure)),
            },
        },
    }
}

/// Where no frames are published: whether libaom agrees with what came, since ffmpeg's first choice, the
/// reference, does not. Debian 12's libdav1d is wrong on some streams.
fn second_opinion(stream: &Stream, got: &[String]) -> bool {
    let published = catalogue::folder().is_some_and(|folder| stream.path.starts_with(folder));
    if stream.codec != Codec::Av1 || published {
        return false;
    }
    let Ok(video) = software::probe(&stream.path) else { return false };
    software::frames(&stream.path, &video, Some("libaom-av1"), Duration::from_secs(1200))
        .is_ok_and(|frames| frames::compare(&frames, got).is_none())
}

/// The difference with plane and position, where a second run shows the same.
fn differs(stream: &Stream, difference: &Difference, client: Client, setting: &Setting) -> String {
    let Difference::At { frame, .. } = difference else { return difference.to_string() };
    let spot = match (software::probe(&stream.path), stream.frames.get(*frame)) {
        (Ok(video), Some(expected)) => pinpoint::frame(
            &stream.path,
            *frame,
            stream.codec,
            &video.to_layout,
            stream.layout,
            expected.size,
            &setting.environment,
        ),
        _ => None,
    };
    match spot {
        Some(spot) if client.is_ffmpeg() => format!("{difference}; {spot}"),
        Some(spot) => format!("{difference}; through ffmpeg {spot}"),
        None => difference.to_string(),
    }
}

/// Unsupported streams: a client that may decode by itself does so.
fn falls_back(
    stream: &Stream,
    frames: Option<usize>,
    client: Client,
    setting: &Setting,
) -> Verdict {
    // What cannot fall back must at least say so in an orderly way.
    if stream.codec == Codec::Av1 && client.is_ffmpeg() || !client.can_fall_back() {
        match client.decode(stream, setting) {
            Ok(_) => return Verdict::Differs("decoded, although it is not supported".into()),
            Err(failure) if failure.hung() => return Verdict::Timeout,
            Err(failure) if is_crash(&failure) => return Verdict::Crash(brief(&failure)),
            Err(failure) if !client.can_fall_back() => return Verdict::Refused(brief(&failure)),
            Err(_) => {}
        }
    }
    match client.decode_or_fall_back(stream, setting) {
        // More than the catalogue counts come from players that pay no heed to edit lists.
        Ok(got) if got > 0 && frames.is_none_or(|frames| frames <= got) => Verdict::FallsBack,
        Ok(got) => Verdict::Differs(format!("{got} frames, expected {frames:?}")),
        Err(failure) if failure.hung() => Verdict::Timeout,
        Err(failure) if is_crash(&failure) => Verdict::Crash(brief(&failure)),
        // From 7.0 on ffmpeg itself picks the decoder that knows the hardware, and stays with it.
        Err(failure) => match REFUSES.iter().find(|words| failure.log().contains(**words)) {
            Some(words) => Verdict::Refused((*words).to_owned()),
            None => Verdict::Error(brief(&failure)),
        },
    }
}

/// The same run under valgrind: no error and no lost block with the driver in its stack.
///
/// A client that ends without vaTerminate leaves a driver that is still in use: its threads' stacks and
/// its hash tables, to which pointers lead that are not to their start, count as possibly lost then.
fn memory_of(case: &Case, client: Client, setting: &Setting) -> Verdict {
    let Some(mut command) = ffmpeg::command_for(client, &case.stream, setting) else {
        return Verdict::Error("only ffmpeg is run under valgrind".into());
    };
    command.env("DAEDALUS_LOG", "info");
    let report = setting.scratch.join(format!("{}.xml", case.stream.name.replace('/', "_")));
    let checked = valgrind::run(&command, &report, setting.limit * 10).map(|mut checked| {
        if !checked.done.log.contains("vaTerminate") {
            checked.errors.retain(|error| !error.starts_with("Leak_PossiblyLost"));
        }
        checked
    });
    // Kept only where it says something.
    match checked {
        Ok(checked) if checked.errors.is_empty() => {
            let _ = std::fs::remove_file(&report);
            match checked.done.killed_by() {
                Some(signal) => Verdict::Crash(signal),
                None => Verdict::Survives,
            }
        }
        Ok(checked) => {
            let first = &checked.errors[0];
            Verdict::Crash(format!(
                "{} errors, in {}: {first}",
                checked.errors.len(),
                report.display()
            ))
        }
        Err(why) => Verdict::Error(why),
    }
}

fn is_crash(failure: &Failure) -> bool {
    matches!(failure, Failure::Killed { .. } | Failure::Bug { .. })
}

/// The first line that says what happened, and the client's last one.
fn brief(failure: &Failure) -> String {
    let text = failure.to_string();
    let first = text.lines().next().unwrap_or_default().trim_end_matches(':');
    let last = failure.log().lines().rev().find(|line| !line.trim().is_empty()).unwrap_or_default();
    format!("{first}: {}", last.trim())
}
