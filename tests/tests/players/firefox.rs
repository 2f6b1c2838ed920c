//! Firefox: a page with a video element, in a profile made for it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use daedalus_tests::process;

use crate::compositor::BACKGROUND;
use crate::film::Film;

/// What its log says of a picture that comes from VA-API.
pub const DECODED: &str = "VA-API frame pts=";

/// Tells Firefox what the graphics are like, in a process of its own.
const PROBE: &str = "/usr/lib/firefox-esr/glxtest";

/// It refuses VA-API where OpenGL is software's. So the probe's answer is changed: hardware, on the render node.
const WRAPPER: &str = r#"#!/bin/sh
# The real probe's answer, without what says that nothing is accelerated.
fd=1
previous=
for word; do
    [ "$previous" = -f ] && fd=$word
    previous=$word
done
"$0.real" -w | awk '
    skip { skip = 0; next }
    $0 == "MESA_ACCELERATED" || $0 == "RENDERER" || $0 == "DRI_DRIVER" || $0 == "DRM_RENDERDEVICE" { skip = 1; next }
    { print }
    END {
        print "MESA_ACCELERATED"; print "TRUE"
        print "RENDERER"; print "virgl"
        print "DRI_DRIVER"; print "virtio_gpu"
        print "DRM_RENDERDEVICE"; print "/dev/dri/renderD128"
    }' >/proc/self/fd/$fd
"#;

/// Preferences, and why. docs/players.md has those that a user needs.
const PREFERENCES: &[(&str, &str)] = &[
    // VA-API on a machine that Firefox does not know.
    ("media.hardware-video-decoding.force-enabled", "true"),
    ("media.ffmpeg.vaapi.enabled", "true"),
    ("widget.dmabuf.force-enabled", "true"),
    ("layers.acceleration.force-enabled", "true"),
    ("gfx.webrender.all", "true"),
    // VP9 and AV1 would go to the decoders that come with Firefox.
    ("media.ffvpx.enabled", "false"),
    ("media.rdd-ffvpx.enabled", "false"),
    // An emulated machine is too slow for Firefox' patience.
    ("media.ffmpeg.disable-software-fallback", "true"),
    ("dom.max_script_run_time", "0"),
    // The page plays by itself and tells what it does.
    ("media.autoplay.default", "0"),
    ("browser.dom.window.dump.enabled", "true"),
    // The colours as they are, and nothing beside the page.
    ("gfx.color_management.mode", "0"),
    ("browser.aboutwelcome.enabled", "false"),
    ("browser.shell.checkDefaultBrowser", "false"),
    ("browser.startup.homepage_override.mstone", "\"ignore\""),
    ("datareporting.policy.dataSubmissionEnabled", "false"),
    ("toolkit.telemetry.enabled", "false"),
    ("app.normandy.enabled", "false"),
    ("browser.safebrowsing.malware.enabled", "false"),
    ("browser.safebrowsing.phishing.enabled", "false"),
    ("extensions.systemAddon.update.enabled", "false"),
    ("network.captive-portal-service.enabled", "false"),
    ("network.connectivity-service.enabled", "false"),
];

/// Shows a film on a page whose background is the compositor's.
pub fn command(film: &Film, path: &Path, folder: &Path) -> Result<Command, String> {
    wrap_probe()?;
    install_driver()?;
    let profile = folder.join(format!("profile-{}", film.name));
    let page = write_profile(film, path, &profile).map_err(|e| format!("a profile: {e}"))?;
    let mut command = process::command("firefox-esr");
    command.args(["--no-remote", "--kiosk", "--profile"]).arg(&profile);
    command.arg(format!("file://{}", page.display()));
    command.env("MOZ_ENABLE_WAYLAND", "1").env("HOME", &profile);
    command
        .env_remove("LIBVA_DRIVERS_PATH")
        .env("MOZ_LOG", "PlatformDecoderModule:3,FFmpegVideo:5");
    Ok(command)
}

/// Puts the wrapper in the probe's place, unless it is there.
fn wrap_probe() -> Result<(), String> {
    let real = format!("{PROBE}.real");
    if Path::new(&real).exists() {
        return Ok(());
    }
    let put = fs::rename(PROBE, &real)
        .and_then(|()| fs::write(PROBE, WRAPPER))
        .and_then(|()| fs::set_permissions(PROBE, fs::Permissions::from_mode(0o755)));
    put.map_err(|e| format!("{PROBE}: {e}"))
}

/// Puts the driver where packages do: the decoder process may read nothing but what the system has installed.
fn install_driver() -> Result<(), String> {
    const NAME: &str = "daedalus_drv_video.so";
    let to = format!("/usr/lib/{}-linux-gnu/dri", std::env::consts::ARCH);
    let from = std::env::var_os("LIBVA_DRIVERS_PATH").ok_or("no LIBVA_DRIVERS_PATH")?;
    fs::create_dir_all(&to)
        .and_then(|()| fs::copy(Path::new(&from).join(NAME), Path::new(&to).join(NAME)))
        .map_err(|e| format!("{to}/{NAME}: {e}"))
        .map(drop)
}

/// A new profile with the page in it; the page.
fn write_profile(film: &Film, path: &Path, profile: &Path) -> std::io::Result<PathBuf> {
    let _ = fs::remove_dir_all(profile);
    fs::create_dir_all(profile)?;
    let lines: Vec<_> = PREFERENCES
        .iter()
        .map(|(name, value)| format!("user_pref(\"{name}\", {value});\n"))
        .collect();
    fs::write(profile.join("user.js"), lines.concat())?;
    let ((width, height), [red, green, blue]) = (film.size, BACKGROUND);
    let page = profile.join("page.html");
    fs::write(
        &page,
        format!(
            "<!doctype html>
<body style='margin:0;overflow:hidden;background:rgb({red},{green},{blue})'>
<video style='display:block' width={width} height={height} muted autoplay src='file://{}'></video>
<script>
const film = document.querySelector('video');
film.ontimeupdate = () => dump(`at ${{film.currentTime}}\\n`);
film.onerror = () => dump(`film: ${{film.error.message}}\\n`);
dump('the page is there\\n');
</script>
",
            path.display()
        ),
    )?;
    Ok(page)
}
