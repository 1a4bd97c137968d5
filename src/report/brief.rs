//! The first screen of a training study on a terminal: the answer, its choices, what breaks, how far to trust it, and where
//! the rest is.

use std::path::Path;

use itertools::Itertools;

use crate::analysis::{Answer, Choice, Dimension, Findings, SeriesFinding, Verdict};
use crate::report::answer::{
    asked_sentences, breakdown_in_brief, nothing_sentence, over_the_measure, why_nothing_ran,
};
use crate::report::choices::{NamedChoice, choices_words, named_choices};
use crate::report::planned::Trust;
use crate::report::prices::prices_words;
use crate::report::quantity::{dollars, percent, seconds};
use crate::report::question::{Said, limits_words, question_sentences};
use crate::report::resimulated::not_reproduced;
use crate::report::series_row::SeriesRow;
use crate::report::summary::{short_label, summary};
use crate::report::text::{Table, Text};
use crate::report::words::{capitalised, counts_line, point_words, size_number, size_unit};
use crate::spec::Axis;

/// Most models of the table.
const MODELS: usize = 8;

/// Rows of the table, at least two for each model.
const ROWS: usize = 8;

/// First screen of a study.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Brief<'a> {
    /// Findings of the study.
    pub findings: &'a Findings,
    /// Question of the study.
    pub question: Option<&'a str>,
    /// How far the first choice can be trusted; `None` where the rows have no spec beside them.
    pub trust: Option<&'a Trust>,
    /// Folder of the run; `None` of files that lie in none.
    pub folder: Option<&'a Path>,
    /// Columns of the terminal; `None` of a pipe, whose lines may have any length.
    pub room: Option<usize>,
}

impl Brief<'_> {
    /// The first screen; the whole summary where nothing ran.
    pub(crate) fn text(&self) -> String {
        let findings = self.findings;
        if findings.counts.ok == 0 {
            return summary(findings, self.question);
        }
        let mut text = Text::default();
        if let Some(question) = self.question.filter(|question| !question.trim().is_empty()) {
            text.wrap(question, "", "");
            writeln!(text);
        }
        for sentence in answer_in_brief(findings) {
            text.wrap(&sentence, "  ", "    ");
        }
        writeln!(text);
        write!(text, "{}", self.table().render());
        writeln!(text);
        let lines = [
            self.tight(),
            self.over_the_measure(),
            nothing_sentence(findings),
            breakdown_in_brief(findings),
            not_reproduced(findings),
            self.trust(),
        ];
        for line in lines.into_iter().flatten() {
            text.wrap(&line, "", "  ");
        }
        if let Some(prices) = prices_words(findings) {
            text.wrap(&prices, "", "  ");
        }
        if let Some(folder) = self.folder {
            text.wrap(&self.files(folder), "", "  ");
        }
        text.wrap(&counts_line(&findings.counts), "", "  ");
        text.finish()
    }

    fn shown(&self) -> &[Answer] {
        let answers = &self.findings.answers;
        &answers[..answers.len().min(MODELS)]
    }

    fn choices(&self) -> impl Iterator<Item = (&Answer, Vec<NamedChoice<'_>>)> {
        let shown = self.shown();
        let most = (ROWS / shown.len().max(1)).clamp(2, 4);
        let choices = shown.iter();
        choices.map(move |answer| (answer, named_choices(self.findings, answer, most)))
    }

    /// The choices of each model.
    fn table(&self) -> Table {
        let findings = self.findings;
        let by = findings.answered_by();
        let is_whole = self.is_whole();
        let titles = [
            ("model", !by.is_empty()),
            ("choice", true),
            ("with", !findings.other_dimensions().is_empty()),
            (
                match size_unit(findings.size_axis) {
                    "GPUs" => ">GPUs",
                    _ => ">size",
                },
                true,
            ),
            (">point", true),
            (if is_whole { ">time" } else { ">step" }, true),
            (">cost", findings.costs_money()),
            (">MFU", true),
            (">eff.", true),
        ];
        let columns: Vec<usize> = (0..titles.len()).filter(|place| titles[*place].1).collect();
        let headings: Vec<&str> = columns.iter().map(|place| titles[*place].0).collect();
        let mut table = Table::within(&headings, self.room);
        let mut add = |cells: [String; 9]| {
            let cells = columns.iter().map(|place| cells[*place].clone());
            table.row(cells.collect::<Vec<_>>());
        };
        for (answer, choices) in self.choices() {
            let series = findings.series_of(answer);
            let model = series.label(by);
            if choices.is_empty() {
                let mut cells: [String; 9] = Default::default();
                let why = format!("nothing runs: {}", why_nothing_ran(findings, series));
                (cells[0], cells[1]) = (model.clone(), why);
                add(cells);
            }
            for choice in &choices {
                add(self.cells(answer, &model, choice));
            }
        }
        table
    }

    fn cells(&self, answer: &Answer, model: &str, named: &NamedChoice<'_>) -> [String; 9] {
        let findings = self.findings;
        let choice = named.choice;
        let row = SeriesRow::new(findings, named.series);
        let time = match named.size.training {
            Some(_) => choice.time_s,
            None => choice.step_time_s,
        };
        [
            model.to_owned(),
            named.title.to_owned(),
            short_label(&row, findings.answered_by()),
            size_number(findings.size_axis, named.size.point.size),
            choice.point.to_string(),
            seconds(time),
            (Said { findings, answer })
                .usd(choice)
                .map(dollars)
                .unwrap_or_default(),
            named.measured.mfu.map(percent).unwrap_or_default(),
            named
                .size
                .efficiency
                .map(|it| percent(it.of_baseline))
                .unwrap_or_default(),
        ]
    }

    /// Whether times are those of a whole training.
    fn is_whole(&self) -> bool {
        let sizes = self.findings.series.iter().flat_map(|series| &series.sizes);
        sizes.into_iter().any(|size| size.training.is_some())
    }

    /// The choices whose peak lies inside the memory's headroom.
    fn tight(&self) -> Option<String> {
        /// Points that are named.
        const TIGHT: usize = 4;
        let choices: Vec<_> = self.choices().flat_map(|(_, choices)| choices).collect();
        let tight = choices.iter().filter(|it| it.measured.tight == Some(true));
        let tight = tight.map(|it| {
            let share = it.measured.memory_share().map(percent).unwrap_or_default();
            format!("{} ({share})", it.choice.point)
        });
        let tight: Vec<String> = tight.unique().collect();
        let more = tight.len().saturating_sub(TIGHT);
        let more = (more > 0).then(|| format!("{more} more"));
        let named = tight.into_iter().take(TIGHT).chain(more).join(", ");
        (!named.is_empty()).then(|| format!("Tight on memory: point {named}."))
    }

    /// Why efficiencies of the table lie over 100%.
    fn over_the_measure(&self) -> Option<String> {
        let choices = self.choices().flat_map(|(_, choices)| choices);
        let shown: Vec<NamedChoice<'_>> = choices.collect();
        over_the_measure(shown.iter().map(|it| (it.series, it.size)))
    }

    fn trust(&self) -> Option<String> {
        self.trust.map(trust_words)
    }

    fn files(&self, folder: &Path) -> String {
        let folder = folder.display();
        let first = self.findings.answers.iter().find_map(first_choice);
        let explain = first.map_or_else(String::new, |choice| {
            format!(
                "; `sweep explain {folder} {}` explains a point",
                choice.point
            )
        });
        format!(
            "In {folder}: report.html, points.parquet, scaling.parquet. `-v` says more{explain}."
        )
    }
}

/// `How far to trust it: point 4: ….`
pub(crate) fn trust_words(trust: &Trust) -> String {
    let point = point_words(trust.choice.point, trust.is_refined);
    format!("How far to trust it: {point}: {}.", trust.words())
}

/// The choice that an answer names first: the cheapest within the limits; without limits, the fastest.
pub(crate) fn first_choice(answer: &Answer) -> Option<&Choice> {
    let verdict = answer.verdict.as_ref();
    verdict.and_then(Verdict::cheapest).or(answer.fastest())
}

/// The answer in a sentence or two, beside the table that has the rest.
pub(super) fn answer_in_brief(findings: &Findings) -> Vec<String> {
    if findings.counts.ok == 0 {
        return Vec::from_iter(nothing_sentence(findings));
    }
    let found = match findings.answers.as_slice() {
        [answer] if answer.verdict.is_some() => question_sentences(findings),
        [answer] => {
            let choices = named_choices(findings, answer, 2);
            vec![capitalised(&choices_words(findings, &choices))]
        }
        answers => of_models(findings, answers),
    };
    let asked = asked_sentences(findings);
    // Limits are the question where there are some.
    let (first, second) = if findings.question.has_limits() {
        (found, asked)
    } else {
        (asked, found)
    };
    first.into_iter().chain(second).collect()
}

/// The fastest and the cheapest choice of several models, and in how many nothing is chosen.
fn of_models(findings: &Findings, answers: &[Answer]) -> Vec<String> {
    let question = &findings.question;
    let confidence = question.confidence.filter(|_| question.has_limits());
    let confidence = confidence.map(|it| format!(" at {} confidence", percent(it)));
    let limits = limits_words(question) + &confidence.unwrap_or_default();
    let within = if limits.is_empty() {
        limits
    } else {
        format!(" {limits}")
    };
    let cheapest = if findings.costs_money() {
        "cheapest"
    } else {
        "fewest GPU-hours"
    };
    let is_answered = |answer: &&Answer| match &answer.verdict {
        Some(verdict) => !verdict.within.is_empty(),
        None => !answer.front.is_empty(),
    };
    let answered: Vec<&Answer> = answers.iter().filter(is_answered).collect();
    let mut found: Vec<String> = Vec::new();
    for (place, title) in ["fastest", cheapest].into_iter().enumerate() {
        let chosen = answered.iter().filter_map(|answer| {
            let shown = answer.shown();
            let end = [shown.first(), shown.last()][place];
            Some((*answer, end?))
        });
        let words = chosen_of_models(findings, &chosen.collect::<Vec<_>>());
        found.extend(words.map(|words| format!("{}{within}{words}.", capitalised(title))));
    }
    if found.is_empty() && !answered.is_empty() {
        found.push(format!(
            "Fastest and {cheapest}{within} differ from model to model: see the table."
        ));
    }
    let (none, all) = (answers.len() - answered.len(), answers.len());
    let verb = if findings.question.has_limits() {
        "is"
    } else {
        "runs"
    };
    found.extend((none > 0).then(|| format!("Nothing {verb}{within} for {none} of {all} models.")));
    found
}

/// Choices of one kind: ` for all 4 models: b200 at 1,024 GPUs`, ` for all 4 models: b200 at 8 to 64 GPUs`, `: b200 for 2 of 3
/// models, h100-sxm for 1`; `None` where every model has another one.
fn chosen_of_models(findings: &Findings, chosen: &[(&Answer, &Choice)]) -> Option<String> {
    let models = match chosen.len() {
        1 => " for 1 model".to_owned(),
        2 => " for both models".to_owned(),
        models => format!(" for all {models} models"),
    };
    let places = chosen
        .iter()
        .map(|(answer, choice)| (Said { findings, answer }).place(choice));
    if let Ok(place) = places.dedup().exactly_one() {
        return Some(format!("{models}: {place}"));
    }
    let others = findings.other_dimensions();
    let series = chosen
        .iter()
        .map(|(_, choice)| &findings.series[choice.series as usize]);
    let labels = series.clone().map(|series| series.label(&others));
    let Ok(label) = labels.dedup().exactly_one() else {
        return series_chosen(&series.collect::<Vec<_>>(), &others);
    };
    let sizes = chosen
        .iter()
        .map(|(answer, choice)| (Said { findings, answer }).size(choice).point.size);
    let (low, high) = sizes.minmax_by(f64::total_cmp).into_option()?;
    let [low, high] = [low, high].map(|size| size_number(findings.size_axis, size));
    let at = format!(
        "{label} at {low} to {high} {}",
        size_unit(findings.size_axis)
    );
    Some(format!("{models}: {}", at.trim_start()))
}

/// Series that models choose, by the GPU and what differs: `: b200 for 2 of 3 models, h100-sxm for 1`; `None` where every model
/// chooses another one, or of many.
fn series_chosen(series: &[&SeriesFinding], dimensions: &[Dimension]) -> Option<String> {
    /// Series that are named.
    const SERIES: usize = 3;
    let is_told = |it: &&Dimension| {
        **it == Axis::Gpu || !series.iter().map(|one| one.dimension(**it)).all_equal()
    };
    let told: Vec<Dimension> = dimensions.iter().filter(is_told).copied().collect();
    let counts = series.iter().map(|one| one.label(&told)).counts();
    let all = series.len();
    if counts.len() > SERIES || counts.len() == all {
        return None;
    }
    let sorted = counts
        .into_iter()
        .sorted_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    let words = sorted
        .enumerate()
        .map(|(place, (label, models))| match place {
            0 => format!("{label} for {models} of {all} models"),
            _ => format!("{label} for {models}"),
        });
    Some(format!(": {}", words.into_iter().join(", ")))
}
