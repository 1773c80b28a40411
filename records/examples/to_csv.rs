//! Writes a lead as text, one sample a line: `to_csv RECORD [LEAD]`, for any format that is read.

use heartlens_records::Record;
use std::io::{BufWriter, Write};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [record, rest @ ..] = &arguments[..] else {
        return Err("usage: to_csv RECORD [LEAD]".into());
    };
    let record = Record::open(record)?;
    let index = rest.first().map_or(Ok(0), |name| record.lead_named(name))?;
    let lead = record.lead(index)?;

    let mut out = BufWriter::new(std::io::stdout().lock());
    writeln!(out, "time (s),{} (mV)", lead.name)?;
    let mut sample = 0_u64;
    for block in record.stream_mv(index, 0..usize::MAX)? {
        for mv in block? {
            writeln!(out, "{:.6},{mv}", sample as f64 / lead.sample_rate_hz)?;
            sample += 1;
        }
    }
    out.flush()?;
    for warning in record.warnings() {
        eprintln!("warning: {warning}");
    }
    Ok(())
}
