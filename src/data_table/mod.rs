//! Tables of data files: each key is declared once, with the field that holds its value.
//!
//! A line of `data_table!` gives the field with its documentation, the key with its type, range and
//! default, and the reader. The check of a file, hints, JSON Schema and `sweep list` follow from the
//! keys:
//!
//! ```text
//! data_table! {
//!     /// Cost of the host.
//!     pub struct Host {
//!         /// Time to issue one kernel.
//!         dispatch: SimDuration,                          // required; its type says how it is written
//!         /// SMs that a communication takes from compute; default: 0.
//!         communication_sms: u32 [ValueKind::CountTo(512)] = 0,
//!         /// Last-level cache on the die.
//!         l2: Option<Bytes>,                              // may be left out
//!     } reads {
//!         /// Fabric's shape.
//!         topology: TopologyKind,                         // a key that is no field by itself
//!     } with |fields, name: &str| {
//!         /// Catalogue name.
//!         name: String = name.to_owned(),                 // a field that is no key
//!     }
//! }
//! ```
//!
//! A default may use the keys above it and those of `reads`; what follows `with` may use all. Values
//! are read from tables that were checked against the keys first.

mod key;
pub(crate) mod pattern;
pub(crate) mod quantity;
mod value;

pub(crate) use key::{DEAREST, Key, LONGEST, Mark, Need, Owner, ValueKind};
pub(crate) use value::{Declared, Field, Fields, Value};

/// Declares a struct whose fields are the keys of a data file's table, as the module describes.
///
/// Gives the struct, `keys` (those of the table, below a path) and `read` (a checked table).
macro_rules! data_table {
    (
        $(#[$meta:meta])*
        $vis:vis struct $name:ident { $($keys:tt)* }
    ) => {
        $crate::data_table::data_table! {
            $(#[$meta])*
            $vis struct $name { $($keys)* } reads {} with |fields| {}
        }
    };
    // A table that needs nothing besides its own keys can itself be the value of a key.
    (
        $(#[$meta:meta])*
        $vis:vis struct $name:ident { $($keys:tt)* } reads { $($reads:tt)* } with |$fields:ident| { $($made:tt)* }
    ) => {
        $crate::data_table::data_table! {
            @struct $(#[$meta])*
            $vis struct $name { $($keys)* } reads { $($reads)* } with |$fields| { $($made)* }
        }

        impl $crate::data_table::Field for $name {
            fn declare(key: $crate::data_table::Declared, keys: &mut Vec<$crate::data_table::Key>) {
                keys.extend(Self::keys(&format!("{}.", key.path), key.need.inside()));
            }

            fn find(fields: $crate::data_table::Fields<'_>, key: &str) -> Option<Self> {
                Some(Self::read(fields.table(key)?))
            }
        }
    };
    (
        $(#[$meta:meta])*
        $vis:vis struct $name:ident { $($keys:tt)* } reads { $($reads:tt)* }
        with |$fields:ident, $($given:ident: $given_type:ty),+| { $($made:tt)* }
    ) => {
        $crate::data_table::data_table! {
            @struct $(#[$meta])*
            $vis struct $name { $($keys)* } reads { $($reads)* }
            with |$fields $(, $given: $given_type)+| { $($made)* }
        }
    };
    (
        @struct
        $(#[$meta:meta])*
        $vis:vis struct $name:ident {
            $( $(#[doc = $doc:literal])+ $field:ident: $type:ty $([$kind:expr])? $(= $default:expr)? ),+ $(,)?
        } reads {
            $( $(#[doc = $read_doc:literal])+ $read:ident: $read_type:ty $([$read_kind:expr])? $(= $read_default:expr)? ),* $(,)?
        } with |$fields:ident $(, $given:ident: $given_type:ty)*| {
            $( $(#[doc = $made_doc:literal])+ $made:ident: $made_type:ty = $value:expr ),* $(,)?
        }
    ) => {
        $(#[$meta])*
        $vis struct $name {
            $( $(#[doc = $made_doc])+ pub(crate) $made: $made_type, )*
            $( $(#[doc = $doc])+ pub(crate) $field: $type, )+
        }

        impl $name {
            /// The keys of its table, each path begun with `above`.
            pub(crate) fn keys(
                above: &str,
                need: $crate::data_table::Need,
            ) -> Vec<$crate::data_table::Key> {
                let mut keys = Vec::new();
                $( $crate::data_table::data_table!(
                    @declare keys above need $field $type [$($doc)+] [$($kind)?] [$($default)?]
                ); )+
                $( $crate::data_table::data_table!(
                    @declare keys above need $read $read_type [$($read_doc)+] [$($read_kind)?] [$($read_default)?]
                ); )*
                keys
            }

            /// The values of a checked table.
            pub(crate) fn read(
                $fields: $crate::data_table::Fields<'_> $(, $given: $given_type)*
            ) -> Self {
                $(
                    let $read: $read_type =
                        $crate::data_table::data_table!(@value $fields $read [$($read_default)?]);
                    // A key may be there for people alone.
                    let _ = &$read;
                )*
                $( let $field: $type =
                    $crate::data_table::data_table!(@value $fields $field [$($default)?]); )+
                $( let $made: $made_type = $value; )*
                Self { $( $made, )* $( $field, )+ }
            }
        }
    };
    (@declare $keys:ident $above:ident $need:ident $field:ident $type:ty
        [$($doc:literal)+] [$($kind:expr)?] [$($default:expr)?]
    ) => {
        <$type as $crate::data_table::Field>::declare(
            $crate::data_table::Declared {
                path: format!("{}{}", $above, stringify!($field)),
                kind: [$($kind)?].into_iter().next(),
                need: [$( { let _ = stringify!($default); $crate::data_table::Need::Never } )?]
                    .into_iter()
                    .next()
                    .unwrap_or($need),
                doc: concat!($($doc),+).trim_ascii(),
            },
            &mut $keys,
        )
    };
    (@value $fields:ident $field:ident []) => { $fields.get(stringify!($field)) };
    (@value $fields:ident $field:ident [$default:expr]) => {
        $fields.find(stringify!($field)).unwrap_or_else(|| $default)
    };
}

pub(crate) use data_table;

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::{Fields, Need, ValueKind};
    use crate::closed_set;
    use crate::units::SimDuration;

    closed_set! {
        /// Formats of a test.
        pub(super) enum Format: "format" {
            /// 16 bits.
            Half = "half",
            /// 8 bits.
            Byte = "byte",
        }
    }

    data_table! {
        /// A rate.
        #[derive(Debug, PartialEq)]
        struct Rate {
            /// Share of the peak.
            share: f64 [ValueKind::Fraction],
        }
    }

    data_table! {
        /// A device.
        #[derive(Debug, PartialEq)]
        struct Device {
            /// Units; default: 2.
            units: u32 [ValueKind::CountTo(9)] = 2,
            /// Latency.
            latency: Option<SimDuration>,
            /// Rates by format.
            rates: BTreeMap<Format, Rate>,
        } reads {
            /// Ports of a unit.
            ports: u32,
        } with |fields, name: &str| {
            /// Name and number of ports.
            title: String = format!("{name} with {}", ports * units),
        }
    }

    #[test]
    fn a_line_gives_the_key_with_its_form_need_and_meaning() {
        let keys = Device::keys("", Need::Always);
        let key = |path: &str| keys.iter().find(|key| key.path == path).expect("declared");
        assert_eq!(keys.len(), 5);
        assert_eq!(key("units").kind, ValueKind::CountTo(9));
        assert_eq!(key("units").need, Need::Never);
        assert_eq!(key("units").doc, "Units; default: 2.");
        assert_eq!(key("latency").need, Need::Never);
        assert_eq!(key("ports").need, Need::Always);
        // A rate may be left out, but not its share where there is one.
        assert_eq!(key("rates.byte.share").need, Need::InItsTable);
    }

    // 3 ports on each of the 2 units by default: 6.
    #[test]
    fn a_table_is_read_with_its_defaults() {
        let table = "ports = 3\nlatency = \"1 us\"\nrates.byte.share = 0.5";
        let table: toml::Table = table.parse().expect("TOML");
        let device = Device::read(Fields(&table), "d");
        let expected = Device {
            title: "d with 6".to_owned(),
            units: 2,
            latency: Some(SimDuration::from_micros(1)),
            rates: BTreeMap::from([(Format::Byte, Rate { share: 0.5 })]),
        };
        assert_eq!(device, expected);
    }
}
