//! Typed columns of a row's training job.

use crate::closed_set::Subset;
use crate::hardware::{Precision, ScaleUpKind};
use crate::model::{CpExchange, ExpertDispatch, Modules, Parts};
use crate::simulation::{LayoutRequest, Unstated, ZeroGroup};
use crate::stack::{
    CudaGraphs, Fp8Recipe, Loss, Offload, Optimizer, PipelineSchedule, RecipeChange, Recompute,
    ZeroStage,
};
use crate::units::Power;

use super::cells::{Index, Stated};
use super::kinds::Score;
use super::table::columns;

columns! {
    /// A measured training job, as far as its row states it.
    pub(crate) struct JobRow {
        id: String,
        source: Option<String>,
        lineage: Option<String>,
        score: Option<Score>,

        gpu: String,
        gpus: u32,
        gpus_per_node: Option<u32>,
        domain_gpus: Option<u32>,
        power_cap: Option<Power>,
        nic_gbit_per_s: Option<f64>,
        scale_up: Option<ScaleUpKind>,

        model: String,
        cut_to_layers: Option<u32>,
        family: Option<String>,
        layers: Option<u32>,
        hidden: Option<u32>,
        ffn_hidden: Option<u32>,
        heads: Option<u32>,
        kv_heads: Option<u32>,
        head_dim: Option<u32>,
        vocab: Option<u32>,
        mlp: Option<String>,
        tied_embeddings: Option<bool>,
        alibi: Option<bool>,
        embedding_norm: Option<bool>,
        experts: Option<u32>,
        experts_per_token: Option<u32>,
        expert_ffn_hidden: Option<u32>,
        shared_experts: Option<Index>,
        dense_layers: Option<Index>,
        mtp_layers: Option<Index>,
        capacity_factor: Option<f64>,
        pattern: Option<String>,

        framework: Option<String>,
        release: Option<String>,
        year: Option<u32>,
        compiled: Option<bool>,
        channels_last: Option<bool>,

        global_batch: u32,
        seq_len: Option<u32>,
        document_length: Option<u32>,
        lora_rank: Option<u32>,
        frozen: Option<Parts>,
        precision: Option<Stated<Precision>>,
        micro_batch: Option<u32>,
        tp: Option<u32>,
        pp: Option<u32>,
        vpp: Option<u32>,
        cp: Option<u32>,
        cp_exchange: Option<CpExchange>,
        ep: Option<u32>,
        dp: Option<u32>,
        zero: Option<ZeroStage>,
        zero_group: Option<u32>,
        schedule: Option<PipelineSchedule>,
        recompute: Option<Stated<Recompute>>,
        recompute_modules: Option<Modules>,
        recompute_layers: Option<u32>,
        loss: Option<Loss>,
        optimizer: Option<Optimizer>,
        offload: Option<Subset<Offload>>,
        sequence_parallel: Option<bool>,
        attention: Option<String>,
        expert_dispatch: Option<ExpertDispatch>,
        overlap_ep: Option<bool>,
        expert_imbalance: Option<f64>,
        cuda_graphs: Option<CudaGraphs>,
        fp8_recipe: Option<Fp8Recipe>,
    }
}

impl JobRow {
    /// True where layout, micro batch and recomputation are all stated.
    pub(crate) fn is_stated(&self) -> bool {
        let LayoutRequest {
            micro_batch,
            tp,
            pp,
            vpp,
            ..
        } = self.layout();
        let sizes = [micro_batch, tp, pp, vpp];
        sizes.iter().all(Option::is_some) && self.recompute.is_some()
    }

    /// Whether the row says that no rank has a replica.
    fn has_one_replica(&self) -> bool {
        self.dp == Some(1) && self.cp.unwrap_or(1) == 1
    }

    /// Changes that the row makes to its stack's recipes.
    pub(crate) fn recipes(&self) -> RecipeChange {
        RecipeChange {
            recompute_modules: self.recompute_modules,
            loss: self.loss,
            optimizer: self.optimizer,
            offload: self.offload,
            cuda_graphs: self.cuda_graphs,
            fp8_recipe: self.fp8_recipe,
        }
    }

    /// Layout request of the row, without recomputation.
    pub(crate) fn layout(&self) -> LayoutRequest {
        LayoutRequest {
            micro_batch: self.micro_batch,
            tp: self.tp,
            pp: self.pp,
            cp: self.cp,
            cp_exchange: self.cp_exchange,
            ep: self.ep,
            // Interleaving that is not stated means something only where there are stages.
            vpp: if self.pp == Some(1) {
                Some(1)
            } else {
                self.vpp
            },
            dp: self.dp,
            zero: if self.zero == Some(ZeroStage::Z3) && self.has_one_replica() {
                // What a row calls FSDP shards nothing then.
                Some(ZeroStage::Z0)
            } else {
                self.zero
            },
            zero_group: self.zero_group.map(ZeroGroup::Ranks),
            schedule: self.schedule,
            sequence_parallel: self.sequence_parallel,
            attention: self.attention.as_deref().and_then(|name| name.parse().ok()),
            recompute_layers: self.recompute_layers,
            unstated: Unstated::Usual,
            ..LayoutRequest::default()
        }
    }
}
