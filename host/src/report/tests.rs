use super::*;
use crate::runtime::{Logits, ModelError, softmax};
use heartlens_core::class::Class;
use heartlens_core::views::Views;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use scraper::{Html, Selector};
use std::path::Path;
use std::time::Instant;

/// Beats of these classes; `rr_s` gives the interval before each, the first one's being the time to it.
pub(super) fn beats_of(classes: &str, rr_s: impl Fn(usize) -> f64) -> Vec<Beat> {
    let mut time_s = 0.0;
    classes
        .chars()
        .enumerate()
        .map(|(i, letter)| {
            let class = Class::ALL
                .into_iter()
                .find(|class| class.name().starts_with(letter))
                .expect("a class's letter");
            time_s += rr_s(i);
            let mut scores = [0.1 / 3.0; 4];
            scores[trend::place(class).min(2)] = 0.9;
            Beat {
                sample: (time_s * 128.0).round() as u64,
                time_s,
                class,
                scores,
                rr_ms: (i > 0).then(|| rr_s(i) * 1000.0),
                quality: if class == Class::Q { 0.1 } else { 0.9 },
            }
        })
        .collect()
}

/// A seeded rhythm with singles, couplets, runs and pauses of every class.
pub(super) fn rhythm(count: usize, seed: u64) -> Vec<Beat> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut classes = String::from("NNSNVNFNQNVVNVVVVNSSSN");
    while classes.len() < count {
        classes.push_str(&"N".repeat(rng.random_range(10..40)));
        let kind = ["S", "V", "VV", "VVV", "SSSS", "F", "Q", "QQQ"][rng.random_range(0..8)];
        classes.push_str(kind);
    }
    classes.truncate(count);
    let rr: Vec<f64> = classes
        .chars()
        .map(|class| match class {
            _ if rng.random_bool(0.003) => rng.random_range(2.0..3.5),
            'N' => rng.random_range(0.75..0.95),
            _ => rng.random_range(0.45..0.65),
        })
        .collect();
    let mut beats = beats_of(&classes, |i| rr[i]);
    for beat in &mut beats {
        let logits: Logits =
            std::array::from_fn(|i| beat.scores[i].ln() + rng.random_range(-0.5..0.5));
        beat.scores = softmax(&logits);
    }
    beats
}

/// Every value of an attribute, as a number, in the elements whose text starts with `element`.
pub(super) fn attributes(text: &str, element: &str, attribute: &str) -> Vec<f64> {
    text.match_indices(element)
        .map(|(start, _)| {
            let rest = &text[start..];
            let tag = &rest[..rest.find('>').unwrap_or(rest.len())];
            let value = &tag[tag.find(attribute).expect("the attribute") + attribute.len()..];
            let end = value.find(|c: char| !c.is_ascii_digit() && c != '.' && c != '-');
            value[..end.unwrap_or(value.len())]
                .parse()
                .expect("a number")
        })
        .collect()
}

/// A network that looks at two things only: how far the waveform is from the template, and how early the beat is.
pub(super) struct Fake;

impl Runtime for Fake {
    fn name(&self) -> &'static str {
        "fake"
    }

    fn model_name(&self) -> &str {
        "two-thoughts <b>&"
    }

    fn logits(&mut self, beats: &[Views]) -> Result<Vec<Logits>, ModelError> {
        let one = |views: &Views| {
            let (beat, template) = views.waveform.split_at(views.waveform.len() / 2);
            let far: f32 = beat.iter().zip(template).map(|(a, b)| (a - b).abs()).sum();
            let early = -views.metadata[0];
            [2.0, 2.0 * early, 0.08 * far, -2.0]
        };
        Ok(beats.iter().map(one).collect())
    }
}

/// A two-lead record of 90 s with narrow beats, and in place of every ninth a wide one that comes early.
pub(super) fn synthetic_record(folder: &Path, name: &str, comments: &str) -> Record {
    use crate::records::signal::Format;
    let len = 90 * 250;
    let mut lead = vec![0.0_f64; len];
    let mut r_s = 0.6;
    for beat in 1.. {
        let wide = beat % 9 == 0;
        let (width_s, height) = if wide {
            (0.045, -900.0)
        } else {
            (0.012, 1000.0)
        };
        let r = if wide { r_s - 0.3 } else { r_s };
        for (i, x) in lead.iter_mut().enumerate() {
            let t = i as f64 / 250.0 - r;
            if t.abs() < 0.5 {
                *x += height * (-(t / width_s).powi(2)).exp();
                *x += 200.0 * (-((t - 0.28) / 0.05).powi(2)).exp();
            }
        }
        r_s += 0.85;
        if r_s > 89.0 {
            break;
        }
    }
    let first: Vec<i32> = lead.iter().map(|x| x.round() as i32).collect();
    let second: Vec<i32> = lead.iter().map(|x| (0.6 * x).round() as i32).collect();
    let header = format!(
        "{name} 2 250 {len}\n{name}.dat 16 1000 16 0 0 0 0 MLII\n{name}.dat 16 1000 16 0 0 0 0 V1\n{comments}"
    );
    let write = |extension: &str, contents: &[u8]| {
        std::fs::write(folder.join(format!("{name}.{extension}")), contents)
            .expect("it is written");
    };
    write("hea", header.as_bytes());
    write("dat", &Format::F16.encode(&[&first, &second]));
    Record::open(folder.join(name)).expect("the record is whole")
}

fn facts(name: &str, duration_s: f64) -> Facts {
    Facts {
        name: name.to_owned(),
        lead: "MLII".to_owned(),
        sample_rate_hz: 360.0,
        duration_s,
        patient: Patient::default(),
        model: "beat".to_owned(),
        runtime: "tract",
        peaks: "detected",
        synthetic: false,
        comments: Vec::new(),
        warnings: Vec::new(),
    }
}

/// A section of these beats over a lead that is flat but for a spike at each.
fn section(name: &str, beats: Vec<Beat>) -> Section {
    let duration_s = beats.last().map_or(10.0, |beat| beat.time_s + 1.0);
    let mut lead = vec![0.0; (duration_s * 128.0) as usize];
    for beat in &beats {
        lead[(beat.time_s * 128.0) as usize] = 1.0;
    }
    Section::new(facts(name, duration_s), beats, &lead, Vec::new())
}

/// Parses strictly: no error, and nothing that would reach outside or run.
fn parsed(text: &str) -> Html {
    let html = Html::parse_document(text);
    assert_eq!(html.errors, Vec::<std::borrow::Cow<'static, str>>::new());
    let free_of_namespace = text.replace("http://www.w3.org", "");
    for outside in [
        "http://",
        "https://",
        "url(",
        "@import",
        "<script",
        "javascript:",
    ] {
        assert!(!free_of_namespace.contains(outside), "{outside}");
    }
    for element in html.select(&selector("*")) {
        let fetching = [
            "script", "link", "img", "iframe", "object", "embed", "form", "base",
        ];
        assert!(
            !fetching.contains(&element.value().name()),
            "{:?}",
            element.value()
        );
        for (name, value) in element.value().attrs() {
            assert!(!name.starts_with("on"), "{name}={value}");
            assert!(
                !["src", "srcset", "action"].contains(&name),
                "{name}={value}"
            );
            if name == "href" {
                let target = value.strip_prefix('#').expect("a place in this document");
                assert_eq!(html.select(&selector(&format!("#{target}"))).count(), 1);
            }
        }
    }
    html
}

fn selector(text: &str) -> Selector {
    Selector::parse(text).expect("a selector")
}

fn texts(html: &Html, of: &str) -> Vec<String> {
    html.select(&selector(of))
        .map(|element| element.text().collect())
        .collect()
}

fn number(text: &str) -> usize {
    text.replace(',', "").parse().expect("a count")
}

#[test]
fn the_counts_are_the_summarys() {
    let section = section("a", rhythm(12_000, 5));
    let html = parsed(&render(std::slice::from_ref(&section)));
    let summary = &section.summary;
    for class in Class::ALL {
        let shown = texts(&html, &format!("[data-class={class}]"));
        assert_eq!(shown.len(), 1);
        assert_eq!(number(&shown[0]), summary.counts[class.name()], "{class}");
        assert!(number(&shown[0]) > 0);
    }
    assert_eq!(number(&texts(&html, "[data-class=all]")[0]), 12_000);
    // The table: its columns add up to the same.
    for (i, class) in Class::ALL.iter().enumerate() {
        let column = texts(&html, &format!("table.trend tbody td:nth-child({})", i + 3));
        assert!(column.len() > 2);
        let sum: usize = column.iter().map(|text| number(text)).sum();
        assert_eq!(sum, summary.counts[class.name()], "{class}");
    }
    let whole: String = html.root_element().text().collect();
    let burden = summary
        .ventricular_burden
        .expect("there are readable beats");
    assert!(whole.contains(&format!("{:.1} %", 100.0 * burden)));
}

#[test]
fn the_first_words_are_the_notice_and_what_is_synthetic_says_so() {
    let mut section = section("a", rhythm(200, 1));
    let html = parsed(&render(std::slice::from_ref(&section)));
    let body: String = texts(&html, "body").concat();
    assert!(
        body.trim_start()
            .starts_with("Research software, not a medical device.")
    );
    assert!(!body.contains("SYNTHETIC"));
    section.facts.synthetic = true;
    let html = parsed(&render(&[section]));
    assert_eq!(texts(&html, ".synthetic").len(), 1);
    assert!(texts(&html, ".synthetic")[0].starts_with("SYNTHETIC"));
}

#[test]
fn hostile_words_stay_words() {
    let evil = "</title><script>alert(1)</script>\"'><img src=x onerror=alert(2)> http://evil.example/?a&b";
    let mut section = section(evil, rhythm(300, 2));
    section.facts.lead = evil.to_owned();
    section.facts.model = evil.to_owned();
    section.facts.comments = vec![evil.to_owned(), "</style><svg onload=alert(3)>".to_owned()];
    section.facts.warnings = vec![evil.to_owned()];
    let several = [section.clone(), section.clone()];
    for sections in [std::slice::from_ref(&section), &several] {
        let text = render(sections);
        let html = parsed(&text);
        assert!(
            texts(&html, "h1, h2")
                .concat()
                .contains("<script>alert(1)</script>")
        );
        assert!(texts(&html, ".comments")[0].contains(evil));
    }
}

#[test]
fn nothing_and_little_render() {
    for classes in ["", "N", "Q", "V", "QQQQ", "NNNNNNNNNNNN", "VVVVVVVV"] {
        let section = section("few", beats_of(classes, |_| 0.8));
        let text = render(&[section]);
        let html = parsed(&text);
        assert_eq!(number(&texts(&html, "[data-class=all]")[0]), classes.len());
        assert!(!text.contains("NaN") && !text.contains("inf"), "{classes}");
        let strips = texts(&html, "svg.paper").len();
        assert_eq!(
            strips > 0,
            !classes.is_empty(),
            "{classes}: {strips} strips"
        );
    }
    let html = parsed(&render(&[]));
    assert!(texts(&html, "h1")[0].contains("ECG beat report"));
}

/// From files to a file: the strips' letters, the views of one beat of each class, and what the network says without
/// each.
#[test]
fn a_record_becomes_a_report() -> Result<(), PipelineError> {
    let folder = tempfile::tempdir().expect("a folder for the record");
    let record = synthetic_record(
        folder.path(),
        "made",
        "# Age: 61 Sex: F\n# SYNTHETIC by a test\n",
    );
    for leads in ["MLII", "both"] {
        let leads: Leads = leads.parse().unwrap_or_else(|e| match e {});
        let request = Request {
            leads: &leads,
            peaks: Peaks::Detected,
            patient: record.patient(),
        };
        let beats = crate::pipeline::classify(&record, &request, &mut Fake, |_| ())?;
        let section = Section::collect(&record, &request, &mut Fake, &beats)?;
        let text = render(std::slice::from_ref(&section));
        let html = parsed(&text);
        assert!(section.summary.counts["V"] >= 8 && section.summary.counts["N"] > 70);
        let classes_seen = Class::ALL[..4]
            .iter()
            .filter(|c| section.summary.counts[c.name()] > 0)
            .count();
        assert_eq!(texts(&html, ".chosen").len(), classes_seen);
        assert_eq!(texts(&html, ".chosen .view").len(), 4 * classes_seen);
        assert_eq!(texts(&html, ".without").len(), 4 * classes_seen);
        let facts = texts(&html, "dl.facts").concat();
        for fact in [
            "made",
            "MLII",
            "250 Hz, read at 128 Hz",
            "0:01:30",
            "61 years",
            "female",
            "two-thoughts <b>&",
            "fake",
            "found in the signal",
        ] {
            assert!(facts.contains(fact), "{fact}");
        }
        assert_eq!(texts(&html, ".synthetic").len(), 1);
        let letters = texts(&html, "svg.paper text.beat");
        let shown: usize = section.strips.iter().map(|strip| strip.beats.len()).sum();
        assert_eq!(letters.len(), shown);
        assert!(shown > 80, "ninety seconds are nearly all shown");
        assert_eq!(text, render(&[section]), "the same bytes");
    }
    Ok(())
}

#[test]
fn several_records_have_a_table_of_contents() {
    let sections: Vec<Section> = (0..60)
        .map(|i| section(&format!("r{i}"), rhythm(400, i)))
        .collect();
    let text = render(&sections);
    let html = parsed(&text);
    assert_eq!(texts(&html, "nav tbody tr").len(), 60);
    assert_eq!(texts(&html, "article").len(), 60);
    assert_eq!(texts(&html, "svg.paper").len(), 60 * MIN_STRIPS);
    assert_eq!(texts(&html, "nav tbody td:nth-child(3)"), vec!["400"; 60]);
}

/// A day of a hundred thousand beats, one in five ectopic.
#[test]
fn a_day_is_small_and_quick() {
    let mut rng = ChaCha8Rng::seed_from_u64(24);
    let classes: String = (0..100_000)
        .map(|_| ["N", "N", "N", "N", "N", "N", "N", "N", "S", "V"][rng.random_range(0..10)])
        .collect();
    let rr: Vec<f64> = (0..100_000).map(|_| rng.random_range(0.4..1.328)).collect();
    let beats = beats_of(&classes, |i| rr[i]);
    assert!(beats[99_999].time_s > 86_000.0);
    let start = Instant::now();
    let section = section("day", beats);
    let text = render(&[section]);
    let seconds = start.elapsed().as_secs_f64();
    eprintln!(
        "24 h, 100,000 beats: {} kB in {seconds:.2} s",
        text.len() / 1000
    );
    assert!(text.len() < 1_000_000, "{} bytes", text.len());
    // A loaded machine may be several times slower than a free one; a quadratic step would take minutes.
    assert!(seconds < 10.0, "{seconds} s");
    parsed(&text);
}
