//! The line to a device: a serial port, or a socket to an emulated one.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// A line on which reading waits for at most 200 ms, and then fails with [`io::ErrorKind::TimedOut`] or
/// [`io::ErrorKind::WouldBlock`].
pub trait Port: Read + Write + Send {}

impl<T: Read + Write + Send> Port for T {}

/// Whether a read just had nothing to give yet.
pub(crate) fn is_wait(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted
    )
}

/// How long a read waits.
const WAIT: Duration = Duration::from_millis(200);

/// Bits a second of a serial port.
#[cfg(feature = "cli")]
const BAUD_RATE: u32 = 115_200;

/// Opens `tcp:HOST:PORT`, `unix:PATH`, or the serial port of that name.
///
/// # Errors
/// When there is none, or it cannot be opened.
pub fn open(name: &str) -> io::Result<Box<dyn Port>> {
    if let Some(address) = name.strip_prefix("tcp:") {
        let stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(WAIT))?;
        stream.set_nodelay(true)?;
        return Ok(Box::new(stream));
    }
    #[cfg(unix)]
    if let Some(path) = name.strip_prefix("unix:") {
        let stream = std::os::unix::net::UnixStream::connect(path)?;
        stream.set_read_timeout(Some(WAIT))?;
        return Ok(Box::new(stream));
    }
    serial(name)
}

#[cfg(feature = "cli")]
fn serial(name: &str) -> io::Result<Box<dyn Port>> {
    let mut port = serial2::SerialPort::open(name, BAUD_RATE)?;
    port.set_read_timeout(WAIT)?;
    Ok(Box::new(port))
}

#[cfg(not(feature = "cli"))]
fn serial(_: &str) -> io::Result<Box<dyn Port>> {
    Err(io::Error::new(
        io::ErrorKind::Unsupported,
        "this build has no serial ports (feature `cli`)",
    ))
}
