//! What `./x fuzz` runs: libFuzzer on the target that the environment names.

#![no_main]

use std::sync::OnceLock;

use daedalus_fuzz::Target;

static TARGET: OnceLock<Target> = OnceLock::new();

libfuzzer_sys::fuzz_target!(
    init: {
        let name = std::env::var("DAEDALUS_FUZZ_TARGET").unwrap_or_default();
        let Some(target) = daedalus_fuzz::find(&name) else {
            eprintln!("DAEDALUS_FUZZ_TARGET={name}: no such target");
            std::process::exit(2);
        };
        // SAFETY: libFuzzer has started no thread yet.
        unsafe { daedalus_fuzz::prepare() };
        TARGET.get_or_init(|| target);
    },
    |bytes: &[u8]| {
        if let Some(target) = TARGET.get() {
            (target.run)(bytes);
        }
    }
);
