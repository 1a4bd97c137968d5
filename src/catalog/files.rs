//! The files of `data/`, built into the program.

use super::Kind;

/// One file of the catalogue.
#[derive(Clone, Copy, Debug)]
pub(super) struct File {
    pub(super) kind: Kind,
    /// File name without `.toml`: the name of the entry.
    pub(super) name: &'static str,
    pub(super) text: &'static str,
}

/// Every file, by kind and then by name, as `build.rs` found them.
pub(super) const FILES: &[File] = include!(concat!(env!("OUT_DIR"), "/catalog_files.rs"));
