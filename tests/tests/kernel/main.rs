//! The kernel's device with a daemon behind it: what clients may rely on while daemons and other clients
//! come, go and die.
//!
//! These tests need the module, and root. `./x test` runs them in a machine that has both (`./x uml`);
//! elsewhere there are none. `DAEDALUS_KERNEL_ROUNDS=full` makes them long.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use daedalus_tests::clients::{self, Setting};
use daedalus_tests::display::Xvfb;
use daedalus_tests::driver::{self, Environment};
use daedalus_tests::player::Player;
use daedalus_tests::{corpus, kernel};
use libtest_mimic::{Arguments, Failed, Trial};

mod accounts;
mod choice;
mod compliance;
mod damage;
mod deaths;
mod device;
mod doctor;
mod enumerations;
mod film;
mod grace;
mod imports;
mod ioctls;
mod journal;
mod liars;
mod limits;
mod module;
mod parameter;
mod player;
mod recovery;
mod sandbox;
mod sharing;
mod soak;
mod stress;
mod together;
mod watching;

/// What the tests share.
pub struct Bed {
    /// The driver, the display, a folder for files.
    pub setting: Setting,
    /// How much of everything: 1, or more for a long run.
    pub full: bool,
    /// A client that does not give up.
    pub player: Player,
}

impl Bed {
    /// A file of passing use.
    pub fn file(&self, name: &str) -> PathBuf {
        self.setting.scratch.join(name)
    }
}

type Test = fn(&Bed) -> Result<(), Failed>;

const TESTS: &[(&str, Test)] = &[
    ("compliance::with_a_daemon", compliance::with_a_daemon),
    ("compliance::without_a_daemon", compliance::without_a_daemon),
    ("grace::requests_wait_for_a_daemon", grace::requests_wait_for_a_daemon),
    ("grace::requests_fail_when_none_comes", grace::requests_fail_when_none_comes),
    ("imports::of_wrong_lengths", imports::of_wrong_lengths),
    ("accounts::of_large_data", accounts::of_large_data),
    ("accounts::of_removed_buffers", accounts::of_removed_buffers),
    ("accounts::of_what_is_taken_back", accounts::of_what_is_taken_back),
    ("accounts::of_turns", accounts::of_turns),
    ("accounts::of_media_requests", accounts::of_media_requests),
    ("accounts::of_sessions_that_end", accounts::of_sessions_that_end),
    (
        "accounts::of_sessions_that_end_beside_completions",
        accounts::of_sessions_that_end_beside_completions,
    ),
    ("accounts::of_pages_that_do_not_come", accounts::of_pages_that_do_not_come),
    ("accounts::of_values_in_untouched_pages", accounts::of_values_in_untouched_pages),
    ("accounts::of_who_is_above_memory_high", accounts::of_who_is_above_memory_high),
    ("enumerations::of_pages_that_do_not_come", enumerations::of_pages_that_do_not_come),
    (
        "enumerations::of_requests_that_end_with_their_session",
        enumerations::of_requests_that_end_with_their_session,
    ),
    ("ioctls::seven_for_each_picture", ioctls::seven_for_each_picture),
    ("choice::of_the_device", choice::of_the_device),
    ("choice::without_memory", choice::without_memory),
    ("together::four_clients_at_once", together::four_clients_at_once),
    ("deaths::of_daemons", deaths::of_daemons),
    ("deaths::of_clients", deaths::of_clients),
    ("liars::are_not_believed", liars::are_not_believed),
    ("stress::of_random_calls", stress::of_random_calls),
    ("damage::of_streams", damage::of_streams),
    ("recovery::in_the_process", recovery::in_the_process),
    ("recovery::from_silence", recovery::from_silence),
    ("recovery::with_a_later_daemon", recovery::with_a_later_daemon),
    ("recovery::with_a_daemon_after_silence", recovery::with_a_daemon_after_silence),
    ("sharing::every_entry_point", sharing::every_entry_point),
    ("sharing::every_picture_on_the_device", sharing::every_picture_on_the_device),
    ("sharing::every_picture_in_the_process", sharing::every_picture_in_the_process),
    ("sharing::all_in_memory_of_the_device", sharing::all_in_memory_of_the_device),
    ("sharing::all_in_memory_of_a_card", sharing::all_in_memory_of_a_card),
    ("sharing::nothing_piles_up_on_the_device", sharing::nothing_piles_up_on_the_device),
    ("sharing::nothing_piles_up_in_the_process", sharing::nothing_piles_up_in_the_process),
    ("soak::of_sessions", soak::of_sessions),
    ("sandbox::of_the_daemon", sandbox::of_the_daemon),
    ("limits::of_each_user", limits::of_each_user),
    ("doctor::of_what_works", doctor::of_what_works),
    ("doctor::no_daemon", doctor::no_daemon),
    ("doctor::no_permission", doctor::no_permission),
    ("doctor::device_busy", doctor::device_busy),
    ("doctor::a_daemon_that_hangs", doctor::a_daemon_that_hangs),
    ("doctor::no_module", doctor::no_module),
    ("watching::of_a_daemon_at_work", watching::of_a_daemon_at_work),
    ("journal::of_the_daemon", journal::of_the_daemon),
    ("module::stays_while_it_is_used", module::stays_while_it_is_used),
];

fn main() -> ExitCode {
    run(&Arguments::from_args()).unwrap_or_else(|why| {
        eprintln!("kernel: {why}");
        ExitCode::FAILURE
    })
}

fn run(arguments: &Arguments) -> Result<ExitCode, String> {
    if !kernel::is_there() || !kernel::is_wanted() {
        // No test at all rather than ignored ones: `./x test` runs them elsewhere.
        let _ = libtest_mimic::run(arguments, vec![]);
        return Ok(ExitCode::SUCCESS);
    }
    let display = Xvfb::start().map_err(|e| e.to_string())?;
    let environment =
        Environment { directory: driver::directory()?, display: display.name().to_owned() };
    let scratch = corpus::scratch(Path::new(env!("CARGO_TARGET_TMPDIR")), "kernel")?;
    let full = std::env::var("DAEDALUS_KERNEL_ROUNDS").is_ok_and(|rounds| rounds == "full");
    let setting = Setting { environment, scratch, limit: clients::limit() };
    let player = Player::build(&setting.scratch)?;
    let bed = Arc::new(Bed { setting, full, player });
    let trial = |(name, test): &(&str, Test)| {
        let (bed, test) = (Arc::clone(&bed), *test);
        Trial::test(*name, move || test(&bed))
    };
    // One at a time: they share the device and start daemons of their own.
    let arguments = Arguments { test_threads: Some(1), ..arguments.clone() };
    let conclusion = libtest_mimic::run(&arguments, TESTS.iter().map(trial).collect());
    // The display goes before the process does: `conclusion.exit()` would skip its destructor.
    drop(display);
    Ok(if conclusion.has_failed() { ExitCode::from(101) } else { ExitCode::SUCCESS })
}
