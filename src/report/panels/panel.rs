//! Which series a panel shows, and in which colours.

use crate::analysis::{Findings, SeriesFinding};
use crate::report::answer::{answered_by, best_of_groups, select};
use crate::spec::Axis;

/// Most panels of a section.
const PANELS: usize = 6;
/// Most lines of a panel: as many as there are colours.
const LINES: usize = 8;

/// Axes that tell the series of one line apart, those first that move its breakdown point most.
const FINER: &[Axis] = &[
    Axis::GlobalBatch,
    Axis::BatchPerGpu,
    Axis::SeqLen,
    Axis::NicGbitPerS,
    Axis::Topology,
    Axis::Oversubscription,
    Axis::Gpu,
    Axis::Cluster,
    Axis::Precision,
    Axis::Stack,
    Axis::Collective,
];

/// A series with the name of its line.
pub type Named<'a> = (String, &'a SeriesFinding);

/// The series that one panel shows.
#[derive(Debug)]
pub struct Panel<'a> {
    /// What its series have in common: the model, where models differ.
    pub name: String,
    /// Axes that tell its lines apart.
    pub by: Vec<Axis>,
    /// The series, fastest first, with the names of their lines.
    pub lines: Vec<Named<'a>>,
    /// Colour and marker of each line: the same for the same name in every panel.
    pub styles: Vec<usize>,
    /// An axis that tells no lines apart, and the variants of the fastest series along it.
    pub spread: Option<(Axis, Vec<Named<'a>>)>,
    /// All series of the panel, shown or not.
    pub all: Vec<&'a SeriesFinding>,
}

/// Panels by model where models differ, else one; and how many models have no panel.
pub fn panels(findings: &Findings) -> (Vec<Panel<'_>>, usize) {
    let selection = select(findings);
    let model = answered_by(findings);
    let grouped = if selection.grouped_by.is_empty() {
        &findings.varied
    } else {
        &selection.grouped_by
    };
    let by: Vec<Axis> = grouped
        .iter()
        .copied()
        .filter(|axis| !model.contains(axis))
        .collect();
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
    give_styles(&mut panels);
    (panels, hidden)
}

/// A style of its own for each name; within each panel alone where there are too many names.
fn give_styles(panels: &mut [Panel<'_>]) {
    let mut names: Vec<String> = Vec::new();
    for (name, _) in panels.iter().flat_map(|panel| &panel.lines) {
        if !names.contains(name) {
            names.push(name.clone());
        }
    }
    for panel in panels {
        panel.styles = panel
            .lines
            .iter()
            .enumerate()
            .map(|(place, (name, _))| {
                let everywhere = names.iter().position(|known| known == name);
                everywhere.filter(|_| names.len() <= LINES).unwrap_or(place)
            })
            .collect();
    }
}

/// Varied axes in the order in which they are told apart where there is room: the usual ones first.
fn finer(findings: &Findings) -> impl Iterator<Item = Axis> + '_ {
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

/// The fastest series of a panel with other values of the first usual axis that tells no lines apart.
fn spread<'a>(findings: &Findings, panel: &Panel<'a>) -> Option<(Axis, Vec<Named<'a>>)> {
    let (_, fastest) = panel.lines.first()?;
    let axis = finer(findings).find(|axis| !panel.by.contains(axis))?;
    let mut alike: Vec<Named<'a>> = panel
        .all
        .iter()
        .filter(|other| {
            let differs = |of: &&Axis| other.value(**of) != fastest.value(**of);
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
    /// The colour of a series: that of the line with the same values of the panel's axes.
    pub(super) fn style_of(&self, series: &SeriesFinding) -> usize {
        self.lines
            .iter()
            .position(|(_, line)| self.by.iter().all(|a| line.value(*a) == series.value(*a)))
            .map_or(LINES - 2, |place| self.styles[place])
    }

    /// The variants along one more axis where there are some, else the lines; and their styles.
    pub(super) fn variants(&self) -> (&[Named<'a>], &[usize]) {
        match &self.spread {
            Some((_, series)) => (series, &[]),
            None => (&self.lines, &self.styles),
        }
    }

    /// The best series of each group by as many usual axes as leave at most so many groups, and
    /// those axes.
    pub(super) fn groups(
        &self,
        findings: &Findings,
        most: usize,
    ) -> (Vec<Axis>, Vec<&'a SeriesFinding>) {
        let mut axes = self.by.clone();
        for axis in finer(findings) {
            if axes.contains(&axis) {
                continue;
            }
            let mut more = axes.clone();
            more.push(axis);
            if best_of_groups(&self.all, &more).len() <= most {
                axes = more;
            }
        }
        let series = best_of_groups(&self.all, &axes);
        (axes, series)
    }
}

pub(super) fn best_rate(series: &SeriesFinding) -> f64 {
    series
        .recommended()
        .and_then(|size| size.point.measured)
        .map_or(0.0, |measured| measured.samples_per_s)
}
