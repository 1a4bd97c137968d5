//! How the groups of one parallel dimension lie over the scale-up domains.

use itertools::Itertools;

use crate::collective::binary_tree;
use crate::hardware::Cluster;

/// All groups `{base + i · stride}` of `size` ranks that tile the job; they run at once.
///
/// Ranks are numbered tensor-parallel fastest, then context, data and pipeline-parallel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct GroupPattern {
    /// Ranks of one group.
    pub size: u32,
    /// Distance between two neighbours of a group.
    pub stride: u32,
}

/// Shape that the groups of a pattern have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct GroupShape {
    /// Ranks of a group.
    pub ranks: u32,
    /// Domains that a group lies on.
    pub domains: u32,
    /// Ranks of a group in the domain that holds fewest of them.
    pub members: u32,
    /// Groups that share the NICs of a domain; `None` when no group leaves its domain.
    pub sharing: Option<u32>,
}

/// GPUs of a domain that a job of `gpus` uses.
///
/// A job over several NVL72 racks takes equal parts of whole trays from each where that costs at
/// most a quarter more racks (schedulers allocate such blocks), and fills them up otherwise.
pub(super) fn ranks_per_domain(cluster: &Cluster, gpus: u32) -> u32 {
    let domain = cluster.domain_gpus.max(1);
    if gpus <= domain {
        return gpus;
    }
    let least = gpus.div_ceil(domain);
    (least..=least + least.div_ceil(4))
        .find(|racks| gpus.is_multiple_of(racks * cluster.gpus_per_node))
        .map_or(domain, |racks| gpus / racks)
}

impl GroupShape {
    /// Whether every domain of the group holds as many of its ranks.
    pub(crate) const fn is_even(&self) -> bool {
        self.members * self.domains == self.ranks
    }

    /// The shape of the groups of `pattern` when `per_domain` consecutive ranks share a domain.
    ///
    /// Where groups differ (a size that does not divide the domain) it is the one that has most to
    /// send between domains.
    pub(crate) fn of(pattern: GroupPattern, per_domain: u32, gpus: u32) -> Self {
        let GroupPattern { size, stride } = pattern;
        let span = size * stride;
        if span <= per_domain && per_domain.is_multiple_of(span) || gpus <= per_domain {
            return Self {
                ranks: size,
                domains: 1,
                members: size,
                sharing: None,
            };
        }
        if stride.is_multiple_of(per_domain) {
            return Self {
                ranks: size,
                domains: size,
                members: 1,
                sharing: Some(per_domain),
            };
        }
        if per_domain.is_multiple_of(stride) && span.is_multiple_of(per_domain) {
            let members = per_domain / stride;
            return Self {
                ranks: size,
                domains: span / per_domain,
                members,
                sharing: Some(stride),
            };
        }
        Self::of_widest(pattern, per_domain, gpus)
    }

    /// The shape of the group that lies on most domains, found by looking at each.
    fn of_widest(pattern: GroupPattern, per_domain: u32, gpus: u32) -> Self {
        let GroupPattern { size, stride } = pattern;
        let span = size * stride;
        let mut widest = Self {
            ranks: size,
            domains: 1,
            members: size,
            sharing: None,
        };
        let period = lcm(span, per_domain).min(gpus.next_multiple_of(span));
        for base in bases(pattern, period) {
            let visits = visits(pattern, base, per_domain, u32::MAX);
            let domains = visits.len() as u32;
            let fewest = visits.iter().map(|visit| visit.ranks).min().unwrap_or(size);
            if (domains, u32::MAX - fewest) > (widest.domains, u32::MAX - widest.members) {
                widest.domains = domains;
                widest.members = fewest;
            }
        }
        if widest.domains > 1 {
            let sharing = (per_domain / widest.members).clamp(1, stride.min(per_domain));
            widest.sharing = Some(sharing);
        }
        widest
    }
}

fn lcm(a: u32, b: u32) -> u32 {
    let (mut x, mut y) = (a, b);
    while y != 0 {
        (x, y) = (y, x % y);
    }
    (a / x).saturating_mul(b)
}

/// First ranks of the groups of a pattern that begin in a job of `gpus`.
pub(super) fn bases(pattern: GroupPattern, gpus: u32) -> impl Iterator<Item = u32> {
    let span = (pattern.size * pattern.stride).max(1);
    let blocks = (0..gpus).step_by(span as usize);
    blocks.flat_map(move |first| first..first + pattern.stride)
}

/// First ranks of the groups of a pattern that lie in a job of `gpus` as a whole.
pub(super) fn whole_bases(pattern: GroupPattern, gpus: u32) -> impl Iterator<Item = u32> {
    let span = (pattern.size * pattern.stride).max(1);
    bases(pattern, gpus / span * span)
}

/// Consecutive ranks of a group in one domain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Visit {
    pub(super) domain: u32,
    pub(super) ranks: u32,
}

/// The domains of the group that begins at `base`, in the order of its ranks below `gpus`.
pub(super) fn visits(pattern: GroupPattern, base: u32, per_domain: u32, gpus: u32) -> Vec<Visit> {
    let ranks = (0..pattern.size).map(|i| base + i * pattern.stride);
    let domains = ranks
        .take_while(|rank| *rank < gpus)
        .map(|rank| rank / per_domain);
    let runs = domains.dedup_with_count();
    runs.map(|(ranks, domain)| Visit {
        domain,
        ranks: ranks as u32,
    })
    .collect()
}

/// Way round in which a ring sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Orientation {
    /// Half of the bytes each way round.
    Both,
    /// Each domain to the next, the last to the first.
    Forward,
    /// Each domain to the one before, the first to the last.
    Backward,
}

impl Orientation {
    pub(super) const ALL: [Self; 3] = [Self::Both, Self::Forward, Self::Backward];
}

/// Which domains of a group talk to each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Traffic {
    /// Neighbours on a ring.
    Ring(Orientation),
    /// Each with every other.
    Exchange,
    /// Each with the next, the last with none.
    Chain,
    /// Neighbours in two binary trees, half of the buffer up and down each of them.
    Trees,
}

impl Traffic {
    /// Members that the `index`-th of `count` sends to, with the parts of a buffer (on trees), or of all
    /// that it sends.
    pub(super) fn partners(self, index: u32, count: u32) -> Vec<(u32, f64)> {
        if self == Self::Trees {
            let joined = binary_tree::neighbours(index, count);
            return joined.map(|other| (other, 0.5)).collect();
        }
        let next = (index + 1) % count;
        let before = (index + count - 1) % count;
        let mut partners = match self {
            Self::Trees => Vec::new(),
            Self::Exchange => {
                let part = 1.0 / f64::from(count.max(2) - 1);
                (0..count).map(|other| (other, part)).collect()
            }
            Self::Ring(Orientation::Both) if count > 2 => vec![(next, 0.5), (before, 0.5)],
            Self::Ring(Orientation::Backward) => vec![(before, 1.0)],
            Self::Chain if index + 1 == count => Vec::new(),
            Self::Ring(Orientation::Both | Orientation::Forward) | Self::Chain => {
                vec![(next, 1.0)]
            }
        };
        partners.retain(|(other, _)| *other != index);
        partners
    }
}

/// The groups of a pattern, and which of their domains talk to each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct GroupTraffic {
    pub(super) groups: GroupPattern,
    pub(super) shape: GroupShape,
    pub(super) traffic: Traffic,
}

/// An amount that one domain sends to another.
pub(super) type DomainFlow = (u32, u32, f64);

/// Messages between domains in one round of all groups of a pattern.
///
/// A ring sends one message where it leaves a domain, half of it each way round where it lies on
/// more than two; an exchange sends one for every pair of ranks in different domains.
pub(super) fn messages(
    pattern: GroupPattern,
    per_domain: u32,
    gpus: u32,
    traffic: Traffic,
) -> Vec<DomainFlow> {
    let mut messages = Vec::new();
    for base in bases(pattern, gpus) {
        let visits = visits(pattern, base, per_domain, gpus);
        for (from, index) in visits.iter().zip(0..) {
            let mut partners = traffic.partners(index, visits.len() as u32);
            partners.sort_unstable_by_key(|(other, _)| *other);
            for (other, part) in partners {
                let to = visits[other as usize];
                let count = match traffic {
                    Traffic::Exchange => f64::from(from.ranks) * f64::from(to.ranks),
                    Traffic::Ring(_) | Traffic::Chain | Traffic::Trees => part,
                };
                messages.push((from.domain, to.domain, count));
            }
        }
    }
    messages
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(size: u32, stride: u32, gpus: u32) -> (u32, u32, Option<u32>) {
        let s = GroupShape::of(GroupPattern { size, stride }, 8, gpus);
        (s.domains, s.members, s.sharing)
    }

    // Domains of 8. tp = 8: in one domain. dp over 8 nodes beside tp = 8: one member per node, eight
    // groups share its NICs. dp over whole nodes: 8 members, alone. tp = 2 beside dp = 32: 4 members
    // of each of the two groups of a node.
    #[test]
    fn groups_are_counted_by_the_domains_they_lie_on() {
        assert_eq!(shape(8, 1, 64), (1, 8, None));
        assert_eq!(shape(8, 8, 64), (8, 1, Some(8)));
        assert_eq!(shape(64, 1, 64), (8, 8, Some(1)));
        assert_eq!(shape(32, 2, 64), (8, 4, Some(2)));
        assert_eq!(shape(16, 1, 64), (2, 8, Some(1)));
    }

    // Groups of 6 over domains of 8: ranks 6..12 are 2 in the first domain and 4 in the second.
    #[test]
    fn a_group_that_straddles_two_domains_counts_both() {
        assert_eq!(shape(6, 1, 24), (2, 2, Some(1)));
    }

    fn sent(size: u32, gpus: u32, traffic: Traffic) -> Vec<f64> {
        let groups = GroupPattern { size, stride: 1 };
        let mut sent = vec![0.0; gpus.div_ceil(8) as usize];
        for (from, _, count) in messages(groups, 8, gpus, traffic) {
            sent[from as usize] += count;
        }
        sent
    }

    // Groups of 5 on domains of 8: {5..9} lies on 0 and 1 with 3 and 2 ranks, {15..19} on 1 and 2
    // with 1 and 4, {20..24} on 2 and 3 with 4 and 1, {30..34} on 3 and 4 with 2 and 3. As rings:
    // one message out of each domain of each. As exchanges: 3 · 2, 1 · 4, 4 · 1, 2 · 3 each way.
    #[test]
    fn each_domain_sends_for_every_group_that_straddles_it() {
        assert_eq!(
            sent(5, 40, Traffic::Ring(Orientation::Both)),
            [1.0, 2.0, 2.0, 2.0, 1.0]
        );
        assert_eq!(sent(5, 40, Traffic::Exchange), [6.0, 10.0, 8.0, 10.0, 6.0]);
    }

    // One ring over four domains: half of a message to either side, one in all.
    #[test]
    fn a_ring_sends_both_ways_round() {
        assert_eq!(sent(32, 32, Traffic::Ring(Orientation::Both)), [1.0; 4]);
    }
}
