"""What a worker does with a part: some records, classified one after another in this process, and written at once.

A record may be the end of a process: of one that has too little memory for it, say. Whoever gets a part that was begun before
therefore classifies each of its records in a process of its own, and a record that ends such a process is a row in `errors`.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from heartlens._heartlens import Model, Part
from heartlens.distributed._data_set import DataSet
from heartlens.distributed._inputs import _said, fetched, is_url

# The longest that a record may take in a process of its own, in seconds: 24 hours of signal take some seconds.
_ALONE_S = 3600


@dataclass(frozen=True)
class Job:
    """What all parts have in common. It is sent to every worker."""

    out: str
    # Arguments of `Part`, but for the model, which is a path.
    settings: Mapping[str, Any]
    storage_options: Mapping[str, Any] = field(default_factory=dict)

    def part(self) -> Part:
        """A part without records. The model is loaded once a process."""
        settings = dict(self.settings)
        return Part(model=_model(settings.pop("model", None)), **settings)

    def annotator(self) -> str | None:
        """Whose annotations are wanted beside a record with a signal."""
        return self.settings.get("annotator", "atr") if self.settings.get("peaks") == "reference" else None


@lru_cache(maxsize=4)
def _model(path: str | None) -> Model:
    if path is None:
        return Model.shipped()
    by_suffix: dict[str, Callable[[str], Model]] = {".onnx": Model.from_onnx, ".hlm": Model.from_image}
    return by_suffix.get(Path(path).suffix, Model.load)(path)


def classify_part(job: Job, names: list[str], paths: list[str], alone: bool = False) -> None:
    """Classify these records and write them as a part, unless that was done before."""
    data_set = DataSet(job.out, job.storage_options)
    if data_set.has_part(names):
        return
    if alone or data_set.is_noted(names):
        for name, path in zip(names, paths, strict=True):
            _classify_alone(job, data_set, name, path)
        return
    data_set.note(names)
    _classify(job, data_set, names, paths)
    data_set.forget(names)


def _classify(job: Job, data_set: DataSet, names: list[str], paths: list[str]) -> None:
    part = job.part()
    for name, path in zip(names, paths, strict=True):
        try:
            with tempfile.TemporaryDirectory(prefix="heartlens-") as folder:
                file = fetched(path, Path(folder), job.annotator(), job.storage_options)
                part.classify(name, path, file)
        except MemoryError:
            part.fail(name, path, f"{path}: found too little memory for it, expected more; {_MEMORY_HELP}")
        except Exception as error:  # Whatever a file system says of a record is no reason to end all others.
            if not is_url(path):
                raise
            part.fail(name, path, f"{path}: found {_said(error)}, expected a file or URL that every worker can read")
    data_set.write(names, part.finish())


_MEMORY_HELP = "give each worker more memory or start fewer, delete the files in errors/ and start again"


def _classify_alone(job: Job, data_set: DataSet, name: str, path: str) -> None:
    """Classify a record in a process of its own."""
    if data_set.has_part([name]):
        return
    words = [sys.executable, "-m", "heartlens.distributed._work"]
    order = json.dumps({"job": asdict(job), "name": name, "path": path})
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    try:
        ended = subprocess.run(
            words, input=order, capture_output=True, text=True, timeout=_ALONE_S, env=environment, check=False
        )
        how = None if ended.returncode == 0 else _how(ended)
    except subprocess.TimeoutExpired:
        how = f"a process that was still at it after {_ALONE_S} s"
    if how is None or data_set.has_part([name]):
        return
    part = job.part()
    part.fail(name, path, f"{path}: found {how}, expected one that ends by itself; {_MEMORY_HELP}")
    data_set.write([name], part.finish())


def _how(ended: subprocess.CompletedProcess[str]) -> str:
    last = ended.stderr.strip().splitlines()[-1:] or ["it said nothing"]
    said = " ".join(last[0].split())
    if ended.returncode < 0:
        return f"a process that {signal.Signals(-ended.returncode).name} ended while it read the record ({said})"
    return f"a process that ended with {ended.returncode} while it read the record ({said})"


def _main() -> None:
    order = json.load(sys.stdin)
    job = Job(**order["job"])
    _classify(job, DataSet(job.out, job.storage_options), [order["name"]], [order["path"]])


if __name__ == "__main__":
    _main()
