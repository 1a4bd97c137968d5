"""scripts/analyze.py and scripts/analyze.sql ask the same and get the same answers."""

import importlib.util
import math
import subprocess
import sys

import duckdb
import pandas
import pytest

import clustersweep as cs


@pytest.fixture(scope="module")
def run(root, tmp_path_factory):
    """A study in which some jobs cannot run, and one series breaks down."""
    folder = tmp_path_factory.mktemp("scripts") / "run"
    spec = {
        "grid": {
            "model": ["gpt3-1.3b", "llama2-7b"],
            "gpu": ["a100-80gb-sxm", "h100-sxm"],
            "gpus": [1, 8, 32, 128, 256],
            "global_batch": 256,
            "nic_gbit_per_s": 25,
        }
    }
    cs.Study(spec).run(out=folder)
    return folder


@pytest.fixture(scope="module")
def in_pandas(root, run):
    """The tables of scripts/analyze.py by question."""
    spec = importlib.util.spec_from_file_location("analyze", root / "scripts/analyze.py")
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    points, scaling = (pandas.read_parquet(run / f"{name}.parquet") for name in ("points", "scaling"))
    names = "fastest cheapest gpus_compared breakdowns time_shares bottlenecks refused pareto".split()
    return {name: getattr(script, name)(scaling if name == "breakdowns" else points) for name in names}


@pytest.fixture(scope="module")
def in_sql(root, run, in_pandas):
    """The tables of scripts/analyze.sql by question: those of its statements that give one."""
    base = duckdb.connect()
    base.execute(f"SET VARIABLE run = '{run}'")
    found = []
    for statement in base.extract_statements((root / "scripts/analyze.sql").read_text()):
        table = base.execute(statement)
        if not any(word in statement.query for word in ("SET VARIABLE", "TEMP VIEW")):
            found.append(table.df())
    return dict(zip(in_pandas, found, strict=True))


@pytest.mark.parametrize("question", "fastest cheapest gpus_compared breakdowns time_shares bottlenecks refused pareto".split())
def test_both_get_the_same_answer(question, in_pandas, in_sql):
    ours, theirs = in_pandas[question], in_sql[question]
    if ours.index.names != [None]:
        ours = ours.reset_index()
    assert len(ours) == len(theirs) > 0

    def rows(frame, columns):
        cells = ([cell(value) for value in row] for row in frame[columns].astype(object).values.tolist())
        return sorted(cells, key=str)

    def cell(value):
        # DuckDB's average adds in another order.
        return "" if value is None or value != value else round(value, 3) if isinstance(value, float) else value

    if question == "time_shares":
        columns = list(ours.columns)
        theirs.columns = columns
        for one, other in zip(rows(ours, columns), rows(theirs, columns), strict=True):
            assert all(math.isclose(a, b, abs_tol=0.11) for a, b in zip(one, other, strict=True))
        return
    columns = sorted(map(str, ours.columns))
    assert columns == sorted(map(str, theirs.columns))
    assert rows(ours.rename(columns=str), columns) == rows(theirs, columns)


def test_the_answers_are_right(in_pandas, run):
    points = pandas.read_parquet(run / "points.parquet")
    ran = points[points.status == "ok"]
    assert len(in_pandas["fastest"]) == 2
    for _, row in in_pandas["fastest"].iterrows():
        assert row.samples_per_s == ran[ran.model == row.model].samples_per_s.max()
    # The parts of a step sum to it: shares to 100, but for the rounding of ten of them.
    assert in_pandas["time_shares"].sum(axis=1).between(99.4, 100.6).all()
    assert in_pandas["bottlenecks"].to_numpy().sum() == len(ran)
    assert in_pandas["refused"].points.sum() == len(points) - len(ran) > 0
    front = in_pandas["pareto"]
    for _, row in front.iterrows():
        other = ran[(ran.model == row.model) & (ran.samples_per_s > row.samples_per_s)]
        assert not (other.cost_per_mtoken_usd <= row.cost_per_mtoken_usd).any()


def test_the_script_runs_as_it_is(root, run):
    done = subprocess.run(
        [sys.executable, "scripts/analyze.py", run], capture_output=True, text=True, cwd=root
    )
    assert done.returncode == 0, done.stderr
    assert "Which point of each model is fastest?" in done.stdout
