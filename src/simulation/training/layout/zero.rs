//! ZeRO stages of a layout, and the ranks that share a set of ZeRO-3's shards.

use super::{Groups, Options};
use crate::collective::{Algorithm, CollectiveOp};
use crate::divisors::divisors;
use crate::simulation::training::parameters::Replicas;
use crate::simulation::training::shards::Shards;
use crate::simulation::{Infeasible, TrainingScenario, Unstated, ZeroGroup};
use crate::stack::{Sharding, ZeroStage};

impl Options<'_> {
    /// ZeRO stages of these groups with the ranks that share a set of shards, least sharded first.
    ///
    /// # Errors
    /// If one is asked for and there is nothing to shard over, or its groups do not divide the replicas.
    pub(in crate::simulation::training) fn shards(
        &self,
        groups: &Groups,
    ) -> Result<Vec<Shards>, Infeasible> {
        let mut shards = Vec::new();
        for zero in self.zero(groups)? {
            if zero == ZeroStage::Z3 {
                let of_group = |group| Shards { zero, group };
                shards.extend(self.zero_groups(groups)?.into_iter().map(of_group));
            } else {
                shards.push(Shards::of_stage(zero));
            }
        }
        Ok(shards)
    }

    /// Ranks that may share one set of ZeRO-3's shards, fewest first.
    fn zero_groups(&self, groups: &Groups) -> Result<Vec<u32>, Infeasible> {
        let (layout, hybrid) = (
            &self.scenario.layout,
            self.scenario.stack.offers.hybrid_sharding,
        );
        let ranks = groups.dp * groups.cp;
        match (layout.zero_group, layout.unstated) {
            (Some(ZeroGroup::Ranks(group)), _) => {
                self.check_zero_group(groups, group)?;
                Ok(vec![group])
            }
            (None, Unstated::Fastest) if hybrid => Ok(divisors(ranks)
                .into_iter()
                .filter(|group| *group > 1 || ranks == 1)
                .filter(|group| self.check_zero_group(groups, *group).is_ok())
                .collect()),
            (Some(ZeroGroup::Replicas) | None, _) => Ok(vec![ranks]),
        }
    }

    /// Checks that sets of shards over so many ranks divide the replicas, those of experts too.
    fn check_zero_group(&self, groups: &Groups, group: u32) -> Result<(), Infeasible> {
        let Groups { dp, cp, .. } = *groups;
        let ranks = dp * cp;
        if group > ranks {
            return Err(Infeasible::Limit(format!(
                "zero_group {group} is more than the {ranks} ranks that replicate parameters (dp {dp} × cp {cp})"
            )));
        }
        if !ranks.is_multiple_of(group) {
            return Err(Infeasible::Indivisible {
                what: format!("dp {dp} × cp {cp} = {ranks} ranks"),
                by: format!("zero_group {group}"),
            });
        }
        let replicas = self.replicas_of(groups);
        let sets = ranks / group;
        if sets > 1 && replicas.expert > 1 && !replicas.expert.is_multiple_of(sets) {
            return Err(Infeasible::Indivisible {
                what: format!("{} replicas of each expert", replicas.expert),
                by: format!("{ranks} / zero_group {group} = {sets} sets of shards"),
            });
        }
        let stack = &self.scenario.stack;
        if sets > 1 && !stack.offers.hybrid_sharding {
            return Err(Infeasible::Unsupported(format!(
                "stack `{}` does not offer hybrid sharding: zero_group {group} is less than dp {dp} × cp {cp}; it shards over all {ranks}",
                stack.name
            )));
        }
        Ok(())
    }

    fn replicas_of(&self, groups: &Groups) -> Replicas {
        Replicas::over(
            self.scenario,
            groups.dp * groups.cp,
            groups.pp * groups.etp * groups.ep,
        )
    }

    /// ZeRO stages of these groups, smallest first.
    fn zero(&self, groups: &Groups) -> Result<Vec<ZeroStage>, Infeasible> {
        let scenario = self.scenario;
        let is_replicated = self.replicas_of(groups).any();
        let all_reduces = asks_all_reduce(scenario);
        // A group for its shards asks for ZeRO-3.
        let asked = scenario.layout.zero.or(match scenario.layout.zero_group {
            Some(ZeroGroup::Ranks(_)) => Some(ZeroStage::Z3),
            Some(ZeroGroup::Replicas) | None => None,
        });
        match (asked, scenario.layout.unstated) {
            (Some(stage), _) if stage == ZeroStage::Z3 && !is_replicated => {
                Err(Infeasible::Limit(format!(
                    "zero {stage} shards over replicas, the layout has dp {} × cp {}",
                    groups.dp, groups.cp
                )))
            }
            // With nothing to shard over, an optimizer's state stays whole.
            (Some(_), _) if !is_replicated => Ok(vec![ZeroStage::Z0]),
            (Some(stage), _) => Ok(vec![stage]),
            (None, _) if !is_replicated || all_reduces => Ok(vec![ZeroStage::Z0]),
            (None, Unstated::Fastest) => Ok(scenario.stack.offers.zero.clone()),
            (None, Unstated::Usual) => Ok(match scenario.stack.sharding {
                Sharding::Replicated => vec![ZeroStage::Z0],
                Sharding::Full => vec![ZeroStage::Z3],
                Sharding::Any if groups.pp == 1 => vec![ZeroStage::Z1, ZeroStage::Z3],
                Sharding::Optimizer | Sharding::Any => vec![ZeroStage::Z1],
            }),
        }
    }
}

/// Whether a custom schedule all-reduces the gradients, which only unsharded optimizers need.
fn asks_all_reduce(scenario: &TrainingScenario) -> bool {
    let asked = scenario.communication.collective.as_ref();
    asked
        .and_then(Algorithm::custom)
        .is_some_and(|own| own.schedule.op() == Some(CollectiveOp::AllReduce))
}
