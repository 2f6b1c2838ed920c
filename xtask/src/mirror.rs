//! Debian's archives as this machine reaches them.

use std::time::Duration;

use daedalus_tests::process;

/// The lines of a sources.list for the release called `codename`, on the servers that this machine's
/// apt uses. Empty if it uses none of Debian's (mmdebstrap then takes its own default).
///
/// Backports come with the release that they are made for; sid stands alone.
pub fn sources(codename: &str) -> Result<Vec<String>, String> {
    let mut command = process::command("apt-get");
    command.args(["indextargets", "--format", "$(ORIGIN)|$(LABEL)|$(REPO_URI)"]);
    command.arg("Created-By: Packages");
    let done = process::run(&mut command, Duration::from_secs(60)).map_err(|e| e.to_string())?;
    if !done.status.success() {
        return Err(format!("apt-get indextargets ended with {}:\n{}", done.ending(), done.log));
    }
    Ok(lines(&done.text(), codename))
}

fn lines(targets: &str, codename: &str) -> Vec<String> {
    let server = |label: &str| {
        let prefix = format!("Debian|{label}|");
        targets.lines().find_map(|line| line.strip_prefix(&prefix))
    };
    let Some(main) = server("Debian") else { return Vec::new() };
    if codename == "sid" {
        return vec![format!("deb {main} sid main")];
    }
    let (codename, backports) = match codename.strip_suffix("-backports") {
        Some(stable) => (stable, true),
        None => (codename, false),
    };
    let mut lines =
        vec![format!("deb {main} {codename} main"), format!("deb {main} {codename}-updates main")];
    // A mirror of the main archive alone is no reason to go without.
    lines.extend(server("Debian-Security").map(|s| format!("deb {s} {codename}-security main")));
    if backports {
        lines.push(format!("deb {main} {codename}-backports main"));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::lines;

    #[test]
    fn another_release_comes_from_the_same_servers() {
        let targets = "Some Vendor|x|http://vendor.example/\n\
                       Debian|Debian-Security|http://mirror.example/security/\n\
                       Debian|Debian|http://mirror.example/debian/\n";
        assert_eq!(
            lines(targets, "trixie"),
            [
                "deb http://mirror.example/debian/ trixie main",
                "deb http://mirror.example/debian/ trixie-updates main",
                "deb http://mirror.example/security/ trixie-security main",
            ]
        );
    }

    #[test]
    fn backports_come_with_their_release_and_sid_alone() {
        let targets = "Debian|Debian|http://mirror.example/debian/\n";
        assert_eq!(
            lines(targets, "trixie-backports"),
            [
                "deb http://mirror.example/debian/ trixie main",
                "deb http://mirror.example/debian/ trixie-updates main",
                "deb http://mirror.example/debian/ trixie-backports main",
            ]
        );
        assert_eq!(lines(targets, "sid"), ["deb http://mirror.example/debian/ sid main"]);
    }

    #[test]
    fn without_debian_there_is_no_answer() {
        assert!(lines("Ubuntu|Ubuntu|http://mirror.example/\n", "trixie").is_empty());
    }
}
