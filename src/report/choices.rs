//! The choices of an answer in words: the fastest, the cheapest and some between.

use itertools::Itertools;

use crate::analysis::{Answer, Choice, CostUnit, Findings, Measured, SeriesFinding, SizeFinding};
use crate::report::quantity::{dollars, percent, seconds, three_digits};
use crate::report::words::{capitalised, rate_words, size_words};

/// A choice with what it stands for and its row.
pub(super) struct NamedChoice<'a> {
    /// `fastest`, `between`, `cheapest`, or what both ends are where they are one.
    pub(super) title: &'static str,
    pub(super) series: &'a SeriesFinding,
    pub(super) size: &'a SizeFinding,
    pub(super) measured: Measured,
    pub(super) choice: &'a Choice,
    /// The fastest choice, which times are compared with.
    fastest: &'a Choice,
    unit: CostUnit,
}

/// The fastest and the cheapest choice of an answer, and those between at which the front bends most.
pub(super) fn named_choices<'a>(
    findings: &'a Findings,
    answer: &'a Answer,
    most: usize,
) -> Vec<NamedChoice<'a>> {
    let chosen = answer.named(most);
    let last = chosen.len().saturating_sub(1);
    let (cheapest, only) = match answer.cost_unit {
        CostUnit::Usd => ("cheapest", "fastest and cheapest"),
        CostUnit::GpuHours => ("fewest GPU-hours", "fastest and fewest GPU-hours"),
    };
    let fastest = chosen.first().copied();
    let named = chosen.into_iter().enumerate().map(|(place, choice)| {
        let series = &findings.series[choice.series as usize];
        let size = &series.sizes[choice.place];
        let title = match place {
            0 if last == 0 => only,
            0 => "fastest",
            place if place == last => cheapest,
            _ => "between",
        };
        Some(NamedChoice {
            title,
            series,
            size,
            measured: size.point.measured?,
            choice,
            fastest: fastest?,
            unit: answer.cost_unit,
        })
    });
    named.flatten().collect()
}

impl NamedChoice<'_> {
    /// Cost in words: `$0.112 per million tokens`, of a whole training `$112 k in 16.4 h`, without prices
    /// `83% of the GPU-hours`; `None` for a row without a price beside others that have one.
    pub(super) fn cost_words(&self) -> Option<String> {
        let cost = self.choice.cost?;
        Some(match self.unit {
            CostUnit::Usd if self.size.training.is_some() => {
                let time = seconds(self.choice.time_s);
                format!("{} in {time}", dollars(cost))
            }
            CostUnit::Usd => {
                let work = match self.measured.tokens_per_s {
                    Some(_) => "tokens",
                    None => "samples",
                };
                format!("{} per million {work}", dollars(cost))
            }
            CostUnit::GpuHours => {
                let share = cost / self.fastest.cost?;
                format!("{} of the GPU-hours", percent(share))
            }
        })
    }

    /// Cost in words beside a column of times: `$112 k`, else as [`Self::cost_words`].
    pub(super) fn cost_alone(&self) -> Option<String> {
        match (self.unit, self.size.training) {
            (CostUnit::Usd, Some(_)) => self.choice.cost.map(dollars),
            (CostUnit::Usd | CostUnit::GpuHours, _) => self.cost_words(),
        }
    }

    /// `global_batch 2048 b200 at 1,024 GPUs (128 nodes)`, without the names of the fastest choice's series.
    fn place_words(&self, findings: &Findings) -> String {
        let with = if self.choice.series == self.fastest.series && !self.is_fastest() {
            String::new()
        } else {
            self.series.label(&findings.other_dimensions())
        };
        let at = size_words(findings.size_axis, self.size);
        format!("{with} at {at}").trim_start().to_owned()
    }

    fn is_fastest(&self) -> bool {
        self.choice == self.fastest
    }

    /// The fastest choice in full: `fastest with b200 at 64 GPUs (8 nodes): 1.20 s per step, …`.
    fn in_full(&self, findings: &Findings) -> String {
        let with = self.place_words(findings);
        let with = if with.starts_with("at ") {
            format!(" {with}")
        } else {
            format!(" with {with}")
        };
        let measured = &self.measured;
        let mfu = measured.mfu.map(|mfu| format!("MFU {}", percent(mfu)));
        let cost = match self.unit {
            CostUnit::Usd => self.cost_words(),
            CostUnit::GpuHours => None,
        };
        let cost = cost.map(|cost| match self.size.training {
            Some(_) => format!("{cost} for the whole training"),
            None => cost,
        });
        let facts = [
            Some(format!("{} per step", seconds(measured.step_time_s))),
            Some(rate_words(measured)),
            mfu,
            cost,
        ];
        format!(
            "{}{with}: {}.",
            self.title,
            facts.into_iter().flatten().join(", ")
        )
    }

    /// A choice against the fastest: `h100-sxm at 64 GPUs (8 nodes), 1.8 times as long, $0.07 per million tokens`.
    fn against_fastest(&self, findings: &Findings) -> String {
        let times = three_digits(self.choice.time_s / self.fastest.time_s);
        let facts = [
            Some(self.place_words(findings)),
            Some(format!("{times} times as long")),
            self.cost_words(),
        ];
        facts.into_iter().flatten().join(", ")
    }
}

/// Choices in a sentence each: the fastest in full, those between and the cheapest against it.
pub(super) fn choices_words(findings: &Findings, choices: &[NamedChoice<'_>]) -> String {
    let groups = choices.chunk_by(|a, b| a.title == b.title && !a.is_fastest());
    groups
        .map(|group| match group {
            [fastest] if fastest.is_fastest() => fastest.in_full(findings),
            group => {
                let words = group.iter().map(|it| it.against_fastest(findings));
                format!(
                    "{}: {}.",
                    capitalised(group[0].title),
                    words.into_iter().join("; ")
                )
            }
        })
        .join(" ")
}
