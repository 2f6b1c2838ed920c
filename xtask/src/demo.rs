//! `./x demo`: the driver at work, and the proof that it is exact.

use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use daedalus_tests::clients::ffmpeg::{self, Fetch};
use daedalus_tests::display::Xvfb;
use daedalus_tests::driver::{self, Environment};
use daedalus_tests::frames::{self, Difference, Frame};
use daedalus_tests::software::{self, Video};
use daedalus_tests::{clips, pinpoint, process};

use crate::sheet::Sheet;
use crate::timing::{self, Through};
use crate::{build, project, table};

/// A film takes its time; a hang does not take for ever.
const LIMIT: Duration = Duration::from_secs(6 * 3600);

/// A file to show.
struct Item {
    title: String,
    file: PathBuf,
}

/// What became of an item.
struct Shown {
    row: Vec<String>,
    exact: bool,
    detail: Option<String>,
}

/// Runs the demo; the exit status says whether all was exact.
pub fn run(files: &[PathBuf]) -> Result<ExitCode, String> {
    if let Some(missing) = files.iter().find(|file| !file.is_file()) {
        return Err(format!("{}: no such file", missing.display()));
    }
    eprintln!("x: building the driver");
    let directory = build::driver(build::Profile::Release)?;
    let display = Xvfb::start().map_err(|e| e.to_string())?;
    let environment = Environment { directory, display: display.name().to_owned() };

    println!("\nThe driver, as vainfo sees it:\n{}", vainfo(&environment)?);
    let items = if files.is_empty() { make_clips()? } else { named(files) };
    let mut sheet = Sheet::new(project::target().join("demo"))?;
    let header = ["stream", "size", "frames", "result", "fps VA", "fps software"];
    let mut rows = vec![header.map(String::from).to_vec()];
    let mut details = Vec::new();
    let mut wrong = 0;
    for item in &items {
        let shown = show(item, &mut sheet, &environment);
        rows.push(shown.row);
        details.extend(shown.detail.map(|detail| format!("{}: {detail}", item.title)));
        wrong += usize::from(!shown.exact);
    }
    println!("\nEvery frame through VA-API (ffmpeg) against software decoding:\n");
    println!("{}", table::render(&rows, 4));
    for detail in &details {
        println!("{detail}\n");
    }
    if let Some(file) = sheet.finish()? {
        println!("Frames that came through the driver: {}", file.display());
    }
    drop(display);
    if wrong == 0 {
        println!("All {} exact.", items.len());
        Ok(ExitCode::SUCCESS)
    } else {
        println!("{wrong} of {} not exact.", items.len());
        Ok(ExitCode::FAILURE)
    }
}

/// vainfo's report, without libva's own messages. An error if it is not our driver's.
fn vainfo(environment: &Environment) -> Result<String, String> {
    let mut command = process::command("vainfo");
    environment.apply(&mut command).args(["--display", "x11"]);
    let done = process::run(&mut command, Duration::from_secs(60)).map_err(|e| e.to_string())?;
    let report = done.text();
    let lines: Vec<&str> = report.lines().filter(|line| !line.starts_with("libva info")).collect();
    let profiles = lines.iter().filter(|line| line.contains("VAEntrypointVLD")).count();
    if done.status.success() && report.contains(driver::VENDOR) && profiles > 0 {
        Ok(lines.iter().map(|line| format!("  {line}\n")).collect())
    } else {
        Err(format!("vainfo ended with {}:\n{report}{}", done.ending(), done.log))
    }
}

fn named(files: &[PathBuf]) -> Vec<Item> {
    let title = |file: &Path| match file.file_name() {
        Some(name) => name.to_string_lossy().into_owned(),
        None => file.display().to_string(),
    };
    files.iter().map(|file| Item { title: title(file), file: file.clone() }).collect()
}

fn make_clips() -> Result<Vec<Item>, String> {
    let extent = clips::Extent { width: 1280, height: 720, frames: 90 };
    let encoders = clips::Encoders::list().map_err(|e| e.to_string())?;
    let mut items = Vec::new();
    for recipe in clips::RECIPES {
        let file = recipe
            .make(extent, &encoders, |encoder| {
                eprintln!("x: making a clip: {} ({encoder})", recipe.title);
            })
            .map_err(|why| format!("{}: {why}", recipe.title))?;
        items.push(Item { title: recipe.title.to_owned(), file });
    }
    Ok(items)
}

/// Decodes both ways, compares, measures.
fn show(item: &Item, sheet: &mut Sheet, environment: &Environment) -> Shown {
    let failed = |size: String, frames: String, why: &str, detail: String| Shown {
        row: vec![item.title.clone(), size, frames, why.to_owned(), "-".into(), "-".into()],
        exact: false,
        detail: Some(detail),
    };
    let video = match software::probe(&item.file) {
        Ok(video) => video,
        Err(why) => return failed("-".into(), "-".into(), "not decoded", why.to_string()),
    };
    let title = format!("{} ({} {})", item.title, video.name, video.profile);
    let size = format!("{}x{}", video.size.0, video.size.1);
    let reference = match decode(&title, item, &video, Through::Software, environment) {
        Ok(reference) => reference,
        Err(why) => return failed(size, "-".into(), "no reference", why),
    };
    let frames = reference.len();
    let count = frames.to_string();
    let got = match decode(&title, item, &video, Through::Va, environment) {
        Ok(got) => got,
        Err(why) => return failed(size, count, "not decoded", why),
    };
    let reference: Vec<Frame> =
        reference.into_iter().map(|md5| Frame { size: video.size, md5 }).collect();
    if let Some(difference) = frames::compare(&reference, &got) {
        let (result, detail) = explain(&difference, item, &video, environment);
        return failed(size, count, &result, detail);
    }
    let measure = |through| {
        timing::fps(&item.file, frames, video.codec, video.layout, through, environment)
            .map_or("-".into(), |fps| format!("{fps:.0}"))
    };
    let (va, software) = (measure(Through::Va), measure(Through::Software));
    let detail = sheet.add(&item.file, frames, video.codec, video.layout, environment).err();
    Shown {
        row: vec![item.title.clone(), size, count, "exact".into(), va, software],
        exact: detail.is_none(),
        detail: detail.map(|why| format!("no contact sheet: {why}")),
    }
}

/// A few words for the table, and all that can be said.
fn explain(
    difference: &Difference,
    item: &Item,
    video: &Video,
    environment: &Environment,
) -> (String, String) {
    match difference {
        Difference::Count { got, .. } => (format!("{got} frames"), difference.to_string()),
        Difference::At { frame, .. } => {
            let spot = pinpoint::frame(
                &item.file,
                *frame,
                video.codec,
                &video.to_layout,
                video.layout,
                video.size,
                environment,
            );
            let spot = spot.map_or(String::new(), |spot| format!("; {spot}"));
            (format!("differs at frame {frame}"), format!("{difference}{spot}"))
        }
    }
}

/// The MD5s of all frames.
fn decode(
    title: &str,
    item: &Item,
    video: &Video,
    through: Through,
    environment: &Environment,
) -> Result<Vec<String>, String> {
    let mut command = ffmpeg::command(environment);
    let (filter, way) = match through {
        Through::Va => {
            command.args(ffmpeg::input(video.codec));
            (Fetch::Download.filter(video.layout), "through VA-API")
        }
        Through::Software => (video.to_layout.clone(), "in software"),
    };
    command.args(["-flags", "unaligned"]);
    command.arg("-i").arg(&item.file).args(ffmpeg::selection(&item.file));
    command.args(["-vf", &filter]).args(ffmpeg::FRAME_MD5S);
    let mut progress = Progress::new(format!("{title} {way}"));
    let done = process::run_watched(&mut command, LIMIT, |bytes| progress.saw(bytes))
        .map_err(|e| e.to_string())?;
    progress.end();
    if !done.status.success() {
        return Err(format!("ffmpeg {way} ended with {}:\n{}", done.ending(), done.log_tail(15)));
    }
    if through == Through::Va && !done.log.contains(driver::VENDOR) {
        return Err(format!("ffmpeg did not use the driver:\n{}", done.log_tail(15)));
    }
    let md5s = frames::parse_framemd5(&done.text());
    if md5s.is_empty() {
        return Err(format!("ffmpeg {way} gives no frame:\n{}", done.log_tail(15)));
    }
    Ok(md5s)
}

/// Says on standard error what goes on; on a terminal, how far it is.
struct Progress {
    what: String,
    lines: usize,
    terminal: bool,
}

impl Progress {
    fn new(what: String) -> Self {
        let terminal = std::io::stderr().is_terminal();
        if !terminal {
            eprintln!("x: decoding {what}");
        }
        Self { what, lines: 0, terminal }
    }

    /// Each frame is a line of the framemd5 output.
    fn saw(&mut self, bytes: &[u8]) {
        self.lines += bytes.iter().filter(|byte| **byte == b'\n').count();
        if self.terminal {
            eprint!("\rx: decoding {}: {}", self.what, self.lines);
            // Cosmetic: a terminal that is gone gets no progress.
            let _ = std::io::stderr().flush();
        }
    }

    fn end(&self) {
        if self.terminal {
            eprintln!();
        }
    }
}
