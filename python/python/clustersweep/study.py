"""Studies and their results."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

from . import _core
from ._arguments import fraction, function, part, seconds, whole
from ._spec import set_arguments, spec_text, texts
from .errors import FileError, UsageError
from .objective import Objective
from .progress import Progress, poll_of
from .reports import Analysis, Explanation, Plan, StepReport
from .tables import Cell, Row, Table

__all__ = ["Results", "Study"]

_ALIASES = {
    "time": "step_time_s",
    "cost": "cost_per_mtoken_usd",
    "energy": "energy_per_step_kwh",
    "rate": "samples_per_s",
    "memory": "memory_peak_bytes",
}

_LARGER_IS_BETTER = {
    "samples_per_s",
    "tokens_per_s",
    "tokens_per_s_per_gpu",
    "model_flops_per_gpu_per_s",
    "mfu",
    "hfu",
    "gpu_utilization",
    "goodput",
    "algbw_bytes_per_s",
    "busbw_bytes_per_s",
}


class Study:
    """A checked spec: the points of a sweep, and what to ask of them.

    Args:
        spec: the spec as a dict, with the keys of a spec file. An axis is one value, a list, a `range`, or
            `{"from": 1, "to": 64, "times": 2}`. A GPU, model, cluster, stack, topology or collective may be a
            dict that defines it, with a `name` if several do.
        set: axes to replace, as `--set` does: `{"nodes": [1, 2]}`.
        where: expressions that every point must fulfil, as `--where`.

    Raises:
        SpecError: the spec is wrong; the text shows every fault with its place.
        TypeError: a value is none that a spec can hold.
    """

    def __init__(
        self,
        spec: Mapping[str, Any],
        *,
        set: Mapping[str, Any] | None = None,
        where: str | Iterable[str] | None = None,
    ) -> None:
        text = spec_text(spec)
        self._native = _core.Study.parse("study", text, set_arguments(set), texts(where, "where"))

    @classmethod
    def from_file(
        cls,
        path: str | os.PathLike[str],
        *,
        set: Mapping[str, Any] | None = None,
        where: str | Iterable[str] | None = None,
    ) -> Study:
        """Reads a spec from a TOML, YAML or JSON file, or the one of a run folder.

        Raises:
            FileError: the file cannot be read.
            SpecError: the spec is wrong; the text shows every fault with file, line and column.
        """
        file = Path(path)
        if file.is_dir():
            if not (file / "spec.toml").exists():
                raise FileError(f"error: the folder `{file}` holds no spec.toml; name a spec file or a run folder")
            file = file / "spec.toml"
        return cls._of(_core.Study.load(os.fspath(file), set_arguments(set), texts(where, "where")))

    @classmethod
    def _of(cls, native: _core.Study) -> Study:
        study = cls.__new__(cls)
        study._native = native
        return study

    @property
    def name(self) -> str:
        """Name of the study."""
        return self._native.name

    @property
    def description(self) -> str:
        """Question that the study answers."""
        return self._native.description

    @property
    def kind(self) -> str:
        """`training` or `collective`."""
        return self._native.kind

    @property
    def grid_points(self) -> int:
        """Points of the full grid, before `where`."""
        return self._native.grid_points

    @property
    def warnings(self) -> list[str]:
        """Doubts that do not prevent a run."""
        return self._native.warnings

    def to_toml(self) -> str:
        """The spec as a TOML file that runs by itself."""
        return self._native.to_toml()

    def plan(
        self, *, threads: int | None = None, shard: str | tuple[int, int] | None = None, limit: int | None = None
    ) -> Plan:
        """What the study expands to; a few points are simulated to estimate the time.

        Raises:
            UsageError: there is no such shard.
        """
        text, data = self._native.plan(whole("limit", limit, 0), part(shard), whole("threads", threads, 1))
        return Plan(text, json.loads(data))

    def run(
        self,
        *,
        threads: int | None = None,
        shard: str | tuple[int, int] | None = None,
        limit: int | None = None,
        progress: bool | Callable[[Progress], object] = True,
        on_rows: Callable[[Table], object] | None = None,
        fail_fast: bool = False,
        max_events: int | None = None,
        point_timeout: float | timedelta | None = None,
        out: str | os.PathLike[str] | None = None,
        resume: bool = False,
        overwrite: bool = False,
        append: bool = False,
        no_join: bool = False,
    ) -> Results:
        """Simulates every point, on all cores and without the GIL.

        Without `out` the rows stay in memory (about 1 KiB each); with it they go to a run folder with report
        and manifest, byte for byte that of `sweep run`, and what is finished survives an interrupt.

        Args:
            threads: threads that simulate; one per core by default.
            shard: only every N-th point, from the K-th on: `"2/8"` or `(2, 8)`.
            limit: only the first points.
            progress: whether a terminal or notebook shows it; or a function that takes a `Progress` ten times a second.
            on_rows: takes a table of each finished group of rows, in the order of the points; not with `out`.
            fail_fast: whether the first point on which the simulator fails ends the run.
            max_events: most events of a point's simulation, the search for its layout included; a point that takes
                more is infeasible. Part of the run: `resume` goes on with the same number only.
            point_timeout: longest wall time of a point, in seconds or as a `timedelta`; one that takes longer is a
                crashed row, which `resume` tries again.
            out: run folder.
            resume: goes on with the run that `out` holds.
            overwrite: replaces the result that `out` holds.
            append: extends the finished run that `out` holds by the values that the study's axes have besides: its
                points keep their numbers and rows, new ones follow. The study of the results is the extended one.
            no_join: leaves the table in `out` a dataset of the parts in which it was written, a folder
                `points.parquet`; `merge` joins them.

        Raises:
            FileError: `out` holds a result already, or cannot be written to.
            UsageError: arguments contradict one another.
            KeyboardInterrupt: Ctrl-C; points in flight end first.
        """
        held = [name for name, is_asked in (("resume", resume), ("overwrite", overwrite), ("append", append)) if is_asked]
        if out is None and (held or no_join):
            raise UsageError(f"error: `{(held or ['no_join'])[0]}` is about a run folder; name it with `out`")
        if len(held) > 1:
            raise UsageError(
                "error: `resume` goes on with a result, `append` extends it and `overwrite` drops it; take one of them"
            )
        if append and (shard is not None or limit is not None):
            raise UsageError("error: `append` extends a whole run; leave `shard` and `limit` away")
        if out is not None and on_rows is not None:
            raise UsageError("error: `on_rows` takes rows from memory; leave `out` or `on_rows` away")
        limit, threads = whole("limit", limit, 0), whole("threads", threads, 1)
        max_events = whole("max_events", max_events, 0)
        timeout, one = seconds("point_timeout", point_timeout), part(shard)
        on_rows = function("on_rows", on_rows)
        poll, end = poll_of(progress)
        try:
            if out is None:
                take = None if on_rows is None else (lambda rows: on_rows(Table(rows)))
                table = self._native.rows(limit, one, threads, fail_fast, max_events, timeout, poll, take)
                return Results(table, self, None, limit, one, max_events)
            folder, treated = os.fspath(out), held[0] if held else "refuse"
            self._native.run(folder, limit, one, threads, fail_fast, max_events, timeout, no_join, treated, poll)
            study = None if append else self
            return Results(_core.read_points(folder), study, Path(folder), limit, one, max_events)
        finally:
            end()

    def point(self, point: int) -> StepReport:
        """Simulates one point, by its number in the full grid.

        Raises:
            UsageError: the grid has no such point.
        """
        text, data, row = self._native.point(_number(point))
        return StepReport(text, json.loads(data), row)

    def explain(self, point: int, *, what_if: str | Iterable[str] | None = None) -> Explanation:
        """One point in full, with what would help; each change (`"nic_gbit_per_s=800"`) is simulated.

        Raises:
            UsageError: the grid has no such point, or it did not run.
            SpecError: a change names no axis or a value that it does not take.
        """
        text, data = self._native.explain(_number(point), texts(what_if, "what_if"))
        return Explanation(text, json.loads(data))

    def trace(self, point: int) -> str:
        """The timeline of one point as trace JSON, for https://ui.perfetto.dev and chrome://tracing.

        Raises:
            UsageError: the grid has no such point, or it has no timeline.
        """
        return self._native.trace(_number(point))

    def objective(self, by: str = "time", *, largest: bool | None = None) -> Objective:
        """The study as a function that a sampler searches: `optuna_study.optimize(study.objective("cost"))`.

        Each call simulates one point. Axes with several values are searched among these, the others stay.

        Args:
            by: a column or a word, as in `Results.best`.
            largest: whether more is better, as in `Results.best`; `.direction` says it for Optuna.

        Raises:
            KeyError: there is no such column.
            UsageError: every axis has one value.
        """
        name = _ALIASES.get(by, by)
        return Objective(self, name, name in _LARGER_IS_BETTER if largest is None else largest)

    def _with_axes(self, values: Mapping[str, Any]) -> Study:
        return self._of(self._native.with_axes(set_arguments(values)))

    def __reduce__(self) -> tuple[Callable[[str], Study], tuple[str]]:
        """Studies go to other processes, of `multiprocessing`, joblib or Dask, as their TOML."""
        return _study_of_toml, (self.to_toml(),)

    def __repr__(self) -> str:
        return f"<clustersweep.Study {self.name}: {self.grid_points} points>"


def _study_of_toml(text: str) -> Study:
    with tempfile.TemporaryDirectory(prefix="clustersweep-") as folder:
        file = Path(folder) / "spec.toml"
        file.write_bytes(text.encode())
        return Study.from_file(file)


class Results(Table):
    """Rows of a run, one per point: the columns of `points.parquet`. Read like any table."""

    def __init__(
        self,
        native: _core.Table,
        study: Study | None,
        folder: Path | None,
        limit: int | None = None,
        shard: str | None = None,
        max_events: int | None = None,
    ) -> None:
        super().__init__(native)
        self._study = study
        self.folder = folder
        """Run folder or file that holds the rows; `None` where memory alone does."""
        self._portion = (limit, shard, max_events)
        # The rows without columns of one's own, which no command knows.
        self._simulated = native
        self._kept: tempfile.TemporaryDirectory[str] | None = None

    @classmethod
    def from_file(cls, path: str | os.PathLike[str]) -> Results:
        """Reads a run folder, or a bare `points.parquet`.

        Raises:
            FileError: it cannot be read, is damaged, or was written by a later version.
        """
        return cls(_core.read_points(os.fspath(path)), None, Path(path))

    @property
    def study(self) -> Study:
        """The study that the rows belong to.

        Raises:
            UsageError: the rows are those of a bare file.
        """
        if self._study is None:
            self._study = Study._of(_core.run_spec(str(self.folder)))
        return self._study

    def with_column(
        self,
        name: str,
        function: Callable[[Table], Any],
        *,
        unit: str = "",
        meaning: str = "",
    ) -> Results:
        """The results with a metric of one's own as a further column of real numbers.

        Args:
            name: name of the column; a unit belongs into it.
            function: takes a table of some hundred rows (`rows.column("mfu")`, `rows.to_pandas()`) and returns as many
                numbers: a list, an array or a Series; `None` or NaN where there is none.
            unit: unit, for the metadata of the Arrow field.
            meaning: meaning, for the metadata of the Arrow field.

        Raises:
            UsageError: the column is there already, or the function returned something else.
        """
        if name in self.columns:
            raise UsageError(f"error: there is a column `{name}` already; take another name")
        values: list[float | None] = []
        for batch in self._native.batches():
            values += _numbers(name, function(Table(batch)), batch.num_rows)
        wider = Results(self._native.with_column(name, values, unit, meaning), self._study, self.folder, *self._portion)
        wider._simulated, wider._kept = self._simulated, self._kept
        return wider

    def save(self, folder: str | os.PathLike[str]) -> Path:
        """Writes `points.parquet` and `spec.toml` into a folder, which commands take as a run.

        Raises:
            FileError: the folder exists, or cannot be written to.
        """
        path = Path(folder)
        try:
            path.mkdir(parents=True)
        except OSError as error:
            raise FileError(f"error: cannot create `{path}`: {error.strerror}") from None
        self._simulated.save(self.study._native, os.fspath(path), *self._portion)
        return path

    def path(self) -> Path:
        """Folder or file that holds the rows; those of memory are written to a temporary folder once."""
        if self.folder is not None:
            return self.folder
        if self._kept is None:
            self._kept = tempfile.TemporaryDirectory(prefix="clustersweep-")
            self.save(Path(self._kept.name) / self.study.name)
        return Path(self._kept.name) / self.study.name

    def analyze(self, *, x: str | None = None, threshold: float | None = None) -> Analysis:
        """Scaling, breakdown points and bottlenecks; see `clustersweep.analyze`."""
        least = None if threshold is None else fraction("threshold", threshold)
        return Analysis(_core.analyze([os.fspath(self.path())], x, least))

    def best(
        self,
        by: str = "time",
        where: Mapping[str, Cell] | Callable[[Row], bool] | None = None,
        *,
        largest: bool | None = None,
    ) -> StepReport:
        """The best point that ran.

        Args:
            by: a column, or `time`, `cost` (per million tokens), `energy`, `rate` (samples per second) or `memory`.
            where: values that columns must have (`{"gpus": 64}`), or a function that tells whether a row counts.
            largest: whether more is better; by default it is for rates and utilisations, and less for the rest.

        Raises:
            KeyError: there is no such column.
            UsageError: no point with a value in the column is left.
        """
        name = _ALIASES.get(by, by)
        values = self.column(name)
        statuses = self.column("status")
        fits = self._fitting(where)
        more = name in _LARGER_IS_BETTER if largest is None else largest
        ran = [
            (value, at)
            for at, (value, status) in enumerate(zip(values, statuses))
            if status == "ok" and isinstance(value, (int, float)) and fits(at)
        ]
        if not ran and any(isinstance(value, str) for value in values):
            raise UsageError(f"error: `{name}` is a column of text, which has no best; name one of numbers")
        if not ran:
            raise UsageError(f"error: no point that ran and fits `where` has a value of `{name}`")
        _, at = (max if more else min)(ran, key=lambda pair: pair[0])
        point = self.column("point")[at]
        assert isinstance(point, int)
        return self.study.point(point)

    def _fitting(self, where: Mapping[str, Cell] | Callable[[Row], bool] | None) -> Callable[[int], bool]:
        """Whether the row at a place fits."""
        if where is None:
            return lambda _: True
        if isinstance(where, Mapping):
            asked = [(self.column(name), value) for name, value in where.items()]
            return lambda at: all(column[at] == value for column, value in asked)
        if not callable(where):
            raise TypeError(f"`where` takes a dict of columns and values, or a function of a row, not {where!r}")
        rows = list(self.rows())
        holds = where
        return lambda at: holds(rows[at])


def _numbers(name: str, values: Any, rows: int) -> list[float | None]:
    """What a function gave for a table of rows, as numbers."""
    for method in ("to_pylist", "tolist", "to_list"):
        if hasattr(values, method):
            values = getattr(values, method)()
            break
    if not isinstance(values, (list, tuple)) or len(values) != rows:
        count = f"{len(values)} values" if isinstance(values, (list, tuple)) else f"{values!r}"
        raise UsageError(f"error: the function of `{name}` returned {count} for {rows} rows; return one number per row")
    try:
        numbers = [None if value is None else float(value) for value in values]
    except (TypeError, ValueError) as error:
        raise UsageError(f"error: the function of `{name}` returned what is no number: {error}") from None
    return [None if value is None or value != value else value for value in numbers]


def _number(point: int) -> int:
    if isinstance(point, bool) or not hasattr(point, "__index__"):
        raise TypeError(f"a point is named by its number, not by {point!r}")
    number = point.__index__()
    if number < 0:
        raise UsageError(f"error: there is no point {number}; points are numbered from 0")
    return number
