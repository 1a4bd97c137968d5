//! Text of `sweep answer`: the answer, its choices, how far to trust it and what would change it; and the same as JSON.

use serde_json::{Map, Value, json};

use crate::analysis::{Answer, Choice, Dimension, Findings, Turn, Verdict};
use crate::catalog::PRICES;
use crate::interval::Interval;
use crate::report::quantity::{count, dollars, percent, three_digits};
use crate::report::question::{Said, days, energy, limits_words, question_sentences};
use crate::report::text::{Table, Text};
use crate::report::words::{capitalised, counts_line, size_number, size_words};
use crate::validation::Accuracy;

/// Most choices of an answer in the table.
const CHOICES: usize = 8;

/// A choice with how far its step time can be trusted.
#[derive(Clone, Debug)]
pub(crate) struct Trust {
    /// The choice.
    pub choice: Choice,
    /// Errors of the measured cases nearest to it.
    pub step_time: Accuracy,
    /// Seconds between which four of five measurements of such a step would lie.
    pub interval: Option<Interval>,
}

impl Trust {
    /// The interval around the predicted time, where there is one, and the nearest cases.
    pub(crate) fn words(&self) -> String {
        let nearest = &self.step_time.sentence;
        let Some(Interval { low, high }) = self.interval else {
            return nearest.clone();
        };
        let [less, more] = [
            1.0 - low / self.choice.step_time_s,
            high / self.choice.step_time_s - 1.0,
        ];
        format!(
            "4 of 5 such runs would take {} less to {} more time; {nearest}",
            percent(less),
            percent(more)
        )
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
    /// Place of the run whose sizes lie between those of the grid; `None` where there is none.
    pub refined: Option<u32>,
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
        if let Some(nothing) = &findings.nothing {
            text.wrap(nothing, "  ", "    ");
        }
        for sentence in question_sentences(findings) {
            text.wrap(&sentence, "  ", "    ");
        }
        for answer in findings.answers.iter().filter(|it| !it.shown().is_empty()) {
            self.push_choices(&mut text, answer);
        }
        self.push_refined(&mut text);
        self.push_trust(&mut text);
        self.push_changes(&mut text);
        writeln!(text);
        if findings.costs_money() {
            text.wrap(PRICES, "", "  ");
        }
        text.wrap(&counts_line(&findings.counts), "", "  ");
        text.finish()
    }

    /// The table of the choices of one model.
    fn push_choices(&self, text: &mut Text, answer: &Answer) {
        let findings = &self.findings;
        let said = Said { findings, answer };
        writeln!(text);
        let model = findings.series_of(answer).label(findings.answered_by());
        let within = match &answer.verdict {
            Some(verdict) if !verdict.within.is_empty() => limits_words(&findings.question),
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
                choice.point.to_string(),
                series.label(&findings.other_dimensions()),
                size_number(findings.size_axis, said.size(choice).point.size),
                days(choice.time_s),
                said.cost(choice),
                training
                    .and_then(|it| it.energy_kwh)
                    .map(energy)
                    .unwrap_or_default(),
                training.map(|it| percent(it.goodput)).unwrap_or_default(),
            ]);
        }
        write!(text, "{}", table.render());
    }

    /// Outcome of the sizes between those of the grid.
    fn push_refined(&self, text: &mut Text) {
        let Some(run) = self.refined else {
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
            let line = format!("point {}: {}", trust.choice.point, trust.words());
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

    /// The answer for programs, `clustersweep.answer/1`.
    pub(crate) fn json(&self) -> Value {
        let answers = self.findings.answers.iter();
        json!({
            "schema": "clustersweep.answer/1",
            "title": self.title,
            "question": self.findings.question,
            "sentences": question_sentences(&self.findings),
            "answers": answers.map(|answer| self.answer_json(answer)).collect::<Vec<_>>(),
            "counts": self.findings.counts,
            "prices": self.findings.costs_money().then_some(PRICES),
        })
    }

    fn answer_json(&self, answer: &Answer) -> Value {
        let findings = &self.findings;
        let row = |choice: &Choice| self.row_json(answer, choice);
        let rows = |choices: &[Choice]| choices.iter().map(row).collect::<Vec<_>>();
        let verdict = answer.verdict.as_ref();
        let misses = verdict.map_or(&[][..], |it| &it.misses).iter().map(|miss| {
            json!({"limit": miss.limit, "times_limit": miss.times_limit, "row": row(&miss.choice)})
        });
        let between = verdict.and_then(|it| it.between.as_ref());
        json!({
            "of": axes_json(findings, answer.series, findings.answered_by()),
            "is_met": verdict.map(|it| !it.within.is_empty()),
            "cost_unit": answer.cost_unit,
            "cheapest": verdict.and_then(Verdict::cheapest).or(answer.cheapest()).map(row),
            "fastest": verdict.and_then(Verdict::fastest).or(answer.fastest()).map(row),
            "within": verdict.map(|it| rows(&it.within)),
            "front": rows(&answer.front),
            "misses": misses.collect::<Vec<_>>(),
            "between": between.map(|it| json!({"row": row(&it.choice), "gpus": it.gpus})),
            "margin": verdict.and_then(|it| it.margin.as_ref()),
            "turns": verdict.map(|it| it.turns.iter().map(|turn| self.turn_json(answer, turn)).collect::<Vec<_>>()),
            "changes": Said { findings, answer }.changes(),
        })
    }

    fn turn_json(&self, answer: &Answer, turn: &Turn) -> Value {
        let mut value = json!(turn);
        let (key, choice) = match turn {
            Turn::Rent { rival, .. } => ("rival", rival),
            Turn::LaterDeadline { choice } | Turn::EarlierDeadline { choice } => ("choice", choice),
        };
        value[key] = self.row_json(answer, choice);
        value
    }

    /// A row: what sets its series apart, size, time and cost of the whole training, layout, and its trust.
    fn row_json(&self, answer: &Answer, choice: &Choice) -> Value {
        let findings = &self.findings;
        let said = Said { findings, answer };
        let point = &said.size(choice).point;
        let training = said.training(choice);
        let trust = self.trust.iter().find(|it| it.choice == *choice);
        let is_whole = training.is_some();
        json!({
            "point": choice.point,
            "run": point.source,
            "axes": axes_json(findings, choice.series, &findings.varied),
            "gpus": choice.gpus,
            "nodes": point.nodes,
            "days": is_whole.then_some(choice.time_s / 86_400.0),
            "total_cost_usd": training.and_then(|it| it.cost_usd),
            "total_energy_kwh": training.and_then(|it| it.energy_kwh),
            "goodput": training.map(|it| it.goodput),
            "gpu_hours": choice.gpu_hours,
            "step_time_s": choice.step_time_s,
            "mfu": point.measured.and_then(|it| it.mfu),
            "layout": point.measured.map(|it| it.layout),
            "step_time_low_s": trust.and_then(|it| it.interval).map(|it| it.low),
            "step_time_high_s": trust.and_then(|it| it.interval).map(|it| it.high),
            "step_time_confidence": trust.map(|it| &it.step_time),
        })
    }
}

/// Values of a series on some dimensions, by name.
fn axes_json(findings: &Findings, series: u32, dimensions: &[Dimension]) -> Value {
    let series = &findings.series[series as usize];
    let named = dimensions
        .iter()
        .map(|it| (it.to_string(), json!(series.dimension(*it))));
    Value::Object(named.collect::<Map<_, _>>())
}
