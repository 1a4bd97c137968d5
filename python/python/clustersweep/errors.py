"""Exceptions: each has the text, and where there is one the place, that the command line prints."""

from __future__ import annotations

from typing import TypedDict

__all__ = ["ClusterError", "Error", "Fault", "FileError", "SimulatorFault", "SpecError", "UsageError"]


class Fault(TypedDict):
    """One fault of a spec."""

    message: str
    """The fault: lower case, without a full stop."""
    source: str | None
    """File or text that holds it; `None` where it concerns the spec as a whole."""
    path: str | None
    """Keys and positions from the top, in YAML, JSON and dicts: `grid.nodes[2]`."""
    line: int | None
    """Line in the source, from 1."""
    column: int | None
    """Column in that line, from 1."""
    hints: list[str]
    """Ways out."""


class Error(Exception):
    """Whatever clustersweep raises by itself."""


class SpecError(Error, ValueError):
    """A spec is wrong; the text shows every fault with its place and the way out."""

    faults: list[Fault]

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.faults = []


class UsageError(Error, ValueError):
    """An argument is wrong, or asks for what the results do not hold."""


class FileError(Error, OSError):
    """A file or folder could not be read or written, or is damaged."""


class ClusterError(Error, ConnectionError):
    """A cluster of Ray is not there, was closed, or lost a shard more often than it may."""


class SimulatorFault(Error, RuntimeError):
    """A fault of clustersweep itself; please report it."""
