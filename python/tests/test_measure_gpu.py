"""scripts/measure-gpu at tiny sizes on a CPU: its tables are included, its fit is right, its limits hold.

PyTorch where it is installed, else tests/torch_stub: the same calls on NumPy.
"""

import csv
import importlib.util
import math
import os
import re
import socket
import subprocess
import sys
from importlib.machinery import SourceFileLoader
from pathlib import Path

import pytest

STUB = str(Path(__file__).parent / "torch_stub")
HAS_TORCH = importlib.util.find_spec("torch") is not None
# Peaks of a GPU that no CPU reaches, and not so far above it that the catalogue finds a rate implausible.
PEAKS = ["--peak", "bf16=2 TFLOP/s", "--peak", "tf32=2 TFLOP/s", "--bandwidth", "400 GB/s", "--sms", "72"]


def environment(**more):
    path = os.environ.get("PYTHONPATH", "")
    path = path if HAS_TORCH else os.pathsep.join([STUB, path])
    return {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1", **more}


def measured(root, *arguments, **more):
    command = [sys.executable, root / "scripts/measure-gpu", "--device", "cpu", "--size", "tiny", *arguments]
    return subprocess.Popen(
        [str(word) for word in command], env=environment(**more), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def done(process):
    stdout, stderr = process.communicate(timeout=300)
    assert process.returncode == 0, stderr
    return stdout, stderr


@pytest.fixture(scope="module")
def folder(root, tmp_path_factory):
    """What two processes write that measure a CPU over the preset of an A10."""
    folder = tmp_path_factory.mktemp("measured")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    ranks = [
        measured(
            root, "--base", "a10", "--name", "here", "--out", folder, *PEAKS,
            RANK=str(rank), WORLD_SIZE="2", LOCAL_RANK=str(rank), LOCAL_WORLD_SIZE="2",
            MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port),
        )
        for rank in (0, 1)
    ]  # fmt: skip
    for process in ranks:
        done(process)
    return folder


@pytest.fixture(scope="module")
def script(root):
    """The program as a module."""
    if not HAS_TORCH:
        sys.path.insert(0, STUB)
    loader = SourceFileLoader("measure_gpu", str(root / "scripts/measure-gpu"))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("measure_gpu", loader))
    loader.exec_module(module)
    if not HAS_TORCH:
        sys.path.remove(STUB)
        for name in [name for name in sys.modules if name.split(".")[0] == "torch"]:
            del sys.modules[name]
    return module


def test_a_spec_includes_the_tables(folder, sweep):
    spec = folder / "spec.toml"
    spec.write_text(
        'include = ["here.toml"]\n[grid]\ngpu = "here"\nstack = "here"\ngpus = 1\nmodel = "gpt2-small"\nglobal_batch = 8\n'
    )
    code, stdout, stderr = sweep("run", spec, "-o", folder / "run", "--progress", "never")
    assert code == 0, stderr
    code, stdout, stderr = sweep("list", "gpus", "here", "--spec", spec)
    assert code == 0 and "measured here" in stdout, stdout + stderr
    text = (folder / "here.toml").read_text()
    for part in ('[gpus."here".gemm.bf16]', '[stacks."here".host]', "sustained = ", 'operator = "', "# not measured: gemm.fp8", "measured here: "):
        assert part in text, f"{part} in {text}"


def test_every_figure_is_in_the_table(folder):
    with open(folder / "here.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    parts = {row["part"].split(",")[0] for row in rows}
    for part in ("product bf16", "product tf32", "attention flash2 forward", "attention flash2 backward", "stream", "cast", "host"):
        assert part in parts, f"{part} in {parts}"
    assert all(float(row["seconds"]) > 0 and float(row["rate"]) > 0 for row in rows)


# All-reduce over 2 ranks: busbw = algbw · 2·(2−1)/2 = algbw; all-gather half of it.
def test_validate_reads_the_collectives(folder, sweep):
    path = folder / "here-collectives.csv"
    code, stdout, stderr = sweep("validate", path, "--include", folder / "here.toml", "--format", "csv")
    assert code == 0, stderr
    with open(path, newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["op"] for row in rows} == {"all-reduce", "all-gather", "reduce-scatter", "all-to-all", "broadcast"}
    assert len(stdout.splitlines()) == len(rows) + 1 and "unsupported" not in stdout, stdout
    for row in rows:
        factor = {"all-reduce": 1.0, "broadcast": 1.0}.get(row["op"], 0.5)
        assert float(row["busbw_GBps"]) == pytest.approx(factor * float(row["algbw_GBps"]), rel=1e-2)
        rate = float(row["size_bytes"]) / float(row["time_us"]) / 1e3
        assert float(row["algbw_GBps"]) == pytest.approx(rate, rel=1e-2)


# A data sheet of a GFLOP/s and a MB/s is below any CPU: every rate is above it, marked, and left to the preset.
def test_a_rate_above_the_data_sheet_is_marked_and_left_out(root, tmp_path):
    low = ["--peak", "bf16=0.001 GFLOP/s", "--bandwidth", "0.001 GB/s", "--sms", "72"]
    _, stderr = done(measured(root, "--base", "a10", "--name", "low", "--out", tmp_path, *low))
    text = (tmp_path / "low.toml").read_text()
    assert "# NOT TRUSTED: memory_fraction" in text and "of the data sheet's peak" in stderr
    assert "memory_fraction =" not in text and "sustained" not in text.split("sources")[1], text


def test_what_it_cannot_do_is_said(root):
    for arguments, message in (
        (["--base", "a100-99gb"], "is not known here"),
        (["--base", "a10", "--peak", "bf17=1 TFLOP/s"], "`bf17` is none of"),
        (["--base", "a10", "--bandwidth", "400"], "with one of the units"),
        (["--base", "a10", "--name", "a/b"], "is no name"),
    ):
        process = measured(root, *arguments)
        _, stderr = process.communicate(timeout=100)
        assert process.returncode != 0 and message in stderr, stderr


# The formula of scripts/fit-kernels, which is that of src/kernel/product.rs, with the same constants.
def test_products_are_predicted_as_by_the_program(script, root):
    loader = SourceFileLoader("fit_kernels", str(root / "scripts/fit-kernels"))
    fit = importlib.util.module_from_spec(importlib.util.spec_from_loader("fit_kernels", loader))
    loader.exec_module(fit)
    constants, peak = (0.9, 85.3, 18.0, 0.711, 5e-6), 989e12
    for shape in script.SHAPES:
        point = fit.Point((1, *shape), 1.0, (2, 2), (132, 3.352e12, 0.887))
        expected = fit.predict(constants, point, peak)
        assert script.predict(constants, shape, peak, 132, 3.352e12 * 0.887, 2) == pytest.approx(expected, rel=1e-12)


# Times that the formula itself gives for an H100: the fit finds constants that give them again within 3%.
def test_the_fit_finds_what_the_times_were_made_of(script):
    peak, constants = 989e12, (0.9, 85.3, 18.0, 0.711, 5e-6)

    class H100:
        sms, stream = 132, 3.352e12 * 0.887

    points = [(shape, script.predict(constants, shape, peak, 132, H100.stream, 2)) for shape in script.SHAPES]
    found, error = script.fit(points, peak, H100, 2, 0.711)
    assert error < 0.03, (found, error)


# 1/e = 1/0.6 + (300/0.6)/seen: rate 0.6, half of it at 300 keys.
def test_attention_is_a_line(script):
    points = [(1 / seen, 1 / 0.6 + 300 / 0.6 / seen) for seen in (512, 1024, 4096)]
    rate, half = script.rate_and_half(points)
    assert math.isclose(rate, 0.6, rel_tol=1e-9) and math.isclose(half, 300, rel_tol=1e-9)


def test_the_data_sheets_are_those_of_the_catalogue(script, root):
    tera = {"TFLOP/s": 1.0, "PFLOP/s": 1e3}
    for name, (_, peaks, bandwidth, sms) in script.PRESETS.items():
        text = (root / f"data/gpus/{name}.toml").read_text()
        values, _ = text.split("[sources]")
        found = dict(re.findall(r'^(\w+) = "([^"]+)"$', values, re.MULTILINE))
        assert float(found["memory_bandwidth"].split()[0]) == bandwidth, name
        assert int(re.search(r"^sms = (\d+)$", text, re.MULTILINE).group(1)) == sms, name
        for precision, peak in peaks.items():
            value, unit = found[precision].split()
            assert float(value) * tera[unit] == pytest.approx(peak), (name, precision)
