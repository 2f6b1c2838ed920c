#!/bin/sh
# The first process inside user-mode Linux. The kernel's command line names the folder of the job
# (DAEDALUS_JOB): `x` has put there what to do (job.sh, command.sh), and finds there what came of it
# (status, dmesg, tainted ...). The root is the host's, so what belongs to this machine is on tmpfs.
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
cd "$DAEDALUS_JOB" || exit

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
echo uml > /proc/sys/kernel/hostname
ip link set lo up 2>/dev/null

# Sets: folders (of the host, that the job needs), load (commands, one a line), unload (names of
# modules, one a line), leaks (empty: do not look for them).
. ./job.sh

# A folder of those may be where there is a tmpfs now.
echo "$folders" | while read -r folder; do
    [ -z "$folder" ] || [ -d "$folder" ] ||
        { mkdir -p "$folder" && mount -t hostfs -o "$folder" none "$folder"; }
done
cd "$DAEDALUS_JOB" || exit

# Two lines of the console carry the job's output to the host. The job itself sees pipes: it has no
# terminal.
exec 5<> /dev/tty1 6<> /dev/tty2
stty raw -echo <&5
stty raw -echo <&6
mkfifo /run/out /run/err
cat /run/out >&5 & out=$!
cat /run/err >&6 & err=$!
exec 5>&- 6>&- 7> /run/out 8> /run/err

find_leaks() {
    [ -n "$leaks" ] && [ -w /sys/kernel/debug/kmemleak ] || return
    # Reported is what is older than five seconds and has not changed since the scan before.
    sleep 6
    echo scan > /sys/kernel/debug/kmemleak
    echo scan > /sys/kernel/debug/kmemleak
    cat /sys/kernel/debug/kmemleak >> leaks
    echo clear > /sys/kernel/debug/kmemleak
}

find_leaks

status=125
echo "$load" > /run/load
while read -r line; do
    [ -z "$line" ] || eval "$line" || { echo "this failed: $line" > failure; break; }
done < /run/load 2>&8

cut -d' ' -f1 /proc/uptime > booted
if [ ! -e failure ]; then
    sh ./command.sh < /dev/null >&7 2>&8 7>&- 8>&-
    status=$?
fi
cut -d' ' -f1 /proc/uptime > ended

# What the job left running keeps its output open and the modules in use. Kernel threads have no
# program.
for process in /proc/[0-9]*; do
    pid=${process#/proc/}
    case $pid in 1 | "$out" | "$err") continue ;; esac
    [ -e "$process/exe" ] && kill -KILL "$pid" 2>/dev/null
done
exec 7>&- 8>&-
wait "$out" "$err"

# While the modules can still be named, and when they are gone.
find_leaks
for module in $unload; do
    [ -d "/sys/module/$module" ] || continue
    tries=0
    until rmmod "$module" 2> /run/rmmod; do
        tries=$((tries + 1))
        [ $tries -lt 50 ] || { cat /run/rmmod > failure; break; }
        sleep 0.1
    done
done
find_leaks

dmesg > dmesg
cat /proc/sys/kernel/tainted > tainted
# By another name until it is whole.
echo "$status" > status.part
mv status.part status
sync
echo o > /proc/sysrq-trigger
sleep 10
