//! The source package's tree: the project, and in `vendor/` the crates that it is built from.
//!
//! Crates for other systems (most of what is vendored, by size) are in `Cargo.lock` and so have to be there, but are
//! never compiled: of these only the manifest stays.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::{Value, json};

use super::{changelog, folder};
use crate::root::named;
use crate::{cargo, project};

/// What is compiled on any of these is kept.
const PLATFORMS: [&str; 2] = ["x86_64-unknown-linux-gnu", "aarch64-unknown-linux-gnu"];

/// Not part of a source package: what only git and its servers read.
const LEFT_OUT: [&str; 2] = [".gitignore", ".ci"];

/// The tree that packages are built from.
pub struct Sources {
    /// Where it is.
    pub path: PathBuf,
    /// The packages' version: Cargo.toml's, and the commit if it is no release.
    pub version: String,
}

/// Makes the tree anew.
pub fn prepare() -> Result<Sources, String> {
    let vendor = folder().join("vendor");
    let version = vendored(&vendor)?;
    let path = folder().join(format!("daedalus-{version}"));
    if path.exists() {
        fs::remove_dir_all(&path).map_err(named(&path))?;
    }
    project::copy_known(&path)?;
    for left_out in LEFT_OUT.map(|name| path.join(name)) {
        let removed = match left_out.is_dir() {
            true => fs::remove_dir_all(&left_out),
            false => fs::remove_file(&left_out),
        };
        removed.map_err(named(&left_out))?;
    }
    copy_all(&vendor, &path.join("vendor"))?;
    let file = path.join("REVISION");
    let revision = revision()?;
    fs::write(&file, &revision).map_err(named(&file))?;
    let commit = changelog::commit(revision.trim())?;
    let version = changelog::snapshot(&path, &version, &commit)?.unwrap_or(version);
    Ok(Sources { path, version })
}

/// Of what the tree is made, for programs that say so: `-dirty` at the end is work that is not committed.
fn revision() -> Result<String, String> {
    let mut describe = daedalus_tests::process::command("git");
    describe.args(["describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"]);
    let done = describe.current_dir(project::root()).output();
    let done = done.map_err(|e| format!("cannot run git: {e}"))?;
    if !done.status.success() {
        return Err(format!("git describe: {}", String::from_utf8_lossy(&done.stderr)));
    }
    Ok(String::from_utf8_lossy(&done.stdout).into_owned())
}

/// As much of `cargo metadata` as is needed.
#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
    resolve: Resolve,
}

#[derive(Deserialize)]
struct Package {
    id: String,
    name: String,
    version: String,
}

#[derive(Deserialize)]
struct Resolve {
    nodes: Vec<Node>,
}

#[derive(Deserialize)]
struct Node {
    id: String,
}

/// Puts the crates of Cargo.lock into the folder `to`, unless they are there. Returns the project's version.
fn vendored(to: &Path) -> Result<String, String> {
    let (needed, version) = needed()?;
    let lock = project::root().join("Cargo.lock");
    let lock = fs::read_to_string(&lock).map_err(named(&lock))?;
    // Two crates may be wanted by one and the same lock file, should features change.
    let mut recipe: Vec<&str> = needed.iter().map(String::as_str).collect();
    recipe.sort_unstable();
    let recipe = format!("tidy 2\n{lock}\n{}\n", recipe.join("\n"));
    let stamp = to.with_extension("recipe");
    if to.is_dir() && fs::read_to_string(&stamp).is_ok_and(|there| there == recipe) {
        return Ok(version);
    }
    eprintln!("x: downloading crates");
    if to.exists() {
        fs::remove_dir_all(to).map_err(named(to))?;
    }
    let mut vendor = cargo::command("vendor");
    vendor.args(["--locked", "--quiet", "--versioned-dirs"]).arg(to);
    // It says how to use them: meson knows.
    vendor.stdout(std::process::Stdio::null());
    cargo::check(&mut vendor)?;
    for entry in fs::read_dir(to).map_err(named(to))?.flatten() {
        if needed.contains(&*entry.file_name().to_string_lossy()) {
            tidy(&entry.path())?;
        } else {
            stub(&entry.path())?;
        }
    }
    fs::write(&stamp, recipe).map_err(named(&stamp))?;
    Ok(version)
}

/// `NAME-VERSION` of each crate that is compiled somewhere, and the project's version.
fn needed() -> Result<(HashSet<String>, String), String> {
    let mut needed = HashSet::new();
    let mut version = None;
    for platform in PLATFORMS {
        let mut metadata = cargo::command("metadata");
        metadata.args(["--locked", "--format-version=1", "--filter-platform", platform]);
        let done = metadata.output().map_err(|e| format!("cannot run cargo: {e}"))?;
        if !done.status.success() {
            return Err(format!("cargo metadata: {}", String::from_utf8_lossy(&done.stderr)));
        }
        let metadata: Metadata =
            serde_json::from_slice(&done.stdout).map_err(|e| format!("cargo metadata: {e}"))?;
        let used: HashSet<&str> =
            metadata.resolve.nodes.iter().map(|node| node.id.as_str()).collect();
        for package in metadata.packages.iter().filter(|package| used.contains(&*package.id)) {
            needed.insert(format!("{}-{}", package.name, package.version));
            if package.name == "daedalus-va-driver" {
                version = Some(package.version.clone());
            }
        }
    }
    Ok((needed, version.ok_or("the workspace has no daedalus-va-driver")?))
}

/// Removes what nobody compiles and source packages should not have: the manifest before cargo has rewritten it,
/// programs, and what dpkg-source leaves out of each package, without which cargo would refuse the crate.
fn tidy(crate_folder: &Path) -> Result<(), String> {
    let sums = crate_folder.join(".cargo-checksum.json");
    let mut there: Value = serde_json::from_slice(&fs::read(&sums).map_err(named(&sums))?)
        .map_err(|e| format!("{}: {e}", sums.display()))?;
    let files =
        there["files"].as_object_mut().ok_or_else(|| format!("no sums in {}", sums.display()))?;
    let unwanted = |name: &str| {
        let end = name.rsplit('.').next().unwrap_or_default();
        let left_out = |part: &str| part.starts_with(".git") || part == ".mailmap";
        ["orig", "dll", "exe", "lib", "a", "la", "o", "so"].contains(&end)
            || name.split('/').any(left_out)
    };
    for name in files.keys().filter(|name| unwanted(name)).cloned().collect::<Vec<_>>() {
        let file = crate_folder.join(&name);
        if file.exists() {
            fs::remove_file(&file).map_err(named(&file))?;
        }
        files.remove(&name);
    }
    fs::write(&sums, there.to_string()).map_err(named(&sums))
}

/// Whether all that cargo wants to find of the vendored crates is in the source package that lies in `place`.
pub fn check_package(place: &Path) -> Result<(), String> {
    let package = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.starts_with("daedalus_") && name.contains(".tar.")
    };
    let mut entries = fs::read_dir(place).map_err(named(place))?.flatten().map(|e| e.path());
    let archive = entries.find(package).ok_or("there is no source package")?;
    let mut list = daedalus_tests::process::command("tar");
    let list =
        list.arg("-tf").arg(&archive).output().map_err(|e| format!("cannot run tar: {e}"))?;
    if !list.status.success() {
        return Err(format!("tar: {}", String::from_utf8_lossy(&list.stderr)));
    }
    let list = String::from_utf8_lossy(&list.stdout);
    let there: HashSet<&str> =
        list.lines().filter_map(|line| line.split_once("/vendor/")).map(|(_, file)| file).collect();
    let vendor = folder().join("vendor");
    let (mut wanted, mut missing) = (0, Vec::new());
    for entry in fs::read_dir(&vendor).map_err(named(&vendor))?.flatten() {
        let sums = entry.path().join(".cargo-checksum.json");
        let sums: Value = serde_json::from_slice(&fs::read(&sums).map_err(named(&sums))?)
            .map_err(|e| format!("{}: {e}", sums.display()))?;
        let crate_name = entry.file_name().to_string_lossy().into_owned();
        for file in sums["files"].as_object().into_iter().flat_map(|files| files.keys()) {
            wanted += 1;
            let file = format!("{crate_name}/{file}");
            if !there.contains(file.as_str()) {
                missing.push(file);
            }
        }
    }
    match missing.is_empty() {
        true if wanted > 0 => Ok(()),
        true => Err("no crate has any file".into()),
        false => Err(format!("cargo would look in vain for\n{}", missing.join("\n"))),
    }
}

/// Leaves nothing of a vendored crate but its manifest and an empty library.
fn stub(crate_folder: &Path) -> Result<(), String> {
    let manifest = crate_folder.join("Cargo.toml");
    let text = fs::read(&manifest).map_err(named(&manifest))?;
    let sums = crate_folder.join(".cargo-checksum.json");
    let there: Value = serde_json::from_slice(&fs::read(&sums).map_err(named(&sums))?)
        .map_err(|e| format!("{}: {e}", sums.display()))?;
    fs::remove_dir_all(crate_folder).map_err(named(crate_folder))?;
    let library = crate_folder.join("src");
    fs::create_dir_all(&library).map_err(named(&library))?;
    fs::write(&manifest, text).map_err(named(&manifest))?;
    let library = library.join("lib.rs");
    fs::write(&library, "").map_err(named(&library))?;
    // The package's own sum is in Cargo.lock, too.
    let sum = json!({ "files": {}, "package": there["package"] });
    fs::write(&sums, sum.to_string()).map_err(named(&sums))
}

/// Copies a folder of folders and files.
fn copy_all(from: &Path, to: &Path) -> Result<(), String> {
    fs::create_dir_all(to).map_err(named(to))?;
    for entry in fs::read_dir(from).map_err(named(from))?.flatten() {
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        if from.is_dir() {
            copy_all(&from, &to)?;
        } else {
            fs::copy(&from, &to).map_err(named(&from))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tidy_crate_is_whole_as_its_sums_have_it() {
        let folder = std::env::temp_dir().join(format!("daedalus-tidy-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("Cargo.toml.orig"), "").unwrap();
        let sums = folder.join(".cargo-checksum.json");
        let files = r#""Cargo.toml.orig":"00","c/.gitmodules":"01","c/b.o":"02","src/lib.rs":"11""#;
        fs::write(&sums, format!(r#"{{"files":{{{files}}},"package":"abc"}}"#)).unwrap();
        tidy(&folder).unwrap();
        let now: Value = serde_json::from_slice(&fs::read(&sums).unwrap()).unwrap();
        assert_eq!(now, json!({ "files": { "src/lib.rs": "11" }, "package": "abc" }));
        assert!(!folder.join("Cargo.toml.orig").exists());
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn a_stub_keeps_the_sum_that_cargo_compares() {
        let folder = std::env::temp_dir().join(format!("daedalus-stub-{}", std::process::id()));
        fs::create_dir_all(folder.join("src/bin")).unwrap();
        fs::write(folder.join("Cargo.toml"), "[package]\n").unwrap();
        fs::write(folder.join("src/bin/big.rs"), "fn main() {}").unwrap();
        let sums = folder.join(".cargo-checksum.json");
        fs::write(&sums, r#"{"files":{"src/bin/big.rs":"00"},"package":"abc"}"#).unwrap();
        stub(&folder).unwrap();
        let now: Value = serde_json::from_slice(&fs::read(&sums).unwrap()).unwrap();
        assert_eq!(now, json!({ "files": {}, "package": "abc" }));
        assert!(folder.join("Cargo.toml").exists() && !folder.join("src/bin").exists());
        fs::remove_dir_all(&folder).unwrap();
    }
}
