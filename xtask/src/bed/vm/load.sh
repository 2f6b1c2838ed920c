#!/bin/sh
# Loads daedalus.ko with the parameters "$@", after what it depends on.
set -e
module=/daedalus/modules/daedalus.ko
modprobe --all $(modinfo --field depends "$module" | tr , ' ')
exec insmod "$module" "$@"
