"""Streaming: the events of a wearable."""

import numpy as np

import heartlens as hl


def watch(fs, signal, chunk, **arguments):
    monitor = hl.Monitor(fs=fs, **arguments)
    events = []
    for start in range(0, len(signal), chunk):
        events += monitor.push(signal[start : start + chunk])
    return monitor, events + monitor.finish()


def test_beats_come_while_samples_do(demo):
    record = hl.read(demo)
    signal = record.signal(0)
    monitor, events = watch(360, signal, 360)
    assert {event.kind for event in events} >= {"beat", "signal"}
    beats = [event for event in events if event.kind == "beat"]
    found = record.classify().beats
    assert abs(len(beats) - len(found)) <= 2
    at = np.array([beat.at_ms / 1000 for beat in beats])
    near = [np.abs(at - beat.time_s).argmin() for beat in found]
    same = [beats[i].label == beat.label and abs(at[i] - beat.time_s) < 0.02 for i, beat in zip(near, found, strict=True)]
    assert np.mean(same) > 0.98
    assert beats[3].rr_ms > 300 and 0 <= beats[3].quality <= 1 and beats[3].flat is None
    assert abs(sum(beats[3].scores.values()) - 1) < 1e-6
    assert monitor.now_ms == 300_000 and monitor.fs == 360
    assert repr(beats[3]).startswith("Event('beat', at_ms=")


def test_chunks_and_types_change_nothing(demo):
    signal = hl.read(demo).signal(0)
    _, expected = watch(360, signal, len(signal))
    counts = np.round(signal * 400).astype(np.int16)
    for way, chunk in [(signal, 997), (signal.astype(np.float64), 360), (counts, 360)]:
        _, events = watch(360, way, chunk)
        assert [repr(event) for event in events] == [repr(event) for event in expected]
        assert [event.scores for event in events] == [event.scores for event in expected]


def test_counts_of_a_converter_with_its_zero(demo):
    signal = hl.read(demo).signal(0)
    counts = np.clip(np.round(signal * 200 + 1024), -32767, 32767).astype(np.int16)
    _, events = watch(360, counts, 360, counts_per_mv=200, zero=1024)
    assert sum(event.kind == "beat" for event in events) > 340


def test_a_gap_starts_over_and_other_rates_work(demo):
    signal = hl.read(demo).signal(0)[: 60 * 360]
    gap = np.full(10 * 360, np.nan, np.float32)
    _, events = watch(360, np.concatenate([signal, gap, signal]), 360)
    kinds = [event.kind for event in events]
    assert "restarted" in kinds
    off = [event for event in events if event.signal == "electrode off"]
    assert off and 60_000 <= off[0].at_ms <= 70_000
    wide = np.interp(np.arange(60 * 257) / 257, np.arange(len(signal)) / 360, signal)
    _, other = watch(257, wide, 100)
    assert abs(sum(event.kind == "beat" for event in other) - 69) <= 5


def test_fibrillation_and_runs_are_told(data):
    path = data / "mitdb/201"
    if not path.with_suffix(".hea").is_file():
        import pytest

        pytest.skip(f"{path} is not there")
    record = hl.read(path)
    _, events = watch(record.fs, record.signal(0), 3600)
    fibrillation = [event for event in events if event.kind == "fibrillation"]
    assert fibrillation and fibrillation[0].until_ms is None
    assert any(event.until_ms is not None for event in fibrillation[1:])
