//! Whether the bed itself works: what it must notice, and what must be well in it.

use std::process::ExitCode;
use std::time::Duration;

use super::kernel::{Flavour, Kernel};
use super::module::Module;
use super::{Ending, Job, Outcome, compliance, uml};

/// A shell command, what goes with it, and whether what came of it is right.
struct Case {
    name: &'static str,
    script: &'static str,
    modules: &'static [&'static str],
    seconds: u64,
    good: fn(&Outcome) -> bool,
}

const CASES: [Case; 6] = [
    Case {
        name: "a quiet job in a quiet kernel",
        script: "echo out; echo err >&2; test -c /dev/dma_heap/system && test -c /dev/udmabuf",
        modules: &["vgem"],
        seconds: 120,
        good: |o| o.code() == 0 && o.stdout == "out\n" && o.stderr == "err\n",
    },
    Case {
        name: "a status, and something left running",
        script: "sleep 1000 & exit 3",
        modules: &[],
        seconds: 120,
        good: |o| o.complaints() == ["the command ended with status 3"],
    },
    Case {
        name: "much output, whole",
        script: "seq 200000",
        modules: &[],
        seconds: 120,
        good: |o| o.code() == 0 && o.stdout.lines().eq((1..=200_000).map(|n| n.to_string())),
    },
    Case {
        name: "a complaint of the kernel's",
        script: "echo 'WARNING: possible recursive locking detected' > /dev/kmsg",
        modules: &[],
        seconds: 120,
        good: |o| o.ending == Ending::Status(0) && o.code() == 1,
    },
    Case {
        name: "a panic",
        script: "echo c > /proc/sysrq-trigger; sleep 10",
        modules: &[],
        seconds: 120,
        good: |o| o.ending == Ending::KernelDied && !o.splats.is_empty(),
    },
    Case {
        name: "a job that hangs, with the stacks of its tasks",
        script: "exec sleep 1000",
        modules: &[],
        seconds: 8,
        good: |o| o.ending == Ending::TimedOut && o.log.contains("task:sleep"),
    },
];

/// What the kernel's own devices must score.
const COMPLIANCE: [(&str, &[&str]); 2] =
    [("visl", &["-d", "/dev/video0"]), ("vim2m", &["-d", "/dev/video0", "-s"])];

/// Runs all, in the fast kernel and the debug kernel, or in the latter alone.
pub fn run(debug_only: bool) -> Result<ExitCode, String> {
    let flavours: &[Flavour] =
        if debug_only { &[Flavour::Debug] } else { &[Flavour::Fast, Flavour::Debug] };
    let mut failed = 0;
    for flavour in flavours {
        let kernel = Kernel::get(*flavour)?;
        let mut tell = |name: &str, good: bool, outcome: &Outcome| {
            println!("{}: {name}: {}", flavour.name(), if good { "ok" } else { "FAILED" });
            if !good {
                failed += 1;
                super::command::report(outcome, true);
            }
        };
        for case in &CASES {
            let mut job = Job::new(["sh", "-c", case.script]);
            for module in case.modules {
                job.modules.push(Module::parse(module)?);
            }
            job.limit = Duration::from_secs(case.seconds);
            let outcome = uml::run(&kernel, &job)?;
            tell(case.name, (case.good)(&outcome), &outcome);
        }
        for (module, options) in COMPLIANCE {
            let (totals, outcome) = compliance::run(&kernel, Module::parse(module)?, options)?;
            let good = totals.is_some_and(|t| t.all > 0 && t.failed == 0) && outcome.code() == 0;
            let name = match totals {
                Some(t) => format!("v4l2-compliance of {module}: {} of {}", t.succeeded, t.all),
                None => format!("v4l2-compliance of {module}"),
            };
            tell(&name, good, &outcome);
        }
    }
    Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
