//! Chooses the AV1 decoder: the system's libdav1d from 1.3 on, else the rav1d crate (same C API).

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rustc-check-cfg=cfg(system_dav1d)");
    // Debian 12's dav1d 1.0 decodes some streams with superres and resizing wrongly.
    match pkg_config::Config::new().atleast_version("1.3").probe("dav1d") {
        Ok(dav1d) => {
            let out = std::env::var("OUT_DIR").expect("cargo sets OUT_DIR");
            bindgen::Builder::default()
                .header_contents("daedalus-dav1d.h", "#include <dav1d/dav1d.h>\n")
                .clang_args(dav1d.include_paths.iter().map(|p| format!("-I{}", p.display())))
                .allowlist_item("dav1d_.*|Dav1d.*|DAV1D_.*")
                .default_enum_style(bindgen::EnumVariation::Consts)
                .prepend_enum_name(false)
                .generate_comments(false)
                .derive_default(true)
                .rust_target(bindgen::RustTarget::stable(85, 0).expect("a Rust that bindgen knows"))
                .rust_edition(bindgen::RustEdition::Edition2024)
                .generate()
                .expect("bindgen reads dav1d.h")
                .write_to_file(format!("{out}/dav1d.rs"))
                .expect("OUT_DIR is writable");
            println!("cargo:rustc-cfg=system_dav1d");
        }
        Err(why) => {
            if std::env::var_os("CARGO_FEATURE_RAV1D").is_none() {
                panic!(
                    "no AV1 decoder: build with the feature `rav1d` or install libdav1d >= 1.3 ({why})"
                );
            }
        }
    }
}
