"""Functions of the package."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Union, overload

from . import _core
from ._arguments import fraction, whole
from ._spec import TABLES, texts
from .errors import FileError, UsageError
from .progress import Progress
from .reports import Analysis, Answer, Catalog, Diff, Explanation, Listing, Model, StepReport, Validation
from .study import Results, Study

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from ._axes import Axes

__all__ = [
    "analyze",
    "answer",
    "catalog",
    "diff",
    "explain",
    "merge",
    "model_from_config",
    "simulate",
    "trace",
    "validate",
]

Path_ = Union[str, "os.PathLike[str]"]
Run = Union[Results, Path_]
"""Results in memory, or the path of a run folder or a `points.parquet`."""

KINDS = ("gpus", "models", "clusters", "stacks", "prices", "collectives", "topologies", "axes", "columns")
"""What can be listed."""


def simulate(**axes: Unpack[Axes]) -> StepReport:
    """Simulates one training step, or one communication where `op` is given.

    Args:
        axes: an axis of a spec each, one value: `gpu="h100-sxm", nodes=16, model="llama3-8b", global_batch=512`.
            `gpu`, `model`, `cluster`, `stack`, `topology` and `collective` may be a dict that defines one of one's
            own, `model` also what `model_from_config` returns. `catalog("axes")` lists them.

    Returns:
        The step, with every column of `points.parquet` as an attribute. A job that cannot run has the status
        `infeasible` and a `reason`.

    Raises:
        SpecError: an axis or a value is unknown, or one that is needed is missing.
        UsageError: an axis has several values; a `Study` sweeps them.
    """
    for axis, value in axes.items():
        several = isinstance(value, (list, tuple, range, set, frozenset)) or bool(getattr(value, "ndim", 0))
        if several or (isinstance(value, Mapping) and axis not in TABLES):
            raise UsageError(f"error: simulate takes one value per axis, and `{axis}` is {value!r}; sweep with a Study")
    spec: dict[str, Any] = {"name": "step", "point": [dict(axes)]}
    if "op" in axes:
        spec["kind"] = "collective"
    return Study(spec).point(0)


def analyze(*runs: Run, x: str | None = None, threshold: float | None = None) -> Analysis:
    """Scaling efficiency, breakdown points, bottlenecks and advice of one or several runs.

    Args:
        runs: results, run folders or bare Parquet files; several are analysed together.
        x: resource to scale over in place of the GPUs (`nodes`, `nic_gbit_per_s`), or another axis whose values to
            compare.
        threshold: scaling efficiency, from 0 to 1, under which a series counts as broken.

    Raises:
        FileError: a run cannot be read.
        UsageError: the runs have nothing in common.
    """
    least = None if threshold is None else fraction("threshold", threshold)
    return Analysis(_core.analyze([_path(run) for run in runs], x, least))


def answer(
    run: Run | Study,
    *,
    tokens: float | None = None,
    samples: float | None = None,
    deadline: str | timedelta | None = None,
    budget: str | float | None = None,
    gpus_max: int | None = None,
    confidence: float | None = None,
    refine: bool = False,
    threads: int | None = None,
    progress: bool | Callable[[Progress], object] = True,
    max_events: int | None = None,
    point_timeout: float | timedelta | None = None,
    out: Path_ | None = None,
    resume: bool = False,
    overwrite: bool = False,
) -> Answer:
    """The answer to a study's question: the cheapest and the fastest within the limits, and what would change it.

    A study is run first, in memory unless `out` names a folder. What is not given here is the study's own `[question]`.

    Args:
        run: results, a run folder, or a study.
        tokens: tokens of the whole training.
        samples: samples of the whole training, in place of its tokens.
        deadline: longest time that the training may take: `"60 days"`, or a `timedelta`.
        budget: most that it may cost: `"700000 USD"`, or a number of US dollars.
        gpus_max: most GPUs that it may use.
        confidence: share of the measured trainings of the model's family for which the limits have to hold, 0 to 1.
        refine: whether the sizes between those of the grid that may be cheaper are simulated too.
        threads: threads that simulate; one per core by default.
        progress: as in `Study.run`.
        max_events: as in `Study.run`.
        point_timeout: as in `Study.run`.
        out: run folder; that of the refined sizes lies beside it, as `OUT-refined`.
        resume: goes on with the run that `out` holds.
        overwrite: replaces the result that `out` holds.

    Raises:
        FileError: a run cannot be read, or `out` cannot be written to.
        UsageError: arguments contradict one another, or a finished run is asked for another amount of training.
        SpecError: a limit is none.
    """
    threads = whole("threads", threads, 1)
    question = _question(tokens, samples, deadline, budget, gpus_max, confidence)
    options: dict[str, Any] = {
        "threads": threads,
        "progress": progress,
        "max_events": max_events,
        "point_timeout": point_timeout,
        "resume": resume,
        "overwrite": overwrite,
    }
    if isinstance(run, Study):
        study = Study._of(run._native.with_question(question)) if question else run
        results = study.run(out=out, **options)
        path = _path(results)
    elif out is not None or resume or overwrite:
        raise UsageError("error: `out`, `resume` and `overwrite` are about running a study; this one has been run")
    else:
        path = _path(run)
    if Path(path).suffix == ".parquet" or _study(path).kind != "training":
        if question or refine:
            raise UsageError(f"error: `{path}` is a bare file or a collective study, of which no such question is asked")
        found = Analysis(_core.analyze([path], None, None))
        return Answer(found.answer, str(found), {})
    sentences, text, data, more = _core.answer([path], question, threads)
    if not refine or more is None:
        return Answer(sentences, text, json.loads(data))
    beside = None if out is None else f"{os.fspath(out)}-refined"
    refined = Study._of(more).run(out=beside, **options)
    sentences, text, data, _ = _core.answer([path, _path(refined)], question, threads)
    return Answer(sentences, text, json.loads(data), refined)


def _question(
    tokens: float | None,
    samples: float | None,
    deadline: str | timedelta | None,
    budget: str | float | None,
    gpus_max: int | None,
    confidence: float | None,
) -> list[tuple[str, str]]:
    """Keys of a question with their values as they are typed."""
    if isinstance(deadline, timedelta):
        deadline = f"{deadline.total_seconds() / 86400!r} days"
    if isinstance(budget, (int, float)) and not isinstance(budget, bool):
        budget = f"{budget!r} USD"
    keys = {
        "tokens": tokens,
        "samples": samples,
        "deadline": deadline,
        "budget": budget,
        "gpus_max": gpus_max,
        "confidence": confidence,
    }
    return [(key, str(value)) for key, value in keys.items() if value is not None]


def explain(run: Run | Study, point: int, *, what_if: str | Iterable[str] | None = None) -> Explanation:
    """One point in full; see `Study.explain`."""
    return _study(run).explain(point, what_if=what_if)


def trace(run: Run | Study, point: int, out: Path_ | None = None) -> str:
    """The timeline of one point as trace JSON; also written to the file `out` where it is named."""
    text = _study(run).trace(point)
    if out is not None:
        try:
            Path(out).write_text(text, encoding="utf-8")
        except OSError as error:
            raise FileError(f"error: cannot write `{out}`: {error.strerror}; name a file in a folder that is there") from None
    return text


def diff(
    base: Run,
    new: Run,
    *,
    metrics: str | Iterable[str] | None = None,
    tolerance: float = 0.02,
    fail_missing: bool = False,
) -> Diff:
    """Holds two runs against each other, point by point.

    Args:
        base: run to compare against.
        new: run that may have got worse.
        metrics: columns to compare, each with a tolerance of its own where it needs one (`"step_time_s=2%"`,
            `"memory_peak_bytes=512MiB"`); step time and memory by default.
        tolerance: relative change that counts as no change, 0.02 for 2%.
        fail_missing: points of the base that the new run lacks are a regression.

    Raises:
        FileError: a run cannot be read.
        UsageError: they have no point in common, or a metric is unknown.
    """
    allowed = fraction("tolerance", tolerance, most=None)
    return _diff(_path(base), _path(new), texts(metrics, "metrics"), allowed, fail_missing)


def _diff(base: str, new: str, metrics: list[str], tolerance: float, fail_missing: bool) -> Diff:
    text, data, has_regression = _core.diff(base, new, metrics, tolerance, fail_missing)
    return Diff(text, json.loads(data), has_regression)


def validate(cases: Any = None, *, include: Path_ | Iterable[Path_] | None = None) -> Validation:
    """Simulates measured cases and returns the errors.

    Args:
        cases: a DataFrame of pandas or Polars, a table of pyarrow, a list of dicts, or the path of a CSV file, with the
            columns of the validation files; those that come with clustersweep by default.
        include: TOML files with tables of one's own GPUs, clusters, models or stacks.

    Raises:
        FileError: a file cannot be read.
        UsageError: a column is missing or a cell holds what it cannot.
        TypeError: `cases` is none of these.
    """
    included = [] if include is None else [include] if isinstance(include, (str, os.PathLike)) else list(include)
    files = [os.fspath(path) for path in included]
    if cases is None:
        found = _core.validate([], [], files)
    elif isinstance(cases, (str, os.PathLike)):
        found = _core.validate([], [os.fspath(cases)], files)
    else:
        found = _core.validate([("cases", _csv(cases))], [], files)
    text, rows, data = found
    return Validation(text, rows, json.loads(data))


def _csv(cases: Any) -> str:
    """A table of cases as CSV."""
    if hasattr(cases, "to_csv"):
        return str(cases.to_csv(index=False))
    if hasattr(cases, "write_csv"):
        return str(cases.write_csv())
    rows = cases.to_pylist() if hasattr(cases, "to_pylist") else cases
    if not isinstance(rows, list) or not all(isinstance(row, Mapping) for row in rows):
        raise TypeError(
            f"cases are a DataFrame, a table of pyarrow, a list of dicts or the path of a CSV file, not {type(cases).__name__}"
        )
    if not rows:
        raise UsageError("error: the list of cases is empty; without `cases` those that come with clustersweep are taken")
    names = list(dict.fromkeys(name for row in rows for name in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


@overload
def catalog(what: None = None, *, study: Study | None = None) -> Catalog: ...
@overload
def catalog(what: str, *names: str, study: Study | None = None) -> Listing: ...
def catalog(what: str | None = None, *names: str, study: Study | None = None) -> Catalog | Listing:
    """What a spec can name, with values and sources.

    Args:
        what: `gpus`, `models`, `clusters`, `stacks`, `prices`, `collectives`, `topologies`, `axes` or `columns`; a dict
            of all of them where it is left out.
        names: only these.
        study: also what this study defines.

    Raises:
        UsageError: a name is unknown.
    """
    if what is None:
        return Catalog({kind: catalog(kind, study=study) for kind in KINDS})
    text, items = _core.catalog(what, list(names), None if study is None else study._native)
    return Listing(text, json.loads(items)["entries"])


def model_from_config(path: Path_) -> Model:
    """The model that a `config.json` of Hugging Face's transformers describes.

    It goes as `model=` into `simulate` and among the values of a study's axis `model`.

    Raises:
        FileError: the file cannot be read.
        SpecError: it describes no model that is known.
    """
    file = Path(path).resolve()
    text, items = _core.model_file(os.fspath(file))
    return Model(text, json.loads(items)["entries"][0], file)


def merge(shards: Path_ | Iterable[Path_], out: Path_, *, overwrite: bool = False) -> Results:
    """Joins run folders of shards into the run that one machine would have written, byte for byte.

    Raises:
        FileError: a shard cannot be read, or `out` holds a result already.
        UsageError: shards are missing, or belong to different runs.
    """
    folders = [shards] if isinstance(shards, (str, os.PathLike)) else list(shards)
    _core.merge([os.fspath(folder) for folder in folders], os.fspath(out), overwrite)
    return Results.from_file(out)


def _path(run: Run) -> str:
    if isinstance(run, Results):
        return os.fspath(run.path())
    if isinstance(run, (str, os.PathLike)):
        return os.fspath(run)
    raise TypeError(f"a run is given as results or as the path of a run folder, not as {type(run).__name__}")


def _study(run: Run | Study) -> Study:
    if isinstance(run, Study):
        return run
    if isinstance(run, Results):
        return run.study
    return Study._of(_core.run_spec(_path(run)))
