//! Cost of algorithms whose chunks follow each other through stages.
//!
//! Round by round: while a round lasts, every active stage loads its ports, NICs and links with one chunk per
//! transfer. Under `ideal` no round waits for another one: the slowest chain of hand-overs, and the bytes of
//! the busiest link.

use std::ops::Range;

use crate::collective::cost::{Busy, Cost};
use crate::collective::group::Group;
use crate::collective::job::{Job, RoundLatency};
use crate::collective::links::{LinkKind, Links, Loads, Place};
use crate::collective::op::{CollectiveOp, Protocol};
use crate::collective::placement::whole_bases;
use crate::collective::schedule::{
    GroupLayout, Pipeline, Transfer, chunk_of_buffer, rounds_of, stages_of,
};
use crate::memo::Memo;
use crate::units::{Bandwidth, Seconds, Volume};

/// Chunks that a lane may be cut into. A fixed choice, so that no buffer is faster than a smaller one.
const CHUNKS: [u32; 21] = [
    1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024, 1536,
];

/// Bottleneck of one round.
#[derive(Clone, Copy, Debug)]
struct RoundLoad {
    /// Rate that a chunk gets on the busiest port, NIC or link; `None` where nothing is sent.
    rate: Option<Bandwidth>,
    /// Latency of the slowest message between domains; `None` where no chunk leaves its domain.
    across: Option<Seconds>,
}

impl RoundLoad {
    const IDLE: Self = Self {
        rate: None,
        across: None,
    };

    fn transfer(&self, chunk: Volume) -> Seconds {
        self.rate.map_or(Seconds::ZERO, |rate| chunk / rate)
    }

    fn latency(&self, latency: RoundLatency) -> Seconds {
        self.across.unwrap_or(latency.inside)
    }
}

/// A pipelined algorithm on the links of a job, for buffers of any size.
#[derive(Clone, Debug)]
pub(super) struct PipelineLoads {
    pipeline: Pipeline,
    op: CollectiveOp,
    group: GroupLayout,
    groups: Groups,
    protocol: Protocol,
    /// Rate of a port inside a domain.
    port: Bandwidth,
    /// Rate between two GPUs of a domain, where each message keeps to the links between its ends.
    pair: Option<Bandwidth>,
    /// Rate of all NICs of a domain.
    domain_nics: Bandwidth,
    /// NICs of a domain that are distinguished.
    nics: u32,
    passes: Vec<PassLoads>,
    /// Time that the busiest links take for a chunk of one byte that passes all stages.
    busy: Busy,
    /// Latencies of the slowest chain of hand-overs on links without a protocol.
    chain: Seconds,
}

/// Rounds of a pass.
#[derive(Clone, Debug)]
struct PassLoads {
    /// Fill rounds: round `i` has `i + 1` active stages.
    joining: Vec<RoundLoad>,
    /// Drain rounds, from the last stage backwards.
    leaving: Vec<RoundLoad>,
    /// Rounds of some stages in the middle, by the first and the one past the last; found when asked
    /// for.
    middle: Memo<(u32, u32), RoundLoad, 65_536>,
}

/// Representative groups, and how many alike each stands for on the NICs.
#[derive(Clone, Debug)]
struct Groups {
    bases: Vec<u32>,
    stride: u32,
    alike: f64,
}

impl Groups {
    /// One group where they stay in their domains, one of those that share the NICs of the same
    /// domains, and all where they lie differently.
    fn of(group: &Group<'_>, each_sends_alone: bool) -> Self {
        let (job, pattern, shape) = (group.job, group.pattern, group.shape);
        let all = whole_bases(pattern, job.gpus);
        let (bases, alike) = if !group.crosses() {
            (all.take(1).collect(), 1.0)
        } else if !each_sends_alone && job.contention.is_regular(pattern, shape) {
            let alike = shape.sharing.unwrap_or(1);
            let first = all.filter(|base| base % alike == 0);
            (first.collect(), f64::from(alike))
        } else {
            (all.collect(), 1.0)
        };
        Self {
            bases,
            stride: pattern.stride,
            alike,
        }
    }
}

impl PipelineLoads {
    /// Loads of a pipeline when all groups run it at once. With `each_sends_alone` every rank keeps to
    /// its own NIC, at the rate of pairwise traffic.
    pub(super) fn of(
        group: &Group<'_>,
        layout: GroupLayout,
        pipeline: Pipeline,
        protocol: Protocol,
        each_sends_alone: bool,
    ) -> Self {
        let (job, fabric) = (group.job, &group.job.cluster.fabric);
        let (efficiency, nics) = if each_sends_alone {
            (fabric.scattered_efficiency, job.nics())
        } else {
            (fabric.efficiency, 1)
        };
        let mut loads = Self {
            pipeline,
            op: group.op,
            group: layout,
            groups: Groups::of(group, each_sends_alone),
            protocol,
            port: group.intra,
            pair: group.job.pair_rate().filter(|_| each_sends_alone),
            domain_nics: job.domain_rate() * efficiency,
            nics,
            passes: Vec::new(),
            busy: Busy::default(),
            chain: Seconds::ZERO,
        };
        loads.chain = loads.slowest_chain(job);
        let mut all = ActiveStages::none(job, &loads);
        for stage in loads.pipeline.passes.iter().flatten() {
            all.add(stage);
        }
        let busy = all.bottleneck.busy;
        let passes = loads.pipeline.passes.iter();
        loads.passes = passes.map(|stages| loads.pass(job, stages)).collect();
        loads.busy = busy;
        loads
    }

    /// As long as stages only join, the busiest link is found on the way.
    fn pass(&self, job: &Job, stages: &[Vec<Transfer>]) -> PassLoads {
        let mut joining = ActiveStages::none(job, self);
        let mut leaving = ActiveStages::none(job, self);
        let (forwards, backwards) = (stages.iter(), stages.iter().rev());
        PassLoads {
            joining: forwards.map(|stage| joining.add(stage)).collect(),
            leaving: backwards.map(|stage| leaving.add(stage)).collect(),
            middle: Memo::default(),
        }
    }

    /// Cost for the groups' buffers.
    pub(super) fn cost(&mut self, group: &Group<'_>) -> Cost {
        if self.protocol == Protocol::Ideal {
            let busy = self.busy.map(|time| time * self.chunk(group, 1).get());
            Cost {
                latency: self.chain,
                transfer: busy.scale_up.max(busy.scale_out),
                busy: Some(busy),
            }
        } else {
            self.in_rounds(group)
        }
    }

    /// Cost in rounds that wait for one another, with the number of chunks that is fastest.
    pub(super) fn in_rounds(&mut self, group: &Group<'_>) -> Cost {
        let latency = group.round_latency(self.protocol);
        let chunks = self.best_chunks(group, latency);
        let passed = self.chunk(group, chunks).get() * f64::from(chunks);
        let [latency, transfer] = self.seconds(group, latency, chunks);
        Cost {
            latency,
            transfer,
            busy: Some(self.busy.map(|time| time * passed)),
        }
    }

    /// The slowest chain of hand-overs of a chunk in any group: half a message's way to a switch that
    /// reduces, and half from it.
    fn slowest_chain(&self, job: &Job) -> Seconds {
        let lanes = self.pipeline.lanes as usize;
        let places = (self.group.ranks + self.pipeline.switches) as usize * lanes;
        let mut slowest = Seconds::ZERO;
        let mut arrivals = Vec::new();
        for &base in &self.groups.bases {
            let mut ready = vec![Seconds::ZERO; places];
            for stage in self.pipeline.passes.iter().flatten() {
                arrivals.clear();
                for hop in stage {
                    let at = |vertex: u32| vertex as usize * lanes + hop.chunk as usize;
                    let [from, to] = [hop.from, hop.to].map(|vertex| self.place(job, base, vertex));
                    let arrival = ready[at(hop.from)] + message_latency(job, from, to);
                    arrivals.push((at(hop.to), arrival));
                }
                for &(place, arrival) in &arrivals {
                    ready[place] = ready[place].max(arrival);
                }
            }
            slowest = ready.into_iter().fold(slowest, Seconds::max);
        }
        slowest
    }

    /// Where a vertex of the pipeline lies in the group that begins at `base`.
    fn place(&self, job: &Job, base: u32, vertex: u32) -> Place {
        let GroupLayout { ranks, members, .. } = self.group;
        let gpu = |rank: u32| base + rank * self.groups.stride;
        if vertex < ranks {
            Place::Gpu(gpu(vertex))
        } else if vertex < ranks + ranks / members {
            Place::Domain(gpu((vertex - ranks) * members) / job.per_domain)
        } else {
            Place::Fabric
        }
    }

    /// The group as the schedule of these rounds takes it.
    #[cfg(test)]
    pub(super) fn layout(&mut self, group: &Group<'_>) -> GroupLayout {
        let latency = group.round_latency(self.protocol);
        GroupLayout {
            chunks: self.best_chunks(group, latency),
            ..self.group
        }
    }

    /// Latency and transfer of all rounds with so many chunks.
    fn seconds(&mut self, group: &Group<'_>, latency: RoundLatency, chunks: u32) -> [Seconds; 2] {
        let (mut waited, mut transfer) = (Seconds::ZERO, Seconds::ZERO);
        let chunk = self.chunk(group, chunks);
        for pass in 0..self.passes.len() {
            self.each_round(group.job, pass, chunks, |load, times| {
                waited += load.latency(latency) * times;
                transfer += load.transfer(chunk).whole_picos() * times;
            });
        }
        [waited, transfer]
    }

    /// The number of chunks that balances their latencies against the filling of the stages.
    fn best_chunks(&mut self, group: &Group<'_>, latency: RoundLatency) -> u32 {
        if let Some(chunks) = self.pipeline.chunks {
            return chunks;
        }
        let mut fastest = (1, f64::INFINITY);
        for chunks in CHUNKS {
            let [latency, transfer] = self.seconds(group, latency, chunks);
            let took = (latency + transfer).get();
            if took < fastest.1 {
                fastest = (chunks, took);
            }
        }
        fastest.0
    }

    /// Size of one chunk.
    fn chunk(&self, group: &Group<'_>, chunks: u32) -> Volume {
        let all = self.pipeline.lanes * chunks;
        group.buffer() * chunk_of_buffer(self.op, self.group.ranks, all)
    }

    /// Calls `take` with the load of every round of a pass, and how many rounds in a row have it.
    fn each_round(
        &mut self,
        job: &Job,
        pass: usize,
        chunks: u32,
        mut take: impl FnMut(RoundLoad, f64),
    ) {
        let loads = &self.passes[pass];
        let count = loads.joining.len() as u32;
        // Rounds that begin with stage 0: one more stage joins in each.
        for load in &loads.joining[..chunks.min(count) as usize] {
            take(*load, 1.0);
        }
        if let Some(all) = loads.joining.last()
            && chunks > count
        {
            take(*all, f64::from(chunks - count));
        }
        for round in chunks..count {
            take(self.middle(job, pass, stages_of(round, count, chunks)), 1.0);
        }
        // The last rounds: one stage less in each.
        let rest = rounds_of(count, chunks) - count.max(chunks);
        let leaving = &self.passes[pass].leaving;
        for load in leaving[..rest as usize].iter().rev() {
            take(*load, 1.0);
        }
    }

    /// The load of stages in the middle of a pass.
    fn middle(&mut self, job: &Job, pass: usize, active: Range<u32>) -> RoundLoad {
        let key = (active.start, active.end);
        if let Some(load) = self.passes[pass].middle.get(&key) {
            return *load;
        }
        let mut loads = ActiveStages::none(job, self);
        for stage in &self.pipeline.passes[pass][active.start as usize..active.end as usize] {
            loads.add(stage);
        }
        let found = loads.bottleneck.round;
        self.passes[pass].middle.insert(key, found);
        found
    }

    fn rate(&self, kind: LinkKind) -> Bandwidth {
        match kind {
            LinkKind::Port => self.port,
            LinkKind::Pair => self.pair.unwrap_or(self.port),
            LinkKind::Nic => self.domain_nics / f64::from(self.nics),
            LinkKind::Fabric(capacity) => self.domain_nics * capacity,
        }
    }
}

/// Chunks on every link while stages join, and the bottleneck so far.
struct ActiveStages<'a> {
    job: &'a Job,
    of: &'a PipelineLoads,
    links: Links<'a>,
    bottleneck: Bottleneck,
}

/// The busiest link of those that chunks were put on.
struct Bottleneck {
    loads: Loads,
    round: RoundLoad,
    /// Time of the busiest links for a chunk of one byte.
    busy: Busy,
}

impl Bottleneck {
    fn load(&mut self, link: usize, kind: LinkKind, chunks: f64, rate: Bandwidth) {
        let load = self.loads.add(link, chunks);
        let each = rate / load;
        self.round.rate = Some(self.round.rate.map_or(each, |least| least.min(each)));
        let busy = match kind {
            LinkKind::Port | LinkKind::Pair => &mut self.busy.scale_up,
            LinkKind::Nic | LinkKind::Fabric(_) => &mut self.busy.scale_out,
        };
        *busy = busy.max(Seconds::new(load / rate.as_bytes_per_s()));
    }
}

/// Latency of a message from NIC to NIC or inside a domain; half of it to or from a switch that reduces.
fn message_latency(job: &Job, from: Place, to: Place) -> Seconds {
    let domain = |place: Place| match place {
        Place::Gpu(rank) => Some(rank / job.per_domain),
        Place::Domain(domain) => Some(domain),
        Place::Fabric => None,
    };
    match (domain(from), domain(to)) {
        (Some(source), Some(goal)) if source != goal => {
            job.contention.latency_between(source, goal)
        }
        (Some(_), Some(_)) => {
            let whole = Seconds::from(job.cluster.scale_up.latency);
            let is_gpu = |place| matches!(place, Place::Gpu(_));
            if is_gpu(from) && is_gpu(to) {
                whole
            } else {
                whole / 2.0
            }
        }
        _ => Seconds::from(job.cluster.fabric.latency) / 2.0,
    }
}

/// Leaf switches that reduce for a group: whether it has several, and the last one that was counted.
struct Leaves {
    several: bool,
    last: Option<u32>,
}

impl<'a> ActiveStages<'a> {
    fn none(job: &'a Job, of: &'a PipelineLoads) -> Self {
        let links = Links::new(job, of.nics, of.pair.is_some());
        Self {
            job,
            of,
            bottleneck: Bottleneck {
                loads: Loads::none(&links),
                round: RoundLoad::IDLE,
                busy: Busy::default(),
            },
            links,
        }
    }

    /// The load once another stage has joined.
    fn add(&mut self, stage: &[Transfer]) -> RoundLoad {
        let of = self.of;
        let (ranks, stride) = (of.group.ranks, of.groups.stride);
        let per_domain = self.job.per_domain;
        for &base in &of.groups.bases {
            let domain_of = |rank: u32| (base + rank * stride) / per_domain;
            let leaf = |rank: u32| {
                let topology = self.job.contention.topology()?;
                Some(topology.leaf(domain_of(rank))?.number)
            };
            let mut leaves = Leaves {
                several: leaf(0) != leaf(ranks - 1),
                last: None,
            };
            for hop in stage {
                let [from, to] = [hop.from, hop.to].map(|vertex| of.place(self.job, base, vertex));
                self.hop(from, to, &mut leaves);
            }
        }
        self.bottleneck.round
    }

    fn hop(&mut self, from: Place, to: Place, leaves: &mut Leaves) {
        let (source, goal) = (self.links.domain(from), self.links.domain(to));
        let leaf_link = self.leaf_link(source, goal, leaves);
        let Self {
            of,
            links,
            bottleneck,
            job,
        } = self;
        let amount = if source == goal { 1.0 } else { of.groups.alike };
        let mut load = |link: usize, share: f64| {
            let kind = links.kind(link);
            bottleneck.load(link, kind, amount * share, of.rate(kind));
        };
        links.crossed(from, to, &mut load);
        if let Some(link) = leaf_link {
            load(link, 1.0);
        }
        if source != goal {
            let latency = source.zip(goal).map_or_else(
                || {
                    let up = job.cluster.fabric.latency.into();
                    job.round_latency(of.protocol, up).across
                },
                |ends| job.slowest_message([ends], of.protocol),
            );
            let round = &mut bottleneck.round;
            round.across = Some(round.across.map_or(latency, |slowest| slowest.max(latency)));
        }
    }

    /// The link above a leaf: a leaf sums what comes from below and hands one chunk on, or the reverse.
    fn leaf_link(
        &self,
        source: Option<u32>,
        goal: Option<u32>,
        leaves: &mut Leaves,
    ) -> Option<usize> {
        let (below, goes_up) = match (source, goal) {
            (Some(below), None) => (below, true),
            (None, Some(below)) => (below, false),
            (Some(_), Some(_)) | (None, None) => return None,
        };
        let leaf = self.job.contention.topology()?.leaf(below)?;
        let is_new = leaves.several && leaves.last.replace(leaf.number) != Some(leaf.number);
        let link = if goes_up { leaf.up } else { leaf.down };
        is_new.then(|| self.links.fabric(link))
    }
}
