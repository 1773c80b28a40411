//! Hands the linker the memory map of the machine that QEMU has for the target.

use std::path::PathBuf;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo::rerun-if-changed=memory");
    if std::env::var("CARGO_CFG_TARGET_OS")? != "none" {
        return Ok(());
    }
    let out = PathBuf::from(std::env::var("OUT_DIR")?);
    let target = std::env::var("TARGET")?;
    let machine = match target.split('-').next() {
        Some("thumbv6m") => "lm3s6965evb",
        Some("thumbv7m" | "thumbv7em") => "mps2-an385",
        Some("thumbv8m.main") => "mps2-an505",
        Some(core) if core.starts_with("riscv32") => "virt",
        _ => return Err(format!("no machine is known for {target}").into()),
    };
    std::fs::copy(format!("memory/{machine}.x"), out.join("memory.x"))?;
    println!("cargo::rustc-link-search={}", out.display());
    for argument in ["-Tlink.x", "--nmagic"] {
        println!("cargo::rustc-link-arg-bins={argument}");
    }
    Ok(())
}
