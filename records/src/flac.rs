//! FLAC streams as signal files: WFDB formats 508, 516 and 524. Each signal of the file is a channel.
//!
//! Sources: WFDB Applications Guide, `signal(5)`; RFC 9639 (FLAC). The stream's own sample rate says nothing: WFDB writes
//! 96000 whatever the record's is. Not supported: streams inside an Ogg file.
//!
//! Without feature `flac` every stream is refused.

use super::RecordError;
use std::path::Path;

/// What a stream is, so far as its first block says it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stream {
    /// Samples of each channel.
    pub(super) samples: u64,
}

/// What comes next in a stream.
#[cfg_attr(not(feature = "flac"), allow(dead_code))]
pub(super) enum Next {
    /// So many samples.
    Samples(u64),
    /// Nothing more: the stream is over, or the file breaks off.
    End,
}

#[cfg(not(feature = "flac"))]
pub(super) use absent::{Channel, open};
#[cfg(feature = "flac")]
pub(super) use present::{Channel, open};

#[cfg(feature = "flac")]
mod present {
    use super::{Next, Path, RecordError, Stream};
    use crate::disk::{self, File};
    use flac_codec::Error;
    use flac_codec::decode::{FlacChannelReader, Metadata};
    use std::cell::Cell;
    use std::io::{BufReader, ErrorKind, Seek, SeekFrom};
    use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
    use std::sync::Once;

    type Reader = FlacChannelReader<BufReader<File>>;

    /// Looks at the stream that begins at a byte of a file, which has to have so many channels of so many bits at most.
    pub(crate) fn open(
        path: &Path,
        byte_offset: u64,
        channels: usize,
        bits: u32,
    ) -> Result<Stream, RecordError> {
        let mut reader = start(path, byte_offset)?;
        let wrong = |what: &'static str, found: u32, expected: String| RecordError::Malformed {
            path: path.to_owned(),
            place: "FLAC stream".to_owned(),
            found: format!("{found} {what}"),
            expected,
        };
        let (found, found_bits) = (reader.channel_count(), reader.bits_per_sample());
        if usize::from(found) != channels {
            let expected = format!("{channels}, one for each signal of the file");
            return Err(wrong("channel(s)", found.into(), expected));
        }
        if found_bits > bits {
            return Err(wrong(
                "bits a sample",
                found_bits,
                format!("at most {bits}"),
            ));
        }
        let stated = reader.metadata().streaminfo().total_samples;
        let samples = match stated {
            Some(samples) => samples.get(),
            // Whoever wrote the stream did not know its length: it has to be decoded to be known.
            None => {
                let mut samples = 0;
                loop {
                    match next(path, &mut reader, 0, samples, |_| {})? {
                        Next::Samples(count) => samples += count,
                        Next::End => break samples,
                    }
                }
            }
        };
        Ok(Stream { samples })
    }

    /// One channel of a stream, in order.
    pub(crate) struct Channel<'a> {
        path: &'a Path,
        reader: Reader,
        channel: usize,
        next: u64,
        /// Whether the file broke off: what the decoder still holds is no block.
        is_over: bool,
    }

    impl<'a> Channel<'a> {
        /// Reads from sample `from` on. Without a table of places in the stream, what lies before is decoded.
        pub(crate) fn new(
            path: &'a Path,
            byte_offset: u64,
            channel: usize,
            from: u64,
        ) -> Result<Self, RecordError> {
            let mut new = Self {
                path,
                reader: start(path, byte_offset)?,
                channel,
                next: from,
                is_over: false,
            };
            match guarded(|| new.reader.seek(from)) {
                // One that ends before has nothing to read.
                Err(Error::InvalidSeek) => new.is_over = true,
                Err(error) if is_cut(&error) => new.is_over = true,
                Err(error) => return Err(fault(path, &format!("before sample {from}"), error)),
                Ok(()) => {}
            }
            Ok(new)
        }

        /// Gives the next block of samples to `take`.
        pub(crate) fn read(&mut self, take: impl FnMut(i32)) -> Result<Next, RecordError> {
            if self.is_over {
                return Ok(Next::End);
            }
            let read = next(self.path, &mut self.reader, self.channel, self.next, take)?;
            if let Next::Samples(count) = read {
                self.next += count;
            }
            Ok(read)
        }
    }

    thread_local! {
        /// Whether this thread is in the decoder, whose panics are errors and nothing to be told.
        static IN_DECODER: Cell<bool> = const { Cell::new(false) };
    }

    /// Calls the decoder. It panics on streams that no encoder writes, such as a block of fewer samples than its partitions; here
    /// they are refused, and the program's panic hook does not hear of them. Nobody reads on behind an error, so that it does not matter
    /// what the decoder has become.
    fn guarded<T>(decode: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
        static QUIET: Once = Once::new();
        QUIET.call_once(|| {
            let before = take_hook();
            set_hook(Box::new(move |info| {
                if !IN_DECODER.get() {
                    before(info);
                }
            }));
        });
        IN_DECODER.set(true);
        let decoded = catch_unwind(AssertUnwindSafe(decode));
        IN_DECODER.set(false);
        decoded.unwrap_or(Err(Error::InvalidSubframeHeader))
    }

    fn start(path: &Path, byte_offset: u64) -> Result<Reader, RecordError> {
        let mut file = disk::open(path).map_err(|cause| io(path, cause))?;
        file.seek(SeekFrom::Start(byte_offset))
            .map_err(|cause| io(path, cause))?;
        guarded(|| FlacChannelReader::new_seekable(BufReader::new(file)))
            .map_err(|error| fault(path, "before the first sample", error))
    }

    fn next(
        path: &Path,
        reader: &mut Reader,
        channel: usize,
        sample: u64,
        take: impl FnMut(i32),
    ) -> Result<Next, RecordError> {
        let count = match guarded(|| reader.fill_buf()) {
            Ok(channels) => {
                let samples = channels.get(channel).copied().unwrap_or_default();
                samples.iter().copied().for_each(take);
                samples.len()
            }
            Err(error) if is_cut(&error) => 0,
            Err(error) => return Err(fault(path, &format!("at sample {sample}"), error)),
        };
        reader.consume(count);
        Ok(match count {
            0 => Next::End,
            count => Next::Samples(count as u64),
        })
    }

    fn io(path: &Path, cause: std::io::Error) -> RecordError {
        RecordError::Io {
            path: path.to_owned(),
            cause,
        }
    }

    /// Whether a stream ends where the file does.
    fn is_cut(error: &Error) -> bool {
        matches!(error, Error::Io(cause) if cause.kind() == ErrorKind::UnexpectedEof)
    }

    fn fault(path: &Path, place: &str, error: Error) -> RecordError {
        match error {
            Error::Io(cause) if cause.kind() != ErrorKind::UnexpectedEof => io(path, cause),
            error => RecordError::Malformed {
                path: path.to_owned(),
                place: format!("FLAC stream, {place}"),
                found: error.to_string(),
                expected: "a FLAC stream, as signal formats 508, 516 and 524 have".to_owned(),
            },
        }
    }
}

#[cfg(not(feature = "flac"))]
mod absent {
    use super::{Next, Path, RecordError, Stream};
    use std::marker::PhantomData;

    pub(crate) fn open(path: &Path, _: u64, _: usize, _: u32) -> Result<Stream, RecordError> {
        Err(RecordError::NotBuilt {
            path: path.to_owned(),
            found: "a FLAC stream (signal format 508, 516 or 524)",
            feature: "flac",
        })
    }

    /// No channel of any stream.
    pub(crate) struct Channel<'a>(PhantomData<&'a ()>, std::convert::Infallible);

    impl<'a> Channel<'a> {
        pub(crate) fn new(path: &'a Path, _: u64, _: usize, _: u64) -> Result<Self, RecordError> {
            open(path, 0, 0, 0).map(|_| unreachable!("no stream opens"))
        }

        pub(crate) fn read(&mut self, _: impl FnMut(i32)) -> Result<Next, RecordError> {
            match self.1 {}
        }
    }
}
