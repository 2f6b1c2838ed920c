//! Where the driver is, and where libva looks for drivers.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use serde::Serialize;

use super::lossy;

/// The driver, as libva names files.
pub const DRIVER_FILE: &str = "daedalus_drv_video.so";

/// Where distributions put drivers, below the library folders.
const FOLDERS: &[&str] = &["/usr/lib", "/usr/lib64", "/usr/local/lib"];

/// The driver's file.
#[derive(Clone, Debug, Serialize)]
pub struct Driver {
    /// `LIBVA_DRIVERS_PATH`.
    pub path_variable: Option<String>,
    /// `LIBVA_DRIVER_NAME`.
    pub name_variable: Option<String>,
    /// The folders that libva looks in; empty if that could not be found out.
    #[serde(serialize_with = "lossy::list")]
    pub searched: Vec<PathBuf>,
    /// Where in `searched` the driver is.
    #[serde(serialize_with = "lossy::option")]
    pub found: Option<PathBuf>,
    /// Where else it is.
    #[serde(serialize_with = "lossy::list")]
    pub elsewhere: Vec<PathBuf>,
}

/// Looks; `messages` are libva's own.
pub fn look(messages: &[String]) -> Driver {
    let variable = |name| env::var_os(name).map(|value| value.to_string_lossy().into_owned());
    let path_variable = variable("LIBVA_DRIVERS_PATH");
    let searched: Vec<PathBuf> = match &path_variable {
        Some(path) => path.split(':').filter(|folder| !folder.is_empty()).map(Into::into).collect(),
        None => {
            let known = [tried_folders(messages), driverdir()];
            known.into_iter().find(|folders| !folders.is_empty()).unwrap_or_default()
        }
    };
    let has_it = |folder: &PathBuf| folder.join(DRIVER_FILE).exists();
    let usual = usual_folders(FOLDERS.iter().map(Path::new));
    Driver {
        found: searched.iter().find(|folder| has_it(folder)).map(|f| f.join(DRIVER_FILE)),
        elsewhere: usual.into_iter().filter(|f| has_it(f) && !searched.contains(f)).collect(),
        name_variable: variable("LIBVA_DRIVER_NAME"),
        path_variable,
        searched,
    }
}

/// The folders of the files that libva says it tried.
fn tried_folders(messages: &[String]) -> Vec<PathBuf> {
    let mut folders: Vec<PathBuf> = Vec::new();
    for file in tried(messages) {
        if let Some(folder) = file.parent().filter(|folder| !folders.iter().any(|f| f == folder)) {
            folders.push(folder.to_owned());
        }
    }
    folders
}

/// The files that libva says it tried.
pub fn tried(messages: &[String]) -> Vec<PathBuf> {
    let file = |line: &String| Some(line.split_once("Trying to open ")?.1.trim().into());
    messages.iter().filter_map(file).collect()
}

/// What libva's developer files say, where they are installed.
fn driverdir() -> Vec<PathBuf> {
    let mut ask = Command::new("pkg-config");
    ask.args(["--variable=driverdir", "libva"]).stdin(Stdio::null()).stderr(Stdio::null());
    let said = ask.output().ok().filter(|done| done.status.success());
    let said = said.and_then(|done| String::from_utf8(done.stdout).ok()).unwrap_or_default();
    match said.trim() {
        "" => Vec::new(),
        folder => vec![folder.into()],
    }
}

/// `dri` in each library folder, and one level below (Debian's x86_64-linux-gnu).
fn usual_folders<'a>(roots: impl Iterator<Item = &'a Path>) -> Vec<PathBuf> {
    let mut folders = Vec::new();
    for root in roots {
        folders.push(root.join("dri"));
        let below = fs::read_dir(root).into_iter().flatten().flatten();
        folders.extend(below.map(|entry| entry.path().join("dri")).filter(|f| f.is_dir()));
    }
    folders.retain(|folder| folder.is_dir());
    folders
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_are_those_of_the_files_that_libva_tried() {
        let messages = [
            "libva info: VA-API version 1.17.0",
            "libva info: Trying to open /usr/lib/x86_64-linux-gnu/dri/iHD_drv_video.so",
            "libva info: Trying to open /usr/lib/x86_64-linux-gnu/dri/i965_drv_video.so",
            "libva info: Trying to open /usr/lib/dri/i965_drv_video.so",
        ]
        .map(String::from);
        let folders = ["/usr/lib/x86_64-linux-gnu/dri", "/usr/lib/dri"].map(PathBuf::from);
        assert_eq!(tried_folders(&messages), folders);
        assert_eq!(tried(&messages).len(), 3);
    }
}
