"""Many records over a Spark cluster.

    import heartlens.distributed.spark

    done = heartlens.distributed.spark.classify("holters/", out="tables/")
    print(done.records, done.errors, done.beats)
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from os import PathLike
from typing import TYPE_CHECKING, Any, Literal

from heartlens._errors import InputError
from heartlens.distributed._inputs import unique
from heartlens.distributed._run import PART_RECORDS, Done, PartOfRun, run
from heartlens.distributed._work import Job, classify_part

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import DataFrame

__all__ = ["classify"]

# Tasks of a job at the most; each may hold several parts.
_TASKS = 10_000


def classify(
    paths: str | PathLike[str] | Iterable[str | PathLike[str]] | Mapping[str, str] | DataFrame,
    out: str | PathLike[str],
    *,
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
    """Classify records over a Spark cluster (`mapInArrow`) and write the tables `beats`, `records` and `errors`.

    The rows are those of ``heartlens classify --tables``, to the bit. A run that is started again, after whatever ended it, does
    what is missing. Spark's active session is used, or one is made as Spark's own settings say. Tasks that fail are tried
    again as ``spark.task.maxFailures`` says; ``local[2]`` tries none again, ``local[2,4]`` each four times.

    Args:
        paths: Records and folders, local or URLs of fsspec (``s3://``, ``gs://``); or a mapping of names to paths; or a data frame with a
            column ``path`` and, where the files' names do not tell records apart, ``record``. Local paths must be the same on every
            machine. Of a folder at a URL, ``.hea``, ``.edf`` and ``.bdf`` files are read.
        out: The folder of the tables, local or a URL. A local one must be shared by all machines.
        part_records: Records of a part, which is written at once.
        storage_options: For fsspec.
        model: A model's folder, ``.onnx`` or ``.hlm`` file, which every machine has; None: the shipped one.

    The other arguments are those of `heartlens.classify_records`.

    Raises:
        InputError: there are no records, two have one name, a URL cannot be read, or `out` is of another schema, model or options.
        HeartlensError: records are missing after all.
    """
    try:
        from pyspark.sql import DataFrame, SparkSession
    except ImportError as error:
        raise ImportError("heartlens.distributed.spark needs Spark: pip install 'heartlens[spark]'") from error

    def execute(job: Job, parts: Sequence[PartOfRun]) -> None:
        session = paths.sparkSession if isinstance(paths, DataFrame) else SparkSession.builder.getOrCreate()
        rows = [(part.names, part.paths, part.alone) for part in parts]
        frame = session.createDataFrame(rows, "names array<string>, paths array<string>, alone boolean")

        def work(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
            for batch in batches:
                for row in batch.to_pylist():
                    classify_part(job, row["names"], row["paths"], row["alone"])
                yield batch.select(["alone"])

        tasks = min(len(parts), _TASKS)
        frame.repartition(tasks).mapInArrow(work, "alone boolean").count()

    named: object = paths
    if isinstance(paths, DataFrame):
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


def _of(frame: DataFrame) -> object:
    if "path" not in frame.columns:
        found = ", ".join(frame.columns) or "none"
        expected = "`path` and perhaps `record`"
        raise InputError(f"paths: found a data frame with the columns {found}, expected {expected}", None, "paths", found, expected)
    if "record" not in frame.columns:
        return [str(row.path) for row in frame.select("path").toLocalIterator()]
    return unique((str(row.record), str(row.path)) for row in frame.select("record", "path").toLocalIterator())
