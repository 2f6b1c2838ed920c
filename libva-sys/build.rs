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
#include <va/va_x11.h>
";

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let libva = pkg_config::Config::new()
        .atleast_version("1.14") // 2.14: the first with VADriverVTable's vaMapBuffer2 slot reserved and AV1
        .cargo_metadata(false)
        .probe("libva")
        .expect("libva's headers (Debian: libva-dev) are needed to build the driver");
    let driver_dir = pkg_config::get_variable("libva", "driverdir").unwrap_or_default();
    println!("cargo:rustc-env=LIBVA_DRIVER_DIR={driver_dir}");

    let headers: String =
        HEADERS.lines().filter(|l| !l.contains("va_x11")).map(|l| format!("{l}\n")).collect();
    let bindings = bindgen::Builder::default()
        .header_contents("daedalus-libva.h", &headers)
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
