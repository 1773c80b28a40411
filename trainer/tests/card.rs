//! The cards say what the measurements say: every table of a card is what `heartlens-train card` prints of the JSON beside it.
#![allow(clippy::unwrap_used)]

use heartlens_trainer::study::card::tables;
use std::path::{Path, PathBuf};

fn models() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../models")
}

fn read(name: &str) -> String {
    std::fs::read_to_string(models().join(name)).unwrap()
}

/// What `card` prints of this JSON.
fn printed(name: &str) -> String {
    let metrics = serde_json::from_str(&read(name)).unwrap();
    tables(&metrics).unwrap()
}

#[test]
fn the_cards_hold_the_tables_of_their_measurements() {
    for (card, metrics) in [
        ("beat/card.md", "beat/metrics.json"),
        ("beat/card.md", "beat/ablation.json"),
        ("rhythm/card.md", "rhythm/metrics.json"),
        ("strip/card.md", "strip/metrics.json"),
    ] {
        let text = printed(metrics);
        assert!(
            text.lines().count() > 4 && read(card).contains(&text),
            "{card} does not hold what `heartlens-train card --metrics models/{metrics}` prints:\n{text}"
        );
    }
    // Of a training on one data base the card has the table of what decides.
    for (metrics, judged) in [
        ("beat/across.json", "svdb"),
        ("beat/across-svdb.json", "mitdb"),
    ] {
        let text = printed(metrics);
        let row = format!("| {judged} | reference | first | network alone |");
        let variants = text.split("\n\n").find(|table| table.contains(&row));
        let variants = variants.unwrap().trim_end();
        assert!(
            read("beat/card.md").contains(variants),
            "beat/card.md does not hold the table of what decides of {metrics}:\n{variants}"
        );
    }
}

/// What the documents say of the alike rule: with one lead it gains in every test.
#[test]
fn the_alike_rule_gains_in_every_test_with_one_lead() {
    let mut tests = 0;
    for name in [
        "beat/metrics.json",
        "beat/across.json",
        "beat/across-svdb.json",
    ] {
        let metrics: serde_json::Value = serde_json::from_str(&read(name)).unwrap();
        let variants = metrics["variants"].as_array().unwrap();
        for peaks in ["reference", "detected"] {
            let jk = |context: &str, database: &str| {
                let of = |variant: &&serde_json::Value| {
                    variant["context"] == context
                        && variant["peaks"] == peaks
                        && variant["leads"] == "first"
                };
                let variant = variants.iter().find(of).unwrap();
                variant["databases"][database]["jk"].as_f64().unwrap()
            };
            for database in metrics["databases"].as_object().unwrap().keys() {
                let (alike, strip) = (
                    jk("strip and alike rule", database),
                    jk("strip rule", database),
                );
                assert!(
                    alike > strip,
                    "{name}, {database}, {peaks}: {alike} {strip}"
                );
                tests += 1;
            }
        }
    }
    assert_eq!(tests, 14);
}

/// Training and scoring take MLII where a record has it, which is not lead 0 of record 114: the card says so.
#[test]
fn the_card_names_the_lead_that_is_judged() {
    let card = read("beat/card.md");
    assert!(card.contains("First lead: MLII where the record has it, else its first lead."));
    assert!(!card.contains("held-out records, lead 0,"));
}

/// Summaries and splits are kept beside a model, and no figures of single records.
#[test]
fn measurements_are_summaries() {
    for name in [
        "beat/metrics.json",
        "beat/across.json",
        "beat/across-svdb.json",
    ] {
        let text = read(name);
        assert!(!text.contains("per_record"), "{name}");
        let lines = text.lines().count();
        assert!(lines < 2_000, "{name} has {lines} lines");
    }
}
