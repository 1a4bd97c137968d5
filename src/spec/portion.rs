//! Points of a plan that one run simulates.

use std::fmt;
use std::ops::Range;
use std::str::FromStr;

/// Share of a plan for one of several machines: every N-th point, so that each gets costly and cheap ones
/// alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shard {
    number: u32,
    of: u32,
}

impl Shard {
    /// The only one.
    pub(crate) const WHOLE: Self = Self { number: 1, of: 1 };

    /// Number of the shard, from 1.
    pub(crate) const fn number(self) -> u32 {
        self.number
    }

    /// Number of shards.
    pub(crate) const fn of(self) -> u32 {
        self.of
    }

    /// The shard's ranges among the first `end` numbers, rising.
    ///
    /// The numbers are cut into rounds of as many ranges as there are shards, all of one length, and in each round every
    /// shard gets one, turned on by the golden ratio from round to round. So a shard has its part of every region of the grid, and no axis
    /// beats with the number of shards, whatever makes points costly.
    fn ranges(self, end: u64) -> impl Iterator<Item = Range<u64>> {
        let of = u64::from(self.of);
        let rounds = end.div_ceil(of).clamp(1, ROUNDS);
        let cut = move |range: u64| {
            if end <= of * ROUNDS {
                // Single points; the last round has fewer.
                return range.min(end);
            }
            let cut = u128::from(end) * u128::from(range) / (u128::from(of) * u128::from(rounds));
            u64::try_from(cut).expect("no more than the end")
        };
        (0..rounds).map(move |round| {
            let turn = (u128::from(round.wrapping_mul(GOLDEN)) * u128::from(of)) >> 64;
            let place = (u64::from(self.number - 1) + turn as u64) % of;
            let range = round * of + place;
            cut(range)..cut(range + 1)
        })
    }
}

/// Ranges of a shard, where the plan has so many points.
const ROUNDS: u64 = 64;
/// The golden ratio's fraction in 2⁶⁴ths: its multiples fall evenly into any number of places, and fall in step with nothing.
const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

/// Error of a text that names no shard.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no shard; write K/N with K from 1 to N, such as 2/8")]
pub struct NoShard(String);

impl FromStr for Shard {
    type Err = NoShard;

    fn from_str(text: &str) -> Result<Self, NoShard> {
        let numbers = text.split_once('/').and_then(|(number, of)| {
            let (number, of) = (number.parse().ok()?, of.parse().ok()?);
            (1..=of).contains(&number).then_some(Self { number, of })
        });
        numbers.ok_or_else(|| NoShard(text.to_owned()))
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.number, self.of)
    }
}

/// Points of a plan that a run simulates: the first so many, or a shard of those, each up to a number of events.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Portion {
    /// Only the first points that are kept.
    pub limit: Option<u64>,
    /// Only those of one shard.
    pub shard: Option<Shard>,
    /// Most events of a point's simulation; a point that takes more is infeasible.
    pub max_events: Option<u64>,
}

impl Portion {
    /// Ranges of the portion among the first `end` numbers, rising.
    pub(crate) fn ranges(self, end: u64) -> impl Iterator<Item = Range<u64>> {
        let whole = self.shard.is_none().then_some(0..end);
        let shard = self.shard.map(|shard| shard.ranges(end));
        whole.into_iter().chain(shard.into_iter().flatten())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shard_is_one_of_several() {
        for wrong in ["", "2", "0/4", "5/4", "1/0", "-1/2", "1/2/3", "a/b", "1/ 2"] {
            let fault = wrong.parse::<Shard>().expect_err(wrong).to_string();
            assert!(fault.contains("K from 1 to N"), "{fault}");
        }
        let shard: Shard = "2/8".parse().expect("it is one");
        assert_eq!(shard.to_string(), "2/8");
    }

    // Whatever the numbers of points and shards: every point once, in rising order. Shards of single points differ by one at
    // most, others by one in each of 64 rounds.
    #[test]
    fn shards_have_every_point_once() {
        for (end, of) in [(0, 3), (1, 1), (2, 5), (10, 4), (768, 7), (100_000, 16)] {
            let mut seen = vec![0; usize::try_from(end).expect("few")];
            let mut lengths = Vec::new();
            for number in 1..=of {
                let shard = Shard { number, of };
                let numbers: Vec<u64> = shard.ranges(end).flatten().collect();
                assert!(numbers.is_sorted(), "{shard}");
                for number in &numbers {
                    seen[usize::try_from(*number).expect("few")] += 1;
                }
                lengths.push(numbers.len() as u64);
            }
            assert!(seen.iter().all(|times| *times == 1), "{end} over {of}");
            let of_one = end <= u64::from(of) * ROUNDS;
            let slack = if of_one { 1 } else { ROUNDS };
            let (least, most) = (lengths.iter().min(), lengths.iter().max());
            assert!(
                most.zip(least)
                    .is_some_and(|(most, least)| most - least <= slack)
            );
        }
    }

    // 4,096 points, and costs that rise with the value of an axis of 8 values, from 1 to 128 times: however fast the axis
    // varies, no shard has over 1.1 of the mean cost. A stride of 8 along the fastest gives one shard all points of
    // the largest value, 8 · 128 / 255 = 4.0 of the mean; one range a shard along the slowest does the same.
    #[test]
    fn no_shard_has_all_the_large_jobs() {
        for period in [1, 2, 4, 8, 16, 64, 512] {
            for of in [2, 3, 5, 7, 8, 16] {
                let cost = |number: u64| 1_u64 << (number / period % 8);
                let costs: Vec<u64> = (1..=of)
                    .map(|number| Shard { number, of }.ranges(4_096).flatten().map(cost).sum())
                    .collect();
                let mean = costs.iter().sum::<u64>() as f64 / f64::from(of);
                let most = costs.iter().max().map_or(0.0, |most| *most as f64 / mean);
                assert!(most < 1.1, "period {period}, {of} shards: {costs:?}");
            }
        }
    }

    // 10⁹ points over 10,000 shards: 64 ranges of 1,562 or 1,563 points, found without a walk.
    #[test]
    fn a_shard_of_a_billion_points_is_cut_at_once() {
        let shard = Shard {
            number: 7_777,
            of: 10_000,
        };
        let ranges: Vec<Range<u64>> = shard.ranges(1_000_000_000).collect();
        assert_eq!(ranges.len(), 64);
        assert!(
            ranges
                .iter()
                .all(|it| (1_562..=1_563).contains(&(it.end - it.start)))
        );
        assert!(ranges.is_sorted_by(|one, next| one.end <= next.start));
    }
}
