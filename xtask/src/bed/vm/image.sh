# What starts the guest: the kernel, and an initramfs that finds everything else.

release=$(basename /lib/modules/*)
mkdir -p /boot/daedalus
echo "$release" >/boot/daedalus/release
mv "/boot/vmlinuz-$release" /boot/daedalus/vmlinuz

tree=/tmp/initramfs
mkdir -p "$tree/bin" "$tree/modules" "$tree/image" "$tree/writable" "$tree/root" "$tree/dev" "$tree/proc"
cp /usr/bin/busybox "$tree/bin/"
# In the order in which they load. One is needed by several: the kernel refuses it the second time.
for module in virtio_blk squashfs overlay 9pnet_virtio 9p; do
    modprobe --set-version "$release" --show-depends "$module"
done | sed -n 's/^insmod //p' | while read -r file; do
    name=$(basename "$file" .xz)
    [ -e "$tree/modules/$name" ] && continue
    xz -dc "$file" >"$tree/modules/$name"
    echo "$name" >>"$tree/modules/order"
done
cat >"$tree/init" <<'INIT'
#!/bin/busybox sh
# The packed root under a writable layer in memory, and the share, whose script takes over.
set -e
/bin/busybox --install -s /bin
while read -r module; do insmod "/modules/$module"; done </modules/order
mount -t devtmpfs dev /dev
mount -t squashfs -o ro /dev/vda /image
mount -t tmpfs -o mode=755 writable /writable
mkdir /writable/upper /writable/work
mount -t overlay -o lowerdir=/image,upperdir=/writable/upper,workdir=/writable/work overlay /root
mkdir -p /root/daedalus
mount -t 9p -o trans=virtio,version=9p2000.L,msize=512000,cache=mmap share /root/daedalus
exec switch_root /root /daedalus/init
INIT
chmod +x "$tree/init"
(cd "$tree" && find . | cpio --quiet -o -H newc) >/boot/daedalus/initramfs
rm -r "$tree" /boot/initrd.img*

useradd --create-home --shell /bin/bash --groups video,render user
rm -rf /usr/share/doc/* /usr/share/man/* /usr/share/locale/* /var/cache/* /var/log/*
