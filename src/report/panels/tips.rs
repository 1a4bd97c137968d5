//! Texts that hovering over a chart shows.

use crate::analysis::{Findings, SeriesFinding, SizeFinding};
use crate::report::quantity::{percent, seconds};
use crate::report::text::Text;
use crate::report::words::{rate_words, size_phrase, size_words};

/// A size of a series with its step time, rate, efficiency and layout; empty where it did not run.
pub(super) fn tip(findings: &Findings, series: &SeriesFinding, size: &SizeFinding) -> String {
    let Some(measured) = size.point.measured else {
        return String::new();
    };
    let mut tip = Text::default();
    write!(
        tip,
        "{}\n{}: {} per step, {}",
        series.label(&findings.varied),
        size_words(findings.size_axis, size),
        seconds(measured.step_time_s),
        rate_words(&measured)
    );
    if let Some(efficiency) = size.efficiency {
        let (of_baseline, of_best) = (efficiency.of_baseline, efficiency.of_best);
        write!(
            tip,
            "\nefficiency {}, of best {}",
            percent(of_baseline),
            percent(of_best)
        );
    }
    if size.sawtooth {
        write!(tip, "\nslower per GPU than sizes around: uneven division");
    }
    write!(tip, "\n{}", measured.layout.words());
    tip.finish()
}

/// A size of a series that did not run, with the reason.
pub(super) fn gap(findings: &Findings, size: &SizeFinding) -> String {
    let reason = size.point.reason.as_ref();
    let reason = reason.map_or("did not run", |reason| reason.as_str());
    format!("{}: {reason}", size_words(findings.size_axis, size))
}

/// `falls under 80% efficiency at about 286 GPUs: too few samples`.
pub(super) fn breakdown_words(findings: &Findings, series: &SeriesFinding) -> Option<String> {
    let size = series.breakdown.size?;
    let at = size_phrase(findings.size_axis, size);
    let why = series
        .breakdown
        .cause
        .map(|cause| format!(": {}", cause.title()))
        .unwrap_or_default();
    Some(format!(
        "{}\nfalls under {} efficiency at about {at}{why}",
        series.label(&findings.varied),
        percent(findings.threshold)
    ))
}
