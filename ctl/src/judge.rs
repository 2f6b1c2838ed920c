//! What is wrong with how things are, and how to mend it. Nothing here looks: facts come in, findings go out.

use std::path::Path;

use serde::Serialize;

use crate::look::{
    Answer, DRIVER_FILE, Device, Driver, Facts, Libva, Module, Node, Opening, Outcome, tried,
};

/// The oldest VA-API whose structs are those that the driver was built for: the first with final AV1 structs.
/// (libva-sys/build.rs asks for it, too.)
const OLDEST: (u32, u32) = (1, 14);

/// What may be wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cause {
    /// The kernel module is not loaded.
    NoModule,
    /// No daemon is attached.
    NoDaemon,
    /// A daemon is attached and does not answer.
    DaemonHangs,
    /// A daemon is attached and has no time for this user.
    DaemonBusy,
    /// The daemon cannot be asked from here.
    NotAsked,
    /// Limits are met, or another daemon has the device.
    DeviceBusy,
    /// This user may not open a device.
    NoPermission,
    /// A device has no node.
    NoNode,
    /// A device cannot be opened.
    DeviceFails,
    /// There is no libva.
    NoLibva,
    /// libva is older than the driver needs.
    OldLibva,
    /// libva does not look where the driver is.
    WrongDriverPath,
    /// libva uses another driver.
    OtherDriver,
    /// libva cannot use the driver.
    DriverFails,
    /// There is nothing that a VA-API program could open.
    NoDisplay,
}

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Something does not work.
    Problem,
    /// Something could not be looked at, or is worth knowing.
    Note,
}

/// One thing wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Which.
    pub cause: Cause,
    /// How bad.
    pub severity: Severity,
    /// One sentence: what is wrong.
    pub what: String,
    /// One sentence: how to mend it.
    pub mend: String,
}

impl Finding {
    fn problem(cause: Cause, what: impl Into<String>, mend: impl Into<String>) -> Finding {
        Finding { cause, severity: Severity::Problem, what: what.into(), mend: mend.into() }
    }

    fn note(self) -> Finding {
        Finding { severity: Severity::Note, ..self }
    }
}

/// All that is wrong. What follows from something else that is wrong is left out.
pub fn judge(facts: &Facts) -> Vec<Finding> {
    let mut findings = match facts.device.as_str() {
        "embedded" => Vec::new(),
        // Somebody else's decoder.
        path if path.starts_with('/')
            && facts.node.as_ref().is_some_and(|n| !is_ours(facts, n)) =>
        {
            Vec::new()
        }
        _ => kernel(facts),
    };
    let why = findings.iter().any(|finding| finding.severity == Severity::Problem);
    if !(facts.device == "kernel" && why && cannot_start(&facts.libva).is_some()) {
        findings.extend(libva(facts));
    }
    findings
}

/// Whether the module has a device with this node.
fn is_ours(facts: &Facts, path: &Path) -> bool {
    let devices = facts.module.devices.iter();
    let nodes = devices.flat_map(|device| [Some(&device.video), device.media.as_ref()]);
    nodes.flatten().any(|node| node.path == path)
}

/// Module, devices and daemon.
fn kernel(facts: &Facts) -> Vec<Finding> {
    let Facts { module, .. } = facts;
    if !module.loaded {
        return vec![no_module(module)];
    }
    let mut findings: Vec<Finding> =
        module.devices.iter().flat_map(|device| opening(facts, device)).collect();
    findings.extend(daemon(facts));
    findings
}

fn no_module(module: &Module) -> Finding {
    let what = format!("The kernel module daedalus is not loaded in kernel {}.", module.kernel);
    let mend = match module.installed {
        Some(true) => "Load it: sudo modprobe daedalus.".to_owned(),
        _ => format!(
            "Install it for this kernel (the package daedalus-dkms and linux-headers-{}, or make -C kmod), then: \
             sudo modprobe daedalus.",
            module.kernel
        ),
    };
    Finding::problem(Cause::NoModule, what, mend)
}

/// What keeps this user from a device.
fn opening(facts: &Facts, device: &Device) -> Vec<Finding> {
    let nodes = [Some(&device.video), device.media.as_ref()];
    nodes.into_iter().flatten().filter_map(|node| of_node(facts, node)).collect()
}

fn of_node(facts: &Facts, node: &Node) -> Option<Finding> {
    let path = node.path.display();
    let user = &facts.user.name;
    let finding = match &node.opening {
        Opening::Opens => return None,
        Opening::Missing => Finding::problem(
            Cause::NoNode,
            format!("The module has a device that has no node {path}."),
            "Have udev make it (sudo udevadm trigger), or let this container have it.",
        ),
        Opening::Denied => {
            let rights = node.rights.as_deref().unwrap_or("unknown rights");
            let what = format!("The user {user} may not open {path} ({rights}).");
            let mend = match node.group.as_deref() {
                Some(group) if group != "root" && !facts.user.groups.iter().any(|g| g == group) => {
                    format!(
                        "Add the user to the group and log in again: sudo usermod -aG {group} {user}."
                    )
                }
                _ => format!(
                    "Give the node to a group that {user} is in, by a udev rule: SUBSYSTEM==\"{}\", GROUP=\"video\", \
                     MODE=\"0660\".",
                    if path.to_string().contains("media") { "media" } else { "video4linux" }
                ),
            };
            Finding::problem(Cause::NoPermission, what, mend)
        }
        Opening::Full => {
            let most = facts.module.limits.sessions_per_user;
            let most = most.map_or("as many as are allowed".into(), |most| most.to_string());
            Finding::problem(
                Cause::DeviceBusy,
                format!(
                    "{path} is busy: the user {user} has {most} sessions, and that is the limit."
                ),
                "End programs that play (daedalusctl top lists them), or raise \
                 /sys/module/daedalus/parameters/sessions_per_user.",
            )
        }
        Opening::Busy => Finding::problem(
            Cause::DeviceBusy,
            format!("{path} is busy: somebody else has it."),
            "Find out who with fuser, and end that.",
        ),
        Opening::Failed(error) => Finding::problem(
            Cause::DeviceFails,
            format!("{path} cannot be opened: {error}."),
            "Look at the kernel's log (dmesg).",
        ),
    };
    Some(finding)
}

const START: &str =
    "Start it (sudo systemctl start daedalusd), and see why it ended: journalctl -u daedalusd.";

fn daemon(facts: &Facts) -> Option<Finding> {
    let Module { devices, holder, .. } = &facts.module;
    let socket = facts.daemon.socket.display();
    // The module knows best. Devices come with the first daemon.
    let attached = match devices.iter().find_map(|device| device.attached) {
        Some(attached) => attached,
        None => matches!(facts.daemon.answer, Answer::Status(_)) || holder.is_some(),
    };
    if !attached {
        let daemons = devices.iter().filter_map(|device| device.daemons).max().unwrap_or_default();
        let what = match daemons {
            0 => "No daemon is attached to the module, and none has been.".to_owned(),
            _ => "No daemon is attached to the module any more.".to_owned(),
        };
        return Some(Finding::problem(Cause::NoDaemon, what, START));
    }
    let who = match holder {
        Some(holder) => format!("{} (process {})", holder.program, holder.pid),
        None => "a process that root can find with fuser /dev/daedalus".to_owned(),
    };
    let other = |found: &str| {
        Finding::problem(
            Cause::DeviceBusy,
            format!("/dev/daedalus is busy: {who} is attached, and {found} {socket}."),
            "If it was started by hand, say where it listens (--socket), or end it and start the service: \
             sudo systemctl start daedalusd.",
        )
    };
    match &facts.daemon.answer {
        Answer::Status(status) => {
            let theirs = holder.as_ref().filter(|holder| holder.pid != status.pid);
            theirs.map(|_| other("another daemon answers at"))
        }
        Answer::Missing => Some(other("there is no socket")),
        Answer::Refused => Some(other("nobody listens at")),
        Answer::Denied => Some(
            Finding::problem(
                Cause::NoPermission,
                format!("The user {} may not ask the daemon at {socket}.", facts.user.name),
                "Ask as root, or as a member of the socket's group, to see what it does.",
            )
            .note(),
        ),
        Answer::Silent => Some(Finding::problem(
            Cause::DaemonHangs,
            format!("The daemon ({who}) does not answer at {socket}."),
            "Start it anew: sudo systemctl restart daedalusd.",
        )),
        Answer::Busy(why) => Some(
            Finding::problem(
                Cause::DaemonBusy,
                format!("The daemon does not answer the user {} now: {why}.", facts.user.name),
                "End other daedalusctl (top, dump) and programs that read its numbers, and try again.",
            )
            .note(),
        ),
        Answer::Unasked(error) => Some(
            Finding::problem(
                Cause::NotAsked,
                format!("The daemon cannot be asked at {socket}: {error}."),
                "Say where it listens: --socket.",
            )
            .note(),
        ),
        Answer::Other(error) => Some(Finding::problem(
            Cause::DaemonHangs,
            format!("The daemon does not answer as it should: {error}."),
            "Install daedalusctl and daedalusd of the same version, then: sudo systemctl restart daedalusd.",
        )),
    }
}

/// The driver, through libva's eyes.
fn libva(facts: &Facts) -> Vec<Finding> {
    let libva = &facts.libva;
    let one = |cause, what: String, mend: &str| vec![Finding::problem(cause, what, mend)];
    let (major, minor) = OLDEST;
    let newer = format!(
        "Install libva {}.{minor} or later (the package libva2), or remove the old one from \
        LD_LIBRARY_PATH.",
        major + 1
    );
    match &libva.outcome {
        Outcome::Broken(error) => {
            return one(
                Cause::DriverFails,
                format!("libva could not be asked: {error}."),
                "Run vainfo to see what it says.",
            );
        }
        Outcome::NoLibrary(error) => {
            let what = format!("There is no libva: {error}.");
            return one(Cause::NoLibva, what, "Install it: the package libva2.");
        }
        Outcome::Predecessor => {
            let what = format!(
                "libva is too old: libva.so.1 has VA-API 0, the driver needs {major}.{minor}."
            );
            return one(Cause::OldLibva, what, &newer);
        }
        _ => {}
    }
    if let Some(version) = libva.version.filter(|version| *version < OLDEST) {
        let file = libva.library.as_deref().unwrap_or("libva.so.2");
        let (has_major, has_minor) = version;
        let what = format!(
            "libva is too old: {file} has VA-API {has_major}.{has_minor}, the driver needs {major}.{minor}."
        );
        return one(Cause::OldLibva, what, &newer);
    }
    match &libva.outcome {
        Outcome::Works { display, vendor, .. } if !crate::look::is_ours(vendor) => {
            let what = format!("For {display} libva uses another driver: {vendor}.");
            let missing = is_misplaced(&facts.driver).then(|| wrong_path(facts));
            [other_driver(facts, what)].into_iter().chain(missing).collect()
        }
        Outcome::Works { .. } => Vec::new(),
        _ if is_misplaced(&facts.driver) => vec![wrong_path(facts)],
        Outcome::NoDisplay(tried) => {
            let missing = [("libva-drm.so.2", "libva-drm2"), ("libva-x11.so.2", "libva-x11-2")];
            let is_missing = |file: &str| tried.iter().any(|why| why.contains(file));
            let package = missing.iter().find(|(file, _)| is_missing(file));
            let tried = if tried.is_empty() {
                "no render node, no X display".into()
            } else {
                tried.join("; ")
            };
            let what = format!("VA-API programs have no display to open: {tried}.");
            match package {
                Some((_, package)) => {
                    one(Cause::NoDisplay, what, &format!("Install the package {package}."))
                }
                None => one(
                    Cause::NoDisplay,
                    what,
                    "Join the group of /dev/dri/renderD* (render), set DISPLAY to an X server, or, without a GPU, \
                     load the module vgem.",
                ),
            }
        }
        Outcome::DisplayHangs(display) => one(
            Cause::NoDisplay,
            format!("The display {display} does not answer who opens it."),
            "Start its server anew, or unset DISPLAY.",
        ),
        Outcome::Hung => one(
            Cause::DriverFails,
            "A driver hangs when libva starts it.".into(),
            "Report it, with what DAEDALUS_LOG=debug vainfo says.",
        ),
        Outcome::Crashed(signal) => one(
            Cause::DriverFails,
            format!("A driver crashes when libva starts it ({signal})."),
            "Report it, with a backtrace of vainfo.",
        ),
        Outcome::Fails { display, error } => {
            let tried = tried(libva);
            if !tried.iter().any(|path| path.ends_with(DRIVER_FILE)) {
                let which = match tried.last() {
                    Some(file) => format!("tries {}", file.display()),
                    None => "knows no driver".into(),
                };
                return vec![other_driver(facts, format!("For {display} libva {which}: {error}."))];
            }
            if let Some(why) = cannot_start(libva) {
                let mend = match facts.device.as_str() {
                    "auto" => "DAEDALUS_LOG=debug vainfo tells more.".to_owned(),
                    device => format!("DAEDALUS_DEVICE is {device}: set it to auto, or unset it."),
                };
                let what = format!("The driver does not start on {display}: {why}.");
                return one(Cause::DriverFails, what, &mend);
            }
            let telling = |line: &&String| line.contains("error") || line.contains("dlopen");
            let said = libva.messages.iter().rev().find(telling).unwrap_or(error);
            one(
                Cause::DriverFails,
                format!("libva cannot use the driver on {display}: {said}."),
                "Install the driver and the libraries it needs anew (the package daedalus-va-driver); \
                 LIBVA_MESSAGING_LEVEL=2 vainfo tells more.",
            )
        }
        // Dealt with above.
        Outcome::Broken(_) | Outcome::NoLibrary(_) | Outcome::Predecessor => Vec::new(),
    }
}

/// Why our driver does not start, in its own words (va-driver/src/entry).
fn cannot_start(libva: &Libva) -> Option<&str> {
    let why =
        libva.messages.iter().rev().find_map(|line| Some(line.split_once("cannot start: ")?.1));
    why.map(|why| why.trim_end_matches('.'))
}

/// libva looks for another driver than ours.
fn other_driver(facts: &Facts, what: String) -> Finding {
    let mend = match &facts.driver.name_variable {
        Some(name) if name != "daedalus" => {
            format!("LIBVA_DRIVER_NAME is {name}: set it to daedalus, or unset it.")
        }
        _ => "Set LIBVA_DRIVER_NAME=daedalus, or give the driver the name that libva looks for by a link.".into(),
    };
    Finding::problem(Cause::OtherDriver, what, mend)
}

/// Whether the driver is not where libva looks: not there, or nowhere. Where libva looks is not always known:
/// without a display it has not said so.
fn is_misplaced(driver: &Driver) -> bool {
    let told = driver.path_variable.is_some() || !driver.searched.is_empty();
    driver.found.is_none() && (told || driver.elsewhere.is_empty())
}

/// The driver is not where libva looks.
fn wrong_path(facts: &Facts) -> Finding {
    let driver = &facts.driver;
    let searched = match &driver.searched[..] {
        [] if driver.path_variable.is_some() => "no folder".to_owned(),
        [] => "its folder".to_owned(),
        some => some.iter().map(|f| f.display().to_string()).collect::<Vec<_>>().join(", "),
    };
    let by = if driver.path_variable.is_some() { " (LIBVA_DRIVERS_PATH)" } else { "" };
    let what =
        format!("libva looks for drivers in {searched}{by}, and {DRIVER_FILE} is not there.");
    let mend = match (&driver.path_variable, driver.elsewhere.first()) {
        (Some(_), Some(folder)) => {
            format!("It is in {}: unset LIBVA_DRIVERS_PATH, or set it to that.", folder.display())
        }
        (None, Some(folder)) => {
            format!("It is in {0}: set LIBVA_DRIVERS_PATH={0}.", folder.display())
        }
        (Some(_), None) => {
            "Set LIBVA_DRIVERS_PATH to the folder that has it, or unset it and install the package \
            daedalus-va-driver."
                .into()
        }
        (None, None) => "Install it: the package daedalus-va-driver.".into(),
    };
    Finding::problem(Cause::WrongDriverPath, what, mend)
}

#[cfg(test)]
mod tests;
