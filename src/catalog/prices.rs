//! The price list of the presets: one provider at one date, so that GPUs can be compared.
//!
//! A preset that the list does not hold has no price. The price of A100 to B300 comes from one file of
//! `skypilot-org/skypilot-catalog`, `catalogs/v8/verda/vms.csv`, per GPU of an instance on demand.

/// Name, date and source of the price list.
macro_rules! price_list {
    () => {
        "Verda on demand, 2026 (skypilot-org/skypilot-catalog@000c1d0)"
    };
}
pub(crate) use price_list;

/// Basis of every price, for people who read one.
pub(crate) const PRICES: &str = concat!(
    "Prices of presets are those of ",
    price_list!(),
    "; a spec's own price_per_hour replaces them."
);
