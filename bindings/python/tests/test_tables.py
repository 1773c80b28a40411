"""Columns leave by Arrow's PyCapsule interface: pyarrow, Polars, DuckDB and pandas take them."""

import subprocess
import sys

import numpy as np
import pytest

import heartlens as hl

COLUMNS = [
    "record", "sample", "time_s", "class", "rr_ms", "quality", "score_N", "score_S", "score_V", "score_F", "fibrillation",
    "lead", "episode", "unsure",
]  # fmt: skip


@pytest.fixture(scope="module")
def beats(demo):
    return hl.read(demo).classify().beats


def test_columns_and_rows(beats):
    assert beats.columns == COLUMNS
    assert len(beats) == len(list(beats)) == len(beats["sample"])
    assert beats[0] == next(iter(beats)) == beats[-len(beats)] and beats[-1].sample == beats["sample"][-1]
    part = beats[10:20]
    assert isinstance(part, hl.Beats) and len(part) == 10 and part[0] == beats[10]
    assert list(part["class"]) == list(beats["class"][10:20])
    assert beats[0].rr_ms is None and np.isnan(beats["rr_ms"][0])
    assert sum(beats[5].scores.values()) == pytest.approx(1) and list(beats[5].scores) == list("NSVF")
    assert beats["score_V"].dtype == np.float32 and beats["sample"].dtype == np.int64
    for wrong, kind in [(len(beats), IndexError), ("x", KeyError), (1.5, TypeError), (slice(0, 9, 2), TypeError)]:
        with pytest.raises(kind):
            beats[wrong]


def test_pyarrow(beats):
    pa = pytest.importorskip("pyarrow")
    table = pa.table(beats)
    assert table.column_names == COLUMNS and table.num_rows == len(beats)
    assert table["rr_ms"].null_count == 1 and table.schema.field("sample").nullable is False
    assert table["score_N"].to_numpy().tobytes() == beats["score_N"].tobytes()
    # The same memory: two exports of one column have one address.
    again = pa.table(beats)
    addresses = [t["time_s"].chunk(0).buffers()[1].address for t in (table, again)]
    assert addresses[0] == addresses[1]
    part = pa.table(beats[10:20])
    assert part.num_rows == 10 and part["sample"].to_pylist() == beats["sample"][10:20].tolist()


def test_the_columns_outlive_the_beats(demo):
    pa = pytest.importorskip("pyarrow")
    table = pa.table(hl.read(demo).classify().beats)
    assert table.num_rows > 300 and min(table["time_s"].to_pylist()) >= 0


def test_polars(beats):
    pl = pytest.importorskip("polars")
    frame = pl.DataFrame(beats)
    counts = dict(frame.group_by("class").len().iter_rows())
    assert counts == {label: (beats["class"] == label).sum() for label in set(beats["class"])}


def test_duckdb(beats):
    duckdb = pytest.importorskip("duckdb")
    [(rows, fastest)] = duckdb.sql("select count(*), min(rr_ms) from beats").fetchall()
    assert rows == len(beats) and fastest == np.nanmin(beats["rr_ms"])


def test_pandas(beats):
    pd = pytest.importorskip("pandas")
    frame = beats.to_pandas()
    assert list(frame.columns) == COLUMNS and len(frame) == len(beats)
    assert frame.rr_ms.isna().sum() == 1 and frame.fibrillation.dtype == pd.BooleanDtype()
    assert (frame["class"] == "V").sum() == (beats["class"] == "V").sum() > 10


def test_a_notebook_shows_them(beats):
    html = beats._repr_html_()
    assert html.count("<tr>") == 1 + 5 + 5 + 1 and f"{len(beats)} beats" in html
    assert repr(beats).startswith(f"<{len(beats)} beats: N ")
    assert hl.read is not None and beats[:3]._repr_html_().count("<tr>") == 4


def test_nothing_is_needed_but_numpy(demo):
    """Without any other package, signals are classified and columns leave."""
    code = f"""
import sys
class Only:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {{"pandas", "pyarrow", "polars", "duckdb", "scipy", "torch"}}:
            raise ImportError(name)
sys.meta_path.insert(0, Only())
import heartlens as hl
record = hl.read({str(demo)!r})
beats = hl.classify(record.signal(0), record.fs)
assert len(beats) > 300 and beats["sample"].sum() > 0 and "arrow_array_stream" in repr(beats.__arrow_c_stream__())
try:
    beats.to_pandas()
except ImportError as error:
    print("no", error.name or error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("no ")
