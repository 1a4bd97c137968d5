//! A comparison of values on a terminal, at most 80 columns wide.

use itertools::Itertools;

use crate::analysis::{ComparedJob, ComparedValue, Comparison, KeyValue};
use crate::report::prices::compared_prices_words;
use crate::report::quantity::{count, dollars, plural, seconds, three_digits};
use crate::report::text::Text;
use crate::report::words::{counts_line, rate_words};
use crate::spec::Axis;

/// Jobs that the summary shows; the page shows more.
const JOBS: usize = 20;

/// The question, which value is fastest where, and how the points ended.
pub(crate) fn comparison_summary(found: &Comparison, question: Option<&str>) -> String {
    let mut text = Text::default();
    if let Some(question) = question.filter(|question| !question.trim().is_empty()) {
        text.wrap(question, "", "");
        writeln!(text);
    }
    for sentence in comparison_sentences(found) {
        text.wrap(&sentence, "  ", "    ");
    }
    writeln!(text);
    if !found.groups.is_empty() {
        for job in found.groups.iter().take(JOBS) {
            text.wrap(&job_words(found, job), "", "  ");
        }
        if found.groups.len() > JOBS {
            let more = count((found.groups.len() - JOBS) as f64);
            text.wrap(&format!("{more} more are in report.html."), "", "  ");
        }
        writeln!(text);
    }
    if let Some(prices) = compared_prices_words(found) {
        text.wrap(&prices, "", "  ");
    }
    text.wrap(&counts_line(&found.counts), "", "  ");
    text.finish()
}

/// The values that are fastest, with the number of jobs at which each is, or why nothing is compared.
pub(crate) fn comparison_sentences(found: &Comparison) -> Vec<String> {
    if let Some(nothing) = &found.nothing {
        return vec![format!("{nothing}.")];
    }
    let (axis, wins, ties) = (found.axis, found.wins(), found.ties());
    let jobs = found.groups.len();
    let number = |jobs: usize| count(jobs as f64);
    let sentence = match (wins.as_slice(), ties, jobs) {
        ([], 1, 1) => format!("`{axis}` makes no difference: all of its values take as long."),
        ([(value, _)], 0, 1) => {
            format!("The fastest value of `{axis}` is {}.", value_words(*value))
        }
        _ => {
            let won = |(value, jobs): &(Option<&KeyValue>, usize)| {
                format!("{} in {}", value_words(*value), number(*jobs))
            };
            let fastest = (!wins.is_empty())
                .then(|| format!("the fastest value is {}", wins.iter().map(won).join(", ")));
            let tied =
                (ties > 0).then(|| format!("{} take as long with every value", number(ties)));
            let never = jobs - ties - wins.iter().map(|(_, jobs)| jobs).sum::<usize>();
            let never = (never > 0).then(|| format!("in {} nothing runs", number(never)));
            let plural = plural(jobs as u64);
            let said = fastest.into_iter().chain(tied).chain(never).join("; ");
            format!(
                "Of {} job{plural} that differ in `{axis}` alone, {said}.",
                number(jobs)
            )
        }
    };
    vec![sentence, no_resource(axis)]
}

fn no_resource(axis: Axis) -> String {
    format!(
        "`{axis}` is no resource, so its values are held against each other; scaling is over GPUs, nodes and \
         bandwidths."
    )
}

/// The name of a job: its values of the dimensions in which jobs differ.
pub(super) fn job_label(found: &Comparison, job: &ComparedJob) -> String {
    match job.label(&found.varied) {
        label if label.is_empty() => "all points".to_owned(),
        label => label,
    }
}

/// A value, or that the simulator chooses it.
pub(super) fn value_words(value: Option<&KeyValue>) -> String {
    value.map_or_else(|| "auto".to_owned(), KeyValue::to_string)
}

/// `llama3-8b nodes 4: tp 8 takes 1.20 s per step, 3.10 M tokens/s, $0.0712 per million tokens; tp 4 1.02 times as long`.
fn job_words(found: &Comparison, job: &ComparedJob) -> String {
    let words = job.values.iter().map(|it| {
        let value = named_value(found.axis, it.value.as_ref());
        match (&it.point.measured, it.times_fastest) {
            (Some(measured), Some(1.0)) => {
                let cost = measured.cost_per_mtoken_usd;
                let cost = cost.map(|cost| format!(", {} per million tokens", dollars(cost)));
                let (step, rate) = (seconds(measured.step_time_s), rate_words(measured));
                format!(
                    "{value} takes {step} per step, {rate}{}",
                    cost.unwrap_or_default()
                )
            }
            (Some(_), Some(times)) => format!("{value} {} times as long", three_digits(times)),
            (Some(_) | None, _) => format!("{value} cannot run ({})", why(it)),
        }
    });
    let words = words.into_iter().join("; ");
    match job.label(&found.varied) {
        label if label.is_empty() => format!("{words}."),
        label => format!("{label}: {words}."),
    }
}

/// A value that says what it is of: `1f1b`, `tp 8`, `tp auto`.
fn named_value(axis: Axis, value: Option<&KeyValue>) -> String {
    match value {
        Some(KeyValue::Text(name)) => name.to_string(),
        value => format!("{axis} {}", value_words(value)),
    }
}

/// The kind of reason for which a value did not run.
pub(super) fn why(value: &ComparedValue) -> &'static str {
    let reason = value.point.reason.as_ref();
    reason.map_or("no reason is given", |reason| reason.kind())
}
