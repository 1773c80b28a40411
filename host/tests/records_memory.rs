//! A recording's length does not show in the memory that reading, resampling and reporting it takes. A file of its own:
//! other tests in the same process would have memory of their own.

#![allow(clippy::unwrap_used)]

use heartlens::pipeline;
use heartlens::records::signal::Format;
use heartlens::records::{Record, Warning};
use std::fs;

/// The most memory that this process has had so far, in bytes; `None` where the system does not say.
fn peak_rss_bytes() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    let kibibytes: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(1024 * kibibytes)
}

/// Two days at 250 Hz: an hour over and over, with an hour's gap each day. All of it at once would take 170 MB.
#[test]
fn days_take_no_more_memory_than_an_hour() {
    let folder = tempfile::tempdir().unwrap();
    let frames = 3600 * 250;
    let beat = |k: usize| [0, 300, 1000, 400, -200][(k % 200).min(4)] + (k % 50) as i32;
    let lead: Vec<i32> = (0..frames).map(beat).collect();
    let hour = format!("hour 1 250 {frames}\nhour.dat 16 1000 16 0 0 0 0 II");
    fs::write(folder.path().join("hour.hea"), hour).unwrap();
    fs::write(
        folder.path().join("hour.dat"),
        Format::Bits16.encode(&[&lead]),
    )
    .unwrap();
    let day = format!("{}~ {frames}\n", format!("hour {frames}\n").repeat(23));
    let list = format!("days/48 1 250 {}\n{}", 48 * frames, day.repeat(2));
    fs::write(folder.path().join("days.hea"), list).unwrap();

    let stream = |name: &str| {
        let record = Record::open(folder.path().join(name)).unwrap();
        let (mut samples, mut missing) = (0, 0);
        for block in pipeline::stream_canonical(&record, 0).unwrap() {
            let block = block.unwrap();
            samples += block.len();
            missing += block.iter().filter(|v| v.is_nan()).count();
        }
        (samples, missing, record.warnings())
    };
    assert_eq!(stream("hour").0, 3600 * 128);
    #[cfg(feature = "cli")]
    report(&Record::open(folder.path().join("hour")).unwrap());
    let before = peak_rss_bytes();
    let (samples, missing, warnings) = stream("days");
    #[cfg(feature = "cli")]
    report(&Record::open(folder.path().join("days")).unwrap());
    assert_eq!(samples, 2 * 86_400 * 128);
    // A canonical sample between the last one before a gap and the gap's first is missing, too.
    assert!(
        (2 * 3600 * 128..=2 * 3600 * 128 + 4).contains(&missing),
        "{missing}"
    );
    let gaps = |w: &Warning| {
        matches!(
            w,
            Warning::Missing {
                gaps: 2,
                samples: 1_800_000,
                ..
            }
        )
    };
    assert!(warnings.iter().any(gaps), "{warnings:?}");
    match (before, peak_rss_bytes()) {
        (Some(before), Some(after)) => {
            let grown = after - before;
            println!("two days took {} kB more than an hour", grown / 1024);
            assert!(grown < 16 << 20, "{grown} bytes more than an hour");
        }
        _ => println!("skipped: this system does not say how much memory a process has had"),
    }
}

/// Counts the hours of a full disclosure that is written to it, and keeps nothing.
#[cfg(feature = "cli")]
struct Hours(usize);

#[cfg(feature = "cli")]
impl std::io::Write for Hours {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0 += usize::from(bytes.ends_with(b"</svg></figure>\n"));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Classifies and reports a record in which R peaks are known every hundred seconds: memory for each beat is not in
/// question here.
#[cfg(feature = "cli")]
fn report(record: &Record) {
    use heartlens::report::{Heading, Section, write};
    use heartlens::{Model, Options, Peaks};

    let times = (1..).map(|i| 100.0 * f64::from(i));
    let times = times.take_while(|t| *t < record.duration_s());
    let mut options = Options::default();
    let samples = times.map(|t| (t * record.sample_rate_hz()) as u64);
    options.peaks = Peaks::Reference(samples.collect());
    let model = Model::shipped().unwrap();
    let (_, section) = Section::classify(&model, record, &options, true).unwrap();
    let mut hours = Hours(0);
    write(&[section], &Heading::default(), &mut hours).unwrap();
    assert_eq!(hours.0, (record.duration_s() / 3600.0) as usize);
}
