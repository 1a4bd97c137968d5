//! The question of a planner, as `[question]` gives it: how much is trained, and within which limits.

use schemars::JsonSchema;
use serde::Serialize;

use crate::spec::diagnostic::{Diagnostic, Faults};
use crate::spec::keys::{QUESTION, check_keys};
use crate::spec::scalars::{AMOUNT_MAX, count, fraction, positive, quantity};
use crate::spec::syntax::{Entry, find};
use crate::units::Seconds;

/// How much is trained, and within which limits.
#[derive(Clone, Copy, Debug, Default, JsonSchema, PartialEq, Serialize)]
pub struct Question {
    /// Tokens of the whole training.
    pub tokens: Option<f64>,
    /// Samples of the whole training, in place of its tokens.
    pub samples: Option<f64>,
    /// Longest time that it may take.
    #[serde(rename = "deadline_s")]
    pub deadline: Option<Seconds>,
    /// Most that it may cost, in US dollars.
    pub budget_usd: Option<f64>,
    /// Most GPUs that it may use.
    pub gpus_max: Option<u32>,
    /// Share of the measured cases of the family for which the limits hold, were they predicted as this training is, 0–1;
    /// `None`: the limits hold for what is predicted.
    pub confidence: Option<f64>,
}

impl Question {
    /// Tokens or samples, whichever it is given in.
    pub fn amount(&self) -> Option<f64> {
        self.tokens.or(self.samples)
    }

    /// Whether anything is asked beyond what a training takes.
    pub fn has_limits(&self) -> bool {
        self.deadline.is_some() || self.budget_usd.is_some() || self.gpus_max.is_some()
    }
}

/// Keys that say how much is trained.
const AMOUNTS: [&str; 2] = ["tokens", "samples"];

/// Keys that limit the rows, which an option can drop.
const LIMITS: [&str; 4] = ["deadline", "budget", "gpus_max", "confidence"];

/// Value of an option that drops what the spec says.
const NONE: &str = "none";

/// Reads the table, with what the command line changes; `[analysis]` may have the amount in its place.
pub(super) fn read(
    top: &[Entry],
    typed: impl Iterator<Item = Entry>,
    faults: &mut Faults,
) -> Question {
    let own = find(top, "question").and_then(|entry| entry.node.entries("`question`", faults));
    let own = own.unwrap_or_default();
    check_keys(own, &[QUESTION], faults);
    let analysis = find(top, "analysis").and_then(|entry| entry.node.table());
    let mut entries = own.to_vec();
    entries.extend(of_analysis(analysis.unwrap_or_default(), own, faults));
    for entry in typed {
        let is_dropped = LIMITS.contains(&&*entry.key) && entry.node.text() == Some(NONE);
        let is_amount = |key: &str| AMOUNTS.contains(&key);
        let replaces = |known: &Entry| {
            known.key == entry.key || is_amount(&known.key) && is_amount(&entry.key)
        };
        entries.retain(|known| !replaces(known));
        if !is_dropped {
            entries.push(entry);
        }
    }
    if let [Some(_), Some(samples)] = AMOUNTS.map(|key| find(&entries, key)) {
        let fault = Diagnostic::error(&samples.key_place, "`tokens` and `samples` are both given");
        faults.push(fault.hint("one follows from the other: keep one of them"));
    }
    let question = Question {
        tokens: positive(&entries, "tokens", faults),
        samples: positive(&entries, "samples", faults),
        deadline: quantity(&entries, "deadline", "60 days", faults),
        budget_usd: budget(&entries, faults),
        gpus_max: gpus_max(&entries, faults),
        confidence: fraction(&entries, "confidence", faults),
    };
    check_amount(&entries, faults);
    question
}

/// The amounts that stand in `[analysis]`; refused beside one in `[question]`.
fn of_analysis(analysis: &[Entry], own: &[Entry], faults: &mut Faults) -> Vec<Entry> {
    let amounts = AMOUNTS.iter().filter_map(|key| find(analysis, key));
    let Some(other) = AMOUNTS.iter().find_map(|key| find(own, key)) else {
        return amounts.cloned().collect();
    };
    for amount in amounts {
        let message = format!(
            "`{}` is in [analysis], and `{}` in [question]",
            amount.key, other.key
        );
        let fault = Diagnostic::error(&amount.key_place, message);
        faults.push(fault.hint("keep the one in [question]"));
    }
    Vec::new()
}

/// Refuses limits of time and money without an amount, which alone takes either.
fn check_amount(entries: &[Entry], faults: &mut Faults) {
    if AMOUNTS.iter().any(|key| find(entries, key).is_some()) {
        return;
    }
    for key in ["deadline", "budget", "confidence"] {
        if let Some(entry) = find(entries, key) {
            let message = format!("`{key}` says nothing without `tokens` or `samples`");
            let fault = Diagnostic::error(&entry.key_place, message);
            faults.push(fault.hint("say how much is trained in all: `tokens = 1e12`"));
        }
    }
}

fn budget(entries: &[Entry], faults: &mut Faults) -> Option<f64> {
    let node = &find(entries, "budget")?.node;
    let typed = node.text().and_then(dollars);
    let amount = typed.filter(|usd| *usd > 0.0 && *usd <= AMOUNT_MAX);
    let expected = format!(
        "an amount of US dollars above zero and up to {AMOUNT_MAX:e} like \"700000 USD\" or \"$700k\""
    );
    faults.ok(amount.ok_or_else(|| node.mismatch("budget", &expected)))
}

/// US dollars as people write them: `700_000 USD`, `$700k`, `0.7 M USD`, `700000`; `None` of another currency.
fn dollars(text: &str) -> Option<f64> {
    let letters = text.chars().filter(|it| !it.is_whitespace() && *it != '_');
    let joined: String = letters.collect();
    let number = joined
        .strip_suffix("USD")
        .or_else(|| joined.strip_prefix('$'))
        .unwrap_or(&joined);
    let (digits, factor) = match number.chars().next_back()? {
        'k' => (&number[..number.len() - 1], 1e3),
        'M' => (&number[..number.len() - 1], 1e6),
        _ => (number, 1.0),
    };
    // `inf` and `nan` are numbers to Rust.
    let is_number = digits.starts_with(|first: char| first.is_ascii_digit() || first == '.');
    Some(factor * digits.parse::<f64>().ok().filter(|_| is_number)?)
}

fn gpus_max(entries: &[Entry], faults: &mut Faults) -> Option<u32> {
    let most = count(entries, "gpus_max", faults)?;
    Some(most.min(f64::from(u32::MAX)) as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    // Seven hundred thousand dollars however they are typed; euros and a bare unit are none.
    #[test]
    fn a_budget_is_read_as_people_write_it() {
        for text in [
            "700000",
            "700_000 USD",
            "$700k",
            "$700 k",
            "700k",
            "700kUSD",
            "700 k USD",
            "0.7 M USD",
            "7e5 USD",
        ] {
            let usd = dollars(text).unwrap_or(0.0);
            assert!((usd / 7e5 - 1.0).abs() < 1e-12, "{text}: {usd}");
        }
        for text in ["700 EUR", "€700", "k", "", "USD", "inf", "$700 USD k"] {
            assert_eq!(dollars(text), None, "{text}");
        }
    }
}
