# Unpacks kernel headers of both architectures, with the build tools of this one.

# The names in the Depends of package $1.
needs() { apt-cache show --no-all-versions "$1" | sed -n 's/^Depends: //p' | tr ',' '\n' | sed 's/^ *//; s/ .*//'; }

# Downloads the packages "$@" and unpacks them, without installing.
unpack() {
    mkdir -p /tmp/packages
    cd /tmp/packages
    apt-get -qq -o APT::Sandbox::User=root download "$@"
    for file in ./*.deb; do
        # Some packages have /lib as a folder, which `dpkg -x` would put in place of the link.
        dpkg-deb --fsys-tarfile "$file" | tar -x --keep-directory-symlink -C /
    done
    cd /
    rm -r /tmp/packages
}

# The headers that are called "$1" to people; $2 is empty or "/SUITE".
headers() {
    for architecture in amd64 arm64; do
        package=$(needs "linux-headers-$architecture:$architecture$2" | grep '^linux-headers-')
        release=${package#linux-headers-}
        version=${release%-"$architecture"}
        unpack "$package:$architecture" "linux-headers-$version-common" "linux-kbuild-$version:amd64"
        # Newer kernels ask a script, which Debian does not ship, whether sparse is new enough.
        sparse=1
        valid=/usr/src/linux-headers-$version-common/scripts/checker-valid.sh
        if grep -q checker-valid.sh "/usr/src/linux-headers-$version-common/Makefile"; then
            echo 'static int f(const int *p) { __typeof_unqual__(*p) v = *p; return v; }' >/tmp/valid.c
            if sparse /tmp/valid.c 2>&1 | grep -q error; then sparse=0; fi
            [ -e "$valid" ] || printf '#!/bin/sh\necho %s\n' "$sparse" >"$valid"
            chmod +x "$valid"
        fi
        printf '%s\t%s\t%s\t%s\n' "$1" "$release" "$architecture" "$sparse" >>/usr/src/headers.tsv
    done
}
