//! A board on a line, for the tests of Web Serial: core's device with this machine's integer engine, on standard input and output.

use heartlens::Model;
use heartlens::runtime::{Kind, Runtime};
use heartlens_core::link::{Board, Device, ModelStore};
use heartlens_core::model::Logits;
use heartlens_core::rhythm::Rules;
use heartlens_core::spec::LABELS;
use heartlens_core::views::Views;
use std::error::Error;
use std::io::{Read as _, Write as _};

const BOARD: Board = Board {
    name: "emulated",
    instructions: || 0,
};

struct Network(Box<dyn Runtime>);

impl heartlens_core::Network for Network {
    fn logits(&mut self, views: &Views) -> Logits {
        let logits = self.0.logits(std::slice::from_ref(views)).ok();
        let first = logits.and_then(|logits| logits.first().copied());
        first.unwrap_or([f32::NAN; LABELS.len()])
    }
}

/// It takes no model.
struct NoStore;

impl ModelStore<Network> for NoStore {
    type Error = &'static str;

    fn name<'a>(&'a self, network: &'a Network) -> &'a str {
        network.0.model_name()
    }

    fn begin(&mut self, _: u32, _: u32) -> Result<(), Self::Error> {
        Err("this board takes no model")
    }

    fn write(&mut self, _: u32, _: &[u8]) -> Result<u32, Self::Error> {
        Err("this board takes no model")
    }

    fn end(&mut self, _: &mut Network) -> Result<(), Self::Error> {
        Err("this board takes no model")
    }

    fn classified(&mut self) {}
}

fn main() -> Result<(), Box<dyn Error>> {
    let model = Model::shipped()?;
    let network = Network(model.network(Kind::Int8)?);
    let mut device = Device::new(BOARD, network, model.rhythm(Rules::SHIPPED));
    let (mut line, mut out) = (std::io::stdin().lock(), std::io::stdout().lock());
    let mut bytes = [0; 256];
    loop {
        let count = line.read(&mut bytes)?;
        if count == 0 {
            return Ok(());
        }
        let mut answers = Vec::new();
        for byte in &bytes[..count] {
            device.receive(*byte, &mut NoStore, |packet| answers.extend(packet));
        }
        out.write_all(&answers)?;
        out.flush()?;
    }
}
