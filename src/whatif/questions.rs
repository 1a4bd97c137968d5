//! Questions about a study that need its points simulated again.
//!
//! For every series: the curve with a frozen layout, and whether the suspected cause of its breakdown is
//! the cause. For the points that a summary shows: the changes that help, and the sensitivity to each
//! resource. The answers are the same on any number of threads.

use std::iter::zip;
use std::num::NonZeroUsize;

use rayon::prelude::*;

use super::altered::{self, Baseline, Effect, by_help};
use super::cause::Scene;
use super::frozen::{frozen_layout, frozen_series};
use super::neighbours::{Change, neighbours};
use super::replay::{Replay, scenario};
use super::sensitivity::elasticities;
use crate::analysis::{
    Advice, Answer, AskedAs, Findings, Improvement, PointAdvice, SeriesFinding, SizePlace,
    SizePoint, Trial,
};
use crate::runner::WORKER_NAME;
use crate::simulation::{LayoutRequest, Scratch};
use crate::spec::{AnalysisSettings, Axis, GridPoint, Spec};

/// Rows up to which every series is simulated again; of a larger study only those that a summary
/// shows, since it would take as long as the study.
const MOST_ROWS: u64 = 20_000;

/// Neighbours that are simulated for one study at most.
const MOST_NEIGHBOURS: usize = 256;

/// Relative change of the time per sample under which a change is no help.
const NO_HELP: f64 = 1e-3;

/// Questions about a study.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Questions<'a> {
    /// The spec of each file that was analysed, in their order; `None` for bare files, which nothing can
    /// be asked about.
    pub specs: &'a [Option<&'a Spec>],
    /// Settings with which the findings were made.
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

/// Simulates points of a study again, on a number of threads, and adds the answers to its findings.
pub(crate) fn run_questions(
    findings: &mut Findings,
    questions: &Questions<'_>,
    threads: NonZeroUsize,
) {
    if questions.specs.iter().all(Option::is_none) || findings.counts.ok == 0 {
        return;
    }
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(threads.get())
        .thread_name(|index| format!("{WORKER_NAME}-{index}"))
        .build();
    match pool {
        Ok(pool) => pool.install(|| answer_all(findings, questions)),
        // Where no pool can be made, the global one serves.
        Err(_) => answer_all(findings, questions),
    }
}

fn answer_all(findings: &mut Findings, questions: &Questions<'_>) {
    let whole = findings.counts.points() <= MOST_ROWS;
    let threshold = findings.threshold;
    let mut number = findings.series.len() as u32;
    let answers: Vec<Result<Option<SeriesFinding>, NotReproduced>> = findings
        .series
        .par_iter_mut()
        .map_init(Scratch::default, |scratch, series| {
            if whole || questions.shown.contains(&series.number) {
                answer_series(series, questions, threshold, scratch)
            } else {
                Ok(None)
            }
        })
        .collect();
    let mut advice = Advice::default();
    for answer in answers {
        match answer {
            Ok(frozen) => findings.frozen.extend(frozen.map(|frozen| {
                number += 1;
                SeriesFinding {
                    number: number - 1,
                    ..frozen
                }
            })),
            Err(NotReproduced) => advice.not_reproduced += 1,
        }
    }
    ask_about_points(findings, questions, &mut advice);
    findings.advice = Some(advice);
}

/// Failure to reproduce the time of the smallest size of a series.
struct NotReproduced;

/// Judges the cause of a series' breakdown, and gives its curve with a frozen layout, judged too. `None`
/// without a spec, on several types of GPU, and where the spec fixes the layout anyway.
fn answer_series(
    series: &mut SeriesFinding,
    questions: &Questions<'_>,
    threshold: f64,
    scratch: &mut Scratch,
) -> Result<Option<SeriesFinding>, NotReproduced> {
    let spec_of = |row: &SizePoint| questions.spec_of(row);
    let smallest = series.baseline().map(|size| &size.point);
    let Some((row, spec)) = smallest.and_then(|row| Some((row, spec_of(row)?))) else {
        return Ok(None);
    };
    // No layout alone pins what several types of GPU are dealt.
    if scenario(spec, row).is_some_and(|job| !job.pools.is_empty()) {
        return Ok(None);
    }
    let baseline = Replay::of(spec, row, scratch).ok_or(NotReproduced)?;
    let as_it_ran =
        |row: &SizePoint, scratch: &mut Scratch| Replay::of(spec_of(row)?, row, scratch);
    let trials = try_suspects(series, &baseline, as_it_ran, threshold, scratch);
    series.breakdown.judge(trials, threshold);
    let layout = frozen_layout(&baseline);
    let frozen = baseline
        .chosen
        .then(|| frozen_series(series, &layout, spec_of, questions.settings, scratch));
    Ok(frozen.flatten().map(|mut frozen| {
        let as_frozen = |row: &SizePoint, scratch: &mut Scratch| {
            Replay::with_layout(spec_of(row)?, row, |_| layout.clone(), scratch)
        };
        let trials = try_suspects(&frozen, &baseline, as_frozen, threshold, scratch);
        frozen.breakdown.judge(trials, threshold);
        frozen
    }))
}

/// Tries the suspects of a curve's breakdown; none where the time of one of its sizes is not reproduced.
fn try_suspects(
    curve: &SeriesFinding,
    baseline: &Replay,
    replay: impl Fn(&SizePoint, &mut Scratch) -> Option<Replay>,
    threshold: f64,
    scratch: &mut Scratch,
) -> Vec<Trial> {
    let breakdown = &curve.breakdown;
    let mut replay = |size: Option<SizePlace>| replay(&curve.sizes[size?.place].point, scratch);
    let (good, bad) = (replay(breakdown.last_good), replay(breakdown.first_bad));
    let (Some(good), Some(bad)) = (good, bad) else {
        return Vec::new();
    };
    let efficiency = breakdown
        .first_bad
        .and_then(|bad| curve.sizes[bad.place].efficiency)
        .map_or(0.0, |efficiency| efficiency.of_baseline);
    let scene = Scene {
        baseline,
        good: &good,
        bad: &bad,
        efficiency,
    };
    scene.try_suspects(breakdown, threshold, scratch)
}

/// A point with the changes that are to be tried on it.
struct PointQuestion<'a> {
    advice: PointAdvice,
    spec: &'a Spec,
    point: GridPoint,
    baseline: Baseline,
    changes: Vec<Change>,
}

/// Tries changes on the fastest choice of each answer, on the cheapest within the limits of a question, and on the recommended and the first bad size of every shown
/// series, until the most neighbours are simulated.
fn ask_about_points(findings: &Findings, questions: &Questions<'_>, advice: &mut Advice) {
    let fastest = (findings.answers.iter().filter_map(Answer::fastest))
        .map(|choice| (choice.series, choice.place))
        .collect::<Vec<_>>();
    let chosen = findings
        .answers
        .iter()
        .filter_map(|it| it.verdict.as_ref()?.cheapest());
    let chosen = chosen
        .map(|choice| (choice.series, choice.place))
        .filter(|place| !fastest.contains(place))
        .collect::<Vec<_>>();
    let recommended = questions
        .shown
        .iter()
        .map(|number| (number, AskedAs::Recommended));
    let broken = questions.shown.iter().chain(questions.broken);
    let broken = broken.map(|number| (number, AskedAs::Broken));
    let others = recommended
        .chain(broken)
        .filter_map(|(number, asked_as)| {
            let series = &findings.series[*number as usize];
            let place = match asked_as {
                AskedAs::Fastest | AskedAs::Chosen => None,
                AskedAs::Recommended => series.choice.map(|choice| choice.fastest_efficient),
                AskedAs::Broken => series.breakdown.first_bad,
            };
            Some((series.number, place?.place, asked_as))
        })
        .filter(|(series, place, _)| {
            !fastest
                .iter()
                .chain(&chosen)
                .any(|known| *known == (*series, *place))
        });
    let wanted: Vec<(&SeriesFinding, usize, AskedAs)> = (fastest.iter())
        .map(|(series, place)| (*series, *place, AskedAs::Fastest))
        .chain(
            chosen
                .iter()
                .map(|(series, place)| (*series, *place, AskedAs::Chosen)),
        )
        .chain(others)
        .map(|(series, place, asked_as)| (&findings.series[series as usize], place, asked_as))
        .collect();
    let prepared: Vec<Option<PointQuestion<'_>>> = wanted
        .into_par_iter()
        .map_init(Scratch::default, |scratch, (series, place, asked_as)| {
            prepared(series, place, asked_as, questions, scratch)
        })
        .collect();
    let mut left = MOST_NEIGHBOURS;
    let mut asked: Vec<PointQuestion<'_>> = Vec::new();
    for point in prepared.into_iter().flatten() {
        if point.changes.len() > left {
            advice.left_out += 1;
            continue;
        }
        left -= point.changes.len();
        asked.push(point);
    }
    advice.neighbours = (MOST_NEIGHBOURS - left) as u32;
    advice.points = answered(asked);
}

/// Advice with the changes that help, for each point that was asked about.
fn answered(mut asked: Vec<PointQuestion<'_>>) -> Vec<PointAdvice> {
    let changes: Vec<(usize, Change)> = (asked.iter_mut().enumerate())
        .flat_map(|(at, point)| {
            std::mem::take(&mut point.changes)
                .into_iter()
                .map(move |change| (at, change))
        })
        .collect();
    // All changes of all points share the threads, and those of a thread what was priced for others.
    let effects: Vec<(usize, Option<Effect>)> = changes
        .into_par_iter()
        .map_init(Scratch::default, |scratch, (at, change)| {
            let PointQuestion {
                spec,
                point,
                baseline,
                ..
            } = &asked[at];
            (at, baseline.ask((spec, point), change, scratch).ok())
        })
        .collect();
    let mut of_points: Vec<Vec<Effect>> = asked.iter().map(|_| Vec::new()).collect();
    for (at, effect) in effects {
        of_points[at].extend(effect);
    }
    zip(asked, of_points)
        .map(|(point, effects)| {
            let helpful = by_help(effects).into_iter().filter_map(|effect| {
                let time = effect.time_per_sample.filter(|time| *time < -NO_HELP)?;
                let usd_per_hour = match effect.answer {
                    altered::Answer::Ran { usd_per_hour, .. } => usd_per_hour,
                    altered::Answer::CannotRun { .. } => None,
                };
                Some(Improvement {
                    usd_per_hour,
                    axis: effect.change.axis,
                    change: effect.change.words,
                    time_per_sample: time,
                })
            });
            PointAdvice {
                gains: helpful.collect(),
                ..point.advice
            }
        })
        .collect()
}

fn prepared<'a>(
    series: &SeriesFinding,
    place: usize,
    asked_as: AskedAs,
    questions: &Questions<'a>,
    scratch: &mut Scratch,
) -> Option<PointQuestion<'a>> {
    let row = &series.sizes[place].point;
    let spec = questions.spec_of(row)?;
    let replay = Replay::of(spec, row, scratch)?;
    let asked_for = scenario(spec, row)?;
    let changes = neighbours(spec, &asked_for, &replay.step)
        .into_iter()
        .filter(|change| !was_searched(change.axis, &asked_for.layout))
        .collect();
    Some(PointQuestion {
        advice: PointAdvice {
            series: series.number,
            place,
            point: row.point,
            asked_as,
            gains: Vec::new(),
            elasticities: elasticities(&replay.pinned, &replay.step, scratch),
        },
        spec,
        point: spec.plan().point(row.point),
        baseline: Baseline {
            seconds_per_sample: replay.seconds_per_sample(),
            correction: replay.correction,
        },
        changes,
    })
}

/// Whether the search over layouts has already tried the values of an axis at this point.
fn was_searched(axis: Axis, asked: &LayoutRequest) -> bool {
    let searched = [
        (Axis::Tp, asked.tp.is_none()),
        (Axis::Pp, asked.pp.is_none()),
        (Axis::MicroBatch, asked.micro_batch.is_none()),
        (Axis::Zero, asked.zero.is_none()),
        (Axis::Recompute, asked.recompute.is_none()),
    ];
    searched.contains(&(axis, true))
}
