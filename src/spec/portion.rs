//! Points of a plan that one run simulates.

use std::fmt;
use std::str::FromStr;

/// Share of a plan for one of several machines: every N-th point, so that each gets costly and cheap ones
/// alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shard {
    number: u32,
    of: u32,
}

impl Shard {
    /// Number of the shard, from 1.
    pub(crate) const fn number(self) -> u32 {
        self.number
    }

    /// Number of shards.
    pub(crate) const fn of(self) -> u32 {
        self.of
    }

    /// Whether the shard has the point at a place among those that are kept, from 0.
    pub(crate) fn has(self, place: u64) -> bool {
        place % u64::from(self.of) == u64::from(self.number - 1)
    }
}

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
    /// Points that the run simulates, when `where` keeps so many.
    pub(crate) fn count(&self, kept: u64) -> u64 {
        let all = kept.min(self.limit.unwrap_or(u64::MAX));
        match self.shard {
            None => all,
            Some(shard) => {
                let of = u64::from(shard.of);
                all / of + u64::from(all % of >= u64::from(shard.number))
            }
        }
    }

    /// The points of a plan, in their order.
    pub(crate) fn of<T>(self, kept: impl Iterator<Item = T>) -> impl Iterator<Item = T> {
        let limit = usize::try_from(self.limit.unwrap_or(u64::MAX)).unwrap_or(usize::MAX);
        let places = kept.take(limit).zip(0..);
        places
            .filter(move |(_, place)| self.shard.is_none_or(|shard| shard.has(*place)))
            .map(|(point, _)| point)
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

    // 11 points, the first 10 of them over 4 shards: 0 4 8, 1 5 9, 2 6, 3 7.
    #[test]
    fn shards_have_every_point_once() {
        let portion = |number: u32| Portion {
            limit: Some(10),
            shard: Some(Shard { number, of: 4 }),
            ..Portion::default()
        };
        let points = |number| portion(number).of(0..11).collect::<Vec<i32>>();
        assert_eq!(points(1), [0, 4, 8]);
        assert_eq!(points(2), [1, 5, 9]);
        assert_eq!(points(3), [2, 6]);
        assert_eq!(points(4), [3, 7]);
        for number in 1..=4 {
            assert_eq!(portion(number).count(11), points(number).len() as u64);
        }
    }
}
