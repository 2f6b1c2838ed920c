//! What can be fuzzed, as `fuzz/targets.tsv` has it.

use std::path::PathBuf;

use crate::project;

const TABLE: &str = include_str!("../../../fuzz/targets.tsv");

/// A row.
#[derive(Clone, Debug)]
pub struct Target {
    /// Its name.
    pub name: &'static str,
    /// The longest input, in bytes.
    pub longest: usize,
    /// The sources that it is about.
    pub sources: Vec<&'static str>,
    /// For people.
    pub about: &'static str,
}

/// All of them.
pub fn all() -> Vec<Target> {
    let target = |line: &'static str| {
        let mut cells = line.split('\t');
        Some(Target {
            name: cells.next()?,
            longest: cells.next()?.parse().ok()?,
            sources: cells.next()?.split(',').collect(),
            about: cells.next()?,
        })
    };
    // A comment, and the header.
    TABLE.lines().skip(2).filter_map(target).collect()
}

/// The one called `name`.
pub fn named(name: &str) -> Result<Target, String> {
    all()
        .into_iter()
        .find(|target| target.name == name)
        .ok_or_else(|| format!("no target {name:?}; `./x fuzz` lists them"))
}

impl Target {
    /// Where everything that a run leaves lies.
    pub fn folder(&self) -> PathBuf {
        folder().join(self.name)
    }

    /// What was found worth keeping here, beside what is committed.
    pub fn found(&self) -> PathBuf {
        self.folder().join("corpus")
    }

    /// Inputs that showed something.
    pub fn artifacts(&self) -> PathBuf {
        self.folder().join("findings")
    }

    /// First inputs, made of streams.
    pub fn seeds(&self) -> PathBuf {
        folder().join("seeds").join(self.name)
    }

    /// The inputs that are part of the project.
    pub fn committed(&self) -> PathBuf {
        project::root().join("fuzz/corpus").join(self.name)
    }

    /// Inputs that showed something once, part of the project.
    pub fn regressions(&self) -> PathBuf {
        project::root().join("fuzz/findings").join(self.name)
    }

    /// All folders of inputs that there are.
    pub fn inputs(&self) -> Vec<PathBuf> {
        let folders = [self.found(), self.committed(), self.regressions(), self.seeds()];
        folders.into_iter().filter(|folder| folder.is_dir()).collect()
    }
}

/// Where builds, seeds and what runs leave lie.
pub fn folder() -> PathBuf {
    project::target().join("fuzz")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_of_the_table_is_a_target() {
        assert_eq!(all().len(), TABLE.lines().count() - 2);
        for target in all() {
            assert!(target.longest > 0);
            for source in target.sources {
                assert!(project::root().join(source).exists(), "{source}");
            }
        }
    }
}
