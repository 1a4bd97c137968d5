//! The files of a run held against what was written of them.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde_json::Value;

use crate::files::{is_link, read_entry};
use crate::record::digest;
use crate::runner::folder::{FolderError, RunFolder, is_sound, names};
use crate::runner::manifest::RunState;

/// State of a run in its manifest.
#[derive(Clone, Debug, Default)]
pub(crate) struct Written {
    /// Whether every point has its row.
    pub is_complete: bool,
    /// Points that ran, cannot run and crashed; `None` where it does not say.
    pub counts: Option<[u64; 3]>,
    /// Hash of the catalogue.
    pub catalog_hash: String,
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
        let files = manifest["files"].as_object().into_iter().flatten();
        Ok(Self {
            is_complete: state == RunState::Complete,
            counts: match counts {
                [Some(ok), Some(infeasible), Some(crashed)] => Some([ok, infeasible, crashed]),
                _ => None,
            },
            catalog_hash: text(&manifest["catalog_hash"]).unwrap_or_default(),
            files: files
                .filter_map(|(name, file)| Some((name.clone(), text(&file["blake3"])?)))
                .collect(),
        })
    }

    /// Holds every file that it names against its hash.
    pub(crate) fn check_files(&self, folder: &RunFolder) -> Vec<CheckedFile> {
        let check = |(name, expected): (&String, &String)| {
            let fault = match digest(&folder.path().join(name)) {
                Ok(found) if found.blake3 == *expected => None,
                Ok(_) => Some("it has not the hash that manifest.json states".to_owned()),
                Err(error) => Some(error.to_string()),
            };
            CheckedFile::new(name.clone(), fault)
        };
        self.files.iter().map(check).collect()
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
