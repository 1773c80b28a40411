//! What instructions mean in time and energy on real chips.

use crate::documents::thousands;
use crate::qemu::Instructions;
use std::fmt;

/// Clocks that a Cortex-M4F of a board has, in MHz: the nRF52840's, and the STM32F405's.
const CLOCKS_MHZ: [f64; 2] = [64.0, 168.0];

/// Energy of one cycle of the nRF52840, in picojoules: 3.3 mA at 3 V and 64 MHz (nRF52840 product specification v1.1, section
/// 5.2.1.1: CPU running CoreMark from flash, cache enabled, DC/DC converter).
const PICOJOULES: f64 = 3.3e-3 * 3.0 / 64e6 * 1e12;

/// A fast heart, in beats a minute.
const RATE_BPM: f64 = 180.0;

/// Samples a second.
const SAMPLE_RATE_HZ: f64 = 128.0;

/// Instructions of each stage as time and energy, at one cycle an instruction.
pub(crate) struct Table {
    /// Name, instructions, times a second.
    stages: [(&'static str, u64, f64); 4],
}

impl Table {
    pub(crate) fn of(instructions: &Instructions) -> Self {
        let beats = RATE_BPM / 60.0;
        Self {
            stages: [
                ("a sample", instructions.per_sample, SAMPLE_RATE_HZ),
                ("a beat's views", instructions.views_per_beat, beats),
                ("a beat's network", instructions.model_per_beat, beats),
                ("a beat's rhythm", instructions.rhythm_per_beat, beats),
            ],
        }
    }
}

impl Table {
    /// The same figures in Markdown.
    pub(crate) fn markdown(&self) -> String {
        let mut table = String::from(
            "| stage | instructions | ms at 64 MHz | ms at 168 MHz | of a second at 64 MHz | energy |\n\
             |---|---:|---:|---:|---:|---:|\n",
        );
        let mut row = |name: &str, n: f64, times: f64| {
            table.push_str(&format!(
                "| {name} | {} | {:.3} | {:.3} | {:.2} % | {:.3} uJ |\n",
                thousands(n as u64),
                n / CLOCKS_MHZ[0] / 1e3,
                n / CLOCKS_MHZ[1] / 1e3,
                n * times / CLOCKS_MHZ[0] / 1e4,
                n * PICOJOULES / 1e6,
            ));
        };
        let mut each_second = 0.0;
        for (name, instructions, times) in self.stages {
            row(name, instructions as f64, times);
            each_second += instructions as f64 * times;
        }
        row("a second", each_second, 1.0);
        table
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "\n{:<18}{:>13}{:>13}{:>14}{:>17}{:>9}",
            "stage", "instructions", "ms at 64 MHz", "ms at 168 MHz", "% of 1 s, 64 MHz", "uJ"
        )?;
        let mut each_second = 0.0;
        for (name, instructions, times) in self.stages {
            let n = instructions as f64;
            let ms = CLOCKS_MHZ.map(|mhz| n / mhz / 1e3);
            each_second += n * times;
            writeln!(
                f,
                "{name:<18}{instructions:>13}{:>13.3}{:>14.3}{:>17.2}{:>9.3}",
                ms[0],
                ms[1],
                n * times / CLOCKS_MHZ[0] / 1e4,
                n * PICOJOULES / 1e6
            )?;
        }
        writeln!(
            f,
            "{:<18}{:>13}{:>13.3}{:>14.3}{:>17.2}{:>9.3}",
            "a second",
            each_second,
            each_second / CLOCKS_MHZ[0] / 1e3,
            each_second / CLOCKS_MHZ[1] / 1e3,
            each_second / CLOCKS_MHZ[0] / 1e4,
            each_second * PICOJOULES / 1e6
        )?;
        writeln!(
            f,
            "a second: {SAMPLE_RATE_HZ} samples and {} beats ({RATE_BPM} a minute). Time at one cycle an instruction, which flash\n\
             and memory of a real chip make longer. Energy: instructions x {PICOJOULES:.0} pJ (nRF52840: 3.3 mA x 3 V / 64 MHz).",
            RATE_BPM / 60.0
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_by_hand() {
        let table = Table::of(&Instructions {
            per_sample: 500,
            views_per_beat: 160_000,
            model_per_beat: 640_000,
            rhythm_per_beat: 64_000,
        });
        let text = table.to_string();
        let line = |name: &str| {
            let line = text
                .lines()
                .find(|line| line.starts_with(name))
                .expect(name);
            let numbers = line[18..].split_whitespace();
            numbers
                .map(|n| n.parse::<f64>().expect("a number"))
                .collect::<Vec<_>>()
        };
        // 640,000 instructions: 10 ms at 64 MHz, three times a second 3 %, and 155 pJ each.
        assert_eq!(line("a beat's network"), [640_000.0, 10.0, 3.81, 3.0, 99.0]);
        assert_eq!(line("a sample")[3], 0.1);
        // 64,000 + 480,000 + 1,920,000 + 192,000.
        assert_eq!(
            line("a second "),
            [2_656_000.0, 41.5, 15.810, 4.15, 410.850]
        );
        assert!(
            table
                .markdown()
                .ends_with("| a second | 2,656,000 | 41.500 | 15.810 | 4.15 % | 410.850 uJ |\n"),
            "{}",
            table.markdown()
        );
    }
}
