//! Colours and markers of lines.

use itertools::Itertools;

/// Most lines of a panel: as many as there are colours.
pub(super) const LINES: usize = 8;

/// Colours and markers of the lines of some panels, given their names: the same for the same name in
/// every panel, unless there are more names than colours.
pub(crate) fn styles(panels: &[Vec<String>]) -> Vec<Vec<usize>> {
    let names: Vec<&String> = panels.iter().flatten().unique().collect();
    let style = |(place, name): (usize, &String)| {
        let everywhere = names.iter().position(|known| *known == name);
        everywhere.filter(|_| names.len() <= LINES).unwrap_or(place)
    };
    let of_panel = |names: &Vec<String>| names.iter().enumerate().map(style).collect();
    panels.iter().map(of_panel).collect()
}
