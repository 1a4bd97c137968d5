//! Which layouts fit in a GPU's memory, and with how much recomputation.

use std::slice;
use std::sync::Arc;

use itertools::Itertools;

use crate::simulation::training::dual_pipe::unfolded;
use crate::simulation::training::memory::{self, Load};
use crate::simulation::training::schedule::Placement;
use crate::simulation::training::stage_layers;
use crate::simulation::training::work::{ModelWork, WorkSource};
use crate::simulation::{Infeasible, Layout, MemoryFootprint, TrainingScenario};
use crate::stack::{Offload, Recompute};
use crate::units::Bytes;

/// A layout that fits in memory.
#[derive(Clone, Debug)]
pub(super) struct Fitting {
    pub(super) layout: Layout,
    pub(super) work: Arc<ModelWork>,
    pub(super) memory: MemoryFootprint,
}

/// Recomputation in a layout: a policy, and the share of the layers that full recomputation covers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Repeats {
    pub(super) policy: Recompute,
    pub(super) share: f64,
}

impl Repeats {
    /// The least that a search may choose: what is asked for, or else none.
    pub(super) fn of(scenario: &TrainingScenario, policies: &[Recompute]) -> Self {
        match policies {
            [policy] => Self {
                policy: *policy,
                share: match (
                    scenario.layout.recompute_layers,
                    scenario.model.transformer(),
                ) {
                    // As if one stage had all layers.
                    (Some(layers), Some(network)) => {
                        stage_layers::share_of(layers, &[network.depth()], Placement::ONE)
                    }
                    (Some(_) | None, _) => scenario.layout.recomputed_share.unwrap_or(1.0),
                },
            },
            _ => Self {
                policy: Recompute::None,
                share: 1.0,
            },
        }
    }
}

/// Parts of a convolutional network, whose layers have no stages to be counted on.
const PARTS: u32 = 16;

/// Shares of the layers that full recomputation may cover beyond what makes a layout fit, where it saves copies of activations:
/// rounded up to whole layers.
const SHARES: [f64; 4] = [0.25, 0.5, 0.75, 1.0];

/// Recomputation that makes layouts fit.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fit<'a> {
    pub(super) scenario: &'a TrainingScenario,
    /// Policies to choose from, cheapest in time first.
    pub(super) policies: &'a [Recompute],
}

/// A batch on the GPUs of a layout.
#[derive(Clone, Copy, Debug)]
pub(super) struct Batch<'a> {
    /// Work of a microbatch, each sample of which stands for `samples`.
    pub(super) work: &'a ModelWork,
    pub(super) samples: f64,
    pub(super) microbatches: u32,
}

impl Fit<'_> {
    /// The ways in which a batch fits in any of some layouts. Where nothing has to be recomputed there is no other, and
    /// full recomputation that is chosen covers the fewest layers that it has to, unless activations are copied to the host:
    /// what is recomputed is not copied.
    pub(super) fn of(&self, layouts: &[memory::Stages], batch: Batch<'_>) -> Vec<Repeats> {
        self.ways(layouts, |policy| self.share(layouts, batch, policy))
    }

    /// The ways in which batches fit on all of several types of GPU that have a layout's stages: each covers as many layers as
    /// the type that has to cover most.
    pub(super) fn on_all(types: &[(Self, memory::Stages, Batch<'_>)]) -> Vec<Repeats> {
        let Some((fit, stages, _)) = types.first() else {
            return Vec::new();
        };
        fit.ways(slice::from_ref(stages), |policy| {
            let shares = types
                .iter()
                .map(|(fit, stages, batch)| fit.share(slice::from_ref(stages), *batch, policy));
            shares.reduce(|one, other| Some(one?.max(other?)))?
        })
    }

    /// The ways with the least share of the layers that each policy has to cover, and those beyond.
    fn ways(
        &self,
        layouts: &[memory::Stages],
        least: impl Fn(Recompute) -> Option<f64>,
    ) -> Vec<Repeats> {
        let copies = self.scenario.stack.offload.contains(Offload::Activations);
        let mut ways = Vec::new();
        for &policy in self.policies {
            let Some(share) = least(policy) else {
                continue;
            };
            ways.push(Repeats { policy, share });
            if copies && policy == Recompute::Full && self.policies.len() > 1 {
                let more = SHARES.map(|more| whole_layers(layouts, more)).into_iter();
                let more = more.filter(|more| *more > share).dedup();
                ways.extend(more.map(|share| Repeats { policy, share }));
            }
            if policy == Recompute::None && !copies {
                break;
            }
        }
        ways
    }

    /// Whether a batch fits in any of some layouts with any of the policies.
    pub(super) fn any(&self, layouts: &[memory::Stages], batch: Batch<'_>) -> bool {
        let share = self.scenario.layout.recomputed_share.unwrap_or(1.0);
        let mut most_first = self.policies.iter().rev();
        most_first.any(|&policy| self.fits(layouts, batch, Repeats { policy, share }))
    }

    fn fits(&self, layouts: &[memory::Stages], batch: Batch<'_>, repeats: Repeats) -> bool {
        let mut stages = layouts.iter();
        stages.any(|stages| {
            let load = Load {
                recompute: repeats.policy,
                recomputed_share: self.given_share(stages).unwrap_or(repeats.share),
                microbatches: batch.microbatches,
                samples: batch.samples,
            };
            stages.fit(self.scenario, batch.work, load)
        })
    }

    /// Share of a layout's layers that the scenario asks to repeat by their number.
    fn given_share(&self, stages: &memory::Stages) -> Option<f64> {
        let layers = self.scenario.layout.recompute_layers?;
        Some(stages.share_of(layers))
    }

    /// Least share of the layers with which a batch fits in any layout under a policy.
    fn share(
        &self,
        layouts: &[memory::Stages],
        batch: Batch<'_>,
        policy: Recompute,
    ) -> Option<f64> {
        if policy == Recompute::Full && self.policies.len() > 1 {
            return self.least_share(layouts, batch);
        }
        let share = self.scenario.layout.recomputed_share.unwrap_or(1.0);
        if !self.fits(layouts, batch, Repeats { policy, share }) {
            return None;
        }
        let given = layouts.iter().filter_map(|stages| self.given_share(stages));
        Some(given.min_by(f64::total_cmp).unwrap_or(share))
    }

    /// Least share of the layers that full recomputation covers where a batch fits in any layout: frameworks take a number
    /// of layers of each stage.
    fn least_share(&self, layouts: &[memory::Stages], batch: Batch<'_>) -> Option<f64> {
        let mut least: Option<f64> = None;
        for stages in layouts {
            let all = parts(stages);
            let share_of = |layers: u32| f64::from(layers) / f64::from(all);
            let fits = |layers| {
                let repeats = Repeats {
                    policy: Recompute::Full,
                    share: share_of(layers),
                };
                self.fits(slice::from_ref(stages), batch, repeats)
            };
            // Fewer than the others need.
            let most = least.map_or(all, |share| (share * f64::from(all)).ceil() as u32 - 1);
            if most == 0 || !fits(most) {
                continue;
            }
            let (mut low, mut high) = (0, most);
            while high - low > 1 {
                let middle = u32::midpoint(low, high);
                if fits(middle) {
                    high = middle;
                } else {
                    low = middle;
                }
            }
            least = Some(share_of(high));
        }
        least
    }
}

/// Parts of which full recomputation covers a whole number: the layers of the fullest stage.
fn parts(stages: &memory::Stages) -> u32 {
    match stages.fullest() {
        0 => PARTS,
        layers => layers,
    }
}

/// The least share of whole layers in any of some layouts that is no less than this one.
fn whole_layers(layouts: &[memory::Stages], share: f64) -> f64 {
    let whole = layouts.iter().map(|stages| {
        let all = f64::from(parts(stages));
        (share * all).ceil() / all
    });
    whole.min_by(f64::total_cmp).unwrap_or(share)
}

/// Bytes that the largest layer keeps of a microbatch while its backward pass runs.
pub(super) fn layer_bytes(work: &ModelWork) -> u64 {
    let layers = work.kinds.iter().map(|layer| layer.kept.none.get());
    layers.max().unwrap_or(0)
}

/// The layout that needs least memory, of those that do not fit.
#[derive(Debug, Default)]
pub(super) struct Roomiest(Option<(Bytes, Layout)>);

impl Roomiest {
    /// Considers a layout with each policy.
    pub(super) fn add(
        &mut self,
        scenario: &TrainingScenario,
        source: &mut WorkSource,
        mut layout: Layout,
        policies: &[Recompute],
    ) {
        let work = source.work(scenario, &layout);
        for &policy in policies {
            layout.recompute = policy;
            let needed = memory::peak(scenario, &layout, &work).total();
            if self.0.as_ref().is_none_or(|(least, _)| needed < *least) {
                self.0 = Some((needed, layout.clone()));
            }
        }
    }

    /// The reason, if there is such a layout.
    pub(super) fn over(self, scenario: &TrainingScenario) -> Option<Infeasible> {
        let (needed, layout) = self.0?;
        Some(Infeasible::OutOfMemory {
            needed,
            available: scenario.gpu.memory,
            layout: in_words(&layout),
        })
    }
}

/// Layout in the words of its axes: `tp 8, pp 4, dp 2, micro batch 1, zero 1, recompute none`.
pub(super) fn in_words(played: &Layout) -> String {
    let layout = unfolded(played);
    let optional = |name: &str, size: u32| match size {
        1 => String::new(),
        size => format!(", {name} {size}"),
    };
    format!(
        "tp {}, pp {}, dp {}{}{}{}, micro batch {}, zero {}{}, recompute {}",
        layout.tp,
        layout.pp,
        layout.dp,
        optional("cp", layout.cp),
        optional("ep", layout.ep),
        optional("etp", layout.etp),
        layout.micro_batch,
        layout.zero,
        match layout.shard_sets() {
            1 => String::new(),
            _ => format!(" in groups of {}", layout.zero_group),
        },
        layout.recompute
    )
}
