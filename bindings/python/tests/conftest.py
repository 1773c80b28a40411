"""What the tests share: the demo record, the real records where they are at hand, and the command."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="session")
def demo() -> Path:
    """The synthetic record of five minutes."""
    return ROOT / "models/demo/demo"


@pytest.fixture(scope="session")
def data() -> Path:
    """The folder of the real records."""
    folder = os.environ.get("HEARTLENS_DATA")
    if folder is None:
        pytest.skip("HEARTLENS_DATA is not set")
    return Path(folder)


@pytest.fixture(scope="session")
def command():
    """Run the wheel's command and give what it wrote to standard output."""

    def run(*arguments: object, code: int = 0) -> str:
        words = [sys.executable, "-m", "heartlens", *map(str, arguments)]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        assert done.returncode == code, done.stderr
        return done.stdout if code == 0 else done.stderr

    return run
