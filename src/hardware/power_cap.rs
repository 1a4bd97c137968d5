//! A power limit below a GPU's own, and what it slows.
//!
//! Large products run at the clock that the power limit leaves them ([`GemmRate::sustained`]). Under a lower limit the
//! clock φ, as a fraction of the data sheet's, solves
//!
//! `φ · max(φ, V)² = x · φ₀ · max(φ₀, V)²`, `x = (cap − idle) / (limit − idle)`,
//!
//! where φ₀ is the sustained fraction at the GPU's own limit: power beyond idle grows with the clock and the square of
//! the voltage, which follows the clock down to a least voltage V and no further. Products that never reach the limit
//! are as fast as before, and so is whatever waits for memory. Attention is held to the rate of products.
//!
//! Derived, not measured: its two constants are properties of chips, not fitted. It says 0.87 for an H100 at 600 of
//! 700 W, where operators report training 10 to 15% slower (factryze.ai, 2026), 0.28 for a GB300 at 500 of 1400 W,
//! where products of 1,600 to 2,174 TFLOP/s ran at 617 (facebookexperimental/triton#2023), and 1.2 between 175 and
//! 250 of 300 W on a V100, where whole images took 1.13 times as long (bradrlaw/ai-server#32).

use crate::hardware::{AttentionRate, GemmRate, Gpu, Precision};
use crate::units::Power;

/// Power of an idle GPU over its limit: 79 of 700 W on an H100 (stackhpc/ansible-slurm-appliance#975).
const IDLE: f64 = 0.11;

/// Least voltage over that of the highest clock: 0.71 V at 1,095 of 1,740 MHz (NVIDIA/nvidia-docker#1447), where about
/// 1 V is usual at the highest.
const LEAST_VOLTAGE: f64 = 0.7;

/// Lowest limit that a GPU takes, over its own: 200 of 700 W on an H100 (stackhpc/ansible-slurm-appliance#975).
const LEAST_CAP: f64 = 200.0 / 700.0;

impl Gpu {
    /// The GPU under a power limit; one above its own changes nothing.
    ///
    /// # Errors
    /// In words, if no limit of the GPU is known, or it takes none so low.
    pub(crate) fn with_power_cap(&self, cap: Power) -> Result<Self, String> {
        let name = &self.name;
        let watts = cap.as_watts();
        let Some(limit) = self.power.map(Power::as_watts) else {
            return Err(format!(
                "power_cap {watts} W needs the power limit of `{name}`, which is not known; give [gpus.\"{name}\"] `power`"
            ));
        };
        if watts < LEAST_CAP * limit {
            let least = (LEAST_CAP * limit).ceil();
            return Err(format!(
                "power_cap {watts} W is under the least of `{name}`, {least} W of {limit} W"
            ));
        }
        let mut capped = self.clone();
        if watts >= limit {
            return Ok(capped);
        }
        capped.power = Some(cap);
        let share = (watts / limit - IDLE) / (1.0 - IDLE);
        for rate in capped.rates.gemm.values_mut() {
            *rate = GemmRate {
                sustained: clock(rate.sustained, share),
                ..*rate
            };
        }
        let sustained = |format| capped.rates.product(format).sustained;
        let kernels: Vec<_> = capped.rates.attention.keys().copied().collect();
        let most = kernels
            .iter()
            .map(|kernel| sustained(kernel.format(Precision::Bf16)));
        let most: Vec<f64> = most.collect();
        for (rate, most) in capped.rates.attention.values_mut().zip(most) {
            *rate = AttentionRate {
                forward: rate.forward.min(most),
                backward: rate.backward.min(most),
                ..*rate
            };
        }
        Ok(capped)
    }
}

/// Clock over the data sheet's at a share of the power beyond idle, where it is `full` at all of it.
fn clock(full: f64, share: f64) -> f64 {
    let voltage = full.max(LEAST_VOLTAGE);
    let power = share * full * voltage * voltage;
    let cubic = libm::cbrt(power);
    if cubic >= LEAST_VOLTAGE {
        cubic
    } else {
        power / (LEAST_VOLTAGE * LEAST_VOLTAGE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::Catalog;

    // Energy of a product is power over clock. From the data sheet's clock a share of 0.7³ = 0.343 of the power beyond idle leaves
    // the clock 0.7, where the voltage is at its least: (0.11 + 0.89·0.343)/0.7 = 0.593 of the energy. Half of that share halves the
    // clock and not the idle power: (0.11 + 0.89·0.1715)/0.35 = 0.750.
    #[test]
    fn energy_is_least_where_the_voltage_is() {
        let energy = |share| (IDLE + (1.0 - IDLE) * share) / clock(1.0, share);
        assert!((energy(1.0) - 1.0).abs() < 1e-12);
        assert!((energy(0.343) - 0.593).abs() < 1e-3, "{}", energy(0.343));
        assert!((energy(0.1715) - 0.750).abs() < 1e-3, "{}", energy(0.1715));
    }

    // At the clock of the data sheet half of the power leaves ∛0.5 = 0.794 of it; from 0.6, where the voltage is at its
    // least, half of the power is half of the clock: 0.3. From 0.8: 0.8³·0.6 = 0.3072 is under 0.7³ = 0.343, so
    // 0.3072 / 0.49 = 0.627.
    #[test]
    fn the_clock_falls_with_the_cube_root_and_then_with_the_power() {
        for (full, share, expected) in [
            (1.0, 0.5, 0.793_700_526),
            (0.6, 0.5, 0.3),
            (0.8, 0.6, 0.626_938_776),
            (0.8, 1.0, 0.8),
        ] {
            let clock = clock(full, share);
            assert!((clock - expected).abs() < 1e-9, "{full} {share}: {clock}");
        }
    }

    #[test]
    fn no_gpu_is_faster_under_a_lower_limit() {
        for (name, gpu) in &Catalog::builtin().gpus {
            let Some(limit) = gpu.power.map(Power::as_watts) else {
                assert!(gpu.with_power_cap(Power::watts(500.0)).is_err(), "{name}");
                continue;
            };
            let mut last = gpu.rates.clone();
            for percent in (30..=110).rev().step_by(10) {
                let cap = Power::watts(limit * f64::from(percent) / 100.0);
                let capped = gpu.with_power_cap(cap).expect("above the least");
                for (format, rate) in &capped.rates.gemm {
                    let before = last.gemm[format].sustained;
                    assert!(rate.sustained > 0.0, "{name}");
                    assert!(
                        rate.sustained <= before + 1e-12,
                        "{name}: {format} at {percent}%"
                    );
                }
                for (kernel, rate) in &capped.rates.attention {
                    assert!(
                        rate.forward <= last.attention[kernel].forward,
                        "{name}: {kernel}"
                    );
                }
                assert_eq!(
                    capped.power.map(Power::as_watts),
                    Some(cap.as_watts().min(limit))
                );
                last = capped.rates;
            }
            assert!(
                gpu.with_power_cap(Power::watts(0.2 * limit)).is_err(),
                "{name}"
            );
        }
    }
}
