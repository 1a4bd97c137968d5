//! How fast a million rows are analysed: 125,000 series of eight sizes, as a file.
//!
//! The file stays in `target/tmp/million.parquet`, so that the whole command can be measured too:
//! `/usr/bin/time -v sweep analyze target/tmp/million.parquet --out target/tmp/million`.

use std::hint::black_box;
use std::path::{Path, PathBuf};

use clustersweep::analysis::analyse_files;
use clustersweep::record::{Provenance, TableWriter};
use clustersweep::spec::{AnalysisSettings, Axis, Portion, StudyKind};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use points_table::{Cell, training_table};

#[path = "../tests/it/points_table.rs"]
mod points_table;

const ROWS: usize = 1_000_000;
const SIZES: usize = 8;
const CHUNK: usize = 32_768;

/// The row of a strong series that loses to its gradients: compute shrinks with the size, they do not.
fn cell(column: &str, row: usize) -> Cell {
    let (series, place) = (row / SIZES, row % SIZES);
    let nodes = f64::from(1_u32 << place);
    // Values of an axis that vary ever more slowly.
    let digit = |below: usize, base: usize| (series / below % base) as f64;
    let gradients = 0.01 * (1.0 + digit(1, 10));
    let compute = 10.0 / nodes;
    match column {
        "point" => Cell::Number(row as f64),
        "status" if place == 7 && series % 4 == 0 => Cell::Text("infeasible"),
        "reason" if place == 7 && series % 4 == 0 => {
            Cell::Text("divisibility: global batch 512 cannot be divided by dp 1024")
        }
        "status" => Cell::Text("ok"),
        "bottleneck" => Cell::Text("compute"),
        "model" => {
            Cell::Text(["llama2-7b", "llama2-13b", "llama3-70b", "gpt3-175b"][series / 25 % 4])
        }
        "gpu" => Cell::Text("h100-sxm"),
        "cluster" => Cell::Text("dgx-h100"),
        "nic_gbit_per_s" => Cell::Number(100.0 * (1.0 + digit(1, 10))),
        "oversubscription" => Cell::Number(1.0 + digit(10, 10)),
        "global_batch" => Cell::Number(512.0 * (1.0 + digit(100, 50))),
        "seq_len" => Cell::Number(1024.0 * (1.0 + digit(5_000, 25))),
        "nodes" => Cell::Number(nodes),
        "gpus" | "used_dp" => Cell::Number(8.0 * nodes),
        "step_time_s" => Cell::Number(compute + gradients),
        "samples_per_s" => Cell::Number(512.0 / (compute + gradients)),
        "tokens_per_s" => Cell::Number(512.0 * 2_048.0 / (compute + gradients)),
        "compute_s" => Cell::Number(compute),
        "dp_comm_exposed_s" => Cell::Number(gradients),
        "recompute_s" | "tp_comm_exposed_s" | "cp_comm_exposed_s" | "ep_comm_exposed_s"
        | "pp_comm_exposed_s" | "bubble_s" | "optimizer_s" | "overhead_s" => Cell::Number(0.0),
        "mfu" => Cell::Number(0.5 * compute / (compute + gradients)),
        "microbatches" => Cell::Number(4.0),
        "used_tp" | "used_micro_batch" | "used_pp" => Cell::Number(1.0),
        "memory_peak_bytes" => Cell::Number(6e10),
        "memory_capacity_bytes" => Cell::Number(8e10),
        _ => Cell::Null,
    }
}

fn million_rows() -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("million.parquet");
    if path.is_file() {
        return path;
    }
    let provenance = Provenance {
        study: StudyKind::Training,
        spec_name: "million".to_owned(),
        spec: String::new(),
        catalog_hash: String::new(),
        metrics: [].into(),
        portion: Portion::default(),
    };
    let mut writer: Option<TableWriter> = None;
    for first in (0..ROWS).step_by(CHUNK) {
        let rows = CHUNK.min(ROWS - first);
        let batch = training_table(rows, |column, row| cell(column, first + row));
        let writer = writer.get_or_insert_with(|| {
            TableWriter::create(&path, &batch.schema(), &provenance).expect("it opens")
        });
        writer.write(&batch).expect("there is room");
    }
    writer
        .expect("there are rows")
        .finish()
        .expect("there is room");
    path
}

fn million(criterion: &mut Criterion) {
    let path = million_rows();
    let mut group = criterion.benchmark_group("analysis");
    group.sample_size(10);
    group.throughput(Throughput::Elements(ROWS as u64));
    group.bench_function("million_rows", |bencher| {
        bencher.iter(|| {
            let findings = analyse_files(&[&path], &AnalysisSettings::default(), &[], Axis::Gpus);
            black_box(findings.expect("the rows are sound"))
        });
    });
    group.finish();
}

criterion_group!(benches, million);
criterion_main!(benches);
