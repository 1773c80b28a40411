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

/// Found by fuzzing: the rows were counted from 1.
#[test]
fn a_table_whose_only_row_is_none_is_refused() {
    let options = ReadOptions {
        rate_hz: Some(250.0),
        unit: Some(VoltageUnit::Microvolt),
    };
    let message = refusal(read_with("\"[6: 0", &options));
    assert!(message.contains("found no row of numbers"), "{message}");
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
    let folder = folder_with([("t.csv", text)]);
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
            "line 1: found no column in a voltage (lead 0, lead 1)",
        ),
        ("time,mv\n", "line 1: found no row of numbers"),
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
        ("time_s,mv\n0,1\n", "line 1: found 1 sample(s) whose times"),
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
        (&*quoted, "line 3: found no time column"),
        (
            "time_s,mv\n0.0,1\n1.0,1\n2.0,1\n1e12,1\n",
            "t.csv: found 1000000000001 samples of each lead, of which 4 are stored",
        ),
        (
            "time_s,mv\n0.0,1\n1.0,1\n2.0,1\n1e300,1\n",
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
        message.contains("no/such.csv: no such record; expected a WFDB record"),
        "{message}"
    );
}

/// Twenty seconds of 250 Hz in some layout, by row: its number, its time in s and its sample in mV.
fn rows(row: impl Fn(usize, f64, f64) -> String) -> String {
    let mv = |k: usize| if k % 200 == 125 { 1.25 } else { 0.0 };
    (0..5000).map(|k| row(k, k as f64 / 250.0, mv(k))).collect()
}

/// The first ECG of a table is the signal of [`rows`]: its name and what was warned of.
fn is_read(text: impl AsRef<[u8]>, options: &ReadOptions) -> (String, Vec<Warning>) {
    let folder = folder_with([("t.txt", text)]);
    let record = Record::open_with(folder.path().join("t.txt"), options).unwrap();
    let lead = record.first_ecg().unwrap();
    assert_eq!(
        (record.sample_rate_hz(), record.len_samples()),
        (250.0, 5000)
    );
    let mv = record.read_lead(lead).unwrap();
    let peaks: Vec<usize> = (0..5000).filter(|k| mv[*k] == 1.25).collect();
    assert_eq!(peaks, (125..5000).step_by(200).collect::<Vec<_>>());
    assert!(mv.iter().all(|mv| [0.0, 1.25].contains(mv)));
    assert_streams_agree(&record);
    (record.leads()[lead].name.clone(), record.warnings())
}

fn comma(number: f64, decimals: usize) -> String {
    format!("{number:.decimals$}").replace('.', ",")
}

/// What apps, recorders and libraries export.
#[test]
fn exports_are_read_as_they_come() {
    let none = ReadOptions::default();
    let unit = none.with_unit(VoltageUnit::Millivolt);
    let rate = none.with_rate_hz(250.0);
    let both = unit.with_rate_hz(250.0);
    let apple = |rate: &str, lead: &str, unit: &str| {
        format!(
            "Name,Nobody\nDate of Birth,\"Jan 1, 1970\"\nSoftware Version,2.0\nDevice,\"Watch6,2\"\n{rate}\n\n\n\
             {lead}\n{unit}\n\n"
        )
    };
    for (what, text, options, name) in [
        (
            "rdsamp -p",
            "'Elapsed time','MLII'\n'seconds','mV'\n".to_owned() + &rows(|_, t, mv| format!("{t:.3},{mv}\n")),
            none,
            "MLII",
        ),
        (
            "rdsamp -pm",
            "'Elapsed time','MLII'\n'minutes','mV'\n".to_owned()
                + &rows(|_, t, mv| format!("{:.6},{mv}\n", t / 60.0)),
            none,
            "MLII",
        ),
        (
            "rdsamp -ph",
            "'Elapsed time','MLII'\n'hours','mV'\n".to_owned()
                + &rows(|_, t, mv| format!("{:.8},{mv}\n", t / 3600.0)),
            none,
            "MLII",
        ),
        (
            "rdsamp -pS",
            "'sample interval','MLII'\n'0.004 sec','mV'\n".to_owned() + &rows(|k, _, mv| format!("{k},{mv}\n")),
            none,
            "MLII",
        ),
        (
            "rdsamp -pd",
            "'Date','MLII'\n'dd/mm/yyyy hh:mm:ss.mmm','mV'\n".to_owned()
                + &rows(|_, t, mv| format!("[20/12/2022 16:40:{t:06.3}],{mv}\n")),
            none,
            "MLII",
        ),
        (
            "rdsamp without -c",
            "samp #\tMLII\n\tmV\n".to_owned() + &rows(|k, _, mv| format!("{k:7}\t{mv:7.3}\n")),
            rate,
            "MLII",
        ),
        (
            "Apple Watch",
            apple("Sample Rate,250 hertz", "Lead,Lead I", "Unit,\u{b5}V")
                + &rows(|_, _, mv| format!("{:.3}\n", mv * 1e3)),
            none,
            "Lead I",
        ),
        (
            "Apple Watch, German",
            apple("Abtastrate,250 Hertz", "Ableitung,Ableitung I", "Einheit,\u{b5}V")
                + &rows(|_, _, mv| comma(mv * 1e3, 3) + "\n"),
            none,
            "Ableitung I",
        ),
        (
            "OpenSignals",
            "# OpenSignals Text File Format\n# {\"x\": {\"column\": [\"nSeq\", \"I1\", \"A2\"], \"sampling rate\": \
             250}}\n# EndOfHeader\n"
                .to_owned()
                + &rows(|k, _, mv| format!("{}\t1\t{mv}\t\n", k % 16)),
            unit,
            "A2",
        ),
        (
            "BioSPPy",
            "# Simple Text Format\n# Sampling Rate (Hz):= 250.00\n# Labels:= ECG\n".to_owned()
                + &rows(|_, _, mv| format!("{mv}\n")),
            unit,
            "ECG",
        ),
        (
            "OpenBCI",
            "%OpenBCI Raw EXG Data\n%Sample Rate = 250 Hz\nSample Index, EXG Channel 0, Accel Channel 0, Timestamp\n"
                .to_owned()
                + &rows(|k, t, mv| format!("{}, {mv}, 0.{}, {:.3}\n", k % 256, k % 3, 1.67e9 + t)),
            unit,
            "EXG Channel 0",
        ),
        (
            "Shimmer",
            "\"sep=,\"\nS_Timestamp_Unix_CAL,S_ECG_LL-RA_24BIT_CAL,\nms,mV,\n".to_owned()
                + &rows(|_, t, mv| format!("{:.3},{mv},\n", 1.6e12 + t * 1e3)),
            none,
            "S_ECG_LL-RA_24BIT_CAL",
        ),
        (
            "Polar Sensor Logger",
            "Phone timestamp;sensor timestamp [ns];timestamp [ms];ecg [uV]\n".to_owned()
                + &rows(|k, t, mv| {
                    let ns = 838_432_586_543_515_816 + k as i64 * 4_000_000;
                    format!("2026-07-26T21:56:{:02}.000;{ns};{:.3};{}\n", k / 250, t * 1e3, mv * 1e3)
                }),
            none,
            "ecg",
        ),
        (
            "Movesense",
            "timestamp,sample\n".to_owned() + &rows(|_, t, mv| format!("{},{mv}\n", (t * 1e3) as i64)),
            unit,
            "sample",
        ),
        (
            "pandas",
            ",time,ecg (mV)\n".to_owned() + &rows(|k, t, mv| format!("{k},{t:.3},{mv}\n")),
            none,
            "ecg",
        ),
        (
            "pandas, indexed by time",
            ",ecg (mV)\n".to_owned() + &rows(|_, t, mv| format!("{t:.3},{mv}\n")),
            none,
            "ecg",
        ),
        (
            "date and time apart",
            "Date,Time,ecg_mV\n".to_owned() + &rows(|_, t, mv| format!("2026-07-26,12:00:{t:06.3},{mv}\n")),
            none,
            "ecg",
        ),
        (
            "over midnight",
            "time,ecg (mV)\n".to_owned()
                + &rows(|_, t, mv| {
                    let (clock, s) = if t < 10.0 { ("23:59", 50.0 + t) } else { ("00:00", t - 10.0) };
                    format!("{clock}:{s:06.3},{mv}\n")
                }),
            none,
            "ecg",
        ),
        (
            "semicolons and decimal commas",
            "Zeit [s];EKG [mV]\n".to_owned() + &rows(|_, t, mv| format!("{};{}\n", comma(t, 3), comma(mv, 2))),
            none,
            "EKG",
        ),
        (
            "clock times with a comma",
            "Uhrzeit;EKG [mV]\n".to_owned() + &rows(|_, t, mv| format!("12:00:{:0>6};{}\n", comma(t, 3), comma(mv, 2))),
            none,
            "EKG",
        ),
        ("numbers alone", rows(|_, _, mv| format!("{mv}\n")), both, "lead 0"),
        ("two columns alone", rows(|_, t, mv| format!("{t:.3} {mv}\n")), unit, "lead 0"),
        (
            "quoted commas",
            "\"Time, s\",\"ECG, mV\",note\n".to_owned()
                + &rows(|k, t, mv| format!("{t:.3},{mv},{}\n", if k == 700 { "\"a, b\"" } else { "" })),
            none,
            "ECG",
        ),
        (
            "numpy.savetxt",
            "# t_s ecg_mV\n".to_owned() + &rows(|_, t, mv| format!("{t:.18e} {mv:.18e}\n")),
            none,
            "ecg",
        ),
        (
            "a chest lead called V",
            "time,II,V\n".to_owned() + &rows(|_, t, mv| format!("{t:.3},{mv},{mv}\n")),
            unit,
            "II",
        ),
        (
            "spelled out",
            "Time (milliseconds),ECG (millivolts)\n".to_owned()
                + &rows(|_, t, mv| format!("{:.0},{mv}\n", t * 1e3)),
            none,
            "ECG",
        ),
        (
            "other leads first",
            "time,resp (mV),EEG C3 (uV),counter,ECG (mV)\n".to_owned()
                + &rows(|k, t, mv| format!("{t:.3},0.{},7,{k},{mv}\n", k % 7)),
            none,
            "ECG",
        ),
    ] {
        println!("{what}");
        let (found, warnings) = is_read(&text, &options);
        assert_eq!(found, name, "{what}");
        let is_unit = |w: &Warning| matches!(w, Warning::TimeUnitAssumed { .. });
        let may_warn = ["Movesense"].contains(&what);
        assert!(warnings.iter().all(|w| may_warn && is_unit(w)), "{what}: {warnings:?}");
    }
}

#[test]
fn line_ends_and_encodings_of_any_system() {
    let none = ReadOptions::default();
    let text = "time,ecg (mV)\n".to_owned() + &rows(|_, t, mv| format!("{t:.3},{mv}\n"));
    is_read(text.replace('\n', "\r"), &none);
    is_read(text.replace('\n', "\r\n"), &none);
    is_read(format!("\u{feff}{text}"), &none);
    for bytes in [u16::to_le_bytes, u16::to_be_bytes] {
        let marked = format!("\u{feff}{text}");
        let wide: Vec<u8> = marked.encode_utf16().flat_map(bytes).collect();
        is_read(wide, &none);
    }
}

#[test]
fn samples_that_are_not_there_are_missing() {
    for word in ["", "NaN", "NA", "null", "NULL", "!", "-", "None", "n/a"] {
        let text = format!("time_ms,ecg_mV\n0,1\n4,{word}\n8,3\n");
        let folder = folder_with([("t.csv", text)]);
        let mv = open(&folder, "t.csv").unwrap().read_lead(0).unwrap();
        assert!(
            mv[0] == 1.0 && mv[1].is_nan() && mv[2] == 3.0,
            "{word}: {mv:?}"
        );
    }
}

#[test]
fn what_stands_below_a_table_is_passed_over() {
    let table = "time_ms,ecg_mV\n0,1\n4,2\n8,3\n";
    let warnings = |below: &str| {
        let folder = folder_with([("t.csv", format!("{table}{below}"))]);
        let record = open(&folder, "t.csv").unwrap();
        assert_eq!(record.read_lead(0).unwrap(), [1.0, 2.0, 3.0], "{below}");
        record.warnings()
    };
    assert_eq!(warnings("\n\n,\n"), []);
    let footer = |lines| Warning::Footer { line: 5, lines };
    assert_eq!(warnings("End of recording\n"), [footer(1)]);
    assert_eq!(warnings("Comment:,good,quality\nSigned\n"), [footer(2)]);
    // Figures of the columns, with a word where a time would be.
    assert_eq!(warnings("Mean,2\nMax,3\n"), [footer(2)]);
    assert_eq!(warnings("channel,mean\necg,0.1\n"), [footer(2)]);
    assert_eq!(warnings("12"), [Warning::RowCut { line: 5 }]);
    // A row that is none, with others below, is a fault.
    for below in ["word\n12,4\n", "12\n16,4\n", "12,4,5\n", "Mean,2\n12,4\n"] {
        let message = refusal(read(&format!("{table}{below}")));
        assert!(message.contains("line 5: found"), "{message}");
    }
}

#[test]
fn times_of_packets_are_read_at_their_mean_rate() {
    let none = ReadOptions::default();
    let is_mean = |warnings: &[Warning]| warnings == [Warning::TimesUneven { rate_hz: 250.0 }];
    // Two samples a stamp; fifty a stamp; each packet begins before the last one has ended.
    for text in [
        rows(|k, _, mv| format!("{},{mv}\n", k / 2 * 8)),
        rows(|k, _, mv| format!("{},{mv}\n", k / 50 * 200)),
        rows(|k, _, mv| {
            format!(
                "{:.1},{mv}\n",
                (k / 50 * 200) as f64 + (k % 50) as f64 * 4.07
            )
        }),
    ] {
        let (_, warnings) = is_read(format!("time_ms,ecg_mV\n{text}"), &none);
        assert!(is_mean(&warnings), "{warnings:?}");
    }
    // Stamps of packets that state no unit say it by the one rate that they can mean.
    let text = rows(|k, _, mv| format!("{},{mv}\n", k / 16 * 64));
    let (_, warnings) = is_read(format!("timestamp,ecg_mV\n{text}"), &none);
    let [
        Warning::TimesUneven { rate_hz: mean_hz },
        Warning::TimeUnitAssumed { unit: "ms", .. },
    ] = warnings[..]
    else {
        panic!("{warnings:?}");
    };
    assert_eq!(mean_hz, 250.0);
    // What no rate explains is refused, with the flag that helps.
    let chaos = rows(|k, _, mv| format!("{},{mv}\n", k * k % 4999));
    let message = refusal(read(&format!("time_ms,ecg_mV\n{chaos}")));
    assert!(
        message.contains("time does not go forward") && message.contains("--rate"),
        "{message}"
    );
}

#[test]
fn times_in_no_unit_are_refused_or_taken_with_a_warning() {
    let text = |name: &str, scale: f64| {
        format!("{name},ecg_mV\n") + &rows(|_, t, mv| format!("{:.6},{mv}\n", t * scale))
    };
    for (name, scale, expected) in [
        (
            "time (fortnights)",
            1.0,
            "line 1: found `fortnights` as the unit of time, expected s, ms",
        ),
        (
            "time",
            1.0 / 60.0,
            "states no unit, and in seconds its rate would be 14999",
        ),
        (
            "time",
            250.0,
            "states no unit, and in seconds its rate would be 1 Hz",
        ),
    ] {
        let message = refusal(read(&text(name, scale)));
        assert!(
            message.contains(expected) && message.contains("--rate"),
            "{message}"
        );
    }
    for (name, scale) in [
        ("time [ns]", 1e9),
        ("t[h]", 1.0 / 3600.0),
        ("msec", 1e3),
        ("unix_time", 1.0),
    ] {
        // Hours need more decimals than six.
        if scale > 0.01 {
            is_read(text(name, scale), &ReadOptions::default());
        }
    }
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

/// Beats a second at `rate_hz`, in uV, none of which is whole: as apps that export a column of numbers write them.
fn column(rate_hz: usize, number: impl Fn(f64) -> String) -> String {
    let mv = |k: usize| {
        if k % rate_hz < rate_hz / 50 {
            1.0
        } else {
            0.04
        }
    };
    let rows = (0..3 * rate_hz).map(|k| number(1000.0 * mv(k) + 0.012 * (k % 10) as f64) + "\n");
    rows.collect()
}

/// Apple's export in many languages: keys, values and units are translated, and a decimal comma parts nothing.
#[test]
fn a_column_below_a_preamble_in_any_language() {
    let comma = |uv: f64| format!("{uv:.3}").replace('.', ",");
    for (rate, lead, unit) in [
        (
            "Abtastrate,512 Hertz",
            "Ableitung,Ableitung I",
            "Einheit,µV",
        ),
        (
            "Частота дискретизации,512 Гц",
            "Отведение,Отведение I",
            "Единица измерения,мкВ",
        ),
        (
            "Частота вибірки,512 герців",
            "Відведення,Відведення I",
            "Одиниця,мкВ",
        ),
        ("샘플 속도,512헤르츠", "리드,리드 I", "단위,µV"),
        (
            "Bemonsteringsfrequentie,512 hertz",
            "Afleiding,Afleiding I",
            "Eenheid,µV",
        ),
        (
            "Örnekleme Hızı,512 hertz",
            "Elektrot,Elektrot I",
            "Birim,µV",
        ),
        (
            "Vzorkovací frekvence,512 hertzů",
            "Svod,Svod I",
            "Jednotka,µV",
        ),
        (
            "Ρυθμός δειγματοληψίας,512 χερτζ",
            "Απαγωγή,Απαγωγή I",
            "Μονάδα,µV",
        ),
        ("อัตราการสุ่มตัวอย่าง,512 เฮิรตซ์", "ลีด,ลีด I", "หน่วย,µV"),
        (
            "Mintavételezési sebesség,512 hertz",
            "Elvezetés,I. elvezetés",
            "Mértékegység,µV",
        ),
        (
            "Tốc độ lấy mẫu,512 hertz",
            "Đạo trình,Đạo trình I",
            "Đơn vị,µV",
        ),
        ("קצב דגימה,512 הרץ", "חיבור,חיבור I", "יחידה,µV"),
        ("معدل العينات,512 هرتز", "القطب,القطب I", "الوحدة,µV"),
        ("सैंपल दर,512 हर्ट्ज़", "लीड,लीड I", "इकाई,µV"),
    ] {
        let text = format!("X,Y\n{rate}\n\n\n{lead}\n{unit}\n\n{}", column(512, comma));
        let folder = folder_with([("t.csv", &text)]);
        let record = open(&folder, "t.csv").unwrap();
        assert_eq!(record.sample_rate_hz(), 512.0, "{rate}");
        assert_eq!(
            (record.leads().len(), record.len_samples()),
            (1, 1536),
            "{rate}"
        );
        let mv = record.read_lead(0).unwrap();
        assert_eq!((mv[1], mv[256]), (1.000_012, 0.040_072), "{rate}");
    }
    // A minus sign that is no hyphen.
    let minus = |uv: f64| comma(uv - 500.0).replace('-', "\u{2212}");
    let text = format!("Sampling Rate,512 hertz\nUnit,µV\n\n{}", column(512, minus));
    let mv = {
        let folder = folder_with([("t.csv", &text)]);
        open(&folder, "t.csv").unwrap().read_lead(0).unwrap()
    };
    assert_eq!((mv[1], mv[256]), (0.500_012, -0.459_928));
}

/// What laboratory programs write above their tables: LabChart, AcqKnowledge.
#[test]
fn preambles_of_laboratory_programs() {
    let rows = |unit: f64, end: &str| -> String {
        let row = |k: u32| format!("{:.6}\t{}\t0.5{end}\n", f64::from(k) * unit, k % 7);
        (0..500).map(row).collect()
    };
    let chart = "Interval=\t0.001 s\nExcelDateTime=\t4.49e+04\t1/1/2023 12:00:00.00000\nTimeFormat=\tStartOfBlock\n\
                 DateFormat=\t\nChannelTitle=\tECG\tResp\nRange=\t10.000 mV\t5.000 V\n";
    let text = chart.to_owned() + &rows(0.001, "");
    let folder = folder_with([("t.csv", &text)]);
    let record = open(&folder, "t.csv").unwrap();
    assert_eq!(record.sample_rate_hz(), 1000.0);
    assert_eq!(leads(&record), [("ECG", "mV"), ("Resp", "V")]);
    assert_eq!(
        record.read_lead(0).unwrap()[..8],
        [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 0.0]
    );
    assert_eq!(record.first_ecg().unwrap(), 0);
    let named = chart.replace("Range=\t10.000 mV\t5.000 V", "UnitName=\tuV\t*");
    let record = read(&(named + &rows(0.001, ""))).unwrap();
    assert_eq!(leads(&record), [("ECG", "uV"), ("Resp", "")]);

    for (time, unit, hz) in [("msec", 1.0, 1000.0), ("min", 1.0 / 30_000.0, 500.0)] {
        let above = format!(
            "a.acq\n1 msec/sample\n2 channels\nECG\nmV\nRSP\nVolts\n{time}\tCH1\tCH2\t\n\t500\t500\t\n"
        );
        let record = read(&(above + &rows(unit, "\t"))).unwrap();
        assert_eq!(record.sample_rate_hz(), hz, "{time}");
        assert_eq!(leads(&record), [("ECG", "mV"), ("RSP", "Volts")]);
        assert_eq!(record.len_samples(), 500);
    }
}

/// Times in other forms and languages.
#[test]
fn times_of_other_writers() {
    let table = |names: &str, time: &dyn Fn(u32) -> String| {
        let rows = (0..100).map(|k| format!("{}\t0.5\n", time(k)));
        read(&(names.to_owned() + &rows.collect::<String>())).unwrap()
    };
    let rate = |names: &str, time: &dyn Fn(u32) -> String| {
        let record = table(names, time);
        assert_eq!(
            (record.leads().len(), record.len_samples()),
            (1, 100),
            "{names}"
        );
        record.sample_rate_hz()
    };
    // `rdsamp -pd`, with and without -v, and `-ph`: units in brackets.
    let at = |k: u32| f64::from(k) * 0.004;
    let clock = |k: u32| {
        let s = 59.8 + at(k);
        if s < 60.0 {
            format!("23:59:{s:06.3}")
        } else {
            format!("00:00:{:06.3}", s - 60.0)
        }
    };
    let dated = |k: u32| {
        format!(
            "[{} {}]",
            clock(k),
            if k < 50 { "29/02/2024" } else { "01/03/2024" }
        )
    };
    let names = "   Time      Date\t     II\n(hh:mm:ss.mmm) (dd/mm/yyyy)\t   (mV)\n";
    assert_eq!(rate(names, &dated), 250.0);
    let hours = |k: u32| format!("{:13.9}", at(k) / 3600.0);
    assert_eq!(
        rate(
            "   Elapsed time\t     II\n        (hours)\t   (mV)\n",
            &hours
        ),
        250.0
    );
    // pandas' differences of times; a unit in brackets behind a name that nobody knows.
    assert_eq!(
        rate("\tII (mV)\n", &|k| format!("0 days 00:00:{:09.6}", at(k))),
        250.0
    );
    assert_eq!(
        rate("Aldia (s)\tII (mV)\n", &|k| format!("{:.3}", at(k))),
        250.0
    );
    assert_eq!(
        rate("Время (мс)\tII (мВ)\n", &|k| format!("{}", 4 * k)),
        250.0
    );
    // Whole nanoseconds: the rate has terms of nine digits, and can be resampled nevertheless.
    let ns = |k: u32| format!("{}", 599_616_000_000_000_000 + u64::from(k) * 7_692_307);
    assert_eq!(rate("timestamp [ns]\tII (mV)\n", &ns), 130.0);
}
