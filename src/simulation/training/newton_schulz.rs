//! Time of Muon's orthogonalisation.

use crate::kernel::{KernelContext, operator_time};
use crate::model::Operator;
use crate::simulation::training::work::kernel_context;
use crate::simulation::{Layout, TrainingScenario};

/// Iterations of a step (arXiv 2502.16982 section 2.1; `muon_num_ns_steps` of Megatron-Core).
const ITERATIONS: u32 = 5;

/// Seconds that the iterations of a step take per parameter of the layers' matrices, as this rank holds them.
///
/// An iteration on a matrix `X` of `m × n`, `m ≤ n`, is `A = X·Xᵀ`, `B = b·A + c·A·A`, `X ← a·X + B·X`: products of `m × m × n`,
/// `m × m × m` and `m × n × m`. Ranks of a tensor-parallel group iterate on their own blocks.
pub(super) fn seconds_per_parameter(scenario: &TrainingScenario, layout: &Layout) -> f64 {
    let Some(network) = scenario.model.transformer() else {
        return 0.0;
    };
    let context = KernelContext {
        precision: layout.precision.high(),
        ..kernel_context(scenario, layout)
    };
    let product = |m, n, k| {
        let product = Operator::Gemm {
            batch: 1,
            m,
            n,
            k,
            low_precision: false,
        };
        operator_time(&product, &context).busy.as_secs_f64()
    };
    let (mut seconds, mut parameters) = (0.0, 0.0);
    for (rows, columns, count) in network.matrices(layout.tp, layout.etp) {
        let (m, n) = (rows.min(columns), rows.max(columns));
        let iteration = product(m, m, n) + product(m, m, m) + product(m, n, m);
        seconds += count as f64 * f64::from(ITERATIONS) * iteration;
        parameters += (count * rows * columns) as f64;
    }
    if parameters > 0.0 {
        seconds / parameters
    } else {
        0.0
    }
}
