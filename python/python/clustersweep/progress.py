"""Progress of a run: a line in a terminal, a bar in a notebook, or a function of one's own."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

__all__ = ["Progress"]

_EVERY_S = 0.5


@dataclass(frozen=True)
class Progress:
    """Points of a run so far."""

    done: int
    """Points that have a row."""
    infeasible: int
    """Those among them that cannot run."""
    crashed: int
    """Those among them on which the simulator failed."""
    total: int | None
    """Points that it simulates; `None` before they are counted, and where that takes too long."""
    elapsed_s: float
    """Seconds since the run began."""

    @property
    def left_s(self) -> float | None:
        """Seconds that are left at the rate so far; `None` where nobody knows."""
        if self.total is None or self.done == 0:
            return None
        return (self.total - self.done) * self.elapsed_s / self.done

    def __str__(self) -> str:
        of = "" if self.total is None else f"/{self.total}"
        rate = self.done / max(self.elapsed_s, 1e-9)
        left = "" if self.left_s is None else f", {self.left_s:.0f} s left"
        return f"{self.done}{of} points, {rate:.0f}/s{left}"


Poll = Callable[[int, int, int, "int | None"], None]


def poll_of(progress: bool | Callable[[Progress], object]) -> tuple[Poll | None, Callable[[], None]]:
    """What a run calls about ten times a second, and what ends the display."""
    show: Callable[[Progress], object]
    if callable(progress):
        show, end, every = progress, _nothing, 0.0
    elif not progress:
        return None, _nothing
    elif _in_notebook():
        bar = _NotebookBar()
        show, end, every = bar.show, bar.end, _EVERY_S
    elif sys.stderr is not None and sys.stderr.isatty():
        show, end, every = _show_line, _erase_line, _EVERY_S
    else:
        return None, _nothing
    began = time.monotonic()
    last = [-_EVERY_S]

    def poll(done: int, infeasible: int, crashed: int, total: int | None) -> None:
        elapsed = time.monotonic() - began
        if elapsed - last[0] >= every:
            last[0] = elapsed
            show(Progress(done, infeasible, crashed, total, elapsed))

    return poll, end


def _nothing() -> None:
    pass


def _show_line(progress: Progress) -> None:
    sys.stderr.write(f"\r\x1b[K{progress}")
    sys.stderr.flush()


def _erase_line() -> None:
    sys.stderr.write("\r\x1b[K")
    sys.stderr.flush()


def _in_notebook() -> bool:
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return type(shell).__name__ == "ZMQInteractiveShell"


class _NotebookBar:
    """A bar under the cell, which goes when the run ends."""

    def __init__(self) -> None:
        self._handle: Any = None

    def show(self, progress: Progress) -> None:
        from IPython.display import HTML, display  # pyright: ignore

        bar = f'<progress value="{progress.done}" max="{progress.total or progress.done}"></progress> {progress}'
        if self._handle is None:
            self._handle = display(HTML(bar), display_id=True)
        else:
            self._handle.update(HTML(bar))

    def end(self) -> None:
        if self._handle is not None:
            from IPython.display import HTML  # pyright: ignore

            self._handle.update(HTML(""))
