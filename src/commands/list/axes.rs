//! `sweep list axes`: what a grid can vary.

use super::entry::{AxisEntry, Entry};
use super::listed::Listed;
use super::listing::{Listing, wanted};
use crate::commands::failure::Failure;
use crate::report::text::{Table, Text};
use crate::spec::axis::COUNT_MAX;
use crate::spec::{AXES, AxisGroup, AxisInfo, Domain};

/// Axes with their values and defaults, by group.
pub(super) fn listing(names: &[String]) -> Result<Listing, Failure> {
    let axes = wanted("axis", names, AXES, |info| info.axis.as_str())?;
    let entries = axes.iter().map(|info| {
        Entry::Axis(AxisEntry {
            name: info.axis.as_str(),
            group: info.group.as_str(),
            unit: info.unit,
            values: domain(info),
            auto: info.takes_auto(),
            default: Some(info.default.words()).filter(|words| !words.is_empty()),
            studies: info.studies.to_vec(),
            meaning: info.doc,
            example: info.example(),
        })
    });
    Ok(Listing {
        what: Listed::Axes,
        entries: entries.collect(),
        text: text(&axes),
    })
}

/// One table of 80 columns a group.
fn text(axes: &[&AxisInfo]) -> String {
    let mut text = Text::default();
    for group in AxisGroup::ALL {
        let of_group = axes.iter().filter(|info| info.group == *group);
        let mut rows = of_group.peekable();
        if rows.peek().is_none() {
            continue;
        }
        let headings = [
            ("AXIS", 17),
            ("VALUES", 22),
            ("DEFAULT", 12),
            ("MEANING", 26),
        ];
        let mut table = Table::fixed(&headings);
        for info in rows {
            table.row([
                info.axis.to_string(),
                domain(info),
                info.default.words(),
                info.doc.to_owned(),
            ]);
        }
        writeln!(text, "{group}\n{}", table.render());
    }
    text.finish()
}

/// The values of an axis in words.
fn domain(info: &AxisInfo) -> String {
    match info.domain {
        Domain::Catalog(kind) => format!("a name of `sweep list {kind}`"),
        Domain::Closed(names) => names.join(" "),
        Domain::Several(names, none) => {
            let none = if none { "none, or " } else { "" };
            format!("{none}one or several, joined by +, of: {}", names.join(" "))
        }
        Domain::Custom(kind) => format!("{}, or one of [{kind}]", kind.built_in().join(" ")),
        Domain::Int {
            min,
            max: COUNT_MAX,
        } => format!("{min} and up"),
        Domain::Int { min, max } => format!("{min} to {max}"),
        Domain::Real { min, max } => format!("{min} to {max}, real"),
        Domain::Bool => "true false".to_owned(),
        Domain::Size => "bytes with a unit: \"64 MiB\"".to_owned(),
        Domain::Power => "watts with a unit: \"500 W\"".to_owned(),
        Domain::Stages => "layers of each stage: \"4,6×14,5\"".to_owned(),
    }
}
