"""Studies on a local Ray of two workers."""

import os
import re
import shutil
import signal
import threading
import time

import object_store
import psutil
import pyarrow
import pyarrow.fs
import pytest

import clustersweep as cs

# Nothing leaves this machine, nor is a token written to the home of whoever runs the tests.
os.environ.update(RAY_USAGE_STATS_ENABLED="0", RAY_AUTH_MODE="disabled")
ray = pytest.importorskip("ray", reason="Ray has no wheel for this Python")

SMALL = "sweeps/small.toml"
# Work enough that a worker can be killed in the middle of it.
LONG = {
    "name": "long",
    "grid": {"gpu": "h100-sxm", "nodes": [1, 2, 4, 8], "model": "llama3-8b", "global_batch": range(8, 1_608, 8)},
}


@pytest.fixture(scope="module", autouse=True)
def two_workers():
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, object_store_memory=100_000_000)
    yield
    ray.shutdown()


def same_bytes(run, other):
    for name in ("points.parquet", "scaling.parquet", "report.html", "spec.toml"):
        assert (run / name).read_bytes() == (other / name).read_bytes(), name


def kill_a_worker_that_plays(shards, killed):
    """Kills the first worker seen to play a shard, and keeps the name of the shard."""
    end = time.monotonic() + 60
    while time.monotonic() < end and not killed:
        for process in psutil.process_iter(["cmdline"]):
            title = " ".join(process.info["cmdline"] or [])
            if title.startswith("ray::sweep shard "):
                number, of = title.split()[2].split("/")
                os.kill(process.pid, signal.SIGKILL)
                # Killed before it could say that it had finished.
                killed.append((shards / f"{number}-of-{of}" / "manifest.json").exists())
                break
        time.sleep(0.01)


def test_a_worker_killed_in_the_middle_changes_no_byte(tmp_path):
    study = cs.Study(LONG)
    killed, seen = [], []
    killer = threading.Thread(target=kill_a_worker_that_plays, args=(tmp_path / "run.shards", killed))
    killer.start()
    results = cs.ray.run(study, out=tmp_path / "run", num_shards=3, progress=seen.append)
    killer.join()
    assert killed == [False]
    study.run(out=tmp_path / "alone", progress=False)
    same_bytes(tmp_path / "run", tmp_path / "alone")
    # Four sizes, 200 batches; each point counts once, though one shard began twice.
    assert len(results) == seen[-1].done == 4 * 200
    assert results.folder == tmp_path / "run"


def test_a_shard_lost_too_often_is_an_exception_and_the_rest_goes_on(tmp_path):
    study, killed = cs.Study(LONG), []
    killer = threading.Thread(target=kill_a_worker_that_plays, args=(tmp_path / "run.shards", killed))
    killer.start()
    with pytest.raises(cs.ClusterError, match="lost too often.*resume=True"):
        cs.ray.run(study, out=tmp_path / "run", num_shards=1, max_retries=0)
    killer.join()
    assert not (tmp_path / "run").exists()
    with pytest.raises(cs.FileError, match="earlier run.*resume=True"):
        cs.ray.run(study, out=tmp_path / "run", num_shards=1)
    assert len(cs.ray.run(study, out=tmp_path / "run", num_shards=1, resume=True)) == 4 * 200


def test_what_is_finished_is_not_played_again(tmp_path):
    study = cs.Study.from_file(SMALL)
    out = tmp_path / "run"
    cs.ray.run(study, out=out, num_shards=2)
    shards = tmp_path / "run.shards"
    (shards / "2-of-2/manifest.json").unlink()
    kept = (shards / "1-of-2/manifest.json").stat().st_mtime_ns
    assert len(cs.ray.run(study, out=out, num_shards=2, resume=True)) == 12
    assert (shards / "1-of-2/manifest.json").stat().st_mtime_ns == kept
    assert (shards / "2-of-2/manifest.json").exists()
    # From the start: both are new.
    cs.ray.run(study, out=out, num_shards=2, overwrite=True)
    assert (shards / "1-of-2/manifest.json").stat().st_mtime_ns > kept
    with pytest.raises(cs.UsageError, match="of another study"):
        cs.ray.run(cs.Study(LONG), out=out, num_shards=2, resume=True)


def test_a_filesystem_of_ones_own_takes_the_run(tmp_path):
    # Not a local one to the package, so that it is read and written as an object store is.
    store = pyarrow.fs.SubTreeFileSystem(os.fspath(tmp_path), pyarrow.fs.LocalFileSystem())
    study = cs.Study.from_file(SMALL)
    # More shards than points: the last ones are empty.
    results = cs.ray.run(study, out="bucket/run", num_shards=14, filesystem=store)
    assert results.folder is None
    alone = study.run(out=tmp_path / "alone")
    assert pyarrow.table(results).equals(pyarrow.table(alone))
    same_bytes(tmp_path / "bucket/run", tmp_path / "alone")


def test_an_object_store_takes_the_run(tmp_path):
    study = cs.Study.from_file(SMALL)
    study.run(out=tmp_path / "alone")
    with object_store.serve() as (objects, words):
        url = f"s3://mine:secret@bucket/run?{words}"
        assert len(cs.ray.run(study, out=url, num_shards=2)) == 12
        for name in ("points.parquet", "scaling.parquet", "report.html", "spec.toml"):
            assert objects[f"bucket/run/{name}"] == (tmp_path / "alone" / name).read_bytes(), name
        with pytest.raises(cs.FileError, match="`bucket/run/points.parquet` is of an earlier run"):
            cs.ray.run(study, out=url, num_shards=2)
        del objects["bucket/run.shards/2-of-2/manifest.json"]
        assert len(cs.ray.run(study, out=url, num_shards=2, resume=True)) == 12
        # Three shards in place of the two, of which nothing stays.
        assert len(cs.ray.run(study, out=url, num_shards=3, overwrite=True)) == 12
        assert not [name for name in objects if "-of-2" in name]


def test_no_permission_says_where_and_what_to_check():
    study = cs.Study.from_file(SMALL)
    with object_store.serve(allowed=False) as (_, words):
        with pytest.raises(cs.FileError, match="to `bucket/run.shards`.*ACCESS_DENIED.*credentials") as caught:
            cs.ray.run(study, out=f"s3://mine:secret@bucket/run?{words}", num_shards=2)
    assert "secret" not in str(caught.value)
    with pytest.raises(cs.FileError, match="cannot write to `/proc/none/run.shards`"):
        cs.ray.run(study, out="/proc/none/run", num_shards=2)


def test_what_only_workers_may_not_write_is_said_of_the_shard(tmp_path):
    (tmp_path / "run.shards").mkdir()
    # A file lies where the folder of the shard would.
    (tmp_path / "run.shards/1-of-1").write_text("")
    with pytest.raises(cs.FileError, match="run.shards/1-of-1` from .*each node may write"):
        cs.ray.run(cs.Study.from_file(SMALL), out=tmp_path / "run", num_shards=1)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"num_shards": 0}, "whole number from 1 on"),
        ({"num_shards": 2.5}, "whole number from 1 on"),
        ({"num_shards": 2, "out": "ftp://host/run"}, "no URL that pyarrow knows"),
        ({"num_shards": 2, "resume": True, "overwrite": True}, "one of them"),
    ],
)
def test_wrong_arguments_write_nothing(tmp_path, arguments, text):
    with pytest.raises(cs.UsageError, match=text):
        cs.ray.run(cs.Study.from_file(SMALL), **{"out": tmp_path / "run", **arguments})
    assert not list(tmp_path.iterdir())


def test_the_lines_of_the_guide_run(root, tmp_path, monkeypatch):
    (block,) = re.findall(r"^```python\n(.*?)^```$", (root / "docs/clusters.md").read_text(), re.MULTILINE | re.DOTALL)
    shutil.copytree(root / "sweeps", tmp_path / "sweeps")
    monkeypatch.chdir(tmp_path)
    # The cluster of the tests is connected already.
    names = {}
    exec(re.sub(r"^ray\.init\(\).*$", "", block, flags=re.MULTILINE), names)
    assert len(names["results"]) == 12 and (tmp_path / "results/small/report.html").exists()


def test_a_cluster_closed_meanwhile_is_said_and_the_rest_goes_on(tmp_path):
    study = cs.Study.from_file(SMALL)
    with pytest.raises(cs.ClusterError, match="closed while . shards were left.*resume=True"):
        cs.ray.run(study, out=tmp_path / "run", num_shards=4, progress=lambda _: ray.shutdown())
    with pytest.raises(cs.ClusterError, match=r"no Ray cluster is connected; call `ray.init\(\)`"):
        cs.ray.run(study, out=tmp_path / "run", num_shards=4, resume=True)
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, object_store_memory=100_000_000)
    assert len(cs.ray.run(study, out=tmp_path / "run", num_shards=4, resume=True)) == 12
