//! How WFDB signal files store a sample: decoded and encoded. Source: WFDB Applications Guide, `signal(5)`.
//!
//! The samples of signals that share a file are interleaved, frame by frame: the first signal's samples of the frame,
//! then the next signal's. A format that packs several samples into a unit of bytes packs on across signals and frames.

/// How a WFDB signal file stores a sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Format 8: the difference from the sample before, one byte, two's complement. The first one's predecessor is
    /// the initial value in the header.
    Difference8,
    /// Format 16: two bytes, little-endian, two's complement.
    Bits16,
    /// Format 24: three bytes, little-endian, two's complement.
    Bits24,
    /// Format 32: four bytes, little-endian, two's complement.
    Bits32,
    /// Format 61: two bytes, big-endian, two's complement.
    BigEndian16,
    /// Format 80: one byte, offset binary.
    Offset8,
    /// Format 160: two bytes, little-endian, offset binary.
    Offset16,
    /// Format 212: 12 bits, two's complement, two samples in three bytes.
    Bits12,
    /// Format 310: 10 bits, two's complement, three samples in four bytes: two little-endian words, bits 1 to 10 of each
    /// the first two samples, the third in bits 11 to 15 of both.
    Bits10InWords,
    /// Format 311: 10 bits, two's complement, three samples in bits 0 to 29 of four bytes, little-endian.
    Bits10,
    /// Format 508: a FLAC stream of up to 8 signals, of at most 8 bits.
    Flac8,
    /// Format 516: the same, of at most 16 bits.
    Flac16,
    /// Format 524: the same, of at most 24 bits.
    Flac24,
}

impl Format {
    /// Every format whose samples lie in the file as they are; the others are compressed.
    pub const PLAIN: [Self; 10] = [
        Self::Difference8,
        Self::Bits16,
        Self::Bits24,
        Self::Bits32,
        Self::BigEndian16,
        Self::Offset8,
        Self::Offset16,
        Self::Bits12,
        Self::Bits10InWords,
        Self::Bits10,
    ];

    /// The formats that are FLAC streams. They are read with feature `flac`, and not written.
    pub const FLAC: [Self; 3] = [Self::Flac8, Self::Flac16, Self::Flac24];

    /// The format with this WFDB number, or `None` where there is none.
    pub fn from_number(number: u16) -> Option<Self> {
        let mut all = Self::PLAIN.into_iter().chain(Self::FLAC);
        all.find(|f| f.number() == number)
    }

    /// Whether the file is a FLAC stream.
    pub const fn is_flac(self) -> bool {
        matches!(self, Self::Flac8 | Self::Flac16 | Self::Flac24)
    }

    /// The format's WFDB number.
    pub const fn number(self) -> u16 {
        match self {
            Self::Difference8 => 8,
            Self::Bits16 => 16,
            Self::Bits24 => 24,
            Self::Bits32 => 32,
            Self::BigEndian16 => 61,
            Self::Offset8 => 80,
            Self::Offset16 => 160,
            Self::Bits12 => 212,
            Self::Bits10InWords => 310,
            Self::Bits10 => 311,
            Self::Flac8 => 508,
            Self::Flac16 => 516,
            Self::Flac24 => 524,
        }
    }

    /// The smallest and the largest count that means an amplitude.
    pub const fn range(self) -> (i32, i32) {
        let bits = match self {
            // Sums of differences: only the header's 32-bit counts bound them.
            Self::Difference8 | Self::Bits32 => 32,
            Self::Bits24 | Self::Flac24 => 24,
            Self::Bits16 | Self::BigEndian16 | Self::Offset16 | Self::Flac16 => 16,
            Self::Bits12 => 12,
            Self::Bits10InWords | Self::Bits10 => 10,
            Self::Offset8 | Self::Flac8 => 8,
        };
        let high = i32::MAX >> (32 - bits);
        (-high, high)
    }

    /// The count that means "no valid sample here": the one below the range. Format 8 can hardly store it.
    pub const fn invalid(self) -> i32 {
        self.range().0 - 1
    }

    /// Samples that are packed together, and the bytes that they take; of a FLAC stream, unpacked.
    pub(super) const fn unit(self) -> (usize, usize) {
        match self {
            Self::Difference8 | Self::Offset8 | Self::Flac8 => (1, 1),
            Self::Bits16 | Self::BigEndian16 | Self::Offset16 | Self::Flac16 => (1, 2),
            Self::Bits24 | Self::Flac24 => (1, 3),
            Self::Bits32 => (1, 4),
            Self::Bits12 => (2, 3),
            Self::Bits10InWords | Self::Bits10 => (3, 4),
        }
    }

    /// Bytes of a unit that its first `n` samples need.
    const fn bytes_of_part(self, n: u64) -> u64 {
        match (self, n) {
            (_, 0) => 0,
            (Self::Bits10InWords, 2) => 4,
            (Self::Bits10, 2) => 3,
            // The first of two or three.
            _ => 2,
        }
    }

    /// How many whole samples `bytes` hold.
    pub(super) const fn samples_in(self, bytes: u64) -> u64 {
        let (samples, size) = self.unit();
        let (samples, size) = (samples as u64, size as u64);
        let rest = bytes % size;
        let mut part = samples - 1;
        while part > 0 && self.bytes_of_part(part) > rest {
            part -= 1;
        }
        bytes / size * samples + part
    }

    /// The bytes that `samples` take, saturating.
    pub(super) const fn bytes_of(self, samples: u64) -> u64 {
        let (unit, size) = self.unit();
        (samples / unit as u64)
            .saturating_mul(size as u64)
            .saturating_add(self.bytes_of_part(samples % unit as u64))
    }

    /// What `bytes`, which must hold it whole, store as sample `n`: the sample, or in format 8 its difference.
    pub(super) fn decode(self, bytes: &[u8], n: usize) -> i32 {
        let (samples, size) = self.unit();
        let unit = &bytes[n / samples * size..];
        let word = |at: usize| u16::from_le_bytes([unit[at], unit[at + 1]]);
        match self {
            Self::Difference8 | Self::Flac8 => i32::from(unit[0].cast_signed()),
            Self::Offset8 => i32::from(unit[0]) - 0x80,
            Self::Bits16 | Self::Flac16 => word(0).cast_signed().into(),
            Self::BigEndian16 => i16::from_be_bytes([unit[0], unit[1]]).into(),
            Self::Offset16 => i32::from(word(0)) - 0x8000,
            Self::Bits24 | Self::Flac24 => {
                sign_extended(u32::from(word(0)) | u32::from(unit[2]) << 16, 24)
            }
            Self::Bits32 => i32::from_le_bytes([unit[0], unit[1], unit[2], unit[3]]),
            Self::Bits12 => {
                let bits = if n.is_multiple_of(2) {
                    u32::from(unit[1] & 0x0f) << 8 | u32::from(unit[0])
                } else {
                    u32::from(unit[1] & 0xf0) << 4 | u32::from(unit[2])
                };
                sign_extended(bits, 12)
            }
            Self::Bits10InWords => {
                let bits = match n % 3 {
                    0 => word(0) >> 1,
                    1 => word(2) >> 1,
                    _ => word(0) >> 11 | (word(2) >> 11) << 5,
                };
                sign_extended(bits.into(), 10)
            }
            Self::Bits10 => {
                let bits = match n % 3 {
                    0 => u32::from(word(0)),
                    1 => u32::from(word(1) >> 2),
                    _ => u32::from(word(2) >> 4),
                };
                sign_extended(bits, 10)
            }
        }
    }

    /// Packs what [`Format::decode`] gives into `bytes`, which end with sample `n - 1`. `value` fits the format.
    fn push(self, bytes: &mut Vec<u8>, n: usize, value: i32) {
        let (samples, size) = self.unit();
        // The unit's first sample brings its bytes along; those that no sample needs are cut off at the end.
        if n.is_multiple_of(samples) {
            bytes.resize(bytes.len() + size, 0);
        }
        let at = bytes.len() - size;
        let unit = &mut bytes[at..];
        let mut set = |bits: u32| {
            let mut padded = [0; 4];
            padded[..size].copy_from_slice(unit);
            let filled = u32::from_le_bytes(padded) | bits;
            unit.copy_from_slice(&filled.to_le_bytes()[..size]);
        };
        let low = |bits: u32| value.cast_unsigned() & (u32::MAX >> (32 - bits));
        match self {
            Self::Difference8 | Self::Flac8 => set(low(8)),
            Self::Offset8 => set((value + 0x80).cast_unsigned()),
            Self::Bits16 | Self::Flac16 => set(low(16)),
            Self::BigEndian16 => set(low(16).swap_bytes() >> 16),
            Self::Offset16 => set((value + 0x8000).cast_unsigned()),
            Self::Bits24 | Self::Flac24 => set(low(24)),
            Self::Bits32 => set(low(32)),
            Self::Bits12 if n.is_multiple_of(2) => set(low(12)),
            Self::Bits12 => set((low(12) & 0xf00) << 4 | (low(12) & 0xff) << 16),
            Self::Bits10InWords => set(match n % 3 {
                0 => low(10) << 1,
                1 => low(10) << 17,
                _ => (low(10) & 0x1f) << 11 | (low(10) >> 5) << 27,
            }),
            Self::Bits10 => set(low(10) << (n % 3 * 10)),
        }
    }

    /// The content of a signal file that holds `leads`, all of one length and with one sample a frame, each count within
    /// [`Format::range`] or [`Format::invalid`]. Counts beyond are clamped to the range. In format 8 each lead's
    /// initial value is its first count, and a lead that rises or falls by more than 127 counts a sample lags behind.
    /// The samples of a FLAC format are not compressed: nothing reads them so.
    pub fn encode(self, leads: &[&[i32]]) -> Vec<u8> {
        let len = leads.iter().map(|lead| lead.len()).min().unwrap_or(0);
        let (low, high) = self.range();
        let samples = len * leads.len();
        let mut stored: Vec<i32> = leads
            .iter()
            .map(|lead| lead.first().copied().unwrap_or(0))
            .collect();
        let mut bytes = Vec::with_capacity(self.bytes_of(samples as u64) as usize + 4);
        for k in 0..len {
            for (i, lead) in leads.iter().enumerate() {
                let count = match lead[k] {
                    count if count == self.invalid() => count,
                    count => count.clamp(low, high),
                };
                let value = match self {
                    Self::Difference8 => count.saturating_sub(stored[i]).clamp(-127, 127),
                    _ => count,
                };
                stored[i] = stored[i].saturating_add(value);
                self.push(&mut bytes, k * leads.len() + i, value);
            }
        }
        bytes.truncate(self.bytes_of(samples as u64) as usize);
        bytes
    }
}

/// The lowest `width` bits as a number in two's complement.
fn sign_extended(bits: u32, width: u32) -> i32 {
    (bits << (32 - width)).cast_signed() >> (32 - width)
}

/// The sum of all samples modulo 2^16, as a header's checksum states it.
pub fn checksum(counts: &[i32]) -> i16 {
    counts
        .iter()
        .fold(0_i16, |sum, &count| sum.wrapping_add(count as i16))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn numbers_ranges_and_invalid_counts() {
        for format in Format::PLAIN.into_iter().chain(Format::FLAC) {
            assert_eq!(Format::from_number(format.number()), Some(format));
        }
        assert_eq!(Format::from_number(0), None);
        assert_eq!(Format::from_number(532), None);
        assert_eq!(Format::Bits12.range(), (-2047, 2047));
        assert_eq!(Format::Bits16.invalid(), -32768);
        assert_eq!(Format::Bits24.invalid(), -8_388_608);
        assert_eq!(Format::Bits32.invalid(), i32::MIN);
        assert_eq!(Format::Bits10.invalid(), -512);
        assert_eq!(Format::Offset8.invalid(), -128);
    }

    #[test]
    fn parts_of_a_unit_hold_whole_samples_only() {
        let counted = |format: Format| (0..=8).map(move |bytes| format.samples_in(bytes));
        assert!(counted(Format::Bits12).eq([0, 0, 1, 2, 2, 3, 4, 4, 5]));
        assert!(counted(Format::Bits10InWords).eq([0, 0, 1, 1, 3, 3, 4, 4, 6]));
        assert!(counted(Format::Bits10).eq([0, 0, 1, 2, 3, 3, 4, 5, 6]));
        assert!(counted(Format::Bits24).eq([0, 0, 0, 1, 1, 1, 2, 2, 2]));
        assert_eq!(Format::Bits32.bytes_of(u64::MAX), u64::MAX);
    }

    fn format_and_leads() -> impl Strategy<Value = (Format, Vec<Vec<i32>>)> {
        let format = prop::sample::select(Format::PLAIN.to_vec());
        (format, 1..4_usize, 0..20_usize).prop_flat_map(|(format, leads, len)| {
            let (low, high) = match format {
                Format::Difference8 => (-60, 60),
                _ => format.range(),
            };
            let counts = prop_oneof![low..=high, Just(low), Just(high)];
            let lead = prop::collection::vec(counts, len);
            (Just(format), prop::collection::vec(lead, leads))
        })
    }

    proptest! {
        #[test]
        fn what_is_encoded_is_decoded((format, leads) in format_and_leads()) {
            let slices: Vec<&[i32]> = leads.iter().map(Vec::as_slice).collect();
            let bytes = format.encode(&slices);
            let samples = (leads.len() * leads[0].len()) as u64;
            prop_assert_eq!(bytes.len() as u64, format.bytes_of(samples));
            prop_assert!(format.samples_in(bytes.len() as u64) >= samples);
            for (i, lead) in leads.iter().enumerate() {
                let mut before = lead.first().copied().unwrap_or(0);
                for (k, &count) in lead.iter().enumerate() {
                    let mut found = format.decode(&bytes, k * leads.len() + i);
                    if format == Format::Difference8 {
                        found += before;
                        before = found;
                    }
                    prop_assert_eq!(found, count);
                }
            }
        }
    }
}
