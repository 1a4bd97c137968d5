//! The ways a library can carry a collective: what NCCL itself estimates for each, and what each
//! takes on the links of a job.

use crate::collective::library::{self, Generation, LatencyTable};
use crate::collective::placement::GroupShape;
use crate::collective::{CollectiveAlgorithm, CollectiveOp, CollectiveRequest, Protocol};
use crate::hardware::{Cluster, ScaleUpKind};

/// Rates in bytes per second that one group can use.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rates {
    /// Of one GPU inside its domain, for rings that stay there.
    pub(super) intra: f64,
    /// Of one GPU inside its domain, for rings that pass through it.
    pub(super) through: f64,
    /// Of all members in one domain together towards other domains.
    pub(super) inter: f64,
    /// The same for pairwise traffic.
    pub(super) scattered: f64,
}

/// One way and its price in seconds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Way {
    pub(super) algorithm: CollectiveAlgorithm,
    pub(super) protocol: Protocol,
    /// What no bandwidth helps.
    pub(super) latency: f64,
    /// Bytes over rates, pipeline fill included.
    pub(super) transfer: f64,
    /// Time for which the busiest link inside a domain and between domains is busy, where that is
    /// known; else all links are taken to be alike.
    pub(super) busy: Option<[f64; 2]>,
}

impl Way {
    /// Latency and transfer together.
    pub(super) fn total(&self) -> f64 {
        self.latency + self.transfer
    }
}

/// Growth of the latency of LL messages between domains once they no longer fit one slot: they
/// go in several sends from 1 KiB on, and by 32 KiB cost 1.6 times as much.
const SLOTS_GROWTH: f64 = 0.6;
const SLOTS_DOUBLINGS: f64 = 5.0;

pub(super) fn slots(bytes: u64) -> f64 {
    let doublings = libm::log2(bytes.max(1) as f64 / 1024.0);
    1.0 + SLOTS_GROWTH * (doublings / SLOTS_DOUBLINGS).clamp(0.0, 1.0)
}

/// Bytes at which half of the window between two domains is filled, and its depth in round trips
/// of the network plugin.
const WINDOW_BYTES: f64 = 8e6;
const WINDOW_TRIPS: f64 = 12.0;

/// Fill of the window of a network plugin of this latency between domains, in seconds.
pub(super) fn window(bytes: f64, plugin: f64) -> f64 {
    WINDOW_TRIPS * plugin * bytes / (bytes + WINDOW_BYTES)
}

/// Time that the lines of an LL message add to each hop inside a domain once they keep all threads
/// busy, in microseconds: none at 64 bytes, all of it from 32 KiB on; fitted to 8-GPU rings of H100
/// and V100 and to trees of two and four H100 nodes, whose small messages grow alike per hop.
const LL_LINES: f64 = 0.18;

pub(super) fn lines(protocol: Protocol, bytes: u64) -> f64 {
    match protocol {
        Protocol::Ll => LL_LINES * (libm::log2(bytes.max(1) as f64 / 64.0) / 9.0).clamp(0.0, 1.0),
        Protocol::Ll128 | Protocol::Simple | Protocol::Ideal => 0.0,
    }
}

/// Time that a channel of NVLS synchronises with the switch for one piece, in seconds; fitted to
/// 8 × H100, whose bus bandwidth falls from 478 to 455, 390 and 300 GB/s as pieces shrink from 128 to
/// 64, 32 and 16 KiB.
const NVLS_SYNCHRONISATION: f64 = 4.8e-6;

/// Share of their slower stage that reductions in NVLink and InfiniBand switches together reach.
const SHARP_SHARE: f64 = 0.77;

/// Share of the rate of NVLS inside a domain that it keeps while a tree carries it on between domains.
const NVLS_TREE_SHARE: f64 = 0.95;

/// Share of its volume bound that a tree over three and more domains reaches: each of its inner
/// vertices receives from two children what it sends to one parent.
const DEEP_TREE: f64 = 0.5;

/// Every constant above that was fitted to measured collectives instead of taken from a library's
/// source or read off a measurement of itself: its name and value.
pub const FITTED: &[(&str, f64)] = &[
    ("slots_growth", SLOTS_GROWTH),
    ("slots_doublings", SLOTS_DOUBLINGS),
    ("window_bytes", WINDOW_BYTES),
    ("window_trips", WINDOW_TRIPS),
    ("ll_lines_us", LL_LINES),
    ("nvls_synchronisation_s", NVLS_SYNCHRONISATION),
    ("nvls_tree_share", NVLS_TREE_SHARE),
    ("sharp_share", SHARP_SHARE),
    ("deep_tree", DEEP_TREE),
];

/// Everything that the price of a way depends on.
pub(super) struct Pricing<'a> {
    pub(super) cluster: &'a Cluster,
    pub(super) request: &'a CollectiveRequest,
    pub(super) shape: GroupShape,
    pub(super) rates: Rates,
}

/// Rounds of a ring, how many of them leave a domain, and bytes per rank over the size.
struct RingWork {
    steps: f64,
    crossings: f64,
    moved: f64,
}

impl Pricing<'_> {
    fn generation(&self) -> &'static Generation {
        library::generation(self.cluster.library)
    }

    fn bytes(&self) -> f64 {
        self.request.bytes.as_f64()
    }

    /// Column of the ceilings: one domain, two, more.
    fn column(&self) -> usize {
        (self.shape.domains.clamp(1, 3) - 1) as usize
    }

    fn depth(&self) -> f64 {
        f64::from(self.shape.domains.ilog2())
    }

    fn crosses(&self) -> bool {
        self.shape.domains > 1
    }

    fn plugin(&self) -> f64 {
        self.cluster.fabric.plugin_latency.as_secs_f64() * 1e6
    }

    fn hop(&self, table: &LatencyTable, protocol: usize) -> f64 {
        match self.cluster.scale_up.kind {
            ScaleUpKind::Pcie => table.pcie[protocol],
            ScaleUpKind::NvSwitch
            | ScaleUpKind::NvLinkMesh
            | ScaleUpKind::HybridCubeMesh
            | ScaleUpKind::XgmiMesh
            | ScaleUpKind::Ici => table.nvlink[protocol],
        }
    }

    fn ring_work(&self) -> RingWork {
        let (n, domains) = (f64::from(self.shape.ranks), f64::from(self.shape.domains));
        match self.request.op {
            CollectiveOp::AllReduce => RingWork {
                steps: 2.0 * (n - 1.0),
                crossings: 2.0 * (domains - 1.0),
                moved: 2.0 * (n - 1.0) / n,
            },
            CollectiveOp::Broadcast => RingWork {
                steps: n - 1.0,
                crossings: domains - 1.0,
                moved: 1.0,
            },
            CollectiveOp::AllGather
            | CollectiveOp::ReduceScatter
            | CollectiveOp::AllToAll
            | CollectiveOp::SendRecv => RingWork {
                steps: n - 1.0,
                crossings: domains - 1.0,
                moved: (n - 1.0) / n,
            },
        }
    }

    /// Rate of a ring: inside the domain, or the slower of passing through it and leaving it.
    fn ring_rate(&self) -> f64 {
        match (self.crosses(), self.shape.members) {
            (false, _) => self.rates.intra,
            (true, 1) => self.rates.inter,
            (true, _) => self.rates.through.min(self.rates.inter),
        }
    }

    /// Fill of the window of the network plugin, in seconds.
    fn window(&self) -> f64 {
        if self.crosses() {
            window(self.bytes(), self.plugin() * 1e-6)
        } else {
            0.0
        }
    }

    /// A transfer of so many seconds whose messages of `message` bytes cross between domains
    /// `crossings` times one after another.
    ///
    /// Messages that need a rendezvous hide it behind those under way, once there are many: the
    /// larger of both decides, and the change between them is smooth (root of the squares).
    fn across(&self, transfer: f64, message: f64, crossings: f64) -> f64 {
        let agreed = self
            .cluster
            .fabric
            .rendezvous
            .filter(|class| self.crosses() && message >= class.limit.as_f64());
        let rendezvous = agreed.map_or(0.0, |class| class.cost.as_secs_f64() * crossings);
        libm::hypot(transfer, rendezvous) + self.window()
    }

    /// Time that a rank's plugin needs for one of its many messages of a size, in seconds.
    pub(super) fn message_overhead(&self, message: f64) -> f64 {
        let fabric = &self.cluster.fabric;
        let short = fabric
            .short_messages
            .filter(|class| message <= class.limit.as_f64());
        let cost = short.map_or(fabric.message_overhead, |class| class.cost);
        cost.as_secs_f64()
    }

    /// A ring on this job's links.
    pub(super) fn ring(&self, protocol: Protocol) -> Way {
        let p = library::row(protocol);
        let work = self.ring_work();
        // No protocol hands on faster than LL does.
        let step = match protocol {
            Protocol::Ll => self.generation().ring_step + lines(protocol, self.request.bytes.get()),
            Protocol::Ll128 | Protocol::Simple | Protocol::Ideal => {
                self.hop(&library::RING, p).max(self.generation().ring_step)
            }
        };
        let step = if self.crosses() {
            step.max(library::NET_OVERHEAD[p])
        } else {
            step
        };
        let (flush, growth) = match protocol {
            Protocol::Ll => (1.0, slots(self.request.bytes.get())),
            Protocol::Ll128 => (1.0, 1.0),
            Protocol::Simple | Protocol::Ideal => (2.0, 1.0),
        };
        let crossing = (self.ring_network(p) + self.plugin() * flush) * growth;
        let latency = library::RING.base[p]
            + (work.steps - work.crossings) * step
            + work.crossings * crossing;
        let rate = self.capped_ring(protocol, self.ring_rate());
        Way {
            algorithm: CollectiveAlgorithm::Ring,
            protocol,
            latency: latency * 1e-6,
            transfer: self.across(
                self.bytes() * work.moved / rate,
                self.bytes() / f64::from(self.shape.ranks),
                work.crossings,
            ),
            busy: None,
        }
    }

    /// NCCL takes the tree's network latency where a node holds one rank.
    fn ring_network(&self, protocol: usize) -> f64 {
        if self.shape.members == 1 {
            library::TREE.network[protocol]
        } else {
            library::RING.network[protocol]
        }
    }

    fn capped_ring(&self, protocol: Protocol, rate: f64) -> f64 {
        match protocol {
            Protocol::Ll => (rate / 2.0).min(self.generation().ll[self.column()] * 1e9),
            Protocol::Ll128 => rate * 0.92,
            Protocol::Simple | Protocol::Ideal => rate,
        }
    }

    fn capped_tree(&self, protocol: Protocol, full: f64, channels: f64) -> f64 {
        let (generation, column) = (self.generation(), self.column());
        let rate = match protocol {
            Protocol::Ll => (full / 3.8).min(generation.ll[column] * 1e9),
            Protocol::Ll128 => {
                let share = if self.crosses() {
                    120.0 / 128.0
                } else {
                    7.0 / 9.0
                };
                (full * share).min(channels * generation.tree_ll128[column] * 1e9)
            }
            Protocol::Simple | Protocol::Ideal => full,
        };
        rate * library::tree_correction(library::row(protocol), self.request.bytes.get())
    }

    /// NCCL's tree on this job's links: a chain inside each domain, a double binary tree between.
    ///
    /// Between two domains it moves each byte once per direction, a ring twice: its bus bandwidth
    /// may be twice the NICs' rate.
    pub(super) fn tree(&self, protocol: Protocol) -> Way {
        let p = library::row(protocol);
        let flush = match protocol {
            Protocol::Ll | Protocol::Ll128 => 1.0,
            Protocol::Simple | Protocol::Ideal => 2.0,
        };
        let growth = match protocol {
            Protocol::Ll => slots(self.request.bytes.get()),
            Protocol::Ll128 | Protocol::Simple | Protocol::Ideal => 1.0,
        };
        let network = (library::TREE.network[p] + self.plugin() * flush) * growth;
        let hop = self.hop(&library::TREE, p) + lines(protocol, self.request.bytes.get());
        let chain = f64::from(self.shape.members - 1) * hop;
        let latency = library::TREE.base[p] + 2.0 * (chain + self.depth() * network);
        let links = match self.shape.domains {
            1 => self.rates.intra,
            2 => self.through().min(self.rates.inter * 2.0),
            _ => self.through().min(self.rates.inter * DEEP_TREE),
        };
        let channels = self.tree_channels();
        let ceiling = channels * self.generation().tree[self.column()] * 1e9;
        let rate = self.capped_tree(protocol, (0.92 * links).min(ceiling), channels);
        Way {
            algorithm: CollectiveAlgorithm::DoubleBinaryTree,
            protocol,
            latency: latency * 1e-6,
            transfer: self.across(
                self.bytes() * 2.0 / rate,
                self.bytes() / library::TREE_CHANNELS,
                2.0 * self.depth(),
            ),
            busy: None,
        }
    }

    fn through(&self) -> f64 {
        if self.shape.members > 1 {
            self.rates.through
        } else {
            f64::INFINITY
        }
    }

    fn tree_channels(&self) -> f64 {
        if self.crosses() {
            library::TREE_CHANNELS
        } else {
            f64::from(self.generation().channels[0].max(1))
        }
    }

    /// Whether switches can reduce for this group: NCCL leaves NVLS to rings up to five members.
    pub(super) fn has_nvls(&self) -> bool {
        self.cluster.scale_up.in_network_reduction
            && self.generation().nvls > 0.0
            && self.shape.members > 5
    }

    /// Reduction in NVLink switches, between domains by InfiniBand switches or a tree.
    ///
    /// `t = latency + bytes / rate + f · parallel · piece / rate`: pieces move through the stages one
    /// behind the other, and the last one waits for `f` of them, one for the way back from the
    /// switch, or one at each hop of the tree up and down.
    pub(super) fn nvls(&self) -> Way {
        let m = f64::from(self.shape.members);
        let generation = self.generation();
        let parallel = generation.nvls_channels * m;
        let sharp = self.crosses() && self.cluster.fabric.in_network_reduction;
        let (latency, piece, held_back) = if sharp {
            let latency = library::NVLS_INTRA + library::NVLS_NETWORK + self.plugin();
            let piece = library::nvls_piece(generation.nvls_piece, parallel, self.bytes());
            (latency, piece, 2.0)
        } else if self.crosses() {
            let hops = 2.0 * self.depth();
            let latency = library::NVLS_INTRA + hops * (library::NVLS_TREE_NETWORK + self.plugin());
            let piece = library::nvls_tree_piece(self.shape.domains, parallel, self.bytes());
            (latency, piece, hops)
        } else {
            let piece = library::nvls_piece(generation.nvls_piece, parallel, self.bytes());
            (library::NVLS_INTRA, piece, 1.0)
        };
        let inside = self.nvls_rate(piece, parallel);
        let rate = match (self.crosses(), sharp, self.shape.domains) {
            (false, _, _) => inside,
            (true, true, _) => inside.min(self.rates.inter) * SHARP_SHARE,
            (true, false, 2) => (inside * NVLS_TREE_SHARE).min(self.rates.inter),
            (true, false, _) => (inside * NVLS_TREE_SHARE).min(self.rates.inter / 2.0),
        };
        let fill = held_back * (parallel * piece).min(self.bytes()) / rate;
        Way {
            algorithm: CollectiveAlgorithm::Nvls,
            protocol: Protocol::Simple,
            latency: latency * 1e-6,
            transfer: self.bytes() / rate + fill + self.window(),
            busy: None,
        }
    }

    /// Bytes of a buffer per second that NVLS reduces inside a domain in pieces of a size.
    fn nvls_rate(&self, piece: f64, parallel: f64) -> f64 {
        let m = f64::from(self.shape.members);
        let generation = self.generation();
        let line = self.cluster.scale_up.bandwidth.as_bytes_per_s();
        let bus = line * generation.nvls_bus * (8.0 / 7.0 * (m - 1.0) / m).min(1.0);
        let whole = bus * m / (2.0 * (m - 1.0));
        let lost = NVLS_SYNCHRONISATION * whole / parallel;
        let busy = |piece: f64| piece / (piece + lost);
        whole * busy(piece) / busy(generation.nvls_piece)
    }

    /// All-gather or reduce-scatter through the switches: one pass, at the rate of the links.
    pub(super) fn nvls_share(&self) -> Way {
        let network = if self.crosses() {
            library::NVLS_NETWORK + self.plugin()
        } else {
            0.0
        };
        Way {
            algorithm: CollectiveAlgorithm::Nvls,
            protocol: Protocol::Simple,
            latency: (library::NVLS_INTRA + network) * 1e-6,
            transfer: self.bytes() * self.ring_work().moved / self.ring_rate() + self.window(),
            busy: None,
        }
    }

    /// Everyone with everyone at once.
    pub(super) fn all_to_all(&self) -> Way {
        let n = f64::from(self.shape.ranks);
        let m = f64::from(self.shape.members);
        let share = self.bytes() / n;
        let inside = share * (m - 1.0) / self.rates.intra;
        let (across, network) = if self.crosses() {
            let rate = self.rates.scattered / m;
            (
                share * (n - m) / rate,
                library::RING.network[2] + self.plugin(),
            )
        } else {
            (0.0, 0.0)
        };
        let overhead = self.message_overhead(share) * (n - m);
        let hops = library::RING.base[2] + network + self.hop(&library::RING, 2);
        Way {
            algorithm: CollectiveAlgorithm::Direct,
            protocol: Protocol::Simple,
            latency: hops * 1e-6 + overhead,
            transfer: inside.max(across),
            busy: None,
        }
    }

    /// One rank to the next: `rate` is what a sender gets.
    pub(super) fn send_recv(&self, rate: f64) -> Way {
        let hop = if self.crosses() {
            library::RING.network[2] + self.plugin()
        } else {
            self.hop(&library::RING, 2)
        };
        Way {
            algorithm: CollectiveAlgorithm::Direct,
            protocol: Protocol::Simple,
            latency: (library::RING.base[2] + hop) * 1e-6,
            transfer: self.bytes() / rate,
            busy: None,
        }
    }

    /// What NCCL believes a way takes, from its own table: it knows neither the plugin's latency
    /// nor other groups on the links.
    pub(super) fn library_estimate(&self, way: &Way) -> f64 {
        let trees = [
            CollectiveAlgorithm::Tree,
            CollectiveAlgorithm::DoubleBinaryTree,
        ];
        if way.algorithm == CollectiveAlgorithm::Ring {
            self.ring_estimate(way.protocol)
        } else if trees.contains(&way.algorithm) {
            self.tree_estimate(way.protocol)
        } else if way.algorithm == CollectiveAlgorithm::Nvls {
            self.nvls_estimate()
        } else {
            way.total()
        }
    }

    fn ring_estimate(&self, protocol: Protocol) -> f64 {
        let p = library::row(protocol);
        let work = self.ring_work();
        let hop = self.hop(&library::RING, p);
        let step = if self.crosses() {
            hop.max(library::NET_OVERHEAD[p])
        } else {
            hop
        };
        let mut latency = library::RING.base[p]
            + (work.steps - work.crossings) * step
            + work.crossings * self.ring_network(p);
        let channels = f64::from(self.generation().channels[1].max(1));
        let long = self.bytes() / (channels * f64::from(self.shape.ranks)) >= 64.0;
        if p == 2 && self.crosses() && self.request.op == CollectiveOp::AllReduce && long {
            latency *= self.generation().plateau;
        }
        let rate = self.capped_ring(protocol, self.ring_rate());
        latency * 1e-6 + self.bytes() * work.moved / rate
    }

    fn tree_estimate(&self, protocol: Protocol) -> f64 {
        let p = library::row(protocol);
        let chain = f64::from(self.shape.members - 1) * self.hop(&library::TREE, p);
        let latency =
            library::TREE.base[p] + 2.0 * (chain + self.depth() * library::TREE.network[p]);
        let channels = self.tree_channels();
        let ceiling = channels * self.generation().tree[self.column()] * 1e9;
        let full = (0.92 * self.ring_rate()).min(ceiling);
        latency * 1e-6 + self.bytes() * 2.0 / self.capped_tree(protocol, full, channels)
    }

    fn nvls_estimate(&self) -> f64 {
        let (n, m) = (f64::from(self.shape.ranks), f64::from(self.shape.members));
        let channels = 16.0;
        let inside = self.rates.intra * self.generation().nvls * (channels - 1.0) / channels;
        let (latency, rate) = if self.crosses() {
            let hops = 2.0 * self.depth() * library::NVLS_TREE_NETWORK;
            let outside = if self.shape.domains == 2 {
                self.rates.inter
            } else {
                self.rates.inter / 2.0
            };
            (hops, inside.min(outside) * n / (n - 1.0))
        } else {
            (0.0, inside * m / (m - 1.0))
        };
        (library::NVLS_INTRA + latency) * 1e-6 + self.bytes() / rate
    }
}
