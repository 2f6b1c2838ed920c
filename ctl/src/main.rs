//! `daedalusctl`: what works, what does not and why, and what the daemon is doing.
//!
//! How the pieces meet: `status` has [`look`] find out how things are ([`look::Facts`]) and [`judge`] say what is
//! wrong with that. All that is asked of the daemon goes through [`client`].

#![deny(unsafe_code)]

mod arguments;
mod bench;
mod client;
mod dump;
mod judge;
mod look;
mod program;
mod status;
mod top;

use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches};

use arguments::{Arguments, Command};
use client::Connection;

fn main() -> ExitCode {
    // No subcommand: those are in manual pages and completions.
    if std::env::args_os().next().is_some_and(|name| name == look::probe::NAME) {
        return ended(look::probe::run());
    }
    let command = Arguments::command().version(daedalus_version::TEXT);
    let arguments = Arguments::from_arg_matches(&command.get_matches());
    let arguments = arguments.unwrap_or_else(|error| error.exit());
    let socket = &arguments.socket;
    let outcome = match &arguments.command {
        Command::Status(options) => status::run(socket, options),
        Command::Top(options) => top::run(socket, options),
        Command::Dump(options) => dump::run(socket, options),
        Command::Bench(options) => bench::run(options),
        Command::Metrics => metrics(socket),
    };
    ended(outcome)
}

fn ended(outcome: Result<ExitCode, String>) -> ExitCode {
    outcome.unwrap_or_else(|why| {
        program::complain(&why);
        ExitCode::FAILURE
    })
}

fn metrics(socket: &std::path::Path) -> Result<ExitCode, String> {
    let asked = Connection::open(socket).and_then(|mut connection| connection.metrics());
    program::print(&asked.map_err(|error| error.say(socket))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_daemon_is_asked_where_it_listens() {
        let arguments = Arguments::command();
        let socket = arguments.get_arguments().find(|argument| argument.get_id() == "socket");
        assert_eq!(socket.unwrap().get_default_values(), [daedalus_uapi::control::SOCKET]);
    }
}
