//! Microbatches in the search: the bounds of their pipelines and ZeRO stages.

use std::rc::Rc;
use std::sync::Arc;

use super::{Node, Search};
use crate::simulation::Layout;
use crate::simulation::training::bounds::stage::{Middle, PricedLayers, Replicated, Replication};
use crate::simulation::training::data_parallel_cost::ReplicaCosts;
use crate::simulation::training::fit::{Batch, Fit, Repeats};
use crate::simulation::training::host_copies::HostCopies;
use crate::simulation::training::layout::Pipeline;
use crate::simulation::training::limits;
use crate::simulation::training::passes::layer_costs;
use crate::simulation::training::pipeline::send_cost;
use crate::simulation::training::schedule::PipelineSize;
use crate::simulation::training::shards::Shards;
use crate::simulation::training::work::ModelWork;
use crate::stack::{Recompute, ZeroStage};
use crate::units::SimDuration;

impl Search<'_> {
    /// Adds the layouts with these groups and this microbatch.
    pub(super) fn open_batch(&mut self, at: u32, micro_batch: u32, least: SimDuration) {
        let groups = self.groups[at as usize];
        let Some(pipelines) = self.pipelines(groups.pp) else {
            return;
        };
        if self.is_dominated(at, micro_batch) {
            return;
        }
        let replica_batch = self.replica_batch(groups.dp, micro_batch);
        let microbatches = replica_batch.div_ceil(micro_batch);
        let recompute = self.recompute.clone();
        let fit = Fit {
            scenario: self.scenario,
            policies: &recompute,
        };
        let Some(least_stages) = self.least_stages(at) else {
            return;
        };
        let any = self.layout(&groups, micro_batch, &Pipeline::default(), Shards::NONE);
        let work = self.source.work(self.scenario, &any);
        let batch = Batch {
            work: &work,
            samples: 1.0,
            microbatches,
        };
        let ways = least_stages
            .by_shards
            .iter()
            .map(|(shards, stages)| (*shards, fit.of(&least_stages.all[stages.clone()], batch)));
        let mut shards_of = any.clone();
        let stages: Vec<(Shards, Vec<Repeats>, Replication)> = ways
            .filter(|(_, ways)| !ways.is_empty())
            .map(|(shards, ways)| {
                (shards_of.zero, shards_of.zero_group) = (shards.zero, shards.group);
                let replication = Replication::of(self.scenario, &shards_of, self.pricing);
                (shards, ways, replication)
            })
            .collect();
        for (index, pipeline) in pipelines.all.iter().enumerate() {
            let mut layout = self.layout(&groups, micro_batch, pipeline, Shards::NONE);
            let passes = limits::check_pipeline(&layout);
            if self.refused.keep(passes).is_none() {
                continue;
            }
            let Some(layers) = self.priced((at, micro_batch), &layout) else {
                continue;
            };
            let sums = layers.stages(pipeline, groups.pp);
            let middle = self.middle(&layout);
            for (shards, ways, replication) in &stages {
                (layout.zero, layout.zero_group) = (shards.zero, shards.group);
                let of = (self.scenario, &layout);
                let ways = (&ways[..], &*middle);
                let beside = (replication, self.closing);
                let bound = sums.step(of, ways, beside, self.pricing);
                let node = Node::Layout {
                    groups: at,
                    pipeline: index as u32,
                    micro_batch,
                    shards: *shards,
                    is_priced: false,
                };
                self.add(bound.max(least), node);
            }
        }
    }

    /// Layers of a layout that recomputes nothing; several chunks, and pairs of passes, hide communication that a plain
    /// pipeline waits for.
    pub(super) fn priced(
        &mut self,
        (at, micro_batch): (u32, u32),
        layout: &Layout,
    ) -> Option<Rc<PricedLayers>> {
        // What stages behind an encoder of images send depends on where they are cut.
        let network = self.scenario.model.transformer();
        let sees_images = network.is_some_and(|network| network.vision.is_some());
        let cuts = if sees_images {
            layout.vpp
        } else {
            layout.vpp.min(2)
        };
        let key = (at, micro_batch, (cuts, layout.overlap_ep));
        if let Some(known) = self.priced.get(&key) {
            return Some(Rc::clone(known));
        }
        let work = self.source.work(self.scenario, layout);
        let costs = layer_costs(&self.without_copies, layout, &work, self.pricing);
        let costs = self.refused.keep(costs)?;
        let send = send_cost(self.scenario, layout, &work, self.pricing);
        let send = self.refused.keep(send)?;
        let mut selective = None;
        if self.recompute.contains(&Recompute::Selective) {
            let layout = Layout {
                recompute: Recompute::Selective,
                ..layout.clone()
            };
            let costs = layer_costs(&self.without_copies, &layout, &work, self.pricing);
            selective = Some(self.refused.keep(costs)?);
        }
        let sharded = self.sharded(at, layout, &work)?;
        let copies = self.least_copies(at, layout, &work)?;
        let replica_batch = self.replica_batch(layout.dp, micro_batch);
        let layers = Rc::new(PricedLayers::of(
            (self.scenario, layout),
            (&work, &costs, selective.as_ref()),
            (&sharded, &copies),
            (send.time, replica_batch),
            self.pricing,
        ));
        self.priced.insert(key, Rc::clone(&layers));
        Some(layers)
    }

    /// Least seconds in which each kind of layer is reduced and gathered, where parameters may be sharded, over the
    /// groups that may share a set of shards.
    pub(super) fn sharded(
        &mut self,
        at: u32,
        layout: &Layout,
        work: &ModelWork,
    ) -> Option<Vec<Replicated>> {
        let all = self.shards(&self.groups[at as usize]).ok()?;
        let mut least: Vec<Replicated> = Vec::new();
        for shards in all.iter().filter(|shards| shards.zero == ZeroStage::Z3) {
            let layout = Layout {
                zero: shards.zero,
                zero_group: shards.group,
                ..layout.clone()
            };
            let mut replicas = ReplicaCosts {
                scenario: self.scenario,
                layout: &layout,
                pricing: self.pricing,
            };
            for (kind, layer) in work.kinds.iter().enumerate() {
                let reduced = self.refused.keep(replicas.gradients(layer.parameters))?;
                let gathered = self.refused.keep(replicas.parameters(layer.parameters))?;
                let of = Replicated {
                    reduced: reduced.time.as_secs_f64(),
                    gathered: gathered.time.as_secs_f64(),
                };
                match least.get_mut(kind) {
                    Some(known) => *known = known.least(of),
                    None => least.push(of),
                }
            }
        }
        Some(least)
    }

    /// Least copies of each kind of layer over the host's link, whatever is recomputed and sharded.
    fn least_copies(&self, at: u32, layout: &Layout, work: &ModelWork) -> Option<Vec<HostCopies>> {
        let all = self.shards(&self.groups[at as usize]).ok()?;
        let most = all.last()?;
        let layout = Layout {
            zero: most.zero,
            zero_group: most.group,
            ..layout.clone()
        };
        let of = |layer| HostCopies::least(self.scenario, &layout, layer, &self.recompute);
        Some(work.kinds.iter().map(of).collect())
    }

    pub(super) fn middle(&mut self, layout: &Layout) -> Arc<Middle> {
        let Layout {
            pp,
            vpp,
            micro_batch,
            microbatches,
            schedule,
            ..
        } = *layout;
        let rest = match self.sharing {
            // All microbatches that are dealt are whole.
            Some(_) => micro_batch,
            None => {
                self.scenario.workload.global_batch / layout.dp - micro_batch * (microbatches - 1)
            }
        };
        let pipeline = PipelineSize {
            stages: pp,
            chunks: vpp,
            microbatches,
        };
        let last = f64::from(rest) / f64::from(micro_batch);
        let middles = &mut self.orders.middles;
        let known = middles.get_or_make((schedule, pipeline, (rest, micro_batch)), || {
            Arc::new(Middle::of(schedule, pipeline, last))
        });
        Arc::clone(known)
    }
}
