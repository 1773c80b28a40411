//! `cargo xtask package`: what others install, ready to copy.

use crate::python;
use crate::setup::TARGETS;
use crate::step::{cargo, output, root};
use anyhow::{Context as _, Result, bail, ensure};
use std::fs;
use std::path::Path;

/// What `cargo xtask package` may be told.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  cargo xtask package c
  cargo xtask package python")]
pub(crate) struct Args {
    /// What to package.
    #[arg(value_enum)]
    what: What,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum What {
    /// A static library and a header for C, with CMake and pkg-config files, in target/package/c.
    C,
    /// The wheel for Python, in target/package/python.
    Python,
}

/// `cargo xtask package`.
pub(crate) fn run(args: &Args) -> Result<()> {
    match args.what {
        What::C => {
            let folder = root().join("target/package/c");
            c(&folder)?;
            println!("target/package/c");
            for line in listing(&folder)? {
                println!("  {line}");
            }
        }
        What::Python => python::package(&root().join("target/package/python"))?,
    }
    Ok(())
}

/// The files of the C package and where each comes from, from the root.
const C_FILES: [(&str, &str); 7] = [
    ("include/heartlens.h", "bindings/c/include/heartlens.h"),
    ("examples/beats.c", "bindings/c/examples/beats.c"),
    ("README.md", "bindings/c/README.md"),
    (
        "lib/cmake/heartlens/heartlensConfig.cmake",
        "bindings/c/cmake/heartlensConfig.cmake",
    ),
    (
        "lib/pkgconfig/heartlens.pc",
        "bindings/c/cmake/heartlens.pc",
    ),
    ("LICENSE-MIT", "LICENSE-MIT"),
    ("LICENSE-APACHE", "LICENSE-APACHE"),
];

/// Writes the C package, in place of one that is there.
fn c(folder: &Path) -> Result<()> {
    if folder.exists() {
        fs::remove_dir_all(folder).with_context(|| format!("cannot empty {}", folder.display()))?;
    }
    for (place, source) in C_FILES {
        copy(&root().join(source), &folder.join(place))?;
    }
    let host = [("host", None)];
    let devices = TARGETS.map(|target| (target, Some(target)));
    for (name, target) in host.into_iter().chain(devices) {
        let mut command = cargo("bindings/c");
        command.args(["rustc", "--quiet", "--release", "--lib"]);
        command.args(["--crate-type", "staticlib", "--features", "handler"]);
        let mut built = root().join("bindings/c/target/library");
        command.env("CARGO_TARGET_DIR", &built);
        if let Some(target) = target {
            command.args(["--target", target]);
            built.push(target);
        }
        output(&mut command)?;
        let library = built.join("release/libheartlens_c.a");
        copy(
            &library,
            &folder.join("lib").join(name).join("libheartlens.a"),
        )?;
    }
    Ok(())
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
