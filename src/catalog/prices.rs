//! Price lists: what a provider asks for its GPUs, at one date and on one term.
//!
//! A list that a point names by its axis `prices` gives the rent of its GPUs. Prices are per GPU, or per node where
//! a provider rents whole nodes only, and in a currency whose rate the list states.

use std::collections::BTreeMap;

use crate::closed_set;
use crate::data_table::quantity::{Amount, Amounts, Currency, Date, Dollars};
use crate::data_table::{ValueKind, data_table};

/// The list that holds where a spec names none.
pub(crate) const DEFAULT_PRICES: &str = "verda-2026";

/// Name of the list that a spec writes under `[prices]`.
pub(crate) const OWN_PRICES: &str = "own";

closed_set! {
    /// Terms on which a GPU is rented.
    pub(crate) enum PriceTerm: "price term" {
        /// By the hour, for as long as one likes.
        OnDemand = "on-demand",
        /// For months or years ahead.
        Reserved = "reserved",
        /// By the hour, until somebody else pays more.
        Spot = "spot",
    }
}

data_table! {
    /// Prices of one provider at one date.
    #[derive(Clone, Debug, PartialEq)]
    pub(crate) struct PriceList {
        /// Name for people; default: the name.
        title: String = name.to_owned(),
        /// Year, month or day of the prices.
        date: Option<Date>,
        /// Terms of the rent; default: on-demand.
        term: PriceTerm = PriceTerm::OnDemand,
        /// Currency of prices that are bare numbers; default: USD.
        currency: Currency = Currency::USD,
        /// US dollars for one unit of the currency; needed where that is no dollar.
        usd_rate: Option<f64> [ValueKind::NumberTo(1_000_000)],
    } reads {
        /// Price of one GPU for an hour, by the GPU's name.
        per_gpu_hour: Option<Amounts>,
        /// Price of one node with all its GPUs for an hour, by the GPU's name: a job pays for whole nodes.
        per_node_hour: Option<Amounts>,
    } with |fields, name: &str| {
        /// Catalogue name: `aws-2026`.
        name: String = name.to_owned(),
        /// Prices by GPU.
        prices: BTreeMap<String, Rent> = rents(per_gpu_hour, per_node_hour, usd_rate),
    }
}

/// Rent for an hour.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Rent {
    /// Price of one GPU.
    PerGpu(Dollars),
    /// Price of a whole node.
    PerNode(Dollars),
}

impl Rent {
    /// Rent of one of so many GPUs of a job that share a node.
    pub(crate) fn of_each(self, sharing: u32) -> Dollars {
        match self {
            Self::PerGpu(price) => price,
            Self::PerNode(price) => Dollars::of(price.usd() / f64::from(sharing)),
        }
    }
}

/// Both tables in US dollars.
fn rents(
    per_gpu: Option<Amounts>,
    per_node: Option<Amounts>,
    usd_rate: Option<f64>,
) -> BTreeMap<String, Rent> {
    let usd = |amount: Amount| {
        let rate = match amount.currency {
            Some(Currency::USD) => 1.0,
            Some(_) | None => usd_rate.unwrap_or(1.0),
        };
        Dollars::of(amount.value * rate)
    };
    let of = |table: Option<Amounts>, rent: fn(Dollars) -> Rent| {
        let amounts = table.unwrap_or_default().0.into_iter();
        amounts.map(move |(gpu, amount)| (gpu, rent(usd(amount))))
    };
    of(per_gpu, Rent::PerGpu)
        .chain(of(per_node, Rent::PerNode))
        .collect()
}
