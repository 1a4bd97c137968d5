//! Results that another program, another version or a broken disk left behind: each is refused with
//! its file and column, or read as far as it says something.

use std::collections::HashMap;
use std::fs::File;
use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema};
use clustersweep::record::provenance::keys;
use parquet::arrow::ArrowWriter;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;

use crate::analysis::{Row, strong};
use crate::desk::Desk;
use crate::points_table::training_table;

fn table(rows: &[Row]) -> RecordBatch {
    training_table(rows.len(), |column, row| rows[row].cell(column, row))
}

/// Writes a table as any program may, with some metadata of the file.
fn write(desk: &Desk, name: &str, table: &RecordBatch, metadata: &[(&str, &str)]) {
    let pairs = metadata
        .iter()
        .map(|(key, value)| KeyValue::new((*key).to_owned(), (*value).to_owned()))
        .collect();
    let properties = WriterProperties::builder()
        .set_key_value_metadata(Some(pairs))
        .build();
    let file = File::create(desk.path(name)).unwrap();
    let mut writer = ArrowWriter::try_new(file, table.schema(), Some(properties)).unwrap();
    writer.write(table).unwrap();
    writer.close().unwrap();
}

/// The table with one column in the place of another of the same name.
fn with_column(table: &RecordBatch, field: Field, column: ArrayRef) -> RecordBatch {
    let schema = table.schema();
    let place = schema.index_of(field.name()).unwrap();
    let mut fields: Vec<Arc<Field>> = schema.fields().iter().cloned().collect();
    let mut columns = table.columns().to_vec();
    fields[place] = Arc::new(field);
    columns[place] = column;
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap()
}

/// The table with other step times; the first row's is the one given.
fn with_first_step_time(value: f64) -> RecordBatch {
    let table = table(&strong("h100-sxm"));
    let field = table
        .schema()
        .field_with_name("step_time_s")
        .unwrap()
        .clone();
    let times = [value, 4.5, 2.5, 1.5, 1.0];
    with_column(&table, field, Arc::new(Float64Array::from(times.to_vec())))
}

#[test]
fn results_of_another_version_are_refused() {
    let desk = Desk::new();
    let table = table(&strong("h100-sxm"));
    write(&desk, "old.parquet", &table, &[(keys::SCHEMA_VERSION, "7")]);
    desk.sweep(&["analyze", "old.parquet"])
        .expect_code(3)
        .expect_stderr(&["`old.parquet`", "version 7", "reads versions 1 to 2"]);
    desk.sweep(&["diff", "old.parquet", "old.parquet"])
        .expect_code(3)
        .expect_stderr(&["version 7"]);
}

#[test]
fn a_missing_column_is_named() {
    let desk = Desk::new();
    let table = table(&strong("h100-sxm"));
    let place = table.schema().index_of("samples_per_s").unwrap();
    let kept: Vec<usize> = (0..table.num_columns()).filter(|it| *it != place).collect();
    write(&desk, "less.parquet", &table.project(&kept).unwrap(), &[]);
    desk.sweep(&["analyze", "less.parquet"])
        .expect_code(3)
        .expect_stderr(&["`less.parquet`", "no column `samples_per_s`"]);
}

#[test]
fn another_unit_is_named_also_beside_a_run_in_the_usual_one() {
    let desk = Desk::new();
    let table = table(&strong("h100-sxm"));
    write(&desk, "seconds.parquet", &table, &[]);
    let field = Field::new("step_time_s", DataType::Float64, true)
        .with_metadata(HashMap::from([("unit".to_owned(), "ms".to_owned())]));
    let column = table.column_by_name("step_time_s").unwrap().clone();
    write(
        &desk,
        "millis.parquet",
        &with_column(&table, field, column),
        &[],
    );
    let said = ["`millis.parquet`", "column `step_time_s`", "`ms`", "`s`"];
    desk.sweep(&[
        "analyze",
        "seconds.parquet",
        "millis.parquet",
        "--out",
        "both",
    ])
    .expect_code(3)
    .expect_stderr(&said);
    desk.sweep(&["diff", "seconds.parquet", "millis.parquet"])
        .expect_code(3)
        .expect_stderr(&said);
}

#[test]
fn text_in_a_number_column_is_named() {
    let desk = Desk::new();
    let table = table(&strong("h100-sxm"));
    let field = Field::new("step_time_s", DataType::Utf8, true);
    let words = StringArray::from(vec!["fast"; table.num_rows()]);
    let wrong = with_column(&table, field, Arc::new(words));
    write(&desk, "text.parquet", &wrong, &[]);
    desk.sweep(&["analyze", "text.parquet"])
        .expect_code(3)
        .expect_stderr(&["`text.parquet`", "column `step_time_s`", "numbers"]);
}

#[test]
fn a_time_that_cannot_be_is_named_with_its_point() {
    let desk = Desk::new();
    for (value, said) in [(f64::NAN, "NaN"), (-8.0, "-8"), (f64::INFINITY, "inf")] {
        write(&desk, "bad.parquet", &with_first_step_time(value), &[]);
        for command in [
            &["analyze", "bad.parquet"][..],
            &["diff", "bad.parquet", "bad.parquet"][..],
        ] {
            desk.sweep(command).expect_code(2).expect_stderr(&[
                "`bad.parquet`",
                "column `step_time_s`",
                said,
                "point 0",
            ]);
        }
    }
    // Nought is no time of a step either, but a metric may be nought.
    write(&desk, "bad.parquet", &with_first_step_time(0.0), &[]);
    desk.sweep(&["analyze", "bad.parquet"])
        .expect_code(2)
        .expect_stderr(&["column `step_time_s`", "more than zero"]);
}

#[test]
fn little_or_nothing_is_told_as_such() {
    let desk = Desk::new();
    let rows = strong("h100-sxm");
    let dead: Vec<Row> = rows
        .iter()
        .map(|row| Row {
            parts: None,
            ..*row
        })
        .collect();
    for (rows, said) in [
        (&rows[..1], "no series ran at more than one size"),
        (&dead[..], "none of 5 points ran (5 infeasible, 0 crashed)"),
        (&rows[..0], "the results hold no rows"),
    ] {
        write(&desk, "few.parquet", &table(rows), &[]);
        let ended = desk.sweep(&["analyze", "few.parquet", "--out", "few"]);
        assert!(ended.stdout.contains(said), "{}", ended.stdout);
        let page = String::from_utf8(desk.read("few/report.html")).unwrap();
        assert!(page.contains(said), "{said}");
        ended.expect_code(0);
    }
}

#[test]
fn ten_thousand_series_are_summed_up_and_all_kept() {
    let desk = Desk::new();
    let rows: Vec<Row> = (0..10_000)
        .flat_map(|number| {
            strong("h100-sxm").into_iter().map(move |row| Row {
                global_batch: 1_024.0 + f64::from(number),
                ..row
            })
        })
        .collect();
    write(&desk, "many.parquet", &table(&rows), &[]);
    let ended = desk.sweep(&[
        "analyze",
        "many.parquet",
        "--out",
        "many",
        "--plots",
        "plots",
        "-v",
    ]);
    assert!(ended.stdout.contains("10,000 series"), "{}", ended.stdout);
    assert!(ended.stdout.lines().count() < 40, "{}", ended.stdout);
    assert!(desk.read("many/report.html").len() < 2_000_000);
    assert!(desk.has("plots/reach.svg") && desk.has("plots/rate.svg"));
    ended.expect_code(0);
}
