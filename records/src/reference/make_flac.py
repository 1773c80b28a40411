"""Writes flac.json: WFDB records whose signal files are FLAC streams (formats 508, 516, 524), and what an independent reader
makes of them. The tests in records/src/tests/flac.rs expect the same, sample for sample.

Tools: wfdb 4.3.1 (the WFDB Python package of MIT-LCP), soundfile 0.14.0 (libsndfile 1.2.2, libFLAC), numpy 2.4.6, Python 3.11.
Seed: 20261126 (numpy.random.default_rng). Run in this folder:  python make_flac.py

A list of cases, each with `files` (name: hex of its bytes), `record` (the name to open), `names`, `every` and `millivolts`: of
each lead every so manyth sample, null where the reader has NaN. libsndfile wrote the streams.
"""

import io
import json
import math
import os
import pathlib
import tempfile

import numpy as np
import soundfile
import wfdb

rng = np.random.default_rng(20261126)
BITS = {"508": 8, "516": 16, "524": 24}


def stream(counts, bits):
    """A FLAC stream of channels as columns. soundfile takes the upper bits of 32."""
    out = io.BytesIO()
    subtype = {8: "PCM_S8", 16: "PCM_16", 24: "PCM_24"}[bits]
    wide = (np.asarray(counts, dtype=np.int64) << (32 - bits)).astype(np.int32)
    soundfile.write(out, wide, 96000, format="FLAC", subtype=subtype)
    return out.getvalue()


def header(name, rate, frames, signals):
    """A header; each signal is (file, format, gain, baseline, description, checksum)."""
    lines = [f"{name} {len(signals)} {rate} {frames}"]
    for file, fmt, gain, baseline, description, checksum in signals:
        lines.append(f"{file} {fmt} {gain}({baseline})/mV 16 0 0 {checksum} 0 {description}")
    return ("\n".join(lines) + "\n").encode()


def checksum(counts):
    return int(np.asarray(counts, dtype=np.int64).sum()) & 0xFFFF


def case(record, files, every=1):
    here = os.getcwd()
    with tempfile.TemporaryDirectory() as folder:
        for name, content in files.items():
            pathlib.Path(folder, name).write_bytes(content)
        os.chdir(folder)
        try:
            read = wfdb.rdrecord(record, smooth_frames=False)
        finally:
            os.chdir(here)
    signals = read.e_p_signal if read.e_p_signal is not None else read.p_signal.T
    return {
        "record": record,
        "names": read.sig_name,
        "every": every,
        "lengths": [len(s) for s in signals],
        "millivolts": [[None if math.isnan(x) else float(x) for x in s[::every]] for s in signals],
        "files": {name: content.hex() for name, content in files.items()},
    }


def walk(frames, channels, bits):
    """Random walks that keep within the format's range, with its two ends in them."""
    high = 2 ** (bits - 1) - 1
    step = max(1, high // 20)
    steps = rng.integers(-step, step + 1, (frames, channels)).cumsum(axis=0)
    counts = np.abs((steps + high) % (4 * high) - 2 * high) - high
    counts[frames // 3, 0], counts[frames // 2, 0] = high, -high
    return counts


cases = []
for fmt, bits in BITS.items():
    for channels, frames in [(1, 50), (2, 33), (3, 40), (8, 20)]:
        name = f"f{fmt}_{channels}"
        counts = walk(frames, channels, bits)
        # The count that means no valid sample.
        counts[frames - 3, channels - 1] = -(2 ** (bits - 1))
        signals = [
            (f"{name}.dat", fmt, 100 + i, 7 * i, f"L{i}", checksum(counts[:, i])) for i in range(channels)
        ]
        files = {f"{name}.hea": header(name, 250, frames, signals), f"{name}.dat": stream(counts, bits)}
        cases.append(case(name, files))

# Constant signals, and a stream of fewer bits than its format.
counts = np.tile([25, -50, 0], (60, 1))
signals = [("c.dat", "508", 200, 0, f"L{i}", checksum(counts[:, i])) for i in range(3)]
cases.append(case("constant", {"constant.hea": header("constant", 250, 60, signals), "c.dat": stream(counts, 8)}))
counts = walk(40, 2, 8)
signals = [("n.dat", "516", 200, 0, f"L{i}", checksum(counts[:, i])) for i in range(2)]
cases.append(case("narrow", {"narrow.hea": header("narrow", 250, 40, signals), "n.dat": stream(counts, 8)}))

# Several blocks of a stream, and more than one block of ours.
counts = walk(40_000, 2, 16) // 500
signals = [("l.dat", "516", 200, 0, f"L{i}", checksum(counts[:, i])) for i in range(2)]
cases.append(case("long", {"long.hea": header("long", 500, 40_000, signals), "l.dat": stream(counts, 16)}, every=97))

# Groups of several rates in one record, and one of them not compressed.
e, p, r = walk(4 * 30, 2, 16), walk(2 * 30, 1, 16), rng.integers(-2000, 2000, 30)
signals = [
    ("e.dat", "516x4", 200, 8192, "II", checksum(e[:, 0])),
    ("e.dat", "516x4", 200, 8192, "V", checksum(e[:, 1])),
    ("p.dat", "516x2", 16, 800, "ABP", checksum(p[:, 0])),
    ("r.dat", "16", 4093, 2, "Resp", checksum(r)),
]
files = {
    "mixed.hea": header("mixed", "62.4725/999.56", 30, signals),
    "e.dat": stream(e, 16),
    "p.dat": stream(p, 16),
    "r.dat": r.astype("<i2").tobytes(),
}
cases.append(case("mixed", files))

with open("flac.json", "w") as out:
    json.dump(cases, out, separators=(",", ":"))
    out.write("\n")
print(len(cases), "cases;", wfdb.__version__, soundfile.__version__, soundfile.__libsndfile_version__, np.__version__)
