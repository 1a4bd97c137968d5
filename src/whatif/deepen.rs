//! What the rows of a study do not say: its points simulated again.
//!
//! Of every series: the curve with a frozen layout, and whether the cause of its breakdown is its
//! cause. Of the points that a summary shows: what would help, and what their time hangs on. All
//! of it is the same on any number of threads.

use std::num::NonZeroUsize;

use rayon::prelude::*;

use super::cause::Scene;
use super::frozen::{frozen_layout, frozen_series};
use super::replay::{Replay, scenario};
use super::sensitivity::elasticities;
use super::{Baseline, Change, neighbours};
use crate::analysis::{
    Advice, AskedAs, Findings, Improvement, PointAdvice, SeriesFinding, SizePoint, Trial,
};
use crate::runner::WORKER_NAME;
use crate::simulation::{LayoutRequest, Scratch};
use crate::spec::{AnalysisSettings, Axis, Spec};

/// Rows up to which every series is simulated again; of a larger study only those that a summary
/// shows, since it would take as long as the study.
const MOST_ROWS: u64 = 20_000;

/// Neighbours that are simulated for one study at most.
const MOST_NEIGHBOURS: usize = 256;

/// Less than this part of the time per sample is no help.
const NO_HELP: f64 = 1e-3;

/// What is asked about a study.
#[derive(Clone, Copy, Debug)]
pub struct Questions<'a> {
    /// The spec of each file that was analysed, in their order; `None` for bare files, which nothing can
    /// be asked about.
    pub specs: &'a [Option<&'a Spec>],
    /// How the findings were made.
    pub settings: &'a AnalysisSettings,
    /// Numbers of the series that a summary shows, the most interesting first.
    pub shown: &'a [u32],
    /// Numbers of other series, whose first bad size is asked about too.
    pub broken: &'a [u32],
}

impl<'a> Questions<'a> {
    fn spec_of(&self, row: &SizePoint) -> Option<&'a Spec> {
        *self.specs.get(row.source as usize)?
    }
}

/// Simulates points of a study again, on so many threads, and adds what that says to its findings.
pub fn deepen(findings: &mut Findings, questions: &Questions<'_>, threads: NonZeroUsize) {
    if questions.specs.iter().all(Option::is_none) || findings.counts.ok == 0 {
        return;
    }
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(threads.get())
        .thread_name(|index| format!("{WORKER_NAME}-{index}"))
        .build();
    match pool {
        Ok(pool) => pool.install(|| simulate_again(findings, questions)),
        // Without threads of its own it takes those that there are.
        Err(_) => simulate_again(findings, questions),
    }
}

fn simulate_again(findings: &mut Findings, questions: &Questions<'_>) {
    let whole = findings.counts.points() <= MOST_ROWS;
    let threshold = findings.threshold;
    let again: Vec<Again> = findings
        .series
        .par_iter()
        .map_init(Scratch::default, |scratch, series| {
            if whole || questions.shown.contains(&series.number) {
                Again::new(series, questions, threshold, scratch)
            } else {
                Again::default()
            }
        })
        .collect();
    let mut advice = Advice::default();
    let mut number = findings.series.len() as u32;
    for (series, again) in findings.series.iter_mut().zip(again) {
        series.breakdown.judge(again.trials, threshold);
        advice.not_reproduced += u32::from(again.not_reproduced);
        if let Some(mut frozen) = again.frozen {
            frozen.number = number;
            number += 1;
            frozen.breakdown.judge(again.frozen_trials, threshold);
            findings.frozen.push(frozen);
        }
    }
    ask_about_points(findings, questions, &mut advice);
    findings.advice = Some(advice);
}

/// What one series gives when it is simulated again.
#[derive(Default)]
struct Again {
    trials: Vec<Trial>,
    frozen: Option<SeriesFinding>,
    frozen_trials: Vec<Trial>,
    not_reproduced: bool,
}

impl Again {
    fn new(
        series: &SeriesFinding,
        questions: &Questions<'_>,
        threshold: f64,
        scratch: &mut Scratch,
    ) -> Self {
        let Some(smallest) = series.baseline() else {
            return Self::default();
        };
        let Some(spec) = questions.spec_of(&smallest.point) else {
            return Self::default();
        };
        let Some(baseline) = Replay::of(spec, &smallest.point, scratch) else {
            return Self {
                not_reproduced: true,
                ..Self::default()
            };
        };
        let spec_of = |row: &SizePoint| questions.spec_of(row);
        let as_it_ran =
            |row: &SizePoint, scratch: &mut Scratch| Replay::of(spec_of(row)?, row, scratch);
        let trials = try_suspects(series, &baseline, as_it_ran, threshold, scratch);
        let layout = frozen_layout(&baseline);
        let frozen = baseline
            .chosen
            .then(|| frozen_series(series, &layout, spec_of, questions.settings, scratch))
            .flatten();
        let as_frozen = |row: &SizePoint, scratch: &mut Scratch| {
            Replay::with_layout(spec_of(row)?, row, |_| layout.clone(), scratch)
        };
        let frozen_trials = frozen.as_ref().map_or_else(Vec::new, |frozen| {
            try_suspects(frozen, &baseline, as_frozen, threshold, scratch)
        });
        Self {
            trials,
            frozen,
            frozen_trials,
            not_reproduced: false,
        }
    }
}

/// Tries the suspects of a curve's breakdown; nothing where one of its sizes does not give its time again.
fn try_suspects(
    curve: &SeriesFinding,
    baseline: &Replay,
    replay: impl Fn(&SizePoint, &mut Scratch) -> Option<Replay>,
    threshold: f64,
    scratch: &mut Scratch,
) -> Vec<Trial> {
    let breakdown = &curve.breakdown;
    let mut replay = |place: Option<usize>| replay(&curve.sizes[place?].point, scratch);
    let (good, bad) = (replay(breakdown.last_good), replay(breakdown.first_bad));
    let (Some(good), Some(bad)) = (good, bad) else {
        return Vec::new();
    };
    let efficiency = breakdown
        .first_bad
        .and_then(|place| curve.sizes[place].efficiency)
        .map_or(0.0, |efficiency| efficiency.of_baseline);
    let scene = Scene {
        baseline,
        good: &good,
        bad: &bad,
        efficiency,
    };
    scene.try_suspects(breakdown, threshold, scratch)
}

/// A point that is to be asked about, with its neighbours.
struct Asked<'a> {
    advice: PointAdvice,
    spec: &'a Spec,
    row: SizePoint,
    baseline: Baseline,
    changes: Vec<Change>,
}

/// Asks the recommended size and the first bad size of every shown series what would help, until the
/// neighbours are used up.
fn ask_about_points(findings: &Findings, questions: &Questions<'_>, advice: &mut Advice) {
    let recommended = questions
        .shown
        .iter()
        .map(|number| (number, AskedAs::Recommended));
    let broken = questions.shown.iter().chain(questions.broken);
    let broken = broken.map(|number| (number, AskedAs::Broken));
    let wanted: Vec<(&SeriesFinding, usize, AskedAs)> = recommended
        .chain(broken)
        .filter_map(|(number, asked_as)| {
            let series = &findings.series[*number as usize];
            let place = match asked_as {
                AskedAs::Recommended => series.choice.map(|choice| choice.fastest_efficient),
                AskedAs::Broken => series.breakdown.first_bad,
            };
            Some((series, place?, asked_as))
        })
        .collect();
    let prepared: Vec<Option<Asked<'_>>> = wanted
        .into_par_iter()
        .map_init(Scratch::default, |scratch, (series, place, asked_as)| {
            prepared(series, place, asked_as, questions, scratch)
        })
        .collect();
    let mut left = MOST_NEIGHBOURS;
    let mut asked: Vec<Asked<'_>> = Vec::new();
    for point in prepared.into_iter().flatten() {
        if point.changes.len() > left {
            advice.left_out += 1;
            continue;
        }
        left -= point.changes.len();
        asked.push(point);
    }
    advice.neighbours = (MOST_NEIGHBOURS - left) as u32;
    advice.points = asked
        .into_par_iter()
        .map(|point| {
            let grid_point = point.spec.plan().point(point.row.point);
            let gains = point
                .baseline
                .ask_all(point.spec, &grid_point, point.changes);
            let helpful = gains.into_iter().filter_map(|gain| {
                let time = gain.time_per_sample.filter(|time| *time < -NO_HELP)?;
                Some(Improvement {
                    change: gain.change.words,
                    time_per_sample: time,
                })
            });
            PointAdvice {
                gains: helpful.collect(),
                ..point.advice
            }
        })
        .collect();
}

fn prepared<'a>(
    series: &SeriesFinding,
    place: usize,
    asked_as: AskedAs,
    questions: &Questions<'a>,
    scratch: &mut Scratch,
) -> Option<Asked<'a>> {
    let row = &series.sizes[place].point;
    let spec = questions.spec_of(row)?;
    let replay = Replay::of(spec, row, scratch)?;
    let asked_for = scenario(spec, row)?;
    let changes = neighbours(spec, &asked_for, &replay.step)
        .into_iter()
        .filter(|change| !was_searched(change.axis, &asked_for.layout))
        .collect();
    Some(Asked {
        advice: PointAdvice {
            series: series.number,
            place,
            asked_as,
            gains: Vec::new(),
            elasticities: elasticities(&replay.pinned, &replay.step, scratch),
        },
        spec,
        row: row.clone(),
        baseline: Baseline {
            seconds_per_sample: replay.seconds_per_sample(),
        },
        changes,
    })
}

/// Whether an axis is one whose values the search over layouts has already tried at this point.
fn was_searched(axis: Axis, asked: &LayoutRequest) -> bool {
    match axis {
        Axis::Tp => asked.tp.is_none(),
        Axis::Pp => asked.pp.is_none(),
        Axis::MicroBatch => asked.micro_batch.is_none(),
        Axis::Zero => asked.zero.is_none(),
        Axis::Recompute => asked.recompute.is_none(),
        _ => false,
    }
}
