//! Fully joined groups of fully joined routers.
//!
//! A group of `g` devices has routers with `p` devices each, near the balance of two routers per
//! device of one. Two routers of a group are joined by a cable of one device's rate, two groups by
//! their part of the group's global bandwidth, `g` over the oversubscription, at one router each.
//! Routing is minimal: at most one local hop, one global hop, one local hop.

use super::graph::Graph;
use crate::halt;

/// The shape of a dragonfly, with the places of its links.
#[derive(Debug)]
pub(super) struct Dragonfly {
    devices: u32,
    per_router: u32,
    routers: u32,
    groups: u32,
    first_local: u32,
    first_global: u32,
}

impl Dragonfly {
    pub(super) fn new(devices: u32, per_group: u32) -> Self {
        let per_group = per_group.clamp(1, devices.max(1));
        // p devices on each of 2p routers: g = 2p².
        let per_router = (libm::round(libm::sqrt(f64::from(per_group) / 2.0)) as u32).max(1);
        let routers = per_group.div_ceil(per_router);
        let groups = devices.div_ceil(routers * per_router);
        let first_local = 2 * devices;
        Self {
            devices,
            per_router,
            routers,
            groups,
            first_local,
            first_global: first_local + groups * routers * (routers - 1),
        }
    }

    /// Group and router of a device.
    fn place(&self, device: u32) -> (u32, u32) {
        let router = device / self.per_router;
        (router / self.routers, router % self.routers)
    }

    /// The router of `group` that holds the cable to group `other`.
    fn gateway(&self, group: u32, other: u32) -> u32 {
        let index = if other > group { other - 1 } else { other };
        index % self.routers
    }

    fn local(&self, group: u32, from: u32, to: u32) -> u32 {
        let other = if to > from { to - 1 } else { to };
        self.first_local + (group * self.routers + from) * (self.routers - 1) + other
    }

    fn global(&self, from: u32, to: u32) -> u32 {
        let other = if to > from { to - 1 } else { to };
        self.first_global + from * (self.groups - 1) + other
    }

    pub(super) fn graph(&self, oversubscription: f64) -> Graph {
        let router = |group: u32, index: u32| self.devices + group * self.routers + index;
        let mut graph = Graph::new(self.devices, self.groups * self.routers);
        for device in 0..self.devices {
            let (group, index) = self.place(device);
            graph.join(device, router(group, index), 1.0);
        }
        for group in 0..self.groups {
            for from in 0..self.routers {
                for to in (0..self.routers).filter(|to| *to != from) {
                    graph.connect(router(group, from), router(group, to), 1.0);
                }
            }
        }
        let group_rate = f64::from(self.routers * self.per_router) / oversubscription;
        for from in 0..self.groups {
            for to in (0..self.groups).filter(|to| *to != from) {
                let capacity = group_rate / f64::from(self.groups - 1);
                let ends = (self.gateway(from, to), self.gateway(to, from));
                graph.connect(router(from, ends.0), router(to, ends.1), capacity);
            }
        }
        graph
    }

    pub(super) fn route(&self, from: u32, to: u32, take: &mut dyn FnMut(u32, f64)) {
        take(2 * from, 1.0);
        self.route_between(from / self.per_router, to / self.per_router, take);
        take(2 * to + 1, 1.0);
    }

    /// The route from a router to another, which may be the same.
    fn route_between(&self, from: u32, to: u32, take: &mut dyn FnMut(u32, f64)) {
        let place = |router: u32| (router / self.routers, router % self.routers);
        let ((group, mut at), (goal, end)) = (place(from), place(to));
        if group != goal {
            let gateway = self.gateway(group, goal);
            if at != gateway {
                take(self.local(group, at, gateway), 1.0);
            }
            take(self.global(group, goal), 1.0);
            at = self.gateway(goal, group);
        }
        if at != end {
            take(self.local(goal, at, end), 1.0);
        }
    }

    /// Adds the loads between routers of an exchange between members in ascending order.
    pub(super) fn exchange(&self, members: &[u32], loads: &mut [f64]) {
        let routers: Vec<(u32, f64)> = self
            .by_router(members)
            .map(|below| (below[0] / self.per_router, below.len() as f64))
            .collect();
        let others = (members.len() - 1) as f64;
        for &(from, senders) in &routers {
            halt::check();
            for &(to, receivers) in &routers {
                let amount = senders * receivers / others;
                self.route_between(from, to, &mut |link, share| {
                    loads[link as usize] += amount * share;
                });
            }
        }
    }

    /// The first of the members below each router, or two of them where all are below one.
    pub(super) fn one_below_each_router(&self, members: &[u32]) -> Vec<u32> {
        let firsts: Vec<u32> = self.by_router(members).map(|below| below[0]).collect();
        match firsts[..] {
            [_] => members.iter().copied().take(2).collect(),
            _ => firsts,
        }
    }

    /// Members in ascending order, those below one router together.
    fn by_router<'a>(&self, members: &'a [u32]) -> impl Iterator<Item = &'a [u32]> {
        let per_router = self.per_router;
        members.chunk_by(move |a, b| a / per_router == b / per_router)
    }
}
