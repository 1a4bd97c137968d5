//! Verdict on a question's limits: the choices within them or the nearest misses, and what would change
//! the answer.

use schemars::JsonSchema;
use serde::Serialize;

use super::choice::{Choice, CostUnit, choices, front_of};
use super::key_value::KeyValue;
use super::series_finding::SeriesFinding;
use crate::closed_set;
use crate::spec::{Axis, Question};
use crate::units::Seconds;

closed_set! {
    /// Limits of a question.
    pub enum Limit: "limit" {
        /// Time of the training.
        Deadline = "deadline",
        /// Cost of the training.
        Budget = "budget",
        /// GPUs of the job.
        GpusMax = "gpus_max",
    }
}

/// A row that is within all limits but one.
#[derive(Clone, Copy, Debug, JsonSchema, PartialEq, Serialize)]
pub struct Miss {
    /// The limit; `None` of the fastest row, where no row misses a single one.
    pub limit: Option<Limit>,
    /// The row.
    pub choice: Choice,
    /// Ratio of what the row takes to what the limit allows, from 1; of the deadline where there is no single limit.
    pub times_limit: f64,
}

/// A change of prices or of the deadline with which another row is the answer.
#[derive(Clone, Copy, Debug, JsonSchema, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Turn {
    /// Rents with which the cheapest row of another GPU costs the same.
    Rent {
        /// Row of the other GPU.
        rival: Choice,
        /// Rent of a GPU of the chosen row, in US dollars an hour.
        own_usd_per_gpu_hour: f64,
        /// The rent from which it is dearer than the rival, whose own stays.
        own_even_usd_per_gpu_hour: f64,
        /// Rent of a GPU of the rival.
        rival_usd_per_gpu_hour: f64,
        /// The rent under which it is cheaper than the chosen row, whose own stays.
        rival_even_usd_per_gpu_hour: f64,
    },
    /// The shortest deadline that allows a cheaper row.
    LaterDeadline {
        /// Row that would be chosen.
        choice: Choice,
    },
    /// The row that is left where the deadline is shorter than the chosen row takes.
    EarlierDeadline {
        /// Row that would be chosen.
        choice: Choice,
    },
}

/// Sizes between those of the grid.
#[derive(Clone, Debug, JsonSchema, PartialEq, Serialize)]
pub struct Between {
    /// The row above them: their point but for its size.
    pub choice: Choice,
    /// Their GPUs, ascending.
    pub gpus: Vec<u32>,
}

/// Room that measured trainings of a family need beyond what was predicted of them.
#[derive(Clone, Debug, JsonSchema, PartialEq, Serialize)]
pub struct Margin {
    /// Model family of the cases.
    pub family: String,
    /// Number of the cases.
    pub cases: usize,
    /// Measured over predicted time that the share of them which the confidence names does not exceed.
    pub factor: f64,
}

/// Rows that the limits of a question leave.
#[derive(Clone, Debug, JsonSchema, PartialEq, Serialize)]
pub struct Verdict {
    /// Margin that the confidence asks for; `None` without one, and where nothing of the family was measured.
    pub margin: Option<Margin>,
    /// Choices within all limits that no other one within them beats in both time and cost, the fastest first and the
    /// cheapest last; empty where no row is within them.
    pub within: Vec<Choice>,
    /// Where no row is within them: the nearest row past each limit that alone stands in the way, the nearest first.
    pub misses: Vec<Miss>,
    /// Changes of prices and of the deadline with which the cheapest choice is another.
    pub turns: Vec<Turn>,
    /// Sizes that may be within the limits more cheaply, by interpolation; `None` where there are none.
    pub between: Option<Between>,
}

impl Verdict {
    /// The cheapest choice within the limits.
    pub fn cheapest(&self) -> Option<&Choice> {
        self.within.last()
    }

    /// The fastest choice within the limits.
    pub fn fastest(&self) -> Option<&Choice> {
        self.within.first()
    }

    /// Verdict on the rows of some series, each with a margin on its predicted time and cost.
    pub(super) fn of(
        group: &[&SeriesFinding],
        question: &Question,
        margin: Option<Margin>,
    ) -> Self {
        let (unit, choices) = choices(group);
        let limits = Limits {
            question: *question,
            unit,
            margin: margin.as_ref().map_or(1.0, |margin| margin.factor),
        };
        let kept = |choice: &&Choice| limits.kept(choice, None);
        let within: Vec<Choice> = choices.iter().filter(kept).copied().collect();
        let within = front_of(&within);
        let misses = if within.is_empty() {
            limits.misses(&choices)
        } else {
            Vec::new()
        };
        let turns = match within.last() {
            Some(chosen) => limits.turns(group, &choices, chosen),
            None => Vec::new(),
        };
        let over_budget = misses.iter().find(|it| it.limit == Some(Limit::Budget));
        let above = within.last().or(over_budget.map(|it| &it.choice));
        Self {
            margin,
            between: above.and_then(|above| limits.between(group, above)),
            within,
            misses,
            turns,
        }
    }
}

/// Limits that rows are held against.
struct Limits {
    question: Question,
    unit: CostUnit,
    /// Factor on predicted times and costs.
    margin: f64,
}

impl Limits {
    /// Ratio of what a row takes to what a limit allows; `None` where there is no such limit.
    fn times(&self, choice: &Choice, limit: Limit) -> Option<f64> {
        match limit {
            Limit::Deadline => {
                let deadline = self.question.deadline.map(Seconds::get)?;
                Some(self.margin * choice.time_s / deadline)
            }
            Limit::Budget => {
                let budget = self.question.budget_usd?;
                let usd = choice.cost.filter(|_| self.unit == CostUnit::Usd);
                // Nobody knows whether a row without a price is within a budget.
                Some(usd.map_or(f64::INFINITY, |usd| self.margin * usd / budget))
            }
            Limit::GpusMax => {
                let most = self.question.gpus_max?;
                Some(f64::from(choice.gpus) / f64::from(most))
            }
        }
    }

    /// Whether a row is within all limits, one of them left out.
    fn kept(&self, choice: &Choice, but: Option<Limit>) -> bool {
        let mut limits = Limit::ALL.iter().filter(|limit| Some(**limit) != but);
        limits.all(|limit| self.times(choice, *limit).is_none_or(|times| times <= 1.0))
    }

    /// The nearest row past each limit that alone stands in the way; else the fastest row.
    fn misses(&self, choices: &[Choice]) -> Vec<Miss> {
        let nearest = |limit: &Limit| {
            let past = choices.iter().filter(|it| self.kept(it, Some(*limit)));
            let past = past.filter_map(|choice| {
                let times_limit = self.times(choice, *limit).filter(|it| it.is_finite())?;
                Some(Miss {
                    limit: Some(*limit),
                    choice: *choice,
                    times_limit,
                })
            });
            past.min_by(|a, b| a.times_limit.total_cmp(&b.times_limit))
        };
        let mut misses: Vec<Miss> = Limit::ALL.iter().filter_map(nearest).collect();
        misses.sort_by(|a, b| a.times_limit.total_cmp(&b.times_limit));
        if misses.is_empty() {
            let fastest = choices.iter().min_by(|a, b| a.time_s.total_cmp(&b.time_s));
            misses.extend(fastest.map(|choice| Miss {
                limit: None,
                choice: *choice,
                times_limit: self.times(choice, Limit::Deadline).unwrap_or(1.0),
            }));
        }
        misses
    }

    /// Changes of prices and of the deadline with which another row than the chosen one is the cheapest.
    fn turns(&self, group: &[&SeriesFinding], choices: &[Choice], chosen: &Choice) -> Vec<Turn> {
        let Some(cost) = chosen.cost else {
            return Vec::new();
        };
        let by_cost = |a: &&Choice, b: &&Choice| {
            a.cost
                .unwrap_or(f64::INFINITY)
                .total_cmp(&b.cost.unwrap_or(f64::INFINITY))
        };
        let mut turns = Vec::new();
        if self.unit == CostUnit::Usd {
            let own = gpu(group, chosen);
            let others = choices
                .iter()
                .filter(|it| it.cost.is_some() && gpu(group, it) != own);
            let others = others.filter(|it| self.kept(it, Some(Limit::Budget)));
            turns.extend(
                others
                    .min_by(by_cost)
                    .map(|rival| rent(chosen, cost, rival)),
            );
        }
        if self.question.deadline.is_none() {
            return turns;
        }
        let cheaper = choices
            .iter()
            .filter(|it| it.cost.is_some_and(|other| other < cost));
        let cheaper = cheaper.filter(|it| self.kept(it, Some(Limit::Deadline)));
        let soonest = cheaper.min_by(|a, b| a.time_s.total_cmp(&b.time_s));
        turns.extend(soonest.map(|choice| Turn::LaterDeadline { choice: *choice }));
        let faster = choices
            .iter()
            .filter(|it| it.cost.is_some() && it.time_s < chosen.time_s);
        let faster = faster.filter(|it| self.kept(it, None)).min_by(by_cost);
        turns.extend(faster.map(|choice| Turn::EarlierDeadline { choice: *choice }));
        turns
    }

    /// Sizes between a row and the next smaller one of its series that may be within the limits and cheaper than the row,
    /// by its time interpolated in log-log.
    fn between(&self, group: &[&SeriesFinding], above: &Choice) -> Option<Between> {
        let deadline = self.question.deadline?.get() / self.margin;
        let series = group.iter().find(|series| series.number == above.series)?;
        let (_, own) = choices(&[series]);
        let smaller = own.iter().filter(|it| it.gpus < above.gpus);
        let below = smaller.max_by_key(|it| it.gpus)?;
        let nodes = series.sizes[above.place].point.nodes?;
        let (low, high) = (f64::from(below.gpus), f64::from(above.gpus));
        let slope = libm::log(above.time_s / below.time_s) / libm::log(high / low);
        let is_better = |gpus: &u32| {
            let ratio = f64::from(*gpus) / high;
            let time = above.time_s * libm::pow(ratio, slope);
            time <= deadline && ratio * time < above.time_s
        };
        let each = above.gpus / nodes.max(1);
        let sizes = (below.gpus / each + 1..nodes).filter(|nodes| is_better(&(nodes * each)));
        // What of the GPUs does not divide the batch has to be found for parallelism inside a replica: 160 GPUs leave 5 of
        // a batch of 1,024.
        let measured = series.sizes[above.place].point.measured?;
        let batch = libm::round(measured.samples_per_step()) as u32;
        let left = |nodes: &u32| nodes * each / gcd(nodes * each, batch);
        let mut sizes: Vec<u32> = sizes.collect();
        sizes.sort_by_key(|nodes| (left(nodes), *nodes));
        sizes.truncate(OFFERED);
        sizes.sort_unstable();
        let gpus: Vec<u32> = sizes.into_iter().map(|nodes| nodes * each).collect();
        (!gpus.is_empty()).then_some(Between {
            choice: *above,
            gpus,
        })
    }
}

/// Greatest common divisor.
fn gcd(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// Most sizes that are offered.
const OFFERED: usize = 2;

fn gpu<'a>(group: &[&'a SeriesFinding], choice: &Choice) -> Option<&'a KeyValue> {
    let series = group.iter().find(|series| series.number == choice.series)?;
    series.value(Axis::Gpu)
}

/// The rents with which two rows cost the same: `own·(rival's cost / own cost)`, the other staying, and the reverse.
fn rent(chosen: &Choice, cost: f64, rival: &Choice) -> Turn {
    let other = rival.cost.unwrap_or(f64::INFINITY);
    let (own, theirs) = (cost / chosen.gpu_hours, other / rival.gpu_hours);
    Turn::Rent {
        rival: *rival,
        own_usd_per_gpu_hour: own,
        own_even_usd_per_gpu_hour: own * other / cost,
        rival_usd_per_gpu_hour: theirs,
        rival_even_usd_per_gpu_hour: theirs * cost / other,
    }
}
