//! Data bases from PhysioNet: every file checked against the published SHA-256 sums, taken up again where it was cut.
//!
//! This is the one place of the project that opens a connection, and it does so only when asked to. A file grows under
//! a name that begins with a dot and ends in `.part`, and gets its own name once its sum is right; so what has its own
//! name is whole. Proxies are those of the environment (`HTTPS_PROXY`, `ALL_PROXY`, `NO_PROXY`).

use sha2::{Digest, Sha256};
use std::collections::HashSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;
use ureq::Agent;
use ureq::http::{Response, StatusCode};

/// Where PhysioNet keeps its files.
pub const PHYSIONET: &str = "https://physionet.org/files";

/// The file that lists a data base's files with their SHA-256.
const SUMS: &str = "SHA256SUMS.txt";
/// More than any list of sums takes, in bytes.
const MAX_SUMS_BYTES: u64 = 64 << 20;
/// The longest pause before another attempt.
const MAX_PAUSE: Duration = Duration::from_secs(30);

/// A data base that can be fetched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
pub enum Database {
    /// MIT-BIH Arrhythmia: 48 half hours, beats annotated
    Mitdb,
    /// MIT-BIH Supraventricular Arrhythmia: 78 half hours, beats annotated
    Svdb,
    /// MIT-BIH Noise Stress Test: wander, electrode motion and muscle noise
    Nstdb,
    /// PhysioNet/CinC Challenge 2017: 8,528 short single leads, rhythms annotated
    Cinc2017,
    /// St Petersburg INCART: 75 half hours of 12 leads, beats annotated
    Incartdb,
    /// MIT-BIH Atrial Fibrillation: 25 records of 10 hours, rhythms annotated
    Afdb,
    /// MIT-BIH Normal Sinus Rhythm: 18 days, beats annotated
    Nsrdb,
    /// MIT-BIH Long-Term ECG: 7 days, beats annotated
    Ltdb,
    /// PhysioNet/CinC Challenge 2021: 88,253 recordings of 12 leads, diagnoses in their headers; 6 GB
    #[cfg_attr(feature = "cli", value(name = "challenge-2021"))]
    Challenge2021,
}

impl Database {
    /// The folder that it gets, and its name on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Mitdb => "mitdb",
            Self::Svdb => "svdb",
            Self::Nstdb => "nstdb",
            Self::Cinc2017 => "cinc2017",
            Self::Incartdb => "incartdb",
            Self::Afdb => "afdb",
            Self::Nsrdb => "nsrdb",
            Self::Ltdb => "ltdb",
            Self::Challenge2021 => "challenge-2021",
        }
    }

    /// Project and version on PhysioNet.
    pub const fn address(self) -> &'static str {
        match self {
            Self::Mitdb => "mitdb/1.0.0",
            Self::Svdb => "svdb/1.0.0",
            Self::Nstdb => "nstdb/1.0.0",
            Self::Cinc2017 => "challenge-2017/1.0.0",
            Self::Incartdb => "incartdb/1.0.0",
            Self::Afdb => "afdb/1.0.0",
            Self::Nsrdb => "nsrdb/1.0.0",
            Self::Ltdb => "ltdb/1.0.0",
            Self::Challenge2021 => "challenge-2021/1.0.3",
        }
    }

    /// The name that a published file gets in the data base's folder; `None` where it is not needed.
    ///
    /// Of `cinc2017`, the records of `training/` stand side by side, with the last version of their labels as
    /// `REFERENCE.csv`. Those of `challenge-2021` keep their folders below `training/`, of a thousand records each. Of the others, it is
    /// the records of the first folder level.
    fn local_name(self, published: &str) -> Option<&str> {
        let (folder, name) = published.rsplit_once('/').unwrap_or(("", published));
        let (_, extension) = name.rsplit_once('.').unwrap_or((name, ""));
        match self {
            Self::Cinc2017 => match name {
                "REFERENCE-v3.csv" => Some("REFERENCE.csv"),
                _ if folder.split('/').next() == Some("training") => {
                    matches!(extension, "hea" | "mat").then_some(name)
                }
                _ => None,
            },
            Self::Challenge2021 => {
                let below = published.strip_prefix("training/")?;
                matches!(extension, "hea" | "mat").then_some(below)
            }
            _ if folder.is_empty() => (name == "RECORDS"
                || matches!(extension, "hea" | "dat" | "atr" | "qrs" | "ecg"))
            .then_some(name),
            _ => None,
        }
    }
}

/// How to fetch.
#[derive(Debug, Clone)]
pub struct Options {
    /// What the addresses begin with: [`PHYSIONET`], or a mirror of it.
    pub from: String,
    /// How long a connection may stay silent.
    pub timeout: Duration,
    /// Attempts in a row that bring nothing new, before a file is given up.
    pub attempts: u32,
    /// The pause after the first of them; it doubles with each, up to half a minute.
    pub pause: Duration,
    /// Files that are fetched at the same time.
    pub connections: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            from: PHYSIONET.to_owned(),
            timeout: Duration::from_secs(30),
            attempts: 5,
            pause: Duration::from_secs(1),
            connections: 4,
        }
    }
}

/// What happens on the way.
#[derive(Debug)]
pub enum Event<'a> {
    /// So many files are wanted.
    Planned {
        /// Files.
        files: usize,
    },
    /// So many bytes came in.
    Received {
        /// Bytes.
        bytes: u64,
    },
    /// A file is there and its sum is right.
    Whole {
        /// Whether it was there before.
        already: bool,
    },
    /// An attempt failed, and there will be another.
    Again {
        /// The address.
        url: &'a str,
        /// What failed.
        cause: &'a Cause,
    },
}

/// What a fetch has done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Summary {
    /// Files of the data base, all whole.
    pub files: usize,
    /// Those that were there before.
    pub already: usize,
    /// Bytes that came in.
    pub bytes: u64,
}

/// Why an attempt failed.
#[derive(Debug, thiserror::Error)]
pub enum Cause {
    /// The connection failed, timed out or was cut.
    #[error("{0}")]
    Connection(Box<dyn std::error::Error + Send + Sync>),
    /// The server answered something other than the file.
    #[error("the server answered {0}")]
    Status(StatusCode),
    /// The file is another than the one published.
    #[error("SHA-256 is {found}, expected {expected}")]
    Sum {
        /// Of the bytes that came.
        found: String,
        /// As published.
        expected: String,
    },
}

impl Cause {
    /// Whether another attempt may end otherwise.
    fn may_pass(&self) -> bool {
        match self {
            Self::Connection(_) | Self::Sum { .. } => true,
            Self::Status(status) => {
                status.is_server_error()
                    || matches!(
                        *status,
                        StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS
                    )
            }
        }
    }
}

/// Why a data base could not be fetched.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// A file cannot be had.
    #[error(
        "{url}: {cause}, after {attempts} attempt{}; run the command again to go on from here",
        if *attempts == 1 { "" } else { "s" }
    )]
    Failed {
        /// Its address.
        url: String,
        /// What the last attempt met.
        cause: Cause,
        /// Attempts since the last byte.
        attempts: u32,
    },
    /// The server says that it will not give a file, and would say so again.
    #[error("{url}: the server answered {status}, expected 200 OK and the file; {}", remedy(*status))]
    Refused {
        /// Its address.
        url: String,
        /// What the server said.
        status: StatusCode,
    },
    /// The list of sums is none.
    #[error(
        "{url}, line {line}: found {found:?}, expected a SHA-256 of 64 digits and a file's name"
    )]
    Sums {
        /// Its address.
        url: String,
        /// The line, from 1.
        line: usize,
        /// What stands there, or the start of it.
        found: String,
    },
    /// The list of sums has no record.
    #[error("{url}: lists no record of {database}; is the address that of PhysioNet's files?")]
    Nothing {
        /// Its address.
        url: String,
        /// The data base.
        database: &'static str,
    },
    /// A file cannot be written.
    #[error("{}: {cause}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
}

/// What would help against a server's refusal.
fn remedy(status: StatusCode) -> &'static str {
    match status {
        StatusCode::NOT_FOUND | StatusCode::GONE => {
            "there is no such file: --from has to be where PhysioNet's files begin, or a whole mirror of them"
        }
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
            "access is denied: does a proxy stand between, or does the mirror of --from ask for a login?"
        }
        StatusCode::PROXY_AUTHENTICATION_REQUIRED => {
            "the proxy asks for a login: give it in HTTPS_PROXY, as http://NAME:PASSWORD@HOST:PORT"
        }
        _ => "is the server at --from one of files?",
    }
}

/// A file as published.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Published {
    url: String,
    local: String,
    sha256: String,
}

/// Fetches a data base into the folder `out/NAME`, which is made where it is missing. What is there and whole stays.
/// `observe` is called from several threads.
///
/// # Errors
/// The first file that cannot be had; the others stay as far as they came, and another run goes on from there.
pub fn fetch(
    database: Database,
    out: &Path,
    options: &Options,
    observe: &(dyn Fn(&Event<'_>) + Sync),
) -> Result<Summary, FetchError> {
    let client = Client {
        agent: agent(options.timeout),
        options,
        observe,
    };
    let base = format!(
        "{}/{}",
        options.from.trim_end_matches('/'),
        database.address()
    );
    let files = published(&client, &base, database)?;
    observe(&Event::Planned { files: files.len() });
    let folder = out.join(database.name());
    fs::create_dir_all(&folder).map_err(io_error(&folder))?;

    let next = AtomicUsize::new(0);
    let stop = AtomicBool::new(false);
    let total = Mutex::new((Summary::default(), None));
    std::thread::scope(|scope| {
        for _ in 0..options.connections.clamp(1, files.len()) {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed)
                    && let Some(file) = files.get(next.fetch_add(1, Ordering::Relaxed))
                {
                    let result = client.file(file, &folder);
                    let mut total = total.lock().unwrap_or_else(|e| e.into_inner());
                    match result {
                        Ok(one) => {
                            total.0.files += one.files;
                            total.0.already += one.already;
                            total.0.bytes += one.bytes;
                        }
                        Err(error) => {
                            stop.store(true, Ordering::Relaxed);
                            total.1.get_or_insert(error);
                        }
                    }
                }
            });
        }
    });
    match total.into_inner().unwrap_or_else(|e| e.into_inner()) {
        (_, Some(error)) => Err(error),
        (summary, None) => Ok(summary),
    }
}

fn agent(timeout: Duration) -> Agent {
    Agent::config_builder()
        .http_status_as_error(false)
        .timeout_resolve(Some(timeout))
        .timeout_connect(Some(timeout))
        .timeout_recv_response(Some(timeout))
        .timeout_per_read(Some(timeout))
        .user_agent(concat!("heartlens/", env!("CARGO_PKG_VERSION")))
        .build()
        .into()
}

/// The wanted files of a data base.
fn published(
    client: &Client<'_>,
    base: &str,
    database: Database,
) -> Result<Vec<Published>, FetchError> {
    let url = format!("{base}/{SUMS}");
    let text = client.text(&url)?;
    let mut files = Vec::new();
    let mut locals = HashSet::new();
    for (line, text) in text.lines().enumerate() {
        if text.trim().is_empty() {
            continue;
        }
        let Some((sha256, path)) = parse_sum(text) else {
            return Err(FetchError::Sums {
                url,
                line: line + 1,
                found: text.chars().take(80).collect(),
            });
        };
        if let Some(local) = database.local_name(path)
            && locals.insert(local.to_owned())
        {
            files.push(Published {
                url: format!("{base}/{path}"),
                local: local.to_owned(),
                sha256: sha256.to_ascii_lowercase(),
            });
        }
    }
    if files.is_empty() {
        return Err(FetchError::Nothing {
            url,
            database: database.name(),
        });
    }
    Ok(files)
}

/// Sum and path of a line as `sha256sum` writes it. The path stays below the data base's folder and needs no escaping
/// in an address.
fn parse_sum(line: &str) -> Option<(&str, &str)> {
    let (sum, path) = line.trim_end().split_once(' ')?;
    let path = path.strip_prefix([' ', '*']).unwrap_or(path);
    let plain = |part: &str| {
        !part.is_empty()
            && part != "."
            && part != ".."
            && part
                .bytes()
                .all(|b| b.is_ascii_graphic() && !b"\\%?#:\"<>|*".contains(&b))
    };
    let fits =
        sum.len() == 64 && sum.bytes().all(|b| b.is_ascii_hexdigit()) && path.split('/').all(plain);
    fits.then_some((sum, path))
}

fn io_error(path: &Path) -> impl FnOnce(io::Error) -> FetchError {
    let path = path.to_owned();
    move |cause| FetchError::Io { path, cause }
}

/// What an attempt at a file met: a cause to try again, or something that no attempt will change.
enum Stop {
    Attempt(Cause),
    For(FetchError),
}

impl From<Cause> for Stop {
    fn from(cause: Cause) -> Self {
        Self::Attempt(cause)
    }
}

struct Client<'a> {
    agent: Agent,
    options: &'a Options,
    observe: &'a (dyn Fn(&Event<'_>) + Sync),
}

impl Client<'_> {
    /// Runs attempts until one succeeds, or too many in a row have brought nothing: `attempt` gives how many bytes it
    /// has got so far, the most of all attempts.
    fn persist<T>(
        &self,
        url: &str,
        mut attempt: impl FnMut(&mut u64) -> Result<T, Stop>,
    ) -> Result<T, FetchError> {
        let (mut got, mut failures) = (0, 0);
        loop {
            let before = got;
            let cause = match attempt(&mut got) {
                Ok(done) => return Ok(done),
                Err(Stop::For(error)) => return Err(error),
                Err(Stop::Attempt(cause)) => cause,
            };
            failures = if got > before { 1 } else { failures + 1 };
            if let Cause::Status(status) = cause
                && !cause.may_pass()
            {
                return Err(FetchError::Refused {
                    url: url.to_owned(),
                    status,
                });
            }
            if failures >= self.options.attempts {
                return Err(FetchError::Failed {
                    url: url.to_owned(),
                    cause,
                    attempts: failures,
                });
            }
            (self.observe)(&Event::Again { url, cause: &cause });
            let doubled = self.options.pause * 2_u32.saturating_pow(failures - 1);
            std::thread::sleep(doubled.min(MAX_PAUSE));
        }
    }

    /// Asks for a file from byte `start` on.
    fn get(&self, url: &str, start: u64) -> Result<Response<ureq::Body>, Cause> {
        let mut request = self.agent.get(url);
        if start > 0 {
            request = request.header("Range", format!("bytes={start}-"));
        }
        let response = request
            .call()
            .map_err(|error| Cause::Connection(Box::new(error)))?;
        match response.status() {
            StatusCode::OK | StatusCode::PARTIAL_CONTENT => Ok(response),
            status => Err(Cause::Status(status)),
        }
    }

    /// A small file as text.
    fn text(&self, url: &str) -> Result<String, FetchError> {
        self.persist(url, |_| {
            let body = self.get(url, 0)?.into_body();
            let mut bytes = Vec::new();
            body.into_reader()
                .take(MAX_SUMS_BYTES)
                .read_to_end(&mut bytes)
                .map_err(|error| Cause::Connection(Box::new(error)))?;
            Ok(String::from_utf8_lossy(&bytes).into_owned())
        })
    }

    /// Brings one file, unless it is there.
    fn file(&self, file: &Published, folder: &Path) -> Result<Summary, FetchError> {
        let path = folder.join(&file.local);
        if let Ok(mut there) = File::open(&path)
            && sha256(&mut there).map_err(io_error(&path))? == file.sha256
        {
            (self.observe)(&Event::Whole { already: true });
            return Ok(Summary {
                files: 1,
                already: 1,
                bytes: 0,
            });
        }
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let part = path.with_file_name(format!(".{name}.part"));
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).map_err(io_error(folder))?;
        }
        let mut bytes = 0;
        self.persist(&file.url, |got| self.attempt(file, &part, &mut bytes, got))?;
        fs::rename(&part, &path).map_err(io_error(&path))?;
        (self.observe)(&Event::Whole { already: false });
        Ok(Summary {
            files: 1,
            already: 0,
            bytes,
        })
    }

    /// Brings what is missing of a file and checks the whole.
    fn attempt(
        &self,
        file: &Published,
        part: &Path,
        bytes: &mut u64,
        got: &mut u64,
    ) -> Result<(), Stop> {
        let io = |error| Stop::For(io_error(part)(error));
        let mut partial = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(part)
            .map_err(io)?;
        let start = partial.metadata().map_err(io)?.len();
        let response = match self.get(&file.url, start) {
            // It may be whole already, or more than that; its sum will tell.
            Err(Cause::Status(StatusCode::RANGE_NOT_SATISFIABLE)) => None,
            other => Some(other?),
        };
        if let Some(response) = response {
            let start = if continues_at(&response, start) {
                start
            } else {
                0
            };
            partial.set_len(start).map_err(io)?;
            partial.seek(SeekFrom::Start(start)).map_err(io)?;
            let mut body = response.into_body().into_reader();
            let mut buffer = [0; 1 << 16];
            loop {
                let n = match body.read(&mut buffer) {
                    Ok(0) => break,
                    Ok(n) => n,
                    Err(error) => return Err(Cause::Connection(Box::new(error)).into()),
                };
                partial.write_all(&buffer[..n]).map_err(io)?;
                *bytes += n as u64;
                *got = (*got).max(partial.stream_position().map_err(io)?);
                (self.observe)(&Event::Received { bytes: n as u64 });
            }
        }
        partial.rewind().map_err(io)?;
        let found = sha256(&mut partial).map_err(io)?;
        if found != file.sha256 {
            // Nothing tells which of its bytes are good.
            partial.set_len(0).map_err(io)?;
            return Err(Stop::Attempt(Cause::Sum {
                found,
                expected: file.sha256.clone(),
            }));
        }
        partial.sync_all().map_err(io)
    }
}

/// Whether the answer is the rest of the file from byte `start` on, and not the whole or some other part of it.
fn continues_at(response: &Response<ureq::Body>, start: u64) -> bool {
    let range = response.headers().get("content-range");
    response.status() == StatusCode::PARTIAL_CONTENT
        && range
            .and_then(|range| range.to_str().ok())
            .and_then(|range| range.strip_prefix("bytes "))
            .and_then(|range| range.split_once('-'))
            .is_some_and(|(first, _)| first.parse() == Ok(start))
}

/// SHA-256 of what is left to read, as 64 lower-case digits.
fn sha256(reader: &mut impl Read) -> io::Result<String> {
    let mut hasher = Sha256::new();
    io::copy(reader, &mut hasher)?;
    let digest = hasher.finalize();
    Ok(digest.iter().map(|byte| format!("{byte:02x}")).collect())
}
