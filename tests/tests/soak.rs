//! Half a minute of what `./x soak` does for as long as it is told.

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use daedalus_tests::display::Xvfb;
use daedalus_tests::driver::{self, Environment};
use daedalus_tests::soak::{self, Setting};
use daedalus_tests::{clips, corpus};
use libtest_mimic::{Arguments, Failed, Trial};

fn main() -> ExitCode {
    let trials = vec![Trial::test("soak::in_the_process", in_the_process)];
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

fn in_the_process() -> Result<(), Failed> {
    let display = Xvfb::start()?;
    let folder = corpus::scratch(Path::new(env!("CARGO_TARGET_TMPDIR")), "soak")?;
    let films = clips::cache()?.join("soak");
    soak::prepare(&folder, &films)?;
    let setting = Setting {
        folder,
        films,
        duration: Duration::from_secs(30),
        sessions: 3,
        seed: 7,
        environment: Environment {
            directory: driver::directory()?,
            display: display.name().to_owned(),
        },
    };
    let outcome = soak::run(&setting, None, |_| {})?;
    println!("{}", outcome.said);
    outcome.is_flat().map_err(Failed::from)
}
