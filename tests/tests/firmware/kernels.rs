//! The integer kernels in QEMU: the Cortex-M4's fast twins give the bits of the portable kernels, within their budget of
//! instructions. `cargo run --release --bin kernels` in `firmware` prints the same.

use super::report;
use heartlens_tests::skipped_without_qemu;
use serde_json::Value;
use std::ops::RangeInclusive;

fn list(pointer: &str) -> &'static [Value] {
    let list = report().pointer(pointer).and_then(Value::as_array);
    list.expect(pointer)
}

#[test]
fn fast_twins_give_the_bits_of_the_portable_kernels() {
    if skipped_without_qemu() {
        return;
    }
    // `cargo xtask qemu` refuses a mismatch; here, that enough was compared.
    let mut operators = Vec::new();
    for compared in list("/kernels/operators") {
        let operator = compared["operator"].as_str().expect("a name");
        for (key, least) in [("cases", 250), ("values", 3000), ("spread", 100)] {
            let found = compared[key].as_u64();
            assert!(found >= Some(least), "{operator}: {found:?} {key}");
        }
        operators.push(operator);
    }
    assert_eq!(operators, ["conv1d", "conv2d", "max-pool", "dense", "lstm"]);
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
fn instructions_a_multiply_accumulate_stay_within_their_budget() {
    if skipped_without_qemu() {
        return;
    }
    for (name, budget) in BUDGETS {
        let cost = list("/kernels/costs")
            .iter()
            .find(|cost| cost["name"] == name)
            .expect(name);
        let count = |key: &str| cost[key].as_u64().expect(key);
        let (macs, fast) = (count("macs"), count("instructions"));
        let found = fast as f64 / macs as f64;
        println!("{name:<30}{macs:>8} MAC{fast:>9} instructions{found:>7.2} a MAC");
        assert!(
            budget.contains(&found),
            "{name}: {found}, the budget is {budget:?}"
        );
        // The twin earns its assembly.
        let portable = count("portable");
        assert!(3 * fast < 2 * portable, "{name}: {fast} against {portable}");
    }
}
