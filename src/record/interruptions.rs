//! Time that checkpoints, failures and restarts add to a training.

use crate::spec::BesideStep;
use crate::units::{Bytes, SimDuration};

/// Checkpoints, failures and restarts of a job, in seconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Interruptions {
    /// Mean time between failures of the job; `None` where it never fails.
    mtbf: Option<f64>,
    /// From a failure to the first step after it.
    restart: f64,
    /// Time to write a checkpoint.
    write: f64,
    /// Whether steps go on while a checkpoint is written.
    is_async: bool,
    /// Work between the beginnings of two checkpoints, where it is given.
    given_interval: Option<f64>,
}

impl Interruptions {
    /// Those of a job of some nodes, whose checkpoints have a size unless the settings give one.
    ///
    /// Failures of nodes are independent, so that a job fails as many times as often as it has nodes. Without a
    /// bandwidth a checkpoint takes no time.
    pub(super) fn of(settings: &BesideStep, nodes: u32, size: Bytes) -> Self {
        let size = settings.checkpoint_size.unwrap_or(size).as_f64();
        let bandwidth = settings.checkpoint_bandwidth;
        let nodes = f64::from(nodes.max(1));
        Self {
            mtbf: settings
                .node_mtbf_hours
                .map(|hours| hours * 3_600.0 / nodes),
            restart: settings.restart_time.map_or(0.0, SimDuration::as_secs_f64),
            write: bandwidth.map_or(0.0, |rate| size / rate.as_bytes_per_s()),
            is_async: settings.checkpoint_async,
            given_interval: settings.checkpoint_interval.map(SimDuration::as_secs_f64),
        }
    }

    /// Expected time over the time of the same work without interruptions, at least 1.
    ///
    /// With `M` the job's mean time between failures, `R` the restart, `δ` the write and `τ` the work between two
    /// checkpoints:
    ///
    /// - steps wait for the write: `M·e^(R/M)·(e^((τ+δ)/M) − 1)/τ` (Daly, FGCS 22(3), 2006, eq. 20);
    /// - steps go on: `M·e^((R+δ)/M)·(e^(τ/M) − 1)/τ`. A checkpoint counts once it is written, so that a failure
    ///   loses `δ` of work besides, as if it took that much longer to restart; own derivation, to first order in
    ///   `δ/M`.
    ///
    /// Without failures a write that steps wait for adds `δ/τ`.
    pub(super) fn stretch(&self) -> f64 {
        let interval = self.interval();
        let Some(mtbf) = self.mtbf else {
            return match interval {
                Some(interval) if !self.is_async => 1.0 + self.write / interval,
                Some(_) | None => 1.0,
            };
        };
        let interval = interval.unwrap_or(0.0);
        let (waits, lost) = if self.is_async {
            (0.0, self.write)
        } else {
            (self.write, 0.0)
        };
        let each_failure = libm::exp((self.restart + lost) / mtbf);
        if interval == 0.0 {
            // Checkpoints that take no time are written after every step.
            return each_failure;
        }
        mtbf * each_failure * libm::expm1((interval + waits) / mtbf) / interval
    }

    /// Work between two checkpoints: the given one, or the one that loses least; `None` where nothing calls for any.
    ///
    /// Writes that steps do not wait for follow one another at once, and never faster than they are done.
    fn interval(&self) -> Option<f64> {
        if self.is_async {
            let given = self.given_interval.unwrap_or(0.0);
            return Some(given.max(self.write));
        }
        let best = |mtbf| daly_interval(mtbf, self.write);
        self.given_interval.or_else(|| self.mtbf.map(best))
    }
}

/// Work between checkpoints that loses least, where steps wait for their writes.
///
/// `τ = √(2δM)·(1 + ⅓·√(δ/2M) + ⅑·δ/2M) − δ`, and `M` where a checkpoint takes longer than `2M`. Young's `√(2δM)`
/// (CACM 17(9), 1974) is its first term.
///
/// Source: Daly, FGCS 22(3), 2006, eq. 37.
fn daly_interval(mtbf: f64, write: f64) -> f64 {
    let ratio = write / (2.0 * mtbf);
    if ratio >= 1.0 {
        return mtbf;
    }
    let young = (2.0 * write * mtbf).sqrt();
    young * (1.0 + ratio.sqrt() / 3.0 + ratio / 9.0) - write
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HOURLY: Interruptions = Interruptions {
        mtbf: Some(10_800.0),
        restart: 300.0,
        write: 60.0,
        is_async: false,
        given_interval: None,
    };

    // The example of the paper's figure 3: M = 24 h, R = 10 min, δ = 5 min give τ = 117 min; figure 4: M = 6 h, 57 min;
    // figure 5: M = 15 min, 9.1 min.
    #[test]
    fn the_interval_is_that_of_the_paper() {
        for (mtbf_min, minutes) in [(24.0 * 60.0, 117.0), (6.0 * 60.0, 57.0), (15.0, 9.1)] {
            let interval = daly_interval(mtbf_min * 60.0, 300.0) / 60.0;
            assert!(
                (interval / minutes - 1.0_f64).abs() < 0.01,
                "{interval} {minutes}"
            );
        }
    }

    // One failure in 10⁹ s, 10 s per checkpoint: τ = √(2·10·10⁹) = 141,421 s, so checkpoints and lost work each take
    // 10/141,421 = 7·10⁻⁵ of the time.
    #[test]
    fn failures_that_never_come_cost_only_their_checkpoints() {
        let rare = Interruptions {
            mtbf: Some(1e9),
            restart: 600.0,
            write: 10.0,
            ..HOURLY
        };
        let lost = rare.stretch() - 1.0;
        assert!((lost - 1.414e-4).abs() < 1e-6, "{lost}");
    }

    // To first order the loss is δ/τ + τ/2M + R/M = 60/1,100 + 1,100/21,600 + 300/10,800 = 0.055 + 0.051 + 0.028; where
    // steps go on, τ = δ: δ/M + δ/2M + R/M = 0.0056 + 0.0028 + 0.0278.
    #[test]
    fn frequent_failures_lose_what_the_formulas_say() {
        let waits = HOURLY.stretch() - 1.0;
        assert!((0.130..0.150).contains(&waits), "{waits}");
        let goes_on = Interruptions {
            is_async: true,
            ..HOURLY
        };
        let lost = goes_on.stretch() - 1.0;
        assert!((lost / 0.0361 - 1.0).abs() < 0.03, "{lost}");
    }

    // δ/τ = 60/1,200; nothing where steps go on; nothing without an interval, since nothing calls for checkpoints.
    #[test]
    fn a_job_that_never_fails_pays_for_the_checkpoints_that_it_is_told_to_write() {
        let never = Interruptions {
            mtbf: None,
            given_interval: Some(1_200.0),
            ..HOURLY
        };
        assert!((never.stretch() - 1.05).abs() < 1e-12);
        for free in [
            Interruptions {
                is_async: true,
                ..never
            },
            Interruptions {
                given_interval: None,
                ..never
            },
        ] {
            assert!((free.stretch() - 1.0).abs() < 1e-12, "{free:?}");
        }
    }

    // Any other interval than Daly's loses more; checkpoints that take no time leave only the restarts, e^(R/M).
    #[test]
    fn the_interval_that_is_not_given_loses_least() {
        let best = HOURLY.stretch();
        for factor in [0.5, 0.8, 1.25, 2.0] {
            let other = Interruptions {
                given_interval: Some(daly_interval(10_800.0, 60.0) * factor),
                ..HOURLY
            };
            assert!(other.stretch() > best, "{factor}");
        }
        let free = Interruptions {
            write: 0.0,
            ..HOURLY
        };
        assert!((free.stretch() / libm::exp(300.0 / 10_800.0) - 1.0).abs() < 1e-12);
    }

    prop_compose! {
        fn any_job()(
            mtbf in 600.0..1e8_f64,
            restart in 0.0..3_600.0_f64,
            write in 0.0..600.0_f64,
            is_async: bool,
            given_interval in prop::option::of(1.0..1e4_f64),
        ) -> Interruptions {
            Interruptions { mtbf: Some(mtbf), restart, write, is_async, given_interval }
        }
    }

    proptest! {
        // Nothing is won by failing more often, restarting or writing longer, or waiting for the write.
        #[test]
        fn more_of_anything_never_takes_less_time(job in any_job(), factor in 1.0..4.0_f64) {
            let stretch = job.stretch();
            prop_assert!(stretch >= 1.0 - 1e-12, "{stretch}");
            let worse = [
                Interruptions { mtbf: job.mtbf.map(|mtbf| mtbf / factor), ..job },
                Interruptions { restart: job.restart * factor, ..job },
                Interruptions { write: job.write * factor, ..job },
            ];
            for other in worse {
                prop_assert!(other.stretch() >= stretch * (1.0 - 1e-3), "{other:?}");
            }
        }
    }

    /// Wall time of a job that is played failure by failure, over its work.
    ///
    /// A checkpoint of the work done so far counts once its write has ended; a failure sets the job back to the last one
    /// that counts, and may come while it restarts or writes.
    fn played(job: &Interruptions, work: f64) -> f64 {
        let (mtbf, interval) = (job.mtbf.unwrap(), job.interval().unwrap());
        let mut state = 1_u64;
        let mut uniform = || {
            // Knuth's MMIX generator; the high bits are the good ones.
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            ((state >> 11) as f64 + 0.5) / (1_u64 << 53) as f64
        };
        let (mut wall, mut saved) = (0.0, 0.0);
        while saved < work {
            let mut left = -mtbf * uniform().ln();
            let lived = left;
            left -= job.restart;
            // Segments that fit before the failure, of work and of the write that follows it.
            let of_segment = interval + if job.is_async { 0.0 } else { job.write };
            let mut whole = (left.max(0.0) / of_segment).floor();
            if job.is_async && whole > 0.0 && left - whole * interval < job.write {
                // The last checkpoint was still being written.
                whole -= 1.0;
            }
            let needed = ((work - saved) / interval).ceil();
            if whole >= needed {
                wall += job.restart + needed * of_segment;
                saved = work;
            } else {
                wall += lived;
                saved += whole * interval;
            }
        }
        wall / work
    }

    // 60,000 failures: the mean loses a tenth of its value in chance at most, 1% of a loss of 14%.
    #[test]
    fn the_formulas_are_what_a_job_loses_that_is_played_failure_by_failure() {
        let jobs = [
            HOURLY,
            Interruptions {
                given_interval: Some(3_000.0),
                ..HOURLY
            },
            Interruptions {
                is_async: true,
                given_interval: Some(1_200.0),
                write: 300.0,
                ..HOURLY
            },
        ];
        for job in jobs {
            let (formula, played) = (job.stretch(), played(&job, 60_000.0 * 10_800.0));
            let off = (played - 1.0) / (formula - 1.0) - 1.0;
            assert!(off.abs() < 0.03, "{job:?}: {formula} and {played}");
        }
    }
}
