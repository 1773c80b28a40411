//! A device at the other end of a socket: core's device with this machine's integer engine.

use heartlens::Model;
use heartlens::runtime::Runtime as _;
use heartlens::runtime::int8::Int8;
use heartlens_core::link::{Board, CRC, Device, ModelStore};
use heartlens_core::model::Logits;
use heartlens_core::rhythm::Rules;
use heartlens_core::views::Views;
use std::io::{Read as _, Write as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;

const BOARD: Board = Board {
    name: "emulated",
    instructions: || 0,
};

/// The network in use.
struct Network(Int8);

impl heartlens_core::Network for Network {
    fn logits(&mut self, views: &Views) -> Logits {
        let logits = self.0.logits(std::slice::from_ref(views));
        logits.expect("a network that cannot fail")[0]
    }
}

/// The image that is coming.
#[derive(Default)]
struct Store {
    coming: Vec<u8>,
    crc: u32,
}

impl ModelStore<&mut Network> for Store {
    type Error = String;

    fn name<'a>(&'a self, network: &'a &mut Network) -> &'a str {
        network.0.model_name()
    }

    fn begin(&mut self, _: u32, crc: u32) -> Result<(), String> {
        (self.coming, self.crc) = (Vec::new(), crc);
        Ok(())
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<u32, String> {
        if offset as usize == self.coming.len() {
            self.coming.extend(bytes);
        }
        Ok(self.coming.len() as u32)
    }

    fn end(&mut self, network: &mut &mut Network) -> Result<(), String> {
        if CRC.checksum(&self.coming) != self.crc {
            return Err("not what was announced".to_owned());
        }
        network.0 = Int8::new(&self.coming).map_err(|error| error.to_string())?;
        Ok(())
    }

    fn classified(&mut self) {}
}

/// Listens at `socket`, for as long as the test runs, with the model of this image.
pub(crate) fn start(socket: &Path, image: &Path) {
    let listener = UnixListener::bind(socket).expect("a socket");
    let network = Int8::load(image).expect("a model");
    let shipped = Model::shipped().expect("fits this build");
    std::thread::spawn(move || {
        // The shipped rhythm network, as firmware has it built in.
        let rhythm = shipped.rhythm(Rules::SHIPPED);
        let (mut network, mut store) = (Network(network), Store::default());
        for line in listener.incoming() {
            let mut device = Device::new(BOARD, &mut network, rhythm);
            talk(line.expect("a connection"), &mut device, &mut store);
        }
    });
}

/// Until the host hangs up.
fn talk(mut line: UnixStream, device: &mut Device<'_, &mut Network>, store: &mut Store) {
    let mut bytes = [0; 256];
    while let Ok(count @ 1..) = line.read(&mut bytes) {
        let mut answers = Vec::new();
        for byte in &bytes[..count] {
            device.receive(*byte, store, |packet| answers.extend(packet));
        }
        if line.write_all(&answers).is_err() {
            return;
        }
    }
}
