use super::*;
use proptest::prelude::*;

fn read(text: &str) -> Result<Record, RecordError> {
    read_with(text, &ReadOptions::default())
}

fn read_with(text: &str, options: &ReadOptions) -> Result<Record, RecordError> {
    let folder = folder_with([("t.csv", text)]);
    let record = Record::open_with(folder.path().join("t.csv"), options)?;
    assert_streams_agree(&record);
    Ok(record)
}

fn leads(record: &Record) -> Vec<(&str, &str)> {
    let leads = record.leads().iter();
    leads.map(|l| (l.name.as_str(), l.units.as_str())).collect()
}

#[test]
fn a_table_with_times_says_its_rate() {
    let mut text = "\u{feff}# Age: 61 Sex: M\r\ntime,II (mV),V1 [uV],resp (l)\r\n".to_owned();
    for k in 0..720 {
        let t = f64::from(k) / 360.0;
        text.push_str(&format!(
            "{t:.3},{},{},word\r\n",
            0.5 * f64::from(k),
            1000 * k
        ));
    }
    let folder = folder_with([("t.csv", &text)]);
    let record = open(&folder, "t.csv").unwrap();
    assert_eq!(
        (record.sample_rate_hz(), record.len_samples()),
        (360.0, 720)
    );
    assert_eq!(leads(&record), [("II", "mV"), ("V1", "uV"), ("resp", "l")]);
    let first: Vec<f32> = (0..720).map(|k| 0.5 * k as f32).collect();
    assert_eq!(record.read_lead(0).unwrap(), first);
    assert_eq!(record.read_lead(1).unwrap()[719], 719.0);
    assert!(matches!(
        record.read_lead(2),
        Err(RecordError::NotVoltage { .. })
    ));
    assert_eq!(record.patient().age_years, Some(61.0));
    assert_eq!(record.annotation_path("hlb"), folder.path().join("t.hlb"));
    assert_streams_agree(&record);
}

#[test]
fn rate_and_unit_may_be_given() {
    let options = ReadOptions {
        rate_hz: Some(128.0),
        unit: Some(VoltageUnit::Microvolt),
    };
    let record = read_with("chest\n100\n-200\n\nnan\n\"300\"\n", &options).unwrap();
    assert_eq!(record.sample_rate_hz(), 128.0);
    assert_eq!(leads(&record), [("chest", "uV")]);
    let record = read_with("t;ecg\n0,1;0,5\n0,2;0,25\n0,3;\n", &options).unwrap();
    assert_eq!((record.sample_rate_hz(), record.len_samples()), (128.0, 3));
    let message = refusal(read_with(
        "chest\n1",
        &ReadOptions {
            rate_hz: Some(f64::NAN),
            ..options
        },
    ));
    assert!(message.contains("found a rate of NaN Hz"), "{message}");
}

#[test]
fn cells_become_millivolts() {
    let options = ReadOptions {
        rate_hz: Some(128.0),
        unit: Some(VoltageUnit::Microvolt),
    };
    let folder = folder_with([
        ("t.csv", "chest\n100\n-2.5e2\n\nnan\n\"300\"\n"),
        ("u.csv", "t;ecg\n0,1;0,5\n0,2;\n"),
    ]);
    let mv = |name: &str| {
        let record = Record::open_with(folder.path().join(name), &options).unwrap();
        record.read_lead(0).unwrap()
    };
    let found = mv("t.csv");
    assert_eq!((found[0], found[1], found[3]), (0.1, -0.25, 0.3));
    assert!(found[2].is_nan() && found.len() == 4);
    let found = mv("u.csv");
    assert!(found[0] == 0.0005 && found[1].is_nan() && found.len() == 2);
}

/// What PhysioNet's `rdsamp -c -v -pS` and its web pages export.
#[test]
fn units_may_stand_in_a_second_line() {
    let text = "'Elapsed time','MLII','V5'\n'hh:mm:ss.mmm','mV','mV'\n\
                '0:00.000',-0.145,-0.065\n'0:00.004',-0.15,-0.07\n'0:00.008',-0.155,-\n";
    let message = refusal(read(text));
    assert!(
        message.contains("t.csv: line 5: found `-` in column `V5`, expected a number"),
        "{message}"
    );
    let folder = folder_with([("t.csv", text.replace(",-\n", ",\n"))]);
    let record = open(&folder, "t.csv").unwrap();
    assert_eq!((record.sample_rate_hz(), record.len_samples()), (250.0, 3));
    assert_eq!(leads(&record), [("MLII", "mV"), ("V5", "mV")]);
    assert_eq!(record.read_lead(0).unwrap(), [-0.145, -0.15, -0.155]);
    assert!(record.read_lead(1).unwrap()[2].is_nan());
}

#[test]
fn gaps_in_time_are_gaps_of_the_signal() {
    let mut text = "time_ms\tmV\n".to_owned();
    // Long enough for several checkpoints of the reader.
    let row = |k: u64| format!("{}\t{}\n", 4 * k, k % 7);
    (0..70_000)
        .chain(75_000..140_000)
        .for_each(|k| text.push_str(&row(k)));
    let folder = folder_with([("t.tsv", &text)]);
    let record = open(&folder, "t.tsv").unwrap();
    assert_eq!(
        (record.sample_rate_hz(), record.len_samples()),
        (250.0, 140_000)
    );
    let expected = |k: usize| (!(70_000..75_000).contains(&k)).then_some((k % 7) as f32);
    for (from, to) in [
        (0, 140_000),
        (69_990, 75_010),
        (65_535, 65_540),
        (72_000, 100_000),
        (139_999, 140_000),
    ] {
        let mut k = from;
        for block in record.stream_mv(0, from..to).unwrap() {
            for sample in block.unwrap() {
                assert_eq!((!sample.is_nan()).then_some(sample), expected(k), "{k}");
                k += 1;
            }
        }
        assert_eq!(k, to);
    }
    let gap = |w: &Warning| {
        matches!(
            w,
            Warning::Missing {
                gaps: 1,
                samples: 5_000,
                ..
            }
        )
    };
    assert!(record.warnings().iter().any(gap));
}

#[test]
fn tables_that_are_none_are_refused() {
    let long = format!("time,mv\n0,{}\n", "1".repeat(3 << 20));
    let quoted = format!("time,mv\n0,\"{}", "1\n".repeat(100));
    for (text, expected) in [
        (
            "",
            "t.csv: line 1: found nothing, expected a line that names the columns",
        ),
        ("\n\n# only\n", "line 3: found nothing"),
        (
            "0,1\n1,2\n",
            "line 1: found the number 0, expected a line that names the columns, such as `time,mV`",
        ),
        ("time,mv\n", "line 1: found no line of samples"),
        (
            "time,mv\n0,1\n1,not a number\n",
            "line 3: found `not a number` in column `mv`, expected a number",
        ),
        (
            "time,mv\n0,1\n1,inf\n",
            "line 3: found `inf` in column `mv`",
        ),
        ("time,mv\n0,1\n1\n", "line 3: found 1 cell(s), expected 2"),
        (
            "time,mv\n0,1\n1,2,3\n",
            "line 3: found 3 cell(s), expected 2",
        ),
        (
            "time,mv\n0,1\n0.1,2\n0.05,3\n",
            "line 4: time does not go forward: found 0.05 s after 0.1 s",
        ),
        (
            "time,mv\n0,1\n0,2\n",
            "line 3: time does not go forward: found 0 s after 0 s",
        ),
        (
            "time,mv\nsoon,1\n",
            "line 2: found `soon` as time, expected a number, a clock time",
        ),
        (
            "time,mv\n0,1\nsoon,1\n",
            "line 3: found `soon` as time, expected a number, as in the first row",
        ),
        ("time,mv\n0,1\n", "line 1: found 1 sample(s) whose times"),
        ("mv\n1\n", "line 1: found no time column"),
        (
            "time,ecg\n0,1\n",
            "line 1: found no column in a voltage (ecg), expected a unit in the header",
        ),
        (
            "time,ecg (bpm)\n0,1\n",
            "line 1: found no column in a voltage (ecg)",
        ),
        (&*long, "line 2: found a line of more than 1048576 bytes"),
        (&*quoted, "line 3: found 1 cell(s), expected 2"),
        (
            "time,mv\n0.0,1\n1.0,1\n2.0,1\n1e12,1\n",
            "t.csv: found 1000000000001 samples of each lead, of which 4 are stored",
        ),
        (
            "time,mv\n0.0,1\n1.0,1\n2.0,1\n1e300,1\n",
            "t.csv: found 18446744073709551615 samples of each lead",
        ),
        (
            "time,mv\n0,1\n1,\u{0}\n",
            "line 3: found `\\0` in column `mv`",
        ),
    ] {
        let message = refusal(read(text));
        assert!(message.contains(expected), "{expected:?}: {message}");
    }
    let message = refusal(Record::open("no/such.csv"));
    assert!(
        message.contains("no/such.csv: no such record; expected a CSV file"),
        "{message}"
    );
}

#[test]
fn rate_and_unit_of_other_formats_are_not_touched() {
    let folder = folder_with([
        ("r.hea", &b"r 1 250\nr.dat 16 100"[..]),
        ("r.dat", &[0; 100]),
    ]);
    let options = ReadOptions {
        rate_hz: Some(500.0),
        unit: None,
    };
    let record = Record::open_with(folder.path().join("r"), &options).unwrap();
    assert_eq!(record.sample_rate_hz(), 250.0);
    assert_eq!(record.warnings(), [Warning::OptionsUnused]);
}

proptest! {
    #[test]
    fn no_text_makes_reading_panic(text in "[a-zA-Z0-9,;.:\\n\\t\"'()#+-]{0,120}") {
        let _ = read(&text);
    }

    #[test]
    fn no_cell_makes_reading_panic(
        cells in prop::collection::vec(("[0-9:.eE+TZ-]{0,12}", "[0-9.eE+-]{0,8}"), 0..12),
    ) {
        let rows: String = cells.iter().map(|(t, v)| format!("{t},{v}\n")).collect();
        let _ = read(&format!("time,mV\n{rows}"));
    }
}
