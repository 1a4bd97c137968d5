//! Judged cases and their errors as text, CSV and JSON.

use serde_json::{Map, Value, json};

use super::words::{group_name, kind_title, percent, ranking_means};
use crate::report::text::Text;
use crate::validation::{Assessment, CaseKind, ErrorSummary, GroupErrors, Judged, KindAssessment};

/// One row per case: `id,measured_s,predicted_s,relative_error,status,reason`, with `measured_gib,predicted_gib`
/// for memory; both pairs of columns where the cases are mixed.
///
/// # Panics
/// Never: writing to memory cannot fail.
pub(crate) fn csv(judged: &[Judged]) -> String {
    let units = units_of(judged);
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

/// Units that occur, in the order of their first case.
fn units_of(judged: &[Judged]) -> Vec<&'static str> {
    let mut units = Vec::new();
    for judged in judged {
        let unit = unit_of(judged.case.kind);
        if !units.contains(&unit) {
            units.push(unit);
        }
    }
    units
}

const fn unit_of(kind: CaseKind) -> &'static str {
    match kind {
        CaseKind::Memory => "gib",
        CaseKind::Step | CaseKind::Collective | CaseKind::IdealCollective | CaseKind::Flow => "s",
    }
}

/// The cases and the error table as JSON.
pub(crate) fn json(judged: &[Judged], assessment: &Assessment) -> Value {
    let cases: Vec<Value> = judged.iter().map(case_json).collect();
    let kinds: Vec<Value> = assessment.kinds.iter().map(kind_json).collect();
    json!({
        "cases": cases,
        "errors": kinds,
        "fitted_constants": assessment.fitted.len(),
        "fitted": assessment.fitted.iter().map(|constant| json!({
            "entry": constant.entry,
            "key": constant.key,
            "value": constant.value,
        })).collect::<Vec<_>>(),
    })
}

fn case_json(judged: &Judged) -> Value {
    let unit = unit_of(judged.case.kind);
    let groups = &judged.case.groups;
    let mut object = Map::new();
    let mut put = |key: &str, value: Value| object.insert(key.to_owned(), value);
    put("id", json!(judged.case.id));
    put(&format!("measured_{unit}"), json!(judged.case.measured));
    put(&format!("predicted_{unit}"), json!(judged.result.predicted));
    put("relative_error", json!(judged.relative_error()));
    put("status", json!(judged.result.status.as_str()));
    put("reason", json!(judged.result.reason));
    put("score", json!(judged.case.score.as_str()));
    put("family", json!(groups.family));
    put("gpu", json!(groups.gpu));
    put("source", json!(groups.source));
    put("lineage", json!(groups.lineage));
    put("stack", json!(groups.stack));
    put("stated", json!(groups.stated));
    Value::Object(object)
}

fn summary_json(errors: &ErrorSummary) -> Value {
    json!({
        "count": errors.count,
        "misses": errors.misses,
        "median": errors.median,
        "mean": errors.mean,
        "p90": errors.p90,
        "bias": errors.bias,
        "log_mean": errors.log_mean,
        "geometric_mean": errors.geometric_mean(),
    })
}

fn groups_json(groups: &[GroupErrors]) -> Value {
    groups
        .iter()
        .map(|group| (group.name.clone(), summary_json(&group.errors)))
        .collect::<Map<_, _>>()
        .into()
}

fn kind_json(kind: &KindAssessment) -> Value {
    let groupings: Map<String, Value> = kind
        .groupings
        .iter()
        .map(|(name, groups)| ((*name).to_owned(), groups_json(groups)))
        .collect();
    json!({
        "kind": kind_title(kind.kind),
        "cases": kind.cases,
        "subsets": groups_json(&kind.subsets),
        "by": groupings,
        "mean_over_lineages": kind.mean_over_lineages,
        "judged_infeasible": kind.judged_infeasible,
        "judged_feasible": kind.judged_feasible,
        "worst": kind.worst.iter().map(|case| json!({
            "id": case.id,
            "measured": case.measured,
            "predicted": case.predicted,
            "relative_error": case.error,
        })).collect::<Vec<_>>(),
        "missed": kind.missed.iter().map(|case| json!({
            "id": case.id,
            "status": case.status.as_str(),
            "reason": case.reason,
        })).collect::<Vec<_>>(),
        "scaling": kind.scaling.iter().map(|family| json!({
            "family": family.family,
            "series": family.series,
            "points": family.points,
            "error": family.error,
            "error_of_perfect": family.error_of_perfect,
        })).collect::<Vec<_>>(),
        "rankings": kind.rankings.iter().map(|ranking| json!({
            "contest": ranking.contest,
            "layouts": ranking.layouts,
            "regret": ranking.regret,
            "spearman": ranking.spearman,
        })).collect::<Vec<_>>(),
    })
}

/// The error table for people.
pub(crate) fn text(assessment: &Assessment) -> String {
    let mut text = Text::default();
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
        percent(kind.mean_over_lineages)
    );
    writeln!(
        text,
        " judged infeasible though it ran: {}; judged to fit though it did not: {}",
        percent(kind.judged_infeasible),
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

fn push_groups(text: &mut Text, groups: &[GroupErrors]) {
    for GroupErrors { name, errors } in groups {
        let name: String = group_name(name).chars().take(40).collect();
        let [count, misses] = [errors.count, errors.misses].map(|it| it.to_string());
        let [median, mean, p90, bias, geometric] = [
            errors.median,
            errors.mean,
            errors.p90,
            errors.bias,
            errors.geometric_mean(),
        ]
        .map(percent);
        let cells = [count, misses, median, mean, p90, bias, geometric];
        push_row(
            text,
            &name,
            cells.each_ref().map(String::as_str),
            &format!("{:.4}", errors.log_mean),
        );
    }
}

fn push_row(text: &mut Text, name: &str, cells: [&str; 7], log_mean: &str) {
    let [count, misses, median, mean, p90, bias, geometric] = cells;
    writeln!(
        text,
        "  {name:<40} {count:>5} {misses:>6} {median:>7} {mean:>7} {p90:>7} {bias:>7} {geometric:>7} {log_mean:>9}"
    );
}
