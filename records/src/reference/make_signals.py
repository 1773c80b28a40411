"""Writes two small records that the tests of signal.rs read: the counts and millivolts expected there follow from the
formula below, the bytes are WFDB's.

Tool: wfdb 4.3.1 (the WFDB Python package of MIT-LCP), numpy 2.4.6, Python 3.11. No randomness.
Run in this folder:  python make_signals.py
"""

import numpy as np
import wfdb


def counts(leads, samples, low, span):
    """Sample k of lead i: low + (k * 997 + i * 1301) mod span."""
    k, i = np.mgrid[0:samples, 0:leads]
    return low + (k * 997 + i * 1301) % span


# Format 212, three leads in one file, 21 samples: the last one stands in two bytes. One sample is invalid.
signal = counts(3, 7, -2047, 4095)
signal[4, 1] = -2048
wfdb.wrsamp(
    "w212",
    fs=360,
    units=["mV", "uV", "V"],
    sig_name=["MLII", "V1", "a name with spaces"],
    d_signal=signal,
    fmt=["212"] * 3,
    adc_gain=[200.0, 0.2, 1000.0],
    baseline=[1024, 0, -7],
    comments=["75 F 1011 654 x1", "Diapres"],
)
# Format 16, two leads.
wfdb.wrsamp(
    "w16",
    fs=250.5,
    units=["mV", "mV"],
    sig_name=["I", "II"],
    d_signal=counts(2, 5, -32767, 65535),
    fmt=["16", "16"],
    adc_gain=[1000.0, 500.5],
    baseline=[0, 12],
    comments=["<age>: 65 <sex>: M <diagnoses>: none"],
)
