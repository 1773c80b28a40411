//! Annotations as text: a table, and a list of RR intervals.

use super::table::{quoted, time};
use crate::annotation::Annotations;
use std::fmt::Write;

/// A table of annotations that count at this rate, in Hz: `sample,time_s,code,beat,subtype,channel,number,text`, a line each. A
/// code is WFDB's mnemonic, `beat` is 1 or 0, bytes of a text that are no UTF-8 are replaced.
pub fn annotation_table(annotations: &Annotations, rate_hz: f64) -> String {
    let mut table = "sample,time_s,code,beat,subtype,channel,number,text\n".to_owned();
    for annotation in &annotations.list {
        let text = String::from_utf8_lossy(&annotation.aux);
        let text = crate::printable(text.trim_end_matches('\0'));
        // Writing into a String cannot fail.
        let _ = writeln!(
            table,
            "{},{},{},{},{},{},{},{}",
            annotation.sample,
            time(annotation.sample as usize, rate_hz),
            quoted(annotation.code.mnemonic()),
            u8::from(annotation.code.is_beat()),
            annotation.subtype,
            annotation.channel,
            annotation.number,
            quoted(&text)
        );
    }
    table
}

/// The intervals between beats that follow each other, in ms, one a line, from the first beat on: what programs for heart rate
/// variability read. The beats' classes are not in it.
pub fn rr_list(annotations: &Annotations, rate_hz: f64) -> String {
    let beats: Vec<u64> = annotations.beats().map(|beat| beat.sample).collect();
    let mut list = String::new();
    for pair in beats.windows(2) {
        let ms = (pair[1] - pair[0]) as f64 / rate_hz * 1000.0;
        // Writing into a String cannot fail.
        let _ = writeln!(list, "{ms:.3}");
    }
    list
}
