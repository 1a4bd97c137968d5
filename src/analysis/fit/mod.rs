//! Laws of scaling fitted to a series: Amdahl, Gustafson, the Universal Scalability Law.
//!
//! All are fitted by least squares on the logarithm of time, since a model of scaling is right or
//! wrong by a factor, and refer to one GPU also where the smallest size has more. Bounds come from
//! the linear jackknife (each size left out once). R² is not shown: of times that fall a hundredfold it is
//! high for any law.
//!
//! ```
//! use clustersweep::analysis::Scaling;
//! use clustersweep::analysis::curve::SizeRate;
//! use clustersweep::analysis::fit::fits;
//!
//! // Amdahl's law with 1% of one GPU's time that no further GPU shortens.
//! let sizes = [8.0, 16.0, 32.0, 64.0].map(|size| SizeRate {
//!     size,
//!     rate: 1.0 / (0.01 + 0.99 / size),
//! });
//! let serial = fits(&sizes, Scaling::Strong).serial_fraction.unwrap();
//! assert!((serial.value - 0.01).abs() < 1e-6);
//! ```

mod contention;
mod jackknife;
mod least_squares;
mod serial;

use schemars::JsonSchema;
use serde::Serialize;

pub use contention::fit_usl;
pub(crate) use jackknife::Estimate;
pub use serial::fit_serial;

use contention::usl_without_each;
use serial::serial_fraction_without_each;

use super::curve::{Scaling, SizeRate, efficiencies};
use crate::units::plural;

/// Sizes below which no law is fitted: two parameters and bounds need more than three points.
pub(crate) const LEAST_SIZES: usize = 4;

/// Rate per GPU above the baseline's by more than this is superlinear; no law here describes it.
const SUPERLINEAR: f64 = 1.05;

/// Typical distance (root mean square of log time) from which a law does not describe the curve.
const MISFIT: f64 = 0.05;

/// Laws fitted to one series.
#[derive(Clone, Debug, Default, JsonSchema, PartialEq, Serialize)]
pub struct Fits {
    /// Fraction of one GPU's time that does not shrink: Amdahl's for strong scaling, Gustafson's
    /// for weak.
    pub serial_fraction: Option<Estimate>,
    /// USL: time lost to queueing, per further GPU.
    pub usl_contention: Option<Estimate>,
    /// USL: time lost to pairwise exchange, per pair.
    pub usl_coherency: Option<Estimate>,
    /// Size of the highest rate that the USL predicts; `None` where the rate never falls.
    pub peak_size: Option<f64>,
    /// Root mean square of the log residuals of Amdahl's (Gustafson's) law.
    pub serial_error: Option<f64>,
    /// Root mean square of the log residuals of the USL.
    pub usl_error: Option<f64>,
    /// Why a fit is missing, or where it does not describe the curve.
    pub note: Option<String>,
}

/// Fits the laws that are defensible for a series.
pub fn fits(sizes: &[SizeRate], scaling: Scaling) -> Fits {
    if let Some(reason) = refusal(sizes) {
        return Fits {
            note: Some(reason),
            ..Fits::default()
        };
    }
    let law = match scaling {
        Scaling::Strong => "Amdahl's law",
        Scaling::Weak => "Gustafson's law",
    };
    let mut found = Fits::default();
    let mut notes = Vec::new();
    if let Some(serial) = fit_serial(sizes, scaling) {
        found.serial_fraction = serial_fraction_without_each(sizes, &serial)
            .map(|without| jackknife::bounds(serial.serial_fraction, &without));
        found.serial_error = Some(serial.error);
        notes.extend(misfit(law, sizes, serial.error, |size| serial.rate(size)));
    }
    if let Some(usl) = fit_usl(sizes) {
        if let Some(without) = usl_without_each(sizes, &usl) {
            let (contention, coherency): (Vec<f64>, Vec<f64>) = without.into_iter().unzip();
            found.usl_contention = Some(jackknife::bounds(usl.contention, &contention));
            found.usl_coherency = Some(jackknife::bounds(usl.coherency, &coherency));
        }
        found.usl_error = Some(usl.error);
        found.peak_size = usl.peak_size();
        notes.extend(misfit("the USL", sizes, usl.error, |size| usl.rate(size)));
    }
    found.note = (!notes.is_empty()).then(|| notes.join("; "));
    found
}

fn refusal(sizes: &[SizeRate]) -> Option<String> {
    if sizes.len() < LEAST_SIZES {
        let plural = plural(sizes.len() as u64);
        return Some(format!(
            "no fit: {} size{plural} ran, at least {LEAST_SIZES} are needed",
            sizes.len()
        ));
    }
    let best = efficiencies(sizes)
        .into_iter()
        .map(|e| e.of_baseline)
        .fold(0.0, f64::max);
    (best > SUPERLINEAR).then(|| {
        format!(
            "no fit: superlinear, {:.0}% more per GPU than at the smallest size",
            (best - 1.0) * 100.0
        )
    })
}

/// Says where a law misses the curve most, when it misses it at all.
fn misfit(
    law: &str,
    sizes: &[SizeRate],
    error: f64,
    predicted: impl Fn(f64) -> f64,
) -> Option<String> {
    if error <= MISFIT {
        return None;
    }
    let (size, ratio) = sizes
        .iter()
        .map(|point| (point.size, predicted(point.size) / point.rate))
        .max_by(|a, b| libm::log(a.1).abs().total_cmp(&libm::log(b.1).abs()))?;
    Some(format!(
        "{law} does not describe this curve: {:+.0}% rate at size {size}",
        (ratio - 1.0) * 100.0
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn amdahl(sigma: f64, sizes: &[f64]) -> Vec<SizeRate> {
        sizes
            .iter()
            .map(|&size| SizeRate {
                size,
                rate: 10.0 / (sigma + (1.0 - sigma) / size),
            })
            .collect()
    }

    #[test]
    fn fewer_than_four_sizes_give_a_reason_instead_of_a_fit() {
        let found = fits(&amdahl(0.1, &[1.0, 2.0, 4.0]), Scaling::Strong);
        assert_eq!(found.serial_fraction, None);
        assert_eq!(
            found.note.as_deref(),
            Some("no fit: 3 sizes ran, at least 4 are needed")
        );
    }

    #[test]
    fn a_superlinear_curve_is_not_fitted() {
        let mut sizes = amdahl(0.01, &[1.0, 2.0, 4.0, 8.0]);
        // The smallest size at half of what it would be: the rest is about twice as good per GPU.
        sizes[0].rate *= 0.5;
        let found = fits(&sizes, Scaling::Strong);
        assert!(found.note.unwrap().contains("superlinear"));
    }

    #[test]
    fn a_law_that_misfits_is_said_to() {
        // Rate that rises to 64 GPUs and falls by half to 512: Amdahl's law only ever rises.
        let sizes: Vec<SizeRate> = [
            (8.0, 8.0),
            (16.0, 16.0),
            (32.0, 32.0),
            (64.0, 64.0),
            (128.0, 60.0),
            (512.0, 30.0),
        ]
        .map(|(size, rate)| SizeRate { size, rate })
        .to_vec();
        let found = fits(&sizes, Scaling::Strong);
        let note = found.note.unwrap();
        assert!(note.contains("Amdahl's law does not describe"), "{note}");
    }

    #[test]
    fn an_amdahl_curve_brings_its_fraction_and_tight_bounds() {
        let found = fits(
            &amdahl(0.002, &[8.0, 16.0, 32.0, 64.0, 128.0, 256.0]),
            Scaling::Strong,
        );
        let sigma = found.serial_fraction.unwrap();
        assert!((sigma.value - 0.002).abs() < 1e-6, "{sigma:?}");
        assert!(sigma.high - sigma.low < 1e-5);
        assert_eq!(found.note, None);
    }
}
