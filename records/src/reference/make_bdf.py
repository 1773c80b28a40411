"""Writes bdf.json: a BDF+ file (24 bits), and what an independent reader makes of it. The tests in records/src/tests/edf.rs
expect the same.

Tools: pyEDFlib 0.1.42, numpy 2.4.6, Python 3.11. Seed: 20261128 (numpy.random.default_rng).
Run in this folder:  python make_bdf.py
"""

import datetime
import json
import os

import numpy as np
import pyedflib

rng = np.random.default_rng(20261128)
RATES = [40, 10]
writer = pyedflib.EdfWriter("wide.bdf", 2, file_type=pyedflib.FILETYPE_BDFPLUS)
for channel, (label, dimension, low, high) in enumerate([("ECG II", "uV", -262144.0, 262143.0), ("Vx", "mV", -5.5, 6.25)]):
    writer.setSignalHeader(
        channel,
        {"label": label, "dimension": dimension, "sample_frequency": RATES[channel], "physical_min": low, "physical_max": high,
         "digital_min": -8388608, "digital_max": 8388607, "transducer": "", "prefilter": ""},
    )
writer.setStartdatetime(datetime.datetime(2026, 3, 4, 5, 6, 7))
writer.writeSamples([rng.integers(-(2**23), 2**23, rate * 3).astype(np.int32) for rate in RATES], digital=True)
writer.writeAnnotation(1.25, -1, "V")
writer.close()
reader = pyedflib.EdfReader("wide.bdf")
result = {
    "names": reader.getSignalLabels(),
    "rates": [reader.getSampleFrequency(i) for i in range(2)],
    "start": str(reader.getStartdatetime()),
    "physical": [[float(x) for x in reader.readSignal(i)] for i in range(2)],
    "annotations": [[float(o), str(t)] for o, _, t in zip(*reader.readAnnotations())],
}
reader.close()
with open("wide.bdf", "rb") as file:
    result["file"] = file.read().hex()
os.remove("wide.bdf")
with open("bdf.json", "w") as out:
    json.dump(result, out, separators=(",", ":"))
    out.write("\n")
