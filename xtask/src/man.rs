//! `./x man`: manual pages and shell completions, from the programs' own command lines.
//!
//! The programs themselves are not linked (the daemon brings decoders along): their `arguments.rs` stand alone.

use std::fs::{self, File};
use std::io;
use std::path::Path;
use std::process::ExitCode;

use clap::{Command, CommandFactory};
use clap_complete::Shell;
use clap_mangen::Man;

#[path = "../../ctl/src/arguments.rs"]
mod ctl;
#[path = "../../daemon/src/arguments.rs"]
mod daemon;

/// Writes all of them below `folder`.
pub fn run(folder: &Path) -> Result<ExitCode, String> {
    write(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    println!("{}", folder.display());
    Ok(ExitCode::SUCCESS)
}

/// The commands, with the sections of their pages.
fn commands() -> [(Command, &'static str); 2] {
    [(ctl::Arguments::command(), "1"), (daemon::Arguments::command(), "8")]
}

fn write(folder: &Path) -> io::Result<()> {
    let (man, completions) = (folder.join("man"), folder.join("completions"));
    fs::create_dir_all(&man)?;
    fs::create_dir_all(&completions)?;
    for (mut command, section) in commands() {
        // Help is --help; `help` would have a page of its own.
        command = command.disable_help_subcommand(true);
        command.build();
        page(&command, section, &man)?;
        for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
            let name = command.get_name().to_owned();
            clap_complete::generate_to(shell, &mut command, name, &completions)?;
        }
    }
    Ok(())
}

/// The page of a command, and those of its subcommands.
fn page(command: &Command, section: &str, folder: &Path) -> io::Result<()> {
    let name = command.get_display_name().unwrap_or(command.get_name()).to_owned();
    let man = Man::new(command.clone()).section(section).manual("Daedalus");
    // Subcommands have no version of their own.
    let man = man.source(concat!("Daedalus ", env!("CARGO_PKG_VERSION")));
    man.render(&mut File::create(folder.join(format!("{name}.{section}")))?)?;
    for subcommand in command.get_subcommands().filter(|command| !command.is_hide_set()) {
        page(subcommand, section, folder)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_a_page_for_each_command_and_a_completion_for_each_shell() {
        let folder = std::env::temp_dir().join(format!("daedalus-man-{}", std::process::id()));
        write(&folder).unwrap();
        let read = |name: &str| fs::read_to_string(folder.join(name)).unwrap();
        for (page, word) in [
            ("man/daedalusctl.1", "daedalusctl\\-status"),
            ("man/daedalusctl-status.1", "LIBVA_DRIVERS_PATH"),
            ("man/daedalusctl-top.1", "\\-\\-once"),
            ("man/daedalusctl-dump.1", "SESSION"),
            ("man/daedalusctl-bench.1", "ffmpeg"),
            ("man/daedalusctl-metrics.1", "Prometheus"),
            ("man/daedalusd.8", "\\-\\-socket"),
        ] {
            let text = read(page);
            assert!(text.contains(word) && text.contains(".TH"), "no {word} in {page}: {text}");
        }
        for program in ["daedalusctl", "daedalusd"] {
            assert!(read(&format!("completions/{program}.bash")).contains(program));
            assert!(read(&format!("completions/_{program}")).starts_with("#compdef"));
            assert!(read(&format!("completions/{program}.fish")).contains("complete -c"));
        }
        // The doctor's child is nothing that people call.
        for part in ["man", "completions"] {
            for file in fs::read_dir(folder.join(part)).unwrap() {
                let path = file.unwrap().path();
                assert!(!fs::read_to_string(&path).unwrap().contains("probe"), "{path:?}");
            }
        }
        fs::remove_dir_all(folder).unwrap();
    }
}
