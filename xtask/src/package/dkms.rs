//! DKMS builds the module for Debian's kernels.
//!
//! The headers are unpacked in the roots of `./x kmod`; the package is installed in a layer over these.

use std::time::Duration;

use super::layer::Layer;
use super::{Checks, built, lifecycle};
use crate::fresh::Release;
use crate::kmod;
use crate::root::Mounts;

const LIMIT: Duration = Duration::from_secs(1200);

/// DKMS from the root's own release, and the package. No headers are where it looks by itself yet.
const INSTALL: &str = "\
apt-get -qq update
apt-get -qq -y --no-install-recommends install dkms >/dev/null
dpkg --install /packages/daedalus-dkms_*.deb >/dev/null
";

const REMOVE: &str = "\
dpkg --purge daedalus-dkms >/dev/null
test -z \"$(dkms status daedalus)\"
test -z \"$(find /lib/modules /usr/src /var/lib/dkms -name 'daedalus*')\"
";

/// See the module.
pub fn run(mounts: &Mounts, releases: &[Release], renew: bool, checks: &mut Checks) {
    // It is the same for all.
    let Some(release) = releases.last() else { return };
    let share = built(release).and_then(|all| lifecycle::share(&all, "dkms"));
    let share = match share {
        Ok(share) => share,
        Err(why) => {
            checks.say("the package with the module", Err(why));
            return;
        }
    };
    for room in kmod::rooms(renew) {
        let room = match room {
            Ok(room) => room,
            // Unstable cannot be had at all times.
            Err(why) => {
                checks.skip("DKMS", &why);
                continue;
            }
        };
        let layer = Layer::over(mounts, &room.root, &format!("dkms-{}", room.name), &share);
        let layer = layer.and_then(|layer| layer.sh(INSTALL, LIMIT).map(|_| layer));
        let layer = match layer {
            Ok(layer) => layer,
            Err(why) => {
                checks.say(&format!("install DKMS in {}", room.name), Err(why));
                continue;
            }
        };
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
        let title = format!("DKMS forgets it in {}", room.name);
        checks.say(&title, layer.sh(REMOVE, LIMIT).map(|_| ()));
    }
}
