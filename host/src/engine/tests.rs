use super::*;
use crate::runtime::{Logits, ModelError, Runtime};
use crate::synth::{self, Recording};
use heartlens_core::Classifier;
use heartlens_core::rhythm::Rules;
use heartlens_core::spec::LABELS;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::collections::BTreeSet;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier};
use std::time::Duration;

/// Says something of each beat that depends on all of its views and on the batch's size; fails after as many calls,
/// all threads together.
struct Sums {
    calls: Arc<AtomicUsize>,
    fails_at: usize,
    panics_at: usize,
}

impl Runtime for Sums {
    fn name(&self) -> &'static str {
        "sums"
    }

    fn model_name(&self) -> &str {
        "sums"
    }

    fn reads_patient(&self) -> bool {
        false
    }

    fn logits(&mut self, beats: &[Views]) -> Result<Vec<Logits>, ModelError> {
        let call = self.calls.fetch_add(1, Ordering::Relaxed);
        assert!(call < self.panics_at, "told to panic");
        if call >= self.fails_at {
            return Err(ModelError::Output {
                path: PathBuf::from("sums"),
                runtime: "sums",
                found: "nothing".to_owned(),
                expected: "sums".to_owned(),
            });
        }
        let sum = |view: &[f32]| view.iter().sum::<f32>();
        let of = |v: &Views| -> Logits {
            let sums = [
                sum(&v.waveform),
                sum(&v.spectrum),
                sum(&v.spectrogram),
                sum(&v.metadata) + beats.len() as f32,
            ];
            std::array::from_fn::<f32, { LABELS.len() }, _>(|i| sums[i])
        };
        Ok(beats.iter().map(of).collect())
    }
}

const NEVER: usize = usize::MAX;

/// The shipped model with such a network, and its calls.
fn sums(fails_at: usize, panics_at: usize) -> (Model, Arc<AtomicUsize>) {
    let calls = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&calls);
    let model = Model::shipped().expect("fits this build");
    let model = model.with_network(move || {
        Box::new(Sums {
            calls: Arc::clone(&counter),
            fails_at,
            panics_at,
        })
    });
    (model, calls)
}

/// A synthetic record of two leads.
fn record(folder: &Path, minutes: f64, seed: u64) -> Record {
    let recording = Recording::generate(&synth::Options {
        minutes,
        seed,
        noise_db: Some(18.0),
        ..synth::Options::default()
    });
    let stem = folder.join(format!("r{seed}"));
    recording
        .expect("in range")
        .write(&stem)
        .expect("it is written");
    Record::open(stem).expect("it was written")
}

fn options(threads: usize, leads: &str) -> Options {
    Options {
        threads: NonZeroUsize::new(threads),
        leads: leads.parse().unwrap_or_else(|e| match e {}),
        ..Options::default()
    }
}

#[test]
fn any_number_of_threads_gives_the_same_bits() {
    let folder = tempfile::tempdir().expect("a folder");
    let record = record(folder.path(), 12.0, 1);
    for leads in ["0", "both"] {
        let run = |threads| {
            let (model, calls) = sums(NEVER, NEVER);
            let mut last = 0.0;
            let analysis =
                model.classify_with_progress(&record, &options(threads, leads), |done| {
                    assert!(done > last && done <= 1.0, "{done} after {last}");
                    last = done;
                    ControlFlow::Continue(())
                });
            let analysis = analysis.expect("does not fail");
            assert!(analysis.stages.monitor > Duration::ZERO && last > 0.9);
            (analysis.beats, calls.load(Ordering::Relaxed))
        };
        let (alone, calls) = run(1);
        assert!(alone.len() > 12 * BATCH, "{}", alone.len());
        assert!(alone.is_sorted_by_key(|beat| beat.sample));
        for threads in [2, 3, 8] {
            let (together, calls_together) = run(threads);
            assert_eq!(together, alone, "{threads} threads, lead {leads}");
            assert_eq!(calls_together, calls);
        }
        let leads_read = if leads == "both" { 2 } else { 1 };
        assert_eq!(calls, leads_read * alone.len().div_ceil(BATCH));
    }
}

/// Both leads together say the mean of what each says of the same beats.
#[test]
fn two_leads_are_the_mean_of_each_with_the_same_peaks() {
    let folder = tempfile::tempdir().expect("a folder");
    let record = record(folder.path(), 5.0, 2);
    let (model, _) = sums(NEVER, NEVER);
    let both = model
        .classify(&record, &options(2, "both"))
        .expect("two leads")
        .beats;
    let detected = model
        .classify(&record, &options(2, "0"))
        .expect("a lead")
        .beats;
    let r_samples: Vec<u32> = detected
        .iter()
        .map(|beat| canonical::to_canonical_index(beat.sample, record.sample_rate_hz()))
        .collect();
    // The second lead at the canonical rate, the first lead's peaks given.
    let second = crate::pipeline::canonical_lead(&record, 1).expect("it can be read");
    let peaks = crate::pipeline::KnownPeaks::new(r_samples);
    let mut views = Vec::new();
    crate::pipeline::for_each_beat(&second, peaks, canonical::patient(&record), |beat| {
        let mut of = Views::ZERO;
        of.compute(&beat.frame);
        views.push(of);
    });
    assert_eq!((both.len(), views.len()), (detected.len(), detected.len()));
    let mut network = model.network(options(1, "0").runtime).expect("ours");
    let second = views
        .chunks(BATCH)
        .flat_map(|batch| network.logits(batch).expect("sums"));
    for ((both, first), second) in both.iter().zip(&detected).zip(second.collect::<Vec<_>>()) {
        assert_eq!(both.sample, first.sample);
        let sums = first.logits.iter().zip(&second).map(|(a, b)| a + b);
        assert!(
            both.logits
                .iter()
                .eq(&sums.map(|sum| sum / 2.0).collect::<Vec<_>>())
        );
    }
}

/// A record of these leads, at 128 Hz, `NaN` where a sample is missing.
fn leads_of(folder: &Path, leads: &[(&str, Vec<f32>)]) -> Record {
    let names: Vec<String> = leads
        .iter()
        .map(|lead| format!("{} (mV)", lead.0))
        .collect();
    let mut text = format!("time_s,{}\n", names.join(","));
    for i in 0..leads[0].1.len() {
        let cells = leads.iter().map(|lead| match lead.1[i] {
            mv if mv.is_finite() => format!("{mv:.5}"),
            _ => String::new(),
        });
        text.push_str(&format!(
            "{},{}\n",
            i as f64 / 128.0,
            cells.collect::<Vec<_>>().join(",")
        ));
    }
    let path = folder.join("leads.csv");
    std::fs::write(&path, text).expect("it is written");
    Record::open(path).expect("it was written")
}

/// Leads that die, are dead, come off or are all noise have no say where they cannot be read, and no beat is lost: what is left
/// says what the good lead says alone.
#[test]
fn a_dead_lead_does_not_spoil_the_fusion() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("clean");
    let recording = Recording::generate(&synth::Options {
        minutes: 6.0,
        seed: 11,
        ..synth::Options::default()
    });
    recording.expect("in range").write(&path).expect("written");
    let clean = Record::open(path).expect("it was written");
    let good = crate::pipeline::canonical_lead(&clean, 0).expect("it can be read");
    let mut rng = ChaCha8Rng::seed_from_u64(2);
    let noise: Vec<f32> = good.iter().map(|_| rng.random_range(-2.0..2.0)).collect();
    let half = good.len() / 2;
    let dying: Vec<f32> = good[..half]
        .iter()
        .copied()
        .chain(vec![0.0; good.len() - half])
        .collect();
    let born: Vec<f32> = vec![f32::NAN; half]
        .into_iter()
        .chain(good[half..].iter().copied())
        .collect();
    let classify = |leads: &[(&str, Vec<f32>)], choice: &str| {
        let record = leads_of(folder.path(), leads);
        let model = Model::shipped().expect("fits this build");
        model
            .classify(&record, &options(2, choice))
            .expect("classified")
    };
    let alone = classify(&[("II", good.clone())], "0");
    let readable = |analysis: &Analysis| {
        let beats = analysis.beats.iter();
        beats
            .filter(|beat| beat.class != heartlens_core::class::Class::Q)
            .count()
    };
    assert!(readable(&alone) > 300);

    for (bad, most) in [
        (vec![0.0; good.len()], 0),
        (vec![f32::NAN; good.len()], 0),
        (noise.clone(), alone.beats.len() / 50),
    ] {
        let fused = classify(&[("I", bad), ("II", good.clone())], "all");
        assert_eq!(fused.leads, ["II", "I"]);
        assert_eq!(fused.beats.len(), alone.beats.len());
        let pairs = || fused.beats.iter().zip(&alone.beats);
        let differ = pairs().filter(|(a, b)| a.class != b.class).count();
        assert!(differ <= most, "{differ} of {:?}", fused.taken);
        assert!(most > 0 || pairs().all(|(a, b)| a.logits == b.logits));
        let weight = fused.taken.leads[0].weight.expect("there are beats");
        assert!(weight > 0.9, "{:?}", fused.taken);
    }
    // One lead dies where the other comes to life.
    let fused = classify(&[("I", dying), ("II", born), ("V1", noise)], "all");
    assert!(
        readable(&fused) + 6 >= readable(&alone),
        "{} of {}",
        readable(&fused),
        readable(&alone)
    );
    assert!(
        fused.beats.len() <= alone.beats.len() + 6,
        "{}",
        fused.beats.len()
    );
    let near = |a: &Beat| {
        alone
            .beats
            .iter()
            .any(|b| (a.time_s - b.time_s).abs() < 0.06)
    };
    assert!(fused.beats.iter().filter(|a| !near(a)).count() <= 6);
}

/// Two leads of the same quality have the same say, wherever the R peaks come from.
#[test]
fn equal_leads_fuse_to_their_mean() {
    let folder = tempfile::tempdir().expect("a folder");
    let record = record(folder.path(), 5.0, 2);
    let (model, _) = sums(NEVER, NEVER);
    let run = |leads: &str, peaks: Peaks| {
        let options = Options {
            peaks,
            ..options(2, leads)
        };
        model.classify(&record, &options).expect("two leads")
    };
    let found = run("0", Peaks::Detected)
        .beats
        .iter()
        .map(|beat| beat.sample)
        .collect();
    let peaks = Peaks::Reference(found);
    let (both, all) = (run("both", peaks.clone()), run("all", peaks));
    assert_eq!(both.beats.len(), all.beats.len());
    assert!(!both.taken.by_quality && all.taken.by_quality);
    for analysis in [&both, &all] {
        let weights = analysis
            .taken
            .leads
            .iter()
            .map(|lead| lead.weight.expect("beats"));
        assert!((weights.sum::<f64>() - 1.0).abs() < 1e-6);
    }
    for (both, all) in both.beats.iter().zip(&all.beats) {
        for (a, b) in both.logits.iter().zip(&all.logits) {
            assert!((a - b).abs() < 0.5 * a.abs().max(1.0), "{a} {b}");
        }
    }
}

/// Twelve minutes of narrow pulses, all alike, as CSV at 128 Hz: at first regular, then without order, as in atrial
/// fibrillation.
fn losing_its_order(folder: &Path) -> Record {
    let mut rng = ChaCha8Rng::seed_from_u64(5);
    let rate = 128.0;
    let mut signal = vec![0.0; (720.0 * rate) as usize];
    let mut time_s = 1.0;
    while time_s < 719.0 {
        let peak = (time_s * rate) as usize;
        for (i, sample) in signal[peak - 5..].iter_mut().take(11).enumerate() {
            *sample = (-0.3 * (i as f32 - 5.0).powi(2)).exp();
        }
        time_s += if time_s < 360.0 {
            0.8
        } else {
            rng.random_range(0.45..1.1)
        };
    }
    let rows = signal.iter().enumerate();
    let rows = rows.map(|(i, mv)| format!("{},{mv:.5}\n", i as f64 / rate));
    let path = folder.join("pulses.csv");
    let text = format!("time_s,II (mV)\n{}", rows.collect::<String>());
    std::fs::write(&path, text).expect("it is written");
    Record::open(path).expect("it was written")
}

/// Scored side by side, beats get the verdicts that a device gives one after another.
#[test]
fn scores_of_several_threads_give_the_verdicts_of_one_beat_at_a_time() {
    /// Says of each beat that it is more likely S than N.
    struct RatherS;
    impl Runtime for RatherS {
        fn name(&self) -> &'static str {
            "rather S"
        }
        fn model_name(&self) -> &str {
            "rather S"
        }
        fn reads_patient(&self) -> bool {
            false
        }
        fn logits(&mut self, beats: &[Views]) -> Result<Vec<Logits>, ModelError> {
            Ok(vec![[1.0, 2.0, 0.0, 0.0]; beats.len()])
        }
    }
    let folder = tempfile::tempdir().expect("a folder");
    let record = losing_its_order(folder.path());
    let shipped = Model::shipped().and_then(|model| model.without_strips());
    let shipped = shipped.expect("fits this build");
    let model = shipped.with_network(|| Box::new(RatherS));
    let mut options = options(3, "0");
    options.rules = Some(Rules::AF_SVT);
    let beats = model
        .classify(&record, &options)
        .expect("does not fail")
        .beats;
    assert!(beats.len() > 12 * BATCH, "{}", beats.len());

    struct Constant;
    impl heartlens_core::Network for Constant {
        fn logits(&mut self, _: &Views) -> Logits {
            [1.0, 2.0, 0.0, 0.0]
        }
    }
    let rhythm = model.rhythm(Rules::AF_SVT);
    assert!(rhythm.is_some());
    let mut device = Classifier::new(Constant, rhythm, canonical::patient(&record));
    let signal = crate::pipeline::canonical_lead(&record, 0).expect("it can be read");
    let (mut one_by_one, mut changed) = (beats.iter(), 0);
    let mut compare = |beat: heartlens_core::Beat| {
        let ours = one_by_one.next().expect("as many beats");
        assert_eq!(ours.class, beat.class);
        assert_eq!(ours.scores, beat.probabilities);
        assert_eq!(ours.fibrillation, beat.fibrillation);
        changed += usize::from(beat.class == heartlens_core::class::Class::N);
    };
    for sample in signal {
        if let Some(beat) = device.push(sample) {
            compare(beat);
        }
    }
    device.finish();
    std::iter::from_fn(|| device.poll()).for_each(compare);
    assert_eq!(one_by_one.count(), 0);
    // The second half, but for the beats until the rhythm is known.
    assert!(
        (300..500).contains(&changed),
        "{changed} of {}",
        beats.len()
    );
}

#[test]
fn a_network_that_fails_ends_the_run() {
    let folder = tempfile::tempdir().expect("a folder");
    let record = record(folder.path(), 12.0, 1);
    for (threads, fails_at) in [(1, 0), (1, 5), (2, 0), (3, 9)] {
        let (model, _) = sums(fails_at, NEVER);
        let error = model.classify(&record, &options(threads, "0"));
        let message = error.expect_err("fails").to_string();
        assert!(message.contains("sums returned nothing"), "{message}");
    }
}

/// A record that ends before its header says so is read until then.
#[test]
fn a_block_that_cannot_be_read_ends_the_run() {
    let folder = tempfile::tempdir().expect("a folder");
    let record = record(folder.path(), 12.0, 1);
    let path = folder.path().join("r1.dat");
    let data = std::fs::read(&path).expect("it was written");
    std::fs::write(&path, &data[..data.len() / 2]).expect("it is written");
    let (model, calls) = sums(NEVER, NEVER);
    let error = model.classify(&record, &options(2, "0"));
    let message = error.expect_err("cannot be read").to_string();
    assert!(message.contains("r1.dat"), "{message}");
    assert!(calls.load(Ordering::Relaxed) > 0);
}

#[test]
fn whoever_hears_of_the_progress_may_break_off() {
    let folder = tempfile::tempdir().expect("a folder");
    let record = record(folder.path(), 12.0, 1);
    let (model, _) = sums(NEVER, NEVER);
    for threads in [1, 3] {
        let mut heard = 0;
        let broken_off = model.classify_with_progress(&record, &options(threads, "0"), |_| {
            heard += 1;
            ControlFlow::Break(())
        });
        assert!(matches!(broken_off, Err(Error::Cancelled)) && heard == 1);
    }
}

#[test]
fn a_span_has_the_beats_that_the_whole_has_there() {
    let folder = tempfile::tempdir().expect("a folder");
    let record = record(folder.path(), 60.0, 3);
    let model = Model::shipped().expect("fits this build");
    let whole = model
        .classify(&record, &options(2, "both"))
        .expect("classified");
    let part = model.classify(
        &record,
        &Options {
            span_s: Some(600.0..2500.0),
            ..options(2, "both")
        },
    );
    let within = |beats: &[Beat]| -> Vec<(u64, heartlens_core::class::Class)> {
        let settled = beats
            .iter()
            .filter(|beat| (2400.0..2490.0).contains(&beat.time_s));
        settled.map(|beat| (beat.sample, beat.class)).collect()
    };
    let part = part.expect("classified").beats;
    assert!(part[0].time_s >= 600.0 && part[0].rr_ms.is_none());
    assert!(within(&part).len() > 60);
    assert_eq!(within(&part), within(&whole.beats));
}

#[test]
fn annotated_beats_outside_a_span_are_left_out() {
    let folder = tempfile::tempdir().expect("a folder");
    let record = record(folder.path(), 10.0, 4);
    let annotations = record.annotations("atr").expect("synth writes them");
    let samples: Vec<u64> = annotations.beats().map(|beat| beat.sample).collect();
    let rate_hz = record.sample_rate_hz();
    let expected: Vec<u64> = samples
        .iter()
        .copied()
        .filter(|sample| (120.0..240.0).contains(&(*sample as f64 / rate_hz)))
        .collect();
    let (model, _) = sums(NEVER, NEVER);
    let part = model.classify(
        &record,
        &Options {
            peaks: Peaks::Reference(samples),
            span_s: Some(120.0..240.0),
            ..options(1, "0")
        },
    );
    let found: Vec<u64> = part
        .expect("classified")
        .beats
        .iter()
        .map(|b| b.sample)
        .collect();
    assert!(found.len() > 80);
    assert_eq!(found, expected);
}

mod side_by_side {
    use super::*;

    /// Records side by side give the beats that each gives alone, in order, whatever their lengths.
    #[test]
    fn records_come_back_in_order_with_the_same_bits() {
        let folder = tempfile::tempdir().expect("a folder");
        let minutes = [8.0, 0.5, 0.5, 3.0, 0.5, 0.5, 0.5];
        let records: Vec<Record> = (0..)
            .zip(minutes)
            .map(|(seed, minutes)| record(folder.path(), minutes, seed))
            .collect();
        let (model, _) = sums(NEVER, NEVER);
        let alone: Vec<Vec<Beat>> = records
            .iter()
            .map(|record| {
                model
                    .classify(record, &options(1, "0"))
                    .expect("classified")
                    .beats
            })
            .collect();
        for threads in [1, 2, 5] {
            let options = options(threads, "0");
            let mut together = Vec::new();
            let ended = Pool::new(&model, &options).map(
                records.len(),
                |place, worker| {
                    let go_on = &mut |_| ControlFlow::Continue(());
                    worker.classify(&records[place], &options, go_on)
                },
                |place, result| {
                    assert_eq!(place, together.len());
                    let analysis = result.expect("no panic").expect("classified");
                    together.push(analysis.beats);
                    ControlFlow::Continue(())
                },
            );
            assert_eq!(ended, ControlFlow::Continue(()));
            assert_eq!(together, alone, "{threads} threads");
        }
    }

    /// Behind a slow record, results do not pile up without bound: until it is done, no record is begun that is too far
    /// ahead of it.
    #[test]
    fn little_is_begun_behind_a_slow_record() {
        const THREADS: usize = 3;
        const JOBS: usize = 100;
        let model = Model::shipped().expect("fits this build");
        let pool = Pool::new(&model, &options(THREADS, "0"));
        let (begun, gate) = (Mutex::new(BTreeSet::new()), Barrier::new(2));
        let begun_now = || begun.lock().expect("no panic").clone();
        let mut taken = Vec::new();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                // Long enough for a pool without a bound to do all of it.
                while begun_now().len() < 2 * THREADS {
                    std::thread::sleep(Duration::from_millis(5));
                }
                std::thread::sleep(Duration::from_millis(300));
                let ahead: Vec<usize> = begun_now().into_iter().collect();
                let expected: Vec<usize> = (0..2 * THREADS).collect();
                gate.wait();
                assert_eq!(ahead, expected);
            });
            let ended = pool.map(
                JOBS,
                |place, _| {
                    begun.lock().expect("no panic").insert(place);
                    if place == 0 {
                        gate.wait();
                    }
                    place
                },
                |place, result| {
                    taken.push((place, result));
                    ControlFlow::Continue(())
                },
            );
            assert_eq!(ended, ControlFlow::Continue(()));
        });
        let expected: Vec<_> = (0..JOBS).map(|place| (place, Some(place))).collect();
        assert_eq!(taken, expected);
    }

    /// A record whose network panics fails alone.
    #[test]
    fn a_panic_is_the_end_of_its_record_alone() {
        let folder = tempfile::tempdir().expect("a folder");
        let record = record(folder.path(), 2.0, 1);
        let (model, _) = sums(NEVER, 1);
        let options = options(2, "0");
        let mut results = Vec::new();
        let ended = Pool::new(&model, &options).map(
            3,
            |place, worker| match place {
                1 => {
                    let go_on = &mut |_| ControlFlow::Continue(());
                    let analysis = worker.classify(&record, &options, go_on);
                    analysis
                        .map(|analysis| analysis.beats.len())
                        .expect("it panics before")
                }
                place => place,
            },
            |_, result| {
                results.push(result);
                ControlFlow::Continue(())
            },
        );
        assert_eq!(ended, ControlFlow::Continue(()));
        assert_eq!(results, [Some(0), None, Some(2)]);
    }

    #[test]
    fn a_pool_that_is_stopped_begins_nothing_more() {
        let folder = tempfile::tempdir().expect("a folder");
        let record = record(folder.path(), 12.0, 1);
        let (model, _) = sums(NEVER, NEVER);
        let options = options(2, "0");
        let pool = Pool::new(&model, &options);
        let (stop, begun) = (pool.stop(), AtomicUsize::new(0));
        let cancelled = AtomicUsize::new(0);
        let ended = pool.map(
            50,
            |_, worker| {
                begun.fetch_add(1, Ordering::Relaxed);
                let stop_now = &mut |_| {
                    stop.stop();
                    ControlFlow::Continue(())
                };
                let result = worker.classify(&record, &options, stop_now);
                cancelled.fetch_add(
                    usize::from(matches!(result, Err(Error::Cancelled))),
                    Ordering::Relaxed,
                );
            },
            |_, _| ControlFlow::Continue(()),
        );
        assert_eq!(ended, ControlFlow::Break(()));
        let begun = begun.load(Ordering::Relaxed);
        assert!((1..=2).contains(&begun) && cancelled.load(Ordering::Relaxed) == begun);
    }
}
