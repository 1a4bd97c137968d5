//! Parameters and activations of one pipeline stage before ZeRO shards them, summed over its layers.

use crate::model::ShardParameters;
use crate::simulation::training::stage_layers::layers_of;
use crate::simulation::training::work::{LayerWork, ModelWork};
use crate::simulation::{Layout, TrainingScenario};
use crate::stack::{Recompute, SelectiveRecompute};

/// Parameters and activations of a stage, before anything is sharded over data parallelism.
#[derive(Default)]
pub(super) struct Unsharded {
    /// Parameters of all layers.
    pub(super) parameters: ShardParameters,
    /// Parameters of the largest layer, embedding and head included.
    pub(super) largest_layer: u64,
    /// Elements of weight matrices, each shape once.
    pub(super) distinct_weights: u64,
    /// Bytes that the layers of all chunks keep per microbatch.
    pub(super) kept: u64,
    /// Model chunks.
    pub(super) chunks: u64,
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

impl Unsharded {
    /// Adds up the layers of `stage`, with embedding and head where it has them.
    pub(super) fn of(
        scenario: &TrainingScenario,
        layout: &Layout,
        work: &ModelWork,
        stage: u32,
    ) -> Self {
        let mut held = Self {
            chunks: u64::from(layout.vpp),
            ..Self::default()
        };
        let mut shapes = Vec::new();
        let policy = Policy::of(scenario, layout);
        let stages = layout.pp * layout.vpp;
        for chunk in 0..layout.vpp {
            let virtual_stage = chunk * layout.pp + stage;
            for &kind in layers_of(layout, work, virtual_stage as usize) {
                held.add_layer(&work.kinds[usize::from(kind)], policy, &mut shapes);
            }
            if virtual_stage == 0 {
                held.add_parameters(&work.embedding);
                held.embedding += work.embedding.kept.none.get();
            }
            if virtual_stage + 1 == stages {
                held.add_head(scenario, layout, work);
                add_shapes(&mut shapes, &work.head.weight_shapes);
                if let Some(mtp) = &work.mtp {
                    for _ in 0..work.mtp_layers {
                        held.add_layer(mtp, policy, &mut shapes);
                    }
                }
            }
        }
        if stage + 1 < layout.pp {
            held.output = work.residual_bytes();
        }
        held.distinct_weights = shapes.iter().map(|(rows, columns)| rows * columns).sum();
        held
    }

    fn add_layer(&mut self, layer: &LayerWork, policy: Policy, shapes: &mut Vec<(u64, u64)>) {
        self.add_parameters(layer);
        add_shapes(shapes, &layer.weight_shapes);
        let kept = policy.kept(layer);
        self.kept += kept;
        let none = layer.kept.none.get();
        let transient = layer.kept.transient.get();
        self.working = self.working.max(none.saturating_sub(kept) + transient);
        self.layer = self.layer.max(none.max(kept) + transient);
    }

    fn add_head(&mut self, scenario: &TrainingScenario, layout: &Layout, work: &ModelWork) {
        self.add_parameters(&work.head);
        self.head += work.head.kept.none.get();
        self.head_transient += work.head.kept.transient.get();
        // First and last stage each hold the matrix that they share.
        let network = scenario.model.transformer().filter(|_| layout.pp > 1);
        if let Some(table) = network.and_then(|network| network.tied_table_parameters(layout.tp)) {
            self.parameters.dense += table;
            self.largest_layer = self.largest_layer.max(table);
        }
    }

    fn add_parameters(&mut self, layer: &LayerWork) {
        self.parameters += layer.parameters;
        self.largest_layer = self
            .largest_layer
            .max(layer.parameters.dense + layer.parameters.expert);
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
pub(super) struct Policy {
    recompute: Recompute,
    selective: SelectiveRecompute,
    recomputed_share: f64,
    /// Bytes of the residual stream over bytes of an activation: autocast leaves the stream in fp32.
    stream: f64,
}

impl Policy {
    pub(super) fn of(scenario: &TrainingScenario, layout: &Layout) -> Self {
        let element = layout.precision.storage_bytes();
        let autocast = scenario.stack.recipe.autocast && element < 4;
        Self {
            recompute: layout.recompute,
            selective: scenario.stack.selective,
            recomputed_share: layout.recomputed_share,
            stream: if autocast { 4.0 / element as f64 } else { 1.0 },
        }
    }

    /// Bytes that a layer keeps of one microbatch.
    pub(super) fn kept(self, layer: &LayerWork) -> u64 {
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
