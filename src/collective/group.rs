//! One collective on a job: its groups, their bytes, and the rates that a group gets.

use crate::collective::contention::CriticalPath;
use crate::collective::cost::Sent;
use crate::collective::job::{Job, RoundLatency};
use crate::collective::library::{Generation, LatencyTable, TABLES};
use crate::collective::op::{CollectiveOp, Protocol};
use crate::collective::placement::{GroupPattern, GroupShape, GroupTraffic, Orientation, Traffic};
use crate::units::{Bandwidth, Bytes, Micros, Seconds, Volume};

/// A collective of all groups of a pattern at once, with the rates that one group gets.
pub(super) struct Group<'a> {
    pub(super) job: &'a Job,
    pub(super) op: CollectiveOp,
    pub(super) bytes: Bytes,
    pub(super) pattern: GroupPattern,
    pub(super) shape: GroupShape,
    /// Rate of one GPU inside its domain, for rings that stay there.
    pub(super) intra: Bandwidth,
    /// Share of a GPU's links inside its domain that its traffic takes.
    pub(super) share: f64,
    /// Rates between domains, of groups on several.
    pub(super) between: Option<Between>,
    /// Messages between domains on the critical path of its traffic.
    pub(super) path: CriticalPath,
}

/// Rates of a group that lies on several domains.
#[derive(Clone, Copy, Debug)]
pub(super) struct Between {
    /// Rate of one GPU inside its domain, for rings that pass through it.
    pub(super) through: Bandwidth,
    /// Rate of all members in one domain together towards other domains.
    pub(super) inter: Bandwidth,
    /// Rate of these members for pairwise traffic.
    pub(super) scattered: Bandwidth,
}

/// Two binary trees between the domains of a group.
#[derive(Clone, Copy, Debug)]
pub(super) struct Trees {
    /// Rate at which a buffer goes up and down again, half of it by each tree.
    pub(super) rate: Bandwidth,
    /// Messages from the farthest domain to the root.
    pub(super) path: CriticalPath,
}

impl<'a> Group<'a> {
    /// The groups of a pattern on a job.
    pub(super) fn new(
        job: &'a Job,
        op: CollectiveOp,
        bytes: Bytes,
        pattern: GroupPattern,
        traffic: Traffic,
    ) -> Self {
        let of = GroupTraffic {
            groups: pattern,
            shape: job.shape(pattern),
            traffic,
        };
        let inside = job.inside(of);
        Self {
            job,
            op,
            bytes,
            pattern,
            shape: of.shape,
            intra: inside.rate,
            share: inside.share,
            between: between(job, of, inside.rate),
            path: job.contention.path(of),
        }
    }

    /// Trees between the domains; `None` of a group on one.
    pub(super) fn trees(&self) -> Option<Trees> {
        let sharing = self.shape.sharing?;
        let of = GroupTraffic {
            groups: self.pattern,
            shape: self.shape,
            traffic: Traffic::Trees,
        };
        let (job, line) = (self.job, self.job.domain_rate());
        let share = job.contention.uneven(of, job.gpus).map_or_else(
            || line / f64::from(sharing) / job.contention.slowdown(of),
            |buffers| line / buffers,
        );
        Some(Trees {
            rate: share * job.cluster.fabric.efficiency,
            path: job.contention.path(of),
        })
    }

    /// Figures of the library on this generation of GPUs.
    pub(super) const fn generation(&self) -> &'static Generation {
        self.job.generation
    }

    /// The whole buffer of a rank.
    pub(super) fn buffer(&self) -> Volume {
        self.bytes.into()
    }

    /// The job's rank at a position of the group that begins at `base`.
    pub(super) const fn rank(&self, base: u32, position: u32) -> u32 {
        base + position * self.pattern.stride
    }

    /// Ranks, as a real number.
    pub(super) fn ranks(&self) -> f64 {
        f64::from(self.shape.ranks)
    }

    /// Ranks of a group in one domain, as a real number.
    pub(super) fn members(&self) -> f64 {
        f64::from(self.shape.members)
    }

    /// Domains of a group, as a real number.
    pub(super) fn domains(&self) -> f64 {
        f64::from(self.shape.domains)
    }

    /// Whether a group lies on several domains.
    pub(super) const fn crosses(&self) -> bool {
        self.shape.domains > 1
    }

    /// Ring through all ranks: inside the domain, or the slower of passing through it and leaving it.
    pub(super) fn ring_rate(&self) -> Bandwidth {
        match &self.between {
            None => self.intra,
            Some(between) if self.shape.members == 1 => between.inter,
            Some(between) => between.through.min(between.inter),
        }
    }

    /// Depth of a binary tree over the domains as NCCL's own estimates take it.
    pub(super) fn estimated_depth(&self) -> f64 {
        f64::from(self.shape.domains.ilog2())
    }

    /// Rate of a ring in NCCL's own estimates: with its own idea of the NICs, whoever else is on the links.
    pub(super) fn estimated_ring_rate(&self) -> Bandwidth {
        let outside = self.job.estimated_nics(self.shape.members);
        match &self.between {
            None => self.intra,
            Some(_) if self.shape.members == 1 => outside,
            Some(between) => between.through.min(outside),
        }
    }

    /// Latency that the network plugin adds to a message, over InfiniBand's own.
    pub(super) fn plugin(&self) -> Micros {
        self.job.cluster.fabric.plugin_latency.into()
    }

    /// Latency of messages between domains that follow one another on a path, by the table of a library.
    pub(super) fn across_by(
        &self,
        path: &CriticalPath,
        table: &LatencyTable,
        protocol: Protocol,
    ) -> Micros {
        let each = self.generation().without_wire(table, protocol)
            + self.plugin() * protocol.messages_per_hop();
        each * path.messages + path.latency.into()
    }

    /// What messages between domains take longer because their receivers do not wait for them yet: a rank that only gathers or
    /// only scatters runs ahead of its neighbours, where after an all-reduce every rank has heard of all others.
    pub(super) fn unawaited(&self, messages: f64) -> Micros {
        match self.op {
            CollectiveOp::AllGather | CollectiveOp::ReduceScatter => {
                Micros::from(self.job.cluster.fabric.unawaited_latency) * messages
            }
            CollectiveOp::AllReduce
            | CollectiveOp::Broadcast
            | CollectiveOp::AllToAll
            | CollectiveOp::SendRecv => Micros::ZERO,
        }
    }

    /// Latencies of a round of messages.
    pub(super) fn round_latency(&self, protocol: Protocol) -> RoundLatency {
        self.job.round_latency(protocol, self.path.slowest)
    }

    /// Latency of a round that reaches all ranks of a group.
    pub(super) fn slowest_latency(&self, protocol: Protocol) -> Seconds {
        let latency = self.round_latency(protocol);
        if self.crosses() {
            latency.across
        } else {
            latency.inside
        }
    }

    /// Fill of the window of the network plugin between domains.
    pub(super) fn window(&self) -> Seconds {
        if self.crosses() {
            window(self.buffer(), self.plugin().into())
        } else {
            Seconds::ZERO
        }
    }

    /// A transfer whose messages cross between domains `crossings` times one after another.
    ///
    /// Rendezvous overlap with messages in flight, once there are many: the larger of both decides, and
    /// the change between them is smooth (root of the squares).
    pub(super) fn across(&self, transfer: Seconds, message: Volume, crossings: f64) -> Seconds {
        let rendezvous = if self.crosses() {
            rendezvous(self.job, message)
        } else {
            Seconds::ZERO
        };
        Seconds::new(libm::hypot(transfer.get(), (rendezvous * crossings).get())) + self.window()
    }

    /// Bytes that a rank sends by an algorithm over point-to-point links, `across` of them to other
    /// domains.
    pub(super) fn sent(&self, across: Volume) -> Sent {
        let total = self.sent_in_all();
        let across = if self.crosses() { across } else { Volume::ZERO };
        Sent {
            inside: (total - across).max(Volume::ZERO),
            across,
        }
    }

    /// Bytes that a rank sends to its neighbours, one member of each domain to another domain; the last
    /// domain of a broadcast or of sends to none.
    pub(super) fn sent_to_neighbours(&self) -> Sent {
        let across = match self.op {
            CollectiveOp::Broadcast | CollectiveOp::SendRecv => {
                self.buffer() * (self.domains() - 1.0) / self.ranks()
            }
            CollectiveOp::AllReduce
            | CollectiveOp::AllGather
            | CollectiveOp::ReduceScatter
            | CollectiveOp::AllToAll => self.sent_in_all() / self.members(),
        };
        self.sent(across)
    }

    /// Bytes that a rank sends on average, whatever the algorithm, unless switches reduce.
    pub(super) fn sent_in_all(&self) -> Volume {
        let passes = if self.op == CollectiveOp::AllReduce {
            2.0
        } else {
            1.0
        };
        self.buffer() * passes * (self.ranks() - 1.0) / self.ranks()
    }
}

fn between(job: &Job, of: GroupTraffic, intra: Bandwidth) -> Option<Between> {
    let shape = of.shape;
    let sharing = shape.sharing?;
    let fabric = &job.cluster.fabric;
    let members = f64::from(shape.members.max(2));
    let line = job.domain_rate();
    let share = match (job.contention.uneven(of, job.gpus), of.traffic) {
        (Some(messages), Traffic::Ring(_)) => line / messages,
        // The members send all others a message each, and share out their part of the NICs.
        (Some(messages), Traffic::Exchange) => {
            let remote = f64::from(shape.members) * f64::from(shape.ranks - shape.members);
            line * remote / messages
        }
        (Some(_), Traffic::Chain | Traffic::Trees) | (None, _) => {
            line / f64::from(sharing) / job.contention.slowdown(of)
        }
    };
    Some(Between {
        // A ring that passes through a domain crosses one link less there than one that closes.
        through: intra * members / (members - 1.0),
        inter: share * fabric.efficiency,
        scattered: share * fabric.scattered_efficiency,
    })
}

/// Fill of the window of a network plugin of this latency between domains.
pub(super) fn window(buffer: Volume, plugin: Seconds) -> Seconds {
    let fitted = &TABLES.fitted;
    let half = Volume::new(fitted.window_bytes);
    plugin * fitted.window_trips * buffer.get() / (buffer + half).get()
}

/// Time in which the ends of a message between domains agree on it; none below the fabric's limit.
pub(super) fn rendezvous(job: &Job, message: Volume) -> Seconds {
    let class = job.cluster.fabric.rendezvous;
    let agreed = class.filter(|class| message >= class.limit.into());
    agreed.map_or(Seconds::ZERO, |class| class.cost.into())
}

/// Time that a rank's plugin needs for one of its many messages of a size.
pub(super) fn message_overhead(job: &Job, message: Volume) -> Seconds {
    let fabric = &job.cluster.fabric;
    let short = fabric
        .short_messages
        .filter(|class| message <= class.limit.into());
    short
        .map_or(fabric.message_overhead, |class| class.cost)
        .into()
}

/// Growth of the latency of LL messages between domains once they no longer fit one slot.
pub(super) fn slots(protocol: Protocol, bytes: Bytes) -> f64 {
    let fitted = &TABLES.fitted;
    match protocol {
        Protocol::Ll => {
            let doublings = libm::log2(bytes.get().max(1) as f64 / 1024.0);
            1.0 + fitted.slots_growth * (doublings / fitted.slots_doublings).clamp(0.0, 1.0)
        }
        Protocol::Ll128 | Protocol::Simple | Protocol::Ideal => 1.0,
    }
}

/// Time that the lines of an LL message add to each hop inside a domain.
pub(super) fn lines(protocol: Protocol, bytes: Bytes) -> Micros {
    match protocol {
        Protocol::Ll => {
            let filled = libm::log2(bytes.get().max(1) as f64 / 64.0) / 9.0;
            Micros::new(TABLES.fitted.ll_lines_us * filled.clamp(0.0, 1.0))
        }
        Protocol::Ll128 | Protocol::Simple | Protocol::Ideal => Micros::ZERO,
    }
}

/// Traffic of the domains of a group under an operation, where `everyone` says whether its algorithm
/// lets every rank talk to all others.
pub(super) const fn traffic(op: CollectiveOp, everyone: bool, orientation: Orientation) -> Traffic {
    match op {
        CollectiveOp::AllToAll => Traffic::Exchange,
        CollectiveOp::SendRecv => Traffic::Chain,
        CollectiveOp::AllReduce
        | CollectiveOp::AllGather
        | CollectiveOp::ReduceScatter
        | CollectiveOp::Broadcast => {
            if everyone {
                Traffic::Exchange
            } else {
                Traffic::Ring(orientation)
            }
        }
    }
}
