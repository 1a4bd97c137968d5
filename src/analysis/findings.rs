//! Findings of a training study, series by series.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::Serialize;

use super::advice::Advice;
use super::answer::{Answer, answered_by, answers};
use super::choice::{Choice, CostUnit};
use super::dimension::Dimension;
use super::nothing::nothing_to_say;
use super::runs::Runs;
use super::same_simulation::join_same;
use super::series::{Along, Series, SeriesReader};
use super::series_finding::{Layouts, SeriesFinding, series_finding};
use super::varied::telling_axes;
use super::verdict::{Margin, Verdict};
use crate::record::{Column, Counts, ReadError, Rows};
use crate::spec::{AnalysisSettings, Axis, LeftOut, OwnPrices, Question};

/// Findings of a training study.
#[derive(Clone, Debug, JsonSchema, PartialEq, Serialize)]
pub struct Findings {
    /// Axis that is taken as the size.
    pub size_axis: Axis,
    /// Efficiency under which a series counts as broken.
    pub threshold: f64,
    /// How much is trained, and within which limits.
    pub question: Question,
    /// Whether parts of the training differ, so that half of it does not take half the time.
    #[serde(skip)]
    pub(crate) has_phases: bool,
    /// Costs of a training besides its steps that the spec does not give, and that nothing here includes.
    #[serde(skip)]
    pub(crate) left_out: LeftOut,
    /// Prices that the spec of each file gives.
    #[serde(skip)]
    pub(crate) own_prices: Box<[OwnPrices]>,
    /// Place of the run whose sizes lie between those of the grid; `None` where there is none.
    #[serde(skip)]
    pub(crate) refined: Option<u32>,
    /// Points by status.
    pub counts: Counts,
    /// Dimensions that differ between series.
    pub varied: Vec<Dimension>,
    /// The series, in the order of their first rows.
    pub series: Vec<SeriesFinding>,
    /// Choices that no other row beats in both time and cost, of each model.
    pub answers: Vec<Answer>,
    /// Frozen-layout curves: the series with the layout of their smallest size, only data parallelism growing, in
    /// the order of the series. Simulated again, so empty where the rows have no spec beside them; without the
    /// series that fix their layout.
    pub frozen: Vec<SeriesFinding>,
    /// Improvements and sensitivities; `None` where nothing was simulated again.
    pub advice: Option<Advice>,
    /// Reason for an empty result.
    pub nothing: Option<String>,
}

impl Findings {
    /// Whether any choice costs money: some GPU has a price.
    pub(crate) fn costs_money(&self) -> bool {
        let answers = self.answers.iter();
        answers
            .map(|answer| answer.cost_unit)
            .any(|unit| unit == CostUnit::Usd)
    }

    /// Holds the rows of every answer against the limits of the question, where it has any, with the margin that the
    /// first series of an answer has.
    pub(crate) fn judge(&mut self, margin: impl Fn(&SeriesFinding) -> Option<Margin>) {
        if !self.question.has_limits() {
            return;
        }
        let verdicts = self.answers.iter().map(|answer| {
            let first = &self.series[answer.series as usize];
            let group: Vec<&SeriesFinding> = self.alike(first).collect();
            Some(Verdict::of(&group, &self.question, margin(first)))
        });
        let verdicts: Vec<Option<Verdict>> = verdicts.collect();
        for (answer, verdict) in self.answers.iter_mut().zip(verdicts) {
            answer.verdict = verdict;
        }
    }

    /// Whether a choice is a row of the run between the sizes of the grid, which counts its points by itself.
    pub(crate) fn is_refined(&self, choice: &Choice) -> bool {
        let series = &self.series[choice.series as usize];
        Some(series.sizes[choice.place].point.source) == self.refined
    }

    /// The curve of a series with the layout of its smallest size.
    pub(crate) fn frozen_of(&self, series: &SeriesFinding) -> Option<&SeriesFinding> {
        let place = self
            .frozen
            .binary_search_by_key(&series.number, |frozen| frozen.of_series)
            .ok()?;
        Some(&self.frozen[place])
    }
}

/// Gathers rows and analyses them.
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
    pub(crate) fn over(settings: AnalysisSettings, size_axis: Axis) -> Self {
        Self {
            settings,
            size_axis,
            reader: SeriesReader::new(match size_axis {
                Axis::Gpus | Axis::Nodes => Along::Gpus,
                other => Along::Resource(other),
            }),
        }
    }

    /// Tells rows of several runs apart.
    pub(super) fn with_runs(self, runs: Runs) -> Self {
        Self {
            reader: self.reader.with_runs(runs),
            ..self
        }
    }

    /// Holds axes for no difference whose values follow from the size.
    pub(super) fn with_followers(self, followers: BTreeSet<Axis>) -> Self {
        Self {
            reader: self.reader.with_followers(followers),
            ..self
        }
    }

    /// Reads some metrics besides.
    pub(super) fn with_metrics(self, metrics: Vec<Column>) -> Self {
        Self {
            reader: self.reader.with_metrics(metrics),
            ..self
        }
    }

    /// Adds the rows of one record batch; `source` is the place of its file among those analysed.
    ///
    /// # Errors
    /// If a column is missing, of another type or unit, or holds an impossible value.
    pub fn add(&mut self, rows: &Rows, source: u32) -> Result<(), ReadError> {
        self.reader.add(rows, source)
    }

    /// Finds breakdown points, fits and sizes to choose in all series.
    pub fn finish(self) -> Findings {
        let threshold = self.settings.efficiency_threshold;
        let without_number = self.reader.without_number();
        let counts = self.reader.counts().clone();
        let series = self.reader.finish();
        let series = join_same(series);
        let varied = varied_dimensions(&series);
        let nothing = if series.is_empty() && without_number > 0 {
            let axis = self.size_axis;
            Some(format!(
                "nothing to say about scaling: `{axis}` has no value in any of {without_number} rows; give it values in \
                 the grid"
            ))
        } else {
            nothing_to_say(&counts, &series)
        };
        let series: Vec<SeriesFinding> = series
            .into_iter()
            .zip(0..)
            .map(|(series, number)| {
                series_finding(series, number, Layouts::ReOptimised, &self.settings)
            })
            .collect();
        Findings {
            size_axis: self.size_axis,
            threshold,
            question: self.settings.question,
            has_phases: !self.settings.phases.is_empty(),
            left_out: self.settings.beside.left_out(),
            own_prices: Box::default(),
            refined: None,
            counts,
            answers: answers(&series, answered_by(&varied)),
            varied,
            series,
            frozen: Vec::new(),
            advice: None,
            nothing,
        }
    }
}

/// Dimensions that tell the series apart; one that a name or the batch decides does not.
fn varied_dimensions(series: &[Series]) -> Vec<Dimension> {
    let decides_others = |dimension: &Dimension| {
        matches!(
            dimension,
            Dimension::Axis(Axis::Gpu | Axis::Model | Axis::GlobalBatch | Axis::BatchPerGpu)
        )
    };
    let (first, rest): (Vec<Dimension>, Vec<Dimension>) =
        Dimension::all().partition(decides_others);
    let dimensions = first.into_iter().chain(rest);
    let kept = telling_axes(series, dimensions, Series::dimension);
    let in_order = Dimension::all().filter(|dimension| kept.contains(dimension));
    in_order.collect()
}
