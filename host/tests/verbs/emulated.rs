//! A device at the other end of a socket: core's device with this machine's integer engine.

use heartlens::Model;
use heartlens::runtime::Runtime as _;
use heartlens::runtime::int8::Int8;
use heartlens_core::link::{CRC, Device, Engine};
use heartlens_core::rhythm;
use heartlens_core::spec::LABELS;
use heartlens_core::views::Views;
use std::io::{Read as _, Write as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;

/// The network in use, and the image that is coming.
struct Network {
    network: Int8,
    /// Its rhythm network is used, as firmware has it built in.
    shipped: Model,
    coming: Vec<u8>,
    crc: u32,
}

impl Engine for Network {
    type Error = String;

    fn board(&self) -> &'static str {
        "emulated"
    }

    fn model(&self) -> &str {
        self.network.model_name()
    }

    fn logits(&mut self, views: &Views) -> [f32; LABELS.len()] {
        let logits = self.network.logits(std::slice::from_ref(views));
        logits.expect("a network that cannot fail")[0]
    }

    fn rhythm(&self) -> Option<rhythm::Network<'_>> {
        self.shipped.rhythm()
    }

    fn instructions(&self) -> u32 {
        0
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

    fn end(&mut self) -> Result<(), String> {
        if CRC.checksum(&self.coming) != self.crc {
            return Err("not what was announced".to_owned());
        }
        self.network = Int8::new(&self.coming).map_err(|error| error.to_string())?;
        Ok(())
    }
}

/// Listens at `socket`, for as long as the test runs, with the model of this image.
pub(crate) fn start(socket: &Path, image: &Path) {
    let listener = UnixListener::bind(socket).expect("a socket");
    let network = Int8::load(image).expect("a model");
    let shipped = Model::shipped().expect("fits this build");
    std::thread::spawn(move || {
        let mut network = Network {
            network,
            shipped,
            coming: Vec::new(),
            crc: 0,
        };
        for line in listener.incoming() {
            talk(line.expect("a connection"), &mut network);
        }
    });
}

/// Until the host hangs up.
fn talk(mut line: UnixStream, network: &mut Network) {
    let mut device = Device::new();
    let mut bytes = [0; 256];
    while let Ok(count @ 1..) = line.read(&mut bytes) {
        let mut answers = Vec::new();
        for byte in &bytes[..count] {
            device.receive(*byte, network, |packet| answers.extend(packet));
        }
        if line.write_all(&answers).is_err() {
            return;
        }
    }
}
