//! The Universal Scalability Law: contention and coherency.

use super::root_mean_square;
use crate::analysis::curve::SizeRate;

/// The Universal Scalability Law, fitted: `X(n) = λ·n / (1 + σ·(n−1) + κ·n·(n−1))`.
///
/// Source: Gunther, *Guerrilla Capacity Planning*, Springer 2007.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct UslFit {
    /// Rate of one GPU, λ.
    pub rate_of_one: f64,
    /// Contention σ: time lost to what only one can use at a time.
    pub contention: f64,
    /// Coherency κ: time lost to exchange between pairs.
    pub coherency: f64,
    /// Root mean square of the log residuals.
    pub error: f64,
}

impl UslFit {
    /// Rate at a size.
    pub fn rate(&self, size: f64) -> f64 {
        self.rate_of_one * size
            / (1.0 + self.contention * (size - 1.0) + self.coherency * size * (size - 1.0))
    }

    /// Size of the highest rate, `√((1−σ)/κ)`; `None` where the rate never falls.
    pub fn peak_size(&self) -> Option<f64> {
        (self.coherency > 0.0 && self.contention < 1.0)
            .then(|| ((1.0 - self.contention) / self.coherency).sqrt())
    }
}

/// Least squares on the logarithm of the rate, both parameters kept from going negative.
///
/// `n/X(n)` is linear in `(1, n−1, n·(n−1))`, which gives the start; Gauss–Newton steps on the log
/// residuals refine it. Bounds at zero are handled by fitting each set of free parameters and
/// keeping the best one that is admissible.
pub fn fit_usl(sizes: &[SizeRate]) -> Option<UslFit> {
    const FREE: [&[usize]; 4] = [&[0, 1, 2], &[0, 1], &[0, 2], &[0]];
    FREE.iter()
        .filter(|free| sizes.len() >= free.len())
        .filter_map(|free| refine(sizes, free))
        .min_by(|a, b| a.error.total_cmp(&b.error))
}

/// `(1, n−1, n·(n−1))`, each column divided by its value at the largest size so that the normal
/// equations stay well conditioned.
fn basis(size: f64, largest: f64) -> [f64; 3] {
    let scale = (largest - 1.0).max(1.0);
    [
        1.0,
        (size - 1.0) / scale,
        size * (size - 1.0) / (largest * scale),
    ]
}

fn refine(sizes: &[SizeRate], free: &[usize]) -> Option<UslFit> {
    let largest = sizes.last()?.size;
    let columns: Vec<[f64; 3]> = sizes.iter().map(|p| basis(p.size, largest)).collect();
    let times: Vec<f64> = sizes.iter().map(|p| p.size / p.rate).collect();
    // Weights 1/t² make the linear fit's residuals relative ones.
    let mut parameters = weighted(&columns, &times, &times, free)?;
    for _ in 0..30 {
        let predicted: Vec<f64> = columns.iter().map(|c| dot(c, &parameters)).collect();
        if predicted.iter().any(|t| *t <= 0.0) {
            return None;
        }
        let residual: Vec<f64> = times
            .iter()
            .zip(&predicted)
            .map(|(t, p)| libm::log(t / p) * p)
            .collect();
        let step = weighted(&columns, &residual, &predicted, free)?;
        for (parameter, change) in parameters.iter_mut().zip(step) {
            *parameter += change;
        }
    }
    let admissible = parameters[0] > 0.0 && parameters[1] >= 0.0 && parameters[2] >= 0.0;
    admissible.then(|| {
        let scale = (largest - 1.0).max(1.0);
        UslFit {
            rate_of_one: 1.0 / parameters[0],
            contention: parameters[1] / scale / parameters[0],
            coherency: parameters[2] / (largest * scale) / parameters[0],
            error: root_mean_square(
                columns
                    .iter()
                    .zip(&times)
                    .map(|(c, t)| libm::log(t / dot(c, &parameters))),
            ),
        }
    })
}

fn dot(a: &[f64; 3], b: &[f64; 3]) -> f64 {
    a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
}

/// Weighted linear least squares over the free columns, weights `1/scale²`; `None` where singular.
fn weighted(
    columns: &[[f64; 3]],
    values: &[f64],
    scale: &[f64],
    free: &[usize],
) -> Option<[f64; 3]> {
    let count = free.len();
    let mut matrix = [[0.0_f64; 4]; 3];
    for ((column, value), scale) in columns.iter().zip(values).zip(scale) {
        let weight = 1.0 / (scale * scale);
        for (row, &i) in free.iter().enumerate() {
            for (place, &j) in free.iter().enumerate() {
                matrix[row][place] += weight * column[i] * column[j];
            }
            matrix[row][3] += weight * column[i] * value;
        }
    }
    for pivot in 0..count {
        let best = (pivot..count)
            .max_by(|a, b| matrix[*a][pivot].abs().total_cmp(&matrix[*b][pivot].abs()))?;
        matrix.swap(pivot, best);
        let top = matrix[pivot];
        if top[pivot].abs() < 1e-300 {
            return None;
        }
        for (_, row) in matrix
            .iter_mut()
            .enumerate()
            .filter(|(row, _)| *row != pivot)
        {
            let factor = row[pivot] / top[pivot];
            for (cell, above) in row.iter_mut().zip(top) {
                *cell -= factor * above;
            }
        }
    }
    let mut solution = [0.0; 3];
    for (row, &i) in free.iter().enumerate() {
        solution[i] = matrix[row][3] / matrix[row][row];
    }
    solution.iter().all(|x| x.is_finite()).then_some(solution)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZES: [f64; 8] = [8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0];

    fn curve(contention: f64, coherency: f64) -> [SizeRate; 8] {
        let law = UslFit {
            rate_of_one: 7.0,
            contention,
            coherency,
            error: 0.0,
        };
        SIZES.map(|size| SizeRate {
            size,
            rate: law.rate(size),
        })
    }

    #[test]
    fn contention_and_coherency_come_back() {
        for (contention, coherency) in [(0.01, 1e-5), (0.001, 1e-6), (0.1, 1e-4)] {
            let found = fit_usl(&curve(contention, coherency)).unwrap();
            assert!((found.contention / contention - 1.0).abs() < 1e-6);
            assert!((found.coherency / coherency - 1.0).abs() < 1e-6);
        }
    }

    #[test]
    fn the_rate_peaks_where_coherency_overtakes() {
        // √((1 − 0.01)/1e-5) = 314.6.
        let found = fit_usl(&curve(0.01, 1e-5)).unwrap();
        assert!((found.peak_size().unwrap() - 314.64).abs() < 0.1);
    }

    #[test]
    fn parameters_never_go_negative() {
        // Slightly superlinear: both parameters end at their bound.
        let sizes = SIZES.map(|size| SizeRate {
            size,
            rate: libm::pow(size, 1.01),
        });
        let found = fit_usl(&sizes).unwrap();
        assert!(found.contention.abs() < 1e-12 && found.coherency.abs() < 1e-12);
        assert_eq!(found.peak_size(), None);
    }
}
