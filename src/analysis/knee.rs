//! The knee of a scaling curve: where it bends most.

use itertools::Itertools;

use super::curve::SizeRate;

/// A bend of the slope smaller than this is noise, not a knee: ideal scaling has slope 1 in
/// log–log, a flat curve 0.
const LEAST_BEND: f64 = 0.1;

/// Size of the largest downward curvature of `log rate` over `log size`; `None` where the curve
/// has fewer than four sizes or does not bend.
///
/// Curvature at a size is that of the circle through it and its two neighbours (Menger).
pub(crate) fn knee(sizes: &[SizeRate]) -> Option<f64> {
    if sizes.len() < 4 {
        return None;
    }
    let logs: Vec<(f64, f64)> = sizes
        .iter()
        .map(|point| (libm::log(point.size), libm::log(point.rate)))
        .collect();
    let bends = logs.into_iter().tuple_windows().zip(&sizes[1..]);
    bends
        .filter(|((a, b, c), _)| slope(*a, *b) - slope(*b, *c) >= LEAST_BEND)
        .map(|((a, b, c), point)| (menger_curvature(a, b, c), point.size))
        .reduce(|best, next| if next.0 > best.0 { next } else { best })
        .map(|(_, size)| size)
}

fn slope(from: (f64, f64), to: (f64, f64)) -> f64 {
    (to.1 - from.1) / (to.0 - from.0)
}

/// `κ = 4·A / (|ab|·|bc|·|ca|)` of the triangle `abc` with area `A`.
fn menger_curvature(a: (f64, f64), b: (f64, f64), c: (f64, f64)) -> f64 {
    let double_area = ((b.0 - a.0) * (c.1 - a.1) - (c.0 - a.0) * (b.1 - a.1)).abs();
    let side = |p: (f64, f64), q: (f64, f64)| libm::hypot(q.0 - p.0, q.1 - p.1);
    2.0 * double_area / (side(a, b) * side(b, c) * side(c, a))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn curve(rates: &[f64]) -> Vec<SizeRate> {
        rates
            .iter()
            .enumerate()
            .map(|(place, &rate)| SizeRate {
                size: f64::from(1u32 << place),
                rate,
            })
            .collect()
    }

    #[test]
    fn the_knee_is_where_ideal_scaling_turns_flat() {
        // Doubles up to 8 GPUs, then stays: slope 1 before 8, 0 after.
        assert_eq!(knee(&curve(&[1.0, 2.0, 4.0, 8.0, 8.0, 8.0])), Some(8.0));
    }

    #[test]
    fn a_straight_line_has_no_knee() {
        // Slope 0.9 throughout in log–log.
        let rates: Vec<f64> = (0..6).map(|i| libm::exp2(0.9 * f64::from(i))).collect();
        assert_eq!(knee(&curve(&rates)), None);
    }

    #[test]
    fn three_sizes_are_too_few_for_a_knee() {
        assert_eq!(knee(&curve(&[1.0, 2.0, 2.0])), None);
    }

    #[test]
    fn curvature_is_one_over_the_radius() {
        // Three points of the unit circle.
        let kappa = menger_curvature((1.0, 0.0), (0.0, 1.0), (-1.0, 0.0));
        assert!((kappa - 1.0).abs() < 1e-12);
    }
}
