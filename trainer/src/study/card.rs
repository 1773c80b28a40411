//! The tables of a model card, from the JSON of the verbs that measure.

use super::results::digits;
use heartlens_core::spec::UNSURE_MARGIN;
use serde_json::Value;

/// The tables of what `cross-validate` or `ablate` has written. `None` where it is neither's.
pub fn tables(metrics: &Value) -> Option<String> {
    let is_rhythm = |value: &Value| value.get("auc").is_some();
    let is_strip = |value: &Value| value.get("challenge_f1").is_some();
    match metrics.get("rows").and_then(Value::as_array) {
        Some(rows) if rows.first().is_some_and(is_strip) => strip_ablation_table(metrics),
        None if is_strip(metrics) => strip_table(metrics),
        Some(rows) if rows.first().is_some_and(is_rhythm) => rhythm_ablation_table(metrics),
        Some(_) => ablation_table(metrics),
        None if is_rhythm(metrics) => rhythm_table(metrics),
        None => beat_tables(metrics),
    }
}

/// Figures by database in Markdown, and the confusion of each. `None` where `metrics` lacks a key.
fn beat_tables(metrics: &Value) -> Option<String> {
    use std::fmt::Write;
    let seeds = metrics["seeds"].as_array()?;
    let mut text = format!(
        "First lead: {}. Decided by: {}.\n\n",
        metrics["first_lead"].as_str()?,
        metrics["context"].as_str()?
    );
    text += "| database | records | jk (each seed) | 95 % over patients | kappa | macro F1 N,S,V | S Se / +P / F1 | V Se / +P / F1 |\n\
         |---|---|---|---|---|---|---|---|\n";
    let databases = metrics["databases"].as_object()?;
    for (name, report) in databases {
        let jk: Vec<String> = seeds
            .iter()
            .map(|seed| rate(&seed["databases"][name]["jk"]))
            .collect();
        let interval = &report["intervals"]["figures"]["jk"];
        let class = |class: &str| {
            let rates = &report["classes"][class];
            format!(
                "{} / {} / {}",
                rate(&rates["se"]),
                rate(&rates["ppv"]),
                rate(&rates["f1"])
            )
        };
        writeln!(
            text,
            "| {name} | {} | {} ({}) | {} to {} | {} | {} | {} | {} |",
            report["records"].as_u64()?,
            rate(&report["jk"]),
            jk.join(", "),
            rate(&interval["low"]),
            rate(&interval["high"]),
            rate(&report["kappa"]),
            rate(&report["macro_f1_nsv"]),
            class("S"),
            class("V"),
        )
        .ok()?;
    }
    for (name, report) in databases {
        let labels = report["labels"].as_array()?;
        let labels: Vec<&str> = labels.iter().filter_map(Value::as_str).collect();
        write!(text, "\n| {name}, reference by prediction |").ok()?;
        for label in &labels {
            write!(text, " {label} |").ok()?;
        }
        writeln!(text, "\n|---|{}", "---:|".repeat(labels.len())).ok()?;
        for (label, row) in labels.iter().zip(report["confusion"].as_array()?) {
            write!(text, "| {label} |").ok()?;
            for cell in row.as_array()? {
                write!(text, " {} |", cell.as_u64()?).ok()?;
            }
            writeln!(text).ok()?;
        }
    }
    let variants = metrics["variants"]
        .as_array()
        .map_or(&[][..], Vec::as_slice);
    if !variants.is_empty() {
        text += "\n| database | R peaks | leads | what decides | jk (each seed) | macro F1 N,S,V | F1 of S | F1 of V |\n\
                 |---|---|---|---|---|---|---|---|\n";
    }
    for name in databases.keys() {
        for variant in variants {
            let figures = &variant["databases"][name];
            let jk: Vec<String> = figures["seeds"].as_array()?.iter().map(rate).collect();
            writeln!(
                text,
                "| {name} | {} | {} | {} | {} ({}) | {} | {} | {} |",
                variant["peaks"].as_str()?,
                variant["leads"].as_str().unwrap_or("first"),
                variant["context"].as_str()?,
                rate(&figures["jk"]),
                jk.join(", "),
                rate(&figures["macro_f1_nsv"]),
                rate(&figures["f1_s"]),
                rate(&figures["f1_v"]),
            )
            .ok()?;
        }
    }
    if let Some(calibration) = metrics["calibration"].as_object() {
        text += &certainty_table(calibration)?;
    }
    Some(text)
}

/// How far probabilities can be believed, in Markdown. `None` where `calibration` lacks a key.
fn certainty_table(calibration: &serde_json::Map<String, Value>) -> Option<String> {
    use std::fmt::Write;
    let mut text = format!(
        "\n| database | calibration error, temperature {:.2} | at temperature 1 | at that of the other folds | unsure | of these wrong | \
         wrong of all | of the sure ones |\n|---|---|---|---|---|---|---|---|\n",
        calibration["temperature"].as_f64()?
    );
    for (name, figures) in calibration["databases"].as_object()? {
        let curve = figures["curve"].as_array()?;
        let kept = |margin: f64| {
            let near = |point: &&Value| {
                let at = point["margin"].as_f64();
                at.is_some_and(|at| (at - margin).abs() < 1e-6)
            };
            Some(rate(&curve.iter().find(near)?["error"]))
        };
        writeln!(
            text,
            "| {name} | {} | {} | {} | {} | {} | {} | {} |",
            rate(&figures["ece"]),
            rate(&figures["ece_uncalibrated"]),
            rate(&figures["ece_by_other_folds"]),
            rate(&figures["unsure"]),
            rate(&figures["unsure_error"]),
            kept(0.0)?,
            kept(f64::from(UNSURE_MARGIN))?,
        )
        .ok()?;
    }
    Some(text)
}

/// Figures of the rhythm network in Markdown, each seed and all. `None` where `metrics` lacks a key.
fn rhythm_table(metrics: &Value) -> Option<String> {
    use std::fmt::Write;
    let mut text = String::from(
        "| seed | AUC | Se | +P | F1 | found | missed | false | others |\n|---|---|---|---|---|---:|---:|---:|---:|\n",
    );
    let mut row = |name: &str, figures: &Value| {
        let count = |key: &str| figures[key].as_u64();
        writeln!(
            text,
            "| {name} | {} | {} | {} | {} | {} | {} | {} | {} |",
            rate(&figures["auc"]),
            rate(&figures["se"]),
            rate(&figures["ppv"]),
            rate(&figures["f1"]),
            count("tp")?,
            count("fn")?,
            count("fp")?,
            count("tn")?,
        )
        .ok()
    };
    for seed in metrics["seeds"].as_array()? {
        row(&seed["seed"].as_u64()?.to_string(), seed)?;
    }
    row("all", metrics)?;
    Some(text)
}

/// Networks that differ in one thing, in Markdown: a line a network and database. `None` where `results` lacks a key.
pub fn ablation_table(results: &Value) -> Option<String> {
    use std::fmt::Write;
    let mut text = String::from(
        "| network | what | parameters | MAC a beat | database | jk (each seed) | F1 of S | F1 of V | jk less \
         that of all | SD over seeds |\n|---|---|---:|---:|---|---|---|---|---|---|\n",
    );
    for row in results["rows"].as_array()? {
        for (database, figures) in row["databases"].as_object()? {
            let jk: Vec<String> = figures["seeds"].as_array()?.iter().map(rate).collect();
            let difference = &figures["difference"];
            let mean = difference["mean"].as_f64();
            writeln!(
                text,
                "| {} | {} | {} | {} | {database} | {} ({}) | {} | {} | {} | {} |",
                row["name"].as_str()?,
                row["what"].as_str()?,
                row["parameters"].as_u64()?,
                row["macs"].as_u64()?,
                rate(&figures["jk"]),
                jk.join(", "),
                rate(&figures["f1_s"]),
                rate(&figures["f1_v"]),
                mean.map_or_else(|| "-".to_owned(), |mean| format!("{mean:+.3}")),
                rate(&difference["deviation"]),
            )
            .ok()?;
        }
    }
    Some(text)
}

/// Rhythm networks that differ in one thing, in Markdown. `None` where `results` lacks a key.
pub fn rhythm_ablation_table(results: &Value) -> Option<String> {
    use std::fmt::Write;
    let mut text = String::from(
        "| network | what | parameters | AUC | Se | +P | F1 (each seed) | F1 less that of all | SD over seeds |\n\
         |---|---|---:|---|---|---|---|---|---|\n",
    );
    for row in results["rows"].as_array()? {
        let f1: Vec<String> = row["seeds"].as_array()?.iter().map(rate).collect();
        let difference = &row["difference"];
        let mean = difference["mean"].as_f64();
        writeln!(
            text,
            "| {} | {} | {} | {} | {} | {} | {} ({}) | {} | {} |",
            row["name"].as_str()?,
            row["what"].as_str()?,
            row["parameters"].as_u64()?,
            rate(&row["auc"]),
            rate(&row["se"]),
            rate(&row["ppv"]),
            rate(&row["f1"]),
            f1.join(", "),
            mean.map_or_else(|| "-".to_owned(), |mean| format!("{mean:+.3}")),
            rate(&difference["deviation"]),
        )
        .ok()?;
    }
    Some(text)
}

/// Figures of the strip network in Markdown: each seed and all, and how often each class was taken for each. `None` where
/// `metrics` lacks a key.
fn strip_table(metrics: &Value) -> Option<String> {
    use std::fmt::Write;
    let mut text = String::from(
        "| seed | F1 of N | A | O | ~ | mean of N, A, O |\n|---|---|---|---|---|---|\n",
    );
    let mut row = |name: &str, figures: &Value| {
        let f1 = |label: &str| rate(&figures["f1"][label]);
        let (n, a, o, noise) = (f1("N"), f1("A"), f1("O"), f1("~"));
        let mean = rate(&figures["challenge_f1"]);
        writeln!(text, "| {name} | {n} | {a} | {o} | {noise} | {mean} |").ok()
    };
    for seed in metrics["seeds"].as_array()? {
        row(&seed["seed"].as_u64()?.to_string(), seed)?;
    }
    row("all", metrics)?;
    text += "\n| labelled | taken for N | A | O | ~ |\n|---|---:|---:|---:|---:|\n";
    let labels = metrics["labels"].as_array()?;
    for (label, row) in labels.iter().zip(metrics["confusion"].as_array()?) {
        let counts = row.as_array()?.iter().map(|count| count.to_string());
        let counts: Vec<String> = counts.collect();
        writeln!(text, "| {} | {} |", label.as_str()?, counts.join(" | ")).ok()?;
    }
    Some(text)
}

/// Strip networks that differ in one thing, in Markdown. `None` where `results` lacks a key.
pub fn strip_ablation_table(results: &Value) -> Option<String> {
    use std::fmt::Write;
    let mut text = String::from(
        "| network | what | parameters | MAC a window | N | A | O | ~ | mean of N, A, O (each seed) | less that of all | SD over \
         seeds |\n|---|---|---:|---:|---|---|---|---|---|---|---|\n",
    );
    for row in results["rows"].as_array()? {
        let seeds: Vec<String> = row["seeds"].as_array()?.iter().map(rate).collect();
        let difference = &row["difference"];
        let mean = difference["mean"].as_f64();
        let f1 = |label: &str| rate(&row["f1"][label]);
        writeln!(
            text,
            "| {} | {} | {} | {} | {} | {} | {} | {} | {} ({}) | {} | {} |",
            row["name"].as_str()?,
            row["what"].as_str()?,
            row["parameters"].as_u64()?,
            row["macs"].as_u64()?,
            f1("N"),
            f1("A"),
            f1("O"),
            f1("~"),
            rate(&row["challenge_f1"]),
            seeds.join(", "),
            mean.map_or_else(|| "-".to_owned(), |mean| format!("{mean:+.3}")),
            rate(&difference["deviation"]),
        )
        .ok()?;
    }
    Some(text)
}

/// A rate to three digits, `-` where it is null.
fn rate(value: &Value) -> String {
    digits(value.as_f64())
}
