//! A network share that stops answering: a file system of the test's own, served to the kernel over `/dev/fuse`, whose reads beyond a
//! place of a file get no answer until they are called off. Source: Linux, `include/uapi/linux/fuse.h`, version 7.31.

use super::{Mounted, command, contents, done, held, names, root, skipped};
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

const LOOKUP: u32 = 1;
const FORGET: u32 = 2;
const GETATTR: u32 = 3;
const OPEN: u32 = 14;
const READ: u32 = 15;
const RELEASE: u32 = 18;
const FLUSH: u32 = 25;
const INIT: u32 = 26;
const OPENDIR: u32 = 27;
const READDIR: u32 = 28;
const RELEASEDIR: u32 = 29;
const INTERRUPT: u32 = 36;
const BATCH_FORGET: u32 = 42;
const ENOENT: i32 = 2;
const EINTR: i32 = 4;
const ENOSYS: i32 = 38;
/// Reads come as the program makes them, past the kernel's pages.
const DIRECT_IO: u32 = 1;

#[derive(Default)]
struct State {
    /// Reads that reach beyond this byte of any file get no answer.
    stalls_at: Option<u64>,
    /// Those that wait.
    waiting: BTreeSet<u64>,
}

/// A folder of files as a share.
struct Share {
    mounted: Mounted,
    state: Arc<Mutex<State>>,
}

impl Share {
    fn serve(files: Vec<(String, Vec<u8>)>, folder: &Path) -> Option<Self> {
        let device = match File::options().read(true).write(true).open("/dev/fuse") {
            Ok(device) => device,
            Err(error) => {
                skipped(&format!("/dev/fuse: {error}"));
                return None;
            }
        };
        let stdin = Stdio::from(device.try_clone().unwrap());
        let options = "ro,fd=0,rootmode=40000,user_id=0,group_id=0,allow_other";
        let mounted = Mounted::new(&["-i", "-t", "fuse", "-o", options, "share"], folder, stdin)?;
        let state = Arc::new(Mutex::new(State::default()));
        let shared = Arc::clone(&state);
        std::thread::spawn(move || serve(device, &files, &shared));
        Some(Self { mounted, state })
    }

    fn stall(&self, at: Option<u64>) {
        self.state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .stalls_at = at;
    }

    fn is_waited_for(&self) -> bool {
        !self
            .state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .waiting
            .is_empty()
    }
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap())
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap())
}

/// Answers the kernel until the share is gone.
fn serve(mut device: File, files: &[(String, Vec<u8>)], state: &Mutex<State>) {
    let mut request = vec![0; 1 << 20];
    while let Ok(len) = device.read(&mut request) {
        let (opcode, unique, node) = (
            u32_at(&request, 4),
            u64_at(&request, 8),
            u64_at(&request, 16),
        );
        let body = &request[40..len];
        let file = node
            .checked_sub(2)
            .and_then(|place| files.get(place as usize));
        let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
        let answer = match opcode {
            FORGET | BATCH_FORGET => continue,
            INIT => Ok(init()),
            LOOKUP => {
                let name = body.split(|byte| *byte == 0).next().unwrap_or_default();
                let place = files.iter().position(|(known, _)| known.as_bytes() == name);
                place
                    .map(|place| entry(place as u64 + 2, &files[place].1))
                    .ok_or(ENOENT)
            }
            GETATTR => Ok([
                &1_u64.to_le_bytes()[..],
                &[0; 8],
                &attributes(node, file.map(|(_, bytes)| bytes)),
            ]
            .concat()),
            OPEN | OPENDIR => {
                Ok([&0_u64.to_le_bytes()[..], &DIRECT_IO.to_le_bytes(), &[0; 4]].concat())
            }
            READDIR => Ok(match u64_at(body, 8) {
                0 => entries(files),
                _ => Vec::new(),
            }),
            READ => {
                let (offset, size) = (u64_at(body, 8), u64::from(u32_at(body, 16)));
                let bytes = file.map_or(&[][..], |(_, bytes)| bytes);
                if state
                    .stalls_at
                    .is_some_and(|at| offset + size > at && (bytes.len() as u64) > at)
                {
                    state.waiting.insert(unique);
                    continue;
                }
                let from = bytes.len().min(offset as usize);
                let to = bytes.len().min((offset + size) as usize);
                Ok(bytes[from..to].to_vec())
            }
            // As NFS does: who is killed need not wait.
            INTERRUPT => {
                let waiting = u64_at(body, 0);
                if state.waiting.remove(&waiting) {
                    answer(&mut device, waiting, Err(EINTR));
                }
                continue;
            }
            FLUSH | RELEASE | RELEASEDIR => Ok(Vec::new()),
            _ => Err(ENOSYS),
        };
        self::answer(&mut device, unique, answer);
    }
}

fn answer(device: &mut File, unique: u64, answer: Result<Vec<u8>, i32>) {
    let (error, body) = match answer {
        Ok(body) => (0, body),
        Err(error) => (-error, Vec::new()),
    };
    let len = 16 + body.len() as u32;
    let message = [
        &len.to_le_bytes()[..],
        &error.to_le_bytes(),
        &unique.to_le_bytes(),
        &body,
    ]
    .concat();
    // Who asked may be gone.
    let _ = device.write(&message);
}

fn init() -> Vec<u8> {
    let mut out = vec![0; 64];
    for (at, value) in [(0, 7_u32), (4, 31), (8, 1 << 17), (20, 1 << 17), (24, 1)] {
        out[at..at + 4].copy_from_slice(&value.to_le_bytes());
    }
    out
}

fn entry(node: u64, bytes: &Vec<u8>) -> Vec<u8> {
    let valid_s = 1_u64.to_le_bytes();
    [
        &node.to_le_bytes()[..],
        &[0; 8],
        &valid_s,
        &valid_s,
        &[0; 8],
        &attributes(node, Some(bytes)),
    ]
    .concat()
}

/// Of a file, or of the folder.
fn attributes(node: u64, file: Option<&Vec<u8>>) -> Vec<u8> {
    let size = file.map_or(0, |bytes| bytes.len() as u64);
    let mode: u32 = if file.is_some() { 0o100_444 } else { 0o40_555 };
    let mut out = vec![0; 88];
    out[0..8].copy_from_slice(&node.to_le_bytes());
    out[8..16].copy_from_slice(&size.to_le_bytes());
    out[60..64].copy_from_slice(&mode.to_le_bytes());
    out[64..68].copy_from_slice(&1_u32.to_le_bytes());
    out[80..84].copy_from_slice(&4096_u32.to_le_bytes());
    out
}

fn entries(files: &[(String, Vec<u8>)]) -> Vec<u8> {
    const REGULAR: u32 = 8;
    let mut out = Vec::new();
    for (place, (name, _)) in (0_u64..).zip(files) {
        out.extend((place + 2).to_le_bytes());
        out.extend((place + 1).to_le_bytes());
        out.extend((name.len() as u32).to_le_bytes());
        out.extend(REGULAR.to_le_bytes());
        out.extend(name.as_bytes());
        out.resize(out.len().next_multiple_of(8), 0);
    }
    out
}

/// Waits until something of the share is waited for, and presses Ctrl-C. Tells how long the command took to end, and what it said.
fn interrupted(share: &Share, child: Child) -> (Duration, String) {
    let start = Instant::now();
    while !share.is_waited_for() {
        assert!(start.elapsed() < Duration::from_secs(60), "nothing is read");
        std::thread::sleep(Duration::from_millis(5));
    }
    // Long enough for everything else to be done.
    std::thread::sleep(Duration::from_millis(300));
    let pressed = Instant::now();
    let id = child.id().to_string();
    assert!(
        Command::new("kill")
            .args(["-INT", &id])
            .status()
            .unwrap()
            .success()
    );
    let output = child.wait_with_output().unwrap();
    let took = pressed.elapsed();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(130), "{said}");
    (took, said)
}

#[test]
fn a_share_that_stalls_can_be_left_and_gone_on_with() {
    let since = Instant::now();
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let shared = tempfile::tempdir().unwrap();
    let file = |name: &str| {
        (
            name.to_owned(),
            fs::read(root().join("models/demo").join(name)).unwrap(),
        )
    };
    let mut files = ["demo.hea", "demo.dat", "demo.atr"].map(file).to_vec();
    // A record that is read before the other stalls.
    let header = String::from_utf8(files[0].1.clone()).unwrap();
    let short = header.replace("108000", "18000").replace("demo", "a");
    files.push(("a.hea".to_owned(), short.into_bytes()));
    files.push(("a.dat".to_owned(), files[1].1[..54_000].to_vec()));
    let Some(share) = Share::serve(files, shared.path()) else {
        return;
    };
    let classify = |out: &str| {
        let mut classify = command(["classify", "--threads", "2", "--out"]);
        classify.arg(at(out)).arg(&share.mounted.0);
        classify.stdout(Stdio::piped()).stderr(Stdio::piped());
        classify
    };
    done(&classify("expected").output().unwrap());
    let mut expected = contents(&at("expected"));
    expected.remove("heartlens.jsonl");
    assert_eq!(expected.len(), 8);

    share.stall(Some(200_000));
    let mut slowest = Duration::ZERO;
    let mut classify_all = classify("out");
    classify_all.arg("--json").arg(at("all.json"));
    let (took, said) = interrupted(&share, classify_all.spawn().unwrap());
    slowest = slowest.max(took);
    assert_eq!(said.lines().count(), 1, "{said}");
    for part in [
        "interrupted: 1 of 2 records are missing: demo",
        "--resume",
        "still waiting for",
        "/demo.hea",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    let found = names(folder.path());
    let found: Vec<&String> = found
        .iter()
        .filter(|name| !name.starts_with("expected/"))
        .collect();
    assert_eq!(
        found,
        [
            "out/a.csv",
            "out/a.hlb",
            "out/a.html",
            "out/a.json",
            "out/heartlens.jsonl"
        ]
    );
    // A verb that does not ask first.
    let mut convert = command(["convert"]);
    convert
        .arg(share.mounted.0.join("demo"))
        .arg(at("x.edf"))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let (took, _) = interrupted(&share, convert.spawn().unwrap());
    slowest = slowest.max(took);
    assert!(
        !names(folder.path())
            .iter()
            .any(|name| name.contains("x.edf")),
        "{:?}",
        names(folder.path())
    );
    assert!(
        slowest < Duration::from_secs(1),
        "{slowest:?} from Ctrl-C to the end"
    );

    share.stall(None);
    let output = classify("out").arg("--resume").output().unwrap();
    assert!(done(&output).contains("1 of 2 records were done before"));
    let mut found = contents(&at("out"));
    found.remove("heartlens.jsonl");
    assert!(found == expected);
    held(
        "a share that stalls",
        since,
        &format!(
            "Ctrl-C ended it in {} ms at most, nothing half written, gone on with to the same bytes",
            slowest.as_millis()
        ),
    );
}
