//! What of the project's surroundings is here, what is not, and the command that gets it.

use crate::model::Model;
use crate::runtime::{Kind, ModelError};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::process::Command;

/// One thing that the project can use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Part {
    /// Its name.
    pub name: String,
    /// Who needs it.
    pub purpose: &'static str,
    /// Whether it is here and can be used.
    pub found: bool,
    /// Version or place; where it is missing, what was looked for.
    pub detail: String,
    /// What gets it, where it is missing.
    pub remedy: Option<&'static str>,
}

impl Part {
    fn new(
        name: impl Into<String>,
        purpose: &'static str,
        looked: Result<String, String>,
        remedy: &'static str,
    ) -> Self {
        let found = looked.is_ok();
        Self {
            name: name.into(),
            purpose,
            found,
            detail: looked.unwrap_or_else(|reason| reason),
            remedy: (!found).then_some(remedy),
        }
    }
}

/// Where to look. [`Surroundings::here`] is this machine.
#[derive(Debug, Clone, Default)]
pub struct Surroundings {
    /// The model's folder; `None` for the model inside the program.
    pub model: Option<PathBuf>,
    /// The folder of records that `HEARTLENS_DATA` names.
    pub data: Option<PathBuf>,
    /// The shared library that `ORT_DYLIB_PATH` names.
    pub onnx_runtime: Option<PathBuf>,
    /// The folder that `LIBTORCH` names.
    pub libtorch: Option<PathBuf>,
    /// The project's folder in the user's cache directory, in which `cargo xtask setup` makes its environment.
    pub cache: Option<PathBuf>,
    /// The folders in which programs are looked for.
    pub path: Vec<PathBuf>,
}

impl Surroundings {
    /// This machine, with the model in the folder `model`.
    pub fn here(model: Option<PathBuf>) -> Self {
        let folder = |name: &str| {
            let value = std::env::var_os(name).filter(|value| !value.is_empty());
            value.map(PathBuf::from)
        };
        let cache = folder("XDG_CACHE_HOME")
            .filter(|folder| folder.is_absolute())
            .or_else(|| std::env::home_dir().map(|home| home.join(".cache")));
        Self {
            model,
            data: folder("HEARTLENS_DATA"),
            onnx_runtime: folder("ORT_DYLIB_PATH"),
            libtorch: folder("LIBTORCH"),
            cache: cache.map(|cache| cache.join("heartlens")),
            path: std::env::var_os("PATH")
                .map(|path| std::env::split_paths(&path).collect())
                .unwrap_or_default(),
        }
    }

    /// Looks for every part.
    pub fn examine(&self) -> Vec<Part> {
        let mut parts = vec![self.model()];
        parts.extend(Kind::ALL.iter().map(|kind| self.runtime(*kind)));
        let environment = self.environment();
        parts.push(self.onnx_runtime(environment.as_ref().ok()));
        parts.push(self.libtorch(environment.as_ref().ok()));
        parts.push(Part::new(
            "Python environment",
            "training, and benchmarks against Python",
            environment.map(|stamp| {
                let Installed {
                    python,
                    numpy,
                    scipy,
                    ..
                } = stamp.installed;
                format!("Python {python}, numpy {numpy}, scipy {scipy}")
            }),
            "cargo xtask setup",
        ));
        parts.extend(self.data());
        parts.push(self.program(
            "Rust",
            "building",
            "rustc",
            &["--version"],
            "https://rustup.rs",
        ));
        parts.extend(FIRMWARE_TARGETS.map(|(target, remedy)| self.target(target, remedy)));
        parts.push(self.program(
            "QEMU for Arm",
            "running the firmware without a board",
            "qemu-system-arm",
            &["--version"],
            "apt-get install qemu-system-arm",
        ));
        parts.push(self.program(
            "probe-rs",
            "flashing a board",
            "probe-rs",
            &["--version"],
            "cargo install --locked probe-rs-tools",
        ));
        parts.push(self.program(
            "GPU",
            "training on CUDA; a CPU does as well",
            "nvidia-smi",
            &[
                "--query-gpu=name,memory.total,driver_version",
                "--format=csv,noheader",
            ],
            "https://docs.nvidia.com/cuda",
        ));
        parts
    }

    fn load(&self) -> Result<Model, ModelError> {
        match &self.model {
            Some(folder) => Model::load(folder),
            None => Model::shipped(),
        }
    }

    fn model(&self) -> Part {
        let looked = match self.load() {
            Ok(model) => Ok(format!("{}, {}", model.name(), model.place())),
            Err(error) => Err(error.to_string()),
        };
        Part::new(
            "model",
            "classifying",
            looked,
            "leave --model and HEARTLENS_MODEL out: there is one inside the program",
        )
    }

    fn runtime(&self, kind: Kind) -> Part {
        let looked = match self.load().and_then(|model| model.network(kind)) {
            Ok(network) => Ok(format!("runs model {}", network.model_name())),
            Err(error) => Err(error.to_string()),
        };
        Part::new(
            format!("runtime {kind}"),
            "running the network",
            looked,
            "cargo xtask setup, and heartlens inspect on the model",
        )
    }

    /// The environment that `cargo xtask setup` made, by its stamp.
    fn environment(&self) -> Result<Stamp, String> {
        let cache = self.cache.as_ref().ok_or("no cache directory")?;
        let stamp = cache.join("venv/heartlens.json");
        let text = std::fs::read(&stamp).map_err(|e| format!("{}: {e}", stamp.display()))?;
        serde_json::from_slice(&text).map_err(|e| format!("{}: {e}", stamp.display()))
    }

    fn onnx_runtime(&self, environment: Option<&Stamp>) -> Part {
        let looked = match (&self.onnx_runtime, environment) {
            (Some(library), _) => file(library, "ORT_DYLIB_PATH"),
            (None, Some(stamp)) => file(&stamp.installed.onnxruntime_library, "environment")
                .map(|place| format!("{}, {place}", stamp.installed.onnxruntime)),
            (None, None) => Err("ORT_DYLIB_PATH is not set, and there is no environment".into()),
        };
        Part::new("ONNX Runtime", "runtime ort", looked, "cargo xtask setup")
    }

    fn libtorch(&self, environment: Option<&Stamp>) -> Part {
        let looked = match (&self.libtorch, environment) {
            (Some(folder), _) => file(&folder.join("lib"), "LIBTORCH"),
            (None, Some(stamp)) => file(&stamp.installed.torch_lib, "environment")
                .map(|place| format!("{}, {place}", stamp.installed.torch)),
            (None, None) => Err("LIBTORCH is not set, and there is no environment".into()),
        };
        Part::new("libtorch", "training", looked, "cargo xtask setup")
    }

    fn data(&self) -> Vec<Part> {
        const PURPOSE: &str = "training, evaluating, and tests on real records";
        let databases = DATABASES.iter().map(|(name, remedy)| {
            let looked = match &self.data {
                None => Err("HEARTLENS_DATA is not set".to_owned()),
                Some(data) => match records(&data.join(name)) {
                    Ok(0) => Err(format!("{}: has no record", data.join(name).display())),
                    Ok(count) => Ok(format!("{}, {count} records", data.join(name).display())),
                    Err(error) => Err(format!("{}: {error}", data.join(name).display())),
                },
            };
            Part::new(format!("records {name}"), PURPOSE, looked, remedy)
        });
        databases.collect()
    }

    /// A program of the path, by the first line that it prints about itself.
    fn program(
        &self,
        name: &str,
        purpose: &'static str,
        program: &str,
        arguments: &[&str],
        remedy: &'static str,
    ) -> Part {
        let looked = self.first_line(program, arguments);
        Part::new(name, purpose, looked, remedy)
    }

    fn target(&self, target: &'static str, remedy: &'static str) -> Part {
        let looked = self
            .first_line("rustc", &["--print", "sysroot"])
            .and_then(|sysroot| {
                let library = Path::new(&sysroot)
                    .join("lib/rustlib")
                    .join(target)
                    .join("lib");
                match library.is_dir() {
                    true => Ok("with the toolchain".to_owned()),
                    false => Err("the toolchain lacks it".to_owned()),
                }
            });
        Part::new(target, "building the firmware", looked, remedy)
    }

    fn first_line(&self, program: &str, arguments: &[&str]) -> Result<String, String> {
        let found = self.path.iter().find_map(|folder| {
            let file = folder
                .join(program)
                .with_extension(std::env::consts::EXE_EXTENSION);
            file.is_file().then_some(file)
        });
        let file = found.ok_or_else(|| format!("no {program} in the path"))?;
        let output = Command::new(&file)
            .args(arguments)
            .output()
            .map_err(|error| format!("{}: {error}", file.display()))?;
        let text = String::from_utf8_lossy(&output.stdout);
        let line = text.lines().next().unwrap_or_default().trim();
        if output.status.success() && !line.is_empty() {
            Ok(line.to_owned())
        } else {
            Err(format!("{} ended with {}", file.display(), output.status))
        }
    }
}

/// The data bases that the project's commands and tests read, each with what gets it.
const DATABASES: [(&str, &str); 4] = [
    (
        "mitdb",
        "heartlens fetch mitdb --out DIR; export HEARTLENS_DATA=DIR",
    ),
    (
        "svdb",
        "heartlens fetch svdb --out DIR; export HEARTLENS_DATA=DIR",
    ),
    (
        "nstdb",
        "heartlens fetch nstdb --out DIR; export HEARTLENS_DATA=DIR",
    ),
    (
        "cinc2017",
        "heartlens fetch cinc2017 --out DIR; export HEARTLENS_DATA=DIR",
    ),
];

const FIRMWARE_TARGETS: [(&str, &str); 2] = [
    (
        "thumbv7em-none-eabihf",
        "rustup target add thumbv7em-none-eabihf",
    ),
    ("thumbv6m-none-eabi", "rustup target add thumbv6m-none-eabi"),
];

/// What `cargo xtask setup` writes when its environment is complete.
#[derive(Debug, Deserialize)]
struct Stamp {
    installed: Installed,
}

#[derive(Debug, Deserialize)]
struct Installed {
    python: String,
    torch: String,
    onnxruntime: String,
    numpy: String,
    scipy: String,
    torch_lib: PathBuf,
    onnxruntime_library: PathBuf,
}

/// A file or folder with who named it, if it is there.
fn file(path: &Path, source: &str) -> Result<String, String> {
    if path.exists() {
        Ok(format!("{} ({source})", path.display()))
    } else {
        Err(format!("{} ({source}) is not there", path.display()))
    }
}

/// How many headers a folder has.
fn records(folder: &Path) -> std::io::Result<usize> {
    let mut count = 0;
    for entry in folder.read_dir()? {
        let is_header = entry?.path().extension().is_some_and(|e| e == "hea");
        count += usize::from(is_header);
    }
    Ok(count)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn part<'a>(parts: &'a [Part], name: &str) -> &'a Part {
        let found = parts.iter().find(|part| part.name == name);
        found.unwrap_or_else(|| panic!("no part {name}"))
    }

    #[test]
    fn where_nothing_is_everything_is_missing_with_what_gets_it() {
        let nowhere = Surroundings {
            model: Some(PathBuf::from("no/model")),
            ..Surroundings::default()
        };
        let parts = nowhere.examine();
        assert!(parts.len() > 12);
        for part in &parts {
            assert!(!part.found, "{part:?}");
            assert!(!part.detail.is_empty() && part.remedy.is_some(), "{part:?}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn what_is_there_is_found() -> std::io::Result<()> {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir()?;
        let at = |name: &str| folder.path().join(name);
        for name in [
            "data/mitdb",
            "data/svdb",
            "bin",
            "cache/venv",
            "torch/lib",
            "sys/lib/rustlib/thumbv6m-none-eabi/lib",
        ] {
            fs::create_dir_all(at(name))?;
        }
        for name in ["100.hea", "100.dat", "101.hea"] {
            fs::write(at("data/mitdb").join(name), "")?;
        }
        let stamp = serde_json::json!({"requirements": [], "installed": {
            "python": "3.11.7", "torch": "2.11.0", "onnxruntime": "1.32.0", "numpy": "2.4.6", "scipy": "1.17.1",
            "torch_lib": at("torch/lib"), "onnxruntime_library": at("torch/lib"),
        }});
        fs::write(at("cache/venv/heartlens.json"), stamp.to_string())?;
        let script = |name: &str, text: &str| {
            fs::write(at("bin").join(name), format!("#!/bin/sh\n{text}\n"))?;
            fs::set_permissions(at("bin").join(name), fs::Permissions::from_mode(0o755))
        };
        script(
            "qemu-system-arm",
            "echo QEMU emulator version 7.2; echo more",
        )?;
        script("nvidia-smi", "echo no devices were found; exit 6")?;
        script("rustc", &format!("echo {}", at("sys").display()))?;

        let parts = Surroundings {
            model: None,
            data: Some(at("data")),
            cache: Some(at("cache")),
            path: vec![at("elsewhere"), at("bin")],
            onnx_runtime: Some(at("no.so")),
            ..Surroundings::default()
        }
        .examine();
        let found = |name: &str| part(&parts, name).found;
        assert!(found("model") && found("QEMU for Arm") && found("Python environment"));
        assert!(part(&parts, "libtorch").detail.starts_with("2.11.0, "));
        assert!(part(&parts, "records mitdb").detail.ends_with("2 records"));
        assert!(part(&parts, "records svdb").detail.contains("no record"));
        assert!(part(&parts, "records nstdb").detail.contains("nstdb: "));
        assert!(!found("GPU") && !found("probe-rs"));
        assert!(found("thumbv6m-none-eabi") && !found("thumbv7em-none-eabihf"));
        // What a variable names goes before the environment, there or not.
        assert!(
            part(&parts, "ONNX Runtime")
                .detail
                .contains("no.so (ORT_DYLIB_PATH) is not there")
        );
        #[cfg(feature = "tract")]
        assert_eq!(part(&parts, "runtime tract").detail, "runs model beat");
        Ok(())
    }
}
