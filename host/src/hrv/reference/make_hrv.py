"""Reference values for heart rate variability: two lists of beats, and what NeuroKit2, astropy and numpy make of them.

    python3 make_hrv.py > hrv.json

Made with Python 3.11, numpy 2.4.6, astropy 8.0.2, neurokit2 0.3.0, seed 7. The lists:

- `sinus`: 80 minutes of N, whole milliseconds, with slow, middle and fast waves and noise. SDNN, RMSSD, SDANN, SDNN index,
  triangular index, SD1 and SD2 are NeuroKit2's (`hrv_time`, `hrv_nonlinear`), and so is LF/HF of each hour
  (`hrv_frequency(psd_method="lomb")`, whose powers have no unit). pNN50 is computed here over all intervals, as the Task
  Force 1996 defines it: NeuroKit2 divides by the number of differences plus one, which is the same where there is no
  gap (asserted below), and pyHRV by the number of differences. Powers are computed here from astropy's Lomb-Scargle
  periodogram (`normalization="psd"`, mean taken off, no floating mean), as the module's documentation says.
- `mixed`: 40 minutes with S, V, F and Q beats, gaps and a stretch of atrial fibrillation. Which intervals are normal is
  decided here beat by beat; SDNN, RMSSD, SD1 and SD2 are NeuroKit2's of these intervals with their times, and the rest is
  computed here.
"""

import json

import neurokit2 as nk
import numpy as np
from astropy.timeseries import LombScargle

RNG = np.random.default_rng(7)
BANDS = {"vlf": (0.0033, 0.04), "lf": (0.04, 0.15), "hf": (0.15, 0.4)}
OVERSAMPLING = 4


def intervals(minutes):
    rr, t = [], 0.0
    drift = 0.0
    while t < minutes * 60:
        drift = 0.999 * drift + RNG.normal(0, 1.5)
        ms = 850 + 30 * np.sin(2 * np.pi * 0.012 * t) + 35 * np.sin(2 * np.pi * 0.095 * t)
        ms += 28 * np.sin(2 * np.pi * 0.26 * t) + drift + RNG.normal(0, 9)
        rr.append(int(round(ms)))
        t += rr[-1] / 1000
    return rr


def powers(times, rr):
    """Of one hour's intervals: ms^2 by band."""
    rr = np.array(rr, float)
    span = times[-1] - (times[0] - rr[0] / 1000)
    step = 1 / (OVERSAMPLING * span)
    f = step * np.arange(1, int(np.ceil(0.4 / step)) + 1)
    p = LombScargle(times, rr - rr.mean(), fit_mean=False, center_data=False, normalization="psd").power(f, method="slow")
    psd = 2 * rr.mean() / 1000 * p
    return {name: float(psd[(f >= low) & (f < high)].sum() * step) for name, (low, high) in BANDS.items()}


def by_hour(times, rr, least):
    """Powers of each hour, and of all hours that have enough, weighed by their time."""
    hours, sums, weights = [], dict.fromkeys(BANDS, 0.0), dict.fromkeys(BANDS, 0.0)
    for hour in range(int(times[-1] // 3600) + 1):
        here = (times >= 3600 * hour) & (times < 3600 * (hour + 1))
        seconds = rr[here].sum() / 1000
        found = powers(times[here], rr[here])
        hours.append({k: found[k] if seconds >= least[k] else None for k in BANDS})
        for k in BANDS:
            if seconds >= least[k]:
                sums[k] += found[k] * seconds
                weights[k] += seconds
    return hours, {k: sums[k] / weights[k] for k in BANDS}


def segments(times, rr):
    """SDANN and SDNN index of five-minute segments of which at least half is normal intervals."""
    means, spreads = [], []
    for k in range(int(times[-1] // 300) + 1):
        here = rr[(times >= 300 * k) & (times < 300 * (k + 1))]
        if here.sum() >= 150_000:
            means.append(here.mean())
            spreads.append(here.std(ddof=1))
    return float(np.std(means, ddof=1)), float(np.mean(spreads))


LEAST = {"vlf": 600, "lf": 120, "hf": 60}


def sinus():
    rr = np.array(intervals(80))
    times = np.cumsum(rr) / 1000
    source = {"RRI": rr, "RRI_Time": times}
    found = nk.hrv_time(source).iloc[0]
    poincare = nk.hrv_nonlinear(source).iloc[0]
    hours, whole = by_hour(times, rr, LEAST)
    for hour, powers_of in enumerate(hours):
        here = (times >= 3600 * hour) & (times < 3600 * (hour + 1))
        lomb = nk.hrv_frequency({"RRI": rr[here], "RRI_Time": times[here]}, psd_method="lomb", interpolation_rate=None)
        powers_of["lf_hf_neurokit2"] = float(lomb["HRV_LFHF"].iloc[0])
    pnn50 = 100 * np.sum(np.abs(np.diff(rr)) > 50) / len(rr)
    assert abs(pnn50 - found["HRV_pNN50"]) < 1e-9
    sdann, index = segments(times, rr)
    assert abs(sdann - found["HRV_SDANN5"]) < 1e-9 and abs(index - found["HRV_SDNNI5"]) < 1e-9
    return {
        "rr_ms": rr.tolist(),
        "sdnn": found["HRV_SDNN"], "rmssd": found["HRV_RMSSD"], "pnn50": pnn50,
        "sdann": found["HRV_SDANN5"], "sdnn_index": found["HRV_SDNNI5"], "triangular_index": found["HRV_HTI"],
        "sd1": poincare["HRV_SD1"], "sd2": poincare["HRV_SD2"], **whole, "hours": hours,
    }


def mixed():
    rr = intervals(40)
    classes, fibrillation = [], []
    for i in range(len(rr) + 1):
        classes.append(str(RNG.choice(list("NSVFQ"), p=[0.95, 0.02, 0.015, 0.005, 0.01])))
        fibrillation.append("+" if 800 <= i < 1100 else "-")
    for i in (300, 1500, 2000):
        rr[i] += int(RNG.integers(5000, 90000))
    times = np.cumsum(rr) / 1000
    out = {"gap": 0, "unreadable": 0, "ectopic": 0, "fibrillation": 0}
    normal = []
    for i, ms in enumerate(rr):
        pair = classes[i] + classes[i + 1]
        if ms > 4000:
            out["gap"] += 1
        elif "Q" in pair:
            out["unreadable"] += 1
        elif pair != "NN":
            out["ectopic"] += 1
        elif "+" in fibrillation[i] + fibrillation[i + 1]:
            out["fibrillation"] += 1
        else:
            normal.append(i)
    normal = np.array(normal)
    nn, at = np.array(rr)[normal], times[normal]
    together = np.diff(normal) == 1
    steps = np.diff(nn)[together]
    # NeuroKit2 tells gaps by the times: an interval that begins where the one before ends follows it.
    source = {"RRI": nn, "RRI_Time": at}
    found, poincare = nk.hrv_time(source).iloc[0], nk.hrv_nonlinear(source).iloc[0]
    assert abs(found["HRV_RMSSD"] - np.sqrt(np.mean(steps**2.0))) < 1e-9
    hours, whole = by_hour(at, nn, LEAST)
    sdann, index = segments(at, nn)
    bins = np.floor(nn / (1000 / 128)).astype(int)
    return {
        "rr_ms": rr, "classes": "".join(classes), "fibrillation": "".join(fibrillation), "left_out": out,
        "intervals": len(nn), "sdnn": found["HRV_SDNN"], "rmssd": found["HRV_RMSSD"],
        "pnn50": 100 * np.sum(np.abs(steps) > 50) / len(nn), "sdann": sdann, "sdnn_index": index,
        "triangular_index": len(nn) / np.bincount(bins).max(), "sd1": poincare["HRV_SD1"], "sd2": poincare["HRV_SD2"],
        **whole, "hours": hours,
    }


print(json.dumps({"sinus": sinus(), "mixed": mixed()}, default=float))
