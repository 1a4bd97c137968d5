//! Everything the rows say, series by series.

use std::collections::BTreeMap;

use serde::Serialize;

use super::breakdown::{
    BreakdownCause, BreakdownPoint, BreakdownStatus, Contribution, Spending, breakdown_point,
    breakdown_point_of_best, cause, contributions,
};
use super::choice::{Choice, choose};
use super::curve::{Efficiency, Scaling, SizeRate, efficiencies, sawteeth};
use super::error::AnalysisError;
use super::fit::{Fits, fits};
use super::input::Rows;
use super::knee::knee;
use super::points::{Reason, SizePoint};
use super::series::{KeyValue, Series, SeriesReader};
use super::training_cost::TrainingCost;
use crate::closed_set;
use crate::record::PointStatus;
use crate::spec::{AnalysisSettings, Axis};

closed_set! {
    /// How the layouts of a series came about.
    pub enum Layouts: "layouts" {
        /// Chosen anew at each size, as one would run it.
        ReOptimised = "re-optimised",
        /// That of the smallest size, with only data parallelism growing.
        Frozen = "frozen",
    }
}

/// What all rows together say.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Findings {
    /// Axis that is taken as the size.
    pub size_axis: Axis,
    /// Efficiency under which a series counts as broken.
    pub threshold: f64,
    /// How many rows ended how.
    pub counts: Counts,
    /// Axes that differ between series.
    pub varied: Vec<Axis>,
    /// The series, in the order of their first rows.
    pub series: Vec<SeriesFinding>,
    /// Why there is nothing to say, where there is not.
    pub nothing: Option<String>,
}

/// How many rows ended how.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Rows that ran.
    pub ok: u64,
    /// Rows that cannot run.
    pub infeasible: u64,
    /// Rows on which the simulator failed.
    pub crashed: u64,
    /// Infeasible rows by the kind of their reason.
    pub reasons: BTreeMap<String, u64>,
}

impl Counts {
    /// All rows.
    pub fn rows(&self) -> u64 {
        self.ok + self.infeasible + self.crashed
    }

    fn add(&mut self, point: &SizePoint) {
        match point.status {
            PointStatus::Ok => self.ok += 1,
            PointStatus::Crashed => self.crashed += 1,
            PointStatus::Infeasible => {
                self.infeasible += 1;
                let kind = point.reason.as_ref().map_or("unknown", Reason::kind);
                match self.reasons.get_mut(kind) {
                    Some(count) => *count += 1,
                    None => {
                        self.reasons.insert(kind.to_owned(), 1);
                    }
                }
            }
        }
    }
}

/// What one series says.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SeriesFinding {
    /// Number of the series, from 0.
    pub number: u32,
    /// The axes that define it.
    pub key: Vec<(Axis, KeyValue)>,
    /// What stays the same while it grows.
    pub scaling: Scaling,
    /// How its layouts came about.
    pub layouts: Layouts,
    /// Its sizes, smallest first, those that did not run included.
    pub sizes: Vec<SizeFinding>,
    /// Where it breaks down against its smallest size.
    pub breakdown: Breakdown,
    /// Where it breaks down against its best rate per GPU.
    pub breakdown_of_best: BreakdownPoint,
    /// Where its rate bends most.
    pub knee: Option<f64>,
    /// Laws fitted to it.
    pub fits: Fits,
    /// Sizes to choose, as places in `sizes`; `None` where nothing ran.
    pub choice: Option<Choice>,
}

/// One size of a series.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SizeFinding {
    /// Its row.
    pub point: SizePoint,
    /// Its scaling; `None` where it did not run.
    pub efficiency: Option<Efficiency>,
    /// Whether it is slower per GPU than both neighbours: a tooth of divisibility.
    pub sawtooth: bool,
    /// A whole training at this size; `None` where the number of tokens is not set.
    pub training: Option<TrainingCost>,
}

/// A breakdown point with its cause.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Breakdown {
    /// What the data say.
    pub status: BreakdownStatus,
    /// Size of the crossing, interpolated; also where it is unconfirmed.
    pub size: Option<f64>,
    /// First size under the threshold, as a place in `sizes`.
    pub first_bad: Option<usize>,
    /// Last size above it.
    pub last_good: Option<usize>,
    /// What breaks it.
    pub cause: Option<BreakdownCause>,
    /// The loss between the two sizes by part, largest first; sums to the loss.
    pub contributions: Vec<Contribution>,
}

impl SeriesFinding {
    /// The value that an axis has in the series.
    pub fn value(&self, axis: Axis) -> Option<&KeyValue> {
        self.key
            .iter()
            .find(|(of, _)| *of == axis)
            .map(|(_, value)| value)
    }

    /// The size that is recommended: the fastest within the threshold.
    pub fn recommended(&self) -> Option<&SizeFinding> {
        self.choice
            .map(|choice| &self.sizes[choice.fastest_efficient])
    }

    /// Why that size, in words.
    pub fn recommended_why(&self) -> Option<String> {
        let efficiency = self.recommended()?.efficiency?;
        let choice = self.choice?;
        let last = self.sizes.iter().rposition(|s| s.efficiency.is_some())?;
        Some(if choice.fastest_efficient == last {
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

    /// The smallest size that ran.
    pub fn baseline(&self) -> Option<&SizeFinding> {
        self.sizes.iter().find(|size| size.efficiency.is_some())
    }

    /// The values of some axes, in words: `h100-sxm llama3-70b`.
    pub fn label(&self, axes: &[Axis]) -> String {
        let words: Vec<String> = axes
            .iter()
            .map(|axis| match self.value(*axis) {
                Some(value @ KeyValue::Text(_)) => value.to_string(),
                Some(value) => format!("{axis} {value}"),
                None => format!("{axis} auto"),
            })
            .collect();
        words.join(" ")
    }
}

/// Gathers rows and finds what they say.
#[derive(Debug)]
pub struct Analysis {
    settings: AnalysisSettings,
    size_axis: Axis,
    reader: SeriesReader,
}

impl Analysis {
    /// An analysis over the size of the job.
    pub fn new(settings: AnalysisSettings) -> Self {
        Self::over(settings, Axis::Nodes)
    }

    /// An analysis over another numeric axis.
    pub fn over(settings: AnalysisSettings, size_axis: Axis) -> Self {
        Self {
            settings,
            size_axis,
            reader: SeriesReader::new(size_axis),
        }
    }

    /// Adds the rows of one record batch; `source` is the place of its file among those analysed.
    ///
    /// # Errors
    /// If a column is missing, of another type or unit, or holds an impossible value.
    pub fn add(&mut self, rows: Rows<'_>, source: u32) -> Result<(), AnalysisError> {
        self.reader.add(rows, source)
    }

    /// What the rows say.
    pub fn finish(self) -> Findings {
        let threshold = self.settings.efficiency_threshold;
        let series = self.reader.finish();
        let mut counts = Counts::default();
        for point in series.iter().flat_map(|series| &series.points) {
            counts.add(point);
        }
        let varied = varied_axes(&series);
        let nothing = nothing_to_say(&counts, &series);
        Findings {
            size_axis: self.size_axis,
            threshold,
            counts,
            varied,
            series: series
                .into_iter()
                .zip(0..)
                .map(|(series, number)| series_finding(series, number, &self.settings))
                .collect(),
            nothing,
        }
    }
}

/// Axes whose value is not the same in every series, without those that another axis decides: where
/// every GPU comes with one cluster, the GPU tells the series apart.
fn varied_axes(series: &[Series]) -> Vec<Axis> {
    let varies = |axis: &Axis| {
        let first = series.first().and_then(|first| key_value(first, *axis));
        series.iter().any(|other| key_value(other, *axis) != first)
    };
    let (names, others): (Vec<Axis>, Vec<Axis>) =
        Axis::ALL.iter().copied().filter(varies).partition(|axis| {
            matches!(
                axis,
                Axis::Gpu | Axis::Model | Axis::GlobalBatch | Axis::BatchPerGpu
            )
        });
    let mut kept: Vec<Axis> = Vec::new();
    for axis in names.into_iter().chain(others) {
        if !kept.iter().any(|decider| decides(series, *decider, axis)) {
            kept.push(axis);
        }
    }
    kept.sort_by_key(|axis| Axis::ALL.iter().position(|other| other == axis));
    kept
}

fn key_value(series: &Series, axis: Axis) -> Option<KeyValue> {
    series
        .key
        .iter()
        .find(|(of, _)| *of == axis)
        .map(|(_, value)| value.clone())
}

/// Whether each value of one axis comes with a single value of the other.
fn decides(series: &[Series], decider: Axis, decided: Axis) -> bool {
    let mut seen: BTreeMap<String, Option<KeyValue>> = BTreeMap::new();
    series.iter().all(|series| {
        let value = key_value(series, decided);
        let by = format!("{:?}", key_value(series, decider));
        *seen.entry(by).or_insert_with(|| value.clone()) == value
    })
}

fn nothing_to_say(counts: &Counts, series: &[Series]) -> Option<String> {
    if counts.rows() == 0 {
        return Some("nothing to say: the results hold no rows".to_owned());
    }
    if counts.ok == 0 {
        return Some(format!(
            "nothing to say about scaling: none of {} points ran ({} infeasible, {} crashed)",
            counts.rows(),
            counts.infeasible,
            counts.crashed
        ));
    }
    let longest = series
        .iter()
        .map(|series| {
            let ran = |point: &&SizePoint| point.measured.is_some();
            series.points.iter().filter(ran).count()
        })
        .max()
        .unwrap_or(0);
    (longest < 2)
        .then(|| "nothing to say about scaling: no series ran at more than one size".to_owned())
}

fn series_finding(series: Series, number: u32, settings: &AnalysisSettings) -> SeriesFinding {
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
    let point = breakdown_point(&rates, &efficiency, threshold);
    let breakdown = with_cause(point, &points, &places, series.scaling);
    let breakdown_of_best = breakdown_point_of_best(&rates, &efficiency, threshold);
    let choice = choose(&points, &efficiency, threshold).map(|choice| Choice {
        fastest_efficient: places[choice.fastest_efficient],
        fastest: places[choice.fastest],
        cheapest: choice.cheapest.map(|place| places[place]),
    });
    let knee = knee(&rates);
    let fits = fits(&rates, series.scaling);
    SeriesFinding {
        number,
        key: series.key,
        scaling: series.scaling,
        layouts: Layouts::ReOptimised,
        breakdown,
        breakdown_of_best,
        knee,
        fits,
        choice,
        sizes: size_findings(series.points, &efficiency, settings),
    }
}

/// Puts the efficiencies of the sizes that ran beside all sizes.
fn size_findings(
    points: Vec<SizePoint>,
    efficiency: &[Efficiency],
    settings: &AnalysisSettings,
) -> Vec<SizeFinding> {
    let values: Vec<f64> = efficiency.iter().map(|e| e.of_baseline).collect();
    let mut found = efficiency.iter().zip(sawteeth(&values));
    points
        .into_iter()
        .map(|point| {
            let of_point = match point.measured {
                Some(_) => found.next(),
                None => None,
            };
            SizeFinding {
                training: TrainingCost::new(&point, settings),
                point,
                efficiency: of_point.map(|(efficiency, _)| *efficiency),
                sawtooth: of_point.is_some_and(|(_, sawtooth)| sawtooth),
            }
        })
        .collect()
}

fn with_cause(
    point: BreakdownPoint,
    points: &[&SizePoint],
    places: &[usize],
    scaling: Scaling,
) -> Breakdown {
    let spendings = point
        .between
        .and_then(|(good, bad)| spending(points[good]).zip(spending(points[bad])));
    let contributions = spendings.map_or_else(Vec::new, |(good, bad)| contributions(&good, &bad));
    let fixed_batch = match scaling {
        Scaling::Strong => true,
        Scaling::Weak => false,
    };
    Breakdown {
        status: point.status,
        size: point.size,
        last_good: point.between.map(|(good, _)| places[good]),
        first_bad: point.between.map(|(_, bad)| places[bad]),
        cause: spendings.and_then(|(_, bad)| cause(fixed_batch, &bad, &contributions)),
        contributions,
    }
}

fn spending(point: &SizePoint) -> Option<Spending> {
    point.measured.map(|measured| Spending {
        gpus: f64::from(point.gpus),
        samples_per_step: measured.samples_per_step(),
        parts: measured.parts,
        mfu: measured.mfu,
        microbatches: measured.layout.microbatches,
    })
}
