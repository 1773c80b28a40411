//! `heartlens-train bench`

use super::write_json;
use crate::augment::HostBatch;
use crate::config::{Config, FusionKind, Scale, View};
use crate::train::{DeviceChoice, Trainer};
use anyhow::{Context, ensure};
use heartlens_core::spec::LABELS;
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
/// is measured.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  heartlens-train bench --config models/beat/config.toml --json -")]
pub(super) struct Arguments {
    /// The model's config
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Where to train: auto, cuda or cpu
    #[arg(long, default_value = "auto", value_name = "DEVICE")]
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
        let mut ours = 0.0_f64;
        let mut peer: Option<Peer> = None;
        let mut missing = None;
        let mut parameters = 0;
        for _ in 0..self.rounds {
            let mut trainer = Trainer::new(&config, device)?;
            parameters = trainer.parameter_count();
            ours = ours.max(round(&mut trainer, &batch, self.steps));
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

impl Figures {
    fn line(&self) -> String {
        let ours = format!(
            "{:.0} beats a second on {}, batches of {}, {} parameters",
            self.beats_per_second, self.device, self.batch, self.parameters
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
