//! Plain tables for a terminal.

/// How a column is aligned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Align {
    /// Names and sentences.
    Left,
    /// Numbers.
    Right,
}

/// Rows under headings, each column as wide as its widest cell.
#[derive(Clone, Debug)]
pub(super) struct Table {
    headings: Vec<(&'static str, Align)>,
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(super) fn new(headings: &[(&'static str, Align)]) -> Self {
        Self {
            headings: headings.to_vec(),
            rows: Vec::new(),
        }
    }

    /// Adds a row of as many cells as there are headings.
    pub(super) fn row(&mut self, cells: Vec<String>) {
        assert_eq!(cells.len(), self.headings.len(), "a cell per heading");
        self.rows.push(cells);
    }

    /// The table as lines, two blanks between columns, none at the ends; without a heading no line for them.
    pub(super) fn render(&self) -> String {
        let widths: Vec<usize> = self
            .headings
            .iter()
            .enumerate()
            .map(|(at, (heading, _))| {
                let cells = self.rows.iter().map(|row| row[at].chars().count());
                cells.chain([heading.chars().count()]).max().unwrap_or(0)
            })
            .collect();
        let headings: Vec<String> = self
            .headings
            .iter()
            .map(|(heading, _)| (*heading).to_owned())
            .collect();
        let has_headings = headings.iter().any(|heading| !heading.is_empty());
        let mut text = String::new();
        for row in has_headings
            .then_some(&headings)
            .into_iter()
            .chain(&self.rows)
        {
            let mut line = String::new();
            for ((cell, width), (_, align)) in row.iter().zip(&widths).zip(&self.headings) {
                let padding = " ".repeat(width - cell.chars().count());
                match align {
                    Align::Left => line.extend([cell, padding.as_str(), "  "]),
                    Align::Right => line.extend([padding.as_str(), cell, "  "]),
                }
            }
            text.push_str(line.trim_end());
            text.push('\n');
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_stand_under_their_headings() {
        let mut table = Table::new(&[("NAME", Align::Left), ("GPUS", Align::Right)]);
        table.row(vec!["dgx-1".to_owned(), "8".to_owned()]);
        table.row(vec!["nvl72-µ".to_owned(), "72".to_owned()]);
        assert_eq!(
            table.render(),
            "NAME     GPUS\ndgx-1       8\nnvl72-µ    72\n"
        );
    }
}
