//! Streams lead 0 of a record to a device and prints how many beats it found: `stream PORT RECORD`. For
//! `cargo xtask size`; `heartlens device` does more.

use heartlens::device::{self, Conversation};
use heartlens::records::Record;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [port, record] = &arguments[..] else {
        return Err("usage: stream PORT RECORD".into());
    };
    let record = Record::open(record)?;
    let counts = device::counts(&record, 0)?;
    let (mut conversation, hello) = Conversation::open(device::open(port)?)?;
    let streamed = conversation.stream(&counts, heartlens::canonical::patient(&record), |_| ())?;
    println!(
        "board={} model={} beats={}",
        hello.board,
        hello.model,
        streamed.beats.len()
    );
    Ok(())
}
