//! Layers of a pipeline, shared out among stages on several types of GPU by their speed.

use crate::simulation::Infeasible;
use crate::simulation::training::cache::Shared;
use crate::simulation::training::costs::StepCosts;
use crate::simulation::training::mixed::typed::Typed;
use crate::simulation::training::passes::LayerCost;

/// Layers of each stage, shared out by the speed of the types.
pub(super) fn shared_layers(
    types: &[Typed<'_>],
    most: &[u32],
    shared: &mut Shared,
) -> Result<Vec<u32>, Infeasible> {
    let mut stages: Vec<StageSpeed> = Vec::new();
    for of_type in types {
        let pricing = shared.serve(of_type.job)?.pricing;
        let costs = StepCosts::of(of_type.job, &of_type.layout, &of_type.work, pricing)?;
        let priced = &costs.stages[0].layers;
        let seconds = |layer: &LayerCost| {
            let passes = layer.forward.parts.total() + layer.backward.parts.total();
            passes.as_secs_f64()
        };
        let kinds = of_type.work.sequence.iter();
        let speed = StageSpeed {
            layers: kinds
                .map(|kind| seconds(&priced.kinds[usize::from(*kind)]))
                .collect(),
            ends: 0.0,
            most: u32::MAX,
        };
        let ends = (
            seconds(&priced.embedding),
            seconds(&priced.head) + seconds(&priced.mtp),
        );
        for stage in of_type.stages.clone() {
            let embedding = if stage == 0 { ends.0 } else { 0.0 };
            let head = if stage + 1 == of_type.layout.pp {
                ends.1
            } else {
                0.0
            };
            stages.push(StageSpeed {
                ends: embedding + head,
                most: most.get(stage as usize).copied().unwrap_or(u32::MAX),
                ..speed.clone()
            });
        }
    }
    Ok(share_out(&stages))
}

/// Seconds of a microbatch on a stage.
#[derive(Clone, Debug)]
struct StageSpeed {
    /// Each layer of the model, if the stage had it.
    layers: Vec<f64>,
    /// Embedding and head, where the stage has them.
    ends: f64,
    /// Layers that it has at most.
    most: u32,
}

/// Halvings of the time within which all stages are done: to one part in 2⁴⁰.
const HALVINGS: u32 = 40;

/// Consecutive layers of each stage, one at least, with which the busiest stage takes as little as it can.
fn share_out(stages: &[StageSpeed]) -> Vec<u32> {
    let all = stages[0].layers.len();
    let filled = |limit: f64| {
        let mut next = 0;
        let mut counts = Vec::with_capacity(stages.len());
        for (stage, speed) in stages.iter().enumerate() {
            let behind = stages.len() - stage - 1;
            let (first, mut seconds) = (next, speed.ends);
            while next < all.saturating_sub(behind)
                && next - first < speed.most as usize
                && (next == first || seconds + speed.layers[next] <= limit)
            {
                seconds += speed.layers[next];
                next += 1;
            }
            counts.push((next - first) as u32);
        }
        (next, counts)
    };
    let total = |speed: &StageSpeed| speed.ends + speed.layers.iter().sum::<f64>();
    let (mut low, mut high) = (0.0, stages.iter().map(total).fold(0.0, f64::max));
    for _ in 0..HALVINGS {
        let middle = f64::midpoint(low, high);
        if filled(middle).0 == all {
            high = middle;
        } else {
            low = middle;
        }
    }
    filled(high).1
}

#[cfg(test)]
mod tests {
    use super::*;

    // 12 alike layers on two stages: of 2 s a layer on the first and 1 s on the second 4 and 8, 8 s each. A head of 4 s on the second leaves
    // it 6: 6·1 + 4 = 10, and 6·2 = 12 are more than 5 and 7: 10 and 11.
    #[test]
    fn a_faster_stage_has_more_layers() {
        let speed = |each, ends| StageSpeed {
            layers: vec![each; 12],
            ends,
            most: u32::MAX,
        };
        assert_eq!(share_out(&[speed(2.0, 0.0), speed(1.0, 0.0)]), [4, 8]);
        assert_eq!(share_out(&[speed(2.0, 0.0), speed(1.0, 4.0)]), [5, 7]);
    }

    // However slow, a stage has a layer.
    #[test]
    fn no_stage_is_empty() {
        let speed = |each| StageSpeed {
            layers: vec![each; 3],
            ends: 0.0,
            most: u32::MAX,
        };
        assert_eq!(
            share_out(&[speed(100.0), speed(1.0), speed(100.0)]),
            [1, 1, 1]
        );
    }
}
