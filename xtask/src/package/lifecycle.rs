//! Install, upgrade, remove, purge, in a clean root: everything comes, works, and goes again.

use std::path::Path;
use std::time::Duration;

use super::layer::Layer;
use super::{Checks, NAMES, built, folder, name};
use crate::fresh::Release;
use crate::root::{Kept, Mounts, Plan};

const LIMIT: Duration = Duration::from_secs(1200);

/// Fetches what the packages depend on, so that afterwards only they themselves come and go; and
/// describes the root as it is then.
const PREPARE: &str = r#"
apt-get -qq update
others=$(apt-get -s --no-install-recommends install /packages/*.deb |
    sed -n 's/^Inst \([^ ]*\) .*/\1/p' | grep -v '^daedalus')
apt-get -qq -y --no-install-recommends install $others vainfo xvfb >/dev/null
"#;

/// The names of all files, and what system accounts there are. Logs, caches, the package manager's own
/// lists and DKMS' key change whatever is installed.
pub const DESCRIBE: &str = r#"
describe() {
    find / -xdev \( -path /proc -o -path /sys -o -path /dev -o -path /tmp -o -path /run -o -path /packages \
        -o -path /daedalus -o -path /var/lib/dpkg -o -path /var/lib/apt -o -path /var/cache -o -path /var/log \
        -o -path /var/tmp -o -path /home -o -path /root -o -path /var/lib/systemd/random-seed \
        -o -path /var/lib/systemd/timesync -o -path '/etc/*-' -o -path '/var/lib/dkms/mok.*' \) \
        -prune -o -print | sort
    cat /etc/passwd /etc/group
    dpkg-query -W -f='${db:Status-Abbrev} ${Package}\n' | sort
}
"#;

/// What is to be there once they are installed.
const LOOK: &str = r#"
set -- $(dpkg-query -L daedalus-va-driver | grep '/daedalus_drv_video.so$')
driver=$1
test -s "$driver"
for name in v3d vc4 vgem virtio_gpu; do test "$(readlink -f "${driver%/*}/${name}_drv_video.so")" = "$(readlink -f "$driver")"; done
ldd "$driver" /usr/bin/daedalusd /usr/bin/daedalusctl >/tmp/ldd
if grep 'not found' /tmp/ldd; then exit 1; fi
daedalusd --version >/dev/null
for group in daedalus daedalus-device; do getent group $group >/dev/null; done
udevadm verify --no-style /usr/lib/udev/rules.d/70-daedalus.rules 2>/tmp/verify || {
    # Debian 12's udevadm knows no `verify`.
    grep -qi 'unknown command' /tmp/verify && test -s /lib/udev/rules.d/70-daedalus.rules
}
verify() {
    systemd-analyze verify --man=no --recursive-errors=no "$@" >/tmp/units 2>&1 &&
        ! grep -E 'daedalus(d|-render-node)\.service' /tmp/units
}
verify daedalusd.service daedalus-render-node.service || { cat /tmp/units; exit 1; }
# That it would have seen something:
mkdir -p /tmp/wrong
sed 's/^Restart=/Restrat=/' "$(dpkg-query -L daedalusd | grep '/daedalusd\.service$')" >/tmp/wrong/daedalusd.service
if verify /tmp/wrong/daedalusd.service >/dev/null; then exit 1; fi
grep -q Restrat /tmp/units
units=/etc/systemd/system
for by in multi-user.target dev-daedalus.device; do test -L $units/$by.wants/daedalusd.service; done
test ! -L $units/multi-user.target.wants/daedalus-render-node.service
for package in daedalus-va-driver daedalusd; do zgrep -q '^libc-' /usr/share/doc/$package/crates.txt.gz; done
# One version, and it is the package's.
set -- /usr/src/daedalus-*
test "$(dkms status)" = "daedalus/${1#*-}: added"
"#;

/// The driver that libva finds in its own folder. An X server without a DRM device names none.
const VAINFO: &str = r#"
Xvfb :77 -screen 0 320x240x24 -nolisten tcp >/tmp/xvfb.log 2>&1 &
xvfb=$!
for try in 1 2 3 4 5 6 7 8 9 10; do [ -e /tmp/.X11-unix/X77 ] && break; sleep 1; done
DISPLAY=:77 LIBVA_DRIVER_NAME=daedalus DAEDALUS_DEVICE=embedded vainfo --display x11 >/tmp/vainfo 2>&1 || {
    cat /tmp/vainfo
    exit 1
}
kill $xvfb
for profile in H264High VP9Profile0 AV1Profile0; do
    grep "VAProfile$profile *:.*VAEntrypointVLD" /tmp/vainfo
done
"#;

/// Makes a package of version 0 of each: the same files, so that what an upgrade does is seen. DKMS keeps versions
/// side by side, so that its module has one of its own.
const OLD: &str = r#"
mkdir -p /tmp/old
for file in /packages/*.deb; do
    rm -rf /tmp/package
    dpkg-deb --raw-extract "$file" /tmp/package
    sed -i 's/^Version: .*/Version: 0~test/' /tmp/package/DEBIAN/control
    for source in /tmp/package/usr/src/daedalus-*; do
        [ -d "$source" ] || continue
        version=${source##*-}
        mv "$source" /tmp/package/usr/src/daedalus-0
        (cd /tmp/package && sed -i "s/$(echo "$version" | sed 's/[.]/[.]/g')/0/g" \
            DEBIAN/postinst DEBIAN/prerm DEBIAN/md5sums usr/src/daedalus-0/dkms.conf)
    done
    dpkg-deb --root-owner-group --build /tmp/package /tmp/old >/dev/null
done
rm -r /tmp/package
"#;

const MESA: &str = include_str!("lifecycle/mesa.sh");

/// See the module.
pub fn run(mounts: &Mounts, release: Release, renew: bool, checks: &mut Checks) {
    let title = |what: &str| format!("{what} in {}", name(release));
    let layer = match prepare(mounts, release, renew) {
        Ok(layer) => layer,
        Err(why) => {
            checks.say(&title("a clean root"), Err(why));
            return;
        }
    };
    let describe = |file: &str| format!("{DESCRIBE}describe >/tmp/{file}\n");
    let steps = [
        (
            "install",
            format!(
                "{}apt-get -qq -y --no-install-recommends install /packages/*.deb >/tmp/install.log 2>&1 || {{ cat /tmp/install.log; exit 1; }}\n\
             {LOOK}{VAINFO}{}",
                describe("before"),
                describe("installed")
            ),
        ),
        (
            "install again",
            format!(
                "apt-get -qq -y reinstall /packages/*.deb >/tmp/again.log 2>&1 || {{ cat /tmp/again.log; exit 1; }}\n{LOOK}{}diff /tmp/installed /tmp/again",
                describe("again")
            ),
        ),
        (
            "remove",
            format!(
                "apt-get -qq -y remove {} >/dev/null\n{}{}",
                NAMES.join(" "),
                describe("removed"),
                compare("removed")
            ),
        ),
        (
            "upgrade from an older version",
            format!(
                "apt-get -qq -y install /tmp/old/*.deb >/dev/null\n{LOOK}test -d /usr/src/daedalus-0\n\
             apt-get -qq -y install /packages/*.deb >/tmp/upgrade.log 2>&1 || {{ cat /tmp/upgrade.log; exit 1; }}\n\
             {LOOK}{}diff /tmp/installed /tmp/upgraded\n\
             systemctl enable daedalus-render-node.service",
                describe("upgraded")
            ),
        ),
        (
            "purge",
            format!(
                "apt-get -qq -y purge {} >/dev/null\n{}diff /tmp/before /tmp/purged",
                NAMES.join(" "),
                describe("purged")
            ),
        ),
        (
            "remove, then purge",
            format!(
                "apt-get -qq -y install /packages/*.deb >/dev/null\napt-get -qq -y remove {0} >/dev/null\n\
             dpkg --purge {0} >/dev/null 2>&1\n{1}diff /tmp/before /tmp/after",
                NAMES.join(" "),
                describe("after")
            ),
        ),
        ("Mesa's driver before and after ours", MESA.to_owned()),
    ];
    if let Err(why) = layer.sh(OLD, LIMIT) {
        checks.say(&title("older packages"), Err(why));
        return;
    }
    for (what, lines) in steps {
        if !checks.say(&title(what), layer.sh(&lines, LIMIT).map(|_| ())) {
            return;
        }
    }
}

/// After a removal nothing is left but the package manager's note of packages that can be purged, if they
/// have anything to purge, and links that keep a service enabled until then.
fn compare(file: &str) -> String {
    format!(
        "diff /tmp/before /tmp/{file} | grep '^[<>]' | grep -v '^> rc  daedalus' | \
         grep -v '^> /var/lib/systemd/deb-systemd-helper-' | \
         grep -v '^> /etc/systemd/system/multi-user.target.wants/daedalus' | \
         grep -v '^> /etc/systemd/system/dev-daedalus.device.wants' && exit 1 || true\n"
    )
}

fn prepare(mounts: &Mounts, release: Release, renew: bool) -> Result<Layer, String> {
    let packages = built(release)?;
    let share = share(&packages, &release.to_string())?;
    // As `./x fresh` begins, with what every machine has that is no container.
    let codename = release.to_string();
    let plan = Plan::plain(&codename, &["kmod", "systemd", "udev"]);
    let base = Kept::root(&format!("package-clean-{release}"), &plan, renew)?;
    let layer = Layer::over(mounts, &base, &format!("clean-{release}"), &share)?;
    layer.sh(PREPARE, LIMIT)?;
    Ok(layer)
}

/// A folder with the three packages and nothing else.
pub fn share(packages: &[std::path::PathBuf], kind: &str) -> Result<std::path::PathBuf, String> {
    let share = folder().join("layers").join(format!("share-{kind}"));
    if share.exists() {
        std::fs::remove_dir_all(&share).map_err(crate::root::named(&share))?;
    }
    std::fs::create_dir_all(&share).map_err(crate::root::named(&share))?;
    for package in packages {
        let to = share.join(package.file_name().unwrap_or_default());
        std::fs::copy(package, Path::new(&to)).map_err(crate::root::named(package))?;
    }
    Ok(share)
}
