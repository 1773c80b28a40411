"""Work leaves the interpreter alone, hears Ctrl-C, and ends when nobody takes its results."""

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time

import pytest

import heartlens as hl


@pytest.fixture(scope="module")
def night(tmp_path_factory, command):
    """A record that takes a while."""
    path = tmp_path_factory.mktemp("night") / "night"
    command("synth", "--out", path, "--minutes", 600, "--seed", 1, "--noise", 18)
    return path


def test_the_interpreter_is_free(night):
    ticks = 0
    done = threading.Event()

    def work():
        hl.read(night).classify(threads=1)
        done.set()

    worker = threading.Thread(target=work)
    worker.start()
    while not done.wait(0.002):
        ticks += 1
    worker.join()
    assert ticks > 10


def test_progress_is_told_and_may_end_the_work(night, demo):
    heard = []
    hl.read(night).classify(progress=heard.append)
    assert heard == sorted(heard) and len(heard) > 2 and heard[-1] == 1

    def enough(done):
        raise RuntimeError(f"enough at {done:.2f}")

    with pytest.raises(RuntimeError, match="enough at 0"):
        hl.read(night).classify(progress=enough)
    counts = []
    rows = hl.classify_records([demo] * 3, progress=lambda *told: counts.append(told), threads=2)
    assert len(rows) == 3 and len(list(rows)) == 3 and counts == [(1, 3), (2, 3), (3, 3)]


@pytest.mark.parametrize(
    "work",
    [
        "hl.read(path).classify()",
        "list(hl.classify_records([path] * 9))",
        "hl.evaluate(path)",
        "hl.read(path).classify(lead=0).report(path + '.html')",
        "hl.compile(onnx, calibrate=path)",
        "hl.Monitor(fs=360).push(hl.read(path).signal(0))",
        "hl.views(hl.read(path).signal(0), 360)",
    ],
)
def test_ctrl_c(work, night):
    from conftest import ROOT

    code = f"""
        import heartlens as hl, sys
        path, onnx = {str(night)!r}, {str(ROOT / "models/beat/model.onnx")!r}
        print("ready", flush=True)
        try:
            while True:
                {work}
        except KeyboardInterrupt:
            print("interrupted", flush=True)
            sys.exit(7)
    """
    process = subprocess.Popen([sys.executable, "-c", textwrap.dedent(code)], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "ready\n"
    time.sleep(0.5)
    os.kill(process.pid, signal.SIGINT)
    begun = time.monotonic()
    assert process.wait(timeout=60) == 7
    assert time.monotonic() - begun < 20
    assert process.stdout.read() == "interrupted\n"


def test_whoever_takes_no_more_ends_the_work(night):
    rows = hl.classify_records([night] * 50, threads=2)
    next(rows)
    begun = time.monotonic()
    with rows:
        pass
    with pytest.raises(StopIteration):
        next(rows)
    del rows
    assert time.monotonic() - begun < 10


def test_ctrl_c_in_the_command(night):
    """Every verb ends with 130; classification says what is missing."""
    for verb in ["classify", "compare"]:
        process = subprocess.Popen(
            [sys.executable, "-m", "heartlens", verb, night], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        time.sleep(0.7)
        process.send_signal(signal.SIGINT)
        _, stderr = process.communicate(timeout=60)
        assert process.returncode == 130, stderr
        assert verb != "classify" or "interrupted" in stderr


def test_leaving_in_the_middle_is_quiet(night):
    """A program that ends while threads work ends with its own exit code, and says nothing."""
    code = f"""
import heartlens as hl
rows = hl.classify_records([{str(night)!r}, "no/such"] * 20, threads=2)
next(rows)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=120)
    assert (done.returncode, done.stderr) == (0, "")
