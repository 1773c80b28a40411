//! Hands the board's memory map to the linker.

use std::path::PathBuf;

const MEMORY: &str = "memory/netduinoplus2.x";

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo::rerun-if-changed={MEMORY}");
    if std::env::var("CARGO_CFG_TARGET_OS")? == "none" {
        let out = PathBuf::from(std::env::var("OUT_DIR")?);
        std::fs::copy(MEMORY, out.join("memory.x"))?;
        println!("cargo::rustc-link-search={}", out.display());
        for argument in ["-Tlink.x", "-Tdefmt.x", "--nmagic"] {
            println!("cargo::rustc-link-arg-bins={argument}");
        }
    }
    Ok(())
}
