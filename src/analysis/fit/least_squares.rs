//! Least squares on the logarithm of a quantity that is linear in its parameters.

use crate::analysis::curve::SizeRate;

/// Most parameters of a law.
pub(super) const PARAMETERS: usize = 3;

/// Values of the terms at one size: `y = Σ parameter · term`.
pub(super) type Terms = [f64; PARAMETERS];

/// Terms of a law that is linear in `1`, `n − 1` and `n·(n − 1)`, at each size.
pub(super) struct Basis {
    /// Terms relative to their value at the largest size, so that they are of one magnitude.
    pub(super) terms: Vec<Terms>,
    /// GPU-seconds per sample.
    pub(super) times: Vec<f64>,
    /// Value of `n − 1` at the largest size.
    pub(super) linear: f64,
    /// Value of `n·(n − 1)` at the largest size.
    pub(super) quadratic: f64,
}

impl Basis {
    pub(super) fn of(sizes: &[SizeRate]) -> Option<Self> {
        let largest = sizes.last()?.size;
        let linear = (largest - 1.0).max(1.0);
        let quadratic = largest * linear;
        let terms = sizes.iter().map(|point| {
            let n = point.size;
            [1.0, (n - 1.0) / linear, n * (n - 1.0) / quadratic]
        });
        Some(Self {
            terms: terms.collect(),
            times: sizes.iter().map(|p| p.size / p.rate).collect(),
            linear,
            quadratic,
        })
    }
}

/// A fit: the parameters, and the root mean square of `log(y/ŷ)`.
#[derive(Clone, Copy, Debug)]
pub(super) struct LogFit {
    pub(super) parameters: Terms,
    pub(super) error: f64,
}

/// Minimises `Σ log²(value/predicted)` over the `free` parameters; the others are zero.
///
/// A linear fit with weights `1/value²` starts, Gauss–Newton steps on the log residuals follow:
/// a step solves the linear problem for `predicted · log(value/predicted)` with weights
/// `1/predicted²`. `None` where the terms do not determine the parameters, or the fit predicts
/// something that is not positive.
pub(super) fn fit_log(terms: &[Terms], values: &[f64], free: &[usize]) -> Option<LogFit> {
    const STEPS: usize = 30;
    /// Far below any bound, far above what rounding leaves of the normal equations.
    const CONVERGED: f64 = 1e-10;
    let mut parameters = solve(terms, values, values, free)?;
    let mut predicted = vec![0.0; values.len()];
    let mut residuals = vec![0.0; values.len()];
    for _ in 0..STEPS {
        predict(terms, &parameters, &mut predicted)?;
        for ((residual, value), predicted) in residuals.iter_mut().zip(values).zip(&predicted) {
            *residual = libm::log(value / predicted) * predicted;
        }
        let step = solve(terms, &residuals, &predicted, free)?;
        let mut largest = 0.0_f64;
        for (parameter, change) in parameters.iter_mut().zip(step) {
            *parameter += change;
            if *parameter != 0.0 {
                largest = largest.max((change / *parameter).abs());
            }
        }
        if largest < CONVERGED {
            break;
        }
    }
    predict(terms, &parameters, &mut predicted)?;
    let logs = values.iter().zip(&predicted).map(|(v, p)| libm::log(v / p));
    Some(LogFit {
        parameters,
        error: root_mean_square(logs),
    })
}

/// Parameters with each value left out once, by one Gauss–Newton step from the parameters that fit all
/// values; `None` where the rest does not determine the parameters.
///
/// Each value's terms are subtracted from the normal equations of all of them, so that no fit is
/// repeated (the linear jackknife: Fox, Hinkley & Larntz, Technometrics 22(1), 1980).
pub(super) fn leave_each_out(
    terms: &[Terms],
    values: &[f64],
    parameters: &Terms,
    free: &[usize],
) -> Option<Vec<Terms>> {
    let mut predicted = vec![0.0; values.len()];
    predict(terms, parameters, &mut predicted)?;
    let residual = |place: usize| libm::log(values[place] / predicted[place]) * predicted[place];
    let residuals: Vec<f64> = (0..values.len()).map(residual).collect();
    let mut all = Normal::default();
    for ((terms, residual), predicted) in terms.iter().zip(&residuals).zip(&predicted) {
        all.add(terms, *residual, 1.0 / (predicted * predicted), free);
    }
    (0..values.len())
        .map(|place| {
            let mut rest = all;
            let weight = 1.0 / (predicted[place] * predicted[place]);
            rest.add(&terms[place], residuals[place], -weight, free);
            let step = rest.solve(free)?;
            let mut without = *parameters;
            for (parameter, change) in without.iter_mut().zip(step) {
                *parameter += change;
            }
            Some(without)
        })
        .collect()
}

fn predict(terms: &[Terms], parameters: &Terms, predicted: &mut [f64]) -> Option<()> {
    for (predicted, terms) in predicted.iter_mut().zip(terms) {
        *predicted = terms.iter().zip(parameters).map(|(t, p)| t * p).sum();
        if predicted.is_nan() || *predicted <= 0.0 {
            return None;
        }
    }
    Some(())
}

/// Weighted linear least squares, weights `1/scale²`, by the normal equations with pivoting.
fn solve(terms: &[Terms], values: &[f64], scale: &[f64], free: &[usize]) -> Option<Terms> {
    let mut normal = Normal::default();
    for ((terms, value), scale) in terms.iter().zip(values).zip(scale) {
        normal.add(terms, *value, 1.0 / (scale * scale), free);
    }
    normal.solve(free)
}

/// Normal equations `[row × column]` of the free parameters, the right-hand side in the last column.
#[derive(Clone, Copy, Debug, Default)]
struct Normal([[f64; PARAMETERS + 1]; PARAMETERS]);

impl Normal {
    fn add(&mut self, terms: &Terms, value: f64, weight: f64, free: &[usize]) {
        for (row, &i) in self.0.iter_mut().zip(free) {
            let weighted = weight * terms[i];
            for (cell, &j) in row.iter_mut().zip(free) {
                *cell += weighted * terms[j];
            }
            row[PARAMETERS] += weighted * value;
        }
    }

    /// Solves the equations by elimination with pivoting.
    fn solve(self, free: &[usize]) -> Option<Terms> {
        /// A pivot this much smaller than its column's largest entry tells nothing.
        const SINGULAR: f64 = 1e-14;
        let count = free.len();
        let mut matrix = self.0;
        let largest = (0..count).map(|i| matrix[i][i]).fold(0.0, f64::max);
        for pivot in 0..count {
            let best = (pivot..count)
                .max_by(|a, b| matrix[*a][pivot].abs().total_cmp(&matrix[*b][pivot].abs()))?;
            matrix.swap(pivot, best);
            let top = matrix[pivot];
            if top[pivot].abs() <= SINGULAR * largest {
                return None;
            }
            for (_, row) in matrix
                .iter_mut()
                .take(count)
                .enumerate()
                .filter(|(row, _)| *row != pivot)
            {
                let factor = row[pivot] / top[pivot];
                for (cell, above) in row.iter_mut().zip(top) {
                    *cell -= factor * above;
                }
            }
        }
        let mut solution = [0.0; PARAMETERS];
        for (row, &i) in free.iter().enumerate() {
            solution[i] = matrix[row][PARAMETERS] / matrix[row][row];
        }
        solution.iter().all(|x| x.is_finite()).then_some(solution)
    }
}

/// Root mean square of residuals.
fn root_mean_square(residuals: impl ExactSizeIterator<Item = f64>) -> f64 {
    let count = residuals.len() as f64;
    (residuals.map(|r| r * r).sum::<f64>() / count).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exact_line_comes_back_without_error() {
        // y = 2 + 3·x at x = 1, 2, 4.
        let terms = [[1.0, 1.0, 0.0], [1.0, 2.0, 0.0], [1.0, 4.0, 0.0]];
        let found = fit_log(&terms, &[5.0, 8.0, 14.0], &[0, 1]).unwrap();
        assert!((found.parameters[0] - 2.0).abs() < 1e-9);
        assert!((found.parameters[1] - 3.0).abs() < 1e-9);
        assert!(found.error < 1e-12);
    }

    #[test]
    fn a_constant_is_the_geometric_mean() {
        // The minimum of the squared logs over one constant: √(1·4) = 2, off by a factor 2 each.
        let terms = [[1.0, 0.0, 0.0]; 2];
        let found = fit_log(&terms, &[1.0, 4.0], &[0]).unwrap();
        assert!((found.parameters[0] - 2.0).abs() < 1e-9);
        assert!((found.error - std::f64::consts::LN_2).abs() < 1e-9);
    }

    #[test]
    fn terms_that_are_alike_cannot_be_told_apart() {
        let terms = [[1.0, 2.0, 0.0], [1.0, 2.0, 0.0]];
        assert!(fit_log(&terms, &[1.0, 2.0], &[0, 1]).is_none());
    }
}
