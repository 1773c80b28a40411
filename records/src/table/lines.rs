//! A text file line by line, in whatever encoding and with whatever line ends it has.

use super::{TableFault, fault};
use crate::RecordError;
use crate::disk::{self, File};
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::Path;

/// The longest line that is read, in bytes.
pub(super) const MAX_LINE_BYTES: usize = 1 << 20;

/// Bytes at a file's beginning that its encoding and line ends are told from.
const TOLD_FROM_BYTES: u64 = 1 << 16;

/// How a file's bytes are text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Encoding {
    unit: Unit,
    /// The byte, or the low byte, that ends a line: a line feed, or a carriage return where there is no line feed.
    end: u8,
    /// Bytes of the mark that the file begins with.
    mark: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unit {
    /// UTF-8, or Latin-1 in lines that are no UTF-8.
    Byte,
    LittleEndian,
    BigEndian,
}

impl Encoding {
    /// Tells it from the file's first bytes.
    fn of(bytes: &[u8]) -> Self {
        let (unit, mark) = match bytes {
            [0xff, 0xfe, ..] => (Unit::LittleEndian, 2),
            [0xfe, 0xff, ..] => (Unit::BigEndian, 2),
            [0xef, 0xbb, 0xbf, ..] => (Unit::Byte, 3),
            // UTF-16 without a mark: a table begins with ASCII.
            [1..=0x7f, 0, 1..=0x7f, 0, ..] => (Unit::LittleEndian, 0),
            [0, 1..=0x7f, 0, 1..=0x7f, ..] => (Unit::BigEndian, 0),
            _ => (Unit::Byte, 0),
        };
        let has = |wanted: u8| match unit {
            Unit::Byte => bytes.contains(&wanted),
            Unit::LittleEndian => bytes.chunks_exact(2).any(|pair| pair == [wanted, 0]),
            Unit::BigEndian => bytes.chunks_exact(2).any(|pair| pair == [0, wanted]),
        };
        let end = if !has(b'\n') && has(b'\r') {
            b'\r'
        } else {
            b'\n'
        };
        Self { unit, end, mark }
    }
}

/// Reads a file's lines in order.
#[derive(Debug)]
pub(super) struct Lines<'a> {
    path: &'a Path,
    file: BufReader<File>,
    encoding: Encoding,
    /// Where the next line begins: byte, and line from 1.
    next: (u64, u64),
    bytes: Vec<u8>,
    /// The line that was read last, without its end.
    pub(super) text: String,
    /// Where it begins.
    pub(super) place: (u64, u64),
    /// Whether something ends it.
    pub(super) is_ended: bool,
}

impl<'a> Lines<'a> {
    /// From the file's beginning on; tells its encoding.
    pub(super) fn begin(path: &'a Path) -> Result<Self, RecordError> {
        let file = open(path)?;
        let mut head = Vec::new();
        file.take(TOLD_FROM_BYTES)
            .read_to_end(&mut head)
            .map_err(|cause| io_error(path, cause))?;
        let encoding = Encoding::of(&head);
        Self::at(path, encoding, (encoding.mark, 1))
    }

    /// From a place on that was one of [`Lines::place`].
    pub(super) fn at(
        path: &'a Path,
        encoding: Encoding,
        next: (u64, u64),
    ) -> Result<Self, RecordError> {
        let mut file = open(path)?;
        file.seek(SeekFrom::Start(next.0))
            .map_err(|cause| io_error(path, cause))?;
        Ok(Self {
            path,
            file: BufReader::with_capacity(1 << 16, file),
            encoding,
            next,
            bytes: Vec::new(),
            text: String::new(),
            place: next,
            is_ended: true,
        })
    }

    pub(super) fn encoding(&self) -> Encoding {
        self.encoding
    }

    /// Reads the next line, if there is one.
    pub(super) fn next(&mut self) -> Result<bool, RecordError> {
        self.bytes.clear();
        let read = match self.encoding.unit {
            Unit::Byte => self.read_bytes(),
            Unit::LittleEndian | Unit::BigEndian => self.read_pairs(),
        };
        self.is_ended = read.map_err(|cause| io_error(self.path, cause))?;
        self.place = self.next;
        self.next.0 += self.bytes.len() as u64;
        self.next.1 += 1;
        if self.bytes.len() > MAX_LINE_BYTES {
            return Err(fault(self.path, self.place.1, TableFault::LineTooLong));
        }
        let more = !self.bytes.is_empty();
        self.decode();
        Ok(more)
    }

    /// Reads up to a line's end, or as much as shows that it is too long. Says whether the end is there.
    fn read_bytes(&mut self) -> std::io::Result<bool> {
        let limit = MAX_LINE_BYTES as u64 + 1;
        let mut limited = self.file.by_ref().take(limit);
        limited.read_until(self.encoding.end, &mut self.bytes)?;
        Ok(self.bytes.last() == Some(&self.encoding.end))
    }

    fn read_pairs(&mut self) -> std::io::Result<bool> {
        while self.bytes.len() <= MAX_LINE_BYTES {
            let mut pair = [0; 2];
            let mut limited = self.file.by_ref().take(2);
            let mut filled = 0;
            while filled < 2 {
                match limited.read(&mut pair[filled..])? {
                    0 => break,
                    n => filled += n,
                }
            }
            self.bytes.extend_from_slice(&pair[..filled]);
            if filled < 2 {
                return Ok(false);
            }
            if self.encoding.pair(pair) == u16::from(self.encoding.end) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn decode(&mut self) {
        self.text.clear();
        match self.encoding.unit {
            Unit::Byte => match std::str::from_utf8(&self.bytes) {
                Ok(text) => self.text.push_str(text),
                // It mostly is Latin-1 then (a micro sign).
                Err(_) => self.text.extend(self.bytes.iter().map(|&b| char::from(b))),
            },
            _ => {
                let pairs = self.bytes.chunks_exact(2);
                let units = pairs.map(|pair| self.encoding.pair([pair[0], pair[1]]));
                let chars = char::decode_utf16(units);
                self.text
                    .extend(chars.map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER)));
            }
        }
        let len = self.text.trim_end_matches(['\n', '\r']).len();
        self.text.truncate(len);
    }
}

impl Encoding {
    fn pair(self, pair: [u8; 2]) -> u16 {
        match self.unit {
            Unit::BigEndian => u16::from_be_bytes(pair),
            _ => u16::from_le_bytes(pair),
        }
    }
}

fn open(path: &Path) -> Result<File, RecordError> {
    disk::open(path).map_err(|cause| match cause.kind() {
        std::io::ErrorKind::NotFound => RecordError::NoSuchRecord {
            path: path.to_owned(),
            expected: "a CSV file there",
        },
        _ => io_error(path, cause),
    })
}

fn io_error(path: &Path, cause: std::io::Error) -> RecordError {
    RecordError::Io {
        path: path.to_owned(),
        cause,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn lines(bytes: &[u8]) -> Vec<(String, u64)> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t");
        std::fs::write(&path, bytes).unwrap();
        let mut lines = Lines::begin(&path).unwrap();
        let mut found = Vec::new();
        while lines.next().unwrap() {
            found.push((lines.text.clone(), lines.place.0));
            // Any line is found again by its place.
            let mut again = Lines::at(&path, lines.encoding(), lines.place).unwrap();
            assert!(again.next().unwrap());
            assert_eq!((&again.text, again.place), (&lines.text, lines.place));
        }
        found
    }

    fn utf16(text: &str, bytes: fn(u16) -> [u8; 2]) -> Vec<u8> {
        text.encode_utf16().flat_map(bytes).collect()
    }

    #[test]
    fn line_ends_and_encodings() {
        let expected = |places: [u64; 3]| {
            let texts = ["a,\u{b5}V", "", "c"];
            let pairs = texts.into_iter().zip(places);
            pairs.map(|(t, p)| (t.to_owned(), p)).collect::<Vec<_>>()
        };
        assert_eq!(lines("a,\u{b5}V\n\nc\n".as_bytes()), expected([0, 6, 7]));
        assert_eq!(lines("a,\u{b5}V\r\n\r\nc".as_bytes()), expected([0, 7, 9]));
        assert_eq!(lines("a,\u{b5}V\r\rc".as_bytes()), expected([0, 6, 7]));
        assert_eq!(
            lines("\u{feff}a,\u{b5}V\n\nc\n".as_bytes()),
            expected([3, 9, 10])
        );
        assert_eq!(lines(b"a,\xb5V\n\nc\n"), expected([0, 5, 6]));
        let marked = "\u{feff}a,\u{b5}V\r\n\r\nc\r\n";
        for bytes in [u16::to_le_bytes, u16::to_be_bytes] {
            assert_eq!(lines(&utf16(marked, bytes)), expected([2, 14, 18]));
            assert_eq!(
                lines(&utf16("a,\u{b5}V\r\rc", bytes)),
                expected([0, 10, 12])
            );
        }
        // U+0A00 holds the byte of a line feed, and ends no line.
        let odd = utf16("\u{feff}ab\u{a00}c\n", u16::to_le_bytes);
        assert_eq!(lines(&odd), [("ab\u{a00}c".to_owned(), 2)]);
        assert_eq!(lines(b""), []);
    }
}
