"""Faults of specs: the same text and places as on the command line."""

from pathlib import Path

import pytest

import clustersweep as cs

FAULTY = sorted((Path(__file__).parent.parent.parent / "tests/diagnostics").glob("*.toml"))


@pytest.mark.parametrize("path", FAULTY, ids=lambda path: path.stem)
def test_a_fault_reads_as_on_the_command_line(sweep, path, root):
    path = path.relative_to(root)
    code, _, printed = sweep("plan", path)
    if code == 0:
        study = cs.Study.from_file(path)
        assert "\n".join(study.warnings) == printed.rstrip("\n")
        return
    with pytest.raises(cs.SpecError) as caught:
        cs.Study.from_file(path)
    assert str(caught.value) == printed.rstrip("\n")
    assert caught.value.faults and all(fault["message"] in printed for fault in caught.value.faults)


def test_a_fault_of_a_dict_has_its_path():
    with pytest.raises(cs.SpecError) as caught:
        cs.Study({"grid": {"gpu": ["h100-sxm", "a1"], "nodes": 1, "model": "llama3-8b", "global_batch": 8}})
    (fault,) = caught.value.faults
    assert fault["path"] == "grid.gpu[1]"
    assert fault["hints"] == ["did you mean `a10`, `a100-40gb-sxm` or `a100-80gb-sxm`?"]
    assert "at `grid.gpu[1]`" in str(caught.value)


# A `base` would have given its own value unseen: 192 GB stay 192 GB, and None is no "without a price".
def test_none_takes_nothing_from_a_base():
    own = {"name": "own", "base": "b200", "memory": None, "peaks": {"fp8": None}}
    grid = {"gpu": own, "nodes": 1, "model": "llama3-8b", "global_batch": 8}
    for make in (lambda: cs.Study({"grid": grid}), lambda: cs.simulate(**grid)):
        with pytest.raises(cs.SpecError) as caught:
            make()
        assert [fault["path"] for fault in caught.value.faults] == ["gpus.own.memory", "gpus.own.peaks.fp8"]
        assert "`memory` has no value" in str(caught.value) and "leave the key out" in str(caught.value)


def test_exceptions_are_what_python_calls_them():
    assert issubclass(cs.SpecError, ValueError) and issubclass(cs.SpecError, cs.Error)
    assert issubclass(cs.FileError, OSError) and issubclass(cs.UsageError, ValueError)
    assert issubclass(cs.SimulatorFault, RuntimeError)
