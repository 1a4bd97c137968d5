//! Published scaling series: what the analysis of the measured times says is what the source's own
//! numbers say.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use clustersweep::analysis::{Analysis, BreakdownStatus, Findings, Scaling};
use clustersweep::record::Rows;
use clustersweep::spec::AnalysisSettings;

use crate::points_table::{Cell, training_table};

/// One measured size.
#[derive(Clone, Copy, Debug)]
struct Measured {
    gpus: f64,
    step_time_s: f64,
    global_batch: f64,
}

impl Measured {
    /// Samples per second and GPU, as the source publishes or as its numbers give.
    fn rate_per_gpu(&self) -> f64 {
        self.global_batch / self.step_time_s / self.gpus
    }
}

/// The set that ships, and the whole one where it lies beside the checkout.
fn files() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let shipped = root.join("data/validation/training.csv");
    let whole = root.join("../shared/validation/training.csv");
    assert!(shipped.is_file());
    [shipped, whole]
        .into_iter()
        .filter(|file| file.is_file())
        .collect()
}

/// Series of at least three sizes by name, smallest size first; of two rows of one size the faster.
fn series(file: &Path) -> BTreeMap<(String, String), Vec<Measured>> {
    let mut found: BTreeMap<(String, String), Vec<Measured>> = BTreeMap::new();
    let mut reader = csv::Reader::from_path(file).unwrap();
    let header = reader.headers().unwrap().clone();
    for row in reader.records() {
        let row = row.unwrap();
        let cell = |name: &str| {
            let place = header.iter().position(|column| column == name).unwrap();
            row[place].to_owned()
        };
        let scaling = cell("scaling");
        if cell("scaling_series").is_empty() || !["strong", "weak"].contains(&scaling.as_str()) {
            continue;
        }
        let number = |name: &str| cell(name).parse::<f64>().unwrap();
        found
            .entry((cell("scaling_series"), scaling))
            .or_default()
            .push(Measured {
                gpus: number("gpus"),
                step_time_s: number("measured_step_time_s"),
                global_batch: number("global_batch"),
            });
    }
    for sizes in found.values_mut() {
        sizes.sort_by(|a, b| {
            a.gpus
                .total_cmp(&b.gpus)
                .then(b.rate_per_gpu().total_cmp(&a.rate_per_gpu()))
        });
        sizes.dedup_by(|later, first| later.gpus.to_bits() == first.gpus.to_bits());
    }
    found.retain(|_, sizes| sizes.len() >= 3);
    found
}

fn analysed(sizes: &[Measured], threshold: f64) -> Findings {
    let batch = training_table(sizes.len(), |column, row| {
        let size = sizes[row];
        match column {
            "point" => Cell::Number(row as f64),
            "status" => Cell::Text("ok"),
            "gpu" => Cell::Text("a100-80gb-sxm"),
            "model" => Cell::Text("bert-large"),
            "gpus" => Cell::Number(size.gpus),
            "global_batch" => Cell::Number(size.global_batch),
            "step_time_s" | "compute_s" => Cell::Number(size.step_time_s),
            "samples_per_s" => Cell::Number(size.global_batch / size.step_time_s),
            _ => Cell::Null,
        }
    });
    let mut analysis = Analysis::new(AnalysisSettings {
        efficiency_threshold: threshold,
        ..AnalysisSettings::default()
    });
    let rows = Rows::new("measured", batch);
    analysis.add(&rows, 0).unwrap();
    analysis.finish()
}

/// Places of the last size whose rate per GPU reaches the threshold and of the first one under it, and how many are
/// under it; without sizes that a later one betters by more than 2%.
fn by_the_source(sizes: &[Measured], threshold: f64) -> Option<(usize, usize, usize)> {
    let best = sizes[0].rate_per_gpu();
    let last_good = sizes
        .iter()
        .rposition(|size| size.rate_per_gpu() / best >= threshold)?;
    let is_on_envelope = |place: &usize| {
        let later = sizes[*place..].iter().map(Measured::rate_per_gpu);
        sizes[*place].rate_per_gpu() >= 0.98 * later.fold(0.0, f64::max)
    };
    let envelope: Vec<usize> = (last_good + 1..sizes.len())
        .filter(is_on_envelope)
        .collect();
    let first_bad = *envelope.first()?;
    Some((last_good, first_bad, envelope.len()))
}

#[test]
fn breakdowns_of_published_series_are_where_the_sources_numbers_put_them() {
    for file in files() {
        let (mut compared, mut confirmed) = (0, 0);
        for ((name, scaling), sizes) in series(&file) {
            // Few of them fall under 80%; at stricter thresholds the same definition meets more.
            for threshold in [0.8, 0.9, 0.95, 0.98] {
                let findings = analysed(&sizes, threshold);
                assert_eq!(findings.series.len(), 1, "{name}: {sizes:?}");
                let series = &findings.series[0];
                assert_eq!(series.scaling.as_str(), scaling, "{name}");
                let breakdown = &series.breakdown;
                let Some((last_good, first_bad, bad)) = by_the_source(&sizes, threshold) else {
                    assert_eq!(breakdown.status, BreakdownStatus::None, "{name}");
                    continue;
                };
                compared += 1;
                confirmed += usize::from(breakdown.status == BreakdownStatus::Confirmed);
                // One size alone is told apart, and is where it is all the same.
                let expected = match bad {
                    1 => BreakdownStatus::Unconfirmed,
                    _ => BreakdownStatus::Confirmed,
                };
                assert_eq!(breakdown.status, expected, "{name} at {threshold}");
                assert_eq!(
                    breakdown.first_bad.map(|bad| bad.place),
                    Some(first_bad),
                    "{name} at {threshold}"
                );
                let found = breakdown.size.unwrap();
                let between = sizes[last_good].gpus..=sizes[first_bad].gpus;
                assert!(between.contains(&found), "{name} at {threshold}: {found}");
            }
        }
        assert!(
            compared >= 20 && confirmed >= 5,
            "{}: {compared} breakdowns, {confirmed} of more than one size",
            file.display()
        );
    }
}

#[test]
fn measured_efficiencies_are_those_of_the_source() {
    for file in files() {
        for ((name, _), sizes) in series(&file) {
            let findings = analysed(&sizes, 0.8);
            let series = &findings.series[0];
            let weak = series.scaling == Scaling::Weak;
            for (size, found) in sizes.iter().zip(&series.sizes) {
                let found = found.efficiency.unwrap().of_baseline;
                // Weak: T₁/Tₙ, where the batch per GPU stays; strong: n₁T₁/(nTₙ).
                let (first, ratio) = (sizes[0], sizes[0].step_time_s / size.step_time_s);
                let expected = if weak {
                    ratio
                } else {
                    ratio * first.gpus / size.gpus
                };
                assert!((found / expected - 1.0).abs() < 1e-9, "{name}: {size:?}");
            }
        }
    }
}
