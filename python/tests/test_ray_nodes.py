"""Studies on a local Ray of several nodes, of which one has a file system of its own."""

import shlex
import subprocess
import sys
import threading
import time
from pathlib import Path

import object_store
import psutil
import pytest
from test_ray import LONG, SMALL, same_bytes

import clustersweep as cs

ray = pytest.importorskip("ray", reason="Ray has no wheel for this Python")


def mounts_of_its_own():
    """A command that runs another with mounts of its own; `None` where the system lets nobody do that."""
    for command in (["unshare", "--mount"], ["unshare", "--map-root-user", "--mount"]):
        try:
            if subprocess.run([*command, "mount", "-t", "tmpfs", "none", "/mnt"], capture_output=True).returncode == 0:
                return command
        except FileNotFoundError:
            pass
    return None


def await_nodes(number):
    end = time.monotonic() + 60
    while sum(node["Alive"] for node in ray.nodes()) != number:
        assert time.monotonic() < end, ray.nodes()
        time.sleep(0.1)


@pytest.fixture(scope="module")
def cluster():
    """A head without cores, which every node can reach; those who need them add nodes."""
    from ray.cluster_utils import Cluster

    ray.shutdown()
    head = {"num_cpus": 0, "include_dashboard": False, "object_store_memory": 80_000_000}
    cluster = Cluster(initialize_head=True, head_node_args=head)
    ray.init(address=cluster.address, log_to_driver=False)
    yield cluster
    ray.shutdown()
    cluster.shutdown()


def test_a_node_lost_in_the_middle_changes_no_byte(cluster, tmp_path):
    options = {"num_cpus": 1, "object_store_memory": 80_000_000}
    stays, goes = cluster.add_node(**options), cluster.add_node(**options)
    study, lost = cs.Study(LONG), []

    def lose():
        end = time.monotonic() + 60
        raylet = goes.all_processes["raylet"][0].process.pid
        while time.monotonic() < end and not lost:
            workers = psutil.Process(raylet).children(recursive=True)
            if any("sweep shard" in " ".join(worker.cmdline()) for worker in workers):
                lost.append(len(list((tmp_path / "run.shards").glob("*/manifest.json"))))
                cluster.remove_node(goes, allow_graceful=False)
            time.sleep(0.01)

    loser = threading.Thread(target=lose)
    loser.start()
    results = cs.ray.run(study, out=tmp_path / "run", num_shards=4)
    loser.join()
    # Two nodes had a shard each when one was lost, so that not all four can have been finished.
    assert lost and lost[0] < 3 and len(results) == 4 * 200
    study.run(out=tmp_path / "alone", progress=False)
    same_bytes(tmp_path / "run", tmp_path / "alone")
    cluster.remove_node(stays)
    await_nodes(1)


@pytest.fixture(scope="module")
def island(cluster, tmp_path_factory):
    """A folder in place of which the only node with cores has an empty file system of its own."""
    unshared = mounts_of_its_own()
    if unshared is None:
        pytest.skip("this system lets nobody mount")
    folder = tmp_path_factory.mktemp("island")
    ray_command = shlex.quote(str(Path(sys.executable).parent / "ray"))
    start = (
        f"mount -t tmpfs none {shlex.quote(str(folder))} && exec {ray_command} start --address={cluster.address}"
        " --num-cpus=1 --object-store-memory=80000000 --block"
    )
    node = subprocess.Popen([*unshared, "sh", "-c", start], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    await_nodes(2)
    yield folder
    for process in [*psutil.Process(node.pid).children(recursive=True), node]:
        process.kill()
    node.wait()


def test_a_node_that_does_not_see_the_folder_says_so_before_it_simulates(island):
    with pytest.raises(cs.FileError, match="does not see .*run.shards.*every node sees.*URL of an object store"):
        cs.ray.run(cs.Study(LONG), out=island / "run", num_shards=4)
    assert [file.name for file in (island / "run.shards").iterdir()] == ["spec.toml"]


def test_results_travel_over_an_object_store(island):
    study = cs.Study.from_file(SMALL)
    study.run(out=island / "alone")
    with object_store.serve() as (objects, words):
        assert len(cs.ray.run(study, out=f"s3://mine:secret@bucket/run?{words}", num_shards=2)) == 12
        for name in ("points.parquet", "scaling.parquet", "report.html", "spec.toml"):
            assert objects[f"bucket/run/{name}"] == (island / "alone" / name).read_bytes(), name
