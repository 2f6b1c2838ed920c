//! The kernel module: sysfs, its device nodes, who has them.

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde::Serialize;

use super::Node;

/// The daemon's end of the module.
const NODE: &str = "/dev/daedalus";

const NAME: &str = "daedalus";

/// The module.
#[derive(Clone, Debug, Serialize)]
pub struct Module {
    /// Whether it is loaded.
    pub loaded: bool,
    /// Whether the running kernel has it to load; none if that cannot be told.
    pub installed: Option<bool>,
    /// The running kernel.
    pub kernel: String,
    /// `/dev/daedalus`, which is for daemons.
    pub node: Node,
    /// Who has it open, as far as this user may see.
    pub holder: Option<Holder>,
    /// Its parameters.
    pub limits: Limits,
    /// Its video devices.
    pub devices: Vec<Device>,
}

/// A process that has the module's node open.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Holder {
    /// The process.
    pub pid: u32,
    /// Its program.
    pub program: String,
}

/// The module's parameters, those that can be read.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Limits {
    /// Open files of the video device.
    pub sessions_per_user: Option<u64>,
    /// MiB of buffers.
    pub memory_per_user: Option<u64>,
    /// Queued coded buffers.
    pub requests_per_user: Option<u64>,
}

/// A video device of the module, with its media device.
#[derive(Clone, Debug, Serialize)]
pub struct Device {
    /// Decodes.
    pub video: Node,
    /// Makes requests; none if there is none.
    pub media: Option<Node>,
    /// Whether a daemon is attached, if the module says so.
    pub attached: Option<bool>,
    /// How many daemons there have been.
    pub daemons: Option<u64>,
}

/// Looks.
pub fn look() -> Module {
    let release = nix::sys::utsname::uname();
    let kernel = release.map(|u| u.release().to_string_lossy().into_owned()).unwrap_or_default();
    Module {
        loaded: Path::new("/sys/module").join(NAME).exists(),
        installed: installed(&Path::new("/lib/modules").join(&kernel)),
        kernel,
        node: Node::look(Path::new(NODE)),
        holder: holder(),
        limits: Limits {
            sessions_per_user: parameter("sessions_per_user"),
            memory_per_user: parameter("memory_per_user"),
            requests_per_user: parameter("requests_per_user"),
        },
        devices: devices(Path::new("/sys/class/video4linux")),
    }
}

fn text(path: &Path) -> Option<String> {
    // A name may be cut off inside a character.
    Some(String::from_utf8_lossy(&fs::read(path).ok()?).trim().to_owned())
}

fn parameter(name: &str) -> Option<u64> {
    text(&Path::new("/sys/module").join(NAME).join("parameters").join(name))?.parse().ok()
}

/// Whether modprobe would find it: depmod lists each module by its file.
fn installed(folder: &Path) -> Option<bool> {
    let list = fs::read_to_string(folder.join("modules.dep")).ok()?;
    let is_it = |line: &str| {
        let file = line.split(':').next().and_then(|path| path.rsplit('/').next());
        file.is_some_and(|file| file.split('.').next() == Some(NAME))
    };
    Some(list.lines().any(is_it))
}

/// The video devices whose driver is ours, by number.
fn devices(class: &Path) -> Vec<Device> {
    let entries = fs::read_dir(class).into_iter().flatten().flatten();
    let is_ours = |path: &PathBuf| {
        let video =
            path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("video"));
        video && text(&path.join("name")).as_deref() == Some(NAME)
    };
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.path()).filter(is_ours).collect();
    paths.sort();
    paths.iter().filter_map(|path| device(path)).collect()
}

fn device(path: &Path) -> Option<Device> {
    let video = Path::new("/dev").join(path.file_name()?);
    Some(Device {
        video: Node::open(&video),
        media: media(path).map(|media| Node::open(&media)),
        attached: text(&path.join("daemon")).map(|state| state == "attached"),
        daemons: text(&path.join("daemons")).and_then(|count| count.parse().ok()),
    })
}

/// The media device that belongs to a video device: both have the same parent.
fn media(video: &Path) -> Option<PathBuf> {
    let parent = fs::canonicalize(video.join("device")).ok()?;
    let entries = fs::read_dir(parent).ok()?.flatten();
    let name = entries.map(|entry| entry.file_name()).find(|name| {
        let number = name.to_str().and_then(|name| name.strip_prefix("media"));
        number.is_some_and(|number| number.parse::<u32>().is_ok())
    });
    Some(Path::new("/dev").join(name?))
}

/// Who has the module's node open, a daemon first: others may look at it. Others' files can be seen by root alone.
fn holder() -> Option<Holder> {
    let processes = fs::read_dir("/proc").ok()?.flatten();
    let numbers = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let holders = numbers.filter_map(|pid| {
        let files = fs::read_dir(format!("/proc/{pid}/fd")).ok()?.flatten();
        let has_it =
            |file: fs::DirEntry| fs::read_link(file.path()).is_ok_and(|to| to == Path::new(NODE));
        files.into_iter().any(has_it).then(|| Holder { pid, program: program(pid) })
    });
    holders.min_by_key(|holder| holder.program != "daedalusd")
}

/// The name of a process's program; its number if it is gone.
pub fn program(pid: u32) -> String {
    text(Path::new(&format!("/proc/{pid}/comm"))).unwrap_or_else(|| format!("process {pid}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_program_may_be_cut_off_inside_a_character() {
        // The kernel keeps 15 bytes; the eighth of these characters begins with the last of them.
        let named = std::thread::spawn(|| {
            fs::write("/proc/thread-self/comm", "ääääääää").unwrap();
            let thread = fs::read_link("/proc/thread-self").unwrap();
            let thread: u32 = thread.file_name().unwrap().to_str().unwrap().parse().unwrap();
            program(thread)
        });
        assert_eq!(named.join().unwrap(), "äääääää\u{fffd}");
    }

    #[test]
    fn a_module_that_can_be_loaded_is_found_in_the_list() {
        let folder = std::env::temp_dir().join(format!("daedalusctl-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        assert_eq!(installed(&folder), None);
        let list = folder.join("modules.dep");
        fs::write(&list, "kernel/a/daedalus_other.ko: kernel/b.ko\n").unwrap();
        assert_eq!(installed(&folder), Some(false));
        for file in ["updates/dkms/daedalus.ko.xz:", "extra/daedalus.ko: kernel/mc.ko"] {
            fs::write(&list, format!("kernel/a.ko:\n{file}\n")).unwrap();
            assert_eq!(installed(&folder), Some(true), "{file}");
        }
        fs::remove_dir_all(&folder).unwrap();
    }
}
