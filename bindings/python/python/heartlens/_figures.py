"""Figures with names, as the command writes them in JSON."""

import json
from collections.abc import Iterator, Mapping
from typing import Any


class Figures(Mapping[str, Any]):
    """Figures with names, read-only: ``f.qrs.se`` and ``f["qrs"]["se"]`` are the same.

    The names are those of the command's JSON; what is not known is ``None``. ``dict(f)`` gives the first level.

    >>> f = Figures({"qrs": {"se": 0.5}, "labels": ["N", "S"]})
    >>> f.qrs.se, f["qrs"]["se"], f.labels
    (0.5, 0.5, ['N', 'S'])
    """

    __slots__ = ("_values",)

    def __init__(self, values: Mapping[str, Any]) -> None:
        object.__setattr__(self, "_values", {name: _wrapped(value) for name, value in values.items()})

    def __getitem__(self, name: str) -> Any:
        return self._values[name]

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        try:
            return self._values[name]
        except KeyError:
            raise AttributeError(f"no figure {name!r}; there are {', '.join(self._values)}") from None

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError("figures are read-only")

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *self._values]

    def __repr__(self) -> str:
        return f"Figures({self._values!r})"

    def __reduce__(self) -> tuple[type, tuple[dict[str, Any]]]:
        return Figures, (self._values,)


def _wrapped(value: Any) -> Any:
    if isinstance(value, Mapping):
        return Figures(value)
    if isinstance(value, list):
        return [_wrapped(item) for item in value]
    return value


def parsed(text: str) -> Any:
    """JSON as figures."""
    return _wrapped(json.loads(text))


class Svg(str):
    """A picture as an SVG document: a string, which a notebook shows."""

    __slots__ = ()

    def _repr_svg_(self) -> str:
        return str(self)

    def __repr__(self) -> str:
        return f"<SVG of {len(self)} characters>"
