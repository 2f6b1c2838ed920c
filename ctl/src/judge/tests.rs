use daedalus_uapi::control::{Sandbox, Status, Total, VERSION};

use super::*;
use crate::look::{Daemon, Holder, Libva, Limits, Person};

fn node(path: &str, opening: Opening) -> Node {
    Node {
        path: path.into(),
        rights: Some("root:video 0660".into()),
        group: Some("video".into()),
        opening,
    }
}

fn status(pid: u32) -> Answer {
    Answer::Status(Box::new(Status {
        protocol: VERSION,
        version: "0.1.0".into(),
        revision: String::new(),
        pid,
        uptime_s: 1.0,
        cpu_s: 0.0,
        device: "/dev/daedalus".into(),
        codecs: vec!["vp9".into()],
        sandbox: Sandbox::default(),
        total: Total::default(),
        sessions: Vec::new(),
    }))
}

/// Where everything works.
fn healthy() -> Facts {
    let device = Device {
        video: node("/dev/video0", Opening::Opens),
        media: Some(node("/dev/media0", Opening::Opens)),
        attached: Some(true),
        daemons: Some(1),
    };
    Facts {
        user: Person { uid: 1000, name: "ann".into(), groups: vec!["users".into()] },
        device: "auto".into(),
        node: None,
        module: Module {
            loaded: true,
            installed: Some(true),
            kernel: "6.12".into(),
            node: node("/dev/daedalus", Opening::Denied),
            holder: None,
            limits: Limits { sessions_per_user: Some(64), ..Limits::default() },
            devices: vec![device],
        },
        daemon: Daemon { socket: "/run/d.sock".into(), answer: status(9) },
        driver: Driver {
            path_variable: None,
            name_variable: None,
            searched: vec!["/usr/lib/dri".into()],
            found: Some("/usr/lib/dri/daedalus_drv_video.so".into()),
            elsewhere: Vec::new(),
        },
        libva: Libva {
            library: Some("/usr/lib/libva.so.2.2200.0".into()),
            version: Some((1, 22)),
            outcome: Outcome::Works {
                display: "/dev/dri/renderD128".into(),
                vendor: "Daedalus stateless decoder 0.1.0".into(),
                profiles: 7,
            },
            messages: Vec::new(),
        },
    }
}

/// The one thing wrong, after a change of something healthy.
fn wrong(change: impl FnOnce(&mut Facts)) -> Finding {
    let mut facts = healthy();
    change(&mut facts);
    match <[Finding; 1]>::try_from(judge(&facts)) {
        Ok([finding]) => finding,
        Err(findings) => panic!("not one finding: {findings:#?}"),
    }
}

#[track_caller]
fn expect(finding: &Finding, cause: Cause, what: &str, mend: &str) {
    assert_eq!(finding.cause, cause, "{finding:?}");
    assert!(finding.what.contains(what), "{:?} in {}", what, finding.what);
    assert!(finding.mend.contains(mend), "{:?} in {}", mend, finding.mend);
    for sentence in [&finding.what, &finding.mend] {
        assert!(sentence.ends_with('.') && !sentence.contains('\n'), "no sentence: {sentence}");
    }
}

fn fails(error: &str, messages: &[&str]) -> Libva {
    Libva {
        outcome: Outcome::Fails { display: "x11".into(), error: error.into() },
        messages: messages.iter().map(ToString::to_string).collect(),
        ..healthy().libva
    }
}

#[test]
fn nothing_is_wrong_where_all_works() {
    assert_eq!(judge(&healthy()), []);
}

#[test]
fn no_module() {
    let finding = wrong(|facts| facts.module.loaded = false);
    expect(&finding, Cause::NoModule, "not loaded in kernel 6.12", "sudo modprobe daedalus");
    let finding = wrong(|facts| {
        facts.module.loaded = false;
        facts.module.installed = Some(false);
    });
    expect(&finding, Cause::NoModule, "not loaded", "linux-headers-6.12");
}

#[test]
fn whoever_decodes_in_the_process_needs_no_module() {
    let mut facts = healthy();
    facts.module.loaded = false;
    facts.device = "embedded".into();
    assert_eq!(judge(&facts), []);
}

#[test]
fn whose_decoder_a_path_is_decides_whether_the_module_is_needed() {
    for (path, detached) in [("/dev/video0", 1), ("/dev/media0", 1), ("/dev/video1", 0)] {
        let mut facts = healthy();
        facts.device = path.into();
        facts.node = Some(path.into());
        facts.module.devices[0].attached = Some(false);
        assert_eq!(judge(&facts).len(), detached, "{path}");
    }
    // By another name, or one that is gone.
    for node in [Some("/dev/video0".into()), None] {
        let finding = wrong(|facts| {
            facts.device = "/dev/v4l/by-path/platform-daedalus-video-index0".into();
            facts.node = node;
            facts.module.devices[0].attached = Some(false);
        });
        assert_eq!(finding.cause, Cause::NoDaemon);
    }
}

#[test]
fn a_driver_that_does_not_start_says_why() {
    let messages = [
        "libva info: Trying to open /usr/lib/dri/daedalus_drv_video.so",
        "daedalus: error: cannot start: no stateless decoder at /dev/video7",
        "libva error: /usr/lib/dri/daedalus_drv_video.so init failed",
    ];
    let finding = wrong(|facts| {
        facts.libva = fails("unknown libva error", &messages);
        facts.device = "/dev/video7".into();
    });
    let what = "does not start on x11: no stateless decoder at /dev/video7.";
    expect(&finding, Cause::DriverFails, what, "DAEDALUS_DEVICE is /dev/video7: set it to auto");
    // What it needs is not there: that is said already.
    let finding = wrong(|facts| {
        facts.libva = fails("unknown libva error", &messages);
        facts.device = "kernel".into();
        facts.module.loaded = false;
    });
    assert_eq!(finding.cause, Cause::NoModule);
    let finding = wrong(|facts| facts.libva = fails("unknown libva error", &messages));
    expect(&finding, Cause::DriverFails, what, "DAEDALUS_LOG=debug");
}

#[test]
fn no_daemon() {
    let finding = wrong(|facts| {
        facts.module.devices[0].attached = Some(false);
        facts.daemon.answer = Answer::Refused;
    });
    expect(&finding, Cause::NoDaemon, "any more", "systemctl start daedalusd");
    // Before the first daemon there are no devices.
    let finding = wrong(|facts| {
        facts.module.devices.clear();
        facts.daemon.answer = Answer::Missing;
    });
    expect(&finding, Cause::NoDaemon, "none has been", "journalctl -u daedalusd");
}

#[test]
fn no_permission() {
    let denied = |facts: &mut Facts| facts.module.devices[0].video.opening = Opening::Denied;
    let what = "The user ann may not open /dev/video0 (root:video 0660)";
    expect(&wrong(denied), Cause::NoPermission, what, "sudo usermod -aG video ann");
    // A group that is nobody's, or the user's already: the rule is missing.
    for group in ["root", "users"] {
        let finding = wrong(|facts| {
            denied(facts);
            facts.module.devices[0].video.group = Some(group.into());
        });
        expect(&finding, Cause::NoPermission, what, "SUBSYSTEM==\"video4linux\"");
    }
    let finding = wrong(|facts| {
        facts.module.devices[0].media = Some(node("/dev/media0", Opening::Denied));
    });
    expect(&finding, Cause::NoPermission, "/dev/media0", "usermod");
}

#[test]
fn who_may_not_ask_the_daemon_may_decode() {
    let finding = wrong(|facts| facts.daemon.answer = Answer::Denied);
    expect(&finding, Cause::NoPermission, "may not ask the daemon at /run/d.sock", "as root");
    assert_eq!(finding.severity, Severity::Note);
}

#[test]
fn the_device_is_busy_when_a_limit_is_met() {
    let finding = wrong(|facts| facts.module.devices[0].video.opening = Opening::Full);
    expect(&finding, Cause::DeviceBusy, "has 64 sessions", "parameters/sessions_per_user");
}

#[test]
fn the_device_is_busy_when_another_daemon_has_it() {
    for answer in [Answer::Missing, Answer::Refused] {
        let finding = wrong(|facts| facts.daemon.answer = answer);
        expect(&finding, Cause::DeviceBusy, "fuser /dev/daedalus is attached", "--socket");
    }
    let other = Holder { pid: 77, program: "daedalusd".into() };
    let finding = wrong(|facts| facts.module.holder = Some(other.clone()));
    expect(&finding, Cause::DeviceBusy, "daedalusd (process 77)", "systemctl start");
    let finding = wrong(|facts| {
        facts.module.holder = Some(other.clone());
        facts.daemon.answer = Answer::Refused;
    });
    expect(&finding, Cause::DeviceBusy, "daedalusd (process 77)", "end it");
}

#[test]
fn a_daemon_that_hangs() {
    let finding = wrong(|facts| facts.daemon.answer = Answer::Silent);
    expect(&finding, Cause::DaemonHangs, "does not answer", "systemctl restart daedalusd");
}

#[test]
fn a_daemon_that_cannot_be_asked_does_not_hang() {
    let busy = Answer::Busy("too many connections".into());
    let finding = wrong(|facts| facts.daemon.answer = busy);
    expect(&finding, Cause::DaemonBusy, "ann now: too many connections", "try again");
    assert_eq!(finding.severity, Severity::Note);
    let unasked = Answer::Unasked("File name too long".into());
    let finding = wrong(|facts| facts.daemon.answer = unasked);
    expect(&finding, Cause::NotAsked, "at /run/d.sock: File name too long", "--socket");
    assert_eq!(finding.severity, Severity::Note);
    let finding = wrong(|facts| facts.daemon.answer = Answer::Other("no such request".into()));
    expect(&finding, Cause::DaemonHangs, "no such request", "of the same version");
}

#[test]
fn a_node_that_is_missing_or_fails() {
    let finding = wrong(|facts| facts.module.devices[0].video.opening = Opening::Missing);
    expect(&finding, Cause::NoNode, "/dev/video0", "udevadm");
    let failed = Opening::Failed("I/O error".into());
    let finding = wrong(|facts| facts.module.devices[0].video.opening = failed);
    expect(&finding, Cause::DeviceFails, "I/O error", "dmesg");
}

#[test]
fn wrong_driver_path() {
    let nowhere = |facts: &mut Facts| {
        facts.driver.found = None;
        facts.libva = fails("unknown libva error", &[]);
    };
    let finding = wrong(|facts| {
        nowhere(facts);
        facts.driver.path_variable = Some("/opt/va".into());
        facts.driver.searched = vec!["/opt/va".into()];
        facts.driver.elsewhere = vec!["/usr/lib/dri".into()];
    });
    let what = "libva looks for drivers in /opt/va (LIBVA_DRIVERS_PATH)";
    expect(&finding, Cause::WrongDriverPath, what, "in /usr/lib/dri: unset LIBVA_DRIVERS_PATH");
    let finding = wrong(|facts| {
        nowhere(facts);
        facts.driver.elsewhere = vec!["/usr/local/lib/dri".into()];
    });
    let mend = "set LIBVA_DRIVERS_PATH=/usr/local/lib/dri";
    expect(&finding, Cause::WrongDriverPath, "in /usr/lib/dri, and", mend);
    let finding = wrong(nowhere);
    expect(&finding, Cause::WrongDriverPath, "is not there", "package daedalus-va-driver");
    // A variable that names none.
    let finding = wrong(|facts| {
        where_libva_looks_is_unknown(facts);
        facts.driver.path_variable = Some(String::new());
        facts.libva = fails("unknown libva error", &[]);
    });
    let what = "looks for drivers in no folder (LIBVA_DRIVERS_PATH)";
    expect(&finding, Cause::WrongDriverPath, what, "in /usr/lib/dri: unset LIBVA_DRIVERS_PATH");
    // Nor anywhere else.
    let finding = wrong(|facts| {
        nowhere(facts);
        facts.driver.searched.clear();
    });
    expect(&finding, Cause::WrongDriverPath, "in its folder", "package daedalus-va-driver");
}

/// The driver is there, and libva has not said where it looks.
fn where_libva_looks_is_unknown(facts: &mut Facts) {
    facts.driver.searched.clear();
    facts.driver.found = None;
    facts.driver.elsewhere = vec!["/usr/lib/dri".into()];
}

#[test]
fn old_libva() {
    let finding = wrong(|facts| {
        facts.libva.version = Some((1, 8));
        facts.libva.outcome = Outcome::NoDisplay(Vec::new());
        // What follows from it is not said.
        facts.driver.found = None;
    });
    expect(&finding, Cause::OldLibva, "has VA-API 1.8, the driver needs 1.14", "libva 2.14");
    let finding = wrong(|facts| facts.libva.version = Some((1, 13)));
    expect(&finding, Cause::OldLibva, "VA-API 1.13", "libva2");
    let finding = wrong(|facts| facts.libva.outcome = Outcome::Predecessor);
    expect(&finding, Cause::OldLibva, "libva.so.1", "libva 2.14");
    let mut facts = healthy();
    facts.libva.version = Some(OLDEST);
    assert_eq!(judge(&facts), []);
}

#[test]
fn no_libva() {
    let outcome = Outcome::NoLibrary("libva.so.2: cannot open".into());
    let finding = wrong(|facts| facts.libva.outcome = outcome);
    expect(&finding, Cause::NoLibva, "cannot open", "libva2");
}

#[test]
fn another_driver() {
    let vendor = || Outcome::Works {
        display: "/dev/dri/renderD128".into(),
        vendor: "Intel iHD driver".into(),
        profiles: 20,
    };
    let finding = wrong(|facts| facts.libva.outcome = vendor());
    expect(&finding, Cause::OtherDriver, "Intel iHD", "LIBVA_DRIVER_NAME=daedalus");
    let finding = wrong(|facts| {
        facts.libva.outcome = vendor();
        facts.driver.name_variable = Some("iHD".into());
    });
    expect(&finding, Cause::OtherDriver, "Intel iHD", "LIBVA_DRIVER_NAME is iHD");
    // Ours is not there, either.
    let mut facts = healthy();
    (facts.libva.outcome, facts.driver.found) = (vendor(), None);
    let causes: Vec<Cause> = judge(&facts).iter().map(|finding| finding.cause).collect();
    assert_eq!(causes, [Cause::OtherDriver, Cause::WrongDriverPath]);
    let tries = "libva info: Trying to open /usr/lib/dri/vgem_drv_video.so";
    let finding = wrong(|facts| facts.libva = fails("unknown libva error", &[tries]));
    expect(&finding, Cause::OtherDriver, "tries /usr/lib/dri/vgem_drv_video.so", "by a link");
    let finding = wrong(|facts| {
        where_libva_looks_is_unknown(facts);
        facts.libva = fails("unknown libva error", &[]);
    });
    expect(&finding, Cause::OtherDriver, "knows no driver", "LIBVA_DRIVER_NAME=daedalus");
}

#[test]
fn a_driver_that_does_not_work() {
    let messages = [
        "libva info: Trying to open /usr/lib/dri/daedalus_drv_video.so",
        "libva error: dlopen of /usr/lib/dri/daedalus_drv_video.so failed: libavcodec.so.61: cannot open",
        "libva info: va_openDriver() returns -1",
    ];
    let finding = wrong(|facts| facts.libva = fails("unknown libva error", &messages));
    expect(&finding, Cause::DriverFails, "libavcodec.so.61", "libraries it needs");
    let finding = wrong(|facts| facts.libva.outcome = Outcome::Crashed("SIGSEGV".into()));
    expect(&finding, Cause::DriverFails, "SIGSEGV", "Report");
    let finding = wrong(|facts| {
        where_libva_looks_is_unknown(facts);
        facts.libva.outcome = Outcome::Hung;
    });
    expect(&finding, Cause::DriverFails, "hangs", "Report");
}

#[test]
fn no_display() {
    let tried = vec!["/dev/dri/renderD128: Permission denied".into()];
    let finding = wrong(|facts| {
        where_libva_looks_is_unknown(facts);
        facts.libva.outcome = Outcome::NoDisplay(tried);
    });
    expect(&finding, Cause::NoDisplay, "renderD128: Permission denied", "render");
    let finding = wrong(|facts| {
        where_libva_looks_is_unknown(facts);
        let why = "/dev/dri/renderD128: libva-drm.so.2: cannot open shared object file";
        facts.libva.outcome = Outcome::NoDisplay(vec![why.into()]);
    });
    expect(&finding, Cause::NoDisplay, "libva-drm.so.2", "Install the package libva-drm2");
    let finding = wrong(|facts| {
        where_libva_looks_is_unknown(facts);
        facts.libva.outcome = Outcome::DisplayHangs("DISPLAY=:9".into());
    });
    expect(&finding, Cause::NoDisplay, "DISPLAY=:9 does not answer", "unset DISPLAY");
}

#[test]
fn two_things_wrong_are_two_findings() {
    let mut facts = healthy();
    facts.module.loaded = false;
    facts.libva.version = Some((1, 4));
    let causes: Vec<Cause> = judge(&facts).iter().map(|finding| finding.cause).collect();
    assert_eq!(causes, [Cause::NoModule, Cause::OldLibva]);
}
