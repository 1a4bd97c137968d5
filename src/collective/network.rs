//! A job's network, and what a collective costs on it.

use crate::collective::library::{self, ceilings};
use crate::collective::placement::{self, GroupShape};
use crate::collective::{CollectiveAlgorithm, CollectiveOp, Protocol};
use crate::hardware::{Cluster, ScaleUpKind};
use crate::units::{Bytes, SimDuration};

pub use crate::collective::placement::GroupPattern;

/// Why a cluster cannot carry a job.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NetworkFault {
    /// The job has no GPUs.
    #[error("a job needs at least one GPU")]
    Empty,
}

/// Why a collective cannot run on a network.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{sentence}")]
pub struct Unsupported {
    /// The reason, with the request and what would do.
    pub sentence: String,
}

/// A collective of one parallel dimension.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CollectiveRequest {
    /// What the groups do.
    pub op: CollectiveOp,
    /// Size as nccl-tests counts it: the whole buffer of a rank; of all-gather the gathered one, of
    /// reduce-scatter the one before it is scattered.
    pub bytes: Bytes,
    /// The groups, all at once. For send-recv `size` is the number of stages, each sends to the next.
    pub groups: GroupPattern,
    /// Algorithm; `None`: what the library would choose.
    pub algorithm: Option<CollectiveAlgorithm>,
    /// Protocol; `None`: what the library would choose.
    pub protocol: Option<Protocol>,
}

/// Shares of the capacity of each link class that a collective uses while it runs alone, 0–1.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct LinkLoads {
    /// Links inside the scale-up domains.
    pub scale_up: f64,
    /// NICs and the fabric behind them.
    pub scale_out: f64,
}

/// What a collective costs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CollectiveCost {
    /// From the first kernel's start to the last one's end.
    pub time: SimDuration,
    /// Part of the time that no bandwidth helps.
    pub latency: SimDuration,
    /// Algorithm that carried it.
    pub algorithm: CollectiveAlgorithm,
    /// Protocol that carried it.
    pub protocol: Protocol,
    /// Sent per GPU inside the domains.
    pub sent_intra: Bytes,
    /// Sent per GPU between them.
    pub sent_inter: Bytes,
    /// Load of the busiest link against its line rate, 0–1.
    pub link_utilization_max: f64,
    /// Use of each link class.
    pub loads: LinkLoads,
    /// Streaming multiprocessors that the kernel takes.
    pub sms: u32,
}

/// The network of one job: immutable and cheap to make; a cost is a pure function of its inputs.
#[derive(Clone, Debug)]
pub struct Network {
    cluster: Cluster,
    gpus: u32,
    per_domain: u32,
}

/// Rates in bytes per second that a ring through the group can use.
struct Rates {
    intra: f64,
    inter: f64,
    effective: f64,
}

/// A way to carry a collective, with its price.
#[derive(Clone, Copy)]
struct Candidate {
    algorithm: CollectiveAlgorithm,
    protocol: Protocol,
    latency_s: f64,
    transfer_s: f64,
}

impl Network {
    /// The network of a job of `gpus` GPUs on `cluster`.
    ///
    /// # Errors
    /// If the fabric cannot hold the nodes.
    pub fn new(cluster: &Cluster, gpus: u32) -> Result<Self, NetworkFault> {
        if gpus == 0 {
            return Err(NetworkFault::Empty);
        }
        let per_domain = placement::ranks_per_domain(cluster, gpus);
        Ok(Self {
            cluster: cluster.clone(),
            gpus,
            per_domain,
        })
    }

    /// How the groups of a pattern lie over the domains of this job.
    pub fn shape(&self, groups: GroupPattern) -> GroupShape {
        GroupShape::of(groups, self.per_domain, self.gpus)
    }

    /// Time of a collective and its load on the network.
    ///
    /// # Errors
    /// If the algorithm cannot carry the operation, or not on this network.
    pub fn collective(&self, request: &CollectiveRequest) -> Result<CollectiveCost, Unsupported> {
        let shape = self.shape(request.groups);
        if shape.ranks <= 1 {
            return Ok(nothing(request));
        }
        let rates = self.rates(&shape);
        let best = self
            .candidates(request, &shape, &rates)
            .into_iter()
            .filter(|c| {
                request
                    .algorithm
                    .is_none_or(|a| same_library_algorithm(a, c.algorithm))
            })
            .filter(|c| {
                request
                    .protocol
                    .is_none_or(|p| p == c.protocol || p == Protocol::Ideal)
            })
            .min_by(|a, b| (a.latency_s + a.transfer_s).total_cmp(&(b.latency_s + b.transfer_s)));
        let Some(best) = best else {
            return Err(unsupported(request, &shape));
        };
        Ok(self.priced(request, &shape, &rates, best))
    }

    /// Rate of one GPU inside its domain when `members` of a group are there.
    fn intra_rate(&self, members: u32) -> f64 {
        let up = &self.cluster.scale_up;
        let full = up.bandwidth.as_bytes_per_s() * up.efficiency;
        let peers = f64::from(self.cluster.domain_gpus.max(2) - 1);
        let joined = f64::from(members.clamp(2, self.cluster.domain_gpus.max(2)) - 1);
        match up.kind {
            ScaleUpKind::NvSwitch | ScaleUpKind::Pcie | ScaleUpKind::Ici => full,
            ScaleUpKind::NvLinkMesh | ScaleUpKind::XgmiMesh => full * joined / peers,
            // Of the 6 links of a GPU 4 stay in its quad, and one joins the next GPU.
            ScaleUpKind::HybridCubeMesh => match members {
                0..=2 => full / 6.0,
                3..=4 => full * 4.0 / 6.0,
                _ => full,
            },
        }
    }

    fn rates(&self, shape: &GroupShape) -> Rates {
        let intra = self.intra_rate(shape.members);
        if shape.sharing == 0 {
            return Rates {
                intra,
                inter: f64::INFINITY,
                effective: intra,
            };
        }
        let fabric = &self.cluster.fabric;
        let nics = f64::from(self.cluster.nics_per_node) * f64::from(self.per_domain)
            / f64::from(self.cluster.gpus_per_node);
        let total = nics * self.cluster.nic_bandwidth.as_bytes_per_s() * fabric.efficiency;
        let nodes_spanned = shape.domains * self.per_domain / self.cluster.gpus_per_node;
        let crossing = if nodes_spanned > fabric.nodes_per_leaf {
            fabric.oversubscription
        } else {
            1.0
        };
        let inter = total / f64::from(shape.sharing) / crossing;
        let effective = if shape.members > 1 {
            intra.min(inter)
        } else {
            inter
        };
        Rates {
            intra,
            inter,
            effective,
        }
    }

    fn candidates(
        &self,
        request: &CollectiveRequest,
        shape: &GroupShape,
        rates: &Rates,
    ) -> Vec<Candidate> {
        let mut found = Vec::with_capacity(8);
        match request.op {
            CollectiveOp::AllReduce => {
                self.push_ring(&mut found, request, shape, rates);
                self.push_tree(&mut found, request, shape, rates);
                self.push_nvls(&mut found, request, shape, rates);
            }
            CollectiveOp::AllGather | CollectiveOp::ReduceScatter | CollectiveOp::Broadcast => {
                self.push_ring(&mut found, request, shape, rates);
            }
            CollectiveOp::AllToAll => found.push(self.all_to_all(request, shape, rates)),
            CollectiveOp::SendRecv => found.push(self.send_recv(request, shape, rates)),
        }
        found
    }

    fn hop(&self, table: &library::LatencyTable, p: usize) -> f64 {
        match self.cluster.scale_up.kind {
            ScaleUpKind::Pcie => table.pcie[p],
            _ => table.nvlink[p],
        }
    }

    fn plugin(&self) -> f64 {
        self.cluster.fabric.plugin_latency.as_secs_f64() * 1e6
    }

    fn push_ring(
        &self,
        found: &mut Vec<Candidate>,
        request: &CollectiveRequest,
        shape: &GroupShape,
        rates: &Rates,
    ) {
        let (n, nodes) = (f64::from(shape.ranks), f64::from(shape.domains));
        let caps = ceilings(self.cluster.library);
        let (steps, crossings, moved) = match request.op {
            CollectiveOp::AllReduce => (2.0 * (n - 1.0), 2.0 * (nodes - 1.0), 2.0 * (n - 1.0) / n),
            CollectiveOp::Broadcast => (n, nodes - 1.0, 1.0),
            _ => (n - 1.0, nodes - 1.0, (n - 1.0) / n),
        };
        for protocol in [Protocol::Ll, Protocol::Ll128, Protocol::Simple] {
            let p = library::row(protocol);
            let intra = self.hop(&library::RING, p);
            let inter = if shape.members == 1 {
                library::TREE.network[p]
            } else {
                library::RING.network[p]
            } + self.plugin();
            let inside = if nodes > 1.0 {
                intra.max(library::NET_OVERHEAD[p])
            } else {
                intra
            };
            let inter = if protocol == Protocol::Simple {
                inter + self.plugin()
            } else {
                inter
            };
            let latency = library::RING.base[p] + (steps - crossings) * inside + crossings * inter;
            let rate = match protocol {
                Protocol::Ll => (rates.effective / 2.0).min(caps.ll[nodes_row(shape)] * 1e9),
                Protocol::Ll128 => (rates.effective * 0.92).min(
                    f64::from(caps.channels[usize::from(nodes > 1.0)]) * caps.ring_ll128 * 1e9,
                ),
                Protocol::Simple | Protocol::Ideal => rates.effective,
            };
            found.push(Candidate {
                algorithm: CollectiveAlgorithm::Ring,
                protocol,
                latency_s: latency * 1e-6,
                transfer_s: request.bytes.as_f64() * moved / rate,
            });
        }
    }

    fn push_tree(
        &self,
        found: &mut Vec<Candidate>,
        request: &CollectiveRequest,
        shape: &GroupShape,
        rates: &Rates,
    ) {
        let depth = f64::from(shape.domains.ilog2());
        let caps = ceilings(self.cluster.library);
        let channels = f64::from(caps.channels[usize::from(shape.domains > 1)]);
        let row = nodes_row(shape);
        for protocol in [Protocol::Ll, Protocol::Ll128, Protocol::Simple] {
            let p = library::row(protocol);
            let intra = self.hop(&library::TREE, p);
            let flush = if protocol == Protocol::Simple {
                2.0
            } else {
                1.0
            };
            let inter = library::TREE.network[p] + self.plugin() * flush;
            let latency = library::TREE.base[p]
                + 2.0 * (f64::from(shape.members - 1) * intra + depth * inter);
            let full = (0.92 * rates.effective).min(channels * caps.tree[row] * 1e9);
            let rate = match protocol {
                Protocol::Ll => (full / 3.8).min(caps.ll[row] * 1e9),
                Protocol::Ll128 => (full
                    * if shape.domains == 1 {
                        7.0 / 9.0
                    } else {
                        120.0 / 128.0
                    })
                .min(channels * caps.tree_ll128[row] * 1e9),
                Protocol::Simple | Protocol::Ideal => full,
            };
            found.push(Candidate {
                algorithm: CollectiveAlgorithm::DoubleBinaryTree,
                protocol,
                latency_s: latency * 1e-6,
                transfer_s: request.bytes.as_f64() * 2.0 / rate,
            });
        }
    }

    fn push_nvls(
        &self,
        found: &mut Vec<Candidate>,
        request: &CollectiveRequest,
        shape: &GroupShape,
        rates: &Rates,
    ) {
        let caps = ceilings(self.cluster.library);
        if !self.cluster.scale_up.in_network_reduction || caps.nvls == 0.0 || shape.members < 6 {
            return;
        }
        let m = f64::from(shape.members);
        // Every GPU sends its buffer once to the switch and 1/m of the result, and receives as much.
        let line = self.cluster.scale_up.bandwidth.as_bytes_per_s();
        let inside = line * caps.nvls / (1.0 + 1.0 / m);
        let depth = f64::from(shape.domains.ilog2());
        let (latency, algbw) = if shape.domains == 1 {
            (library::NVLS_INTRA, inside)
        } else if self.cluster.fabric.in_network_reduction {
            (
                library::NVLS_INTRA + library::NVLS_NETWORK + self.plugin(),
                inside.min(rates.inter),
            )
        } else {
            let hops = 2.0 * depth * (library::NVLS_TREE_NETWORK + self.plugin());
            let sends = if shape.domains == 2 { 1.0 } else { 2.0 };
            (library::NVLS_INTRA + hops, inside.min(rates.inter / sends))
        };
        found.push(Candidate {
            algorithm: CollectiveAlgorithm::Nvls,
            protocol: Protocol::Simple,
            latency_s: latency * 1e-6,
            transfer_s: request.bytes.as_f64() / algbw,
        });
    }

    fn all_to_all(
        &self,
        request: &CollectiveRequest,
        shape: &GroupShape,
        rates: &Rates,
    ) -> Candidate {
        let n = f64::from(shape.ranks);
        let per_peer = request.bytes.as_f64() / n;
        let inside = per_peer * f64::from(shape.members - 1) / rates.intra;
        let remote = n - f64::from(shape.members);
        let nic = rates.inter / f64::from(shape.members);
        let across = if shape.domains > 1 {
            per_peer * remote / nic
        } else {
            0.0
        };
        let overhead = self.cluster.fabric.message_overhead.as_secs_f64() * remote;
        let hop = if shape.domains > 1 {
            library::RING.network[2] + self.plugin()
        } else {
            0.0
        };
        let latency = (library::RING.base[2] + hop + self.hop(&library::RING, 2)) * 1e-6 + overhead;
        Candidate {
            algorithm: CollectiveAlgorithm::Direct,
            protocol: Protocol::Simple,
            latency_s: latency,
            transfer_s: inside.max(across),
        }
    }

    fn send_recv(
        &self,
        request: &CollectiveRequest,
        shape: &GroupShape,
        rates: &Rates,
    ) -> Candidate {
        let hop = if shape.domains > 1 {
            library::RING.network[2] + self.plugin()
        } else {
            self.hop(&library::RING, 2)
        };
        let rate = if shape.domains > 1 {
            self.nic_per_sender(request.groups)
        } else {
            rates.intra
        };
        Candidate {
            algorithm: CollectiveAlgorithm::Direct,
            protocol: Protocol::Simple,
            latency_s: (library::RING.base[2] + hop) * 1e-6,
            transfer_s: request.bytes.as_f64() / rate,
        }
    }

    /// Rate of one sender to the next domain: its own NICs, or its part of shared ones.
    fn nic_per_sender(&self, groups: GroupPattern) -> f64 {
        let c = &self.cluster;
        let nic = c.nic_bandwidth.as_bytes_per_s() * c.fabric.efficiency;
        let per_gpu = nic * f64::from(c.nics_per_node) / f64::from(c.gpus_per_node);
        let senders = groups.stride.min(self.per_domain);
        let total = per_gpu * f64::from(self.per_domain);
        (total / f64::from(senders)).min(nic.max(per_gpu))
    }

    fn priced(
        &self,
        request: &CollectiveRequest,
        shape: &GroupShape,
        rates: &Rates,
        best: Candidate,
    ) -> CollectiveCost {
        let (n, m) = (f64::from(shape.ranks), f64::from(shape.members));
        let bytes = request.bytes.as_f64();
        let moved = bytes
            * match (request.op, best.algorithm) {
                (CollectiveOp::AllReduce, CollectiveAlgorithm::Nvls) => 1.0 + 1.0 / m,
                (CollectiveOp::AllReduce, _) => 2.0 * (n - 1.0) / n,
                (
                    CollectiveOp::AllGather
                    | CollectiveOp::ReduceScatter
                    | CollectiveOp::AllToAll
                    | CollectiveOp::Broadcast
                    | CollectiveOp::SendRecv,
                    _,
                ) => (n - 1.0) / n,
            };
        let outside = if shape.domains == 1 {
            0.0
        } else {
            match request.op {
                CollectiveOp::AllToAll => (n - m) / (n - 1.0),
                _ => 1.0 / m,
            }
        };
        let (intra, inter) = (moved * (1.0 - outside), moved * outside);
        let time = SimDuration::from_secs_f64(best.latency_s + best.transfer_s);
        let secs = time.as_secs_f64().max(1e-12);
        let nic = rates.inter / m;
        let loads = LinkLoads {
            scale_up: (intra / secs / rates.intra).min(1.0),
            scale_out: (inter / secs / nic).min(1.0),
        };
        let up = loads.scale_up * self.cluster.scale_up.efficiency;
        let out = loads.scale_out * self.cluster.fabric.efficiency;
        let caps = ceilings(self.cluster.library);
        CollectiveCost {
            time,
            latency: SimDuration::from_secs_f64(best.latency_s),
            algorithm: best.algorithm,
            protocol: best.protocol,
            sent_intra: Bytes::from_f64(intra),
            sent_inter: Bytes::from_f64(inter),
            link_utilization_max: up.max(out),
            loads,
            sms: caps.channels[usize::from(shape.domains > 1)],
        }
    }
}

/// The cost of a group of one.
fn nothing(request: &CollectiveRequest) -> CollectiveCost {
    CollectiveCost {
        time: SimDuration::ZERO,
        latency: SimDuration::ZERO,
        algorithm: request.algorithm.unwrap_or(CollectiveAlgorithm::Ring),
        protocol: request.protocol.unwrap_or(Protocol::Simple),
        sent_intra: Bytes::ZERO,
        sent_inter: Bytes::ZERO,
        link_utilization_max: 0.0,
        loads: LinkLoads::default(),
        sms: 0,
    }
}

/// Column of the ceilings: one node, two, more.
fn nodes_row(shape: &GroupShape) -> usize {
    (shape.domains.clamp(1, 3) - 1) as usize
}

/// Whether `asked` is carried by what the library calls `offered` (its tree is a double binary one).
fn same_library_algorithm(asked: CollectiveAlgorithm, offered: CollectiveAlgorithm) -> bool {
    asked == offered
        || asked == CollectiveAlgorithm::Tree && offered == CollectiveAlgorithm::DoubleBinaryTree
}

fn unsupported(request: &CollectiveRequest, shape: &GroupShape) -> Unsupported {
    let algorithm = request
        .algorithm
        .map_or("auto", CollectiveAlgorithm::as_str);
    Unsupported {
        sentence: format!(
            "no {algorithm} for {} over {} ranks on {} domains of this cluster",
            request.op, shape.ranks, shape.domains
        ),
    }
}
