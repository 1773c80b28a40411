//! The kernels as the operators specify them: for every processor, and what a fast twin must equal.

use super::convolution::Convolution;
use super::dense::Dense;
use super::lstm::{Lstm, Pass, States};
use super::pool::MaxPool;

/// [`Convolution::run_portable`], for buffers that fit.
pub(crate) fn convolution(
    layer: &Convolution<'_>,
    input: &[i8],
    scratch: &mut [i32],
    output: &mut [i8],
) {
    layer.compute(input, scratch, output);
}

/// [`Dense::run_portable`], for buffers that fit.
pub(crate) fn dense(layer: &Dense<'_>, input: &[i8], scratch: &mut [i32], output: &mut [i8]) {
    layer.compute(input, scratch, output);
}

/// [`MaxPool::run_portable`], for buffers that fit.
pub(crate) fn max_pool(layer: &MaxPool, input: &[i8], output: &mut [i8]) {
    let raise = |output: &mut [i8], values: &[i8]| {
        for (output, value) in output.iter_mut().zip(values) {
            *output = (*output).max(*value);
        }
    };
    layer.compute(raise, input, output);
}

/// Some steps of one direction of [`Lstm::run_portable`], for buffers that fit.
pub(crate) fn lstm<'w>(
    layer: &Lstm<'w>,
    pass: &Pass<'_, 'w>,
    input: &[i8],
    scratch: &mut [i32],
    states: &mut States<'_>,
) {
    layer.compute(pass, input, scratch, states);
}
