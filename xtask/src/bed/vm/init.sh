#!/bin/bash
# The first process of the guest, in its real root. /daedalus is the share: see `./x vm --help`.
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8 TERM=linux
export XDG_RUNTIME_DIR=/run/user/0

mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
mkdir -p /dev/pts /dev/shm
mount -t devpts devpts /dev/pts
mount -t tmpfs -o mode=1777 shm /dev/shm
mount -t tmpfs -o mode=1777 tmp /tmp
mount -t tmpfs -o mode=755 run /run
mount -t debugfs debugfs /sys/kernel/debug
ln -sfn /proc/self/fd /dev/fd
ln -sfn fd/0 /dev/stdin
ln -sfn fd/1 /dev/stdout
ln -sfn fd/2 /dev/stderr
# Gives the devices of modules that the job loads their owners and links.
/usr/lib/systemd/systemd-udevd --daemon 2>/dev/null
mkdir -p -m 700 /run/user/0
# Warnings are of interest from here on.
dmesg -n 5
ip link set lo up
hostname daedalus
if [ -e /daedalus/has-vectors ]; then
    mount -t 9p -o trans=virtio,version=9p2000.L,msize=512000,cache=loose,ro vectors /daedalus/vectors
fi

export LIBVA_DRIVER_NAME=daedalus LIBVA_DRIVERS_PATH=/daedalus/va PATH=/daedalus/bin:$PATH
if [ -e /daedalus/shell ]; then
    # shellcheck disable=SC2046 # two words
    stty -F /dev/hvc0 $(cat /daedalus/shell)
else
    # What the job says arrives as it was said.
    stty -F /dev/hvc0 raw -echo
fi
cd /daedalus/results || exit
cut -d' ' -f1 /proc/uptime >/daedalus/job-started
setsid --ctty --wait bash /daedalus/job <>/dev/hvc0 >&0 2>&0
status=$?
cut -d' ' -f1 /proc/uptime >/daedalus/job-ended
stty -F /dev/hvc0 raw 2>/dev/null

dmesg >/daedalus/dmesg
cat /proc/sys/kernel/tainted >/daedalus/tainted
echo "$status" >/daedalus/status.part
mv /daedalus/status.part /daedalus/status
sync
exec busybox poweroff -f
