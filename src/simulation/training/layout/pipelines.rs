//! Schedules of a layout's pipeline, with its chunks and the layers of each virtual stage.

use itertools::Itertools;

use super::{FirstFault, Options, Pipeline};
use crate::model::{LoweredLayer, Shard, lower};
use crate::simulation::training::token_dispatch::check_merges;
use crate::simulation::training::{request, stage_layers};
use crate::simulation::{Infeasible, TrainingScenario, Unstated};
use crate::stack::PipelineSchedule;

impl Options<'_> {
    /// Schedules with their chunks, fewest chunks first.
    ///
    /// # Errors
    /// If what was asked for does not go together, or no number of chunks does.
    pub(in crate::simulation::training) fn pipelines(
        &self,
        pp: u32,
    ) -> Result<Vec<Pipeline>, Infeasible> {
        let (layout, offers) = (&self.scenario.layout, &self.scenario.stack.offers);
        let Some(network) = self.scenario.model.transformer() else {
            return Ok(self
                .schedules(pp, 1)?
                .into_iter()
                .map(|schedule| Pipeline {
                    schedule,
                    vpp: 1,
                    layers_per_stage: Vec::new(),
                })
                .collect());
        };
        // More chunks than this leave a virtual stage without a layer, embedding and loss counted as one each.
        let most = ((network.depth() + 2) / pp).max(1);
        let taken = layout.schedule.map_or_else(
            || offers.schedules.iter().map(|it| it.chunks().1).max(),
            |schedule| Some(schedule.chunks().1),
        );
        let chunks = match (layout.vpp, layout.schedule) {
            (Some(vpp), _) => vpp..=vpp,
            (None, _) if pp == 1 => 1..=1,
            (None, Some(schedule)) if schedule.is_v() => 2..=2,
            (None, _) => 1..=most.min(taken.unwrap_or(1)),
        };
        let mut faults = FirstFault::default();
        let mut found = Vec::new();
        for vpp in chunks {
            let layers = self.stage_layers(network.depth(), pp, vpp);
            let Some(layers_per_stage) = faults.keep(layers) else {
                continue;
            };
            for schedule in faults.keep(self.schedules(pp, vpp)).unwrap_or_default() {
                let merges = check_merges(self.scenario, (pp, schedule));
                if faults.keep(merges).is_none() {
                    continue;
                }
                found.push(Pipeline {
                    schedule,
                    vpp,
                    layers_per_stage: layers_per_stage.clone(),
                });
            }
        }
        match faults.take() {
            Some(fault) if found.is_empty() => Err(fault),
            Some(_) | None => Ok(found),
        }
    }

    /// Schedules of a pipeline with so many chunks per stage.
    fn schedules(&self, pp: u32, vpp: u32) -> Result<Vec<PipelineSchedule>, Infeasible> {
        let interleaved = PipelineSchedule::Interleaved;
        let asked = match (self.scenario.layout.schedule, self.scenario.layout.unstated) {
            (None, Unstated::Usual) if vpp == 1 => Some(PipelineSchedule::OneFOneB),
            (asked, Unstated::Fastest | Unstated::Usual) => asked,
        };
        if vpp > 1 && asked.is_none() {
            self.offered(vpp)?;
        }
        if vpp > 1 && pp == 1 {
            return Err(Infeasible::Unsupported(format!(
                "vpp {vpp} needs a pipeline, the layout has pp 1"
            )));
        }
        // Frameworks run a single stage without a pipeline's schedule, whichever is asked for
        // (`get_forward_backward_func` in megatron/core/pipeline_parallel/schedules.py): as 1F1B does.
        if pp == 1 {
            return Ok(vec![PipelineSchedule::OneFOneB]);
        }
        match asked {
            Some(schedule) if schedule.is_v() && vpp != 2 => Err(Infeasible::Unsupported(format!(
                "schedule {schedule} has two chunks per stage, vpp is {vpp}: leave vpp out or give 2"
            ))),
            Some(schedule) if vpp > 1 && !schedule.takes_chunks(vpp) => {
                Err(Infeasible::Unsupported(format!(
                    "vpp {vpp} needs the interleaved schedule, `{schedule}` has one chunk per stage"
                )))
            }
            Some(schedule) if vpp == 1 && pp > 1 && schedule == interleaved => {
                Err(Infeasible::Unsupported(
                    "the interleaved schedule needs vpp over 1: with one chunk per stage it is 1f1b".to_owned(),
                ))
            }
            Some(schedule) => Ok(vec![schedule]),
            None => self.offered(vpp),
        }
    }

    /// Schedules with so many chunks per stage that the stack's framework has.
    fn offered(&self, vpp: u32) -> Result<Vec<PipelineSchedule>, Infeasible> {
        let (layout, stack) = (&self.scenario.layout, &self.scenario.stack);
        let all = stack.offers.schedules.iter().copied();
        let found: Vec<PipelineSchedule> = all
            .filter(|schedule| schedule.takes_chunks(vpp))
            // Its stages are cut in half: it is asked for by itself.
            .filter(|schedule| *schedule != PipelineSchedule::DualPipe)
            .filter(|schedule| layout.unstated == Unstated::Fastest || !schedule.is_v())
            .collect();
        if found.is_empty() {
            return Err(Infeasible::Unsupported(format!(
                "no schedule of stack `{}` has {vpp} chunks per stage: it has {}",
                stack.name,
                stack.offers.schedules.iter().join(", ")
            )));
        }
        Ok(found)
    }

    fn stage_layers(&self, layers: u32, pp: u32, vpp: u32) -> Result<Vec<u32>, Infeasible> {
        if let Some(list) = &self.scenario.layout.layers_per_stage {
            request::check_split(list, pp, vpp)?;
            return Ok(list.clone());
        }
        let stages = u64::from(pp) * u64::from(vpp);
        // Embedding and loss may each stand for a layer, which leaves a virtual stage without any.
        if stages > u64::from(layers) + 2 {
            return Err(Infeasible::Limit(format!(
                "pp {pp} × vpp {vpp} needs {stages} layers, the model has {layers}"
            )));
        }
        if let Some(work) = layer_work(self.scenario) {
            return Ok(stage_layers::balanced(&work, stages as usize));
        }
        let network = self.scenario.model.transformer();
        let mtp_layers = network.map_or(0, |network| network.mtp_layers);
        Ok(stage_layers::spread(layers, stages as u32, mtp_layers))
    }
}

/// FLOPs of each layer of a pipeline, forward and backward, the head's counted to the last; `None` where no encoder of images
/// comes first: layers that are alike, or nearly so, are counted.
fn layer_work(scenario: &TrainingScenario) -> Option<Vec<f64>> {
    let workload = &scenario.workload;
    scenario.model.transformer()?.vision.as_ref()?;
    let shard = Shard {
        lora_rank: workload.lora_rank.unwrap_or(0),
        frozen: workload.frozen,
        ..Shard::whole(workload.seq_len)
    };
    let lowered = lower(&scenario.model, &shard);
    let of = |layer: &LoweredLayer| {
        3.0 * layer.model_flops_forward.get() - layer.model_flops_frozen.get()
    };
    let kinds = lowered.sequence.iter();
    let mut work: Vec<f64> = kinds
        .map(|kind| of(&lowered.layer_kinds[usize::from(*kind)]))
        .collect();
    if let Some(last) = work.last_mut() {
        *last += of(&lowered.head);
    }
    Some(work)
}
