"""Writes written.json: records that `heartlens convert` wrote, and what independent readers make of them. The tests in
records/src/tests/write.rs expect the same bytes, and that the samples are those of the record that was converted.

Tools: wfdb 4.3.1, pyEDFlib 0.1.42, numpy 2.4.6, Python 3.11, and the `heartlens` command that is named. No randomness.
Run in this folder:  python make_written.py ../../../target/debug/heartlens

Cases of `from` (a record in this folder), `to`, `files` (name: hex of its bytes), `names`, `rates`, and `millivolts` (a list a
lead, null where the reader has NaN), `annotations` (time in s, text).
"""

import json
import math
import os
import pathlib
import subprocess
import sys
import tempfile

import numpy as np
import pyedflib
import wfdb

command = pathlib.Path(sys.argv[1]).resolve()
here = pathlib.Path.cwd()


def listed(signal):
    return [None if math.isnan(x) else float(x) for x in signal]


def read_wfdb(name):
    record = wfdb.rdrecord(name, smooth_frames=False)
    signals = record.e_p_signal if record.e_p_signal is not None else record.p_signal.T
    raw = wfdb.rdrecord(name, physical=False, smooth_frames=False)
    sums = [int(np.asarray(s, dtype=np.int64).sum()) & 0xFFFF for s in raw.e_d_signal]
    assert sums == [c & 0xFFFF for c in raw.checksum], "checksums"
    frames = record.fs
    rates = [frames * n for n in record.samps_per_frame]
    notes = []
    if pathlib.Path(f"{name}.atr").exists():
        found = wfdb.rdann(name, "atr")
        notes = [[float(s) / found.fs, str(c)] for s, c in zip(found.sample, found.symbol)]
    return record.sig_name, rates, [listed(s) for s in signals], notes


def read_edf(name):
    reader = pyedflib.EdfReader(name)
    per_mv = {"mV": 1.0, "uV": 1000.0}
    signals = [reader.readSignal(i) / per_mv[reader.getPhysicalDimension(i)] for i in range(reader.signals_in_file)]
    rates = [float(f) for f in reader.getSampleFrequencies()]
    notes = [[float(o), str(t)] for o, _, t in zip(*reader.readAnnotations())]
    names = reader.getSignalLabels()
    reader.close()
    return names, rates, [listed(s) for s in signals], notes


cases = []
for source, target in [("w212.hea", "copy"), ("w212.hea", "copy.edf"), ("w212.hea", "copy.bdf"), ("w16.hea", "half.edf"), ("plus.edf", "plus"), ("plus.edf", "again.edf")]:
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([command, "convert", here / source, pathlib.Path(folder, target)], check=True, capture_output=True)
        os.chdir(folder)
        names, rates, signals, notes = read_edf(target) if "." in target else read_wfdb(target)
        files = {p.name: p.read_bytes().hex() for p in sorted(pathlib.Path(folder).iterdir())}
        os.chdir(here)
    cases.append({"from": source, "to": target, "names": names, "rates": rates, "millivolts": signals, "annotations": notes, "files": files})
with open("written.json", "w") as out:
    json.dump(cases, out, separators=(",", ":"))
    out.write("\n")
print(len(cases), "cases;", wfdb.__version__, pyedflib.__version__, np.__version__)
