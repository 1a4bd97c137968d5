//! Cost of a schedule, transfer by transfer.
//!
//! A round moves its messages at once; each link is shared out among them by their bytes, so the
//! round takes as long as its busiest link. Latencies follow the chunks: a rank hands a chunk on once
//! it has it, and the slowest chain of hand-overs counts.

use std::collections::BTreeMap;

use crate::collective::contention::CriticalPath;
use crate::collective::cost::{Busy, Cost, Sent};
use crate::collective::group::{Group, lines, message_overhead, rendezvous, slots, window};
use crate::collective::job::Job;
use crate::collective::library::TABLES;
use crate::collective::links::{LinkKind, Links, Loads, Place};
use crate::collective::op::Protocol;
use crate::collective::placement::whole_bases;
use crate::collective::schedule::{Messages, RoundMessages};
use crate::halt;
use crate::units::{Bandwidth, Seconds, Volume};

/// One round of all groups at once, with times for a chunk of one byte at the rates that large
/// messages reach.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct RoundLoad {
    /// Busiest link inside the domains.
    inside: Seconds,
    /// Busiest NIC or link between them.
    across: Seconds,
    /// Most peers in other domains that one rank sends to.
    remote_peers: u32,
}

/// Link loads of a schedule that all groups of a pattern carry out at once.
pub(super) struct ScheduleLoads<'a> {
    group: &'a Group<'a>,
    schedule: &'a dyn Messages,
    rounds: Vec<RoundLoad>,
    /// Time of the links that are busiest over all rounds, for a chunk of one byte.
    busy: Busy,
    /// Chunks that one rank sends on average.
    sent: Sent,
}

/// Time of a chunk of one byte on each kind of link.
struct Times {
    port: Seconds,
    pair: Option<Seconds>,
    nic: Seconds,
    scattered: Seconds,
    nics: u32,
}

impl Times {
    fn of(job: &Job) -> Self {
        let cluster = &job.cluster;
        let full = cluster.scale_up.bandwidth * cluster.scale_up.efficiency;
        let nics = job.nics();
        let each = job.domain_rate() / f64::from(nics);
        let byte = |rate: Bandwidth| Volume::new(1.0) / rate;
        Self {
            port: byte(full),
            pair: job.pair_rate().map(byte),
            nic: byte(each * cluster.fabric.efficiency),
            scattered: byte(each * cluster.fabric.scattered_efficiency),
            nics,
        }
    }

    fn on(&self, kind: LinkKind, scattered: bool) -> Seconds {
        let outside = if scattered { self.scattered } else { self.nic };
        match kind {
            LinkKind::Port => self.port,
            LinkKind::Pair => self.pair.unwrap_or_default(),
            LinkKind::Nic => outside,
            LinkKind::Fabric(capacity) => outside / f64::from(self.nics) / capacity,
        }
    }
}

impl<'a> ScheduleLoads<'a> {
    /// Puts every round on the links.
    pub(super) fn of(group: &'a Group<'a>, schedule: &'a dyn Messages) -> Self {
        let job = group.job;
        let times = Times::of(job);
        let links = Links::new(job, times.nics, times.pair.is_some());
        let mut loads = Loads::none(&links);
        let mut totals = vec![Seconds::ZERO; links.count()];
        let mut found = Self {
            group,
            schedule,
            rounds: Vec::new(),
            busy: Busy::default(),
            sent: Sent::default(),
        };
        let first_nic = links.first_nic();
        for round in schedule.by_round() {
            let mut load = RoundLoad {
                remote_peers: found.add(&links, &round, &mut loads),
                ..RoundLoad::default()
            };
            for (link, chunks) in loads.drain() {
                let time = times.on(links.kind(link), load.remote_peers > 1) * chunks;
                totals[link] += time;
                let class = if link < first_nic {
                    &mut load.inside
                } else {
                    &mut load.across
                };
                *class = class.max(time);
            }
            found.rounds.push(load);
        }
        let busiest = |times: &[Seconds]| times.iter().copied().fold(Seconds::ZERO, Seconds::max);
        found.busy.scale_up = busiest(&totals[..first_nic]);
        found.busy.scale_out = busiest(&totals[first_nic..]);
        let gpus = f64::from(job.gpus);
        found.sent.inside = found.sent.inside / gpus;
        found.sent.across = found.sent.across / gpus;
        found
    }

    /// Puts one round of all groups on the links, and gives the most peers in other domains that one
    /// rank sends to.
    fn add(&mut self, links: &Links<'_>, messages: &RoundMessages, loads: &mut Loads) -> u32 {
        let mut most = 0;
        for base in whole_bases(self.group.pattern, self.group.job.gpus) {
            let (mut sender, mut peers) = (u32::MAX, 0);
            for (&(from, to), &chunks) in messages {
                halt::check();
                let [from, to] = [from, to].map(|rank| self.group.rank(base, rank));
                let (source, goal) = (Place::Gpu(from), Place::Gpu(to));
                links.crossed(source, goal, &mut |link, share| {
                    loads.add(link, chunks * share);
                });
                let stays = links.domain(source) == links.domain(goal);
                if from != sender {
                    (sender, peers) = (from, 0);
                }
                if stays {
                    self.sent.inside += Volume::new(chunks);
                } else {
                    self.sent.across += Volume::new(chunks);
                    peers += 1;
                }
                most = most.max(peers);
            }
        }
        most
    }

    /// Size of one chunk.
    fn chunk(&self) -> Volume {
        self.group.buffer() * self.schedule.chunk_of_buffer()
    }

    /// Bytes that one rank sends on average.
    pub(super) fn sent(&self) -> Sent {
        let chunk = self.chunk().get();
        Sent {
            inside: self.sent.inside * chunk,
            across: self.sent.across * chunk,
        }
    }

    /// Cost under a protocol.
    pub(super) fn cost(&self, protocol: Protocol) -> Cost {
        let chunk = self.chunk();
        let mut transfer = self.transfer(protocol);
        let mut delays = Delays::of(self.group, protocol);
        let mut latency = delays.by_chains(self.schedule);
        if protocol != Protocol::Ideal {
            let base = *self.group.generation().ring.base.of(protocol);
            transfer = self.between_domains(transfer);
            latency += Seconds::from(base) + self.message_overhead(chunk);
        }
        Cost {
            latency,
            transfer,
            busy: Some(self.busy.map(|time| time * chunk.get())),
        }
    }

    /// Transfer time of all rounds, one after another; of a schedule that sends chunks piece by piece the
    /// rounds of the first piece, and for each further one the time that it takes at its bottleneck: the
    /// busiest link, or the rounds after which a thread block begins anew.
    fn transfer(&self, protocol: Protocol) -> Seconds {
        let chunk = self.chunk();
        let [inside, across] = self.slowdown(protocol);
        let rounds = self.rounds.iter();
        let times = rounds.map(|round| (round.inside * inside).max(round.across * across));
        let times: Vec<Seconds> = times
            .map(|time| (time * chunk.get()).whole_picos())
            .collect();
        let all: Seconds = times.iter().copied().sum();
        let Some(pieces) = self.schedule.pieces(chunk, protocol) else {
            return all;
        };
        let busiest = (self.busy.scale_up * inside).max(self.busy.scale_out * across);
        let spans = pieces.spans.iter();
        let spans = spans.map(|rounds| times[rounds.clone()].iter().copied().sum());
        let bottleneck = spans.fold(busiest * chunk.get(), Seconds::max);
        bottleneck + (all - bottleneck).max(Seconds::ZERO) / pieces.count
    }

    /// Transfer time with what messages between domains add: their rendezvous, overlapped with messages
    /// in flight as in a ring, and the plugin's window.
    fn between_domains(&self, transfer: Seconds) -> Seconds {
        if self.sent.across <= Volume::ZERO {
            return transfer;
        }
        let job = self.group.job;
        let crossings = self
            .rounds
            .iter()
            .filter(|round| round.across > Seconds::ZERO);
        let agreed = rendezvous(job, self.chunk()) * crossings.count() as f64;
        let plugin = job.cluster.fabric.plugin_latency.into();
        Seconds::new(libm::hypot(transfer.get(), agreed.get()))
            + window(self.group.buffer(), plugin)
    }

    /// How much longer bytes take under a protocol than at the links' rate, inside domains and
    /// between them.
    fn slowdown(&self, protocol: Protocol) -> [f64; 2] {
        let flags = 1.0 / TABLES.ring.rate.of(protocol);
        match protocol {
            // LL's kernels have a ceiling of their own.
            Protocol::Ll => {
                let up = &self.group.job.cluster.scale_up;
                let full = up.bandwidth * up.efficiency;
                [(full / self.group.generation().ll.on(1)).max(flags), flags]
            }
            Protocol::Ll128 | Protocol::Simple | Protocol::Ideal => [flags; 2],
        }
    }

    /// Overhead of the plugin where ranks talk to several others in one round.
    fn message_overhead(&self, chunk: Volume) -> Seconds {
        let peers = self.rounds.iter().map(|round| round.remote_peers);
        let messages: u32 = peers.filter(|peers| *peers > 1).sum();
        message_overhead(self.group.job, chunk) * f64::from(messages)
    }
}

/// Latencies of messages.
struct Delays<'a> {
    group: &'a Group<'a>,
    inside: Seconds,
    /// Messages between domains.
    known: BTreeMap<(u32, u32), Seconds>,
    protocol: Protocol,
}

impl<'a> Delays<'a> {
    fn of(group: &'a Group<'a>, protocol: Protocol) -> Self {
        let job = group.job;
        let step = job.ring_step();
        let inside = match protocol {
            Protocol::Ideal => job.cluster.scale_up.latency.into(),
            Protocol::Ll => (step + lines(protocol, group.bytes)).into(),
            Protocol::Ll128 | Protocol::Simple => {
                job.hop(&job.generation.ring, protocol).max(step).into()
            }
        };
        Self {
            group,
            inside,
            known: BTreeMap::new(),
            protocol,
        }
    }

    fn of_message(&mut self, from: u32, to: u32) -> Seconds {
        let Self {
            group,
            inside,
            protocol,
            ..
        } = *self;
        let job = group.job;
        let ends = (from / job.per_domain, to / job.per_domain);
        if ends.0 == ends.1 {
            return inside;
        }
        *self.known.entry(ends).or_insert_with(|| {
            let latency = job.contention.latency_between(ends.0, ends.1);
            if protocol == Protocol::Ideal {
                return latency;
            }
            let path = CriticalPath::of_equal(1.0, latency);
            let table = group.generation().between(group.shape.members);
            let across = group.across_by(&path, table, protocol) * slots(protocol, group.bytes);
            (across + group.unawaited(path.messages)).into()
        })
    }

    /// Latency of a message between two positions of the group that begins at `base`.
    fn between(&mut self, base: u32, from: u32, to: u32) -> Seconds {
        let [from, to] = [from, to].map(|position| self.group.rank(base, position));
        self.of_message(from, to)
    }

    /// The slowest chain of messages that wait for one another, in any group.
    fn by_chains(&mut self, schedule: &dyn Messages) -> Seconds {
        let mut slowest = Seconds::ZERO;
        for base in whole_bases(self.group.pattern, self.group.job.gpus) {
            let chain = schedule.slowest_chain(&mut |from, to| self.between(base, from, to));
            slowest = slowest.max(chain);
        }
        slowest
    }
}
