#!/bin/sh
# cargo for meson: cargo.sh SOURCES FOLDER VENDORED OFFLINE COMMAND [WORDS...]
#
# Runs `cargo COMMAND WORDS` with build results in FOLDER/cargo. VENDORED is empty or a folder of crates
# that stand in for crates.io's; OFFLINE is true or false. `build` then puts what it has built into FOLDER, under the
# names that meson knows.
set -eu
sources=$1 folder=$2 vendored=$3 offline=$4 command=$5
shift 5

export CARGO_TARGET_DIR="$folder/cargo"
cd "$sources"
set -- "$@" --locked
if [ -n "$vendored" ]; then
    # Whoever builds packages has no home.
    export CARGO_HOME="$folder/cargo-home"
    set -- "$@" --config 'source.crates-io.replace-with="vendored"' \
        --config "source.vendored.directory=\"$vendored\""
    offline=true
fi
[ "$offline" = false ] || set -- "$@" --offline
"${CARGO:-cargo}" "$command" "$@"

[ "$command" = build ] || exit 0
built=$CARGO_TARGET_DIR/${CARGO_BUILD_TARGET:+$CARGO_BUILD_TARGET/}release
cp "$built/libdaedalus_drv_video.so" "$folder/daedalus_drv_video.so"
for program in daedalusd daedalusctl; do
    [ ! -e "$built/$program" ] || cp "$built/$program" "$folder/$program"
done
