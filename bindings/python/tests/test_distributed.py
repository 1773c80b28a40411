"""Two hundred records over Ray and Spark, a worker killed in the middle: the rows of the command, to the bit."""

import json
import os
import random
import re
import shutil
import signal
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

import heartlens as hl

pa = pytest.importorskip("pyarrow")
pytest.importorskip("fsspec")
import pyarrow.compute as pc  # noqa: E402
import pyarrow.parquet as pq  # noqa: E402

from heartlens.distributed import _run, _work  # noqa: E402
from heartlens.distributed._data_set import DataSet, part_name  # noqa: E402

ROOT = Path(__file__).resolve().parents[3]
TABLES = ["beats", "records", "errors"]
RECORDS, SECONDS, RATE_HZ = 200, 30, 360
UNREADABLE = {"r007": "no header\n", "r111": "r111 1 360 10800\nmissing.dat 16 200 16 0 0 0 0 II\n"}


@pytest.fixture(scope="session")
def archive(demo, tmp_path_factory):
    """Half minutes of the demo record, each from another place on, in folders of 50; two records cannot be read."""
    samples = demo.with_suffix(".dat").read_bytes()
    assert "demo 2 360 108000\ndemo.dat 212 " in demo.with_suffix(".hea").read_text()
    frame, count = 3, SECONDS * RATE_HZ
    folder = tmp_path_factory.mktemp("archive")
    for i in range(RECORDS):
        name = f"r{i:03}"
        below = folder / f"{i // 50}"
        below.mkdir(exist_ok=True)
        start = frame * (i * 337)
        (below / f"{name}.dat").write_bytes(samples[start : start + frame * count])
        signals = "".join(f"{name}.dat 212 200(0)/mV 12 0 0 0 0 {lead}\n" for lead in ("II", "V1"))
        (below / f"{name}.hea").write_text(UNREADABLE.get(name, f"{name} 2 {RATE_HZ} {count}\n{signals}"))
    return folder


def tables(out, drop=()):
    """All rows of the tables, in one order, without columns in `drop`."""
    read = {}
    for name in TABLES:
        table = pq.read_table(Path(out) / name)
        order = [("record", "ascending")] + ([("sample", "ascending")] if name == "beats" else [])
        table = table.take(pc.sort_indices(table, sort_keys=order)).combine_chunks()
        read[name] = table.drop_columns([column for column in drop if column in table.column_names])
    return read


def assert_same(out, expected, drop=()):
    found = tables(out, drop)
    for name in TABLES:
        mine, theirs = found[name], expected[name].drop_columns([c for c in drop if c in expected[name].column_names])
        assert mine.schema.equals(theirs.schema), name
        assert mine.num_rows == theirs.num_rows > 0, name
        for column in mine.column_names:
            assert mine[column].equals(theirs[column]), (name, column)
            if pa.types.is_floating(mine[column].type):
                bits = [table[column].fill_null(0).to_numpy().tobytes() for table in (mine, theirs)]
                assert bits[0] == bits[1], (name, column)


@pytest.fixture(scope="session")
def by_command(archive, command, tmp_path_factory):
    """What the command makes of the archive."""
    out = tmp_path_factory.mktemp("command") / "tables"
    said = command("classify", archive, "--tables", out, code=1)
    assert f"2 of {RECORDS} records could not be classified" in said
    read = tables(out)
    assert read["records"].num_rows == RECORDS - 2 and read["errors"].num_rows == 2
    assert set(read["errors"]["record"].to_pylist()) == {"0/r007", "2/r111"}
    assert read["beats"].num_rows > 4000
    return read


class Killer(threading.Thread):
    """Kills the first process that notes that it began a part, after some parts are there."""

    def __init__(self, out, after=2):
        super().__init__(daemon=True)
        self.folder, self.after, self.killed, self.done = DataSet(str(out), {}).folder, after, None, False

    def run(self):
        while not self.done and self.killed is None:
            notes = [name for name in self.folder.list("_attempts") if name.endswith(".json")]
            if len(self.folder.list("records")) > self.after and notes:
                try:
                    pid = json.loads(self.folder.read("_attempts", notes[0]))["pid"]
                    os.kill(pid, signal.SIGKILL)
                    self.killed = pid
                except (OSError, ValueError):
                    continue
            time.sleep(0.005)


def killing(out, classify):
    """Calls `classify` and kills one of its workers meanwhile."""
    killer = Killer(out)
    killer.start()
    try:
        done = classify()
    finally:
        killer.done = True
        killer.join()
    assert killer.killed is not None, "no worker was caught at work"
    return done


def assert_whole(done, out):
    assert (done.records, done.errors, done.done_before) == (RECORDS - 2, 2, 0)
    left = [path for path in Path(out).rglob("*") if path.is_file() and path.suffix != ".parquet"]
    assert [path.name for path in left] == ["_heartlens.json"]


@pytest.fixture(scope="session")
def cluster():
    """Ray on two cores of this machine."""
    ray = pytest.importorskip("ray")
    pytest.importorskip("ray.data")
    ray.init(num_cpus=2, include_dashboard=False, logging_level="error", log_to_driver=False)
    ray.data.DataContext.get_current().enable_progress_bars = False
    yield ray
    ray.shutdown()


def test_ray(cluster, archive, by_command, tmp_path):
    from heartlens.distributed import ray

    out = tmp_path / "tables"
    done = killing(out, lambda: ray.classify(archive, out, actors=2, part_records=8))
    assert_whole(done, out)
    assert_same(out, by_command)

    # Started again after half of it is gone, from a data set with names of its own.
    for path in sorted((out / "records").iterdir())[1::2]:
        path.unlink()
    rows = [{"record": f"{p.parent.name}/{p.stem}", "path": str(p)} for p in sorted(archive.rglob("*.hea"))]
    again = ray.classify(cluster.data.from_items(rows), out, actors=2)
    assert 0 < again.done_before < RECORDS and (again.records, again.errors) == (RECORDS - 2, 2)
    assert_same(out, by_command)
    with pytest.raises(hl.InputError, match="column.*id.*expected `path`"):
        ray.classify(cluster.data.from_items([{"id": 1}]), out)
    with pytest.raises(hl.InputError, match="actors: found 0"):
        ray.classify(archive, out, actors=0)


@pytest.fixture(scope="session")
def session(tmp_path_factory):
    """Spark on two cores of this machine, which tries a task four times."""
    sql = pytest.importorskip("pyspark.sql")
    if shutil.which("java") is None:
        pytest.skip("no Java: apt-get install openjdk-17-jre-headless")
    builder = sql.SparkSession.builder.master("local[2,4]").appName("heartlens")
    builder = builder.config("spark.ui.enabled", "false").config("spark.driver.host", "127.0.0.1")
    builder = builder.config("spark.driver.memory", "1g").config("spark.log.level", "OFF")
    builder = builder.config("spark.sql.warehouse.dir", str(tmp_path_factory.mktemp("warehouse")))
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    session = builder.getOrCreate()
    yield session
    session.stop()


def test_spark(session, archive, by_command, tmp_path):
    from heartlens.distributed import spark

    out = tmp_path / "tables"
    done = killing(out, lambda: spark.classify(archive, out, part_records=8))
    assert_whole(done, out)
    assert_same(out, by_command)

    # Spark reads what it wrote; started again from a data frame after half of it is gone, the rest is done.
    assert session.read.parquet(str(out / "beats")).count() == done.beats
    for path in sorted((out / "records").iterdir())[1::2]:
        path.unlink()
    rows = [(f"{p.parent.name}/{p.stem}", str(p)) for p in sorted(archive.rglob("*.hea"))]
    again = spark.classify(session.createDataFrame(rows, "record string, path string"), out)
    assert 0 < again.done_before < RECORDS and (again.records, again.errors) == (RECORDS - 2, 2)
    assert_same(out, by_command)
    with pytest.raises(hl.InputError, match="column.*id.*expected `path`"):
        spark.classify(session.createDataFrame([(1,)], "id int"), out)


def here(paths, out, part_records=_run.PART_RECORDS, storage_options=None, **settings):
    """A run in this process."""

    def execute(job, parts):
        for part in parts:
            _work.classify_part(job, part.names, part.paths, part.alone)

    return _run.run(paths, out, part_records, storage_options, settings, execute)


# How often a whole job is killed; `cargo xtask faults` asks for more, and for Ray and Spark, which take seconds to start.
KILLS = int(os.environ.get("HEARTLENS_FAULT_KILLS", "3"))

HERE = """
from heartlens.distributed import _run, _work
def execute(job, parts):
    for part in parts:
        _work.classify_part(job, part.names, part.paths, part.alone)
_run.run(sys.argv[1], sys.argv[2], 8, None, {}, execute)
"""
RAY = """
import ray
from heartlens.distributed import ray as over
ray.init(num_cpus=2, include_dashboard=False, logging_level="error", log_to_driver=False)
over.classify(sys.argv[1], sys.argv[2], actors=2, part_records=8)
"""
SPARK = """
from pyspark.sql import SparkSession
from heartlens.distributed import spark
builder = SparkSession.builder.master("local[2,4]").config("spark.ui.enabled", "false").config("spark.log.level", "OFF")
builder.config("spark.driver.host", "127.0.0.1").config("spark.driver.memory", "1g").getOrCreate()
spark.classify(sys.argv[1], sys.argv[2], part_records=8)
"""


def descendants(pid):
    """A process and all that it started, as a power cut ends them."""
    parents: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parents.setdefault(int((entry / "stat").read_text().rsplit(")", 1)[1].split()[1]), []).append(int(entry.name))
            except (OSError, IndexError):
                continue
    found = [pid]
    for one in found:
        found += parents.get(one, [])
    return found


# `cargo xtask faults` kills jobs over clusters too, which takes minutes.
JOBS = {"one process": HERE} | ({"ray": RAY, "spark": SPARK} if "HEARTLENS_FAULT_KILLS" in os.environ else {})


@pytest.mark.parametrize("over, script", JOBS.items(), ids=[*JOBS])
def test_a_job_that_is_killed_is_gone_on_with(over, script, archive, by_command, tmp_path):
    """Driver and workers at once, at random moments; the next run does the rest to the same bits."""
    if over != "one process":
        pytest.importorskip({"ray": "ray", "spark": "pyspark"}[over])
    if not Path("/proc/self/stat").exists():
        pytest.skip("this system does not say what a process started")
    seed = int(os.environ.get("HEARTLENS_FAULT_SEED", time.time_ns() % 2**32))
    print(f"HEARTLENS_FAULT_SEED={seed}")
    moments, began = random.Random(seed), time.monotonic()
    environment = {**os.environ, "PYSPARK_PYTHON": sys.executable}

    def start(out):
        words = [sys.executable, "-c", "import sys\n" + script, str(archive), str(out)]
        return subprocess.Popen(words, env=environment, stdout=subprocess.DEVNULL, stderr=(tmp_path / "said").open("wb"))

    def said():
        return (tmp_path / "said").read_text(errors="replace")

    assert start(tmp_path / "whole").wait() == 0, said()
    whole, out, killed = time.monotonic() - began, tmp_path / "out", 0
    while killed < KILLS:
        job = start(out)
        time.sleep(moments.uniform(0, whole))
        # The driver first, before it can notice that its workers are gone.
        for pid in descendants(job.pid):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        if job.wait() == 0:
            shutil.rmtree(out)
            continue
        assert job.returncode == -signal.SIGKILL, said()
        killed += 1
    assert start(out).wait() == 0, said()
    assert_same(out, by_command)
    left = [path.name for path in out.rglob("*") if path.is_file() and path.suffix != ".parquet"]
    assert left == ["_heartlens.json"]
    print(f"held: kill -9 of a job over {over}: {time.monotonic() - began:.1f} s: {KILLS} kills, the same rows to the bit")


def test_the_command_goes_on_where_python_stopped_and_python_where_the_command_did(archive, by_command, command, tmp_path):
    out = tmp_path / "tables"
    some = {f"{p.parent.name}/{p.stem}": str(p) for p in sorted(archive.rglob("*.hea"))[:20]}
    assert here(some, out).records == 19
    said = command("classify", archive, "--tables", out, code=1)
    assert "1 of 180 records could not be classified" in said
    assert here(archive, out).done_before == RECORDS
    assert_same(out, by_command)


def test_urls(archive, by_command, tmp_path):
    some = {f"0/{p.stem}": p.as_uri() for p in sorted((archive / "0").glob("*.hea"))[:12]}
    done = here(some | {"gone": (tmp_path / "gone.edf").as_uri()}, (tmp_path / "tables").as_uri())
    assert (done.records, done.errors) == (11, 2)
    found = tables(tmp_path / "tables", drop=["path"])
    wanted = pc.is_in(by_command["beats"]["record"], pa.array(list(some)))
    assert found["beats"].equals(by_command["beats"].filter(wanted).combine_chunks())
    errors = {row["record"]: row for row in found["errors"].to_pylist()}
    assert errors["gone"]["file"].startswith("file://") and "FileNotFoundError" in errors["gone"]["found"]
    assert errors["gone"]["expected"] == "a file or URL that every worker can read"
    # A whole folder at a URL: the same names as the command's.
    assert here(archive.as_uri(), (tmp_path / "all").as_uri(), part_records=64).records == RECORDS - 2
    assert_same(tmp_path / "all", by_command, drop=["path", "file", "message"])


def test_a_store_that_is_no_folder(archive, by_command):
    """fsspec's memory stands in for s3 and gs: no folders, no rename, no local path."""
    fsspec = pytest.importorskip("fsspec")
    store = fsspec.filesystem("memory")
    store.put(str(archive / "0"), "memory://bucket/in/0", recursive=True)
    try:
        done = here("memory://bucket/in", "memory://bucket/out", part_records=16)
        names = sorted(f"0/{p.stem}" for p in (archive / "0").glob("*.hea"))
        assert done.records + done.errors == len(names) and done.errors == 1
        found = pa.concat_tables(pq.read_table(store.open(f)) for f in sorted(store.glob("memory://bucket/out/beats/*.parquet")))
        wanted = by_command["beats"].filter(pc.is_in(by_command["beats"]["record"], pa.array(names)))
        order = [("record", "ascending"), ("sample", "ascending")]
        assert found.sort_by(order).drop_columns(["path"] if "path" in found.column_names else []).equals(
            wanted.sort_by(order).combine_chunks().drop_columns(["path"] if "path" in wanted.column_names else [])
        )
        assert not [f for f in store.find("memory://bucket/out") if f.endswith(".tmp")]
        # Started again, nothing is done twice.
        assert here("memory://bucket/in", "memory://bucket/out", part_records=16).done_before == len(names)
    finally:
        store.rm("memory://bucket", recursive=True)


def test_a_record_that_ends_its_process_is_a_row_in_errors(archive, tmp_path, monkeypatch):
    out = tmp_path / "tables"
    paths = {f"0/{p.stem}": str(p) for p in sorted((archive / "0").glob("*.hea"))[:3]}
    names = list(paths)
    # A worker began the part, wrote half of it, and is gone.
    data_set = DataSet(str(out), {})
    job = _work.Job(str(out), {})
    data_set.begin(job.part())
    data_set.note(names)
    data_set.folder.write(b"half", "beats", part_name(names))
    (out / "records/.part.1.tmp").write_bytes(b"half")
    assert data_set.is_noted(names)
    # The records are classified one by one, and one ends its process.
    fatal = tmp_path / "python"
    fatal.write_text(f'#!/bin/sh\norder=$(cat)\ncase "$order" in *{names[1]}*) kill -9 $$;; esac\nprintf %s "$order" | exec {sys.executable} "$@"\n')
    fatal.chmod(fatal.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setattr(sys, "executable", str(fatal))
    done = here(paths, out, part_records=3)
    assert (done.records, done.errors) == (2, 1) and not list(out.rglob("*.tmp"))
    [error] = tables(out)["errors"].to_pylist()
    assert error["record"] == names[1] and error["file"] == paths[names[1]]
    assert "SIGKILL" in error["found"] and "more memory" in error["message"]


def test_a_worker_without_memory(archive, tmp_path, monkeypatch):
    out, paths = tmp_path / "tables", {"r001": str(archive / "0/r001.hea")}
    job = _work.Job(str(out), {})
    data_set = DataSet(str(out), {})
    data_set.begin(job.part())
    data_set.note(["r001"])
    poor = tmp_path / "python"
    poor.write_text(f'#!/bin/sh\nulimit -v 50000\nexec {sys.executable} "$@"\n')
    poor.chmod(poor.stat().st_mode | stat.S_IXUSR)
    with monkeypatch.context() as patch:
        patch.setattr(sys, "executable", str(poor))
        done = here(paths, out)
    assert (done.records, done.errors) == (0, 1)
    [error] = tables(out)["errors"].to_pylist()
    assert error["found"].startswith("a process that ") and error["expected"] == "one that ends by itself"
    assert "give each worker more memory or start fewer, delete the files in errors/" in error["message"]
    # As the message says.
    for path in (out / "errors").glob("*.parquet"):
        if "0" * 16 not in path.name:
            path.unlink()
    done = here(paths, out)
    assert (done.records, done.errors) == (1, 0)


def test_bad_input(archive, tmp_path):
    out = tmp_path / "tables"
    one = archive / "0/r001.hea"
    with pytest.raises(hl.InputError, match="paths: found none, expected at least one record"):
        here([], out)
    with pytest.raises(hl.InputError, match="two records called 'r001'.*mapping of names"):
        here([one, archive / "0/r001"], out)
    with pytest.raises(hl.InputError, match="part_records: found 0"):
        here(one, out, part_records=0)
    with pytest.raises(hl.InputError, match="rules"):
        here(one, out, rules="all")
    with pytest.raises(hl.InputError, match="nosuch://x.*fsspec"):
        here("nosuch://x", out)
    with pytest.raises(hl.InputError, match="no record in this folder"):
        here(tmp_path.as_uri(), out)
    assert not out.exists()

    assert here(one, out).records == 1
    statement = out / "_heartlens.json"
    written = statement.read_text()
    for change, said in [
        ({"schema_version": 2}, "found schema_version 2, expected 1.*choose another folder"),
        ({"model_hash": "x"}, "found model_hash x, expected model.hlm"),
    ]:
        statement.write_text(json.dumps(json.loads(written) | change))
        with pytest.raises(hl.InputError, match=said):
            here(one, out)
    statement.write_text(written)
    with pytest.raises(hl.InputError, match="found options .*--lead first.*expected .*--lead best"):
        here(one, out, lead="best")
    (tmp_path / "foreign").mkdir()
    (tmp_path / "foreign/thesis.tex").write_text("x")
    with pytest.raises(hl.InputError, match="with other files"):
        here(one, tmp_path / "foreign")
    assert [path.name for path in (tmp_path / "foreign").iterdir()] == ["thesis.tex"]
    # What is no Parquet is named, and so is a record that is there twice.
    (out / "records" / part_name(["x"])).write_text("x")
    with pytest.raises(hl.HeartlensError, match="expected Parquet; delete it and start again"):
        here(one, out)
    (out / "records" / part_name(["x"])).write_bytes((out / "records" / part_name(["r001"])).read_bytes())
    with pytest.raises(hl.HeartlensError, match="1 records twice.*r001"):
        here(one, out)


def test_the_documents_examples_run(archive, by_command, command, tmp_path, monkeypatch):
    duckdb, polars = pytest.importorskip("duckdb"), pytest.importorskip("polars")
    command("classify", archive, "--tables", tmp_path / "tables", code=1)
    text = (ROOT / "docs/tables.md").read_text()
    monkeypatch.chdir(tmp_path)
    burdens, episodes = [duckdb.sql(query).fetchall() for query in re.findall(r"```sql\n(.*?)```", text, re.S)]
    assert len(burdens) == RECORDS - 2
    in_runs = pc.sum(pc.equal(by_command["beats"]["episode"], "V run").fill_null(False).cast(pa.int64())).as_py()
    assert sum(row[-1] for row in burdens) == in_runs
    assert len(episodes) == sum(map(len, by_command["records"]["episodes"].to_pylist()))
    [example] = [code for code in re.findall(r"```python\n(.*?)```", text, re.S) if "polars" in code]
    names: dict[str, object] = {}
    exec(example, names)
    early = pc.and_(pc.equal(by_command["beats"]["class"], "S"), pc.greater(by_command["beats"]["quality"], 0.5))
    assert isinstance(names["hours"], polars.DataFrame) and names["hours"]["beats_S"].sum() == pc.sum(early).as_py()
    assert names["errors"].height == 2


def test_types():
    pytest.importorskip("mypy")

    mypy = [sys.executable, "-m", "mypy", "--strict", "--ignore-missing-imports", "--cache-dir=/dev/null"]
    done = subprocess.run([*mypy, "-p", "heartlens.distributed"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
