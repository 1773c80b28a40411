"""Reference values for core/tests/rhythm.rs, computed in float64 from the formulas in the documentation of
heartlens_core::rhythm.

Tool: CPython 3.11, NumPy 2.4; seed 7. Run: python core/tests/rhythm/generate.py > core/tests/rhythm/cases.csv
"""

import numpy as np

RATE = 128
rng = np.random.default_rng(7)


def made_up():
    """RR intervals in whole samples: even with early beats, uneven, even again, and a sudden tachycardia."""
    even = np.where(np.arange(120) % 9 == 8, 70, 105) + rng.integers(-2, 3, 120)
    uneven = rng.integers(45, 150, 200)
    again = 100 + rng.integers(-2, 3, 1150)
    fast = 50 + rng.integers(-1, 2, 40)
    after = 100 + rng.integers(-2, 3, 40)
    return np.concatenate([even, uneven, again, fast, after]) / RATE


rr = made_up()
beats = len(rr) + 1
qrs = np.where(rng.random(beats) < 0.1, 0.4, rng.uniform(0.92, 1.0, beats))
logits = rng.normal(0, 2, (beats, 4))
probabilities = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
log = np.log(np.clip(rr, 0.2, 3.0))

smooth, scores = -2.0, 0
reference = previous = None
length = even_steps = 0
since = 10**9
print("rr_s,qrs,score,n,s,v,f,level,step,smooth,gate_n,gate_s,run_n,run_s")
for k in range(beats):
    score = level = step_in = None
    if k >= 24:
        view = log[k - 24 : k]
        before = log[k - 25] if k >= 25 else view[0]
        level = 3 * np.clip(view[-1] - np.median(view), -1, 1)
        step_in = 3 * np.clip(view[0] - before, -1, 1)
        # A score that reacts to uneven intervals as the network's does; its values are of no consequence here.
        score = 25 * np.abs(np.diff(view)).mean() - 4
        smooth += (score - smooth) * max(1 / 64, 1 / (scores + 4))
        scores += 1
    since = 0 if smooth > 0.5 else since + 1
    if k > 0:
        now = log[k - 1]
        if reference is None:
            reference = previous = now
        error, step = now - reference, now - previous
        if length:
            length = 0 if error > -0.12 else length + 1
        elif k - 1 >= 16 and error < -0.2 and step < -0.12:
            length = 1
        even_steps = even_steps + 1 if abs(step) < 0.05 else 0
        rate = 1 / 2000 if length else 1 / 16 if abs(error) < 0.12 else 1 / 64
        reference += rate * error
        previous = now
    n, s, v, f = probabilities[k]
    gate = 1 / (1 + np.exp(-2 * smooth))
    moved = s * (1 - np.exp(-3 * gate))
    gate_n, gate_s = n + moved, s - moved
    run_n, run_s = gate_n, gate_s
    if (
        length >= 3
        and rr[k - 1] < 0.55
        and even_steps >= 3
        and qrs[k] > 0.9
        and smooth < 0.0
        and since >= 1000
    ):
        moved = gate_n * (1 - np.exp(-4))
        run_n, run_s = gate_n - moved, gate_s + moved
    row = [rr[k - 1] if k else None, qrs[k], score, n, s, v, f, level, step_in]
    row += [smooth if scores else None, gate_n, gate_s, run_n, run_s]
    print(",".join("" if x is None else f"{x:.9g}" for x in row))
