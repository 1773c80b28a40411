//! `view` and `device --serve`: what they open, and what they refuse. The page itself is tested in a browser.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

const HEARTLENS: &str = env!("CARGO_BIN_EXE_heartlens");
const DEMO: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../models/demo/demo");

/// A folder with a page, and a browser that writes down what it is to open.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("folder");
    let page = "<meta name=\"heartlens-record\" content=\"\">";
    fs::write(folder.path().join("page.html"), page).expect("a page");
    let script = folder.path().join("xdg-open");
    fs::write(
        &script,
        "#!/bin/sh\necho \"$1\" > opening && mv opening opened\n",
    )
    .expect("script");
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).expect("script");
    folder
}

fn heartlens(folder: &Path, arguments: &[&str]) -> Command {
    let path = std::env::var("PATH").unwrap_or_default();
    let mut command = Command::new(HEARTLENS);
    command
        .args(arguments)
        .current_dir(folder)
        .env("PATH", format!("{}:{path}", folder.display()));
    command
}

#[test]
#[cfg(target_os = "linux")]
fn the_browser_is_given_the_address_that_is_printed() {
    for arguments in [&["view", DEMO][..], &["device", "--serve", DEMO]] {
        let folder = folder();
        let mut viewer = heartlens(folder.path(), arguments)
            .args(["--page", "page.html"])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the command");
        let mut address = String::new();
        let stdout = viewer.stdout.take().expect("stdout was piped");
        let read = BufReader::new(stdout).read_line(&mut address);
        let opened = folder.path().join("opened");
        while read.is_ok() && !opened.exists() && matches!(viewer.try_wait(), Ok(None)) {
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        viewer.kill().expect("it runs");
        viewer.wait().expect("it ends");
        assert!(address.starts_with("http://127.0.0.1:"), "{address}");
        assert_eq!(fs::read_to_string(opened).expect("opened"), address);
    }
}

#[test]
fn what_cannot_be_served_is_said_before_a_browser_opens() {
    let folder = folder();
    let run = |arguments: &[&str]| -> (Option<i32>, String) {
        let Output { status, stderr, .. } = heartlens(folder.path(), arguments)
            .output()
            .expect("the command");
        (status.code(), String::from_utf8_lossy(&stderr).into_owned())
    };
    let serve = |more: &[&str]| {
        let mut arguments = vec!["device", "--serve", "--page", "page.html"];
        arguments.extend(more);
        run(&arguments)
    };
    let (code, said) = serve(&["--port", "unix:nobody"]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("port unix:nobody: "), "{said}");
    let (code, said) = serve(&["no-such-record"]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("no-such-record"), "{said}");
    assert_eq!(serve(&["--json", "-"]).0, Some(2));
    assert_eq!(serve(&["--model", "model.hlm"]).0, Some(2));
    assert_eq!(run(&["device", DEMO]).0, Some(2), "no port");
    assert_eq!(
        run(&["device", "--port", "x", "--no-open", DEMO]).0,
        Some(2)
    );
    let (code, said) = run(&["view", DEMO, "--page", "xdg-open"]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("expected the viewer's page"), "{said}");
    assert!(!folder.path().join("opened").exists());
}
