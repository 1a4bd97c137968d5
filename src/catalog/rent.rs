//! Rents of the GPUs of a catalogue, and faults of its price lists.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::data_table::quantity::{Amount, Currency, Dollars};
use crate::spelling::did_you_mean;

use super::fault::Faults;
use super::prices::{DEFAULT_PRICES, PriceList, Rent};
use super::{Catalog, Kind};

/// Notes faults of a price list that no single key shows, and gives every GPU its own name.
pub(super) fn check(
    list: &mut PriceList,
    table: &toml::Table,
    catalog: &Catalog,
    faults: &mut Faults<'_>,
) {
    if list.currency != Currency::USD && list.usd_rate.is_none() {
        let message = format!("the list has no rate of {}", list.currency);
        let hint = format!("write `usd_rate`: US dollars for one {}", list.currency);
        faults.key("currency", message, Some(hint));
    }
    if list.usd_rate.is_some_and(|rate| rate <= 0.0) {
        faults.key("usd_rate", "a rate is above zero".to_owned(), None);
    }
    if list.prices.is_empty() {
        let hint = "write `per_gpu_hour` or `per_node_hour` with prices by GPU";
        faults.key(
            "",
            "the list has no price".to_owned(),
            Some(hint.to_owned()),
        );
    }
    let mut named = BTreeMap::new();
    for key in ["per_gpu_hour", "per_node_hour"] {
        let amounts = table.get(key).and_then(toml::Value::as_table);
        for (gpu, amount) in amounts.into_iter().flatten() {
            let path = format!("{key}.{gpu}");
            let currency = Amount::of(amount).ok().and_then(|amount| amount.currency);
            if let Some(other) = currency.filter(|it| ![list.currency, Currency::USD].contains(it))
            {
                let message = format!("the list has no rate of {other}");
                let hint = format!("prices of this list are in {} or USD", list.currency);
                faults.key(&path, message, Some(hint));
            }
            let Some(name) = catalog.named(Kind::Gpus, gpu) else {
                let hint = did_you_mean(gpu, catalog.names(Kind::Gpus));
                faults.key(&path, format!("unknown GPU `{gpu}`"), hint);
                continue;
            };
            if named.insert(name.to_owned(), list.prices[gpu]).is_some() {
                faults.key(&path, format!("`{name}` has two prices"), None);
            }
        }
    }
    list.prices = named;
}

impl Catalog {
    /// Rent of a GPU on a list: the price that the GPU's own table gives, else that of the list, else that of the GPU
    /// which it changes.
    pub(crate) fn rent(&self, list: &str, gpu: &str) -> Option<Rent> {
        let prices = &self.prices.get(list)?.prices;
        let mut at = gpu;
        loop {
            let entry = self.entry(Kind::Gpus, at)?;
            let own = entry
                .table
                .get("price_per_hour")
                .and_then(toml::Value::as_str);
            if let Some(own) = own.and_then(|text| text.parse().ok()) {
                return Some(Rent::PerGpu(own));
            }
            if let Some(rent) = prices.get(at) {
                return Some(*rent);
            }
            at = entry.base.as_deref()?;
        }
    }

    /// Gives every GPU without a price of its own that of the list which holds by default.
    pub(super) fn price_gpus(&mut self) {
        let rents: Vec<(String, Dollars)> = self
            .gpus
            .iter()
            .filter(|(_, gpu)| gpu.price_per_hour.is_none())
            .filter_map(|(name, gpu)| {
                let node = self.clusters.get(&gpu.cluster)?.gpus_per_node;
                Some((name.clone(), self.rent(DEFAULT_PRICES, name)?.of_each(node)))
            })
            .collect();
        for (name, rent) in rents {
            let gpu = self.gpus.get_mut(&name).expect("it was listed above");
            Arc::make_mut(gpu).price_per_hour = Some(rent);
        }
    }
}
