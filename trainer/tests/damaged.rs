//! Configs and checkpoints that were damaged: refused by name, or read as something that is whole. A fuzzer without coverage, since
//! libtorch is not built with counters; the numbers are the same in each run.
#![allow(clippy::unwrap_used)]

use heartlens_trainer::config::Config;
use heartlens_trainer::fit::checkpoint::Checkpoint;
use heartlens_trainer::fit::device::Precision;
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use std::path::Path;
use tch::Tensor;

/// Words that stand where a number, a name or a bracket stood.
const WORDS: [&str; 14] = [
    "0",
    "-1",
    "1e308",
    "nan",
    "inf",
    "99999999999999999999",
    "-0.0",
    "true",
    "\"\"",
    "[]",
    "{}",
    "[[",
    "=",
    "\u{fffd}",
];

/// The bytes with some of them changed, cut out, put in or said twice.
fn damaged(bytes: &[u8], rng: &mut ChaCha8Rng) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for _ in 0..rng.random_range(1..4) {
        if bytes.is_empty() {
            break;
        }
        let from = rng.random_range(0..bytes.len());
        let to = (from + rng.random_range(1..20)).min(bytes.len());
        match rng.random_range(0..6) {
            0 => bytes[from] ^= 1 << rng.random_range(0..8),
            1 => drop(bytes.drain(from..to)),
            2 => bytes.truncate(from),
            3 => {
                let again = bytes[from..to].to_vec();
                bytes.splice(from..from, again);
            }
            4 => {
                let word = WORDS[rng.random_range(0..WORDS.len())];
                bytes.splice(from..to, word.bytes());
            }
            // Where a number or a word begins.
            _ => {
                let begins = |pair: &[u8]| {
                    !pair[0].is_ascii_alphanumeric() && pair[1].is_ascii_alphanumeric()
                };
                if let Some(place) = bytes[from..].windows(2).position(begins) {
                    let at = from + place + 1;
                    let rest = bytes[at..].iter();
                    let len = rest
                        .take_while(|b| b.is_ascii_alphanumeric() || **b == b'.')
                        .count();
                    let word = WORDS[rng.random_range(0..WORDS.len())];
                    bytes.splice(at..at + len, word.bytes());
                }
            }
        }
    }
    bytes
}

#[test]
fn damaged_configs_are_refused_by_name_or_are_configs() {
    let mut rng = ChaCha8Rng::seed_from_u64(19);
    let models = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models");
    for (name, most) in [
        ("beat/config.toml", 3_000),
        ("beat/challenge-2021.toml", 300),
        ("rhythm/config.toml", 3_000),
        ("strip/config.toml", 3_000),
    ] {
        let whole = std::fs::read(models.join(name)).unwrap();
        let (mut read, mut refused) = (0, 0);
        for _ in 0..most {
            let bytes = damaged(&whole, &mut rng);
            let text = String::from_utf8_lossy(&bytes);
            match Config::parse(&text, Path::new("changed.toml")) {
                Ok(config) => {
                    let again = Config::parse(&config.text(), Path::new("again.toml"));
                    assert_eq!(again.unwrap().text(), config.text(), "{text}");
                    read += 1;
                }
                Err(error) => {
                    let said = error.to_string();
                    assert!(said.contains("changed.toml"), "{said}");
                    refused += 1;
                }
            }
        }
        assert!(
            read > most / 50 && refused > most / 4,
            "{name}: {read}, {refused}"
        );
    }
}

#[test]
fn damaged_checkpoints_are_refused_by_name_or_are_checkpoints() {
    let mut rng = ChaCha8Rng::seed_from_u64(20);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("last.safetensors");
    let models = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models");
    let config = Config::read(&models.join("strip/config.toml")).unwrap();
    let mut checkpoint = Checkpoint::new(config, 3, Precision::F32, &path);
    for (name, shape) in [
        ("weights.a", &[2_i64, 3][..]),
        ("average.a", &[2, 3]),
        ("probe.x", &[7]),
    ] {
        let len = shape.iter().product::<i64>();
        let tensor = Tensor::arange(len, (tch::Kind::Float, tch::Device::Cpu)).reshape(shape);
        checkpoint.tensors.insert(name.to_owned(), tensor);
    }
    checkpoint.write().unwrap();
    let whole = std::fs::read(&path).unwrap();
    assert_eq!(Checkpoint::read(&path).unwrap().step, 3);
    let (mut read, mut refused) = (0, 0);
    for _ in 0..3_000 {
        std::fs::write(&path, damaged(&whole, &mut rng)).unwrap();
        match Checkpoint::read(&path) {
            Ok(found) => {
                assert!(found.tensors.len() <= 3);
                read += 1;
            }
            Err(error) => {
                let said = error.to_string();
                assert!(said.contains("last.safetensors"), "{said}");
                refused += 1;
            }
        }
    }
    assert!(read > 20 && refused > 1_000, "{read}, {refused}");
}
