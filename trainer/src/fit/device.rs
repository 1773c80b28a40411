//! Where a network is trained, and in which numbers.

use clap::ValueEnum;
use serde::{Deserialize, Serialize};
use tch::Device;
use thiserror::Error;

/// Where a network is trained.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum DeviceChoice {
    /// On the GPU if there is one.
    #[default]
    Auto,
    /// On the GPU.
    Cuda,
    /// On the CPU.
    Cpu,
}

/// There is no GPU.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error(
    "no CUDA device: libtorch {} and finds {devices} devices; give --device cpu, or see to the driver and a libtorch with \
     CUDA",
    if *has_cuda { "was built with CUDA" } else { "was built without CUDA" }
)]
pub struct NoCuda {
    /// Whether the CUDA half of libtorch is there.
    pub has_cuda: bool,
    /// Devices that it finds.
    pub devices: i64,
}

impl DeviceChoice {
    /// The device.
    ///
    /// # Errors
    /// If CUDA is asked for and not there.
    pub fn resolve(self) -> Result<Device, NoCuda> {
        let found = tch::Cuda::is_available();
        match self {
            Self::Cpu => Ok(Device::Cpu),
            Self::Auto if !found => Ok(Device::Cpu),
            Self::Cuda if !found => Err(NoCuda {
                has_cuda: tch::utils::has_cudart(),
                devices: tch::Cuda::device_count(),
            }),
            Self::Auto | Self::Cuda => Ok(Device::Cuda(0)),
        }
    }
}

/// Numbers that a network is trained in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// f32 throughout.
    #[default]
    F32,
    /// Forward and backward pass in bf16; weights, normalisation statistics, loss and optimiser in f32. Pays on a GPU.
    Bf16,
}

impl Precision {
    /// Its name on the command line and in a checkpoint.
    pub const fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::Bf16 => "bf16",
        }
    }

    /// The precision of this name.
    pub fn named(name: &str) -> Option<Self> {
        [Self::F32, Self::Bf16]
            .into_iter()
            .find(|p| p.name() == name)
    }
}

/// Threads that prepare batches for a training on `device`: one on a CPU, which prepares faster than the CPU trains and
/// leaves the other cores to other folds; all cores but one for a GPU, so that it does not wait.
pub fn workers(device: Device) -> usize {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    if device == Device::Cpu {
        1
    } else {
        (cores - 1).max(1)
    }
}
