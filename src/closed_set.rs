//! Enums whose spellings are part of the public contract.

use std::fmt;
use std::marker::PhantomData;
use std::str::FromStr;

use itertools::Itertools as _;

/// An enum with fixed spellings, as [`closed_set!`](crate::closed_set!) declares it.
pub(crate) trait ClosedSet: Copy + FromStr + 'static {
    /// Every member, in the order of declaration.
    const MEMBERS: &'static [Self];
    /// Every spelling, in the order of declaration.
    const SPELLINGS: &'static [&'static str];

    /// Place in [`Self::MEMBERS`].
    fn position(self) -> usize;
}

/// Some members of a closed set, written in its order and joined by `+`; empty: `none`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Subset<T>(u32, PhantomData<T>);

impl<T> Default for Subset<T> {
    fn default() -> Self {
        Self(0, PhantomData)
    }
}

impl<T: ClosedSet> Subset<T> {
    /// Text of the set without members.
    pub(crate) const NONE: &'static str = "none";

    /// The set of some members.
    pub(crate) fn of(members: &[T]) -> Self {
        let bits = members.iter().map(|member| 1 << member.position());
        Self(bits.fold(0, |all: u32, bit: u32| all | bit), PhantomData)
    }

    /// Whether a member is in the set.
    pub(crate) fn contains(self, member: T) -> bool {
        self.0 & (1 << member.position()) != 0
    }

    /// Whether the set has no members.
    pub(crate) const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Members of the set, in the order of declaration.
    pub(crate) fn iter(self) -> impl Iterator<Item = T> {
        let all = T::MEMBERS.iter().copied();
        all.filter(move |member| self.contains(*member))
    }
}

impl<T: ClosedSet> fmt::Display for Subset<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return f.pad(Self::NONE);
        }
        let names = self.iter().map(|member| T::SPELLINGS[member.position()]);
        f.pad(&names.format("+").to_string())
    }
}

impl<T: ClosedSet> FromStr for Subset<T> {
    type Err = T::Err;

    fn from_str(text: &str) -> Result<Self, T::Err> {
        if text.trim() == Self::NONE {
            return Ok(Self::default());
        }
        let members: Result<Vec<T>, T::Err> =
            text.split('+').map(|name| name.trim().parse()).collect();
        Ok(Self::of(&members?))
    }
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

/// Declares an enum once, with the spelling of each member.
///
/// Gives `ALL`, `NAMES`, `WHAT`, `as_str`, `meaning`, `Display`, `FromStr`, `Serialize` and `JsonSchema`. Text becomes a
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

            fn position(self) -> usize {
                self as usize
            }
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

        impl schemars::JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }

            fn schema_id() -> std::borrow::Cow<'static, str> {
                concat!(module_path!(), "::", stringify!($name)).into()
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({"type": "string", "enum": Self::NAMES})
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
    use super::*;

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

    // `+` joins names in any order and with any spaces; the set writes them in its own order.
    #[test]
    fn some_members_are_read_and_written_joined_by_plus() {
        let both: Subset<Colour> = "sky-blue + green".parse().expect("two colours");
        assert_eq!(both, Subset::of(Colour::ALL));
        assert_eq!(both.to_string(), "green+sky-blue");
        let none: Subset<Colour> = "none".parse().expect("no colour");
        assert!(none.is_empty() && none.to_string() == "none");
        for wrong in ["green+", "", "none+green", "red"] {
            assert!(wrong.parse::<Subset<Colour>>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_set_says_what_it_holds() {
        assert_eq!(Colour::WHAT, "colour");
        assert_eq!(Colour::SkyBlue.meaning(), "Like the sky.");
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
