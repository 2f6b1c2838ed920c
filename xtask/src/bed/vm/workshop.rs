//! The root in which the guest and what it runs are made, and from which it is started.
//!
//! It is a Debian 13 like the guest: programs built there run in the guest, and its emulator is the same
//! wherever we are.

use crate::root::{Kept, Plan};

const PLAN: Plan = Plan {
    codename: "trixie",
    architectures: &[],
    packages: &[
        // To build the project.
        "cargo",
        "gcc",
        "libavcodec-dev",
        "libc6-dev",
        "libclang-dev",
        "libdav1d-dev",
        "libva-dev",
        "libx11-dev",
        "pkg-config",
        "rustc",
        // To pack an image and to run it.
        "qemu-system-x86",
        "squashfs-tools",
        "zstd",
    ],
    finish: "",
};

/// The root, made now unless it is there (and `renew` is not set).
pub fn get(renew: bool) -> Result<Kept, String> {
    Kept::root("vm-workshop", &PLAN, renew)
}
