"""Studies as functions that samplers search."""

from __future__ import annotations

import json
import math
import sys
from typing import TYPE_CHECKING, Any, Protocol

from .errors import SpecError, UsageError
from .reports import StepReport

if TYPE_CHECKING:
    from .study import Study

__all__ = ["Objective"]


class Trial(Protocol):
    """What an objective asks of a sampler: one of several values, by the name of the axis. Optuna's trials do that."""

    def suggest_categorical(self, name: str, choices: Any) -> Any:
        """One of the choices."""


class Objective:
    """A study as a function of a trial: it asks for a value of each axis and returns a column of that point.

    A job that cannot run is pruned where Optuna asks, and infinitely bad elsewhere.
    """

    def __init__(self, study: Study, column: str, largest: bool) -> None:
        self._study = study
        self.column = column
        """Column whose value is returned."""
        self.direction = "maximize" if largest else "minimize"
        """`minimize` or `maximize`, for `optuna.create_study`."""
        self.axes: dict[str, list[Any]] = {
            axis: [_parsed(value) for value in values] for axis, values in study._native.varied()
        }
        """The axes that take several values, with these values."""
        if not self.axes:
            raise UsageError("error: every axis of the study has one value, so there is nothing to search")
        if column not in study.point(0).to_dict():
            raise KeyError(f"no column `{column}`; catalog(\"columns\") lists them")

    def step(self, **values: Any) -> StepReport:
        """The point with these values of axes.

        Raises:
            SpecError: `where` drops it, or an axis stands in a `[[zip]]`, whose values cannot be chosen one by one.
        """
        return self._study._with_axes(values).point(0)

    def __call__(self, trial: Trial) -> float:
        values = {axis: trial.suggest_categorical(axis, choices) for axis, choices in self.axes.items()}
        try:
            step = self.step(**values)
        except SpecError as error:
            if not any("drops every point" in fault["message"] for fault in error.faults):
                raise
            return self._refused("`where` drops it")
        value = step.to_dict()[self.column]
        if step.status != "ok" or value is None:
            return self._refused(step.reason or f"no {self.column}")
        return float(value)

    def _refused(self, reason: str) -> float:
        optuna = sys.modules.get("optuna")
        if optuna is not None:
            raise optuna.TrialPruned(reason)
        return math.inf if self.direction == "minimize" else -math.inf


def _parsed(text: str) -> Any:
    """A value of an axis as Python would write it."""
    try:
        value = json.loads(text)
    except ValueError:
        return text
    return value if isinstance(value, (bool, int, float)) else text
