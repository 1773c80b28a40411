"""Reference values for the noise stress test: what WFDB's sigamp prints, which nst takes its amplitudes from.

    python3 sigamp.py $HEARTLENS_DATA > sigamp.csv

An independent reading of sigamp.c (WFDB, last revised 24 April 2020), in integers as there: `sigamp -a atr -r RECORD`
for ECG (peak to peak within 50 ms of each of the first 300 beats that map1 calls normal, trimmed mean) and `sigamp -r
RECORD` for noise (RMS of each of the first 300 seconds, differences from the mean cut to integers, trimmed mean).
Python 3.11, standard library only. Columns: record, signal, amplitude in ADC units.
"""

import math
import pathlib
import sys

NORMAL = {1, 2, 3, 4, 7, 8, 9, 11, 12, 13, 25, 34, 35, 38}


def signals(path):
    header = path.with_suffix(".hea").read_text().splitlines()
    rate = int(header[0].split()[2])
    data = path.with_suffix(".dat").read_bytes()
    first, second = [], []
    for i in range(0, len(data) - 2, 3):
        low, middle, high = data[i : i + 3]
        a, b = low | (middle & 15) << 8, high | (middle >> 4) << 8
        first.append(a - 4096 if a > 2047 else a)
        second.append(b - 4096 if b > 2047 else b)
    return rate, [first, second]


def normal_beats(path):
    data = path.with_suffix(".atr").read_bytes()
    beats, t, i = [], 0, 0
    while i + 1 < len(data):
        word = data[i] | data[i + 1] << 8
        i += 2
        code, number = word >> 10, word & 1023
        if word == 0:
            break
        if code == 59:
            t += int.from_bytes(bytes([data[i + 2], data[i + 3], data[i], data[i + 1]]), "little", signed=True)
            i += 4
        elif code == 63:
            i += number + number % 2
        elif code < 50:
            t += number
            if code in NORMAL:
                beats.append(t)
    return beats


def trimmed_mean(values):
    values = sorted(values)
    cut = len(values) // 20
    kept = values[cut : len(values) - cut]
    return sum(kept) / len(kept)


def qrs(signal, rate, beats):
    half = int(0.05 * rate + 0.5)
    windows = [signal[t - half : t + half + 1] for t in beats[:300]]
    return trimmed_mean([max(w) - min(w) for w in windows])


def rms(signal, rate):
    amplitudes = []
    for k in range(300):
        window = signal[k * rate : (k + 1) * rate]
        mean = sum(window) / rate
        amplitudes.append(math.sqrt(sum(int(v - mean) ** 2 for v in window) / rate))
    return trimmed_mean(amplitudes)


root = pathlib.Path(sys.argv[1])
for name in ["mitdb/118", "mitdb/119", "mitdb/208"]:
    rate, leads = signals(root / name)
    beats = normal_beats(root / name)
    for lead, signal in enumerate(leads):
        print(f"{name},{lead},{qrs(signal, rate, beats):.6g}")
for name in ["nstdb/bw", "nstdb/em", "nstdb/ma"]:
    rate, leads = signals(root / name)
    for lead, signal in enumerate(leads):
        print(f"{name},{lead},{rms(signal, rate):.6g}")
