//! Reads the headers of dav1d: of the one that is linked in (feature `bundled-dav1d`), or of the system's.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let includes = if std::env::var_os("CARGO_FEATURE_BUNDLED_DAV1D").is_some() {
        // Set by libdav1d-sys's build script through `links`.
        vec![std::env::var("DEP_DAV1D_INCLUDE").expect("libdav1d-sys says where its headers are")]
    } else {
        of_the_system()
    };
    let out = std::env::var("OUT_DIR").expect("cargo sets OUT_DIR");
    bindgen::Builder::default()
        .header_contents("daedalus-dav1d.h", "#include <dav1d/dav1d.h>\n")
        .clang_args(includes.iter().map(|path| format!("-I{path}")))
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
}

/// The folders with the system's headers.
fn of_the_system() -> Vec<String> {
    // Debian 12's dav1d 1.0 decodes some streams with superres and resizing wrongly.
    match pkg_config::Config::new().atleast_version("1.3").probe("dav1d") {
        Ok(dav1d) => {
            dav1d.include_paths.iter().map(|path| path.to_string_lossy().into_owned()).collect()
        }
        Err(why) => panic!(
            "no AV1 decoder: build with the feature `bundled-dav1d` or install libdav1d >= 1.3 ({why})"
        ),
    }
}
