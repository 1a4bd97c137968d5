//! Links of one device that its communications share fairly.

/// What a communication takes of each link class while it runs alone, 0–1.
///
/// The classes are the caller's: `[scale-up, scale-out]`.
pub type LinkLoad = [f64; 2];

/// Max–min fair rates of the communications that one device runs at once.
///
/// A communication at rate 1 progresses as when it is alone and takes `load` of each class. All
/// rates grow together until a class is full; those that use the full class stop there, the others
/// grow on, none beyond 1 (progressive filling; Bertsekas & Gallager, Data Networks, 6.5.2).
#[derive(Clone, Debug, Default)]
pub struct SharedLinks {
    rates: Vec<f64>,
}

impl SharedLinks {
    /// Rates of the communications with these loads, in the same order.
    pub fn rates(&mut self, loads: &[LinkLoad]) -> &[f64] {
        const FULL: f64 = 1e-12;
        let rates = &mut self.rates;
        rates.clear();
        rates.resize(loads.len(), 0.0);
        let mut growing: Vec<usize> = (0..loads.len()).collect();
        let mut free = [1.0_f64; 2];
        while !growing.is_empty() {
            let demand = [0, 1].map(|class| growing.iter().map(|&i| loads[i][class]).sum::<f64>());
            let until_full = free.iter().zip(demand).filter(|(_, demand)| *demand > 0.0);
            let until_alone = growing.iter().map(|&i| 1.0 - rates[i]);
            let step = until_full
                .map(|(free, demand)| free / demand)
                .chain(until_alone)
                .fold(f64::INFINITY, f64::min);
            for &i in &growing {
                rates[i] += step;
            }
            for (free, demand) in free.iter_mut().zip(demand) {
                *free = (*free - step * demand).max(0.0);
            }
            growing.retain(|&i| {
                let mut classes = loads[i].iter().zip(free);
                let blocked = classes.any(|(load, free)| *load > 0.0 && free <= FULL);
                !blocked && rates[i] < 1.0 - FULL
            });
        }
        rates
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_communication_runs_at_its_own_speed() {
        assert_eq!(SharedLinks::default().rates(&[[1.0, 0.2]]), [1.0]);
    }

    // Both want all of class 0: half each.
    #[test]
    fn two_that_fill_the_same_class_get_half_each() {
        assert_eq!(
            SharedLinks::default().rates(&[[1.0, 0.0], [1.0, 0.0]]),
            [0.5, 0.5]
        );
    }

    // Different classes do not meet.
    #[test]
    fn two_on_different_classes_do_not_slow_each_other() {
        assert_eq!(
            SharedLinks::default().rates(&[[1.0, 0.0], [0.0, 1.0]]),
            [1.0, 1.0]
        );
    }

    // The light one needs 0.2 at rate 1; fair growth fills class 0 at rate r with 1.0·r + 0.2·r = 1,
    // r = 0.8333 for both.
    #[test]
    fn rates_grow_together_until_the_class_is_full() {
        let mut links = SharedLinks::default();
        let rates = links.rates(&[[1.0, 0.0], [0.2, 0.0]]);
        assert!(
            rates.iter().all(|rate| (rate - 1.0 / 1.2).abs() < 1e-9),
            "{rates:?}"
        );
    }
}
