//! Findings of one series: its curve, its breakdown point, the size to choose.

use schemars::JsonSchema;
use serde::Serialize;

use super::breakdown::{BreakdownPoint, breakdown_point, breakdown_point_of_best};
use super::cause::Breakdown;
use super::curve::{Efficiency, Scaling, SizeRate, efficiencies, teeth};
use super::dimension::Dimension;
use super::divisibility::uneven_sizes;
use super::fit::{Fits, fits};
use super::key_value::KeyValue;
use super::knee::knee;
use super::points::{Measured, SizePoint};
use super::series::{Series, label, value_of};
use super::size_choice::{SizeChoice, choose};
use super::training_cost::TrainingCost;
use crate::closed_set;
use crate::document::by_name;
use crate::spec::{AnalysisSettings, Axis};

closed_set! {
    /// How the layouts of a series came about.
    pub(crate) enum Layouts: "layouts" {
        /// Chosen anew at each size, as one would run it.
        ReOptimised = "re-optimised",
        /// Fixed to the layout of the smallest size, with only data parallelism growing.
        Frozen = "frozen",
    }
}

/// Findings of one series.
#[derive(Clone, Debug, JsonSchema, PartialEq, Serialize)]
pub struct SeriesFinding {
    /// Number of the curve, from 0; frozen ones follow the others.
    pub number: u32,
    /// Number of the series that it is a curve of: the same as `number` unless it is frozen.
    pub of_series: u32,
    /// Axes that define the series.
    #[serde(rename = "axes", serialize_with = "by_name::serialize")]
    #[schemars(schema_with = "by_name::schema::<KeyValue>")]
    pub key: Vec<(Axis, KeyValue)>,
    /// The run that its rows come from, where that tells them from others.
    pub run: Option<KeyValue>,
    /// Strong or weak: global batch or batch per GPU fixed.
    pub scaling: Scaling,
    /// How its layouts came about.
    pub(crate) layouts: Layouts,
    /// Sizes, smallest first, those that did not run included.
    pub sizes: Vec<SizeFinding>,
    /// Breakdown point against the smallest size, with its cause.
    pub breakdown: Breakdown,
    /// Breakdown point against the best rate per GPU.
    pub breakdown_of_best: BreakdownPoint,
    /// Size at which the rate bends most.
    pub knee: Option<f64>,
    /// Laws fitted to it.
    pub fits: Fits,
    /// Sizes to choose; `None` where nothing ran.
    pub choice: Option<SizeChoice>,
}

/// One size of a series.
#[derive(Clone, Debug, JsonSchema, PartialEq, Serialize)]
pub struct SizeFinding {
    /// Row of the size.
    pub point: SizePoint,
    /// Speedup and efficiency; `None` where it did not run.
    pub efficiency: Option<Efficiency>,
    /// Whether it lies under the upper envelope of the curve: a tooth of divisibility.
    pub sawtooth: bool,
    /// A whole training at this size; `None` without its tokens or samples.
    pub training: Option<TrainingCost>,
}

impl SeriesFinding {
    /// The value that an axis has in the series.
    pub(crate) fn value(&self, axis: Axis) -> Option<&KeyValue> {
        value_of(&self.key, axis)
    }

    /// The value that a dimension has in the series.
    pub(crate) fn dimension(&self, dimension: Dimension) -> Option<&KeyValue> {
        match dimension {
            Dimension::Axis(axis) => self.value(axis),
            Dimension::Run => self.run.as_ref(),
        }
    }

    /// The size that is recommended: the fastest within the threshold.
    pub fn recommended(&self) -> Option<&SizeFinding> {
        self.choice
            .map(|choice| &self.sizes[choice.fastest_efficient.place])
    }

    /// Samples per second at the recommended size.
    pub(crate) fn recommended_rate(&self) -> Option<f64> {
        let measured = self.recommended()?.point.measured?;
        Some(measured.samples_per_s)
    }

    /// Why that size, in words.
    pub(crate) fn recommended_why(&self) -> Option<String> {
        let efficiency = self.recommended()?.efficiency?;
        let choice = self.choice?;
        let last = self.sizes.iter().rposition(|s| s.efficiency.is_some())?;
        Some(if choice.fastest_efficient.place == last {
            format!(
                "largest size that ran, still {:.0}% efficient",
                100.0 * efficiency.of_baseline
            )
        } else {
            format!(
                "fastest size within the threshold, {:.0}% efficient",
                100.0 * efficiency.of_baseline
            )
        })
    }

    /// Sizes that ran, smallest first, with their results.
    pub(crate) fn ran(&self) -> impl DoubleEndedIterator<Item = (&SizeFinding, Measured)> {
        let sizes = self.sizes.iter();
        sizes.filter_map(|size| Some((size, size.point.measured?)))
    }

    /// Number of sizes that ran behind the last one whose efficiency reaches a threshold.
    pub(crate) fn sizes_under(&self, threshold: f64) -> usize {
        let efficiency = self.ran().filter_map(|(size, _)| size.efficiency).rev();
        efficiency
            .take_while(|efficiency| efficiency.of_baseline < threshold)
            .count()
    }

    /// The smallest size that ran.
    pub fn baseline(&self) -> Option<&SizeFinding> {
        self.sizes.iter().find(|size| size.efficiency.is_some())
    }

    /// The largest size whose efficiency reaches `threshold`.
    pub(crate) fn last_good(&self, threshold: f64) -> Option<&SizeFinding> {
        let reaches = |size: &&SizeFinding| {
            size.efficiency
                .is_some_and(|efficiency| efficiency.of_baseline >= threshold)
        };
        self.sizes.iter().rfind(reaches)
    }

    /// The values of some dimensions, in words: `h100-sxm llama3-70b`.
    pub fn label(&self, dimensions: &[Dimension]) -> String {
        label(dimensions, |dimension| self.dimension(dimension))
    }
}

/// Analyses a series.
pub(crate) fn series_finding(
    series: Series,
    number: u32,
    layouts: Layouts,
    settings: &AnalysisSettings,
) -> SeriesFinding {
    let threshold = settings.efficiency_threshold;
    let ran: Vec<(usize, &SizePoint)> = series
        .points
        .iter()
        .enumerate()
        .filter(|(_, point)| point.measured.is_some())
        .collect();
    let places: Vec<usize> = ran.iter().map(|(place, _)| *place).collect();
    let points: Vec<&SizePoint> = ran.iter().map(|(_, point)| *point).collect();
    let rates: Vec<SizeRate> = points
        .iter()
        .filter_map(|point| {
            point.measured.map(|measured| SizeRate {
                size: point.size,
                rate: measured.samples_per_s,
            })
        })
        .collect();
    let efficiency = efficiencies(&rates);
    let teeth = teeth(&efficiency, &uneven_sizes(&points, &efficiency, threshold));
    let point = breakdown_point(&rates, &efficiency, &teeth, threshold);
    let breakdown = Breakdown::new(point, &points, &places, series.scaling);
    let breakdown_of_best = breakdown_point_of_best(&rates, &efficiency, &teeth, threshold);
    let choice = choose(&points, &places, &efficiency, threshold);
    let envelope: Vec<SizeRate> = rates
        .iter()
        .zip(&teeth)
        .filter(|(_, tooth)| !**tooth)
        .map(|(rate, _)| *rate)
        .collect();
    let knee = knee(&envelope);
    let fits = fits(&envelope, series.scaling);
    SeriesFinding {
        number,
        of_series: number,
        key: series.key,
        run: series.run,
        scaling: series.scaling,
        layouts,
        breakdown,
        breakdown_of_best,
        knee,
        fits,
        choice,
        sizes: size_findings(series.points, &efficiency, &teeth),
    }
}

/// Puts the efficiencies of the sizes that ran beside all sizes.
fn size_findings(
    points: Vec<SizePoint>,
    efficiency: &[Efficiency],
    teeth: &[bool],
) -> Vec<SizeFinding> {
    let mut found = efficiency.iter().zip(teeth);
    points
        .into_iter()
        .map(|point| {
            let of_point = match point.measured {
                Some(_) => found.next(),
                None => None,
            };
            SizeFinding {
                training: point.measured.and_then(|measured| measured.training),
                point,
                efficiency: of_point.map(|(efficiency, _)| *efficiency),
                sawtooth: of_point.is_some_and(|(_, tooth)| *tooth),
            }
        })
        .collect()
}
