#!/usr/bin/env python3
"""Makes the seeds of the fuzz targets, each a small input that its target accepts.

    python3 fuzz/seeds/make.py        (Python 3.11, no packages, no random numbers)
"""

import json
from pathlib import Path

HERE = Path(__file__).parent
# Small files of every format, made by the scripts there.
REFERENCE = HERE / "../../records/src/reference"


def seed(target, name, contents):
    (HERE / target).mkdir(exist_ok=True)
    (HERE / target / name).write_bytes(contents)


HEADER = """f 2 360 8
f.dat 212 200(0)/mV 12 0 0 -20052 0 II
f.dat 212 200(0)/mV 12 0 0 0 0 V1
# 69 M 1085 1629 x1
"""
seed("wfdb_header", "two_leads", HEADER.encode())
seed("wfdb_header", "offset", b"f 1 300 9000 12:00:00 01/02/2003\nf.dat 16+24 1000/mV 16 0 -127 0 0 ECG\n")
samples = bytes((7 * i) & 0xFF for i in range(24))
seed("wfdb_record", "format_212", HEADER.encode() + b"\0" + samples)
seed("wfdb_record", "format_16", b"f 1 128 12\nf.dat 16 200/mV\n\0" + samples)

segment = b"s 2 128 12\ns.dat 16 200/mV\ns.dat 16 200/mV\n"
seed("segments", "fixed", b"m/3 2 128 36\ns 12\nt 12\ns 12\n\0" + segment)
seed("segments", "variable_with_a_gap", b"m/4 3 128 34\nl 0\nt 12\n~ 10\ns 12\n\0" + segment)


def annotation(code, interval):
    return (code << 10 | interval).to_bytes(2, "little")


beats = b"".join(annotation(code, 200) for code in (28, 1, 1, 5, 8, 1))
skip = annotation(59, 0) + (1).to_bytes(2, "little") + (0).to_bytes(2, "little")
note = annotation(22, 10) + annotation(63, 3) + b"(N\0\0"
seed("annotations", "beats", beats + b"\0\0")
seed("annotations", "skip_and_note", note + skip + annotation(1, 90) + b"\0\0")


def step(millivolts, samples):
    return round(1000 * millivolts).to_bytes(2, "little", signed=True) + bytes([samples - 1])


def beat(height, rest):
    return step(height, 3) + step(-0.2, 3) + step(0, 2) + step(0.25, 20) + step(0, 16) + step(0, rest)


rhythm = b"".join(beat(1.0, 60) for _ in range(30))
ectopic = b"".join(beat(1.0, 60) + beat(1.0, 60) + beat(-1.5, 20) + beat(1.0, 90) for _ in range(12))
broken = (-32768).to_bytes(2, "little", signed=True) + bytes([40])
seed("monitor", "rhythm", b"\0" + rhythm)
seed("monitor", "ectopic_with_a_gap", b"\3" + ectopic + broken + ectopic)


def reference(name):
    return json.loads((REFERENCE / name).read_text())


TARGETS = {"dcm": "dicom", "scp": "scp", "xml": "xml", "atc": "atc"}
for case in reference("others.json") + reference("bimodal.json"):
    stem, extension = case["name"].split(".")
    if stem not in ("unsigned", "narrow", "two", "packed104"):
        seed(TARGETS[extension], stem, bytes.fromhex(case["hex"]))
seed("edf", "plus", (REFERENCE / "plus.edf").read_bytes())
seed("edf", "bdf", bytes.fromhex(reference("bdf.json")["file"]))
for case in reference("ishne.json"):
    name = case["record"]
    recording, annotations = (bytes.fromhex(case["files"][f"{name}.{part}"]) for part in ("ecg", "ann"))
    seed("ishne", name, len(recording).to_bytes(2, "little") + recording + annotations)
for case in reference("flac.json"):
    name = case["record"]
    if name[:2] == "f5":
        bits, leads = name[1:].split("_")
        stated = ("508", "516", "524").index(bits) + 3 * (int(leads) - 1)
        seed("flac", name, bytes([stated]) + bytes.fromhex(case["files"][f"{name}.dat"]))

lines = [f"{k / 250:.3f},{(k * k) % 37 / 20},{1000 - k}" for k in range(40)]
seed("table", "seconds", "\0# Age: 61 Sex: M\ntime,II (mV),V1 [uV]\n".encode() + "\n".join(lines).encode())
clock = [f'"[05:06:{k // 8:02}.{k % 8 * 125:03} 04/03/2026]";{k},5;-' for k in range(40)]
seed("table", "clock", b"\0time;ECG (mV);resp\r\n" + "\r\n".join(clock).encode())
dates = [f"2026-03-04T05:06:07.{k:03}Z\t{k % 7}" for k in range(0, 120, 4)]
seed("table", "dates", b"\2timestamp\tecg\n" + "\n".join(dates).encode())
seed("table", "counts", b"\3chest\n" + "\n".join(str(100 * k % 41) for k in range(60)).encode())
seed("table", "wide", b"\1" + "\ufeffII,V1\n1,2\n3,4\n5,nan\n".encode("utf-16-le"))

intervals = [780 + k * 37 % 90 for k in range(30)]
seed("beats", "intervals", b"\0RR (ms),label\n" + "\n".join(f"{rr},N" for rr in intervals).encode())
seed("beats", "times", b"\4" + "\n".join(f"{sum(intervals[:k]) / 1000:.3f}" for k in range(1, 30)).encode())
seed("beats", "rr", b"\1" + "\n".join(str(rr / 1000) for rr in intervals).encode())
hrm = "[Params]\nVersion=107\nMonitor=12\nInterval=238\nStartTime=10:20:30.0\n\n[HRData]\n"
seed("beats", "hrm", b"\2" + (hrm + "\n".join(map(str, intervals))).encode())
seed("beats", "fit", b"\3" + bytes.fromhex(reference("fit.json")["file"]))

image = (HERE / "../../models/beat/rhythm.hlr").read_bytes()
seed("rhythm", "shipped", image + b"".join(k.to_bytes(4, "little") for k in range(0, 0x40000000, 0x2000000)))
# A network of one cell.
seed("rhythm", "one_cell", image[:16] + (1).to_bytes(4, "little") + image[20:24] + bytes(range(40)))

seed("model", "beat", b"\0" + bytes(4))
seed("model", "strip", b"\1" + bytes(4))
# The first bytes of the model's name, the end of a table, and a weight.
for kind, name in ((0, "beat_changed"), (1, "strip_changed")):
    changes = [(40, 0, ord("x")), (100, 2, 1), (700, 2, 255), (9000, 1, 77)]
    seed("model", name, bytes([kind]) + b"".join(at.to_bytes(2, "little") + bytes([how, value]) for at, how, value in changes))


def calls(*steps):
    return b"".join(bytes([kind]) + number.to_bytes(2, "little") + bytes([more]) for kind, number, more in steps)


# Regular beats, a run of wide ones, a gap that is bridged, a long one, beats again; with a clock now and then.
day = calls((2 + 8 * 20, 8000, 120), (6, 3000, 0), (3 + 8 * 6, 9000, 51), (5 + 8, 100, 0), (2 + 8 * 10, 8000, 120), (6, 9000, 0))
more = calls((5 + 8 * 3, 900, 0), (4 + 8 * 15, 8000, 90), (0, 300, 200), (15, 0, 9), (7, 0, 0), (2 + 8 * 31, 7000, 110))
seed("wearable", "at_250_hz", bytes([8, 100]) + day + more)
seed("wearable", "at_100_hz_in_blocks", bytes([0, 103]) + day + more)
seed("wearable", "with_strips", bytes([5, 101]) + calls((2 + 8 * 31, 8000, 120), (4 + 8 * 31, 7000, 80)) + day)
