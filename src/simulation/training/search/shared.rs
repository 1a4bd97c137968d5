//! The search over one type of GPU of a job that has several.

use std::borrow::Cow;

use super::sharing::{Place, Sharing, least_held, least_microbatches, with_microbatches};
use super::{Node, Search};
use crate::simulation::training::layout::{Groups, Pipeline};
use crate::simulation::training::shards::Shards;
use crate::simulation::{Infeasible, Layout, TrainingScenario};

impl Search<'_> {
    /// Samples that each of so many replicas has.
    pub(super) fn replica_batch(&self, replicas: u32, micro_batch: u32) -> u32 {
        match &self.sharing {
            Some(sharing) => sharing
                .share(replicas, micro_batch)
                .saturating_mul(micro_batch),
            None => self.scenario.workload.global_batch / replicas,
        }
    }

    /// A layout of the scenario's options, with the microbatches that its replicas have.
    pub(super) fn layout(
        &self,
        groups: &Groups,
        micro_batch: u32,
        pipeline: &Pipeline,
        shards: Shards,
    ) -> Layout {
        let mut layout = self.options.layout(groups, micro_batch, pipeline, shards);
        if let Some(sharing) = &self.sharing {
            layout.microbatches = sharing
                .share(groups.dp, micro_batch)
                .max(least_microbatches(&layout));
        }
        layout
    }

    /// Microbatches of a replica in the memory that a layout takes at least.
    pub(super) fn held(&self, layout: &Layout) -> u32 {
        match self.sharing {
            Some(_) => least_held(layout),
            None => layout.microbatches,
        }
    }

    /// The scenario with the samples that a layout's microbatches are.
    pub(super) fn dealt<'s>(
        &self,
        scenario: &'s TrainingScenario,
        layout: &Layout,
    ) -> Cow<'s, TrainingScenario> {
        match self.sharing {
            Some(_) => Cow::Owned(with_microbatches(scenario, layout)),
            None => Cow::Borrowed(scenario),
        }
    }

    /// ZeRO stages of some groups, with the ranks that share a set of shards, that are looked at.
    pub(super) fn shards(&self, groups: &Groups) -> Result<Vec<Shards>, Infeasible> {
        let mut shards = self.options.shards(groups)?;
        if let Some(sharing) = &self.sharing {
            shards.retain(|shards| sharing.takes(*shards));
        }
        Ok(shards)
    }

    /// Whether the point has taken as many events as it may.
    pub(super) fn is_spent(&self) -> bool {
        let shared = self.sharing.as_ref();
        shared.is_some_and(|sharing| sharing.is_spent())
            || self.timeline.effort.check_spent().is_err()
    }

    /// The layout of a node as all types have it, where there are several.
    pub(super) fn place(&mut self, node: Node) -> Option<(&mut dyn Sharing, Place)> {
        let Node::Fitting {
            groups,
            pipeline,
            micro_batch,
            shards,
            ..
        } = node
        else {
            return None;
        };
        self.sharing.as_ref()?;
        let groups = self.groups[groups as usize];
        let pipeline = self.pipelines(groups.pp)?.all[pipeline as usize].clone();
        let place = Place {
            groups,
            micro_batch,
            pipeline,
            shards,
        };
        let sharing = self.sharing.as_deref_mut()?;
        Some((sharing, place))
    }
}
