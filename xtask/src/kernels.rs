//! The integer kernels in `cargo xtask qemu`: fast twins held against portable ones, and what shapes of interest cost.

use crate::qemu::lines;
use anyhow::{Result, ensure};
use serde::Serialize;

/// What the image `kernels` logged.
#[derive(Debug, PartialEq, Serialize)]
pub(crate) struct Kernels {
    /// Outputs of fast twins that were compared with those of the portable kernels, all of them equal.
    compared: u64,
    /// The same, operator by operator.
    operators: Vec<Compared>,
    /// Instructions, shape by shape.
    costs: Vec<Cost>,
}

/// What was compared of one operator.
#[derive(Debug, PartialEq, Serialize)]
struct Compared {
    operator: String,
    /// Random shapes and weights.
    cases: u64,
    /// Outputs.
    values: u64,
    /// Different outputs. Outputs that were all the same would agree too easily.
    spread: u64,
}

/// The instructions of one layer.
#[derive(Debug, PartialEq, Serialize)]
struct Cost {
    name: String,
    /// Multiply-accumulates; outputs where nothing is multiplied.
    macs: u64,
    instructions: u64,
    /// Instructions of the portable kernel.
    portable: u64,
}

impl Kernels {
    /// Reads the image's log. An error where a twin differs.
    pub(crate) fn of(log: &str) -> Result<Self> {
        let mut operators = Vec::new();
        for line in lines(log).filter(|line| line.kind == "equal") {
            let (operator, mismatches) = (line.field("operator")?, line.number("mismatches")?);
            let values = line.number("values")?;
            ensure!(
                mismatches == 0,
                "{mismatches} of {values} outputs of {operator} differ from the portable kernel's"
            );
            operators.push(Compared {
                operator: operator.to_owned(),
                cases: line.number("cases")?,
                values,
                spread: line.number("spread")?,
            });
        }
        let compared = operators.iter().map(|operator| operator.values).sum();
        ensure!(compared > 0, "the firmware compared no kernels");
        let costs = lines(log)
            .filter(|line| line.kind == "cost")
            .map(|line| {
                Ok(Cost {
                    name: line.field("name")?.to_owned(),
                    macs: line.number("macs")?,
                    instructions: line.number("instructions")?,
                    portable: line.number("portable")?,
                })
            })
            .collect::<Result<Vec<_>>>()?;
        ensure!(
            costs.iter().all(|cost| cost.macs > 0) && !costs.is_empty(),
            "the firmware measured no kernels"
        );
        Ok(Self {
            compared,
            operators,
            costs,
        })
    }

    pub(crate) fn table(&self) -> String {
        let mut table = format!(
            "\nkernels: {} outputs of fast twins identical to the portable ones\n{:<30}{:>8}{:>14}{:>8}{:>12}\n",
            self.compared, "instructions", "MACs", "fast", "a MAC", "portable",
        );
        for cost in &self.costs {
            table.push_str(&format!(
                "{:<30}{:>8}{:>14}{:>8.2}{:>12}\n",
                cost.name,
                cost.macs,
                cost.instructions,
                cost.instructions as f64 / cost.macs as f64,
                cost.portable
            ));
        }
        table
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: &str = "\
loop expected=2000 counted=2001
equal operator=conv1d cases=300 values=1000 spread=256 mismatches=0
equal operator=dense cases=300 values=500 spread=256 mismatches=0
cost name=dense-88-32 macs=2816 instructions=4224 portable=11000
";

    #[test]
    fn a_run_is_summed_up() {
        let kernels = Kernels::of(LOG).expect("a whole log");
        assert_eq!((kernels.compared, kernels.costs.len()), (1500, 1));
        let table = kernels.table();
        assert!(table.contains("1500 outputs"), "{table}");
        assert!(
            table.lines().any(|line| {
                line.split_whitespace().collect::<Vec<_>>()
                    == ["dense-88-32", "2816", "4224", "1.50", "11000"]
            }),
            "{table}"
        );
    }

    #[test]
    fn a_difference_and_a_log_without_measurements_are_errors() {
        for (from, to, error) in [
            (
                "spread=256 mismatches=0\ncost",
                "spread=256 mismatches=3\ncost",
                "3 of 500 outputs of dense",
            ),
            ("equal", "equals", "compared no kernels"),
            ("cost", "costs", "measured no kernels"),
            ("macs=2816", "macs=0", "measured no kernels"),
            ("portable=11000", "portable=many", "portable=many"),
        ] {
            let found = Kernels::of(&LOG.replace(from, to)).expect_err(error);
            assert!(found.to_string().contains(error), "{found}");
        }
    }
}
