//! Text of `sweep answer`: the answer, its choices, how far to trust it and what would change it.

use itertools::Itertools;

use crate::analysis::{Answer, Choice, Findings};
use crate::interval::Interval;
use crate::report::prices::prices_words;
use crate::report::quantity::{count, dollars, percent, three_digits};
use crate::report::question::{Said, days, energy, question_sentences};
use crate::report::text::{Table, Text};
use crate::report::words::{
    capitalised, counts_line, point_number, point_words, size_number, size_words,
};
use crate::validation::Accuracy;

/// Most choices of an answer in the table.
const CHOICES: usize = 8;

/// A choice with how far its step time can be trusted.
#[derive(Clone, Debug)]
pub(crate) struct Trust {
    /// The choice.
    pub choice: Choice,
    /// Whether it is one of the run between the sizes of the grid.
    pub is_refined: bool,
    /// Errors of the measured cases nearest to it.
    pub step_time: Accuracy,
    /// Seconds between which four of five measurements of such a step would lie.
    pub interval: Option<Interval>,
    /// Correction by measured runs of one's own in words; `None` where none is near.
    pub correction: Option<String>,
    /// What a network of the spec's own means for the errors; `None` on those of the catalogue.
    pub network: Option<String>,
}

impl Trust {
    /// What corrects the predicted time, the interval around it, where there are such, the nearest cases, and what an own
    /// network means for them.
    pub(crate) fn words(&self) -> String {
        let interval = Some(self.interval_words());
        let mut parts = self.correction.iter().chain(&interval).chain(&self.network);
        parts.join("; ")
    }

    /// Whether comparable runs were measured, between what they lie, and the nearest one.
    fn interval_words(&self) -> String {
        let nearest = self.step_time.nearest_run.as_deref();
        let nearest = nearest.unwrap_or("none at all");
        let is_near = !self.step_time.cases.is_empty();
        let Some(Interval { low, high }) = self.interval else {
            return if is_near {
                format!(
                    "too few runs like it were measured for an interval, the nearest a {nearest}"
                )
            } else {
                format!(
                    "no run like it was measured, so its error is unknown; the nearest is a {nearest}"
                )
            };
        };
        let less = percent(1.0 - low / self.choice.step_time_s);
        let more = percent(high / self.choice.step_time_s - 1.0);
        let measured = if is_near {
            "nearest measured run"
        } else {
            "judged by runs unlike it, the nearest"
        };
        format!("4 of 5 such runs take {less} less to {more} more time; {measured}: {nearest}")
    }
}

/// Findings as the answer to a question.
#[derive(Clone, Debug)]
pub(crate) struct Planned {
    /// The question in words; empty where the spec has none.
    pub title: String,
    /// Findings of all rows.
    pub findings: Findings,
    /// How far the choices that are named can be trusted.
    pub trust: Vec<Trust>,
}

impl Planned {
    /// The answer for people.
    pub(crate) fn text(&self) -> String {
        let findings = &self.findings;
        let mut text = Text::default();
        if !self.title.is_empty() {
            text.wrap(&self.title, "", "");
            writeln!(text);
        }
        for sentence in question_sentences(findings) {
            text.wrap(&sentence, "  ", "    ");
        }
        if let Some(nothing) = &findings.nothing {
            text.wrap(nothing, "  ", "    ");
        }
        // With limits the sentences have them already.
        for answer in findings.answers.iter().filter(|it| it.verdict.is_none()) {
            if let Some(ends) = (Said { findings, answer }).ends_of_grid() {
                text.wrap(&capitalised(&ends), "  ", "    ");
            }
        }
        for answer in findings.answers.iter().filter(|it| !it.shown().is_empty()) {
            self.push_choices(&mut text, answer);
        }
        self.push_refined(&mut text);
        self.push_trust(&mut text);
        self.push_changes(&mut text);
        writeln!(text);
        if let Some(prices) = prices_words(findings) {
            text.wrap(&prices, "", "  ");
        }
        if let Some(left_out) = self.left_out() {
            text.wrap(&left_out, "", "  ");
        }
        text.wrap(&counts_line(&findings.counts), "", "  ");
        text.finish()
    }

    /// Costs beside the steps that days and cost lack; `None` where the whole training is not known.
    fn left_out(&self) -> Option<String> {
        let left_out = self.findings.left_out.names();
        let is_asked = self.findings.question.amount().is_some() && !left_out.is_empty();
        is_asked.then(|| {
            let costs = left_out.join(", ");
            format!("Not in days and cost, since [analysis] does not give them: {costs}.")
        })
    }

    /// The table of the choices of one model.
    fn push_choices(&self, text: &mut Text, answer: &Answer) {
        let findings = &self.findings;
        let said = Said { findings, answer };
        writeln!(text);
        let model = findings.series_of(answer).label(findings.answered_by());
        let within = match &answer.verdict {
            Some(verdict) if !verdict.within.is_empty() => said.limits(),
            Some(_) => "whatever the limits".to_owned(),
            None => String::new(),
        };
        let words = [model.as_str(), "choices", &within];
        let words = words.into_iter().filter(|it| !it.is_empty());
        let line = words.collect::<Vec<_>>().join(" ");
        let line = capitalised(&line);
        text.wrap(
            &format!("{line} (no other row is better in time and cost):"),
            "",
            "  ",
        );
        let mut table = Table::fixed(&[
            (">point", 5),
            ("with", 23),
            (">GPUs", 6),
            (">time", 10),
            (">cost", 10),
            (">energy", 8),
            (">goodput", 7),
        ]);
        for choice in answer.named(CHOICES) {
            let training = said.training(choice);
            let series = &findings.series[choice.series as usize];
            table.row([
                point_number(findings, choice),
                series.label(&findings.other_dimensions()),
                size_number(findings.size_axis, said.size(choice).point.size),
                days(choice.time_s),
                said.cost(choice),
                training
                    .and_then(|it| it.energy_kwh)
                    .map(energy)
                    .unwrap_or_default(),
                said.goodput(choice).map_or_else(|| "–".to_owned(), percent),
            ]);
        }
        write!(text, "{}", table.render());
    }

    /// Outcome of the sizes between those of the grid.
    fn push_refined(&self, text: &mut Text) {
        let Some(run) = self.findings.refined else {
            return;
        };
        let findings = &self.findings;
        writeln!(text, "\nSizes simulated between those of the grid:");
        for series in &findings.series {
            let sizes = series.sizes.iter().filter(|size| size.point.source == run);
            for size in sizes {
                let label = series.label(&findings.varied);
                let at = size_words(findings.size_axis, size);
                let came_to = match (&size.training, &size.point.reason) {
                    (Some(training), _) => {
                        let usd = training.cost_usd.map(|usd| format!(", {}", dollars(usd)));
                        format!("{}{}", days(training.time_s), usd.unwrap_or_default())
                    }
                    (None, Some(reason)) => reason.as_str().to_owned(),
                    (None, None) => "no time".to_owned(),
                };
                let line = format!("{label} at {at}: {came_to}");
                text.wrap(line.trim_start(), "  ", "    ");
            }
        }
    }

    fn push_trust(&self, text: &mut Text) {
        let margins = self
            .findings
            .answers
            .iter()
            .filter_map(|it| it.verdict.as_ref());
        let margins = margins.filter_map(|it| it.margin.as_ref());
        let confidence = self.findings.question.confidence;
        if self.trust.is_empty() {
            return;
        }
        writeln!(text, "\nHow far to trust it:");
        for trust in &self.trust {
            let point = point_words(trust.choice.point, trust.is_refined);
            let line = format!("{point}: {}", trust.words());
            text.wrap(&line, "  ", "    ");
        }
        let mut margins = margins.peekable();
        if let (Some(confidence), None) = (confidence, margins.peek()) {
            let line = format!(
                "a confidence of {} cannot be met: nothing of the family was measured, so the limits hold for what is predicted",
                percent(confidence)
            );
            text.wrap(&line, "  ", "    ");
        }
        for margin in margins {
            let line = format!(
                "{} of {} measured steps of the family {} took up to {} times what is predicted of them: the limits \
                 hold for that",
                percent(confidence.unwrap_or(1.0)),
                count(margin.cases as f64),
                margin.family,
                three_digits(margin.factor)
            );
            text.wrap(&line, "  ", "    ");
        }
    }

    fn push_changes(&self, text: &mut Text) {
        let findings = &self.findings;
        let by = findings.answered_by();
        for answer in &findings.answers {
            let changes = Said { findings, answer }.changes();
            if changes.is_empty() {
                continue;
            }
            let of = match by {
                [] => String::new(),
                by => format!(" for {}", findings.series_of(answer).label(by)),
            };
            writeln!(text, "\nWhat would change the answer{of}:");
            for change in changes {
                text.wrap(&change, "  ", "    ");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::validation::NearCase;

    fn words(interval: Option<Interval>, errors: &[f64]) -> String {
        let cases = errors.iter().map(|error| NearCase {
            id: "lf-019".to_owned(),
            source: String::new(),
            run: String::new(),
            distance: 1.0,
            relative_error: Some(*error),
        });
        let trust = Trust {
            choice: Choice {
                series: 0,
                place: 0,
                point: 0,
                gpus: 8,
                step_time_s: 2.0,
                time_s: 2.0,
                gpu_hours: 1.0,
                cost: None,
            },
            is_refined: false,
            step_time: Accuracy {
                sentence: String::new(),
                mean_error: errors.first().copied(),
                cases: cases.collect(),
                nearest_run: Some("decoder of 7 B on 8 a100-80gb-sxm".to_owned()),
            },
            interval,
            network: None,
            correction: None,
        };
        trust.words()
    }

    // 1.8 s are 10% less than 2 s, and 2.5 s 25% more. No distance is named, and nothing is said twice or denied.
    #[test]
    fn trust_is_said_in_plain_words() {
        let interval = Some(Interval {
            low: 1.8,
            high: 2.5,
        });
        let between = "4 of 5 such runs take 10% less to 25% more time";
        let run = "decoder of 7 B on 8 a100-80gb-sxm";
        let expected = [
            (
                words(interval, &[0.08, 0.08]),
                format!("{between}; nearest measured run: {run}"),
            ),
            (
                words(interval, &[]),
                format!("{between}; judged by runs unlike it, the nearest: {run}"),
            ),
            (
                words(None, &[0.08]),
                format!("too few runs like it were measured for an interval, the nearest a {run}"),
            ),
            (
                words(None, &[]),
                format!(
                    "no run like it was measured, so its error is unknown; the nearest is a {run}"
                ),
            ),
        ];
        for (found, expected) in expected {
            assert_eq!(found, expected);
        }
    }
}
