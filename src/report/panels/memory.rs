//! Peak memory of the fullest GPU against its capacity.

use itertools::Itertools;

use super::curves::{lines, size_axis, sizes_of, titled};
use super::panel::Panel;
use super::tips::tip;
use crate::analysis::Findings;
use crate::report::chart::{LineChart, Mark, MarkKind, Rule, Scale, ValueAxis};
use crate::report::quantity::{bytes, short_number};

const GIB: f64 = 1_073_741_824.0;

/// Peak memory over size, with the capacity of each GPU; `None` where capacities are not known.
pub(crate) fn memory_chart(findings: &Findings, panel: &Panel<'_>) -> Option<LineChart> {
    let x = size_axis(findings, sizes_of(&panel.lines));
    let ran = panel.lines.iter().flat_map(|(_, series)| series.ran());
    let capacities = ran.filter_map(|(_, measured)| measured.memory_capacity_bytes);
    let capacities: Vec<f64> = capacities.sorted_by(f64::total_cmp).dedup().collect();
    let largest = capacities.last().copied()?;
    let rules = capacities
        .into_iter()
        .map(|capacity| Rule {
            name: "capacity of a GPU".to_owned(),
            label: bytes(capacity),
            from: (x.scale.low(), capacity / GIB),
            to: (x.scale.high(), capacity / GIB),
        })
        .collect();
    Some(LineChart {
        title: titled("Memory", panel),
        x,
        y: ValueAxis {
            name: "peak of the fullest GPU [GiB]".to_owned(),
            scale: Scale::from_zero([1.06 * largest / GIB].into_iter()),
            format: short_number,
        },
        lines: lines(&panel.lines, &panel.styles, |series| {
            series
                .ran()
                .filter_map(|(size, measured)| {
                    let peak = measured.memory_peak_bytes?;
                    Some(Mark {
                        x: size.point.size,
                        y: peak / GIB,
                        tip: format!("{} peak\n{}", bytes(peak), tip(findings, series, size)),
                        kind: MarkKind::Value,
                    })
                })
                .collect()
        }),
        rules,
        rings: ("", Vec::new()),
    })
}
