//! Generates the bindings from the libva headers that pkg-config finds.
//!
//! Only types and constants are bound: a VA-API driver is called by libva and calls nothing of it.

use std::{env, path::PathBuf};

const HEADERS: &str = "\
#include <va/va.h>
#include <va/va_backend.h>
#include <va/va_drmcommon.h>
#include <va/va_dec_vp9.h>
#include <va/va_dec_av1.h>
";

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let libva = pkg_config::Config::new()
        .atleast_version("1.14") // 2.14: the first whose AV1 structs are final
        .cargo_metadata(false)
        .probe("libva")
        .expect("libva's headers (Debian: libva-dev) are needed to build the driver");
    let version: Vec<u32> = libva.version.split('.').filter_map(|n| n.parse().ok()).collect();
    // vaMapBuffer2's slot in the vtable came with VA-API 1.21 (libva 2.21).
    println!("cargo:map_buffer2={}", u32::from(version >= vec![1, 21]));

    // VA-API 1.22 has a third descriptor of exported surfaces.
    println!("cargo:prime3={}", u32::from(version >= vec![1, 22]));

    let bindings = bindgen::Builder::default()
        .header_contents("daedalus-libva.h", HEADERS)
        .clang_args(libva.include_paths.iter().map(|p| format!("-I{}", p.display())))
        .allowlist_type("_?VA.*")
        .allowlist_var("VA_.*")
        .default_enum_style(bindgen::EnumVariation::Consts)
        .prepend_enum_name(false)
        .derive_default(true)
        .layout_tests(true)
        .generate_comments(false)
        .rust_target(bindgen::RustTarget::stable(85, 0).unwrap())
        .rust_edition(bindgen::RustEdition::Edition2024)
        .generate()
        .expect("bindgen reads the libva headers");
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    bindings.write_to_file(out.join("bindings.rs")).expect("OUT_DIR is writable");
}
