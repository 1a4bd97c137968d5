//! The answer to a planner's question in words: the choices within its limits or the nearest misses, and what would change
//! them.

use itertools::Itertools;

use crate::analysis::{
    Answer, Between, Choice, CostUnit, Findings, Improvement, Limit, Margin, Miss, SizeFinding,
    TrainingCost, Turn, Verdict,
};
use crate::report::quantity::{
    count, decimal, dollars, percent, seconds, short_dollars, short_number, short_seconds,
    three_digits,
};
use crate::report::words::{capitalised, point_words, size_phrase, size_words};
use crate::spec::{Axis, Question};
use crate::units::Seconds;

/// Gains that are named of the chosen row.
const GAINS: usize = 3;

/// A time in days from two days on: `53.1 days`.
pub(super) fn days(time_s: f64) -> String {
    let days = time_s / 86_400.0;
    if days < 2.0 {
        return seconds(time_s);
    }
    format!("{} days", three_digits(days))
}

/// Three significant digits of a number, the last one up.
fn up(value: f64) -> f64 {
    let unit = libm::pow(10.0, libm::floor(libm::log10(value)) - 2.0);
    libm::ceil(value / unit) * unit
}

/// Three significant digits of a number, the rest left out.
fn down(value: f64) -> f64 {
    let unit = libm::pow(10.0, libm::floor(libm::log10(value)) - 2.0);
    libm::floor(value / unit) * unit
}

/// The shortest deadline in three digits that a time keeps.
fn deadline_of(time_s: f64) -> String {
    let unit_s = if time_s < 2.0 * 86_400.0 {
        3_600.0
    } else {
        86_400.0
    };
    days(up(time_s / unit_s) * unit_s)
}

/// A time in days without zeros behind the point: `60 days`.
fn short_days(time_s: f64) -> String {
    let days = time_s / 86_400.0;
    if days < 2.0 {
        return short_seconds(time_s);
    }
    format!("{} days", short_number(days))
}

/// The limits in words: `within 60 days and $700 k on at most 256 GPUs`; empty without limits.
pub(super) fn limits_words(question: &Question) -> String {
    let within = [
        question.deadline.map(|time| short_days(time.get())),
        question.budget_usd.map(short_dollars),
    ];
    let within = within.into_iter().flatten().join(" and ");
    let within = (!within.is_empty()).then(|| format!("within {within}"));
    let most = question.gpus_max.map(f64::from);
    let most = most.map(|most| format!("on at most {} GPUs", count(most)));
    within.into_iter().chain(most).join(" ")
}

/// The confidence with which the limits hold: ` at 90% confidence (with days and cost times 1.46)`; empty without one.
pub(super) fn confidence_words(question: &Question, margin: Option<&Margin>) -> String {
    match (question.confidence, margin) {
        (Some(confidence), Some(margin)) => format!(
            " at {} confidence (days and cost times {})",
            percent(confidence),
            three_digits(margin.factor)
        ),
        (None, _) | (_, None) => String::new(),
    }
}

/// The answer of each model where models differ, else of the study; nothing without limits.
pub(super) fn verdict_sentences(findings: &Findings, answer: &Answer) -> Vec<String> {
    let Some(verdict) = &answer.verdict else {
        return Vec::new();
    };
    let said = Said { findings, answer };
    let mut found = if verdict.within.is_empty() {
        said.misses(verdict)
    } else {
        said.within(verdict)
    };
    found.extend(said.ends_of_grid());
    found.extend(verdict.between.as_ref().map(between_words));
    found
}

/// Findings and the answer that is put in words.
pub(super) struct Said<'a> {
    pub(super) findings: &'a Findings,
    pub(super) answer: &'a Answer,
}

/// Two prices in three digits, or in as many decimals as tell them apart.
fn apart(prices: [f64; 2]) -> [String; 2] {
    let [one, other] = prices.map(three_digits);
    if one != other {
        return [one, other];
    }
    prices.map(|price| format!("{price:.4}"))
}

impl<'a> Said<'a> {
    pub(super) fn size(&self, choice: &Choice) -> &'a SizeFinding {
        &self.findings.series[choice.series as usize].sizes[choice.place]
    }

    pub(super) fn training(&self, choice: &Choice) -> Option<TrainingCost> {
        self.size(choice).training
    }

    /// `h100-sxm at 160 GPUs (20 nodes)`.
    pub(super) fn place(&self, choice: &Choice) -> String {
        let series = &self.findings.series[choice.series as usize];
        let label = series.label(&self.findings.other_dimensions());
        let at = size_words(self.findings.size_axis, self.size(choice));
        format!("{label} at {at}").trim_start().to_owned()
    }

    /// Cost in US dollars; `None` without a price.
    pub(super) fn usd(&self, choice: &Choice) -> Option<f64> {
        choice
            .cost
            .filter(|_| self.answer.cost_unit == CostUnit::Usd)
    }

    /// `$603 k`, `1.20 M GPU-hours`; `no price` of a row without one beside others.
    pub(super) fn cost(&self, choice: &Choice) -> String {
        match (self.answer.cost_unit, choice.cost) {
            (CostUnit::Usd, Some(usd)) => dollars(usd),
            (CostUnit::Usd, None) => "no price".to_owned(),
            (CostUnit::GpuHours, _) => format!("{} GPU-hours", decimal(choice.gpu_hours)),
        }
    }

    /// `h100-sxm at 160 GPUs (20 nodes), 53.1 days, $603 k`.
    fn in_short(&self, choice: &Choice) -> String {
        let (place, time) = (self.place(choice), days(choice.time_s));
        format!("{place}, {time}, {}", self.cost(choice))
    }

    /// `h100-sxm at 160 GPUs (20 nodes): 53.1 days, $603 k, 158 MWh, goodput 97%; tp 8 · dp 20 (point 4)`.
    fn in_full(&self, choice: &Choice) -> String {
        let training = self.training(choice);
        let goodput = self.goodput(choice);
        let facts = [
            Some(days(choice.time_s)),
            Some(self.cost(choice)),
            training.and_then(|it| it.energy_kwh).map(energy),
            goodput.map(|it| format!("goodput {}", percent(it))),
            self.with_margin(choice),
        ];
        let facts = facts.into_iter().flatten().join(", ");
        let layout = self.size(choice).point.measured.map(|it| it.layout.words());
        let layout = layout.map_or_else(String::new, |layout| format!("; {layout}"));
        format!(
            "{}: {facts}{layout} ({})",
            self.place(choice),
            point_words(choice.point, self.findings.is_refined(choice))
        )
    }

    /// Time of the steps by themselves over the expected time; `None` where the spec gives nothing that takes time beside
    /// the steps.
    pub(super) fn goodput(&self, choice: &Choice) -> Option<f64> {
        let training = self.training(choice)?;
        let is_whole = self.findings.left_out.failures && training.goodput >= 1.0;
        (!is_whole).then_some(training.goodput)
    }

    /// What the limits have to hold of a choice: `40.7 days and $689 k with the margin`; `None` without a margin.
    fn with_margin(&self, choice: &Choice) -> Option<String> {
        let factor = self.margin()?.factor;
        let cost = self.usd(choice);
        let cost = cost.map(|usd| format!(" and {}", dollars(factor * usd)));
        let (time, cost) = (days(factor * choice.time_s), cost.unwrap_or_default());
        Some(format!("with the margin {time}{cost}"))
    }

    /// The cheapest choice at the smallest size of its series, and the fastest one at the largest, beyond which nothing
    /// was simulated; `None` where they lie inside.
    pub(super) fn ends_of_grid(&self) -> Option<String> {
        let shown = self.answer.shown();
        let sizes = |choice: &Choice| self.findings.series[choice.series as usize].sizes.len();
        let several = |choice: &&Choice| sizes(choice) > 1;
        let at =
            |choice: &Choice| size_phrase(self.findings.size_axis, self.size(choice).point.size);
        let cheapest = shown.last().filter(several);
        let cheapest = cheapest.filter(|choice| choice.place == 0);
        let most = self.findings.question.gpus_max.unwrap_or(u32::MAX);
        let fastest = shown.first().filter(several);
        let fastest =
            fastest.filter(|choice| choice.place + 1 == sizes(choice) && choice.gpus < most);
        let cheapest = cheapest
            .map(|it| format!("the cheapest is the smallest size of the grid ({})", at(it)));
        let fastest =
            fastest.map(|it| format!("the fastest is the largest size of the grid ({})", at(it)));
        let ends: Vec<String> = cheapest.into_iter().chain(fastest).collect();
        (!ends.is_empty()).then(|| format!("{}: sizes beyond were not tried.", ends.join(", ")))
    }

    fn within(&self, verdict: &Verdict) -> Vec<String> {
        let (Some(cheapest), Some(fastest)) = (verdict.cheapest(), verdict.fastest()) else {
            return Vec::new();
        };
        let limits = self.limits();
        let title = match self.answer.cost_unit {
            CostUnit::Usd => "cheapest",
            CostUnit::GpuHours => "fewest GPU-hours",
        };
        if cheapest == fastest {
            return vec![format!(
                "{title} and fastest {limits}: {}.",
                self.in_full(cheapest)
            )];
        }
        vec![
            format!("{title} {limits}: {}.", self.in_full(cheapest)),
            format!("fastest {limits}: {}.", self.in_full(fastest)),
        ]
    }

    /// The limits with the confidence in which they hold.
    pub(super) fn limits(&self) -> String {
        let question = &self.findings.question;
        let confidence = confidence_words(question, self.margin());
        limits_words(question) + &confidence
    }

    fn misses(&self, verdict: &Verdict) -> Vec<String> {
        let limits = self.limits();
        let Some((nearest, others)) = verdict.misses.split_first() else {
            return Vec::new();
        };
        let first = format!(
            "no row is {limits}. The nearest: {}; {}.",
            self.in_full(&nearest.choice),
            self.meets(nearest)
        );
        let others = others
            .iter()
            .map(|miss| format!("Or {}; {}.", self.in_short(&miss.choice), self.meets(miss)));
        std::iter::once(first).chain(others).collect()
    }

    /// Changes that would bring a row within the limits: `a deadline of 66.2 days would do, or 1.81 T tokens`.
    fn meets(&self, miss: &Miss) -> String {
        let (question, margin) = (&self.findings.question, self.factor());
        let choice = &miss.choice;
        let least = |value: f64, limit: f64| margin * value / limit;
        match miss.limit {
            Some(Limit::Deadline) => {
                let fewer = self.amount().map(|(amount, unit)| {
                    let fewer = decimal(down(amount / miss.times_limit));
                    format!(", or {fewer} {unit} in place of {}", decimal(amount))
                });
                let deadline = deadline_of(margin * choice.time_s);
                format!(
                    "a deadline of {deadline} would do{}",
                    fewer.unwrap_or_default()
                )
            }
            Some(Limit::Budget) => {
                let usd = margin * choice.cost.unwrap_or(0.0);
                let rent = choice.cost.unwrap_or(0.0) / choice.gpu_hours;
                let even = three_digits(down(rent / miss.times_limit));
                let now = three_digits(rent);
                let budget = dollars(up(usd));
                format!(
                    "a budget of {budget} would do, or a rent of ${even} per GPU-hour in place of ${now}"
                )
            }
            Some(Limit::GpusMax) => format!("{} GPUs would do", count(f64::from(choice.gpus))),
            None => {
                let deadline = question.deadline.map(Seconds::get);
                let deadline = deadline
                    .map(|it| least(choice.time_s, it))
                    .filter(|it| *it > 1.0);
                let budget = question.budget_usd.zip(choice.cost);
                let budget = budget
                    .map(|(most, cost)| least(cost, most))
                    .filter(|it| *it > 1.0);
                let words = [
                    deadline.map(|times| format!("{} times the deadline", three_digits(times))),
                    budget.map(|times| format!("{} times the budget", three_digits(times))),
                ];
                let words = words.into_iter().flatten().join(" and ");
                format!("it takes {words}, and no single limit stands in the way")
            }
        }
    }

    /// Margin that the confidence asks for.
    pub(super) fn margin(&self) -> Option<&'a Margin> {
        self.answer.verdict.as_ref()?.margin.as_ref()
    }

    /// Factor on predicted times and costs for which the limits are to hold.
    fn factor(&self) -> f64 {
        self.margin().map_or(1.0, |margin| margin.factor)
    }

    /// Tokens or samples of the whole training with their name, where fewer would take proportionally less.
    fn amount(&self) -> Option<(f64, &'static str)> {
        if self.findings.has_phases {
            return None;
        }
        let question = &self.findings.question;
        let tokens = question.tokens.map(|tokens| (tokens, "tokens"));
        tokens.or(question.samples.map(|samples| (samples, "samples")))
    }

    /// Changes that would change the answer, a sentence each: rents, deadlines, re-simulated changes of the chosen row.
    pub(super) fn changes(&self) -> Vec<String> {
        let Some(chosen) = self.answer.verdict.as_ref().and_then(Verdict::cheapest) else {
            return Vec::new();
        };
        let turns = self.answer.verdict.iter().flat_map(|it| &it.turns);
        let turns = turns.map(|turn| self.turn_words(turn, chosen));
        turns.chain(self.gains(chosen)).collect()
    }

    fn turn_words(&self, turn: &Turn, chosen: &Choice) -> String {
        match turn {
            Turn::Rent {
                rival,
                own_usd_per_gpu_hour: own,
                own_even_usd_per_gpu_hour: own_even,
                rival_usd_per_gpu_hour: theirs,
                rival_even_usd_per_gpu_hour: their_even,
            } => {
                let gpu = |choice: &Choice| {
                    let gpu = self.findings.series[choice.series as usize].value(Axis::Gpu);
                    gpu.map_or_else(|| "GPU".to_owned(), ToString::to_string)
                };
                let (mine, other) = (gpu(chosen), gpu(rival));
                let change = |even: f64, now: f64| format!("{:+.1}%", 100.0 * (even / now - 1.0));
                let [own_text, own_even_text] = apart([*own, *own_even]);
                let [their_text, their_even_text] = apart([*theirs, *their_even]);
                format!(
                    "price: with {mine} at ${own_even_text} per GPU-hour in place of ${own_text} ({}), or {other} at \
                     ${their_even_text} in place of ${their_text} ({}), {} costs as much",
                    change(*own_even, *own),
                    change(*their_even, *theirs),
                    self.place(rival)
                )
            }
            Turn::LaterDeadline { choice } => format!(
                "deadline: with {} or more {} does for {}",
                deadline_of(self.factor() * choice.time_s),
                self.place(choice),
                self.cost(choice)
            ),
            Turn::EarlierDeadline { choice } => format!(
                "deadline: under {} it takes {}",
                days(self.factor() * chosen.time_s),
                self.in_short(choice)
            ),
        }
    }

    /// Cost of a changed row: `, $413 k at the same rent`, of other GPUs at theirs; `None` without a price of the row itself.
    fn gained_cost(&self, chosen: &Choice, gain: &Improvement) -> Option<String> {
        let usd = self.usd(chosen)?;
        let factor = 1.0 + gain.time_per_sample;
        let hours = factor * chosen.time_s / 3_600.0;
        Some(match (gain.axis, gain.usd_per_hour) {
            (Axis::Gpu, Some(rent)) => format!(", {}", dollars(hours * rent)),
            (Axis::Gpu, None) => ", no price".to_owned(),
            (Axis::NicGbitPerS, _) => {
                format!(", {} if the rent stays", dollars(factor * usd))
            }
            _ => format!(", {}", dollars(factor * usd)),
        })
    }

    /// The changes of one axis that help the chosen row most, with time and cost.
    fn gains<'b>(&'b self, chosen: &'b Choice) -> impl Iterator<Item = String> + use<'b, 'a> {
        let advice = self.findings.advice.as_ref();
        let about = advice.and_then(|it| it.about(chosen.series, chosen.place));
        let gains = about.map_or(&[][..], |it| &it.gains).iter().take(GAINS);
        gains.map(move |gain| {
            let factor = 1.0 + gain.time_per_sample;
            let cost = self.gained_cost(chosen, gain).unwrap_or_default();
            let time = days(factor * chosen.time_s);
            let percent = 100.0 * gain.time_per_sample;
            format!("{}: {time}{cost} ({percent:+.1}% time)", gain.change)
        })
    }
}

/// Energy: `158 MWh`.
pub(super) fn energy(kwh: f64) -> String {
    if kwh >= 1e3 {
        format!("{} MWh", three_digits(kwh / 1e3))
    } else {
        format!("{} kWh", three_digits(kwh))
    }
}

/// `Sizes between may do it for less: simulate 144 and 160 GPUs too with --refine?`.
fn between_words(between: &Between) -> String {
    let mut sizes = between.gpus.iter().map(|gpus| count(f64::from(*gpus)));
    format!(
        "Sizes between those of the grid may do for less: simulate {} GPUs too with `sweep answer --refine`?",
        sizes.join(" and ")
    )
}

/// The answers in sentences, each led by its model where models differ.
pub(super) fn question_sentences(findings: &Findings) -> Vec<String> {
    let by = findings.answered_by();
    let answers = findings.answers.iter();
    answers
        .flat_map(|answer| {
            let mut found = verdict_sentences(findings, answer);
            if let Some(first) = found.first_mut() {
                *first = match by {
                    [] => capitalised(first),
                    by => format!("{}: {first}", findings.series_of(answer).label(by)),
                };
                for other in &mut found[1..] {
                    *other = capitalised(other);
                }
            }
            found
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    // 13.62 h in three digits are 13.7, which the time keeps; 45.91 days are 46.0; 7.339 are 7.33 and no more.
    #[test]
    fn what_would_do_is_rounded_so_that_it_does() {
        assert_eq!(deadline_of(13.62 * 3_600.0), "13.7 h");
        assert_eq!(deadline_of(45.91 * 86_400.0), "46.0 days");
        assert_eq!(three_digits(down(7.339)), "7.33");
        assert_eq!(dollars(up(603_010.0)), "$604 k");
    }

    #[test]
    fn limits_are_said_as_they_are_typed() {
        let question = Question {
            deadline: Some(Seconds::new(60.0 * 86_400.0)),
            budget_usd: Some(700_000.0),
            gpus_max: Some(1_024),
            ..Question::default()
        };
        let words = "within 60 days and $700 k on at most 1,024 GPUs";
        assert_eq!(limits_words(&question), words);
        assert_eq!(limits_words(&Question::default()), "");
    }
}
