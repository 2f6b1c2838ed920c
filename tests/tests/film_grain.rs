//! Clients that apply film grain themselves ask for pictures without: ffmpeg does with
//! `-export_side_data film_grain`. (That grain is right where the driver applies it, all clients show.)

use std::process::Command;
use std::time::Duration;

use daedalus_tests::catalogue::{self, Kind};
use daedalus_tests::clients::ffmpeg::{self, Fetch};
use daedalus_tests::display::Xvfb;
use daedalus_tests::driver::{self, Environment};
use daedalus_tests::stream::Stream;
use daedalus_tests::{frames, process, refusals};
use libtest_mimic::{Arguments, Failed, Trial};

fn main() -> std::process::ExitCode {
    let arguments = Arguments::from_args();
    run(&arguments).unwrap_or_else(|why| {
        eprintln!("film_grain: {why}");
        std::process::ExitCode::FAILURE
    })
}

fn run(arguments: &Arguments) -> Result<std::process::ExitCode, String> {
    let display = Xvfb::start().map_err(|e| e.to_string())?;
    let name = display.name().to_owned();
    let environment = Environment { directory: driver::directory()?, display: name };
    let trials = match catalogue::folder() {
        Some(folder) => {
            let known = refusals::table()?;
            let mut trials = Vec::new();
            for row in catalogue::rows(&folder)?.into_iter().filter(|row| row.kind == Kind::Ok) {
                let Some(frames) = catalogue::without_grain(&folder, &row.stream) else { continue };
                let stream = Stream { frames: frames?, ..row.stream };
                // What ffmpeg cannot decode with grain it cannot decode without.
                if known.iter().any(|l| l.client.is_ffmpeg() && l.stream == stream.name) {
                    continue;
                }
                let environment = environment.clone();
                let name = format!("film_grain::{}", stream.name);
                trials.push(Trial::test(name, move || is_left_out(&stream, &environment)));
            }
            if trials.is_empty() {
                return Err("the catalogue has no stream with film grain".into());
            }
            trials
        }
        // Ignored, so that the summary says that something was left out.
        None => vec![
            Trial::test("film_grain: ../shared/vectors is absent", || Ok(()))
                .with_ignored_flag(true),
        ],
    };
    let conclusion = libtest_mimic::run(arguments, trials);
    // The display goes before the process does: `conclusion.exit()` would skip its destructor.
    drop(display);
    let code = if conclusion.has_failed() { 101 } else { 0 };
    Ok(std::process::ExitCode::from(code))
}

fn is_left_out(stream: &Stream, environment: &Environment) -> Result<(), Failed> {
    let mut command: Command = ffmpeg::command(environment);
    command.args(ffmpeg::input(stream.codec)).args(["-export_side_data", "film_grain", "-i"]);
    command.arg(&stream.path).args(ffmpeg::selection(&stream.path));
    command.args(["-vf", &Fetch::Download.filter(stream.layout)]).args(ffmpeg::FRAME_MD5S);
    let done = process::run(&mut command, Duration::from_secs(120)).map_err(|e| e.to_string())?;
    if !done.status.success() || !done.log.contains(driver::VENDOR) {
        return Err(format!("{}: {}", done.ending(), done.log_tail(25)).into());
    }
    match frames::compare(&stream.frames, &frames::parse_framemd5(&done.text())) {
        None => Ok(()),
        Some(difference) => Err(difference.to_string().into()),
    }
}
