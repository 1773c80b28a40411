//! `cargo xtask package`: what others install, ready to copy.

use crate::python;
use crate::step::{cargo, output, root};
use crate::web;
use anyhow::{Context as _, Result, bail, ensure};
use std::fs;
use std::path::{Path, PathBuf};

/// What `cargo xtask package` may be told.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  cargo xtask package c
  cargo xtask package python
  cargo xtask package web")]
pub(crate) struct Args {
    /// What to package.
    #[arg(value_enum)]
    what: What,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum What {
    /// A static library and a header for C, with files for CMake, pkg-config, Zephyr, ESP-IDF and Arduino, in target/package/c.
    C,
    /// The wheel for Python, in target/package/python.
    Python,
    /// The viewer: a page in one file, and the WebAssembly for pages of others, in target/package/web.
    Web,
}

/// `cargo xtask package`.
pub(crate) fn run(args: &Args) -> Result<()> {
    match args.what {
        What::C => {
            let folder = root().join("target/package/c");
            c(&folder)?;
            show("target/package/c", &folder)?;
        }
        What::Python => python::package(&root().join("target/package/python"))?,
        What::Web => {
            let folder = root().join("target/package/web");
            web::package(&folder)?;
            show("target/package/web", &folder)?;
            println!("the next build of the command has the page inside: heartlens view RECORD");
        }
    }
    Ok(())
}

/// Prints what a package holds.
fn show(name: &str, folder: &Path) -> Result<()> {
    println!("{name}");
    for line in listing(folder)? {
        println!("  {line}");
    }
    Ok(())
}

/// The files of the C package and where each comes from, from the root.
const C_FILES: [(&str, &str); 16] = [
    ("include/heartlens.h", "bindings/c/include/heartlens.h"),
    ("examples/beats.c", "bindings/c/examples/beats.c"),
    ("README.md", "bindings/c/README.md"),
    (
        "lib/cmake/heartlens/heartlensConfig.cmake",
        "bindings/c/cmake/heartlensConfig.cmake",
    ),
    (
        "lib/cmake/heartlens/heartlensConfigVersion.cmake",
        "bindings/c/cmake/heartlensConfigVersion.cmake",
    ),
    (
        "lib/pkgconfig/heartlens.pc",
        "bindings/c/cmake/heartlens.pc",
    ),
    ("zephyr/module.yml", "bindings/c/zephyr/module.yml"),
    ("zephyr/Kconfig", "bindings/c/zephyr/Kconfig"),
    ("zephyr/CMakeLists.txt", "bindings/c/zephyr/CMakeLists.txt"),
    ("idf_component.yml", "bindings/c/esp-idf/idf_component.yml"),
    ("CMakeLists.txt", "bindings/c/esp-idf/CMakeLists.txt"),
    (
        "arduino/Heartlens/library.properties",
        "bindings/c/arduino/library.properties",
    ),
    (
        "arduino/Heartlens/src/heartlens.h",
        "bindings/c/include/heartlens.h",
    ),
    (
        "arduino/Heartlens/examples/AD8232/AD8232.ino",
        "bindings/c/arduino/examples/AD8232/AD8232.ino",
    ),
    ("LICENSE-MIT", "LICENSE-MIT"),
    ("LICENSE-APACHE", "LICENSE-APACHE"),
];

/// A microcontroller's static library.
struct Library {
    target: &'static str,
    /// What the compiler is told beside the target.
    flags: &'static str,
    /// Folders of the Arduino library's `src` that it goes to, by {build.mcu}, {build.fpu} and {build.float-abi}.
    arduino: &'static [&'static str],
}

/// The libraries for microcontrollers. Each lies in a folder of its target's name.
const LIBRARIES: [Library; 5] = [
    Library {
        target: "thumbv7em-none-eabihf",
        flags: "",
        arduino: &["cortex-m4/fpv4-sp-d16-hard"],
    },
    // With the floating-point unit, but floats in core registers between functions: Arduino's mbed boards.
    Library {
        target: "thumbv7em-none-eabi",
        flags: "-Ctarget-cpu=cortex-m4 -Ctarget-feature=+vfp4d16sp",
        arduino: &["cortex-m4/fpv4-sp-d16-softfp"],
    },
    Library {
        target: "thumbv8m.main-none-eabihf",
        flags: "",
        arduino: &["cortex-m33/fpv5-sp-d16-hard"],
    },
    Library {
        target: "thumbv6m-none-eabi",
        flags: "",
        arduino: &["cortex-m0plus", "cortex-m3"],
    },
    Library {
        target: "riscv32imc-unknown-none-elf",
        flags: "",
        arduino: &["esp32c3", "esp32c6"],
    },
];

/// Rust's names of the microcontrollers that the C package has a library for.
pub(crate) fn targets() -> impl Iterator<Item = &'static str> {
    LIBRARIES.iter().map(|library| library.target)
}

/// Writes the C package, in place of one that is there.
fn c(folder: &Path) -> Result<()> {
    if folder.exists() {
        fs::remove_dir_all(folder).with_context(|| format!("cannot empty {}", folder.display()))?;
    }
    for (place, source) in C_FILES {
        copy(&root().join(source), &folder.join(place))?;
    }
    let place = |name: &str| folder.join("lib").join(name).join("libheartlens.a");
    copy(&static_library(None, "")?, &place("host"))?;
    for library in &LIBRARIES {
        let built = static_library(Some(library.target), library.flags)?;
        copy(&built, &place(library.target))?;
        for board in library.arduino {
            let sources = folder.join("arduino/Heartlens/src");
            copy(&built, &sources.join(board).join("libheartlens.a"))?;
        }
    }
    Ok(())
}

/// Builds the static library for a target, or for this machine, and says where it lies.
fn static_library(target: Option<&str>, flags: &str) -> Result<PathBuf> {
    let mut command = cargo("bindings/c");
    command.args(["rustc", "--quiet", "--release", "--lib"]);
    command.args(["--crate-type", "staticlib", "--features", "handler"]);
    let mut built = root().join("bindings/c/target/library");
    command.env("CARGO_TARGET_DIR", &built);
    if let Some(target) = target {
        command.args(["--target", target]).env("RUSTFLAGS", flags);
        built.push(target);
    }
    output(&mut command)?;
    Ok(built.join("release/libheartlens_c.a"))
}

fn copy(source: &Path, place: &Path) -> Result<()> {
    let Some(folder) = place.parent() else {
        bail!("{} has no folder", place.display());
    };
    fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let bytes = fs::copy(source, place)
        .with_context(|| format!("cannot copy {} to {}", source.display(), place.display()))?;
    ensure!(bytes > 0, "{} is empty", source.display());
    Ok(())
}

/// The files in a folder, by their path in it, with their sizes.
fn listing(folder: &Path) -> Result<Vec<String>> {
    let mut lines = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(&next)? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let name = path.strip_prefix(folder)?.display().to_string();
            lines.push(format!("{name:<48}{:>10} bytes", path.metadata()?.len()));
        }
    }
    lines.sort();
    Ok(lines)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_of_the_c_package_is_there_and_goes_to_a_place_of_its_own() -> Result<()> {
        let folder = tempfile::tempdir()?;
        for (place, source) in C_FILES {
            copy(&root().join(source), &folder.path().join(place))?;
        }
        assert_eq!(listing(folder.path())?.len(), C_FILES.len());
        Ok(())
    }
}
