//! Data-parallel replicas of several types of GPU.
//!
//! Replicas of all types have one layout; those of a faster type take more microbatches, and all wait for the reduction of
//! the gradients. Each type is simulated as if all GPUs were of it, over the network of the slowest, with the microbatches
//! that it is dealt; the step is the longest of these. Frameworks that gather parameters or reduce gradients in every
//! microbatch (ZeRO stages 2 and 3) need as many on each replica.
//!
//! `auto` looks at every layout that the types can have. Of the deals of a layout some type has its share of the microbatches
//! in each (`search/sharing.rs`), so that the search over one type after the other, with its share, comes by all that may be faster
//! than the best; what it plays is dealt to all types.

use crate::simulation::training::cache::Served;
use crate::simulation::training::layout::{Groups, Options, Pipeline};
use crate::simulation::training::mixed::dealer::{Dealer, Deals};
use crate::simulation::training::mixed::dealt::Dealt;
use crate::simulation::training::mixed::refusals::{check, on_type};
use crate::simulation::training::search::{self, Choice, Place};
use crate::simulation::training::shards::Shards;
use crate::simulation::training::{dual_pipe, request};
use crate::simulation::{Infeasible, Layout, Scratch, TrainingScenario};
use crate::stack::ZeroStage;

/// The fastest deal of all layouts.
///
/// # Errors
/// If a type cannot run as asked, or no layout fits all of them.
pub(super) fn fastest(
    scenario: &TrainingScenario,
    scratch: &mut Scratch,
) -> Result<Dealt, Infeasible> {
    check(scenario)?;
    for pool in &scenario.pools {
        request::check(&scenario.all_of(pool)).map_err(|why| on_type(why, pool))?;
    }
    let found = of_schedule(scenario, scratch);
    let Some(paired) = dual_pipe::alternative(scenario) else {
        return found;
    };
    match (found, of_schedule(&paired, scratch)) {
        (Ok(own), Ok(paired)) if paired.step_time() < own.step_time() => Ok(paired),
        (Ok(own), _) => Ok(own),
        (Err(_), Ok(paired)) => Ok(paired),
        (Err(why), Err(_)) => Err(why),
    }
}

/// The fastest deal of a job that asks for DualPipe or does without.
fn of_schedule(scenario: &TrainingScenario, scratch: &mut Scratch) -> Result<Dealt, Infeasible> {
    let folded = dual_pipe::folded(scenario)?;
    let jobs: Vec<TrainingScenario> = folded
        .pools
        .iter()
        .map(|pool| folded.all_of(pool))
        .collect();
    let mut options = Vec::with_capacity(jobs.len());
    for (job, pool) in jobs.iter().zip(&scenario.pools) {
        options.push(Options::of(job).map_err(|why| on_type(why, pool))?);
    }
    let alone = alone(&jobs, scratch)?;
    let mut dealing = scratch.training.take_dealing();
    let mut dealer = Dealer::of((scenario, &jobs), &options, &mut dealing, &alone);
    let refused = search_all(&jobs, &alone, scratch, &mut dealer);
    let found = dealer.fastest();
    scratch.training.put_dealing(dealing);
    scratch.training.check_spent()?;
    match (found, refused) {
        (Ok(dealt), _) => Ok(dealt),
        (Err(_), Some((why, place))) => Err(on_type(why, &scenario.pools[place])),
        (Err(Some(why)), None) => Err(why),
        (Err(None), None) => Err(Infeasible::Limit("no layout was dealt".to_owned())),
    }
}

/// The fastest step of the whole job on each type alone, where it has one.
fn alone(
    jobs: &[TrainingScenario],
    scratch: &mut Scratch,
) -> Result<Vec<Option<Choice>>, Infeasible> {
    let mut found = Vec::with_capacity(jobs.len());
    for job in jobs {
        let Served {
            source,
            pricing,
            timeline,
            orders,
        } = scratch.training.serve(job)?;
        found.push(search::fastest(job, source, (pricing, timeline, orders)).ok());
    }
    scratch.training.check_spent()?;
    Ok(found)
}

/// Plays all layouts that may be the fastest; gives the first reason for which a type has none, and its place.
fn search_all(
    jobs: &[TrainingScenario],
    alone: &[Option<Choice>],
    scratch: &mut Scratch,
    dealer: &mut Dealer<'_>,
) -> Option<(Infeasible, usize)> {
    let mut refused = None;
    for deals in Deals::ALL {
        if !dealer.begin(deals) {
            continue;
        }
        for choice in alone.iter().flatten() {
            dealer.try_first(place_of(&choice.fitting.layout));
        }
        // The first layouts tell how fast the types are.
        for few in [true, false] {
            dealer.learn();
            for place in dealer.searched() {
                dealer.search(place, few);
                let job = &jobs[place];
                let searched = scratch
                    .training
                    .serve(job)
                    .and_then(|served| search::search_shared(job, served, dealer));
                if let Err(why) = searched
                    && !few
                {
                    refused.get_or_insert((why, place));
                }
            }
        }
    }
    refused
}

/// A layout as all types have it.
fn place_of(layout: &Layout) -> Place {
    Place {
        groups: Groups {
            tp: layout.tp,
            pp: layout.pp,
            cp: layout.cp,
            ep: layout.ep,
            etp: layout.etp,
            dp: layout.dp,
            sequence_parallel: layout.sequence_parallel,
            cp_exchange: layout.cp_exchange,
        },
        micro_batch: layout.micro_batch,
        pipeline: Pipeline {
            schedule: layout.schedule,
            vpp: layout.vpp,
            layers_per_stage: layout.layers_per_stage.clone(),
        },
        shards: Shards {
            zero: layout.zero,
            group: if layout.zero == ZeroStage::Z3 {
                layout.zero_group
            } else {
                1
            },
        },
    }
}
