//! Room that a prediction needs: how far measured trainings of a model family exceeded what is predicted of them.

use crate::catalog::Catalog;
use crate::model::Family;

use super::case::{Case, Judged};
use super::errors::quantile;
use super::files::{SHIPPED, read_cases};
use super::judgement::judge;
use crate::measured::{CaseKind, Score};

/// Measured over predicted step times of the shipped cases of a family, ascending; the cases are simulated.
///
/// # Panics
/// Never: the shipped cases are read in a test.
pub(crate) fn measured_over_predicted(family: Family) -> Vec<f64> {
    let cases = SHIPPED.iter().flat_map(|(file, text)| {
        read_cases(file, text, Catalog::builtin()).expect("the shipped cases are read in a test")
    });
    let of_family = |case: &Case| {
        case.kind == CaseKind::Step
            && case.score == Score::Value
            && case.groups.family == family.as_str()
    };
    let judged = judge(cases.filter(of_family).collect());
    let errors = judged.iter().filter_map(Judged::relative_error);
    let mut ratios: Vec<f64> = errors.map(|error| 1.0 / (1.0 + error)).collect();
    ratios.sort_by(f64::total_cmp);
    ratios
}

/// The ratio that a share of ascending ones does not exceed; `None` without any.
pub(crate) fn covering(ascending: &[f64], share: f64) -> Option<f64> {
    (!ascending.is_empty()).then(|| quantile(ascending, share))
}

#[cfg(test)]
mod tests {
    use super::*;

    // Of five ratios 1.1 is the fourth, which 75% do not exceed; all of them stay within the largest.
    #[test]
    fn a_share_of_the_cases_stays_within_the_margin() {
        let ratios = [0.8, 0.9, 1.0, 1.1, 1.4];
        assert_eq!(covering(&ratios, 0.75), Some(1.1));
        assert_eq!(covering(&ratios, 1.0), Some(1.4));
        assert_eq!(covering(&[], 0.9), None);
    }

    // A prediction that is 25% too long is 1/1.25 = 0.8 of the time measured: the ratios are of the same cases.
    #[test]
    fn encoders_were_measured_and_vision_transformers_were_not() {
        let ratios = measured_over_predicted(Family::Encoder);
        assert!(ratios.len() > 1 && ratios.is_sorted(), "{ratios:?}");
        assert!(measured_over_predicted(Family::Vit).is_empty());
    }
}
