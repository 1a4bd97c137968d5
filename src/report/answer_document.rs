//! Answer to a planner's question as JSON.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Serialize;

use crate::analysis::{
    Answer, Choice, CostUnit, Dimension, Findings, KeyValue, LayoutUsed, Limit, Margin, Turn,
    Verdict,
};
use crate::document::by_name;
use crate::record::Counts;
use crate::report::planned::{Planned, Trust};
use crate::report::prices::prices_words;
use crate::report::question::{Said, question_sentences};
use crate::spec::Question;
use crate::validation::Accuracy;

/// Answer of `sweep answer`.
#[derive(JsonSchema, Serialize)]
pub(crate) struct AnswerDocument<'a> {
    /// Description of the spec.
    title: &'a str,
    question: &'a Question,
    /// The answer in sentences.
    sentences: Vec<String>,
    /// One for each model.
    answers: Vec<AnswerOfModel<'a>>,
    counts: &'a Counts,
    /// Basis of the costs, with the GPUs that have no price; null where there is nothing to tell.
    prices: Option<String>,
    /// Costs of a training besides its steps that the spec does not give, so that no figure here has them.
    left_out: Vec<&'static str>,
    /// Folders of the runs whose rows were read.
    runs: &'a [PathBuf],
}

/// Choices of one model, or of a study of one model.
#[derive(JsonSchema, Serialize)]
struct AnswerOfModel<'a> {
    /// The model, where models differ.
    #[serde(serialize_with = "by_name::serialize")]
    #[schemars(schema_with = "by_name::schema::<Option<KeyValue>>")]
    of: Vec<(Dimension, Option<&'a KeyValue>)>,
    /// Whether a row is within all limits; null without limits.
    is_met: Option<bool>,
    cost_unit: CostUnit,
    /// The cheapest row within the limits; without limits, of all.
    cheapest: Option<Row<'a>>,
    /// The fastest row within the limits; without limits, of all.
    fastest: Option<Row<'a>>,
    /// Rows within the limits that no other one beats in both time and cost, the fastest first; null without limits.
    within: Option<Vec<Row<'a>>>,
    /// Rows that no other one beats in both time and cost, the fastest first.
    front: Vec<Row<'a>>,
    /// The nearest row past each limit that alone stands in the way, where no row is within them.
    misses: Vec<MissedRow<'a>>,
    /// Sizes between those of the grid that may be cheaper.
    between: Option<SizesBetween<'a>>,
    /// Margin that the confidence asks for.
    margin: Option<&'a Margin>,
    /// Prices and deadlines with which another row is the answer; null without limits.
    turns: Option<Vec<TurnWithRow<'a>>>,
    /// What would change the answer, in sentences.
    changes: Vec<String>,
}

/// A row that is past one limit.
#[derive(JsonSchema, Serialize)]
struct MissedRow<'a> {
    /// The limit; null of the fastest row, where no row misses a single one.
    limit: Option<Limit>,
    /// What the row takes over what the limit allows.
    times_limit: f64,
    row: Row<'a>,
}

/// Sizes between those of the grid.
#[derive(JsonSchema, Serialize)]
struct SizesBetween<'a> {
    /// The row above them.
    row: Row<'a>,
    /// Their GPUs, ascending.
    gpus: &'a [u32],
}

/// A change with which another row is the answer.
#[derive(JsonSchema, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum TurnWithRow<'a> {
    /// Rents with which the cheapest row of another GPU costs the same.
    Rent {
        /// Row of the other GPU.
        rival: Row<'a>,
        /// Rent of a GPU of the chosen row.
        own_usd_per_gpu_hour: f64,
        /// The rent from which it is dearer than the rival.
        own_even_usd_per_gpu_hour: f64,
        /// Rent of a GPU of the rival.
        rival_usd_per_gpu_hour: f64,
        /// The rent under which it is cheaper than the chosen row.
        rival_even_usd_per_gpu_hour: f64,
    },
    /// The shortest deadline that allows a cheaper row.
    LaterDeadline {
        /// Row that would be chosen.
        choice: Row<'a>,
    },
    /// The row that is left where the deadline is shorter than the chosen row takes.
    EarlierDeadline {
        /// Row that would be chosen.
        choice: Row<'a>,
    },
}

/// A row with the time and the cost of the whole training.
#[derive(JsonSchema, Serialize)]
struct Row<'a> {
    /// Number of the point in its run.
    point: u64,
    /// Folder of the run.
    run: Option<&'a PathBuf>,
    /// Axes that differ between series, with their values.
    #[serde(serialize_with = "by_name::serialize")]
    #[schemars(schema_with = "by_name::schema::<Option<KeyValue>>")]
    axes: Vec<(Dimension, Option<&'a KeyValue>)>,
    gpus: u32,
    /// Servers, where they are whole.
    nodes: Option<u32>,
    /// Time of the whole training; null without its tokens or samples.
    days: Option<f64>,
    /// Rent of the whole training.
    total_cost_usd: Option<f64>,
    /// Time that the deadline has to hold: `days` with the margin of the confidence; null without one.
    days_with_margin: Option<f64>,
    /// Rent that the budget has to hold: `total_cost_usd` with the margin of the confidence; null without one.
    total_cost_with_margin_usd: Option<f64>,
    /// Energy of the whole training.
    total_energy_kwh: Option<f64>,
    /// Time of the steps by themselves over the expected time, 0–1.
    goodput: Option<f64>,
    /// GPUs times time; of a million tokens or samples where the whole training is not known.
    gpu_hours: f64,
    step_time_s: f64,
    mfu: Option<f64>,
    layout: Option<LayoutUsed>,
    /// Lower end of the 80% interval; null where nothing comparable was measured, and for rows that no sentence names.
    step_time_low_s: Option<f64>,
    /// Upper end.
    step_time_high_s: Option<f64>,
    /// Errors of the measured cases nearest to the row; null for rows that no sentence names.
    step_time_confidence: Option<&'a Accuracy>,
}

impl<'a> AnswerDocument<'a> {
    /// The answer from the rows of some runs, whose folders are `runs`.
    pub(crate) fn new(planned: &'a Planned, runs: &'a [PathBuf]) -> Self {
        let findings = &planned.findings;
        let answers = findings.answers.iter();
        Self {
            title: &planned.title,
            question: &findings.question,
            sentences: question_sentences(findings),
            answers: answers
                .map(|answer| {
                    let rows = Rows {
                        findings,
                        answer,
                        trust: &planned.trust,
                        runs,
                    };
                    rows.answer()
                })
                .collect(),
            counts: &findings.counts,
            prices: prices_words(findings),
            left_out: findings.left_out.names(),
            runs,
        }
    }
}

/// Makes rows of the choices of one answer.
#[derive(Clone, Copy)]
struct Rows<'a> {
    findings: &'a Findings,
    answer: &'a Answer,
    trust: &'a [Trust],
    runs: &'a [PathBuf],
}

impl<'a> Rows<'a> {
    fn answer(self) -> AnswerOfModel<'a> {
        let (findings, answer) = (self.findings, self.answer);
        let verdict = answer.verdict.as_ref();
        let row = |choice: &'a Choice| self.row(choice);
        let rows = |choices: &'a [Choice]| choices.iter().map(row).collect();
        let misses = verdict.map_or(&[][..], |it| &it.misses).iter();
        AnswerOfModel {
            of: axes(findings, answer.series, findings.answered_by()),
            is_met: verdict.map(|it| !it.within.is_empty()),
            cost_unit: answer.cost_unit,
            cheapest: verdict
                .and_then(Verdict::cheapest)
                .or(answer.cheapest())
                .map(row),
            fastest: verdict
                .and_then(Verdict::fastest)
                .or(answer.fastest())
                .map(row),
            within: verdict.map(|it| rows(&it.within)),
            front: rows(&answer.front),
            misses: misses
                .map(|miss| MissedRow {
                    limit: miss.limit,
                    times_limit: miss.times_limit,
                    row: row(&miss.choice),
                })
                .collect(),
            between: verdict
                .and_then(|it| it.between.as_ref())
                .map(|it| SizesBetween {
                    row: row(&it.choice),
                    gpus: &it.gpus,
                }),
            margin: verdict.and_then(|it| it.margin.as_ref()),
            turns: verdict.map(|it| it.turns.iter().map(|turn| self.turn(turn)).collect()),
            changes: Said { findings, answer }.changes(),
        }
    }

    fn turn(self, turn: &'a Turn) -> TurnWithRow<'a> {
        match turn {
            Turn::Rent {
                rival,
                own_usd_per_gpu_hour,
                own_even_usd_per_gpu_hour,
                rival_usd_per_gpu_hour,
                rival_even_usd_per_gpu_hour,
            } => TurnWithRow::Rent {
                rival: self.row(rival),
                own_usd_per_gpu_hour: *own_usd_per_gpu_hour,
                own_even_usd_per_gpu_hour: *own_even_usd_per_gpu_hour,
                rival_usd_per_gpu_hour: *rival_usd_per_gpu_hour,
                rival_even_usd_per_gpu_hour: *rival_even_usd_per_gpu_hour,
            },
            Turn::LaterDeadline { choice } => TurnWithRow::LaterDeadline {
                choice: self.row(choice),
            },
            Turn::EarlierDeadline { choice } => TurnWithRow::EarlierDeadline {
                choice: self.row(choice),
            },
        }
    }

    fn row(self, choice: &'a Choice) -> Row<'a> {
        let findings = self.findings;
        let said = Said {
            findings,
            answer: self.answer,
        };
        let point = &findings.series[choice.series as usize].sizes[choice.place].point;
        let training = said.training(choice);
        let trust = self.trust.iter().find(|it| it.choice == *choice);
        let interval = trust.and_then(|it| it.interval);
        Row {
            point: choice.point,
            run: self.runs.get(point.source as usize),
            axes: axes(findings, choice.series, &findings.varied),
            gpus: choice.gpus,
            nodes: point.nodes,
            days: training.is_some().then_some(choice.time_s / 86_400.0),
            total_cost_usd: training.and_then(|it| it.cost_usd),
            days_with_margin: (said.margin()).and_then(|it| Some(it.factor * training?.days())),
            total_cost_with_margin_usd: (said.margin())
                .and_then(|it| Some(it.factor * training?.cost_usd?)),
            total_energy_kwh: training.and_then(|it| it.energy_kwh),
            goodput: training.map(|it| it.goodput),
            gpu_hours: choice.gpu_hours,
            step_time_s: choice.step_time_s,
            mfu: point.measured.and_then(|it| it.mfu),
            layout: point.measured.map(|it| it.layout),
            step_time_low_s: interval.map(|it| it.low),
            step_time_high_s: interval.map(|it| it.high),
            step_time_confidence: trust.map(|it| &it.step_time),
        }
    }
}

/// Values of a series on some dimensions, by name.
fn axes<'a>(
    findings: &'a Findings,
    series: u32,
    dimensions: &[Dimension],
) -> Vec<(Dimension, Option<&'a KeyValue>)> {
    let series = &findings.series[series as usize];
    let named = dimensions.iter().map(|it| (*it, series.dimension(*it)));
    named.collect()
}
