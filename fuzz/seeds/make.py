#!/usr/bin/env python3
"""Makes the seeds of the fuzz targets, each a small input that its target accepts.

    python3 fuzz/seeds/make.py        (Python 3.11, no packages, no random numbers)
"""

from pathlib import Path

HERE = Path(__file__).parent


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
