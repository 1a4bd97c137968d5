//! Exchanges of keys and values that cannot be faster than the stack's own.

use super::Search;
use crate::simulation::Layout;
use crate::simulation::training::host::HostCosts;
use crate::simulation::training::layout::{Groups, Pipeline};
use crate::simulation::training::passes::layer_costs;
use crate::simulation::training::shards::Shards;
use crate::stack::Recompute;

impl Search<'_> {
    /// Whether the stack's own exchange takes no longer in any pass of any layer than that of these groups, and no more
    /// memory: none of their layouts is faster then than the same one with the stack's exchange.
    pub(super) fn is_dominated(&mut self, at: u32, micro_batch: u32) -> bool {
        // On another type of GPU the other exchange may be the faster one.
        if self.sharing.is_some() {
            return false;
        }
        let groups = self.groups[at as usize];
        let Some(usual) = self.with_usual_exchange(&groups) else {
            return false;
        };
        // Of stages and replicas, passes know whether gradients are accumulated.
        let layers_of = Groups {
            pp: 1,
            dp: 1,
            ..groups
        };
        let replica_batch = self.replica_batch(groups.dp, micro_batch);
        let key = (layers_of, micro_batch, replica_batch <= micro_batch);
        if let Some(known) = self.dominated.get(&key) {
            return *known;
        }
        let dominated = self.takes_no_longer(&usual, &groups, micro_batch);
        self.dominated.insert(key, dominated);
        dominated
    }

    /// The same groups with the stack's own exchange, where theirs is another and nothing is copied over the host's link.
    pub(super) fn with_usual_exchange(&self, groups: &Groups) -> Option<Groups> {
        if self.options.is_usual_exchange(groups) || !self.scenario.stack.offload.is_empty() {
            return None;
        }
        let usual = Groups {
            cp_exchange: self.scenario.stack.cp_exchange,
            ..*groups
        };
        // Groups are sorted.
        let found = self.groups.binary_search(&usual).ok()?;
        Some(self.groups[found])
    }

    /// Whether no layer's passes take longer, and hold more, with some groups than with others.
    fn takes_no_longer(&mut self, groups: &Groups, other: &Groups, micro_batch: u32) -> bool {
        let layout =
            |groups: &Groups| self.layout(groups, micro_batch, &Pipeline::default(), Shards::NONE);
        let (own, other) = (layout(groups), layout(other));
        let own_work = self.source.work(self.scenario, &own);
        let other_work = self.source.work(self.scenario, &other);
        if !own_work.holds_no_more_than(&other_work) {
            return false;
        }
        let checkpoint = HostCosts::of(self.scenario, &own).checkpoint();
        for recompute in [Recompute::None, Recompute::Selective] {
            if recompute != Recompute::None && !self.recompute.contains(&recompute) {
                continue;
            }
            let mut costs = |layout: &Layout, work| {
                let layout = Layout {
                    recompute,
                    ..layout.clone()
                };
                layer_costs(self.scenario, &layout, work, self.pricing)
            };
            let (Ok(own), Ok(other)) = (costs(&own, &own_work), costs(&other, &other_work)) else {
                return false;
            };
            if !own.take_no_longer_than(&other, checkpoint) {
                return false;
            }
        }
        true
    }
}
