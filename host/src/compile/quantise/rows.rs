//! Rows of weights as integers.

use super::super::program;
use super::super::ranges::WeightRule;
use super::Quantisation;
use heartlens_core::nn::{Channel, MAX_BIAS};

/// Most fractional bits of a logit.
const MAX_FRACTION_BITS: u32 = 16;

/// Rows of a matrix as integers.
pub(super) struct Rows {
    pub(super) weights: Vec<i8>,
    /// Input scale times weight scale of each row.
    pub(super) units: Vec<f64>,
    pub(super) biases: Vec<i32>,
    /// What the integers stand for.
    pub(super) real: Vec<f32>,
}

/// One row of weights as integers.
pub(super) struct Row {
    pub(super) weights: Vec<i8>,
    /// Input scale times weight scale.
    pub(super) unit: f64,
    pub(super) bias: i32,
    /// The scales of the columns, and the largest of them.
    scales: Vec<f64>,
}

impl Row {
    /// The real weights that the integers stand for.
    pub(super) fn real(&self) -> impl Iterator<Item = f32> + '_ {
        let weights = self.weights.iter().zip(&self.scales);
        weights.map(|(weight, scale)| (f64::from(*weight) * self.unit / scale) as f32)
    }
}

/// A row whose column `i` multiplies `scale_i * (q - zero_point_i)`. Columns are brought to the largest of the scales.
/// The weights' scale grows where the bias would not fit. A row without weights is measured in `unit`.
pub(super) fn quantise_row(
    rule: WeightRule,
    row: &[f32],
    columns: &[(f64, i8)],
    bias: f64,
    unit: f64,
    max_bias: i32,
) -> Row {
    let nominal = columns.iter().map(|(scale, _)| *scale).fold(0.0, f64::max);
    let brought: Vec<f32> = row
        .iter()
        .zip(columns)
        .map(|(weight, (scale, _))| (f64::from(*weight) * scale / nominal) as f32)
        .collect();
    let magnitude = f64::from(rule.magnitude(&brought));
    let mut scale = if magnitude > 0.0 {
        magnitude / 127.0
    } else {
        unit / nominal
    };
    loop {
        let weights: Vec<i8> = brought
            .iter()
            .map(|weight| (f64::from(*weight) / scale).round().clamp(-127.0, 127.0) as i8)
            .collect();
        let zero: f64 = weights
            .iter()
            .zip(columns)
            .map(|(weight, (_, zero_point))| f64::from(*weight) * f64::from(*zero_point))
            .sum();
        let unit = nominal * scale;
        let bias = (bias / unit).round() - zero;
        if bias.abs() <= f64::from(max_bias) || scale > f64::from(f32::MAX) {
            return Row {
                weights,
                unit,
                bias: bias as i32,
                scales: columns.iter().map(|(scale, _)| *scale).collect(),
            };
        }
        scale *= 2.0;
    }
}

/// A matrix of which `column(row, column)` gives the scale and zero point of what it multiplies. `unit` is the
/// output's scale, which a row without weights is measured by.
pub(super) fn rows_of(
    rule: WeightRule,
    weights: &[f32],
    bias: &[f64],
    unit: f64,
    column: impl Fn(usize, usize) -> (f64, i8),
) -> Rows {
    let columns = weights.len() / bias.len();
    let mut rows = Rows {
        weights: Vec::with_capacity(weights.len()),
        units: Vec::new(),
        biases: Vec::new(),
        real: Vec::with_capacity(weights.len()),
    };
    for (index, (row, bias)) in weights.chunks_exact(columns).zip(bias).enumerate() {
        let scales: Vec<(f64, i8)> = (0..columns).map(|c| column(index, c)).collect();
        let row = quantise_row(rule, row, &scales, *bias, unit / 4.0, MAX_BIAS);
        rows.real.extend(row.real());
        rows.weights.extend(row.weights);
        rows.units.push(row.unit);
        rows.biases.push(row.bias);
    }
    rows
}

/// The last layer, its logits in the finest units that its multipliers can express.
pub(super) fn logits(rows: Rows) -> program::Operator {
    let largest = rows.units.iter().copied().fold(0.0, f64::max);
    let fits = |bits: &u32| largest * f64::from(1 << bits) < 0.499;
    let fraction_bits = (0..=MAX_FRACTION_BITS).rev().find(fits).unwrap_or(0);
    let to_units = f64::from(1 << fraction_bits) * 4_294_967_296.0;
    program::Operator::Logits {
        channels: rows
            .units
            .iter()
            .zip(&rows.biases)
            .map(|(unit, bias)| Channel {
                bias: *bias,
                multiplier: (unit * to_units).round().min(f64::from(i32::MAX)) as i32,
            })
            .collect(),
        weights: rows.weights,
        fraction_bits,
    }
}

/// Scale and zero point of each of `len` elements that a row of weights multiplies.
pub(super) fn columns(input: &Quantisation, len: usize) -> Vec<(f64, i8)> {
    let channels = input.scales.len();
    (0..len)
        .map(|i| (input.scales[i % channels], input.zero_points[i % channels]))
        .collect()
}

pub(super) fn corrected(bias: &[f32], correction: &[f64]) -> Vec<f64> {
    let correction = correction.iter().copied().chain(std::iter::repeat(0.0));
    bias.iter()
        .zip(correction)
        .map(|(b, c)| f64::from(*b) + c)
        .collect()
}

/// A row-major matrix of `rows` and `columns` with both exchanged.
pub(super) fn transposed<T: Copy>(matrix: &[T], rows: usize, columns: usize) -> Vec<T> {
    (0..columns)
        .flat_map(|column| (0..rows).map(move |row| matrix[row * columns + column]))
        .collect()
}
