"""Prints what SciPy makes of one signal at several rates: the values that the tests of resample.rs expect.

Tool: SciPy 1.17.1 (scipy.signal.resample_poly, float64), numpy 2.4.6, Python 3.11. No randomness.
Run in this folder:  python make_resampled.py > resampled.csv

The filter is a Kaiser window (beta 14) over 4 s with its corner at 60.6 Hz (where the signal's rate is below 128 Hz, as
far below its Nyquist frequency). The signal has next to nothing above 45 Hz, so any good filter gives the same.
Columns: rate, first index, then 16 samples from there on.
"""

import numpy as np
import scipy.signal

# Rate in Hz: up, down.
RATES = {
    360: (16, 45),
    250: (64, 125),
    300: (32, 75),
    1000: (16, 125),
    100: (32, 25),
    257: (128, 257),
}


def signal(rate):
    """6 s: a slow wave, a QRS-like spike at 3.01 s, an offset."""
    t = np.arange(6 * rate) / rate
    return (
        0.3
        + 0.2 * np.sin(2 * np.pi * 0.7 * t)
        + 1.1 * np.exp(-(((t - 3.01) / 0.025) ** 2))
        - 0.3 * np.exp(-(((t - 3.05) / 0.03) ** 2))
    )


for rate, (up, down) in RATES.items():
    # At the common rate of 128 * down Hz; 1 is the lower one of the two Nyquist frequencies.
    taps = scipy.signal.firwin(
        2 * 256 * down + 1, 60.6 / 64, window=("kaiser", 14.0), fs=2 * max(up, down)
    )
    pad = 1000 * down
    padded = np.pad(signal(rate), pad, mode="edge")
    resampled = scipy.signal.resample_poly(padded, up, down, window=taps)[1000 * up :]
    print(",".join([str(rate), "376"] + [f"{v:.9f}" for v in resampled[376:392]]))
