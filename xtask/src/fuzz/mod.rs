//! `./x fuzz`: libFuzzer and AddressSanitizer on everything that takes input.

use std::path::PathBuf;
use std::process::{ExitCode, Stdio};
use std::time::Duration;

use clap::Args;

use self::campaign::{Limit, Outcome};
use self::program::Program;
use self::targets::Target;
use crate::{build, table};

mod campaign;
mod corpus;
mod coverage;
mod program;
mod status;
mod targets;

/// What `./x fuzz` takes.
#[derive(Args)]
#[command(after_help = "Examples:
  ./x fuzz                                   lists the targets
  ./x fuzz va-calls --time 30m --jobs 2      looks for inputs that break something
  ./x fuzz all --time 90s                    every target in turn, each for so long
  ./x fuzz all --time 30m --cpu              the same, however busy the machine is otherwise
  ./x fuzz va-calls FILE                     tries one input again
  ./x fuzz va-calls --coverage               how much of the sources the known inputs reach
  ./x fuzz --seeds                           makes first inputs of streams
  ./x fuzz all --minimise                    keeps the fewest inputs that reach as much, in fuzz/corpus

What a run finds lies in target/fuzz/TARGET. An input that breaks something belongs into
fuzz/findings/TARGET once that is mended: the tests try it from then on.")]
pub struct Options {
    /// What to fuzz, or all
    target: Option<String>,
    /// Inputs to try again instead
    files: Vec<PathBuf>,
    /// How long to look for more, such as 90s, 30m or 2h
    #[arg(long, default_value = "60s", value_parser = duration)]
    time: Duration,
    /// Let --time be processor time, of all processes together
    #[arg(long)]
    cpu: bool,
    /// How many processes at a time
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=64))]
    jobs: u64,
    /// Replay the known inputs and tell what they reach, nothing more
    #[arg(long, conflicts_with_all = ["files", "minimise"])]
    coverage: bool,
    /// Replace the project's inputs by the fewest of all that reach as much
    #[arg(long, conflicts_with = "files")]
    minimise: bool,
    /// Make first inputs of streams, played through VA-API
    #[arg(long)]
    seeds: bool,
}

/// `90s`, `30m`, `2h`, or seconds.
fn duration(text: &str) -> Result<Duration, String> {
    let digits = text.trim_end_matches(['s', 'm', 'h']);
    let unit = match &text[digits.len()..] {
        "" | "s" => 1,
        "m" => 60,
        "h" => 3600,
        other => return Err(format!("{other:?} is no unit of time")),
    };
    let count: u64 = digits.parse().map_err(|_| "not a number with s, m or h".to_owned())?;
    let seconds = count.checked_mul(unit).filter(|seconds| *seconds > 0);
    seconds.map(Duration::from_secs).ok_or_else(|| "no such time".into())
}

/// Does what `options` ask for; the exit status says whether all was well.
pub fn run(options: &Options) -> Result<ExitCode, String> {
    if options.seeds {
        let streams = corpus::seeds()?;
        eprintln!("x: seeds of {streams} streams in {}", targets::folder().join("seeds").display());
    }
    let targets = match options.target.as_deref() {
        None if options.seeds => return Ok(ExitCode::SUCCESS),
        None => return list(),
        Some("all") => targets::all(),
        Some(name) => vec![targets::named(name)?],
    };
    let program = Program::build()?;
    if !options.files.is_empty() {
        let [target] = &targets[..] else { return Err("which target are these for?".into()) };
        return again(&program, target, &options.files);
    }
    for target in &targets {
        if options.minimise {
            let (count, bytes) = corpus::minimise(&program, target)?;
            println!("{}: {count} inputs, {bytes} bytes", target.name);
        } else if options.coverage {
            println!("{}", target.name);
            tell_coverage(&program, target)?;
        } else {
            println!("{}: {} s, {} at a time", target.name, options.time.as_secs(), options.jobs);
            let jobs = options.jobs as usize;
            let limit = Limit { time: options.time, of_processor: options.cpu };
            let outcome = campaign::run(&program, target, limit, jobs)?;
            if !report(target, &outcome) {
                return Ok(ExitCode::FAILURE);
            }
            if outcome.interrupted {
                return Ok(ExitCode::from(130));
            }
            tell_coverage(&program, target)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn list() -> Result<ExitCode, String> {
    let row = |target: &Target| vec![target.name.to_owned(), target.about.to_owned()];
    let mut rows = vec![vec!["target".to_owned(), "what it is given".to_owned()]];
    rows.extend(targets::all().iter().map(row));
    println!("{}", table::render(&rows, 2));
    println!("\n./x fuzz --help says more.");
    Ok(ExitCode::SUCCESS)
}

/// Tries inputs with all that the sanitizer says on the terminal.
fn again(program: &Program, target: &Target, files: &[PathBuf]) -> Result<ExitCode, String> {
    let mut good = true;
    for file in files {
        if !file.is_file() {
            return Err(format!("{}: no such file", file.display()));
        }
        let mut command = program.command(target);
        let status = command
            .arg(file)
            .stdout(Stdio::inherit())
            .status()
            .map_err(|e| format!("cannot run the target: {e}"))?;
        println!("{}: {}", file.display(), if status.success() { "good" } else { "BROKEN" });
        good &= status.success();
    }
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Prints what a run has come to; whether nothing was found.
fn report(target: &Target, outcome: &Outcome) -> bool {
    let status = &outcome.status;
    println!(
        "{}: {} executions in {} s ({} s of processor time), {} edges of {}, {} features, {} inputs kept",
        target.name,
        status.executions,
        outcome.elapsed.as_secs(),
        outcome.processor.as_secs(),
        status.edges,
        status.all_edges,
        status.features,
        status.corpus
    );
    let Some(summary) = &status.summary else { return true };
    println!("\nFOUND: {summary}");
    println!("  log:   {}", target.folder().join("log-*").display());
    if let Some(artifact) = &status.artifact {
        println!("  input: {artifact}");
        println!("  again: ./x fuzz {} {}", target.name, build::quote(artifact));
    }
    false
}

fn tell_coverage(program: &Program, target: &Target) -> Result<(), String> {
    match coverage::of(program, target)? {
        Some(table) => println!("{table}"),
        None => eprintln!("x: no coverage by source without llvm-symbolizer (Debian: llvm)"),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_units() {
        assert_eq!(duration("90s"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("30m"), Ok(Duration::from_secs(1800)));
        assert_eq!(duration("2h"), Ok(Duration::from_secs(7200)));
        assert_eq!(duration("7"), Ok(Duration::from_secs(7)));
        for wrong in ["", "0", "s", "1d", "1.5m", "99999999999999999999s"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }
}
