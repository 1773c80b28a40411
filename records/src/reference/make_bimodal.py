"""Writes bimodal.json: SCP-ECG records in bimodal compression, laid out here, and what was compressed. The test in
records/src/tests/bimodal.rs expects the same.

No reader in the Python registry reads bimodal compression (ecgdatakit 2.0.3 refuses it), and biosig 2.5.0, as Debian has it, leaves the
samples thinned out. So the samples that were thinned out are expanded here by numpy.interp, as the standard says it in words. Tools:
numpy 2.4.6, Python 3.11. Seed: 20261127 (numpy.random.default_rng). Run in this folder:  python make_bimodal.py

Cases of `name`, `factor`, `hex` (the file's bytes), `zones` (protected, from 1), and in counts of 2.5 uV, a lead as i16, little-endian,
in hexadecimal digits: `signal`, what was compressed, and `expanded`, what the file says of it.
"""

import binascii
import json
import struct

import numpy as np

SAMPLES, RATE, NV = 2600, 500, 2500
CODES = [1, 3]
rng = np.random.default_rng(20261127)


def beat_of(lead, length, fiducial):
    """P, QRS and T, in counts."""
    t = np.arange(1, length + 1) - fiducial
    wave = lambda height, at, width: height * np.exp(-(((t - at) / width) ** 2) / 2)
    return wave(40, -80, 12) + wave(-60, -14, 4) + wave(400 + 90 * lead, 0, 5) + wave(-120, 14, 5) + wave(90, 130, 25)


def bits(value):
    """The standard's own Huffman table."""
    value = int(value)
    if value == 0:
        return "0"
    if abs(value) <= 8:
        return "1" * abs(value) + "0" + ("1" if value < 0 else "0")
    if -128 <= value < 128:
        return "1111111110" + f"{value & 0xff:08b}"
    return "1111111111" + f"{value & 0xffff:016b}"


def packed(values, order):
    differences = np.array(values, dtype=int)
    for k in range(len(values) - 1, order - 1, -1):
        if order == 1:
            differences[k] = values[k] - values[k - 1]
        if order == 2:
            differences[k] = values[k] - 2 * values[k - 1] + values[k - 2]
    text = "".join(bits(d) for d in differences)
    text += "0" * (-len(text) % 16)
    return bytes(int(text[i : i + 8], 2) for i in range(0, len(text), 8))


def between(zones):
    """The stretches that no zone protects, from 0, the end left out."""
    ends = [0, *(end for _, end in zones)]
    begins = [*(begin - 1 for begin, _ in zones), SAMPLES]
    return list(zip(ends, begins))


def thinned(lead, zones, factor):
    """Protected zones as they are; of what lies between, the mean of each `factor` samples, and what is left over as it is."""
    kept = []
    for n, (begin, end) in enumerate(between(zones)):
        whole = (end - begin) // factor * factor
        means = lead[begin : begin + whole].reshape(-1, factor).mean(axis=1)
        kept += [int(np.round(v)) for v in means] + list(lead[begin + whole : end])
        if n < len(zones):
            kept += list(lead[zones[n][0] - 1 : zones[n][1]])
    return kept


def expanded(lead, zones, factor):
    """Half of the first group is its mean, half of the last one too, and between two groups' middles lies a straight line."""
    full = lead.astype(float)
    for begin, end in between(zones):
        groups = (end - begin) // factor
        if groups == 0:
            continue
        means = np.round(lead[begin : begin + groups * factor].reshape(-1, factor).mean(axis=1))
        at = np.arange(groups) * factor + factor // 2
        full[begin : begin + groups * factor] = np.interp(np.arange(groups * factor), at, means)
    return full


def sections(bodies):
    out, at = [], 7 + 16 + 120
    for number in range(1, 12):
        body = bodies.get(number, b"")
        length = 16 + len(body) if body else 0
        content = b""
        if body:
            rest = struct.pack("<HIBB6s", number, length, 20, 20, b"\0" * 6) + body
            content = struct.pack("<H", binascii.crc_hqx(rest, 0xFFFF)) + rest
        out.append((number, length, at if body else 0, content))
        at += length
    pointers = struct.pack("<HII", 0, 136, 7) + b"".join(struct.pack("<HII", n, length, place) for n, length, place, _ in out)
    rest = struct.pack("<HIBB6s", 0, 136, 20, 20, b"SCPECG") + pointers
    body = struct.pack("<H", binascii.crc_hqx(rest, 0xFFFF)) + rest + b"".join(s for *_, s in out)
    body = struct.pack("<I", len(body) + 6) + body
    return struct.pack("<H", binascii.crc_hqx(body, 0xFFFF)) + body


def even(body):
    return body + b"\0" * (len(body) % 2)


def record(name, factor, subtracts):
    # The reference beat, its fiducial point, and where beats are: one of them of another kind, which is not taken out.
    length, fiducial = 330, 111
    fiducials = [400, 823, 1250, 1530, 2090]
    kinds = [1 if f == 1530 else 0 for f in fiducials]
    subtraction = [(k, f - fiducial + 1, f, f - fiducial + length) for k, f in zip(kinds, fiducials)]
    zones = [(f - 29 - n % 3, f + 30 + n % 2) for n, f in enumerate(fiducials)]
    reference = np.round([beat_of(lead, length, fiducial) for lead in range(len(CODES))]).astype(int)
    t = np.arange(SAMPLES)
    drift = np.array([30 * np.sin(2 * np.pi * t / (900 + 200 * lead)) for lead in range(len(CODES))])
    signal = np.round(drift + rng.normal(0, 1.5, (len(CODES), SAMPLES))).astype(int)
    for kind, begin, at, end in subtraction:
        if kind == 0:
            signal[:, begin - 1 : end] += reference
        else:
            signal[:, at - 61 : at + 60] += np.round(700 * np.exp(-((np.arange(-60, 61) / 14) ** 2) / 2)).astype(int)
    residual, full = signal.copy(), None
    for kind, begin, _, end in subtraction:
        if kind == 0 and subtracts:
            residual[:, begin - 1 : end] -= reference
    full = np.array([expanded(lead, zones, factor) for lead in residual])
    for kind, begin, _, end in subtraction:
        if kind == 0 and subtracts:
            full[:, begin - 1 : end] += reference

    demographics = b"\x02\x05\0A-17\0" + b"\x04\x03\0" + struct.pack("<HB", 61, 1) + b"\x08\x01\0\x02"
    demographics += b"\x19\x04\0" + struct.pack("<HBB", 2026, 3, 4) + b"\x1a\x03\0" + bytes([5, 6, 7]) + b"\xff\0\0"
    count = len(CODES)
    bodies = {1: even(demographics), 2: struct.pack("<H", 19999)}
    bodies[3] = even(bytes([count, int(subtracts) | 0x04 | count << 3]) + b"".join(struct.pack("<IIB", 1, SAMPLES, c) for c in CODES))
    body = struct.pack("<HHH", 1000 * length // RATE, fiducial, len(subtraction))
    body += b"".join(struct.pack("<HIII", *b) for b in subtraction)
    bodies[4] = body + b"".join(struct.pack("<II", *zone) for zone in zones)
    step_us = 1_000_000 // RATE
    kept = [thinned(lead, zones, factor) for lead in residual]
    for number, leads, step, flag in [(5, reference, step_us, 0), (6, kept, factor * step_us, 1)]:
        data = [packed(lead, 2) for lead in leads]
        header = struct.pack("<HHBB", NV, step, 2, flag)
        bodies[number] = header + b"".join(struct.pack("<H", len(d)) for d in data) + b"".join(data)
    outside = np.ones(SAMPLES, bool)
    for begin, end in zones:
        outside[begin - 1 : end] = False
    assert np.array_equal(full[:, ~outside], signal[:, ~outside])
    print(name, "of what was thinned out, rms", round(float(((full - signal)[:, outside] ** 2).mean() ** 0.5), 3), "counts")
    digits = lambda leads: [np.round(lead).astype("<i2").tobytes().hex() for lead in leads]
    return {
        "name": name, "factor": factor, "hex": sections(bodies).hex(), "zones": zones, "signal": digits(signal), "expanded": digits(full),
    }


if __name__ == "__main__":
    cases = [record("four.scp", 4, True), record("two.scp", 2, True), record("plain.scp", 4, False)]
    with open("bimodal.json", "w") as out:
        json.dump(cases, out, separators=(",", ":"))
        out.write("\n")
