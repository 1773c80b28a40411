"""Docstrings, README, types and the notebook say what is."""

import doctest
import inspect
import re
import subprocess
import sys

import pytest
from conftest import ROOT

import heartlens as hl
from heartlens import _errors, _figures

HERE = ROOT / "bindings/python"


def public():
    """Everything that is public, by its name: functions, classes and their members."""
    for name in hl.__all__:
        thing = getattr(hl, name)
        if name.startswith("__"):
            continue
        yield name, thing
        if inspect.isclass(thing):
            for member, value in vars(thing).items():
                if not member.startswith("_"):
                    yield f"{name}.{member}", value


def test_everything_public_is_documented():
    undocumented = [name for name, thing in public() if not (getattr(thing, "__doc__", None) or "").strip()]
    # Fields of slots have none of their own.
    assert [name for name in undocumented if not name.startswith("HeartlensError.")] == []


def test_docstrings_run(demo):
    parser, runner = doctest.DocTestParser(), doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
    ran = 0
    for name, thing in public():
        text = inspect.getdoc(thing)
        if text is None or ">>>" not in text:
            continue
        names = {"DEMO": str(demo), "Figures": _figures.Figures, "hl": hl}
        test = parser.get_doctest(text, names, name, None, None)
        ran += len(test.examples)
        assert runner.run(test, out=print).failed == 0, name
    assert ran >= 20
    assert _errors.HeartlensError is hl.HeartlensError


def blocks(path):
    return re.findall(r"```python\n(.*?)```", path.read_text(), re.S)


@pytest.mark.parametrize("name", ["README.md", "bindings/python/README.md"])
def test_the_readmes_lines_run(name, demo, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    record = hl.read(demo)
    names = {"signal_mv": record.signal(0), "chunk": record.signal(0)[:2500], "ROOT": ROOT}
    text = "\n".join(blocks(ROOT / name))
    assert text, f"no Python in {name}"
    for stand_in in ['"holter.edf"', '"recordings/"', '"mitdb/"']:
        text = text.replace(stand_in, repr(str(demo)))
    intervals = tmp_path / "intervals.csv"
    intervals.write_text("RR (ms)\n" + "800\n812\n790\n" * 60)
    text = text.replace('"own.onnx"', repr(str(ROOT / "models/beat/model.onnx")))
    exec(compile(text, name, "exec"), names)


def test_types_are_complete(tmp_path):
    pytest.importorskip("mypy")
    # The one module whose types are beside its code. pyarrow and fsspec, which others import, come without types.
    config = tmp_path / "mypy.ini"
    config.write_text("[mypy]\nignore_missing_imports = true\n")
    stubtest = [sys.executable, "-m", "mypy.stubtest", "heartlens._heartlens", "--ignore-missing-stub", "--mypy-config-file", str(config)]
    done = subprocess.run(stubtest, capture_output=True, text=True, check=False, cwd=HERE)
    assert done.returncode == 0, done.stdout
    example = """
import heartlens as hl
beats = hl.classify([0.0, 1.0], fs=250)
label: str = beats[0].label
record = hl.read("x.edf")
share = record.classify(lead="best", progress=print).summary.ventricular_burden
for row in hl.classify_records(["a", "b"], threads=8):
    if row.error is not None:
        print(row.error.file, row.error.expected)
for event in hl.Monitor(fs=250).push([0.0]):
    at: int = event.at_ms
"""
    mypy = [sys.executable, "-m", "mypy", "--strict", "--cache-dir=/dev/null", "-c", example]
    done = subprocess.run(mypy, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_the_notebook_runs(tmp_path):
    nbclient = pytest.importorskip("nbclient")
    nbformat = pytest.importorskip("nbformat")
    notebook = nbformat.read(HERE / "examples/holter.ipynb", as_version=4)
    nbformat.validate(notebook)
    assert all(not cell.outputs for cell in notebook.cells if cell.cell_type == "code"), "outputs are not kept"
    client = nbclient.NotebookClient(notebook, timeout=300, kernel_name="python3")
    client.execute(cwd=str(tmp_path))
    outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    kinds = {kind for output in outputs for kind in output.get("data", {})}
    assert {"image/svg+xml", "text/html"} <= kinds
