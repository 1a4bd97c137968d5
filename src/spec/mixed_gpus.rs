//! Several types of GPU in one job, as the axis `gpu` takes them: `8xa100-80gb-sxm + 8xh100-sxm`.

use std::fmt;

use itertools::Itertools as _;

use crate::hardware::Cluster;
use crate::simulation::Infeasible;

/// Types of GPU in one job, each with the number of its GPUs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct MixedGpus(Vec<(u64, String)>);

/// Fault of a text that names several types of GPU.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum MixedFault {
    /// A type without a number.
    #[error("`{0}` has no number of GPUs")]
    Uncounted(String),
    /// A type that stands twice.
    #[error("`{0}` stands twice")]
    Repeated(String),
}

/// Most GPUs of a type, as many as a job can have.
const GPUS_MAX: u64 = 16_000_000;

impl MixedGpus {
    /// Whether a text names several types of GPU.
    pub(super) fn is_in(text: &str) -> bool {
        text.contains('+')
    }

    /// The types that a text names, as they are spelt.
    pub(super) fn parse(text: &str) -> Result<Self, MixedFault> {
        let mut types: Vec<(u64, String)> = Vec::new();
        for part in text.split('+').map(str::trim) {
            let uncounted = || MixedFault::Uncounted(part.to_owned());
            let (count, name) = part.split_once(['x', '×']).ok_or_else(uncounted)?;
            let count = count.trim().parse().ok();
            let count = count.filter(|count| (1..=GPUS_MAX).contains(count));
            let (count, name) = (count.ok_or_else(uncounted)?, name.trim());
            if types.iter().any(|(_, known)| known == name) {
                return Err(MixedFault::Repeated(name.to_owned()));
            }
            types.push((count, name.to_owned()));
        }
        Ok(Self(types))
    }

    /// The same types under the names that `named` gives them; `None` where it has none for one, or two are the same.
    pub(super) fn renamed(self, named: impl Fn(&str) -> Option<String>) -> Option<Self> {
        let types = self.0.into_iter();
        let types: Option<Vec<(u64, String)>> = types
            .map(|(count, name)| Some((count, named(&name)?)))
            .collect();
        let types = types.filter(|types| types.iter().map(|(_, name)| name).all_unique())?;
        Some(Self(types))
    }

    /// Each type with the number of its GPUs.
    pub(super) fn types(&self) -> impl Iterator<Item = (u64, &str)> {
        self.0.iter().map(|(count, name)| (*count, name.as_str()))
    }

    /// GPUs of the job.
    pub(super) fn gpus(&self) -> u64 {
        self.types().map(|(count, _)| count).sum()
    }
}

impl fmt::Display for MixedGpus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let types = self.types().map(|(count, name)| format!("{count}x{name}"));
        f.pad(&types.format(" + ").to_string())
    }
}

/// Names of the types that a value of the axis `gpu` stands for: itself, or those that it counts.
pub(super) fn type_names(gpu: &str) -> Vec<String> {
    match MixedGpus::parse(gpu) {
        Ok(mixed) if MixedGpus::is_in(gpu) => {
            mixed.types().map(|(_, name)| name.to_owned()).collect()
        }
        Ok(_) | Err(_) => vec![gpu.to_owned()],
    }
}

/// Checks that types of GPU in one job come in whole nodes, alone and as if all were of one type, and can talk to one another.
///
/// # Errors
/// The first type that does not.
pub(super) fn check_types(types: &[(u64, &str, &Cluster)]) -> Result<(), Infeasible> {
    let all: u64 = types.iter().map(|(count, ..)| count).sum();
    for (count, name, cluster) in types {
        let node = u64::from(cluster.gpus_per_node);
        if !count.is_multiple_of(node) {
            return Err(Infeasible::Indivisible {
                what: format!("{count}x{name}"),
                by: format!("the {node} GPUs of its nodes"),
            });
        }
    }
    for (_, name, cluster) in types {
        let node = u64::from(cluster.gpus_per_node);
        if !all.is_multiple_of(node) {
            return Err(Infeasible::Indivisible {
                what: format!("{all} GPUs of all types"),
                by: format!(
                    "the {node} GPUs of a node of {name}, as which all are simulated in turn"
                ),
            });
        }
    }
    let pairs = types.iter().tuple_windows();
    let apart = pairs
        .map(|(a, b): (&(u64, &str, &Cluster), _)| (a, b))
        .find(|(a, b)| a.2.library.family() != b.2.library.family());
    match apart {
        None => Ok(()),
        Some(((_, a, own), (_, b, other))) => Err(Infeasible::Unsupported(format!(
            "{a} communicates by {} and {b} by {}: no library spans both",
            own.library.family(),
            other.library.family()
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // Blanks and the sign of multiplication are as people type them; the text of a row has one spelling.
    #[test]
    fn a_text_is_read_in_any_spelling_and_written_in_one() {
        let mixed = MixedGpus::parse("8 x a100+16×h100-sxm").unwrap();
        assert_eq!(mixed.to_string(), "8xa100 + 16xh100-sxm");
        assert_eq!(mixed.gpus(), 24);
        assert_eq!(MixedGpus::parse(&mixed.to_string()), Ok(mixed));
    }

    #[test]
    fn types_have_a_number_each_and_stand_once() {
        let fault = |text| MixedGpus::parse(text).unwrap_err().to_string();
        assert_eq!(fault("8xa100 + h100"), "`h100` has no number of GPUs");
        assert_eq!(fault("0xa100 + 8xh100"), "`0xa100` has no number of GPUs");
        assert_eq!(fault("8xa100 + "), "`` has no number of GPUs");
        assert_eq!(fault("8xa100 + 8xa100"), "`a100` stands twice");
    }

    // Two names of one preset are one type.
    #[test]
    fn two_spellings_of_one_type_are_no_two_types() {
        let mixed = MixedGpus::parse("8xh100 + 8xh100-sxm").unwrap();
        assert_eq!(mixed.renamed(|_| Some("h100-sxm".to_owned())), None);
    }
}
