//! The beats of a file, one after another: for `cargo xtask executors`.

use core::ffi::CStr;
use heartlens_core::sample::MISSING;
use heartlens_firmware::network::{ARENA_WORDS, STRIP_ARENA_WORDS};
use heartlens_firmware::stretch::{HEADER_BYTES, SAMPLE_BYTES, counts, header};
use heartlens_firmware::watch;
use semihosting::fs::File;
use semihosting::io::Read as _;
use semihosting::println;

/// Longest path of a file, in bytes.
const PATH_MAX: usize = 512;

/// Prints the beats of a file. `None` where it is no stretch.
pub(crate) fn tell(mut file: File) -> Option<()> {
    let mut start = [0; HEADER_BYTES];
    file.read_exact(&mut start).ok()?;
    let (samples, calibration) = header(&start);
    let counts = (0..samples).map(|_| {
        let mut bytes = [0; SAMPLE_BYTES];
        let read = file.read_exact(&mut bytes);
        read.ok()
            .and_then(|()| counts(&bytes).next())
            .unwrap_or(MISSING)
    });
    watch::tell_beats(
        calibration,
        counts,
        &mut [0; ARENA_WORDS],
        &mut [0; STRIP_ARENA_WORDS],
        |at_ms, beat| {
            let [n, s, v, f] = beat.probabilities.map(f32::to_bits);
            let class = beat.class.name();
            println!("{at_ms} {class} {n:08x} {s:08x} {v:08x} {f:08x}");
        },
    )
}

/// The file that the first argument names.
pub(crate) fn named() -> Option<File> {
    let arguments = semihosting::experimental::env::args::<PATH_MAX>().ok()?;
    let path = (&arguments).nth(1)?.ok()?;
    let mut bytes = [0; PATH_MAX + 1];
    bytes
        .get_mut(..path.len())?
        .copy_from_slice(path.as_bytes());
    File::open(CStr::from_bytes_until_nul(&bytes).ok()?).ok()
}
