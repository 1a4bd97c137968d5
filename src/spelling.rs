//! Names as people type them: spellings that mean the same, and suggestions for names that are not known.

use std::cmp::Reverse;

use itertools::Itertools as _;
use strsim::osa_distance;

/// Most names of one suggestion.
const SUGGESTED: usize = 3;

/// Longest name that is compared, in bytes.
const LONGEST: usize = 64;

/// A name without what people write differently: case, an owner before a `/`, blanks, hyphens, underscores and the
/// slash before a number (`ViT-B/16`).
///
/// Between two digits a separator stays, since it parts two numbers: `Llama-3-70B` is `llama3-70b`, and
/// `gpt-1.7b` is not `gpt-17b`.
pub(crate) fn plain(name: &str) -> String {
    let is_owned = |own: &&str| own.starts_with(|c: char| c.is_alphabetic());
    let own = name.rsplit('/').next().filter(is_owned).unwrap_or(name);
    let own = own.trim();
    let letters: Vec<char> = own.chars().flat_map(char::to_lowercase).collect();
    let is_digit = |at: Option<usize>| {
        at.and_then(|at| letters.get(at))
            .is_some_and(char::is_ascii_digit)
    };
    let kept = letters.iter().enumerate().filter_map(|(at, letter)| {
        let between = is_digit(at.checked_sub(1)) && is_digit(Some(at + 1));
        match letter {
            ' ' | '-' | '_' | '/' => between.then_some('-'),
            other => Some(*other),
        }
    });
    kept.collect()
}

/// The name that a text stands for among names and their aliases: the name itself, or else the only one that is
/// spelt alike or has an alias that is.
pub(crate) fn named<'a, A: AsRef<str> + 'a>(
    text: &str,
    known: impl IntoIterator<Item = (&'a str, &'a [A])>,
) -> Option<&'a str> {
    let wanted = plain(text);
    let mut alike = Vec::new();
    for (name, aliases) in known {
        if name == text {
            return Some(name);
        }
        let mut spellings = [name].into_iter().chain(aliases.iter().map(A::as_ref));
        if spellings.any(|spelling| plain(spelling) == wanted) {
            alike.push(name);
        }
    }
    match alike[..] {
        [only] => Some(only),
        _ => None,
    }
}

/// A hint that asks whether known names were meant, where some are near: "did you mean `h100-sxm`?".
pub(crate) fn did_you_mean<'a>(
    name: &str,
    known: impl IntoIterator<Item = &'a str>,
) -> Option<String> {
    let names = suggestions(name, known)
        .into_iter()
        .map(|close| format!("`{close}`"));
    match &names.collect::<Vec<_>>()[..] {
        [] => None,
        [only] => Some(format!("did you mean {only}?")),
        [rest @ .., last] => Some(format!("did you mean {} or {last}?", rest.join(", "))),
    }
}

/// The known name that a misspelt one was probably meant to be: the first of [`suggestions`].
pub(crate) fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    suggestions(name, known).into_iter().next()
}

/// Known names that an unknown one was probably meant to be, the likeliest first.
///
/// Names that begin with it come first (`h100`: `h100-sxm`, `h100-pcie`), then names of which a later part does (`6000`:
/// `rtx-a6000`), shorter ones before longer ones. Where there is none, the nearest name: the one with the fewest
/// edits (insert, delete, replace, swap of neighbours; Damerau 1964, each pair swapped once), when those are at most
/// a third of the longer name; else the one whose beginning is that near. Case does not count. A number in a name
/// tells products apart, so that a name with other digits is never near (`h100` is not `h800`), and one with the same
/// digits is nearer than one with more or fewer. Names of over 64 bytes are near to nothing.
pub(crate) fn suggestions<'a>(
    name: &str,
    known: impl IntoIterator<Item = &'a str>,
) -> Vec<&'a str> {
    let given = name.to_lowercase();
    if given.len() > LONGEST || given.is_empty() {
        return Vec::new();
    }
    let known: Vec<Known<'a>> = known.into_iter().unique().map(Known::new).collect();
    let begun = known
        .iter()
        .filter_map(|it| Some((it.continues(&given)?, it.lower.len(), it.name)));
    let begun: Vec<&str> = begun
        .sorted_by_key(|(part, length, _)| (*part, *length))
        .map(|(.., name)| name)
        .take(SUGGESTED)
        .collect();
    if !begun.is_empty() {
        return begun;
    }
    nearest_whole(&given, &known)
        .or_else(|| nearest_beginning(&given, &known))
        .into_iter()
        .collect()
}

/// A known name, with its spelling in lower case.
struct Known<'a> {
    name: &'a str,
    lower: String,
}

impl<'a> Known<'a> {
    fn new(name: &'a str) -> Self {
        Self {
            name,
            lower: name.to_lowercase(),
        }
    }

    /// Whether the name goes on where a text ends: `Some(false)` from its beginning, `Some(true)` from a later part.
    fn continues(&self, given: &str) -> Option<bool> {
        if given.chars().count() < 2 {
            return (self.lower == given).then_some(false);
        }
        let digit_at_end = given.ends_with(|c: char| c.is_ascii_digit());
        let begins = |rest: &str| {
            let after = rest.strip_prefix(given);
            // A number that goes on is another number: `h20` is not the beginning of `h200`.
            after.is_some_and(|after| {
                !(digit_at_end && after.starts_with(|c: char| c.is_ascii_digit()))
            })
        };
        if begins(&self.lower) {
            return Some(false);
        }
        let separators = self.lower.match_indices(['-', '_', '.', ' ']);
        let mut parts = separators.map(|(at, _)| &self.lower[at + 1..]);
        // The number of a part may be all that is typed: `6000` of `rtx-a6000`.
        parts
            .any(|part| {
                begins(part) || begins(part.trim_start_matches(|c: char| c.is_ascii_alphabetic()))
            })
            .then_some(true)
    }
}

fn nearest_whole<'a>(given: &str, known: &[Known<'a>]) -> Option<&'a str> {
    let length = given.chars().count();
    let near = known.iter().filter_map(|it| {
        let longer = length.max(it.lower.chars().count());
        let edits = osa_distance(given, &it.lower);
        let digits = same_digits(given, &it.lower)?;
        (edits <= (longer / 3).max(1)).then_some((Reverse(digits), edits, it.name))
    });
    near.min_by_key(|(digits, edits, _)| (*digits, *edits))
        .map(|(.., name)| name)
}

/// Names of a family share their beginning: `h1000` is meant as `h100-sxm`.
fn nearest_beginning<'a>(given: &str, known: &[Known<'a>]) -> Option<&'a str> {
    let length = given.chars().count();
    let near = known.iter().filter_map(|it| {
        let letters = it.lower.chars().count();
        let start: String = it.lower.chars().take(length).collect();
        let edits = osa_distance(given, &start);
        let digits = same_digits(given, &start)?;
        let fits = length >= 3 && letters > length && edits <= length / 3;
        fits.then_some(((Reverse(digits), edits, letters), it.name))
    });
    near.min_by_key(|(key, _)| *key).map(|(_, name)| name)
}

/// Whether two names have the same digits in any order; `None` where each has one that the other lacks.
fn same_digits(a: &str, b: &str) -> Option<bool> {
    let counts = |name: &str| {
        let mut counts = [0_usize; 10];
        for digit in name.chars().filter_map(|c| c.to_digit(10)) {
            counts[digit as usize] += 1;
        }
        counts
    };
    let (a, b) = (counts(a), counts(b));
    let within = |a: &[usize], b: &[usize]| a.iter().zip(b).all(|(a, b)| a <= b);
    (within(&a, &b) || within(&b, &a)).then_some(a == b)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GPUS: [&str; 8] = [
        "a100-40gb-sxm",
        "a100-80gb-pcie",
        "a100-80gb-sxm",
        "h100-pcie",
        "h100-sxm",
        "h200-sxm",
        "h800",
        "rtx-a6000",
    ];

    // "h1000" → "h100": one deletion. "fat-tere" → "fat-tree": one swap. "Switch": case is free.
    // "banana" is further than a third of its letters from everything.
    #[test]
    fn the_nearest_name_is_a_few_edits_away_or_none() {
        let known = ["h100", "fat-tree", "switch"];
        assert_eq!(nearest("h1000", known), Some("h100"));
        assert_eq!(nearest("fat-tere", known), Some("fat-tree"));
        assert_eq!(nearest("Switch", known), Some("switch"));
        assert_eq!(nearest("banana", known), None);
        // The beginnings "h100-" of both differ by one letter from "h1000"; the shorter name wins.
        assert_eq!(nearest("h1000", GPUS), Some("h100-sxm"));
    }

    // `h800` is one edit from `h100`, and another product; `a6000` is a later part of one name; `h20` is not the
    // beginning of the number 200, but one letter short of it.
    #[test]
    fn names_that_go_on_come_first_and_other_numbers_never() {
        assert_eq!(suggestions("h100", GPUS), ["h100-sxm", "h100-pcie"]);
        assert_eq!(
            suggestions("A100", GPUS),
            ["a100-40gb-sxm", "a100-80gb-sxm", "a100-80gb-pcie"]
        );
        assert_eq!(suggestions("a6000", GPUS), ["rtx-a6000"]);
        assert_eq!(suggestions("6000", GPUS), ["rtx-a6000"]);
        assert_eq!(suggestions("h20", GPUS), ["h200-sxm"]);
        assert_eq!(suggestions("h900", GPUS), [""; 0]);
        assert_eq!(suggestions("b200", ["b100", "b300"]), [""; 0]);
        // Two digits in the wrong order are a slip.
        assert_eq!(suggestions("bf61", ["fp16", "bf16"]), ["bf16"]);
    }

    #[test]
    fn a_hint_names_all_that_may_be_meant() {
        let hint = did_you_mean("h100", GPUS);
        assert_eq!(
            hint.as_deref(),
            Some("did you mean `h100-sxm` or `h100-pcie`?")
        );
        assert_eq!(did_you_mean("banana", GPUS), None);
    }

    // Hyphens go but between digits: "llama-3-70b" keeps the one between 3 and 70, as "llama3-70b" does.
    #[test]
    fn spellings_of_one_name_are_alike_and_numbers_stay_apart() {
        for other in ["Llama-3-70B", "llama_3_70b", "meta-llama/Llama 3 70B"] {
            assert_eq!(plain(other), plain("llama3-70b"), "{other}");
        }
        assert_eq!(plain("google/ViT-B-16"), plain("ViT-B/16"));
        assert_ne!(plain("gpt-1.7b"), plain("gpt-17b"));
        assert_ne!(plain("llama3-1b"), plain("llama-31b"));
    }

    #[test]
    fn a_text_names_the_only_one_that_it_fits() {
        let alias = ["a6000"];
        let known = [
            ("rtx-a6000", &alias[..]),
            ("fat-tree", &[]),
            ("x-1", &[]),
            ("x_1", &[]),
        ];
        assert_eq!(named("A6000", known), Some("rtx-a6000"));
        assert_eq!(named("FatTree", known), Some("fat-tree"));
        assert_eq!(named("x_1", known), Some("x_1"));
        // Both are spelt like it.
        assert_eq!(named("x1", known), None);
        assert_eq!(named("tree", known), None);
    }
}
