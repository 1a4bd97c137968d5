//! Exchanges of tokens with experts by kernels that send a token once to each place: DeepEP and HybridEP.

use std::sync::LazyLock;

use serde::Deserialize;

use crate::collective::algorithm::CollectiveAlgorithm;
use crate::collective::cost::{Cost, Sent};
use crate::collective::custom::CarriedBy;
use crate::collective::group::Group;
use crate::collective::network::{Network, priced_as};
use crate::collective::op::{CollectiveOp, Protocol};
use crate::collective::placement::{GroupPattern, GroupShape, Traffic};
use crate::collective::request::CollectiveCost;
use crate::hardware::CollectiveLibrary;
use crate::model::{TokenLibrary, places_met};
use crate::units::{Bytes, Seconds, SimDuration, Volume};

/// Ranks of a group in one domain from which on the rate of wide groups holds.
const WIDE: u32 = 17;

#[derive(Debug, Deserialize)]
struct Rates {
    hopper: f64,
    blackwell: f64,
}

#[derive(Debug, Deserialize)]
struct Kernels {
    inside: Rates,
    wide: f64,
    call: SimDuration,
    sms: u32,
}

#[derive(Debug, Deserialize)]
struct Tables {
    deepep: Kernels,
    hybridep: Kernels,
}

static TABLES: LazyLock<Tables> = LazyLock::new(|| {
    toml::from_str(include_str!("../../data/libraries/tokens.toml"))
        .expect("the file is whole, which a test holds")
});

impl Kernels {
    fn of(library: TokenLibrary) -> &'static Self {
        match library {
            TokenLibrary::DeepEp => &TABLES.deepep,
            TokenLibrary::HybridEp => &TABLES.hybridep,
        }
    }

    /// Part of the line rate inside a domain, where a group has so many ranks in it.
    fn inside(&self, on: CollectiveLibrary, ranks: u32) -> f64 {
        let narrow = match on {
            CollectiveLibrary::NcclBlackwell => self.inside.blackwell,
            CollectiveLibrary::NcclVolta
            | CollectiveLibrary::NcclAmpere
            | CollectiveLibrary::NcclHopper
            | CollectiveLibrary::Rccl
            | CollectiveLibrary::Xla => self.inside.hopper,
        };
        if ranks < WIDE {
            narrow
        } else {
            narrow.min(self.wide)
        }
    }
}

/// SMs that the kernels of a library take.
pub(crate) fn token_sms(library: TokenLibrary) -> u32 {
    Kernels::of(library).sms
}

/// Every rank of a group sends its tokens to their experts on the others, or gets their outputs back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct TokenExchange {
    /// Library whose kernels carry it.
    pub library: TokenLibrary,
    /// Bytes of the rows of one rank's tokens, each counted as often as it visits an expert.
    pub bytes: Bytes,
    /// Experts that a token visits.
    pub visits: u32,
    /// Groups of experts that a token's may lie in at most, by the model's own limit.
    pub most_groups: Option<u32>,
    /// The groups, all at once.
    pub groups: GroupPattern,
}

/// Copies of a rank's tokens that leave it.
#[derive(Clone, Copy, Debug)]
struct Copies {
    /// To other ranks over the links of a domain, whichever way they came there.
    inside: f64,
    /// To other domains.
    across: f64,
}

impl TokenExchange {
    /// Copies of each token: one to each domain and rank that it meets, one of which is its own. A copy for another domain
    /// arrives on one of its `m` ranks, which hands it on to the others.
    fn copies(&self, shape: GroupShape) -> Copies {
        let visits = f64::from(self.visits);
        let (ranks, members) = (f64::from(shape.ranks), f64::from(shape.members));
        let domains = f64::from(shape.domains);
        let met = |places| places_met(places, visits, self.most_groups);
        Copies {
            inside: met(ranks) * (members - 1.0) / members,
            across: met(domains) * (domains - 1.0) / domains,
        }
    }
}

impl Network {
    /// Time of an exchange of tokens and its load on the network: the slower of the links inside the domains and of the
    /// NICs, which work at once, behind the latency of an exchange and the kernels around it.
    pub(crate) fn token_exchange(&self, exchange: &TokenExchange) -> CollectiveCost {
        let job = self.job();
        let (op, traffic) = (CollectiveOp::AllToAll, Traffic::Exchange);
        let group = Group::new(job, op, exchange.bytes, exchange.groups, traffic);
        let kernels = Kernels::of(exchange.library);
        let copies = exchange.copies(group.shape);
        let once = Volume::from(exchange.bytes) / f64::from(exchange.visits);
        let sent = Sent {
            inside: once * copies.inside,
            across: if group.crosses() {
                once * copies.across
            } else {
                Volume::ZERO
            },
        };
        let up = &job.cluster.scale_up;
        let reached = kernels.inside(job.cluster.library, group.shape.members) / up.efficiency;
        let inside = sent.inside / (group.intra * reached);
        let across = group.between.map_or(Seconds::ZERO, |between| {
            sent.across / (between.scattered / group.members())
        });
        let cost = Cost {
            latency: group.slowest_latency(Protocol::Simple) + kernels.call.into(),
            transfer: inside.max(across),
            busy: None,
        };
        CollectiveCost {
            sms: kernels.sms,
            ..priced_as(
                &group,
                CarriedBy::BuiltIn(CollectiveAlgorithm::Direct),
                cost,
                sent,
            )
        }
    }

    /// Seconds below which no exchange of `bytes` lies; they grow with the bytes.
    pub(crate) fn token_line_rate_seconds(&self, exchange: &TokenExchange, bytes: f64) -> f64 {
        let job = self.job();
        let shape = self.shape(exchange.groups);
        if shape.ranks <= 1 || self.is_custom() {
            return 0.0;
        }
        let copies = exchange.copies(shape);
        let once = bytes / f64::from(exchange.visits);
        let kernels = Kernels::of(exchange.library);
        let reached = kernels.inside(job.cluster.library, shape.members);
        let up = job.cluster.scale_up.bandwidth.as_bytes_per_s() * reached;
        let inside = once * copies.inside / up;
        let Some(nics) = self.domain_line_rate(shape) else {
            return inside;
        };
        inside.max(once * copies.across * f64::from(shape.members) / nics)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::Catalog;

    /// Rows of 4,096 tokens of 7,168 values of 2 bytes that visit 8 experts, over one group.
    fn exchange(library: TokenLibrary, ranks: u32) -> TokenExchange {
        TokenExchange {
            library,
            bytes: Bytes::new(4096 * 8 * 7168 * 2),
            visits: 8,
            most_groups: Some(4),
            groups: GroupPattern {
                size: ranks,
                stride: 1,
            },
        }
    }

    fn micros(cluster: &str, exchange: &TokenExchange) -> f64 {
        let cluster = &Catalog::builtin().clusters[cluster];
        let network = Network::new(cluster, exchange.groups.size).unwrap();
        network.token_exchange(exchange).time.as_secs_f64() * 1e6
    }

    // arXiv 2603.07685, table 7: means of dispatch and combine by HybridEP, 256 experts of which a token visits 8. That they
    // lie in 4 of 8 groups, as DeepSeek-V3's, is inferred: drawn from all, they would exceed the NICs' rate on 64 ranks.
    #[test]
    fn hybridep_takes_what_was_measured_inside_a_server_a_rack_and_beyond() {
        let measured = [
            ("dgx-h100", 8, 642.0),
            ("dgx-h100", 16, 1586.0),
            ("dgx-h100", 32, 3076.0),
            ("dgx-h100", 64, 4512.0),
            ("gb200-nvl72", 8, 372.0),
            ("gb200-nvl72", 16, 552.0),
            ("gb200-nvl72", 32, 629.0),
            ("gb200-nvl72", 64, 710.0),
        ];
        let errors = measured.map(|(cluster, ranks, measured)| {
            micros(cluster, &exchange(TokenLibrary::HybridEp, ranks)) / measured - 1.0
        });
        let mean = errors.iter().map(|error| error.abs()).sum::<f64>() / 8.0;
        assert!(mean < 0.15, "{errors:?}");
        assert!(errors.iter().all(|error| error.abs() < 0.35), "{errors:?}");
    }

    // Of 8 ranks a token meets 4, of which 7/8 are others: 3.5 copies over the links of the server. On two servers it meets
    // 2 · 69/70, half of them another one.
    #[test]
    fn a_token_is_sent_once_to_each_place() {
        let copies = |ranks, domains, members| {
            let shape = GroupShape {
                ranks,
                domains,
                members,
                sharing: None,
            };
            exchange(TokenLibrary::HybridEp, ranks).copies(shape)
        };
        let one = copies(8, 1, 8);
        assert!(
            (one.inside - 3.5).abs() < 1e-12 && one.across.abs() < 1e-12,
            "{one:?}"
        );
        assert!((copies(16, 2, 8).across - 69.0 / 70.0).abs() < 1e-12);
        assert!((copies(64, 8, 8).across - 3.5).abs() < 1e-12);
    }

    #[test]
    fn no_exchange_is_faster_than_its_links() {
        for (name, cluster) in &Catalog::builtin().clusters {
            for (gpus, size, stride) in [
                (8, 8, 1),
                (16, 16, 1),
                (64, 32, 2),
                (144, 48, 1),
                (64, 8, 8),
            ] {
                let Ok(network) = Network::new(cluster, gpus) else {
                    continue;
                };
                for library in [TokenLibrary::DeepEp, TokenLibrary::HybridEp] {
                    let mut exchange = exchange(library, size);
                    exchange.groups.stride = stride;
                    let cost = network.token_exchange(&exchange);
                    let bytes = exchange.bytes.as_f64();
                    let least = network.token_line_rate_seconds(&exchange, bytes);
                    assert!(
                        least <= cost.time.as_secs_f64(),
                        "{name} {gpus} {exchange:?}: {least} {cost:?}"
                    );
                }
            }
        }
    }
}
