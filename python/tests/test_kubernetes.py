"""scripts/kubernetes: manifests are those of the schema, and what their pods run joins to the bytes of one machine."""

import os
import subprocess
from pathlib import Path

import kubernetes_validate
import pytest
import yaml
from conftest import SWEEP

FOLDER = Path(__file__).parent.parent.parent / "scripts/kubernetes"


def manifest(name):
    return yaml.safe_load((FOLDER / name).read_text())


@pytest.mark.parametrize("name", ["shards.yaml", "merge.yaml"])
def test_a_manifest_is_one_of_the_schema(name):
    kubernetes_validate.validate(manifest(name), kubernetes_validate.latest_version(), strict=True)
    wrong = manifest(name)
    wrong["spec"]["template"]["spec"]["restart_policy"] = "Never"
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, kubernetes_validate.latest_version(), strict=True)


def test_the_number_of_shards_stands_in_both_places():
    job = manifest("shards.yaml")["spec"]
    (container,) = job["template"]["spec"]["containers"]
    assert container["env"] == [{"name": "SHARDS", "value": str(job["completions"])}]
    assert job["completionMode"] == "Indexed"


def test_pods_and_their_merge_give_the_bytes_of_one_machine(root, sweep, tmp_path):
    def pod(name, **environment):
        (container,) = manifest(name)["spec"]["template"]["spec"]["containers"]
        (script,) = container["args"]
        # The volumes of the pod, and `sweep` in its PATH.
        script = script.replace("/spec/sweep.toml", str(root / "sweeps/small.toml")).replace("/runs", str(tmp_path))
        found = {**os.environ, "PATH": f"{Path(SWEEP).resolve().parent}:{os.environ['PATH']}", **environment}
        done = subprocess.run([*container["command"], script], env=found, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr

    for index in range(3):
        pod("shards.yaml", JOB_COMPLETION_INDEX=str(index), SHARDS="3")
    pod("merge.yaml")
    code, _, error = sweep("run", "sweeps/small.toml", "--out", tmp_path / "alone", "--progress", "never")
    assert code == 0, error
    for name in ("points.parquet", "scaling.parquet"):
        assert (tmp_path / "whole" / name).read_bytes() == (tmp_path / "alone" / name).read_bytes(), name
