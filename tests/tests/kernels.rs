//! The integer kernels in QEMU: the Cortex-M4's fast twins give the bits of the portable kernels, within their budget of
//! instructions. `cargo run --release --bin kernels` in `firmware` prints the same.

use heartlens_tests::{root, skipped_without_qemu};
use std::collections::HashMap;
use std::ops::RangeInclusive;
use std::process::Command;
use std::sync::OnceLock;

type Result<T = (), E = Box<dyn std::error::Error>> = std::result::Result<T, E>;

/// One line of the log: its first word, and `name=value` for all others.
struct Line {
    kind: String,
    fields: HashMap<String, String>,
}

impl Line {
    fn parse(line: &str) -> Option<Self> {
        let mut words = line.split(' ');
        let kind = words.next()?.to_owned();
        let fields = words
            .map(|word| word.split_once('='))
            .map(|field| field.map(|(name, value)| (name.to_owned(), value.to_owned())))
            .collect::<Option<_>>()?;
        Some(Self { kind, fields })
    }

    fn number(&self, name: &str) -> Result<u64> {
        let value = self.fields.get(name);
        let value = value.ok_or_else(|| format!("a `{}` line has no {name}", self.kind))?;
        Ok(value.parse()?)
    }
}

/// What the image `kernels` logs; it runs once for all tests.
fn log() -> &'static [Line] {
    static LOG: OnceLock<Vec<Line>> = OnceLock::new();
    LOG.get_or_init(|| {
        let output = Command::new(env!("CARGO"))
            .current_dir(root().join("firmware"))
            .args(["run", "--quiet", "--release", "--bin", "kernels"])
            .output()
            .expect("cargo starts");
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "the image failed\n{stderr}");
        let stdout = String::from_utf8_lossy(&output.stdout);
        stdout.lines().filter_map(Line::parse).collect()
    })
}

fn lines(kind: &str) -> impl Iterator<Item = &'static Line> {
    log().iter().filter(move |line| line.kind == kind)
}

#[test]
fn fast_twins_give_the_bits_of_the_portable_kernels() -> Result {
    if skipped_without_qemu() {
        return Ok(());
    }
    let mut operators = Vec::new();
    for line in lines("equal") {
        let operator = line.fields["operator"].as_str();
        assert_eq!(line.number("mismatches")?, 0, "{operator}");
        assert!(line.number("cases")? >= 250, "{operator}");
        assert!(line.number("values")? >= 3000, "{operator}");
        // Outputs that were all the same would agree too easily.
        assert!(line.number("spread")? >= 100, "{operator}");
        operators.push(operator);
    }
    assert_eq!(operators, ["conv1d", "conv2d", "max-pool", "dense", "lstm"]);
    Ok(())
}

/// Instructions a multiply-accumulate, each with a floor, so that work that is no longer done is noticed as well.
const BUDGETS: [(&str, RangeInclusive<f64>); 21] = [
    ("conv1d-16-24-k5-s2-t128", 1.05..=1.20),
    ("conv1d-16-16-k3-t128", 1.20..=1.40),
    ("conv1d-2-16-k7-s2-t256", 1.9..=2.3),
    ("conv2d-8-16-3x3-s2-29x17", 1.30..=1.50),
    ("conv1d-32-32-k1-t64", 1.20..=1.40),
    ("dense-88-32", 1.35..=1.55),
    ("lstm-24-24-t64", 1.7..=1.95),
    ("beat-conv1d-2-8-k7-s2-t96", 2.4..=2.9),
    ("beat-conv1d-8-12-k5-s2-t48", 1.35..=1.6),
    ("beat-conv1d-12-16-k5-s2-t24", 1.2..=1.4),
    ("beat-conv1d-2-6-k5-s2-t64", 3.4..=4.2),
    ("beat-conv1d-6-8-k5-s2-t32", 1.7..=2.1),
    ("beat-conv2d-2-6-3x3-16x11", 2.8..=3.6),
    ("beat-conv2d-6-8-3x3-8x5", 1.6..=2.0),
    ("beat-dense-128-8", 1.4..=1.7),
    ("beat-dense-64-8", 1.5..=1.9),
    ("beat-dense-46-24", 1.5..=1.8),
    ("beat-dense-24-12", 1.8..=2.3),
    ("beat-dense-48-24", 1.4..=1.7),
    ("beat-dense-24-4", 2.4..=3.1),
    ("beat-bilstm-16-10-t12", 2.4..=3.2),
];

#[test]
fn instructions_a_multiply_accumulate_stay_within_their_budget() -> Result {
    if skipped_without_qemu() {
        return Ok(());
    }
    let known = lines("loop").next().ok_or("no `loop` line")?;
    let (expected, counted) = (known.number("expected")?, known.number("counted")?);
    assert!(
        (expected..=expected + 4).contains(&counted),
        "a loop of {expected} instructions was counted as {counted}"
    );
    for (name, budget) in BUDGETS {
        let line = lines("cost")
            .find(|line| line.fields["name"] == name)
            .ok_or_else(|| format!("no cost of {name}"))?;
        let (macs, fast) = (line.number("macs")?, line.number("instructions")?);
        let found = fast as f64 / macs as f64;
        println!("{name:<30}{macs:>8} MAC{fast:>9} instructions{found:>7.2} a MAC");
        assert!(
            budget.contains(&found),
            "{name}: {found}, the budget is {budget:?}"
        );
        // The twin earns its assembly.
        let portable = line.number("portable")?;
        assert!(3 * fast < 2 * portable, "{name}: {fast} against {portable}");
    }
    Ok(())
}
