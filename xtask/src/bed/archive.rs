//! Binary packages of another Debian release than this machine's, unpacked but not installed.
//!
//! apt gets a root of its own below the cache, with this machine's servers and keys. Nothing of the
//! machine's own apt is written, so that this needs no rights.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use daedalus_tests::{clips, process};
use nix::fcntl::{Flock, FlockArg};

use crate::mirror;
use crate::root::named;

/// Packages wanted together.
pub struct Wanted<'a> {
    /// Releases that may have them, the best first: `trixie`, `trixie-backports`, `sid` ...
    pub releases: &'a [&'a str],
    /// Their names.
    pub packages: &'a [&'a str],
    /// Also everything that they depend on, down to libc, so that they run without the machine's.
    pub dependencies: bool,
}

/// Unpacked packages.
pub struct Tree {
    /// Takes the place of `/`.
    pub root: PathBuf,
    /// Each package's name and version.
    packages: Vec<(String, String)>,
}

/// How long apt and dpkg-deb may take.
const LIMIT: Duration = Duration::from_secs(900);

/// Debian's keys as its own package installs them, in Debian 13 and before.
const KEYRINGS: [&str; 2] = [
    "/usr/share/keyrings/debian-archive-keyring.pgp",
    "/usr/share/keyrings/debian-archive-keyring.gpg",
];

impl Wanted<'_> {
    /// The packages from the cache; where it lacks them, they are downloaded into it.
    pub fn fetch(&self) -> Result<Tree, String> {
        let cache = clips::cache()?.join("debian");
        let key = clips::digest(&[
            &self.releases.join(" "),
            &self.packages.join(" "),
            if self.dependencies { "with dependencies" } else { "alone" },
        ]);
        let name = format!("{}-{key}", self.packages[0]);
        let folder = cache.join(&name);
        fs::create_dir_all(&cache).map_err(named(&cache))?;
        let _lock = lock(&cache.join(format!("{name}.lock")))?;
        if let Some(tree) = Tree::open(&folder) {
            return Ok(tree);
        }
        let mut reasons = String::new();
        for release in self.releases {
            eprintln!("x: fetching {} from {release}", self.packages.join(", "));
            match self.fetch_from(release, &cache.join(format!("{name}.part")), &folder) {
                Ok(()) => {
                    return Tree::open(&folder)
                        .ok_or_else(|| format!("{} has vanished", folder.display()));
                }
                Err(why) => {
                    let _ = write!(reasons, "\n{release}: {why}");
                }
            }
        }
        Err(format!("no release gives {}:{reasons}", self.packages.join(", ")))
    }

    /// Makes `folder`, by the name of `part` until it is whole.
    fn fetch_from(&self, release: &str, part: &Path, folder: &Path) -> Result<(), String> {
        let _ = fs::remove_dir_all(part);
        let (debs, root) = (part.join("debs"), part.join("root"));
        for folder in [&debs.join("partial"), &root] {
            fs::create_dir_all(folder).map_err(named(folder))?;
        }
        let apt = Apt::new(release)?;
        apt.run("update", &[])?;
        if self.dependencies {
            let archives = format!("Dir::Cache::archives={}/", debs.display());
            let mut words = vec!["-o", &archives, "-y", "--download-only", "-t", release];
            words.extend_from_slice(self.packages);
            apt.run("install", &words)?;
        } else {
            let mut words = vec!["-t", release];
            words.extend_from_slice(self.packages);
            let mut command = apt.command("download", &words);
            finish("apt-get download", command.current_dir(&debs))?;
        }
        let mut packages = String::new();
        for entry in fs::read_dir(&debs).map_err(named(&debs))?.flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let Some((package, version)) = name_and_version(&name) else { continue };
            let mut command = process::command("dpkg-deb");
            finish("dpkg-deb", command.arg("-x").arg(entry.path()).arg(&root))?;
            let _ = writeln!(packages, "{package} {version}");
        }
        fs::remove_dir_all(&debs).map_err(named(&debs))?;
        let list = part.join("packages");
        fs::write(&list, packages).map_err(named(&list))?;
        fs::rename(part, folder).map_err(named(folder))
    }
}

impl Tree {
    fn open(folder: &Path) -> Option<Self> {
        let list = fs::read_to_string(folder.join("packages")).ok()?;
        let word = |(name, version): (&str, &str)| (name.to_owned(), version.to_owned());
        let packages = list.lines().filter_map(|line| line.split_once(' ').map(word)).collect();
        Some(Self { root: folder.join("root"), packages })
    }

    /// The version of one of its packages.
    pub fn version(&self, package: &str) -> Option<&str> {
        self.packages.iter().find(|(name, _)| name == package).map(|(_, version)| version.as_str())
    }
}

/// An apt with a root of its own.
struct Apt {
    config: PathBuf,
}

impl Apt {
    fn new(release: &str) -> Result<Self, String> {
        let folder = clips::cache()?.join("apt").join(release);
        for part in ["state/lists/partial", "cache/archives/partial"] {
            let part = folder.join(part);
            fs::create_dir_all(&part).map_err(named(&part))?;
        }
        let sources = mirror::sources(release)?;
        if sources.is_empty() {
            return Err("this machine's apt knows no server of Debian's".into());
        }
        let keyring = KEYRINGS.into_iter().find(|file| Path::new(file).is_file());
        let write = |name: &str, text: &str| {
            let file = folder.join(name);
            fs::write(&file, text).map_err(named(&file))
        };
        write("sources.list", &signed(&sources, keyring))?;
        // Nothing is installed: dependencies are followed to their end.
        write("status", "")?;
        write("apt.conf", &config(&folder))?;
        Ok(Self { config: folder.join("apt.conf") })
    }

    fn command(&self, what: &str, words: &[&str]) -> Command {
        let mut command = process::command("apt-get");
        command.arg("-c").arg(&self.config).args(["-q", what]).args(words);
        command
    }

    fn run(&self, what: &str, words: &[&str]) -> Result<(), String> {
        finish(&format!("apt-get {what}"), &mut self.command(what, words))
    }
}

/// Sources with the keyring that their Release files are signed with.
fn signed(sources: &[String], keyring: Option<&str>) -> String {
    let option = keyring.map_or(String::new(), |file| format!("[signed-by={file}] "));
    sources.iter().fold(String::new(), |mut text, line| {
        let _ = writeln!(text, "deb {option}{}", line.trim_start_matches("deb "));
        text
    })
}

/// What differs from the machine's own settings, which are read first (proxies, say).
fn config(folder: &Path) -> String {
    let folder = folder.display();
    format!(
        "#clear APT::Update::Post-Invoke;\n\
         #clear APT::Update::Post-Invoke-Success;\n\
         #clear DPkg::Post-Invoke;\n\
         Dir::State \"{folder}/state/\";\n\
         Dir::State::status \"{folder}/status\";\n\
         Dir::Cache \"{folder}/cache/\";\n\
         Dir::Etc::SourceList \"{folder}/sources.list\";\n\
         Dir::Etc::SourceParts \"/dev/null\";\n\
         Dir::Etc::Preferences \"/dev/null\";\n\
         Dir::Etc::PreferencesParts \"/dev/null\";\n\
         APT::Default-Release \"\";\n\
         APT::Install-Recommends \"false\";\n\
         // The cache is nobody else's to write to.\n\
         APT::Sandbox::User \"root\";\n\
         Acquire::Languages \"none\";\n\
         Acquire::IndexTargets::deb::DEP-11::DefaultEnabled \"false\";\n\
         // A mirror may keep a Release file for longer than it is valid.\n\
         Acquire::Check-Valid-Until \"false\";\n"
    )
}

/// Of a file as apt names it: `name_version_architecture.deb`, where a colon is `%3a`.
fn name_and_version(file: &str) -> Option<(&str, String)> {
    let mut parts = file.strip_suffix(".deb")?.split('_');
    Some((parts.next()?, parts.next()?.replace("%3a", ":")))
}

fn finish(what: &str, command: &mut Command) -> Result<(), String> {
    let done = process::run(command, LIMIT).map_err(|e| e.to_string())?;
    if done.status.success() {
        Ok(())
    } else {
        Err(format!("{what} ended with {}:\n{}", done.ending(), done.log_tail(20)))
    }
}

/// Waits until nobody else makes what `path` stands for.
pub fn lock(path: &Path) -> Result<Flock<fs::File>, String> {
    let file = fs::File::create(path).map_err(named(path))?;
    match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
        Ok(lock) => Ok(lock),
        Err((file, _)) => {
            eprintln!("x: waiting for another `./x` ({} is locked)", path.display());
            Flock::lock(file, FlockArg::LockExclusive)
                .map_err(|(_, e)| format!("{}: {e}", path.display()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_names_its_package_and_version() {
        assert_eq!(
            name_and_version("libcap2_1%3a2.75-10+deb13u1_amd64.deb"),
            Some(("libcap2", "1:2.75-10+deb13u1".to_owned()))
        );
        assert_eq!(name_and_version("partial"), None);
    }

    #[test]
    fn sources_name_the_keyring_if_there_is_one() {
        let sources = ["deb http://mirror.example/debian/ sid main".to_owned()];
        assert_eq!(
            signed(&sources, Some("/keys.gpg")),
            "deb [signed-by=/keys.gpg] http://mirror.example/debian/ sid main\n"
        );
        assert_eq!(signed(&sources, None), "deb http://mirror.example/debian/ sid main\n");
    }
}
