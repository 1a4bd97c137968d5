//! Sizes at which a fixed batch divides unevenly.

use super::curve::{Efficiency, is_under};
use super::points::SizePoint;

/// Samples, replicas and GPUs of a size that ran.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Division {
    gpus: u64,
    samples: u64,
    replicas: u64,
    microbatches: u64,
}

impl Division {
    /// The division at a size; `None` where its row does not say.
    fn new(point: &SizePoint) -> Option<Self> {
        let measured = point.measured.as_ref()?;
        let layout = &measured.layout;
        Some(Self {
            gpus: u64::from(point.gpus),
            samples: measured.samples_per_step().round() as u64,
            replicas: u64::from(layout.dp?),
            microbatches: u64::from(layout.microbatches?),
        })
    }

    /// Whether `smaller` grown to this size by data parallelism alone divides this batch evenly: its replicas
    /// divide the samples, or the samples the replicas.
    fn is_even_after(&self, smaller: &Self) -> bool {
        let replicas = smaller.replicas * self.gpus / smaller.gpus;
        self.gpus.is_multiple_of(smaller.gpus)
            && (self.samples.is_multiple_of(replicas) || replicas.is_multiple_of(self.samples))
    }
}

/// Whether the batch divides unevenly at each size that ran, smallest first.
///
/// A size is even where some smaller one, no tooth itself, whose efficiency reaches `threshold` could have grown to it
/// in replicas alone, and where a single microbatch per replica leaves nothing to divide. An efficiency under the
/// threshold at an uneven size says nothing about the sizes around it: the layout that ran is what its factors left.
pub(super) fn uneven_sizes(
    ran: &[&SizePoint],
    efficiency: &[Efficiency],
    threshold: f64,
) -> Vec<bool> {
    let mut good: Vec<Division> = Vec::new();
    let mut best = 0.0_f64;
    let sizes = ran.iter().zip(efficiency);
    sizes
        .map(|(point, efficiency)| {
            let Some(division) = Division::new(point) else {
                return false;
            };
            let is_even = good.is_empty()
                || division.microbatches == 1
                || good.iter().any(|smaller| division.is_even_after(smaller));
            let efficiency = efficiency.of_baseline;
            let is_tooth = !is_even && is_under(efficiency, best);
            if efficiency >= threshold && !is_tooth {
                good.push(division);
            }
            best = best.max(efficiency);
            !is_even
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A job of 512 samples with tensor parallelism of one.
    fn pure(gpus: u64) -> Division {
        Division {
            gpus,
            samples: 512,
            replicas: gpus,
            microbatches: 4,
        }
    }

    // 512 samples: 64 replicas give each 8, 1,024 ranks share them in pairs; 40 or 96 replicas of 8 GPUs' layout leave
    // a remainder of 512, and 20 is no multiple of 8.
    #[test]
    fn a_size_is_even_where_replicas_alone_reach_it() {
        assert!(pure(64).is_even_after(&pure(8)));
        assert!(pure(1_024).is_even_after(&pure(8)));
        for gpus in [40, 96, 20, 528] {
            assert!(!pure(gpus).is_even_after(&pure(8)), "{gpus}");
        }
        // A batch that grows with the job always divides.
        let grown = Division {
            samples: 40 * 64,
            ..pure(40)
        };
        assert!(grown.is_even_after(&pure(8)));
    }
}
