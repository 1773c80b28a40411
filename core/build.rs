//! Tells the compiler of cores with the DSP extension: stable Rust does not show `target_feature = "dsp"` to `cfg`.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rustc-check-cfg=cfg(armv7em)");
    let target = std::env::var("TARGET").unwrap_or_default();
    // Armv7E-M always has it. In Armv8-M it is the chip's choice, so the user says so.
    let dsp = std::env::var_os("CARGO_FEATURE_DSP").is_some();
    if target.starts_with("thumbv7em-") || (dsp && target.starts_with("thumbv8m.main-")) {
        println!("cargo::rustc-cfg=armv7em");
    }
}
