//! A communication that ran, and its measurements.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Serialize, Serializer};

/// One run of an algorithm.
#[derive(Clone, Debug, JsonSchema, PartialEq, Serialize)]
pub struct CollectiveRun {
    /// Number of the point in its run folder.
    pub point: u64,
    /// Number of its file in `files`.
    #[serde(rename = "file")]
    pub source: u32,
    /// Bytes, as nccl-tests counts them.
    pub size_bytes: u64,
    /// Time.
    pub time_s: f64,
    /// Bus bandwidth.
    pub busbw_bytes_per_s: f64,
    /// Algorithm that ran.
    #[serde(serialize_with = "text")]
    pub collective_used: Arc<str>,
}

fn text<S: Serializer>(text: &Arc<str>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(text)
}

/// Name of the library's own choice of algorithm.
pub(crate) const AUTO: &str = "auto";

/// One communication that ran.
#[derive(Debug)]
pub(super) struct Transfer {
    /// Operation.
    pub(super) op: Arc<str>,
    /// Number of the place.
    pub(super) place: usize,
    /// GPUs.
    pub(super) gpus: u64,
    /// Algorithm that was asked for, [`AUTO`] where it was left open.
    pub(super) collective: Arc<str>,
    /// Size and measurements.
    pub(super) run: CollectiveRun,
}
