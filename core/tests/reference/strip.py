#!/usr/bin/env python3
"""Reference values for heartlens_core::strip, computed independently of it in float64.

Made with Python 3.11.7, NumPy 2.4.6, SciPy 1.17.1. Command, from anywhere, after generate.py:

    python3 core/tests/reference/strip.py

It reads ecg_counts.i16 and ecg_r_peaks.i32 and writes, little-endian and row-major, the views of four windows of that ECG (0 to 10 s,
0 to 30 s, 30 to 60 s, 65 to 95 s); every tenth beat counts as unreadable, every seventh as no heartbeat:

    strip_beats.f64       [4, 8, 64]
    strip_average.f64     [4, 2, 104]
    strip_power.f64       [4, 2, 64]    scipy.signal.welch
    strip_statistics.f64  [4, 40]
"""

from pathlib import Path

import numpy as np
import scipy.signal

RATE = 128
OUT = Path(__file__).resolve().parent
ECG = np.fromfile(OUT / "ecg_counts.i16", "<i2") / 256.0
PEAKS = np.fromfile(OUT / "ecg_r_peaks.i32", "<i4")
WINDOWS = [(0, 1280), (0, 3840), (3840, 7680), (8320, 12160)]
BEFORE, AFTER = 44, 60


def correlation(a, b):
    return np.corrcoef(a, b)[0, 1] if np.ptp(a) > 0 and np.ptp(b) > 0 else 0.0


def part(mask):
    return float(np.mean(mask)) if len(mask) else 0.0


def lagged(x, lag):
    return correlation(x[lag:], x[:-lag])


def views(start, end):
    numbers = [i for i, r in enumerate(PEAKS) if r - BEFORE >= start and r + AFTER <= end][-64:]
    r = PEAKS[numbers]
    n = len(r)
    seconds = ECG[start:end][: (end - start) // RATE * RATE].reshape(-1, RATE)
    scale = max(np.median(np.ptp(seconds, axis=1)), 0.02)
    x = np.clip(ECG / scale, -3, 3)
    beats = np.array([x[p - BEFORE : p + AFTER] for p in r])
    average = np.median(beats, axis=0)
    spread = np.median(np.abs(beats - average), axis=0)

    l = np.log(np.clip(np.diff(r) / RATE, 0.2, 3.0))
    m = np.median(l)
    clip = lambda v: 3 * np.clip(v, -1, 1)
    sequence = np.zeros((8, 64))
    at = slice(64 - n, 64)
    sequence[0, at] = 1
    sequence[1, 64 - n + 1 :] = clip(l - m)
    sequence[2, 64 - n + 2 :] = clip(np.diff(l))
    sequence[3, 64 - n : 63] = clip(l - m)
    places = {4: slice(36, 53), 5: slice(8, 36), 6: slice(56, 96)}
    for channel, place in places.items():
        sequence[channel, at] = [correlation(b[place], average[place]) for b in beats]
    heights = np.log((np.ptp(beats, axis=1) + 1e-3) / (np.ptp(average) + 1e-3))
    sequence[7, at] = np.clip(heights, -1, 1)

    # The line in place of each complex, of those that touch one line.
    spans = []
    for p in r:
        if spans and p - 12 <= spans[-1][1]:
            spans[-1][1] = p + 46
        else:
            spans.append([p - 12, p + 46])
    y = x.copy()
    for a, b in spans:
        y[a:b] = np.interp(np.arange(a, b), [a, b], [x[a], x[b]])
    power = []
    for signal in (x, y):
        _, density = scipy.signal.welch(
            signal[start:end], RATE, np.hanning(256), 256, 128, 256, detrend=False, scaling="density"
        )
        # Welch's density back to the mean of squared magnitudes, over 64 squared.
        squared = density[1:65] * RATE * np.sum(np.hanning(256) ** 2) / 2 / 64**2
        power.append(0.5 * np.log(squared + 1e-5) + 4)

    d = np.diff(l)
    rr = np.exp(l)
    drr = np.diff(rr)
    s = np.sort(l)
    quantile = lambda v, q: np.sort(v)[int(q * (len(v) - 1) + 0.5)]
    pairs = [(i, j) for i in range(len(rr) - 1) for j in range(i + 1, len(rr) - 1)]
    alike = [abs(rr[i] - rr[j]) < 0.03 for i, j in pairs]
    still = [abs(rr[i + 1] - rr[j + 1]) < 0.03 for i, j in pairs]
    a, b, p = np.sum(alike) + 0.5, np.sum(np.array(alike) & np.array(still)) + 0.5, len(pairs) + 0.5
    early, late = np.log(0.85), np.log(1.15)
    cells = np.clip(np.floor(drr / 0.04 + 0.5), -8, 8).astype(int)
    plane = list(zip(cells[:-1], cells[1:]))
    unreadable = np.array([i % 10 == 9 for i in numbers])
    strange = unreadable | np.array([i % 7 == 6 for i in numbers])
    p_wave, qrs = np.std(average[8:36]) + 1e-3, np.std(average[36:53]) + 1e-3
    root = lambda v: np.sqrt(np.mean(v**2))
    edges = np.concatenate([[start], r, [end]])
    turns = d[:-1] * d[1:] < 0
    statistics = [
        m, n / 64, (end - start) / 3840,
        np.std(l), root(d), np.median(np.abs(d)), np.median(np.abs(l - m)),
        part(np.abs(drr) > 0.05), part(np.abs(d) > 0.1), part(np.abs(d) > 0.2),
        s[0] - m, s[-1] - m, quantile(l, 0.1) - m, quantile(l, 0.9) - m,
        lagged(l, 1), lagged(l, 2), lagged(d, 1),
        np.sum(turns) / (len(d) - 1),
        np.log(a / b), np.log(a / p),
        part(l - m < early), part(l - m > late),
        np.sum((l[:-1] - m < early) & (l[1:] - m > late)) / len(l),
        np.sum(turns & (np.abs(d[:-1]) > 0.1) & (np.abs(d[1:]) > 0.1)) / (len(d) - 1),
        len(set(plane)) / len(plane), part([c == (0, 0) for c in plane]),
        np.mean(sequence[4, at]), quantile(sequence[4, at], 0.1), part(sequence[4, at] < 0.9),
        np.mean(sequence[5, at]), quantile(sequence[5, at], 0.1), np.mean(sequence[6, at]),
        np.std(sequence[7, at]),
        p_wave / qrs, root(spread[8:36]) / p_wave, root(spread[36:53]) / qrs,
        part(unreadable), part(strange), np.log(scale), np.max(np.diff(edges)) / (end - start),
    ]
    return sequence, [average, spread], power, np.clip(statistics, -4, 4)


for name, values in zip(("beats", "average", "power", "statistics"), zip(*[views(*w) for w in WINDOWS])):
    values = np.asarray(values)
    assert np.all(np.isfinite(values)), name
    (OUT / f"strip_{name}.f64").write_bytes(values.astype("<f8").tobytes())
    print(f"strip_{name}.f64: {list(values.shape)}, {values.min():.6g} to {values.max():.6g}")
