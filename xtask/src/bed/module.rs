//! Kernel modules for a bed: the kernel's own, and ours, built against it.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use daedalus_tests::process;

use super::kernel::{self, Kernel};
use super::{archive, quoted};
use crate::project;

/// A module with its parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Module {
    source: Source,
    parameters: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Source {
    /// One that came with the kernel.
    Kernel(String),
    /// One of this project, by name.
    Project(String),
    /// A file.
    File(PathBuf),
}

/// The folder of this project's modules.
const FOLDER: &str = "kmod";
/// Its modules.
const OURS: [&str; 1] = ["daedalus"];

impl Module {
    /// From words such as `visl visl_debug=1` or `some/module.ko parameter=1`.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut words = text.split_whitespace().map(str::to_owned);
        let name = words.next().ok_or("a module has a name")?;
        let source = if name.ends_with(".ko") {
            let file = std::path::absolute(&name).map_err(|e| format!("{name}: {e}"))?;
            if !file.is_file() {
                return Err(format!("there is no file {}", file.display()));
            }
            Source::File(file)
        } else if OURS.contains(&name.as_str()) {
            Source::Project(name)
        } else {
            Source::Kernel(name)
        };
        Ok(Self { source, parameters: words.collect() })
    }

    /// The module's name, as rmmod takes it.
    pub fn name(&self) -> String {
        match &self.source {
            Source::Kernel(name) | Source::Project(name) => name.replace('-', "_"),
            Source::File(file) => {
                file.file_stem().unwrap_or_default().to_string_lossy().replace('-', "_")
            }
        }
    }

    /// Whether it must be built first.
    pub fn is_ours(&self) -> bool {
        matches!(self.source, Source::Project(_))
    }

    /// The shell command that loads it.
    pub fn load(&self, kernel: &Kernel) -> String {
        let insmod = |file: &Path| format!("insmod {}", quoted(file));
        let mut command = match &self.source {
            Source::Kernel(name) => {
                format!("modprobe -d {} {}", quoted(kernel.modules()), quoted(name))
            }
            Source::Project(name) => insmod(&built(kernel).join(format!("{name}.ko"))),
            Source::File(file) => insmod(file),
        };
        for parameter in &self.parameters {
            command.push(' ');
            command.push_str(&quoted(parameter));
        }
        command
    }

    /// The folder that its file is in, if that is not the kernel's.
    pub fn folder(&self, kernel: &Kernel) -> Option<PathBuf> {
        match &self.source {
            Source::Kernel(_) => None,
            Source::Project(_) => Some(built(kernel)),
            Source::File(file) => file.parent().map(Path::to_owned),
        }
    }
}

/// Where this project's modules for a kernel are built.
fn built(kernel: &Kernel) -> PathBuf {
    project::target().join(FOLDER).join(kernel.flavour.name())
}

/// Whether there is a module to build.
pub fn exists() -> bool {
    project::root().join(FOLDER).join("Kbuild").is_file()
}

/// Builds this project's modules against a kernel, outside the source tree. Returns the folder.
pub fn build(kernel: &Kernel) -> Result<PathBuf, String> {
    let source = project::root().join(FOLDER);
    if !exists() {
        return Err(format!("there is no module to build: {} has no Kbuild", source.display()));
    }
    let folder = built(kernel);
    std::fs::create_dir_all(&folder).map_err(crate::root::named(&folder))?;
    // For jobs beside each other.
    let _lock = archive::lock(&folder.with_extension("lock"))?;
    build_in(kernel, &source, &folder)?;
    Ok(folder)
}

/// Builds the modules of `source` in `folder`.
pub fn build_in(kernel: &Kernel, source: &Path, folder: &Path) -> Result<(), String> {
    eprintln!("x: building {} for the {} kernel", source.display(), kernel.flavour.name());
    let mut make = kernel::make(&kernel.build());
    let variable = |name: &str, path: &Path| {
        let mut word = OsStr::new(name).to_owned();
        word.push(path);
        word
    };
    make.arg("-s").arg(variable("M=", source)).arg(variable("MO=", folder)).arg("modules");
    let done = process::run(&mut make, Duration::from_secs(600)).map_err(|e| e.to_string())?;
    eprint!("{}", done.log);
    if done.status.success() {
        Ok(())
    } else {
        Err(format!("{} did not build ({}):\n{}", source.display(), done.ending(), done.text()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_make_a_module() {
        let visl = Module::parse("visl visl_debug=1").unwrap();
        assert_eq!(visl.source, Source::Kernel("visl".into()));
        assert_eq!(visl.parameters, ["visl_debug=1"]);
        assert!(Module::parse("daedalus").unwrap().is_ours());
        assert!(Module::parse(" ").is_err());
        assert!(Module::parse("no/such.ko").is_err());
    }
}
