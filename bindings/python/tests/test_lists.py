"""Lists of beats: recordings without a signal; and what of all this another process can have."""

import copy
import json
import pickle
import subprocess
import sys

import numpy as np
import pytest

import heartlens as hl
from conftest import ROOT


@pytest.fixture(scope="module")
def intervals(tmp_path_factory):
    """RR intervals with a pause, as a watch exports them."""
    path = tmp_path_factory.mktemp("lists") / "night.csv"
    rng = np.random.default_rng(3)
    rr = rng.normal(800, 20, 400).round().astype(int)
    rr[200] = 2600
    path.write_text("RR (ms)\n" + "\n".join(map(str, rr)) + "\n")
    return path


def test_a_list_is_judged_as_the_command_judges_it(intervals, command, tmp_path):
    out = tmp_path / "o.json"
    command("classify", intervals, "--json", out)
    [wanted] = json.loads(out.read_text()) if out.read_text().startswith("[") else [json.loads(out.read_text())]
    found = hl.read(intervals)
    assert isinstance(found, hl.BeatList) and not found.labelled and len(found) == 401
    assert repr(found).startswith("BeatList('night', 401 beats in ")
    assert found.samples.dtype == np.int64 and list(found.samples) == [beat["sample"] for beat in wanted["beats"]]
    analysis = found.classify(lead="best")
    assert analysis.hrv.sdnn_ms == wanted["hrv"]["sdnn_ms"]
    assert [e.kind for e in analysis.episodes] == [e["kind"] for e in wanted["episodes"]] == ["pause"]
    assert analysis.leads == ["none"] and any("no signal" in text or "signal" in text for text in analysis.warnings)
    first, second = analysis.beats[0], list(analysis.beats)[1]
    assert first.label == "Q" and first.probabilities is None and first.scores is None and first.quality is None
    assert second.rr_ms == wanted["beats"][1]["rr_ms"]
    assert "<table>" in analysis.beats._repr_html_()
    with pytest.raises(hl.InputError, match="found a list of beats, expected a record with a signal"):
        analysis.plot()
    analysis.report(tmp_path / "list.html")
    command("classify", intervals, "--report", tmp_path / "wanted.html")
    assert (tmp_path / "list.html").read_text() == (tmp_path / "wanted.html").read_text()


def test_annotations_without_a_signal(demo, tmp_path):
    (tmp_path / "only.hea").write_text("only 0 360\n")
    (tmp_path / "only.atr").write_bytes(demo.with_suffix(".atr").read_bytes())
    found = hl.read(tmp_path / "only")
    assert isinstance(found, hl.BeatList) and found.labelled and found.fs == 360
    samples, codes = hl.read(demo).annotations()
    assert np.array_equal(found.samples, samples)
    labels = [beat.label for beat in found.classify().beats]
    assert labels.count("V") == codes.count("V") > 0
    with pytest.raises(hl.RecordError, match="only.hlb"):
        hl.read(tmp_path / "only", annotator="hlb")


def test_lists_among_records(demo, intervals, tmp_path):
    rows = list(hl.classify_records([demo, intervals, "no/such"], threads=2))
    assert [len(row.analysis.beats) if row.analysis else None for row in rows] == [353, 401, None]
    assert rows[1].analysis.hrv.sdnn_ms == hl.read(intervals).classify().hrv.sdnn_ms
    numbers = tmp_path / "numbers.txt"
    numbers.write_text("\n".join(map(str, np.arange(100) * 810)) + "\n")
    assert len(hl.read(numbers, beats="times")) == 100
    [row] = hl.classify_records(numbers, beats="times")
    assert row.error is None and len(row.analysis.beats) == 100
    with pytest.raises(hl.InputError, match='beats: found "beats", expected "times" or "intervals"'):
        hl.read(numbers, beats="beats")


def test_what_another_process_can_have(demo, intervals, tmp_path):
    again = lambda thing: pickle.loads(pickle.dumps(thing))
    record = again(hl.read(demo))
    assert record.name == "demo" and np.array_equal(record.signal(0), hl.read(demo).signal(0))
    assert len(again(hl.read(intervals))) == 401
    beat = ROOT / "models/beat"
    for model in [hl.Model.shipped(), hl.Model.load(beat), hl.Model.from_onnx(beat / "model.onnx"), hl.Model.from_image(beat / "model.hlm")]:
        same = again(model)
        assert (same.name, same.fingerprint) == (model.name, model.fingerprint)
    # By its absolute path, in a process of its own.
    code = "import pickle, sys; print(pickle.load(sys.stdin.buffer).duration_s)"
    done = subprocess.run([sys.executable, "-c", code], input=pickle.dumps(hl.read(demo)), capture_output=True, check=True, cwd=tmp_path)
    assert float(done.stdout) == hl.read(demo).duration_s
    # Another file in its place is told.
    image = tmp_path / "model.hlm"
    image.write_bytes((beat / "model.hlm").read_bytes())
    kept = pickle.dumps(hl.Model.from_image(image))
    image.write_bytes(hl.compile(beat / "model.onnx", calibrate=demo).image)
    with pytest.raises(hl.ModelError, match="as where the model was pickled; use the same files everywhere"):
        pickle.loads(kept)


def test_what_it_cannot_says_what_to_send_instead(demo):
    analysis = hl.read(demo).classify()
    signal_mv = hl.read(demo).signal(0)
    rows = hl.classify_records(demo)
    monitor = hl.Monitor(fs=360)
    things = {
        "summary": analysis,
        "to_pandas": analysis.beats,
        "columns": analysis.beats[0],
        "classify_records": rows,
        "its path": next(rows),
        "one in each process": monitor,
        "event.kind": monitor.push(signal_mv)[0],
        "inputs()": hl.views(signal_mv, fs=360),
        "heartlens.signal": hl.signal(signal_mv, fs=360),
    }
    for instead, thing in things.items():
        for how in [pickle.dumps, copy.copy]:
            with pytest.raises(TypeError, match=f"cannot pickle heartlens.{type(thing).__name__}: .*") as error:
                how(thing)
            assert instead in str(error.value)
    # What it is made of can be sent.
    assert pickle.loads(pickle.dumps(analysis.summary)) == analysis.summary
