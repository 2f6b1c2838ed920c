//! What Debian's changelog says on top: which packages replace which.

use std::fs;
use std::path::Path;
use std::time::Duration;

use daedalus_tests::process;

use crate::project;
use crate::root::named;

/// What git knows of the commit that packages are made of.
pub struct Commit {
    /// Its date as Debian's changelogs have dates, and as `YYYYMMDDhhmmss`, UTC.
    pub signed: String,
    pub second: String,
    /// As in `REVISION`: `-dirty` at the end is work that is not committed.
    pub revision: String,
}

/// What is newer than the last release has a version of its own, by which it replaces that and older commits; `CHANGELOG.md` in
/// `tree` tells. Returns the packages' version then.
pub fn snapshot(tree: &Path, version: &str, commit: &Commit) -> Result<Option<String>, String> {
    let news = tree.join("CHANGELOG.md");
    if !unreleased(&fs::read_to_string(&news).map_err(named(&news))?) {
        return Ok(None);
    }
    let version = newer(version, commit);
    let file = tree.join("debian/changelog");
    let text = fs::read_to_string(&file).map_err(named(&file))?;
    let signature = text.lines().find(|line| line.starts_with(" -- ")).ok_or("nobody signed it")?;
    let (who, _) = signature.split_once(">  ").ok_or("a signature without a date")?;
    let signature = format!("{who}>  {}", commit.signed);
    let what = format!("Build of commit {}, which is no release.", commit.revision);
    on_top(&file, &text, &version, "unstable", &what, &signature)?;
    Ok(Some(version))
}

/// Debian 12's package is older than Debian 13's, so that the next release's replaces it.
pub fn older(file: &Path, version: &str) -> Result<(), String> {
    let text = fs::read_to_string(file).map_err(named(file))?;
    let signature = text.lines().find(|line| line.starts_with(" -- ")).ok_or("nobody signed it")?;
    let signature = later(signature)?;
    on_top(file, &text, &format!("{version}~deb12"), "bookworm", "Build for Debian 12.", &signature)
}

fn on_top(
    file: &Path,
    text: &str,
    version: &str,
    release: &str,
    what: &str,
    signature: &str,
) -> Result<(), String> {
    let entry =
        format!("daedalus ({version}) {release}; urgency=medium\n\n  * {what}\n\n{signature}\n\n");
    fs::write(file, entry + text).map_err(named(file))
}

/// Of the commit that is checked out.
pub fn commit(revision: &str) -> Result<Commit, String> {
    let mut show = process::command("git");
    show.args([
        "show",
        "--no-patch",
        "--date=format-local:%Y%m%d%H%M%S",
        "--format=%cD%n%cd",
        "HEAD",
    ]);
    show.env("TZ", "UTC");
    let done = process::run(show.current_dir(project::root()), Duration::from_secs(10))
        .map_err(|e| e.to_string())?;
    if !done.status.success() {
        return Err(done.log_tail(5));
    }
    let text = done.text();
    let (signed, second) = text.trim().split_once('\n').ok_or("git tells no date")?;
    Ok(Commit { signed: padded(signed), second: second.into(), revision: revision.into() })
}

/// Git says `1 Dec`, Debian `01 Dec`.
fn padded(date: &str) -> String {
    match date.split_once(", ") {
        Some((day, rest)) if rest.find(' ') == Some(1) => format!("{day}, 0{rest}"),
        _ => date.into(),
    }
}

/// Whether there is anything under the heading of what is not released.
fn unreleased(changelog: &str) -> bool {
    let below = changelog.lines().skip_while(|line| !line.starts_with("## [Unreleased]")).skip(1);
    below.take_while(|line| !line.starts_with("## [")).any(|line| line.starts_with("- "))
}

/// Later than release `version`, and earlier than any that follows it.
fn newer(version: &str, commit: &Commit) -> String {
    // A hyphen would begin Debian's own revision.
    format!("{version}+git{}.{}", commit.second, commit.revision.replace('-', "."))
}

/// A changelog's signature a minute later: lintian wants each entry to have a date of its own, and what is built from the
/// same sources is to have the same.
fn later(signature: &str) -> Result<String, String> {
    let (who, when) = signature.split_once(">  ").ok_or("a signature without a date")?;
    let mut date = process::command("date");
    date.env("LC_ALL", "C").args(["-R", "-u", "-d", &format!("{when} + 1 minute")]);
    let date = process::run(&mut date, Duration::from_secs(10)).map_err(|e| e.to_string())?;
    if !date.status.success() {
        return Err(date.log_tail(5));
    }
    Ok(format!("{who}>  {}", date.text().trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_a_minute_later_has_the_same_form() {
        let signed = " -- A. Name <a@example.org>  Thu, 31 Dec 2026 23:59:30 +0000";
        let then = " -- A. Name <a@example.org>  Fri, 01 Jan 2027 00:00:30 +0000";
        assert_eq!(later(signed).as_deref(), Ok(then));
        assert!(later(" -- nobody").is_err());
        assert!(later(" -- A. Name <a@example.org>  some day").is_err());
    }

    #[test]
    fn what_is_not_released_is_what_stands_under_that_heading() {
        assert!(unreleased(
            "# C\n\n## [Unreleased]\n\n### Fixed\n\n- it\n\n## [0.1.0] - 2026-01-01\n"
        ));
        assert!(!unreleased("# C\n\n## [Unreleased]\n\n## [0.1.0] - 2026-01-01\n\n- it\n"));
        assert!(!unreleased("# C\n\n## [0.1.0] - 2026-01-01\n\n- it\n"));
    }

    #[test]
    fn a_commit_is_a_version_between_two_releases() {
        let commit = |revision: &str| Commit {
            signed: String::new(),
            second: "20261201063005".into(),
            revision: revision.into(),
        };
        assert_eq!(newer("0.1.0", &commit("0123abc")), "0.1.0+git20261201063005.0123abc");
        assert_eq!(
            newer("0.1.0", &commit("0123abc-dirty")),
            "0.1.0+git20261201063005.0123abc.dirty"
        );
    }

    #[test]
    fn a_commit_after_a_release_has_an_entry_of_its_own_date_on_top() {
        let tree = std::env::temp_dir().join(format!("daedalus-snapshot-{}", std::process::id()));
        fs::create_dir_all(tree.join("debian")).unwrap();
        let released = "daedalus (0.1.0) unstable; urgency=medium\n\n  * First.\n\n \
                        -- A. Name <a@example.org>  Sat, 28 Nov 2026 12:00:00 +0000\n";
        let debian = tree.join("debian/changelog");
        fs::write(&debian, released).unwrap();
        let commit = Commit {
            signed: "Tue, 01 Dec 2026 06:30:05 +0000".into(),
            second: "20261201063005".into(),
            revision: "0123abc".into(),
        };

        fs::write(tree.join("CHANGELOG.md"), "## [Unreleased]\n\n## [0.1.0]\n\n- it\n").unwrap();
        assert_eq!(snapshot(&tree, "0.1.0", &commit), Ok(None));
        assert_eq!(fs::read_to_string(&debian).unwrap(), released);

        fs::write(tree.join("CHANGELOG.md"), "## [Unreleased]\n\n- it\n\n## [0.1.0]\n").unwrap();
        let version = snapshot(&tree, "0.1.0", &commit).unwrap().unwrap();
        assert_eq!(version, "0.1.0+git20261201063005.0123abc");
        let text = fs::read_to_string(&debian).unwrap();
        assert!(text.starts_with(&format!("daedalus ({version}) unstable; ")), "{text}");
        assert!(
            text.contains("\n -- A. Name <a@example.org>  Tue, 01 Dec 2026 06:30:05 +0000\n\ndaedalus (0.1.0) "),
            "{text}"
        );
        fs::remove_dir_all(&tree).unwrap();
    }

    #[test]
    fn dates_have_two_digits_of_the_day() {
        assert_eq!(padded("Tue, 1 Dec 2026 08:00:00 +0100"), "Tue, 01 Dec 2026 08:00:00 +0100");
        assert_eq!(padded("Mon, 30 Nov 2026 08:00:00 +0000"), "Mon, 30 Nov 2026 08:00:00 +0000");
    }
}
