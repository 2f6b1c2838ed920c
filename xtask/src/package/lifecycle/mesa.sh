# Mesa has a driver of the name virtio_gpu, and keeps it, whoever came first.
link=/usr/lib/$(uname -m)-linux-gnu/dri/virtio_gpu_drv_video.so

get() {
    apt-get -qq -y --no-install-recommends install "$@" >/tmp/get.log 2>&1 || { cat /tmp/get.log; exit 1; }
}

is_mesas() {
    dpkg -S "$link" | grep '^mesa-va-drivers:' || { echo "$link is not Mesa's: $1"; exit 1; }
    cmp "$link" /tmp/mesas || { echo "$link is another: $1"; exit 1; }
}

get mesa-va-drivers
cp -L "$link" /tmp/mesas
get /tmp/old/daedalus-va-driver_*.deb
is_mesas "ours came second"
get /packages/daedalus-va-driver_*.deb
is_mesas "ours was upgraded"
apt-get -qq -y purge daedalus-va-driver >/dev/null
is_mesas "ours was purged"

apt-get -qq -y purge mesa-va-drivers >/dev/null
get /tmp/old/daedalus-va-driver_*.deb
test "$(readlink "$link")" = daedalus_drv_video.so
get mesa-va-drivers
is_mesas "ours came first"
get /packages/daedalus-va-driver_*.deb
is_mesas "ours came first and was upgraded"
apt-get -qq -y purge daedalus-va-driver >/dev/null
is_mesas "ours came first and was purged"
