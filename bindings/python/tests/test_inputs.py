"""Bad input: an exception of one family that says what, where, and how to go on; nothing half written."""

import pickle

import numpy as np
import pytest

import heartlens as hl


def mv(seconds=20, fs=250):
    """A plain signal: a spike a second."""
    t = np.arange(seconds * fs) % fs
    return np.exp(-(((t - fs / 2) / (0.02 * fs)) ** 2)).astype(np.float32)


@pytest.mark.parametrize(
    ("signal", "fs", "found", "expected"),
    [
        ((mv() * 200).astype(np.int16), 250, "int16", "counts_per_mv"),
        (mv().astype(complex), 250, "complex128", "float32 or float64"),
        (np.array(["a", "b"]), 250, "<U1", "float32"),
        (mv().reshape(2, 2, -1), 250, "(2, 2, 1250)", "(samples,) or (samples, leads)"),
        (np.stack([mv()] * 3), 250, "(3, 5000)", ".T"),
        (np.float64(0.5), 250, "shape ()", "(samples,)"),
        (np.zeros(0), 250, "no samples", "at least one"),
        (np.full(5000, np.nan), 250, "nothing but NaN", "samples in mV"),
        (np.where(np.arange(5000) == 77, np.inf, 0.0), 250, "inf at sample 77", "finite"),
        (mv(), 0, "0 Hz", "80 to 100000 Hz"),
        (mv(), 20, "20 Hz", "80 to 100000 Hz"),
        (mv(), -250, "-250 Hz", "80 to 100000 Hz"),
        (mv(), float("nan"), "NaN Hz", "80 to 100000 Hz"),
        (mv() * 1000, 250, "a swing of", "divide uV by 1000"),
    ],
)
@pytest.mark.parametrize("function", [hl.classify, hl.views, hl.detect])
def test_signals(function, signal, fs, found, expected):
    with pytest.raises(hl.InputError) as caught:
        function(signal, fs)
    error = caught.value
    assert isinstance(error, hl.HeartlensError) and isinstance(error, ValueError)
    assert found in error.found and expected in error.expected
    assert error.found in str(error) and error.place in ("signal", "fs")


@pytest.mark.parametrize(
    ("arguments", "place", "found"),
    [
        ({"peaks": [100, 50]}, "peaks", "50 after 100 at index 1"),
        ({"peaks": [100, 100]}, "peaks", "100 after 100"),
        ({"peaks": [-1]}, "peaks", "-1"),
        ({"peaks": [1.5]}, "peaks", "float64"),
        ({"peaks": []}, "peaks", "none"),
        ({"peaks": "atr"}, "peaks", '"atr"'),
        ({"age": 200}, "age", "200"),
        ({"sex": "x"}, "sex", '"x"'),
        ({"rules": "all"}, "rules", '"all"'),
        ({"runtime": "cuda"}, "runtime", '"cuda"'),
        ({"threads": 0}, "threads", "0"),
        ({"lead": -1}, "lead", "-1"),
        ({"lead": 1.5}, "lead", "float"),
        ({"lead_names": ["a", "b"]}, "lead_names", "2"),
    ],
)
def test_arguments(arguments, place, found):
    with pytest.raises(hl.InputError) as caught:
        hl.classify(mv(), 250, **arguments)
    assert caught.value.place == place and found in caught.value.found and caught.value.expected


def test_a_peak_beyond_the_end_and_a_lead_that_is_not_there():
    with pytest.raises(hl.InputError, match="beyond the record's 5000 samples"):
        hl.classify(mv(), 250, peaks=[100, 6000])
    with pytest.raises(hl.InputError, match="no lead V5; it has 0: lead 0"):
        hl.classify(mv(), 250, lead="V5")


def test_a_signal_in_volts_is_told_of():
    with pytest.warns(UserWarning, match="the unit may be wrong"):
        hl.classify(mv() / 1000, 250)


def test_gaps_are_told_and_read_over():
    signal = mv(60)
    signal[2000:3000] = np.nan
    with pytest.warns(UserWarning, match="no valid samples in 1 stretch"):
        beats = hl.classify(signal, 250)
    assert 40 < len(beats) < 60


def test_records(tmp_path, demo):
    with pytest.raises(hl.RecordError) as caught:
        hl.read(tmp_path / "no")
    error = caught.value
    assert error.file == str(tmp_path / "no") and error.found == "no such record" and "WFDB" in error.expected

    (tmp_path / "x.hea").write_text("x 1 360 10\nx.dat 16 abc\n")
    with pytest.raises(hl.RecordError) as caught:
        hl.read(tmp_path / "x")
    error = caught.value
    assert (error.file, error.place) == (str(tmp_path / "x.hea"), "line 2")
    assert "abc" in error.found and error.expected
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is hl.RecordError and str(again) == str(error)
    assert (again.file, again.place, again.found, again.expected) == (
        error.file,
        error.place,
        error.found,
        error.expected,
    )

    with pytest.raises(hl.InputError, match="fs: found -1 Hz"):
        hl.read(demo, fs=-1)
    with pytest.raises(hl.InputError, match="unit"):
        hl.read(demo, unit="bananas")
    with pytest.raises(hl.RecordError, match="atr9"):
        hl.read(demo).classify(peaks="reference", annotator="atr9")
    with pytest.raises(hl.InputError, match="from_s"):
        hl.read(demo).signal(0, from_s=-1)


def test_many_records(tmp_path, demo):
    with pytest.raises(hl.InputError, match="paths: found none"):
        hl.classify_records([])
    with pytest.raises(hl.InputError, match="paths: found int"):
        hl.classify_records(5)
    with pytest.raises(hl.RecordError, match="no record in this folder"):
        hl.classify_records(tmp_path)
    with pytest.raises(hl.InputError, match="samples are of one record"):
        hl.classify_records(demo, peaks=[1, 2])
    rows = list(hl.classify_records([demo, tmp_path / "no", demo], threads=2))
    assert [row.name for row in rows] == ["demo", "no", "demo"]
    assert rows[1].analysis is None and isinstance(rows[1].error, hl.RecordError)
    assert rows[0].error is None and len(rows[0].analysis.beats) == len(rows[2].analysis.beats) > 300


def test_models(tmp_path, demo):
    with pytest.raises(hl.ModelError, match="cannot be read"):
        hl.Model.load(tmp_path)
    (tmp_path / "own.onnx").write_bytes(b"no network")
    with pytest.raises(hl.ModelError) as caught:
        hl.Model.from_onnx(tmp_path / "own.onnx")
    assert caught.value.file == str(tmp_path / "own.onnx")
    with pytest.raises(hl.ModelError):
        hl.compile(tmp_path / "own.onnx", calibrate=demo, out=tmp_path / "own.hlm")
    with pytest.raises(hl.InputError):
        hl.compile(tmp_path / "own.onnx", calibrate=[])
    assert not (tmp_path / "own.hlm").exists()


def test_a_report_or_an_image_that_cannot_be_written(tmp_path, demo):
    analysis = hl.read(demo).classify()
    with pytest.raises(hl.RecordError, match="no/h.html: cannot be written"):
        analysis.report(tmp_path / "no/h.html")
    with pytest.raises(hl.InputError, match="from_s"):
        analysis.plot(1000)
    with pytest.raises(hl.InputError, match="seconds"):
        analysis.plot(0, 100)
    assert list(tmp_path.iterdir()) == []


def test_monitors():
    with pytest.raises(hl.InputError, match="20 Hz"):
        hl.Monitor(fs=20)
    with pytest.raises(hl.InputError, match="counts per millivolt"):
        hl.Monitor(fs=250, counts_per_mv=0)
    with pytest.raises(hl.InputError, match="rules"):
        hl.Monitor(fs=250, rules="off")
    monitor = hl.Monitor(fs=250)
    with pytest.raises(hl.InputError, match="chunk: found int64"):
        monitor.push(np.arange(5))
    with pytest.raises(hl.InputError, match="chunk"):
        monitor.push(np.zeros((5, 2)))


def test_evaluation(tmp_path, demo):
    with pytest.raises(hl.RecordError, match="no record"):
        hl.evaluate(tmp_path)
    with pytest.raises(hl.RecordError, match="no such record"):
        hl.evaluate(tmp_path / "no")
    with pytest.raises(hl.InputError, match="mapping"):
        hl.evaluate(demo, mapping="mine")
