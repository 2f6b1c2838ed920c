//! Tells the linker what the daemon may export.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    // libavcodec may link libdav1d of the system: its symbols must not be those of the one that is linked in here.
    println!("cargo:rustc-link-arg-bins=-Wl,--exclude-libs,ALL");
}
