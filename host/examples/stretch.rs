//! Writes a lead of a record as the firmware reads it: `stretch RECORD LEAD FILE`. For `cargo xtask qemu`.

use heartlens::choice::LeadChoice;
use heartlens::device;
use heartlens::records::Record;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [record, lead, file] = &arguments[..] else {
        return Err("usage: stretch RECORD LEAD FILE".into());
    };
    let record = Record::open(record)?;
    let choice: LeadChoice = lead.parse()?;
    let counts = device::counts(&record, choice.index(&record)?)?;
    heartlens::file::write_whole(file.as_ref(), &device::stretch(&counts)?)?;
    Ok(())
}
