"""Samplers search a study's axes."""

import itertools
import math
import sys

import optuna
import pytest

import clustersweep as cs

GRID = {
    "gpu": ["a100-80gb-sxm", "h100-sxm"],
    "gpus": [8, 16, 32],
    "model": "llama3-8b",
    "global_batch": 64,
    "tp": ["auto", 1, 2, 4, 8],
}


@pytest.fixture(scope="module")
def study():
    return cs.Study({"grid": GRID})


class Fixed:
    """A trial that has these values."""

    def __init__(self, values):
        self.values = values

    def suggest_categorical(self, name, choices):
        assert self.values[name] in choices
        return self.values[name]


def test_an_objective_is_the_rows_of_the_study(study):
    objective = study.objective("time")
    assert objective.axes == {key: GRID[key] for key in ("gpu", "gpus", "tp")}
    rows = study.run().rows()
    for row, (gpu, gpus, tp) in zip(rows, itertools.product(*objective.axes.values()), strict=True):
        trial = Fixed({"gpu": gpu, "gpus": gpus, "tp": tp})
        if row["status"] == "ok":
            assert objective(trial) == row["step_time_s"]
        else:
            with pytest.raises(optuna.TrialPruned):
                objective(trial)


def test_optuna_finds_the_best_point(study):
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    objective = study.objective("rate")
    assert objective.direction == "maximize"
    search = optuna.create_study(
        direction=objective.direction, sampler=optuna.samplers.BruteForceSampler(seed=0)
    )
    search.optimize(objective)
    # All 2 x 3 x 5 points were tried.
    assert len(search.trials) == 30
    assert search.best_value == study.run().best("rate").samples_per_s
    assert objective.step(**search.best_params).samples_per_s == search.best_value


def test_without_optuna_what_cannot_run_is_infinitely_bad(monkeypatch):
    monkeypatch.delitem(sys.modules, "optuna")
    study = cs.Study({"grid": {"gpu": "h100-sxm", "gpus": [1, 8], "model": "llama3-70b", "global_batch": 8}})
    assert study.objective("time")(Fixed({"gpus": 1})) == math.inf
    assert study.objective("rate")(Fixed({"gpus": 1})) == -math.inf


def test_what_where_drops_is_pruned():
    study = cs.Study({"grid": GRID, "where": ["gpus > 8"]})
    with pytest.raises(optuna.TrialPruned, match="where"):
        study.objective()(Fixed({"gpu": "h100-sxm", "gpus": 8, "tp": 1}))


def test_bad_input_is_an_exception_with_the_way_out(study):
    with pytest.raises(KeyError, match="no column `speed`"):
        study.objective("speed")
    with pytest.raises(cs.UsageError, match="nothing to search"):
        cs.Study({"grid": {**GRID, "gpu": "h100-sxm", "gpus": 8, "tp": 1}}).objective()
    zipped = cs.Study(
        {
            "grid": {"gpu": "h100-sxm", "gpus": 8, "model": "llama3-8b", "global_batch": 64},
            "zip": [{"seq_len": [4096, 8192], "micro_batch": [2, 1]}],
        }
    )
    with pytest.raises(cs.SpecError, match="zip"):
        zipped.objective()(Fixed({"seq_len": 4096, "micro_batch": 2}))
