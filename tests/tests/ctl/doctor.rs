//! Set-ups that are broken on purpose, and whether the doctor finds out.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use daedalus_tests::display::Xvfb;
use daedalus_tests::{compile, ctl, driver, kernel, process};
use serde_json::Value;

use crate::{LIMIT, scratch};

/// The doctor with the driver that is tested, in the process, on a display.
fn doctor(display: Option<&Xvfb>) -> Command {
    let mut command = ctl::command().unwrap();
    command.args(["status", "--json"]).env("DAEDALUS_DEVICE", "embedded");
    command.env("LIBVA_DRIVERS_PATH", driver::directory().unwrap());
    command.env("LIBVA_DRIVER_NAME", "daedalus");
    if let Some(display) = display {
        command.env("DISPLAY", display.name());
    }
    command
}

/// Causes and sentences of what is wrong; the exit status must fit.
fn findings(command: &mut Command) -> Vec<(String, String)> {
    let done = process::run(command, LIMIT).unwrap();
    let report: Value = serde_json::from_slice(&done.stdout)
        .unwrap_or_else(|error| panic!("{error}: {} {}", done.text(), done.log));
    let findings = report["findings"].as_array().unwrap().iter().map(|finding| {
        assert_eq!(finding["severity"], "problem");
        let text = |name: &str| finding[name].as_str().unwrap().to_owned();
        (text("cause"), text("what") + " " + &text("mend"))
    });
    let findings: Vec<_> = findings.collect();
    assert_eq!(done.status.code(), Some(i32::from(!findings.is_empty())), "{report:#}");
    assert_eq!(report["healthy"], findings.is_empty());
    findings
}

#[track_caller]
fn expect(command: &mut Command, cause: &str, words: &[&str]) {
    let findings = findings(command);
    assert_eq!(findings.len(), 1, "{findings:#?}");
    assert_eq!(findings[0].0, cause, "{findings:#?}");
    for word in words {
        assert!(findings[0].1.contains(word), "no {word:?} in {}", findings[0].1);
    }
}

#[test]
fn nothing_is_wrong_with_a_driver_that_works() {
    let display = Xvfb::start().unwrap();
    assert_eq!(findings(&mut doctor(Some(&display))), []);
    // For people.
    let mut command = doctor(Some(&display));
    let mut plain = ctl::command().unwrap();
    plain.arg("status").envs(command.get_envs().filter_map(|(k, v)| Some((k, v?))));
    let done = process::run(&mut plain, LIMIT).unwrap();
    let said = done.text();
    assert!(done.status.success() && said.ends_with("\nNothing is wrong.\n"), "{said}");
    assert!(said.contains("Daedalus stateless decoder"), "{said}");
    // The library that was found has a version that is told.
    let report = process::run(&mut command, LIMIT).unwrap();
    let report: Value = serde_json::from_slice(&report.stdout).unwrap();
    assert!(report["facts"]["libva"]["version"][1].as_u64() >= Some(14), "{report:#}");
}

#[test]
fn no_module() {
    if kernel::is_there() {
        return eprintln!("not tested: the module is loaded here");
    }
    let display = Xvfb::start().unwrap();
    for device in ["auto", "kernel"] {
        let mut command = doctor(Some(&display));
        if device == "kernel" {
            // The driver itself does not start then: that is said, too.
            let findings = findings(command.env("DAEDALUS_DEVICE", device));
            assert_eq!(findings[0].0, "no-module", "{findings:#?}");
            continue;
        }
        expect(command.env("DAEDALUS_DEVICE", device), "no-module", &["modprobe daedalus"]);
    }
}

#[test]
fn wrong_driver_path() {
    let display = Xvfb::start().unwrap();
    let empty = scratch("no-driver");
    let mut command = doctor(Some(&display));
    command.env("LIBVA_DRIVERS_PATH", &empty);
    let folder = empty.to_str().unwrap();
    expect(&mut command, "wrong-driver-path", &[folder, "LIBVA_DRIVERS_PATH", "is not there"]);
    // Also where there is no display that libva could be asked about.
    let mut command = doctor(None);
    command.env("LIBVA_DRIVERS_PATH", &empty);
    let findings = findings(&mut command);
    assert_eq!(findings[0].0, "wrong-driver-path", "{findings:#?}");
}

#[test]
fn another_drivers_name() {
    let display = Xvfb::start().unwrap();
    let mut command = doctor(Some(&display));
    command.env("LIBVA_DRIVER_NAME", "missing");
    let words = ["missing_drv_video.so", "LIBVA_DRIVER_NAME is missing: set it to daedalus"];
    expect(&mut command, "other-driver", &words);
}

#[test]
fn old_libva() {
    // One library in the place of three: each has what the doctor asks it for.
    let folder = scratch("old-libva");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/ctl/old_libva.c");
    for name in ["libva.so.2", "libva-x11.so.2", "libva-drm.so.2"] {
        compile::shared(&source, &folder.join(name), name).unwrap();
    }
    let display = Xvfb::start().unwrap();
    let mut command = doctor(Some(&display));
    command.env("LD_LIBRARY_PATH", &folder);
    let library = folder.join("libva.so.2");
    let words = [library.to_str().unwrap(), "VA-API 1.8", "needs 1.14", "libva 2.14"];
    expect(&mut command, "old-libva", &words);
}

#[test]
fn a_driver_that_crashes_does_not_take_the_doctor_along() {
    let folder = scratch("crashing-driver");
    let source = folder.join("driver.c");
    let code = "#include <stdlib.h>\nint __vaDriverInit_1_0(void *ctx);\n\
                int __vaDriverInit_1_0(void *ctx) { (void)ctx; abort(); }\n";
    fs::write(&source, code).unwrap();
    compile::shared(&source, &folder.join(driver::FILE), driver::FILE).unwrap();
    let display = Xvfb::start().unwrap();
    let mut command = doctor(Some(&display));
    command.env("LIBVA_DRIVERS_PATH", &folder);
    expect(&mut command, "driver-fails", &["crashes", "SIGABRT"]);
}

/// A driver that starts a process which outlives it, then hangs or refuses.
fn leaving_driver(name: &str, ends: &str) -> PathBuf {
    let folder = scratch(name);
    let source = folder.join("driver.c");
    let code = format!(
        "#include <unistd.h>\nint __vaDriverInit_1_0(void *ctx);\n\
         int __vaDriverInit_1_0(void *ctx)\n{{\n\t(void)ctx;\n\tif (fork() == 0) {{\n\t\tsleep(40);\n\t\t_exit(0);\n\t}}\n\
         \t{ends}\n}}\n"
    );
    fs::write(&source, code).unwrap();
    compile::shared(&source, &folder.join(driver::FILE), driver::FILE).unwrap();
    folder
}

#[test]
fn what_libva_said_is_known_of_a_driver_that_hangs() {
    let folder = leaving_driver("hanging-driver", "for (;;)\n\t\tpause();");
    let display = Xvfb::start().unwrap();
    let mut command = doctor(Some(&display));
    command.env("LIBVA_DRIVERS_PATH", &folder);
    let done = process::run(&mut command, LIMIT).unwrap();
    let report: Value = serde_json::from_slice(&done.stdout).unwrap();
    assert_eq!(report["findings"][0]["cause"], "driver-fails", "{report:#}");
    assert!(report["findings"][0]["what"].as_str().unwrap().contains("hangs"), "{report:#}");
    let libva = &report["facts"]["libva"];
    assert!(libva["library"].as_str().unwrap().contains("libva.so.2"), "{report:#}");
    let tries = format!("Trying to open {}", folder.join(driver::FILE).display());
    let said = libva["messages"].as_array().unwrap();
    assert!(said.iter().any(|line| line.as_str().unwrap().contains(&tries)), "{report:#}");
}

#[test]
fn what_libva_said_is_known_of_a_driver_that_leaves_a_process_behind() {
    let folder = leaving_driver("leaving-driver", "return 1;");
    let display = Xvfb::start().unwrap();
    let mut command = doctor(Some(&display));
    command.env("LIBVA_DRIVERS_PATH", &folder);
    expect(&mut command, "driver-fails", &["libva cannot use the driver on x11"]);
}

#[test]
fn a_driver_whose_libraries_are_missing_is_told_from_one_that_is_not_there() {
    let folder = scratch("broken-driver");
    fs::write(folder.join(driver::FILE), "no shared object").unwrap();
    let display = Xvfb::start().unwrap();
    let mut command = doctor(Some(&display));
    command.env("LIBVA_DRIVERS_PATH", &folder);
    expect(&mut command, "driver-fails", &[driver::FILE, "daedalus-va-driver"]);
}
