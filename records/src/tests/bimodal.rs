//! SCP-ECG in bimodal compression, against what was compressed and what numpy makes of what is left: `reference/make_bimodal.py`.

use super::*;

/// Microvolts of a count.
const COUNT_UV: f32 = 2.5;

fn cases() -> Vec<Value> {
    let cases: Value = serde_json::from_str(include_str!("../reference/bimodal.json")).unwrap();
    cases.as_array().unwrap().clone()
}

fn bytes_of(case: &Value) -> Vec<u8> {
    unhexed(case["hex"].as_str().unwrap())
}

/// A lead's counts.
fn counts(case: &Value, key: &str, lead: usize) -> Vec<f32> {
    let bytes = unhexed(case[key][lead].as_str().unwrap());
    let pairs = bytes.chunks_exact(2);
    pairs
        .map(|pair| f32::from(i16::from_le_bytes([pair[0], pair[1]])))
        .collect()
}

/// In its protected zones a record has the samples that were recorded, to the count. Between them it has what the file says of
/// them, within the rounding of a count, and that is near to what was recorded.
#[test]
fn what_was_thinned_out_is_expanded() {
    for case in &cases() {
        let name = case["name"].as_str().unwrap();
        let folder = folder_with([("r.scp", bytes_of(case))]);
        let record = open(&folder, "r.scp").unwrap();
        assert_eq!(record.sample_rate_hz(), 500.0, "{name}");
        assert_eq!(record.warnings(), [], "{name}");
        let zones: Vec<Vec<usize>> = serde_json::from_value(case["zones"].clone()).unwrap();
        let is_protected = |at: usize| {
            zones
                .iter()
                .any(|zone| (zone[0]..=zone[1]).contains(&(at + 1)))
        };
        for lead in 0..record.leads().len() {
            let found = record.read_lead(lead).unwrap();
            let [signal, expanded] = ["signal", "expanded"].map(|key| counts(case, key, lead));
            assert_eq!(found.len(), signal.len(), "{name}");
            let (mut squares, mut thinned) = (0.0, 0);
            for (at, mv) in found.into_iter().enumerate() {
                let count = mv * 1000.0 / COUNT_UV;
                let place = format!("{name}, lead {lead}, sample {at}: {count}");
                if is_protected(at) {
                    assert!((count - signal[at]).abs() < 1e-3, "{place}");
                    continue;
                }
                assert!((count - expanded[at]).abs() <= 1.001, "{place}");
                (squares, thinned) = (squares + (count - signal[at]).powi(2), thinned + 1);
            }
            let rms = (squares / thinned as f32).sqrt();
            // The noise that was thinned out has 1.5 counts.
            assert!(thinned > 2000 && (1.0..1.7).contains(&rms), "{name}: {rms}");
        }
        assert_streams_agree(&record);
    }
    assert_eq!(cases().len(), 3);
}

/// What says nothing of the rate between the zones is refused; cut short, what is there is read.
#[test]
fn nonsense_is_refused_and_what_is_cut_short_is_read() {
    let bytes = bytes_of(&cases()[0]);
    let section = |number: usize| {
        let pointer = 22 + 10 * number;
        let word = |at: usize| {
            u32::from_le_bytes(bytes[pointer + at..pointer + at + 4].try_into().unwrap()) as usize
        };
        (pointer, word(6) - 1 + 16)
    };
    let (_, beat) = section(5);
    let changed = |at: usize, new: &[u8]| {
        let mut bytes = bytes.clone();
        bytes[at..at + new.len()].copy_from_slice(new);
        open(&folder_with([("r.scp", bytes)]), "r.scp")
    };
    for step_us in [0_u16, 3000, 9000] {
        let said = refusal(changed(beat + 2, &step_us.to_le_bytes()));
        let expected = format!("found 8000 us, and {step_us} us in section 5, expected");
        assert!(said.contains(&expected), "{said}");
    }
    let (zones, _) = section(4);
    let said = refusal(changed(zones + 2, &[0; 8]));
    assert!(said.contains("section"), "{said}");

    // Zones out of order, over each other, empty or beyond the end say what they can.
    let (_, places) = section(4);
    let first = places + 6 + 14 * 5;
    for zone in [[0_u32, 0], [430, 371], [1, u32::MAX], [300, 900]] {
        let new: Vec<u8> = zone.into_iter().flat_map(u32::to_le_bytes).collect();
        let record = changed(first, &new).unwrap();
        let len = record.read_lead(0).unwrap().len();
        // More is protected than is stored: what is there is read.
        let is_short = zone[1] >= 900;
        assert!(
            (800..=2600).contains(&len) && is_short == (len < 2600),
            "{zone:?}: {len}"
        );
    }
    let folder = folder_with([("r.scp", &bytes[..bytes.len() - 200])]);
    let record = open(&folder, "r.scp").unwrap();
    let last = record.read_lead(1).unwrap();
    let found = last.iter().position(|mv| mv.is_nan()).unwrap();
    assert!((1000..2600).contains(&found), "{found}");
    let is_short = |w: &Warning| matches!(w, Warning::Short { .. });
    assert!(record.warnings().iter().any(is_short));
}
