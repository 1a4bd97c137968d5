"""scripts/slurm on a real Slurm of one node, on loopback and without systemd."""

import contextlib
import json
import os
import shutil
import socket
import subprocess
import time

import pytest
from conftest import SWEEP

pytestmark = pytest.mark.skipif(
    shutil.which("slurmctld") is None or os.geteuid() != 0,
    reason="needs slurm-wlm and munge, and root to start them",
)

CONFIG = """
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={control}
SlurmdPort={node}
CommunicationParameters=NoInAddrAny,NoCtldInAddrAny
AuthType=auth/munge
AuthInfo=socket={folder}/munge/socket,cred_expire=5
SlurmUser=root
SlurmdUser=root
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
MaxArraySize=4
SchedulerParameters=batch_sched_delay=0,sched_interval=1
MinJobAge=3600
KillWait=5
ReturnToService=2
NodeName={host} NodeAddr=127.0.0.1 CPUs={cpus} State=UNKNOWN
PartitionName=all Nodes={host} Default=YES MaxTime=INFINITE State=UP
"""


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def until(condition, what, seconds=60):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = condition()
        if found:
            return found
        time.sleep(0.3)
    raise AssertionError(f"not within {seconds} s: {what}")


@pytest.fixture(scope="module")
def slurm(tmp_path_factory):
    """The environment of a Slurm whose arrays have three jobs at most."""
    folder = tmp_path_factory.mktemp("slurm")
    for name in ("state", "spool", "munge"):
        (folder / name).mkdir()
    host = socket.gethostname().split(".")[0]
    config = folder / "slurm.conf"
    config.write_text(
        CONFIG.format(folder=folder, host=host, control=free_port(), node=free_port(), cpus=os.cpu_count())
    )
    key = folder / "munge/key"
    key.write_bytes(os.urandom(128))
    key.chmod(0o400)
    munge = [
        "munged", "--foreground", "--force", f"--key-file={key}", f"--socket={folder}/munge/socket",
        f"--pid-file={folder}/munge/pid", f"--log-file={folder}/munge/log", f"--seed-file={folder}/munge/seed",
    ]  # fmt: skip
    environment = {**os.environ, "SLURM_CONF": str(config), "SWEEP": SWEEP}
    with contextlib.ExitStack() as stack:

        def daemon(*command):
            log = stack.enter_context(open(folder / f"{command[0]}.out", "w"))
            process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
            stack.callback(process.wait, 20)
            stack.callback(process.terminate)
            return process

        daemon(*munge)
        until((folder / "munge/socket").exists, "munged listens", 20)
        daemon("slurmctld", "-D", "-i", "-f", str(config))
        daemon("slurmd", "-D", "-f", str(config), "-N", host)

        def idle():
            return "idle" in subprocess.run(
                ["sinfo", "-h", "-o", "%T"], env=environment, capture_output=True, text=True
            ).stdout

        until(idle, "the node is idle")
        yield environment


def state(slurm, job):
    done = subprocess.run(["scontrol", "show", "job", "-o", job], env=slurm, capture_output=True, text=True)
    return [word.removeprefix("JobState=") for word in done.stdout.split() if word.startswith("JobState=")]


def ended(slurm, job):
    states = state(slurm, job)
    return states if states and not {"PENDING", "RUNNING", "COMPLETING", "CONFIGURING"} & set(states) else None


def submit(slurm, root, *arguments):
    return subprocess.run(
        [root / "scripts/slurm/submit", *map(str, arguments)], env=slurm, capture_output=True, text=True, cwd=root
    )


def test_an_array_and_its_merge_give_the_bytes_of_one_machine(slurm, root, sweep, tmp_path):
    # Five shards where an array has three jobs: two arrays.
    done = submit(slurm, root, "sweeps/small.toml", tmp_path / "run", 5)
    assert done.returncode == 0, done.stderr
    *arrays, merge = done.stdout.split()
    assert len(arrays) == 2
    assert until(lambda: ended(slurm, merge), "the merge ends", 120) == ["COMPLETED"], (
        tmp_path / "run.shards/log/merge.log"
    ).read_text()
    code, _, error = sweep("run", "sweeps/small.toml", "--out", tmp_path / "alone", "--progress", "never")
    assert code == 0, error
    for name in ("points.parquet", "scaling.parquet", "report.html"):
        assert (tmp_path / "run" / name).read_bytes() == (tmp_path / "alone" / name).read_bytes(), name


def test_a_job_that_slurm_stops_goes_on(slurm, root, sweep, tmp_path):
    spec = tmp_path / "long.toml"
    spec.write_text(
        'grid = { gpu = "h100-sxm", nodes = [1, 2, 4, 8], model = "llama3-8b",'
        " global_batch = { from = 8, to = 8000, step = 8 } }\n"
    )
    done = submit(slurm, root, spec, tmp_path / "run", 1)
    assert done.returncode == 0, done.stderr
    array, merge = done.stdout.split()
    parts = tmp_path / "run.shards/1/parts"
    until(lambda: list(parts.glob("*.parquet")), "the first part")
    # What Slurm sends a minute before the time limit.
    subprocess.run(["scancel", "--batch", "--signal=TERM", array], env=slurm, check=True)
    log = tmp_path / f"run.shards/log/{array}-1.log"
    until(lambda: "continue with --resume" in log.read_text(), "the sweep stops")
    until(lambda: log.read_text().count("points are finished"), "the job goes on", 180)
    assert until(lambda: ended(slurm, merge), "the merge ends", 240) == ["COMPLETED"], log.read_text()
    code, text, error = sweep("plan", spec, "--format", "json")
    assert code == 0, error
    manifest = json.loads((tmp_path / "run/manifest.json").read_text())
    assert manifest["counts"]["points"] == json.loads(text)["points"]


def test_the_merge_says_which_shard_is_unfinished(slurm, root, tmp_path):
    # The jobs have no program to run.
    broken = {**slurm, "SWEEP": str(tmp_path / "sweep")}
    (tmp_path / "sweep").write_text(
        f'#!/bin/sh\n[ "$1" = run ] && [ "$4" = 2/2 ] && exit 3\nexec {SWEEP} "$@"\n'
    )
    (tmp_path / "sweep").chmod(0o755)
    done = submit(broken, root, "sweeps/small.toml", tmp_path / "run", 2)
    assert done.returncode == 0, done.stderr
    merge = done.stdout.split()[-1]
    assert until(lambda: ended(slurm, merge), "the merge ends", 120) == ["FAILED"]
    assert "run.shards/2" in (tmp_path / "run.shards/log/merge.log").read_text()
    # The same again, with a program that works, takes up what is missing.
    done = submit(slurm, root, "sweeps/small.toml", tmp_path / "run", 2)
    assert done.returncode == 0, done.stderr
    merge = done.stdout.split()[-1]
    assert until(lambda: ended(slurm, merge), "the merge ends", 120) == ["COMPLETED"]


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ((), "usage"),
        (("sweeps/small.toml", "run", "none"), "from 1 on"),
        (("sweeps/none.toml", "run", 2), "none.toml"),
        (("sweeps/small.toml", "docs", 2), "is there already"),
    ],
)
def test_bad_input_submits_nothing(slurm, root, arguments, text):
    done = submit(slurm, root, *arguments)
    assert done.returncode != 0 and text in done.stderr
    queue = subprocess.run(["squeue", "-h"], env=slurm, capture_output=True, text=True).stdout
    assert "run" not in queue.split()
