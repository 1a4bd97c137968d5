//! A job's network, and what a collective costs on it.

use std::cell::RefCell;

use crate::collective::algorithm::{CollectiveAlgorithm, LibraryPath, Offer, Plan, Row, TooMany};
use crate::collective::cost::{Cost, Sent};
use crate::collective::custom::{Algorithm, CarriedBy, CustomAlgorithm};
use crate::collective::group::{Group, message_overhead, traffic};
use crate::collective::job::{Job, NetworkFault};
use crate::collective::op::{CollectiveOp, Protocol};
use crate::collective::pipelined_cost::PipelineLoads;
use crate::collective::placement::{GroupPattern, GroupShape, Orientation, Traffic};
use crate::collective::request::{CollectiveCost, CollectiveRequest, Unsupported};
use crate::collective::schedule::GroupLayout;
use crate::collective::schedule_cost::ScheduleLoads;
use crate::des::LinkLoads;
use crate::hardware::Cluster;
use crate::memo::Memo;
use crate::units::{Seconds, SimDuration};

/// Pipelined algorithms whose loads are kept; a sweep walks through few.
const PIPELINES_MAX: usize = 256;

/// A pipelined algorithm on a job: its loads are the same for every size.
type PipelineKey = (GroupPattern, CollectiveAlgorithm, CollectiveOp, Protocol);

/// The network of one job; a cost is a pure function of its inputs.
#[derive(Clone, Debug)]
pub struct Network {
    job: Job,
    pipelines: RefCell<Memo<PipelineKey, Option<PipelineLoads>, PIPELINES_MAX>>,
}

/// An algorithm and protocol with their cost.
#[derive(Clone, Copy, Debug)]
struct Candidate {
    carried_by: CarriedBy,
    protocol: Protocol,
    cost: Cost,
    sent: Sent,
    /// Time by which a library compares it with others.
    rank: Seconds,
}

impl Network {
    /// The network of a job of `gpus` GPUs on `cluster`.
    ///
    /// # Errors
    /// If the fabric cannot hold the nodes.
    pub fn new(cluster: &Cluster, gpus: u32) -> Result<Self, NetworkFault> {
        Ok(Self {
            job: Job::new(cluster, gpus)?,
            pipelines: RefCell::default(),
        })
    }

    /// The job.
    pub(super) const fn job(&self) -> &Job {
        &self.job
    }

    /// How the groups of a pattern lie over the domains of this job.
    pub(crate) fn shape(&self, groups: GroupPattern) -> GroupShape {
        self.job.shape(groups)
    }

    /// Consecutive ranks that share a scale-up domain.
    pub(crate) fn ranks_per_domain(&self) -> u32 {
        self.job.per_domain
    }

    /// Channels of the library for long messages of a pattern's groups.
    pub(crate) fn channels(&self, groups: GroupPattern) -> u32 {
        let shape = GroupShape::of(groups, self.job.per_domain, self.job.gpus);
        self.job.generation.channels.of(shape.domains)
    }

    /// Time of a collective and its load on the network.
    ///
    /// Without a requested algorithm the library's own choice is timed: NCCL's by its cost table,
    /// which knows nothing of other groups; a network plugin with a tuner of its own (every fabric
    /// with a plugin latency) takes what is fastest.
    ///
    /// # Errors
    /// If the algorithm cannot carry the operation, or not on this network.
    pub fn collective(&self, request: &CollectiveRequest) -> Result<CollectiveCost, Unsupported> {
        let asked = match &request.algorithm {
            Some(Algorithm::Custom(custom)) => return self.custom(custom, request),
            Some(Algorithm::BuiltIn(algorithm)) => Some(*algorithm),
            None => None,
        };
        let everyone = asked.is_some_and(|algorithm| algorithm.row().everyone_at_once);
        let shape = self.shape(request.groups);
        if shape.ranks <= 1 {
            let group = self.group(request, Traffic::Chain);
            return Ok(nothing(&group, asked, request.protocol));
        }
        if let Some(asked) = asked {
            let checked = (asked.row().check)(&self.job, request.op, shape.ranks);
            checked.map_err(|TooMany { messages, most }| Unsupported::TooManyMessages {
                algorithm: asked,
                messages,
                most,
            })?;
        }
        // Where directions differ a library orients its rings as is fastest.
        let orientations = match traffic(request.op, everyone, Orientation::Both) {
            Traffic::Ring(_) if self.job.contention.has_directions() => &Orientation::ALL[..],
            Traffic::Ring(_) | Traffic::Exchange | Traffic::Chain | Traffic::Trees => {
                &[Orientation::Both]
            }
        };
        let costs = orientations.iter().filter_map(|&orientation| {
            let group = self.group(request, traffic(request.op, everyone, orientation));
            let candidates = self.candidates(&group, asked, request.protocol);
            let best = candidates
                .into_iter()
                .min_by(|a, b| a.rank.get().total_cmp(&b.rank.get()));
            best.map(|best| priced(&group, &best))
        });
        costs
            .min_by_key(|cost| cost.time)
            .ok_or(Unsupported::NoCandidate {
                algorithm: asked,
                op: request.op,
                ranks: shape.ranks,
                domains: shape.domains,
            })
    }

    fn group(&self, request: &CollectiveRequest, traffic: Traffic) -> Group<'_> {
        Group::new(
            &self.job,
            request.op,
            request.bytes,
            request.groups,
            traffic,
        )
    }

    /// Every algorithm and protocol that the request allows.
    fn candidates(
        &self,
        group: &Group<'_>,
        asked: Option<CollectiveAlgorithm>,
        protocol: Option<Protocol>,
    ) -> Vec<Candidate> {
        if protocol == Some(Protocol::Ideal) {
            // Without a request the bound of whatever the library chooses from.
            let all = CollectiveAlgorithm::ALL.iter().copied();
            let allowed = all.filter(|algorithm| match asked {
                Some(asked) => asked == *algorithm,
                None => library_path(*algorithm, group.op, None).is_some(),
            });
            let costs = allowed.filter_map(|algorithm| {
                let cost = self.by_rounds(group, algorithm, Protocol::Ideal)?;
                Some(built_in(group, algorithm, Protocol::Ideal, cost))
            });
            return costs.collect();
        }
        let plugin_tunes = self.job.cluster.fabric.plugin_latency > SimDuration::ZERO;
        let by_time = plugin_tunes && group.crosses() || asked.is_some() && protocol.is_some();
        let mut candidates = Vec::new();
        for own in [Protocol::Ll, Protocol::Ll128, Protocol::Simple] {
            let offered = own != Protocol::Ll128 || self.job.offers_ll128(group.crosses());
            if protocol.is_none() && !offered {
                continue;
            }
            for &algorithm in CollectiveAlgorithm::ALL {
                let Some(path) = library_path(algorithm, group.op, asked) else {
                    continue;
                };
                if !path.protocols.admit(own, protocol) {
                    continue;
                }
                if let Some(cost) = (path.cost)(group, own) {
                    let mut candidate = built_in(group, algorithm, own, cost);
                    if !by_time {
                        candidate.rank = (path.estimate)(group, own, &cost);
                    }
                    candidates.push(candidate);
                }
            }
        }
        if let Some(algorithm) = asked
            && library_path(algorithm, group.op, asked).is_none()
            && let Some(cost) = self.by_rounds(group, algorithm, Protocol::Simple)
        {
            candidates.push(built_in(group, algorithm, Protocol::Simple, cost));
        }
        candidates
    }

    /// An algorithm in synchronous rounds: with the links' own latency, or with that of Simple.
    fn by_rounds(
        &self,
        group: &Group<'_>,
        algorithm: CollectiveAlgorithm,
        protocol: Protocol,
    ) -> Option<Cost> {
        let row = algorithm.row();
        if row.needs_even_domains && !group.shape.is_even() {
            return None;
        }
        let priced_from_plan = || {
            // Thousands of ranks do as four do; their transfers need not be made to know.
            match (row.plan)(group.op, GroupLayout::new(4, 4))? {
                Plan::Rounds(_) => by_transfers(row, group, protocol),
                Plan::Stages(_) => {
                    self.with_pipeline(group, algorithm, protocol, |loads| loads.cost(group))
                }
            }
        };
        let mut cost = (row.closed_form)(group, protocol).or_else(priced_from_plan)?;
        if protocol != Protocol::Ideal {
            cost.latency += Seconds::from(*group.generation().ring.base.of(protocol));
            if row.everyone_at_once {
                let share = group.buffer() / group.ranks();
                let remote = group.ranks() - group.members();
                cost.latency += message_overhead(group.job, share) * remote;
            }
        }
        Some(cost)
    }

    /// Asks the loads of an algorithm whose chunks follow each other through stages; `None` where it
    /// needs switches that reduce and the domains have none.
    fn with_pipeline<T>(
        &self,
        group: &Group<'_>,
        algorithm: CollectiveAlgorithm,
        protocol: Protocol,
        ask: impl FnOnce(&mut PipelineLoads) -> T,
    ) -> Option<T> {
        let mut known = self.pipelines.borrow_mut();
        let key = (group.pattern, algorithm, group.op, protocol);
        let found = known.get_or_make(key, || {
            let (row, layout) = (algorithm.row(), layout(group));
            let Plan::Stages(pipeline) = (row.plan)(group.op, layout)? else {
                return None;
            };
            let switches_reduce = group.job.cluster.scale_up.in_network_reduction;
            let can_run = pipeline.switches == 0 || switches_reduce;
            let alone = row.everyone_at_once;
            can_run.then(|| PipelineLoads::of(group, layout, pipeline, protocol, alone))
        });
        found.as_mut().map(ask)
    }

    /// Time of a custom algorithm and its load on the network; for sizes that it is not meant for that of
    /// the library's own choice.
    fn custom(
        &self,
        custom: &CustomAlgorithm,
        request: &CollectiveRequest,
    ) -> Result<CollectiveCost, Unsupported> {
        let CustomAlgorithm { name, schedule } = custom;
        if let Some(carries) = schedule.op().filter(|op| *op != request.op) {
            return Err(Unsupported::OtherOperation {
                name: name.clone(),
                carries,
                asked: request.op,
            });
        }
        if schedule.ranks() != request.groups.size {
            return Err(Unsupported::OtherRanks {
                name: name.clone(),
                made_for: schedule.ranks(),
                has: request.groups.size,
            });
        }
        if !schedule.is_for(request.bytes) {
            let chosen = CollectiveRequest {
                algorithm: None,
                ..request.clone()
            };
            return self.collective(&chosen);
        }
        let traffic = traffic(request.op, false, Orientation::Both);
        let group = self.group(request, traffic);
        let loads = ScheduleLoads::of(&group, schedule.messages());
        let all = [Protocol::Simple, Protocol::Ll, Protocol::Ll128];
        let asked = request.protocol.or(schedule.protocol());
        let protocols = asked.as_ref().map_or(&all[..], std::slice::from_ref);
        let candidates = protocols.iter().map(|&protocol| {
            let cost = loads.cost(protocol);
            Candidate {
                carried_by: CarriedBy::Custom,
                protocol,
                cost,
                sent: loads.sent(),
                rank: cost.total(),
            }
        });
        let best = candidates.min_by(|a, b| a.rank.get().total_cmp(&b.rank.get()));
        Ok(priced(&group, &best.expect("there is a protocol")))
    }
}

#[cfg(test)]
impl Network {
    fn ideal_group(
        &self,
        request: &CollectiveRequest,
        algorithm: CollectiveAlgorithm,
    ) -> Group<'_> {
        let everyone = algorithm.row().everyone_at_once;
        self.group(request, traffic(request.op, everyone, Orientation::Both))
    }

    /// The layout of a pipelined algorithm, with the chunks that are fastest under `ideal`; `None`
    /// where the algorithm has no stages.
    pub(super) fn pipelined(
        &self,
        request: &CollectiveRequest,
        algorithm: CollectiveAlgorithm,
    ) -> Option<GroupLayout> {
        let group = self.ideal_group(request, algorithm);
        self.with_pipeline(&group, algorithm, Protocol::Ideal, |loads| {
            loads.layout(&group)
        })
    }

    /// Time of a pipelined algorithm in rounds that wait for one another, on ideal links.
    pub(super) fn in_rounds(
        &self,
        request: &CollectiveRequest,
        algorithm: CollectiveAlgorithm,
    ) -> Option<SimDuration> {
        let group = self.ideal_group(request, algorithm);
        let ask = |loads: &mut PipelineLoads| loads.in_rounds(&group);
        let cost = self.with_pipeline(&group, algorithm, Protocol::Ideal, ask)?;
        Some(cost.time())
    }

    /// Time of an algorithm by its schedule, as one without a closed form takes it.
    pub(super) fn by_its_schedule(
        &self,
        request: &CollectiveRequest,
        algorithm: CollectiveAlgorithm,
    ) -> Option<Seconds> {
        let group = self.ideal_group(request, algorithm);
        Some(by_transfers(algorithm.row(), &group, Protocol::Ideal)?.total())
    }
}

/// Path of a library for an algorithm where the request lets it be taken.
fn library_path(
    algorithm: CollectiveAlgorithm,
    op: CollectiveOp,
    asked: Option<CollectiveAlgorithm>,
) -> Option<&'static LibraryPath> {
    let path = algorithm.row().library.as_ref()?;
    let taken = match (path.offer)(op) {
        Offer::Chosen => asked.is_none_or(|asked| asked == algorithm),
        Offer::OnRequest => asked == Some(algorithm),
        Offer::Never => false,
    };
    taken.then_some(path)
}

fn built_in(
    group: &Group<'_>,
    algorithm: CollectiveAlgorithm,
    protocol: Protocol,
    cost: Cost,
) -> Candidate {
    Candidate {
        carried_by: CarriedBy::BuiltIn(algorithm),
        protocol,
        cost,
        sent: (algorithm.row().sent)(group),
        rank: cost.total(),
    }
}

/// The group as schedules take it: uneven ones as if every rank had a domain of its own.
fn layout(group: &Group<'_>) -> GroupLayout {
    let members = if group.shape.is_even() {
        group.shape.members
    } else {
        1
    };
    let job = group.job;
    GroupLayout {
        fabric_reduces: job.reduces_between(),
        ..GroupLayout::new(group.shape.ranks, members)
    }
}

/// An algorithm with every message of its rounds on its links.
fn by_transfers(row: &Row, group: &Group<'_>, protocol: Protocol) -> Option<Cost> {
    match (row.plan)(group.op, layout(group))? {
        Plan::Rounds(schedule) => Some(ScheduleLoads::of(group, &schedule).cost(protocol)),
        Plan::Stages(_) => None,
    }
}

/// Cost of a group of one.
fn nothing(
    group: &Group<'_>,
    asked: Option<CollectiveAlgorithm>,
    protocol: Option<Protocol>,
) -> CollectiveCost {
    let nothing = Candidate {
        carried_by: CarriedBy::BuiltIn(asked.unwrap_or(CollectiveAlgorithm::Ring)),
        protocol: protocol.unwrap_or(Protocol::Simple),
        cost: Cost::default(),
        sent: Sent::default(),
        rank: Seconds::ZERO,
    };
    CollectiveCost {
        sms: 0,
        ..priced(group, &nothing)
    }
}

/// A candidate as callers see it.
fn priced(group: &Group<'_>, best: &Candidate) -> CollectiveCost {
    CollectiveCost {
        protocol: best.protocol,
        ..priced_as(group, best.carried_by, best.cost, best.sent)
    }
}

/// Price of a cost that sends so much, by Simple.
pub(super) fn priced_as(
    group: &Group<'_>,
    algorithm: CarriedBy,
    cost: Cost,
    sent: Sent,
) -> CollectiveCost {
    let cluster = &group.job.cluster;
    let time = cost.time();
    let secs = Seconds::from(time).max(Seconds::new(1e-12));
    let loads = match cost.busy {
        Some(busy) => busy.map(|time| (time / secs).min(1.0)),
        None => LinkLoads {
            scale_up: (sent.inside / secs / group.intra).min(1.0),
            scale_out: group.between.map_or(0.0, |between| {
                let nic = between.inter / group.members();
                (sent.across / secs / nic).min(1.0)
            }),
        },
    };
    let up = loads.scale_up * cluster.scale_up.efficiency;
    let loads = LinkLoads {
        scale_up: loads.scale_up * group.share,
        ..loads
    };
    let out = loads.scale_out * cluster.fabric.efficiency;
    CollectiveCost {
        time,
        latency: cost.latency.rounded(),
        algorithm,
        protocol: Protocol::Simple,
        sent_intra: sent.inside.rounded(),
        sent_inter: sent.across.rounded(),
        link_utilization_max: up.max(out),
        loads,
        sms: group.generation().channels.of(group.shape.domains),
    }
}

#[cfg(test)]
mod tests;
