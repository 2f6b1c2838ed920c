//! How much of the sources that a target is about its inputs reach.

use std::collections::BTreeMap;
use std::time::Duration;

use daedalus_tests::process;

use super::program::Program;
use super::targets::Target;
use crate::{project, table};

/// Replaying some thousand inputs takes seconds; finding names for edges takes longer.
const LIMIT: Duration = Duration::from_secs(600);

/// Things that were reached, and all that there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Count {
    reached: u64,
    all: u64,
}

impl Count {
    fn add(&mut self, other: Count) {
        self.reached += other.reached;
        self.all += other.all;
    }

    fn cells(self) -> [String; 3] {
        let percent = self.reached * 100 / self.all.max(1);
        [self.reached.to_string(), self.all.to_string(), percent.to_string()]
    }
}

/// A function in the source; each of its instances has edges of its own.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Function {
    file: String,
    line: String,
    /// Without type arguments.
    name: String,
}

/// Runs all inputs of a target and returns a table: a row for each source file. `None` where edges have
/// no names, for want of llvm-symbolizer.
///
/// Functions are the better measure: many an edge leads to a panic that nothing reaches, or cleans up after
/// one.
pub fn of(program: &Program, target: &Target) -> Result<Option<String>, String> {
    let mut command = program.command(target);
    command.args(["-runs=0", "-print_coverage=1"]).args(target.inputs());
    let done = process::run(&mut command, LIMIT).map_err(|e| e.to_string())?;
    let mut functions: BTreeMap<Function, Count> = BTreeMap::new();
    for (function, edges) in done.log.lines().filter_map(function) {
        if target.sources.iter().any(|source| function.file.starts_with(source)) {
            functions.entry(function).or_default().add(edges);
        }
    }
    if functions.is_empty() {
        return Ok(None);
    }
    let mut files: BTreeMap<String, [Count; 2]> = BTreeMap::new();
    let mut sum = [Count::default(); 2];
    for (function, edges) in functions {
        let entered = Count { reached: u64::from(edges.reached > 0), all: 1 };
        let file = files.entry(function.file).or_default();
        for counts in [file, &mut sum] {
            counts[0].add(entered);
            counts[1].add(edges);
        }
    }
    let mut rows = vec![
        ["source", "functions", "of", "percent", "edges", "of", "percent"].map(String::from).into(),
    ];
    files.insert("~".into(), sum);
    for (name, [functions, edges]) in files {
        let name = if name == "~" { "all of these".into() } else { name };
        rows.push([vec![name], functions.cells().into(), edges.cells().into()].concat());
    }
    Ok(Some(table::render(&rows, 1)))
}

/// `COVERED_FUNC: hits: 1 edges: 2/3 name /path/file.rs:10`, or `UNCOVERED_FUNC`, of this project.
fn function(line: &str) -> Option<(Function, Count)> {
    let rest = line.strip_prefix("COVERED_FUNC: ").or(line.strip_prefix("UNCOVERED_FUNC: "))?;
    let (_, rest) = rest.split_once("edges: ")?;
    let (edges, rest) = rest.split_once(' ')?;
    let (reached, all) = edges.split_once('/')?;
    let edges = Count { reached: reached.parse().ok()?, all: all.parse().ok()? };
    // A name may have spaces; the project's folder is not in one.
    let root = project::root().to_str()?;
    let at = rest.rfind(root)?;
    let mut place = rest[at + root.len()..].trim_start_matches('/').split(':');
    let (file, line) = (place.next()?.to_owned(), place.next()?.to_owned());
    Some((Function { file, line, name: without_arguments(&rest[..at]) }, edges))
}

/// `Table<Surface>>::get::<X>` has the same name as any other `Table`'s.
fn without_arguments(name: &str) -> String {
    let mut depth = 0_usize;
    let mut kept = String::new();
    for c in name.trim().chars() {
        match c {
            '<' => depth += 1,
            '>' => depth = depth.saturating_sub(1),
            c if depth == 0 => kept.push(c),
            _ => {}
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_are_known_by_their_place() {
        let root = project::root().display();
        let line =
            |name| format!("COVERED_FUNC: hits: 7 edges: 3/8 {name} {root}/engine/src/lib.rs:10:0");
        let (one, edges) = function(&line("<a::B<c::D>>::e::<f::G>")).unwrap();
        assert_eq!((one.file.as_str(), one.line.as_str()), ("engine/src/lib.rs", "10"));
        assert_eq!(edges, Count { reached: 3, all: 8 });
        let (other, _) = function(&line("<a::B<i::J>>::e::<k::L>")).unwrap();
        assert_eq!(one, other);
        let elsewhere = "COVERED_FUNC: hits: 7 edges: 3/8 f /rustc/library/core.rs:1";
        assert_eq!(function(elsewhere), None);
        assert_eq!(function("#7 NEW cov: 3"), None);
    }
}
