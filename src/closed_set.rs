//! Enums whose spellings are part of the public contract.

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
