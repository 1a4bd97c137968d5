//! Prices of communications on one job's network, each computed once.

use std::sync::Arc;

use crate::collective::{
    Algorithm, CollectiveCost, CollectiveOp, CollectiveRequest, GroupPattern, Network,
    TokenExchange,
};
use crate::hardware::Cluster;
use crate::memo::Memo;
use crate::simulation::Infeasible;
use crate::simulation::training::slowest::Slowest;
use crate::units::Bytes;

/// Prices of collectives on the network of a job.
#[derive(Clone, Debug)]
pub(super) struct Pricing {
    network: Network,
    slowest: Slowest,
    /// Latency multiplier; 1 except in counterfactuals.
    latency: f64,
    known: Memo<CollectiveRequest, CollectiveCost, MOST_KNOWN>,
    exchanges: Memo<TokenExchange, CollectiveCost, MOST_KNOWN>,
}

/// Prices that are kept of one network.
const MOST_KNOWN: usize = 1 << 16;

impl Pricing {
    /// Prices for a job.
    ///
    /// # Errors
    /// If the fabric cannot hold its nodes.
    pub(super) fn new(cluster: &Arc<Cluster>, gpus: u32) -> Result<Self, Infeasible> {
        let network = Network::new(cluster, gpus)
            .map_err(|fault| Infeasible::Unsupported(fault.to_string()))?;
        Ok(Self {
            network,
            slowest: Slowest::of(gpus),
            latency: 1.0,
            known: Memo::default(),
            exchanges: Memo::default(),
        })
    }

    /// Slowest GPU of the job.
    pub(super) const fn slowest(&self) -> Slowest {
        self.slowest
    }

    /// Sets the latency multiplier of all prices from now on.
    pub(super) fn stretch_latency(&mut self, factor: f64) {
        self.latency = factor;
    }

    /// Consecutive ranks that share a scale-up domain.
    pub(super) fn ranks_per_domain(&self) -> u32 {
        self.network.ranks_per_domain()
    }

    /// Channels of the library for long messages of a pattern's groups.
    pub(super) fn channels(&self, groups: GroupPattern) -> u32 {
        self.network.channels(groups)
    }

    /// Seconds below which no price of these bytes lies; they grow with the bytes.
    pub(super) fn line_rate_seconds(
        &self,
        op: CollectiveOp,
        bytes: f64,
        groups: GroupPattern,
    ) -> f64 {
        self.network.line_rate_seconds(op, bytes, groups)
    }

    /// Seconds below which no exchange of tokens of these bytes lies; they grow with the bytes.
    pub(super) fn least_exchange_seconds(&self, exchange: &TokenExchange, bytes: f64) -> f64 {
        self.network.token_line_rate_seconds(exchange, bytes)
    }

    /// Price of an exchange of tokens with their experts.
    pub(super) fn exchange(&mut self, exchange: &TokenExchange) -> CollectiveCost {
        let cost = self
            .exchanges
            .get_or_make(*exchange, || self.network.token_exchange(exchange));
        stretched(*cost, self.latency)
    }

    /// Price of an operation by the algorithm that was asked for. Another operation than an all-reduce
    /// takes what the library would choose, unless a custom algorithm is to carry it.
    ///
    /// # Errors
    /// If what was asked for cannot run on this network, or nothing can.
    pub(super) fn price(
        &mut self,
        op: CollectiveOp,
        bytes: Bytes,
        groups: GroupPattern,
        algorithm: Option<&Algorithm>,
    ) -> Result<CollectiveCost, Infeasible> {
        let algorithm = algorithm
            .filter(|asked| op == CollectiveOp::AllReduce || asked.custom().is_some())
            .cloned();
        let request = CollectiveRequest {
            op,
            bytes,
            groups,
            algorithm,
            protocol: None,
        };
        let cost = self
            .known
            .get_or_try_make(request.clone(), || self.network.collective(&request))
            .map_err(|why| Infeasible::of_collective(&why))?;
        Ok(stretched(*cost, self.latency))
    }
}

/// A cost with its latency term multiplied by `factor`; the bandwidth term stays.
fn stretched(cost: CollectiveCost, factor: f64) -> CollectiveCost {
    if (factor - 1.0).abs() <= 0.0 {
        return cost;
    }
    let latency = cost.latency.scaled(factor);
    CollectiveCost {
        time: cost.time - cost.latency + latency,
        latency,
        ..cost
    }
}
