//! The accuracy page: tables and a plot of predicted against measured, for `docs/`.

use super::words::{
    error_cells, group_name, kind_title, percent, percent_or_dash, ranking_means, unseen_cells,
};
use crate::interval::unseen;
use crate::report::text::Text;
use crate::report::words::capitalised;
use crate::validation::{Assessment, GroupErrors, KindAssessment};

/// File name of the page.
pub const PAGE: &str = "accuracy.md";

/// Effects that the model leaves out, with the rows they touch.
const UNKNOWN: &str = "\
## What the model does not know

- Layouts, micro batches and recomputation that a source does not state are chosen by the simulator, as a user's
  `auto` would be; a run that was laid out worse than that looks too fast here. The tables keep those rows apart.
- Which kernels a library picked on the day: matrix products follow measured rates by tile and wave, not a list of
  kernels. A software generation shares one set of constants (`sweep list stacks`).
- Clocks of single GPUs beyond their usual spread (the slowest of a job is expected, not known), failing links, other jobs
  on the same switches.
- Data loading, checkpoints, evaluation and logging beyond one constant per step.
- How a mixture of experts dispatches, where neither its row nor the recipe of its release says so: as its stack's recipes
  mostly do (`sweep list stacks`). Models with attention sinks (GPT-OSS) have kernels that nobody has measured apart.
- Faults of a release: 8-bit runs of Megatron-Bridge 25.11 to 26.02 that exchange tokens behind their computation without CUDA
  graphs take 1.4 to 2.7 times as long as predicted (Qwen3 30B on H100, 235B on B200 and B300), and later recipes gave that up;
  Moonlight with tensor parallelism is slow in containers from 26.04 on (docs/releases/known-issues.md of
  NVIDIA-NeMo/Megatron-Bridge).
- Routing that is not balanced: mixtures of experts are simulated, and were measured, with forced balance.
- Sequences that are shorter than `seq_len`: runs that drop padding count for their scaling alone.
";

/// Text before the errors of runs that no constant has seen.
const UNSEEN: &str = "\
## Runs that no constant has seen

What a run of your own is like. Each run is predicted by constants that were fitted without its lineage (documents of one
origin), or that were never fitted to its file (`data/validation/errors.csv`, written by `scripts/calibrate
--cross-validate --errors`). From these errors `step_time_low_s`, `step_time_high_s`, `memory_peak_low_bytes` and
`memory_peak_high_bytes` are made: the last columns say how many of these runs lie inside the interval that other
lineages give them, four of five if it is right, and half its width (median).

| quantity | lineages | runs | median | mean | p90 | bias | inside | width |
|---|---:|---:|---:|---:|---:|---:|---:|---:|";

/// The page as Markdown.
pub fn page(assessment: &Assessment) -> String {
    let mut out = Text::default();
    writeln!(
        out,
        "# How accurate is it?\n\n\
         Every figure on this page is predicted/measured − 1 over published measurements that ship in \
         `data/validation/`, each row with its source. `sweep validate` prints the same tables; \
         `sweep validate --write-docs docs` writes this page, and a test holds it to the program.\n\n\
         ![Predicted against measured step time by family, coloured by lineage](accuracy.svg)\n\n\
         {} constants of the catalogue were fitted; all others are measured or stated in a source. \
         `scripts/calibrate` fits them again.",
        assessment.fitted.len()
    );
    write!(out, "\n{UNSEEN}\n");
    for unseen in unseen() {
        writeln!(out, "| {} |", unseen_cells(&unseen).join(" | "));
    }
    writeln!(
        out,
        "\nThe tables below are in sample: the constants have seen these runs."
    );
    for kind in &assessment.kinds {
        kind_section(&mut out, kind);
    }
    write!(out, "\n{UNKNOWN}");
    out.finish()
}

fn kind_section(out: &mut Text, kind: &KindAssessment) {
    let title = capitalised(kind_title(kind.kind));
    writeln!(out, "\n## {title}: {} cases\n", kind.cases);
    table(out, "subset", &kind.subsets);
    for (name, groups) in kind.groupings.iter().filter(|(name, _)| *name != "source") {
        table(out, name, groups);
    }
    writeln!(
        out,
        "Mean over lineages of the mean: {}. Judged infeasible though it ran: {}; judged to fit though it \
         did not: {}.",
        percent_or_dash(kind.mean_over_lineages),
        percent_or_dash(kind.judged_infeasible),
        kind.judged_feasible
    );
    scaling(out, kind);
    rankings(out, kind);
    worst(out, kind);
}

fn table(out: &mut Text, name: &str, groups: &[GroupErrors]) {
    if groups.is_empty() {
        return;
    }
    writeln!(
        out,
        "| {name} | cases | missed | median | mean | p90 | bias | mean \\|ln\\| |\n\
         |---|---:|---:|---:|---:|---:|---:|---:|"
    );
    for GroupErrors { name, errors } in groups {
        let [median, mean, p90, bias, _, log_mean] = error_cells(errors, 3);
        writeln!(
            out,
            "| {} | {} | {} | {median} | {mean} | {p90} | {bias} | {log_mean} |",
            group_name(name),
            errors.count,
            errors.misses
        );
    }
    writeln!(out);
}

fn scaling(out: &mut Text, kind: &KindAssessment) {
    if kind.scaling.is_empty() {
        return;
    }
    writeln!(
        out,
        "\n### Scaling efficiency\n\nAgainst the smallest size of each series; the last column is the error \
         of always predicting perfect scaling.\n\n\
         | family | series | points | error | always perfect |\n|---|---:|---:|---:|---:|"
    );
    for family in &kind.scaling {
        writeln!(
            out,
            "| {} | {} | {} | {} | {} |",
            family.family,
            family.series,
            family.points,
            percent(family.error),
            percent(family.error_of_perfect)
        );
    }
}

fn rankings(out: &mut Text, kind: &KindAssessment) {
    if let Some((regret, spearman)) = ranking_means(kind) {
        writeln!(
            out,
            "\n### Rankings of layouts\n\n{} sets of alternative layouts of one job: the layout ranked first takes \
             {} longer than the best measured one (mean); Spearman's rank correlation is {spearman:.2}.",
            kind.rankings.len(),
            percent(regret)
        );
    }
}

fn worst(out: &mut Text, kind: &KindAssessment) {
    writeln!(
        out,
        "\n### Worst\n\n| case | measured | predicted | error |\n|---|---:|---:|---:|"
    );
    for case in &kind.worst {
        writeln!(
            out,
            "| {} | {:.4} | {:.4} | {} |",
            case.id,
            case.measured,
            case.predicted,
            percent(case.error)
        );
    }
    for case in &kind.missed {
        write!(out, "\n- `{}` is {}: {}", case.id, case.status, case.reason);
    }
    if !kind.missed.is_empty() {
        writeln!(out);
    }
}
