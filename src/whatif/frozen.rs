//! The curve of a series with the layout of its smallest size, only data parallelism growing.
//!
//! Beside the curve with layouts chosen anew it tells what the fabric does: a layout that adapts
//! hides a loss, or brings one in.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::replay::Replay;
use crate::analysis::points::PointColumns;
use crate::analysis::{Layouts, Series, SeriesFinding, SizePoint, series_finding};
use crate::record::{PointEnd, Provenance, Record, Rows, points_batch, points_schema};
use crate::simulation::{LayoutRequest, Outcome, Scenario, Scratch, simulate};
use crate::spec::{AnalysisSettings, Axis, Portion, Spec, StudyKind};

/// The curve of a series with the layout of its smallest size; `spec_of` gives the spec of a row's
/// file. Sizes that cannot run so are rows with their reason, as everywhere. `None` where a row has no
/// spec, or another one than wrote it.
pub(super) fn frozen_series<'a>(
    series: &SeriesFinding,
    layout: &LayoutRequest,
    spec_of: impl Fn(&SizePoint) -> Option<&'a Spec>,
    settings: &AnalysisSettings,
    scratch: &mut Scratch,
) -> Option<SeriesFinding> {
    let rows: Vec<&SizePoint> = series.sizes.iter().map(|size| &size.point).collect();
    let records = rows
        .iter()
        .map(|row| frozen_record(row, spec_of(row)?, layout, scratch))
        .collect::<Option<Vec<Record>>>()?;
    let frozen = Series {
        key: series.key.clone(),
        scaling: series.scaling,
        points: as_rows(&records, &rows)?,
    };
    let mut finding = series_finding(frozen, series.number, Layouts::Frozen, settings);
    finding.of_series = series.number;
    Some(finding)
}

/// The layout of the smallest size. A ZeRO stage means nothing to a single replica, so there it stays
/// as it was asked for.
pub(super) fn frozen_layout(baseline: &Replay) -> LayoutRequest {
    let mut layout = baseline.pinned.layout.clone();
    if baseline.step.layout.dp * baseline.step.layout.cp == 1 {
        layout.zero = baseline.asked_zero;
    }
    layout
}

/// A row's point with the frozen layout in place of its own.
fn frozen_record(
    row: &SizePoint,
    spec: &Spec,
    layout: &LayoutRequest,
    scratch: &mut Scratch,
) -> Option<Record> {
    if row.point >= spec.plan().len() {
        return None;
    }
    let point = spec.plan().point(row.point);
    let scenario = spec.plan().scenario(&point);
    let end = match &scenario {
        Ok(Scenario::Training(asked)) => {
            let mut training = asked.clone();
            training.layout = layout.clone();
            played(&Scenario::Training(training), scratch)
        }
        Ok(Scenario::Collective(_)) => return None,
        Err(why) => PointEnd::Outcome(Outcome::Infeasible(why.clone())),
    };
    // Whether memory is the bottleneck depends on what the spec asked for, so that scenario stays.
    let thresholds = &spec.analysis.thresholds;
    Some(Record::new(point, scenario.ok(), end, thresholds))
}

/// Plays a scenario; a fault of the simulator is how the point ended, as in a run.
fn played(scenario: &Scenario, scratch: &mut Scratch) -> PointEnd {
    if let Ok(outcome) = catch_unwind(AssertUnwindSafe(|| simulate(scenario, scratch))) {
        return PointEnd::Outcome(outcome);
    }
    *scratch = Scratch::default();
    PointEnd::Crashed("on the layout of the smallest size".to_owned())
}

/// Reads records the way the rows of every file are read.
fn as_rows(records: &[Record], of: &[&SizePoint]) -> Option<Vec<SizePoint>> {
    let schema = points_schema(&Provenance {
        study: StudyKind::Training,
        spec_name: String::new(),
        spec: String::new(),
        catalog_hash: String::new(),
        portion: Portion::default(),
    });
    let batch = points_batch(StudyKind::Training, &schema, records);
    let rows = Rows::new("points simulated again", batch);
    let columns = PointColumns::new(&rows).ok()?;
    of.iter()
        .zip(records)
        .enumerate()
        .map(|(place, (row, record))| {
            let nodes = record.point().number(Axis::Nodes);
            columns.row(place, row.source, Some(row.size), nodes).ok()
        })
        .collect()
}
