//! Every verb's help has an example, and every example does what it says: new verbs are found by their help.

use crate::emulated;
use crate::server::Server;
use heartlens::synth::{Options, Recording};
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

const HEARTLENS: &str = env!("CARGO_BIN_EXE_heartlens");

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn help(verbs: &[String]) -> String {
    let output = Command::new(HEARTLENS)
        .args(verbs)
        .arg("--help")
        .output()
        .expect("the command");
    assert!(output.status.success(), "{verbs:?}");
    String::from_utf8(output.stdout).expect("UTF-8")
}

/// All verbs below `verbs`, each with the verbs that lead to it.
fn verbs_below(verbs: &[String]) -> Vec<Vec<String>> {
    let help = help(verbs);
    let listed = help
        .lines()
        .skip_while(|line| *line != "Commands:")
        .skip(1)
        .take_while(|line| !line.is_empty());
    let mut all = Vec::new();
    for line in listed {
        // Lines that go on with a description are indented further.
        let Some(name) = line
            .strip_prefix("  ")
            .filter(|rest| !rest.starts_with(' '))
        else {
            continue;
        };
        let name = name.split(' ').next().unwrap_or_default();
        if name != "help" {
            let path = [verbs, &[name.to_owned()]].concat();
            all.extend(verbs_below(&path));
            all.push(path);
        }
    }
    all
}

/// The example's lines, as a shell would get them.
fn examples(help: &str) -> Vec<String> {
    help.lines()
        .skip_while(|line| !line.starts_with("Example"))
        .filter_map(|line| line.strip_prefix("  "))
        .filter(|line| line.starts_with("heartlens "))
        .map(str::to_owned)
        .collect()
}

fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("folder");
    for entry in fs::read_dir(from).expect("folder") {
        let path = entry.expect("entry").path();
        if path.is_file() {
            fs::copy(&path, to.join(path.file_name().expect("a name"))).expect("copy");
        }
    }
}

/// A synthetic record, longer than the learning period of EC57, with the lead names of `mitdb`.
fn stand_in(record: &Recording, stem: &Path) {
    record.write(stem).expect("a record");
    let path = stem.with_extension("hea");
    let header = fs::read_to_string(&path).expect("header");
    let renamed = header.replace(" II\n", " MLII\n");
    assert_ne!(renamed, header);
    fs::write(path, renamed).expect("header");
}

/// What the examples name: the models, the demo, and records of well-known names, for which a synthetic one stands in.
fn working_folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("folder");
    let at = |path: &str| folder.path().join(path);
    copy_folder(&root().join("models/beat"), &at("models/beat"));
    copy_folder(&root().join("models/demo"), &at("models/demo"));
    let record = Recording::generate(&Options {
        minutes: 8.0,
        noise_db: Some(24.0),
        ..Options::default()
    })
    .expect("in range");
    for name in [
        "208",
        "mitdb/100",
        "mitdb/118",
        "mitdb/208",
        "mitdb/119",
        "svdb/800",
        "nstdb/em",
        "cinc2017/A00001",
        "ptbxl/00001_hr",
    ] {
        stand_in(&record, &at(name));
    }
    // What their data bases say of them.
    fs::write(at("cinc2017/REFERENCE.csv"), "A00001,N\n").expect("labels");
    let diagnoses = "filename_hr,scp_codes\n00001_hr,\"{'NORM': 100.0}\"\n";
    fs::write(at("ptbxl/ptbxl_database.csv"), diagnoses).expect("labels");
    // Intervals without a signal.
    fs::write(at("rr.csv"), "RR (ms)\n800\n812\n790\n").expect("intervals");
    folder
}

/// PhysioNet's `mitdb` and `nstdb`, as far as the working folder has them.
fn physionet(folder: &Path) -> Server {
    let mut files = HashMap::new();
    for database in ["mitdb", "nstdb"] {
        let base = format!("/files/{database}/1.0.0");
        let mut sums = String::new();
        for entry in fs::read_dir(folder.join(database)).expect("folder") {
            let path = entry.expect("entry").path();
            let name = path
                .file_name()
                .expect("a name")
                .to_string_lossy()
                .into_owned();
            let contents = fs::read(&path).expect("a file");
            let sum: String = Sha256::digest(&contents)
                .iter()
                .map(|b| format!("{b:02x}"))
                .collect();
            sums += &format!("{sum} {name}\n");
            files.insert(format!("{base}/{name}"), contents);
        }
        files.insert(format!("{base}/SHA256SUMS.txt"), sums.into_bytes());
    }
    Server::start(files)
}

fn shell(line: &str, folder: &Path) -> Output {
    let programs = Path::new(HEARTLENS).parent().expect("a folder").display();
    let path = std::env::var("PATH").unwrap_or_default();
    Command::new("sh")
        .args(["-c", line])
        .current_dir(folder)
        .env("PATH", format!("{programs}:{path}"))
        .output()
        .expect("sh")
}

/// An example that serves the viewer's page until it is ended. The page itself is made elsewhere; here one stands in.
fn serves(line: &str, folder: &Path) {
    let page = "<meta name=\"heartlens-record\" content=\"\">";
    fs::write(folder.join("page.html"), page).expect("a page");
    let arguments = line.strip_prefix("heartlens ").expect("the command");
    let mut viewer = Command::new(HEARTLENS)
        .args(arguments.split(' '))
        .args(["--no-open", "--page", "page.html"])
        .current_dir(folder)
        .stdout(Stdio::piped())
        .spawn()
        .expect("the command");
    let mut address = String::new();
    let stdout = viewer.stdout.take().expect("stdout was piped");
    let read = BufReader::new(stdout).read_line(&mut address);
    let answer = read.map(|_| get(address.trim()));
    viewer.kill().expect("it runs");
    viewer.wait().expect("it ends");
    let answer = answer.expect("an address");
    assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
    let name = match line.contains("models/demo/demo") {
        true => "&quot;demo&quot;",
        false => "null",
    };
    assert!(
        answer.contains(&format!("&quot;name&quot;:{name}")),
        "{answer}"
    );
    let has_line = answer.contains("&quot;line&quot;:&quot;line&quot;");
    assert_eq!(has_line, line.starts_with("heartlens device"), "{answer}");
}

/// What a server of this machine answers.
fn get(address: &str) -> String {
    let (host, path) = address
        .strip_prefix("http://")
        .and_then(|rest| rest.split_once('/'))
        .expect("an address");
    let mut stream = TcpStream::connect(host).expect("a server");
    write!(stream, "GET /{path} HTTP/1.1\r\nHost: {host}\r\n\r\n").expect("a request");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    answer
}

#[test]
fn every_verb_has_an_example_that_runs() {
    let folder = working_folder();
    let server = physionet(folder.path());
    let at = |path: &str| folder.path().join(path);
    emulated::start(&at("device"), &at("models/beat/model.hlm"));
    let verbs = verbs_below(&[]);
    assert!(verbs.len() >= 8, "{verbs:?}");
    for path in &verbs {
        let lines = examples(&help(path));
        assert!(!lines.is_empty(), "the help of {path:?} has no example");
        let verb = format!("heartlens {}", path.join(" "));
        assert!(
            lines.iter().any(|line| line.starts_with(&verb)),
            "{lines:?}"
        );
        for mut line in lines {
            if line.starts_with("heartlens fetch") {
                line += &format!(" --from {}/files", server.address);
            }
            if line.starts_with("heartlens view") || line.contains(" --serve") {
                serves(&line, folder.path());
                continue;
            }
            let output = shell(&line, folder.path());
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{line}\n{said}");
        }
    }
}

#[test]
fn completions_and_manual_pages_know_every_verb() {
    let folder = tempfile::tempdir().expect("folder");
    let verbs = verbs_below(&[]);
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let output = Command::new(HEARTLENS)
            .args(["completions", shell])
            .output()
            .expect("the command");
        assert!(output.status.success(), "{shell}");
        let script = String::from_utf8(output.stdout).expect("UTF-8");
        for path in &verbs {
            assert!(
                script.contains(path.last().expect("a verb").as_str()),
                "{shell}: {path:?}"
            );
        }
    }
    let output = shell(
        "heartlens man --out pages && heartlens completions bash | bash -n",
        folder.path(),
    );
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    for path in &verbs {
        let page = folder
            .path()
            .join(format!("pages/heartlens-{}.1", path.join("-")));
        let text = fs::read_to_string(&page).unwrap_or_else(|e| panic!("{}: {e}", page.display()));
        assert!(
            text.contains(".SH SYNOPSIS") && text.contains("Example:"),
            "{path:?}"
        );
    }
}

#[test]
fn doctor_reports_whatever_is_missing() {
    let folder = tempfile::tempdir().expect("folder");
    let output = Command::new(HEARTLENS)
        .args(["doctor", "--json", "-"])
        .current_dir(folder.path())
        .env_clear()
        .output()
        .expect("the command");
    assert!(output.status.success());
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let parts = report["parts"].as_array().expect("parts");
    assert!(parts.len() > 12);
    let missing: Vec<_> = parts.iter().filter(|part| part["found"] == false).collect();
    assert!(!missing.is_empty());
    let table = String::from_utf8_lossy(&output.stderr);
    for part in missing {
        let remedy = part["remedy"].as_str().expect("what gets it");
        assert!(table.contains(part["name"].as_str().expect("a name")));
        assert!(table.contains(remedy), "{remedy}");
    }
}
