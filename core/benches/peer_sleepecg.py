#!/usr/bin/env python3
"""Times sleepecg's heartbeat detector (its C backend) on a signal, for comparison with core's.

    python3 peer_sleepecg.py SIGNAL.f32 RATE_HZ OUTPUT_RATE_HZ

SIGNAL holds little-endian float32 samples at RATE_HZ; they are interpolated to OUTPUT_RATE_HZ first, outside of the timing.
Prints the fastest of 20 runs in milliseconds and the number of beats found.
"""

import sys
import time

import numpy as np
import sleepecg

signal = np.fromfile(sys.argv[1], "<f4").astype(float)
rate, output_rate = float(sys.argv[2]), float(sys.argv[3])
if output_rate != rate:
    times = np.arange(int(len(signal) * output_rate / rate)) / output_rate
    signal = np.interp(times, np.arange(len(signal)) / rate, signal)
fastest = np.inf
for _ in range(20):
    start = time.perf_counter()
    beats = sleepecg.detect_heartbeats(signal, output_rate, backend="c")
    fastest = min(fastest, time.perf_counter() - start)
print(1000 * fastest, len(beats))
