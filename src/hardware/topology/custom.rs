//! Custom topologies: named devices and switches, joined by links with a bandwidth and a latency each.
//!
//! Devices and switches both forward. Routes are shortest by the number of links (BFS); where several
//! are equally short, every vertex splits its traffic equally among its next ones (ECMP).

use std::collections::BTreeSet;

use crate::closed_set;
use crate::hardware::topology::graph::Graph;
use crate::units::{Bandwidth, SimDuration};

closed_set! {
    /// Hardware that one device of a custom topology stands for.
    pub enum DeviceUnit: "unit of devices" {
        /// A node (a scale-up domain, where that spans several) with all its NICs.
        Nodes = "nodes",
        /// One NIC; those of a node stand in a row.
        Nics = "nics",
    }
}

/// One link, or a bundle of equal ones.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct CustomLink {
    /// Vertex at one end; devices are numbered first, switches after them.
    pub from: u32,
    /// Vertex at the other end.
    pub to: u32,
    /// Bandwidth of one link and direction.
    pub bandwidth: Bandwidth,
    /// Latency of one traversal.
    pub latency: SimDuration,
    /// Whether it has no opposite direction.
    pub one_way: bool,
    /// Number of links in the bundle.
    pub count: u32,
}

/// Description of a custom topology, not yet checked.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct CustomNetwork {
    /// Name in the spec.
    pub name: String,
    /// Hardware that one device stands for.
    pub unit: DeviceUnit,
    /// Names of the devices, in the order of a job's nodes.
    pub devices: Vec<String>,
    /// Names of the switches.
    pub switches: Vec<String>,
    /// Links between devices and switches.
    pub links: Vec<CustomLink>,
    /// Whether its latencies count; otherwise messages take those of the cluster's fabric.
    pub has_latency: bool,
}

/// A fault of a custom topology's links.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum CustomTopologyFault {
    /// A link leads back to where it starts.
    #[error("link from `{name}` to itself")]
    SelfLink {
        /// Index of the link.
        link: usize,
        /// Both of its ends.
        name: String,
    },
    /// Links have the same ends and direction as earlier ones.
    #[error(
        "`{from}` is linked to `{to}` twice{}",
        more(links, "link repeats", "links repeat", "an earlier one")
    )]
    Twice {
        /// Indices of the later links; at least one.
        links: Vec<usize>,
        /// Sending end of the first.
        from: String,
        /// Receiving end of the first.
        to: String,
    },
    /// Devices or switches are alone.
    #[error(
        "no link touches `{name}`{}",
        more(vertices, "name has", "names have", "none")
    )]
    Untouched {
        /// The vertices; at least one.
        vertices: Vec<u32>,
        /// Name of the first.
        name: String,
    },
    /// No path leads from one device to another.
    #[error(
        "no path leads from `{from}` to `{to}`{}",
        more(vertices, "device is cut off", "devices are cut off", hub)
    )]
    Disconnected {
        /// The devices that are cut off; at least one.
        vertices: Vec<u32>,
        /// Start of the first missing path.
        from: String,
        /// End of the first missing path.
        to: String,
        /// The device that the others are cut off from, in words.
        hub: String,
    },
}

/// How many share a fault with the first, in words; empty where it is the only one.
fn more<T>(all: &[T], one: &str, several: &str, end: &str) -> String {
    match all.len().saturating_sub(1) {
        0 => String::new(),
        1 => format!("; 1 more {one} {end}"),
        rest => format!("; {rest} more {several} {end}"),
    }
}

/// A checked custom topology: every device reaches every other one.
#[derive(Clone, Debug, PartialEq)]
pub struct CustomTopology {
    name: String,
    unit: DeviceUnit,
    switches: u32,
    cables: usize,
    /// Capacities in bytes per second.
    graph: Graph,
    /// Hops from every vertex to each device, `[device × vertex]`.
    distances: Vec<Vec<Option<u32>>>,
    /// Seconds from every vertex to each device, `[device × vertex]`; empty where no latency is stated.
    latencies: Vec<Vec<f64>>,
}

impl CustomTopology {
    /// Checks a description and finds the shortest paths.
    ///
    /// # Errors
    /// Every self-link; the links that repeat others, the vertices without a link and the devices that are
    /// cut off from the first one, each kind as one fault.
    ///
    /// # Panics
    /// If a link names a vertex that is not there.
    pub(crate) fn new(network: &CustomNetwork) -> Result<Self, Vec<CustomTopologyFault>> {
        let names: Vec<&String> = network.devices.iter().chain(&network.switches).collect();
        let mut faults = link_faults(network, &names);
        let (graph, latencies) = directed(network);
        let mut alone = vec![true; names.len()];
        for link in graph.links() {
            alone[link.from as usize] = false;
            alone[link.to as usize] = false;
        }
        let untouched: Vec<u32> = (0..names.len() as u32)
            .filter(|vertex| alone[*vertex as usize])
            .collect();
        if let Some(first) = untouched.first() {
            faults.push(CustomTopologyFault::Untouched {
                name: names[*first as usize].clone(),
                vertices: untouched,
            });
        }
        let distances = graph.device_distances();
        faults.extend(cut_off(&network.devices, &distances, &alone));
        if !faults.is_empty() {
            return Err(faults);
        }
        let of_link = |link: u32| latencies[link as usize].as_secs_f64();
        let latencies = if network.has_latency {
            let to_each = distances.iter();
            to_each
                .map(|distance| graph.mean_lengths(distance, of_link))
                .collect()
        } else {
            Vec::new()
        };
        Ok(Self {
            name: network.name.clone(),
            unit: network.unit,
            switches: network.switches.len() as u32,
            cables: network.links.len(),
            graph,
            distances,
            latencies,
        })
    }

    /// Name in the spec.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Hardware that one device stands for.
    pub(crate) const fn unit(&self) -> DeviceUnit {
        self.unit
    }

    /// Number of devices.
    pub(crate) const fn devices(&self) -> u32 {
        self.graph.devices()
    }

    /// Vertices and directed links, capacities in bytes per second.
    pub(crate) const fn graph(&self) -> &Graph {
        &self.graph
    }

    /// Calls `take` with every directed link between two devices that carries traffic, and its share.
    pub(crate) fn route(&self, from: u32, to: u32, take: &mut dyn FnMut(u32, f64)) {
        let towards = &self.distances[to as usize];
        self.graph.shares_towards(towards, from, take);
    }

    /// Calls `take` with the load of every directed link when several devices send to one, each its
    /// amount.
    pub(crate) fn gather(&self, senders: &[(u32, f64)], to: u32, take: &mut dyn FnMut(u32, f64)) {
        let towards = &self.distances[to as usize];
        self.graph.gather_towards(towards, senders, take);
    }

    /// Latency between two devices, the mean over equally short paths weighted by their shares; `None`
    /// where the description states no latencies.
    pub(crate) fn latency(&self, from: u32, to: u32) -> Option<SimDuration> {
        let towards = self.latencies.get(to as usize)?;
        Some(SimDuration::from_secs_f64(towards[from as usize]))
    }

    /// Whether the description states latencies.
    pub(crate) const fn has_latencies(&self) -> bool {
        !self.latencies.is_empty()
    }

    /// One-line summary: `6 devices (nodes), 2 switches, 8 links`.
    pub(crate) fn description(&self) -> String {
        format!(
            "{} devices ({}), {} switches, {} links",
            self.devices(),
            self.unit,
            self.switches,
            self.cables
        )
    }
}

fn link_faults(network: &CustomNetwork, names: &[&String]) -> Vec<CustomTopologyFault> {
    let mut seen: BTreeSet<(u32, u32)> = BTreeSet::new();
    let mut faults = Vec::new();
    let mut repeated: Vec<usize> = Vec::new();
    for (place, link) in network.links.iter().enumerate() {
        if link.from == link.to {
            faults.push(CustomTopologyFault::SelfLink {
                link: place,
                name: names[link.from as usize].clone(),
            });
            continue;
        }
        let there = !seen.insert((link.from, link.to));
        let back = !link.one_way && !seen.insert((link.to, link.from));
        if there || back {
            repeated.push(place);
        }
    }
    if let Some(first) = repeated.first().map(|place| &network.links[*place]) {
        let [from, to] = [first.from, first.to].map(|vertex| names[vertex as usize].clone());
        faults.push(CustomTopologyFault::Twice {
            links: repeated,
            from,
            to,
        });
    }
    faults
}

/// The graph with both directions of every link, self-links left out, and the latency of each.
fn directed(network: &CustomNetwork) -> (Graph, Vec<SimDuration>) {
    let devices = network.devices.len() as u32;
    let mut graph = Graph::new(devices, network.switches.len() as u32);
    let mut latencies = Vec::new();
    for link in network.links.iter().filter(|link| link.from != link.to) {
        let capacity = link.bandwidth.as_bytes_per_s() * f64::from(link.count);
        graph.connect(link.from, link.to, capacity);
        latencies.push(link.latency);
        if !link.one_way {
            graph.connect(link.to, link.from, capacity);
            latencies.push(link.latency);
        }
    }
    (graph, latencies)
}

/// The fault of devices that the first one does not reach, or that do not reach it. Devices without any
/// link are reported as such instead.
fn cut_off(
    devices: &[String],
    distances: &[Vec<Option<u32>>],
    alone: &[bool],
) -> Option<CustomTopologyFault> {
    let mut linked = (0..devices.len()).filter(|device| !alone[*device]);
    let hub = linked.next()?;
    let lacks = |from: usize, to: usize| distances[to][from].is_none();
    let cut_off: Vec<usize> = linked
        .filter(|device| lacks(hub, *device) || lacks(*device, hub))
        .collect();
    let first = *cut_off.first()?;
    let (from, to) = if lacks(hub, first) {
        (hub, first)
    } else {
        (first, hub)
    };
    Some(CustomTopologyFault::Disconnected {
        vertices: cut_off.iter().map(|device| *device as u32).collect(),
        from: devices[from].clone(),
        to: devices[to].clone(),
        hub: format!("from `{}`", devices[hub]),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link(from: u32, to: u32, gbit_per_s: f64) -> CustomLink {
        CustomLink {
            from,
            to,
            bandwidth: Bandwidth::gbit_per_s(gbit_per_s),
            latency: SimDuration::from_micros(1),
            one_way: false,
            count: 1,
        }
    }

    fn network(devices: u32, switches: u32, links: Vec<CustomLink>) -> CustomNetwork {
        CustomNetwork {
            name: "mine".to_owned(),
            unit: DeviceUnit::Nodes,
            devices: (0..devices).map(|d| format!("d{d}")).collect(),
            switches: (0..switches).map(|s| format!("s{s}")).collect(),
            links,
            has_latency: true,
        }
    }

    // d0 – {s0, s1, s2} – d1: three paths of two links, a third of the traffic on each, 2 µs.
    #[test]
    fn equally_short_paths_share_in_equal_parts() {
        let links = (2..5).flat_map(|s| [link(0, s, 100.0), link(s, 1, 100.0)]);
        let custom = CustomTopology::new(&network(2, 3, links.collect())).expect("it is joined");
        let mut shares = Vec::new();
        custom.route(0, 1, &mut |_, share| shares.push(share));
        assert_eq!(shares, [1.0 / 3.0; 6]);
        assert_eq!(custom.latency(0, 1), Some(SimDuration::from_micros(2)));
    }

    // A one-way ring of three: from d1 to d0 the only path leads over d2.
    #[test]
    fn a_one_way_link_carries_nothing_back() {
        let links = [(0, 1), (1, 2), (2, 0)].map(|(from, to)| CustomLink {
            one_way: true,
            ..link(from, to, 100.0)
        });
        let custom = CustomTopology::new(&network(3, 0, links.to_vec())).expect("it goes round");
        let mut links_used = Vec::new();
        custom.route(1, 0, &mut |place, share| links_used.push((place, share)));
        assert_eq!(links_used, [(1, 1.0), (2, 1.0)]);
    }

    #[test]
    fn every_fault_of_a_custom_topology_is_reported() {
        let one_way = CustomLink {
            one_way: true,
            ..link(3, 0, 1.0)
        };
        // d0–d1 twice, d2 to itself and so alone, d3 only sends.
        let links = vec![link(0, 1, 1.0), link(1, 0, 1.0), link(2, 2, 1.0), one_way];
        let faults = CustomTopology::new(&network(4, 0, links)).expect_err("four faults");
        let texts: Vec<String> = faults.iter().map(ToString::to_string).collect();
        assert_eq!(
            texts,
            [
                "link from `d2` to itself",
                "`d1` is linked to `d0` twice",
                "no link touches `d2`",
                "no path leads from `d0` to `d3`",
            ]
        );
    }

    // Two leaves of four devices without a spine: 0, 2, 4 and 6 hang on s0, the odd ones on s1. d0 reaches
    // three of the other seven; d1 is the first of four that it does not.
    #[test]
    fn devices_that_are_cut_off_are_one_fault_that_names_a_pair_and_their_number() {
        let links = (0..8).map(|device| link(device, 8 + device % 2, 100.0));
        let faults = CustomTopology::new(&network(8, 2, links.collect())).expect_err("one fault");
        let texts: Vec<String> = faults.iter().map(ToString::to_string).collect();
        let said = "no path leads from `d0` to `d1`; 3 more devices are cut off from `d0`";
        assert_eq!(texts, [said]);
    }

    // Every link is written in both directions, though each is two-way by itself; s1 and s2 have none.
    #[test]
    fn what_repeats_is_one_fault_of_its_kind() {
        let links = (0..3).flat_map(|device| [link(device, 3, 1.0), link(3, device, 1.0)]);
        let faults = CustomTopology::new(&network(3, 3, links.collect())).expect_err("two faults");
        let texts: Vec<String> = faults.iter().map(ToString::to_string).collect();
        assert_eq!(
            texts,
            [
                "`s0` is linked to `d0` twice; 2 more links repeat an earlier one",
                "no link touches `s1`; 1 more name has none",
            ]
        );
    }
}
