//! A board on a line, for the tests of Web Serial: this machine as a device, on standard input and output.

use heartlens::Model;
use heartlens::device::Native;
use std::error::Error;
use std::io::{ErrorKind, Read as _, Write as _};

fn main() -> Result<(), Box<dyn Error>> {
    let model = Model::shipped()?;
    let mut device = Native::new(&model)?;
    let (mut line, mut out) = (std::io::stdin().lock(), std::io::stdout().lock());
    let mut bytes = [0; 256];
    loop {
        let count = line.read(&mut bytes)?;
        if count == 0 {
            return Ok(());
        }
        device.write_all(&bytes[..count])?;
        loop {
            match device.read(&mut bytes) {
                Ok(count) => out.write_all(&bytes[..count])?,
                Err(error) if error.kind() == ErrorKind::TimedOut => break,
                Err(error) => return Err(error.into()),
            }
        }
        out.flush()?;
    }
}
