#!/usr/bin/env python3
"""Reference values for heartlens-core, computed independently of it in float64.

Made with Python 3.11.7, NumPy 2.4.6, SciPy 1.17.1; seed 20240229 (NumPy PCG64). Command, from anywhere:

    python3 core/tests/reference/generate.py

It writes the files beside itself, little-endian and row-major; the extension is the type of a value:

    windows_counts.i16       [16, 128]       beat windows, 256 counts per mV
    windows_scale_mv.f64     [16]            what each is divided by
    windows_normalised.f64   [16, 128]       divided and clipped to +-6
    windows_spectrum.f64     [16, 64]        scipy.fft.rfft
    windows_spectrogram.f64  [16, 16, 11]    scipy.signal.stft, frequency first
    filter_counts.i16        [3840]          30 s at 128 Hz, 256 counts per mV, far from 0 mV
    filter_output_mv.f64     [3840]          scipy.signal.sosfilt from sosfilt_zi
    ecg_counts.i16           [samples]       an ECG as the band-pass leaves it, 256 counts per mV
    ecg_r_peaks.i32          [beats]         positions of its R peaks
    ecg_scale_mv.f64         [beats]         the template's scale before each beat
    ecg_agreement.f64        [beats]         the share of beats that resemble the template, before each beat
    ecg_metadata.f64         [beats, 46]     the metadata view
    ecg_template_mv.f64      [beats/8, 128]  the template before beats 0, 8, 16, ...
    ecg_waveform.f64         [beats/16, 2, 96]      views of beats 0, 16, 32, ...
    ecg_spectrum.f64         [beats/16, 2, 64]
    ecg_spectrogram.f64      [beats/16, 2, 16, 11]

Signals are quantised to 1/256 mV, which f32 holds exactly: both sides compute from the same numbers.
"""

import sys
from pathlib import Path

import numpy as np
import scipy
import scipy.fft
import scipy.signal

SEED = 20240229
RATE_HZ = 128
COUNTS_PER_MV = 256.0
BEFORE = 64
OUT = Path(__file__).resolve().parent


def store(name, values):
    dtype = {"i16": "<i2", "i32": "<i4", "f64": "<f8"}[name.rsplit(".", 1)[1]]
    values = np.asarray(values)
    assert np.all(np.isfinite(values)), name
    stored = values.astype(dtype)
    assert np.array_equal(stored, values), f"{name} does not fit its type"
    (OUT / name).write_bytes(stored.tobytes())
    print(f"{name}: {list(values.shape)}, {values.min():.6g} to {values.max():.6g}")


def quantise(mv):
    counts = np.rint(np.asarray(mv) * COUNTS_PER_MV)
    assert np.abs(counts).max() < 32768
    return counts.astype(np.int16)


# Views of one normalised window.


def spectrum(window):
    tapered = window * scipy.signal.windows.hann(128, sym=True)
    transform = scipy.fft.rfft(tapered, n=256)[1:65] / 8.0
    return 0.5 * np.log(np.abs(transform) ** 2 + 0.05)


def spectrogram(window):
    hann = scipy.signal.windows.hann(32, sym=True)
    frequencies, _, transform = scipy.signal.stft(
        window[BEFORE - 48 : BEFORE + 64],
        fs=RATE_HZ,
        window=hann,
        nperseg=32,
        noverlap=24,
        nfft=64,
        detrend=False,
        boundary=None,
        padded=False,
        scaling="spectrum",
    )
    assert np.allclose(frequencies[1:17], np.arange(2, 33, 2)) and transform.shape == (33, 11)
    power = np.abs(transform[1:17] * hann.sum() / 4.0) ** 2
    return 0.5 * np.log(power + 0.02)


def normalise(window, scale):
    return np.clip(window / scale, -6.0, 6.0)


# Metadata.


def cut(window, first, last, lag=0):
    """R+first..=R+last of a beat window, moved by lag."""
    assert BEFORE + first + lag >= 0 and BEFORE + last + lag < 128
    return window[BEFORE + first + lag : BEFORE + last + lag + 1]


def corr(a, b):
    if np.ptp(a) == 0 or np.ptp(b) == 0:
        return 0.0
    return np.corrcoef(a, b)[0, 1]


def best_corr(x, other, first, last, lags):
    return max(corr(cut(x, first, last, lag), cut(other, first, last)) for lag in lags)


def rms(a):
    return np.sqrt(np.mean(a**2))


Q, P, T = (-19, 19), (-36, -10), (16, 57)
EPS = 0.02
# Not in the recipe: keeps the logarithm of a flat line's width finite.
TINY = 1e-3


class Complex:
    """Size, width and steepness of the QRS complex of a beat."""

    def __init__(self, window):
        level = np.median(cut(window, -32, 57))
        q = cut(window, *Q) - level
        self.energy = rms(q) + EPS
        self.width = np.sum(np.abs(q)) / (np.max(np.abs(q)) + EPS)
        self.slope = np.max(np.abs(np.diff(cut(window, -20, 19)))) + EPS / 4


def ac(window, span):
    part = cut(window, *span)
    return part - part.mean()


def shape_features(x, t, previous, scale, agreement):
    cx, ct = Complex(x), Complex(t)
    values = [
        best_corr(x, t, -16, 16, range(-3, 4)),
        best_corr(x, t, -32, 57, (-2, 0, 2)),
        np.log(cx.energy / ct.energy),
        np.log((cx.width + TINY) / (ct.width + TINY)),
        np.log((cx.width + TINY) / 12),
        np.log(cx.slope / ct.slope),
        np.log((rms(ac(x, P) - ac(t, P)) + EPS / 2) / scale) + 2,
        np.log((rms(ac(x, T) - ac(t, T)) + EPS / 2) / scale) + 1.5,
        corr(cut(x, *P), cut(t, *P)),
        best_corr(x, previous, -16, 16, range(-2, 3)),
        np.log(cx.slope / cx.energy),
        2 * agreement - 1,
    ]
    return np.clip(values, -3, 3)


def atrial_features(x, t, scale):
    of_template = np.log((np.std(cut(t, *P)) + 0.005) / scale) + 1.8
    of_beat = np.log((np.std(cut(x, *P)) + 0.005) / scale) + 1.8
    return np.clip([of_template, of_beat, np.log((Complex(t).width + TINY) / 12), of_beat - of_template], -3, 3)


class Rhythm:
    """RR intervals so far and the sticky sinus reference."""

    def __init__(self):
        self.history = []
        self.reference = None
        self.premature = 0.0
        self.irregularity = 0.1
        self.beats = 0

    def features(self, pre, post):
        """Both groups of RR features of a beat, then its update. post is None where no beat follows."""
        pre = float(np.clip(pre, 0.15, 4.0))
        past = self.history if self.history else [pre]
        h10, h64 = np.array(past[-10:]), np.array(past[-64:])
        local, overall = np.median(h10), np.median(h64)
        post = local if post is None else float(np.clip(post, 0.15, 4.0))
        p1 = past[-1]
        p2 = past[-2] if len(past) > 1 else past[-1]
        steps = np.abs(np.diff(np.log(h10)))
        step = steps.mean() if len(steps) else 0.0
        assert not np.any(np.abs(h64 - 0.98 * pre) < 1e-6), "a tie: change the signal"
        rr = [
            np.log(pre / local),
            np.log(post / local),
            np.log(post / pre),
            np.log(pre / overall),
            np.log(post / overall),
            np.log(p1 / local),
            np.log(p2 / local),
            np.log(overall / 0.8),
            np.log(pre / 0.8),
            3 * step - 0.3,
            np.log((pre + post) / (2 * overall)),
            np.log(pre / h10.mean()),
            np.log(pre / p1),
            np.mean(h64 < 0.98 * pre) - 0.5,
        ]

        l, h = np.log(pre), np.log(h64)
        med = np.median(h)
        mad = np.median(np.abs(h - med))
        std = np.std(h)
        p10, p90 = np.quantile(h, [0.1, 0.9])
        if self.reference is None:
            self.reference = l
        ref = self.reference
        rhythm = np.array(
            [
                l - ref,
                np.log(post) - ref,
                np.log(p1) - ref,
                ref - np.log(0.8),
                (l - med) / (1.5 * mad + 0.05) / 3,
                np.log(mad + 0.02) + 3,
                l - p10,
                l - p90,
                3 * self.premature - 0.3,
                np.log(self.irregularity + 0.02) + 2.5,
                (l - med) / (std + 0.05) / 3,
                np.log(std + 0.02) + 2,
            ]
        ) * [2, 2, 2, 2, 1, 1, 2, 2, 1, 1, 1, 1]

        e = l - ref
        assert abs(abs(e) - 0.12) > 1e-5 and abs(l - med + 0.12) > 1e-5, "near a threshold: change the signal"
        rate = 1 / 16 if abs(e) < 0.12 else 1 / 256
        if self.beats < 16:
            rate = max(rate, 1 / (self.beats + 1))
        self.reference += rate * e
        self.premature += (float(l - med < -0.12) - self.premature) / 64
        self.irregularity += (abs(l - np.log(p1)) - self.irregularity) / 32
        self.beats += 1
        self.history.append(pre)
        return 2 * np.clip(rr, -1.5, 1.5), np.clip(rhythm, -3, 3)


class Template:
    def __init__(self, first):
        self.mean = first.copy()
        self.agreement = 1.0
        self.beats = 0

    def scale(self):
        return np.std(cut(self.mean, *Q)) + 0.02

    def update(self, x):
        c = corr(cut(x, -32, 31), cut(self.mean, -32, 31))
        assert abs(c - 0.8) > 1e-5, "near the threshold: change the signal"
        like = c > 0.8
        self.mean += max(1 / (self.beats + 1), 1 / 8 if like else 1 / 64) * (x - self.mean)
        self.agreement += (float(like) - self.agreement) / 16
        self.beats += 1


def patient_features(age, female):
    return np.array([np.clip((age - 50) / 50, -1, 1), 1.0, -1.0 if female else 1.0, 1.0])


# Inputs.


def bump(t, at, width, height):
    return height * np.exp(-0.5 * ((t - at) / width) ** 2)


def windows(rng):
    """Sixteen beat windows in mV: beats, noise, tones, an impulse, a step, one that clips, and nothing at all."""
    t = (np.arange(128) - BEFORE) / RATE_HZ
    made = []
    for _ in range(8):
        beat = sum(
            bump(t, at + rng.normal(0, 0.01), width * rng.uniform(0.7, 1.5), height * rng.uniform(-1.5, 1.5))
            for at, width, height in [(-0.18, 0.02, 0.15), (-0.03, 0.01, -0.2), (0, 0.012, 1.2), (0.25, 0.04, 0.3)]
        )
        made.append(beat + rng.normal(0, 0.03, 128))
    made.append(rng.normal(0, 0.5, 128))
    made.append(np.cumsum(rng.normal(0, 0.1, 128)))
    made.append(0.8 * np.sin(2 * np.pi * 17.25 * t + 0.3))
    made.append(0.5 * np.sign(np.sin(2 * np.pi * 3.1 * t + 0.1)) + 0.2)
    made.append(np.where(np.arange(128) == BEFORE, 2.0, 0.0))
    made.append(np.where(t < 0.02, -0.7, 0.4))
    made.append(rng.normal(0, 6.0, 128))
    made.append(np.zeros(128))
    # Rounded so that f32 holds them exactly, as it holds the samples.
    scales = np.rint(np.append(rng.uniform(0.1, 0.5, 15), 0.02) * 4096) / 4096
    return quantise(made), scales


def noisy_signal(rng):
    """30 s of an offset, a wandering baseline, hum, noise and pulses."""
    n = 30 * RATE_HZ
    t = np.arange(n) / RATE_HZ
    signal = 73.0 + 1.5 * np.sin(2 * np.pi * 0.17 * t) + np.cumsum(rng.normal(0, 0.02, n))
    signal += 0.2 * np.sin(2 * np.pi * 50 * t) + rng.normal(0, 0.1, n)
    for at in np.arange(0.4, 30, 0.83):
        signal += bump(t, at + rng.normal(0, 0.05), 0.02, rng.uniform(0.5, 2.0))
    signal[2000:2100] -= 12.0
    return quantise(signal)


# Beats with a spike, and where: one sample before the first or after the last of a span.
SPIKES = {20: -33, 22: 32, 24: -20, 28: 20, 30: -37, 36: -9, 38: 15, 56: 58, 58: -21, 73: -17, 75: 17, 80: -41, 112: 56}


def ecg(rng):
    """About 120 beats: sinus rhythm with early and wide beats, runs, pauses of 4.7 and 7.5 s, a beat 0.12 s after
    another, an irregular stretch, an axis that changes for good at beat 70, triggers up to three samples off, spikes of
    one sample just outside the spans that features look at, the first R peak five samples after the start and the last
    ten before the end."""
    kinds = ["N"] * 121
    for k in (9, 17, 18, 33, 52, 53, 54, 90, 97):
        kinds[k] = "V"
    for k in (13, 15, 26, 41, 42, 43, 78, 104):
        kinds[k] = "S"
    peaks = [5]
    for k in range(1, len(kinds)):
        rr = 0.8 + 0.12 * np.sin(k / 9) + rng.normal(0, 0.012)
        if 60 <= k < 70:
            rr = rng.uniform(0.42, 1.15)
        if kinds[k] == "V":
            rr *= 0.62
        elif kinds[k] == "S":
            rr *= 0.7
        elif kinds[k - 1] == "V":
            rr *= 1.35
        rr = {47: 4.7, 85: 7.5, 101: 0.12}.get(k, rr)
        samples = int(round(rr * RATE_HZ))
        # 49/50, 98/100 and 147/150 tie under "shorter than 0.98": rounding decides there, not the rule.
        samples += samples in (49, 50, 98, 100, 147, 150)
        peaks.append(peaks[-1] + samples)
    n = peaks[-1] + 11
    t = np.arange(n) / RATE_HZ
    signal = rng.normal(0, 0.015, n) + 0.3 * np.sin(2 * np.pi * 0.21 * t + 1)
    for k, (peak, kind) in enumerate(zip(peaks, kinds)):
        r = (peak + (k * 5 % 7 - 3 if 110 <= k < 120 else 0)) / RATE_HZ
        size = 1 + 0.2 * np.sin(k / 6) + rng.normal(0, 0.04)
        axis = 1.0 if k < 70 else 0.45
        if kind == "V":
            wave = [(0.0, 0.045, 1.4), (0.07, 0.04, -0.5), (0.3, 0.07, -0.4)]
        else:
            p = (-0.17, 0.022, 0.14) if kind == "N" else (-0.14, 0.018, -0.08)
            wave = [p, (-0.028, 0.01, -0.12), (0.0, 0.012 * axis**-0.5, 1.1 * axis), (0.03, 0.012, -0.6 / axis + 0.4)]
            wave.append((0.26, 0.045, 0.28 * axis))
        for at, width, height in wave:
            signal += bump(t, r + at, width, height * size)
    sos = scipy.signal.butter(2, [0.5, 40], "bandpass", fs=RATE_HZ, output="sos")
    signal = scipy.signal.sosfilt(sos, signal - signal[0])
    for k, at in SPIKES.items():
        signal[peaks[k] + at] += 3.0
    return quantise(signal), np.array(peaks)


def main():
    print(f"Python {sys.version.split()[0]}, NumPy {np.__version__}, SciPy {scipy.__version__}, seed {SEED}")
    rng = np.random.Generator(np.random.PCG64(SEED))

    counts, scales = windows(rng)
    normalised = [normalise(w / COUNTS_PER_MV, s) for w, s in zip(counts, scales)]
    assert np.any(np.abs(normalised) == 6.0)
    store("windows_counts.i16", counts)
    store("windows_scale_mv.f64", scales)
    store("windows_normalised.f64", normalised)
    store("windows_spectrum.f64", [spectrum(w) for w in normalised])
    store("windows_spectrogram.f64", [spectrogram(w) for w in normalised])

    counts = noisy_signal(rng)
    sos = scipy.signal.butter(2, [0.5, 40], "bandpass", fs=RATE_HZ, output="sos")
    mv = counts / COUNTS_PER_MV
    filtered, _ = scipy.signal.sosfilt(sos, mv, zi=scipy.signal.sosfilt_zi(sos) * mv[0])
    store("filter_counts.i16", counts)
    store("filter_output_mv.f64", filtered)

    counts, peaks = ecg(rng)
    padded = np.concatenate([np.zeros(BEFORE), counts / COUNTS_PER_MV, np.zeros(BEFORE)])
    beats = [padded[p : p + 128] for p in peaks]
    rhythm, template = Rhythm(), Template(beats[0])
    rows = {"scale_mv": [], "agreement": [], "metadata": [], "template_mv": []}
    views = {"waveform": [], "spectrum": [], "spectrogram": []}
    for k, x in enumerate(beats):
        post = None
        if k + 1 < len(peaks):
            post = (peaks[k + 1] - peaks[k]) / RATE_HZ
        if k > 0:
            pre = (peaks[k] - peaks[k - 1]) / RATE_HZ
        else:
            pre = 0.8 if post is None else post
        t, scale = template.mean, template.scale()
        rr, spread = rhythm.features(pre, post)
        shape = shape_features(x, t, beats[max(k - 1, 0)], scale, template.agreement)
        rows["scale_mv"].append(scale)
        rows["agreement"].append(template.agreement)
        rows["metadata"].append(
            np.concatenate([rr, spread, shape, atrial_features(x, t, scale), patient_features(63.0, True)])
        )
        if k % 8 == 0:
            rows["template_mv"].append(t.copy())
        if k % 16 == 0:
            channels = [normalise(x, scale), normalise(t, scale)]
            views["waveform"].append([cut(c, -40, 55) for c in channels])
            views["spectrum"].append([spectrum(c) for c in channels])
            views["spectrogram"].append([spectrogram(c) for c in channels])
        template.update(x)
    spread = np.ptp(np.array(rows["metadata"])[:, :42], axis=0)
    assert spread.min() > 0.1, f"feature {spread.argmin()} hardly varies"
    store("ecg_counts.i16", counts)
    store("ecg_r_peaks.i32", peaks)
    for name, values in {**rows, **views}.items():
        store(f"ecg_{name}.f64", values)


if __name__ == "__main__":
    main()
