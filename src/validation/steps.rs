//! Rows of measured training steps.

use std::sync::Arc;

use crate::catalog::Catalog;
use crate::hardware::{Gpu, Precision};
use crate::simulation::{
    CommunicationRequest, LayoutRequest, RunSettings, Scenario, TrainingScenario, Workload,
};
use crate::stack::{Recompute, ZeroStage};

use super::case::{Case, CaseGroups, Figure, Score, SeriesPlace, Subject};
use super::row_facts::{ClusterCells, ModelCells, StackCells};
use super::table::{CaseKind, MeasuredTable, Row, TableFaults};

/// Columns that a file of training steps must have; all others may be absent or empty.
const REQUIRED: [&str; 6] = [
    "id",
    "gpu",
    "gpus",
    "model",
    "global_batch",
    "measured_step_time_s",
];

/// The cases of a file of training steps.
///
/// # Errors
/// When a column is missing or a cell holds what it cannot.
pub(super) fn cases(table: &MeasuredTable, catalog: &Catalog) -> Result<Vec<Case>, TableFaults> {
    table.map_rows(&REQUIRED, |row| case(row, catalog))
}

fn case(row: &mut Row<'_>, catalog: &Catalog) -> Case {
    let measured = row.measured("measured_step_time_s");
    let job = JobCells::read(row);
    let id = row.required_text("id").to_owned();
    let score = row.parsed("score").unwrap_or(Score::Value);
    let series = row.text("scaling_series").map(|series| SeriesPlace {
        series: series.to_owned(),
        scaling: row.text("scaling").unwrap_or_default().to_owned(),
    });
    let prepared = job.scenarios(catalog);
    let (subject, family, stack) = match prepared {
        Ok(points) => {
            let TrainingScenario { model, stack, .. } = &points[0].1;
            let (family, stack) = (model.family.to_string(), stack.name.clone());
            let points = points
                .into_iter()
                .map(|(weight, point)| (weight, Scenario::Training(Box::new(point))))
                .collect();
            let subject = Subject {
                points,
                figure: Figure::Time,
            };
            (Ok(subject), family, stack)
        }
        Err(reason) => (Err(reason), String::new(), String::new()),
    };
    Case {
        id,
        kind: CaseKind::Step,
        groups: CaseGroups {
            family: row.text("family").map_or(family, str::to_owned),
            gpu: job.cluster.gpu_name().to_owned(),
            source: row.text("source").unwrap_or_default().to_owned(),
            lineage: row.text("lineage").unwrap_or_default().to_owned(),
            stack,
            stated: job.is_stated(),
        },
        score,
        measured: Some(measured),
        ran: true,
        gpus: job.gpus,
        samples: job.global_batch,
        series,
        contest: contest(row),
        subject,
    }
}

/// Cells that describe a training job.
#[derive(Clone, Debug)]
pub(super) struct JobCells<'a> {
    pub(super) cluster: ClusterCells<'a>,
    pub(super) model: ModelCells<'a>,
    pub(super) stack: StackCells<'a>,
    pub(super) gpus: u32,
    pub(super) global_batch: u32,
    seq_len: Option<u32>,
    precision: Option<&'a str>,
    zero: Option<&'a str>,
    zero_words: Option<&'a str>,
    recompute: Option<&'a str>,
    sequence_parallel: Option<&'a str>,
    attention: Option<&'a str>,
    layout: LayoutRequest,
}

impl<'a> JobCells<'a> {
    pub(super) fn read(row: &mut Row<'a>) -> Self {
        let pp = row.count("pp");
        let vpp = row.count("vpp");
        Self {
            cluster: ClusterCells::read(row),
            model: ModelCells::read(row),
            stack: StackCells::read(row),
            gpus: row.required_count("gpus"),
            global_batch: row.required_count("global_batch"),
            seq_len: row.count("seq_len"),
            precision: row.text("precision"),
            zero: row.text("zero"),
            zero_words: row.text("zero_or_fsdp"),
            recompute: row.text("recompute"),
            sequence_parallel: row.text("sequence_parallel"),
            attention: row.text("attention"),
            layout: LayoutRequest {
                micro_batch: row.count("micro_batch"),
                tp: row.count("tp"),
                pp,
                cp: row.count("cp"),
                ep: row.count("ep"),
                // Interleaving that is not stated means something only where there are stages.
                vpp: if pp == Some(1) { Some(1) } else { vpp },
                dp: row.count("dp"),
                ..LayoutRequest::default()
            },
        }
    }

    /// The point of the job, or two with weights where its microbatches do not divide the batch: the step with
    /// one microbatch fewer and the one with one more, in proportion to the last microbatch's share.
    pub(super) fn scenarios(
        &self,
        catalog: &Catalog,
    ) -> Result<Vec<(f64, TrainingScenario)>, String> {
        let scenario = self.scenario(catalog)?;
        let Some(replicas) = scenario.layout.dp.or_else(|| self.replicas()) else {
            return Ok(vec![(1.0, scenario)]);
        };
        let per_round = scenario
            .layout
            .micro_batch
            .unwrap_or(1)
            .saturating_mul(replicas);
        let whole = self.global_batch / per_round * per_round;
        let rest = self.global_batch - whole;
        if rest == 0 || whole == 0 || scenario.layout.micro_batch.is_none() {
            return Ok(vec![(1.0, scenario)]);
        }
        let share = f64::from(rest) / f64::from(per_round);
        let (mut fewer, mut more) = (scenario.clone(), scenario);
        fewer.workload.global_batch = whole;
        more.workload.global_batch = whole + per_round;
        Ok(vec![(1.0 - share, fewer), (share, more)])
    }

    fn replicas(&self) -> Option<u32> {
        let LayoutRequest { tp, pp, cp, .. } = self.layout;
        let inner = tp?.checked_mul(pp?)?.checked_mul(cp?)?;
        self.gpus.checked_div(inner)
    }

    fn scenario(&self, catalog: &Catalog) -> Result<TrainingScenario, String> {
        let gpu = self.cluster.gpu(catalog)?;
        let cluster = self.cluster.cluster(&gpu, catalog)?;
        let model = self.model.model(catalog)?;
        let stack = self.stack.stack(catalog)?;
        if self.gpus > cluster.gpus_per_node && !self.gpus.is_multiple_of(cluster.gpus_per_node) {
            return Err(format!(
                "{} GPUs are not whole nodes of {}",
                self.gpus, cluster.gpus_per_node
            ));
        }
        let zero = self.zero_stage()?;
        let recompute = self.recompute()?;
        Ok(TrainingScenario {
            workload: Workload {
                global_batch: self.global_batch,
                seq_len: self.seq_len.unwrap_or(model.seq_len()),
                precision: self.precision(&gpu)?,
            },
            layout: LayoutRequest {
                zero,
                recompute,
                sequence_parallel: match self.sequence_parallel {
                    Some("yes" | "true" | "1") => Some(true),
                    Some("no" | "false" | "0") => Some(false),
                    Some(_) | None => None,
                },
                attention: self.attention.and_then(|kernel| kernel.parse().ok()),
                ..self.layout.clone()
            },
            gpus: self.gpus,
            gpu,
            cluster,
            model,
            stack,
            communication: CommunicationRequest::default(),
            run: RunSettings::default(),
        })
    }

    fn precision(&self, gpu: &Arc<Gpu>) -> Result<Precision, String> {
        let Some(text) = self.precision else {
            return Ok(gpu.default_precision());
        };
        // A memory study says more than the format: `bf16, fp32 grads`.
        let word = text
            .split(|c: char| !c.is_ascii_alphanumeric())
            .find(|word| word.parse::<Precision>().is_ok());
        if text.starts_with("float8") {
            return Ok(Precision::Fp8);
        }
        match word {
            Some(word) => word.parse::<Precision>().map_err(|error| error.to_string()),
            None => text.parse::<Precision>().map_err(|error| error.to_string()),
        }
    }

    fn zero_stage(&self) -> Result<Option<ZeroStage>, String> {
        if let Some(stage) = self.zero {
            return stage
                .parse()
                .map(Some)
                .map_err(|error: crate::closed_set::UnknownName| error.to_string());
        }
        let words = self.zero_words.unwrap_or_default().to_lowercase();
        let stage = if words.contains("zero2") || words.contains("grad_op") {
            Some(ZeroStage::Z2)
        } else if words.contains("zero3") || words.starts_with("fsdp") {
            Some(ZeroStage::Z3)
        } else if words.contains("zero1") {
            Some(ZeroStage::Z1)
        } else if words == "none" {
            Some(ZeroStage::Z0)
        } else {
            None
        };
        Ok(stage)
    }

    fn recompute(&self) -> Result<Option<Recompute>, String> {
        let Some(text) = self.recompute else {
            return Ok(None);
        };
        let word = text.split_whitespace().next().unwrap_or_default();
        if word == "unknown" {
            return Ok(None);
        }
        word.parse()
            .map(Some)
            .map_err(|error: crate::closed_set::UnknownName| error.to_string())
    }

    /// Whether layout, micro batch and recomputation are all stated.
    pub(super) fn is_stated(&self) -> bool {
        let LayoutRequest {
            micro_batch,
            tp,
            pp,
            vpp,
            ..
        } = self.layout;
        let recompute = self.recompute.is_some_and(|text| text != "unknown");
        micro_batch.is_some() && tp.is_some() && pp.is_some() && vpp.is_some() && recompute
    }
}

/// Key of what alternative layouts of one job share.
fn contest(row: &Row<'_>) -> String {
    let words = [
        "source",
        "gpu",
        "gpus",
        "model",
        "layers",
        "hidden",
        "seq_len",
        "precision",
        "global_batch",
    ];
    words
        .iter()
        .map(|column| row.text(column).unwrap_or("-"))
        .collect::<Vec<_>>()
        .join(" · ")
}
