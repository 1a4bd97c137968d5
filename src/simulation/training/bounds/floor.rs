//! Least times of layers under one sharding, whatever the microbatch: what a search can rule out before it measures.
//!
//! Kernels take what every launch takes, and what grows with the tokens ([`least_time`]); communications what
//! their bytes take at line rate. A time per sample that was taken of many samples is the least per sample of any
//! fewer.

use crate::kernel::{KernelContext, least_time};
use crate::model::{
    CommGroup, CommOp, ExpertImbalance, LoweredLayer, Operator, PassCalls, Shard, lower,
};
use crate::simulation::TrainingScenario;

/// One communication of a pass.
#[derive(Clone, Copy, Debug)]
pub(in crate::simulation::training) struct LeastCommunication {
    pub(in crate::simulation::training) op: CommOp,
    pub(in crate::simulation::training) group: CommGroup,
    /// Bytes of one sample.
    pub(in crate::simulation::training) bytes: f64,
    /// Whether a matrix product may hide it.
    pub(in crate::simulation::training) overlappable: bool,
}

/// Least work of one pass of one layer.
#[derive(Clone, Debug, Default)]
pub(in crate::simulation::training) struct LeastPass {
    /// Kernels.
    pub(in crate::simulation::training) kernels: f64,
    /// Calls of the host.
    pub(in crate::simulation::training) calls: PassCalls,
    /// Seconds of a microbatch, whatever its size.
    pub(in crate::simulation::training) fixed: f64,
    /// Seconds of each sample.
    pub(in crate::simulation::training) growing: f64,
    /// Seconds of attention among them.
    pub(in crate::simulation::training) attention: f64,
    pub(in crate::simulation::training) communications: Vec<LeastCommunication>,
}

/// Least work of one layer.
#[derive(Clone, Debug, Default)]
pub(in crate::simulation::training) struct LeastLayer {
    pub(in crate::simulation::training) forward: LeastPass,
    /// Part of the forward pass that no recomputation repeats.
    pub(in crate::simulation::training) once: LeastPass,
    /// Gradients of inputs.
    pub(in crate::simulation::training) backward_input: LeastPass,
    /// Gradients of weights.
    pub(in crate::simulation::training) backward_weight: LeastPass,
    /// Work that selective recomputation repeats.
    pub(in crate::simulation::training) selective: LeastPass,
    /// Whether a backward pass runs through it, and recomputation in front of that.
    pub(in crate::simulation::training) has_backward: bool,
}

/// Least work of a model under one sharding, for microbatches up to the one it was taken of.
#[derive(Clone, Debug)]
pub(in crate::simulation::training) struct LeastWork {
    /// Factor by which a size per sample is no more than exact, where parts of the microbatch were rounded up.
    pub(in crate::simulation::training) exact: f64,
    pub(in crate::simulation::training) kinds: Vec<LeastLayer>,
    /// Layers of each kind.
    pub(in crate::simulation::training) counts: Vec<u32>,
    pub(in crate::simulation::training) embedding: LeastLayer,
    pub(in crate::simulation::training) head: LeastLayer,
    pub(in crate::simulation::training) mtp: Option<LeastLayer>,
}

impl LeastWork {
    /// Least work of microbatches up to the shard's.
    pub(in crate::simulation::training) fn of(
        scenario: &TrainingScenario,
        shard: &Shard,
        context: &KernelContext,
    ) -> Self {
        let lowered = lower(&scenario.model, shard);
        let exact = 1.0 - rounding(scenario, shard);
        let least = |layer: &LoweredLayer| {
            let pass = |operators: &[Operator], calls| LeastPass {
                calls,
                ..least_pass(operators, context, shard, exact)
            };
            LeastLayer {
                forward: pass(&layer.forward, layer.calls.forward),
                once: pass(&layer.once, PassCalls::default()),
                backward_input: pass(&layer.backward_input, layer.calls.backward_input),
                backward_weight: pass(&layer.backward_weight, layer.calls.backward_weight),
                selective: LeastPass {
                    communications: Vec::new(),
                    ..pass(&layer.selective, layer.calls.selective)
                },
                has_backward: layer.has_backward,
            }
        };
        let mut counts = vec![0; lowered.layer_kinds.len()];
        for &kind in &lowered.sequence {
            counts[usize::from(kind)] += 1;
        }
        Self {
            exact,
            kinds: lowered.layer_kinds.iter().map(least).collect(),
            counts,
            embedding: least(&lowered.embedding),
            head: least(&lowered.head),
            mtp: lowered.mtp.as_ref().map(least),
        }
    }
}

/// Largest share by which a size of this microbatch may be rounded up over its exact part: one in as many as it has.
fn rounding(scenario: &TrainingScenario, shard: &Shard) -> f64 {
    let Some(network) = scenario.model.transformer() else {
        return 0.0;
    };
    let tp = u64::from(shard.tp);
    let tokens =
        u64::from(shard.micro_batch) * u64::from(shard.seq_len).div_ceil(u64::from(shard.cp));
    let one_in = |whole: u64, parts: u64| {
        if whole.is_multiple_of(parts) {
            0.0
        } else {
            1.0 / whole.div_ceil(parts) as f64
        }
    };
    // Logits of masked tokens are a fraction of them, rounded up.
    let masked = if shard.masked_head {
        32.0 / tokens as f64
    } else {
        0.0
    };
    let columns = u64::from(network.vocab).div_ceil(tp);
    let parts = shard.loss_parts;
    let chunks = one_in(
        tokens,
        parts.count(tokens, u64::from(network.hidden), columns),
    );
    let experts = network.moe.map_or(0.0, |moe| {
        let rows = tokens.div_ceil(tp) * u64::from(moe.experts_per_token) * u64::from(shard.etp);
        let local = u64::from(moe.experts).div_ceil(u64::from(shard.ep));
        let is_padded =
            shard.expert_imbalance != ExpertImbalance::BALANCED || moe.capacity_factor.is_some();
        if is_padded {
            // Rows of the rank are rounded up, and of each expert again.
            1.0 / rows as f64 + 1.0 / rows.div_ceil(local) as f64
        } else {
            one_in(rows, local)
        }
    });
    (one_in(tokens, tp) + masked + chunks + experts).min(1.0)
}

fn least_pass(
    operators: &[Operator],
    context: &KernelContext,
    shard: &Shard,
    exact: f64,
) -> LeastPass {
    let samples = f64::from(shard.micro_batch);
    let mut pass = LeastPass::default();
    for operator in operators {
        if let Operator::Comm {
            op,
            group,
            bytes,
            overlappable,
        } = *operator
        {
            pass.communications.push(LeastCommunication {
                op,
                group,
                bytes: bytes.as_f64() / samples * exact,
                overlappable,
            });
            continue;
        }
        let least = least_time(operator, context);
        let growing = least.growing / samples * exact;
        pass.growing += growing;
        if let Operator::Attention { .. } = operator {
            pass.attention += growing;
        }
        pass.kernels += f64::from(least.kernels);
        pass.fixed += least.launched;
    }
    pass
}
