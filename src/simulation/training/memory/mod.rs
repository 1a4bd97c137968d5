//! Peak memory of each pipeline stage.
//!
//! The peak of a stage is the fullest of the moments of a step ([`MemoryMoment`]). Activations are freed while gradients
//! appear, so that the two never add up in full unless the gradients persist from an earlier microbatch or step.

pub(super) mod model_state;
#[cfg(test)]
mod tests;
pub(super) mod unsharded;

use crate::simulation::training::host::cuda_graphs;
use crate::simulation::training::schedule::{self, PipelineSize, Placement};
use crate::simulation::training::stage_layers::{self, VirtualStages};
use crate::simulation::training::work::{LayerWork, ModelWork};
use crate::simulation::{Layout, MemoryFootprint, MemoryMoment, StageMemory, TrainingScenario};
use crate::stack::{CudaGraphs, Offload, PipelineSchedule, Recompute};
use crate::units::Bytes;

use model_state::State;
use unsharded::{Policy, StageActivations, StageLayers};

/// Load of a stage besides its layers' weights: recomputation, microbatches, and the samples of each.
#[derive(Clone, Copy, Debug)]
pub(super) struct Load {
    pub(super) recompute: Recompute,
    pub(super) recomputed_share: f64,
    pub(super) microbatches: u32,
    /// Samples for which each sample of the work stands.
    pub(super) samples: f64,
}

impl Load {
    /// Load of a layout.
    pub(super) const fn of(layout: &Layout) -> Self {
        Self {
            recompute: layout.recompute,
            recomputed_share: layout.recomputed_share,
            microbatches: layout.microbatches,
            samples: 1.0,
        }
    }
}

/// Stages of a layout that may be the fullest, whatever they are loaded with.
#[derive(Clone, Debug)]
pub(super) struct Stages {
    layout: Layout,
    stages: Vec<Stage>,
}

#[derive(Clone, Debug)]
struct Stage {
    index: u32,
    layers: StageLayers,
    state: State,
}

impl Stages {
    /// Stages of a layout. One between the ends that has the same layers as the one before it is no fuller: no
    /// schedule has more microbatches in flight there, but those in a V with few of them.
    pub(super) fn of(scenario: &TrainingScenario, layout: &Layout, work: &ModelWork) -> Self {
        let virtual_stages = VirtualStages::of(layout, work);
        let placement = Placement::of(layout);
        let layers = |stage| {
            let of_chunk = move |chunk| placement.virtual_stage(stage, chunk);
            (0..layout.vpp)
                .map(of_chunk)
                .map(|at| virtual_stages.layers(at))
        };
        let is_no_fuller = |stage: u32| {
            let between = stage > 1 && stage + 1 < layout.pp && !layout.schedule.is_v();
            between && layers(stage).eq(layers(stage - 1))
        };
        let stages = (0..layout.pp)
            .filter(|stage| !is_no_fuller(*stage))
            .map(|stage| Stage::of(scenario, layout, work, &virtual_stages, stage))
            .collect();
        Self {
            layout: layout.clone(),
            stages,
        }
    }

    /// Share of the fullest stage's layers that so many of them are.
    pub(super) fn share_of(&self, layers: u32) -> f64 {
        let placement = Placement::of(&self.layout);
        stage_layers::share_of(layers, &self.layout.layers_per_stage, placement)
    }

    /// Layers of the fullest stage; none in a convolutional network.
    pub(super) fn fullest(&self) -> u32 {
        let placement = Placement::of(&self.layout);
        stage_layers::fullest(&self.layout.layers_per_stage, placement)
    }

    /// Whether every stage fits in the GPU's memory.
    pub(super) fn fit(&self, scenario: &TrainingScenario, work: &ModelWork, load: Load) -> bool {
        self.stages.iter().all(|stage| {
            let footprint = stage.footprint(scenario, &self.layout, work, load);
            footprint.total() <= scenario.gpu.memory
        })
    }

    /// Footprint of the fullest stage; `work` is that of the layout's groups, whatever the microbatch.
    pub(super) fn peak(
        &self,
        scenario: &TrainingScenario,
        work: &ModelWork,
        load: Load,
    ) -> MemoryFootprint {
        self.stages
            .iter()
            .map(|stage| stage.footprint(scenario, &self.layout, work, load))
            .max_by_key(MemoryFootprint::total)
            .expect("a pipeline has at least one stage")
    }
}

/// Footprint of the fullest stage.
pub(super) fn peak(
    scenario: &TrainingScenario,
    layout: &Layout,
    work: &ModelWork,
) -> MemoryFootprint {
    Stages::of(scenario, layout, work).peak(scenario, work, Load::of(layout))
}

/// Memory of every stage, moment by moment.
pub(super) fn by_stage(
    scenario: &TrainingScenario,
    layout: &Layout,
    work: &ModelWork,
) -> Vec<StageMemory> {
    let (stages, load) = (VirtualStages::of(layout, work), Load::of(layout));
    let of_stage = |index| {
        let stage = Stage::of(scenario, layout, work, &stages, index);
        let activations = stage.activations(scenario, layout, work, load);
        StageMemory {
            stage: index,
            tensors: moments(scenario, load, &stage.state, &activations),
            peak: stage.footprint(scenario, layout, work, load),
        }
    };
    (0..layout.pp).map(of_stage).collect()
}

impl Stage {
    fn of(
        scenario: &TrainingScenario,
        layout: &Layout,
        work: &ModelWork,
        stages: &VirtualStages<'_>,
        stage: u32,
    ) -> Self {
        let layers = StageLayers::of(scenario, layout, work, stages, stage);
        Self {
            index: stage,
            state: State::of(scenario, layout, &layers),
            layers,
        }
    }

    fn footprint(
        &self,
        scenario: &TrainingScenario,
        layout: &Layout,
        work: &ModelWork,
        load: Load,
    ) -> MemoryFootprint {
        let state = &self.state;
        let activations = self.activations(scenario, layout, work, load);
        let peak = moments(scenario, load, state, &activations)
            .into_iter()
            .max_by_key(MemoryFootprint::total)
            .expect("a step has moments");
        let reserve = &scenario.stack.reserve;
        let peak = MemoryFootprint {
            buffers: peak.buffers + self.graphs(scenario, layout, work, (load, peak.activations)),
            ..peak
        };
        // What a chip's runtime keeps is no part of its memory where the compiler makes the kernels.
        let context = if scenario.gpu.rates.compiled {
            Bytes::ZERO
        } else {
            reserve.context
        };
        let tensors = peak.total().as_f64();
        let tight = reserve.fragmentation.min(TIGHT_FRAGMENTATION);
        let held = MemoryFootprint {
            buffers: peak.buffers + context + Bytes::from_f64(tensors * tight),
            ..peak
        };
        let room = scenario.gpu.memory.saturating_sub(held.total());
        let mut cached = Bytes::from_f64(tensors * (reserve.fragmentation - tight));
        // The step's flat blocks fit in no freed activation, so they are allocated on top.
        if reserve.flat_step && peak.activations > Bytes::ZERO {
            cached += state.copies;
        }
        MemoryFootprint {
            buffers: held.buffers + cached.min(room),
            ..held
        }
    }

    /// Memory of CUDA graphs. A layer's graph reads its input from a buffer of its own for each microbatch in flight
    /// (4.5 GB for DeepSeek-V3 on 256 GB200, where about 7 GB are stated: arXiv 2603.07685); that of a step shares its
    /// activations with nothing else: peaks grow to 1.5 to 2 times (NVIDIA-NeMo/Megatron-Bridge
    /// skills/nemo-mbridge-perf-cuda-graphs), of which the least is taken, of the activations.
    fn graphs(
        &self,
        scenario: &TrainingScenario,
        layout: &Layout,
        work: &ModelWork,
        (load, activations): (Load, Bytes),
    ) -> Bytes {
        match cuda_graphs(scenario, layout) {
            CudaGraphs::None => Bytes::ZERO,
            CudaGraphs::Layer => {
                let inputs = Bytes::new(work.residual_bytes()).scaled(load.samples);
                inputs * (self.layers.count() * self.in_flight(layout, load) / self.layers.chunks)
            }
            CudaGraphs::Step => activations.scaled(0.5),
        }
    }

    /// Chunks of microbatches that the stage has in flight at most.
    fn in_flight(&self, layout: &Layout, load: Load) -> u64 {
        let pipeline = PipelineSize {
            stages: layout.pp,
            chunks: layout.vpp,
            microbatches: load.microbatches,
        };
        u64::from(schedule::in_flight(layout.schedule, pipeline, self.index))
    }

    fn activations(
        &self,
        scenario: &TrainingScenario,
        layout: &Layout,
        work: &ModelWork,
        load: Load,
    ) -> Activations {
        let policy = (load.recompute, load.recomputed_share);
        let policy = Policy::of(scenario, layout.precision, policy);
        let held = StageActivations::of(&self.layers, (work, load.samples), policy);
        let chunks = self.in_flight(layout, load);
        let output = if scenario.stack.recipe.holds_stage_outputs {
            held.output
        } else {
            0
        };
        let mut layers = held.kept * chunks / self.layers.chunks;
        if scenario.stack.offload.contains(Offload::Activations) {
            // One layer's are used while the next one's are copied.
            layers = layers.min(2 * held.largest);
        }
        let kept = layers + held.embedding * chunks / self.layers.chunks + output * chunks;
        let losses = match layout.schedule {
            PipelineSchedule::GPipe => chunks,
            PipelineSchedule::OneFOneB
            | PipelineSchedule::Interleaved
            | PipelineSchedule::ZbH1
            | PipelineSchedule::ZbH2
            | PipelineSchedule::ZbV
            | PipelineSchedule::DualPipe
            | PipelineSchedule::DualPipeV => 1,
        };
        Activations {
            loss: kept + held.head * losses + held.head_transient,
            first_backward: kept + held.head * (losses - 1) + held.working,
            last_backward: held.embedding + held.layer,
        }
    }
}

/// Fragmentation that always takes memory: reserved over allocated memory is 1.03 to 1.09 where both were
/// measured (SimuMax v1.2, 16 runs). What a stack has above it is cache, which is given back before memory runs out.
const TIGHT_FRAGMENTATION: f64 = 0.09;

/// Tensors at each moment, in the order of [`MemoryMoment::ALL`].
fn moments(
    scenario: &TrainingScenario,
    load: Load,
    state: &State,
    activations: &Activations,
) -> [MemoryFootprint; MemoryMoment::COUNT] {
    let persist = scenario.stack.recipe.persistent_gradients;
    let lives_on = persist || load.microbatches > 1;
    let earlier = if lives_on {
        state.gradients
    } else {
        state.first_gradients
    };
    // Where gradients live on, those of the loss join them.
    let of_loss = if lives_on && state.layer_gradients == Bytes::ZERO {
        Bytes::ZERO
    } else {
        state.loss_gradients
    };
    let buffers = state.stand_ins + state.buckets;
    let at_work = buffers + state.layer_gradients;
    let passes = MemoryFootprint {
        weights: state.weights + state.whole,
        gradients: earlier,
        optimizer: state.optimizer,
        activations: Bytes::ZERO,
        buffers,
    };
    [
        MemoryFootprint {
            weights: state.weights,
            gradients: if persist {
                state.gradients
            } else {
                Bytes::ZERO
            },
            ..passes
        },
        MemoryFootprint {
            gradients: if lives_on { earlier } else { Bytes::ZERO },
            activations: Bytes::new(activations.loss),
            buffers: buffers + state.loss_gathered + of_loss,
            ..passes
        },
        MemoryFootprint {
            activations: Bytes::new(activations.first_backward),
            buffers: at_work + state.gathered,
            ..passes
        },
        MemoryFootprint {
            weights: state.weights,
            gradients: state.gradients,
            activations: Bytes::new(activations.last_backward),
            buffers: at_work + state.last_gathered,
            ..passes
        },
        MemoryFootprint {
            weights: state.weights,
            gradients: state.gradients,
            optimizer: state.optimizer + state.copies,
            ..passes
        },
    ]
}

/// Activations of a stage at three moments of a microbatch, in bytes.
struct Activations {
    /// While gradients of the loss are computed.
    loss: u64,
    /// During the backward pass of the last layer, which runs first.
    first_backward: u64,
    /// During the backward pass of the first layer, which runs last, when no other microbatch is in flight.
    last_backward: u64,
}

/// Bytes that a layer keeps of one microbatch from forward to backward.
pub(super) fn kept(scenario: &TrainingScenario, layout: &Layout, layer: &LayerWork) -> u64 {
    let policy = (layout.recompute, layout.recomputed_share);
    Policy::of(scenario, layout.precision, policy).kept(layer)
}
