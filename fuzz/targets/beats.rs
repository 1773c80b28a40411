//! A list of beats from anywhere - a table, RR intervals, Polar's file, a FIT file: read, with its beats in order, or
//! refused. The first byte says what the file is called, and what is told of it.

#![no_main]

mod common;

use heartlens::records::{BeatColumn, BeatList, BeatOptions, ReadOptions};
use libfuzzer_sys::fuzz_target;

const NAMES: [&str; 4] = ["f.csv", "f.rr", "f.hrm", "f.fit"];
const COLUMNS: [Option<BeatColumn>; 3] =
    [None, Some(BeatColumn::Times), Some(BeatColumn::Intervals)];

fuzz_target!(|bytes: &[u8]| {
    let Some((told, file)) = bytes.split_first() else {
        return;
    };
    let name = NAMES[usize::from(told % 4)];
    let column = COLUMNS[usize::from(told / 4 % 3)];
    common::read(name, file, &ReadOptions::default());
    let options = BeatOptions::new("atr").with_column(column);
    match BeatList::open(common::put(name, file), &options) {
        Ok(None) => {}
        Ok(Some(list)) => {
            assert!(list.beats.len() >= 2);
            assert!(list.beats.is_sorted_by_key(|beat| beat.sample));
            assert!(list.beats.iter().all(|beat| beat.time_s.is_finite()));
            assert!(list.duration_s.is_finite());
            for warning in &list.warnings {
                common::in_one_line(&warning.to_string());
            }
        }
        Err(error) => common::in_one_line(&error.to_string()),
    }
});
