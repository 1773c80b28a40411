//! Hands the memory map to the linker.

fn main() {
    println!("cargo::rerun-if-changed=memory.x");
    if std::env::var_os("CARGO_FEATURE_NRF52840").is_some() {
        let folder = std::env::var("CARGO_MANIFEST_DIR").unwrap_or_default();
        println!("cargo::rustc-link-search={folder}");
        println!("cargo::rustc-link-arg-bins=-Tlink.x");
        println!("cargo::rustc-link-arg-bins=--nmagic");
    }
}
