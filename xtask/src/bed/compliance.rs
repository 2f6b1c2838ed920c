//! v4l-utils of a newer Debian: v4l2-compliance must be as new as the kernel that it judges.

use std::fs;
use std::path::{Path, PathBuf};

use daedalus_tests::clips;

use super::archive::{Tree, Wanted};
use super::kernel::Kernel;
use super::module::Module;
use super::{Job, Outcome, quoted, uml};
use crate::root::named;

/// Releases with version 1.30 or later.
const RELEASES: [&str; 2] = ["trixie", "sid"];

/// Its programs that are of use here.
const PROGRAMS: [&str; 3] = ["v4l2-compliance", "v4l2-ctl", "media-ctl"];

/// A folder for `PATH` with v4l-utils: scripts that run its programs with their own libraries.
pub fn programs() -> Result<PathBuf, String> {
    let wanted = Wanted { releases: &RELEASES, packages: &["v4l-utils"], dependencies: true };
    let tree = wanted.fetch()?;
    let folder = clips::cache()?.join("debian/v4l-utils");
    fs::create_dir_all(&folder).map_err(named(&folder))?;
    let script = |program: &str| script(&tree, program);
    for program in PROGRAMS {
        let (file, text) = (folder.join(program), script(program)?);
        if fs::read_to_string(&file).is_ok_and(|old| old == text) {
            continue;
        }
        use std::os::unix::fs::PermissionsExt;
        // Another run may be about to start it.
        let part = folder.join(format!("{program}.{}", std::process::id()));
        fs::write(&part, text).map_err(named(&part))?;
        fs::set_permissions(&part, fs::Permissions::from_mode(0o755)).map_err(named(&part))?;
        fs::rename(&part, &file).map_err(named(&file))?;
    }
    Ok(folder)
}

fn script(tree: &Tree, program: &str) -> Result<String, String> {
    let libraries = ["usr/lib", "lib"].into_iter().find_map(|folder| libraries(&tree.root, folder));
    let (loader, libraries) = libraries.ok_or("v4l-utils has come without its libc")?;
    let program = tree.root.join("usr/bin").join(program);
    if !program.is_file() {
        return Err(format!("v4l-utils has no {}", program.display()));
    }
    Ok(format!(
        "#!/bin/sh\nexec {} --library-path {} {} \"$@\"\n",
        quoted(loader),
        quoted(libraries),
        quoted(program)
    ))
}

/// The loader and the folder that it is in with the libraries: `usr/lib/x86_64-linux-gnu`, say.
fn libraries(root: &Path, folder: &str) -> Option<(PathBuf, PathBuf)> {
    let folders = fs::read_dir(root.join(folder)).ok()?.flatten().map(|entry| entry.path());
    folders.filter(|folder| folder.join("libc.so.6").is_file()).find_map(|folder| {
        let is_loader = |path: &PathBuf| {
            path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("ld-linux"))
        };
        let loader =
            fs::read_dir(&folder).ok()?.flatten().map(|entry| entry.path()).find(is_loader);
        Some((loader?, folder))
    })
}

/// How v4l2-compliance sums up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Tests.
    pub all: u32,
    /// Those that passed.
    pub succeeded: u32,
    /// Those that did not.
    pub failed: u32,
    /// What it found odd.
    pub warnings: u32,
}

impl Totals {
    /// The sum over "Total for visl device /dev/video0: 49, Succeeded: 49, Failed: 0, Warnings: 0". If
    /// it ended with a grand total, that one; nothing if it did not come that far.
    pub fn find(said: &str) -> Option<Self> {
        let line = said.lines().rev().find_map(|line| {
            let grand = line.strip_prefix("Grand Total for ");
            grand.or_else(|| line.strip_prefix("Total for ")).map(|rest| rest.split_once(": "))?
        });
        let (_, counts) = line?;
        let mut totals = Self::default();
        for (at, part) in counts.split(", ").enumerate() {
            let (name, count) = part.split_once(": ").unwrap_or(("", part));
            let count = count.trim().parse().ok()?;
            match name {
                "" if at == 0 => totals.all = count,
                "Succeeded" => totals.succeeded = count,
                "Failed" => totals.failed = count,
                "Warnings" => totals.warnings = count,
                _ => return None,
            }
        }
        Some(totals)
    }
}

/// Runs v4l2-compliance on the devices of a module in user-mode Linux: `options` such as
/// `-d /dev/video0`.
pub fn run(
    kernel: &Kernel,
    module: Module,
    options: &[&str],
) -> Result<(Option<Totals>, Outcome), String> {
    let program = programs()?.join(PROGRAMS[0]);
    let words =
        std::iter::once(program.as_os_str()).chain(options.iter().map(std::ffi::OsStr::new));
    let mut job = Job::new(words);
    job.modules.push(module);
    let outcome = uml::run(kernel, &job)?;
    Ok((Totals::find(&outcome.stdout), outcome))
}

#[cfg(test)]
mod tests {
    use super::Totals;

    #[test]
    fn totals_are_read() {
        let said = "test VIDIOC_QUERYCAP: OK\n\n\
                    Total for visl device /dev/video0: 49, Succeeded: 48, Failed: 1, Warnings: 2\n";
        let totals = Totals { all: 49, succeeded: 48, failed: 1, warnings: 2 };
        assert_eq!(Totals::find(said), Some(totals));
        assert_eq!(Totals::find("test VIDIOC_QUERYCAP: OK\n"), None);
    }

    #[test]
    fn a_grand_total_is_the_total() {
        let said = "Total for visl device /dev/media0: 8, Succeeded: 8, Failed: 0, Warnings: 0\n\
                    Total for visl device /dev/video0: 49, Succeeded: 49, Failed: 0, Warnings: 0\n\n\
                    Grand Total for visl device /dev/media0: 57, Succeeded: 57, Failed: 0, Warnings: 0\n";
        assert_eq!(Totals::find(said).unwrap().all, 57);
    }
}
