//! How much of the sources that a target is about its inputs reach.

use std::collections::BTreeMap;
use std::time::Duration;

use daedalus_tests::process;

use super::program::Program;
use super::targets::Target;
use crate::{project, table};

/// Replaying some thousand inputs takes seconds; finding names for edges takes longer.
const LIMIT: Duration = Duration::from_secs(600);

/// Edges: those that were passed, and all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Edges {
    passed: u64,
    all: u64,
}

/// Runs all inputs of a target and returns a table: a row for each source file. `None` where edges have
/// no names, for want of llvm-symbolizer.
pub fn of(program: &Program, target: &Target) -> Result<Option<String>, String> {
    let mut command = program.command(target);
    command.args(["-runs=0", "-print_coverage=1"]).args(target.inputs());
    let done = process::run(&mut command, LIMIT).map_err(|e| e.to_string())?;
    let mut files: BTreeMap<String, Edges> = BTreeMap::new();
    for (file, edges) in done.log.lines().filter_map(function) {
        let Some(file) = source(&file) else { continue };
        if !target.sources.iter().any(|source| file.starts_with(source)) {
            continue;
        }
        let sum = files.entry(file).or_default();
        sum.passed += edges.passed;
        sum.all += edges.all;
    }
    if files.is_empty() {
        return Ok(None);
    }
    let mut rows = vec![["source", "edges", "of", "percent"].map(String::from).to_vec()];
    let row = |name: &str, edges: &Edges| {
        let percent = edges.passed * 100 / edges.all.max(1);
        vec![name.to_owned(), edges.passed.to_string(), edges.all.to_string(), percent.to_string()]
    };
    rows.extend(files.iter().map(|(file, edges)| row(file, edges)));
    let mut sum = Edges::default();
    for edges in files.values() {
        sum.passed += edges.passed;
        sum.all += edges.all;
    }
    rows.push(row("all of these", &sum));
    Ok(Some(table::render(&rows, 1)))
}

/// `COVERED_FUNC: hits: 1 edges: 2/3 name /path/file.rs:10`: the place and the edges. Of a function that
/// was never entered libFuzzer says no edges but as `UNCOVERED_FUNC: ... edges: 0/3 ...`.
fn function(line: &str) -> Option<(String, Edges)> {
    let rest = line.strip_prefix("COVERED_FUNC: ").or(line.strip_prefix("UNCOVERED_FUNC: "))?;
    let (_, rest) = rest.split_once("edges: ")?;
    let (edges, rest) = rest.split_once(' ')?;
    let (passed, all) = edges.split_once('/')?;
    let edges = Edges { passed: passed.parse().ok()?, all: all.parse().ok()? };
    // A name may have spaces, a path of ours has none behind the project's folder.
    let at = rest.rfind(project::root().to_str()?)?;
    let place = &rest[at..];
    Some((place.split(':').next()?.to_owned(), edges))
}

/// A file's path in the project.
fn source(path: &str) -> Option<String> {
    let path = path.strip_prefix(project::root().to_str()?)?;
    Some(path.trim_start_matches('/').to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_are_counted_by_their_file() {
        let root = project::root().display();
        let line = format!(
            "COVERED_FUNC: hits: 7 edges: 3/8 <a::B as c::D>::e {root}/engine/src/lib.rs:10:0"
        );
        let (file, edges) = function(&line).unwrap();
        assert_eq!(source(&file).as_deref(), Some("engine/src/lib.rs"));
        assert_eq!(edges, Edges { passed: 3, all: 8 });
        assert_eq!(function("COVERED_FUNC: hits: 7 edges: 3/8 f /rustc/library/core.rs:1"), None);
        assert_eq!(function("#7 NEW cov: 3"), None);
    }
}
