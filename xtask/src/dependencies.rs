//! The dependency rule: which of the project's crates may know which.

use crate::step::root;
use anyhow::{Context as _, Result, bail};
use cargo_metadata::{Metadata, MetadataCommand, Package};
use std::collections::{BTreeMap, BTreeSet};

/// Each crate with those of ours that it may depend on, in any way: normally, to build, or to test.
const RULE: [(&str, &[&str]); 17] = [
    // Its own tests turn on its features.
    ("heartlens-core", &["heartlens-core"]),
    ("heartlens-records", &[]),
    ("heartlens", &["heartlens-core", "heartlens-records"]),
    ("heartlens-trainer", &["heartlens-core", "heartlens"]),
    (
        "heartlens-tests",
        &["heartlens-core", "heartlens", "heartlens-trainer"],
    ),
    ("heartlens-firmware", &["heartlens-core"]),
    ("heartlens-embassy", &["heartlens-core"]),
    ("heartlens-ble", &["heartlens-core", "heartlens-embassy"]),
    ("heartlens-cores", &["heartlens-core", "heartlens-firmware"]),
    ("heartlens-c", &["heartlens-core"]),
    ("heartlens-python", &["heartlens-core", "heartlens"]),
    (
        "heartlens-web",
        &["heartlens-core", "heartlens-records", "heartlens"],
    ),
    ("heartlens-bindgen", &[]),
    ("heartlens-no-panic", &["heartlens-core"]),
    ("qemu-runner", &[]),
    (
        "heartlens-fuzz",
        &["heartlens-core", "heartlens", "heartlens-c"],
    ),
    ("xtask", &[]),
];

/// Where each foreign crate has its reason.
const REASONS: &str = "docs/dependencies.md";

/// The host's features that bring a runtime: the trainer has its own.
const RUNTIMES: [&str; 3] = ["default", "tract", "ort"];

/// The workspaces, each by the folder of its manifest.
const WORKSPACES: [&str; 7] = [
    ".",
    "firmware",
    "firmware/embassy",
    "firmware/ble",
    "fuzz",
    "bindings/c",
    "bindings/web",
];

/// Holds the crates of all workspaces against the rule. The error names every breach.
pub(crate) fn check() -> Result<()> {
    let mut breaches = Vec::new();
    let mut named = BTreeSet::new();
    for workspace in WORKSPACES {
        let metadata = metadata(workspace)?;
        breaches.extend(breaches_in(&metadata));
        let all = metadata
            .packages
            .iter()
            .flat_map(|package| &package.dependencies);
        let foreign = all.filter(|dependency| dependency.path.is_none());
        named.extend(foreign.map(|dependency| dependency.name.clone()));
    }
    let list = std::fs::read_to_string(root().join(REASONS)).context(REASONS)?;
    breaches.extend(unexplained(&named, &list));
    let twice = twice(&resolved()?);
    breaches.extend(differences(&twice, &list));
    if !breaches.is_empty() {
        bail!("{}", breaches.join("\n"));
    }
    Ok(())
}

/// Crates without a line in the list of reasons, and lines without a crate.
fn unexplained(named: &BTreeSet<String>, list: &str) -> Vec<String> {
    let row = |line: &str| {
        let (name, reason) = line.strip_prefix("| `")?.split_once("` | ")?;
        (reason.len() > 3).then(|| name.to_owned())
    };
    let listed: BTreeSet<String> = list.lines().filter_map(row).collect();
    let missing = named.difference(&listed);
    let missing = missing.map(|name| format!("{REASONS} does not say what {name} is for"));
    let stale = listed.difference(named);
    let stale = stale.map(|name| format!("{REASONS} lists {name}, which no manifest names"));
    missing.chain(stale).collect()
}

/// The system whose crates are looked at for those in several versions.
const SYSTEM: &str = "x86_64-unknown-linux-gnu";

/// All crates that the root workspace is built from.
fn resolved() -> Result<Metadata> {
    Ok(MetadataCommand::new()
        .manifest_path(root().join("Cargo.toml"))
        .current_dir(root())
        .other_options(["--filter-platform".to_owned(), SYSTEM.to_owned()])
        .exec()?)
}

/// Crates that come in several versions, each with those: a row of the list's second table up to its reason.
fn twice(metadata: &Metadata) -> BTreeSet<String> {
    let mut versions = BTreeMap::<&str, BTreeSet<(u64, u64)>>::new();
    for package in &metadata.packages {
        let minor = match package.version.major {
            0 => package.version.minor,
            _ => 0,
        };
        let of_crate = versions.entry(package.name.as_str()).or_default();
        of_crate.insert((package.version.major, minor));
    }
    let doubled = versions.iter().filter(|(_, versions)| versions.len() > 1);
    doubled
        .map(|(name, versions)| {
            let shown = versions.iter().map(|(major, minor)| match major {
                0 => format!("0.{minor}"),
                _ => major.to_string(),
            });
            format!("| `{name}` {}", shown.collect::<Vec<_>>().join(", "))
        })
        .collect()
}

/// Rows of crates in several versions that the list lacks, and rows of those that are not.
fn differences(twice: &BTreeSet<String>, list: &str) -> Vec<String> {
    let row = |line: &str| {
        let (versions, reason) = line.strip_suffix(" |")?.rsplit_once(" | ")?;
        let is_row = versions.starts_with("| `") && !versions.ends_with('`');
        (is_row && reason.len() > 3).then(|| versions.to_owned())
    };
    let listed: BTreeSet<String> = list.lines().filter_map(row).collect();
    let missing = twice.difference(&listed);
    let missing = missing.map(|row| format!("{REASONS} does not say why there is `{row} |`"));
    let stale = listed.difference(twice);
    let stale = stale.map(|row| format!("{REASONS} has `{row} |`, which is not so"));
    missing.chain(stale).collect()
}

fn metadata(workspace: &str) -> Result<Metadata> {
    Ok(MetadataCommand::new()
        .manifest_path(root().join(workspace).join("Cargo.toml"))
        .current_dir(root())
        .no_deps()
        .exec()?)
}

fn breaches_in(metadata: &Metadata) -> Vec<String> {
    metadata.packages.iter().flat_map(breaches_of).collect()
}

fn breaches_of(package: &Package) -> Vec<String> {
    let Some((_, allowed)) = RULE.iter().find(|(name, _)| *name == package.name.as_str()) else {
        return vec![format!(
            "{} is not in the dependency rule (xtask/src/dependencies.rs)",
            package.name
        )];
    };
    let mut breaches = Vec::new();
    for dependency in &package.dependencies {
        // Only crates of ours are found by a path.
        if dependency.path.is_none() {
            continue;
        }
        if !allowed.contains(&dependency.name.as_str()) {
            breaches.push(format!("{} may not know {}", package.name, dependency.name));
        }
        if package.name.as_str() == "heartlens-trainer" && dependency.name == "heartlens" {
            let defaults = dependency.uses_default_features.then_some("default");
            let features = dependency.features.iter().map(String::as_str);
            for feature in features.chain(defaults).filter(|f| RUNTIMES.contains(f)) {
                breaches.push(format!(
                    "heartlens-trainer must use heartlens without its runtimes, and turns on `{feature}`"
                ));
            }
        }
    }
    breaches
}

/// The features of a crate of the root workspace, `default` apart.
pub(crate) fn features(package: &str) -> Result<Vec<String>> {
    let metadata = metadata(".")?;
    let Some(package) = metadata
        .packages
        .iter()
        .find(|p| p.name.as_str() == package)
    else {
        bail!("the workspace has no crate {package}");
    };
    let features = package.features.keys().filter(|name| *name != "default");
    Ok(features.cloned().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_crate_knows_only_whom_it_may() {
        check().expect("the dependency rule");
    }

    #[test]
    fn a_crate_without_a_reason_is_named_and_so_is_a_reason_without_a_crate() {
        let named = BTreeSet::from(["csv".to_owned(), "toml".to_owned(), "rand".to_owned()]);
        let list = "| crate | what for |\n|---|---|\n| `csv` | CSV in and out |\n| `rand` | |\n| `old` | not any more |\n";
        let breaches = unexplained(&named, list);
        assert_eq!(breaches.len(), 3, "{breaches:?}");
        for name in ["rand", "toml", "old"] {
            assert!(
                breaches.iter().any(|breach| breach.contains(name)),
                "{name}"
            );
        }
    }

    #[test]
    fn crates_in_several_versions_are_listed_as_they_are() {
        let twice = BTreeSet::from(["| `rand` 0.8, 0.10".to_owned(), "| `syn` 2, 3".to_owned()]);
        let list = "| `csv` | CSV in and out |\n| `syn` 2, 3 | macros |\n| `old` 1, 2 | gone |\n";
        let found = differences(&twice, list);
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found[0].contains("`rand` 0.8") && found[1].contains("`old` 1, 2"));
    }

    #[test]
    fn every_crate_of_the_rule_exists() {
        let mut names = Vec::new();
        for workspace in WORKSPACES {
            let packages = metadata(workspace).expect("metadata").packages;
            names.extend(packages.iter().map(|p| p.name.to_string()));
        }
        for (name, _) in RULE {
            assert!(names.iter().any(|n| n == name), "{name} is nowhere");
        }
    }

    fn package(name: &str, dependencies: serde_json::Value) -> Package {
        let metadata = metadata(".").expect("metadata");
        let mut package = serde_json::to_value(&metadata.packages[0]).expect("json");
        package["name"] = name.into();
        package["dependencies"] = dependencies;
        serde_json::from_value(package).expect("package")
    }

    fn dependency(name: &str, defaults: bool, features: &[&str]) -> serde_json::Value {
        serde_json::json!({
            "name": name, "req": "*", "kind": null, "optional": false, "target": null, "rename": null,
            "registry": null, "source": null, "path": format!("/somewhere/{name}"),
            "uses_default_features": defaults, "features": features,
        })
    }

    #[test]
    fn breaches_are_named() {
        let breaches = |name: &str, dependency: serde_json::Value| {
            breaches_of(&package(name, serde_json::json!([dependency])))
        };
        let host = dependency("heartlens", false, &["cli"]);
        assert_eq!(
            breaches("heartlens-core", host.clone()),
            ["heartlens-core may not know heartlens"]
        );
        assert!(breaches("heartlens-trainer", host).is_empty());
        assert_eq!(
            breaches("heartlens-trainer", dependency("heartlens", true, &[])).len(),
            1
        );
        assert_eq!(
            breaches(
                "heartlens-trainer",
                dependency("heartlens", false, &["tract"])
            )
            .len(),
            1
        );
        assert_eq!(
            breaches("heartlens", dependency("heartlens-trainer", true, &[])),
            ["heartlens may not know heartlens-trainer"]
        );
        let stranger = breaches_of(&package("heartlens-extra", serde_json::json!([])));
        assert!(stranger[0].starts_with("heartlens-extra is not in"));
    }
}
