"""A folder of tables, local or at a URL: what `heartlens classify --tables` writes, and goes on with. `docs/tables.md` describes it."""

import hashlib
import json
import os
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from heartlens._errors import HeartlensError, InputError
from heartlens._heartlens import Part
from heartlens.distributed._inputs import is_url, split

STATEMENT = "_heartlens.json"
ATTEMPTS = "_attempts"
TABLES = ("beats", "records", "errors")
_NO_ROWS = f"part-{'0' * 16}.parquet"
# A file of an object store is there when it is whole, and a rename there is a copy.
_STORES = {"s3", "s3a", "gs", "gcs", "abfs", "abfss", "az", "adl", "oss", "oci", "r2", "hf", "memory"}


def part_name(names: Iterable[str]) -> str:
    """The file of a part with these records: the same for the same records, whoever writes it."""
    digest = hashlib.sha256("".join(f"{name}\n" for name in names).encode()).hexdigest()
    return f"part-{digest[:16]}.parquet"


class Folder:
    """Files below a folder, each written whole or not at all."""

    def __init__(self, out: str, storage_options: Mapping[str, Any]) -> None:
        self.out = out
        self._fs, self._root = split(out if is_url(out) else Path(out).absolute().as_uri(), storage_options)
        protocol = self._fs.protocol
        protocols = {protocol} if isinstance(protocol, str) else set(protocol)
        self._is_store = bool(protocols & _STORES)

    def path(self, *below: str) -> str:
        return "/".join([self._root.rstrip("/"), *below])

    def list(self, *below: str) -> list[str]:
        """Names of the files and folders in a folder; none where there is no folder."""
        self._fs.invalidate_cache()
        try:
            entries = self._fs.ls(self.path(*below), detail=False)
        except FileNotFoundError:
            return []
        return sorted(name for entry in entries if (name := entry.rstrip("/").rsplit("/", 1)[-1]))

    def has(self, *below: str) -> bool:
        return bool(self._fs.exists(self.path(*below)))

    def read(self, *below: str) -> bytes:
        return bytes(self._fs.cat_file(self.path(*below)))

    def open(self, *below: str) -> Any:
        return self._fs.open(self.path(*below), "rb")

    def write(self, contents: bytes, *below: str) -> None:
        path = self.path(*below)
        if self._is_store:
            self._fs.pipe_file(path, contents)
            return
        folder, name = path.rsplit("/", 1)
        self._fs.makedirs(folder, exist_ok=True)
        temporary = f"{folder}/.{name}.{os.getpid()}.tmp"
        try:
            with self._fs.open(temporary, "wb") as file:
                file.write(contents)
                file.flush()
                if hasattr(file, "fileno"):
                    os.fsync(file.fileno())
            self._fs.mv(temporary, path)
        except BaseException:
            if self._fs.exists(temporary):
                self._fs.rm_file(temporary)
            raise

    def remove(self, *below: str) -> None:
        try:
            self._fs.rm_file(self.path(*below))
        except FileNotFoundError:
            pass

    def remove_folder(self, *below: str) -> None:
        """Remove an empty folder, where folders are things."""
        try:
            self._fs.rmdir(self.path(*below))
        except (OSError, NotImplementedError):
            pass


class DataSet:
    """The tables in a folder. One process begins and ends a run; any number write parts meanwhile."""

    def __init__(self, out: str, storage_options: Mapping[str, Any]) -> None:
        self.folder = Folder(out, storage_options)

    def begin(self, part: Part) -> None:
        """Begin the folder, or see that it may be gone on with; delete what a killed run left half done.

        Raises:
            InputError: the folder has other files, or is of another schema, program, model or options.
        """
        statement = {"schema_version": part.schema_version, **part.origin}
        there = self.folder.list()
        if STATEMENT in there:
            self._check(statement)
        else:
            # A run that was killed in its first moments may leave its statement in the making.
            there = [name for name in there if not re.fullmatch(rf"\.(heartlens-)?{re.escape(STATEMENT)}\..*tmp", name)]
            if set(there) - {*TABLES, ATTEMPTS} or any(set(self._parts(table)) - {_NO_ROWS} for table in TABLES):
                out, expected = self.folder.out, "an empty or a new one, or one that an earlier run wrote"
                found = f"a folder with other files and no {STATEMENT}"
                raise InputError(f"{out}: found {found}, expected {expected}; choose another folder", out, None, found, expected)
            files = part.finish()
            for table in TABLES:
                self.folder.write(files[table], table, _NO_ROWS)
            self.folder.write(json.dumps(statement).encode() + b"\n", STATEMENT)
        self.tidy()

    def tidy(self) -> None:
        """Delete what killed processes left half done. Nobody may be writing meanwhile."""
        whole = set(self._parts("records"))
        for table in ("beats", "errors"):
            for name in set(self._parts(table)) - whole:
                self.folder.remove(table, name)
        for below in ([], *([table] for table in (*TABLES, ATTEMPTS))):
            for name in self.folder.list(*below):
                if name.startswith(".") and name.endswith(".tmp"):
                    self.folder.remove(*below, name)

    def _check(self, statement: Mapping[str, object]) -> None:
        try:
            there = json.loads(self.folder.read(STATEMENT))
        except ValueError:
            there = {}
        place = f"{self.folder.out.rstrip('/')}/{STATEMENT}"
        for key, expected in statement.items():
            found = there.get(key) if isinstance(there, dict) else None
            if found != expected:
                message = (
                    f"{place}: found {key} {found}, expected {expected}: results of both do not go together; choose another "
                    "folder, or delete this one to do all records again"
                )
                raise InputError(message, place, key, str(found), str(expected))

    def _parts(self, table: str) -> list[str]:
        return [name for name in self.folder.list(table) if name.startswith("part-") and name.endswith(".parquet")]

    def write(self, names: list[str], files: Mapping[str, Any]) -> None:
        """Write a part with these records. Only with its file in `records` is it there."""
        name = part_name(names)
        for table in ("beats", "errors"):
            if files["rows"][table]:
                self.folder.write(files[table], table, name)
        self.folder.write(files["records"], "records", name)

    def has_part(self, names: list[str]) -> bool:
        """Whether the part with exactly these records is there."""
        return self.folder.has("records", part_name(names))

    def make_way(self, parts: Iterable[list[str]]) -> None:
        """Delete what is there of parts whose records are all missing: they had errors alone, and these were deleted."""
        there = set(self._parts("records"))
        for name in there.intersection(map(part_name, parts)):
            self.folder.remove("records", name)

    def names(self) -> tuple[Counter[str], Counter[str], int]:
        """How often each record is in `records` and in `errors`, and how many beats there are."""
        import pyarrow.parquet as pq

        def read(place: tuple[str, str]) -> tuple[list[str], int]:
            columns = ["record", "beats"] if place[0] == "records" else ["record"]
            try:
                with self.folder.open(*place) as file:
                    table = pq.read_table(file, columns=columns)
            except (OSError, ValueError) as error:
                path = self.folder.path(*place)
                message = f"{path}: found {error}, expected Parquet; delete it and start again: what it held is done again"
                raise HeartlensError(message, path, None, str(error), "Parquet") from error
            beats = sum(table["beats"].to_pylist()) if "beats" in columns else 0
            return table["record"].to_pylist(), beats

        counts: dict[str, Counter[str]] = {"records": Counter(), "errors": Counter()}
        beats = 0
        places = [(table, name) for table in counts for name in self._parts(table)]
        with ThreadPoolExecutor(16) as threads:
            for (table, _), (names, more) in zip(places, threads.map(read, places), strict=True):
                counts[table].update(names)
                beats += more
        return counts["records"], counts["errors"], beats

    # A worker notes what it begins. What is noted and not there was fatal to a worker, or was interrupted.

    def note(self, names: list[str]) -> None:
        """Note that this process begins a part."""
        note = {"pid": os.getpid(), "records": names}
        self.folder.write(json.dumps(note).encode(), ATTEMPTS, part_name(names) + ".json")

    def is_noted(self, names: list[str]) -> bool:
        """Whether a process began this part before."""
        return self.folder.has(ATTEMPTS, part_name(names) + ".json")

    def forget(self, names: list[str]) -> None:
        """The part is there."""
        self.folder.remove(ATTEMPTS, part_name(names) + ".json")

    def take_noted(self) -> set[str]:
        """The records that were begun, which are forgotten."""
        begun: set[str] = set()
        for name in self.folder.list(ATTEMPTS):
            try:
                begun.update(json.loads(self.folder.read(ATTEMPTS, name))["records"])
            except (ValueError, KeyError, FileNotFoundError):
                pass  # Cut short: then nothing had begun.
            self.folder.remove(ATTEMPTS, name)
        self.folder.remove_folder(ATTEMPTS)
        return begun
