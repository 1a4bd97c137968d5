//! Microbatches dealt to replicas of several types of GPU.

use crate::simulation::Infeasible;

/// Seconds of a step by the type of GPU, and the microbatches of each of its replicas: more are no less.
pub(super) trait Seconds {
    /// Seconds of a step of the type at this place.
    ///
    /// # Errors
    /// If it cannot run.
    fn of(&mut self, place: usize, microbatches: u32) -> Result<f64, Infeasible>;

    /// Whether so many fit in the memory of the type: a schedule may hold less of more of them.
    fn fits(&self, place: usize, microbatches: u32) -> bool;
}

/// Replicas that microbatches are dealt to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Hands<'a> {
    /// Replicas of each type.
    pub(super) replicas: &'a [u32],
    /// Fewest microbatches of a replica.
    pub(super) least: u32,
    /// Microbatches of all together; there may be a few more, since replicas of one type have as many.
    pub(super) microbatches: u32,
}

impl Hands<'_> {
    /// Microbatches of each replica of every type with which the longest step is as short as it can be, if that is under a
    /// limit; `near` are some that may be close.
    ///
    /// # Errors
    /// If a type cannot run any.
    pub(super) fn deal(
        self,
        near: &[u32],
        under: f64,
        seconds: &mut dyn Seconds,
    ) -> Result<Option<Vec<u32>>, Infeasible> {
        let most = self.before(under, near, seconds)?;
        if !self.are_enough(&most) {
            return Ok(None);
        }
        let mut counts = self.scaled(&most, seconds);
        while !self.are_enough(&counts) {
            let mut next: Option<(f64, usize, u32)> = None;
            for place in 0..counts.len() {
                let mut more = counts[place] + 1..=most[place];
                let Some(count) = more.find(|count| seconds.fits(place, *count)) else {
                    continue;
                };
                let end = seconds.of(place, count)?;
                if next.is_none_or(|(least, ..)| end < least) {
                    next = Some((end, place, count));
                }
            }
            let (_, place, count) = next.expect("there are enough of the most");
            counts[place] = count;
        }
        loop {
            let longest = longest(&counts, seconds)?;
            let shorter = self.before(longest, &counts, seconds)?;
            if !self.are_enough(&shorter) {
                break;
            }
            counts = shorter;
        }
        self.trim(&mut counts, seconds)?;
        Ok(Some(counts))
    }

    /// Microbatches that are the share of each replica: one more than it has time for before the shortest longest step ends, so
    /// that however they are dealt, some type has its share.
    ///
    /// # Errors
    /// If a type cannot run any.
    pub(super) fn shares(
        self,
        counts: &[u32],
        seconds: &mut dyn Seconds,
    ) -> Result<Vec<u32>, Infeasible> {
        let longest = longest(counts, seconds)?;
        let before = self.before(longest, counts, seconds)?;
        Ok(before.iter().map(|count| count + 1).collect())
    }

    /// Whether every replica has enough, and all together.
    fn are_enough(self, counts: &[u32]) -> bool {
        self.dealt(counts) >= u64::from(self.microbatches)
            && counts.iter().all(|count| *count >= self.least)
    }

    fn dealt(self, counts: &[u32]) -> u64 {
        let each = std::iter::zip(self.replicas, counts);
        each.map(|(replicas, count)| u64::from(*replicas) * u64::from(*count))
            .sum()
    }

    /// As many in proportion to these as are dealt, rounded down, and those that fit next to them.
    fn scaled(self, most: &[u32], seconds: &dyn Seconds) -> Vec<u32> {
        let share = f64::from(self.microbatches) / self.dealt(most) as f64;
        let scaled = most.iter().enumerate().map(|(place, most)| {
            let count = ((f64::from(*most) * share) as u32).max(self.least);
            let fits = |count: &u32| seconds.fits(place, *count);
            let fewer = (self.least..=count).rev().find(fits);
            fewer
                .or_else(|| (count..=*most).find(fits))
                .unwrap_or(*most)
        });
        scaled.collect()
    }

    /// Most microbatches of each type that fit and take less than a time, from a guess on.
    fn before(
        self,
        end: f64,
        near: &[u32],
        seconds: &mut dyn Seconds,
    ) -> Result<Vec<u32>, Infeasible> {
        let mut most = Vec::with_capacity(near.len());
        for (place, guess) in near.iter().enumerate() {
            let is_before = |count| Ok(seconds.of(place, count)? < end);
            let from = (*guess).clamp(self.least, self.microbatches.max(self.least));
            let most_before = last(from, (self.least, self.microbatches), is_before)?;
            let mut fewer = (self.least..=most_before).rev();
            let fit = fewer.find(|count| seconds.fits(place, *count));
            most.push(fit.unwrap_or(self.least - 1));
        }
        Ok(most)
    }

    /// Takes from the longest types what all have too many.
    fn trim(self, counts: &mut [u32], seconds: &mut dyn Seconds) -> Result<(), Infeasible> {
        let mut ends = Vec::with_capacity(counts.len());
        for (place, count) in counts.iter().enumerate() {
            ends.push((seconds.of(place, *count)?, place));
        }
        ends.sort_by(|(a, _), (b, _)| b.total_cmp(a));
        for (_, place) in ends {
            let replicas = u64::from(self.replicas[place]);
            let spare = (self.dealt(counts) - u64::from(self.microbatches)) / replicas;
            let from = u64::from(counts[place]).saturating_sub(spare) as u32;
            let mut fewer = from.max(self.least)..=counts[place];
            counts[place] = fewer
                .find(|count| seconds.fits(place, *count))
                .expect("those that were dealt fit");
        }
        Ok(())
    }
}

/// The last number of a range that holds, where all below one that holds do too, looked for from a guess on; one below the range if
/// none does.
fn last(
    from: u32,
    (least, most): (u32, u32),
    mut holds: impl FnMut(u32) -> Result<bool, Infeasible>,
) -> Result<u32, Infeasible> {
    let (mut low, mut high) = (least - 1, most + 1);
    let mut step = 1;
    let mut next = from.min(most);
    while next > low && next < high {
        if holds(next)? {
            low = next;
            next = next.saturating_add(step);
        } else {
            high = next;
            next = next.saturating_sub(step);
        }
        step = step.saturating_mul(2);
    }
    while high - low > 1 {
        let middle = u32::midpoint(low, high);
        if holds(middle)? {
            low = middle;
        } else {
            high = middle;
        }
    }
    Ok(low)
}

/// Seconds of the type that takes longest.
fn longest(counts: &[u32], seconds: &mut dyn Seconds) -> Result<f64, Infeasible> {
    let mut longest = 0.0_f64;
    for (place, count) in counts.iter().enumerate() {
        longest = longest.max(seconds.of(place, *count)?);
    }
    Ok(longest)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A constant and so much for each microbatch.
    struct Lines(Vec<(f64, f64)>);

    impl Seconds for Lines {
        fn of(&mut self, place: usize, microbatches: u32) -> Result<f64, Infeasible> {
            let (constant, each) = self.0[place];
            Ok(constant + each * f64::from(microbatches))
        }

        fn fits(&self, _: usize, _: u32) -> bool {
            true
        }
    }

    fn dealt(
        replicas: &[u32],
        lines: &[(f64, f64)],
        microbatches: u32,
        under: f64,
    ) -> Option<Vec<u32>> {
        let hands = Hands {
            replicas,
            least: 1,
            microbatches,
        };
        let near = vec![1; replicas.len()];
        hands
            .deal(&near, under, &mut Lines(lines.to_vec()))
            .unwrap()
    }

    // 3 replicas of 1 s a microbatch and 1 of 2 s, 28 microbatches: T = 28 / (3/1 + 1/2) = 8 s, so 8 and 4: 3·8 + 4 = 28.
    #[test]
    fn microbatches_are_dealt_so_that_all_end_together() {
        let lines = [(0.0, 1.0), (0.0, 2.0)];
        let all = |microbatches| dealt(&[3, 1], &lines, microbatches, f64::INFINITY);
        assert_eq!(all(28), Some(vec![8, 4]));
        // One more goes where it ends first: the ninth after 9 s, the fifth after 10 s; then two of the slow type's are
        // too many, since 3·9 + 4 are 31.
        assert_eq!(all(29), Some(vec![9, 2]));
        // A type that takes 4 s before its first microbatch is dealt as many fewer: T = (28 + 4) / 3.5 = 9.14 s,
        // 3·(9.14 − 0) and (9.14 − 4) / 2: 9 and 2, and 29 ≥ 28.
        let late = [(0.0, 1.0), (4.0, 2.0)];
        assert_eq!(dealt(&[3, 1], &late, 28, f64::INFINITY), Some(vec![9, 1]));
    }

    // However slow a type is, each of its replicas takes part in the reduction of the gradients.
    #[test]
    fn no_replica_goes_without_a_microbatch() {
        let lines = [(0.0, 1.0), (0.0, 1000.0)];
        assert_eq!(dealt(&[1, 1], &lines, 10, f64::INFINITY), Some(vec![9, 1]));
    }

    // The shortest longest step of 28 microbatches takes 8 s: 3·7 + 3 of under 8 s are too few.
    #[test]
    fn what_takes_too_long_is_not_dealt() {
        let lines = [(0.0, 1.0), (0.0, 2.0)];
        assert_eq!(dealt(&[3, 1], &lines, 28, 8.0), None);
        assert_eq!(dealt(&[3, 1], &lines, 28, 8.1), Some(vec![8, 4]));
    }

    // All deals of up to 40 microbatches to two types, one by one: none is shorter, and in each some type has its share.
    #[test]
    fn no_deal_is_shorter_and_some_type_has_its_share() {
        for (fast, slow, microbatches) in [(3, 1, 29), (1, 5, 40), (2, 2, 17), (4, 3, 9)] {
            let lines = [(0.3, 1.0), (1.1, 2.7)];
            let replicas = [fast, slow];
            let counts = dealt(&replicas, &lines, microbatches, f64::INFINITY).unwrap();
            let hands = Hands {
                replicas: &replicas,
                least: 1,
                microbatches,
            };
            let mut seconds = Lines(lines.to_vec());
            let shares = hands.shares(&counts, &mut seconds).unwrap();
            let shortest = longest(&counts, &mut seconds).unwrap();
            for one in 1..=microbatches {
                for other in 1..=microbatches {
                    if fast * one + slow * other < microbatches {
                        continue;
                    }
                    assert!(longest(&[one, other], &mut seconds).unwrap() >= shortest);
                    assert!(one >= shares[0] || other >= shares[1]);
                }
            }
        }
    }
}
