#!/bin/sh
# cargo for meson: cargo.sh SOURCES FOLDER VENDORED OFFLINE COMMAND [WORDS...]
#
# Runs `cargo COMMAND WORDS` with build results in FOLDER/cargo, or where CARGO_TARGET_DIR says. VENDORED is empty or a folder of crates
# that stand in for crates.io's; OFFLINE is true or false. Then what meson knows by its name is put into FOLDER:
# after `build` the programs. `pages` is no command of cargo's: it writes manual pages and completions.
set -eu
sources=$1 folder=$2 vendored=$3 offline=$4 command=$5
shift 5

export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$folder/cargo}"
cd "$sources"
[ "$command" != pages ] || set -- --package xtask -- man "$folder/pages"
if [ -n "$vendored" ]; then
    # Whoever builds packages has no home.
    export CARGO_HOME="$folder/cargo-home"
    set -- --config 'source.crates-io.replace-with="vendored"' \
        --config "source.vendored.directory=\"$vendored\"" "$@"
    offline=true
fi
[ "$offline" = false ] || set -- --offline "$@"
set -- --locked --release "$@"

case $command in
build)
    "${CARGO:-cargo}" build "$@"
    built=$CARGO_TARGET_DIR/${CARGO_BUILD_TARGET:+$CARGO_BUILD_TARGET/}release
    # Whoever has the last ones mapped or running keeps them.
    cp --remove-destination "$built/libdaedalus_drv_video.so" "$folder/daedalus_drv_video.so"
    for program in daedalusd daedalusctl; do
        [ ! -e "$built/$program" ] || cp --remove-destination "$built/$program" "$folder/$program"
    done
    ;;
pages)
    # What writes them runs here, whatever it is that programs are built for.
    env -u CARGO_BUILD_TARGET -u RUSTFLAGS "${CARGO:-cargo}" run "$@"
    cp "$folder/pages/man/"* "$folder/pages/completions/"* "$folder"
    ;;
*) exec "${CARGO:-cargo}" "$command" "$@" ;;
esac
