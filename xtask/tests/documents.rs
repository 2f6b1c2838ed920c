//! What the documents name is there: files of this project in backticks, and links from one to another.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn documents() -> Vec<PathBuf> {
    let docs = fs::read_dir(root().join("docs")).expect("docs/ can be read");
    let files = docs.map(|entry| entry.expect("an entry of docs/").path());
    let mut all: Vec<_> =
        files.filter(|path| path.extension().is_some_and(|extension| extension == "md")).collect();
    all.extend(["README.md", "CHANGELOG.md"].map(|name| root().join(name)));
    all
}

/// The folders at the top.
fn rooms() -> BTreeSet<String> {
    let manifest = fs::read_to_string(root().join("Cargo.toml")).expect("Cargo.toml");
    let members = manifest.lines().find_map(|line| line.strip_prefix("members = "));
    let names = members.expect("a workspace").split('"').skip(1).step_by(2);
    let mut rooms: BTreeSet<_> =
        names.map(|name| name.split('/').next().unwrap_or(name).to_owned()).collect();
    rooms.extend(["debian", "dist", "docs", "kmod"].map(str::to_owned));
    rooms
}

/// A path of this project, if that is what a quoted word is: no pattern and no command.
fn path<'a>(word: &'a str, rooms: &BTreeSet<String>) -> Option<&'a str> {
    let (room, rest) = word.split_once('/')?;
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-".contains(c);
    let made_up = rest.split('/').any(|part| part.chars().any(|c| c.is_ascii_uppercase()));
    (rooms.contains(room) && rest.chars().all(is_plain) && !made_up).then_some(word)
}

#[test]
fn named_files_are_there() {
    let rooms = rooms();
    let mut seen = 0;
    for document in documents() {
        let text = fs::read_to_string(&document).expect("a document can be read");
        for word in text.split('`').skip(1).step_by(2).filter_map(|word| path(word, &rooms)) {
            assert!(root().join(word).exists(), "{}: no {word}", document.display());
            seen += 1;
        }
    }
    assert!(seen > 50, "{seen} names found: they must look different by now");
}

#[test]
fn links_lead_somewhere() {
    let mut seen = 0;
    for document in documents() {
        let text = fs::read_to_string(&document).expect("a document can be read");
        for target in text.split("](").skip(1).filter_map(|rest| rest.split([')', '#']).next()) {
            if target.is_empty() || target.contains("://") {
                continue;
            }
            let file = document.parent().expect("a folder").join(target);
            assert!(file.exists(), "{}: no {target}", document.display());
            seen += 1;
        }
    }
    assert!(seen > 20, "{seen} links found");
}
