//! The packages for arm64 (a Raspberry Pi 5, say), cross-built; what was built is run by qemu-user with Debian's
//! arm64 libraries. That shows the code, not a Pi's kernel, graphics or speed.

use std::fs;
use std::process::Command;

use super::{Checks, Options, build, folder, source};
use crate::root::{Kept, Mounts, Plan, named};

const PLAN: Plan = Plan {
    codename: "trixie",
    architectures: &["amd64", "arm64"],
    packages: &[
        "build-essential",
        "crossbuild-essential-arm64",
        "cargo",
        "debhelper",
        "dh-dkms",
        "ffmpeg:arm64",
        "libavcodec-dev:arm64",
        "libclang-dev",
        "libdav1d-dev:arm64",
        "libstd-rust-dev:arm64",
        "libva-dev:arm64",
        "lintian",
        "meson",
        "pkgconf:arm64",
        "qemu-user",
        "rustc",
        "systemd-dev",
        "vainfo:arm64",
        "xvfb",
    ],
    finish: "",
};

/// What the folder of packages is called.
const KIND: &str = "trixie-arm64";

/// Runs arm64 programs, with arm64 libraries where Debian puts them.
const RUNNER: &str = "qemu-aarch64 -L /";

/// The daemon's tests want a kernel whose sandbox is of its own architecture: seccomp filters are of no use to an emulator.
const TESTED: &str =
    "--package daedalus-uapi --package daedalus-engine --package daedalus-va-driver";

/// Decodes a film on a display of its own, in software and through the driver of the package.
const DECODE: &str = r#"
dpkg-deb --extract /work/daedalus-va-driver_*_arm64.deb /tmp/driver
export LIBVA_DRIVERS_PATH=/tmp/driver/usr/lib/aarch64-linux-gnu/dri LIBVA_DRIVER_NAME=daedalus DISPLAY=:77
export DAEDALUS_DEVICE=embedded
test -s "$LIBVA_DRIVERS_PATH/daedalus_drv_video.so"
Xvfb :77 -screen 0 320x240x24 -nolisten tcp >/tmp/xvfb.log 2>&1 &
xvfb=$!
trap 'kill $xvfb' EXIT
sleep 2
ffmpeg() { qemu-aarch64 -L / /usr/bin/ffmpeg -hide_banner -loglevel error "$@"; }
for clip in engine/tests/data/bframes.h264 engine/tests/data/altref.ivf tests/data/av1/aom-lag19.ivf; do
    codec=
    case $clip in *av1*) codec='-c:v av1' ;; esac
    ffmpeg -init_hw_device vaapi=va:,connection_type=x11 -hwaccel vaapi -hwaccel_device va \
        -hwaccel_output_format vaapi $codec -i "$clip" -vf hwdownload,format=nv12,format=yuv420p \
        -fps_mode passthrough -f framemd5 /tmp/vaapi
    ffmpeg -i "$clip" -pix_fmt yuv420p -fps_mode passthrough -f framemd5 /tmp/software
    for of in vaapi software; do sed -n 's/^[^#].*, *//p' /tmp/$of >/tmp/$of.sums; done
    test -s /tmp/software.sums
    cmp /tmp/vaapi.sums /tmp/software.sums
    echo "$clip: $(wc -l </tmp/vaapi.sums) frames are the same"
done
"#;

/// See the module.
pub fn run(mounts: &Mounts, options: &Options, checks: &mut Checks) -> Result<(), String> {
    let root = Kept::root("package-arm64", &PLAN, options.renew)?;
    let place = folder().join(KIND);
    if options.no_build {
        build::enter(mounts, root.path(), KIND)?;
    } else {
        let sources = source::prepare()?;
        build::start(mounts, root.path(), KIND, &sources)?;
        eprintln!("x: cross-building for arm64");
        let words = ["dpkg-buildpackage", "-us", "-uc", "--build=binary", "-aarm64"];
        let mut build = build::inside(root.path(), &words);
        build.env("DEB_BUILD_OPTIONS", "nocheck").env("DEB_BUILD_PROFILES", "cross nocheck");
        let done = build::logged(&mut build, &place.join("build.log"));
        if !checks.say("cross-build for arm64", done) {
            return Ok(());
        }
        checks.say("lintian on the packages for arm64", build::lint_in(root.path()));
    }
    let log = place.join("decode.log");
    let mut decode = build::inside(root.path(), &["sh", "-euc", DECODE]);
    let done = build::logged(&mut decode, &log);
    if done.is_ok() {
        print!("{}", fs::read_to_string(&log).map_err(named(&log))?);
    }
    checks.say("ffmpeg decodes exactly through the arm64 driver (qemu-user, Xvfb)", done);
    if options.no_check {
        checks.skip("tests of the crates on arm64", "asked for");
        return Ok(());
    }
    let log = place.join("tests.log");
    let done = build::logged(&mut tests(&root), &log);
    let said = fs::read_to_string(&log).unwrap_or_default();
    let mut sum = crate::summary::Summary::default();
    said.lines().for_each(|line| {
        sum.add(line);
    });
    println!("tests of the crates: {sum}");
    checks.say("tests of the crates on arm64 (qemu-user)", done);
    Ok(())
}

/// `cargo test` for arm64 with what the package was built from.
fn tests(root: &Kept) -> Command {
    let line = format!(
        "exec dist/cargo.sh /work/daedalus /work /work/daedalus/vendor true test --no-fail-fast \
          {TESTED} --no-default-features --features daedalus-va-driver/embedded"
    );
    let mut command = build::inside(root.path(), &["sh", "-euc", &line]);
    command.env("CARGO_BUILD_TARGET", "aarch64-unknown-linux-gnu");
    command.env("CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER", "aarch64-linux-gnu-gcc");
    command.env("CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER", RUNNER);
    command.env("PKG_CONFIG", "aarch64-linux-gnu-pkg-config").env("PKG_CONFIG_ALLOW_CROSS", "1");
    command
}
