//! `./x bench`: Daedalus beside software decoding, in one run.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use daedalus_tests::display::Xvfb;
use daedalus_tests::driver::Environment;

use self::cases::{Case, Measure};
use self::clips::{Clip, Shelf};
use self::report::{FORMAT, Report, Row};
use self::setting::{Setting, Transport};
use self::system::Machine;
use crate::root::named;
use crate::{build, cargo, project};

mod cases;
mod client;
mod clips;
mod ffmpeg;
mod guest;
mod latency;
mod markdown;
mod memory;
mod outcome;
mod pairs;
mod report;
mod sessions;
mod setting;
mod stats;
mod system;
mod throughput;

/// What `./x bench` takes.
#[derive(Args)]
#[command(after_help = "\
The clips are made by ffmpeg's encoders when they are first needed, which takes minutes, and are kept
below ~/.cache/daedalus. All else should be quiet meanwhile: the report says how busy the machine was.

  ./x bench --quick                     does it work? (under two minutes)
  ./x bench throughput/av1 latency      what has one of these words in its name
  ./x bench --transport kernel sessions
  ./x bench pack                        the engine's own benchmark of packing frames

The status is 0 if all was measured, also where targets are missed; docs/performance.md says more.
")]
pub struct Options {
    /// Parts of names, such as `h264`, `latency` or `sessions/av1`; --list shows them
    filters: Vec<String>,
    /// Small, short clips and few runs: a smoke test, whose figures mean nothing
    #[arg(long)]
    quick: bool,
    /// Pairs of runs (Daedalus, software) per row [default: 5, and 2 with --quick]
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=100))]
    pairs: Option<u32>,
    /// Threads of both sides [default: as many as there are processors]
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=64))]
    threads: Option<u32>,
    /// What decodes behind the driver. The kernel's device is measured in user-mode Linux
    #[arg(long, value_enum, default_value_t = Transports::Embedded)]
    transport: Transports,
    /// The folder for bench.md and bench.json [default: target/bench]
    #[arg(long, value_name = "DIR")]
    output: Option<PathBuf>,
    /// Only print the names
    #[arg(long)]
    list: bool,
    /// We are in the kernel that has the module; all is built
    #[arg(long, hide = true)]
    in_guest: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Transports {
    Embedded,
    Kernel,
    All,
}

/// The benchmark of packing, which is cargo's to run.
const PACK: &str = "pack";

/// Measures; the status says whether all could be measured.
pub fn run(options: &Options) -> Result<ExitCode, String> {
    let (pack, filters): (Vec<String>, Vec<String>) =
        options.filters.iter().cloned().partition(|filter| filter == PACK);
    if !pack.is_empty() {
        run_pack()?;
        if filters.is_empty() {
            return Ok(ExitCode::SUCCESS);
        }
    }
    let wanted: Vec<Case> =
        cases::all(options.quick).into_iter().filter(|case| case.is_wanted(&filters)).collect();
    if options.list {
        wanted.iter().for_each(|case| println!("{}", case.id()));
        return Ok(ExitCode::SUCCESS);
    }
    if wanted.is_empty() {
        return Err("nothing has one of these words in its name; --list shows the names".into());
    }
    if options.in_guest {
        return guest::measure(options, &wanted);
    }
    measure(options, &filters, &wanted)
}

fn run_pack() -> Result<(), String> {
    if !project::root().join("engine/benches/pack.rs").is_file() {
        return Err("there is no engine/benches/pack.rs".into());
    }
    let mut bench = cargo::command("bench");
    bench.args(["--package", "daedalus-engine", "--bench", PACK]).args(cargo::daemon_features());
    cargo::check(&mut bench)
}

/// Builds what is needed, makes the clips, measures, reports.
fn measure(options: &Options, filters: &[String], wanted: &[Case]) -> Result<ExitCode, String> {
    // Before anything of ours keeps the machine busy.
    let load = system::load();
    if markdown::is_busy(&load) {
        eprintln!("x: this machine is busy (load {load}): timings will be worth little");
    }
    let folder = match &options.output {
        Some(folder) => std::path::absolute(folder).map_err(named(folder))?,
        None => project::target().join("bench"),
    };
    std::fs::create_dir_all(&folder).map_err(named(&folder))?;
    eprintln!("x: building the driver and the clients");
    let directory = build::driver(build::Profile::Release)?;
    let client = client::build()?;
    let small_client = client::build_small()?;
    let mut shelf = Shelf::new()?;
    // All before the first run, so that no encoder warms the machine up between two of them.
    for case in wanted {
        if let Err(why) = shelf.clip(case.recipe, case.extent) {
            eprintln!("x: {why}");
        }
    }
    let mut report = Report {
        format: FORMAT,
        machine: Machine::ask(&shelf.encoders.version),
        threads: options.threads.map_or_else(system::cores, |threads| threads as usize),
        pairs: options.pairs(),
        quick: options.quick,
        load: [load, String::new()],
        rows: Vec::new(),
    };
    if options.transport != Transports::Kernel {
        let display = Xvfb::start().map_err(|e| e.to_string())?;
        let setting = Setting {
            environment: Environment {
                directory: directory.clone(),
                display: display.name().to_owned(),
            },
            transport: Transport::Embedded,
            daemon: None,
            threads: report.threads,
            pairs: report.pairs,
            client: client.clone(),
            small_client: small_client.clone(),
        };
        measure_all(&setting, wanted, options.quick, &mut shelf, &mut report, &folder)?;
    }
    if options.transport != Transports::Embedded {
        let built = guest::Built { driver: directory, small_client };
        match guest::run(options, filters, &folder, &built) {
            Ok(rows) => report.rows.extend(rows),
            // What was measured before is still worth having.
            Err(why) => report.rows.push(Row {
                measure: "throughput".into(),
                name: "all".into(),
                transport: Transport::Kernel.name().into(),
                failure: Some(why),
                ..Row::default()
            }),
        }
    }
    save(&mut report, &folder)?;
    print(&report, &folder);
    Ok(if report.failures() == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

impl Options {
    fn pairs(&self) -> usize {
        self.pairs.unwrap_or(if self.quick { 2 } else { 5 }) as usize
    }
}

/// Measures one after the other; what was measured is on disk after each, should somebody end us.
fn measure_all(
    setting: &Setting,
    wanted: &[Case],
    quick: bool,
    shelf: &mut Shelf,
    report: &mut Report,
    folder: &Path,
) -> Result<(), String> {
    for case in wanted {
        let measured = shelf
            .clip(case.recipe, case.extent)
            .and_then(|clip| measure_one(setting, case, &clip, quick));
        let rows = measured.unwrap_or_else(|why| {
            let title = case.recipe.title.to_owned();
            vec![Row { failure: Some(why), ..case.row(setting.transport, title) }]
        });
        for row in &rows {
            pairs::done(&markdown::summary(row));
        }
        report.rows.extend(rows);
        save(report, folder)?;
    }
    Ok(())
}

fn measure_one(
    setting: &Setting,
    case: &Case,
    clip: &Clip,
    quick: bool,
) -> Result<Vec<Row>, String> {
    let row = match case.measure {
        Measure::Throughput(way) => throughput::throughput(setting, case, clip, way),
        Measure::Cost => throughput::cost(setting, case, clip),
        Measure::Size => throughput::size(setting, case, clip),
        Measure::Latency => latency::latency(setting, case, clip),
        Measure::Peak => memory::peak(setting, case, clip),
        Measure::Growth => memory::growth(setting, case, clip, quick),
        Measure::Sessions => return sessions::sessions(setting, case, clip),
    };
    row.map(|row| vec![row])
}

fn save(report: &mut Report, folder: &Path) -> Result<(), String> {
    report.load[1] = system::load();
    report.save(&folder.join("bench.json"))?;
    let file = folder.join("bench.md");
    std::fs::write(&file, markdown::render(report)).map_err(named(&file))
}

fn print(report: &Report, folder: &Path) {
    println!("{}", markdown::render(report));
    for name in ["bench.md", "bench.json"] {
        println!("{}", folder.join(name).display());
    }
}
