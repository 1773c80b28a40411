"""A run, whoever's workers do it: which records are missing, in which parts, and what came of it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from os import PathLike, fspath
from pathlib import Path
from typing import Any

from heartlens._errors import HeartlensError, InputError
from heartlens.distributed._data_set import DataSet
from heartlens.distributed._inputs import found, is_url
from heartlens.distributed._work import Job

# Records of a part. A day of one takes seconds to classify and 3 MB in `beats`: little is lost with a worker, and files are large.
PART_RECORDS = 32


@dataclass(frozen=True)
class Done:
    """What is in the folder after a run.

    Attributes:
        out: The folder.
        records: Rows of `records`: records that were classified, by this run or one before.
        errors: Rows of `errors`: records that could not be.
        beats: Rows of `beats`.
        done_before: The records of this run that an earlier one had done.
    """

    out: str
    records: int
    errors: int
    beats: int
    done_before: int


@dataclass(frozen=True)
class PartOfRun:
    """A part to classify: names and paths of its records, and whether each needs a process of its own."""

    names: list[str]
    paths: list[str]
    alone: bool


def run(
    paths: object,
    out: str | PathLike[str],
    part_records: int,
    storage_options: Mapping[str, Any] | None,
    settings: Mapping[str, Any],
    execute: Callable[[Job, Sequence[PartOfRun]], None],
) -> Done:
    """Have `execute` classify the records that the folder lacks."""
    if part_records < 1:
        raise InputError(
            f"part_records: found {part_records}, expected 1 or more", None, "part_records", str(part_records), "1 or more"
        )
    options = dict(storage_options or {})
    out = fspath(out)
    out = out if is_url(out) else str(Path(out).absolute())
    records = found(paths, options)
    settings = dict(settings)
    if settings.get("model") is not None:
        settings["model"] = str(Path(settings["model"]).absolute())
    job = Job(out, settings, options)
    data_set = DataSet(out, options)
    data_set.begin(job.part())
    classified, failed, _ = data_set.names()
    missing = [name for name in records if name not in classified and name not in failed]
    begun = data_set.take_noted()
    lone = [name for name in missing if name in begun]
    others = [name for name in missing if name not in begun]
    chunks = [(others[i : i + part_records], False) for i in range(0, len(others), part_records)]
    chunks += [([name], True) for name in lone]
    parts = [PartOfRun(names, [records[name] for name in names], alone) for names, alone in chunks]
    if parts:
        data_set.make_way(part.names for part in parts)
        execute(job, parts)
    data_set.tidy()
    classified, failed, beats = data_set.names()
    left = [name for name in missing if name not in classified and name not in failed]
    if left:
        some = ", ".join(left[:8])
        message = f"{out}: found {len(left)} records of {len(missing)} missing ({some}), expected all; start again: the rest is done"
        raise HeartlensError(message, out, None, f"{len(left)} records missing", "all records")
    twice = [name for name, count in (classified + failed).items() if count > 1]
    if twice:
        some = ", ".join(twice[:8])
        message = (
            f"{out}: found {len(twice)} records twice ({some}), expected each once, as where one run at a time writes; delete the "
            "folder and start again"
        )
        raise HeartlensError(message, out, None, f"{len(twice)} records twice", "each record once")
    data_set.take_noted()
    return Done(out, len(classified), len(failed), beats, len(records) - len(missing))
