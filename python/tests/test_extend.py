"""What a user adds without Rust: hardware, networks, recipes, patterns, metrics."""

import math

import pyarrow
import pytest

import clustersweep as cs


def ring(ranks):
    """Rounds of the ring's all-reduce: n - 1 that sum, n - 1 that hand out."""
    for step in range(ranks - 1):
        yield [(rank, (rank + 1) % ranks, (rank - step) % ranks, "add") for rank in range(ranks)]
    for step in range(ranks - 1):
        yield [(rank, (rank + 1) % ranks, (rank + 1 - step) % ranks) for rank in range(ranks)]


NETWORK = {"op": "all-reduce", "size": "64 MiB", "gpu": "h100-sxm", "gpus_per_node": 1, "nodes": 4, "protocol": "ideal"}


def test_a_pattern_is_a_generator_of_rounds():
    ours = cs.simulate(**NETWORK, collective=cs.schedule("all-reduce", 4, ring(4)))
    assert ours.status == "ok", ours.reason
    # It is the ring: 2 (n - 1) / n of the buffer over each link, in the same rounds.
    theirs = cs.simulate(**NETWORK, collective="ring")
    assert ours.time_s == pytest.approx(theirs.time_s, rel=0.05)


def test_patterns_stand_beside_built_in_ones():
    study = cs.Study(
        {
            "kind": "collective",
            "grid": {**NETWORK, "collective": ["ring", cs.schedule("all-reduce", 4, ring(4), name="mine")]},
        }
    )
    assert study.run().column("collective") == ["ring", "mine"]


def test_a_pattern_that_loses_something_is_refused_with_its_round():
    def short(ranks):
        yield from list(ring(ranks))[:-1]

    with pytest.raises(cs.SpecError, match="rank"):
        cs.simulate(**NETWORK, collective=cs.schedule("all-reduce", 4, short(4)))
    with pytest.raises(cs.UsageError, match="round 1 has the transfer"):
        cs.schedule("all-reduce", 2, [[(0, 1, 0)], [(1, 0)]])
    with pytest.raises(cs.UsageError, match="round 0 has the transfer"):
        cs.schedule("all-reduce", 2, [[(0, 1, 0, "sum")]])


def test_a_network_is_a_dict():
    thin = {
        "name": "thin",
        "devices": ["a", "b"],
        "links": [{"from": "a", "to": "b", "bandwidth": "10 Gbit/s", "latency": "1 us"}],
    }
    two = {**NETWORK, "nodes": 2}
    slow, fast = cs.simulate(**two, topology=thin), cs.simulate(**two, topology="switch")
    # Each rank sends 64 MiB, n being two; 10 Gbit/s carry that in 53.7 ms.
    assert slow.time_s == pytest.approx(64 * 2**20 * 8 / 10e9, rel=0.1)
    assert fast.time_s < slow.time_s / 5


def test_a_cluster_is_a_dict():
    step = {"gpu": "h100-sxm", "nodes": 4, "model": "llama3-8b", "global_batch": 64, "zero": 3, "tp": 1, "pp": 1}
    thin = cs.simulate(**step, cluster={"base": "dgx-h100", "nic_bandwidth": "25 Gbit/s"})
    assert thin.status == "ok", thin.reason
    assert thin.step_time_s > cs.simulate(**step).step_time_s


@pytest.fixture(scope="module")
def results(root):
    return cs.Study.from_file(root / "sweeps/small.toml").run()


def test_a_metric_is_a_function_of_rows(results):
    def per_usd(rows):
        return [t / (c * 1e6) for t, c in zip(rows.column("tokens_per_s"), rows.column("cost_per_mtoken_usd"))]

    wider = results.with_column("tokens_per_s_per_usd", per_usd, unit="1/s/USD", meaning="Speed for money.")
    assert wider.columns == [*results.columns, "tokens_per_s_per_usd"]
    field = pyarrow.table(wider).schema.field("tokens_per_s_per_usd")
    assert field.metadata == {b"unit": b"1/s/USD", b"doc": b"Speed for money."}
    values = wider.column("tokens_per_s_per_usd")
    assert wider.best("tokens_per_s_per_usd", largest=True).point == values.index(max(values))
    # Commands see the simulated columns alone.
    assert str(wider.analyze()) == str(results.analyze())
    again = results.with_column("per_hour", lambda rows: 3600 / rows.to_pandas()["step_time_s"])
    assert again.column("per_hour") == [3600 / value for value in results.column("step_time_s")]
    nothing = results.with_column("nothing", lambda rows: [math.nan] * len(rows))
    assert nothing.column("nothing") == [None] * 12


def test_a_metric_sees_groups_of_rows():
    study = cs.Study({"grid": {"gpu": "h100-sxm", "gpus": 1, "model": "gpt3-1.3b", "global_batch": range(1, 701)}})
    seen = []
    study.run().with_column("count", lambda rows: seen.append(len(rows)) or [0] * len(rows))
    assert seen == [512, 188]


@pytest.mark.parametrize(
    ("name", "function", "text"),
    [
        ("mfu", lambda rows: rows.column("mfu"), "already"),
        ("mine", lambda rows: [1.0], "1 values for 12 rows"),
        ("mine", lambda rows: 3, "returned 3"),
        ("mine", lambda rows: ["a"] * len(rows), "no number"),
    ],
)
def test_what_is_no_metric_is_refused(results, name, function, text):
    with pytest.raises(cs.UsageError, match=text):
        results.with_column(name, function)
