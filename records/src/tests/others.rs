use super::*;
use crate::annotation::Code;

/// `reference/make_others.py`: records of DICOM, Philips, MUSE, aECG, SCP-ECG and ATC, and what other readers make of them.
fn cases() -> Vec<Value> {
    serde_json::from_str(include_str!("../reference/others.json")).unwrap()
}

fn bytes_of(case: &Value) -> Vec<u8> {
    unhexed(case["hex"].as_str().unwrap())
}

fn named(name: &str) -> Vec<u8> {
    bytes_of(cases().iter().find(|case| case["name"] == name).unwrap())
}

#[test]
fn every_format_is_read_as_others_read_it() {
    let cases = cases();
    for case in &cases {
        let name = case["name"].as_str().unwrap();
        // What a file is, its content says.
        let folder = folder_with([("record.bin", bytes_of(case))]);
        let record = open(&folder, "record.bin").unwrap_or_else(|e| panic!("{name}: {e}"));
        let names: Vec<&str> = record.leads().iter().map(|l| l.name.as_str()).collect();
        assert_eq!(serde_json::json!(names), case["names"], "{name}");
        assert_eq!(
            Some(record.sample_rate_hz()),
            case["rate"].as_f64(),
            "{name}"
        );
        for (index, expected) in case["microvolts"].as_array().unwrap().iter().enumerate() {
            let expected: Vec<_> = numbers(expected)
                .iter()
                .map(|v| v.map(|uv| uv / 1000.0))
                .collect();
            let found = record.read_lead(index).unwrap();
            assert_agree(&format!("{name} lead {index}"), &found, &expected);
        }
        assert_streams_agree(&record);
        assert_eq!(
            record.start().unwrap().to_string(),
            case["start"].as_str().unwrap(),
            "{name}"
        );
        let patient = record.patient();
        assert_eq!(
            patient.age_years.map(f64::from),
            case["age"].as_f64(),
            "{name}"
        );
        let sex = patient
            .sex
            .map(|sex| if sex == Sex::Female { "F" } else { "M" });
        assert_eq!(sex, case["sex"].as_str(), "{name}");
        let said = format!("{:?} {:?}", record.comments(), record.warnings());
        assert!(!said.contains("Nob"), "{name}: {said}");
        assert!(
            record.leads().iter().all(|lead| lead.kind == LeadKind::Ecg),
            "{name}: {names:?}"
        );
        let is_damaged =
            |w: &Warning| matches!(w, Warning::HeaderChecksum { .. } | Warning::Short { .. });
        assert!(
            !record.warnings().iter().any(is_damaged),
            "{name}: {:?}",
            record.warnings()
        );
    }
    assert_eq!(cases.len(), 17);
}

/// Whatever is wrong with a file, it is read, read in part, or refused in one line; nothing panics, hangs or takes much memory.
#[test]
fn damaged_files_are_read_or_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("r");
    for case in &cases() {
        let bytes = bytes_of(case);
        let mut damaged: Vec<Vec<u8>> = (0..bytes.len())
            .step_by(149)
            .map(|len| bytes[..len].to_vec())
            .collect();
        for at in (0..bytes.len()).step_by(if bytes.len() > 4000 { 97 } else { 13 }) {
            for value in [0xff, bytes[at] ^ 0x20] {
                let mut changed = bytes.clone();
                changed[at] = value;
                damaged.push(changed);
            }
        }
        for bytes in damaged {
            std::fs::write(&path, &bytes).unwrap();
            match Record::open(&path) {
                Ok(record) => {
                    assert!(record.len_samples() < 1 << 24);
                    for index in 0..record.leads().len().min(2) {
                        let _ = record.read_lead(index);
                    }
                }
                Err(error) => assert_eq!(error.to_string().lines().count(), 1, "{error}"),
            }
        }
    }
}

#[test]
fn files_cut_short_are_read_with_a_warning() {
    let whole = named("explicit.dcm");
    let folder = folder_with([("r.dcm", &whole[..whole.len() - 61])]);
    let record = open(&folder, "r.dcm").unwrap();
    let short = Warning::Short {
        what: "samples of each lead",
        promised: 50,
        found: 39,
    };
    assert!(
        record.warnings().contains(&short),
        "{:?}",
        record.warnings()
    );
    assert_eq!(record.read_lead(2).unwrap().len(), 39);

    let whole = named("kardia.atc");
    let folder = folder_with([("r.atc", &whole[..whole.len() - 24])]);
    let record = open(&folder, "r.atc").unwrap();
    assert_eq!(
        (
            record.read_lead(0).unwrap().len(),
            record.read_lead(1).unwrap().len()
        ),
        (70, 60)
    );
    assert!(matches!(record.warnings()[..], [Warning::Short { .. }]));
}

/// A text of a format's file, changed.
fn with_text(name: &str, from: &str, to: &str) -> Result<Record, RecordError> {
    let text = String::from_utf8(named(name)).unwrap();
    let changed = text.replacen(from, to, 1);
    assert_ne!(changed, text, "{from}");
    open(&folder_with([("r.xml", changed)]), "r.xml")
}

#[test]
fn nonsense_is_refused_with_its_place() {
    for (name, from, to, expected) in [
        (
            "aecg.xml",
            "increment value=\"4\"",
            "increment value=\"x\"",
            "line 2, value: found an increment of `x` `ms`",
        ),
        (
            "aecg.xml",
            "scale value=\"2.5\"",
            "scale value=\"0\"",
            "found scale 0 or none, expected another number",
        ),
        (
            "aecg.xml",
            "<digits>",
            "<digits>none ",
            "digits: found none, expected a whole number",
        ),
        ("aecg.xml", "<AnnotatedECG ", "<Annotated ", "r.xml: "),
        (
            "plain103.xml",
            "<samplingrate>500",
            "<samplingrate>0",
            "found no samplingrate, expected a rate in Hz above 0",
        ),
        (
            "packed103.xml",
            "compressmethod=\"XLI\"",
            "compressmethod=\"ZIP\"",
            "found compression ZIP, expected XLI, or none",
        ),
        (
            "packed103.xml",
            "dataencoding=\"Base64\"",
            "dataencoding=\"Hex\"",
            "found encoding Hex, expected Base64",
        ),
        (
            "plain103.xml",
            "restingecgdata xmlns",
            "restingdata xmlns",
            "r.xml: ",
        ),
    ] {
        let said = refusal(with_text(name, from, to));
        assert!(said.contains(expected), "{name}: {said}");
    }
    let scp = |at: usize, value: u8| {
        let mut bytes = named("first.scp");
        bytes[at] = value;
        refusal(open(&folder_with([("r.scp", bytes)]), "r.scp"))
    };
    let bytes = named("first.scp");
    // Where section 6 begins: its pointer is the sixth behind that of section 0.
    let pointer = 22 + 10 * 6;
    let at =
        u32::from_le_bytes(bytes[pointer + 6..pointer + 10].try_into().unwrap()) as usize - 1 + 16;
    let said = scp(at + 4, 7);
    assert!(
        said.contains(&format!(
            "section 6, byte {}: found differences of order 7, expected 0, 1 or 2",
            at + 4
        )),
        "{said}"
    );
    let said = scp(at + 5, 1);
    assert!(
        said.contains("found no section 4 or no section 5, expected both in bimodal"),
        "{said}"
    );
    // A lead whose bytes end early is read as far as they go.
    let mut bytes = named("first.scp");
    bytes[at + 6 + 2 * 3] -= 6;
    let folder = folder_with([("r.scp", bytes)]);
    let record = open(&folder, "r.scp").unwrap();
    let lead = record.read_lead(3).unwrap();
    let found = lead.iter().position(|mv| mv.is_nan()).unwrap();
    assert!((70..90).contains(&found) && lead.len() == 90, "{found}");
    let short = Warning::Short {
        what: "samples of a lead",
        promised: 90,
        found: found as u64,
    };
    assert!(
        record.warnings().contains(&short),
        "{:?}",
        record.warnings()
    );

    let mut bytes = named("kardia.atc");
    let at = bytes.windows(4).position(|w| w == b"fmt ").unwrap();
    bytes[at] = b'F';
    let said = refusal(open(&folder_with([("r.atc", bytes)]), "r.atc"));
    assert!(said.contains("found no block `fmt `"), "{said}");
    let bytes = named("explicit.dcm");
    let text: Vec<u8> = bytes
        .iter()
        .map(|&b| if b == b'S' { b'T' } else { b })
        .collect();
    let said = refusal(open(&folder_with([("r.dcm", text)]), "r.dcm"));
    assert_eq!(said.lines().count(), 1);
}

/// One lead that is long, and many that would become as long.
#[test]
fn leads_of_absurd_lengths_are_refused() {
    let lead = "<LeadData><LeadAmplitudeUnitsPerBit>1</LeadAmplitudeUnitsPerBit><LeadAmplitudeUnits>MICROVOLTS</LeadAmplitudeUnits>\
                <WaveFormData>AAAA</WaveFormData></LeadData>";
    let long = lead.replace("AAAA", &"AAAA".repeat(40_000));
    let text = format!(
        "<RestingECG><Waveform><WaveformType>Rhythm</WaveformType><SampleBase>250</SampleBase>{long}{}</Waveform></RestingECG>",
        lead.repeat(1000)
    );
    let said = refusal(open(&folder_with([("r.xml", text)]), "r.xml"));
    assert!(
        said.contains("found 1001 leads, one of them of 60000 samples, expected at most"),
        "{said}"
    );
    let said = refusal(with_text(
        "aecg.xml",
        "20260304050607.140",
        "20270304050607.140",
    ));
    assert!(
        said.contains("s after the first, expected a later one, by hours at most"),
        "{said}"
    );
}

/// Each attribute is compared with all others of its element.
#[test]
fn elements_of_very_many_attributes_are_refused() {
    for (many, refused) in [(1000, false), (1001, true)] {
        let attributes: String = (0..many).map(|n| format!(" a{n} = \">\"")).collect();
        let text = format!("<RestingECG>\n<a{attributes}/></RestingECG>");
        let folder = folder_with([("r.xml", text)]);
        let message = refusal(open(&folder, "r.xml"));
        let expected = "line 2: found an element of 1001 attributes, expected at most 1000";
        assert_eq!(message.contains(expected), refused, "{message}");
    }
}

/// Each name space is compared with all those around it, at each element.
#[test]
fn very_many_name_spaces_are_refused() {
    for (many, refused) in [(32, false), (33, true), (20_000, true)] {
        let open_tags: String = (0..many)
            .map(|n| format!("<a xmlns:p{n}=\"u{n}\">"))
            .collect();
        let text = format!(
            "<RestingECG>{open_tags}{}</RestingECG>",
            "</a>".repeat(many)
        );
        let message = refusal(open(&folder_with([("r.xml", text)]), "r.xml"));
        let expected = format!("found {many} prefixes of name spaces, expected at most 32");
        assert_eq!(message.contains(&expected), refused, "{message}");
    }
}

/// What is in an element is looked through for it, and for each element around it.
#[test]
fn elements_within_very_many_others_are_refused() {
    for many in [99, 100, 20_000] {
        let [open_tags, close_tags] = ["<Waveform>", "</Waveform>"].map(|tag| tag.repeat(many));
        let text = format!("<RestingECG>\n{open_tags}{close_tags}</RestingECG>");
        let message = refusal(open(&folder_with([("r.xml", text)]), "r.xml"));
        let expected =
            "line 2, Waveform: found an element within too many others, expected at most 100";
        assert_eq!(message.contains(expected), many > 99, "{message}");
    }
}

/// XML that grows when it is read takes no memory.
#[test]
fn entities_that_multiply_are_refused() {
    let mut text = "<!DOCTYPE RestingECG [<!ENTITY a \"aaaaaaaaaa\">".to_owned();
    for (before, name) in ["a", "b", "c", "d", "e", "f", "g", "h"]
        .iter()
        .zip(["b", "c", "d", "e", "f", "g", "h", "i"])
    {
        text += &format!("<!ENTITY {name} \"{}\">", format!("&{before};").repeat(10));
    }
    text += "]><RestingECG>&i;</RestingECG>";
    let said = refusal(open(&folder_with([("r.xml", text)]), "r.xml"));
    assert!(
        said.contains("found entities that the document defines, expected none"),
        "{said}"
    );
    let deep = format!("<RestingECG>{}", "<a>".repeat(100_000));
    let said = refusal(open(&folder_with([("r.xml", deep)]), "r.xml"));
    assert!(said.contains("r.xml: line 1"), "{said}");
}

/// Beats that a file names are annotations of it; of which class they are, it does not say.
#[test]
fn beats_in_a_file_are_its_annotations() {
    let muse = String::from_utf8_lossy(&named("muse.xml")).into_owned();
    let qrs = |times: &[u32]| -> String {
        let one = |time: &u32| format!("<QRS><Type>1</Type><Time>{time}</Time></QRS>");
        times.iter().map(one).collect()
    };
    let times = format!(
        "<QRSTimesTypes>{}<GlobalRR>80</GlobalRR></QRSTimesTypes></RestingECG>",
        qrs(&[180, 40, 100])
    );
    let aecg = String::from_utf8_lossy(&named("aecg.xml")).into_owned();
    let peak = |time: &str| {
        format!(
            "<component><annotation><value code=\"MDC_ECG_WAVC_RWAVE\"/><component><annotation><value code=\"MDC_ECG_WAVC_PEAK\"/>\
             <boundary>{time}</boundary></annotation></component></annotation></component>"
        )
    };
    let peaks = [
        "<code code=\"TIME_RELATIVE\"/><value value=\"180\" unit=\"ms\"/>",
        "<code code=\"TIME_RELATIVE\"/><value value=\"0.04\" unit=\"s\"/>",
        // The same beat in another lead.
        "<code code=\"TIME_RELATIVE\"/><value value=\"48\" unit=\"ms\"/>",
    ];
    let peaks: String = peaks.into_iter().map(peak).collect();
    let peaks = format!("<subjectOf><annotationSet>{peaks}</annotationSet></subjectOf></series>");
    // The outermost series' end is the last.
    let (head, tail) = aecg.rsplit_once("</series>").unwrap();
    for (name, text, expected) in [
        ("m.xml", muse.replace("</RestingECG>", &times), vec![10, 45]),
        ("a.xml", format!("{head}{peaks}{tail}"), vec![10, 45]),
        ("none.xml", muse.clone(), vec![]),
    ] {
        let folder = folder_with([(name, text)]);
        let record = open(&folder, name).unwrap();
        assert_eq!(
            record.has_annotations("atr"),
            !expected.is_empty(),
            "{name}"
        );
        if expected.is_empty() {
            continue;
        }
        let beats = record.annotations("atr").unwrap().list;
        let samples: Vec<u64> = beats.iter().map(|beat| beat.sample).collect();
        assert_eq!(samples, expected, "{name}");
        assert!(beats.iter().all(|beat| beat.code == Code::UNCLASSIFIABLE));
    }
    // A beat's class is that which somebody gave it, at its R wave's peak, or in the middle of its QRS complex.
    let region = |low: &str, high: &str| {
        format!(
            "<support><supportingROI><component><boundary><code code=\"TIME_ABSOLUTE\"/><value><low value=\"20260304050607.{low}\"/>\
             <high value=\"20260304050607.{high}\"/></value></boundary></component></supportingROI></support>"
        )
    };
    let of = |kind: &str, value: &str, inside: &str| {
        format!(
            "<component><annotation><code code=\"{kind}\"/><value code=\"{value}\"/>{inside}</annotation></component>"
        )
    };
    let beat =
        |class: &str, inside: &str| of("MDC_ECG_BEAT", &format!("MDC_ECG_BEAT_{class}"), inside);
    let sets = [
        beat(
            "V_P_C",
            &peak("<code code=\"TIME_RELATIVE\"/><value value=\"40\" unit=\"ms\"/>"),
        ),
        // The same beat in another lead, of no class.
        peak("<code code=\"TIME_RELATIVE\"/><value value=\"20\" unit=\"ms\"/>"),
        beat(
            "ATR_P_C",
            &of(
                "MDC_ECG_WAVC",
                "MDC_ECG_WAVC_QRSWAVE",
                &region("150", "250"),
            ),
        ),
        // From P to T, the QRS complex may be anywhere; and a time point is one.
        beat("NORMAL", &region("000", "600")),
        beat(
            "BLK_IVCD",
            "<support><supportingROI><component><boundary><code code=\"TIME_RELATIVE\"/><value value=\"0.36\" unit=\"s\"/>\
             </boundary></component></supportingROI></support>",
        ),
        beat("TIME_POINT", &region("300", "310")),
        of("MDC_ECG_RHY", "MDC_ECG_RHY_ATR_FIB", &region("100", "900")),
    ];
    let sets = format!(
        "<subjectOf><annotationSet>{}</annotationSet></subjectOf></series>",
        sets.concat()
    );
    let folder = folder_with([("b.xml", format!("{head}{sets}{tail}"))]);
    let list = open(&folder, "b.xml")
        .unwrap()
        .annotations("atr")
        .unwrap()
        .list;
    let found: Vec<_> = list
        .iter()
        .map(|a| (a.sample, a.code.mnemonic(), a.rhythm()))
        .collect();
    assert_eq!(
        found,
        [
            (5, "V", None),
            (25, "+", Some(&b"(AFIB"[..])),
            (50, "A", None),
            (90, "B", None)
        ]
    );
    // Of real files, where the signal is steep within 60 ms of each: R waves.
    for (name, lead, least) in [("muse.xml", "V5", 8), ("aecg-subject1.xml", "I", 10)] {
        let Some(record) = real(name) else { return };
        let lead = record.read_lead(record.lead_named(lead).unwrap()).unwrap();
        let beats = record.annotations("atr").unwrap().list;
        let beats: Vec<_> = beats.into_iter().filter(|a| a.code.is_beat()).collect();
        assert!(beats.len() >= least, "{name}: {beats:?}");
        let slopes: Vec<f32> = lead.windows(3).map(|w| (w[2] - w[0]).abs()).collect();
        let most = slopes.iter().copied().fold(0.0, f32::max);
        for beat in beats {
            let at = beat.sample as usize;
            let near = &slopes[at.saturating_sub(30)..(at + 30).min(slopes.len())];
            let steepest = near.iter().copied().fold(0.0, f32::max);
            assert!(steepest > 0.4 * most, "{name} {at}: {steepest} of {most}");
        }
    }
}

#[test]
fn real_files_are_read() {
    // Of each: rate, leads, samples, and the sum of lead 0 in uV by another reader (pydicom, sierraecg, ecgdatakit, or its digits).
    for (name, rate, leads, len) in [
        ("dicom-explicit.dcm", 1000.0, 12, 10_000),
        ("dicom-implicit.dcm", 500.0, 12, 5_000),
        ("philips-1.03.xml", 500.0, 12, 5_500),
        ("philips-1.04.xml", 500.0, 12, 5_500),
        ("muse.xml", 500.0, 8, 5_000),
        ("aecg-subject1.xml", 500.0, 12, 5_000),
        ("aecg-minimum.xml", 500.0, 1, 13),
        ("scp.scp", 500.0, 12, 5_000),
    ] {
        let Some(record) = real(name) else {
            return;
        };
        let found = (
            record.sample_rate_hz(),
            record.leads().len(),
            record.len_samples(),
        );
        assert_eq!(found, (rate, leads, len), "{name}");
        assert!(
            record.leads().iter().all(|lead| lead.kind == LeadKind::Ecg),
            "{name}"
        );
        assert!(record.start().is_some() || name == "muse.xml", "{name}");
        for index in 0..leads {
            let lead = record.read_lead(index).unwrap();
            assert!(
                lead.iter().all(|mv| mv.is_finite() && mv.abs() < 20.0),
                "{name} lead {index}"
            );
        }
    }
    // One recording in three formats.
    let all =
        ["scp.scp", "dicom-implicit.dcm", "aecg-subject1.xml"].map(|name| real(name).unwrap());
    for name in ["I", "II", "V1", "V6"] {
        let [a, b, c] = all
            .each_ref()
            .map(|r| r.read_lead(r.lead_named(name).unwrap()).unwrap());
        for k in 0..5_000 {
            assert!(
                (a[k] - b[k]).abs() < 1e-6 && (b[k] - c[k]).abs() < 1e-6,
                "{name} {k}: {} {} {}",
                a[k],
                b[k],
                c[k]
            );
        }
    }
}
