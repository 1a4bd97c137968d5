//! Layers of a pipeline stage.

use crate::simulation::Layout;
use crate::simulation::training::schedule::Placement;
use crate::simulation::training::work::ModelWork;

/// Kinds of the layers of one virtual stage.
pub(super) fn layers_of<'a>(
    layout: &Layout,
    work: &'a ModelWork,
    virtual_stage: usize,
) -> &'a [u16] {
    if layout.layers_per_stage.is_empty() {
        return &work.sequence;
    }
    let before: u32 = layout.layers_per_stage[..virtual_stage].iter().sum();
    let count = layout.layers_per_stage[virtual_stage];
    &work.sequence[before as usize..(before + count) as usize]
}

/// Kinds of the layers of every virtual stage.
#[derive(Clone, Debug)]
pub(super) struct VirtualStages<'a> {
    sequence: &'a [u16],
    /// Layers before each virtual stage, and all.
    before: Vec<usize>,
}

impl<'a> VirtualStages<'a> {
    /// Virtual stages of a layout.
    pub(super) fn of(layout: &Layout, work: &'a ModelWork) -> Self {
        let mut before = vec![0];
        for layers in &layout.layers_per_stage {
            before.push(before[before.len() - 1] + *layers as usize);
        }
        if layout.layers_per_stage.is_empty() {
            before.push(work.sequence.len());
        }
        Self {
            sequence: &work.sequence,
            before,
        }
    }

    /// Kinds of the layers of one virtual stage.
    pub(super) fn layers(&self, virtual_stage: u32) -> &'a [u16] {
        let at = virtual_stage as usize;
        &self.sequence[self.before[at]..self.before[at + 1]]
    }
}

/// Share of the fullest stage's layers that so many of each stage's layers are, at most 1.
///
/// `layers_per_stage` has those of each virtual stage, front to back; without any the share is 1.
pub(super) fn share_of(layers: u32, layers_per_stage: &[u32], placement: Placement) -> f64 {
    let fullest = fullest(layers_per_stage, placement);
    if fullest <= layers {
        return 1.0;
    }
    f64::from(layers) / f64::from(fullest)
}

/// Layers of the fullest stage, by those of each virtual stage, front to back.
pub(super) fn fullest(layers_per_stage: &[u32], placement: Placement) -> u32 {
    let mut on_stages: Vec<u32> = Vec::new();
    for (virtual_stage, held) in (0..).zip(layers_per_stage) {
        let stage = placement.stage(virtual_stage) as usize;
        on_stages.resize(on_stages.len().max(stage + 1), 0);
        on_stages[stage] += held;
    }
    on_stages.into_iter().max().unwrap_or(0)
}

/// Layers of each virtual stage when nothing is requested, front to back.
///
/// Layers that divide are spread evenly. Where they do not, embedding and loss count as one layer
/// each if that comes out even (126 layers of Llama 3.1 405B on 16 stages), else the loss alone;
/// else the stages behind the first take one layer more until all are placed, so that first and
/// last stage, which also hold embedding and loss, have the fewest.
///
/// A layer that predicts tokens further ahead is on the last stage, with a loss of its own. It counts as two layers and the
/// loss as one, as in the layouts of Megatron-Bridge for DeepSeek-V3 (`set_deepseek_v3_pipeline_model_parallel_layout` in
/// src/megatron/bridge/recipes/deepseek/deepseek_v3.py of v0.2.0): 60 of its 61 layers on the first 15 of 16 stages.
///
/// # Panics
/// If there are more stages than layers, or no stage.
pub(crate) fn spread(layers: u32, stages: u32, mtp_layers: u32) -> Vec<u32> {
    assert!(
        stages > 0 && stages <= layers + 2,
        "{layers} layers on {stages} stages"
    );
    if mtp_layers > 0 && stages > 1 {
        return before_predictions(layers, stages, 1 + 2 * mtp_layers);
    }
    let ends = match stages {
        1 => (0, 0),
        _ if layers.is_multiple_of(stages) => (0, 0),
        _ if (layers + 2).is_multiple_of(stages) => (1, 1),
        _ if (layers + 1).is_multiple_of(stages) && layers + 1 >= 2 * stages => (0, 1),
        _ => return uneven(layers, stages),
    };
    let each = (layers + ends.0 + ends.1) / stages;
    let mut held = vec![each; stages as usize];
    held[0] -= ends.0;
    held[stages as usize - 1] -= ends.1;
    held
}

/// Layers in front of what counts as so many more on the last stage.
fn before_predictions(layers: u32, stages: u32, behind: u32) -> Vec<u32> {
    let last = ((layers + behind) / stages).saturating_sub(behind);
    let mut held = uneven(layers - last, stages - 1);
    held.push(last);
    held
}

fn uneven(layers: u32, stages: u32) -> Vec<u32> {
    let (each, more) = (layers / stages, layers % stages);
    (0..stages)
        .map(|stage| each + u32::from((1..=more).contains(&stage)))
        .collect()
}

/// Layers of each virtual stage, front to back, where layers differ in their work: so that the busiest stage has as little
/// as it can, each stage filled from the front.
///
/// # Panics
/// If there is no stage.
pub(crate) fn balanced(work: &[f64], stages: usize) -> Vec<u32> {
    assert!(stages > 0, "a pipeline has a stage");
    if stages >= work.len() {
        return spread(work.len() as u32, stages as u32, 0);
    }
    let total: f64 = work.iter().sum();
    let largest = work.iter().copied().fold(0.0, f64::max);
    let (mut low, mut high) = (f64::max(largest, total / stages as f64), total);
    let mut held = filled(work, stages, high);
    for _ in 0..HALVINGS {
        let middle = f64::midpoint(low, high);
        let tried = filled(work, stages, middle);
        if tried.is_some() {
            (high, held) = (middle, tried);
        } else {
            low = middle;
        }
    }
    held.unwrap_or_else(|| spread(work.len() as u32, stages as u32, 0))
}

/// Halvings after which the least work of the busiest stage is known to a part in 10¹².
const HALVINGS: u32 = 40;

/// Layers of each stage where no stage has more than `most` work and none is empty; `None` where that does not go.
fn filled(work: &[f64], stages: usize, most: f64) -> Option<Vec<u32>> {
    let mut held = Vec::with_capacity(stages);
    let mut rest = work;
    for stage in 0..stages {
        // A layer for each stage behind.
        let behind = stages - stage - 1;
        let mut sum = 0.0;
        let fits = |layer: &&f64| {
            sum += **layer;
            sum <= most * (1.0 + 1e-12)
        };
        let taken = rest[..rest.len() - behind].iter().take_while(fits).count();
        if taken == 0 {
            return None;
        }
        held.push(taken as u32);
        rest = &rest[taken..];
    }
    rest.is_empty().then_some(held)
}

#[cfg(test)]
mod tests {
    use itertools::iproduct;

    use super::*;

    #[test]
    fn layers_that_divide_are_spread_evenly() {
        assert_eq!(spread(96, 8, 0), [12; 8]);
    }

    // 126 + 2 = 128 = 16·8: embedding and loss stand for one layer each.
    #[test]
    fn embedding_and_loss_count_where_that_comes_out_even() {
        let held = spread(126, 16, 0);
        assert_eq!((held[0], held[1], held[15]), (7, 8, 7));
        assert_eq!(held.iter().sum::<u32>(), 126);
    }

    // 61 layers on 16 stages: 3 each and 13 over, on the stages 1 to 13.
    #[test]
    fn what_is_over_goes_to_the_middle() {
        let held = spread(61, 16, 0);
        assert_eq!(
            (held[0], held[1], held[13], held[14], held[15]),
            (3, 4, 4, 3, 3)
        );
    }

    // DeepSeek-V3's layouts in Megatron-Bridge, with a layer that predicts further ahead: 16 and 13 on 4 stages, 8 and 5 on 8, 4 and 1
    // on 16; "Et|(tt|)*30mL" on 32.
    #[test]
    fn a_layer_that_predicts_further_ahead_leaves_the_last_stage_less() {
        for (stages, each, last) in [(2, 32, 29), (4, 16, 13), (8, 8, 5), (16, 4, 1)] {
            let mut expected = vec![each; stages as usize - 1];
            expected.push(last);
            assert_eq!(spread(61, stages, 1), expected);
        }
        let mut expected = vec![2; 32];
        (expected[0], expected[31]) = (1, 0);
        assert_eq!(spread(61, 32, 1), expected);
        assert_eq!(spread(61, 1, 1), [61]);
        for (layers, stages) in iproduct!(1..20, 1..22) {
            if stages <= layers + 2 {
                let held = spread(layers, stages, 1);
                assert_eq!(held.len(), stages as usize);
                assert_eq!(held.iter().sum::<u32>(), layers, "{layers} {stages}");
            }
        }
    }

    // 6 layers of a quarter and 6 of 1 on 3 stages: the least that the busiest can have is 3, since 2.5 of 7.5 would cut
    // a layer: 1.5 + 1 in front, as 2 more would be 3.5, then 3 and 2.
    #[test]
    fn layers_that_differ_are_spread_by_their_work() {
        let work = [[0.25; 6], [1.0; 6]].concat();
        assert_eq!(balanced(&work, 3), [7, 3, 2]);
        assert_eq!(balanced(&work, 1), [12]);
        // The layer behind all others is as much as all of them.
        assert_eq!(balanced(&[1.0, 1.0, 1.0, 3.0], 2), [3, 1]);
        for stages in 1..=12 {
            let held = balanced(&work, stages);
            assert_eq!(held.iter().sum::<u32>(), 12, "{stages}: {held:?}");
            assert_eq!(held.len(), stages);
            assert!(held.iter().all(|count| *count > 0), "{stages}: {held:?}");
        }
    }

    #[test]
    fn every_layer_is_placed_once_and_no_stage_is_empty() {
        for layers in 1..=130 {
            for stages in 1..=layers {
                let held = spread(layers, stages, 0);
                assert_eq!(held.iter().sum::<u32>(), layers, "{layers} on {stages}");
                assert!(
                    held.iter().all(|count| *count > 0),
                    "{layers} on {stages}: {held:?}"
                );
            }
        }
    }
}
