"""Writes ishne.json: ISHNE recordings with annotations, laid out by hand after the standard, and what an independent reader
makes of them. The tests in records/src/tests/ishne.rs expect the same.

Tools: ishneholterlib 2020.5.29 (reader), crccheck (CRC-16/CCITT-FALSE), numpy 2.4.6, Python 3.11.
Seed: 20261127 (numpy.random.default_rng). Run in this folder:  python make_ishne.py

Cases of `files` (name: hex of its bytes), `record`, `names`, `rate`, `millivolts` (a list a lead), `start`; and `annotations`:
sample and letter of each entry of the `.ann` file, added up here.
"""

import json
import pathlib
import struct
import tempfile
from importlib.metadata import version

import numpy as np
from crccheck.crc import Crc16CcittFalse
from ishneholterlib import Holter

rng = np.random.default_rng(20261127)


def header(magic, samples, leads, rate, text=b"", sex=2, checksum=True):
    """`leads`: (code, resolution in nV) of each."""
    filled = lambda values: struct.pack("<12h", *(list(values) + [-9] * (12 - len(values))))
    block = struct.pack("<iiiih", len(text), samples, 522, 522 + len(text), 1)
    block += b"Nobody".ljust(40, b"\0") + b"Here".ljust(40, b"\0") + b"A-17".ljust(20, b"\0")
    block += struct.pack("<hh3h3h3h3h", sex, 1, 2, 5, 1951, 4, 3, 2026, 5, 3, 2026, 21, 30, 7)
    block += struct.pack("<h", len(leads)) + filled([code for code, _ in leads]) + filled([1] * len(leads))
    block += filled([nv for _, nv in leads]) + struct.pack("<h", 3) + b"digital, test".ljust(40, b"\0")
    block += struct.pack("<h", rate) + b"".ljust(80, b"\0") * 2 + b"".ljust(88, b"\0")
    block += text
    assert len(block) == 512 + len(text)
    crc = Crc16CcittFalse.calc(block) if checksum else 0
    return magic + struct.pack("<H", crc) + block


def entries(first, steps):
    data = struct.pack("<I", first)
    at, listed = first, []
    for label, step in steps:
        data += struct.pack("<ccH", label.encode(), b"#", step)
        at += step
        listed.append([at, label])
    return data, listed


def case(name, leads, frames, rate, text=b"", **how):
    counts = rng.integers(-32768, 32768, (frames, len(leads))).astype("<i2")
    recording = header(b"ISHNE1.0", frames, leads, rate, text, **how) + counts.tobytes()
    steps = [("N", 30), ("V", 100), ("!", 65535), ("S", 12), ("C", 5), ("B", 40), ("P", 40), ("X", 7), ("U", 70), ("N", 65000)]
    data, listed = entries(70000, steps)
    annotations = header(b"ANN  1.0", frames, leads, rate, text, **how) + data
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder, f"{name}.ecg")
        path.write_bytes(recording)
        read = Holter(str(path), check_valid=False)
        read.load_data()
    return {
        "record": name,
        "names": [str(lead) for lead in read.lead],
        "rate": read.sr,
        "start": f"{read.record_date} {read.start_time}",
        "millivolts": [[float(x) for x in lead.data] for lead in read.lead],
        "annotations": listed,
        "files": {f"{name}.ecg": recording.hex(), f"{name}.ann": annotations.hex()},
    }


cases = [
    case("three", [(11, 2500), (15, 5000), (8, 4878)], 60, 200),
    case("one", [(6, 1000)], 40, 1000, text=b"a text of any length", sex=1),
    case("unchecked", [(2, 32767), (3, 1)], 25, 128, checksum=False),
]
with open("ishne.json", "w") as out:
    json.dump(cases, out, separators=(",", ":"))
    out.write("\n")
print(len(cases), "cases; ishneholterlib", version("ishneholterlib"), np.__version__)
