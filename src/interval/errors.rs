//! Errors of measured runs, each predicted without having seen its lineage.

use std::sync::LazyLock;

use serde::Deserialize;

use super::features::{Features, GpuFeatures};
use crate::catalog::Catalog;
use crate::closed_set;

const ERRORS: &str = include_str!("../../data/validation/errors.csv");

closed_set! {
    /// Quantity that was predicted and measured.
    pub(crate) enum Quantity: "quantity" {
        /// Time of a step.
        StepTime = "step",
        /// Peak of a GPU's memory.
        MemoryPeak = "memory",
    }
}

/// Error of one measured run.
#[derive(Clone, Debug)]
pub(super) struct KnownError {
    /// Common origin of its source and others.
    pub(super) lineage: String,
    pub(super) features: Features,
    /// ln(predicted/measured).
    pub(super) error: f64,
}

/// Errors of a quantity.
pub(super) fn known(quantity: Quantity) -> &'static [KnownError] {
    static KNOWN: LazyLock<[Vec<KnownError>; 2]> = LazyLock::new(|| {
        [Quantity::StepTime, Quantity::MemoryPeak]
            .map(|quantity| read(ERRORS, quantity).expect("a test reads the errors that ship"))
    });
    match quantity {
        Quantity::StepTime => &KNOWN[0],
        Quantity::MemoryPeak => &KNOWN[1],
    }
}

/// A row of the file.
#[derive(Deserialize)]
struct Row {
    quantity: String,
    lineage: String,
    family: String,
    gpu: String,
    precision: String,
    stack: String,
    parameters: f64,
    gpus: u32,
    tp: Option<u32>,
    pp: Option<u32>,
    cp: Option<u32>,
    ep: Option<u32>,
    ln_error: f64,
}

fn read(text: &str, quantity: Quantity) -> Result<Vec<KnownError>, String> {
    let mut rows = csv::Reader::from_reader(text.as_bytes());
    let mut errors = Vec::new();
    for row in rows.deserialize() {
        let row: Row = row.map_err(|fault| fault.to_string())?;
        if row.quantity != quantity.as_str() {
            continue;
        }
        let gpu = Catalog::builtin().gpus.get(&row.gpu);
        let gpu = gpu.ok_or_else(|| format!("no GPU is named {}", row.gpu))?;
        let ln = |ranks: u32| libm::log(f64::from(ranks));
        errors.push(KnownError {
            lineage: row.lineage,
            error: row.ln_error,
            features: Features {
                family: row.family.parse().map_err(|fault| format!("{fault}"))?,
                gpu: GpuFeatures::of(gpu),
                precision: row.precision.parse().map_err(|fault| format!("{fault}"))?,
                stack: row.stack,
                parameters: libm::log(row.parameters),
                gpus: ln(row.gpus),
                groups: [row.tp, row.pp, row.cp, row.ep].map(|ranks| ranks.map(ln)),
            },
        });
    }
    Ok(errors)
}
