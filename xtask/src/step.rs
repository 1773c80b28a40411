//! Where the project lies, and how its commands are run.

use crate::environment::Environment;
use anyhow::{Context as _, Result, bail};
use cargo_metadata::Message;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// The repository's root.
pub(crate) fn root() -> &'static Path {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    manifest.parent().unwrap_or(manifest)
}

/// The cargo that runs this command, to be run in `dir`, a path relative to the repository's root.
///
/// Runs in `firmware` see that workspace's `.cargo/config.toml`, and so its target; runs in the root do not.
pub(crate) fn cargo(dir: &str) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root().join(dir));
    command
}

/// The command as a shell would read it.
pub(crate) fn shown(command: &Command) -> String {
    let program = Path::new(command.get_program());
    let mut words = vec![
        program
            .file_name()
            .unwrap_or(program.as_os_str())
            .to_string_lossy()
            .into_owned(),
    ];
    words.extend(
        command
            .get_args()
            .map(|word| word.to_string_lossy().into_owned()),
    );
    words.join(" ")
}

/// Runs the command with its output on this terminal; a non-zero exit is an error that shows the command.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let line = shown(command);
    let status = command
        .status()
        .with_context(|| format!("cannot start `{line}`"))?;
    if !status.success() {
        bail!("`{line}` ended with {status}");
    }
    Ok(())
}

/// Runs the command and gives its stdout; a non-zero exit is an error that holds all it printed.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let line = shown(command);
    let output = command
        .output()
        .with_context(|| format!("cannot start `{line}`"))?;
    let stdout = String::from_utf8_lossy(&output.stdout);
    if !output.status.success() {
        let stderr = String::from_utf8_lossy(&output.stderr);
        bail!(
            "`{line}` ended with {}\n{}{}",
            output.status,
            stdout,
            stderr.trim_end()
        );
    }
    Ok(stdout.into_owned())
}

/// Builds an example of `heartlens` as the crates' tests do, so that nothing is compiled twice, and gives its program.
pub(crate) fn example(name: &str, environment: Option<&Environment>) -> Result<PathBuf> {
    let mut build = cargo(".");
    build.args(["build", "--quiet", "--example", name, "--message-format"]);
    build.arg("json-render-diagnostics");
    match environment {
        Some(environment) => environment.apply(&mut build).arg("--workspace"),
        None => build.args(["--package", "heartlens"]),
    };
    executable(output(&mut build)?.as_bytes())?
        .with_context(|| format!("cargo built no example {name}"))
}

/// The program that a cargo with `--message-format json-render-diagnostics` says that it built.
pub(crate) fn executable(messages: &[u8]) -> Result<Option<PathBuf>> {
    for message in Message::parse_stream(messages) {
        if let Message::CompilerArtifact(artifact) = message?
            && let Some(executable) = artifact.executable
        {
            return Ok(Some(executable.into()));
        }
    }
    Ok(None)
}

/// The first line that the command prints.
pub(crate) fn first_line(command: &mut Command) -> Result<String> {
    let text = output(command)?;
    Ok(text.lines().next().unwrap_or_default().trim().to_owned())
}

/// Installs a Debian package, as root or where sudo asks for no password.
pub(crate) fn apt_get(package: &str) -> Result<()> {
    let id = first_line(Command::new("id").arg("-u")).unwrap_or_default();
    let command = |arguments: &[&str]| {
        let mut command = if id == "0" {
            Command::new("apt-get")
        } else {
            let mut command = Command::new("sudo");
            command.args(["-n", "apt-get"]);
            command
        };
        command
            .args(arguments)
            .env("DEBIAN_FRONTEND", "noninteractive");
        command
    };
    first_line(Command::new("apt-get").arg("--version")).context("not here, and no apt-get")?;
    eprintln!("installing {package} with apt-get");
    output(&mut command(&["update", "-qq"]))?;
    output(&mut command(&[
        "install",
        "-y",
        "-qq",
        "--no-install-recommends",
        package,
    ]))?;
    Ok(())
}

/// Whether a machine nobody watches runs this: what cannot be had is then a failure, not a remark.
pub(crate) fn is_ci() -> bool {
    std::env::var_os("CI").is_some_and(|value| !value.is_empty() && value != "false")
}

/// A duration for eyes, as seconds or minutes.
pub(crate) fn elapsed(duration: Duration) -> String {
    let seconds = duration.as_secs_f64();
    if seconds < 120.0 {
        format!("{seconds:.1} s")
    } else {
        format!("{} min {:02.0} s", (seconds / 60.0) as u64, seconds % 60.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_root_holds_the_workspace() {
        assert!(root().join("xtask/Cargo.toml").is_file());
        assert!(root().join("core/src/spec.rs").is_file());
    }

    #[test]
    fn a_failing_command_is_named_with_what_it_printed() {
        let error = output(Command::new("sh").args(["-c", "echo left; echo right >&2; exit 3"]))
            .expect_err("exit 3");
        let text = format!("{error}");
        assert!(text.contains("exit status: 3"), "{text}");
        assert!(text.contains("left") && text.contains("right"), "{text}");
        let error = run(&mut Command::new("/nowhere/no-such-program")).expect_err("no such file");
        assert!(format!("{error}").contains("no-such-program"));
    }

    #[test]
    fn durations_read_well() {
        assert_eq!(elapsed(Duration::from_millis(1_250)), "1.2 s");
        assert_eq!(elapsed(Duration::from_secs(125)), "2 min 05 s");
    }
}
