//! The curve of a series with the layout of its smallest size, only data parallelism growing.
//!
//! Compared with the curve of layouts chosen anew it shows what the fabric does: a layout that adapts can
//! hide a loss, or cause one.

use std::sync::Arc;

use super::replay::{Replay, point};
use crate::analysis::points::PointColumns;
use crate::analysis::{Layouts, Series, SeriesFinding, SizePoint, series_finding};
use crate::record::{
    PhaseStep, PointEnd, Provenance, Record, Rows, metric_columns, phase_steps, points_batch,
    points_schema,
};
use crate::simulation::{
    LayoutRequest, Outcome, Scenario, Scratch, TrainingScenario, guarded, simulate_training,
};
use crate::spec::{AnalysisSettings, Axis, Metric, Portion, Spec, StudyKind};

/// The curve of a series with the layout of its smallest size; `spec_of` gives the spec of a row's
/// file. Sizes that cannot run with it are rows with their reason. `None` where a row has no spec, or
/// another spec than wrote it.
pub(super) fn frozen_series<'a>(
    series: &SeriesFinding,
    layout: &LayoutRequest,
    spec_of: impl Fn(&SizePoint) -> Option<&'a Spec>,
    settings: &AnalysisSettings,
    scratch: &mut Scratch,
) -> Option<SeriesFinding> {
    let rows: Vec<&SizePoint> = series.sizes.iter().map(|size| &size.point).collect();
    let metrics = rows.first().and_then(|row| Some(&spec_of(row)?.metrics));
    let records = rows
        .iter()
        .map(|row| frozen_record(row, spec_of(row)?, layout, scratch))
        .collect::<Option<Vec<Record>>>()?;
    let frozen = Series {
        key: series.key.clone(),
        run: series.run.clone(),
        scaling: series.scaling,
        points: as_rows(&records, &rows, metrics?)?,
    };
    let mut finding = series_finding(frozen, series.number, Layouts::Frozen, settings);
    finding.of_series = series.number;
    Some(finding)
}

/// Layout of the smallest size. A ZeRO stage means nothing to a single replica, so there it stays as
/// requested.
pub(super) fn frozen_layout(baseline: &Replay) -> LayoutRequest {
    let mut layout = baseline.pinned.layout.clone();
    if baseline.step.layout.dp * baseline.step.layout.cp == 1 {
        layout.zero = baseline.asked_zero;
    }
    layout
}

/// Record of a row's point simulated with the frozen layout.
fn frozen_record(
    row: &SizePoint,
    spec: &Spec,
    layout: &LayoutRequest,
    scratch: &mut Scratch,
) -> Option<Record> {
    let point = point(spec, row)?;
    let scenario = spec.plan().scenario(&point);
    let (end, phases) = match &scenario {
        Ok(Scenario::Training(asked)) => {
            let mut training = asked.clone();
            training.layout = layout.clone();
            played(&training, spec, scratch)
        }
        Ok(Scenario::Collective(_)) => return None,
        Err(why) => {
            let infeasible = Outcome::Infeasible(why.clone());
            (PointEnd::Outcome(infeasible), Vec::new())
        }
    };
    // Whether memory is the bottleneck depends on what the spec asked for, so that scenario stays.
    let (analysis, metrics) = (&spec.analysis, &spec.metrics);
    Some(Record::new(
        point,
        scenario.ok(),
        end,
        &phases,
        analysis,
        metrics,
    ))
}

/// Simulates a scenario and the phases of its training; a panic of the simulator is a crashed point, as in a run.
fn played(
    scenario: &TrainingScenario,
    spec: &Spec,
    scratch: &mut Scratch,
) -> (PointEnd, Vec<PhaseStep>) {
    let measured = spec.measured();
    let played = guarded(scratch, |scratch| {
        match simulate_training(scenario, scratch) {
            Ok(step) => {
                let phases = phase_steps(scenario, &spec.analysis.phases, measured, scratch);
                let step = measured.correct(scenario, step);
                (Outcome::Completed(Box::new(step)), phases)
            }
            Err(why) => (Outcome::Infeasible(why), Vec::new()),
        }
    });
    match played {
        Ok((outcome, phases)) => (PointEnd::Outcome(outcome), phases),
        Err(crash) => (PointEnd::Crashed(crash.to_string()), Vec::new()),
    }
}

/// Rows of records with their metrics, read as the rows of a file are.
fn as_rows(
    records: &[Record],
    of: &[&SizePoint],
    metrics: &Arc<[Metric]>,
) -> Option<Vec<SizePoint>> {
    let provenance = Provenance {
        study: StudyKind::Training,
        spec_name: String::new(),
        spec: String::new(),
        catalog_hash: String::new(),
        metrics: Arc::clone(metrics),
        portion: Portion::default(),
    };
    let schema = points_schema(&provenance);
    let batch = points_batch(&provenance, &schema, records);
    let rows = Rows::new("points simulated again", batch);
    let columns = PointColumns::new(&rows, &metric_columns(metrics)).ok()?;
    of.iter()
        .zip(records)
        .enumerate()
        .map(|(place, (row, record))| {
            let nodes = record.point().number(Axis::Nodes);
            columns.row(place, row.source, Some(row.size), nodes).ok()
        })
        .collect()
}
