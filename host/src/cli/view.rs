//! `heartlens view`: the viewer in the browser, with one record, served to this machine alone.

mod files;
mod line;
mod server;

use crate::records::{BeatList, BeatOptions, Record};
use anyhow::{Context, bail};
use files::Served;
pub(crate) use line::Line;
use rand::TryRng;
use server::Server;
use std::io::Write as _;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The page, where `cargo xtask package web` had made it when this program was built.
#[cfg(page)]
const PAGE: Option<&str> = Some(include_str!(env!("HEARTLENS_PAGE")));
#[cfg(not(page))]
const PAGE: Option<&str> = None;

/// What in the page is replaced by what it is to show.
const PLACE: &str = "name=\"heartlens-record\" content=\"\"";

/// Look at a record in the browser: its signal, its beats, its episodes; correct and save them.
///
/// The page is served to this machine alone, under an address that nobody can guess, and reads nothing but the record. Ctrl-C
/// ends it. Nothing is sent anywhere.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  heartlens view models/demo/demo

With the record on another machine, forward a port and open the address there that this prints:
  ssh -L 8080:127.0.0.1:8080 HOST heartlens view RECORD --port 8080 --no-open")]
pub(crate) struct Args {
    /// The record: a WFDB record, with or without `.hea`, or the file of any other format.
    #[arg(value_name = "RECORD")]
    record: PathBuf,
    /// The port; by default one that is free.
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    port: u16,
    /// Only print the address; open no browser.
    #[arg(long)]
    no_open: bool,
    /// The viewer's page, instead of the one inside the program.
    #[arg(long, value_name = "FILE.html")]
    page: Option<PathBuf>,
}

/// Runs the verb, until Ctrl-C.
pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let page = Page {
        file: args.page.as_deref(),
        port: args.port,
        open: !args.no_open,
    };
    serve(&page, Some(&args.record), None)
}

/// How the page is served.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Page<'a> {
    /// The page, where it is not the one inside the program.
    pub(crate) file: Option<&'a Path>,
    /// Where; 0 is any port that is free.
    pub(crate) port: u16,
    /// Whether a browser is opened.
    pub(crate) open: bool,
}

/// Serves the page with a record, a line to a device, or both, until Ctrl-C.
pub(crate) fn serve(
    how: &Page<'_>,
    record: Option<&Path>,
    line: Option<Line<'_>>,
) -> anyhow::Result<()> {
    let page = page(how.file)?;
    let (name, files) = match record {
        Some(record) => {
            // What is wrong with the record is said here, and not only on the page.
            if BeatList::open(record, &BeatOptions::new("atr"))?.is_none() {
                Record::open(record)?;
            }
            let (name, files) = files::of(record)?;
            (Some(name), files)
        }
        None => (None, Vec::new()),
    };
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, how.port)).with_context(|| {
        format!(
            "port {}: cannot be served from; view --port=N or device --serve=N names another",
            how.port
        )
    })?;
    let port = listener.local_addr()?.port();
    let token = token()?;
    let place = place(name.as_deref(), &files, line.is_some());
    let page = page.replacen(PLACE, &place, 1);
    let address = format!("http://127.0.0.1:{port}/{token}/");
    let mut out = std::io::stdout().lock();
    writeln!(out, "{address}")?;
    out.flush()?;
    drop(out);
    let name = name.as_deref().unwrap_or("the viewer");
    eprintln!("{name} in the browser; Ctrl-C ends it");
    if how.open && !open(&address) {
        eprintln!("no browser could be opened: open the address above");
    }
    let server = Server {
        token,
        port,
        page,
        files,
        line,
    };
    server.run(&listener)
}

fn page(named: Option<&Path>) -> anyhow::Result<String> {
    let page = match (named, PAGE) {
        (Some(path), _) => {
            std::fs::read_to_string(path).with_context(|| path.display().to_string())?
        }
        (None, Some(page)) => page.to_owned(),
        (None, None) => bail!(
            "this program was built without the viewer's page; `cargo xtask package web` makes it, and then build again, or \
             name it with --page"
        ),
    };
    if !page.contains(PLACE) {
        let name = named.unwrap_or(Path::new("page")).display();
        bail!(
            "{name}: found no place for a record, expected the viewer's page; `cargo xtask package web` makes it"
        );
    }
    Ok(page)
}

/// 128 random bits, in hexadecimal.
fn token() -> anyhow::Result<String> {
    let mut bytes = [0_u8; 16];
    let filled = rand::rngs::SysRng.try_fill_bytes(&mut bytes);
    filled.context("the system gives no random numbers")?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// What tells the page which record it has, and whether there is a line to a device, as an attribute.
fn place(name: Option<&str>, files: &[Served], has_line: bool) -> String {
    let listed = files.iter().enumerate().map(|(i, file)| {
        serde_json::json!({"name": file.name, "size": file.bytes, "url": format!("files/{i}")})
    });
    let line = has_line.then_some("line");
    let given =
        serde_json::json!({"name": name, "files": listed.collect::<Vec<_>>(), "line": line});
    let given = given.to_string();
    let mut escaped = String::with_capacity(given.len());
    for c in given.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '"' => escaped.push_str("&quot;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            c => escaped.push(c),
        }
    }
    format!("name=\"heartlens-record\" content=\"{escaped}\"")
}

/// Opens an address in the browser that this machine prefers. False where there is none.
fn open(address: &str) -> bool {
    let (program, arguments): (&str, &[&str]) = if cfg!(target_os = "macos") {
        ("open", &[])
    } else if cfg!(target_os = "windows") {
        ("cmd", &["/C", "start", ""])
    } else {
        ("xdg-open", &[])
    };
    let mut command = Command::new(program);
    command.args(arguments).arg(address);
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command.spawn().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_long_and_never_the_same() {
        let (one, other) = (token().expect("random"), token().expect("random"));
        assert_eq!(one.len(), 32);
        assert_ne!(one, other);
    }

    #[test]
    fn a_name_cannot_leave_its_attribute() {
        let file = Served {
            name: "a\"><script>.dat".to_owned(),
            path: PathBuf::new(),
            bytes: 5,
        };
        let place = place(Some("<&\">"), &[file], true);
        let inside = &place["name=\"heartlens-record\" content=\"".len()..place.len() - 1];
        assert!(!inside.contains(['"', '<', '>']), "{inside}");
        assert!(inside.contains("&lt;&amp;"), "{inside}");
    }
}
