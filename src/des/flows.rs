//! Concurrent flows over shared links, at max–min fair rates.
//!
//! A flow joins when its start and the latencies of its links are over, and uses nothing before.
//! At every join and leave the rates are solved anew. Flows that change at the same picosecond are
//! one batch. Two flows of one route are two flows. A flow that a network spreads over several paths
//! takes a share of its rate on each link.
//!
//! ```
//! use clustersweep::des::{Crossing, Flow, FlowLink, finish_times};
//! use clustersweep::units::{Bandwidth, Bytes, SimDuration, SimTime};
//!
//! let link = |gbyte_per_s| FlowLink {
//!     capacity: Bandwidth::gbyte_per_s(gbyte_per_s),
//!     latency: SimDuration::ZERO,
//! };
//! let flow = |route: &[u32]| Flow {
//!     start: SimTime::ZERO,
//!     bytes: Bytes::new(1_000_000_000),
//!     route: route.iter().copied().map(Crossing::whole).collect(),
//! };
//! // The slow link gives 2 GB/s to each of its two flows, the fast one the other 8 to its own.
//! let finish = finish_times(&[link(10.0), link(4.0)], &[flow(&[0, 1]), flow(&[0]), flow(&[1])]);
//! let secs: Vec<f64> = finish.into_iter().map(SimTime::as_secs_f64).collect();
//! assert_eq!(secs, [0.5, 0.125, 0.5]);
//! ```
//!
//! A change at rate λ leaves every slower flow as it was: the links of the flow that left were
//! all filled at λ or later, and those of one that joins at no less than an equal share. So only
//! flows from λ upwards are solved again.

use crate::des::fair::{Filler, Sharing};
use crate::halt;
use crate::units::{Bandwidth, Bytes, SimDuration, SimTime};

/// One direction of a link.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FlowLink {
    /// Rate that the flows over it share.
    pub capacity: Bandwidth,
    /// Added to the start of every flow over it, in its share.
    pub latency: SimDuration,
}

/// A link of a route, and the part of the flow that crosses it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Crossing {
    /// Place in the list of links.
    pub link: u32,
    /// Above 0, at most 1: less where the flow takes several paths at once.
    pub share: f64,
}

impl Crossing {
    /// A link that all of a flow crosses.
    pub const fn whole(link: u32) -> Self {
        Self { link, share: 1.0 }
    }
}

/// An amount of data that crosses some links at once.
#[derive(Clone, Debug, PartialEq)]
pub struct Flow {
    /// When it is sent.
    pub start: SimTime,
    /// How much.
    pub bytes: Bytes,
    /// The links it crosses. Empty: it arrives as it starts.
    pub route: Vec<Crossing>,
}

/// The time at which each flow's last byte arrives, in the order of `flows`.
///
/// # Panics
/// If a route names a link that is not there.
pub fn finish_times(links: &[FlowLink], flows: &[Flow]) -> Vec<SimTime> {
    let mut arrivals: Vec<(SimTime, u32)> = Vec::with_capacity(flows.len());
    for (flow, id) in flows.iter().zip(0..) {
        let latency: SimDuration = flow
            .route
            .iter()
            .map(|crossing| links[crossing.link as usize].latency.scaled(crossing.share))
            .sum();
        arrivals.push((flow.start + latency, id));
    }
    arrivals.sort_unstable();
    let mut sharing = FairSharing::new(links.iter().map(|link| link.capacity), flows);
    let mut finishes = vec![SimTime::ZERO; flows.len()];
    let mut next = 0;
    while next < arrivals.len() || sharing.is_busy() {
        halt::check();
        let arrival = arrivals.get(next).map_or(SimTime::MAX, |(time, _)| *time);
        let now = arrival.min(sharing.next_finish());
        sharing.leave_finished(now, |id| finishes[id as usize] = now);
        while let Some(&(time, id)) = arrivals.get(next)
            && time <= now
        {
            next += 1;
            let flow = &flows[id as usize];
            if flow.route.is_empty() || flow.bytes == Bytes::ZERO {
                finishes[id as usize] = now;
            } else {
                sharing.join(id, flow.bytes);
            }
        }
        sharing.solve(now);
    }
    finishes
}

/// Rates closer than this are one level: rounding may part flows that one link holds back, and all
/// of them must be solved again when one leaves.
const SAME_LEVEL: f64 = 1.0 - 1e-9;

/// A rate that changes by less than this part of it has not changed.
const SAME_RATE: f64 = 1e-14;

/// Sums of shares below this are rounding: no flow is left.
const NO_SHARE: f64 = 1e-9;

/// A flow under way.
#[derive(Clone, Copy, Debug)]
struct FlowState {
    /// Bytes per second; 0 before its first solution.
    rate: f64,
    /// The rate before the solution under way.
    before: f64,
    /// Bytes left at `since`.
    left: f64,
    /// When the rate last changed, in picoseconds.
    since: u64,
    /// When the last byte arrives at the present rate, in picoseconds.
    finish: u64,
    /// Hops of its route, in `hops`.
    first_hop: u32,
    hop_count: u32,
    /// Solution in which it is open; its rate is not yet known there.
    open_in: u32,
}

/// A link and its flows.
#[derive(Clone, Debug)]
struct LinkState {
    capacity: f64,
    /// Sum of the rates of its flows.
    used: f64,
    /// Sum of the shares of its flows.
    shares: f64,
    /// Capacity that open flows may still share, and the sum of their shares, during a solution.
    rest: f64,
    open: f64,
    /// Solution in which `rest` and `open` are valid.
    touched_in: u32,
    /// Flows over it, each with the hop by which it crosses.
    flows: Vec<(u32, u32)>,
}

/// One link of one route.
#[derive(Clone, Copy, Debug)]
struct Hop {
    link: u32,
    /// Part of the flow's rate that it takes.
    share: f64,
    /// Place of the flow in the link's list.
    place: u32,
}

/// Flows under way and the links that they share.
struct FairSharing {
    flows: Vec<FlowState>,
    hops: Vec<Hop>,
    links: Vec<LinkState>,
    active: Vec<u32>,
    /// Flows of the last solution.
    open: Vec<u32>,
    touched: Vec<u32>,
    filler: Filler,
    solution: u32,
    /// Slowest rate at which something changed since the last solution.
    changed_from: f64,
    next_finish: u64,
}

impl FairSharing {
    fn new(capacities: impl Iterator<Item = Bandwidth>, flows: &[Flow]) -> Self {
        let links: Vec<LinkState> = capacities
            .map(|capacity| LinkState {
                capacity: capacity.as_bytes_per_s(),
                used: 0.0,
                shares: 0.0,
                rest: 0.0,
                open: 0.0,
                touched_in: 0,
                flows: Vec::new(),
            })
            .collect();
        let mut hops = Vec::new();
        let states = flows
            .iter()
            .map(|flow| {
                let first_hop = hops.len() as u32;
                let crossed = flow.route.iter().map(|&Crossing { link, share }| Hop {
                    link,
                    share,
                    place: 0,
                });
                hops.extend(crossed);
                FlowState {
                    rate: 0.0,
                    before: 0.0,
                    left: 0.0,
                    since: 0,
                    finish: u64::MAX,
                    first_hop,
                    hop_count: flow.route.len() as u32,
                    open_in: 0,
                }
            })
            .collect();
        Self {
            flows: states,
            hops,
            links,
            active: Vec::new(),
            open: Vec::new(),
            touched: Vec::new(),
            filler: Filler::default(),
            solution: 0,
            changed_from: f64::INFINITY,
            next_finish: u64::MAX,
        }
    }

    fn is_busy(&self) -> bool {
        !self.active.is_empty()
    }

    fn next_finish(&self) -> SimTime {
        SimTime::from_picos(self.next_finish)
    }

    fn join(&mut self, id: u32, bytes: Bytes) {
        let flow = &mut self.flows[id as usize];
        flow.left = bytes.as_f64();
        let hops = flow.first_hop..flow.first_hop + flow.hop_count;
        for hop in hops.clone() {
            let Hop { link, share, .. } = self.hops[hop as usize];
            let link = &mut self.links[link as usize];
            self.hops[hop as usize].place = link.flows.len() as u32;
            link.flows.push((id, hop));
            link.shares += share;
        }
        // A link over which the route goes twice counts it twice, so the equal share is taken last.
        for hop in hops {
            let link = &self.links[self.hops[hop as usize].link as usize];
            let least = link.capacity / link.shares;
            self.changed_from = self.changed_from.min(least);
        }
        self.active.push(id);
    }

    fn leave_finished(&mut self, now: SimTime, mut finished: impl FnMut(u32)) {
        let now = now.as_picos();
        if now < self.next_finish {
            return;
        }
        let mut at = 0;
        while let Some(&id) = self.active.get(at) {
            if self.flows[id as usize].finish <= now {
                self.active.swap_remove(at);
                self.leave(id);
                finished(id);
            } else {
                at += 1;
            }
        }
    }

    fn leave(&mut self, id: u32) {
        let flow = self.flows[id as usize];
        self.changed_from = self.changed_from.min(flow.rate);
        for hop in flow.first_hop..flow.first_hop + flow.hop_count {
            let Hop { link, share, place } = self.hops[hop as usize];
            let link = &mut self.links[link as usize];
            link.used -= flow.rate * share;
            link.shares -= share;
            link.flows.swap_remove(place as usize);
            if let Some(&(_, moved)) = link.flows.get(place as usize) {
                self.hops[moved as usize].place = place;
            }
        }
    }

    /// Solves the rates at `now` and finds the next finish. A flow whose rate stays keeps its finish.
    fn solve(&mut self, now: SimTime) {
        let now = now.as_picos();
        self.solve_rates();
        for &id in &self.open {
            let flow = &mut self.flows[id as usize];
            if (flow.rate - flow.before).abs() <= SAME_RATE * flow.rate {
                continue;
            }
            let sent = (now - flow.since.min(now)) as f64 * 1e-12 * flow.before;
            flow.left = (flow.left - sent).max(0.0);
            flow.since = now;
            let picos = flow.left / flow.rate * 1e12 + 0.5;
            flow.finish = now.saturating_add(picos as u64);
        }
        let finishes = self.active.iter().map(|&id| self.flows[id as usize].finish);
        self.next_finish = finishes.min().unwrap_or(u64::MAX);
    }

    fn solve_rates(&mut self) {
        let from = std::mem::replace(&mut self.changed_from, f64::INFINITY) * SAME_LEVEL;
        self.solution += 1;
        self.open_flows(from);
        let mut filler = std::mem::take(&mut self.filler);
        let touched = std::mem::take(&mut self.touched);
        filler.fill(touched.iter().copied(), self);
        (self.filler, self.touched) = (filler, touched);
        for &link in &self.touched {
            let state = &mut self.links[link as usize];
            state.used = state.capacity - state.rest;
        }
        self.touched.clear();
    }

    /// Opens every flow from rate `from` upwards and hands its links their shares back.
    fn open_flows(&mut self, from: f64) {
        self.open.clear();
        for &id in &self.active {
            let flow = &mut self.flows[id as usize];
            if flow.rate < from && flow.rate > 0.0 {
                continue;
            }
            flow.open_in = self.solution;
            flow.before = flow.rate;
            self.open.push(id);
            for hop in &self.hops[flow.first_hop as usize..][..flow.hop_count as usize] {
                let link = &mut self.links[hop.link as usize];
                if link.touched_in != self.solution {
                    link.touched_in = self.solution;
                    link.rest = link.capacity - link.used;
                    link.open = 0.0;
                    self.touched.push(hop.link);
                }
                link.rest += flow.rate * hop.share;
                link.open += hop.share;
            }
            flow.rate = 0.0;
        }
    }
}

impl Sharing for FairSharing {
    fn level(&self, link: u32) -> Option<f64> {
        let state = &self.links[link as usize];
        (state.open >= NO_SHARE).then(|| state.rest / state.open)
    }

    fn freeze(&mut self, link: u32, rate: f64) {
        let members = std::mem::take(&mut self.links[link as usize].flows);
        for &(id, _) in &members {
            let flow = &mut self.flows[id as usize];
            if flow.open_in != self.solution || flow.rate > 0.0 {
                continue;
            }
            flow.rate = rate;
            for hop in &self.hops[flow.first_hop as usize..][..flow.hop_count as usize] {
                let crossed = &mut self.links[hop.link as usize];
                crossed.rest -= rate * hop.share;
                crossed.open -= hop.share;
            }
        }
        self.links[link as usize].flows = members;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link(gbyte_per_s: f64, micros: u64) -> FlowLink {
        FlowLink {
            capacity: Bandwidth::gbyte_per_s(gbyte_per_s),
            latency: SimDuration::from_micros(micros),
        }
    }

    fn flow(start: SimTime, bytes: u64, route: &[u32]) -> Flow {
        Flow {
            start,
            bytes: Bytes::new(bytes),
            route: route.iter().copied().map(Crossing::whole).collect(),
        }
    }

    // Links of 10 and 4 GB/s. The flow over both and the one over the slow link get 2 GB/s each,
    // the one over the fast link the other 8: 1 GB takes 0.5, 0.5 and 0.125 s, plus the latencies.
    #[test]
    fn a_parking_lot_shares_the_slow_link_and_gives_the_rest_to_the_fast() {
        let links = [link(10.0, 1), link(4.0, 1)];
        let gb = 1_000_000_000;
        let flows = [
            flow(SimTime::ZERO, gb, &[0, 1]),
            flow(SimTime::ZERO, gb, &[0]),
            flow(SimTime::ZERO, gb, &[1]),
        ];
        let finish: Vec<f64> = finish_times(&links, &flows)
            .into_iter()
            .map(SimTime::as_secs_f64)
            .collect();
        let expected = [0.500_001, 0.125_001, 0.5];
        for (ours, theirs) in finish.iter().zip(expected) {
            assert!((ours - theirs).abs() < 2e-6, "{ours} {theirs}");
        }
    }

    // Alone for 1 s at 1 GB/s (1 GB sent), then half of it each: the first has 1 GB left and the
    // second 2: the first ends at 1 + 2 s, the second has 1 GB left then and ends at 4 s.
    #[test]
    fn a_late_flow_halves_the_rate_from_when_it_joins() {
        let gb = 1_000_000_000;
        let second = SimTime::from_picos(1_000_000_000_000);
        let flows = [
            flow(SimTime::ZERO, 2 * gb, &[0]),
            flow(second, 2 * gb, &[0]),
        ];
        let finish = finish_times(&[link(1.0, 0)], &flows);
        assert_eq!(finish[0].as_picos(), 3_000_000_000_000);
        assert_eq!(finish[1].as_picos(), 4_000_000_000_000);
    }

    #[test]
    fn a_flow_without_links_or_bytes_arrives_as_it_starts() {
        let flows = [
            flow(SimTime::from_picos(7), 100, &[]),
            flow(SimTime::from_picos(9), 0, &[0]),
        ];
        let finish = finish_times(&[link(1.0, 0)], &flows);
        assert_eq!(finish, [SimTime::from_picos(7), SimTime::from_picos(9)]);
    }

    // Two ways of 1 GB/s, half of the first flow on each; the second takes one of them whole. At rate r
    // each, the shared way carries r/2 + r = 1 GB/s: both run at 2/3 GB/s, and 1 GB takes 1.5 s.
    #[test]
    fn a_flow_over_two_ways_takes_half_of_its_rate_on_each() {
        let gb = 1_000_000_000;
        let half = |link| Crossing { link, share: 0.5 };
        let spread = Flow {
            start: SimTime::ZERO,
            bytes: Bytes::new(gb),
            route: vec![half(0), half(1)],
        };
        let flows = [spread, flow(SimTime::ZERO, gb, &[0])];
        let finish = finish_times(&[link(1.0, 0), link(1.0, 0)], &flows);
        assert_eq!(finish, [SimTime::from_picos(1_500_000_000_000); 2]);
    }

    /// Arrival times in seconds, every solution from nothing.
    fn slow_finish_times(capacity: &[f64], flows: &[Flow]) -> Vec<f64> {
        let mut left: Vec<f64> = flows.iter().map(|f| f.bytes.as_f64()).collect();
        let start = |i: usize| flows[i].start.as_secs_f64();
        let mut finish = vec![f64::NAN; flows.len()];
        let mut now = 0.0;
        while finish.iter().any(|f| f.is_nan()) {
            let under_way: Vec<usize> = (0..flows.len())
                .filter(|&i| finish[i].is_nan() && start(i) <= now)
                .collect();
            let (mut open, mut rest) = (under_way.clone(), capacity.to_vec());
            let mut rate = vec![0.0; flows.len()];
            while !open.is_empty() {
                let share_on = |i: usize, l: usize| -> f64 {
                    let on_it = flows[i].route.iter().filter(|c| c.link as usize == l);
                    on_it.map(|c| c.share).sum()
                };
                let crossing = |l: usize, open: &[usize]| -> f64 {
                    open.iter().map(|&i| share_on(i, l)).sum()
                };
                let (full, share) = (0..capacity.len())
                    .filter(|&l| crossing(l, &open) > 0.0)
                    .map(|l| (l, rest[l] / crossing(l, &open)))
                    .min_by(|a, b| a.1.total_cmp(&b.1))
                    .expect("an open flow crosses a link");
                let (frozen, others) = open
                    .into_iter()
                    .partition::<Vec<_>, _>(|&i| share_on(i, full) > 0.0);
                for i in frozen {
                    rate[i] = share;
                    for crossing in &flows[i].route {
                        rest[crossing.link as usize] -= share * crossing.share;
                    }
                }
                open = others;
            }
            let ends = under_way.iter().map(|&i| now + left[i] / rate[i]);
            let joins = (0..flows.len()).map(start).filter(|&at| at > now);
            let next = ends.chain(joins).fold(f64::INFINITY, f64::min);
            for &i in &under_way {
                left[i] -= rate[i] * (next - now);
                if left[i] < 1e-3 {
                    finish[i] = next;
                }
            }
            now = next;
        }
        finish
    }

    proptest::proptest! {
        // Capacities of 1 and 2 GB/s and small counts give ties on many links at once, where
        // rounding parts flows of one level. Every third flow goes several ways in equal parts.
        #[test]
        fn solving_from_the_change_upwards_is_solving_from_nothing(
            specs in proptest::collection::vec(
                (0_u64..20, 1_u64..40, proptest::collection::btree_set(0_u32..6, 1..4)),
                1..40,
            ),
        ) {
            let capacity = [1e9, 2e9, 1e9, 2e9, 1e9, 2e9];
            let flows: Vec<Flow> = specs
                .iter()
                .map(|(start, megabytes, route)| {
                    let ways = if megabytes % 3 == 0 { route.len() } else { 1 };
                    let share = 1.0 / ways as f64;
                    Flow {
                        start: SimTime::from_picos(start * 1_000_000_000),
                        bytes: Bytes::new(megabytes * 1_000_000),
                        route: route.iter().map(|&link| Crossing { link, share }).collect(),
                    }
                })
                .collect();
            let links = capacity.map(|rate| FlowLink {
                capacity: Bandwidth::bytes_per_s(rate),
                latency: SimDuration::ZERO,
            });
            let quick = finish_times(&links, &flows);
            for (quick, slow) in quick.iter().zip(slow_finish_times(&capacity, &flows)) {
                proptest::prop_assert!((quick.as_secs_f64() / slow - 1.0).abs() < 1e-8);
            }
        }
    }
}
