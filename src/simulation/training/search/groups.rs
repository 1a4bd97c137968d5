//! Groups of ranks in the search: their bounds, and the microbatches with which they may fit.

use std::rc::Rc;

use super::opened::{Bounded, LeastStages, Opened, Sampled};
use super::{MOST_TOKENS, Node, Search};
use crate::simulation::training::bounds::group::GroupBound;
use crate::simulation::training::fit::{self, Batch, Fit, Repeats};
use crate::simulation::training::layout::{Groups, Pipeline};
use crate::simulation::training::memory;
use crate::simulation::training::shards::Shards;
use crate::units::SimDuration;

impl Search<'_> {
    /// Adds some groups with the least bound of their microbatches.
    pub(super) fn add_groups(&mut self, at: u32) {
        let groups = self.groups[at as usize];
        let shards = self.shards(&groups);
        if self
            .faults
            .keep(shards)
            .is_none_or(|shards| shards.is_empty())
        {
            return;
        }
        let Some((least, most)) = self.micro_batches(&groups) else {
            return;
        };
        if let Some((bound, sampled)) = self.group_bound(&groups, most) {
            let ways = [Repeats::of(self.scenario, &self.recompute)];
            let sizes = self.options.microbatches_within(&groups, (least, most));
            let bounds = sizes.map(|micro_batch| {
                let samples = self.replica_batch(groups.dp, micro_batch);
                bound.step((micro_batch, samples), &ways)
            });
            if let Some(shortest) = bounds.min().filter(|shortest| !self.is_over(*shortest)) {
                let bounded = Bounded {
                    bound,
                    sampled,
                    micro_batches: (least, most),
                };
                self.bounded.insert(at, bounded);
                self.add(shortest, Node::Groups { groups: at });
            }
        }
    }

    /// Smallest and largest microbatch of some groups of which a layer's activations fit by themselves.
    pub(super) fn micro_batches(&mut self, groups: &Groups) -> Option<(u32, u32)> {
        let (least, most) = self.faults.keep(self.options.micro_batches(groups))?;
        let tokens = u64::from(self.scenario.workload.seq_len.max(1));
        let most = most
            .min(u32::try_from(MOST_TOKENS / tokens).unwrap_or(u32::MAX))
            .max(least);
        let one = self
            .options
            .layout(groups, 1, &Pipeline::default(), Shards::NONE);
        let kept = fit::layer_bytes(&self.source.work(self.scenario, &one));
        let room = self
            .scenario
            .gpu
            .memory
            .get()
            .checked_div(kept)
            .unwrap_or(u64::MAX);
        Some((
            least,
            u64::from(most).min(room).max(u64::from(least)) as u32,
        ))
    }

    pub(super) fn group_bound(
        &mut self,
        groups: &Groups,
        most: u32,
    ) -> Option<(GroupBound, Sampled)> {
        let pipelines = self.pipelines(groups.pp)?;
        let largest = most.next_power_of_two();
        let layout = self
            .options
            .layout(groups, largest, &Pipeline::default(), Shards::NONE);
        let least = self.source.least(self.scenario, &layout);
        let bound = GroupBound::of(
            self.scenario,
            groups,
            (&least, &layout),
            pipelines.fillings.clone(),
            (self.pricing, self.closing),
        );
        let sampled = Sampled {
            exact: least.exact / f64::from(largest),
            layout,
        };
        Some((bound, sampled))
    }

    /// Adds the microbatches of some groups that may fit.
    pub(super) fn open_groups(&mut self, at: u32) {
        let groups = self.groups[at as usize];
        let Some(Bounded {
            bound,
            sampled,
            micro_batches: (least, most),
        }) = self.bounded.remove(&at)
        else {
            return;
        };
        let work = self.source.work(self.scenario, &sampled.layout);
        let Some(stages) = self.least_stages(at) else {
            return;
        };
        let recompute = self.recompute.clone();
        let fit = Fit {
            scenario: self.scenario,
            policies: &recompute,
        };
        let single = |micro_batch: u32| Batch {
            work: &work,
            samples: f64::from(micro_batch) * sampled.exact,
            microbatches: 1,
        };
        // A single microbatch in flight keeps more the more samples it has.
        let may_fit = |micro_batch: u32| fit.any(&stages.all, single(micro_batch));
        let Some(most) = largest((least, most), may_fit) else {
            return;
        };
        let first = [Repeats::of(self.scenario, &recompute)];
        for micro_batch in self.options.microbatches_within(&groups, (least, most)) {
            let samples = self.replica_batch(groups.dp, micro_batch);
            let least = bound.step((micro_batch, samples), &first);
            let node = Node::Batch {
                groups: at,
                micro_batch,
                fits: false,
            };
            self.add(least, node);
        }
        self.opened.insert(
            at,
            Rc::new(Opened {
                bound,
                exact: sampled.exact,
                work,
            }),
        );
    }

    /// Adds a microbatch with the bound of the ways in which it may fit.
    pub(super) fn fit_batch(&mut self, at: u32, micro_batch: u32, least: SimDuration) {
        let (Some(opened), Some(stages)) =
            (self.opened.get(&at).map(Rc::clone), self.least_stages(at))
        else {
            return;
        };
        let replica_batch = self.replica_batch(self.groups[at as usize].dp, micro_batch);
        let batch = Batch {
            work: &opened.work,
            samples: f64::from(micro_batch) * opened.exact,
            microbatches: replica_batch.div_ceil(micro_batch),
        };
        let fit = Fit {
            scenario: self.scenario,
            policies: &self.recompute,
        };
        let ways = fit.of(&stages.all, batch);
        if !ways.is_empty() {
            let node = Node::Batch {
                groups: at,
                micro_batch,
                fits: true,
            };
            let bound = opened.bound.step((micro_batch, replica_batch), &ways);
            self.add(bound.max(least), node);
        }
    }

    /// Stages that hold no more than any other with these groups and any schedule, by their shards, the most sharded
    /// first.
    pub(super) fn least_stages(&mut self, at: u32) -> Option<Rc<LeastStages>> {
        if let Some(known) = self.least_stages.get(&at) {
            return Some(Rc::clone(known));
        }
        let groups = self.groups[at as usize];
        let pipelines = self.pipelines(groups.pp)?;
        let mut found = LeastStages::default();
        for shards in self.shards(&groups).ok()?.into_iter().rev() {
            let from = found.all.len();
            for pipeline in &pipelines.least {
                let layout = self.options.layout(&groups, 1, pipeline, shards);
                let work = self.source.work(self.scenario, &layout);
                let stages = memory::Stages::of(self.scenario, &layout, &work);
                found.all.push(stages);
            }
            found.by_shards.push((shards, from..found.all.len()));
        }
        let found = Rc::new(found);
        self.least_stages.insert(at, Rc::clone(&found));
        Some(found)
    }
}

/// The largest number of a range that holds, where all below one that holds do too.
fn largest((least, most): (u32, u32), mut holds: impl FnMut(u32) -> bool) -> Option<u32> {
    if !holds(least) {
        return None;
    }
    let (mut low, mut high) = (least, most);
    while low < high {
        let middle = low + (high - low).div_ceil(2);
        if holds(middle) {
            low = middle;
        } else {
            high = middle - 1;
        }
    }
    Some(low)
}
