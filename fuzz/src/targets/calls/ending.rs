//! How a client ends: with vaTerminate when all is said, or while calls wait that began before.
//!
//! libva's display goes with vaTerminate, so that no call may begin then or later; one that has begun
//! may still be at it. Which has, the kernel tells: a thread that said that it calls, and sleeps, sleeps
//! in the call, for between the two there is nothing to wait for.

use std::{
    ffi::c_void,
    fs,
    path::{Path, PathBuf},
    ptr,
    sync::{
        OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use libva_sys as va;

use super::{
    driver::{Driver, call},
    ids::{Ids, Kind},
    operations::SIZES,
};
use crate::input::Input;

/// From here on the byte behind the calls says how many threads wait: one to three. Below, none.
pub(super) const WAITING: u8 = 0xf0;

/// How often it is looked whether a call has begun.
const MOMENT: Duration = Duration::from_micros(50);

/// vaTerminate, as the rest of the input has it.
pub fn end(input: &mut Input<'_>, driver: &Driver, ids: &Ids) {
    let byte = input.u8();
    let count = if byte >= WAITING { byte % 3 + 1 } else { 0 };
    let waiters: Vec<_> = (0..count).map(|_| Waiter::new(Wait::read(input, ids))).collect();
    thread::scope(|scope| {
        let threads = waiters.iter().map(|waiter| scope.spawn(move || waiter.run(driver)));
        let threads = threads.collect();
        for waiter in &waiters {
            while !waiter.has_begun() {
                thread::sleep(MOMENT);
            }
        }
        driver.end();
        super::join(threads);
    });
}

/// A call that waits for a picture.
#[derive(Clone, Copy, Debug)]
enum Wait {
    Sync(va::VASurfaceID),
    SyncForever(va::VASurfaceID),
    SyncBuffer(va::VABufferID),
    Map(va::VABufferID),
    Get(va::VASurfaceID, va::VAImageID),
    Export(va::VASurfaceID),
}

impl Wait {
    fn read(input: &mut Input<'_>, ids: &Ids) -> Wait {
        let how = input.u8();
        let [id, image] = [input.u8(), input.u8()];
        let (surface, buffer) = (ids.get(Kind::Surface, id), ids.get(Kind::Buffer, id));
        match how % 6 {
            0 => Wait::Sync(surface),
            1 => Wait::SyncForever(surface),
            2 => Wait::SyncBuffer(buffer),
            3 => Wait::Map(buffer),
            4 => Wait::Get(surface, ids.get(Kind::Image, image)),
            _ => Wait::Export(surface),
        }
    }

    /// The call, and no other.
    fn call(self, driver: &Driver) {
        let forever = va::VA_TIMEOUT_INFINITE as u64;
        let side = SIZES[0];
        match self {
            Wait::Sync(surface) => {
                call!(driver, vaSyncSurface, surface);
            }
            Wait::SyncForever(surface) => {
                call!(driver, vaSyncSurface2, surface, forever);
            }
            Wait::SyncBuffer(buffer) => {
                call!(driver, vaSyncBuffer, buffer, forever);
            }
            Wait::Map(buffer) => {
                let mut address: *mut c_void = ptr::null_mut();
                call!(driver, vaMapBuffer, buffer, &mut address);
            }
            Wait::Get(surface, image) => {
                call!(driver, vaGetImage, surface, 0, 0, side, side, image);
            }
            Wait::Export(surface) => {
                driver.export(surface, va::VA_SURFACE_ATTRIB_MEM_TYPE_DRM_PRIME_2, 0);
            }
        }
    }
}

/// A thread with one call to make.
struct Waiter {
    wait: Wait,
    /// The kernel's page about it, from when it calls on.
    task: OnceLock<PathBuf>,
    done: AtomicBool,
}

impl Waiter {
    fn new(wait: Wait) -> Waiter {
        Waiter { wait, task: OnceLock::new(), done: AtomicBool::new(false) }
    }

    fn run(&self, driver: &Driver) {
        // Where it does not say, the call is over before it counts as begun.
        let task = fs::read_link("/proc/thread-self");
        if let Ok(task) = task.map(|task| Path::new("/proc").join(task).join("stat")) {
            self.task.get_or_init(|| task);
        }
        self.wait.call(driver);
        self.done.store(true, Ordering::SeqCst);
    }

    fn has_begun(&self) -> bool {
        self.done.load(Ordering::SeqCst) || self.task.get().is_some_and(|task| sleeps(task))
    }
}

/// Whether a thread waits for something; one that only waits for a processor does not.
fn sleeps(stat: &Path) -> bool {
    let stat = fs::read_to_string(stat).unwrap_or_default();
    // Behind the thread's name, which may have parentheses, too.
    stat.rsplit_once(')').is_some_and(|(_, rest)| rest.trim_start().starts_with('S'))
}
