//! Where an image in QEMU takes its samples from: the stretch in flash, or a file of the same format.

use crate::stretch::{EMBEDDED, HEADER_BYTES, SAMPLE_BYTES, counts, header};
use core::ffi::CStr;
use heartlens_core::sample::Calibration;
use semihosting::fs::File;
use semihosting::io::Read as _;

/// Longest path of a file, in bytes.
const PATH_MAX: usize = 512;
/// Samples that are read at a time.
const BLOCK: usize = 256;

/// A stretch, read from its start.
#[derive(Debug)]
pub struct Source {
    bytes: Bytes,
    samples: u32,
    calibration: Calibration,
}

#[derive(Debug)]
enum Bytes {
    Flash(&'static [u8]),
    File(File),
}

impl Source {
    /// The file that the first argument names, or the stretch in flash. Ends the run where there is none.
    pub fn open() -> Self {
        let mut bytes = Bytes::open();
        let mut start = [0; HEADER_BYTES];
        if bytes.read(&mut start) < HEADER_BYTES {
            defmt::panic!("the stretch ends within its header");
        }
        let (samples, calibration) = header(&start);
        Self {
            bytes,
            samples,
            calibration,
        }
    }

    /// What turns its samples into millivolts.
    pub const fn calibration(&self) -> Calibration {
        self.calibration
    }

    /// Gives each sample to `take`, in counts, and how many there were. Ends the run where there are not as many as the header says.
    pub fn each(mut self, mut take: impl FnMut(i16)) -> u32 {
        let mut block = [0; BLOCK * SAMPLE_BYTES];
        let mut seen = 0;
        loop {
            let len = self.bytes.read(&mut block);
            for count in counts(&block[..len]) {
                seen += 1;
                take(count);
            }
            if len < block.len() {
                break;
            }
        }
        if seen != self.samples {
            defmt::panic!(
                "the stretch has {=u32} samples, its header says {=u32}",
                seen,
                self.samples
            );
        }
        seen
    }
}

impl Bytes {
    fn open() -> Self {
        let Ok(arguments) = semihosting::experimental::env::args::<PATH_MAX>() else {
            defmt::panic!("the arguments are longer than {=usize} bytes", PATH_MAX)
        };
        let Some(Ok(path)) = (&arguments).nth(1) else {
            return Self::Flash(EMBEDDED);
        };
        let mut bytes = [0; PATH_MAX + 1];
        let Some(place) = bytes.get_mut(..path.len()) else {
            defmt::panic!("the path is longer than {=usize} bytes", PATH_MAX)
        };
        place.copy_from_slice(path.as_bytes());
        match CStr::from_bytes_until_nul(&bytes).map(File::open) {
            Ok(Ok(file)) => Self::File(file),
            _ => defmt::panic!("{=str}: cannot be read", path),
        }
    }

    /// Fills the buffer as far as there are bytes, and gives how many there were.
    fn read(&mut self, buffer: &mut [u8]) -> usize {
        let mut filled = 0;
        while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            let count = match self {
                Self::Flash(bytes) => {
                    let (now, later) = bytes.split_at(rest.len().min(bytes.len()));
                    *bytes = later;
                    rest[..now.len()].copy_from_slice(now);
                    now.len()
                }
                Self::File(file) => match file.read(rest) {
                    Ok(count) => count,
                    Err(_) => defmt::panic!("the file cannot be read on"),
                },
            };
            if count == 0 {
                break;
            }
            filled += count;
        }
        filled
    }
}
