"""Which records are meant, and how a worker gets at one."""

from collections.abc import Iterable, Mapping
from os import PathLike, fspath
from pathlib import Path, PurePosixPath
from typing import Any

from heartlens._errors import InputError
from heartlens._heartlens import records_of

# What a folder at a URL is looked through for. Other files are records only where they are named: to tell them by their content
# would mean to read all of them.
EXTENSIONS = (".hea", ".edf", ".bdf")


def is_url(path: str) -> bool:
    """Whether fsspec is to read this, rather than the operating system."""
    return "://" in path


def split(url: str, storage_options: Mapping[str, Any]) -> tuple[Any, str]:
    """A URL's file system, and its path there."""
    try:
        from fsspec.core import url_to_fs
    except ImportError as error:
        raise ImportError("URLs need fsspec: pip install 'heartlens[ray]' or 'heartlens[spark]'") from error
    try:
        fs, path = url_to_fs(url, **storage_options)
    except (ValueError, ImportError, OSError) as error:
        message = f"{url}: found a URL that cannot be opened ({error}), expected one that fsspec knows, such as s3:// or gs://"
        raise InputError(message, url, None, str(error), "a URL that fsspec knows") from error
    return fs, str(path)


def stem(path: str) -> str:
    """What a record is called: its file's name without the extension of a record."""
    # Below what is no folder, so that nothing is looked through.
    return records_of([f"/dev/null/{PurePosixPath(path).name}"])[0][0]


def found(paths: object, storage_options: Mapping[str, Any]) -> dict[str, str]:
    """The records that are meant: path by name."""
    if isinstance(paths, Mapping):
        return unique((str(name), fspath(path)) for name, path in paths.items())
    if isinstance(paths, (str, PathLike)):
        paths = [paths]
    if not isinstance(paths, Iterable):
        what = type(paths).__name__
        raise InputError(
            f"paths: found {what}, expected a path, several, or a mapping of names to paths", None, "paths", what, "a path, or several"
        )
    pairs = []
    for path in map(fspath, paths):
        if is_url(path):
            pairs.extend(_at_url(path, storage_options))
        else:
            pairs.extend((name, fspath(found)) for name, found in records_of([path]))
    return unique(pairs)


def _at_url(url: str, storage_options: Mapping[str, Any]) -> list[tuple[str, str]]:
    if PurePosixPath(url).suffix.lower() in EXTENSIONS:
        return [(stem(url), url)]
    fs, root = split(url, storage_options)
    try:
        is_folder = fs.isdir(root)
        files = fs.find(root) if is_folder else []
    except Exception as error:  # Each file system has its own.
        message = f"{url}: found {_said(error)}, expected a folder or record that can be read"
        raise InputError(message, url, None, _said(error), "a folder or record that can be read") from error
    if not is_folder:
        return [(stem(url), url)]
    pairs = []
    for file in sorted(files):
        if PurePosixPath(file).suffix.lower() in EXTENSIONS:
            below = PurePosixPath(file).relative_to(root)
            pairs.append((str(below.with_name(stem(file))), fs.unstrip_protocol(file)))
    if not pairs:
        expected = "files named *" + " or *".join(EXTENSIONS)
        raise InputError(f"{url}: found no record in this folder or below, expected {expected}", url, None, "no record", expected)
    return pairs


def unique(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Path by name, of pairs of both; local paths absolute."""
    named: dict[str, str] = {}
    for name, path in pairs:
        path = path if is_url(path) else str(Path(path).absolute())
        other = named.setdefault(name, path)
        if other != path:
            expected = "a name of its own for each record: give a mapping of names to paths, or a column `record`"
            found = f"two records called {name!r}"
            raise InputError(f"{other} and {path}: found {found}, expected {expected}", path, None, found, expected)
    if not named:
        expected = "at least one record or folder"
        raise InputError(f"paths: found none, expected {expected}", None, "paths", "none", expected)
    return named


def fetched(path: str, folder: Path, annotator: str | None, storage_options: Mapping[str, Any]) -> Path:
    """A record as a local file. What is at a URL is copied into `folder`: of a WFDB record, the files that its header names, and
    annotations where there is a signal and `annotator` is given, or no signal."""
    if not is_url(path):
        return Path(path)
    fs, remote = split(path, storage_options)
    if not PurePosixPath(remote).suffix and not fs.exists(remote):
        remote += ".hea"
    name = PurePosixPath(remote).name
    local = folder / name
    fs.get_file(remote, str(local))
    if local.suffix.lower() == ".hea":
        names = _named_in(local)
        while names:
            beside = names.pop()
            target = folder / beside
            if target.exists() or ".." in PurePosixPath(beside).parts or beside.startswith("/"):
                continue  # The reader says what is wrong with such a header.
            target.parent.mkdir(parents=True, exist_ok=True)
            source = f"{PurePosixPath(remote).parent}/{beside}"
            if fs.exists(source):
                fs.get_file(source, str(target))
                if target.suffix == ".hea":
                    names |= _named_in(target)
        has_signal = any(file.suffix != ".hea" for file in folder.rglob("*") if file.is_file())
        annotations = f"{str(PurePosixPath(remote).with_suffix(''))}.{annotator or 'atr'}"
        if (annotator is not None or not has_signal) and fs.exists(annotations):
            fs.get_file(annotations, str(folder / PurePosixPath(annotations).name))
    return local


def _named_in(header: Path) -> set[str]:
    """The files that a header names: signal files, or the headers of its segments."""
    lines = [line.split() for line in header.read_text("latin-1").splitlines() if line.strip() and not line.startswith("#")]
    if not lines:
        return set()
    segments = "/" in lines[0][0]
    names = {words[0] for words in lines[1:]} - {"~"}
    return {f"{name}.hea" for name in names} if segments else names


def _said(error: BaseException) -> str:
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
