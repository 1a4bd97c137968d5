"""Commands about finished runs, measured cases and the catalogue: the same as on the command line."""

import json
from datetime import timedelta

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
def run(root, tmp_path_factory):
    folder = tmp_path_factory.mktemp("commands") / "run"
    cs.Study.from_file(root / SMALL).run(out=folder)
    return folder


def test_findings_are_those_of_the_command_line(sweep, results, run, tmp_path):
    code, text, error = sweep("analyze", "-v", run)
    assert code == 0, error
    assert str(cs.analyze(run)) == str(results.analyze()) == text
    printed = json.loads(sweep("analyze", run, "--format", "json")[1])
    printed["folder"] = None
    assert cs.analyze(run).to_dict() == printed
    scaling = pyarrow.parquet.read_table(run / "scaling.parquet")
    assert pyarrow.table(cs.analyze(run).scaling).equals(scaling)
    folder = cs.analyze(results).write(tmp_path / "findings")
    assert (folder / "report.html").exists() and (folder / "scaling.parquet").exists()


def test_the_answer_is_in_sentences(results, run):
    sentences = cs.answer(results)
    assert sentences and all(sentence.endswith(".") for sentence in sentences)
    assert cs.answer(run) == sentences
    # A bare file is enough for all of them.
    assert cs.answer(run / "points.parquet") == sentences
    assert cs.answer(cs.Study.from_file(SMALL)) == sentences
    # Words of the summary, in which they are wrapped.
    assert " ".join(sentences[0].split()) in " ".join(str(results.analyze()).split())


# The command line's own answer, limits and refined sizes included.
def test_a_question_is_answered_as_on_the_command_line(sweep, tmp_path):
    spec = tmp_path / "asked.toml"
    spec.write_text(
        'name = "asked"\n[grid]\ngpu = "h100-sxm"\nnodes = [1, 16]\nmodel = "llama3-8b"\nglobal_batch = 128\n'
        '[question]\ntokens = 1e11\n'
    )
    limits = ("--deadline", "40 days", "--budget", "900000 USD")
    printed = json.loads(sweep("answer", spec, *limits, "-o", tmp_path / "run", "--format", "json")[1])
    study = cs.Study.from_file(spec)
    answer = cs.answer(study, deadline=timedelta(days=40), budget=900000, max_events=10**12, point_timeout=600, progress=False)
    found = answer.to_dict()
    assert found["question"] == printed["question"] and found["sentences"] == printed["sentences"]
    assert answer.cheapest["total_cost_usd"] == printed["answers"][0]["cheapest"]["total_cost_usd"]
    # Rows that are in memory lie nowhere that outlives them.
    assert "rows and report" not in str(answer) and "\n" in str(answer)
    assert answer.is_met is True and list(answer) == cs.answer(tmp_path / "run", deadline="40 days", budget="900000 USD")
    # 40 days on 8 GPUs are more than the training takes on 128: an answer to a shorter deadline is another size.
    shorter = cs.answer(tmp_path / "run", deadline="2 days")
    assert shorter.is_met is False or shorter.cheapest["days"] <= 2
    refined = cs.answer(study, deadline="10 days", refine=True, out=tmp_path / "fine", progress=False)
    assert refined.refined is not None and refined.refined.folder == tmp_path / "fine-refined"
    assert len(refined.to_dict()["runs"]) == 2
    # One event is never enough: every point is infeasible, and so there is no answer.
    none = cs.answer(study, max_events=1, progress=False)
    assert none.cheapest is None
    with pytest.raises(cs.SpecError, match="deadline"):
        cs.answer(study, deadline="soon")
    with pytest.raises(cs.UsageError, match="tokens"):
        cs.answer(tmp_path / "run", tokens=2e11)
    with pytest.raises(cs.UsageError, match="bare file"):
        cs.answer(tmp_path / "run" / "points.parquet", deadline="2 days")
    with pytest.raises(cs.UsageError, match="has been run"):
        cs.answer(tmp_path / "run", out=tmp_path / "again")


def test_one_point_is_explained_as_on_the_command_line(sweep, results, run):
    assert str(cs.explain(results, 3)) == str(cs.explain(run, 3)) == sweep("explain", run, 3)[1]
    printed = json.loads(sweep("explain", run, 3, "--format", "json")[1])
    assert cs.explain(results, 3).to_dict() == printed
    asked = cs.explain(results.study, 3, what_if="gpu=b200")
    assert asked["what_if"][0]["time_per_sample"] < 0
    with pytest.raises(cs.SpecError, match="did you mean"):
        cs.explain(results, 3, what_if="gpu=b2000")


def test_a_timeline_is_that_of_the_command_line(sweep, results, run, tmp_path):
    out = tmp_path / "trace.json"
    text = cs.trace(results, 5, out)
    assert out.read_text() == text == sweep("trace", run, 5, "-o", "-")[1]
    assert json.loads(text)["traceEvents"]


def test_two_runs_are_held_against_each_other(sweep, results, run):
    same = cs.diff(results, run)
    assert not same.has_regression
    assert str(same) == sweep("diff", run, run)[1]
    # The same name stands for a slower GPU.
    faster, slower = (
        cs.Study(
            {
                "gpus": {"mine": {"base": base}},
                "grid": {"gpu": "mine", "cluster": "dgx-h100", "gpus": [1, 8], "model": "gpt3-1.3b", "global_batch": 64},
            }
        ).run()
        for base in ("h100-sxm", "a100-80gb-sxm")
    )
    found = cs.diff(faster, slower, metrics="step_time_s")
    assert found.has_regression and found["common"] == 2
    assert not cs.diff(slower, faster, metrics="step_time_s").has_regression
    with pytest.raises(cs.UsageError, match="speed"):
        cs.diff(results, run, metrics=["speed"])
    with pytest.raises(cs.UsageError, match="did you mean `mfu`"):
        cs.diff(results, run, metrics=["mfuu"])
    with pytest.raises(TypeError, match="`tolerance` is a fraction"):
        cs.diff(results, run, tolerance="2%")


def test_measured_cases_of_ones_own(sweep, tmp_path):
    rows = [
        {"id": "mine", "gpu": "h100-sxm", "gpus": 8, "model": "llama3-8b", "global_batch": 64, "measured_step_time_s": 6.0}
    ]
    frame = pandas.DataFrame(rows)
    path = tmp_path / "mine.csv"
    frame.to_csv(path, index=False)
    expected = cs.validate(path)
    assert expected.csv == sweep("validate", path, "--format", "csv")[1]
    assert str(expected) == sweep("validate", path)[1]
    for cases in (frame, polars.DataFrame(rows), pyarrow.Table.from_pylist(rows), rows):
        assert cs.validate(cases).csv == expected.csv
    assert expected.cases[0]["id"] == "mine"
    with pytest.raises(cs.UsageError, match="cases"):
        cs.validate(frame.drop(columns="gpu"))
    with pytest.raises(TypeError, match="DataFrame"):
        cs.validate(3)
    with pytest.raises(cs.UsageError, match="list of cases is empty"):
        cs.validate([])
    with pytest.raises(cs.FileError, match="none.csv"):
        cs.validate("none.csv")


@pytest.mark.parametrize("what", "gpus models clusters stacks prices collectives topologies axes columns".split())
def test_lists_are_those_of_the_command_line(sweep, what):
    listing = cs.catalog(what)
    assert str(listing) == sweep("list", what)[1]
    assert list(listing) == json.loads(sweep("list", what, "--format", "json")[1])["entries"]
    assert listing.names


def test_without_a_kind_all_kinds_are_listed():
    everything = cs.catalog()
    assert list(everything) == "gpus models clusters stacks prices collectives topologies axes columns".split()
    assert everything["gpus"] == cs.catalog("gpus") and "h100-sxm" in str(everything)
    own = cs.Study({"gpus": {"mine": {"base": "h100-sxm"}}, "grid": {"gpu": "mine", "nodes": 1, "model": "llama3-8b", "global_batch": 8}})
    assert "mine" in cs.catalog(study=own)["gpus"].names


def test_a_name_that_is_unknown_is_refused():
    assert cs.catalog("gpus", "h100-sxm").names == ["h100-sxm"]
    with pytest.raises(cs.UsageError, match="did you mean"):
        cs.catalog("gpus", "h1000")
    with pytest.raises(cs.UsageError, match="expected one of"):
        cs.catalog("gpu")


def test_what_a_study_defines_is_listed():
    study = cs.Study(
        {
            "gpus": {"mine": {"base": "h100-sxm"}},
            "grid": {"gpu": "mine", "gpus": 1, "model": "gpt3-1.3b", "global_batch": 8},
        }
    )
    assert "mine" in cs.catalog("gpus", study=study).names


def test_damaged_and_later_files_are_refused(run, tmp_path):
    bad = tmp_path / "bad.parquet"
    bad.write_bytes(b"PAR1 nothing")
    with pytest.raises(cs.FileError, match="bad.parquet"):
        cs.Results.from_file(bad)
    table = pyarrow.parquet.read_table(run / "points.parquet")
    later = table.replace_schema_metadata({**table.schema.metadata, b"schema_version": b"99"})
    path = tmp_path / "later.parquet"
    pyarrow.parquet.write_table(later, path)
    with pytest.raises(cs.FileError, match="99"):
        cs.Results.from_file(path)
    with pytest.raises(cs.FileError, match="points.parquet"):
        cs.Results.from_file(tmp_path)


def test_rows_of_a_bare_file_have_no_study(run, tmp_path):
    bare = tmp_path / "bare.parquet"
    bare.write_bytes((run / "points.parquet").read_bytes())
    results = cs.Results.from_file(bare)
    assert len(results) == 12
    with pytest.raises(cs.UsageError, match="no spec.toml"):
        results.study  # noqa: B018


def test_a_run_of_the_wrong_type_is_refused():
    with pytest.raises(TypeError, match="as results or as the path"):
        cs.analyze(3)
    with pytest.raises(cs.UsageError, match="no run is named"):
        cs.analyze()


def test_a_threshold_is_a_fraction(results):
    with pytest.raises(cs.UsageError, match="from 0 to 1"):
        cs.analyze(results, threshold=80)
    with pytest.raises(TypeError, match="`threshold`"):
        results.analyze(threshold="80%")
