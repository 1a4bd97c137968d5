//! The files of a run held against what was written of them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::files::{is_link, is_table, read_entry};
use crate::record::provenance::keys;
use crate::record::{Difference, difference, digest};
use crate::runner::folder::{FolderError, RunFolder, is_sound, names};
use crate::runner::manifest::{RESULTS, RunState};
use crate::runner::newer::recorded;

/// State of a run in its manifest.
#[derive(Clone, Debug, Default)]
pub(crate) struct Written {
    /// Whether every point has its row.
    pub is_complete: bool,
    /// Points that ran, cannot run and crashed.
    pub counts: [u64; 3],
    /// Where the rows come from, by the keys that a table has for it.
    origin: BTreeMap<&'static str, String>,
    /// BLAKE3 hash of each file, by its name.
    files: BTreeMap<String, String>,
}

/// A file of a run, and what is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CheckedFile {
    /// Name in the folder.
    pub name: String,
    /// Fault; `None` of a sound file.
    pub fault: Option<String>,
}

impl CheckedFile {
    fn new(name: String, fault: Option<String>) -> Self {
        Self { name, fault }
    }
}

/// What a manifest and a table say alike of where rows come from, by the same keys.
const ORIGIN: [&str; 4] = [
    keys::SPEC_HASH,
    keys::CATALOG_HASH,
    keys::VERSION,
    keys::BUILD,
];

impl Written {
    /// Reads a manifest.
    ///
    /// # Errors
    /// In words, if it is missing or none of this program's.
    pub(crate) fn of(folder: &RunFolder) -> Result<Self, String> {
        let text = read_entry(&folder.manifest()).map_err(|error| error.to_string())?;
        let manifest: Value = serde_json::from_str(&text).map_err(|error| error.to_string())?;
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let state = text(&manifest["state"]).and_then(|state| state.parse::<RunState>().ok());
        let state = state.ok_or_else(|| "it does not say how the run ended".to_owned())?;
        let count = |name: &str| manifest["counts"][name].as_u64();
        let counts = [count("ok"), count("infeasible"), count("crashed")];
        let [Some(ok), Some(infeasible), Some(crashed)] = counts else {
            return Err("it does not say how many points ran".to_owned());
        };
        let origin = ORIGIN.into_iter();
        let origin = origin.filter_map(|key| Some((key, text(&manifest[key])?)));
        let files = manifest["files"].as_object().into_iter().flatten();
        Ok(Self {
            is_complete: state == RunState::Complete,
            counts: [ok, infeasible, crashed],
            origin: origin.collect(),
            files: files
                .map(|(name, file)| (name.clone(), text(&file["blake3"]).unwrap_or_default()))
                .collect(),
        })
    }

    /// Where a table says that it comes from, if not from where the manifest says; a table that another program rewrote says nothing.
    pub(crate) fn other_origin(&self, table: &Path) -> Option<String> {
        let found = ORIGIN.map(|key| (key, recorded(table, key)));
        let found = BTreeMap::from(found);
        let said: Vec<&str> = ORIGIN
            .into_iter()
            .filter(|key| found[key].is_some())
            .collect();
        let Difference { what, one, other } = difference(
            &said,
            |key| found[key].as_deref(),
            |key| self.origin.get(key).map(String::as_str),
        )?;
        Some(format!("{what} is {one}, manifest.json says {other}"))
    }

    /// Holds every file that it names against its hash; of a complete run it names every file.
    pub(crate) fn check_files(&self, folder: &RunFolder) -> Vec<CheckedFile> {
        let unnamed = RESULTS.iter().filter(|name| {
            let is_there = is_table(&folder.path().join(name));
            let is_in_each = [names::POINTS, names::SPEC].contains(name);
            self.is_complete && !self.files.contains_key(**name) && (is_there || is_in_each)
        });
        let unnamed = unnamed.map(|name| {
            let fault = "manifest.json does not name it".to_owned();
            CheckedFile::new((*name).to_owned(), Some(fault))
        });
        let check = |(name, expected): (&String, &String)| {
            let fault = match digest(&folder.path().join(name)) {
                Ok(found) if found.blake3 == *expected => None,
                Ok(_) => Some("it has not the hash that manifest.json states".to_owned()),
                Err(error) => Some(error.to_string()),
            };
            CheckedFile::new(name.clone(), fault)
        };
        unnamed.chain(self.files.iter().map(check)).collect()
    }
}

/// Holds every part in a folder against the hash in its name.
///
/// # Errors
/// If the parts cannot be listed.
pub(crate) fn check_parts(folder: &RunFolder) -> Result<Vec<CheckedFile>, FolderError> {
    let parts = folder.path().join(names::PARTS);
    if !parts.is_dir() {
        return Ok(Vec::new());
    }
    if is_link(&parts) {
        return Err(FolderError::Link { path: parts });
    }
    let check = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let fault =
            (!is_sound(path)).then(|| "it has not the hash that its name states".to_owned());
        CheckedFile::new(format!("{}/{name}", names::PARTS), fault)
    };
    Ok(folder.part_files()?.iter().map(check).collect())
}
