"""On which cluster, how large and laid out how should a model be trained, and where does it stop scaling?

>>> import clustersweep as cs
>>> step = cs.simulate(gpu="h100-sxm", nodes=2, model="llama3-8b", global_batch=64)
>>> step.status
'ok'

`simulate` plays one step, a `Study` sweeps axes; `analyze`, `explain`, `trace`, `diff` and `validate` are the
commands of the same names. `catalog` lists what a spec can name, `ray.run` takes a study to a cluster.
"""

from __future__ import annotations

from . import ray
from ._core import __version__
from .errors import ClusterError, Error, FileError, SimulatorFault, SpecError, UsageError
from .extend import schedule
from .functions import (
    analyze,
    answer,
    catalog,
    diff,
    explain,
    merge,
    model_from_config,
    simulate,
    trace,
    validate,
)
from .objective import Objective
from .progress import Progress
from .reports import (
    Analysis,
    Answer,
    Catalog,
    Diff,
    Explanation,
    Listing,
    Model,
    Plan,
    Report,
    StepReport,
    Validation,
)
from .study import Results, Study
from .tables import Table

__all__ = [
    "Analysis",
    "Answer",
    "Catalog",
    "ClusterError",
    "Diff",
    "Error",
    "Explanation",
    "FileError",
    "Listing",
    "Model",
    "Objective",
    "Plan",
    "Progress",
    "Report",
    "Results",
    "SimulatorFault",
    "SpecError",
    "StepReport",
    "Study",
    "Table",
    "UsageError",
    "Validation",
    "__version__",
    "analyze",
    "answer",
    "catalog",
    "diff",
    "explain",
    "merge",
    "model_from_config",
    "ray",
    "schedule",
    "simulate",
    "trace",
    "validate",
]
