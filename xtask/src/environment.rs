//! The Python environment that brings libtorch and ONNX Runtime: one for all clones, in the user's cache directory.
//!
//! Python's packages are the one way to get matching builds of both libraries
//! from a registry. The environment counts as complete once its stamp is written, which happens last: a run that was
//! cut short leaves none, and the next one finishes the work.

use crate::step;
use anyhow::{Context as _, Result, bail};
use serde::{Deserialize, Serialize};
use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::process::Command;

/// What pip is asked for. `torch` must be the release that the `tch` crate was made for.
const REQUIREMENTS: [&str; 4] = ["torch==2.11.0", "onnxruntime>=1.23", "numpy", "scipy"];

/// Oldest Python for which these packages are built.
const PYTHON_MIN: (u32, u32) = (3, 10);

/// Imports everything, which proves that it works, and prints an [`Installed`].
const PROBE: &str = r#"
import glob, json, os, platform
import numpy, onnxruntime, scipy, torch
torch_lib = os.path.join(os.path.dirname(torch.__file__), "lib")
capi = os.path.join(os.path.dirname(onnxruntime.__file__), "capi")
names = ("libonnxruntime.so*", "libonnxruntime*.dylib", "onnxruntime.dll")
found = sorted(path for name in names for path in glob.glob(os.path.join(capi, name)))
print(json.dumps({
    "python": platform.python_version(),
    "torch": torch.__version__.split("+")[0],
    "onnxruntime": onnxruntime.__version__,
    "numpy": numpy.__version__,
    "scipy": scipy.__version__,
    "torch_lib": torch_lib,
    "onnxruntime_library": found[0],
}))
"#;

/// A complete environment.
#[derive(Debug, Clone)]
pub(crate) struct Environment {
    folder: PathBuf,
    installed: Installed,
}

/// What the environment holds, as it said itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Installed {
    python: String,
    torch: String,
    onnxruntime: String,
    numpy: String,
    scipy: String,
    /// The folder of libtorch's shared libraries.
    torch_lib: PathBuf,
    /// ONNX Runtime's shared library.
    onnxruntime_library: PathBuf,
}

/// Written last: the environment is complete, and was made for these requirements.
#[derive(Debug, Serialize, Deserialize)]
struct Stamp {
    requirements: Vec<String>,
    installed: Installed,
}

/// The project's folder in the user's cache directory: `$XDG_CACHE_HOME/heartlens`, else `~/.cache/heartlens`.
pub(crate) fn cache() -> Result<PathBuf> {
    let base = match std::env::var_os("XDG_CACHE_HOME").filter(|dir| Path::new(dir).is_absolute()) {
        Some(dir) => PathBuf::from(dir),
        None => std::env::home_dir()
            .context("no home directory: set XDG_CACHE_HOME to a folder that can hold 5 GB")?
            .join(".cache"),
    };
    Ok(base.join("heartlens"))
}

impl Environment {
    /// The environment in `cache`, if it is complete.
    pub(crate) fn find(cache: &Path) -> Option<Self> {
        let folder = cache.join("venv");
        let stamp: Stamp =
            serde_json::from_slice(&std::fs::read(folder.join("heartlens.json")).ok()?).ok()?;
        let complete = stamp.requirements == REQUIREMENTS
            && python(&folder).exists()
            && stamp.installed.torch_lib.is_dir()
            && stamp.installed.onnxruntime_library.is_file();
        complete.then_some(Self {
            folder,
            installed: stamp.installed,
        })
    }

    /// The environment of this machine, if it is complete.
    pub(crate) fn here() -> Option<Self> {
        Self::find(&cache().ok()?)
    }

    /// Makes the environment in `cache`, or finishes one that was begun; the flag says whether anything was
    /// downloaded. A lock makes a second run wait for the first and find its work done.
    pub(crate) fn make(cache: &Path) -> Result<(Self, bool)> {
        std::fs::create_dir_all(cache)
            .with_context(|| format!("cannot make {}", cache.display()))?;
        let path = cache.join("venv.lock");
        let lock =
            File::create(&path).with_context(|| format!("cannot write {}", path.display()))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                eprintln!(
                    "another run is setting up {}; waiting for it",
                    cache.display()
                );
                lock.lock()
                    .with_context(|| format!("cannot lock {}", path.display()))?;
            }
            Err(TryLockError::Error(error)) => {
                return Err(error).with_context(|| format!("cannot lock {}", path.display()));
            }
        }
        if let Some(environment) = Self::find(cache) {
            return Ok((environment, false));
        }
        let folder = cache.join("venv");
        let python = python(&folder);
        let installed = probe(&python).ok().filter(|installed| {
            REQUIREMENTS.contains(&format!("torch=={}", installed.torch).as_str())
        });
        let downloaded = installed.is_none();
        let installed = match installed {
            Some(installed) => installed,
            None => {
                install(&folder)?;
                probe(&python).with_context(|| {
                    format!(
                        "the packages in {} do not load; remove that folder and run `cargo xtask setup`",
                        folder.display()
                    )
                })?
            }
        };
        let stamp = Stamp {
            requirements: REQUIREMENTS.map(str::to_owned).to_vec(),
            installed: installed.clone(),
        };
        let unfinished = folder.join("heartlens.json.tmp");
        std::fs::write(&unfinished, serde_json::to_vec_pretty(&stamp)?)?;
        std::fs::rename(&unfinished, folder.join("heartlens.json"))?;
        Ok((Self { folder, installed }, downloaded))
    }

    /// The versions of what it holds, for eyes.
    pub(crate) fn versions(&self) -> String {
        let Installed {
            python,
            torch,
            onnxruntime,
            numpy,
            scipy,
            ..
        } = &self.installed;
        format!(
            "torch {torch}, onnxruntime {onnxruntime}, numpy {numpy}, scipy {scipy} on Python {python}"
        )
    }

    /// Where its packages are.
    pub(crate) fn packages(&self) -> Result<PathBuf> {
        site_packages(&python(&self.folder))
    }

    /// Lets the command build and run against this environment's libtorch and ONNX Runtime.
    pub(crate) fn apply<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        for (name, value) in self.plain() {
            command.env(name, value);
        }
        for (name, folder) in self.first() {
            command.env(name, with_first(folder, name));
        }
        command.env_remove("LIBTORCH").env_remove("VIRTUAL_ENV")
    }

    /// The same as lines for a shell, for whoever runs cargo by hand.
    pub(crate) fn script(&self) -> String {
        let quoted = |value: &str| format!("'{}'", value.replace('\'', r"'\''"));
        let mut script = String::from("unset LIBTORCH VIRTUAL_ENV\n");
        for (name, value) in self.plain() {
            script.push_str(&format!("export {name}={}\n", quoted(&value)));
        }
        for (name, folder) in self.first() {
            let folder = quoted(&folder.display().to_string());
            script.push_str(&format!(
                "export {name}={folder}\"${{{name}:+:${name}}}\"\n"
            ));
        }
        script
    }

    /// Variables with the value they get.
    fn plain(&self) -> [(&'static str, String); 2] {
        let library = self.installed.onnxruntime_library.display().to_string();
        [
            ("LIBTORCH_USE_PYTORCH", "1".to_owned()),
            ("ORT_DYLIB_PATH", library),
        ]
    }

    /// Lists of folders with the folder that goes first in each.
    fn first(&self) -> [(&'static str, PathBuf); 2] {
        let libraries = if cfg!(target_os = "macos") {
            "DYLD_LIBRARY_PATH"
        } else {
            "LD_LIBRARY_PATH"
        };
        [
            ("PATH", self.folder.join("bin")),
            (libraries, self.installed.torch_lib.clone()),
        ]
    }
}

/// The list of folders in the environment variable `name`, with `folder` first.
fn with_first(folder: PathBuf, name: &str) -> String {
    let folder = folder.display().to_string();
    match std::env::var(name) {
        Ok(rest) if !rest.is_empty() => format!("{folder}:{rest}"),
        _ => folder,
    }
}

fn python(folder: &Path) -> PathBuf {
    folder.join("bin/python3")
}

/// Where a Python keeps its packages.
pub(crate) fn site_packages(python: &Path) -> Result<PathBuf> {
    let purelib = "import sysconfig; print(sysconfig.get_path('purelib'))";
    Ok(step::first_line(Command::new(python).args(["-c", purelib]))?.into())
}

fn probe(python: &Path) -> Result<Installed> {
    let text = step::output(Command::new(python).args(["-c", PROBE]))?;
    serde_json::from_str(&text).with_context(|| format!("{} answered {text:?}", python.display()))
}

/// Makes the environment where it is not, and has pip bring whatever it lacks.
fn install(folder: &Path) -> Result<()> {
    let version = || {
        step::output(
            Command::new("python3").args(["-c", "import sys; print(*sys.version_info[:2])"]),
        )
        .context("no python3")
    };
    let version = version().or_else(|error| {
        step::apt_get("python3-venv").map_err(|_| error)?;
        version()
    })?;
    let mut numbers = version.split_whitespace().map(str::parse::<u32>);
    let (Some(Ok(major)), Some(Ok(minor))) = (numbers.next(), numbers.next()) else {
        bail!("python3 calls its version {version:?}");
    };
    if (major, minor) < PYTHON_MIN {
        bail!(
            "python3 is {major}.{minor}, and torch needs {}.{} or later",
            PYTHON_MIN.0,
            PYTHON_MIN.1
        );
    }
    eprintln!(
        "downloading {} into {}: more than 2 GB, 5 GB on disk, some minutes",
        REQUIREMENTS.join(", "),
        folder.display()
    );
    let usable = step::output(Command::new(python(folder)).args(["-m", "pip", "--version"]));
    if usable.is_err() {
        let make = || {
            step::output(
                Command::new("python3")
                    .args(["-m", "venv", "--clear"])
                    .arg(folder),
            )
        };
        // Debian ships the module apart from the interpreter.
        make().or_else(|error| {
            step::apt_get("python3-venv").map_err(|_| error)?;
            make()
        })?;
    }
    let mut pip = Command::new(python(folder));
    pip.args(["-m", "pip", "install", "--no-input"])
        .args([
            "--disable-pip-version-check",
            "--upgrade-strategy",
            "only-if-needed",
        ])
        .args(REQUIREMENTS)
        .stdout(std::io::stderr());
    step::run(&mut pip)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complete(cache: &Path) -> Stamp {
        let folder = cache.join("venv");
        std::fs::create_dir_all(folder.join("bin")).expect("bin");
        std::fs::create_dir_all(folder.join("torch/lib")).expect("lib");
        std::fs::write(python(&folder), "").expect("python");
        std::fs::write(folder.join("libonnxruntime.so"), "").expect("library");
        Stamp {
            requirements: REQUIREMENTS.map(str::to_owned).to_vec(),
            installed: Installed {
                python: "3.11.7".into(),
                torch: "2.11.0".into(),
                onnxruntime: "1.32.0".into(),
                numpy: "2.4.6".into(),
                scipy: "1.17.1".into(),
                torch_lib: folder.join("torch/lib"),
                onnxruntime_library: folder.join("libonnxruntime.so"),
            },
        }
    }

    fn write(cache: &Path, stamp: &Stamp) {
        let text = serde_json::to_vec(stamp).expect("json");
        std::fs::write(cache.join("venv/heartlens.json"), text).expect("stamp");
    }

    #[test]
    fn only_a_stamped_environment_with_its_libraries_is_complete() {
        let cache = tempfile::tempdir().expect("folder");
        let cache = cache.path();
        assert!(Environment::find(cache).is_none(), "nothing there");

        let mut stamp = complete(cache);
        assert!(Environment::find(cache).is_none(), "half-made: no stamp");
        write(cache, &stamp);
        assert!(Environment::find(cache).is_some());

        stamp.requirements[0] = "torch==2.10.0".into();
        write(cache, &stamp);
        assert!(Environment::find(cache).is_none(), "made for another torch");

        stamp.requirements[0] = REQUIREMENTS[0].into();
        write(cache, &stamp);
        std::fs::remove_file(&stamp.installed.onnxruntime_library).expect("remove");
        assert!(Environment::find(cache).is_none(), "a library is gone");
        std::fs::write(cache.join("venv/heartlens.json"), "{").expect("stamp");
        assert!(Environment::find(cache).is_none(), "cut short");
    }

    #[test]
    fn what_is_complete_is_not_made_again() {
        let cache = tempfile::tempdir().expect("folder");
        write(cache.path(), &complete(cache.path()));
        let (environment, downloaded) = Environment::make(cache.path()).expect("complete");
        assert!(!downloaded);
        assert!(environment.versions().contains("torch 2.11.0"));
    }

    #[test]
    fn commands_and_shells_get_the_same_variables() {
        let cache = tempfile::tempdir().expect("folder");
        write(cache.path(), &complete(cache.path()));
        let environment = Environment::find(cache.path()).expect("complete");
        let mut command = Command::new("sh");
        environment
            .apply(&mut command)
            .args(["-c", "echo $LIBTORCH_USE_PYTORCH $ORT_DYLIB_PATH $PATH"]);
        let direct = step::output(&mut command).expect("sh");
        let bin = cache.path().join("venv/bin").display().to_string();
        assert!(direct.starts_with("1 "), "{direct}");
        assert!(
            direct.contains(&bin) && direct.contains("libonnxruntime.so"),
            "{direct}"
        );
        let sourced = format!(
            "{}\necho $LIBTORCH_USE_PYTORCH $ORT_DYLIB_PATH $PATH",
            environment.script()
        );
        let sourced = step::output(Command::new("sh").args(["-c", &sourced])).expect("sh");
        assert_eq!(direct, sourced);
    }
}
