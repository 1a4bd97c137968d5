//! Enums whose spellings are part of the public contract.

use strsim::osa_distance;

/// An enum with fixed spellings, as [`closed_set!`](crate::closed_set!) declares it.
pub(crate) trait ClosedSet: Copy + std::str::FromStr + 'static {
    /// Every member, in the order of declaration.
    const MEMBERS: &'static [Self];
    /// Every spelling, in the order of declaration.
    const SPELLINGS: &'static [&'static str];
}

/// A name that is not in a closed set.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown {what} `{name}`; expected one of: {}", expected.join(", "))]
pub struct UnknownName {
    /// Subject of the set, in words: `topology`, `precision`.
    pub what: &'static str,
    /// The text that was given.
    pub name: String,
    /// Every accepted spelling, in the order of declaration.
    pub expected: Vec<&'static str>,
}

/// The known name that a misspelt one was probably meant to be.
///
/// The nearest name is the one with the fewest edits (insert, delete, replace, swap of neighbours; Damerau 1964, each pair
/// swapped once), when those are at most a third of the longer name; the first of several. Case does
/// not count as an edit. Names of over 64 letters are near to nothing.
pub(crate) fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    if name.len() > 64 {
        return None;
    }
    let given = name.to_lowercase();
    let length = given.chars().count();
    let known: Vec<(String, usize, &str)> = known
        .into_iter()
        .map(|candidate| {
            let lower = candidate.to_lowercase();
            let letters = lower.chars().count();
            (lower, letters, candidate)
        })
        .collect();
    let whole = known
        .iter()
        .map(|(lower, letters, candidate)| (osa_distance(&given, lower), *letters, *candidate))
        .filter(|(distance, letters, _)| *distance <= (length.max(*letters) / 3).max(1))
        .min_by_key(|(distance, ..)| *distance);
    // Names of a family share their beginning: `h1000` is meant as `h100-sxm`.
    let beginning = || {
        known
            .iter()
            .filter(|(_, letters, _)| length >= 3 && *letters > length)
            .map(|(lower, letters, candidate)| {
                let start: String = lower.chars().take(length).collect();
                (osa_distance(&given, &start), *letters, *candidate)
            })
            .filter(|(distance, ..)| *distance <= length / 3)
            .min_by_key(|(distance, letters, _)| (*distance, *letters))
    };
    whole.or_else(beginning).map(|(_, _, candidate)| candidate)
}

/// Declares an enum once, with the spelling of each member.
///
/// Gives `ALL`, `NAMES`, `WHAT`, `as_str`, `meaning`, `Display`, `FromStr` and `Serialize`. Text becomes a
/// member where it is read, and is not compared again.
#[macro_export]
macro_rules! closed_set {
    (
        $(#[$meta:meta])*
        $vis:vis enum $name:ident: $what:literal {
            $( $(#[doc = $meaning:literal])+ $member:ident = $text:literal ),+ $(,)?
        }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        $vis enum $name {
            $( $(#[doc = $meaning])+ $member ),+
        }

        impl $name {
            /// Every member, in the order of declaration.
            $vis const ALL: &'static [Self] = &[ $( Self::$member ),+ ];
            /// Every spelling, in the order of declaration.
            $vis const NAMES: &'static [&'static str] = &[ $( $text ),+ ];
            /// Subject of the set, in words.
            $vis const WHAT: &'static str = $what;

            /// Meaning of a member: its documentation.
            $vis const fn meaning(self) -> &'static str {
                match self { $( Self::$member => concat!($($meaning),+).trim_ascii() ),+ }
            }

            /// The spelling that users write and read.
            $vis const fn as_str(self) -> &'static str {
                match self { $( Self::$member => $text ),+ }
            }
        }

        // Every set has all of these, whether or not this one needs them.
        const _: () = {
            let _ = ($name::NAMES, $name::WHAT);
            let _ = ($name::meaning, $name::as_str);
        };

        impl $crate::closed_set::ClosedSet for $name {
            const MEMBERS: &'static [Self] = Self::ALL;
            const SPELLINGS: &'static [&'static str] = Self::NAMES;
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::closed_set::UnknownName;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Self::ALL.iter().copied().find(|member| member.as_str() == text).ok_or_else(|| {
                    $crate::closed_set::UnknownName {
                        what: $what,
                        name: text.to_owned(),
                        expected: Self::ALL.iter().map(|member| member.as_str()).collect(),
                    }
                })
            }
        }
    };
}

#[cfg(test)]
mod tests {
    closed_set! {
        /// Colours of a test.
        enum Colour: "colour" {
            /// Like grass.
            Green = "green",
            /// Like the sky.
            SkyBlue = "sky-blue",
        }
    }

    #[test]
    fn every_spelling_parses_back_to_its_member() {
        for member in Colour::ALL {
            assert_eq!(member.as_str().parse(), Ok(*member));
            assert!(Colour::NAMES.contains(&member.as_str()));
        }
    }

    #[test]
    fn a_set_says_what_it_holds() {
        assert_eq!(Colour::WHAT, "colour");
        assert_eq!(Colour::SkyBlue.meaning(), "Like the sky.");
    }

    // "h1000" → "h100": one deletion. "fat-tere" → "fat-tree": one swap. "Switch": case is free.
    // "banana" is further than a third of its letters from everything.
    #[test]
    fn the_nearest_name_is_a_few_edits_away_or_none() {
        let known = ["h100", "fat-tree", "switch"];
        assert_eq!(super::nearest("h1000", known), Some("h100"));
        assert_eq!(super::nearest("fat-tere", known), Some("fat-tree"));
        assert_eq!(super::nearest("Switch", known), Some("switch"));
        assert_eq!(super::nearest("banana", known), None);
        // The beginnings "h100-" of both differ by one letter from "h1000"; the shorter name wins.
        let gpus = ["a100-80gb-sxm", "h100-pcie", "h100-sxm"];
        assert_eq!(super::nearest("h1000", gpus), Some("h100-sxm"));
    }

    #[test]
    fn an_unknown_name_lists_what_was_expected() {
        let error = "red".parse::<Colour>().expect_err("red is not in the set");
        assert_eq!(error.what, Colour::WHAT);
        assert_eq!(
            error.to_string(),
            "unknown colour `red`; expected one of: green, sky-blue"
        );
    }
}
