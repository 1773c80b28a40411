//! Hands the board's memory map to the linker, and the stretch of samples and the networks to the compiler.

use std::path::{Path, PathBuf};

/// The boards, each a feature and a memory map.
const BOARDS: [&str; 2] = ["netduinoplus2", "nrf52840"];
/// Names another stretch than the bundled one; see `src/stretch.rs` for the format.
const STRETCH_VARIABLE: &str = "HEARTLENS_STRETCH";
const STRETCH: &str = "stretch/demo.bin";
/// Names another model than the shipped one to build in.
const MODEL_VARIABLE: &str = "HEARTLENS_MODEL";
const MODEL: &str = "../models/beat/model.hlm";
/// Names another rhythm network than the shipped one to build in.
const RHYTHM_VARIABLE: &str = "HEARTLENS_RHYTHM";
const RHYTHM: &str = "../models/beat/rhythm.hlr";
/// Names another strip network than the shipped one to build in.
const STRIP_VARIABLE: &str = "HEARTLENS_STRIP";
const STRIP: &str = "../models/beat/strip.hlm";

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let out = PathBuf::from(std::env::var("OUT_DIR")?);

    println!("cargo::rerun-if-env-changed={STRETCH_VARIABLE}");
    let stretch = std::env::var(STRETCH_VARIABLE).unwrap_or_else(|_| STRETCH.into());
    place(&stretch, &out.join("stretch.bin"))?;

    println!("cargo::rerun-if-env-changed={MODEL_VARIABLE}");
    let model = std::env::var(MODEL_VARIABLE).unwrap_or_else(|_| MODEL.into());
    place(&model, &out.join("model.hlm"))
        .map_err(|error| format!("{error}; `heartlens compile` makes a model for devices"))?;

    println!("cargo::rerun-if-env-changed={RHYTHM_VARIABLE}");
    let rhythm = std::env::var(RHYTHM_VARIABLE).unwrap_or_else(|_| RHYTHM.into());
    place(&rhythm, &out.join("rhythm.hlr")).map_err(|error| {
        format!("{error}; `heartlens-train export --config models/rhythm/config.toml` makes one")
    })?;

    println!("cargo::rerun-if-env-changed={STRIP_VARIABLE}");
    let strip = std::env::var(STRIP_VARIABLE).unwrap_or_else(|_| STRIP.into());
    place(&strip, &out.join("strip.hlm"))
        .map_err(|error| format!("{error}; `heartlens compile` makes a model for devices"))?;

    println!("cargo::rustc-check-cfg=cfg(board)");
    let chosen = |board: &&str| {
        std::env::var_os(format!("CARGO_FEATURE_{}", board.to_uppercase())).is_some()
    };
    // Two boards are an error of the crate itself. With none, its portable part is built.
    let board = BOARDS.into_iter().find(chosen);
    if let (Some(board), "none") = (board, std::env::var("CARGO_CFG_TARGET_OS")?.as_str()) {
        println!("cargo::rustc-cfg=board");
        place(&format!("memory/{board}.x"), &out.join("memory.x"))?;
        println!("cargo::rustc-link-search={}", out.display());
        for argument in ["-Tlink.x", "-Tdefmt.x", "--nmagic"] {
            println!("cargo::rustc-link-arg-bins={argument}");
        }
    }
    Ok(())
}

fn place(source: &str, target: &Path) -> Result<(), String> {
    println!("cargo::rerun-if-changed={source}");
    std::fs::copy(source, target).map_err(|error| format!("{source}: {error}"))?;
    Ok(())
}
