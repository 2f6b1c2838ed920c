//! Finds the git revision: what the builder says, else what a source package says, else git.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

/// Set by who builds from something that is no checkout.
const VARIABLE: &str = "DAEDALUS_REVISION";

/// At the top of a source package, instead of the repository.
const FILE: &str = "REVISION";

fn main() {
    let here = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets it"));
    let root = here.parent().expect("the crate lies in the project").to_owned();
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-env-changed={VARIABLE}");
    // One that is not there would count as changed at each build. In a source package it is there from the first.
    if root.join(FILE).exists() {
        println!("cargo:rerun-if-changed={}", root.join(FILE).display());
    }
    let revision = of_variable().or_else(|| of_file(&root)).or_else(|| of_git(&root));
    let version = env::var("CARGO_PKG_VERSION").expect("cargo sets it");
    let text = match &revision {
        Some(revision) => format!("{version} ({revision})"),
        None => version,
    };
    println!("cargo:rustc-env=DAEDALUS_TEXT={text}");
    println!("cargo:rustc-env=DAEDALUS_REVISION={}", revision.unwrap_or_default());
}

fn of_variable() -> Option<String> {
    word(&env::var(VARIABLE).ok()?)
}

fn of_file(root: &Path) -> Option<String> {
    word(&fs::read_to_string(root.join(FILE)).ok()?)
}

/// What git says of the project, and not of a repository that it happens to be unpacked in.
fn of_git(root: &Path) -> Option<String> {
    let top = git(root, &["rev-parse", "--show-toplevel"])?;
    if fs::canonicalize(top).ok()? != fs::canonicalize(root).ok()? {
        return None;
    }
    // Every commit and checkout adds to it; branches may be packed.
    for name in ["logs/HEAD", "HEAD"] {
        let path = root.join(git(root, &["rev-parse", "--git-path", name])?);
        if path.exists() {
            println!("cargo:rerun-if-changed={}", path.display());
        }
    }
    word(&git(root, &["rev-parse", "--short=12", "HEAD"])?)
}

fn git(root: &Path, arguments: &[&str]) -> Option<String> {
    let done = Command::new("git").args(arguments).current_dir(root).output().ok()?;
    let said = String::from_utf8(done.stdout).ok()?;
    done.status.success().then(|| said.trim().to_owned())
}

/// One word that may stand in a C string and between parentheses.
fn word(text: &str) -> Option<String> {
    let text = text.trim();
    let fine = |c: char| c.is_ascii_alphanumeric() || "+-.~_".contains(c);
    (!text.is_empty() && text.len() <= 64 && text.chars().all(fine)).then(|| text.to_owned())
}
