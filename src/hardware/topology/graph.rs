//! Vertices and directed links, and shortest paths between them.

use std::collections::VecDeque;

/// One direction of a cable, or of a bundle of alike cables that share their load in equal parts.
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
    pub fn new(devices: u32, switches: u32) -> Self {
        let vertices = devices + switches;
        Self {
            devices,
            vertices,
            links: Vec::new(),
            outgoing: vec![Vec::new(); vertices as usize],
        }
    }

    /// Devices: vertices `0..devices`.
    pub const fn devices(&self) -> u32 {
        self.devices
    }

    /// Devices and switches.
    pub const fn vertices(&self) -> u32 {
        self.vertices
    }

    /// All links, each under its place.
    pub fn links(&self) -> &[TopologyLink] {
        &self.links
    }

    /// Adds one direction of a link and gives its place.
    pub fn connect(&mut self, from: u32, to: u32, capacity: f64) -> u32 {
        let place = self.links.len() as u32;
        self.links.push(TopologyLink { from, to, capacity });
        self.outgoing[from as usize].push(place);
        place
    }

    /// Adds both directions; the second follows the first.
    pub fn join(&mut self, a: u32, b: u32, capacity: f64) -> u32 {
        let place = self.connect(a, b, capacity);
        self.connect(b, a, capacity);
        place
    }

    /// Hops from every vertex to `to`; `None` where there is no path.
    pub fn distances(&self, to: u32) -> Vec<Option<u32>> {
        distances_over(&self.incoming(), to)
    }

    /// Hops from every vertex to each device: `[device × vertex]`.
    pub fn device_distances(&self) -> Vec<Vec<Option<u32>>> {
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

    /// Shares of a unit of traffic on each link when every vertex splits what it forwards equally
    /// among its links towards shortest paths; `None` where there is no path.
    pub fn shortest_shares(&self, from: u32, to: u32) -> Option<Vec<(u32, f64)>> {
        let distance = self.distances(to);
        distance[from as usize]?;
        let mut shares = Vec::new();
        self.shares_towards(&distance, from, &mut |place, part| {
            shares.push((place, part));
        });
        Some(shares)
    }

    /// Calls `take` with the same shares, given the [`distances`](Self::distances) to the goal;
    /// never where there is no path.
    pub fn shares_towards(
        &self,
        distance: &[Option<u32>],
        from: u32,
        take: &mut dyn FnMut(u32, f64),
    ) {
        let hops = distance[from as usize].unwrap_or(0);
        let mut layer = vec![(from, 1.0)];
        for left in (0..hops).rev() {
            let mut next: Vec<(u32, f64)> = Vec::new();
            for (vertex, amount) in layer {
                let closer =
                    |place: &&u32| distance[self.links[**place as usize].to as usize] == Some(left);
                let outgoing = &self.outgoing[vertex as usize];
                let part = amount / outgoing.iter().filter(closer).count() as f64;
                for &place in outgoing.iter().filter(closer) {
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

    /// The same network with capacities multiplied.
    #[must_use]
    pub fn scaled(&self, factor: f64) -> Self {
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
        let shares = graph.shortest_shares(0, 3).expect("there is a path");
        assert_eq!(shares, [(0, 0.5), (1, 0.5), (2, 0.5), (3, 0.5)]);
        assert_eq!(graph.shortest_shares(3, 0), None);
    }
}
