//! A file server of one's own, with the faults that servers have.

use std::collections::{HashMap, VecDeque};
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How long a stalled connection stays open: longer than any client of the tests waits.
const STALL: Duration = Duration::from_secs(3);

/// What goes wrong with one answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Half of the body, then silence.
    Stall,
    /// Nothing at all, for as long.
    Silence,
    /// Half of the body, then the end of the connection.
    Cut,
    /// The same, without having said how long the body is.
    CutUnannounced,
    /// One bit of the body is another.
    Corrupt,
    /// The whole file, whatever part was asked for.
    IgnoreRange,
    /// The whole file, said to be the part asked for, from its own place on.
    WholeAsPart,
    /// This status, with a page that says so.
    Status(u16),
}

/// A request as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Seen {
    /// The path.
    pub(crate) path: String,
    /// The first byte asked for.
    pub(crate) start: Option<usize>,
    /// Whether it came by way of this server as a proxy.
    pub(crate) proxied: bool,
}

#[derive(Default)]
struct State {
    files: HashMap<String, Vec<u8>>,
    faults: HashMap<String, VecDeque<Fault>>,
    always: HashMap<String, Fault>,
    seen: Vec<Seen>,
}

/// A server on a port of its own, for as long as the test lasts.
pub(crate) struct Server {
    /// `http://127.0.0.1:PORT`
    pub(crate) address: String,
    state: Arc<Mutex<State>>,
}

impl Server {
    /// Serves files by their path, `/mitdb/1.0.0/100.hea`.
    pub(crate) fn start(files: HashMap<String, Vec<u8>>) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
        let address = format!("http://{}", listener.local_addr().expect("bound"));
        let state = Arc::new(Mutex::new(State {
            files,
            ..State::default()
        }));
        let shared = Arc::clone(&state);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let state = Arc::clone(&shared);
                // A client that gives up is what some tests are about.
                std::thread::spawn(move || drop(serve(stream, &state)));
            }
        });
        Self { address, state }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next answers for this path.
    pub(crate) fn faults(&self, path: &str, faults: &[Fault]) {
        let faults = faults.iter().copied().collect();
        self.lock().faults.insert(path.to_owned(), faults);
    }

    /// Every answer for this path.
    pub(crate) fn always(&self, path: &str, fault: Fault) {
        self.lock().always.insert(path.to_owned(), fault);
    }

    /// Nothing goes wrong any more, and nothing has been seen.
    pub(crate) fn repair(&self) {
        let mut state = self.lock();
        state.faults.clear();
        state.always.clear();
        state.seen.clear();
    }

    /// Where the requests for this path began.
    pub(crate) fn starts(&self, path: &str) -> Vec<Option<usize>> {
        let state = self.lock();
        let of_path = state.seen.iter().filter(|seen| seen.path == path);
        of_path.map(|seen| seen.start).collect()
    }

    /// All requests.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.lock().seen.clone()
    }
}

fn serve(stream: TcpStream, state: &Mutex<State>) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut stream = stream;
    let (mut target, mut start) = request(&mut reader)?;
    let mut proxied = false;
    if target.starts_with("CONNECT ") {
        stream.write_all(b"HTTP/1.1 200 connected\r\n\r\n")?;
        (target, start) = request(&mut reader)?;
        proxied = true;
    }
    let path = match target.strip_prefix("GET ").unwrap_or(&target) {
        absolute if absolute.starts_with("http://") => {
            proxied = true;
            let rest = &absolute["http://".len()..];
            rest.find('/')
                .map_or("/", |slash| &rest[slash..])
                .to_owned()
        }
        path => path.to_owned(),
    };
    let (body, fault) = {
        let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
        state.seen.push(Seen {
            path: path.clone(),
            start,
            proxied,
        });
        let next = state.faults.get_mut(&path).and_then(VecDeque::pop_front);
        let fault = next.or_else(|| state.always.get(&path).copied());
        (state.files.get(&path).cloned(), fault)
    };
    let Some(body) = body else {
        return status(&mut stream, 404);
    };
    answer(&mut stream, body, start, fault)
}

/// Method and target, and the first byte asked for.
fn request(reader: &mut impl BufRead) -> std::io::Result<(String, Option<usize>)> {
    let mut first = String::new();
    reader.read_line(&mut first)?;
    let target = first.rsplit_once(' ').map_or("", |(target, _)| target);
    let mut start = None;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let line = line.trim().to_ascii_lowercase();
        if line.is_empty() {
            return Ok((target.to_owned(), start));
        }
        if let Some(range) = line.strip_prefix("range: bytes=") {
            start = range.trim_end_matches('-').parse().ok();
        }
    }
}

fn status(stream: &mut TcpStream, code: u16) -> std::io::Result<()> {
    let page = format!("<html>{code}</html>");
    write!(
        stream,
        "HTTP/1.1 {code} status\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{page}",
        page.len()
    )
}

fn answer(
    stream: &mut TcpStream,
    mut body: Vec<u8>,
    start: Option<usize>,
    fault: Option<Fault>,
) -> std::io::Result<()> {
    let len = body.len();
    let start = match fault {
        Some(Fault::Status(code)) => return status(stream, code),
        Some(Fault::Silence) => {
            std::thread::sleep(STALL);
            return Ok(());
        }
        Some(Fault::IgnoreRange | Fault::WholeAsPart) => None,
        Some(Fault::Corrupt) => {
            body[len - 1] ^= 0x10;
            start
        }
        _ => start,
    };
    if start.is_some_and(|start| start >= len) {
        return status(stream, 416);
    }
    let part = &body[start.unwrap_or(0)..];
    let mut head = match (start, fault) {
        (None, Some(Fault::WholeAsPart)) => {
            format!(
                "206 Partial Content\r\nContent-Range: bytes 0-{}/{len}",
                len - 1
            )
        }
        (None, _) => "200 OK".to_owned(),
        (Some(start), _) => {
            format!(
                "206 Partial Content\r\nContent-Range: bytes {start}-{}/{len}",
                len - 1
            )
        }
    };
    if fault != Some(Fault::CutUnannounced) {
        head += &format!("\r\nContent-Length: {}", part.len());
    }
    write!(stream, "HTTP/1.1 {head}\r\nConnection: close\r\n\r\n")?;
    match fault {
        Some(Fault::Stall | Fault::Cut | Fault::CutUnannounced) => {
            stream.write_all(&part[..part.len() / 2])?;
            stream.flush()?;
            if fault == Some(Fault::Stall) {
                std::thread::sleep(STALL);
            }
            Ok(())
        }
        _ => stream.write_all(part),
    }
}
