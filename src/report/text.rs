//! Text for a terminal: wrapped sentences and tables.

use std::fmt::{Arguments, Write as _};

/// Widest line of a summary, in columns.
pub(crate) const WIDTH: usize = 80;

/// Text under construction: `write!(text, "{name}")` appends and cannot fail.
#[derive(Clone, Debug, Default)]
pub(crate) struct Text(String);

impl Text {
    /// Appends formatted text; called by `write!` and `writeln!`.
    pub(crate) fn write_fmt(&mut self, piece: Arguments<'_>) {
        let written = self.0.write_fmt(piece);
        written.expect("writing to a string succeeds");
    }

    /// Appends words in lines of at most [`WIDTH`] columns, `first` and `next` being the indents.
    pub(crate) fn wrap(&mut self, words: &str, first: &str, next: &str) {
        let mut line = first.to_owned();
        let mut empty = true;
        for word in words.split_whitespace() {
            if !empty && line.chars().count() + 1 + word.chars().count() > WIDTH {
                writeln!(self, "{line}");
                next.clone_into(&mut line);
                empty = true;
            }
            if !empty {
                line.push(' ');
            }
            line.push_str(word);
            empty = false;
        }
        writeln!(self, "{line}");
    }

    /// The finished text.
    pub(crate) fn finish(self) -> String {
        self.0
    }
}

/// Rows under headings; a column is as wide as its widest cell unless its width is fixed.
#[derive(Clone, Debug)]
pub(crate) struct Table {
    columns: Vec<Column>,
    gap: &'static str,
    rows: Vec<Vec<String>>,
}

#[derive(Clone, Debug)]
struct Column {
    heading: String,
    /// Whether its cells are flush right, as numbers are.
    is_right: bool,
    width: Option<usize>,
}

impl Column {
    fn new(heading: &str, width: Option<usize>) -> Self {
        let right = heading.strip_prefix('>');
        Self {
            heading: right.unwrap_or(heading).to_owned(),
            is_right: right.is_some(),
            width,
        }
    }
}

impl Table {
    /// A table with two blanks between its columns. `>` before a heading makes its column flush right.
    pub(crate) fn new(headings: &[&str]) -> Self {
        let columns = headings.iter().map(|heading| Column::new(heading, None));
        Self::of(columns.collect(), "  ")
    }

    /// A table of columns of fixed width, one blank between them, that cuts off longer cells.
    pub(crate) fn fixed(headings: &[(&str, usize)]) -> Self {
        let columns = headings.iter();
        let columns = columns.map(|(heading, width)| Column::new(heading, Some(*width)));
        Self::of(columns.collect(), " ")
    }

    const fn of(columns: Vec<Column>, gap: &'static str) -> Self {
        Self {
            columns,
            gap,
            rows: Vec::new(),
        }
    }

    /// Adds a row of as many cells as there are headings.
    pub(crate) fn row(&mut self, cells: impl Into<Vec<String>>) {
        let cells = cells.into();
        assert_eq!(cells.len(), self.columns.len(), "a cell per heading");
        self.rows.push(cells);
    }

    /// The table as lines without blanks at their ends; no line of headings where all are empty.
    pub(crate) fn render(&self) -> String {
        let headings: Vec<String> = self.columns.iter().map(|it| it.heading.clone()).collect();
        let has_headings = headings.iter().any(|heading| !heading.is_empty());
        let rows = (has_headings.then_some(&headings).into_iter()).chain(&self.rows);
        let width = |(place, column): (usize, &Column)| {
            let cells = rows.clone().map(|row| row[place].chars().count());
            column.width.or(cells.max()).unwrap_or(0)
        };
        let widths: Vec<usize> = self.columns.iter().enumerate().map(width).collect();
        let mut text = Text::default();
        for row in rows.clone() {
            let mut line = String::new();
            for ((cell, column), width) in row.iter().zip(&self.columns).zip(&widths) {
                let cell = shortened(cell, *width);
                let padding = " ".repeat(width - cell.chars().count());
                line += &if column.is_right {
                    padding + &cell
                } else {
                    cell + &padding
                };
                line += self.gap;
            }
            writeln!(text, "{}", line.trim_end());
        }
        text.finish()
    }
}

/// A text of at most `width` letters; of a longer one the end is replaced by `…`.
fn shortened(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    text.chars().take(width - 1).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_stand_under_their_headings() {
        let mut table = Table::new(&["NAME", ">GPUS"]);
        table.row(["dgx-1".to_owned(), "8".to_owned()]);
        table.row(["nvl72-µ".to_owned(), "72".to_owned()]);
        assert_eq!(
            table.render(),
            "NAME     GPUS\ndgx-1       8\nnvl72-µ    72\n"
        );
    }

    #[test]
    fn long_cells_of_a_fixed_width_lose_their_end() {
        let mut table = Table::fixed(&[("", 5), (">", 4)]);
        table.row(["abcdefgh".to_owned(), "8".to_owned()]);
        table.row(["abc".to_owned(), "1024".to_owned()]);
        assert_eq!(table.render(), "abcd…    8\nabc   1024\n");
    }

    #[test]
    fn words_wrap_at_the_width() {
        let mut text = Text::default();
        text.wrap(&"word ".repeat(40), "  ", "    ");
        let text = text.finish();
        assert!(text.lines().all(|line| line.chars().count() <= WIDTH));
        assert!(text.lines().nth(1).unwrap().starts_with("    word"));
    }
}
