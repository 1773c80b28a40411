//! What others would install: the packages, tested from their own files, and README's example in an empty crate.

use crate::documents::example;
use crate::setup::TARGETS;
use crate::step::{cargo, output, root};
use anyhow::{Context as _, Result, ensure};
use std::fs;
use std::path::Path;
use std::process::Command;

/// The crates that could be published, each after those that it uses.
pub(crate) const PACKAGES: [&str; 3] = ["heartlens-core", "heartlens-records", "heartlens"];

/// Of these, those whose tests run from the packaged files: quick to build, and complete in themselves.
const TESTED: [&str; 2] = ["heartlens-core", "heartlens-records"];

/// Files that every package has.
const FILES: [&str; 4] = ["README.md", "LICENSE-MIT", "LICENSE-APACHE", "src/lib.rs"];

/// Every package has its licences, a readme and what a registry lists a crate by.
pub(crate) fn described() -> Result<()> {
    let metadata = cargo_metadata::MetadataCommand::new()
        .current_dir(root())
        .no_deps()
        .exec()?;
    for name in PACKAGES {
        let package = metadata.packages.iter().find(|p| p.name.as_str() == name);
        let package = package.with_context(|| format!("the workspace has no crate {name}"))?;
        for (what, there) in [
            ("description", package.description.is_some()),
            ("license", package.license.is_some()),
            ("repository", package.repository.is_some()),
            ("readme", package.readme.is_some()),
            ("keywords", !package.keywords.is_empty()),
            ("categories", !package.categories.is_empty()),
        ] {
            ensure!(there, "{name}/Cargo.toml names no {what}");
        }
        let files = output(cargo(".").args(["package", "--list", "--allow-dirty", "-p", name]))?;
        for file in FILES {
            ensure!(
                files.lines().any(|line| line == file),
                "the package {name} lacks {file}"
            );
        }
    }
    Ok(())
}

/// Packages all and runs the tests of [`TESTED`] from the packaged files, away from the repository.
pub(crate) fn tested() -> Result<()> {
    let target = root().join("target");
    let mut package = cargo(".");
    package.args(["package", "--no-verify", "--allow-dirty", "--quiet"]);
    for name in PACKAGES {
        package.args(["--package", name]);
    }
    output(&mut package)?;

    let folder = tempfile::tempdir().context("no temporary folder")?;
    let mut workspace = String::from("[workspace]\nresolver = \"3\"\nmembers = [");
    let mut patches = String::from("[patch.crates-io]\n");
    for name in TESTED {
        let version = env!("CARGO_PKG_VERSION");
        let packed = target.join(format!("package/{name}-{version}.crate"));
        output(
            Command::new("tar")
                .arg("-xzf")
                .arg(&packed)
                .arg("-C")
                .arg(folder.path()),
        )?;
        let unpacked = format!("{name}-{version}");
        workspace.push_str(&format!("\"{unpacked}\", "));
        patches.push_str(&format!("{name} = {{ path = \"{unpacked}\" }}\n"));
    }
    // As in the repository, tests that play minutes of signal are not run unoptimised.
    workspace.push_str(&format!(
        "]\n\n[profile.dev]\nopt-level = 1\ndebug = false\n\n{patches}"
    ));
    fs::write(folder.path().join("Cargo.toml"), workspace)?;
    // The versions of the repository's own lock file, without those that this workspace lacks.
    fs::copy(root().join("Cargo.lock"), folder.path().join("Cargo.lock"))?;
    output(
        cargo(".")
            .current_dir(folder.path())
            .args(["test", "--workspace", "--quiet"])
            .args(["--features", "heartlens-core/link,heartlens-core/serde"])
            .args(["--features", "heartlens-core/simd,heartlens-core/slots"])
            .env("CARGO_TARGET_DIR", target.join("packaged"))
            .env_remove("HEARTLENS_DATA"),
    )?;
    Ok(())
}

/// The first example of a README, pasted into an empty crate, compiles for this machine and for the smallest board.
pub(crate) fn readme_example(readme: &str) -> Result<()> {
    let readme = fs::read_to_string(root().join(readme))?;
    let folder = tempfile::tempdir().context("no temporary folder")?;
    empty_crate(folder.path(), example(&readme)?)?;
    for target in [None, Some(TARGETS[0])] {
        let mut build = cargo(".");
        build
            .current_dir(folder.path())
            .args(["build", "--quiet"])
            .env("CARGO_TARGET_DIR", root().join("target/packaged"))
            .env("RUSTFLAGS", "-D warnings");
        if let Some(target) = target {
            build.args(["--target", target]);
        }
        output(&mut build).with_context(|| {
            format!(
                "README's example does not compile for {}",
                target.unwrap_or("this machine")
            )
        })?;
    }
    Ok(())
}

/// A crate that holds this code, the shipped model beside it, and nothing else.
fn empty_crate(folder: &Path, code: &str) -> Result<()> {
    let source = folder.join("src");
    fs::create_dir(&source)?;
    fs::write(source.join("lib.rs"), code)?;
    for file in ["model.hlm", "rhythm.hlr"] {
        fs::copy(root().join("models/beat").join(file), source.join(file))?;
    }
    let manifest = format!(
        "[package]\nname = \"pasted\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\n\
         [dependencies]\nheartlens-core = {{ path = '{}' }}\n\n[workspace]\n",
        root().join("core").display()
    );
    fs::write(folder.join("Cargo.toml"), manifest)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_package_is_described_and_has_its_files() {
        described().expect("packages");
    }

    #[test]
    fn an_empty_crate_holds_the_code_and_the_model() {
        let folder = tempfile::tempdir().expect("a folder");
        empty_crate(folder.path(), "pub fn nothing() {}\n").expect("a crate");
        let read = |name: &str| fs::read_to_string(folder.path().join(name)).expect(name);
        assert_eq!(read("src/lib.rs"), "pub fn nothing() {}\n");
        assert!(read("Cargo.toml").contains("heartlens-core = { path"));
        assert!(folder.path().join("src/model.hlm").is_file());
    }
}
