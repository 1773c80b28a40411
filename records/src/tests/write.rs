use super::super::annotation::Code;
use super::super::write::{self, Loss};
use super::*;

/// The records beside the scripts that made them.
fn source(name: &str) -> Record {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/reference");
    Record::open(folder.join(name)).unwrap()
}

fn write(record: &Record, to: &Path) -> Vec<Loss> {
    let annotations = match record.has_annotations("atr") {
        true => record.annotations("atr").unwrap(),
        false => Annotations::default(),
    };
    match &*extension(to) {
        "edf" | "bdf" => write::edf(record, &annotations, to).unwrap(),
        "csv" => write::csv(record, to).unwrap(),
        _ => {
            let list = record
                .has_annotations("atr")
                .then_some((&annotations, "atr"));
            write::wfdb(record, list, to).unwrap()
        }
    }
}

fn bits(lead: &[f32]) -> Vec<u32> {
    lead.iter().map(|mv| mv.to_bits()).collect()
}

/// Every voltage of `a` is in `b` to the last digit of f32, and whatever `b` has more is its last value.
fn assert_same_samples(place: &str, a: &Record, b: &Record) {
    let voltages = a
        .leads()
        .iter()
        .enumerate()
        .filter(|(_, lead)| lead.is_voltage);
    for (found, (index, lead)) in voltages.enumerate() {
        let (was, is) = (a.read_lead(index).unwrap(), b.read_lead(found).unwrap());
        let place = format!("{place} lead {}", lead.name);
        assert!(
            is.len() >= was.len(),
            "{place}: {} of {}",
            is.len(),
            was.len()
        );
        let (is, padding) = is.split_at(was.len());
        for (k, (was, is)) in was.iter().zip(is).enumerate() {
            assert!(
                (was - is).abs() <= was.abs() * f32::EPSILON || was.is_nan(),
                "{place} sample {k}: {was} is {is}"
            );
        }
        assert!(
            padding
                .iter()
                .all(|mv| mv.is_nan() || mv == is.last().unwrap() || was.last().unwrap().is_nan()),
            "{place}"
        );
        assert_eq!(
            b.leads()[found].sample_rate_hz,
            lead.sample_rate_hz,
            "{place}"
        );
    }
}

/// `reference/make_written.py`: what wfdb and pyEDFlib read of files that were written so.
#[test]
fn others_read_what_is_written() {
    let cases: Vec<Value> =
        serde_json::from_str(include_str!("../reference/written.json")).unwrap();
    for case in &cases {
        let (from, to) = (case["from"].as_str().unwrap(), case["to"].as_str().unwrap());
        let record = source(from);
        let folder = tempfile::tempdir().unwrap();
        let losses = write(&record, &folder.path().join(to));
        let files = files_of(case);
        for (name, bytes) in &files {
            let found = std::fs::read(folder.path().join(name)).unwrap();
            assert!(found == *bytes, "{from} to {to}: {name} differs");
        }
        assert_eq!(
            folder.path().read_dir().unwrap().count(),
            files.len(),
            "{to}"
        );

        let voltages: Vec<usize> = (0..record.leads().len())
            .filter(|i| record.leads()[*i].is_voltage)
            .collect();
        let rates: Vec<f64> = voltages
            .iter()
            .map(|i| record.leads()[*i].sample_rate_hz)
            .collect();
        let read: Vec<f64> = numbers(&case["rates"]).into_iter().flatten().collect();
        assert_eq!(rates, read, "{from} to {to}");
        for (place, index) in voltages.into_iter().enumerate() {
            let was = record.read_lead(index).unwrap();
            let mut read = numbers(&case["millivolts"][place]);
            read.truncate(was.len());
            // EDF has no mark for what is missing.
            // What was rounded is said.
            let name = &record.leads()[index].name;
            let rounded = losses.iter().find_map(|loss| match loss {
                Loss::Rounded { lead, most_uv, .. } if lead == name => Some(most_uv / 1000.0),
                _ => None,
            });
            for (read, was) in read.iter_mut().zip(&was) {
                let near = |mv: f64| (mv - f64::from(*was)).abs() <= 1.001 * rounded.unwrap_or(0.0);
                *read = read.filter(|_| !was.is_nan()).map(|mv| match near(mv) {
                    true => f64::from(*was),
                    false => mv,
                });
            }
            assert_agree(&format!("{from} to {to} lead {index}"), &was, &read);
        }
        let annotations = case["annotations"].as_array().unwrap();
        let expected = match record.has_annotations("atr") {
            true => record.annotations("atr").unwrap().list.len(),
            false => 0,
        };
        assert_eq!(annotations.len(), expected, "{from} to {to}");
    }
    assert_eq!(cases.len(), 6);
}

#[test]
fn every_record_survives_wfdb_and_comes_back_from_edf_and_text() {
    let reference = reference();
    let mut cases = reference["wfdb"].as_array().unwrap().clone();
    cases.extend(
        serde_json::from_str::<Vec<Value>>(include_str!("../reference/ishne.json")).unwrap(),
    );
    let mut exact = 0;
    for case in &cases {
        let folder = folder_with(files_of(case));
        let name = case["record"].as_str().unwrap();
        // Counts of 32 bits are more than f32 holds.
        if name.starts_with("f32_") {
            continue;
        }
        let name = if folder.path().join(format!("{name}.ecg")).exists() {
            format!("{name}.ecg")
        } else {
            name.to_owned()
        };
        let record = open(&folder, &name).unwrap();
        for to in ["copy", "copy.edf", "copy.bdf", "copy.csv"] {
            let losses = write(&record, &folder.path().join(to));
            let place = format!("{name} to {to}: {losses:?}");
            let back = open(&folder, to).unwrap_or_else(|e| panic!("{place}: {e}"));
            let is_lossy = |loss: &Loss| {
                !matches!(
                    loss,
                    Loss::NoPlace { .. }
                        | Loss::Padded { .. }
                        | Loss::Missing { .. }
                        | Loss::NotVoltage { .. }
                )
            };
            if losses.iter().any(is_lossy) {
                continue;
            }
            exact += 1;
            assert_same_samples(&place, &record, &back);
            if to == "copy" {
                assert_eq!(back.patient(), record.patient(), "{place}");
                assert_eq!(back.start(), record.start(), "{place}");
                for (was, is) in record.leads().iter().zip(back.leads()) {
                    assert_eq!(
                        (&was.name, was.counts_per_mv),
                        (&is.name, is.counts_per_mv),
                        "{place}"
                    );
                }
                // The same bits, where counts and gain are a WFDB record's.
                let own = if name.ends_with(".ecg") {
                    0
                } else {
                    record.leads().len()
                };
                for index in 0..own {
                    let (was, is) = (
                        record.read_lead(index).unwrap(),
                        back.read_lead(index).unwrap(),
                    );
                    assert_eq!(bits(&is[..was.len()]), bits(&was), "{place}");
                }
                let sums = back.warnings();
                assert!(
                    !sums.iter().any(|w| matches!(w, Warning::Checksum { .. })),
                    "{sums:?}"
                );
            }
        }
    }
    assert!(exact > 100, "{exact}");
}

#[test]
fn edf_keeps_age_sex_start_gaps_and_annotations() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    // Ten seconds at 100 Hz, of which two whole ones and a part of a third are missing; it begins at half a second.
    let counts: Vec<i32> = (0..1000)
        .map(|k| {
            if (310..605).contains(&k) {
                -32768
            } else {
                k % 37 - 18
            }
        })
        .collect();
    let header = "g 1 100 1000 10:20:30.5 26/11/2026\ng.dat 16 200/mV 16 0 0 0 0 II\n# <age>: 61 <sex>: F\n# a comment\n";
    std::fs::write(at("g.hea"), header).unwrap();
    std::fs::write(at("g.dat"), signal::Format::Bits16.encode(&[&counts])).unwrap();
    let record = open(&folder, "g").unwrap();
    let mut list: Vec<Annotation> = (0..400)
        .map(|k| Annotation::new(5 + k / 200, Code::NORMAL))
        .collect();
    list.extend([350, 620, 999].map(|sample| Annotation::new(sample, Code::VENTRICULAR_PREMATURE)));
    let mut rhythm = Annotation::new(999, Code::RHYTHM_CHANGE);
    rhythm.aux = b"(AFIB\0".to_vec();
    list.push(rhythm);
    let annotations = Annotations { list };
    annotations.write(at("g.atr")).unwrap();

    let losses = write(&record, &at("g.edf"));
    assert!(
        losses.contains(&Loss::Missing {
            lead: "II".to_owned(),
            samples: 295
        }),
        "{losses:?}"
    );
    assert!(
        losses.contains(&Loss::AnnotationDetails { annotations: 1 }),
        "{losses:?}"
    );
    assert!(
        losses.contains(&Loss::NoPlace {
            what: "comments were"
        }),
        "{losses:?}"
    );
    assert_eq!(losses.len(), 3);
    let text = std::fs::read(at("g.edf")).unwrap();
    assert_eq!(&text[192..197], b"EDF+D");
    let back = Record::open(at("g.edf")).unwrap();
    assert_eq!(
        (back.patient(), back.start()),
        (record.patient(), record.start())
    );
    assert_eq!(back.start().unwrap().to_string(), "2026-11-26 10:20:30.5");
    let (was, is) = (record.read_lead(0).unwrap(), back.read_lead(0).unwrap());
    assert_eq!(is.len(), 1000);
    assert!(is[400..600].iter().all(|mv| mv.is_nan()));
    assert_eq!(
        (bits(&is[..310]), bits(&is[605..])),
        (bits(&was[..310]), bits(&was[605..]))
    );
    std::fs::remove_file(at("g.atr")).unwrap();
    let found = back.annotations("atr").unwrap();
    let beats = |list: &Annotations| list.beats().map(|b| (b.sample, b.code)).collect::<Vec<_>>();
    assert_eq!(beats(&found), beats(&annotations));
    assert_eq!(found.list.last().unwrap().aux, b"(AFIB");

    // Annotations alone, as others read them, and as text.
    write::edf_annotations(
        &annotations,
        100.0,
        record.patient(),
        record.start(),
        &at("a.edf"),
    )
    .unwrap();
    assert!(refusal(open(&folder, "a.edf")).contains("a.edf: "));
    let table = write::annotation_table(&annotations, 100.0);
    assert!(
        table.contains("\n999,9.99,V,1,0,0,0,\n999,9.99,+,0,0,0,0,(AFIB\n"),
        "{table}"
    );
    let list = write::rr_list(&annotations, 100.0);
    assert!(list.ends_with("3440.000\n2700.000\n3790.000\n"), "{list}");
    assert_eq!(list.lines().count(), 402);
}

#[test]
fn samples_that_are_no_counts_get_a_gain_that_loses_nothing() {
    let folder = folder_with([(
        "t.csv",
        "time_s,ecg (mV)\n0,0.125\n0.004,-1.5\n0.008,\n0.012,2.001\n0.016,0\n",
    )]);
    let record = open(&folder, "t.csv").unwrap();
    for to in ["a", "a.edf"] {
        let losses = write(&record, &folder.path().join(to));
        assert!(
            !losses.iter().any(|l| matches!(l, Loss::Rounded { .. })),
            "{losses:?}"
        );
        let back = open(&folder, to).unwrap();
        assert_eq!(back.leads()[0].counts_per_mv, Some(1000.0));
        let samples = back.read_lead(0).unwrap();
        assert_eq!(
            (samples[0], samples[1], samples[3], samples[4]),
            (0.125, -1.5, 2.001, 0.0)
        );
    }
    // More than 16 bits hold: rounded, and said.
    let text: String = (0..50)
        .map(|k| {
            format!(
                "{},{}\n",
                f64::from(k) * 0.004,
                f64::from(k * k) * 1.234_567
            )
        })
        .collect();
    std::fs::write(
        folder.path().join("l.csv"),
        format!("time_s,ecg (mV)\n{text}"),
    )
    .unwrap();
    let record = open(&folder, "l.csv").unwrap();
    let losses = write(&record, &folder.path().join("l.edf"));
    let [
        ..,
        Loss::Rounded {
            most_uv,
            counts_per_mv,
            ..
        },
    ] = losses[..]
    else {
        panic!("{losses:?}");
    };
    let (was, is) = (
        record.read_lead(0).unwrap(),
        open(&folder, "l.edf").unwrap().read_lead(0).unwrap(),
    );
    let most = was
        .iter()
        .zip(&is)
        .map(|(a, b)| f64::from((a - b).abs()) * 1000.0)
        .fold(0.0, f64::max);
    assert!(
        (most - most_uv).abs() < 0.2 && most_uv <= 500.0 / counts_per_mv,
        "{most} {most_uv}"
    );
}

#[test]
fn what_cannot_be_written_is_refused_and_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let record = source("w16.hea");
    let said = write::wfdb(&record, None, &folder.path().join("two words"))
        .unwrap_err()
        .to_string();
    assert!(
        said.contains("found `two words` as a record's name"),
        "{said}"
    );
    let said = write::csv(&record, &folder.path().join("no/folder.csv"))
        .unwrap_err()
        .to_string();
    assert!(said.contains("folder.csv: "), "{said}");
    assert_eq!(folder.path().read_dir().unwrap().count(), 0);
}
