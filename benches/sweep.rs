//! Speed of the event engine, of one point, of the main sweep and of the Parquet writer.
//!
//! `cargo bench` runs all of them; `cargo bench -- main_sweep` one. Criterion keeps the last figures in
//! `target/criterion` and prints the change against them.

use std::hint::black_box;
use std::num::NonZeroUsize;
use std::path::Path;

use clustersweep::des::Engine;
use clustersweep::record::{
    PointEnd, Provenance, Record, TableWriter, points_batch, points_schema,
};
use clustersweep::runner::{
    Finished, Interrupt, Planned, RunFolder, RunOptions, Silent, Study, Work, run,
};
use clustersweep::simulation::Scratch;
use clustersweep::spec::{Overrides, Portion, Spec};
use clustersweep::units::SimDuration;
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};

/// The main sweep, as users run it.
fn main_sweep() -> Spec {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("sweeps/llm.toml");
    Spec::load(&path, &Overrides::default()).expect("the main sweep is a good spec")
}

/// Two devices whose 1,000 tasks alternate, each waiting for the one before.
fn ping_pong(engine: &mut Engine) -> u64 {
    engine.clear();
    let streams = [engine.add_stream(0), engine.add_stream(1)];
    let mut previous = None;
    for index in 0..1_000 {
        let task = engine.add_task(streams[index % 2], SimDuration::from_micros(10));
        if let Some(before) = previous {
            engine.add_dependency(before, task, SimDuration::from_micros(1));
        }
        previous = Some(task);
    }
    engine.run();
    engine.events()
}

fn event_engine(criterion: &mut Criterion) {
    let mut engine = Engine::default();
    let events = ping_pong(&mut engine);
    let mut group = criterion.benchmark_group("event_engine");
    group.throughput(Throughput::Elements(events));
    group.bench_function("ping_pong", |bencher| {
        bencher.iter(|| black_box(ping_pong(&mut engine)));
    });
    group.finish();
}

fn one_point(criterion: &mut Criterion) {
    let spec = main_sweep();
    let study = Planned::new(&spec);
    let mut scratch = Scratch::default();
    let mut group = criterion.benchmark_group("one_point");
    // Layout search over 8, 64 and 1,024 GPUs.
    for (gpus, nodes) in [(8, 1), (64, 8), (1_024, 128)] {
        let point = spec
            .plan()
            .kept(0..spec.plan().len())
            .find(|point| {
                point.int(clustersweep::spec::Axis::Nodes) == Some(nodes)
                    && point.text(clustersweep::spec::Axis::Model) == Some("llama3-70b")
            })
            .expect("the main sweep has Llama 3 70B at every size");
        group.bench_function(format!("llama3-70b/{gpus}"), |bencher| {
            bencher.iter(|| black_box(study.play(&point, &mut scratch)));
        });
    }
    group.finish();
}

fn whole_sweep(criterion: &mut Criterion) {
    let spec = main_sweep();
    let points = spec.plan().kept(0..spec.plan().len()).count();
    let folder = tempfile::tempdir().expect("a folder for results");
    let provenance = provenance(&spec);
    let options = RunOptions {
        threads: NonZeroUsize::MIN,
        fail_fast: false,
        point_timeout: None,
        no_join: false,
    };
    let mut group = criterion.benchmark_group("main_sweep");
    group.sample_size(10);
    group.throughput(Throughput::Elements(points as u64));
    group.bench_function("one_thread", |bencher| {
        bencher.iter_batched(
            || RunFolder::prepare(&folder.path().join("run"), true).expect("it can be written"),
            |run_folder| {
                run(
                    &Planned::new(&spec),
                    Work {
                        points: spec.plan().kept(0..spec.plan().len()),
                        finished: Finished::default(),
                    },
                    &run_folder,
                    &provenance,
                    options,
                    &Interrupt::default(),
                    &Silent,
                )
                .expect("the main sweep runs")
            },
            BatchSize::PerIteration,
        );
    });
    group.finish();
}

fn parquet_writer(criterion: &mut Criterion) {
    let spec = main_sweep();
    let study = Planned::new(&spec);
    let mut scratch = Scratch::default();
    let records: Vec<Record> = spec
        .plan()
        .kept(0..spec.plan().len())
        .take(512)
        .map(|point| {
            let (scenario, outcome) = study.play(&point, &mut scratch);
            Record::new(
                point,
                scenario,
                PointEnd::Outcome(outcome),
                &[],
                study.analysis(),
                study.metrics(),
            )
        })
        .collect();
    let provenance = provenance(&spec);
    let schema = points_schema(&provenance);
    let folder = tempfile::tempdir().expect("a folder for results");
    let path = folder.path().join("points.parquet");
    // 8,192 rows, far under the 32,768 of a row group.
    let chunks = 16;
    let mut group = criterion.benchmark_group("parquet_writer");
    group.sample_size(20);
    group.throughput(Throughput::Elements(chunks * records.len() as u64));
    group.bench_function("rows", |bencher| {
        bencher.iter(|| {
            let mut writer = TableWriter::create(&path, &schema, &provenance).expect("it opens");
            for _ in 0..chunks {
                let batch = points_batch(&provenance, &schema, &records);
                writer.write(&batch).expect("there is room");
            }
            writer.finish().expect("there is room");
        });
    });
    group.finish();
}

fn provenance(spec: &Spec) -> Provenance {
    Provenance {
        study: spec.kind,
        spec_name: spec.name.clone(),
        spec: spec.resolved_text(),
        catalog_hash: clustersweep::catalog::Catalog::hash(),
        metrics: [].into(),
        portion: Portion::default(),
    }
}

criterion_group!(
    benches,
    event_engine,
    one_point,
    whole_sweep,
    parquet_writer
);
criterion_main!(benches);
