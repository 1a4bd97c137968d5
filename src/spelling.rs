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
/// `rtx-a6000`), then names whose number goes on (`h20`: `h200-sxm`), shorter ones before longer ones. Where there is
/// none, the nearest name: the one with the fewest edits (insert, delete, replace, swap of neighbours; Damerau 1964,
/// each pair swapped once), when those are at most a third of the longer name; else the one whose beginning is nearest,
/// when a fifth of it at most differs. Case does not count. A number in a name, with a single letter beside it, tells
/// products apart, so that a name with other digits is never near (`h100` is not `h800`, `v5e` not `v5p`), and one with
/// the same digits is nearer than one with more or fewer. Names of over 64 bytes are near to nothing.
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
        .sorted_by_key(|(how, length, _)| (*how, *length))
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

    /// How the name goes on where a text ends; `None` where it does not.
    fn continues(&self, given: &str) -> Option<GoesOn> {
        if given.chars().count() < 2 {
            return (self.lower == given).then_some(GoesOn::Name);
        }
        let digit_at_end = given.ends_with(|c: char| c.is_ascii_digit());
        // A number that goes on is another number: `h20` is not the beginning of `h200`, but as near as its number.
        let is_number =
            |after: &str| digit_at_end && after.starts_with(|c: char| c.is_ascii_digit());
        let begins = |rest: &str| {
            let after = rest.strip_prefix(given);
            after.is_some_and(|after| !is_number(after))
        };
        if let Some(after) = self.lower.strip_prefix(given) {
            return Some(if is_number(after) {
                GoesOn::Number
            } else {
                GoesOn::Name
            });
        }
        let separators = self.lower.match_indices(['-', '_', '.', ' ']);
        let mut parts = separators.map(|(at, _)| &self.lower[at + 1..]);
        // The number of a part may be all that is typed: `6000` of `rtx-a6000`.
        parts
            .any(|part| {
                begins(part) || begins(part.trim_start_matches(|c: char| c.is_ascii_alphabetic()))
            })
            .then_some(GoesOn::Part)
    }
}

/// How a name goes on where a text ends, the nearest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum GoesOn {
    /// It begins with the text.
    Name,
    /// A later part of it does.
    Part,
    /// It begins with the text, whose last number is longer in it.
    Number,
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
        let fits = length >= 3 && letters > length && edits <= length / 5;
        fits.then_some(((Reverse(digits), edits, letters), it.name))
    });
    near.min_by_key(|(key, _)| *key).map(|(_, name)| name)
}

/// Whether two names have the same digits in any order, and the same single letters beside them (`v5p`, `h100`); `None`
/// where each has one that the other lacks.
fn same_digits(a: &str, b: &str) -> Option<bool> {
    let counts = |name: &str| {
        let mut counts = [0_usize; 36];
        for of_product in name.split(|c: char| !c.is_ascii_alphanumeric()) {
            let letters: Vec<char> = of_product.chars().collect();
            for run in letters.chunk_by(|a, b| a.is_ascii_digit() == b.is_ascii_digit()) {
                let counted = run[0].is_ascii_digit() || run.len() == 1 && letters.len() > 1;
                for value in run
                    .iter()
                    .filter_map(|c| c.to_digit(36))
                    .filter(|_| counted)
                {
                    counts[value as usize] += 1;
                }
            }
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
        // `a10` has the same digits, but replaces the letter: the number typed short is nearer.
        let with_a10 = GPUS.into_iter().chain(["a10"]);
        assert_eq!(suggestions("h10", with_a10), ["h100-sxm", "h100-pcie"]);
        assert_eq!(suggestions("h900", GPUS), [""; 0]);
        assert_eq!(suggestions("b200", ["b100", "b300"]), [""; 0]);
        assert_eq!(suggestions("tpu-v5e", ["tpu-v5p", "tpu-v6e"]), [""; 0]);
        // A letter too few or too many beside the number: no other product has it.
        assert_eq!(suggestions("a10g", ["a10", "l40s"]), ["a10"]);
        assert_eq!(suggestions("lama3-8b", ["llama3-8b"]), ["llama3-8b"]);
        // Two digits in the wrong order are a slip.
        assert_eq!(suggestions("bf61", ["fp16", "bf16"]), ["bf16"]);
    }

    // `fro` and `foo` differ in one letter of three: a third of what was typed is no slip, one of five is.
    #[test]
    fn a_beginning_that_is_a_third_off_is_far() {
        let columns = ["frozen", "used_frozen", "step_time_s", "mfu", "model"];
        assert_eq!(suggestions("foo", columns), [""; 0]);
        assert_eq!(suggestions("fro", columns), ["frozen", "used_frozen"]);
        assert_eq!(suggestions("stepp", columns), ["step_time_s"]);
        assert_eq!(suggestions("modle", columns), ["model"]);
        assert_eq!(suggestions("mfuu", columns), ["mfu"]);
        // A letter alone is the beginning of nothing.
        assert_eq!(suggestions("m", columns), [""; 0]);
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
