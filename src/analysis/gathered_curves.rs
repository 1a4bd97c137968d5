//! Curves of collectives, gathered row by row in memory that does not grow with their sizes.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::collective_runs::{CollectiveRun, Transfer};

/// Most sizes of a curve; of more some are kept, spread evenly over each doubling.
const SIZES_MAX: usize = 1_024;
/// Sizes of a doubling that are kept at first of a curve that has too many.
const PER_DOUBLING: u64 = 256;

/// Curves of all jobs, in the order of the rows.
#[derive(Debug, Default)]
pub(super) struct GatheredCurves {
    jobs: Vec<GatheredJob>,
    /// Place of a job among them: by operation, place, file and GPUs.
    known: BTreeMap<(Arc<str>, usize, u32, u64), usize>,
}

/// Curves of one operation on one job in one file.
#[derive(Debug)]
pub(super) struct GatheredJob {
    /// Operation.
    pub(super) op: Arc<str>,
    /// Number of the place.
    pub(super) place: usize,
    /// Place of the file among those analysed.
    pub(super) source: u32,
    /// GPUs.
    pub(super) gpus: u64,
    /// By requested algorithm, in the order of the rows.
    pub(super) curves: Vec<(Arc<str>, GatheredCurve)>,
}

/// The fastest run of each size, of some sizes where there are many.
///
/// The sizes that stay are those that any order of the rows leaves: the smallest of each part of a doubling, and the
/// largest of all.
#[derive(Debug, Default)]
pub(super) struct GatheredCurve {
    runs: BTreeMap<u64, CollectiveRun>,
    /// Parts of a doubling of which one size is kept; `None` where every size is.
    parts: Option<u64>,
}

impl GatheredCurves {
    /// Adds a communication.
    pub(super) fn add(&mut self, transfer: Transfer) {
        let Transfer {
            op,
            place,
            gpus,
            collective,
            run,
        } = transfer;
        let source = run.source;
        let next = self.jobs.len();
        let known = (Arc::clone(&op), place, source, gpus);
        let job = *self.known.entry(known).or_insert(next);
        if job == next {
            self.jobs.push(GatheredJob {
                op,
                place,
                source,
                gpus,
                curves: Vec::new(),
            });
        }
        self.jobs[job].curve(collective).add(run);
    }

    /// The jobs, in the order of their first rows.
    pub(super) fn jobs(&self) -> &[GatheredJob] {
        &self.jobs
    }

    /// The jobs, in the order of their first rows.
    pub(super) fn into_jobs(self) -> Vec<GatheredJob> {
        self.jobs
    }
}

impl GatheredJob {
    /// The curve of an algorithm.
    pub(super) fn curve(&mut self, collective: Arc<str>) -> &mut GatheredCurve {
        let known = self.curves.iter().position(|(name, _)| *name == collective);
        let place = known.unwrap_or_else(|| {
            self.curves.push((collective, GatheredCurve::default()));
            self.curves.len() - 1
        });
        &mut self.curves[place].1
    }
}

impl GatheredCurve {
    /// Adds a run, unless a faster one of its size is there.
    pub(super) fn add(&mut self, run: CollectiveRun) {
        let size = run.size_bytes;
        if let Some(best) = self.runs.get_mut(&size) {
            if run.time_s < best.time_s {
                *best = run;
            }
            return;
        }
        let last = self.runs.last_key_value().map(|(last, _)| *last);
        self.runs.insert(size, run);
        if self.parts.is_some() {
            let next = self.runs.range(size + 1..).next().map(|(next, _)| *next);
            for size in [Some(size), next, last].into_iter().flatten() {
                self.drop_surplus(size);
            }
        }
        while self.runs.len() > SIZES_MAX {
            let parts = self.parts.map_or(PER_DOUBLING, |parts| parts / 2).max(1);
            self.parts = Some(parts);
            let sizes: Vec<u64> = self.runs.keys().copied().collect();
            for size in sizes {
                self.drop_surplus(size);
            }
            if parts == 1 {
                // 64 doublings at most.
                break;
            }
        }
    }

    /// Drops a size that neither is the smallest of its part nor the largest of all.
    fn drop_surplus(&mut self, size: u64) {
        let Some(parts) = self.parts else {
            return;
        };
        let before = self.runs.range(..size).next_back();
        let has_smaller =
            before.is_some_and(|(before, _)| part(*before, parts) == part(size, parts));
        let is_last = self.runs.range(size + 1..).next().is_none();
        if has_smaller && !is_last {
            self.runs.remove(&size);
        }
    }

    /// Whether some sizes were left out.
    pub(super) const fn is_thinned(&self) -> bool {
        self.parts.is_some()
    }

    /// Whether it has a size.
    pub(super) fn has(&self, size: u64) -> bool {
        self.runs.contains_key(&size)
    }

    /// The runs by rising size.
    pub(super) fn runs(&self) -> impl Iterator<Item = &CollectiveRun> {
        self.runs.values()
    }

    /// The runs by rising size.
    pub(super) fn into_runs(self) -> impl Iterator<Item = CollectiveRun> {
        self.runs.into_values()
    }
}

/// The part of its doubling that a size lies in, of so many equal ones, numbered over all doublings.
fn part(size: u64, parts: u64) -> u64 {
    let doubling = size.max(1).ilog2();
    let above = u128::from(size - (1 << doubling)) * u128::from(parts);
    u64::from(doubling) * parts + (above >> doubling) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(size_bytes: u64, time_s: f64) -> CollectiveRun {
        CollectiveRun {
            point: size_bytes,
            source: 0,
            size_bytes,
            time_s,
            busbw_bytes_per_s: 1.0,
            collective_used: "ring".into(),
        }
    }

    fn curve(sizes: impl Iterator<Item = u64>) -> GatheredCurve {
        let mut curve = GatheredCurve::default();
        sizes.for_each(|size| curve.add(run(size, 1.0)));
        curve
    }

    // 1,024 sizes are all kept; so is the faster of two runs of one.
    #[test]
    fn few_sizes_are_all_kept() {
        let mut curve = curve(1..=1_024);
        curve.add(run(7, 0.5));
        curve.add(run(7, 0.7));
        assert_eq!(curve.runs().count(), 1_024);
        assert!(!curve.is_thinned());
        assert!(
            curve
                .runs()
                .any(|it| (it.size_bytes, it.time_s) == (7, 0.5))
        );
    }

    // 100,000 sizes, rising, falling and mixed (7,919 is a prime that does not divide them): the same ones stay, the
    // smallest and the largest among them, at most 1,024 and, since halving stops as soon as they fit, over 400.
    #[test]
    fn of_many_sizes_the_same_ones_stay_in_any_order() {
        const MANY: u64 = 100_000;
        let kept = |curve: GatheredCurve| -> Vec<u64> {
            assert!(curve.is_thinned());
            curve.into_runs().map(|run| run.size_bytes).collect()
        };
        let rising = kept(curve(1..=MANY));
        assert_eq!(rising, kept(curve((1..=MANY).rev())));
        assert_eq!(
            rising,
            kept(curve((1..=MANY).map(|at| at * 7_919 % MANY + 1)))
        );
        assert!((400..=1_024).contains(&rising.len()), "{}", rising.len());
        assert_eq!((rising.first(), rising.last()), (Some(&1), Some(&MANY)));
    }

    // In four parts of each doubling 4, 5, 6 and 7 have one each, 8 and 9 share one; halved, 4 and 5 share one.
    #[test]
    fn parts_are_nested() {
        let parts = |of: u64| [4, 5, 6, 7, 8, 9].map(|size| part(size, of));
        assert_eq!(parts(4), [8, 9, 10, 11, 12, 12]);
        assert_eq!(parts(2), [4, 4, 5, 5, 6, 6]);
    }
}
