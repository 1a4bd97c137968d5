//! Tables out to Parquet and in again.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, Float64Array, Int64Array, NullArray, RecordBatch, StringArray, UInt64Array,
};
use arrow::datatypes::{DataType, Field, Schema};

use super::*;
use crate::record::provenance::keys;
use crate::simulation::Outcome;
use crate::simulation::{Scratch, simulate};
use crate::spec::{
    AnalysisSettings, BottleneckThresholds, ColumnType, Overrides, Portion, Spec, StudyKind, Syntax,
};

/// 24 points of a small model, some of which do not divide.
const SPEC: &str = r#"
name = "tables"
[grid]
gpu = "h100-sxm"
model = "llama3-8b"
nodes = [1, 2]
global_batch = [64, 96, 128]
tp = [1, 2, 3, "auto"]
"#;

fn records() -> (Provenance, Vec<Record>) {
    records_with(&BottleneckThresholds::default())
}

fn records_with(thresholds: &BottleneckThresholds) -> (Provenance, Vec<Record>) {
    let spec = Spec::parse("spec", SPEC, Syntax::Toml, &Overrides::default()).unwrap();
    let analysis = AnalysisSettings {
        thresholds: *thresholds,
        ..AnalysisSettings::default()
    };
    let plan = spec.plan();
    let mut scratch = Scratch::default();
    let records = plan
        .kept(0..plan.len())
        .map(|point| match plan.scenario(&point) {
            Ok(scenario) => {
                let outcome = simulate(&scenario, &mut scratch);
                (point, Some(scenario), outcome)
            }
            Err(why) => (point, None, Outcome::Infeasible(why)),
        })
        .map(|(point, scenario, outcome)| {
            Record::new(
                point,
                scenario,
                PointEnd::Outcome(outcome),
                &[],
                &analysis,
                &spec.metrics,
            )
        })
        .collect();
    let provenance = Provenance {
        study: spec.kind,
        spec_name: spec.name.clone(),
        spec: spec.resolved_text(),
        catalog_hash: "c0ffee".to_owned(),
        metrics: Arc::clone(&spec.metrics),
        portion: Portion::default(),
    };
    (provenance, records)
}

fn write(path: &Path, provenance: &Provenance, records: &[Record], rows_per_batch: usize) {
    let schema = points_schema(provenance);
    let mut writer = TableWriter::create(path, &schema, provenance).unwrap();
    for chunk in records.chunks(rows_per_batch) {
        writer
            .write(&points_batch(provenance, &schema, chunk))
            .unwrap();
    }
    writer.finish().unwrap();
}

/// The first rows of a file.
fn read(reader: PointsReader, wanted: &[Column]) -> Result<RecordBatch, ReadError> {
    let rows = reader.rows(wanted)?.next().unwrap()?;
    let arrays = wanted.iter().map(|it| (it.name, rows.column(it).unwrap()));
    Ok(RecordBatch::try_from_iter(arrays).unwrap())
}

/// Rewrites a file as another program would: other columns, no metadata.
fn write_plain(path: &Path, columns: Vec<(&str, ArrayRef)>) {
    let fields: Vec<Field> = columns
        .iter()
        .map(|(name, array)| Field::new(*name, array.data_type().clone(), true))
        .collect();
    let schema = Arc::new(Schema::new(fields));
    let arrays = columns.into_iter().map(|(_, array)| array).collect();
    let batch = RecordBatch::try_new(Arc::clone(&schema), arrays).unwrap();
    let file = fs::File::create(path).unwrap();
    let mut writer = parquet::arrow::ArrowWriter::try_new(file, schema, None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
}

// 24 records repeated 100 times: 2,400 rows in batches of 7, 512 and 2,400.
#[test]
fn the_sizes_of_batches_do_not_show_in_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let (provenance, records) = records();
    let many: Vec<Record> = (0..100).flat_map(|_| records.clone()).collect();
    let files: Vec<Vec<u8>> = [7, 512, 2_400]
        .into_iter()
        .map(|rows| {
            let path = dir.path().join(rows.to_string());
            write(&path, &provenance, &many, rows);
            fs::read(path).unwrap()
        })
        .collect();
    assert!(files[0] == files[1] && files[0] == files[2]);
}

#[test]
fn what_is_written_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("points.parquet");
    let (provenance, records) = records();
    write(&path, &provenance, &records, 5);
    let reader = PointsReader::open(&path).unwrap();
    assert_eq!(reader.kind(), StudyKind::Training);
    assert_eq!(reader.metadata(keys::CATALOG_HASH), Some("c0ffee"));
    assert_eq!(
        reader.metadata(keys::SPEC_HASH),
        Some(provenance.spec_hash().as_str())
    );
    let read = read(reader, columns::table(StudyKind::Training)).unwrap();
    let schema = points_schema(&provenance);
    let written = points_batch(&provenance, &schema, &records);
    assert_eq!(read.num_rows(), 24);
    for (read, written) in read.columns().iter().zip(written.columns()) {
        let plain = |array: &ArrayRef| match array.data_type() {
            DataType::Dictionary(..) => arrow::compute::cast(array, &DataType::Utf8).unwrap(),
            _ => Arc::clone(array),
        };
        assert_eq!(&plain(read), &plain(written));
    }
    assert!(
        fs::read_dir(dir.path()).unwrap().count() == 1,
        "no temporary file stays"
    );
}

// Neither 8 nor 16 GPUs can be divided into tensor-parallel groups of 3: 6 of the 24 points.
#[test]
fn a_row_that_did_not_run_has_a_reason_and_nulls() {
    let (provenance, records) = records();
    let schema = points_schema(&provenance);
    let batch = points_batch(&provenance, &schema, &records);
    let status =
        arrow::compute::cast(batch.column_by_name("status").unwrap(), &DataType::Utf8).unwrap();
    let status = status.as_any().downcast_ref::<StringArray>().unwrap();
    let reason = batch.column_by_name("reason").unwrap();
    let step = batch.column_by_name("step_time_s").unwrap();
    let ran = status.iter().filter(|status| *status == Some("ok")).count();
    assert!(ran > 0 && ran <= 18, "{ran} of 24 ran");
    for row in 0..24 {
        let ok = status.value(row) == "ok";
        assert_eq!(reason.is_null(row), ok);
        assert_eq!(step.is_valid(row), ok);
    }
    // `auto` is null among the inputs, and what was used stands beside it.
    assert_eq!(batch.column_by_name("tp").unwrap().null_count(), 6);
    assert_eq!(
        batch.column_by_name("used_tp").unwrap().null_count(),
        24 - ran
    );
}

// A peak over (1 − headroom) of the capacity is tight: with 5% of headroom those over 95%, with none of it none
// (a peak over the capacity does not run), with nearly all of it every step.
#[test]
fn a_row_is_tight_where_its_peak_lies_inside_the_headroom() {
    let tight = |memory_headroom: f64| -> Vec<(f64, bool)> {
        let thresholds = BottleneckThresholds {
            memory_headroom,
            ..BottleneckThresholds::default()
        };
        let records = records_with(&thresholds).1;
        let steps = records.iter().filter_map(|record| {
            let step = record.step()?;
            let share = step.memory.total().as_f64() / step.memory_capacity.as_f64();
            Some((share, record.metrics()?.tight))
        });
        steps.collect()
    };
    let shares: Vec<f64> = tight(0.05).into_iter().map(|(share, _)| share).collect();
    assert!(shares.len() > 4);
    let least = shares.iter().copied().fold(1.0, f64::min);
    for headroom in [0.05, 1.0 - least - 1e-6, 0.999] {
        for (share, is_tight) in tight(headroom) {
            assert_eq!(is_tight, share > 1.0 - headroom, "{share} with {headroom}");
        }
    }
    assert!(tight(0.0).iter().all(|(_, is_tight)| !is_tight));
    assert!(tight(0.999).iter().all(|(_, is_tight)| *is_tight));
    let (provenance, records) = records();
    let schema = points_schema(&provenance);
    let batch = points_batch(&provenance, &schema, &records);
    let column = batch.column_by_name("tight").unwrap();
    assert_eq!(*column.data_type(), DataType::Boolean);
    assert_eq!(column.null_count(), 24 - shares.len());
}

// pandas turns a count with a gap into floats with NaN, DuckDB text into plain strings.
#[test]
fn columns_that_others_have_rewritten_come_back_as_they_were() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("again.parquet");
    write_plain(
        &path,
        vec![
            ("extra", Arc::new(UInt64Array::from(vec![7, 7]))),
            (
                "used_tp",
                Arc::new(Float64Array::from(vec![Some(8.0), None])),
            ),
            (
                "status",
                Arc::new(StringArray::from(vec!["ok", "infeasible"])),
            ),
            // A column without any value has no type of its own.
            ("used_schedule", Arc::new(NullArray::new(2))),
        ],
    );
    let wanted = [columns::STATUS, columns::USED_TP, columns::USED_SCHEDULE];
    let read = read(PointsReader::open(&path).unwrap(), &wanted).unwrap();
    assert_eq!(
        *read.column(0).data_type(),
        column::data_type(ColumnType::Text)
    );
    assert_eq!(
        read.column(1).as_ref(),
        &Int64Array::from(vec![Some(8), None]) as &dyn Array
    );
    assert_eq!(
        *read.column(2).data_type(),
        column::data_type(ColumnType::Text)
    );
    assert_eq!(read.column(2).logical_null_count(), 2);
}

#[test]
fn what_cannot_be_read_is_named_with_file_and_column() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("odd.parquet");
    write_plain(
        &path,
        vec![
            ("gpus", Arc::new(StringArray::from(vec!["eight"]))),
            ("used_pp", Arc::new(Float64Array::from(vec![1.5]))),
            ("used_dp", Arc::new(Int64Array::from(vec![-8]))),
            ("used_cp", Arc::new(Float64Array::from(vec![1e19]))),
            ("used_ep", Arc::new(UInt64Array::from(vec![1 << 63]))),
        ],
    );
    for (column, message) in [
        (columns::GPUS, "column `gpus` holds Utf8, expected counts"),
        (
            columns::USED_PP,
            "column `used_pp` holds 1.5, expected counts",
        ),
        (
            columns::USED_DP,
            "column `used_dp` holds -8, expected counts",
        ),
        (
            columns::USED_CP,
            "column `used_cp` holds 10000000000000000000",
        ),
        (columns::USED_EP, "values out of range (UInt64)"),
        (columns::MFU, "no column `mfu`"),
    ] {
        let error = read(PointsReader::open(&path).unwrap(), &[column]).unwrap_err();
        let text = error.to_string();
        assert!(
            text.contains(message) && text.contains("odd.parquet"),
            "{text}"
        );
    }

    fs::write(&path, "no parquet").unwrap();
    let error = PointsReader::open(&path).unwrap_err().to_string();
    assert!(error.contains("not a whole Parquet file"), "{error}");
}

// Readers wrap around where they subtract from an unsigned integer: 8 − 1,024 would be 1.8·10¹⁹.
#[test]
fn every_integer_has_a_sign() {
    for kind in StudyKind::ALL {
        for column in columns::table(*kind) {
            let data_type = column.field().data_type().clone();
            assert!(!data_type.is_unsigned_integer(), "{}", column.name);
            assert_eq!(
                data_type == DataType::Int64,
                column.column_type() == ColumnType::Int,
                "{}",
                column.name
            );
        }
    }
}

#[test]
fn counts_of_version_1_without_a_sign_are_read() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("old.parquet");
    let gpus: ArrayRef = Arc::new(UInt64Array::from(vec![8, 16]));
    write_plain(&path, vec![("gpus", gpus)]);
    let read = read(PointsReader::open(&path).unwrap(), &[columns::GPUS]).unwrap();
    assert_eq!(
        read.column(0).as_ref(),
        &Int64Array::from(vec![8, 16]) as &dyn Array
    );
}

#[test]
fn another_version_of_the_columns_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("future.parquet");
    let file = fs::File::create(&path).unwrap();
    let schema = Arc::new(Schema::new(vec![Field::new(
        "point",
        DataType::UInt64,
        true,
    )]));
    let pair =
        parquet::file::metadata::KeyValue::new(keys::SCHEMA_VERSION.to_owned(), "99".to_owned());
    let properties = parquet::file::properties::WriterProperties::builder()
        .set_key_value_metadata(Some(vec![pair]))
        .build();
    parquet::arrow::ArrowWriter::try_new(file, schema, Some(properties))
        .unwrap()
        .close()
        .unwrap();
    let error = PointsReader::open(&path).unwrap_err().to_string();
    assert!(error.contains("columns of version 99"), "{error}");
}

#[test]
fn a_file_that_is_not_finished_leaves_nothing_behind() {
    let dir = tempfile::tempdir().unwrap();
    let (provenance, records) = records();
    let schema = points_schema(&provenance);
    let path = dir.path().join("points.parquet");
    let mut writer = TableWriter::create(&path, &schema, &provenance).unwrap();
    writer
        .write(&points_batch(&provenance, &schema, &records))
        .unwrap();
    drop(writer);
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
}
