//! Tells the targets which libva the driver is built against, as `va-driver/build.rs` does.

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
}
