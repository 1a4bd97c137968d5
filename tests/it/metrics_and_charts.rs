//! Metrics and charts that a spec adds, from its text to the files of the run.

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Float64Type};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use crate::desk::{Desk, FABRIC};

/// Twelve points, those of 70 billion parameters on one server among them, which do not fit.
const SPEC: &str = r#"
name = "mine"
[grid]
gpu = ["h100-sxm", "a100-80gb-sxm"]
nodes = [1, 2, 4]
model = ["llama3-8b", "llama3-70b"]
global_batch = 128

[metrics.usd_per_day]
value = "cost_per_step_usd / step_time_s * 86_400"
unit = "USD"

[metrics.params_per_gpu]
value = "model.params / gpus"

[charts.cost]
x = "gpus"
y = "usd_per_day"
series = ["gpu", "model"]
log = true
"#;

fn table(desk: &Desk, file: &str) -> RecordBatch {
    let file = std::fs::File::open(desk.path(file)).unwrap();
    let builder = ParquetRecordBatchReaderBuilder::try_new(file).unwrap();
    let mut batches = builder.build().unwrap();
    batches.next().unwrap().unwrap()
}

/// A column of numbers, counts among them.
fn numbers(table: &RecordBatch, name: &str) -> Vec<Option<f64>> {
    let column = table.column_by_name(name).unwrap();
    let reals = arrow::compute::cast(column, &DataType::Float64).unwrap();
    reals.as_primitive::<Float64Type>().iter().collect()
}

fn ran(spec: &str, arguments: &[&str]) -> Desk {
    let desk = Desk::new();
    desk.write("mine.toml", spec);
    let run = ["run", "mine.toml", "-o", "run", "--progress", "never"];
    desk.sweep(&[&run, arguments].concat()).expect_code(0);
    desk
}

// A day has 86,400 s; where a point did not run there is no step to pay for, and its parameters per GPU stay.
#[test]
fn a_metric_is_a_column_with_its_unit_in_both_tables() {
    let desk = ran(SPEC, &[]);
    for file in ["run/points.parquet", "run/scaling.parquet"] {
        let table = table(&desk, file);
        let schema = table.schema();
        for (name, unit) in [("usd_per_day", "USD"), ("params_per_gpu", "1")] {
            assert_eq!(
                schema.field_with_name(name).unwrap().metadata()["unit"],
                unit
            );
        }
        assert_eq!(
            table.column_by_name("params_per_gpu").unwrap().null_count(),
            0
        );
    }
    let points = table(&desk, "run/points.parquet");
    let of = |name| numbers(&points, name);
    let (cost, step) = (of("cost_per_step_usd"), of("step_time_s"));
    let expected = cost
        .iter()
        .zip(&step)
        .map(|pair| Some((*pair.0)? / (*pair.1)? * 86_400.0));
    assert_eq!(of("usd_per_day"), expected.collect::<Vec<_>>());
    assert!(step.iter().any(Option::is_none) && step.iter().any(Option::is_some));
    // 8,030,261,248 parameters on the 8 GPUs of the first point.
    assert_eq!(of("params_per_gpu")[0], Some(8_030_261_248.0 / 8.0));
}

#[test]
fn the_metrics_of_the_scaling_table_are_those_of_its_points() {
    let desk = ran(SPEC, &[]);
    let points = table(&desk, "run/points.parquet");
    let scaling = table(&desk, "run/scaling.parquet");
    let frozen = numbers(&scaling, "of_series");
    let of_point = numbers(&points, "usd_per_day");
    let point = numbers(&scaling, "point");
    let rows = numbers(&scaling, "usd_per_day")
        .into_iter()
        .zip(point)
        .zip(frozen);
    let mut compared = 0;
    for ((value, point), frozen) in rows {
        if frozen.is_none() {
            assert_eq!(value, of_point[point.unwrap() as usize]);
            compared += 1;
        }
    }
    assert_eq!(compared, points.num_rows());
}

#[test]
fn a_run_in_shards_and_its_own_spec_give_the_same_metrics() {
    let desk = ran(SPEC, &[]);
    for shard in ["1/2", "2/2"] {
        let out = format!("shard-{}", &shard[..1]);
        let run = [
            "run",
            "mine.toml",
            "-o",
            &out,
            "--shard",
            shard,
            "--progress",
            "never",
        ];
        desk.sweep(&run).expect_code(0);
    }
    desk.sweep(&["merge", "shard-1", "shard-2", "-o", "merged"])
        .expect_code(0);
    let again = ["run", "run/spec.toml", "-o", "again", "--progress", "never"];
    desk.sweep(&again).expect_code(0);
    for other in ["merged", "again"] {
        for file in ["points.parquet", "scaling.parquet", "report.html"] {
            let [one, two] = ["run", other].map(|run| desk.read(&format!("{run}/{file}")));
            assert!(one == two, "{other}/{file}");
        }
    }
}

// Both GPUs with both models: four lines, each with a mark for every size that ran.
#[test]
fn a_chart_of_the_spec_is_drawn_in_the_report_and_as_a_file() {
    let desk = ran(SPEC, &[]);
    let page = String::from_utf8(desk.read("run/report.html")).unwrap();
    let (_, section) = page.rsplit_once("Charts of the spec").unwrap();
    let (chart, _) = section.split_once("</svg>").unwrap();
    assert!(chart.contains("aria-label=\"cost\"") && chart.contains("usd_per_day [USD]"));
    for line in [
        "h100-sxm llama3-8b",
        "h100-sxm llama3-70b",
        "a100-80gb-sxm llama3-8b",
    ] {
        assert!(chart.contains(line), "{line}");
    }
    let points = table(&desk, "run/points.parquet");
    let measured = numbers(&points, "usd_per_day")
        .into_iter()
        .flatten()
        .count();
    assert_eq!(chart.matches("usd_per_day [USD]: ").count(), measured);
    desk.sweep(&["analyze", "run", "--plots", "plots"])
        .expect_code(0);
    assert!(desk.has("plots/chart-cost.svg"));
}

// What several sweeps share is included, in any syntax; the run's own spec holds it.
#[test]
fn metrics_may_be_included() {
    let desk = Desk::new();
    desk.write(
        "mine.yaml",
        "metrics: { gpu_seconds: { value: step_time_s * gpus, unit: s } }\n",
    );
    let (grid, _) = SPEC.split_once("[metrics.usd_per_day]").unwrap();
    desk.write("shared.toml", format!("include = 'mine.yaml'\n{grid}"));
    desk.sweep(&["run", "shared.toml", "-o", "run", "--progress", "never"])
        .expect_code(0);
    let points = table(&desk, "run/points.parquet");
    let (step, gpus) = (numbers(&points, "step_time_s"), numbers(&points, "gpus"));
    let expected = step
        .iter()
        .zip(&gpus)
        .map(|pair| Some((*pair.0)? * (*pair.1)?));
    assert_eq!(
        numbers(&points, "gpu_seconds"),
        expected.collect::<Vec<_>>()
    );
    assert!(
        String::from_utf8(desk.read("run/spec.toml"))
            .unwrap()
            .contains("[metrics.gpu_seconds]")
    );
}

// A metric that only one of two runs has is null in the other's rows.
#[test]
fn runs_without_the_metric_are_analysed_beside_one_with_it() {
    let desk = ran(SPEC, &[]);
    let (plain, _) = SPEC.split_once("[metrics.usd_per_day]").unwrap();
    desk.write("plain.toml", plain);
    let run = [
        "run",
        "plain.toml",
        "-o",
        "plain",
        "--set",
        "global_batch=256",
        "--progress",
        "never",
    ];
    desk.sweep(&run).expect_code(0);
    desk.sweep(&["analyze", "run", "plain", "-o", "both"])
        .expect_code(0);
    let both = table(&desk, "both/scaling.parquet");
    let metric = both.column_by_name("usd_per_day").unwrap();
    assert!(metric.null_count() > both.num_rows() / 2 && metric.null_count() < both.num_rows());
}

#[test]
fn collective_studies_have_metrics_and_charts_too() {
    let mine = "[metrics.efficiency_of_nic]\nvalue = 'busbw_bytes_per_s * 8e-9 / nic_gbit_per_s'\n\
                [charts.nic]\nx = 'size'\ny = 'efficiency_of_nic'\nseries = ['op', 'collective', 'nodes']\nlog = 'x'\n";
    let desk = ran(&format!("{FABRIC}{mine}"), &[]);
    let points = table(&desk, "run/points.parquet");
    let (bus, nic) = (
        numbers(&points, "busbw_bytes_per_s"),
        numbers(&points, "nic_gbit_per_s"),
    );
    let expected = bus
        .iter()
        .zip(&nic)
        .map(|pair| Some((*pair.0)? * 8e-9 / (*pair.1)?));
    assert_eq!(
        numbers(&points, "efficiency_of_nic"),
        expected.collect::<Vec<_>>()
    );
    let page = String::from_utf8(desk.read("run/report.html")).unwrap();
    assert!(page.contains("aria-label=\"nic\""));
}

#[test]
fn a_point_and_the_list_of_columns_show_the_metrics() {
    let desk = ran(SPEC, &[]);
    let explained = desk.sweep(&["explain", "run", "0"]).expect_code(0).stdout;
    assert!(
        explained.contains("\nmetrics\n  usd_per_day"),
        "{explained}"
    );
    let listed = desk.sweep(&["list", "columns", "--spec", "mine.toml", "usd_per_day"]);
    // A long meaning goes on in the next line.
    let listed = listed.expect_code(0).stdout;
    let words: Vec<&str> = listed.split_whitespace().collect();
    let listed = words.join(" ");
    assert!(
        listed.contains("USD") && listed.contains("cost_per_step_usd / step_time_s"),
        "{listed}"
    );
}

// At half the price a day costs half: better by 50%, and worse by 100% the other way round.
#[test]
fn two_runs_are_compared_by_a_metric_that_both_have() {
    let desk = ran(SPEC, &[]);
    let prices = "\n[gpus.h100-sxm]\nprice_per_hour = '1.00 USD'\n[gpus.a100-80gb-sxm]\nprice_per_hour = '1.00 USD'\n";
    for (price, run) in [("1.00", "cheap"), ("2.00", "dear")] {
        desk.write(
            "priced.toml",
            format!("{SPEC}{}", prices.replace("1.00", price)),
        );
        desk.sweep(&["run", "priced.toml", "-o", run, "--progress", "never"])
            .expect_code(0);
    }
    let diff = |base: &str, new: &str| desk.sweep(&["diff", base, new, "--metric", "usd_per_day"]);
    assert!(
        diff("dear", "cheap")
            .expect_code(0)
            .stdout
            .contains("-50.0%")
    );
    assert!(
        diff("cheap", "dear")
            .expect_code(1)
            .stdout
            .contains("+100.0%")
    );
    let (plain, _) = SPEC.split_once("[metrics.usd_per_day]").unwrap();
    desk.write("plain.toml", plain);
    desk.sweep(&["run", "plain.toml", "-o", "plain", "--progress", "never"])
        .expect_code(0);
    diff("plain", "dear")
        .expect_code(2)
        .expect_stderr(&["unknown metric `usd_per_day`"]);
}

// The place of the text, a way out, and no run folder.
#[test]
fn a_metric_that_divides_by_a_text_writes_nothing() {
    let desk = Desk::new();
    desk.write("mine.toml", SPEC.replace("/ step_time_s", "/ bottleneck"));
    desk.sweep(&["run", "mine.toml", "-o", "run"])
        .expect_code(2)
        .expect_stderr(&[
            "`bottleneck` is text, not a number",
            "mine.toml:10:",
            "sweep list columns",
        ]);
    assert!(!desk.has("run"));
}
