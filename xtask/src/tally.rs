//! Counts tests by reading what `cargo test -- --show-output` prints.
//!
//! A test that cannot run for want of records or tools prints one line that begins with `skipped:` and returns. The
//! harness calls it passed; here it counts as skipped.

use std::ops::AddAssign;

/// How many tests had which end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Tally {
    /// Tests that ran and held.
    pub(crate) passed: usize,
    /// Tests that ran and did not hold.
    pub(crate) failed: usize,
    /// Tests that did not run.
    pub(crate) skipped: usize,
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
    }
}

impl std::fmt::Display for Tally {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} passed, {} failed, {} skipped",
            self.passed, self.failed, self.skipped
        )
    }
}

/// Reads the harness's stdout line by line.
#[derive(Debug, Default)]
pub(crate) struct Listener {
    total: Tally,
    /// Tests of the current binary that said that they were skipped.
    skipped: usize,
    /// Inside the section that repeats what passing tests printed.
    in_successes: bool,
    /// The passing test whose output is being repeated, until it says that it was skipped.
    test: Option<String>,
}

impl Listener {
    /// Takes the next line and gives what is worth showing of it: everything but the output of tests that passed.
    pub(crate) fn line(&mut self, line: &str) -> Option<String> {
        if let Some(result) = line.strip_prefix("test result: ") {
            self.in_successes = false;
            let count = |word: &str| -> usize {
                result
                    .split(['.', ';'])
                    .find_map(|part| part.trim().strip_suffix(word)?.trim().parse().ok())
                    .unwrap_or(0)
            };
            let skipped = std::mem::take(&mut self.skipped);
            self.total += Tally {
                passed: count("passed").saturating_sub(skipped),
                failed: count("failed"),
                skipped: skipped + count("ignored"),
            };
            return Some(line.to_owned());
        }
        match line {
            "successes:" => self.in_successes = true,
            "failures:" => self.in_successes = false,
            _ if !self.in_successes => return Some(line.to_owned()),
            _ => {}
        }
        if !self.in_successes {
            return Some(line.to_owned());
        }
        if let Some(name) = line
            .strip_prefix("---- ")
            .and_then(|rest| rest.strip_suffix(" stdout ----"))
        {
            self.test = Some(name.to_owned());
        } else if line.starts_with("skipped:")
            && let Some(test) = self.test.take()
        {
            self.skipped += 1;
            return Some(format!("test {test} ... {line}"));
        }
        None
    }

    /// The tests of all binaries so far.
    pub(crate) fn total(&self) -> Tally {
        self.total
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OUTPUT: &str = "
running 4 tests
test records::reads ... ok
test records::writes ... ok
test views::bits ... FAILED
test views::later ... ignored

successes:

---- records::reads stdout ----
skipped: HEARTLENS_DATA is not set
skipped: said twice, counted once

---- records::writes stdout ----
wrote 12 beats

successes:
    records::reads
    records::writes

failures:

---- views::bits stdout ----
assertion failed: left == right
skipped: a failing test is not skipped, whatever it prints

failures:
    views::bits

test result: FAILED. 2 passed; 1 failed; 1 ignored; 0 measured; 3 filtered out; finished in 0.01s

running 2 tests
test a ... ok
test b ... ok

successes:

successes:
    a
    b

test result: ok. 2 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s
";

    #[test]
    fn binaries_are_summed_and_skipped_tests_are_not_passed() {
        let mut listener = Listener::default();
        let shown: Vec<String> = OUTPUT.lines().filter_map(|l| listener.line(l)).collect();
        assert_eq!(
            listener.total(),
            Tally {
                passed: 3,
                failed: 1,
                skipped: 2
            }
        );
        let shown = shown.join("\n");
        assert!(shown.contains("test records::reads ... skipped: HEARTLENS_DATA is not set"));
        assert!(shown.contains("assertion failed: left == right"));
        assert!(
            !shown.contains("wrote 12 beats"),
            "a passing test's output is noise"
        );
        assert_eq!(
            listener.total().to_string(),
            "3 passed, 1 failed, 2 skipped"
        );
    }

    #[test]
    fn nothing_read_is_nothing_counted() {
        let mut listener = Listener::default();
        assert_eq!(listener.line("hello").as_deref(), Some("hello"));
        assert_eq!(listener.total(), Tally::default());
    }
}
