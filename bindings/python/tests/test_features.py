"""One's own network: the views with core's bits, a network of one's own, its device image."""

import zlib

import numpy as np
import pytest
from conftest import ROOT

import heartlens as hl

MODEL = ROOT / "models/beat/model.onnx"


@pytest.fixture(scope="module")
def signal(demo):
    return hl.read(demo).signal(0)


def test_views_have_the_bits_of_core(signal):
    """CRC-32s of the demo's views, as a test of `host/src/pipeline.rs` has them of core."""
    views = hl.views(signal, 360)
    beats = len(views)
    assert views.waveform.shape == (beats, 2, 96) and views.spectrum.shape == (beats, 2, 64)
    assert views.spectrogram.shape == (beats, 2, 16, 11) and views.metadata.shape == (beats, 46)
    crc = (ROOT / "models/demo/views.crc").read_text().split()
    expected = dict(zip(crc[::2], crc[1::2], strict=True))
    found = {name: f"{zlib.crc32(view.tobytes()):08x}" for name, view in views.inputs().items()}
    assert found == expected
    assert all(view.dtype == np.float32 for view in views.inputs().values())


def test_beats_are_where_they_are_classified(demo, signal):
    beats = hl.classify(signal, 360)
    assert hl.detect(signal, 360).tolist() == hl.views(signal, 360).samples.tolist() == beats["sample"].tolist()
    samples, codes = hl.read(demo).annotations()
    views = hl.views(signal, 360, peaks=samples)
    assert views.samples.tolist() == samples.tolist() and len(codes) == len(samples)
    older = hl.views(signal, 360, peaks=samples, age=70, sex="f")
    assert not np.array_equal(older.metadata, views.metadata) and np.array_equal(older.waveform, views.waveform)


def test_a_network_of_ones_own_runs(signal):
    model = hl.Model.from_onnx(MODEL)
    assert model.name == "beat"
    floats = hl.classify(signal, 360, model=model)
    integers = hl.classify(signal, 360)
    assert len(floats) == len(integers)
    assert np.mean(floats["class"] == integers["class"]) > 0.98
    assert np.abs(floats["score_N"] - integers["score_N"]).max() > 0
    with pytest.raises(hl.ModelError, match="no device image"):
        hl.classify(signal, 360, model=model, runtime="int8")


def test_what_it_computes_is_what_onnxruntime_computes_of_the_views(signal):
    ort = pytest.importorskip("onnxruntime")
    session = ort.InferenceSession(MODEL)
    [logits] = session.run(["logits"], hl.views(signal, 360).inputs())
    scores = np.exp(logits - logits.max(axis=1, keepdims=True))
    scores /= scores.sum(axis=1, keepdims=True)
    beats = hl.classify(signal, 360, model=hl.Model.from_onnx(MODEL), rules="none")
    for i, label in enumerate("NSVF"):
        assert np.allclose(scores[:, i], beats[f"score_{label}"], atol=1e-4)


def test_it_becomes_a_device_image(tmp_path, demo, command, signal):
    heard = []
    compiled = hl.compile(MODEL, calibrate=demo, out=tmp_path / "own.hlm", progress=lambda *told: heard.append(told))
    command("compile", MODEL, "--calibrate", demo, "--out", tmp_path / "theirs.hlm")
    assert compiled.image == (tmp_path / "own.hlm").read_bytes() == (tmp_path / "theirs.hlm").read_bytes()
    assert {what for what, _ in heard} > {"reading records"} and all(0 <= done <= 1 for _, done in heard)
    assert compiled.report
    own = hl.Model.from_image(tmp_path / "own.hlm")
    beats = hl.classify(signal, 360, model=own)
    assert np.mean(beats["class"] == hl.classify(signal, 360)["class"]) > 0.98
