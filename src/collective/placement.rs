//! How the groups of one parallel dimension lie over the scale-up domains.

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

/// What the groups of a pattern have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct GroupShape {
    /// Ranks of a group.
    pub ranks: u32,
    /// Domains that a group lies on.
    pub domains: u32,
    /// Ranks of a group in the domain that holds fewest of them.
    pub members: u32,
    /// Groups that share the NICs of a domain; 0 when no group leaves its domain.
    pub sharing: u32,
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
    pub const fn is_even(&self) -> bool {
        self.members * self.domains == self.ranks
    }

    /// The shape of the groups of `pattern` when `per_domain` consecutive ranks share a domain.
    ///
    /// Where groups differ (a size that does not divide the domain) it is the one that has most to
    /// send between domains.
    pub fn of(pattern: GroupPattern, per_domain: u32, gpus: u32) -> Self {
        let GroupPattern { size, stride } = pattern;
        let span = size * stride;
        if span <= per_domain && per_domain.is_multiple_of(span) || gpus <= per_domain {
            return Self {
                ranks: size,
                domains: 1,
                members: size,
                sharing: 0,
            };
        }
        if stride.is_multiple_of(per_domain) {
            return Self {
                ranks: size,
                domains: size,
                members: 1,
                sharing: per_domain,
            };
        }
        if per_domain.is_multiple_of(stride) && span.is_multiple_of(per_domain) {
            let members = per_domain / stride;
            return Self {
                ranks: size,
                domains: span / per_domain,
                members,
                sharing: stride,
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
            sharing: 0,
        };
        let period = lcm(span, per_domain).min(gpus.next_multiple_of(span));
        for block in (0..period).step_by(span as usize) {
            for base in block..block + stride {
                let (mut domains, mut fewest, mut here, mut last) = (0, size, 0, u32::MAX);
                for i in 0..size {
                    let domain = (base + i * stride) / per_domain;
                    if domain != last {
                        if domains > 0 {
                            fewest = fewest.min(here);
                        }
                        domains += 1;
                        here = 0;
                        last = domain;
                    }
                    here += 1;
                }
                fewest = fewest.min(here);
                if (domains, u32::MAX - fewest) > (widest.domains, u32::MAX - widest.members) {
                    widest.domains = domains;
                    widest.members = fewest;
                }
            }
        }
        if widest.domains > 1 {
            widest.sharing = (per_domain / widest.members).clamp(1, stride.min(per_domain));
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

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(size: u32, stride: u32, gpus: u32) -> (u32, u32, u32) {
        let s = GroupShape::of(GroupPattern { size, stride }, 8, gpus);
        (s.domains, s.members, s.sharing)
    }

    // Domains of 8. tp = 8: in one domain. dp over 8 nodes beside tp = 8: one member per node, eight
    // groups share its NICs. dp over whole nodes: 8 members, alone. tp = 2 beside dp = 32: 4 members
    // of each of the two groups of a node.
    #[test]
    fn groups_are_counted_by_the_domains_they_lie_on() {
        assert_eq!(shape(8, 1, 64), (1, 8, 0));
        assert_eq!(shape(8, 8, 64), (8, 1, 8));
        assert_eq!(shape(64, 1, 64), (8, 8, 1));
        assert_eq!(shape(32, 2, 64), (8, 4, 2));
        assert_eq!(shape(16, 1, 64), (2, 8, 1));
    }

    // Groups of 6 over domains of 8: ranks 6..12 are 2 in the first domain and 4 in the second.
    #[test]
    fn a_group_that_straddles_two_domains_counts_both() {
        assert_eq!(shape(6, 1, 24), (2, 2, 1));
    }
}
