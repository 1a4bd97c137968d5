//! Vertices and directed links, and shortest paths between them.

use std::collections::VecDeque;

/// One direction of a cable, or of a bundle of equal cables that share their load equally.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TopologyLink {
    /// Vertex that sends.
    pub from: u32,
    /// Vertex that receives.
    pub to: u32,
    /// Capacity as a multiple of what one device's NICs send together.
    pub capacity: f64,
}

/// A network; the devices are its first vertices, switches follow.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Graph {
    devices: u32,
    vertices: u32,
    links: Vec<TopologyLink>,
    /// Outgoing links of each vertex.
    outgoing: Vec<Vec<u32>>,
}

impl Graph {
    /// A graph of `devices` devices and `switches` switches, without links.
    pub(crate) fn new(devices: u32, switches: u32) -> Self {
        let vertices = devices + switches;
        Self {
            devices,
            vertices,
            links: Vec::new(),
            outgoing: vec![Vec::new(); vertices as usize],
        }
    }

    /// Devices: vertices `0..devices`.
    pub(crate) const fn devices(&self) -> u32 {
        self.devices
    }

    /// Devices and switches.
    #[cfg(test)]
    pub(crate) const fn vertices(&self) -> u32 {
        self.vertices
    }

    /// All links; the index of a link is its place.
    pub fn links(&self) -> &[TopologyLink] {
        &self.links
    }

    /// Adds one direction of a link and gives its place.
    pub(crate) fn connect(&mut self, from: u32, to: u32, capacity: f64) -> u32 {
        let place = self.links.len() as u32;
        self.links.push(TopologyLink { from, to, capacity });
        self.outgoing[from as usize].push(place);
        place
    }

    /// Adds both directions; the second follows the first.
    pub(crate) fn join(&mut self, a: u32, b: u32, capacity: f64) -> u32 {
        let place = self.connect(a, b, capacity);
        self.connect(b, a, capacity);
        place
    }

    /// Hops from every vertex to `to`; `None` where there is no path.
    #[cfg(test)]
    pub(crate) fn distances(&self, to: u32) -> Vec<Option<u32>> {
        distances_over(&self.incoming(), to)
    }

    /// Hops from every vertex to each device: `[device × vertex]`.
    pub(crate) fn device_distances(&self) -> Vec<Vec<Option<u32>>> {
        let incoming = self.incoming();
        (0..self.devices)
            .map(|device| distances_over(&incoming, device))
            .collect()
    }

    /// The senders of each vertex's incoming links.
    fn incoming(&self) -> Vec<Vec<u32>> {
        let mut incoming = vec![Vec::new(); self.vertices as usize];
        for link in &self.links {
            incoming[link.to as usize].push(link.from);
        }
        incoming
    }

    /// Calls `take` with each link's share of a unit of traffic when every vertex splits what it forwards
    /// equally among its links on shortest paths, given the hop distances to the
    /// destination; never where there is no path.
    pub(crate) fn shares_towards(
        &self,
        distance: &[Option<u32>],
        from: u32,
        take: &mut dyn FnMut(u32, f64),
    ) {
        let hops = distance[from as usize].unwrap_or(0);
        let mut layer = vec![(from, 1.0)];
        for _ in 0..hops {
            let mut next: Vec<(u32, f64)> = Vec::new();
            for (vertex, amount) in layer {
                let closer = self.closer(distance, vertex);
                let part = amount / closer.clone().count() as f64;
                for place in closer {
                    take(place, part);
                    let reached = self.links[place as usize].to;
                    match next.iter_mut().find(|(vertex, _)| *vertex == reached) {
                        Some((_, sum)) => *sum += part,
                        None => next.push((reached, part)),
                    }
                }
            }
            layer = next;
        }
    }

    /// Calls `take` with the load of each link when several vertices send to one destination, each its
    /// amount, given the hop distances to it. Traffic that meets at a vertex is forwarded
    /// together, so that many senders cost no more than one walk over the network.
    pub(crate) fn gather_towards(
        &self,
        distance: &[Option<u32>],
        senders: &[(u32, f64)],
        take: &mut dyn FnMut(u32, f64),
    ) {
        let mut amounts = vec![0.0; self.vertices as usize];
        for &(from, amount) in senders {
            amounts[from as usize] += amount;
        }
        for vertex in self.farthest_first(distance) {
            let amount = amounts[vertex as usize];
            if amount <= 0.0 {
                continue;
            }
            let closer = self.closer(distance, vertex);
            let part = amount / closer.clone().count() as f64;
            for place in closer {
                take(place, part);
                amounts[self.links[place as usize].to as usize] += part;
            }
        }
    }

    /// Mean length of the shortest paths from every vertex to a destination, weighted by their shares,
    /// given the hop distances to it; infinite where there is none.
    pub(crate) fn mean_lengths(
        &self,
        distance: &[Option<u32>],
        length: impl Fn(u32) -> f64,
    ) -> Vec<f64> {
        let mut lengths: Vec<f64> = distance
            .iter()
            .map(|hops| if hops.is_some() { 0.0 } else { f64::INFINITY })
            .collect();
        for vertex in self.farthest_first(distance).into_iter().rev() {
            let closer = self.closer(distance, vertex);
            let paths = closer.clone().count();
            if paths > 0 {
                let sum: f64 = closer
                    .map(|place| length(place) + lengths[self.links[place as usize].to as usize])
                    .sum();
                lengths[vertex as usize] = sum / paths as f64;
            }
        }
        lengths
    }

    /// Links from a vertex that lie on shortest paths to a destination.
    fn closer<'a>(
        &'a self,
        distance: &'a [Option<u32>],
        vertex: u32,
    ) -> impl Iterator<Item = u32> + Clone + 'a {
        let left = distance[vertex as usize].and_then(|hops| hops.checked_sub(1));
        self.outgoing[vertex as usize]
            .iter()
            .copied()
            .filter(move |place| {
                left.is_some() && distance[self.links[*place as usize].to as usize] == left
            })
    }

    /// Vertices with a path to a destination, the farthest first.
    fn farthest_first(&self, distance: &[Option<u32>]) -> Vec<u32> {
        let reaches = |vertex: &u32| distance[*vertex as usize].is_some();
        let mut vertices: Vec<u32> = (0..self.vertices).filter(reaches).collect();
        vertices.sort_by_key(|vertex| std::cmp::Reverse(distance[*vertex as usize]));
        vertices
    }

    /// The graph with every capacity multiplied.
    #[must_use]
    pub(crate) fn scaled(&self, factor: f64) -> Self {
        let mut graph = self.clone();
        for link in &mut graph.links {
            link.capacity *= factor;
        }
        graph
    }
}

fn distances_over(incoming: &[Vec<u32>], to: u32) -> Vec<Option<u32>> {
    let mut distance = vec![None; incoming.len()];
    distance[to as usize] = Some(0);
    let mut waiting = VecDeque::from([(to, 0)]);
    while let Some((vertex, hops)) = waiting.pop_front() {
        for &before in &incoming[vertex as usize] {
            if distance[before as usize].is_none() {
                distance[before as usize] = Some(hops + 1);
                waiting.push_back((before, hops + 1));
            }
        }
    }
    distance
}

#[cfg(test)]
mod tests {
    use super::*;

    // 0 → {1, 2} → 3: two shortest paths, half of the traffic on each of the four links.
    #[test]
    fn equal_paths_share_equally() {
        let mut graph = Graph::new(4, 0);
        for (a, b) in [(0, 1), (0, 2), (1, 3), (2, 3)] {
            graph.connect(a, b, 1.0);
        }
        let shares = |from, to| {
            let mut shares = Vec::new();
            graph.shares_towards(&graph.distances(to), from, &mut |link, share| {
                shares.push((link, share));
            });
            shares
        };
        assert_eq!(shares(0, 3), [(0, 0.5), (1, 0.5), (2, 0.5), (3, 0.5)]);
        assert_eq!(shares(3, 0), []);
    }

    // A diamond of unequal lengths, 0 → {1, 2} → 3, where 1 and 2 send too: the 2 of vertex 0 meet
    // their 1 and 3, half at each. Lengths 10, 20 to the middle, 1, 2 beyond: on average
    // (11 + 22) / 2.
    #[test]
    fn traffic_that_meets_is_forwarded_together() {
        let mut graph = Graph::new(4, 0);
        for (a, b) in [(0, 1), (0, 2), (1, 3), (2, 3)] {
            graph.connect(a, b, 1.0);
        }
        let distance = graph.distances(3);
        let mut loads = vec![0.0; 4];
        graph.gather_towards(
            &distance,
            &[(0, 2.0), (1, 1.0), (2, 3.0)],
            &mut |link, amount| loads[link as usize] += amount,
        );
        assert_eq!(loads, [1.0, 1.0, 2.0, 4.0]);
        let lengths = [10.0, 20.0, 1.0, 2.0];
        let mean = graph.mean_lengths(&distance, |link| lengths[link as usize]);
        assert_eq!(mean, [16.5, 1.0, 2.0, 0.0]);
    }
}
