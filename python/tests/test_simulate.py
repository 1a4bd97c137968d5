"""One step."""

import json

import pytest

import clustersweep as cs

STEP = {"gpu": "h100-sxm", "nodes": 2, "model": "llama3-8b", "global_batch": 64}


def test_a_step_has_every_column_as_an_attribute():
    step = cs.simulate(**STEP)
    assert step.status == "ok" and step.reason is None
    # Two nodes of eight.
    assert step.gpus == 16
    parts = [
        getattr(step, f"{part}_s")
        for part in "compute recompute tp_comm_exposed cp_comm_exposed ep_comm_exposed pp_comm_exposed"
        " dp_comm_exposed bubble optimizer overhead".split()
    ]
    assert sum(parts) == pytest.approx(step.step_time_s, rel=1e-12)
    for column in cs.catalog("columns"):
        if (column["file"], column["study"]) == ("points.parquet", "training"):
            assert hasattr(step, column["name"]), column["name"]


def test_a_step_is_the_row_of_the_command_line(sweep, tmp_path):
    spec = tmp_path / "one.json"
    spec.write_text(json.dumps({"point": [STEP]}))
    code, _, error = sweep("run", spec, "--out", tmp_path / "run", "--progress", "never")
    assert code == 0, error
    code, text, error = sweep("explain", tmp_path / "run", 0, "--format", "json")
    assert code == 0, error
    row = json.loads(text)
    step = cs.simulate(**STEP).to_dict()
    assert step.pop("schema") == "clustersweep.point/1"
    assert step == {name: row[name] for name in step}


def test_a_job_that_cannot_run_says_why():
    # 70 billion parameters with 16 bytes of state each are 1.1 TB; one GPU has 80 GB.
    step = cs.simulate(gpu="h100-sxm", gpus=1, model="llama3-70b", global_batch=1)
    assert step.status == "infeasible"
    assert step.reason_kind == "memory" and "GiB" in step.reason
    assert step.step_time_s is None


def test_a_communication_has_columns_of_its_own():
    step = cs.simulate(op="all-reduce", size="1 GiB", gpu="h100-sxm", nodes=2)
    assert step.status == "ok" and step.time_s > 0
    assert not hasattr(step, "mfu")


def test_hardware_and_models_of_ones_own_are_dicts():
    fast = {"base": "h100-sxm", "memory_bandwidth": "6.7 TB/s"}
    usual = cs.simulate(**STEP)
    assert cs.simulate(**{**STEP, "gpu": fast}).step_time_s < usual.step_time_s
    half = {"name": "half", "base": "llama3-8b", "layers": 16}
    step = cs.simulate(**{**STEP, "model": half})
    assert step["model"] == "half"
    # Half of the layers; embedding and head stay.
    assert 0.4 < step.step_time_s / usual.step_time_s < 0.7
    recipe = {"base": "current", "title": "mine"}
    assert cs.simulate(**{**STEP, "stack": recipe}).step_time_s == usual.step_time_s


def test_a_config_json_is_a_model(root):
    model = cs.model_from_config(root / "tests/configs/gemma-2-2b.json")
    assert model.name == "gemma-2-2b" and 2e9 < model.parameters < 4e9
    step = cs.simulate(gpu="h100-sxm", gpus=8, model=model, global_batch=64)
    assert step.status == "ok"
    study = cs.Study({"grid": {"gpu": "h100-sxm", "gpus": [1, 8], "model": [model, "llama3-8b"], "global_batch": 64}})
    assert study.grid_points == 4


def test_a_step_shows_itself():
    step = cs.simulate(**STEP)
    assert "step_time_s" in str(step)
    assert step._repr_html_().startswith("<pre>") and "<script" not in step._repr_html_()
    assert "mfu" in dir(step)
    with pytest.raises(AttributeError, match="no column `step_time`"):
        step.step_time  # noqa: B018


def test_a_step_is_a_table_of_one_row():
    pyarrow = pytest.importorskip("pyarrow")
    step = cs.simulate(**STEP)
    table = pyarrow.table(step)
    assert table.num_rows == 1
    assert table["step_time_s"][0].as_py() == step.step_time_s


@pytest.mark.parametrize(
    ("axes", "error", "text"),
    [
        ({**STEP, "gpu": "h1000"}, cs.SpecError, "did you mean `h100-sxm`?"),
        ({**STEP, "gpus_": 3}, cs.SpecError, "gpus_"),
        ({"gpu": "h100-sxm"}, cs.SpecError, "model"),
        ({**STEP, "nodes": [1, 2]}, cs.UsageError, "sweep with a Study"),
        ({**STEP, "nodes": {1, 2}}, cs.UsageError, "sweep with a Study"),
        ({**STEP, "nodes": {"from": 1, "to": 4, "times": 2}}, cs.UsageError, "sweep with a Study"),
        ({**STEP, "nodes": -1}, cs.SpecError, "nodes = -1 is out of range"),
        ({**STEP, "nodes": object()}, TypeError, r"point\[0\].nodes"),
        ({**STEP, "oversubscription": float("nan")}, TypeError, "finite"),
    ],
)
def test_bad_input_is_an_exception_with_the_way_out(axes, error, text):
    with pytest.raises(error, match=text):
        cs.simulate(**axes)
