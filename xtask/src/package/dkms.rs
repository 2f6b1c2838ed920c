//! DKMS builds the module for Debian's kernels.
//!
//! The headers are unpacked in the roots of `./x kmod`; the package is installed in a layer over these. It is the one
//! that was built for the root's release: what Debian 13's dh_dkms makes wants a newer DKMS than Debian 12 has.

use std::time::Duration;

use super::layer::Layer;
use super::{Checks, built, lifecycle};
use crate::fresh::Release;
use crate::kmod::{self, Open};
use crate::root::Mounts;

const LIMIT: Duration = Duration::from_secs(1200);

/// DKMS from the root's own release, and the package. No headers are where it looks by itself yet: those of the
/// room are of another architecture, too.
const INSTALL: &str = "\
rm -rf /lib/modules/*
apt-get -qq update
apt-get -qq -y --no-install-recommends install dkms >/dev/null
dpkg --install /packages/daedalus-dkms_*.deb >/dev/null
";

const REMOVE: &str = "\
dpkg --purge daedalus-dkms >/dev/null
test -z \"$(dkms status daedalus)\"
test -z \"$(find /lib/modules /usr/src /var/lib/dkms -name 'daedalus*')\"
";

/// Kernels that the module is not for: the root that they belong in, the package that leads to their headers, and why.
const PASSED_OVER: [(&str, &str, &str); 2] = [
    ("kmod-bookworm", "linux-headers-amd64", "Debian 12's own, which is too old"),
    ("kmod-trixie", "linux-headers-cloud-amd64", "Debian 13's for clouds, without media drivers"),
];

/// Unpacks what `unpack` and `needs` of headers.sh find for `$meta`, and installs the package where that kernel is the only
/// one: DKMS has to come to it, leave it alone, and be content.
const PASS_OVER: &str = r#"
package=$(needs "$meta" | grep '^linux-headers-')
# shellcheck disable=SC2046 # words
unpack "$package" $(needs "$package" | grep -E '^linux-(headers|kbuild)-')
kernel=${package#linux-headers-}
mkdir -p "/lib/modules/$kernel"
ln -sfn "/usr/src/$package" "/lib/modules/$kernel/build"
test -s "/lib/modules/$kernel/build/.config"
dpkg --purge daedalus-dkms >/dev/null
dpkg --install /packages/daedalus-dkms_*.deb >/tmp/dkms.log 2>&1 || { cat /tmp/dkms.log; exit 1; }
grep 'Building initial module.*for '"$kernel" /tmp/dkms.log || { cat /tmp/dkms.log; exit 1; }
test "$(dkms status daedalus | sed 's/.*: //')" = added
test -z "$(find /lib/modules -name 'daedalus*')"
rm -r "/lib/modules/$kernel"
"#;

/// See the module.
pub fn run(mounts: &Mounts, releases: &[Release], renew: bool, checks: &mut Checks) {
    for name in kmod::ROOMS {
        let release = release_of(name);
        if !releases.contains(&release) {
            continue;
        }
        let share = built(release).and_then(|all| lifecycle::share(&all, &format!("dkms-{name}")));
        let share = match share {
            Ok(share) => share,
            Err(why) => {
                checks.say(&format!("the package with the module for {name}"), Err(why));
                continue;
            }
        };
        let room = match kmod::room(name, renew) {
            Ok(room) => room,
            // Unstable cannot be had at all times.
            Err(why) if name == "kmod-sid" => {
                checks.skip("DKMS for unstable", &why);
                continue;
            }
            Err(why) => {
                checks.say(&format!("kernel headers in {name}"), Err(why));
                continue;
            }
        };
        let layer = Layer::over(mounts, &room.root, &format!("dkms-{name}"), &share);
        match layer.and_then(|layer| layer.sh(INSTALL, LIMIT).map(|_| layer)) {
            Ok(layer) => in_room(name, &room, &layer, checks),
            Err(why) => {
                checks.say(&format!("install DKMS in {name}"), Err(why));
            }
        }
    }
}

/// The release whose package a root of [`kmod::ROOMS`] gets. Nothing is built for unstable.
fn release_of(room: &str) -> Release {
    if room == "kmod-bookworm" { Release::Bookworm } else { Release::Trixie }
}

fn in_room(name: &str, room: &Open, layer: &Layer, checks: &mut Checks) {
    for (_, meta, why) in PASSED_OVER.iter().filter(|(room, ..)| *room == name) {
        let lines = format!("{}meta={meta}\n{PASS_OVER}", include_str!("../kmod/headers.sh"));
        checks.say(&format!("DKMS passes over {why}"), layer.sh(&lines, LIMIT).map(|_| ()));
    }
    if room.kernels.is_empty() {
        checks.say(&format!("kernels in {name}"), Err("the root has headers of none".into()));
    }
    for (origin, kernel) in &room.kernels {
        let lines = format!(
            "mkdir -p /lib/modules/{kernel}\n\
             ln -sfn /usr/src/linux-headers-{kernel} /lib/modules/{kernel}/build\n\
             version=$(dkms status daedalus | sed -n '1s|daedalus/\\([^,:]*\\).*|\\1|p')\n\
             dkms install daedalus/$version -k {kernel} >/tmp/dkms.log 2>&1 || {{\n\
                 cat /tmp/dkms.log /var/lib/dkms/daedalus/$version/build/make.log; exit 1; }}\n\
             dkms status daedalus -k {kernel} | grep -q installed\n\
             find /lib/modules/{kernel} -name 'daedalus.ko*' | grep -q .\n"
        );
        let title = format!("DKMS builds for {kernel} ({origin})");
        checks.say(&title, layer.sh(&lines, LIMIT).map(|_| ()));
    }
    checks.say(&format!("DKMS forgets it in {name}"), layer.sh(REMOVE, LIMIT).map(|_| ()));
}
