#!/usr/bin/env python3
"""Reference values for heartlens_core::nn, computed independently of it from docs/integer-arithmetic.md.

Made with Python 3.11.7, NumPy 2.4.6, all arithmetic in int64; seed 20240305 (NumPy PCG64). Command, from anywhere:

    python3 core/tests/nn/generate.py

It writes cases.txt beside itself. A case is one line `case OPERATOR name=integer ...`, then one line an array:
`name value value ...`. Float32 arguments stand as their bits, taken for an int32. Weights are not packed: convolutions have [rows, kernel height, kernel width, channels], depthwise
convolutions [kernel height, kernel width, channels], LSTM directions [4, hidden, columns] with gates in the order input,
forget, candidate, output.
"""

from pathlib import Path

import numpy as np

SEED = 20240305
OUT = Path(__file__).resolve().parent / "cases.txt"
rng = np.random.Generator(np.random.PCG64(SEED))
lines = []


def half_up(value, bits):
    """floor(value / 2^bits + 1/2), and proof that int64 held it."""
    assert np.abs(value).max() < 2**62
    return np.floor_divide(value + 2 ** (bits - 1), 2**bits)


def sat(value, bits):
    return np.clip(value, -(2 ** (bits - 1)), 2 ** (bits - 1) - 1)


def int32(value):
    assert np.all(value >= -(2**31)) and np.all(value < 2**31), "an int32 overflows"
    return value


def requantise(acc, m, zero):
    return sat(zero + half_up(int32(acc) * m, 32), 8)


def record(operator, numbers, arrays, output):
    spread = len(np.unique(output)) / min(np.size(output), 100)
    lines.append(" ".join(["case", operator] + [f"{k}={int(v)}" for k, v in numbers.items()]))
    for name, values in {**arrays, "output": output}.items():
        lines.append(" ".join([name] + [str(int(v)) for v in np.ravel(values)]))
    print(f"{operator} {numbers}: {np.size(output)} values, spread {spread:.2f}")
    return spread


def int8s(*shape):
    return rng.integers(-128, 128, shape)


def channels(acc_spread, rows):
    """Biases and multipliers that let the outputs use their range."""
    bias = rng.normal(0, acc_spread / 3, rows).round().astype(np.int64)
    m = (2**32 * rng.uniform(30, 90, rows) / acc_spread).astype(np.int64)
    return bias, np.minimum(m, 2**31 - 1)


def windows(x, kernel, stride, padding, fill):
    """Every window as [output height, output width, kernel height, kernel width, channels]."""
    top, left, bottom, right = padding
    x = np.pad(x, ((top, bottom), (left, right), (0, 0)), constant_values=fill)
    view = np.lib.stride_tricks.sliding_window_view(x, kernel, axis=(0, 1))
    return np.moveaxis(view[:: stride[0], :: stride[1]], 2, -1)


def geometry(shape, kernel, stride, padding):
    names = ["height", "width", "channels", "kernel_height", "kernel_width", "stride_down", "stride_right"]
    names += ["top", "left", "bottom", "right"]
    return dict(zip(names, [*shape, *kernel, *stride, *padding]))


def convolution(shape, rows, kernel, stride, padding, weights=None, x=None, zero_in=None, zero_out=None, params=None):
    zero_in = int(int8s()) if zero_in is None else zero_in
    zero_out = int(rng.integers(-20, 20)) if zero_out is None else zero_out
    x = int8s(*shape) if x is None else x
    weights = int8s(rows, *kernel, shape[2]) if weights is None else weights
    bias, m = channels(5400 * np.sqrt(weights[0].size), rows) if params is None else params
    # The definition with zero points, from which the folded bias follows.
    deviations = windows(x - zero_in, kernel, stride, padding, 0)
    folded = int32(bias - zero_in * weights.sum(axis=(1, 2, 3)))
    assert np.abs(folded).max() < 2**30
    acc = np.einsum("yxijc,oijc->yxo", deviations, weights) + bias
    output = requantise(acc, m, zero_out)
    numbers = {**geometry(shape, kernel, stride, padding), "rows": rows, "zero_in": zero_in, "zero_out": zero_out}
    return record("convolution", numbers, {"input": x, "weights": weights, "bias": folded, "multiplier": m}, output)


def line(length, inputs, rows, kernel, stride, padding, **more):
    return convolution((1, length, inputs), rows, (1, kernel), (1, stride), (0, padding[0], 0, padding[1]), **more)


def dense(rows, columns, weights=None, x=None, params=None, zero_out=None):
    zero_out = int(rng.integers(-20, 20)) if zero_out is None else zero_out
    weights = int8s(rows, columns) if weights is None else weights
    x = int8s(columns) if x is None else x
    bias, m = channels(5400 * np.sqrt(columns), rows) if params is None else params
    output = requantise(weights @ x + bias, m, zero_out)
    arrays = {"input": x, "weights": weights, "bias": bias, "multiplier": m}
    return record("dense", {"rows": rows, "columns": columns, "zero_out": zero_out}, arrays, output)


def logits(rows, columns, bits, extreme=False):
    weights = constant(-128, rows, columns) if extreme else int8s(rows, columns)
    x = constant(-128, columns) if extreme else int8s(columns)
    bias, m = channels(5400 * np.sqrt(columns), rows)
    # Scales that make logits of a few units.
    m = np.minimum(m * 2**bits // 20, 2**31 - 1)
    if extreme:
        bias, m = np.resize([2**30 - 1, -(2**30) + 1], rows), constant(2**31 - 1, rows)
    output = int32(half_up(int32(weights @ x + bias) * m, 32))
    arrays = {"input": x, "weights": weights, "bias": bias, "multiplier": m}
    return record("logits", {"rows": rows, "columns": columns}, arrays, output)


def quantise(count, scale, zero):
    """Arguments as the bits of their float32, their order of operations in float32 as well."""
    x = np.append(rng.normal(0, 60 * scale, count), np.arange(-4, 5) * scale / 2)
    x = np.append(x, [np.nan, np.inf, -np.inf, 1e30, -1e30, 0.0]).astype(np.float32)
    inverse = np.float32(1) / np.float32(scale)
    with np.errstate(invalid="ignore", over="ignore"):
        shifted = x * inverse + np.float32(zero + 128.5)
    assert shifted.dtype == np.float32
    output = np.where(np.isnan(x), zero, np.clip(np.floor(shifted), 0, 255) - 128).astype(np.int64)
    numbers = {"scale": np.float32(scale).view(np.int32), "zero": zero}
    return record("quantise", numbers, {"input": x.view(np.int32)}, output)


def depthwise(shape, kernel, stride, padding):
    zero_in, zero_out = int(int8s()), int(rng.integers(-20, 20))
    x, weights = int8s(*shape), int8s(*kernel, shape[2])
    bias, m = channels(5400 * np.sqrt(kernel[0] * kernel[1]), shape[2])
    folded = bias - zero_in * weights.sum(axis=(0, 1))
    acc = np.einsum("yxijc,ijc->yxc", windows(x, kernel, stride, padding, zero_in), weights) + folded
    numbers = {**geometry(shape, kernel, stride, padding), "zero_in": zero_in, "zero_out": zero_out}
    arrays = {"input": x, "weights": weights, "bias": folded, "multiplier": m}
    return record("depthwise", numbers, arrays, requantise(acc, m, zero_out))


def pool(kind, shape, kernel, stride, padding):
    x = int8s(*shape)
    inside = windows(np.ones(shape, np.int64), kernel, stride, padding, 0)
    if kind == "max_pool":
        output = windows(x, kernel, stride, padding, -1000).max(axis=(2, 3))
    else:
        total = windows(x, kernel, stride, padding, 0).sum(axis=(2, 3))
        count = inside.sum(axis=(2, 3))
        output = np.floor_divide(2 * total + count, 2 * count)
    return record(kind, geometry(shape, kernel, stride, padding), {"input": x}, output)


def table():
    k = np.arange(257)
    return np.floor(2**15 / (1 + np.exp(8 - k / 16)) + 0.5).astype(np.int64)


TABLE = table()


def sigmoid(v):
    k = np.floor_divide(v, 256) + 128
    r = v - 256 * (k - 128)
    assert np.all((0 <= k) & (k <= 255) & (0 <= r) & (r <= 255))
    return half_up((256 - r) * TABLE[k] + r * TABLE[k + 1], 8)


def lstm_direction(x, wx, wh, bias, mx, mh, mo):
    hidden = wh.shape[1]
    h, c, states = np.zeros(hidden, np.int64), np.zeros(hidden, np.int64), []
    for step in x:
        a, b = int32(64 * (bias + wx @ step)), int32(64 * (wh @ h))
        gate = sat(half_up(a * mx, 32) + half_up(b * mh, 32), 16)
        i, f, g, o = sigmoid(gate[0]), sigmoid(gate[1]), 2 * sigmoid(gate[2]) - 2**15, sigmoid(gate[3])
        c = sat(half_up(int32(f * c + half_up(i * g, 4)), 15), 16)
        t = 2 * sigmoid(sat(4 * c, 16)) - 2**15
        h = sat(half_up(int32(o * t) * mo, 32), 8)
        states.append(h)
    return np.array(states)


def lstm(steps, inputs, hidden, both, last, gain=1.0, mo=512, bias_size=3000):
    x = int8s(steps, inputs)
    arrays, outputs = {"input": x}, []
    for name, order in [("forward", 1), ("backward", -1)][: 1 + both]:
        wx, wh = int8s(4, hidden, inputs), int8s(4, hidden, hidden)
        bias = rng.integers(-bias_size, bias_size, (4, hidden))
        # Arguments of about `gain` standard deviations of 4096, the candidate's twice that.
        mx = 2**26 * gain * 4096 / (5400 * np.sqrt(inputs)) * rng.uniform(0.5, 1.5, (4, hidden))
        mh = 2**26 * gain * 4096 / (3000 * np.sqrt(hidden)) * rng.uniform(0.5, 1.5, (4, hidden))
        mx, mh = [np.minimum(m * [[1], [1], [2], [1]], 2**31 - 1).astype(np.int64) for m in (mx, mh)]
        arrays.update({f"{name}_wx": wx, f"{name}_wh": wh, f"{name}_bias": bias, f"{name}_mx": mx, f"{name}_mh": mh})
        states = lstm_direction(x[::order], wx, wh, bias, mx, mh, mo)
        outputs.append(states[-1] if last else states[::order])
    output = np.concatenate(outputs, axis=-1)
    numbers = {"steps": steps, "inputs": inputs, "hidden": hidden, "both": both, "last": last, "mo": mo}
    return record("lstm", numbers, arrays, output)


def add(length):
    a, b = int8s(length), int8s(length)
    za, zb, z = (int(v) for v in int8s(3))
    ma, mb = int(rng.integers(2**17, 2**20)), int(rng.integers(2**17, 2**20))
    if length == 256:
        a, b, za, zb, ma, mb = np.arange(-128, 128), np.arange(-128, 128), -128, -128, 2**22 - 1, 2**22 - 1
    output = sat(z + half_up(int32((a - za) * ma + (b - zb) * mb), 20), 8)
    return record("add", {"za": za, "ma": ma, "zb": zb, "mb": mb, "zero_out": z}, {"a": a, "b": b}, output)


def concat(positions, parts):
    total, offset = sum(parts), 0
    arrays, output = {}, np.zeros((positions, total), np.int64)
    numbers = {"positions": positions, "zero_out": int(rng.integers(-20, 20)), "parts": len(parts)}
    for index, width in enumerate(parts):
        x, zero, m = int8s(positions, width), int(int8s()), int(rng.integers(2**18, 2**21))
        if index == 0:
            zero, m = numbers["zero_out"], 2**20
        output[:, offset : offset + width] = sat(numbers["zero_out"] + half_up((x - zero) * m, 20), 8)
        numbers.update({f"channels{index}": width, f"zero{index}": zero, f"m{index}": m})
        arrays[f"part{index}"] = x
        offset += width
    return record("concat", numbers, arrays, output)


def constant(value, *shape):
    return np.full(shape, value, np.int64)


spreads = [
    line(24, 3, 5, 7, 2, (3, 3)),
    line(21, 16, 24, 5, 2, (2, 2), zero_out=-128),
    line(17, 16, 16, 3, 1, (1, 1)),
    line(31, 2, 16, 7, 2, (3, 3)),
    line(9, 1, 1, 1, 1, (0, 0)),
    line(13, 5, 1, 3, 1, (1, 1)),
    line(10, 4, 6, 4, 3, (0, 3)),
    line(3, 4, 3, 7, 1, (6, 6)),
    line(7, 32, 9, 1, 1, (0, 0), zero_in=-128),
    line(20, 2, 6, 5, 2, (2, 2), zero_in=127),
    convolution((7, 5, 8), 7, (3, 3), (2, 2), (1, 1, 1, 1)),
    convolution((6, 5, 3), 4, (3, 2), (1, 2), (2, 1, 0, 0)),
    convolution((16, 11, 2), 6, (3, 3), (1, 1), (1, 1, 1, 1)),
    convolution((4, 4, 1), 3, (4, 4), (1, 1), (0, 0, 0, 0)),
    convolution((2, 3, 5), 2, (5, 1), (1, 1), (4, 0, 4, 0)),
    dense(32, 88),
    dense(5, 7),
    dense(24, 46, zero_out=-128),
    depthwise((1, 19, 6), (1, 5), (1, 2), (0, 2, 0, 2)),
    depthwise((6, 7, 5), (3, 3), (1, 1), (1, 1, 1, 1)),
    pool("max_pool", (16, 11, 3), (2, 2), (2, 2), (0, 0, 0, 0)),
    pool("max_pool", (1, 17, 4), (1, 3), (1, 2), (0, 1, 0, 1)),
    pool("average_pool", (6, 5, 4), (3, 2), (2, 1), (1, 1, 1, 0)),
    pool("average_pool", (1, 18, 5), (1, 4), (1, 3), (0, 2, 0, 1)),
    pool("average_pool", (4, 7, 12), (4, 7), (1, 1), (0, 0, 0, 0)),
    lstm(6, 5, 3, 0, 0),
    lstm(12, 16, 10, 1, 1),
    lstm(5, 24, 7, 1, 0, mo=700),
    lstm(9, 3, 8, 0, 1, gain=0.2),
    lstm(11, 4, 5, 1, 0, gain=6.0, bias_size=2**15),
    add(100),
    add(256),
    concat(6, [3, 4, 1]),
    concat(1, [20, 8]),
]
assert min(spreads) > 0.1, "a case hardly varies"

# Ties: a quarter of every integer from -40 to 40.
quarters = np.arange(-40, 41)
dense(81, 1, constant(1, 81, 1), constant(0, 1), (quarters, constant(2**30, 81)), 0)
# The largest accumulators that 2^16 columns and a bias can give do not fit a file; these are the largest of 512.
for w, x, sign in [(-128, -128, 1), (-128, 127, -1), (127, 127, 1)]:
    dense(2, 512, constant(w, 2, 512), constant(x, 512), (constant(sign * (2**30 - 1), 2), np.array([2**31 - 1, 300])), 5)
values = int8s(50)
record("relu", {"zero": -7}, {"input": values}, np.maximum(values, -7))
arguments = np.append(np.arange(-32768, 32768, 53), 32767)
record("sigmoid", {}, {"input": arguments}, sigmoid(arguments))
record("tanh", {}, {"input": arguments}, 2 * sigmoid(arguments) - 2**15)
logits(4, 24, 12)
logits(3, 41, 8)
logits(4, 512, 16, extreme=True)
quantise(80, 0.0625, -3)
quantise(80, 0.0371, 127)

OUT.write_text("\n".join(lines) + "\n")
print(f"{OUT.name}: {OUT.stat().st_size} bytes")
