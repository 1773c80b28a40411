//! `heartlens-train bench`

use super::write_json;
use crate::beat::config::{Config, FusionKind, Scale};
use crate::beat::fit::Trainer;
use crate::data::augment::{Augmenter, HostBatch};
use crate::data::noise::Noise;
use crate::data::record::{Lead, RecordBeats};
use crate::fit::device::{DeviceChoice, workers};
use anyhow::{Context, ensure};
use heartlens_core::class::Class;
use heartlens_core::patient::Patient;
use heartlens_core::spec::{LABELS, SAMPLE_RATE_HZ};
use heartlens_core::views::View;
use heartlens_core::views::Views;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Instant;
use tch::Device;

/// The same training in PyTorch.
const PYTORCH: &str = include_str!("../../benches/pytorch.py");
/// Steps before the clock runs.
const WARM_UP_STEPS: u32 = 20;

/// Measure how fast a network is trained, beside the same network in PyTorch
///
/// Both take steps on one batch that is ready in memory: forward, loss with smoothed labels, backward, gradient clipping, AdamW,
/// averaged weights; one thread on a CPU. They take turns, and the fastest round of each counts. Without PyTorch, ours alone
/// is measured. How fast a thread prepares beats - varies them and computes their views - is measured on its own.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  heartlens-train bench --config models/beat/config.toml --json -")]
pub(super) struct Arguments {
    /// The model's config
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Where to train
    #[arg(long, value_enum, default_value_t, value_name = "DEVICE")]
    device: DeviceChoice,
    /// Steps a round
    #[arg(long, default_value_t = 200, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    steps: u32,
    /// Rounds of each
    #[arg(long, default_value_t = 3, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// The Python that has PyTorch
    #[arg(long, default_value = "python3", value_name = "PROGRAM")]
    python: PathBuf,
    /// Where to write the figures; - for stdout
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// The figures, the JSON of `heartlens-train bench`.
#[derive(Debug, Serialize)]
struct Figures {
    device: String,
    batch: usize,
    parameters: usize,
    /// Beats a second, the fastest round.
    beats_per_second: f64,
    /// Beats a second that one thread varies and computes the views of; the fastest round.
    prepared_per_second: f64,
    /// Threads that do so.
    workers: usize,
    pytorch: Option<Peer>,
    /// Ours over PyTorch's.
    ratio: Option<f64>,
    /// Why there is no PyTorch.
    missing: Option<String>,
}

/// What the script prints.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Peer {
    version: String,
    parameters: usize,
    beats_per_second: f64,
}

impl Arguments {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let device = self.device.resolve()?;
        let mut config = Config::read(&self.config)?;
        let plain = config.fusion.kind == FusionKind::Intermediate
            && config.fusion.auxiliary == 0.0
            && config.waveform.template
            && config.waveform.scale == Scale::Template
            && config.waveform.bilstm > 0;
        ensure!(
            plain,
            "{}: the script builds networks like models/beat alone: intermediate fusion, a BiLSTM, no auxiliary heads",
            self.config.display()
        );
        config.training.steps = u32::MAX;
        let batch = batch(config.training.batch);
        let (mut ours, mut prepared) = (0.0_f64, 0.0_f64);
        let mut peer: Option<Peer> = None;
        let mut missing = None;
        let mut parameters = 0;
        for _ in 0..self.rounds {
            let mut trainer = Trainer::new(&config, device)?;
            parameters = trainer.parameter_count();
            ours = ours.max(round(&mut trainer, &batch, self.steps));
            prepared = prepared.max(preparing(&config, self.steps));
            match self.peer(&config, device) {
                Ok(found) => {
                    let best = peer.as_ref().map_or(0.0, |peer| peer.beats_per_second);
                    if found.beats_per_second > best {
                        peer = Some(found);
                    }
                }
                Err(error) => missing = Some(format!("{error:#}")),
            }
        }
        if let Some(peer) = &peer {
            ensure!(
                peer.parameters == parameters,
                "PyTorch's network has {} parameters, ours {parameters}: that is not the same work",
                peer.parameters
            );
        }
        let figures = Figures {
            device: format!("{device:?}"),
            batch: config.training.batch,
            parameters,
            beats_per_second: ours,
            prepared_per_second: prepared,
            workers: workers(device),
            ratio: peer.as_ref().map(|peer| ours / peer.beats_per_second),
            pytorch: peer,
            missing,
        };
        eprintln!("{}", figures.line());
        if let Some(path) = &self.json {
            write_json(&figures, path)?;
        }
        Ok(())
    }

    /// A round of the script.
    fn peer(&self, config: &Config, device: Device) -> anyhow::Result<Peer> {
        let shapes: Vec<_> = View::ALL.iter().map(|v| (v.name(), v.shape())).collect();
        let task = json!({
            "config": config,
            "shapes": shapes,
            "classes": LABELS.len(),
            "device": if device == Device::Cpu { "cpu" } else { "cuda" },
            "warm_up_steps": WARM_UP_STEPS,
            "steps": self.steps,
        });
        let mut python = Command::new(&self.python)
            .args(["-c", PYTORCH])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| self.python.display().to_string())?;
        if let Some(mut input) = python.stdin.take() {
            input.write_all(task.to_string().as_bytes())?;
        }
        let output = python.wait_with_output()?;
        let errors = String::from_utf8_lossy(&output.stderr);
        ensure!(
            output.status.success(),
            "PyTorch: {}; `cargo xtask setup` gets it, and `. ~/.cache/heartlens/env.sh` puts it on the path",
            errors.lines().last().unwrap_or("failed")
        );
        serde_json::from_slice(&output.stdout).context("PyTorch's script printed no figures")
    }
}

/// A batch of random numbers as large as the views, one class after another.
fn batch(count: usize) -> HostBatch {
    let mut rng = ChaCha8Rng::seed_from_u64(0);
    let mut batch = HostBatch::default();
    for beat in 0..count {
        let mut views = Views::ZERO;
        let values = views.waveform.iter_mut().chain(&mut views.spectrum);
        let values = values
            .chain(&mut views.spectrogram)
            .chain(&mut views.metadata);
        for value in values {
            *value = rng.random_range(-2.0..2.0);
        }
        batch.push(&views, (beat % LABELS.len()) as i64);
    }
    batch
}

/// Beats a second over `steps` steps.
fn round(trainer: &mut Trainer, batch: &HostBatch, steps: u32) -> f64 {
    for _ in 0..WARM_UP_STEPS {
        trainer.step(batch);
    }
    let start = Instant::now();
    let mut loss = 0.0;
    for _ in 0..steps {
        // Reading the loss waits for the device.
        loss += trainer.step(batch).loss;
    }
    let beats = f64::from(steps) * batch.len() as f64;
    let seconds = start.elapsed().as_secs_f64();
    debug_assert!(loss.is_finite());
    beats / seconds
}

/// Beats a second that this thread varies as `config` says and computes the views of: as many as `steps` batches need, of
/// a lead of noise with a beat every 0.8 s.
fn preparing(config: &Config, steps: u32) -> f64 {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let mut noise = |seconds: u32| -> Vec<f32> {
        let samples = seconds * SAMPLE_RATE_HZ;
        (0..samples).map(|_| rng.random_range(-1.0..1.0)).collect()
    };
    let beats: Vec<(u32, Class)> = (1..120)
        .map(|beat| (beat * SAMPLE_RATE_HZ * 4 / 5, Class::N))
        .collect();
    let signal = noise(100);
    let record = RecordBeats::from_signals("made", "noise", &[signal], &beats, Patient::default());
    let channels = vec![noise(60)];
    let augmenter = Augmenter::new(config, Noise { channels });
    let mut views = Views::ZERO;
    let start = Instant::now();
    for _ in 0..steps {
        let mut batch = HostBatch::default();
        for _ in 0..config.training.batch {
            let index = rng.random_range(0..record.classes.len());
            augmenter.views(record.beat(Lead::First, index), &mut rng, &mut views);
            batch.push(&views, 0);
        }
        std::hint::black_box(&batch);
    }
    f64::from(steps) * config.training.batch as f64 / start.elapsed().as_secs_f64()
}

impl Figures {
    fn line(&self) -> String {
        let ours = format!(
            "{:.0} beats a second on {}, batches of {}, {} parameters; each of {} prepares {:.0}",
            self.beats_per_second,
            self.device,
            self.batch,
            self.parameters,
            if self.workers == 1 {
                "1 thread".to_owned()
            } else {
                format!("{} threads", self.workers)
            },
            self.prepared_per_second,
        );
        match (&self.pytorch, self.ratio, &self.missing) {
            (Some(peer), Some(ratio), _) => format!(
                "{ours}; PyTorch {}: {:.0}; ratio {ratio:.2}",
                peer.version, peer.beats_per_second
            ),
            (_, _, missing) => format!("{ours}; {}", missing.as_deref().unwrap_or("no PyTorch")),
        }
    }
}
