"""Arguments that are checked before anything runs: what is wrong is said with the name of the argument."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import timedelta
from typing import Any, Union

from .errors import UsageError

Shard = Union[str, "tuple[int, int]"]
"""Which of several parts: `"2/8"` or `(2, 8)`."""


def whole(name: str, value: Any, least: int) -> int | None:
    """A whole number from `least` on, or none."""
    if value is None:
        return None
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        raise TypeError(f"`{name}` is a whole number from {least} on, not {value!r} ({type(value).__name__})")
    number = int(value.__index__())
    if number < least:
        raise UsageError(f"error: `{name}` is {number}; it is a whole number from {least} on")
    return number


def fraction(name: str, value: Any, most: float | None = 1.0) -> float:
    """A number from 0 on, to `most` where there is one."""
    if isinstance(value, bool) or not hasattr(value, "__float__"):
        raise TypeError(f"`{name}` is a fraction such as 0.2, not {value!r} ({type(value).__name__})")
    number = float(value)
    if not 0.0 <= number <= (most if most is not None else float("inf")):
        bounds = "from 0 on" if most is None else f"from 0 to {most:g}"
        raise UsageError(f"error: `{name}` is {number:g}; it is a fraction {bounds}, such as 0.2 for 20%")
    return number


def seconds(name: str, value: Any) -> float | None:
    """A time in seconds, which may be a `timedelta`."""
    if value is None:
        return None
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, bool) or not hasattr(value, "__float__"):
        raise TypeError(f"`{name}` takes seconds or a timedelta, not {value!r} ({type(value).__name__})")
    return float(value)


def part(shard: Shard | None) -> str | None:
    """A shard as the command line writes it."""
    if shard is None or isinstance(shard, str):
        return shard
    if not isinstance(shard, tuple) or len(shard) != 2:
        raise TypeError(f'`shard` is "2/8" or (2, 8), not {shard!r}')
    return f"{shard[0]}/{shard[1]}"


def function(name: str, value: Any) -> Callable[..., object] | None:
    """A function, or none."""
    if value is not None and not callable(value):
        raise TypeError(f"`{name}` takes a function, not {value!r} ({type(value).__name__})")
    found: Callable[..., object] | None = value
    return found
