//! What `xtask man` writes is what meson.build installs.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

fn names(folder: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(folder).expect("xtask has made the folder");
    entries.map(|entry| entry.unwrap().file_name().into_string().expect("ASCII")).collect()
}

/// The program that a file of completions is for.
fn program(file: &str) -> &str {
    file.strip_prefix('_').or_else(|| file.split('.').next()).expect("split yields something")
}

#[test]
fn each_page_and_each_completion_is_installed() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let build = fs::read_to_string(root.join("meson.build")).expect("meson.build");
    let folder = std::env::temp_dir().join(format!("daedalus-pages-{}", std::process::id()));
    let written = Command::new(env!("CARGO_BIN_EXE_xtask")).arg("man").arg(&folder).output();
    let written = written.expect("xtask runs");
    assert!(written.status.success(), "{}", String::from_utf8_lossy(&written.stderr));

    let (pages, completions) = (names(&folder.join("man")), names(&folder.join("completions")));
    fs::remove_dir_all(&folder).unwrap();
    assert!(pages.len() > 2 && !completions.is_empty(), "{pages:?}, {completions:?}");
    for page in &pages {
        assert!(build.contains(&format!("'{page}'")), "meson.build does not install {page}");
    }
    // It makes their names: each program's for each shell.
    let (_, list) = build.split_once("foreach program : [").expect("a list of programs");
    let (list, made) = list.split_once(']').expect("its end");
    let (made, _) = made.split_once("endforeach").expect("the end of the loop");
    let programs: BTreeSet<_> = completions.iter().map(|file| program(file)).collect();
    for program in &programs {
        assert!(list.contains(&format!("'{program}'")), "meson.build has no {program}");
    }
    let endings = made.matches("program").count();
    assert_eq!(programs.len() * endings, completions.len(), "{completions:?} and {made}");
}
