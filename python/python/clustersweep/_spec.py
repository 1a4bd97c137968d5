"""Python values to the text of a spec."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterable, Mapping
from typing import Any

from .errors import UsageError
from .reports import Model

TABLES = {
    "gpu": "gpus",
    "model": "models",
    "cluster": "clusters",
    "stack": "stacks",
    "topology": "topologies",
    "collective": "collectives",
}
"""Axes whose values a spec can define, and the tables that define them."""


def spec_text(spec: Mapping[str, Any]) -> str:
    """A spec as JSON. Definitions that stand as values of axes move to their tables.

    Raises:
        TypeError: a value is none that a spec can hold; the message names its place.
    """
    if not isinstance(spec, Mapping):
        raise TypeError(f"a study is made of a dict, not of {_named(spec)}; Study.from_file reads a file")
    plain = _plain(spec, "")
    _lift_definitions(plain)
    return json.dumps(plain, indent=2, ensure_ascii=False)


def set_arguments(changes: Mapping[str, Any] | None) -> list[tuple[str, str]]:
    """Values of axes as the command line's `--set` takes them."""
    return [(axis, _typed(axis, value)) for axis, value in (changes or {}).items()]


def texts(values: str | Iterable[str] | None, name: str) -> list[str]:
    """One text, or several."""
    if values is None:
        return []
    found = [values] if isinstance(values, str) else list(values)
    for value in found:
        if not isinstance(value, str):
            raise TypeError(f"{name} takes text or a list of texts, not {_named(value)}")
    return found


def _typed(axis: str, value: Any) -> str:
    plain = _plain(value, axis)
    items = plain if isinstance(plain, list) else [plain]
    if any(isinstance(item, (dict, list)) or item is None for item in items):
        raise TypeError(f"`set` takes single values or a list of them, and for `{axis}` got {value!r}")
    return ",".join(str(item).lower() if isinstance(item, bool) else str(item) for item in items)


def _plain(value: Any, place: str) -> Any:
    """Text, numbers, booleans, lists and dicts of what may be objects of other libraries."""
    if isinstance(value, Model):
        return dict(value.definition)
    if isinstance(value, Mapping):
        table = {}
        for key, item in value.items():
            if not isinstance(key, str):
                raise TypeError(f"keys of a spec are text, and {place or 'the spec'} has {_named(key)}")
            table[key] = _plain(item, f"{place}.{key}" if place else key)
        return table
    if isinstance(value, (str, bool, int)) or value is None:
        return value
    if isinstance(value, float):
        if not math.isfinite(value):
            raise TypeError(f"`{place}` is {value}; a spec holds finite numbers")
        return value
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, (list, tuple, range)):
        return [_plain(item, f"{place}[{at}]") for at, item in enumerate(value)]
    # Scalars and arrays of NumPy, and of libraries that are made like it.
    if hasattr(value, "tolist"):
        return _plain(value.tolist(), place)
    raise TypeError(
        f"`{place}` is {_named(value)}; a spec holds text, numbers, booleans, lists and dicts"
    )


def _named(value: object) -> str:
    return f"{value!r} ({type(value).__name__})"


def _lift_definitions(spec: dict[str, Any]) -> None:
    """Moves dicts that stand as values of axes into the tables of what they define."""
    for key in ("grid", "zip", "point", "defaults", "measured"):
        holders = spec.get(key, [])
        for holder in holders if isinstance(holders, list) else [holders]:
            if isinstance(holder, dict):
                for axis, table in TABLES.items():
                    if axis in holder:
                        holder[axis] = _lifted(holder[axis], axis, spec, table)


def _lifted(value: Any, axis: str, spec: dict[str, Any], table: str) -> Any:
    if isinstance(value, list):
        return [_lifted(item, axis, spec, table) for item in value]
    if not isinstance(value, dict):
        return value
    definition = dict(value)
    tables = spec.setdefault(table, {})
    name = definition.pop("name", None)
    if name is None:
        name = f"own-{axis}" if f"own-{axis}" not in tables else f"own-{axis}-{len(tables) + 1}"
    if tables.get(name, definition) != definition:
        raise UsageError(f"error: two different definitions are called `{name}`; give each a `name` of its own")
    tables[name] = definition
    return name
