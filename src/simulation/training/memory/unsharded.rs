//! Layers of one pipeline stage before ZeRO shards them: their parameters, and what they keep for the backward pass.

use crate::hardware::Precision;
use crate::model::ShardParameters;
use crate::simulation::training::parameters;
use crate::simulation::training::schedule::Placement;
use crate::simulation::training::stage_layers::VirtualStages;
use crate::simulation::training::work::{LayerWork, ModelWork};
use crate::simulation::{Layout, TrainingScenario};
use crate::stack::{Recompute, SelectiveRecompute};

/// Layers of a stage, with their parameters before anything is sharded over data parallelism.
#[derive(Clone, Debug, Default)]
pub(super) struct StageLayers {
    /// Parameters of all layers.
    pub(super) parameters: ShardParameters,
    /// The layer with most parameters.
    layer: Unit,
    /// The same without experts that have no replica to be sharded over.
    pub(super) sharded_layer: Unit,
    /// The largest tensor of a layer, the same exception made.
    pub(super) sharded_tensor: Unit,
    /// Embedding.
    pub(super) embedding: Unit,
    /// Head, with the copy of a tied matrix that its stage holds.
    pub(super) head: Unit,
    /// Elements of weight matrices, each shape once.
    pub(super) distinct_weights: u64,
    /// Model chunks.
    pub(super) chunks: u64,
    /// Kinds of its layers, with how many there are of each.
    kinds: Vec<(u16, u64)>,
    shards_experts: bool,
    has_embedding: bool,
    has_head: bool,
    /// Whether its output goes to another stage.
    sends: bool,
}

/// Parameters that are gathered together, and those of them that are trained.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Unit {
    pub(super) all: u64,
    pub(super) trained: u64,
}

impl Unit {
    /// A layer's parameters, with or without those of experts.
    fn of(parameters: ShardParameters, experts: bool) -> Self {
        let trained = parameters.trained();
        let counted = |dense: u64, expert: u64| dense + if experts { expert } else { 0 };
        Self {
            all: counted(parameters.dense, parameters.expert),
            trained: counted(trained.dense, trained.expert),
        }
    }

    /// The smaller of each and so many parameters.
    fn at_most(self, parameters: u64) -> Self {
        Self {
            all: self.all.min(parameters),
            trained: self.trained.min(parameters),
        }
    }

    /// The larger of each.
    fn max(self, other: Self) -> Self {
        Self {
            all: self.all.max(other.all),
            trained: self.trained.max(other.trained),
        }
    }
}

impl StageLayers {
    /// The largest of layers, embedding and head.
    pub(super) fn largest(&self) -> Unit {
        self.layer.max(self.embedding).max(self.head)
    }

    /// The same without experts that have no replica to be sharded over.
    pub(super) fn largest_sharded(&self) -> Unit {
        self.sharded_layer.max(self.embedding).max(self.head)
    }

    /// The matrix that makes the logits, where the stage has it.
    pub(super) fn logits(&self) -> Unit {
        match self.has_head {
            // Tied to an embedding on the same stage, the head has no matrix of its own.
            true if self.head.all < self.embedding.all => self.embedding,
            true => self.head,
            false => Unit::default(),
        }
    }

    /// Layers of `stage`, with embedding and head where it has them.
    pub(super) fn of(
        scenario: &TrainingScenario,
        layout: &Layout,
        work: &ModelWork,
        stages: &VirtualStages<'_>,
        stage: u32,
    ) -> Self {
        let placement = Placement::of(layout);
        let mut held = Self {
            chunks: u64::from(layout.vpp),
            shards_experts: parameters::shards_experts(scenario, layout),
            has_embedding: stage == 0,
            has_head: stage == placement.stage(layout.pp * layout.vpp - 1),
            sends: stage + 1 < layout.pp || layout.pp > 1 && layout.schedule.is_v(),
            ..Self::default()
        };
        for chunk in 0..layout.vpp {
            let virtual_stage = placement.virtual_stage(stage, chunk);
            for alike in stages.layers(virtual_stage).chunk_by(|a, b| a == b) {
                held.add_kind(alike[0], alike.len() as u64);
            }
        }
        let mut shapes = Vec::new();
        for at in 0..held.kinds.len() {
            let (kind, count) = held.kinds[at];
            held.add_layers(&work.kinds[usize::from(kind)], count, &mut shapes);
        }
        if held.has_embedding {
            held.add_parameters(&work.embedding, 1, &mut Vec::new());
            held.embedding = Unit::of(work.embedding.parameters, true);
        }
        if held.has_head {
            held.add_head(scenario, layout, work, &mut shapes);
        }
        held.distinct_weights = shapes.iter().map(|(rows, columns)| rows * columns).sum();
        held
    }

    /// Layers of all chunks, without embedding and head.
    pub(super) fn count(&self) -> u64 {
        self.kinds.iter().map(|(_, count)| count).sum()
    }

    fn add_kind(&mut self, kind: u16, count: u64) {
        match self.kinds.iter_mut().find(|(known, _)| *known == kind) {
            Some((_, known)) => *known += count,
            None => self.kinds.push((kind, count)),
        }
    }

    fn add_head(
        &mut self,
        scenario: &TrainingScenario,
        layout: &Layout,
        work: &ModelWork,
        shapes: &mut Vec<(u64, u64)>,
    ) {
        self.add_parameters(&work.head, 1, shapes);
        self.head = Unit::of(work.head.parameters, true);
        // First and last stage each hold the matrix that they share.
        let apart = layout.pp > 1 && !layout.schedule.is_v();
        let network = scenario.model.transformer().filter(|_| apart);
        if let Some(table) = network.and_then(|network| network.tied_table_parameters(layout.tp)) {
            self.parameters.dense += table;
            self.head.all += table;
            if scenario.freezes_tables() {
                self.parameters.frozen_dense += table;
            } else {
                self.head.trained += table;
            }
        }
        if let Some(mtp) = work.mtp.as_ref().filter(|_| work.mtp_layers > 0) {
            self.add_layers(mtp, u64::from(work.mtp_layers), shapes);
        }
    }

    fn add_layers(&mut self, layer: &LayerWork, count: u64, shapes: &mut Vec<(u64, u64)>) {
        self.add_parameters(layer, count, shapes);
        self.layer = self.layer.max(Unit::of(layer.parameters, true));
        let sharded = Unit::of(layer.parameters, self.shards_experts);
        self.sharded_layer = self.sharded_layer.max(sharded);
        let tensor = sharded.at_most(layer.largest_tensor);
        self.sharded_tensor = self.sharded_tensor.max(tensor);
    }

    fn add_parameters(&mut self, layer: &LayerWork, count: u64, shapes: &mut Vec<(u64, u64)>) {
        let ShardParameters { dense, expert, .. } = layer.parameters;
        self.parameters.dense += dense * count;
        self.parameters.expert += expert * count;
        self.parameters.frozen_dense += layer.parameters.frozen_dense * count;
        self.parameters.frozen_expert += layer.parameters.frozen_expert * count;
        self.parameters.forward_only += layer.parameters.forward_only * count;
        add_shapes(shapes, &layer.weight_shapes);
    }
}

/// Activations of a stage, in bytes.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct StageActivations {
    /// Bytes that the layers of all chunks keep per microbatch.
    pub(super) kept: u64,
    /// Bytes that the layer which keeps most keeps per microbatch.
    pub(super) largest: u64,
    /// Bytes that the embedding keeps per microbatch.
    pub(super) embedding: u64,
    /// Bytes that head and loss keep per microbatch.
    pub(super) head: u64,
    /// Transient memory of the head while gradients of the loss are computed, beyond what is kept.
    pub(super) head_transient: u64,
    /// Peak transient memory of one layer's backward pass, beyond saved activations.
    pub(super) working: u64,
    /// Peak memory of one layer's backward pass, saved activations included.
    pub(super) layer: u64,
    /// Bytes of the stage's output per microbatch; 0 for the last stage.
    pub(super) output: u64,
}

impl StageActivations {
    /// Activations of a stage's layers under a policy, where each sample of the work stands for `samples`.
    pub(super) fn of(
        held: &StageLayers,
        (work, samples): (&ModelWork, f64),
        policy: Policy,
    ) -> Self {
        let mut activations = Self::default();
        for &(kind, count) in &held.kinds {
            activations.add_layers(&work.kinds[usize::from(kind)], count, policy);
        }
        if held.has_embedding {
            activations.embedding = work.embedding.kept.none.get();
        }
        if held.has_head {
            activations.head = work.head.kept.none.get();
            activations.head_transient = work.head.kept.transient.get();
            if let Some(mtp) = work.mtp.as_ref().filter(|_| work.mtp_layers > 0) {
                activations.add_layers(mtp, u64::from(work.mtp_layers), policy);
            }
        }
        if held.sends {
            activations.output = work.residual_bytes();
        }
        if (samples - 1.0).abs() > 0.0 {
            activations.scale(samples);
        }
        activations
    }

    fn scale(&mut self, samples: f64) {
        for bytes in [
            &mut self.kept,
            &mut self.largest,
            &mut self.embedding,
            &mut self.head,
            &mut self.head_transient,
            &mut self.working,
            &mut self.layer,
            &mut self.output,
        ] {
            *bytes = (*bytes as f64 * samples) as u64;
        }
    }

    fn add_layers(&mut self, layer: &LayerWork, count: u64, policy: Policy) {
        let kept = policy.kept(layer);
        self.kept += kept * count;
        self.largest = self.largest.max(kept);
        let none = layer.kept.none.get();
        let transient = layer.kept.transient.get();
        self.working = self.working.max(none.saturating_sub(kept) + transient);
        self.layer = self.layer.max(none.max(kept) + transient);
    }
}

fn add_shapes(known: &mut Vec<(u64, u64)>, more: &[(u64, u64)]) {
    for shape in more {
        if !known.contains(shape) {
            known.push(*shape);
        }
    }
}

/// Rule for what a layer keeps from forward to backward.
#[derive(Clone, Copy)]
pub(in crate::simulation::training) struct Policy {
    recompute: Recompute,
    selective: SelectiveRecompute,
    recomputed_share: f64,
    /// Bytes of the residual stream over bytes of an activation: autocast leaves the stream in fp32.
    stream: f64,
}

impl Policy {
    pub(in crate::simulation::training) fn of(
        scenario: &TrainingScenario,
        precision: Precision,
        (recompute, recomputed_share): (Recompute, f64),
    ) -> Self {
        let element = precision.storage_bytes();
        let autocast = scenario.stack.recipe.autocast && element < 4;
        Self {
            recompute,
            selective: scenario.stack.selective,
            recomputed_share,
            stream: if autocast { 4.0 / element as f64 } else { 1.0 },
        }
    }

    /// Bytes that a layer keeps of one microbatch.
    pub(in crate::simulation::training) fn kept(self, layer: &LayerWork) -> u64 {
        let kept = match (self.recompute, self.selective) {
            (Recompute::None, _) => layer.kept.none,
            (Recompute::Selective, SelectiveRecompute::Operations) => layer.kept.operations,
            (
                Recompute::Selective,
                SelectiveRecompute::AttentionCore | SelectiveRecompute::Layers,
            ) => layer.kept.selective,
            (Recompute::Full, _) => {
                let share = self.recomputed_share;
                layer.kept.full.scaled(share * self.stream) + layer.kept.none.scaled(1.0 - share)
            }
        };
        kept.get()
    }
}
