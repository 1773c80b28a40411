//! Recorded noise, which training mixes in.

use super::DatasetError;
use super::find::Folders;
use heartlens::canonical::to_canonical;
use heartlens::records::Record;
use heartlens_core::filter::BandPass;
use heartlens_core::spec::SAMPLE_RATE_HZ;
use zerocopy::IntoBytes;

/// Records of the MIT-BIH Noise Stress Test Database: baseline wander, electrode motion, muscle artefact.
const NOISE_RECORDS: [&str; 3] = ["bw", "em", "ma"];
/// Their data base.
pub const NOISE_FOLDER: &str = "nstdb";
/// Noise that is left out at the start of a record while the filter settles, in samples (10 s).
const NOISE_SETTLING_SAMPLES: usize = 10 * SAMPLE_RATE_HZ as usize;

/// Recorded noise, filtered by core and scaled to a standard deviation of 1, one vector a channel.
#[derive(Debug, Clone, Default)]
pub struct Noise {
    /// At the canonical rate.
    pub channels: Vec<Vec<f32>>,
}

impl Noise {
    /// Reads bw, em and ma of the data base `nstdb`.
    ///
    /// # Errors
    /// If one of them cannot be read.
    pub fn read(folders: &Folders) -> Result<Self, DatasetError> {
        let folder = folders.place(NOISE_FOLDER);
        let mut channels = Vec::new();
        for name in NOISE_RECORDS {
            let path = folder.join(name);
            let fail = |source| DatasetError::Noise {
                path: path.clone(),
                source: Box::new(source),
            };
            let record = Record::open(&path).map_err(fail)?;
            for lead in 0..record.leads().len() {
                let samples_mv = record.read_lead(lead).map_err(fail)?;
                let samples_mv =
                    to_canonical(&samples_mv, record.sample_rate_hz()).map_err(|source| {
                        DatasetError::Rate {
                            path: path.clone(),
                            source,
                        }
                    })?;
                let mut filter = BandPass::new();
                let filtered: Vec<f32> = samples_mv.iter().map(|&mv| filter.push(mv)).collect();
                let settled = filtered.get(NOISE_SETTLING_SAMPLES..).unwrap_or(&[]);
                channels.push(unit_deviation(settled));
            }
        }
        Ok(Self { channels })
    }

    /// CRC-32 of the samples.
    pub fn checksum(&self) -> u32 {
        let mut crc = crc32fast::Hasher::new();
        for channel in &self.channels {
            crc.update(channel.as_bytes());
        }
        crc.finalize()
    }

    /// The first half of each channel.
    pub fn first_half(mut self) -> Self {
        for channel in &mut self.channels {
            channel.truncate(channel.len() / 2);
        }
        self
    }
}

/// The samples without their mean, divided by their standard deviation.
fn unit_deviation(samples: &[f32]) -> Vec<f32> {
    let count = samples.len() as f64;
    let mean = samples.iter().copied().map(f64::from).sum::<f64>() / count;
    let deviation = |x: f32| f64::from(x) - mean;
    let variance = samples.iter().map(|&x| deviation(x).powi(2)).sum::<f64>() / count;
    let root = variance.sqrt().max(f64::MIN_POSITIVE);
    samples
        .iter()
        .map(|&x| (deviation(x) / root) as f32)
        .collect()
}
