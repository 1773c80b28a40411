"""The command that the wheel brings."""

import json
import subprocess
import sys
from pathlib import Path

import heartlens as hl


def test_the_script_is_installed():
    script = Path(sys.executable).with_name("heartlens")
    done = subprocess.run([script, "--version"], capture_output=True, text=True, check=True)
    assert done.stdout == f"heartlens {hl.__version__}\n"


def test_exit_codes(command, demo, tmp_path):
    assert "Usage" in command("classify", "--help")
    assert command("classify", tmp_path / "no", code=1).count("\n") == 1
    assert "Usage" in command("classify", "--nonsense", code=2)
    assert json.loads(command("classify", demo, "--json", "-"))["model"] == "beat"
