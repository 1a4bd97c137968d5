"""Reports: text for people, a dict for programs, HTML for notebooks."""

from __future__ import annotations

import html
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import _core
from .tables import Table

if TYPE_CHECKING:
    from ._columns import StepColumns
else:
    StepColumns = object

__all__ = ["Analysis", "Answer", "Catalog", "Diff", "Explanation", "Listing", "Model", "Plan", "Report", "StepReport", "Validation"]


class Report:
    """What a command found: `print(report)` for people, `report["key"]` and `.to_dict()` for programs."""

    def __init__(self, text: str, data: dict[str, Any]) -> None:
        self._text = text
        self._data = data

    def to_dict(self) -> dict[str, Any]:
        """Everything in plain Python values, as `--format json` prints it; a copy."""
        copy: dict[str, Any] = json.loads(json.dumps(self._data))
        return copy

    def __getitem__(self, key: str) -> Any:
        return self._data[key]

    def __str__(self) -> str:
        return self._text

    def __repr__(self) -> str:
        return f"<clustersweep.{type(self).__name__}: print it, or see .to_dict()>"

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(self._text)}</pre>"


class StepReport(Report, StepColumns):
    """One simulated point: every column of `points.parquet` as an attribute, units in the names.

    `status` is `ok`, or `infeasible` with the `reason` and no step; columns that do not apply are `None`.
    """

    def __init__(self, text: str, data: dict[str, Any], native: _core.Table) -> None:
        super().__init__(text, data)
        self._row = Table(native)

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            if name.startswith("_") or name not in self._data:
                raise AttributeError(f"no column `{name}`; `.to_dict()` shows them")
            return self._data[name]

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *self._data]

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        return self._row.__arrow_c_stream__(requested_schema)

    def __arrow_c_schema__(self) -> object:
        return self._row.__arrow_c_schema__()


class Plan(Report):
    """What a study expands to, with the estimated time and size."""

    @property
    def points(self) -> int:
        """Points that a run simulates."""
        return int(self._data["points"])

    @property
    def grid_points(self) -> int:
        """Points of the full grid, before `where`."""
        return int(self._data["grid_points"])

    @property
    def estimated_s(self) -> float | None:
        """Estimated seconds of a run; `None` where there is nothing to do."""
        seconds = self._data["estimated_s"]
        return None if seconds is None else float(seconds)


class Explanation(Report):
    """One point in full: layout, time and memory by part, what would help, and how far to trust it."""


class Analysis(Report):
    """Findings of runs: scaling, breakdown points and bottlenecks; or bus bandwidths of collective studies."""

    def __init__(self, native: _core.Analysis) -> None:
        super().__init__(native.text(), json.loads(native.json()))
        self._native = native

    @property
    def answer(self) -> list[str]:
        """The answer to the study's question, in sentences."""
        return self._native.answer()

    @property
    def scaling(self) -> Table:
        """Rows of `scaling.parquet`: one per series and size; empty where nothing scales."""
        return Table(self._native.scaling())

    def write(self, out: str | os.PathLike[str]) -> Path:
        """Writes `report.html` and `scaling.parquet` into the folder `out`, and returns it.

        Raises:
            FileError: the folder cannot be written to.
            UsageError: it holds the run of another study.
        """
        return Path(self._native.write(os.fspath(out)))


class Answer(list[str]):
    """The answer to a study's question: sentences; `print(answer)` for people, `answer.to_dict()` for programs."""

    def __init__(self, sentences: list[str], text: str, data: dict[str, Any], results: Any = None) -> None:
        super().__init__(sentences)
        self._text = text
        self._data = data
        self.refined = results
        """`Results` of the sizes between those of the grid, where `refine` simulated any; else `None`."""

    def to_dict(self) -> dict[str, Any]:
        """The answer as `sweep answer --format json` prints it; empty of a collective study and of a bare file."""
        copy: dict[str, Any] = json.loads(json.dumps(self._data))
        return copy

    @property
    def cheapest(self) -> dict[str, Any] | None:
        """The cheapest row within the limits (without limits, of all) of the first model; `None` where nothing ran."""
        return self._row("cheapest")

    @property
    def fastest(self) -> dict[str, Any] | None:
        """The fastest row within the limits (without limits, of all) of the first model; `None` where nothing ran."""
        return self._row("fastest")

    @property
    def is_met(self) -> bool | None:
        """Whether a row is within all limits, for each model; `None` without limits."""
        met = [answer["is_met"] for answer in self._data.get("answers", [])]
        return all(met) if met and None not in met else None

    def _row(self, name: str) -> dict[str, Any] | None:
        answers = self.to_dict().get("answers", [])
        return answers[0][name] if answers else None

    def __str__(self) -> str:
        return self._text

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(self._text)}</pre>"


class Diff(Report):
    """Two runs held against each other, point by point."""

    def __init__(self, text: str, data: dict[str, Any], has_regression: bool) -> None:
        super().__init__(text, data)
        self.has_regression = has_regression
        """Whether something got worse by more than the tolerance."""


class Validation(Report):
    """Measured cases with what the simulator predicts of each."""

    def __init__(self, text: str, csv: str, data: dict[str, Any]) -> None:
        super().__init__(text, data)
        self.csv = csv
        """One row per case: id, measured, predicted, relative error, status, reason."""

    @property
    def cases(self) -> list[dict[str, Any]]:
        """One dict per case, in the order of the input."""
        return list(self._data["cases"])


class Listing(list[dict[str, Any]]):
    """Names that a spec can use, a dict each; `print(listing)` for people."""

    def __init__(self, text: str, items: list[dict[str, Any]]) -> None:
        super().__init__(items)
        self._text = text

    @property
    def names(self) -> list[str]:
        """The names alone."""
        return [str(item["name"]) for item in self]

    def __str__(self) -> str:
        return self._text

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(self._text)}</pre>"


class Catalog(dict[str, Listing]):
    """Everything that a spec can name, by kind: `catalog()["gpus"].names`."""

    def __str__(self) -> str:
        return "\n".join(f"{kind}: {', '.join(listing.names)}\n" for kind, listing in self.items())

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(str(self))}</pre>"


class Model(Report):
    """The model of a `config.json`; goes as `model=` into `simulate` and into a study's `models`."""

    def __init__(self, text: str, data: dict[str, Any], path: Path) -> None:
        super().__init__(text, data)
        self.definition: dict[str, str] = {"file": str(path)}
        """The model as a table of a spec."""

    @property
    def name(self) -> str:
        """Name of the file, or of its folder where the file is called `config.json`."""
        path = Path(self.definition["file"])
        return path.parent.name if path.stem == "config" else path.stem

    @property
    def parameters(self) -> int:
        """Number of parameters, multi-token prediction left out."""
        return int(self._data["parameters"])

    @property
    def active_parameters(self) -> int:
        """Parameters that one token uses."""
        return int(self._data["active_parameters"])
