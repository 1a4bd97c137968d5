//! What the messages of a schedule put on every link of a job, round by round.

use std::collections::BTreeMap;

use crate::collective::network::Network;
use crate::collective::placement::GroupPattern;
use crate::collective::schedule::{Schedule, Transfer};
use crate::hardware::ScaleUpKind;

/// One round of all groups at once; times are seconds per byte of a piece, at the rates that large
/// messages reach.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct RoundLoad {
    /// Of the busiest link inside the domains.
    pub(super) inside: f64,
    /// Of the busiest NIC or link between them.
    pub(super) across: f64,
    /// Most peers in other domains that one rank sends to.
    pub(super) remote_peers: u32,
    /// Whether a message stays inside a domain.
    pub(super) stays: bool,
}

/// All rounds, and what the links see over all of them.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct ScheduleLoads {
    pub(super) rounds: Vec<RoundLoad>,
    /// Of the link inside a domain that is busiest over all rounds, in seconds per byte of a piece.
    pub(super) inside: f64,
    /// The same for NICs and links between domains.
    pub(super) across: f64,
    /// Pieces that one rank sends on average inside its domain and out of it.
    pub(super) sent: [f64; 2],
}

/// The links of a job in one row: what each GPU sends and receives inside its domain, each pair of
/// GPUs that share a link of their own, what each NIC sends and receives, then the fabric's links.
struct Links<'a> {
    network: &'a Network,
    /// NICs of a domain, or GPUs where each has several NICs.
    nics: u32,
    /// Seconds per byte of each class.
    gpu: f64,
    pair: Option<f64>,
    nic: f64,
    scattered: f64,
}

impl<'a> Links<'a> {
    fn of(network: &'a Network) -> Self {
        let cluster = &network.cluster;
        let full = cluster.scale_up.bandwidth.as_bytes_per_s() * cluster.scale_up.efficiency;
        let links = match cluster.scale_up.kind {
            ScaleUpKind::NvSwitch | ScaleUpKind::Pcie | ScaleUpKind::Ici => None,
            ScaleUpKind::NvLinkMesh | ScaleUpKind::XgmiMesh => {
                Some(f64::from(cluster.domain_gpus.max(2) - 1))
            }
            // Two GPUs that are joined share one of the six links of each.
            ScaleUpKind::HybridCubeMesh => Some(6.0),
        };
        let line = network.domain_rate();
        let nics = network.nics();
        let each = line / f64::from(nics);
        Self {
            network,
            nics,
            gpu: 1.0 / full,
            pair: links.map(|links| links / full),
            nic: 1.0 / (each * cluster.fabric.efficiency),
            scattered: 1.0 / (each * cluster.fabric.scattered_efficiency),
        }
    }

    fn ranks(&self) -> usize {
        self.network.gpus as usize
    }

    fn pairs(&self) -> usize {
        if self.pair.is_some() {
            self.ranks() * self.network.per_domain as usize
        } else {
            0
        }
    }

    fn nic_count(&self) -> usize {
        (self.network.gpus.div_ceil(self.network.per_domain) * self.nics) as usize
    }

    /// Places of the first pair, the first NIC, and the first link of the fabric.
    fn bases(&self) -> [usize; 3] {
        let pair = 2 * self.ranks();
        let nic = pair + self.pairs();
        [pair, nic, nic + 2 * self.nic_count()]
    }

    fn len(&self) -> usize {
        let fabric = self.network.contention.topology();
        let links = fabric.map_or(0, |topology| topology.graph().links().len());
        self.bases()[2] + links
    }

    /// Adds pieces to every link that they cross.
    fn add(&self, from: u32, to: u32, pieces: f64, loads: &mut Loads) {
        let per_domain = self.network.per_domain;
        let [pair, nic, fabric] = self.bases();
        let (here, there) = (from / per_domain, to / per_domain);
        if here == there {
            loads.add(from as usize, pieces);
            loads.add(self.ranks() + to as usize, pieces);
            if self.pair.is_some() {
                let place = from * per_domain + to % per_domain;
                loads.add(pair + place as usize, pieces);
            }
            return;
        }
        loads.add(nic + self.network.nic_of(from) as usize, pieces);
        loads.add(
            nic + self.nic_count() + self.network.nic_of(to) as usize,
            pieces,
        );
        if let Some(topology) = self.network.contention.topology() {
            topology.route(here, there, &mut |link, share| {
                loads.add(fabric + link as usize, pieces * share);
            });
        }
    }

    /// Seconds that a piece of one byte takes on a link.
    fn secs(&self, place: usize, scattered: bool) -> f64 {
        let [pair, nic, fabric] = self.bases();
        let outside = if scattered { self.scattered } else { self.nic };
        if place < pair {
            self.gpu
        } else if place < nic {
            self.pair.unwrap_or(0.0)
        } else if place < fabric {
            outside
        } else {
            // A capacity of 1 is all NICs of a domain together.
            let topology = self.network.contention.topology();
            let capacity = topology.map_or(1.0, |topology| {
                topology.graph().links()[place - fabric].capacity
            });
            outside / f64::from(self.nics) / capacity
        }
    }
}

/// Pieces on each link, with the places that are not empty.
struct Loads {
    pieces: Vec<f64>,
    touched: Vec<usize>,
}

impl Loads {
    fn add(&mut self, place: usize, pieces: f64) {
        if self.pieces[place] == 0.0 {
            self.touched.push(place);
        }
        self.pieces[place] += pieces;
    }
}

/// First ranks of the groups of a pattern that lie in a job as a whole.
pub(super) fn bases(groups: GroupPattern, gpus: u32) -> impl Iterator<Item = u32> {
    let span = (groups.size * groups.stride).max(1);
    (0..gpus / span).flat_map(move |block| {
        let first = block * span;
        first..first + groups.stride
    })
}

/// Pieces between each two positions in a round.
fn messages(round: &[Transfer]) -> BTreeMap<(u32, u32), f64> {
    let mut messages = BTreeMap::new();
    for transfer in round {
        *messages.entry((transfer.from, transfer.to)).or_insert(0.0) += 1.0;
    }
    messages
}

impl ScheduleLoads {
    /// What a schedule puts on the links when all groups of a pattern carry it out at once.
    pub(super) fn of(network: &Network, schedule: &Schedule, groups: GroupPattern) -> Self {
        let links = Links::of(network);
        let mut loads = Loads {
            pieces: vec![0.0; links.len()],
            touched: Vec::new(),
        };
        let mut totals = vec![0.0; links.len()];
        let mut found = Self::default();
        let first_nic = links.bases()[1];
        for round in &schedule.rounds {
            let mut load = found.round(&links, groups, &messages(round), &mut loads);
            let scattered = load.remote_peers > 1;
            for place in loads.touched.drain(..) {
                let pieces = std::mem::take(&mut loads.pieces[place]);
                let secs = pieces * links.secs(place, scattered);
                totals[place] += secs;
                let class = if place < first_nic {
                    &mut load.inside
                } else {
                    &mut load.across
                };
                *class = class.max(secs);
            }
            found.rounds.push(load);
        }
        let busiest = |secs: &[f64]| secs.iter().copied().fold(0.0, f64::max);
        found.inside = busiest(&totals[..first_nic]);
        found.across = busiest(&totals[first_nic..]);
        found.sent = found.sent.map(|pieces| pieces / f64::from(network.gpus));
        found
    }

    /// Puts one round on the links, and tells what kinds of messages it has.
    fn round(
        &mut self,
        links: &Links<'_>,
        groups: GroupPattern,
        messages: &BTreeMap<(u32, u32), f64>,
        loads: &mut Loads,
    ) -> RoundLoad {
        let mut load = RoundLoad::default();
        let per_domain = links.network.per_domain;
        for base in bases(groups, links.network.gpus) {
            let (mut sender, mut peers) = (u32::MAX, 0);
            for (&(from, to), &pieces) in messages {
                let [from, to] = [from, to].map(|position| base + position * groups.stride);
                links.add(from, to, pieces, loads);
                let stays = from / per_domain == to / per_domain;
                self.sent[usize::from(!stays)] += pieces;
                load.stays |= stays;
                if from != sender {
                    (sender, peers) = (from, 0);
                }
                peers += u32::from(!stays);
                load.remote_peers = load.remote_peers.max(peers);
            }
        }
        load
    }
}
