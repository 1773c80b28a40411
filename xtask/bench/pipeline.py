#!/usr/bin/env python3
"""The same work with Python's packages: a WFDB record in, a class for each beat out, on one thread.

    python3 pipeline.py RECORD MODEL.onnx OUT.csv arrays|beats

wfdb reads lead 0, scipy resamples it to 128 Hz and filters it, sleepecg finds the R peaks (its C backend). Then, with
`arrays`, numpy and scipy make the four views of all beats at once, without a loop over beats, and onnxruntime runs the
network in batches of 256: as fast as it gets, once the whole record is there. With `beats`, each beat goes through the
same steps by itself, as it must where beats are classified while they come in, which is how Heartlens works.
The views have the shapes that the model wants and are made the way they are named; they are not Heartlens's features to
the bit, and the classes are not meant to be right.

Prints one JSON object: versions, beats, seconds of each stage (imports left out) and their sum.
"""

import importlib.metadata
import json
import os
import sys
import time

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[name] = "1"

import numpy as np
import onnxruntime
import scipy.signal as sps
import sleepecg
import wfdb

RATE_HZ = 128
BATCH = 256
LABELS = np.array(list("NSVF"))


def windows(signal, peaks, before, length):
    """`[len(peaks), length]`: the signal from `before` samples before each peak on."""
    padded = np.pad(signal, (before, length))
    return np.lib.stride_tricks.sliding_window_view(padded, length)[peaks]


def relative(beats):
    """`[n, 2, length]`: each beat and the running average of the beats before it, both over the average's spread."""
    centred = beats - np.median(beats, axis=1, keepdims=True)
    first = np.median(centred[:16], axis=0)
    keep = 1 - 1 / 16
    state = (keep * first)[np.newaxis]
    average, _ = sps.lfilter([1 - keep], [1, -keep], centred, axis=0, zi=state)
    average = np.vstack([first[np.newaxis], average[:-1]])
    spread = average[:, 48:80].std(axis=1) + 0.01
    return np.stack([centred, average], axis=1) / spread[:, np.newaxis, np.newaxis]


def spectra(pairs):
    """`[n, 2, 64]`: logarithm of the power from 0.5 Hz up."""
    power = np.abs(np.fft.rfft(pairs * np.hanning(pairs.shape[-1]), 256, axis=-1)) ** 2
    return 0.5 * np.log(power[..., 1:65] + 0.02)


def spectrograms(pairs):
    """`[n, 2, 16, 11]`: the same of eleven frames of 32 samples, 8 apart."""
    frames = np.lib.stride_tricks.sliding_window_view(pairs[..., 16:128], 32, axis=-1)[..., ::8, :]
    power = np.abs(np.fft.rfft(frames * sps.windows.hann(32), 64, axis=-1) / 4) ** 2
    return 0.5 * np.log(np.swapaxes(power[..., 1:17], -1, -2) + 0.02)


def metadata(peaks, pairs, length):
    """`[n, length]`: RR intervals against their running medians, likeness to the average, sizes."""
    rr = np.diff(peaks, prepend=peaks[0] - RATE_HZ) / RATE_HZ
    after = np.append(rr[1:], np.median(rr))
    slow = sps.medfilt(np.pad(rr, 32, mode="edge"), 65)[32:-32]
    fast = sps.medfilt(np.pad(rr, 5, mode="edge"), 11)[5:-5]
    beat, average = pairs[:, 0], pairs[:, 1]
    columns = [np.log(a / b) for a in (rr, after, np.roll(rr, 1)) for b in (slow, fast)]
    for start in range(16, 112, 16):
        a, b = beat[:, start : start + 16], average[:, start : start + 16]
        norm = np.sqrt((a * a).sum(1) * (b * b).sum(1)) + 0.01
        columns += [(a * b).sum(1) / norm, np.log((a.std(1) + 0.01) / (b.std(1) + 0.01))]
    columns += [beat.max(1), beat.min(1), np.abs(np.diff(beat)).max(1), np.log(rr)]
    table = np.zeros((len(peaks), length))
    table[:, : len(columns)] = np.clip(np.stack(columns, axis=1), -3, 3)
    return table


def all_views(signal, peaks, columns):
    """The views of all beats at once."""
    pairs = relative(windows(signal, peaks, 64, 128))
    return {
        "waveform": pairs[:, :, 24:120],
        "spectrum": spectra(pairs),
        "spectrogram": spectrograms(pairs),
        "metadata": metadata(peaks, pairs, columns),
    }


def views_in_turn(signal, peaks, columns):
    """The same of one beat after another: the average is carried along, RR intervals are those around the beat."""
    padded = np.pad(signal, (64, 128))
    average = None
    for i, peak in enumerate(peaks):
        beat = padded[peak : peak + 128]
        centred = beat - np.median(beat)
        average = centred if average is None else average
        pair = np.stack([centred, average]) / (average[48:80].std() + 0.01)
        average = average + (centred - average) / 16
        pairs = pair[np.newaxis]
        around = peaks[max(0, i - 33) : i + 2]
        yield {
            "waveform": pairs[:, :, 24:120],
            "spectrum": spectra(pairs),
            "spectrogram": spectrograms(pairs),
            "metadata": metadata(around, np.repeat(pairs, len(around), axis=0), columns)[-1:],
        }


def detected(signal, rate, detector):
    """R peaks of a signal that has been filtered."""
    if detector == "neurokit2":
        import neurokit2

        cleaned = neurokit2.ecg_clean(signal, sampling_rate=rate)
        return neurokit2.ecg_peaks(cleaned, sampling_rate=rate)[1]["ECG_R_Peaks"]
    return sleepecg.detect_heartbeats(signal, rate, backend="c")


def run(record, model, out, mode, detector="sleepecg"):
    """The whole way; gives what `main` prints."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    shapes = {value.name: value.shape for value in session.get_inputs()}
    seconds = {}
    clock = time.perf_counter()

    def lap(stage):
        nonlocal clock
        now = time.perf_counter()
        seconds[stage], clock = now - clock, now

    header = wfdb.rdheader(record)
    signal = wfdb.rdrecord(record, channels=[0]).p_signal[:, 0]
    lap("read")
    rate = int(header.fs)
    if rate != RATE_HZ:
        divisor = np.gcd(rate, RATE_HZ)
        signal = sps.resample_poly(signal, RATE_HZ // divisor, rate // divisor)
    signal = sps.sosfilt(sps.butter(2, [0.5, 40], "bandpass", fs=RATE_HZ, output="sos"), signal)
    lap("resample, filter")
    peaks = detected(signal, RATE_HZ, detector)
    lap("R peaks")
    columns = shapes["metadata"][1]

    def network(views):
        views = {name: np.ascontiguousarray(view, np.float32) for name, view in views.items()}
        for name, view in views.items():
            assert list(view.shape[1:]) == shapes[name][1:], (name, view.shape, shapes[name])
        return session.run(["logits"], views)[0]

    if mode == "arrays":
        views = all_views(signal, peaks, columns)
        lap("views")
        starts = range(0, len(peaks), BATCH)
        logits = [network({n: v[i : i + BATCH] for n, v in views.items()}) for i in starts]
        lap("network")
    else:
        logits = [network(views) for views in views_in_turn(signal, peaks, columns)]
        lap("views and network")
    classes = LABELS[np.concatenate(logits).argmax(axis=1)]
    with open(out, "w") as file:
        for peak, name in zip(peaks, classes):
            file.write(f"{round(peak * rate / RATE_HZ)},{name}\n")
    lap("write")
    names = ("wfdb", "sleepecg", "scipy", "numpy", "onnxruntime")
    versions = {name: importlib.metadata.version(name) for name in names}
    result = {"mode": mode, "versions": versions, "beats": len(peaks), "stages": seconds}
    return result | {"seconds": sum(seconds.values())}


def main():
    print(json.dumps(run(*sys.argv[1:])))


if __name__ == "__main__":
    main()
