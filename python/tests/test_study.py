"""Studies: from a file or a dict to tables that every library reads."""

import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from datetime import timedelta

import duckdb
import pandas
import polars
import pyarrow
import pyarrow.parquet
import pytest

import clustersweep as cs

SMALL = "sweeps/small.toml"


@pytest.fixture(scope="module")
def results(root):
    return cs.Study.from_file(root / SMALL).run()


@pytest.fixture(scope="module")
def run(sweep, tmp_path_factory):
    """The same study, run by the command line."""
    folder = tmp_path_factory.mktemp("small") / "run"
    code, _, error = sweep("run", SMALL, "--out", folder, "--progress", "never")
    assert code == 0, error
    return folder


def test_the_plan_is_that_of_the_command_line(sweep):
    plan = cs.Study.from_file(SMALL).plan()
    # Two GPUs, three sizes, two batches.
    assert plan.points == plan.grid_points == 12
    text = sweep("plan", SMALL)[1]
    assert str(plan).split("estimated:")[0] == text.split("estimated:")[0]
    assert plan.to_dict()["axes"][0]["axis"] == "gpu"


def test_every_library_reads_the_rows_of_the_command_line(results, run):
    expected = pyarrow.parquet.read_table(run / "points.parquet")
    assert pyarrow.table(results).equals(expected)
    assert pyarrow.table(results).schema.equals(expected.schema, check_metadata=True)
    assert results.to_pyarrow().equals(expected)
    assert polars.DataFrame(results).equals(polars.DataFrame(expected))
    assert results.to_polars().shape == (12, expected.num_columns)
    pandas.testing.assert_frame_equal(pandas.DataFrame.from_arrow(results), results.to_pandas())
    assert results.to_pandas()["step_time_s"].tolist() == expected["step_time_s"].to_pylist()
    assert duckdb.sql("SELECT count(*), sum(step_time_s) FROM results").fetchall() == [
        (12, pytest.approx(sum(expected["step_time_s"].to_pylist()), rel=1e-12))
    ]
    assert list(results.rows()) == expected.to_pylist()
    assert results.column("tight") == expected["tight"].to_pylist()


def test_readers_share_the_memory(results):
    # Two tables of the same rows point to the same values: nothing was copied.
    places = [
        pyarrow.table(results)["step_time_s"].chunk(0).buffers()[1].address for _ in range(2)
    ]
    assert places[0] == places[1]


def test_a_table_outlives_its_results():
    table = pyarrow.table(cs.Study.from_file(SMALL).run(limit=2))
    assert table["point"].to_pylist() == [0, 1]


def test_a_table_without_rows_has_its_columns():
    # 12 points over 20 shards leave nothing to the last one.
    table = cs.Study.from_file(SMALL).run(shard=(20, 20))
    assert len(table) == 0 and "step_time_s" in table.columns
    assert pyarrow.table(table).num_rows == 0


def test_a_run_folder_has_the_bytes_of_the_command_line(run, tmp_path):
    results = cs.Study.from_file(SMALL).run(out=tmp_path / "run", threads=1)
    assert len(results) == 12 and results.folder == tmp_path / "run"
    for name in ("points.parquet", "scaling.parquet", "report.html", "spec.toml"):
        assert (tmp_path / "run" / name).read_bytes() == (run / name).read_bytes(), name
    with pytest.raises(cs.FileError, match="already holds a result"):
        cs.Study.from_file(SMALL).run(out=tmp_path / "run")
    again = cs.Study.from_file(SMALL).run(out=tmp_path / "run", resume=True)
    assert pyarrow.table(again).equals(pyarrow.table(results))
    assert len(cs.Study.from_file(SMALL).run(out=tmp_path / "run", overwrite=True)) == 12


def test_a_table_of_parts_reads_as_one(results, run, tmp_path):
    folder = tmp_path / "parts"
    parts = cs.Study.from_file(SMALL).run(out=folder, no_join=True)
    assert pyarrow.table(parts).equals(pyarrow.table(results))
    # 12 points are one part, and lie in a folder with the table's name.
    assert len(list((folder / "points.parquet").iterdir())) == 1
    of_parts, of_one = (cs.analyze(it).to_dict()["findings"]["series"] for it in (folder, run))
    assert of_parts == of_one
    assert not cs.diff(run, folder).has_regression
    cs.merge([folder], tmp_path / "merged")
    assert (tmp_path / "merged/points.parquet").read_bytes() == (run / "points.parquet").read_bytes()


def test_a_run_is_extended(tmp_path):
    first = cs.Study.from_file(SMALL).run(out=tmp_path / "run")
    seen = []
    longer = cs.Study.from_file(SMALL, set={"gpus": [2, 8]})
    more = longer.run(out=tmp_path / "run", append=True, progress=seen.append)
    rows = list(more.rows())
    # The 12 points that stood, then 8 GPUs of 2 kinds with 2 batches; 2 GPUs were there.
    assert rows[:12] == list(first.rows())
    assert [(row["point"], row["gpus"]) for row in rows[12:]] == [(number, 8) for number in range(12, 16)]
    assert seen[-1].done == seen[-1].total == 4
    assert more.study.grid_points == 16


def test_shards_merge_to_the_bytes_of_one_machine(run, tmp_path):
    study = cs.Study.from_file(SMALL)
    shards = [tmp_path / f"{number}" for number in (1, 2)]
    for number, shard in enumerate(shards, 1):
        assert len(study.run(out=shard, shard=f"{number}/2")) == 6
    merged = cs.merge(shards, tmp_path / "merged")
    assert len(merged) == 12
    assert (tmp_path / "merged/points.parquet").read_bytes() == (run / "points.parquet").read_bytes()
    with pytest.raises(cs.UsageError, match="shard"):
        cs.merge(shards[:1], tmp_path / "half")


def test_memory_saved_is_a_run(results, run, tmp_path):
    folder = results.save(tmp_path / "saved")
    saved, expected = (pyarrow.parquet.read_table(it / "points.parquet") for it in (folder, run))
    assert saved.equals(expected) and saved.schema.metadata == expected.schema.metadata
    assert cs.Study.from_file(folder).to_toml() == results.study.to_toml()
    with pytest.raises(cs.FileError, match="cannot create"):
        results.save(folder)


def test_a_dict_is_a_spec():
    spec = {
        "name": "mine",
        "where": ["gpus <= 16"],
        "grid": {
            "gpu": ["h100-sxm", {"name": "mine", "base": "h100-sxm", "memory": "160 GiB"}],
            "nodes": {"from": 1, "to": 4, "times": 2},
            "model": "llama3-8b",
            "global_batch": range(64, 129, 64),
        },
    }
    study = cs.Study(spec)
    # Two GPUs, one, two and four nodes, two batches; four nodes of eight are more than 16.
    assert (study.name, study.grid_points) == ("mine", 12)
    results = study.run()
    assert len(results) == 8
    assert set(results.column("gpu")) == {"h100-sxm", "mine"}
    changed = cs.Study(spec, set={"nodes": [1], "global_batch": 64}, where="gpu == 'mine'").run()
    assert changed.column("gpus") == [8]
    numpy = pytest.importorskip("numpy")
    spec["grid"]["global_batch"] = numpy.array([64, 128])
    assert cs.Study(spec).grid_points == 12


def test_rows_come_in_groups_while_the_run_goes_on():
    # Groups of 512 points, the last one smaller, in the order of the points.
    study = cs.Study({"grid": {"gpu": "h100-sxm", "gpus": 1, "model": "gpt3-1.3b", "global_batch": range(1, 701)}})
    groups, threads = [], set()

    def take(rows):
        threads.add(threading.get_ident())
        groups.append(pyarrow.table(rows)["point"].to_pylist())

    results = study.run(on_rows=take)
    assert [len(group) for group in groups] == [512, 188]
    assert sum(groups, []) == results.column("point") == list(range(700))
    assert threads == {threading.get_ident()}


def test_an_exception_of_a_callback_ends_the_run():
    def refuse(_):
        raise LookupError("no more")

    with pytest.raises(LookupError, match="no more"):
        cs.Study.from_file(SMALL).run(on_rows=refuse)
    with pytest.raises(LookupError, match="no more"):
        cs.Study.from_file(SMALL).run(progress=refuse)


def test_progress_ends_at_the_last_point():
    seen = []
    cs.Study.from_file(SMALL).run(progress=seen.append)
    assert (seen[-1].done, seen[-1].total, seen[-1].crashed) == (12, 12, 0)
    assert "12/12 points" in str(seen[-1])


LONG = {"grid": {"gpu": "h100-sxm", "nodes": [1, 2, 4, 8], "model": "llama3-8b", "global_batch": range(8, 80_000, 8)}}


def test_ctrl_c_stops_within_two_seconds():
    began = []

    def interrupt():
        began.append(time.monotonic())
        os.kill(os.getpid(), signal.SIGINT)

    timer = threading.Timer(0.7, interrupt)
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        cs.Study(LONG).run()
    assert time.monotonic() - began[0] < 2


def test_points_are_bounded_as_on_the_command_line(sweep, tmp_path):
    # Two points of milliseconds, and between them one whose 10^6 steps take hours.
    slow = cs.Study(
        {
            "grid": {
                "gpu": "h100-sxm", "model": "llama2-7b", "nodes": 1, "global_batch": 512, "tp": 1, "cp": 1, "pp": 4,
                "micro_batch": 1, "variability": 0.1, "iterations": [1, 1_000_000, 2],
            }
        }
    )  # fmt: skip
    for out, timeout in ((None, 1), (tmp_path / "slow", timedelta(seconds=1))):
        results = slow.run(point_timeout=timeout, out=out)
        assert results.column("status") == ["ok", "crashed", "ok"]
        assert results.column("reason_kind") == [None, "timeout", None]
    # Every step has more than one event.
    few = cs.Study.from_file(SMALL).run(max_events=1)
    assert "ok" not in few.column("status") and "limit" in few.column("reason_kind")
    code, _, error = sweep("run", SMALL, "--max-events", "1", "--out", tmp_path / "few", "--progress", "never")
    assert code == 0, error
    saved = pyarrow.parquet.read_schema(few.save(tmp_path / "saved") / "points.parquet")
    assert saved.metadata == pyarrow.parquet.read_schema(tmp_path / "few/points.parquet").metadata


def test_an_interrupted_run_folder_goes_on(tmp_path):
    study = cs.Study(LONG, set={"global_batch": list(range(8, 8_000, 8))})
    timer = threading.Timer(1.0, lambda: os.kill(os.getpid(), signal.SIGINT))
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        study.run(out=tmp_path / "run", threads=1)
    assert not (tmp_path / "run/points.parquet").exists()
    results = study.run(out=tmp_path / "run", resume=True)
    assert results.column("point") == list(range(4 * 999))


def test_the_gil_is_free_meanwhile():
    stop, count = threading.Event(), [0]

    def beat():
        while not stop.wait(0.01):
            count[0] += 1

    thread = threading.Thread(target=beat)
    thread.start()
    began = time.monotonic()
    cs.Study(LONG).run(limit=3_000, threads=1)
    elapsed = time.monotonic() - began
    stop.set()
    thread.join()
    # A hundred beats a second at best; with the GIL held it would be next to none.
    assert count[0] > 10 * elapsed, (count[0], elapsed)


def test_several_threads_may_run_studies():
    found = []
    threads = [
        threading.Thread(target=lambda: found.append(cs.Study.from_file(SMALL).run(threads=1).column("step_time_s")))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4 and all(it == found[0] for it in found)


def test_a_terminal_shows_progress_and_a_pipe_does_not():
    code = f"import clustersweep as cs; cs.Study.from_file({SMALL!r}).run()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    script = subprocess.run(
        ["script", "-qec", f'{sys.executable} -c "{code}"', "/dev/null"], capture_output=True, text=True
    )
    assert "12/12 points" in script.stdout, script


def test_a_study_goes_to_another_process():
    own = {"name": "own", "base": "h100-sxm", "memory": "160 GiB"}
    study = cs.Study({"grid": {"gpu": own, "nodes": [1, 2, 4], "model": "llama3-8b", "global_batch": 64}}, where="nodes < 4")
    copy = pickle.loads(pickle.dumps(study))
    assert copy.to_toml() == study.to_toml()
    assert copy.run().column("step_time_s") == study.run().column("step_time_s")


def test_a_panic_is_an_exception():
    with pytest.raises(cs.SimulatorFault, match="please report it: on purpose"):
        cs._core._panic("on purpose")


@pytest.mark.parametrize(
    ("method", "missing", "needs"),
    [
        ("to_pyarrow", "pyarrow", "pip install pyarrow"),
        ("to_pandas", "pandas", "pip install pandas pyarrow"),
        ("to_pandas", "pyarrow", "pip install pandas pyarrow"),
        ("to_polars", "polars", "pip install polars"),
    ],
)
def test_what_a_method_needs_is_said_where_it_is_not_installed(results, monkeypatch, method, missing, needs):
    class Absent:
        def find_spec(self, name, path=None, target=None):
            if name == missing:
                raise ModuleNotFoundError(f"No module named '{name}'", name=name)

    monkeypatch.delitem(sys.modules, missing)
    monkeypatch.setattr(sys, "meta_path", [Absent(), *sys.meta_path])
    with pytest.raises(ModuleNotFoundError, match=needs):
        getattr(results, method)()


def test_tables_show_themselves(results):
    page = results._repr_html_()
    assert "<th>step_time_s</th>" in page or "<th>gpu</th>" in page
    assert "12 rows of" in page
    assert "12 rows of" in repr(results)


def test_best_points(results):
    rows = [row for row in results.rows() if row["status"] == "ok"]
    fastest = min(rows, key=lambda row: row["step_time_s"])
    assert results.best().point == fastest["point"]
    cheapest = min(rows, key=lambda row: row["cost_per_mtoken_usd"])
    assert results.best("cost").cost_per_mtoken_usd == cheapest["cost_per_mtoken_usd"]
    busiest = max((row for row in rows if row["gpus"] == 4), key=lambda row: row["mfu"])
    assert results.best("mfu", where={"gpus": 4}).point == busiest["point"]
    best = results.best("mfu", where=lambda row: row["gpu"] == "h100-sxm" and row["gpus"] > 1)
    assert best["gpu"] == "h100-sxm" and best.gpus > 1
    with pytest.raises(cs.UsageError, match="no point that ran"):
        results.best("time", where={"gpus": 3})
    with pytest.raises(KeyError, match="no column `speed`"):
        results.best("speed")
    with pytest.raises(TypeError, match="where"):
        results.best(where="gpus > 1")
    with pytest.raises(cs.UsageError, match="a column of text"):
        results.best("gpu")


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda study: study.run(shard="3/2"), cs.UsageError, "K from 1 to N"),
        (lambda study: study.run(shard=(0, 2)), cs.UsageError, "K from 1 to N"),
        (lambda study: study.run(resume=True), cs.UsageError, "name it with `out`"),
        (lambda study: study.run(no_join=True), cs.UsageError, "name it with `out`"),
        (lambda study: study.run(out="x", resume=True, overwrite=True), cs.UsageError, "one of them"),
        (lambda study: study.run(out="x", append=True, overwrite=True), cs.UsageError, "one of them"),
        (lambda study: study.run(out="x", append=True, shard="1/2"), cs.UsageError, "leave `shard`"),
        (lambda study: study.run(out="none/x", append=True), cs.FileError, "none/x"),
        (lambda study: study.run(out="x", on_rows=print), cs.UsageError, "on_rows"),
        (lambda study: study.run(shard=3), TypeError, "`shard` is"),
        (lambda study: study.run(shard=(1, 2, 3)), TypeError, "`shard` is"),
        (lambda study: study.run(out="s3://bucket/run"), cs.FileError, "a folder of this machine"),
        (lambda study: study.run(on_rows=3), TypeError, "`on_rows` takes a function"),
        (lambda study: study.run(limit=-1), cs.UsageError, "`limit` is -1"),
        (lambda study: study.run(threads="two"), TypeError, "`threads` is a whole number"),
        (lambda study: study.run(threads=0), cs.UsageError, "`threads` is 0"),
        (lambda study: study.plan(threads=-1), cs.UsageError, "`threads` is -1"),
        (lambda study: study.run(point_timeout="soon"), TypeError, "`point_timeout` takes seconds"),
        (lambda study: study.run(point_timeout=0), cs.UsageError, "seconds over zero"),
        (lambda study: study.run(point_timeout=float("nan")), cs.UsageError, "seconds over zero"),
        (lambda study: study.run(max_events=-1), cs.UsageError, "`max_events` is -1"),
        (lambda study: study.point(12), cs.UsageError, "points 0 to 11"),
        (lambda study: study.point(-1), cs.UsageError, "numbered from 0"),
        (lambda study: study.point(1.5), TypeError, "by its number"),
        (lambda study: study.run(out="/proc/none/run"), cs.FileError, "/proc/none"),
        (lambda study: cs.Study([]), TypeError, "from_file"),
        (lambda study: cs.Study.from_file("none.toml"), cs.FileError, "none.toml"),
        (lambda study: cs.Study.from_file("docs"), cs.FileError, "holds no spec.toml"),
        (lambda study: cs.trace(study, 0, "/proc/none/trace.json"), cs.FileError, "/proc/none"),
        (lambda study: cs.Study({"grid": {"nodes": {1, 2}}}), TypeError, "grid.nodes"),
        (lambda study: cs.Study({"grid": {1: 2}}), TypeError, "keys of a spec"),
        (lambda study: cs.Study.from_file(SMALL, where=3), TypeError, "where|iterable"),
    ],
)
def test_bad_input_is_an_exception_with_the_way_out(call, error, text):
    with pytest.raises(error, match=text):
        call(cs.Study.from_file(SMALL))


# The measured run is the point: 1.5 times its predicted time is what the row takes, and the predicted time stays beside it.
def test_measured_runs_pass_through_a_study():
    job = {
        "gpu": "h100-sxm", "gpus": 8, "model": "gpt3-1.3b", "global_batch": 64, "tp": 1, "pp": 1, "micro_batch": 1,
        "zero": 1, "sequence_parallel": False, "recompute": "none",
    }  # fmt: skip
    predicted = cs.Study({"grid": job}).run().column("step_time_s")[0]
    corrected = cs.Study({"grid": job, "measured": {**job, "step_time_s": 1.5 * predicted}}).run()
    assert corrected.column("step_time_s")[0] == pytest.approx(1.5 * predicted, rel=1e-9)
    assert corrected.column("step_time_uncorrected_s") == [predicted]
    with pytest.raises(cs.SpecError, match="more than 3"):
        cs.Study({"grid": job, "measured": {**job, "step_time_s": 9.0 * predicted}})
