#!/usr/bin/env python3
"""The questions that people ask most of a training study, in pandas. Copy what you need.

usage: scripts/analyze.py [RUN]     (a run folder; results/llm by default, which `sweep run sweeps/llm.toml` writes)

scripts/analyze.sql asks the same in SQL.
"""

import sys
from pathlib import Path

import pandas as pd

TIME_PARTS = [
    "compute_s", "recompute_s", "tp_comm_exposed_s", "cp_comm_exposed_s", "ep_comm_exposed_s",
    "pp_comm_exposed_s", "dp_comm_exposed_s", "bubble_s", "optimizer_s", "overhead_s",
]  # fmt: skip
SHOWN = ["model", "gpu", "gpus", "used_global_batch", "samples_per_s", "mfu", "cost_per_mtoken_usd", "bottleneck"]


def ran(points):
    """Rows of points that ran; the rest has a reason and no numbers."""
    return points[points.status == "ok"]


def fastest(points):
    """Which point of each model is fastest?

    By samples per second: step times of different batches cannot be compared.
    """
    rows = ran(points)
    return rows.loc[rows.groupby("model", observed=True).samples_per_s.idxmax(), SHOWN]


def cheapest(points):
    """Which point of each model costs least per million tokens?"""
    rows = ran(points).dropna(subset="cost_per_mtoken_usd")
    return rows.loc[rows.groupby("model", observed=True).cost_per_mtoken_usd.idxmin(), SHOWN]


def gpus_compared(points):
    """How do the GPUs compare, each at its best, at the same number of them?"""
    rows = ran(points)
    return rows.pivot_table(
        index=["model", "gpus"], columns="gpu", values="samples_per_s", aggfunc="max", observed=True
    )


def breakdowns(scaling):
    """Where does scaling break down, how sure is that, and why?

    One row per series that breaks: efficiency stays below the threshold from `breakdown_gpus` on.
    """
    broken = scaling[(scaling.layouts == "re-optimised") & scaling.breakdown_gpus.notna()]
    shown = ["series", "model", "gpu", "breakdown_gpus", "breakdown_status", "breakdown_cause"]
    return broken[shown].drop_duplicates("series").sort_values("breakdown_gpus")


def time_shares(points):
    """Where does the time go as jobs grow? Shares of the step by number of GPUs, in percent."""
    rows = ran(points)
    shares = rows[TIME_PARTS].div(rows.step_time_s, axis=0) * 100
    return shares.groupby(rows.gpus).mean().round(1)


def bottlenecks(points):
    """What costs most time, and how often, by GPU?"""
    rows = ran(points)
    return pd.crosstab(rows.gpu, rows.bottleneck)


def refused(points):
    """Why can jobs not run?"""
    rows = points[points.status != "ok"]
    return rows.groupby(["model", "gpu", "reason_kind"], observed=True).size().rename("points").reset_index()


def pareto(points):
    """Which points are neither slower nor dearer than another one of the same model?"""
    rows = ran(points).dropna(subset="cost_per_mtoken_usd")
    rows = rows.sort_values(["model", "samples_per_s", "cost_per_mtoken_usd"], ascending=[True, False, True])
    least = rows.groupby("model", observed=True).cost_per_mtoken_usd.cummin()
    before = least.groupby(rows.model, observed=True).shift()
    return rows.loc[before.isna() | (rows.cost_per_mtoken_usd < before), SHOWN]


def main():
    run = Path(sys.argv[1] if len(sys.argv) > 1 else "results/llm")
    points = pd.read_parquet(run / "points.parquet")
    scaling = pd.read_parquet(run / "scaling.parquet")
    pd.set_option("display.width", 160, "display.max_columns", 20, "display.max_rows", 40)
    for question, table in [
        (fastest, points), (cheapest, points), (gpus_compared, points), (breakdowns, scaling),
        (time_shares, points), (bottlenecks, points), (refused, points), (pareto, points),
    ]:  # fmt: skip
        found = question(table)
        print(f"\n{question.__doc__.splitlines()[0]}")
        print(found.to_string(index=found.index.name is not None or found.index.nlevels > 1, max_rows=40))


if __name__ == "__main__":
    main()
