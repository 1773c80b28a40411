"""Writes records.json and plus.edf: records of every format, and what two independent readers make of them. The tests of
records/tests.rs expect the same, sample for sample.

Tools: wfdb 4.3.1 (the WFDB Python package of MIT-LCP), pyEDFlib 0.1.42, numpy 2.4.6, Python 3.11.
Seed: 20261122 (numpy.random.default_rng). Run in this folder:  python make_records.py

records.json: a list of cases, each with `files` (name: hex of its bytes), `record` (the name to open), `names`, and
`millivolts` (a list a lead, null where the reader has NaN). Signal files of formats that wfdb does not write are random
bytes: every byte string means something in these formats. Multi-segment and skewed records are read by wfdb, too.
plus.edf was written by pyEDFlib; records.json holds what it reads from it, and the annotations.
"""

import datetime
import json
import math
import os
import pathlib
import tempfile

import numpy as np
import pyedflib
import wfdb

rng = np.random.default_rng(20261122)


def listed(signal):
    return [None if math.isnan(x) else float(x) for x in signal]


def case(record, files):
    """What wfdb reads of `files`: every sample of every lead at the lead's own rate."""
    here = os.getcwd()
    with tempfile.TemporaryDirectory() as folder:
        for name, content in files.items():
            pathlib.Path(folder, name).write_bytes(content)
        os.chdir(folder)
        try:
            read = wfdb.rdrecord(record, smooth_frames=False, m2s=True)
        finally:
            os.chdir(here)
    if read.e_p_signal is not None:
        signals = read.e_p_signal
    else:
        signals = read.p_signal.T
    return {
        "record": record,
        "names": read.sig_name,
        "millivolts": [listed(s) for s in signals],
        "files": {name: content.hex() for name, content in files.items()},
    }


def header(name, rate, frames, signals):
    """A header; each signal is (file, format, gain, description) and maybe the initial value."""
    lines = [f"{name} {len(signals)} {rate} {frames}"]
    for file, fmt, gain, description, *initial in signals:
        first = initial[0] if initial else 0
        lines.append(f"{file} {fmt} {gain}/mV 16 0 {first} 0 0 {description}")
    return ("\n".join(lines) + "\n").encode()


def noise(count):
    return rng.integers(0, 256, count, dtype=np.uint8).tobytes()


def samples_311(count):
    """Random samples of format 311. The upper two bits of its four bytes mean nothing; wfdb takes one of them for a part of
    the third sample where it is not 0."""
    words = rng.integers(0, 1 << 30, -(-count // 3), dtype=np.uint32)
    return words.astype("<u4").tobytes()


cases = []
# Bytes of n samples by format; 21 samples end inside a unit of 212, 310 and 311.
SIZES = {
    "8": lambda n: n,
    "16": lambda n: 2 * n,
    "24": lambda n: 3 * n,
    "32": lambda n: 4 * n,
    "61": lambda n: 2 * n,
    "80": lambda n: n,
    "160": lambda n: 2 * n,
    "212": lambda n: -(-3 * n // 2),
    "310": lambda n: -(-n // 3) * 4,
    "311": lambda n: -(-n // 3) * 4,
}
for fmt, size in SIZES.items():
    for leads, frames in [(1, 40), (3, 7), (2, 31)]:
        name = f"f{fmt}_{leads}"
        signals = [(f"{name}.dat", fmt, 100 + i, f"L{i}", 10 * i) for i in range(leads)]
        data = samples_311(leads * frames) if fmt == "311" else noise(size(leads * frames))
        cases.append(case(name, {f"{name}.hea": header(name, 250, frames, signals), f"{name}.dat": data}))

# The invalid count of each format that has one.
INVALID = {"16": b"\x00\x80", "24": b"\x00\x00\x80", "61": b"\x80\x00", "80": b"\x00", "160": b"\x00\x00"}
for fmt, mark in INVALID.items():
    name = f"invalid{fmt}"
    data = bytearray(noise(SIZES[fmt](12)))
    data[3 * len(mark) : 4 * len(mark)] = mark
    files = {f"{name}.hea": header(name, 250, 12, [(f"{name}.dat", fmt, 200, "II")]), f"{name}.dat": bytes(data)}
    cases.append(case(name, files))

# Several samples a frame, different ones a signal, in one file and in two, of several formats.
files = {
    "rates.hea": header(
        "rates",
        62.5,
        17,
        [("a.dat", "16x1", 50, "RESP"), ("a.dat", "16x4", 200, "II"), ("a.dat", "16x2", 100, "PLETH"),
         ("b.dat", "212x3", 10, "V1"), ("b.dat", "212", 20, "V2"), ("c.dat", "310x2", 5, "V3")],
    ),
    "a.dat": noise(2 * 7 * 17),
    "b.dat": noise(SIZES["212"](4 * 17)),
    "c.dat": noise(SIZES["310"](2 * 17)),
}
cases.append(case("rates", files))

# Skew and byte offset, of several formats. The files end with the record's frames: what lies behind them, a skewed signal
# reads in WFDB's C library, and wfdb takes for missing.
files = {
    "skew.hea": header(
        "skew",
        360,
        20,
        [("a.dat", "16:2+11", 50, "I"), ("a.dat", "16+11", 200, "II"), ("b.dat", "212:1", 10, "V1"),
         ("c.dat", "311+3", 5, "V3"), ("d.dat", "24x2:3", 5, "V5")],
    ),
    "a.dat": noise(11 + 2 * 2 * 20),
    "b.dat": noise(SIZES["212"](20)),
    "c.dat": noise(3) + samples_311(20),
    "d.dat": noise(3 * 2 * 20),
}
skewed = case("skew", files)
# A skew counts frames. Where a frame has several samples, wfdb fills what is shifted in behind the end with zeros for all but
# as many samples as there are frames; all of it is missing.
skewed["millivolts"][4][-6:] = [None] * 6
cases.append(skewed)

# Fixed layout: every segment has the same signals, with gains of its own.
files = {"fixed.hea": b"fixed/3 2 250 27\nfixed_1 10\nfixed_2 5\nfixed_3 12\n"}
for number, (frames, fmt) in enumerate([(10, "16"), (5, "212"), (12, "80")], 1):
    part = f"fixed_{number}"
    signals = [(f"{part}.dat", fmt, 100, "I"), (f"{part}.dat", fmt, 50, "II")]
    files[f"{part}.hea"] = header(part, 250, frames, signals)
    files[f"{part}.dat"] = noise(SIZES[fmt](2 * frames))
cases.append(case("fixed", files))

# Variable layout: a segment lacks a signal, another has them in another order, and there is a gap.
files = {
    "variable.hea": b"variable/5 3 125 40\nvariable_layout 0\nvariable_1 9\n~ 11\nvariable_2 13\nvariable_3 7\n",
    "variable_layout.hea": b"variable_layout 3 125 40\n~ 0 100/mV 16 0 0 0 0 I\n~ 0 50/mV 16 0 0 0 0 II\n~ 0 20/mV 16 0 0 0 0 V\n",
}
for number, frames, names in [(1, 9, ["I", "II", "V"]), (2, 13, ["V", "I"]), (3, 7, ["II"])]:
    part = f"variable_{number}"
    gains = {"I": 100, "II": 50, "V": 20}
    signals = [(f"{part}.dat", "16", gains[n], n) for n in names]
    files[f"{part}.hea"] = header(part, 125, frames, signals)
    files[f"{part}.dat"] = noise(2 * len(names) * frames)
cases.append(case("variable", files))

# EDF+: three signals of several rates and units, and annotations. A data record lasts 1 s.
writer = pyedflib.EdfWriter("plus.edf", 3, file_type=pyedflib.FILETYPE_EDFPLUS)
RATES = [50, 20, 4]
for channel, (label, dimension, rate, low, high) in enumerate(
    [("ECG II", "uV", RATES[0], -3000.5, 3276.7), ("ECG V1", "mV", RATES[1], 5.0, -4.0), ("Temp rectal", "degC", RATES[2], 30, 45)]
):
    writer.setSignalHeader(
        channel,
        {"label": label, "dimension": dimension, "sample_frequency": rate, "physical_min": min(low, high),
         "physical_max": max(low, high), "digital_min": -32768, "digital_max": 32767, "transducer": "AgAgCl" if channel < 2 else "",
         "prefilter": "HP:0.05Hz" if channel == 0 else ""},
    )
writer.setPatientCode("A-17")
writer.setSex(0)
writer.setBirthdate(datetime.date(1951, 5, 2))
writer.setPatientName("Nobody Here")
writer.setStartdatetime(datetime.datetime(2026, 3, 4, 5, 6, 7))
SECONDS = 6
digital = [rng.integers(-32768, 32768, rate * SECONDS).astype(np.int32) for rate in RATES]
writer.writeSamples(digital, digital=True)
for onset, duration, text in [(0.5, -1, "N"), (1.26, -1, "V"), (2.0, 1.5, "patient walks"), (3.02, -1, "S"), (5.5, -1, "Q?")]:
    writer.writeAnnotation(onset, duration, text)
writer.close()

reader = pyedflib.EdfReader("plus.edf")
onsets, durations, texts = reader.readAnnotations()
edf = {
    "names": reader.getSignalLabels(),
    "rates": [reader.getSampleFrequency(i) for i in range(3)],
    "units": [reader.getPhysicalDimension(i) for i in range(3)],
    "physical": [listed(reader.readSignal(i)) for i in range(3)],
    "annotations": [[float(o), str(t)] for o, t in zip(onsets, texts)],
}
reader.close()

with open("records.json", "w") as out:
    json.dump({"wfdb": cases, "edf": edf}, out, separators=(",", ":"))
    out.write("\n")
print(len(cases), "cases;", wfdb.__version__, pyedflib.__version__, np.__version__)
