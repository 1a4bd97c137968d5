"""What a user adds without Rust: communication patterns as generators of rounds."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Union

from .errors import UsageError

__all__ = ["Transfer", "schedule"]

Transfer = Union["tuple[int, int, int]", "tuple[int, int, int, str]"]
"""Sender, receiver and chunk; `"add"` behind them where the receiver sums."""


def schedule(
    op: str, ranks: int, rounds: Iterable[Iterable[Transfer]], *, chunks: int | None = None, name: str | None = None
) -> dict[str, str]:
    """A communication pattern of one's own: goes as `collective=` into `simulate` and among a study's values.

    Args:
        op: operation that it carries out: `all-reduce`, `all-gather`, `reduce-scatter`, `all-to-all`, `broadcast`.
        ranks: GPUs that take part.
        rounds: the rounds, from a list or a generator, each the transfers that happen at once. A rank sends what it
            held when the round began.
        chunks: parts of the buffer; as many as ranks by default.
        name: name on the axis.

    Raises:
        UsageError: a transfer is not made of whole numbers. What loses or repeats a contribution, or names ranks that
            are not there, is refused as a `SpecError` with round and rank where the pattern is used.
    """
    lines = [f"op {op}", f"ranks {ranks}"]
    if chunks is not None:
        lines.append(f"chunks {chunks}")
    for number, transfers in enumerate(rounds):
        lines.append("round")
        lines += [_line(transfer, number) for transfer in transfers]
    found = {"schedule": "\n".join(lines) + "\n"}
    if name is not None:
        found["name"] = name
    return found


def _line(transfer: Transfer, number: int) -> str:
    try:
        sender, receiver, chunk, *add = transfer
    except (TypeError, ValueError):
        add = ["?"]
        sender = receiver = chunk = 0
    whole = all(hasattr(it, "__index__") and not isinstance(it, bool) for it in (sender, receiver, chunk))
    if not whole or add not in ([], ["add"]):
        raise UsageError(
            f"error: round {number} has the transfer {transfer!r}; write (sender, receiver, chunk), with \"add\" where"
            " the receiver sums"
        )
    return " ".join(str(it) for it in (int(sender), int(receiver), int(chunk), *add))
