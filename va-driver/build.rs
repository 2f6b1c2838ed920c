//! Tells the driver which libva it is built against, and what its shared library may export.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    for (name, variable) in [
        ("libva_map_buffer2", "DEP_VA_HEADERS_MAP_BUFFER2"),
        ("libva_prime3", "DEP_VA_HEADERS_PRIME3"),
    ] {
        println!("cargo:rustc-check-cfg=cfg({name})");
        // Set by libva-sys's build script through `links`.
        if std::env::var(variable).is_ok_and(|has| has == "1") {
            println!("cargo:rustc-cfg={name}");
        }
    }
    // libva opens drivers with RTLD_GLOBAL: the C symbols of a statically linked decoder (dav1d's)
    // must neither reach the host program nor be replaced by the host's own.
    println!("cargo:rustc-cdylib-link-arg=-Wl,--exclude-libs,ALL");
    println!("cargo:rustc-cdylib-link-arg=-Wl,-Bsymbolic");
    println!("cargo:rustc-cdylib-link-arg=-Wl,-z,nodelete");
}
