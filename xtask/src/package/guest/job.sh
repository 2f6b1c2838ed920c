# Runs as root in the guest, at each start. What it says of a step is one line: "ok NAME" or "FAILED NAME".
set -u
export DEBIAN_FRONTEND=noninteractive LANG=C.UTF-8
cd /daedalus
# shellcheck disable=SC1091 # written beside this file
. /daedalus/describe
names="daedalus-va-driver daedalusd daedalus-dkms"

# step NAME COMMAND...: what it says is of interest if it fails.
step() {
    name=$1
    shift
    began=$(cut -d. -f1 /proc/uptime)
    if "$@" >/tmp/step 2>&1; then
        echo "ok $name ($(($(cut -d. -f1 /proc/uptime) - began)) s)"
    else
        echo "FAILED $name: $*"
        tail -n 60 /tmp/step | sed 's/^/    /'
        failed=yes
    fi
}

finish() {
    dmesg >/daedalus/dmesg
    journalctl -b --no-pager >/daedalus/journal
    sync
    systemctl "$1" --no-block
    exit 0
}

# as USER COMMAND...: with no variable in its environment but these two.
as() {
    user=$1
    shift
    runuser -u "$user" -- env -i HOME="/home/$user" PATH=/usr/bin:/bin "$@"
}

completed() { sed -n 's/^completed //p' /sys/kernel/debug/daedalus/statistics; }

seated() {
    for _ in $(seq 300); do
        for session in $(loginctl list-sessions --no-legend | awk '$3 == "user" { print $1 }'); do
            loginctl show-session "$session" | grep -q '^Active=yes' && return
        done
        sleep 1
    done
    loginctl
    return 1
}

module_is_built() { dkms status daedalus -k "$(uname -r)" | tee /dev/stderr | grep -q installed; }

system_is_well() {
    systemctl is-system-running --wait || { systemctl --failed --no-pager; return 1; }
}

# The module before its daemon: the node is nobody's yet.
module_waits() {
    modprobe daedalus && udevadm settle && test "$(stat -c '%U %G %a' /dev/daedalus)" = 'root root 600'
}

main_pid() { systemctl show -p MainPID --value daedalusd.service; }

daemon_is_up() {
    systemctl status --no-pager daedalusd.service || return
    grep -x 'daemon attached' /sys/kernel/debug/daedalus/statistics || return
    test "$(stat -c '%U %G %a' /dev/daedalus)" = 'root daedalus-device 660' || return
    # Somebody else than root, in a sandbox.
    pid=$(main_pid)
    test "$(stat -c %u "/proc/$pid")" -ne 0 && grep '^Seccomp:.*2' "/proc/$pid/status"
}

# The node that comes starts the daemon, unless that is disabled.
node_starts_the_daemon() {
    systemctl disable --now daedalusd.service && modprobe -r daedalus && modprobe daedalus && udevadm settle || return
    sleep 5
    ! systemctl is-active daedalusd.service || return
    modprobe -r daedalus && systemctl enable daedalusd.service && modprobe daedalus && udevadm settle || return
    for _ in $(seq 60); do
        systemctl is-active daedalusd.service && break
        sleep 1
    done
    # The nodes for programs come with the daemon.
    udevadm settle && daemon_is_up
}

# The same files as version 0; packing them tightly would take long here.
older_daemon() {
    dpkg-deb --raw-extract /daedalus/packages/daedalusd_*.deb /var/tmp/older &&
        sed -i 's/^Version: .*/Version: 0~test/' /var/tmp/older/DEBIAN/control &&
        dpkg-deb --root-owner-group -Znone --build /var/tmp/older /var/tmp/older.deb &&
        apt-get -y install /var/tmp/older.deb && daemon_is_up
}

daemon_is_upgraded() {
    before=$(main_pid)
    apt-get -y install /daedalus/packages/daedalusd_*.deb && daemon_is_up || return
    echo "process $before, now $(main_pid)"
    test "$before" -ne 0 -a "$(main_pid)" -ne "$before"
}

nodes_are_for_users() {
    ls -l /dev/video* /dev/media* /dev/dri
    for node in /dev/video0 /dev/media0 /dev/dri/renderD128; do
        as user test -r "$node" -a -w "$node" && as remote test -r "$node" -a -w "$node" || return
    done
    for node in /dev/video0 /dev/media0; do
        test "$(stat -c '%G %a' "$node")" = 'video 660' || return
        as nobody test ! -r "$node" || return
    done
}

# watcher COMMAND...: as a member of the group that may ask the daemon.
watcher() { runuser -u remote -G daedalus -- "$@"; }

other_end_is_the_daemons() {
    for how in -r -w; do
        for who in 'as user' 'as remote' watcher; do
            $who test ! $how /dev/daedalus || { echo "$who: $how"; return 1; }
        done
    done
    watcher daedalusctl metrics || return
    ! as remote daedalusctl metrics
}

# The service, with the GPU's nodes out of sight: it is for machines without a GPU.
render_node_comes() {
    mount -t tmpfs none /dev/dri || return
    systemctl enable --now daedalus-render-node.service
    status=$?
    umount /dev/dri || return
    systemctl status --no-pager daedalus-render-node.service
    test $status -eq 0 && grep '^vgem ' /proc/modules || return
    # Nor did udev see the new one.
    udevadm trigger --settle --action=add /sys/class/drm/renderD129 && ls -l /dev/dri/renderD129
}

# profiles USER [ARGUMENTS...]
profiles() {
    user=$1
    shift
    as "$user" vainfo "$@" >/tmp/vainfo 2>&1
    status=$?
    cat /tmp/vainfo
    test $status -eq 0 || return
    for profile in H264ConstrainedBaseline H264Main H264High H264High10 VP9Profile0 VP9Profile2 AV1Profile0; do
        grep -q "VAProfile$profile *:.*VAEntrypointVLD" /tmp/vainfo || { echo "no $profile"; return 1; }
    done
}

# play CLIP: mpv's pictures, copied back, are those of ffmpeg's own decoder, and the device decoded them.
play() {
    rm -f /tmp/played /tmp/mpv /tmp/known
    before=$(completed)
    layout=yuv420p
    # Raw H.264 has no timestamps; mpv makes them up and must not drop frames over it.
    case $1 in *.h264) pts=--no-correct-pts ;; *) pts=--correct-pts ;; esac
    as user mpv --no-config --no-audio --hwdec=vaapi-copy --hwdec-codecs=all --vd-lavc-software-fallback=no \
        --msg-level=all=v --input-terminal=no $pts --vf=format=$layout \
        --of=framemd5 --ovc=rawvideo --o=- "$1" >/tmp/played 2>/tmp/mpv || { cat /tmp/mpv; return 1; }
    grep 'Using hardware decoding (vaapi-copy)' /tmp/mpv || { cat /tmp/mpv; return 1; }
    after=$(completed)
    ffmpeg -v error -i "$1" -map 0:v:0 -pix_fmt $layout -fps_mode passthrough -f framemd5 /tmp/known || return
    sed -n 's/^[^#].*, *//p' /tmp/played >/tmp/played.sums
    sed -n 's/^[^#].*, *//p' /tmp/known >/tmp/known.sums
    frames=$(wc -l </tmp/known.sums)
    echo "$frames frames, $((after - before)) decoded by the device"
    test "$frames" -gt 0 && cmp /tmp/played.sums /tmp/known.sums && test $((after - before)) -ge "$frames"
}

# show CLIP: the same without copying, on a compositor.
show() {
    before=$(completed)
    id=$(id -u user)
    as user XDG_RUNTIME_DIR="/run/user/$id" sh /daedalus/show "$1" >/tmp/shown 2>&1
    status=$?
    after=$(completed)
    cat /tmp/shown
    echo "$((after - before)) decoded by the device"
    test $status -eq 0 && grep -q 'Using hardware decoding (vaapi)' /tmp/shown && test "$after" -gt "$before"
}

quiet_kernel() {
    ! dmesg | grep -E 'BUG:|WARNING:|Oops|general protection|refcount_t'
}

same_as_before() { describe >/var/tmp/now; diff /var/tmp/before /var/tmp/now; }

nothing_at_work() {
    test ! -e /dev/daedalus -a ! -e /sys/module/daedalus -a ! -e /sys/module/vgem || { lsmod; return 1; }
    ! systemctl cat daedalusd.service
}

if [ ! -e /daedalus/installed ]; then
    echo "# a fresh Debian $(cat /etc/debian_version), kernel $(uname -r)"
    describe >/var/tmp/before
    step "apt installs the driver and the module" apt-get -y install /daedalus/packages/daedalus-*.deb
    cp /tmp/step /daedalus/install.log
    step "DKMS built the module" module_is_built
    step "the module waits for a daemon" module_waits
    step "a daemon that comes after its module is up" older_daemon
    step "a newer daemon takes over" daemon_is_upgraded
    touch /daedalus/installed
    echo "# starts again"
    finish reboot
fi

echo "# after the restart"
step "a user sits at the machine" seated
step "systemd is content" system_is_well
step "the daemon is up, without rights" daemon_is_up
step "the module's node starts the daemon, unless that is disabled" node_starts_the_daemon
step "nodes are for users" nodes_are_for_users
step "the module's other end is for the daemon alone" other_end_is_the_daemons
step "vainfo lists the profiles, for who sits at the machine" profiles user
cp /tmp/vainfo /daedalus/vainfo
step "vainfo lists the profiles, for members of video and render" profiles remote
step "the render node for machines without a GPU comes" render_node_comes
step "vainfo lists the profiles on vgem" profiles user --display drm --device /dev/dri/renderD129
for clip in /daedalus/clips/*; do
    step "mpv decodes ${clip##*/} exactly" play "$clip"
    sed -n '$p' /tmp/step
done
for clip in /daedalus/clips/*.h264; do
    step "mpv --hwdec=vaapi shows ${clip##*/}" show "$clip"
done
step "the kernel is quiet" quiet_kernel
# shellcheck disable=SC2086 # words
step "apt removes them" apt-get -y remove $names
step "nothing is at work" nothing_at_work
# shellcheck disable=SC2086 # words
step "apt purges them" apt-get -y purge $names
step "nothing is left behind" same_as_before
touch /daedalus/done
finish poweroff
