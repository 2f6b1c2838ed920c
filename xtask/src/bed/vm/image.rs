//! The guest's disk and kernel: a Debian 13 as people have it, packed.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use daedalus_tests::process;

use crate::root::{self, Kept, Mounts, Plan, named};

/// What the guest has besides the essential packages. To add to it, name packages here: the image is
/// made anew when this list changes.
const PACKAGES: &[&str] = &[
    // The system.
    "linux-image-amd64",
    "kmod",
    "busybox-static",
    "cpio",
    "iproute2",
    "procps",
    "strace",
    "udev",
    "xz-utils",
    "python3-minimal",
    // What the driver and the daemon load.
    "libavcodec61",
    "libdav1d7",
    "libva2",
    "libva-drm2",
    "libva-x11-2",
    // Clients.
    "ffmpeg",
    "mpv",
    "vainfo",
    "v4l-utils",
    "gstreamer1.0-tools",
    "gstreamer1.0-plugins-base",
    "gstreamer1.0-plugins-good",
    "gstreamer1.0-plugins-bad",
    "gstreamer1.0-libav",
    "gstreamer1.0-vaapi",
    "gstreamer1.0-gl",
    "firefox-esr",
    "chromium",
    "vlc-bin",
    "vlc-plugin-base",
    "vlc-plugin-video-output",
    // Graphics without a GPU.
    "weston",
    "libegl-mesa0",
    "libgl1-mesa-dri",
    "libgles2",
    "xvfb",
];

const PLAN: Plan = Plan {
    codename: "trixie",
    architectures: &[],
    packages: PACKAGES,
    finish: include_str!("image.sh"),
};

const PACKING_LIMIT: Duration = Duration::from_secs(600);

/// Where the workshop sees the image: `root.squashfs`, `initramfs`, and `vmlinux`, which is not compressed
/// because unpacking it takes an emulated machine seconds.
pub const PLACE: &str = "image";

/// What a guest starts from. It stays while this does.
pub struct Image {
    _folder: Kept,
    /// The kernel's release, as `uname -r` says it.
    pub release: String,
}

impl Image {
    /// The image, made now unless it is there (and `renew` is not set). The workshop sees it as [`PLACE`].
    pub fn get(workshop: &Kept, mounts: &Mounts, renew: bool) -> Result<Self, String> {
        let recipe = format!("{PLAN:#?}\n");
        let make = |folder: &Path| make(workshop, mounts, folder);
        let folder = Kept::folder("vm-image", &recipe, renew, make)?;
        mounts.read_only(folder.path(), workshop.path(), PLACE)?;
        let file = folder.path().join("release");
        let release = fs::read_to_string(&file).map_err(named(&file))?.trim().to_owned();
        Ok(Self { _folder: folder, release })
    }
}

fn make(workshop: &Kept, mounts: &Mounts, folder: &Path) -> Result<(), String> {
    let started = Instant::now();
    if folder.exists() {
        fs::remove_dir_all(folder).map_err(named(folder))?;
    }
    let tree = folder.join("root");
    fs::create_dir_all(folder).map_err(named(folder))?;
    root::make(&PLAN, &tree)?;
    let boot = tree.join("boot/daedalus");
    for file in ["release", "initramfs"] {
        fs::copy(boot.join(file), folder.join(file)).map_err(named(&boot.join(file)))?;
    }
    mounts.folder(folder, workshop.path(), PLACE)?;
    unpack_kernel(workshop, PLACE, folder, &boot.join("vmlinuz"))?;
    fs::remove_dir_all(tree.join("boot")).map_err(named(&tree))?;

    eprintln!("x: packing it");
    let pack = "mksquashfs root root.squashfs -comp lz4 -noappend -no-progress -quiet";
    run(workshop, PLACE, pack)?;
    fs::remove_dir_all(&tree).map_err(named(&tree))?;
    eprintln!("x: the guest's image is made, after {} s", started.elapsed().as_secs());
    Ok(())
}

/// Unpacks a kernel to `vmlinux` in the image's folder, which the workshop sees as `place`.
pub fn unpack_kernel(
    workshop: &Kept,
    place: &str,
    folder: &Path,
    kernel: &Path,
) -> Result<(), String> {
    let image = fs::read(kernel).map_err(named(kernel))?;
    let payload = payload(&image).ok_or("the guest's kernel is no bzImage with zstd in it")?;
    let packed = folder.join("vmlinux.zst");
    fs::write(&packed, payload).map_err(named(&packed))?;
    run(workshop, place, "zstd -q -d --rm vmlinux.zst")
}

/// Runs the words of `command` in the workshop, in the folder `place`.
fn run(workshop: &Kept, place: &str, command: &str) -> Result<(), String> {
    let words: Vec<&str> = command.split_whitespace().collect();
    let mut command = root::command(workshop.path(), &format!("/{place}"), &words);
    let done = process::run(&mut command, PACKING_LIMIT).map_err(|e| e.to_string())?;
    if done.status.success() {
        Ok(())
    } else {
        Err(format!("{} ended with {}:\n{}", words[0], done.ending(), done.log_tail(20)))
    }
}

/// The zstd frame in a bzImage: Linux, Documentation/arch/x86/boot.rst, payload_offset.
fn payload(image: &[u8]) -> Option<&[u8]> {
    let word = |at: usize| -> Option<usize> {
        let bytes = image.get(at..at + 4)?.try_into().ok()?;
        usize::try_from(u32::from_le_bytes(bytes)).ok()
    };
    if image.get(0x202..)?.get(..4)? == b"HdrS".as_slice() {
        let setup_sectors = match image[0x1f1] {
            0 => 4,
            sectors => usize::from(sectors),
        };
        let start = (setup_sectors + 1) * 512 + word(0x248)?;
        // Its last four bytes are the unpacked length.
        let payload = image.get(start..start + word(0x24c)?.checked_sub(4)?)?;
        return payload.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]).then_some(payload);
    }
    None
}

#[cfg(test)]
mod tests {
    use super::payload;

    /// A boot image with one setup sector, whose payload is `content` and a length.
    fn boot_image(content: &[u8]) -> Vec<u8> {
        let mut image = vec![0; 2 * 512 + 8];
        image[0x1f1] = 1;
        image[0x202..0x206].copy_from_slice(b"HdrS");
        image[0x248..0x24c].copy_from_slice(&8_u32.to_le_bytes());
        let length = u32::try_from(content.len() + 4).unwrap();
        image[0x24c..0x250].copy_from_slice(&length.to_le_bytes());
        image.extend_from_slice(content);
        image.extend_from_slice(&[1, 2, 3, 4]);
        image
    }

    #[test]
    fn the_payload_is_found_without_its_length() {
        let content = [0x28, 0xb5, 0x2f, 0xfd, 9, 8, 7];
        assert_eq!(payload(&boot_image(&content)), Some(content.as_slice()));
    }

    #[test]
    fn other_files_have_no_payload() {
        assert_eq!(payload(b"MZ"), None);
        assert_eq!(payload(&[0; 4096]), None);
        assert_eq!(payload(&boot_image(b"\x1f\x8b gzip")), None);
        let mut torn = boot_image(&[0x28, 0xb5, 0x2f, 0xfd, 9, 8, 7]);
        torn.truncate(1030);
        assert_eq!(payload(&torn), None);
    }
}
