//! This machine as a device: what the firmware `serial` is on a board, with the network in this machine's integers.

use super::OneByOne;
use crate::model::Model;
use crate::runtime::{Kind, ModelError, Runtime};
use heartlens_core::link::{Board, Device, ModelStore};
use heartlens_core::rhythm::Rules;
use std::collections::VecDeque;
use std::io::{self, Read, Write};

const BOARD: Board = Board {
    name: "this machine",
    instructions: || 0,
};

/// This machine as a device, and the line to it: what is written, the device hears at once; what it says is there to be read.
pub struct Native<'a> {
    device: Device<'a, OneByOne<Box<dyn Runtime>>>,
    said: VecDeque<u8>,
}

impl<'a> Native<'a> {
    /// A device with this model, and the rules that a device has.
    ///
    /// # Errors
    /// When the model has no network in integers.
    pub fn new(model: &'a Model) -> Result<Self, ModelError> {
        let network = OneByOne::new(model.network(Kind::Int8)?);
        Ok(Self {
            device: Device::new(BOARD, network, model.rhythm(Rules::SHIPPED)),
            said: VecDeque::new(),
        })
    }
}

impl Write for Native<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let Self { device, said } = self;
        for byte in bytes {
            device.receive(*byte, &mut NoStore, |packet| said.extend(packet));
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Read for Native<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.said.is_empty() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        self.said.read(buffer)
    }
}

/// It has the model that it was started with.
struct NoStore;

impl NoStore {
    const REASON: &'static str = "this machine keeps the model that it was started with";
}

impl ModelStore<OneByOne<Box<dyn Runtime>>> for NoStore {
    type Error = &'static str;

    fn name<'a>(&'a self, network: &'a OneByOne<Box<dyn Runtime>>) -> &'a str {
        network.runtime.model_name()
    }

    fn begin(&mut self, _: u32, _: u32) -> Result<(), Self::Error> {
        Err(Self::REASON)
    }

    fn write(&mut self, _: u32, _: &[u8]) -> Result<u32, Self::Error> {
        Err(Self::REASON)
    }

    fn end(&mut self, _: &mut OneByOne<Box<dyn Runtime>>) -> Result<(), Self::Error> {
        Err(Self::REASON)
    }

    fn classified(&mut self) {}
}
