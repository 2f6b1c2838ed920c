//! The child that asks libva: one line of JSON per step on standard output, libva's own messages on standard
//! error. Nothing is linked: there may be no libva, or an old one.

#![allow(unsafe_code)]

use std::{
    ffi::{CStr, c_char, c_int, c_void},
    fs::{self, File, OpenOptions},
    io::Write,
    os::fd::AsRawFd,
    path::{Path, PathBuf},
    process::ExitCode,
    ptr,
};

use libloading::os::unix::{Library, Symbol};

use super::libva::{Step, has_x11};

/// `VADisplay`.
type Display = *mut c_void;
/// `VAStatus`.
type Status = c_int;

/// What this program is called where it is that child.
pub const NAME: &str = "daedalusctl-probe";

/// Profiles that a driver may have; there are some thirty.
const MOST_PROFILES: c_int = 1 << 16;

type Result<T> = std::result::Result<T, String>;

fn say(step: &Step) {
    let mut line = serde_json::to_string(step).unwrap_or_default();
    line.push('\n');
    // Nobody is left to tell if this fails.
    let _ = std::io::stdout().write_all(line.as_bytes());
}

/// Asks about all displays.
pub fn run() -> Result<ExitCode> {
    let libva = match Libva::load() {
        Ok(libva) => libva,
        Err(error) => {
            let predecessor = load("libva.so.1").is_ok();
            say(&Step::NoLibrary { predecessor, error });
            return Ok(ExitCode::SUCCESS);
        }
    };
    if let Some(file) = mapped("libva.so.2") {
        say(&Step::Library(file));
    }
    for node in render_nodes() {
        match Render::open(&node) {
            Ok(render) => say(&libva.ask(&node.display().to_string(), render.display)),
            Err(why) => say(&Step::NoDisplay(why)),
        }
    }
    // Last, for its server may not answer.
    if has_x11() {
        say(&Step::Opening(format!("DISPLAY={}", std::env::var("DISPLAY").unwrap_or_default())));
        match X11::open() {
            Ok(x11) => {
                say(&Step::Opened);
                say(&libva.ask("x11", x11.display));
            }
            Err(why) => say(&Step::NoDisplay(why)),
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn load(name: &str) -> Result<Library> {
    // SAFETY: what a system's libraries run when they are loaded is what every program runs that uses them.
    unsafe { Library::new(name) }.map_err(|error| error.to_string())
}

/// A function of a library.
///
/// # Safety
/// `T` is a pointer to a function of that type.
unsafe fn function<T>(library: &Library, name: &CStr) -> Result<Symbol<T>> {
    // SAFETY: the caller knows the type.
    unsafe { library.get(name.to_bytes_with_nul()) }.map_err(|error| error.to_string())
}

/// The file that a library with this name was mapped from.
fn mapped(name: &str) -> Option<String> {
    let maps = fs::read_to_string("/proc/self/maps").ok()?;
    let paths = maps.lines().filter_map(|line| Some(&line[line.find('/')?..]));
    let is_it = |path: &&str| path.rsplit('/').next().is_some_and(|file| file.starts_with(name));
    paths.into_iter().find(is_it).map(String::from)
}

/// libva's functions, whose types are those of `va/va.h`.
struct Libva {
    initialize: Symbol<unsafe extern "C" fn(Display, *mut c_int, *mut c_int) -> Status>,
    terminate: Symbol<unsafe extern "C" fn(Display) -> Status>,
    error: Symbol<unsafe extern "C" fn(Status) -> *const c_char>,
    vendor: Symbol<unsafe extern "C" fn(Display) -> *const c_char>,
    max_profiles: Symbol<unsafe extern "C" fn(Display) -> c_int>,
    profiles: Symbol<unsafe extern "C" fn(Display, *mut c_int, *mut c_int) -> Status>,
    _library: Library,
}

impl Libva {
    fn load() -> Result<Libva> {
        let library = load("libva.so.2")?;
        // SAFETY: the types are those of the header; VAProfile is an int.
        unsafe {
            Ok(Libva {
                initialize: function(&library, c"vaInitialize")?,
                terminate: function(&library, c"vaTerminate")?,
                error: function(&library, c"vaErrorStr")?,
                vendor: function(&library, c"vaQueryVendorString")?,
                max_profiles: function(&library, c"vaMaxNumProfiles")?,
                profiles: function(&library, c"vaQueryConfigProfiles")?,
                _library: library,
            })
        }
    }

    /// Has libva find a driver for a display.
    fn ask(&self, name: &str, display: Display) -> Step {
        let display_name = name.to_owned();
        let (mut major, mut minor) = (0, 0);
        // SAFETY: the display is libva's, open, and new.
        let status = unsafe { (self.initialize)(display, &mut major, &mut minor) };
        if status != 0 {
            // SAFETY: it takes any number, and returns a string that is always there.
            let error = unsafe { text((self.error)(status)) };
            return Step::Fails { display: display_name, error };
        }
        // SAFETY: vaInitialize has worked, so the display may be asked.
        let most = unsafe { (self.max_profiles)(display) };
        if !(0..=MOST_PROFILES).contains(&most) {
            let error = format!("a driver that says it has {most} profiles");
            return Step::Fails { display: display_name, error };
        }
        // SAFETY: as above; profiles have room for the number that the driver has said.
        let step = unsafe {
            let mut profiles = vec![0; most.unsigned_abs() as usize];
            let mut count = 0;
            let status = (self.profiles)(display, profiles.as_mut_ptr(), &mut count);
            let count = if status == 0 { usize::try_from(count).unwrap_or_default() } else { 0 };
            let vendor = text((self.vendor)(display));
            let version = (major.unsigned_abs(), minor.unsigned_abs());
            Step::Works { display: display_name, version, vendor, profiles: count }
        };
        // SAFETY: nothing uses it after this.
        unsafe { (self.terminate)(display) };
        step
    }
}

/// # Safety
/// A C string, or null.
unsafe fn text(text: *const c_char) -> String {
    match text.is_null() {
        true => String::new(),
        // SAFETY: the caller says so.
        false => unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned(),
    }
}

/// A display on X11, which stays open until the process ends.
struct X11 {
    display: Display,
    _libraries: [Library; 2],
}

impl X11 {
    fn open() -> Result<X11> {
        let x11 = load("libX11.so.6")?;
        let va = load("libva-x11.so.2")?;
        // SAFETY: the types are those of Xlib.h and va_x11.h; a null name is $DISPLAY's.
        let display = unsafe {
            let open: Symbol<unsafe extern "C" fn(*const c_char) -> *mut c_void> =
                function(&x11, c"XOpenDisplay")?;
            let get: Symbol<unsafe extern "C" fn(*mut c_void) -> Display> =
                function(&va, c"vaGetDisplay")?;
            let server = open(ptr::null());
            if server.is_null() {
                let name = std::env::var("DISPLAY").unwrap_or_default();
                return Err(format!("x11: the display {name} cannot be opened"));
            }
            get(server)
        };
        match display.is_null() {
            true => Err("x11: vaGetDisplay gives no display".into()),
            false => Ok(X11 { display, _libraries: [x11, va] }),
        }
    }
}

fn render_nodes() -> Vec<PathBuf> {
    let entries = fs::read_dir("/dev/dri").into_iter().flatten().flatten();
    let is_one = |path: &PathBuf| {
        path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("renderD"))
    };
    let mut nodes: Vec<PathBuf> = entries.map(|entry| entry.path()).filter(is_one).collect();
    nodes.sort();
    nodes
}

/// A display on a render node.
struct Render {
    display: Display,
    _node: File,
    _library: Library,
}

impl Render {
    fn open(path: &Path) -> Result<Render> {
        let named = |error: String| format!("{}: {error}", path.display());
        let node = OpenOptions::new().read(true).write(true).open(path);
        let node = node.map_err(|error| named(error.to_string()))?;
        let library = load("libva-drm.so.2").map_err(named)?;
        // SAFETY: the type is that of va_drm.h; the node is open as long as the display.
        let display = unsafe {
            let get: Symbol<unsafe extern "C" fn(c_int) -> Display> =
                function(&library, c"vaGetDisplayDRM").map_err(named)?;
            get(node.as_raw_fd())
        };
        match display.is_null() {
            true => Err(named("vaGetDisplayDRM gives no display".into())),
            false => Ok(Render { display, _node: node, _library: library }),
        }
    }
}
