"""How what was pickled is made again, in another process."""

from os import PathLike, fspath
from typing import Any


def record(path: str | PathLike[str], keywords: dict[str, Any]) -> object:
    """A record, or a list of beats."""
    from heartlens import read

    return read(path, **keywords)


def model(method: str, path: str | PathLike[str] | None, fingerprint: str) -> object:
    """A model from the same files, which have to be there, unchanged."""
    from heartlens import Model, ModelError

    load = getattr(Model, method)
    made = load() if path is None else load(path)
    if made.fingerprint != fingerprint:
        file = "the model of the wheel" if path is None else fspath(path)
        found, expected = made.fingerprint, f"{fingerprint}, as where the model was pickled"
        raise ModelError(f"{file}: found {found}, expected {expected}; use the same files everywhere", file, None, found, expected)
    return made
