"""The same bits as the command: every beat's sample, class, scores, RR interval and quality."""

import csv
import json
import struct

import numpy as np
import pytest

import heartlens as hl


def rows_of_command(command, *arguments):
    """Beats as `classify --json` has them."""
    return json.loads(command("classify", *arguments, "--json", "-"))["beats"]


def rounded(value, digits):
    """As the command rounds a number for JSON: halves away from zero."""
    unit = 10.0**digits
    scaled = value * unit
    return float(np.floor(abs(scaled) + 0.5) * np.sign(scaled)) / unit


def assert_same(beats, expected):
    assert len(beats) == len(expected) > 0
    for beat, row in zip(beats, expected, strict=True):
        assert beat.sample == row["sample"]
        assert beat.label == row["class"]
        assert beat.fibrillation == row["fibrillation"]
        assert beat.unsure == row["unsure"]
        assert rounded(beat.time_s, 4) == row["time_s"]
        assert beat.rr_ms is None or rounded(beat.rr_ms, 4) == row["rr_ms"]
        assert rounded(beat.quality, 4) == row["quality"]
        assert {name: rounded(score, 6) for name, score in beat.scores.items()} == row["scores"]


def assert_same_bits(beats, path):
    """Against Parquet, which has the very bits."""
    import pyarrow.parquet as pq

    mine, theirs = beats["sample"], pq.read_table(path)
    assert len(mine) == theirs.num_rows > 0
    for name in ["sample", "time_s", "quality", "score_N", "score_S", "score_V", "score_F", "rr_ms"]:
        column = theirs.column(name).to_numpy()
        assert beats[name].dtype == column.dtype
        assert beats[name].tobytes() == column.tobytes(), name
    assert list(beats["class"]) == theirs.column("class").to_pylist()
    assert list(beats["unsure"]) == theirs.column("unsure").to_pylist()
    assert list(beats["fibrillation"]) == theirs.column("fibrillation").to_pylist()


@pytest.mark.parametrize("threads", [1, 3])
def test_demo(demo, command, tmp_path, threads):
    expected = rows_of_command(command, demo)
    record = hl.read(demo)
    assert_same(record.classify(threads=threads).beats, expected)
    assert_same(hl.classify(record.signal("II"), record.fs, threads=threads), expected)
    [row] = hl.classify_records(demo, threads=threads)
    assert_same(row.analysis.beats, expected)
    command("classify", demo, "--parquet", tmp_path / "beats.parquet")
    assert_same_bits(row.analysis.beats, tmp_path / "beats.parquet")


@pytest.mark.parametrize(("name", "lead"), [("mitdb/208", "first"), ("mitdb/203", "all"), ("svdb/800", "best")])
def test_real_records(data, command, tmp_path, name, lead):
    path = data / name
    if not path.with_suffix(".hea").is_file():
        pytest.skip(f"{path} is not there")
    whole = json.loads(command("classify", path, "--lead", lead, "--json", "-", "--parquet", tmp_path / "b.parquet"))
    analysis = hl.read(path).classify(lead=lead)
    assert_same(analysis.beats, whole["beats"])
    assert_same_bits(analysis.beats, tmp_path / "b.parquet")
    assert json.loads(json.dumps(whole["summary"])) == plain(analysis.summary)
    assert plain(analysis.hrv) == whole["hrv"]
    assert [episode.kind for episode in analysis.episodes] == [episode["kind"] for episode in whole["episodes"]]
    assert analysis.warnings == whole["warnings"]


def plain(value):
    if isinstance(value, hl.Figures):
        return {name: plain(item) for name, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, list) else value


def test_every_way_in_gives_the_same_columns(demo):
    record = hl.read(demo)
    mv = record.signal(0)
    assert mv.dtype == np.float32 and mv.shape == (108000,)
    expected = hl.classify(mv, 360)
    both = np.stack([mv, record.signal(1)], axis=1)
    ways = {
        "float64": mv.astype(np.float64),
        "a list": mv.tolist(),
        "every second of an array": np.repeat(mv, 2)[::2],
        "first of two columns": both,
        "columns in Fortran's order": np.asfortranarray(both),
        "big-endian": mv.astype(">f4"),
    }
    for name, way in ways.items():
        got = hl.classify(way, 360)
        for column in expected.columns[1:]:
            assert list(got[column].tolist()) == pytest.approx(expected[column].tolist(), abs=0, nan_ok=True) or (
                got[column].tolist() == expected[column].tolist()
            ), (name, column)
