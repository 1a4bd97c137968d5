//! Costs of the virtual stages of a pipeline, and of the sends between them.

use crate::collective::CollectiveOp;
use crate::collective::GroupPattern;
use crate::simulation::training::memory::layers_of;
use crate::simulation::training::passes::{LayerCost, LayerCosts, Traffic};
use crate::simulation::training::pricing::Pricing;
use crate::simulation::training::replication::ParameterCount;
use crate::simulation::training::work::ModelWork;
use crate::simulation::{Infeasible, Layout, StepPart, TrainingScenario};
use crate::units::{Bytes, SimDuration};

/// The layers between two sends.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct VirtualStage {
    /// All its layers added up, embedding and head included.
    pub(super) total: LayerCost,
    /// Which virtual stage it is, front to back.
    pub(super) place: usize,
    first: bool,
    last: bool,
}

/// Virtual stages front to back.
pub(super) fn virtual_stages(
    layout: &Layout,
    work: &ModelWork,
    costs: &LayerCosts,
) -> Vec<VirtualStage> {
    let stages = (layout.pp * layout.vpp) as usize;
    (0..stages)
        .map(|place| {
            let (first, last) = (place == 0, place + 1 == stages);
            let mut total = LayerCost::default();
            for &kind in layers_of(layout, work, place) {
                total += &costs.kinds[usize::from(kind)];
            }
            if first {
                total += &costs.embedding;
            }
            if last {
                total += &costs.head;
                total += &costs.mtp;
            }
            VirtualStage {
                total,
                place,
                first,
                last,
            }
        })
        .collect()
}

impl VirtualStage {
    /// Parameters on one rank of the stage.
    pub(super) fn parameters(&self) -> ParameterCount {
        ParameterCount {
            dense: self.total.dense,
            expert: self.total.expert,
        }
    }

    /// The layers in at most `most` contiguous groups, front to back; the embedding is in the first,
    /// the head in the last.
    pub(super) fn groups(
        &self,
        layout: &Layout,
        work: &ModelWork,
        costs: &LayerCosts,
        most: usize,
    ) -> Vec<LayerCost> {
        let layers = layers_of(layout, work, self.place);
        let count = most.min(layers.len()).max(1);
        let mut groups = vec![LayerCost::default(); count];
        for (index, &kind) in layers.iter().enumerate() {
            groups[index * count / layers.len()] += &costs.kinds[usize::from(kind)];
        }
        if self.first {
            groups[0] += &costs.embedding;
        }
        if self.last {
            groups[count - 1] += &costs.head;
            groups[count - 1] += &costs.mtp;
        }
        groups
    }
}

/// Sends of activations to the next stage (and of their gradients to the one before).
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Sends {
    /// Time of one send.
    pub(super) time: SimDuration,
    /// Use of the link classes while it runs alone.
    pub(super) load: [f64; 2],
    /// What it sends.
    pub(super) traffic: Traffic,
}

impl Sends {
    /// Sends of a layout; free when there is one stage.
    ///
    /// With sequence parallelism a rank sends its 1/tp of the tokens. Without it every rank of a
    /// tensor group sends the whole activation, unless the stack sends 1/tp and gathers it behind
    /// the receiving NICs (arXiv 2104.04473, section 4.1).
    ///
    /// # Errors
    /// If the network cannot carry them.
    pub(super) fn of(
        scenario: &TrainingScenario,
        layout: &Layout,
        pricing: &mut Pricing,
    ) -> Result<Self, Infeasible> {
        let sends = layout.pp > 1 && !scenario.run.leaves_out(StepPart::PpComm);
        let Some(network) = scenario.model.transformer().filter(|_| sends) else {
            return Ok(Self::default());
        };
        let tokens = u64::from(layout.micro_batch) * u64::from(scenario.workload.seq_len)
            / u64::from(layout.cp);
        let whole = tokens * u64::from(network.hidden) * layout.precision.storage_bytes();
        let tp = u64::from(layout.tp);
        let gathers = !layout.sequence_parallel && scenario.stack.overlap.scatter_gather && tp > 1;
        let sent = if layout.sequence_parallel || gathers {
            whole / tp
        } else {
            whole
        };
        let stages = GroupPattern {
            size: layout.pp,
            stride: scenario.gpus / layout.pp,
        };
        let price = pricing.price(CollectiveOp::SendRecv, Bytes::new(sent), stages, None)?;
        let mut sends = Self {
            time: price.time,
            load: [price.loads.scale_up, price.loads.scale_out],
            ..Self::default()
        };
        sends.traffic.add(&price, 1);
        if gathers {
            let group = GroupPattern {
                size: layout.tp,
                stride: 1,
            };
            let gather = pricing.price(CollectiveOp::AllGather, Bytes::new(whole), group, None)?;
            sends.time += gather.time;
            sends.traffic.add(&gather, 1);
        }
        Ok(sends)
    }
}
