# A machine that starts from its own disk, and has a share from which it is told what to do.

release=$(basename /lib/modules/*)
mkdir -p /boot/daedalus
mv "/boot/vmlinuz-$release" /boot/daedalus/vmlinuz
tree=/tmp/initramfs
mkdir -p "$tree/bin" "$tree/modules" "$tree/root" "$tree/dev" "$tree/proc"
cp /usr/bin/busybox "$tree/bin/"
# In the order in which they load. One is needed by several: the kernel refuses it the second time.
for module in crc32c_generic virtio_blk ext4; do
    modprobe --set-version "$release" --show-depends "$module" || true
done | sed -n 's/^insmod //p' | while read -r file; do
    name=$(basename "$file" .xz)
    [ -e "$tree/modules/$name" ] && continue
    xz -dc "$file" >"$tree/modules/$name"
    echo "$name" >>"$tree/modules/order"
done
cat >"$tree/init" <<'INIT'
#!/bin/busybox sh
/bin/busybox --install -s /bin
while read -r module; do insmod "/modules/$module"; done </modules/order
mount -t devtmpfs dev /dev
until mount -t ext4 /dev/vda /root; do sleep 1; done
mount -o move /dev /root/dev
exec switch_root /root /sbin/init
INIT
chmod +x "$tree/init"
(cd "$tree" && find . | cpio --quiet -o -H newc) >/boot/daedalus/initramfs
rm -r "$tree" /boot/initrd.img*

cat >/etc/fstab <<'FSTAB'
/dev/vda / ext4 defaults 0 0
share /daedalus 9p trans=virtio,version=9p2000.L,msize=512000,cache=none 0 0
FSTAB
mkdir -p /daedalus
echo 9pnet_virtio >/etc/modules-load.d/share.conf

# One person who sits at the machine and is a member of nothing, and one who comes from elsewhere, with the
# groups that Debian gives to desktop users and to those who may use a GPU.
useradd --create-home --shell /bin/bash user
useradd --create-home --shell /bin/bash --groups video,render remote
mkdir -p /etc/systemd/system/getty@tty1.service.d
cat >/etc/systemd/system/getty@tty1.service.d/autologin.conf <<'GETTY'
[Service]
ExecStart=
ExecStart=-/sbin/agetty --autologin user --noclear - linux
GETTY
cat >/etc/systemd/system/guest-job.service <<'JOB'
[Unit]
Description=What this machine was started for
RequiresMountsFor=/daedalus
After=systemd-logind.service dbus.service
[Service]
Type=exec
ExecStart=/bin/sh /daedalus/job
StandardOutput=append:/daedalus/log
StandardError=append:/daedalus/log
[Install]
WantedBy=multi-user.target
JOB
systemctl enable guest-job.service 2>/dev/null
# A network would only be waited for, and nothing happens on time in an emulated machine.
systemctl mask apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer systemd-timesyncd.service 2>/dev/null
