//! A run folder between two renames: rows of a newer run beside the spec and the manifest of the one that it replaces.

use std::path::{Path, PathBuf};

use crate::files::{is_link, is_table, read_entry};
use crate::record::PointsReader;
use crate::record::provenance::keys;
use crate::runner::folder::{RunFolder, has_digest};
use crate::runner::manifest::Earlier;
use crate::simulation::guarded;

/// Rows of a spec that is not the `spec.toml` beside them, because the run that wrote them was ended before it had put its own there.
#[derive(Clone, Debug)]
pub(crate) struct NewerRows {
    /// The table, or where there is none, a part of it.
    pub table: PathBuf,
    /// Text of the spec.
    pub spec: String,
}

impl NewerRows {
    /// Those of a folder; `None` where its rows are of its `spec.toml`, and where nothing but that file differs from what the
    /// manifest states: somebody changed or removed it.
    pub(crate) fn of(folder: &RunFolder) -> Option<Self> {
        let parts = parts_of(folder);
        let newer = rows_of(folder, &parts)?;
        if read_entry(&folder.spec()).is_ok_and(|text| text == newer.spec) {
            return None;
        }
        let is_stated = || has_digest(&folder.points(), Earlier::of(folder).points.as_deref());
        (!parts.is_empty() || !is_stated()).then_some(newer)
    }
}

/// Whether the table of a folder is not the one that its manifest states, and was made of the parts that lie beside it.
pub(crate) fn is_made_of_parts(folder: &RunFolder) -> bool {
    let hash = |path: &Path| recorded(path, keys::SPEC_HASH);
    let stated = Earlier::of(folder).points;
    let table = folder.points();
    is_table(&table)
        && !has_digest(&table, stated.as_deref())
        && parts_of(folder)
            .first()
            .is_some_and(|part| hash(part).is_some() && hash(part) == hash(&table))
}

fn parts_of(folder: &RunFolder) -> Vec<PathBuf> {
    folder.part_files().unwrap_or_default()
}

/// The first file of a folder's rows whose spec is legible and has its hash.
fn rows_of(folder: &RunFolder, parts: &[PathBuf]) -> Option<NewerRows> {
    let table = is_table(&folder.points()).then(|| folder.points());
    let mut files = table.into_iter().chain(parts.iter().cloned());
    files.find_map(|table| {
        let spec = recorded(&table, keys::SPEC)?;
        let hash = blake3::hash(spec.as_bytes()).to_hex().to_string();
        let is_sound = recorded(&table, keys::SPEC_HASH)? == hash;
        is_sound.then_some(NewerRows { table, spec })
    })
}

/// A value of a file's provenance; `None` where it cannot be read.
pub(crate) fn recorded(path: &Path, key: &str) -> Option<String> {
    if is_link(path) {
        return None;
    }
    let reader = guarded(&mut (), |()| PointsReader::open(path));
    Some(reader.ok()?.ok()?.metadata(key)?.to_owned())
}
