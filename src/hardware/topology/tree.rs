//! A single-rooted tree of switches: every link is as fast as one device's NICs, over the
//! oversubscription between switches.

use super::exchange::crossing;
use super::graph::Graph;

/// Switches of `arity` children, built from the devices up to one root.
#[derive(Debug)]
pub(super) struct Tree {
    arity: u32,
    /// Vertex number of the first switch of each level; the root is alone on the last.
    levels: Vec<u32>,
    devices: u32,
}

impl Tree {
    pub(super) fn new(devices: u32, arity: u32) -> Self {
        let arity = arity.max(2);
        let mut levels = Vec::new();
        let (mut first, mut width) = (devices, devices);
        loop {
            width = width.div_ceil(arity);
            levels.push(first);
            first += width;
            if width <= 1 {
                break;
            }
        }
        Self {
            arity,
            levels,
            devices,
        }
    }

    /// The vertex above one that is `index`-th of the level below `level`.
    fn parent(&self, index: u32, level: usize) -> u32 {
        self.levels[level] + index / self.arity
    }

    /// Every vertex but the root has one uplink: vertex `v` sends up on link `2v` and receives from
    /// above on `2v + 1`.
    pub(super) fn graph(&self, oversubscription: f64) -> Graph {
        let root = self.levels[self.levels.len() - 1];
        let mut graph = Graph::new(self.devices, root + 1 - self.devices);
        for device in 0..self.devices {
            graph.join(device, self.parent(device, 0), 1.0);
        }
        for level in 1..self.levels.len() {
            for vertex in self.levels[level - 1]..self.levels[level] {
                let index = vertex - self.levels[level - 1];
                graph.join(vertex, self.parent(index, level), 1.0 / oversubscription);
            }
        }
        graph
    }

    /// Adds the loads between switches of an exchange between members in ascending order.
    pub(super) fn exchange(&self, members: &[u32], loads: &mut [f64]) {
        let mut devices = self.arity;
        for &first in &self.levels[..self.levels.len() - 1] {
            for below in members.chunk_by(|a, b| a / devices == b / devices) {
                let uplink = 2 * (first + below[0] / devices) as usize;
                let amount = crossing(below.len(), members.len());
                loads[uplink] += amount;
                loads[uplink + 1] += amount;
            }
            devices *= self.arity;
        }
    }

    /// Up to the first common switch and down again.
    pub(super) fn route(&self, from: u32, to: u32, take: &mut dyn FnMut(u32, f64)) {
        let (mut a, mut b, mut below) = (from, to, 0);
        for &first in &self.levels {
            take(2 * (below + a), 1.0);
            take(2 * (below + b) + 1, 1.0);
            (a, b) = (a / self.arity, b / self.arity);
            if a == b {
                return;
            }
            below = first;
        }
    }
}
