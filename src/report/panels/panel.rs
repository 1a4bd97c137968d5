//! Selection of the series that a panel shows, and their colours.

use itertools::Itertools;

use super::styles::{LINES, styles};
use crate::analysis::{Dimension, Findings, SeriesFinding, fastest_of_groups, grouping};
use crate::report::series_row::SeriesRow;
use crate::report::summary::short_label;
use crate::spec::Axis;

/// Most panels of a section.
const PANELS: usize = 6;

/// Dimensions along which the series of one line differ, those first that move its breakdown point most.
const FINER: &[Dimension] = &[
    Dimension::Axis(Axis::GlobalBatch),
    Dimension::Axis(Axis::BatchPerGpu),
    Dimension::Run,
    Dimension::Axis(Axis::SeqLen),
    Dimension::Axis(Axis::NicGbitPerS),
    Dimension::Axis(Axis::Topology),
    Dimension::Axis(Axis::Oversubscription),
    Dimension::Axis(Axis::Gpu),
    Dimension::Axis(Axis::Cluster),
    Dimension::Axis(Axis::Precision),
    Dimension::Axis(Axis::Stack),
    Dimension::Axis(Axis::Collective),
];

/// A series with the name of its line.
pub(crate) type Named<'a> = (String, &'a SeriesFinding);

/// Series that are drawn together: those of a model.
#[derive(Debug)]
pub(crate) struct Panel<'a> {
    /// Label that the series share: the model, where models differ.
    pub(crate) name: String,
    /// What all lines share of what differs between the series of the panel, in short: `b2048 nic400`.
    pub(crate) common: String,
    /// Dimensions in which the lines differ.
    pub(crate) by: Vec<Dimension>,
    /// The series, fastest first, with the names of their lines.
    pub(crate) lines: Vec<Named<'a>>,
    /// Colour and marker of each line: the same for the same name in every panel.
    pub(crate) styles: Vec<usize>,
    /// A dimension in which the lines do not differ, and the variants of the fastest series along it.
    pub(crate) spread: Option<(Dimension, Vec<Named<'a>>)>,
    /// All series of the panel, shown or not.
    pub(crate) all: Vec<&'a SeriesFinding>,
}

/// Panels by model where models differ, else one; and the number of models without a panel.
pub(crate) fn panels(findings: &Findings) -> (Vec<Panel<'_>>, usize) {
    let selection = findings.selection();
    let model = findings.answered_by();
    let grouped = if selection.grouped_by.is_empty() {
        &findings.varied
    } else {
        &selection.grouped_by
    };
    let by = grouped.iter().copied().filter(|axis| !model.contains(axis));
    let by: Vec<Dimension> = by.collect();
    let mut panels: Vec<Panel<'_>> = Vec::new();
    for series in selection.series {
        let name = series.label(model);
        let line = match series.label(&by) {
            label if label.is_empty() => "all points".to_owned(),
            label => label,
        };
        match panels.iter_mut().find(|panel| panel.name == name) {
            Some(panel) => panel.lines.push((line, series)),
            None => panels.push(Panel {
                all: findings
                    .series
                    .iter()
                    .filter(|other| other.label(model) == name)
                    .collect(),
                name,
                common: String::new(),
                by: by.clone(),
                lines: vec![(line, series)],
                styles: Vec::new(),
                spread: None,
            }),
        }
    }
    for panel in &mut panels {
        panel
            .lines
            .sort_by(|a, b| best_rate(b.1).total_cmp(&best_rate(a.1)));
        panel.lines.truncate(LINES);
        panel.spread = spread(findings, panel);
    }
    panels.retain(|panel| panel.all.iter().any(|series| series.choice.is_some()));
    let hidden = panels.len().saturating_sub(PANELS);
    panels.truncate(PANELS);
    let names = |panel: &Panel<'_>| panel.lines.iter().map(|(name, _)| name.clone()).collect();
    let styles = styles(&panels.iter().map(names).collect::<Vec<_>>());
    for (panel, styles) in panels.iter_mut().zip(styles) {
        panel.styles = styles;
        panel.name_what_differs(findings);
    }
    (panels, hidden)
}

/// Varied dimensions in the order in which a panel shows them where there is room: the usual ones first.
fn finer(findings: &Findings) -> impl Iterator<Item = Dimension> + '_ {
    let usual = FINER
        .iter()
        .copied()
        .filter(|axis| findings.varied.contains(axis));
    let others = findings
        .varied
        .iter()
        .copied()
        .filter(|axis| !FINER.contains(axis) && *axis != Axis::Model);
    usual.chain(others)
}

/// Variants of the fastest series of a panel along the first dimension in which the lines do not differ.
fn spread<'a>(findings: &Findings, panel: &Panel<'a>) -> Option<(Dimension, Vec<Named<'a>>)> {
    let (_, fastest) = panel.lines.first()?;
    let axis = finer(findings).find(|axis| !panel.by.contains(axis))?;
    let mut alike: Vec<Named<'a>> = panel
        .all
        .iter()
        .filter(|other| {
            let differs = |of: &&Dimension| other.dimension(**of) != fastest.dimension(**of);
            other.choice.is_some()
                && findings
                    .varied
                    .iter()
                    .filter(|of| **of != axis)
                    .find(differs)
                    .is_none()
        })
        .map(|series| (series.label(&[axis]), *series))
        .collect();
    alike.sort_by(|a, b| best_rate(b.1).total_cmp(&best_rate(a.1)));
    alike.truncate(LINES);
    (alike.len() > 1).then_some((axis, alike))
}

impl<'a> Panel<'a> {
    /// Names the lines by the dimensions in which they differ alone, and puts what they share into the name of the panel.
    fn name_what_differs(&mut self, findings: &Findings) {
        let (lines, all) = (&self.lines, &self.all);
        let lines_differ = |of: &Dimension| {
            let mut values = lines.iter().map(|(_, series)| series.dimension(*of));
            !values.all_equal()
        };
        let all_differ = |of: &Dimension| {
            let mut values = all.iter().map(|series| series.dimension(*of));
            !values.all_equal()
        };
        let varied = findings.other_dimensions();
        let (differing, shared): (Vec<Dimension>, Vec<Dimension>) =
            varied.iter().partition(|of| lines_differ(of));
        let told: Vec<Dimension> = shared.into_iter().filter(all_differ).collect();
        if differing.is_empty() {
            // A single line is named by all that tells it from others.
            for (name, series) in &mut self.lines {
                *name = match series.label(&told) {
                    label if label.is_empty() => std::mem::take(name),
                    label => label,
                };
            }
            return;
        }
        if let (Some((_, series)), false) = (self.lines.first(), told.is_empty()) {
            let row = SeriesRow::new(findings, series);
            let but = findings.varied.iter().filter(|of| !told.contains(of));
            self.common = short_label(&row, &but.copied().collect::<Vec<_>>());
        }
        for (name, series) in &mut self.lines {
            *name = series.label(&differing);
        }
    }

    /// The series that break down at the smallest and at the largest size, which the answer names.
    pub(super) fn broken(&self) -> impl Iterator<Item = &'a SeriesFinding> {
        let size = |series: &&'a SeriesFinding| Some((series.breakdown.confirmed_size()?, *series));
        let broken = self.all.iter().filter_map(size);
        let ends = broken.minmax_by(|a, b| a.0.total_cmp(&b.0)).into_option();
        let ends = ends.map(|(first, last)| [first.1, last.1]);
        let ends = ends.into_iter().flatten();
        ends.dedup_by(|a, b| a.number == b.number)
    }

    /// Some lines and, where none of them breaks down, the series that breaks down first, by what tells it from the
    /// fastest.
    pub(super) fn with_broken(&self, findings: &Findings, lines: &[Named<'a>]) -> Vec<Named<'a>> {
        let mut shown = lines.to_vec();
        let breaks = |(_, series): &Named<'_>| series.breakdown.confirmed_size().is_some();
        if let (Some((_, fastest)), Some(broken), false) = (
            lines.first(),
            self.broken().next(),
            lines.iter().any(breaks),
        ) {
            let differs = |of: &Dimension| broken.dimension(*of) != fastest.dimension(*of);
            let told: Vec<Dimension> = findings.varied.iter().copied().filter(differs).collect();
            shown.truncate(LINES - 1);
            shown.push((broken.label(&told), broken));
        }
        shown
    }

    /// Colour of a series: that of the line with the same values of the panel's axes.
    pub(super) fn style_of(&self, series: &SeriesFinding) -> usize {
        self.lines
            .iter()
            .position(|(_, line)| {
                self.by
                    .iter()
                    .all(|by| line.dimension(*by) == series.dimension(*by))
            })
            .map_or(LINES - 2, |place| self.styles[place])
    }

    /// The variants along one more axis where there are some, else the lines; and their styles.
    pub(super) fn variants(&self) -> (&[Named<'a>], &[usize]) {
        match &self.spread {
            Some((_, series)) => (series, &[]),
            None => (&self.lines, &self.styles),
        }
    }

    /// The fastest series of each group, grouped by as many usual axes as leave at most `most` groups.
    pub(super) fn groups(&self, findings: &Findings, most: usize) -> Vec<&'a SeriesFinding> {
        let finer = finer(findings).filter(|axis| !self.by.contains(axis));
        let axes = grouping(&self.all, self.by.clone(), finer, most);
        fastest_of_groups(&self.all, &axes)
    }
}

/// Samples per second at the recommended size; zero where nothing ran.
pub(super) fn best_rate(series: &SeriesFinding) -> f64 {
    series.recommended_rate().unwrap_or(0.0)
}
