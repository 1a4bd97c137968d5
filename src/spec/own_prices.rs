//! Which rents a run's spec gives of its own, in place of those of the program's lists.

use std::collections::{BTreeMap, BTreeSet};

use super::mixed_gpus::type_names;
use super::run_settings::run_settings;
use crate::catalog::{Catalog, Kind};

/// Prices that a spec gives: of single GPUs, and lists.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct OwnPrices {
    /// GPUs whose tables have a price.
    gpus: BTreeSet<String>,
    /// GPUs that are made of others.
    bases: BTreeMap<String, String>,
    /// Lists with their own tables.
    lists: BTreeSet<String>,
}

impl OwnPrices {
    /// The prices in the resolved text of a spec.
    pub(crate) fn of(spec: &str) -> Self {
        let mut own = Self::default();
        for (path, value) in run_settings(spec) {
            let gpu = |key| path.strip_prefix("gpus.")?.strip_suffix(key);
            if let Some(gpu) = gpu(".price_per_hour") {
                own.gpus.insert(gpu.to_owned());
            }
            if let Some(gpu) = gpu(".base") {
                own.bases.insert(gpu.to_owned(), value);
            }
            if let Some((list, _)) = path
                .strip_prefix("prices.")
                .and_then(|it| it.split_once('.'))
            {
                own.lists.insert(list.to_owned());
            }
        }
        own
    }

    /// The types of GPU that a value of the axis names, each with whether the spec gives its rent under a list. As where
    /// rents are looked up, a GPU's own price comes before that of the list, and that before its base's.
    pub(crate) fn of_types(&self, gpu: &str, list: &str) -> Vec<(String, bool)> {
        let named = |gpu: String| {
            let own = self.is_own(&gpu, list);
            (gpu, own)
        };
        type_names(gpu).into_iter().map(named).collect()
    }

    fn is_own(&self, gpu: &str, list: &str) -> bool {
        let catalog = Catalog::builtin();
        let listed = catalog.prices.get(list);
        let Some(listed) = listed.filter(|_| !self.lists.contains(list)) else {
            return true;
        };
        let mut at = gpu;
        loop {
            if self.gpus.contains(at) {
                return true;
            }
            if listed.prices.contains_key(at) {
                return false;
            }
            let own = self.bases.get(at).map(String::as_str);
            let preset = catalog
                .entry(Kind::Gpus, at)
                .and_then(|it| it.base.as_deref());
            // A table over a preset of the same name changes it.
            let Some(base) = own.filter(|base| *base != at).or(preset) else {
                return false;
            };
            at = base;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::DEFAULT_PRICES;

    fn own(spec: &str, gpu: &str, list: &str) -> bool {
        let types = OwnPrices::of(spec).of_types(gpu, list);
        let [(name, own)] = &types[..] else {
            panic!("one type");
        };
        assert_eq!(name, gpu);
        *own
    }

    // The H100's price on the list, written in the spec to the cent, is the spec's.
    #[test]
    fn a_price_of_the_spec_is_its_own_though_it_equals_the_list() {
        let listed = Catalog::builtin().rent(DEFAULT_PRICES, "h100-sxm");
        let listed = listed.expect("the list has it").of_each(8).usd();
        let spec =
            format!("[gpus.h100-sxm]\nbase = \"h100-sxm\"\nprice_per_hour = \"{listed} USD\"\n");
        assert!(own(&spec, "h100-sxm", DEFAULT_PRICES));
        assert!(!own(&spec, "b200", DEFAULT_PRICES));
        assert!(!own("", "h100-sxm", DEFAULT_PRICES));
    }

    #[test]
    fn a_gpu_of_the_spec_pays_what_its_base_does() {
        let changed = "[gpus.mine]\nbase = \"h100-sxm\"\nmemory = \"90 GB\"\n";
        assert!(!own(changed, "mine", DEFAULT_PRICES));
        let priced = format!("{changed}[gpus.h100-sxm]\nprice_per_hour = \"3 USD\"\n");
        assert!(own(&priced, "mine", DEFAULT_PRICES));
    }

    #[test]
    fn lists_of_the_spec_are_its_own_and_types_of_a_job_are_told_apart() {
        assert!(own(
            "[prices.cheap.per_gpu_hour]\nb200 = \"1 USD\"\n",
            "b200",
            "cheap"
        ));
        let spec = "[gpus.h100-sxm]\nprice_per_hour = \"3 USD\"\n";
        let types = OwnPrices::of(spec).of_types("8xb200 + 8xh100-sxm", DEFAULT_PRICES);
        let expected = [("b200".to_owned(), false), ("h100-sxm".to_owned(), true)];
        assert_eq!(types, expected);
    }
}
