use super::*;
use crate::runtime::{Logits, ModelError, Runtime, softmax};
use heartlens_core::class::Class;
use heartlens_core::views::Views;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
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
                class,
                scores,
                rr_ms: (i > 0).then(|| rr_s(i) * 1000.0),
                quality: if class == Class::Q { 0.1 } else { 0.9 },
                ..Beat::at((time_s * 128.0).round() as u64, time_s)
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

    fn reads_patient(&self) -> bool {
        false
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

/// A model that is that network and no rhythm.
pub(super) fn fake() -> Model {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("model");
    let image = tempfile::tempdir().expect("a folder");
    let name = crate::model::IMAGE_FILE;
    std::fs::copy(folder.join(name), image.path().join(name)).expect("a copy");
    let model = Model::load(image.path()).expect("the shipped image");
    model.with_network(|| Box::new(Fake))
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
    write("dat", &Format::Bits16.encode(&[&first, &second]));
    Record::open(folder.join(name)).expect("the record is whole")
}

/// The report as text.
fn render(sections: &[Section]) -> String {
    headed(sections, &Heading::default())
}

fn headed(sections: &[Section], heading: &Heading) -> String {
    let mut out = Vec::new();
    write(sections, heading, &mut out).expect("memory");
    String::from_utf8(out).expect("text")
}

/// The whole of a record that has this lead alone.
fn taken(lead: &str) -> Taken {
    let folder = tempfile::tempdir().expect("a folder for the record");
    let record = synthetic_record(folder.path(), "taken", "");
    let mut taken = Options::default()
        .leads
        .take(&record)
        .expect("it has leads");
    taken.leads[0].name = lead.to_owned();
    taken
}

pub(super) fn facts(name: &str, duration_s: f64) -> Facts {
    Facts {
        name: name.to_owned(),
        leads: "MLII, V1".to_owned(),
        taken: taken("MLII"),
        sample_rate_hz: 360.0,
        duration_s,
        patient: Patient::default(),
        reads_patient: true,
        model: "beat".to_owned(),
        runtime: "tract",
        mode: Mode::Streaming,
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
    let mut section = Section::new(facts(name, duration_s), beats, Vec::new());
    section.take(0, &lead);
    section.finish();
    section
}

/// Makes a report XML, by closing the two kinds of element that HTML leaves open: what an XML parser then takes is well
/// nested, quoted and escaped, more strictly than HTML asks.
fn xml(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 100);
    let mut rest = text
        .replace("<!DOCTYPE html>", "")
        .replace("<wbr>", "<wbr/>");
    while let Some(start) = rest.find("<meta ") {
        let end = start + rest[start..].find('>').expect("the tag ends");
        out.push_str(&rest[..end]);
        out.push_str("/>");
        rest.replace_range(..=end, "");
    }
    out + &rest
}

/// A parsed report.
struct Page<'a>(roxmltree::Document<'a>);

impl<'a> Page<'a> {
    /// Parses strictly, and finds nothing that would reach outside or run.
    fn of(xml: &'a str) -> Self {
        let free_of_namespace = xml.replace("http://www.w3.org", "");
        for outside in [
            "http://", "https://", "url(", "@import", "<script", "//fonts",
        ] {
            assert!(!free_of_namespace.contains(outside), "{outside}");
        }
        let page = Self(roxmltree::Document::parse(xml).expect("well-formed"));
        let elements = || page.0.descendants().filter(roxmltree::Node::is_element);
        let ids: Vec<&str> = elements()
            .filter_map(|element| element.attribute("id"))
            .collect();
        for element in elements() {
            let name = element.tag_name().name();
            let fetching = [
                "script", "link", "img", "image", "use", "iframe", "object", "embed", "form",
                "base",
            ];
            assert!(!fetching.contains(&name), "{element:?}");
            for attribute in element.attributes() {
                let (name, value) = (attribute.name(), attribute.value());
                assert!(!name.starts_with("on"), "{name}={value}");
                assert!(
                    !["src", "srcset", "action"].contains(&name),
                    "{name}={value}"
                );
                if name == "href" {
                    let target = value.strip_prefix('#').expect("a place in this document");
                    assert_eq!(ids.iter().filter(|id| **id == target).count(), 1);
                }
            }
        }
        page
    }

    /// The texts of all elements of this name and this class (any, where it is empty), in order.
    fn texts(&self, name: &str, class: &str) -> Vec<String> {
        self.0
            .descendants()
            .filter(|node| node.has_tag_name(name))
            .filter(|node| {
                let classes = node.attribute("class").unwrap_or("");
                class.is_empty() || classes.split(' ').any(|c| c == class)
            })
            .map(text)
            .collect()
    }

    /// The big number of a class's card, or of `all`.
    fn count(&self, of: &str) -> usize {
        let found: Vec<String> = self
            .0
            .descendants()
            .filter(|node| node.attribute("data-class") == Some(of))
            .map(text)
            .collect();
        assert_eq!(found.len(), 1);
        number(&found[0])
    }

    /// The cells of the body of the table of this class, row by row, headers left out.
    fn cells(&self, class: &str) -> Vec<Vec<String>> {
        let table = self.0.descendants().find(|node| {
            node.has_tag_name("table") && node.attribute("class").unwrap_or("") == class
        });
        let body = table.and_then(|table| table.children().find(|node| node.has_tag_name("tbody")));
        let rows = body.expect("the table has a body").children();
        rows.map(|row| {
            let cells = row.children().filter(|cell| cell.has_tag_name("td"));
            cells.map(text).collect()
        })
        .collect()
    }
}

fn text(node: roxmltree::Node<'_, '_>) -> String {
    node.descendants()
        .filter(|n| n.is_text())
        .filter_map(|n| n.text())
        .collect()
}

fn number(text: &str) -> usize {
    text.replace(',', "").parse().expect("a count")
}

#[test]
fn the_counts_are_the_summarys() {
    let section = section("a", rhythm(12_000, 5));
    let xml = xml(&render(std::slice::from_ref(&section)));
    let page = Page::of(&xml);
    let summary = &section.summary;
    let rows = page.cells("trend");
    assert!(rows.len() > 2);
    for (i, class) in Class::ALL.iter().enumerate() {
        let count = summary.counts[class.name()];
        assert!(count > 0);
        assert_eq!(page.count(class.name()), count, "{class}");
        let column: usize = rows.iter().map(|row| number(&row[i + 1])).sum();
        assert_eq!(column, count, "{class}");
    }
    assert_eq!(page.count("all"), 12_000);
    let facts = page.texts("dl", "key").concat();
    let unsure = section.beats.iter();
    let unsure = unsure.filter(|beat| beat.is_unsure() == Some(true)).count();
    assert_eq!(summary.unsure, unsure);
    assert!(facts.contains(&format!("Unsure{unsure} beats")), "{facts}");
    for burden in [summary.supraventricular_burden, summary.ventricular_burden] {
        let burden = burden.expect("there are readable beats");
        assert!(
            facts.contains(&format!("{:.1} %", 100.0 * burden)),
            "{facts}"
        );
    }
}

#[test]
fn the_first_words_are_the_notice_and_what_is_synthetic_says_so() {
    let mut section = section("a", rhythm(200, 1));
    for synthetic in [false, true] {
        section.facts.synthetic = synthetic;
        let xml = xml(&render(std::slice::from_ref(&section)));
        let page = Page::of(&xml);
        let body = page.texts("body", "").concat();
        assert!(body.starts_with("Research software, not a medical device."));
        assert_eq!(body.contains("SYNTHETIC"), synthetic);
        assert_eq!(page.texts("p", "synthetic").len(), usize::from(synthetic));
    }
}

#[test]
fn hostile_words_stay_words() {
    let evil = "</title><script>alert(1)</script>\"'><img src=x onerror=alert(2)> http://evil.example/?a&b";
    let mut section = section(evil, rhythm(300, 2));
    section.facts.taken.leads[0].name = evil.to_owned();
    section.facts.leads = evil.to_owned();
    section.facts.model = evil.to_owned();
    section.facts.comments = vec![evil.to_owned(), "</style><svg onload=alert(3)>".to_owned()];
    section.facts.warnings = vec![evil.to_owned()];
    let several = [section.clone(), section.clone()];
    for sections in [std::slice::from_ref(&section), &several] {
        let xml = xml(&render(sections));
        let page = Page::of(&xml);
        let headings = [page.texts("h1", ""), page.texts("h2", "")]
            .concat()
            .concat();
        assert!(headings.contains("<script>alert(1)</script>"), "{headings}");
        assert!(page.texts("p", "comments")[0].contains(evil));
        assert!(page.texts("p", "warning")[0].contains(evil));
        assert!(page.texts("dl", "facts")[0].contains(evil));
        assert!(page.texts("p", "taken")[0].contains(evil));
        assert!(page.texts("p", "leads")[0].contains(evil));
    }
    let heading = Heading {
        title: Some(evil.to_owned()),
        comment: Some(evil.to_owned()),
    };
    let xml = xml(&headed(&[section], &heading));
    let page = Page::of(&xml);
    assert_eq!(page.texts("h1", ""), [evil]);
    assert_eq!(page.texts("p", "comment"), [evil]);
}

#[test]
fn nothing_and_little_render() {
    for classes in ["", "N", "Q", "V", "QQQQ", "NNNNNNNNNNNN", "VVVVVVVV"] {
        let section = section("few", beats_of(classes, |_| 0.8));
        let xml = xml(&render(&[section]));
        let page = Page::of(&xml);
        assert_eq!(page.count("all"), classes.len());
        assert!(!xml.contains("NaN") && !xml.contains("inf"), "{classes}");
        let strips = page.texts("svg", "paper").len();
        assert_eq!(
            strips > 0,
            !classes.is_empty(),
            "{classes}: {strips} strips"
        );
    }
    let xml = xml(&render(&[]));
    assert!(Page::of(&xml).texts("h1", "")[0].contains("ECG beat report"));
}

/// From files to a file: the strips' letters, the views of one beat of each class, and what the network says without
/// each.
#[test]
fn a_record_becomes_a_report() -> Result<(), Error> {
    let folder = tempfile::tempdir().expect("a folder for the record");
    let comments = "# Age: 61 Sex: F\n# SYNTHETIC by a test\n";
    let record = synthetic_record(folder.path(), "made", comments);
    for leads in ["MLII", "both"] {
        let options = Options {
            leads: leads.parse().unwrap_or_else(|e| match e {}),
            ..Options::default()
        };
        let (_, section) = Section::classify(&fake(), &record, &options, true)?;
        let html = render(std::slice::from_ref(&section));
        let xml = xml(&html);
        let page = Page::of(&xml);
        let counts = &section.summary.counts;
        assert!(counts["V"] >= 8 && counts["N"] > 70, "{counts:?}");
        let seen = Class::ALL[..4]
            .iter()
            .filter(|class| counts[class.name()] > 0)
            .count();
        assert_eq!(page.texts("figure", "chosen").len(), seen);
        assert_eq!(page.texts("div", "view").len(), 4 * seen);
        assert_eq!(page.texts("p", "without").len(), 4 * seen);
        let facts = page.texts("dl", "facts").concat();
        let why = page.texts("p", "taken").concat();
        let words = match leads {
            "MLII" => "MLII: asked for",
            _ => "Say in the classes: MLII, V1 each 50 %.",
        };
        assert!(why.contains(words), "{why}");
        let in_record = "Leads in the record: MLII, V1 (250 Hz, mV, 1000 counts/mV).";
        assert_eq!(page.texts("p", "leads"), [in_record]);
        for fact in [
            "made",
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
        let body = page.texts("body", "").concat();
        let ignored = body.contains("trained without age and sex");
        assert_eq!(ignored, !Fake.reads_patient());
        assert_eq!(page.texts("p", "synthetic").len(), 1);
        let shown: usize = section.strips.iter().map(|strip| strip.beats.len()).sum();
        assert_eq!(page.texts("text", "beat").len(), shown);
        // Every V has its letter in the full disclosure, and one form.
        let letters = page.texts("text", "k-v").concat();
        let forms = page.texts("figure", "form");
        assert_eq!(forms.len(), 1, "{forms:?}");
        assert!(
            forms[0].contains(&format!("Form 1: {} beats, 100 % of V", counts["V"])),
            "{forms:?}"
        );
        assert!(letters.matches('V').count() >= counts["V"], "{letters}");
        assert!(
            shown > 70,
            "{shown} of some hundred beats in ninety seconds"
        );
        assert_eq!(html, render(&[section]), "the same bytes");
    }
    Ok(())
}

/// The first screen says what is not judged, the title is the reader's, and the disclosure can be left out.
#[test]
fn a_reader_has_a_say() {
    let mut section = section("a", rhythm(300, 1));
    let unreadable = section.summary.counts["Q"];
    let heading = Heading {
        title: Some("Mrs B., 2nd night".to_owned()),
        comment: Some("line one\nline two".to_owned()),
    };
    let with = headed(std::slice::from_ref(&section), &heading);
    section.disclosure = None;
    let without = headed(std::slice::from_ref(&section), &heading);
    for (text, blocks) in [(&with, true), (&without, false)] {
        let xml = xml(text);
        let page = Page::of(&xml);
        assert_eq!(page.texts("h1", ""), ["Mrs B., 2nd night"]);
        assert_eq!(page.texts("p", "comment"), ["line one\nline two"]);
        let not_judged = page.texts("p", "not-judged").concat();
        assert!(
            not_judged.contains(&format!("(class Q, {unreadable} of 300)")),
            "{not_judged}"
        );
        assert_eq!(!page.texts("figure", "hour").is_empty(), blocks);
    }
}

#[test]
fn several_records_have_a_table_of_contents() {
    let sections: Vec<Section> = (0..60)
        .map(|i| section(&format!("r{i}"), rhythm(400, i)))
        .collect();
    let xml = xml(&render(&sections));
    let page = Page::of(&xml);
    let contents = page.cells("");
    assert_eq!(contents.len(), 60);
    assert!(
        contents
            .iter()
            .all(|row| row[0] == "MLII" && row[2] == "400")
    );
    assert_eq!(page.texts("article", "").len(), 60);
    assert_eq!(page.texts("svg", "paper").len(), 60 * MIN_STRIPS);
}

/// A day of a hundred thousand beats, one in five ectopic.
#[test]
fn a_day_is_small_and_quick() {
    let mut rng = ChaCha8Rng::seed_from_u64(24);
    let letters = ["N", "N", "N", "N", "N", "N", "N", "N", "S", "V"];
    let classes: String = (0..100_000)
        .map(|_| letters[rng.random_range(0..10)])
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
    let blocks = text
        .find("<figure class=\"hour")
        .expect("there is a full disclosure");
    let without = blocks + text.len() - text.rfind("</svg></figure>").expect("it ends");
    assert!(without < 1_000_000, "{without} bytes");
    assert!(text.len() < 12_000_000, "{} bytes", text.len());
    // A loaded machine may be several times slower than a free one; a quadratic step would take minutes.
    assert!(seconds < 10.0, "{seconds} s");
    Page::of(&xml(&text));
}
