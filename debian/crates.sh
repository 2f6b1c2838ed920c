#!/bin/sh
# Prints the licences of the crates in vendor/: what each says of itself, then each text once, below the names of the
# files that have it.
set -eu
export LC_ALL=C
cd "$(dirname "$0")/../vendor"
echo "Rust crates that this was built with, and their licences."
echo
for crate in *; do
    # Of a crate that is never compiled only the manifest is there (xtask/src/package/source.rs).
    if grep -q '"files":{}' "$crate/.cargo-checksum.json"; then continue; fi
    echo "$crate: $(sed -n 's/^license = "\(.*\)"$/\1/p' "$crate/Cargo.toml")"
    set -- "$@" "$crate"
done
find "$@" -maxdepth 2 -type f \( -iname '*licen[cs]e*' -o -iname 'copying*' -o -iname 'copyright*' -o -iname 'notice*' \) \
    -exec sha256sum {} + | sort | awk '
    function text(line) { print ""; while ((getline line <file) > 0) print line; close(file) }
    $1 != sum { if (file) text(); print "\n----------------------------------------" }
    { sum = $1; file = $2; print file }
    END { text() }'
