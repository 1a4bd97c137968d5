//! Enums whose spellings are part of the public contract.

/// A name that is not in a closed set.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown {what} `{name}`; expected one of: {}", expected.join(", "))]
pub struct UnknownName {
    /// What the set holds, in words: `topology`, `precision`.
    pub what: &'static str,
    /// The text that was given.
    pub name: String,
    /// Every accepted spelling, in the order of declaration.
    pub expected: Vec<&'static str>,
}

/// Declares an enum once, with the spelling of each member.
///
/// Gives `ALL`, `WHAT`, `as_str`, `Display`, `FromStr` and `Serialize`. Strings become members at
/// the edge of the program and are never compared again.
#[macro_export]
macro_rules! closed_set {
    (
        $(#[$meta:meta])*
        $vis:vis enum $name:ident: $what:literal {
            $( $(#[$member_meta:meta])* $member:ident = $text:literal ),+ $(,)?
        }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        $vis enum $name {
            $( $(#[$member_meta])* $member ),+
        }

        impl $name {
            /// Every member, in the order of declaration.
            pub const ALL: &'static [Self] = &[ $( Self::$member ),+ ];
            /// What the set holds, in words.
            pub const WHAT: &'static str = $what;

            /// The spelling that users write and read.
            pub const fn as_str(self) -> &'static str {
                match self { $( Self::$member => $text ),+ }
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
    #![expect(
        unreachable_pub,
        reason = "the macro writes `pub` for rooms, a test is none"
    )]
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
        }
    }

    #[test]
    fn a_set_says_what_it_holds() {
        assert_eq!(Colour::WHAT, "colour");
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
