//! Judged cases and their errors as text and CSV.

use itertools::Itertools;

use super::words::{
    error_cells, group_name, kind_title, percent, percent_or_dash, ranking_means, unseen_cells,
};
use crate::interval::unseen;
use crate::report::text::Text;
use crate::validation::{Assessment, CaseKind, GroupErrors, Judged, KindAssessment};

/// One row per case: `id,measured_s,predicted_s,relative_error,status,reason`, with `measured_gib,predicted_gib`
/// for memory; both pairs of columns where the cases are mixed.
///
/// # Panics
/// Never: writing to memory cannot fail.
pub(crate) fn csv(judged: &[Judged]) -> String {
    let units = judged.iter().map(|judged| unit_of(judged.case.kind));
    let units: Vec<&str> = units.unique().collect();
    let mut writer = csv::Writer::from_writer(Vec::new());
    let mut header = vec!["id".to_owned()];
    for unit in &units {
        header.push(format!("measured_{unit}"));
        header.push(format!("predicted_{unit}"));
    }
    header.extend(["relative_error", "status", "reason"].map(str::to_owned));
    let mut write = |record: &[String]| {
        writer
            .write_record(record)
            .expect("a record is written to memory");
    };
    write(&header);
    let number = |value: Option<f64>| value.map_or(String::new(), |value| value.to_string());
    for judged in judged {
        let mut record = vec![judged.case.id.clone()];
        for unit in &units {
            let own = *unit == unit_of(judged.case.kind);
            record.push(number(judged.case.measured.filter(|_| own)));
            record.push(number(judged.result.predicted.filter(|_| own)));
        }
        record.push(number(judged.relative_error()));
        record.push(judged.result.status.to_string());
        record.push(judged.result.reason.clone().unwrap_or_default());
        write(&record);
    }
    let bytes = writer.into_inner().expect("writing to memory cannot fail");
    String::from_utf8(bytes).expect("what was written is text")
}

/// Unit of the values of a kind.
pub(super) const fn unit_of(kind: CaseKind) -> &'static str {
    match kind {
        CaseKind::Memory => "gib",
        CaseKind::Step | CaseKind::Collective | CaseKind::IdealCollective | CaseKind::Flow => "s",
    }
}

/// The error table for people.
pub(crate) fn text(assessment: &Assessment) -> String {
    let mut text = Text::default();
    push_unseen(&mut text);
    for kind in &assessment.kinds {
        push_kind(&mut text, kind);
    }
    writeln!(
        text,
        "{} constants were fitted; all others are measured or stated",
        assessment.fitted.len()
    );
    text.finish()
}

/// The errors of runs that no constant has seen, whatever was validated.
fn push_unseen(text: &mut Text) {
    writeln!(
        text,
        "measured runs that no constant has seen (cross-validated by lineage)"
    );
    let titles = [
        "", "lineages", "runs", "median", "mean", "p90", "bias", "inside", "interval",
    ];
    let rows = unseen().iter().map(unseen_cells).collect_vec();
    for [what, cells @ ..] in std::iter::once(&titles.map(str::to_owned)).chain(&rows) {
        write!(text, " {what:<16}");
        for cell in cells {
            write!(text, " {cell:>8}");
        }
        writeln!(text);
    }
    writeln!(text);
}

fn push_kind(text: &mut Text, kind: &KindAssessment) {
    writeln!(text, "{}: {} cases", kind_title(kind.kind), kind.cases);
    let titles = ["cases", "missed", "median", "mean", "p90", "bias", "geom."];
    push_row(text, "error of predicted/measured", titles, "|ln|");
    push_groups(text, &kind.subsets);
    for (name, groups) in &kind.groupings {
        writeln!(text, " by {name}");
        push_groups(text, groups);
    }
    writeln!(
        text,
        " mean over lineages of the mean: {}",
        percent_or_dash(kind.mean_over_lineages)
    );
    writeln!(
        text,
        " judged infeasible though it ran: {}; judged to fit though it did not: {}",
        percent_or_dash(kind.judged_infeasible),
        kind.judged_feasible
    );
    push_scaling(text, kind);
    writeln!(text, " worst");
    for case in &kind.worst {
        writeln!(
            text,
            "  {:<52} measured {:>10.4} predicted {:>10.4} {:>8}",
            case.id,
            case.measured,
            case.predicted,
            percent(case.error)
        );
    }
    if !kind.missed.is_empty() {
        writeln!(text, " missed");
    }
    for case in &kind.missed {
        writeln!(text, "  {:<52} {}: {}", case.id, case.status, case.reason);
    }
    writeln!(text);
}

fn push_scaling(text: &mut Text, kind: &KindAssessment) {
    for family in &kind.scaling {
        writeln!(
            text,
            " scaling efficiency, {}: off by {} over {} points of {} series; always perfect: {}",
            family.family,
            percent(family.error),
            family.points,
            family.series,
            percent(family.error_of_perfect)
        );
    }
    if let Some((regret, spearman)) = ranking_means(kind) {
        writeln!(
            text,
            " {} rankings of layouts: the one ranked first takes {} longer than the best; Spearman {spearman:.2}",
            kind.rankings.len(),
            percent(regret)
        );
    }
}

/// Letters of a name beside its numbers.
const NAME: usize = 40;

fn push_groups(text: &mut Text, groups: &[GroupErrors]) {
    for GroupErrors { name, errors } in groups {
        // A long name stands above its numbers.
        let mut name = group_name(name);
        if name.chars().count() > NAME {
            writeln!(text, "  {name}");
            name = "";
        }
        let [count, misses] = [errors.count, errors.misses].map(|it| it.to_string());
        let [median, mean, p90, bias, geometric, log_mean] = error_cells(errors, 4);
        let cells = [count, misses, median, mean, p90, bias, geometric];
        push_row(text, name, cells.each_ref().map(String::as_str), &log_mean);
    }
}

fn push_row(text: &mut Text, name: &str, cells: [&str; 7], log_mean: &str) {
    let [count, misses, median, mean, p90, bias, geometric] = cells;
    writeln!(
        text,
        "  {name:<NAME$} {count:>5} {misses:>6} {median:>7} {mean:>7} {p90:>7} {bias:>7} {geometric:>7} {log_mean:>9}"
    );
}
