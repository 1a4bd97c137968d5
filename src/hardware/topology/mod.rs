//! Networks as graphs: vertices, links with bandwidth and latency, and the routes between devices.

mod custom;
mod dragonfly;
mod exchange;
mod fat_tree;
mod graph;
mod grid;
mod switch;
mod tree;

use std::sync::Arc;

pub use custom::DeviceUnit;
pub(crate) use custom::{CustomLink, CustomNetwork, CustomTopology, CustomTopologyFault};
pub(crate) use fat_tree::Leaf;
pub(crate) use graph::Graph;

use crate::closed_set;
use crate::halt;
use crate::units::{Bandwidth, SimDuration};
use dragonfly::Dragonfly;
use exchange::pairs;
use grid::Grid;
use tree::Tree;

closed_set! {
    /// Shape of the network between nodes.
    pub enum TopologyKind: "topology" {
        /// One ideal switch.
        Switch = "switch",
        /// Leaves under spines, k levels.
        FatTree = "fat-tree",
        /// One leaf per NIC index (rail), joined by spines.
        Rail = "rail",
        /// Nodes in a ring.
        Ring = "ring",
        /// Grid without wrap-around.
        Mesh2d = "mesh2d",
        /// Grid with wrap-around in two dimensions.
        Torus2d = "torus2d",
        /// Grid with wrap-around in three dimensions.
        Torus3d = "torus3d",
        /// Single-rooted tree of switches.
        Tree = "tree",
        /// Fully joined groups of fully joined routers.
        Dragonfly = "dragonfly",
    }
}

/// Size of a built-in topology.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TopologySize {
    /// Devices: servers, or scale-up domains, each with all its NICs.
    pub devices: u32,
    /// Devices under one leaf switch or rail group, in one dragonfly group, below one switch of a tree.
    pub per_leaf: u32,
    /// Downlink over uplink capacity, ≥ 1.
    pub oversubscription: f64,
}

/// The network between the nodes of a cluster, as a spec names it.
#[derive(Clone, Debug, PartialEq)]
pub enum FabricTopology {
    /// A built-in shape.
    Kind(TopologyKind),
    /// A custom topology, described link by link in the spec.
    Custom(Arc<CustomTopology>),
}

impl FabricTopology {
    /// Name of the shape or of the custom topology.
    pub(crate) fn as_str(&self) -> &str {
        match self {
            Self::Kind(kind) => kind.as_str(),
            Self::Custom(custom) => custom.name(),
        }
    }
}

impl From<TopologyKind> for FabricTopology {
    fn from(kind: TopologyKind) -> Self {
        Self::Kind(kind)
    }
}

impl std::fmt::Display for FabricTopology {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}

/// Placement of a job's nodes on a custom topology.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct CustomPlacement {
    /// Nodes of the job (scale-up domains, where those span several).
    pub domains: u32,
    /// NICs of one of them.
    pub nics_per_domain: u32,
    /// Rate of these NICs together.
    pub line_rate: Bandwidth,
}

/// A topology that cannot hold a number of devices.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TopologyFault {
    /// A mesh or torus has no sides with that product.
    #[error(
        "a {kind} of {dimensions} dimensions cannot hold {devices} devices: its sides are whole numbers from 2 on whose product is {devices}"
    )]
    Sides {
        /// The shape.
        kind: TopologyKind,
        /// Number of its dimensions.
        dimensions: u32,
        /// The devices.
        devices: u32,
    },
    /// A custom topology has too few devices.
    #[error("topology `{name}` has {has} devices ({unit}); a job on {domains} nodes needs {needs}")]
    Devices {
        /// The topology.
        name: String,
        /// Hardware that one of its devices stands for.
        unit: DeviceUnit,
        /// Number of its devices.
        has: u32,
        /// Nodes of the job.
        domains: u32,
        /// Devices that they take.
        needs: u64,
    },
}

/// A network between devices with its routes.
#[derive(Debug)]
pub struct Topology {
    graph: Graph,
    routing: Routing,
}

/// Rule that gives the links of a route.
#[derive(Debug)]
enum Routing {
    Switch,
    FatTree {
        per_leaf: u32,
    },
    Tree(Tree),
    Grid(Grid),
    Dragonfly(Dragonfly),
    /// Shortest paths; `row` devices in a row are one node, each with an equal part of its traffic.
    Custom {
        custom: Arc<CustomTopology>,
        row: u32,
    },
}

impl Topology {
    /// The network of a kind and size.
    ///
    /// # Errors
    /// If a mesh or torus cannot hold that number of devices.
    pub fn build(kind: TopologyKind, size: TopologySize) -> Result<Self, TopologyFault> {
        let TopologySize {
            devices,
            per_leaf,
            oversubscription,
        } = size;
        let per_leaf = per_leaf.max(1);
        let grid = |dimensions: u32, wraps: bool| {
            Grid::most_cubic(devices, dimensions, wraps).ok_or(TopologyFault::Sides {
                kind,
                dimensions,
                devices,
            })
        };
        let on_grid = |grid: Grid| (grid.graph(), Routing::Grid(grid));
        let (graph, routing) = match kind {
            TopologyKind::Switch => (switch::graph(devices), Routing::Switch),
            TopologyKind::FatTree | TopologyKind::Rail => (
                fat_tree::graph(devices, per_leaf, oversubscription),
                Routing::FatTree { per_leaf },
            ),
            TopologyKind::Tree => {
                let tree = Tree::new(devices, per_leaf);
                (tree.graph(oversubscription), Routing::Tree(tree))
            }
            TopologyKind::Dragonfly => {
                let dragonfly = Dragonfly::new(devices, per_leaf);
                (
                    dragonfly.graph(oversubscription),
                    Routing::Dragonfly(dragonfly),
                )
            }
            TopologyKind::Ring => on_grid(grid(1, true)?),
            TopologyKind::Mesh2d => on_grid(grid(2, false)?),
            TopologyKind::Torus2d => on_grid(grid(2, true)?),
            TopologyKind::Torus3d => on_grid(grid(3, true)?),
        };
        Ok(Self { graph, routing })
    }

    /// A custom topology under the nodes of a job, which take its first devices. NIC `i` of a node
    /// talks to the NICs `i` of others, so that traffic changes NICs inside the node.
    ///
    /// # Errors
    /// If it has fewer devices than the job needs.
    pub(crate) fn custom(
        custom: &Arc<CustomTopology>,
        placement: CustomPlacement,
    ) -> Result<Self, TopologyFault> {
        let row = match custom.unit() {
            DeviceUnit::Nodes => 1,
            DeviceUnit::Nics => placement.nics_per_domain,
        };
        let needs = u64::from(row) * u64::from(placement.domains);
        if needs > u64::from(custom.devices()) {
            return Err(TopologyFault::Devices {
                name: custom.name().to_owned(),
                unit: custom.unit(),
                has: custom.devices(),
                domains: placement.domains,
                needs,
            });
        }
        let unit = 1.0 / placement.line_rate.as_bytes_per_s();
        Ok(Self {
            graph: custom.graph().scaled(unit),
            routing: Routing::Custom {
                custom: Arc::clone(custom),
                row,
            },
        })
    }

    /// Latency of a message between two nodes where a custom topology states it.
    pub(crate) fn latency(&self, from: u32, to: u32) -> Option<SimDuration> {
        match &self.routing {
            Routing::Custom { custom, row } => (0..*row)
                .filter_map(|nic| custom.latency(from * row + nic, to * row + nic))
                .max(),
            Routing::Switch
            | Routing::FatTree { .. }
            | Routing::Tree(_)
            | Routing::Grid(_)
            | Routing::Dragonfly(_) => None,
        }
    }

    /// Switches on the way between two nodes beyond the first one, or nodes on it where there are no
    /// switches; the mean over ways of equal length. A custom topology states what its links take, or
    /// nothing.
    pub(crate) fn further_hops(&self, from: u32, to: u32) -> f64 {
        let shortest = match &self.routing {
            Routing::Switch | Routing::Custom { .. } => return 0.0,
            Routing::Grid(_) => 1.0,
            Routing::FatTree { .. } | Routing::Tree(_) | Routing::Dragonfly(_) => 2.0,
        };
        let links = if let Routing::Grid(grid) = &self.routing {
            f64::from(grid.distance(from, to))
        } else {
            let mut links = 0.0;
            self.route(from, to, &mut |_, share| links += share);
            links
        };
        (links - shortest).max(0.0)
    }

    /// Devices of a group between which its longest route lies: its ends, one below each router, or all where none of that
    /// is known. In the order of `devices`, which ascend.
    pub(crate) fn farthest_apart(&self, devices: &[u32]) -> Vec<u32> {
        let whole = devices.len() == self.graph.devices() as usize;
        match &self.routing {
            Routing::Switch | Routing::FatTree { .. } | Routing::Tree(_) => {
                vec![devices[0], devices[devices.len() - 1]]
            }
            Routing::Grid(grid) if whole => vec![0, grid.farthest()],
            Routing::Dragonfly(dragonfly) => dragonfly.one_below_each_router(devices),
            Routing::Grid(_) | Routing::Custom { .. } => devices.to_vec(),
        }
    }

    /// Whether every message takes as long as any other.
    pub(crate) fn has_one_latency(&self) -> bool {
        match &self.routing {
            Routing::Switch => true,
            Routing::FatTree { per_leaf } => self.graph.devices() <= *per_leaf,
            Routing::Custom { custom, .. } => !custom.has_latencies(),
            Routing::Tree(_) | Routing::Grid(_) | Routing::Dragonfly(_) => false,
        }
    }

    /// Whether it spreads the flows of a few nodes over other ways than the shortest: dragonflies route by
    /// load, which the shortest ways of this graph know nothing of.
    pub(crate) const fn is_adaptive(&self) -> bool {
        matches!(self.routing, Routing::Dragonfly(_))
    }

    /// The leaf switch above a device of a fat tree or rail fabric; `None` on other networks.
    pub(crate) fn leaf(&self, device: u32) -> Option<Leaf> {
        match self.routing {
            Routing::FatTree { per_leaf } => {
                Some(fat_tree::leaf(self.graph.devices(), per_leaf, device))
            }
            Routing::Switch
            | Routing::Tree(_)
            | Routing::Grid(_)
            | Routing::Dragonfly(_)
            | Routing::Custom { .. } => None,
        }
    }

    /// Links of the longest route where it grows with the number of devices; 0 on other networks.
    pub(crate) fn longest_route(&self) -> u32 {
        match &self.routing {
            Routing::Grid(grid) => grid.distance(0, grid.farthest()),
            Routing::Switch
            | Routing::FatTree { .. }
            | Routing::Tree(_)
            | Routing::Dragonfly(_)
            | Routing::Custom { .. } => 0,
        }
    }

    /// Whether it is a custom topology.
    pub(crate) const fn is_custom(&self) -> bool {
        matches!(self.routing, Routing::Custom { .. })
    }

    /// Vertices and links.
    pub const fn graph(&self) -> &Graph {
        &self.graph
    }

    /// Calls `take` with every link of the route between two devices and the share of the traffic on
    /// it; never when both are the same.
    pub fn route(&self, from: u32, to: u32, take: &mut dyn FnMut(u32, f64)) {
        if from == to {
            return;
        }
        match &self.routing {
            Routing::Switch => switch::route(from, to, take),
            Routing::FatTree { per_leaf } => {
                fat_tree::route(self.graph.devices(), *per_leaf, from, to, take);
            }
            Routing::Tree(tree) => tree.route(from, to, take),
            Routing::Grid(grid) => grid.route(from, to, take),
            Routing::Dragonfly(dragonfly) => dragonfly.route(from, to, take),
            Routing::Custom { custom, row } => {
                for nic in 0..*row {
                    custom.route(from * row + nic, to * row + nic, &mut |link, share| {
                        take(link, share / f64::from(*row));
                    });
                }
            }
        }
    }

    /// Load of the busiest link under simultaneous flows `(from, to, amount)`: the time that they take,
    /// where one device alone sends 1 in time 1.
    pub(crate) fn pressure(&self, flows: impl IntoIterator<Item = (u32, u32, f64)>) -> f64 {
        let mut loads = vec![0.0; self.graph.links().len()];
        if let Routing::Custom { custom, row } = &self.routing {
            gathered(custom, *row, flows, &mut loads);
        } else {
            for (from, to, amount) in flows {
                halt::check();
                self.route(from, to, &mut |link, share| {
                    loads[link as usize] += amount * share;
                });
            }
        }
        self.busiest(&loads)
    }

    /// The pressure when every device of each group sends equal parts to all others of it, 1 in all. Devices of a group
    /// ascend.
    ///
    /// Members below a switch send and receive alike, so that its links are found by counting them, without all pairs.
    pub(crate) fn exchange_pressure(&self, groups: &[Vec<u32>]) -> f64 {
        if let Routing::Custom { .. } = self.routing {
            return self.pressure(groups.iter().flat_map(|members| pairs(members)));
        }
        let mut loads = vec![0.0; self.graph.links().len()];
        for members in groups.iter().filter(|members| members.len() > 1) {
            match &self.routing {
                Routing::Grid(grid) => {
                    grid.exchange(members, &mut loads);
                    // Its links join devices, without links of their own to a switch.
                    continue;
                }
                Routing::Dragonfly(dragonfly) => dragonfly.exchange(members, &mut loads),
                Routing::Tree(tree) => tree.exchange(members, &mut loads),
                Routing::FatTree { per_leaf } => {
                    let per_leaf = *per_leaf;
                    fat_tree::exchange(self.graph.devices(), per_leaf, members, &mut loads);
                }
                Routing::Switch | Routing::Custom { .. } => {}
            }
            for &device in members {
                loads[2 * device as usize] += 1.0;
                loads[2 * device as usize + 1] += 1.0;
            }
        }
        self.busiest(&loads)
    }

    /// Load of the busiest link, over its rate.
    fn busiest(&self, loads: &[f64]) -> f64 {
        self.graph
            .links()
            .iter()
            .zip(loads)
            .map(|(link, load)| load / link.capacity)
            .fold(0.0, f64::max)
    }
}

/// Adds the load of every link of a custom topology, one destination after the other.
fn gathered(
    custom: &CustomTopology,
    row: u32,
    flows: impl IntoIterator<Item = (u32, u32, f64)>,
    loads: &mut [f64],
) {
    let mut to_each: Vec<Vec<(u32, f64)>> = vec![Vec::new(); custom.devices() as usize];
    for (from, to, amount) in flows.into_iter().filter(|(from, to, _)| from != to) {
        for nic in 0..row {
            let sender = (from * row + nic, amount / f64::from(row));
            to_each[(to * row + nic) as usize].push(sender);
        }
    }
    for (senders, to) in to_each.iter().zip(0..) {
        halt::check();
        if !senders.is_empty() {
            custom.gather(senders, to, &mut |link, amount| {
                loads[link as usize] += amount;
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn size(devices: u32) -> TopologySize {
        TopologySize {
            devices,
            per_leaf: 4,
            oversubscription: 2.0,
        }
    }

    // What leaves the source is 1, what reaches the goal is 1, and nothing is lost between; a route
    // with a loop would be longer than the vertices it can visit, and no way is shorter than BFS's.
    #[test]
    fn routes_exist_lose_nothing_and_have_no_loop() {
        for &kind in TopologyKind::ALL {
            for devices in 2..=64 {
                let Ok(topology) = Topology::build(kind, size(devices)) else {
                    continue;
                };
                let graph = topology.graph();
                for to in 0..devices {
                    let distances = graph.distances(to);
                    for from in (0..devices).filter(|from| *from != to) {
                        let mut balance = vec![0.0; graph.vertices() as usize];
                        let (mut length, mut seen) = (0.0, Vec::new());
                        topology.route(from, to, &mut |link, share| {
                            let ends = graph.links()[link as usize];
                            balance[ends.from as usize] += share;
                            balance[ends.to as usize] -= share;
                            length += share;
                            seen.push(link);
                        });
                        assert!((balance[from as usize] - 1.0).abs() < 1e-12);
                        assert!((balance[to as usize] + 1.0).abs() < 1e-12);
                        let lost: f64 = balance.iter().map(|b| b.abs()).sum();
                        assert!(
                            (lost - 2.0).abs() < 1e-12,
                            "{kind} {devices}: {from} to {to}"
                        );
                        let places = seen.len();
                        seen.sort_unstable();
                        seen.dedup();
                        assert_eq!(places, seen.len(), "{kind}: a link is used twice");
                        let shortest = distances[from as usize].expect("all are joined");
                        assert!(length >= f64::from(shortest) - 1e-12);
                        // A dragonfly may be shorter over a third group, which minimal routing avoids.
                        if kind != TopologyKind::Dragonfly {
                            assert!((length - f64::from(shortest)).abs() < 1e-12, "{kind}");
                        }
                    }
                }
            }
        }
    }

    // 8 devices, leaves of 4, uplinks for 2: all 4 of a leaf to the other leaf need time 2; a ring
    // in order crosses once per leaf and needs no more than its own NIC's time 1.
    #[test]
    fn oversubscription_is_felt_only_by_what_crosses() {
        let topology = Topology::build(TopologyKind::FatTree, size(8)).expect("any number fits");
        let across = (0..8).map(|device| (device, (device + 4) % 8, 1.0));
        assert!((topology.pressure(across) - 2.0).abs() < 1e-12);
        let ring = (0..8).map(|device| (device, (device + 1) % 8, 1.0));
        assert!((topology.pressure(ring) - 1.0).abs() < 1e-12);
    }

    // What is counted below switches and along lines is what all pairs put on the links, and the longest route of a group is
    // among those between its farthest members: of all devices, of the first half, and of every third one, so that leaves,
    // routers and groups are full, partly filled and empty.
    #[test]
    fn an_exchange_is_that_of_all_its_pairs() {
        let mut compared = 0;
        for &kind in TopologyKind::ALL {
            for devices in [2, 6, 8, 12, 16, 18, 27, 30, 64] {
                let Ok(topology) = Topology::build(kind, size(devices)) else {
                    continue;
                };
                let all: Vec<u32> = (0..devices).collect();
                let half = all[..all.len().div_ceil(2)].to_vec();
                let third = all.iter().copied().step_by(3).collect();
                for members in [all, half, third] {
                    if members.len() < 2 {
                        continue;
                    }
                    let played = topology.pressure(pairs(&members));
                    let counted = topology.exchange_pressure(std::slice::from_ref(&members));
                    assert!(
                        (played - counted).abs() < 1e-9 * played,
                        "{kind} {devices}: {played} {counted}"
                    );
                    let longest = |members: &[u32]| {
                        pairs(members)
                            .map(|(from, to, _)| topology.further_hops(from, to))
                            .fold(0.0, f64::max)
                    };
                    let ends = topology.farthest_apart(&members);
                    assert!(
                        (longest(&members) - longest(&ends)).abs() < 1e-12,
                        "{kind} {devices}"
                    );
                    compared += 1;
                }
            }
        }
        assert!(compared > 150, "{compared}");
    }

    // A ring of 8: each link takes half of a device's rate, so a neighbour takes time 2 when all
    // traffic goes one way round, and 1 when half of it goes each way.
    #[test]
    fn a_ring_needs_both_directions_for_its_full_rate() {
        let topology = Topology::build(TopologyKind::Ring, size(8)).expect("8 fit");
        let one_way = (0..8).map(|d| (d, (d + 1) % 8, 1.0));
        assert!((topology.pressure(one_way) - 2.0).abs() < 1e-12);
        let both = (0..8).flat_map(|d| [(d, (d + 1) % 8, 0.5), (d, (d + 7) % 8, 0.5)]);
        assert!((topology.pressure(both) - 1.0).abs() < 1e-12);
    }

    #[test]
    fn a_torus_of_a_prime_number_is_refused_with_its_sides() {
        let fault = Topology::build(TopologyKind::Torus2d, size(13)).expect_err("13 is prime");
        assert!(fault.to_string().contains("cannot hold 13 devices"));
    }
}
