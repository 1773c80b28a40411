"""Many records over a Ray cluster.

    import heartlens.distributed.ray

    done = heartlens.distributed.ray.classify("holters/", out="tables/")
    print(done.records, done.errors, done.beats)
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from os import PathLike
from typing import TYPE_CHECKING, Any, Literal

from heartlens._errors import InputError
from heartlens.distributed._inputs import unique
from heartlens.distributed._run import PART_RECORDS, Done, PartOfRun, run
from heartlens.distributed._work import Job, classify_part

if TYPE_CHECKING:
    import pyarrow as pa
    import ray.data

__all__ = ["classify"]

# Blocks that wait for each actor: what is handed out anew when one dies, and how even the work is.
_BLOCKS_AN_ACTOR = 16


class _Actor:
    """A process of one core, with the model loaded once."""

    def __init__(self, job: Job) -> None:
        self._job = job

    def __call__(self, batch: pa.Table) -> pa.Table:
        for row in batch.to_pylist():
            classify_part(self._job, row["names"], row["paths"], row["alone"])
        return batch.select(["alone"])


def classify(
    paths: str | PathLike[str] | Iterable[str | PathLike[str]] | Mapping[str, str] | ray.data.Dataset,
    out: str | PathLike[str],
    *,
    actors: int | None = None,
    part_records: int = PART_RECORDS,
    storage_options: Mapping[str, Any] | None = None,
    lead: str | int | None = None,
    peaks: Literal["detected", "reference"] | None = None,
    annotator: str = "atr",
    mode: str = "streaming",
    rules: str = "alike",
    model: str | PathLike[str] | None = None,
    runtime: str | None = None,
    fs: float | None = None,
    unit: str | None = None,
) -> Done:
    """Classify records over a Ray cluster, one actor a core, and write the tables `beats`, `records` and `errors`.

    The rows are those of ``heartlens classify --tables``, to the bit. A run that is started again, after whatever ended it, does
    what is missing. Where no cluster is connected, Ray starts one on this machine.

    Args:
        paths: Records and folders, local or URLs of fsspec (``s3://``, ``gs://``); or a mapping of names to paths; or a Ray data set with
            a column ``path`` and, where the files' names do not tell records apart, ``record``. Local paths must be the same on
            every machine. Of a folder at a URL, ``.hea``, ``.edf`` and ``.bdf`` files are read.
        out: The folder of the tables, local or a URL. A local one must be shared by all machines.
        actors: Actors, each with a core of its own; None: as many as there are cores.
        part_records: Records of a part, which is written at once.
        storage_options: For fsspec.
        model: A model's folder, ``.onnx`` or ``.hlm`` file, which every machine has; None: the shipped one.

    The other arguments are those of `heartlens.classify_records`.

    Raises:
        InputError: there are no records, two have one name, a URL cannot be read, or `out` is of another schema, model or options.
        HeartlensError: records are missing after all.
    """
    try:
        import ray
        import ray.data
    except ImportError as error:
        raise ImportError("heartlens.distributed.ray needs Ray: pip install 'heartlens[ray]'") from error
    if actors is not None and actors < 1:
        raise InputError(f"actors: found {actors}, expected 1 or more", None, "actors", str(actors), "1 or more")

    def execute(job: Job, parts: Sequence[PartOfRun]) -> None:
        if not ray.is_initialized():
            ray.init()
        resources: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]
        size = actors or max(1, int(resources.get("CPU", 1)))
        size = min(size, len(parts))
        rows = [{"names": part.names, "paths": part.paths, "alone": part.alone} for part in parts]
        blocks = min(len(rows), _BLOCKS_AN_ACTOR * size)
        done = ray.data.from_items(rows, override_num_blocks=blocks).map_batches(
            _Actor,
            fn_constructor_args=(job,),
            batch_size=1,
            batch_format="pyarrow",
            compute=ray.data.ActorPoolStrategy(size=size),
            num_cpus=1,
        )
        for _ in done.iter_batches(batch_size=None, batch_format="pyarrow"):
            pass

    named: object = paths
    if isinstance(paths, ray.data.Dataset):
        named = _of(paths)
    settings = {
        "lead": lead,
        "peaks": peaks,
        "annotator": annotator,
        "mode": mode,
        "rules": rules,
        "model": model,
        "runtime": runtime,
        "fs": fs,
        "unit": unit,
    }
    return run(named, out, part_records, storage_options, settings, execute)


def _of(data_set: ray.data.Dataset) -> object:
    columns = data_set.columns() or []
    if "path" not in columns:
        found = ", ".join(columns) or "none"
        expected = "`path` and perhaps `record`"
        raise InputError(f"paths: found a data set with the columns {found}, expected {expected}", None, "paths", found, expected)
    wanted = [name for name in ("record", "path") if name in columns]
    rows = data_set.select_columns(wanted).iter_rows()
    if "record" not in columns:
        return [str(row["path"]) for row in rows]
    return unique((str(row["record"]), str(row["path"])) for row in rows)
