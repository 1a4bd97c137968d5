"""Types and documentation of the package."""

import inspect
import os
import subprocess
import sys
import typing

import pytest

import clustersweep as cs

SAMPLE = """
import clustersweep as cs

step: cs.StepReport = cs.simulate(gpu="h100-sxm", nodes=2, model="llama3-8b", global_batch=64)
seconds: float | None = step.step_time_s
points: int = step.point
study = cs.Study({"grid": {"gpu": "h100-sxm"}})
results: cs.Results = study.run(threads=2, shard=(1, 2), progress=lambda it: print(it.done))
names: list[str] = results.columns
best: cs.StepReport = results.best("cost", where={"gpus": 64})
tables: cs.Table = cs.analyze(results, "results/llm").scaling
worse: bool = cs.diff(results, "results/llm").has_regression
"""

WRONG = """
import clustersweep as cs

cs.simulate(gpus_="h100-sxm")
cs.simulate(nodes=object())
cs.simulate().step_time
"""


def checked(tool, *arguments, folder):
    # Pyright looks for packages in whichever Python comes first.
    path = os.pathsep.join([os.path.dirname(sys.executable), os.environ["PATH"]])
    done = subprocess.run(
        [sys.executable, "-m", *tool.split(), *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd=folder,
        env={**os.environ, "PATH": path},
    )
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize("tool", ["mypy --strict", "pyright"])
def test_the_package_and_its_use_are_typed(tool, tmp_path, root):
    (tmp_path / "pyrightconfig.json").write_text('{"typeCheckingMode": "strict"}')
    (tmp_path / "sample.py").write_text(SAMPLE)
    code, said = checked(tool, "sample.py", folder=tmp_path)
    assert code == 0, said
    (tmp_path / "wrong.py").write_text(WRONG)
    code, said = checked(tool, "wrong.py", folder=tmp_path)
    assert code == 1 and all(f"wrong.py:{line}:" in said for line in (4, 5, 6)), said


def test_mypy_accepts_the_package_itself(root):
    code, said = checked("mypy --strict", "-p", "clustersweep", folder=root / "python")
    assert code == 0, said


def test_pyright_finds_every_public_name_typed(root):
    code, said = checked("pyright", "--verifytypes", "clustersweep", "--ignoreexternal", folder=root / "python")
    assert code == 0 and "Type completeness score: 100%" in said, said


def test_stubs_agree_with_the_native_module(root):
    code, said = checked("mypy.stubtest", "clustersweep._core", folder=root / "python")
    assert code == 0, said


def test_everything_public_is_documented():
    for name in cs.__all__:
        value = getattr(cs, name)
        if not callable(value):
            continue
        assert value.__doc__, name
        if inspect.isclass(value):
            for member, function in inspect.getmembers(value):
                if not member.startswith("_") and member in vars(value):
                    assert inspect.getdoc(function), f"{name}.{member}"


def test_errors_are_documented_where_they_are_raised():
    for function in (
        cs.simulate, cs.analyze, cs.diff, cs.validate, cs.catalog, cs.merge, cs.Study, cs.Study.run, cs.ray.run,
    ):  # fmt: skip
        assert "Raises:" in typing.cast(str, function.__doc__), function
