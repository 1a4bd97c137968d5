//! Scaling efficiency that the sizes of some series are held against.

use itertools::Itertools;

use crate::analysis::{Findings, KeyValue, SeriesFinding};
use crate::commands::failure::Failure;
use crate::spec::{Axis, Overrides};

/// Scaling efficiency that every size of some series has to reach.
#[derive(Clone, Debug)]
pub(super) struct EfficiencyGate {
    least: f64,
    /// Values of which a series has one on each of these axes; all series where there are none.
    series: Vec<(Axis, Vec<String>)>,
}

impl EfficiencyGate {
    /// A gate for the series that filters keep, each `AXIS=VALUE[,VALUE…]`.
    ///
    /// # Errors
    /// If a filter names no axis.
    pub(super) fn of(least: f64, filters: &[String]) -> Result<Self, Failure> {
        let filter = |filter: &String| {
            let (axis, values) = Overrides::set_argument(filter);
            let axis: Axis = axis.parse().map_err(Failure::usage)?;
            let values = values.split(',').map(|value| value.trim().to_owned());
            Ok((axis, values.collect()))
        };
        Ok(Self {
            least,
            series: filters.iter().map(filter).collect::<Result<_, Failure>>()?,
        })
    }

    fn keeps(&self, series: &SeriesFinding) -> bool {
        let mut filters = self.series.iter();
        filters.all(|(axis, values)| {
            let own = typed(series.value(*axis));
            values.iter().any(|value| own.contains(value))
        })
    }

    /// The sizes that are less efficient than allowed, in words; `None` where there is none.
    ///
    /// # Errors
    /// If no series is kept: nothing would be held against anything.
    pub(super) fn below(&self, findings: &Findings) -> Result<Option<String>, Failure> {
        let kept = findings.series.iter().filter(|series| self.keeps(series));
        let kept: Vec<&SeriesFinding> = kept.collect();
        if kept.is_empty() && !self.series.is_empty() {
            return Err(Failure::usage(self.nothing_kept(findings)));
        }
        let sizes = kept
            .into_iter()
            .flat_map(|series| series.sizes.iter().map(move |size| (series, size)));
        let low = sizes.filter_map(|(series, size)| {
            let efficiency = size.efficiency?.of_baseline;
            (efficiency < self.least).then_some((efficiency, series, size))
        });
        let low: Vec<_> = low.collect();
        let worst = low.iter().min_by(|a, b| a.0.total_cmp(&b.0));
        Ok(worst.map(|(efficiency, series, size)| {
            let (name, gpus) = (series.label(&findings.varied), size.point.gpus);
            format!(
                "{} sizes are less than {:.0}% efficient; the least is {name} at {gpus} GPUs with {:.0}%",
                low.len(),
                100.0 * self.least,
                100.0 * efficiency
            )
        }))
    }

    fn nothing_kept(&self, findings: &Findings) -> String {
        let filters = self.series.iter();
        let mut filters = filters.map(|(axis, values)| format!("{axis}={}", values.join(",")));
        let mut there = self.series.iter().map(|(axis, _)| {
            let values = findings.series.iter();
            let values = values.flat_map(|series| typed(series.value(*axis)));
            format!("{axis} is {}", values.unique().join(", "))
        });
        format!(
            "no series has {}; {} here",
            filters.join(" and "),
            there.join("; ")
        )
    }
}

/// A value as a spec has it; several where it stands for several.
fn typed(value: Option<&KeyValue>) -> Vec<String> {
    let Some(value) = value else {
        return vec!["auto".to_owned()];
    };
    let values = value.values().into_iter();
    values
        .map(|value| match value {
            None => "auto".to_owned(),
            Some(KeyValue::Bool(switch)) => switch.to_string(),
            Some(value) => value.to_string(),
        })
        .collect()
}
