//! The accuracy page: tables and a plot of predicted against measured, for `docs/`.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::assessment::{Assessment, KindAssessment};
use super::case::CaseKind;
use super::case::Judged;
use super::errors::{ErrorSummary, GroupErrors, mean};
use super::listing::kind_title;

/// File name of the page.
pub const PAGE: &str = "accuracy.md";
/// File name of its plot.
pub const PLOT: &str = "accuracy.svg";

/// What the model leaves out, and which rows it touches.
const UNKNOWN: &str = "\
## What the model does not know

- Layouts, micro batches and recomputation that a source does not state are chosen by the simulator, as a user's
  `auto` would be; a run that was laid out worse than that looks too fast here. The tables keep those rows apart.
- Which kernels a library picked on the day: matrix products follow measured rates by tile and wave, not a list of
  kernels. A software generation shares one set of constants (`sweep list stacks`).
- Clocks of single GPUs beyond their usual spread (the slowest of a job is expected, not known), failing links, other jobs
  on the same switches.
- Data loading, checkpoints, evaluation and logging beyond one constant per step.
- How a mixture of experts dispatches: expert groups inside one server are taken to exchange by all-to-all, larger ones
  by a fused kernel, as most recipes do; those that do otherwise are far off (Qwen3 235B on H100), as are
  models with attention sinks (GPT-OSS), whose kernels nobody has measured apart.
- Routing that is not balanced: mixtures of experts are simulated, and were measured, with forced balance.
- Sequences that are shorter than `seq_len`: runs that drop padding count for their scaling alone.
";

/// The page as Markdown.
pub fn page(assessment: &Assessment) -> String {
    let mut out = String::from(
        "# How accurate is it?\n\n\
         Every figure on this page is predicted/measured − 1 over published measurements that ship in \
         `data/validation/`, each row with its source. `sweep validate` prints the same tables; \
         `sweep validate --write-docs docs` writes this page, and a test holds it to the program.\n\n\
         ![Predicted against measured step time by family, coloured by lineage](accuracy.svg)\n\n",
    );
    write(
        &mut out,
        format_args!(
            "{} constants of the catalogue were fitted; all others are measured or stated in a source. \
             `scripts/calibrate` fits them again.\n",
            assessment.fitted.len()
        ),
    );
    for kind in &assessment.kinds {
        kind_section(&mut out, kind);
    }
    write(&mut out, format_args!("\n{UNKNOWN}"));
    out
}

fn write(out: &mut String, text: std::fmt::Arguments<'_>) {
    out.write_fmt(text)
        .expect("writing to a string cannot fail");
}

fn percent(value: f64) -> String {
    format!("{:.1}%", value * 100.0)
}

fn kind_section(out: &mut String, kind: &KindAssessment) {
    let KindAssessment { cases, .. } = kind;
    write(
        out,
        format_args!(
            "\n## {}: {cases} cases\n\n",
            sentence_case(kind_title(kind.kind))
        ),
    );
    table(out, "subset", &kind.subsets);
    for (name, groups) in &kind.groupings {
        if *name != "source" {
            table(out, name, groups);
        }
    }
    write(
        out,
        format_args!(
            "Mean over lineages of the mean: {}. Judged infeasible though it ran: {}; judged to fit though it \
             did not: {}.\n",
            percent(kind.mean_over_lineages),
            percent(kind.judged_infeasible),
            kind.judged_feasible
        ),
    );
    scaling(out, kind);
    rankings(out, kind);
    worst(out, kind);
}

fn sentence_case(text: &str) -> String {
    let mut letters = text.chars();
    letters
        .next()
        .map(|first| first.to_ascii_uppercase().to_string() + letters.as_str())
        .unwrap_or_default()
}

fn table(out: &mut String, name: &str, groups: &[GroupErrors]) {
    if groups.is_empty() {
        return;
    }
    write(
        out,
        format_args!(
            "| {name} | cases | missed | median | mean | p90 | bias | mean \\|ln\\| |\n\
             |---|---:|---:|---:|---:|---:|---:|---:|\n"
        ),
    );
    for GroupErrors { name, errors } in groups {
        let ErrorSummary {
            count,
            misses,
            median,
            mean,
            p90,
            bias,
            log_mean,
        } = *errors;
        let name = if name.is_empty() {
            "(not stated)"
        } else {
            name
        };
        write(
            out,
            format_args!(
                "| {name} | {count} | {misses} | {} | {} | {} | {} | {log_mean:.3} |\n",
                percent(median),
                percent(mean),
                percent(p90),
                percent(bias)
            ),
        );
    }
    write(out, format_args!("\n"));
}

fn scaling(out: &mut String, kind: &KindAssessment) {
    if kind.scaling.is_empty() {
        return;
    }
    write(
        out,
        format_args!(
            "\n### Scaling efficiency\n\nAgainst the smallest size of each series; the last column is the error \
             of always predicting perfect scaling.\n\n\
             | family | series | points | error | always perfect |\n|---|---:|---:|---:|---:|\n"
        ),
    );
    for family in &kind.scaling {
        write(
            out,
            format_args!(
                "| {} | {} | {} | {} | {} |\n",
                family.family,
                family.series,
                family.points,
                percent(family.error),
                percent(family.error_of_perfect)
            ),
        );
    }
}

fn rankings(out: &mut String, kind: &KindAssessment) {
    if kind.rankings.is_empty() {
        return;
    }
    let regrets: Vec<f64> = kind.rankings.iter().map(|ranking| ranking.regret).collect();
    let spearmans: Vec<f64> = kind
        .rankings
        .iter()
        .map(|ranking| ranking.spearman)
        .collect();
    write(
        out,
        format_args!(
            "\n### Rankings of layouts\n\n{} sets of alternative layouts of one job: the layout ranked first takes \
             {} longer than the best measured one (mean); Spearman's rank correlation is {:.2}.\n",
            kind.rankings.len(),
            percent(mean(&regrets)),
            mean(&spearmans)
        ),
    );
}

fn worst(out: &mut String, kind: &KindAssessment) {
    write(
        out,
        format_args!(
            "\n### Worst\n\n| case | measured | predicted | error |\n|---|---:|---:|---:|\n"
        ),
    );
    for case in &kind.worst {
        write(
            out,
            format_args!(
                "| {} | {:.4} | {:.4} | {} |\n",
                case.id,
                case.measured,
                case.predicted,
                percent(case.error)
            ),
        );
    }
    for case in &kind.missed {
        write(
            out,
            format_args!("\n- `{}` is {}: {}", case.id, case.status, case.reason),
        );
    }
    if !kind.missed.is_empty() {
        write(out, format_args!("\n"));
    }
}

/// Side of a panel, in pixels.
const PANEL: f64 = 260.0;
/// Space around a panel.
const MARGIN: f64 = 46.0;
/// Colours by lineage, told apart by people who see red and green alike (Okabe and Ito, 2008).
const COLOURS: [&str; 8] = [
    "#0072b2", "#e69f00", "#009e73", "#cc79a7", "#d55e00", "#56b4e9", "#000000", "#b8a800",
];

/// The plot: a panel per family, measured step time across, predicted up, both in logarithms.
pub fn plot(judged: &[Judged]) -> String {
    let mut families: BTreeMap<&str, Vec<(f64, f64, &str)>> = BTreeMap::new();
    let mut lineages: Vec<&str> = Vec::new();
    for judged in judged {
        if let (CaseKind::Step, true, Some(measured), Some(predicted)) = (
            judged.case.kind,
            judged.is_scored(),
            judged.case.measured,
            judged.result.predicted,
        ) {
            let lineage = judged.case.groups.lineage.as_str();
            if !lineages.contains(&lineage) {
                lineages.push(lineage);
            }
            let points = families.entry(&judged.case.groups.family).or_default();
            points.push((libm::log10(measured), libm::log10(predicted), lineage));
        }
    }
    lineages.sort_unstable();
    let step = PANEL + MARGIN;
    let width = MARGIN + step * families.len().max(1) as f64;
    let height = PANEL + 2.0 * MARGIN + 24.0;
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width:.0} {height:.0}\" \
         font-family=\"sans-serif\" font-size=\"11\">\n<rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n"
    );
    for (index, (family, points)) in families.iter().enumerate() {
        panel(
            &mut out,
            MARGIN + step * index as f64,
            family,
            points,
            &lineages,
        );
    }
    for (index, lineage) in lineages.iter().enumerate() {
        let x = MARGIN + 120.0 * index as f64;
        let y = PANEL + 2.0 * MARGIN + 8.0;
        write(
            &mut out,
            format_args!(
                "<circle cx=\"{x:.1}\" cy=\"{:.1}\" r=\"4\" fill=\"{}\"/><text x=\"{:.1}\" y=\"{y:.1}\">{}</text>\n",
                y - 4.0,
                COLOURS[index % COLOURS.len()],
                x + 8.0,
                if lineage.is_empty() {
                    "not stated"
                } else {
                    lineage
                }
            ),
        );
    }
    out.push_str("</svg>\n");
    out
}

fn panel(
    out: &mut String,
    left: f64,
    family: &str,
    points: &[(f64, f64, &str)],
    lineages: &[&str],
) {
    let values = || points.iter().flat_map(|(m, p, _)| [*m, *p]);
    let low = values().fold(f64::INFINITY, f64::min).floor();
    let high = values()
        .fold(f64::NEG_INFINITY, f64::max)
        .ceil()
        .max(low + 1.0);
    let scale = PANEL / (high - low);
    let x = |value: f64| left + (value - low) * scale;
    let y = |value: f64| MARGIN + PANEL - (value - low) * scale;
    write(
        out,
        format_args!(
            "<text x=\"{left:.1}\" y=\"{:.1}\" font-size=\"14\">{family} ({})</text>\n\
             <rect x=\"{left:.1}\" y=\"{MARGIN:.1}\" width=\"{PANEL:.1}\" height=\"{PANEL:.1}\" fill=\"none\" \
             stroke=\"#888888\"/>\n\
             <line x1=\"{:.1}\" y1=\"{:.1}\" x2=\"{:.1}\" y2=\"{:.1}\" stroke=\"#444444\"/>\n",
            MARGIN - 10.0,
            points.len(),
            x(low),
            y(low),
            x(high),
            y(high)
        ),
    );
    let mut decade = low;
    while decade <= high {
        write(
            out,
            format_args!(
                "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{} s</text>\n",
                x(decade),
                MARGIN + PANEL + 16.0,
                libm::pow(10.0, decade)
            ),
        );
        decade += 1.0;
    }
    write(
        out,
        format_args!(
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">measured across, predicted up</text>\n",
            left + PANEL / 2.0,
            MARGIN + PANEL + 32.0
        ),
    );
    for (measured, predicted, lineage) in points {
        let colour = lineages
            .iter()
            .position(|other| other == lineage)
            .unwrap_or_default();
        write(
            out,
            format_args!(
                "<circle cx=\"{:.1}\" cy=\"{:.1}\" r=\"2.5\" fill=\"{}\" fill-opacity=\"0.7\"/>\n",
                x(*measured),
                y(*predicted),
                COLOURS[colour % COLOURS.len()]
            ),
        );
    }
}
