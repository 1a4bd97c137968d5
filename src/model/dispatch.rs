//! Ways of tokens to their experts.

use crate::closed_set;

closed_set! {
    /// How tokens get to their experts, and what experts return to the tokens.
    pub enum ExpertDispatch: "expert dispatch" {
        /// Rows permuted by expert, one copy of a token for each expert that it visits, and the library's all-to-all.
        AllToAll = "all-to-all",
        /// All tokens gathered on all ranks of the group, of which each takes its own; outputs reduced and scattered.
        AllGather = "all-gather",
        /// DeepEP: a token once to each domain that has some of its experts, and there once to each such rank.
        DeepEp = "deepep",
        /// HybridEP: the same ways, with the permutation inside the kernel.
        HybridEp = "hybridep",
    }
}

/// Libraries whose kernels send a token once to each place that has some of its experts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum TokenLibrary {
    /// DeepEP.
    DeepEp,
    /// HybridEP.
    HybridEp,
}

impl ExpertDispatch {
    /// The library that sends each token once to a place; `None` where a collective carries the tokens.
    pub(crate) const fn token_library(self) -> Option<TokenLibrary> {
        match self {
            Self::AllToAll | Self::AllGather => None,
            Self::DeepEp => Some(TokenLibrary::DeepEp),
            Self::HybridEp => Some(TokenLibrary::HybridEp),
        }
    }
}

/// Tokens of the busiest expert over the mean of all experts, from 1 (balanced) on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ExpertImbalance(f64);

impl ExpertImbalance {
    /// Every expert has as many tokens.
    pub const BALANCED: Self = Self(1.0);

    /// The imbalance of a busiest expert with `over_mean` times the mean, at least 1.
    pub fn new(over_mean: f64) -> Self {
        Self(over_mean.max(1.0))
    }

    /// Tokens of the busiest expert over the mean.
    pub const fn over_mean(self) -> f64 {
        self.0
    }

    /// Rows of the rank that holds the busiest expert over those of a mean rank: `(f + (l − 1)(E − f) / (E − 1)) / l` of
    /// `l` of `E` experts on each rank, where the others share what the busiest leaves them.
    pub(crate) fn of_rank(self, local: u32, experts: u32) -> f64 {
        if experts <= 1 || self == Self::BALANCED {
            return 1.0;
        }
        let (local, experts) = (f64::from(local), f64::from(experts));
        let others = (local - 1.0) * (experts - self.0) / (experts - 1.0);
        (self.0 + others) / local
    }
}

// Two are equal where their bits are: they are finite and not zero.
impl Eq for ExpertImbalance {}

impl std::hash::Hash for ExpertImbalance {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.0.to_bits().hash(state);
    }
}

/// Groups that experts come in where those of a token may lie in some of them alone: `n_group` of DeepSeek-V2 and
/// DeepSeek-V3, the models that limit them.
const GROUPS: f64 = 8.0;

/// Places among `places` that some of the `visits` experts of a token lie on, of experts spread evenly over them.
///
/// Of N places, k experts drawn at random meet `N(1 − (1 − 1/N)^k)`. Where they are drawn from L of G groups and a place
/// holds G/N of these, it is met unless all L groups lie elsewhere: `N(1 − C(G − G/N, L)/C(G, L))`. Where a group lies on
/// N/G places, each of the L groups meets those that k/L experts do.
pub(crate) fn places_met(places: f64, visits: f64, most_groups: Option<u32>) -> f64 {
    let of_all = |places: f64, visits: f64| {
        let missed = libm::pow(1.0 - 1.0 / places, visits);
        places * (1.0 - missed)
    };
    let Some(most) = most_groups else {
        return of_all(places, visits);
    };
    let drawn = f64::from(most).min(visits).min(GROUPS);
    if places > GROUPS {
        return drawn * of_all(places / GROUPS, visits / drawn);
    }
    let (mut missed, mut group) = (1.0, 0.0);
    while group < drawn {
        missed *= ((GROUPS - GROUPS / places - group) / (GROUPS - group)).max(0.0);
        group += 1.0;
    }
    places * (1.0 - missed)
}

#[cfg(test)]
mod tests {
    use super::*;

    // 1 of 4 experts on a rank: it is the busiest itself. 2 of 4: 1.5 and (4 − 1.5)/3 = 0.833 are 2.333 of 2. All 4: the mean.
    #[test]
    fn the_rank_of_the_busiest_expert_has_its_rows_and_its_share_of_the_others() {
        let busiest = ExpertImbalance::new(1.5);
        assert!((busiest.of_rank(1, 4) - 1.5).abs() < 1e-12);
        assert!((busiest.of_rank(2, 4) - 2.333_333_333_333_333 / 2.0).abs() < 1e-12);
        assert!((busiest.of_rank(4, 4) - 1.0).abs() < 1e-12);
        assert!((ExpertImbalance::BALANCED.of_rank(2, 4) - 1.0).abs() < 1e-12);
    }

    // Two places and two visits: both in one with 1/2, so 1.5 on average; 8 visits of one place meet it.
    #[test]
    fn places_are_met_as_often_as_dice_say() {
        let met = |places, visits| places_met(places, visits, None);
        assert!((met(2.0, 2.0) - 1.5).abs() < 1e-12);
        assert!((met(1.0, 8.0) - 1.0).abs() < 1e-12);
        // 8 experts of 64 places: hardly two in one.
        assert!((met(64.0, 8.0) - 7.57).abs() < 0.01);
    }

    // 8 experts from 4 of 8 groups. Two places of 4 groups each: all four in one with 1/70 each, so 2(1 − 1/70). 8 places of a
    // group each: 4. 16 places: of each group's two, 2 experts meet 1.5, so 6.
    #[test]
    fn groups_limit_the_places_of_a_token() {
        let met = |places| places_met(places, 8.0, Some(4));
        assert!((met(1.0) - 1.0).abs() < 1e-12);
        assert!((met(2.0) - 2.0 * 69.0 / 70.0).abs() < 1e-12);
        assert!((met(8.0) - 4.0).abs() < 1e-12);
        assert!((met(16.0) - 6.0).abs() < 1e-12);
    }
}
