//! The line between the page and a device. One page has it at a time: the one that took it last.

use crate::device::Port;
use crate::device::port::is_wait;
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// How to come by the line.
type Connect<'a> = dyn Fn() -> io::Result<Box<dyn Port + 'a>> + Send + Sync + 'a;

/// The line to a device.
pub(crate) struct Line<'a> {
    connect: Box<Connect<'a>>,
    taken: Mutex<Taken<'a>>,
}

struct Taken<'a> {
    /// How often it has been taken.
    turn: u64,
    port: Option<Box<dyn Port + 'a>>,
}

/// Why nothing can be said.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refused {
    #[error("another page has taken the line")]
    Taken,
    #[error("{0}")]
    Gone(#[from] io::Error),
}

impl<'a> Line<'a> {
    /// A line that `connect` opens, for each page anew.
    pub(crate) fn new(
        connect: impl Fn() -> io::Result<Box<dyn Port + 'a>> + Send + Sync + 'a,
    ) -> Self {
        Self {
            connect: Box::new(connect),
            taken: Mutex::new(Taken {
                turn: 0,
                port: None,
            }),
        }
    }

    fn taken(&self) -> MutexGuard<'_, Taken<'a>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Opens the line for a page, and takes it from the one before. The page says its turn with all that it sends.
    pub(super) fn take(&self) -> Result<u64, Refused> {
        let mut taken = self.taken();
        // Most ports cannot be opened twice.
        taken.port = None;
        taken.port = Some((self.connect)()?);
        taken.turn += 1;
        Ok(taken.turn)
    }

    /// Says something, and gives what the device has said: nothing where it says nothing for as long as a port waits.
    pub(super) fn exchange(&self, turn: u64, say: &[u8]) -> Result<Vec<u8>, Refused> {
        let mut taken = self.taken();
        if turn != taken.turn {
            return Err(Refused::Taken);
        }
        let gone = || io::Error::from(io::ErrorKind::NotConnected);
        let said = exchange(taken.port.as_mut().ok_or_else(gone)?.as_mut(), say);
        if said.is_err() {
            taken.port = None;
        }
        Ok(said?)
    }
}

fn exchange(port: &mut dyn Port, say: &[u8]) -> io::Result<Vec<u8>> {
    port.write_all(say)?;
    port.flush()?;
    let mut said = vec![0; 4096];
    match port.read(&mut said) {
        Ok(0) => Err(io::ErrorKind::UnexpectedEof.into()),
        Ok(count) => {
            said.truncate(count);
            Ok(said)
        }
        Err(error) if is_wait(&error) => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}
