//! As much of HTTP as the page needs, to this machine alone.
//!
//! Whoever does not know the token gets nothing; nor does a page of another origin that has this machine's name point here
//! (DNS rebinding), for the `Host` header has to be ours. Only the page, the record's files and the line to a device can be had.

use super::files::Served;
use super::line::{Line, Refused};
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::net::{TcpListener, TcpStream};
use std::ops::Range;
use std::time::Duration;

/// What a request may have before its end, in bytes.
const MAX_REQUEST_BYTES: u64 = 16 << 10;
/// How long a client may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// What the page may do: what is in it, and read the record from here.
const POLICY: &str = "default-src 'none'; script-src 'unsafe-inline' 'wasm-unsafe-eval' blob:; worker-src blob:; style-src \
     'unsafe-inline'; img-src data: blob:; connect-src 'self' blob: data:; base-uri 'none'; form-action 'none'; \
     frame-ancestors 'none'";

/// What is served.
pub(super) struct Server<'a> {
    pub(super) token: String,
    pub(super) port: u16,
    pub(super) page: String,
    pub(super) files: Vec<Served>,
    pub(super) line: Option<Line<'a>>,
}

/// What is asked for.
#[derive(Debug, PartialEq, Eq)]
enum Asked {
    Page,
    /// A file by its place, and the part of it.
    File(usize, Option<Part>),
    /// To have the line.
    Take,
    /// What has been said on the line since, for what is said now by who took it at this turn.
    Exchange(u64, Vec<u8>),
}

/// A part of a file: from a byte, up to and with a byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Part {
    first: u64,
    last: Option<u64>,
}

impl Part {
    /// `bytes=FIRST-LAST` or `bytes=FIRST-`.
    fn parse(text: &str) -> Option<Self> {
        let (first, last) = text.strip_prefix("bytes=")?.split_once('-')?;
        Some(Self {
            first: first.parse().ok()?,
            last: match last {
                "" => None,
                last => Some(last.parse().ok()?),
            },
        })
    }

    /// The bytes of a file of `len` bytes; `None` where it has none of them.
    fn of(self, len: u64) -> Option<Range<u64>> {
        let end = self
            .last
            .map_or(len, |last| last.saturating_add(1))
            .min(len);
        (self.first < end).then_some(self.first..end)
    }
}

impl Server<'_> {
    /// Serves until the process ends.
    pub(super) fn run(self, listener: &TcpListener) -> anyhow::Result<()> {
        std::thread::scope(|scope| {
            for stream in listener.incoming() {
                // A connection that came to nothing is the other end's affair.
                let Ok(stream) = stream else { continue };
                scope.spawn(|| self.answer(stream));
            }
        });
        Ok(())
    }

    fn answer(&self, stream: TcpStream) {
        let serve = || -> io::Result<()> {
            stream.set_read_timeout(Some(PATIENCE))?;
            stream.set_write_timeout(Some(PATIENCE))?;
            let request = BufReader::new((&stream).take(MAX_REQUEST_BYTES));
            match self.read(request) {
                Ok((asked, with_body)) => self.give(asked, with_body, &stream),
                Err(status) => respond(
                    &stream,
                    status,
                    "text/plain; charset=utf-8",
                    &[],
                    status.as_bytes(),
                ),
            }
        };
        // A browser that has gone away is no fault.
        let _ = serve();
    }

    /// A request, and whether more than its head is wanted; the status where it is refused.
    fn read(&self, mut request: impl BufRead) -> Result<(Asked, bool), &'static str> {
        const BAD: &str = "400 Bad Request";
        let mut lines = request.by_ref().lines();
        let mut next = || lines.next().and_then(Result::ok).ok_or(BAD);
        let line = next()?;
        let mut words = line.split(' ');
        let (method, path) = (words.next().ok_or(BAD)?, words.next().ok_or(BAD)?);
        let (mut host, mut part, mut length) = (None, None, 0);
        loop {
            let line = next()?;
            if line.is_empty() {
                break;
            }
            let (name, value) = line.split_once(':').ok_or(BAD)?;
            let value = value.trim();
            match name.to_ascii_lowercase().as_str() {
                "host" if host.is_some() => return Err(BAD),
                "host" => host = Some(value.to_owned()),
                "range" => part = Some(Part::parse(value).ok_or("416 Range Not Satisfiable")?),
                "content-length" => length = value.parse().map_err(|_| BAD)?,
                _ => {}
            }
        }
        let ours = ["127.0.0.1", "localhost"].map(|name| format!("{name}:{}", self.port));
        if !host.is_some_and(|host| ours.contains(&host)) {
            return Err("421 Misdirected Request");
        }
        let path = path.split('?').next().unwrap_or_default();
        let below = path
            .strip_prefix('/')
            .and_then(|path| path.split_once('/'))
            .filter(|(token, _)| same(token, &self.token))
            .map(|(_, rest)| rest);
        const NOT_FOUND: &str = "404 Not Found";
        let asked = match (method, below) {
            ("GET" | "HEAD", Some("")) => Asked::Page,
            ("GET" | "HEAD", below) => {
                let place = below.and_then(|rest| rest.strip_prefix("files/")?.parse().ok());
                Asked::File(place.ok_or(NOT_FOUND)?, part)
            }
            ("POST", Some("line")) => Asked::Take,
            ("POST", Some(rest)) if rest.starts_with("line/") => {
                let turn = rest["line/".len()..].parse().map_err(|_| NOT_FOUND)?;
                let mut said = Vec::new();
                let read = request.take(length).read_to_end(&mut said);
                match read {
                    Ok(found) if found as u64 == length => Asked::Exchange(turn, said),
                    _ => return Err(BAD),
                }
            }
            _ => return Err("405 Method Not Allowed"),
        };
        Ok((asked, method != "HEAD"))
    }

    fn give(&self, asked: Asked, with_body: bool, stream: &TcpStream) -> io::Result<()> {
        let (place, part) = match asked {
            Asked::Page => {
                let policy = format!("Content-Security-Policy: {POLICY}");
                let body = self.page.as_bytes();
                let body = if with_body { body } else { &[] };
                return respond(
                    stream,
                    "200 OK",
                    "text/html; charset=utf-8",
                    &[policy],
                    body,
                );
            }
            Asked::File(place, part) => (place, part),
            Asked::Take => {
                let turn = self.line.as_ref().map(Line::take);
                return said(
                    stream,
                    turn.map(|turn| turn.map(|turn| turn.to_string().into())),
                );
            }
            Asked::Exchange(turn, bytes) => {
                let line = self.line.as_ref();
                return said(stream, line.map(|line| line.exchange(turn, &bytes)));
            }
        };
        let kind = "application/octet-stream";
        let Some(served) = self.files.get(place) else {
            return respond(stream, "404 Not Found", kind, &[], &[]);
        };
        let Ok(mut file) = File::open(&served.path) else {
            return respond(stream, "410 Gone", kind, &[], &[]);
        };
        let len = file.metadata()?.len();
        let range = match part {
            None => 0..len,
            Some(part) => match part.of(len) {
                Some(range) => range,
                None => return respond(stream, "416 Range Not Satisfiable", kind, &[], &[]),
            },
        };
        let (status, said) = match part {
            None => ("200 OK", Vec::new()),
            Some(_) => {
                let of = format!(
                    "Content-Range: bytes {}-{}/{len}",
                    range.start,
                    range.end - 1
                );
                ("206 Partial Content", vec![of])
            }
        };
        let bytes = range.end - range.start;
        head(stream, status, kind, &said, bytes)?;
        if with_body {
            file.seek(SeekFrom::Start(range.start))?;
            io::copy(&mut file.take(bytes), &mut &*stream)?;
        }
        Ok(())
    }
}

/// What came of the line: none where there is none.
fn said(stream: &TcpStream, said: Option<Result<Vec<u8>, Refused>>) -> io::Result<()> {
    let (status, body) = match said {
        None => ("404 Not Found", Vec::new()),
        Some(Ok(said)) => ("200 OK", said),
        Some(Err(refused)) => {
            let status = match refused {
                Refused::Taken => "409 Conflict",
                Refused::Gone(_) => "503 Service Unavailable",
            };
            (status, refused.to_string().into_bytes())
        }
    };
    respond(stream, status, "application/octet-stream", &[], &body)
}

/// Whether two texts are the same, in a time that tells nothing of where they differ.
fn same(found: &str, expected: &str) -> bool {
    let bytes = found.bytes().zip(expected.bytes());
    let differ = bytes.fold(0, |differ, (a, b)| differ | (a ^ b));
    found.len() == expected.len() && differ == 0
}

fn respond(
    stream: &TcpStream,
    status: &str,
    kind: &str,
    said: &[String],
    body: &[u8],
) -> io::Result<()> {
    head(stream, status, kind, said, body.len() as u64)?;
    (&mut &*stream).write_all(body)
}

fn head(
    mut stream: &TcpStream,
    status: &str,
    kind: &str,
    said: &[String],
    bytes: u64,
) -> io::Result<()> {
    let mut text = format!(
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {bytes}\r\nConnection: close\r\nCache-Control: \
         no-store\r\nX-Content-Type-Options: nosniff\r\nReferrer-Policy: no-referrer\r\nCross-Origin-Resource-Policy: \
         same-origin\r\nAccept-Ranges: bytes\r\n"
    );
    for line in said {
        text.push_str(line);
        text.push_str("\r\n");
    }
    text.push_str("\r\n");
    stream.write_all(text.as_bytes())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::canonical;
    use crate::device::{self, Conversation, Native};
    use crate::model::Model;
    use crate::records::Record;
    use crate::runtime::Kind;
    use heartlens_core::rhythm::Rules;
    use std::net::Ipv4Addr;
    use std::path::PathBuf;
    use std::sync::LazyLock;
    use std::sync::atomic::{AtomicBool, Ordering};

    static MODEL: LazyLock<Model> = LazyLock::new(|| Model::shipped().unwrap());

    /// A server of two files, one of which is not its own, and no line.
    fn serve(folder: &tempfile::TempDir) -> u16 {
        serve_with(folder, None)
    }

    fn serve_with(folder: &tempfile::TempDir, line: Option<Line<'static>>) -> u16 {
        let path = folder.path().join("r.dat");
        std::fs::write(&path, "0123456789").unwrap();
        std::fs::write(folder.path().join("other.dat"), "secret").unwrap();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let files = vec![
            Served {
                name: "r.dat".to_owned(),
                path,
                bytes: 10,
            },
            Served {
                name: "gone.dat".to_owned(),
                path: PathBuf::from("/no/such/file"),
                bytes: 1,
            },
        ];
        let server = Server {
            token: "0123456789abcdef".to_owned(),
            port,
            page: "the page".to_owned(),
            files,
            line,
        };
        std::thread::spawn(move || server.run(&listener));
        port
    }

    fn ask(port: u16, request: &str) -> (String, String) {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head.to_owned(), body.to_owned())
    }

    #[test]
    fn whoever_knows_the_token_gets_the_page_and_the_record_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let port = serve(&folder);
        let get = |path: &str, more: &str| {
            ask(
                port,
                &format!("GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n{more}\r\n"),
            )
        };
        let (head, body) = get("/0123456789abcdef/", "");
        assert!(head.starts_with("HTTP/1.1 200 OK"), "{head}");
        assert!(head.contains("Content-Security-Policy: default-src 'none'"));
        assert_eq!(body, "the page");
        assert_eq!(get("/0123456789abcdef/files/0", "").1, "0123456789");
        let (head, body) = get("/0123456789abcdef/files/0", "Range: bytes=2-4\r\n");
        assert!(head.starts_with("HTTP/1.1 206"), "{head}");
        assert!(head.contains("Content-Range: bytes 2-4/10"), "{head}");
        assert_eq!(body, "234");
        assert_eq!(
            get("/0123456789abcdef/files/0", "Range: bytes=8-\r\n").1,
            "89"
        );
        assert_eq!(
            get("/0123456789abcdef/files/0", "Range: bytes=8-99\r\n").1,
            "89"
        );
        for (path, more, status) in [
            ("/", "", "404"),
            ("/0123456789abcdee/", "", "404"),
            ("/0123456789abcdef", "", "404"),
            ("//", "", "404"),
            ("/0123456789abcdef/files/2", "", "404"),
            ("/0123456789abcdef/files/1", "", "410"),
            ("/0123456789abcdef/files/../other.dat", "", "404"),
            ("/0123456789abcdef/other.dat", "", "404"),
            ("/0123456789abcdef/files/0", "Range: bytes=10-\r\n", "416"),
            ("/0123456789abcdef/files/0", "Range: lines=1-2\r\n", "416"),
            ("/0123456789abcdef/", "Host: evil.example\r\n", "400"),
        ] {
            let (head, body) = get(path, more);
            assert!(
                head.starts_with(&format!("HTTP/1.1 {status}")),
                "{path}: {head}"
            );
            assert!(!body.contains("secret") && !body.contains("the page"));
        }
    }

    #[test]
    fn a_request_from_elsewhere_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let port = serve(&folder);
        for host in [
            "evil.example".to_owned(),
            format!("evil.example:{port}"),
            "127.0.0.1".to_owned(),
            format!("127.0.0.1.evil.example:{port}"),
            String::new(),
        ] {
            let request = format!("GET /0123456789abcdef/ HTTP/1.1\r\nHost: {host}\r\n\r\n");
            let (head, body) = ask(port, &request);
            assert!(head.starts_with("HTTP/1.1 421"), "{host}: {head}");
            assert!(!body.contains("the page"));
        }
        let (head, _) = ask(port, "GET /0123456789abcdef/ HTTP/1.1\r\n\r\n");
        assert!(head.starts_with("HTTP/1.1 421"), "{head}");
        let post = format!("POST /0123456789abcdef/ HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n");
        assert!(ask(port, &post).0.starts_with("HTTP/1.1 405"));
        assert!(ask(port, "nonsense\r\n\r\n").0.starts_with("HTTP/1.1 400"));
    }
    /// The status of an answer, and its body.
    fn post(port: u16, path: &str, body: &[u8]) -> (u16, Vec<u8>) {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
        let head = format!(
            "POST /0123456789abcdef/{path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(body).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        let end = answer.windows(4).position(|four| four == b"\r\n\r\n");
        let body = answer.split_off(end.unwrap() + 4);
        let head = String::from_utf8(answer).unwrap();
        (head.split(' ').nth(1).unwrap().parse().unwrap(), body)
    }

    fn take(port: u16) -> String {
        let (status, turn) = post(port, "line", &[]);
        assert_eq!(status, 200);
        String::from_utf8(turn).unwrap()
    }

    /// The page's end of the line: what is written goes up, what came down is there to be read.
    struct Page {
        port: u16,
        line: String,
        said: Vec<u8>,
    }

    impl Write for Page {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let (status, mut said) = post(self.port, &self.line, bytes);
            assert_eq!(status, 200);
            self.said.append(&mut said);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Read for Page {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            if self.said.is_empty() {
                self.write_all(&[])?;
                // As a port that has nothing.
                if self.said.is_empty() {
                    return Err(io::ErrorKind::TimedOut.into());
                }
            }
            let count = self.said.len().min(buffer.len());
            buffer[..count].copy_from_slice(&self.said[..count]);
            self.said.drain(..count);
            Ok(count)
        }
    }

    fn native() -> io::Result<Box<dyn device::Port>> {
        Ok(Box::new(Native::new(&MODEL).unwrap()))
    }

    #[test]
    fn a_page_talks_to_this_machine_as_to_a_board_and_every_bit_is_the_engines() {
        let folder = tempfile::tempdir().unwrap();
        let port = serve_with(&folder, Some(Line::new(native)));
        let page = Page {
            port,
            line: format!("line/{}", take(port)),
            said: Vec::new(),
        };
        let (mut conversation, hello) = Conversation::open(page).unwrap();
        assert_eq!(hello.board, "this machine");
        let demo = concat!(env!("CARGO_MANIFEST_DIR"), "/../models/demo/demo");
        let record = Record::open(demo).unwrap();
        let counts = device::counts(&record, 0).unwrap();
        let patient = canonical::patient(&record);
        let streamed = conversation.stream(&counts, patient, |_| ()).unwrap();
        let mut runtime = MODEL.network(Kind::Int8).unwrap();
        let rhythm = MODEL.rhythm(Rules::SHIPPED);
        let expected = device::expected(&counts, &[], patient, runtime.as_mut(), rhythm).unwrap();
        assert!(expected.len() > 300, "{}", expected.len());
        assert_eq!(streamed.beats.len(), expected.len());
        let pairs = streamed.beats.iter().zip(&expected);
        for (found, expected) in pairs {
            assert!(device::agree(found, expected), "{found:?} {expected:?}");
        }
        let refused = conversation.upload(&[0; 64], |_| ()).unwrap_err();
        assert!(refused.to_string().contains("keeps the model"), "{refused}");
    }

    #[test]
    fn one_page_has_the_line_and_a_port_that_is_gone_is_said_and_opened_again() {
        static PLUGGED: AtomicBool = AtomicBool::new(true);
        /// A board that can be unplugged.
        struct Board(Native<'static>);
        let gone = || io::Error::new(io::ErrorKind::NotFound, "port ttyX: no such device");
        impl Read for Board {
            fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
                match PLUGGED.load(Ordering::SeqCst) {
                    true => self.0.read(buffer),
                    false => Ok(0),
                }
            }
        }
        impl Write for Board {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                self.0.write(bytes)
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let folder = tempfile::tempdir().unwrap();
        let line = Line::new(move || match PLUGGED.load(Ordering::SeqCst) {
            true => Ok(Box::new(Board(Native::new(&MODEL).unwrap())) as Box<dyn device::Port>),
            false => Err(gone()),
        });
        let port = serve_with(&folder, Some(line));
        assert_eq!(post(port, "line/1", &[0]).0, 409, "nobody has it yet");
        let first = format!("line/{}", take(port));
        assert_eq!(post(port, &first, &[0]), (200, Vec::new()));
        let second = format!("line/{}", take(port));
        assert_eq!(
            post(port, &first, &[0]),
            (409, b"another page has taken the line".to_vec())
        );
        PLUGGED.store(false, Ordering::SeqCst);
        assert_eq!(post(port, &second, &[0]).0, 503);
        let (status, words) = post(port, "line", &[]);
        let words = String::from_utf8(words).unwrap();
        assert_eq!((status, &*words), (503, "port ttyX: no such device"));
        PLUGGED.store(true, Ordering::SeqCst);
        assert_eq!(post(port, &format!("line/{}", take(port)), &[0]).0, 200);

        for (path, status) in [("line/x", 404), ("lines", 405), ("files/0", 405)] {
            assert_eq!(post(port, path, &[]).0, status, "{path}");
        }
        let long = vec![0; MAX_REQUEST_BYTES as usize];
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
        let head = "POST /0123456789abcdef/line/1 HTTP/1.1";
        write!(
            stream,
            "{head}\r\nHost: 127.0.0.1:{port}\r\nContent-Length: 99999\r\n\r\n"
        )
        .unwrap();
        stream.write_all(&long).unwrap();
        let mut answer = [0; 12];
        stream.read_exact(&mut answer).unwrap();
        assert_eq!(&answer, b"HTTP/1.1 400");
        let without = serve(&folder);
        assert_eq!(post(without, "line", &[]).0, 404);
    }
}
