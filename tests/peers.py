"""Real readers on a real run: DuckDB, pandas, pyarrow and Polars see the columns, types, units and
values that `sweep list columns` promises, and what they write again `sweep analyze` reads.

usage: peers.py SWEEP RUN   (the binary, and the run folder of a training study)
"""

import json
import math
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import duckdb
import jsonschema
import pandas
import polars
import pyarrow
import pyarrow.parquet

SWEEP = str(Path(sys.argv[1]).resolve())
RUN = Path(sys.argv[2]).resolve()
POINTS = RUN / "points.parquet"
SCALING = RUN / "scaling.parquet"
ROOT = Path(__file__).resolve().parent.parent

ARROW = {
    "i64": pyarrow.int64(),
    "f64": pyarrow.float64(),
    "bool": pyarrow.bool_(),
    "text": pyarrow.dictionary(pyarrow.int32(), pyarrow.string()),
}
DUCK = {"i64": "BIGINT", "f64": "DOUBLE", "bool": "BOOLEAN", "text": "VARCHAR"}
POLARS = {
    "i64": polars.Int64,
    "f64": polars.Float64,
    "bool": polars.Boolean,
    "text": polars.Categorical,
}


def sweep(*arguments):
    done = subprocess.run([SWEEP, *map(str, arguments)], capture_output=True, text=True)
    assert done.returncode == 0, f"sweep {arguments}: {done.returncode}\n{done.stderr}"
    return done.stdout


COLUMNS = [c for c in json.loads(sweep("list", "columns", "--format", "json"))["entries"] if (c["file"], c["study"]) == ("points.parquet", "training")]
MANIFEST = json.loads((RUN / "manifest.json").read_text())


def pyarrow_sees_every_column_with_its_type_unit_and_meaning():
    schema = pyarrow.parquet.read_table(POINTS).schema
    assert schema.names == [c["name"] for c in COLUMNS], "names and order"
    for column in COLUMNS:
        field = schema.field(column["name"])
        assert field.type == ARROW[column["type"]], (column["name"], field.type)
        assert field.metadata[b"unit"].decode() == column["unit"], column["name"]
        assert field.metadata[b"doc"].decode() == column["meaning"], column["name"]


def provenance_stands_in_the_schema_and_in_the_file():
    in_schema = pyarrow.parquet.read_schema(POINTS).metadata
    in_file = pyarrow.parquet.ParquetFile(POINTS).metadata.metadata
    for metadata in (in_schema, in_file):
        assert metadata[b"version"].decode() == MANIFEST["version"]
        assert metadata[b"catalog_hash"].decode() == MANIFEST["catalog_hash"]
        assert metadata[b"spec_hash"].decode() == MANIFEST["spec_hash"]
        assert metadata[b"spec"].decode() == (RUN / "spec.toml").read_text()
    duck = duckdb.sql(f"SELECT decode(key) AS k, decode(value) AS v FROM parquet_kv_metadata('{POINTS}')")
    assert dict(duck.fetchall())["version"] == MANIFEST["version"]


def every_column_is_compressed_with_zstd():
    metadata = pyarrow.parquet.ParquetFile(POINTS).metadata
    for group in range(metadata.num_row_groups):
        for column in range(metadata.num_columns):
            assert metadata.row_group(group).column(column).compression == "ZSTD"


def duckdb_sees_plain_types():
    seen = duckdb.sql(f"DESCRIBE SELECT * FROM '{POINTS}'").fetchall()
    assert [(name, kind) for name, kind, *_ in seen] == [(c["name"], DUCK[c["type"]]) for c in COLUMNS]


def polars_sees_plain_types():
    schema = polars.read_parquet(POINTS).schema
    assert list(schema) == [c["name"] for c in COLUMNS]
    for column in COLUMNS:
        assert schema[column["name"]] == POLARS[column["type"]], (column["name"], schema[column["name"]])


def pandas_sees_numbers_as_numbers():
    frame = pandas.read_parquet(POINTS)
    assert list(frame.columns) == [c["name"] for c in COLUMNS]
    for column in COLUMNS:
        values = frame[column["name"]]
        if column["type"] == "text":
            assert isinstance(values.dtype, pandas.CategoricalDtype), column["name"]
        elif column["type"] != "bool":
            assert pandas.api.types.is_numeric_dtype(values.dtype), (column["name"], values.dtype)


def counts_can_be_subtracted_from():
    # A job of 8 GPUs has 1,016 fewer than 1,024: an unsigned column would wrap around.
    least = duckdb.sql(f"SELECT min(gpus) FROM '{POINTS}'").fetchall()[0][0]
    assert least < 1024
    assert duckdb.sql(f"SELECT min(gpus - 1024) FROM '{POINTS}'").fetchall()[0][0] == least - 1024
    assert (pandas.read_parquet(POINTS)["gpus"] - 1024).min() == least - 1024
    assert polars.read_parquet(POINTS).select((polars.col("gpus") - 1024).min()).item() == least - 1024


def all_count_what_the_manifest_counts():
    counts = {key: MANIFEST["counts"][key] for key in ("ok", "infeasible", "crashed")}
    counts = {key: count for key, count in counts.items() if count}
    by_duck = dict(duckdb.sql(f"SELECT status, count(*) FROM '{POINTS}' GROUP BY status").fetchall())
    by_pandas = pandas.read_parquet(POINTS)["status"].astype(str).value_counts().to_dict()
    by_polars = dict(polars.read_parquet(POINTS).group_by("status").len().cast({"status": polars.String}).rows())
    assert by_duck == by_pandas == by_polars == counts, (by_duck, by_pandas, by_polars, counts)


def all_agree_on_means_by_gpu():
    duck = dict(
        duckdb.sql(f"SELECT gpu, avg(mfu) FROM '{POINTS}' WHERE status = 'ok' GROUP BY gpu").fetchall()
    )
    frame = pandas.read_parquet(POINTS)
    by_pandas = frame[frame.status == "ok"].groupby("gpu", observed=True)["mfu"].mean().to_dict()
    by_polars = dict(
        polars.read_parquet(POINTS)
        .filter(polars.col("status") == "ok")
        .group_by("gpu")
        .agg(polars.col("mfu").mean())
        .cast({"gpu": polars.String})
        .rows()
    )
    assert duck, "there are rows"
    for gpu, mean in duck.items():
        assert 0 < mean < 1, (gpu, mean)
        assert math.isclose(mean, by_pandas[gpu], rel_tol=1e-12)
        assert math.isclose(mean, by_polars[gpu], rel_tol=1e-12)


def infeasible_rows_have_a_reason_and_no_time():
    bad = duckdb.sql(
        f"""SELECT count(*) FROM '{POINTS}' WHERE (status = 'ok') != (reason IS NULL)
            OR (reason IS NULL) != (reason_kind IS NULL)
            OR (status = 'infeasible' AND NOT starts_with(reason, reason_kind || ': '))
            OR (status = 'ok') != (step_time_s IS NOT NULL)"""
    ).fetchall()[0]
    assert bad == (0,), bad


def the_exclusive_parts_sum_to_the_step():
    # Exact inside, in picoseconds; in seconds each of the ten parts is rounded to a double.
    worst = duckdb.sql(
        f"""SELECT max(abs(compute_s + recompute_s + tp_comm_exposed_s + cp_comm_exposed_s + ep_comm_exposed_s
            + pp_comm_exposed_s + dp_comm_exposed_s + bubble_s + optimizer_s + overhead_s - step_time_s)
            / step_time_s) FROM '{POINTS}' WHERE status = 'ok'"""
    ).fetchall()[0][0]
    assert worst < 1e-12, worst


def scaling_parquet_reads_in_all_of_them():
    rows = duckdb.sql(f"SELECT count(*) FROM '{SCALING}'").fetchall()[0][0]
    assert rows > 0
    assert len(pandas.read_parquet(SCALING)) == rows
    assert len(polars.read_parquet(SCALING)) == rows
    schema = pyarrow.parquet.read_schema(SCALING)
    for name in schema.names:
        metadata = schema.field(name).metadata
        assert metadata[b"doc"], name
        assert b"unit" in metadata, name


def findings(points):
    with tempfile.TemporaryDirectory() as out:
        return json.loads(sweep("analyze", points, "--out", out, "--format", "json"))["findings"]


def what_duckdb_writes_again_is_read():
    # Columns in another order, one more of them, text without dictionaries.
    with tempfile.TemporaryDirectory() as folder:
        bare, again = Path(folder) / "bare.parquet", Path(folder) / "again.parquet"
        bare.write_bytes(POINTS.read_bytes())
        names = ", ".join(c["name"] for c in reversed(COLUMNS))
        duckdb.sql(f"COPY (SELECT 42 AS extra, {names} FROM '{POINTS}' ORDER BY point) TO '{again}' (FORMAT parquet)")
        assert findings(again) == findings(bare)


def what_pandas_writes_again_is_read():
    # pandas makes floats of counts that may be null.
    with tempfile.TemporaryDirectory() as folder:
        bare, again = Path(folder) / "bare.parquet", Path(folder) / "again.parquet"
        bare.write_bytes(POINTS.read_bytes())
        frame = pandas.read_parquet(POINTS)
        frame[list(reversed(frame.columns))].to_parquet(again)
        assert findings(again) == findings(bare)


def what_polars_writes_again_is_read():
    with tempfile.TemporaryDirectory() as folder:
        bare, again = Path(folder) / "bare.parquet", Path(folder) / "again.parquet"
        bare.write_bytes(POINTS.read_bytes())
        polars.read_parquet(POINTS).write_parquet(again)
        assert findings(again) == findings(bare)


def what_others_write_again_compares_as_equal():
    with tempfile.TemporaryDirectory() as folder:
        by_duckdb, by_pandas = Path(folder) / "duckdb.parquet", Path(folder) / "pandas.parquet"
        names = ", ".join(c["name"] for c in reversed(COLUMNS))
        duckdb.sql(f"COPY (SELECT {names}, 42 AS extra FROM '{POINTS}') TO '{by_duckdb}' (FORMAT parquet)")
        frame = pandas.read_parquet(POINTS)
        frame.assign(extra="more")[["extra", *reversed(frame.columns)]].to_parquet(by_pandas)
        for again in (by_duckdb, by_pandas):
            found = json.loads(sweep("diff", POINTS, again, "--format", "json"))
            assert found["common"] == len(frame), (again.name, found["common"])
            assert found["added"] == found["gone"] == found["status_changes"] == [], again.name
            for metric in found["metrics"]:
                spread = metric["distribution"]
                assert spread["least"] == spread["most"] == 0.0, (again.name, metric["metric"], spread)


# 1,400 points, which are three parts.
MANY = """name = "many"
kind = "collective"
[grid]
gpu = "h100-sxm"
nodes = [2, 4]
op = "all-reduce"
size = { from = "1 B", to = "700 B", step = "1 B" }
"""


def parts_that_are_not_joined_read_as_one_table():
    with tempfile.TemporaryDirectory() as folder:
        spec = Path(folder) / "many.toml"
        spec.write_text(MANY)
        sweep("run", spec, "--out", Path(folder) / "joined")
        sweep("run", spec, "--out", Path(folder) / "parts", "--no-join")
        joined, parts = (Path(folder) / run / "points.parquet" for run in ("joined", "parts"))
        assert joined.is_file() and len(list(parts.iterdir())) == 3
        one, other = pandas.read_parquet(joined), pandas.read_parquet(parts)
        assert other["point"].tolist() == list(range(1400))
        pandas.testing.assert_frame_equal(one, other, check_categorical=False)
        assert pyarrow.parquet.read_table(parts).cast(pyarrow.parquet.read_schema(joined)).equals(pyarrow.parquet.read_table(joined))
        assert polars.read_parquet(parts).equals(polars.read_parquet(joined))
        assert polars.scan_parquet(parts).select(polars.len()).collect().item() == 1400
        found = duckdb.sql(f"SELECT count(*), max(point) FROM '{parts}/*.parquet'").fetchall()
        assert found == [(1400, 1399)], found
        for first, second in ((joined, f"{parts}/*.parquet"), (f"{parts}/*.parquet", joined)):
            lacking = duckdb.sql(f"SELECT count(*) FROM (SELECT * FROM '{first}' EXCEPT SELECT * FROM '{second}')")
            assert lacking.fetchall() == [(0,)], first


def documents_are_valid_by_the_schemas_that_they_name():
    with tempfile.TemporaryDirectory() as folder:
        point = str(MANIFEST["counts"]["points"] // 2)
        commands = {
            "analyze": ("analyze", RUN, "--out", folder),
            "answer": ("answer", RUN, "--deadline", "60 days"),
            "diff": ("diff", RUN, RUN),
            "explain": ("explain", RUN, point),
            "points": ("explain", RUN, "--where", "gpus > 0"),
            "verify": ("verify", RUN),
            "plan": ("plan", RUN / "spec.toml"),
            "list": ("list", "gpus"),
            "validate": ("validate", ROOT / "data/validation/memory.csv"),
        }
        documents = {name: json.loads(sweep(*command, "--format", "json")) for name, command in commands.items()}
    documents["manifest"] = MANIFEST
    for name, document in documents.items():
        schema = json.loads(sweep("schema", "--of", name))
        jsonschema.Draft202012Validator.check_schema(schema)
        jsonschema.Draft202012Validator(schema).validate(document)
        assert document["schema"] == schema["title"] == f"clustersweep.{name}/1"
        broken = {key: value for key, value in document.items() if key != schema["required"][-1]}
        assert not jsonschema.Draft202012Validator(schema).is_valid(broken), name


def the_examples_of_the_guide_run():
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "docs/results.md").read_text(), re.S)
    assert blocks, "docs/results.md shows how to read the results in Python"
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "results").mkdir()
        (Path(folder) / "results" / "llm").symlink_to(RUN)
        before = os.getcwd()
        os.chdir(folder)
        try:
            for block in blocks:
                exec(compile(block, "docs/results.md", "exec"), {})
        finally:
            os.chdir(before)


def main():
    checks = [
        pyarrow_sees_every_column_with_its_type_unit_and_meaning,
        provenance_stands_in_the_schema_and_in_the_file,
        every_column_is_compressed_with_zstd,
        duckdb_sees_plain_types,
        polars_sees_plain_types,
        pandas_sees_numbers_as_numbers,
        counts_can_be_subtracted_from,
        all_count_what_the_manifest_counts,
        all_agree_on_means_by_gpu,
        infeasible_rows_have_a_reason_and_no_time,
        the_exclusive_parts_sum_to_the_step,
        scaling_parquet_reads_in_all_of_them,
        what_duckdb_writes_again_is_read,
        what_pandas_writes_again_is_read,
        what_polars_writes_again_is_read,
        what_others_write_again_compares_as_equal,
        parts_that_are_not_joined_read_as_one_table,
        documents_are_valid_by_the_schemas_that_they_name,
        the_examples_of_the_guide_run,
    ]
    failed = 0
    for check in checks:
        try:
            check()
            print(f"test {check.__name__} ... ok")
        except Exception as error:  # every check reports, whatever the one before did
            failed += 1
            print(f"test {check.__name__} ... FAILED: {type(error).__name__}: {error}")
    word = "FAILED" if failed else "ok"
    print(f"test result: {word}. {len(checks) - failed} passed; {failed} failed")
    sys.exit(1 if failed else 0)


main()
