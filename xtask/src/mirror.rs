//! Debian's archives as this machine reaches them.

use std::time::Duration;

use daedalus_tests::process;

/// The release that is never finished.
pub const UNSTABLE: &str = "sid";

/// The lines of a sources.list for the release called `codename`, and for further `suites` of the main
/// archive, on the servers that this machine's apt uses. Empty if it uses none of Debian's (mmdebstrap
/// then takes its own default).
pub fn sources(codename: &str, suites: &[&str]) -> Result<Vec<String>, String> {
    let mut command = process::command("apt-get");
    command.args(["indextargets", "--format", "$(ORIGIN)|$(LABEL)|$(REPO_URI)"]);
    command.arg("Created-By: Packages");
    let done = process::run(&mut command, Duration::from_secs(60)).map_err(|e| e.to_string())?;
    if !done.status.success() {
        return Err(format!("apt-get indextargets ended with {}:\n{}", done.ending(), done.log));
    }
    Ok(lines(&done.text(), codename, suites))
}

fn lines(targets: &str, codename: &str, suites: &[&str]) -> Vec<String> {
    let server = |label: &str| {
        let prefix = format!("Debian|{label}|");
        targets.lines().find_map(|line| line.strip_prefix(&prefix))
    };
    let Some(main) = server("Debian") else { return Vec::new() };
    let mut lines = vec![format!("deb {main} {codename} main")];
    // Unstable has neither updates nor security updates.
    if codename != UNSTABLE {
        lines.push(format!("deb {main} {codename}-updates main"));
        // A mirror of the main archive alone is no reason to go without.
        lines
            .extend(server("Debian-Security").map(|s| format!("deb {s} {codename}-security main")));
    }
    lines.extend(suites.iter().map(|suite| format!("deb {main} {suite} main")));
    lines
}

#[cfg(test)]
mod tests {
    use super::{UNSTABLE, lines};

    const TARGETS: &str = "Some Vendor|x|http://vendor.example/\n\
                           Debian|Debian-Security|http://mirror.example/security/\n\
                           Debian|Debian|http://mirror.example/debian/\n";

    #[test]
    fn another_release_comes_from_the_same_servers() {
        assert_eq!(
            lines(TARGETS, "trixie", &["trixie-backports"]),
            [
                "deb http://mirror.example/debian/ trixie main",
                "deb http://mirror.example/debian/ trixie-updates main",
                "deb http://mirror.example/security/ trixie-security main",
                "deb http://mirror.example/debian/ trixie-backports main",
            ]
        );
    }

    #[test]
    fn unstable_is_one_suite() {
        assert_eq!(lines(TARGETS, UNSTABLE, &[]), ["deb http://mirror.example/debian/ sid main"]);
    }

    #[test]
    fn without_debian_there_is_no_answer() {
        assert!(lines("Ubuntu|Ubuntu|http://mirror.example/\n", "trixie", &[]).is_empty());
    }
}
