#!/bin/sh
# The first process inside user-mode Linux. The kernel's command line names the folder of the job
# (DAEDALUS_JOB); `x` has put there what to do (job.sh, command.sh), and finds what came of it there
# (status, dmesg, tainted). The root is the host's: whatever is not a file of the job goes to tmpfs.
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
cd "$DAEDALUS_JOB" || exec sleep 1

mount -t proc proc /proc
mount -t sysfs sys /sys
grep -q '^devtmpfs /dev ' /proc/mounts || mount -t devtmpfs dev /dev
mkdir -p /dev/pts /dev/shm
mount -t devpts -o ptmxmode=666 devpts /dev/pts
mount -t tmpfs -o mode=1777 shm /dev/shm
mount -t tmpfs -o mode=1777 tmp /tmp
mount -t tmpfs -o mode=755 run /run
mount -t debugfs debugfs /sys/kernel/debug
ln -sfn /proc/self/fd /dev/fd
ln -sfn fd/0 /dev/stdin
ln -sfn fd/1 /dev/stdout
ln -sfn fd/2 /dev/stderr
hostname uml
ip link set lo up 2>/dev/null

# Sets: modules (files), folders (those of the host that the job needs).
. ./job.sh

# Those that a tmpfs now hides.
echo "$folders" | while read -r folder; do
    [ -z "$folder" ] || [ -d "$folder" ] ||
        { mkdir -p "$folder" && mount -t hostfs -o "$folder" none "$folder"; }
done
cd "$DAEDALUS_JOB" || exec sleep 1

fail() { echo "uml: $*" > "$DAEDALUS_JOB/failure"; }

finish() {
    dmesg > dmesg
    cat /proc/sys/kernel/tainted > tainted
    # By another name until it is whole.
    echo "$1" > status.part
    mv status.part status
    sync
    echo o > /proc/sysrq-trigger
    sleep 10
}

# Two lines of the console carry the job's output to the host. The job itself sees pipes: it has no
# terminal.
exec 5<> /dev/tty1 6<> /dev/tty2
stty raw -echo <&5
stty raw -echo <&6
mkfifo /run/out /run/err
cat /run/out >&5 & out=$!
cat /run/err >&6 & err=$!
exec 5>&- 6>&- 7> /run/out 8> /run/err

loaded=
echo "$modules" > /run/modules
while read -r module; do
    [ -n "$module" ] || continue
    # shellcheck disable=SC2086 # a file and its parameters
    insmod $module || { fail "cannot load $module"; finish 125; }
    loaded="$(basename "${module%% *}" .ko) $loaded"
done < /run/modules 2>&8

cut -d' ' -f1 /proc/uptime > booted
sh ./command.sh < /dev/null >&7 2>&8 7>&- 8>&-
status=$?
cut -d' ' -f1 /proc/uptime > ended

# What the job left running keeps its output open, and the modules in use.
for process in /proc/[0-9]*; do
    pid=${process#/proc/}
    case $pid in 1 | "$out" | "$err") continue ;; esac
    # Kernel threads have no program.
    [ -e "$process/exe" ] && kill -KILL "$pid" 2>/dev/null
done
exec 7>&- 8>&-
wait "$out" "$err"

if [ -w /sys/kernel/debug/kmemleak ]; then
    :
fi
for module in $loaded; do
    tries=0
    until rmmod "$module" 2> rmmod; do
        tries=$((tries + 1))
        [ $tries -lt 50 ] || { fail "cannot unload $(cat rmmod)"; break; }
        sleep 0.1
    done
done
finish "$status"
