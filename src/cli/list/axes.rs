//! `sweep list axes`: what a grid can vary.

use serde_json::{Value, json};

use super::listing::{Listing, table, wanted};
use crate::cli::exit::Failure;
use crate::spec::axis::COUNT_MAX;
use crate::spec::{AXES, AxisInfo, Domain};

/// Axes with their values and defaults.
pub(super) fn listing(names: &[String]) -> Result<Listing, Failure> {
    let axes = wanted("axis", names, AXES, |info| info.axis.as_str())?;
    let rows = axes.into_iter().map(|info| {
        let studies: Vec<&str> = info.studies.iter().map(|kind| kind.as_str()).collect();
        json!({
            "name": info.axis.as_str(),
            "group": info.group.as_str(),
            "unit": info.unit,
            "values": domain(info),
            "auto": info.takes_auto(),
            "default": Some(info.default.words()).filter(|words| !words.is_empty()),
            "studies": studies,
            "meaning": info.doc,
        })
    });
    let json: Vec<Value> = rows.collect();
    let text = table(&["name", "group", "values", "default", "meaning"], &json);
    Ok(Listing { text, json })
}

/// The values of an axis in words.
fn domain(info: &AxisInfo) -> String {
    match info.domain {
        Domain::Catalog(kind) => format!("a name of `sweep list {kind}`"),
        Domain::Closed(names) => names.join(" "),
        Domain::Custom(kind) => format!("{}, or one of [{kind}]", kind.built_in().join(" ")),
        Domain::Int {
            min,
            max: COUNT_MAX,
        } => format!("{min} and up"),
        Domain::Int { min, max } => format!("{min} to {max}"),
        Domain::Real { min, max } => format!("{min} to {max}, real"),
        Domain::Bool => "true false".to_owned(),
        Domain::Size => "bytes with a unit: \"64 MiB\"".to_owned(),
        Domain::Stages => "layers of each stage: \"4,6×14,5\"".to_owned(),
    }
}
