//! Curves with known parameters: what the analysis finds is what was put in.

use clustersweep::analysis::breakdown::{breakdown_point, breakdown_point_of_best};
use clustersweep::analysis::curve::{SizeRate, efficiencies};
use clustersweep::analysis::fit::{fit_serial, fit_usl, fits};
use clustersweep::analysis::{BreakdownStatus, Scaling};

const SIZES: [f64; 9] = [8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0, 2048.0];

/// A counter-based generator (SplitMix64), so that a failure names its seed.
struct Noise(u64);

impl Noise {
    fn uniform(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// A standard normal draw (Box–Muller).
    fn normal(&mut self) -> f64 {
        let radius = (-2.0 * libm::log(1.0 - self.uniform())).sqrt();
        radius * libm::cos(2.0 * std::f64::consts::PI * self.uniform())
    }
}

fn curve(sizes: &[f64], rate: impl Fn(f64) -> f64) -> Vec<SizeRate> {
    sizes
        .iter()
        .map(|&size| SizeRate {
            size,
            rate: rate(size),
        })
        .collect()
}

/// Curves of laws divide evenly at every size.
fn no_teeth(sizes: &[SizeRate]) -> Vec<bool> {
    vec![false; sizes.len()]
}

fn amdahl(sigma: f64) -> impl Fn(f64) -> f64 {
    move |n| 100.0 / (sigma + (1.0 - sigma) / n)
}

/// Where `rate(n)/n` falls to `threshold` of that at `from`, by bisection on the true curve.
fn true_breakdown(rate: impl Fn(f64) -> f64, from: f64, threshold: f64) -> f64 {
    let efficiency = |n: f64| rate(n) / n / (rate(from) / from);
    let (mut low, mut high) = (from, 1e9);
    for _ in 0..200 {
        let middle = (low * high).sqrt();
        if efficiency(middle) >= threshold {
            low = middle;
        } else {
            high = middle;
        }
    }
    low
}

fn assert_within_one_step(sizes: &[SizeRate], truth: f64, what: &str) {
    let point = breakdown_point(sizes, &efficiencies(sizes), &no_teeth(sizes), 0.8);
    let found = point
        .confirmed_size()
        .unwrap_or_else(|| panic!("{what}: none found"));
    // Sizes double: one step is a factor of two.
    let steps = (libm::log2(found) - libm::log2(truth)).abs();
    assert!(steps <= 1.0, "{what}: found {found}, truth {truth}");
}

#[test]
fn breakdown_points_of_known_laws_are_found_within_one_step() {
    for exponent in 0..40 {
        let sigma = 1e-4 * libm::pow(1.12, f64::from(exponent));
        let law = amdahl(sigma);
        let truth = true_breakdown(&law, SIZES[0], 0.8);
        if truth < 512.0 {
            assert_within_one_step(&curve(&SIZES, &law), truth, &format!("amdahl {sigma}"));
        }
        let kappa = sigma * sigma;
        let usl = |n: f64| 50.0 * n / (1.0 + sigma * (n - 1.0) + kappa * n * (n - 1.0));
        let truth = true_breakdown(usl, SIZES[0], 0.8);
        if truth < 512.0 {
            assert_within_one_step(&curve(&SIZES, usl), truth, &format!("usl {sigma}"));
        }
    }
}

#[test]
fn a_piecewise_curve_breaks_at_its_corner_also_with_gaps() {
    // Ideal up to the corner, flat behind: efficiency is corner/n there, 0.8 at 1.25 · corner.
    for corner in [16.0, 32.0, 64.0, 128.0, 256.0] {
        let law = |n: f64| f64::min(n, corner);
        assert_within_one_step(&curve(&SIZES, law), 1.25 * corner, "piecewise");
        let gappy: Vec<f64> = SIZES
            .into_iter()
            .filter(|size| (size - corner).abs() > 0.5 && (size - 64.0).abs() > 0.5)
            .collect();
        let sizes = curve(&gappy, law);
        let point = breakdown_point(&sizes, &efficiencies(&sizes), &no_teeth(&sizes), 0.8);
        let (good, bad) = point.between.unwrap();
        // The truth lies between the two sizes that the gap leaves.
        assert!(sizes[good].size <= 1.25 * corner && sizes[bad].size >= 1.25 * corner);
    }
}

#[test]
fn noise_of_three_percent_rarely_moves_the_first_bad_size_by_more_than_one_step() {
    // A baseline that is 3σ off moves the whole curve by 9%, which in a flat law is more than one
    // doubling: that happens, but to fewer than one curve in a hundred.
    let mut noise = Noise(1);
    let (mut curves, mut further) = (0, 0);
    for _ in 0..1_000 {
        let sigma = 5e-4 * libm::pow(20.0, noise.uniform());
        let law = amdahl(sigma);
        let truth = true_breakdown(&law, SIZES[0], 0.8);
        let sizes: Vec<SizeRate> = SIZES
            .iter()
            .map(|&size| SizeRate {
                size,
                rate: law(size) * (1.0 + 0.03 * noise.normal()),
            })
            .collect();
        if (16.0..400.0).contains(&truth) {
            let point = breakdown_point(&sizes, &efficiencies(&sizes), &no_teeth(&sizes), 0.8);
            // The first bad size against the first one that truly is.
            let (_, found) = point.between.unwrap();
            let truly = SIZES.iter().position(|size| *size > truth).unwrap();
            curves += 1;
            further += usize::from(found.abs_diff(truly) > 1);
        }
    }
    assert!(
        curves > 500 && 100 * further < curves,
        "{further} of {curves}"
    );
}

#[test]
fn a_superlinear_start_does_not_hide_the_break_from_the_best_rate() {
    // Half the rate per GPU at the smallest size, ideal up to 128, flat behind: against the best
    // rate efficiency is 128/n, 0.8 at 160.
    let sizes = curve(&SIZES, |n| {
        f64::min(n, 128.0) * if n < 16.0 { 0.5 } else { 1.0 }
    });
    let point = breakdown_point_of_best(&sizes, &efficiencies(&sizes), &no_teeth(&sizes), 0.8);
    let found = point.confirmed_size().unwrap();
    assert!((128.0..=256.0).contains(&found), "{found}");
    let fitted = fits(&sizes, Scaling::Strong);
    assert_eq!(fitted.serial_fraction, None);
    assert!(fitted.note.unwrap().contains("superlinear"));
}

#[test]
fn ten_thousand_noisy_ideal_curves_have_no_false_breakdown() {
    let mut noise = Noise(2);
    for round in 0..10_000 {
        let sizes: Vec<SizeRate> = SIZES
            .iter()
            .map(|&size| SizeRate {
                size,
                rate: size * (1.0 + 0.03 * noise.normal()),
            })
            .collect();
        let point = breakdown_point(&sizes, &efficiencies(&sizes), &no_teeth(&sizes), 0.8);
        assert_eq!(point.status, BreakdownStatus::None, "round {round}");
    }
}

#[test]
fn parameters_come_back_within_five_percent() {
    for sigma in [1e-5, 1e-4, 1e-3, 0.01, 0.1, 0.5] {
        let found = fit_serial(&curve(&SIZES, amdahl(sigma)), Scaling::Strong).unwrap();
        assert!((found.serial_fraction / sigma - 1.0).abs() < 0.05);
        let weak = curve(&SIZES, |n| 7.0 * (sigma + (1.0 - sigma) * n));
        let found = fit_serial(&weak, Scaling::Weak).unwrap();
        // Gustafson's serial part is a constant beside thousands: below 0.01 rounding alone hides
        // nothing, but the curve is ideal to within 0.2%.
        assert!(
            (found.serial_fraction / sigma - 1.0).abs() < 0.05,
            "{sigma} {found:?}"
        );
        for kappa in [1e-7, 1e-6, 1e-5, 1e-4] {
            let usl = curve(&SIZES, |n| {
                n / (1.0 + sigma * (n - 1.0) + kappa * n * (n - 1.0))
            });
            let found = fit_usl(&usl).unwrap();
            assert!(
                (found.contention / sigma - 1.0).abs() < 0.05,
                "{sigma} {kappa}"
            );
            assert!(
                (found.coherency / kappa - 1.0).abs() < 0.05,
                "{sigma} {kappa}"
            );
        }
    }
}

#[test]
fn parameters_under_one_percent_noise_are_within_their_bounds() {
    // 95% bounds: over 300 curves the truth may lie outside some, not many.
    let mut noise = Noise(3);
    let mut inside = 0;
    for _ in 0..300 {
        let law = amdahl(0.005);
        let sizes: Vec<SizeRate> = SIZES
            .iter()
            .map(|&size| SizeRate {
                size,
                rate: law(size) * (1.0 + 0.01 * noise.normal()),
            })
            .collect();
        let found = fits(&sizes, Scaling::Strong).serial_fraction.unwrap();
        inside += usize::from(found.low <= 0.005 && 0.005 <= found.high);
        assert!((found.value / 0.005 - 1.0).abs() < 0.15, "{found:?}");
    }
    assert!(inside >= 255, "{inside} of 300");
}
