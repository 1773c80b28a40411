#!/usr/bin/env python3
"""The wheel beside Python's packages, on one record, on one thread, in one process.

    python3 wheel.py RECORD MODEL.onnx

Whole pipelines, from the record's files to a class for each beat: Heartlens from `hl.read` and beat by beat through
`hl.Monitor`; wfdb, scipy, sleepecg or neurokit2, numpy and onnxruntime as `pipeline.py` has them, with all beats in arrays and
beat by beat. R peaks alone, from an array of lead 0: `hl.detect`, sleepecg, neurokit2 and wfdb's xqrs.

Each runs three times, and the fastest counts; one that takes more than 20 s runs once. Prints one JSON object.
"""

import importlib.metadata
import json
import os
import sys
import tempfile
import time

import pipeline

import neurokit2
import sleepecg
import wfdb
import wfdb.processing

import heartlens as hl

RUNS = 3
LONG_S = 20


def timed(work):
    """Seconds of the fastest run, and what it gave."""
    best, result = None, None
    for _ in range(RUNS):
        begun = time.perf_counter()
        result = work()
        seconds = time.perf_counter() - begun
        best = seconds if best is None else min(best, seconds)
        if seconds > LONG_S:
            break
    return best, len(result)


def watched(record):
    """Beat by beat, a second at a time."""
    signal, fs = record.signal(0), round(record.fs)
    monitor = hl.Monitor(fs=fs)
    events = []
    for start in range(0, len(signal), fs):
        events += monitor.push(signal[start : start + fs])
    return [event for event in events + monitor.finish() if event.kind == "beat"]


def main():
    path, model = sys.argv[1:]
    record = hl.read(path)
    header = wfdb.rdrecord(path, channels=[0])
    signal, fs = header.p_signal[:, 0], int(header.fs)
    out = os.path.join(tempfile.mkdtemp(), "beats.csv")

    def theirs(mode, detector):
        beats = pipeline.run(path, model, out, mode, detector)["beats"]
        return range(beats)

    pipelines = {
        "heartlens, arrays": lambda: hl.read(path).classify(0, rules="off", threads=1).beats,
        "heartlens, beat by beat": lambda: watched(hl.read(path)),
        "wfdb + sleepecg + onnxruntime, arrays": lambda: theirs("arrays", "sleepecg"),
        "wfdb + sleepecg + onnxruntime, beat by beat": lambda: theirs("beats", "sleepecg"),
        "wfdb + neurokit2 + onnxruntime, arrays": lambda: theirs("arrays", "neurokit2"),
        "wfdb + neurokit2 + onnxruntime, beat by beat": lambda: theirs("beats", "neurokit2"),
    }
    detectors = {
        "heartlens": lambda: hl.detect(signal, fs),
        "sleepecg": lambda: sleepecg.detect_heartbeats(signal, fs, backend="c"),
        "neurokit2": lambda: neurokit2.ecg_peaks(neurokit2.ecg_clean(signal, sampling_rate=fs), sampling_rate=fs)[1][
            "ECG_R_Peaks"
        ],
        "wfdb xqrs": lambda: wfdb.processing.xqrs_detect(signal, fs, verbose=False),
    }
    names = ("heartlens", "wfdb", "sleepecg", "neurokit2", "scipy", "numpy", "onnxruntime")
    result = {"hours": record.duration_s / 3600, "versions": {name: importlib.metadata.version(name) for name in names}}
    for kind, works in (("pipelines", pipelines), ("detectors", detectors)):
        result[kind] = []
        for name, work in works.items():
            seconds, beats = timed(work)
            result[kind].append({"name": name, "seconds": seconds, "beats": beats})
    print(json.dumps(result))


if __name__ == "__main__":
    main()
