#!/bin/sh
# cargo's RUSTC_WORKSPACE_WRAPPER for ./x fuzz: has rustc count edges, for libFuzzer to see where an input
# goes. So it is guided by this project's own code, not by what that depends on.
set -eu

# Build scripts run on their own, without libFuzzer: cargo compiles them without a target.
case " $* " in
*' --target '*) ;;
*) exec "$@" ;;
esac

exec "$@" \
    -Cpasses=sancov-module \
    -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
    -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares \
    -Cllvm-args=-simplifycfg-branch-fold-threshold=0 \
    -Ccodegen-units=1
