//! Links of one device that its communications share fairly.

use crate::des::fair::{Sharing, fill_few};

/// A figure of each link class of a device.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct PerLinkClass<T> {
    /// Links inside the scale-up domains.
    pub scale_up: T,
    /// NICs and the fabric behind them.
    pub scale_out: T,
}

/// Share of each link class that a communication takes while it runs alone, 0–1.
pub(crate) type LinkLoads = PerLinkClass<f64>;

impl<T> PerLinkClass<T> {
    /// Applies a function to the value of each class.
    pub(crate) fn map<U>(self, of: impl Fn(T) -> U) -> PerLinkClass<U> {
        PerLinkClass {
            scale_up: of(self.scale_up),
            scale_out: of(self.scale_out),
        }
    }

    /// A function of both figures of each class.
    pub(crate) fn zip<U, V>(
        self,
        other: PerLinkClass<U>,
        of: impl Fn(T, U) -> V,
    ) -> PerLinkClass<V> {
        PerLinkClass {
            scale_up: of(self.scale_up, other.scale_up),
            scale_out: of(self.scale_out, other.scale_out),
        }
    }
}

impl LinkLoads {
    /// Whether any link is used.
    pub(super) fn uses_links(self) -> bool {
        self.scale_up > 0.0 || self.scale_out > 0.0
    }

    fn of(self, link: u32) -> f64 {
        match link {
            SCALE_UP => self.scale_up,
            SCALE_OUT => self.scale_out,
            _ => 1.0,
        }
    }
}

/// Max–min fair rates of the communications that one device runs at once.
///
/// A communication at rate 1 progresses as when it is alone and takes `load` of each class. Those
/// that use a full class stop there, the others grow on, none beyond 1.
#[derive(Clone, Debug, Default)]
pub(crate) struct SharedLinks {
    communications: Communications,
}

/// Communications that are to have rates.
#[derive(Clone, Debug, Default)]
struct Communications {
    loads: Vec<LinkLoads>,
    /// Zero as long as it grows.
    rates: Vec<f64>,
}

/// Links of a device as the solver numbers them; the last is the limit that each communication has by
/// itself, and is never shared.
const SCALE_UP: u32 = 0;
const SCALE_OUT: u32 = 1;
const ALONE: u32 = 2;

impl Sharing for Communications {
    fn level(&self, link: u32) -> Option<f64> {
        if link == ALONE {
            return self.rates.iter().any(|rate| *rate <= 0.0).then_some(1.0);
        }
        let (mut rest, mut open) = (1.0, 0.0);
        for (rate, load) in self.rates.iter().zip(&self.loads) {
            let load = load.of(link);
            if *rate > 0.0 {
                rest -= rate * load;
            } else {
                open += load;
            }
        }
        (open > 0.0).then(|| rest / open)
    }

    fn freeze(&mut self, link: u32, rate: f64) {
        for (known, load) in self.rates.iter_mut().zip(&self.loads) {
            if *known <= 0.0 && load.of(link) > 0.0 {
                *known = rate;
            }
        }
    }
}

impl SharedLinks {
    /// Rates of the communications with these loads, in the same order.
    pub(crate) fn rates(&mut self, loads: impl IntoIterator<Item = LinkLoads>) -> &[f64] {
        let communications = &mut self.communications;
        communications.loads.clear();
        communications.loads.extend(loads);
        communications.rates.clear();
        if communications.loads.len() == 1 {
            // It has every link to itself.
            communications.rates.push(1.0);
            return &communications.rates;
        }
        communications.rates.resize(communications.loads.len(), 0.0);
        fill_few(0..=ALONE, communications);
        &communications.rates
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(scale_up: f64, scale_out: f64) -> LinkLoads {
        LinkLoads {
            scale_up,
            scale_out,
        }
    }

    #[test]
    fn one_communication_runs_at_its_own_speed() {
        assert_eq!(SharedLinks::default().rates([load(1.0, 0.2)]), [1.0]);
    }

    // Both want all of class 0: half each.
    #[test]
    fn two_that_fill_the_same_class_get_half_each() {
        assert_eq!(
            SharedLinks::default().rates([load(1.0, 0.0), load(1.0, 0.0)]),
            [0.5, 0.5]
        );
    }

    // Different classes do not meet.
    #[test]
    fn two_on_different_classes_do_not_slow_each_other() {
        assert_eq!(
            SharedLinks::default().rates([load(1.0, 0.0), load(0.0, 1.0)]),
            [1.0, 1.0]
        );
    }

    // The light one needs 0.2 at rate 1; fair growth fills class 0 at rate r with 1.0·r + 0.2·r = 1,
    // r = 0.8333 for both.
    #[test]
    fn rates_grow_together_until_the_class_is_full() {
        let mut links = SharedLinks::default();
        let rates = links.rates([load(1.0, 0.0), load(0.2, 0.0)]);
        assert!(
            rates.iter().all(|rate| (rate - 1.0 / 1.2).abs() < 1e-9),
            "{rates:?}"
        );
    }
}
