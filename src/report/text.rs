//! Text for a terminal: wrapped sentences and tables.

use std::fmt::{Arguments, Write as _};

/// Widest line of a summary, in columns.
pub(crate) const WIDTH: usize = 80;

/// Narrowest that a column becomes whose cells go on in the lines below: with longer cells beside it the lines are wider.
const LEAST: usize = 8;

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
    /// Columns of the terminal; `None` where lines may have any length.
    room: Option<usize>,
    /// The column that is narrower where the room is too small; `None`: the widest ones.
    narrowed: Option<usize>,
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

    /// A table of columns of a usual width, one blank between them. What the others leave free goes to columns
    /// whose cells are longer; cells that still do not fit go on in the lines below.
    pub(crate) fn fixed(headings: &[(&str, usize)]) -> Self {
        let columns = headings.iter();
        let columns = columns.map(|(heading, width)| Column::new(heading, Some(*width)));
        Self::of(columns.collect(), " ")
    }

    /// A table with one blank between its columns, as wide as its cells; where that is more than the room, the widest
    /// columns are narrower and their cells go on in the lines below.
    pub(crate) fn within(headings: &[&str], room: Option<usize>) -> Self {
        let columns = headings.iter().map(|heading| Column::new(heading, None));
        Self {
            room,
            ..Self::of(columns.collect(), " ")
        }
    }

    /// A table of [`WIDTH`] columns with one blank between its own, as wide as its cells; where that is more than the room,
    /// one column, by its place, is narrower, down to [`LEAST`], and its cells go on in the lines below.
    pub(crate) fn folding(headings: &[&str], narrowed: usize) -> Self {
        Self {
            narrowed: Some(narrowed),
            ..Self::within(headings, Some(WIDTH))
        }
    }

    const fn of(columns: Vec<Column>, gap: &'static str) -> Self {
        Self {
            columns,
            gap,
            room: None,
            narrowed: None,
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
        let longest = |place: usize| {
            let cells = rows.clone().map(|row| row[place].chars().count());
            cells.max().unwrap_or(0)
        };
        let natural: Vec<usize> = (0..self.columns.len()).map(longest).collect();
        let usual = self.columns.iter().zip(&natural);
        let usual: Vec<usize> = usual.map(|(it, most)| it.width.unwrap_or(*most)).collect();
        let mut widths = widths(&natural, usual);
        if let Some(room) = self.room {
            let gaps = self.gap.len() * natural.len().saturating_sub(1);
            let room = room.saturating_sub(gaps);
            match self.narrowed {
                Some(column) => {
                    let over = widths.iter().sum::<usize>().saturating_sub(room);
                    let least = widths[column].min(LEAST);
                    widths[column] = widths[column].saturating_sub(over).max(least);
                }
                None => narrow(&mut widths, room),
            }
        }
        let mut text = Text::default();
        for row in rows.clone() {
            let cells = row.iter().zip(&widths);
            let cells: Vec<Vec<String>> = cells.map(|(cell, width)| folded(cell, *width)).collect();
            let lines = cells.iter().map(Vec::len).max().unwrap_or(0);
            for line in 0..lines {
                let cells = cells
                    .iter()
                    .map(|cell| cell.get(line).map_or("", String::as_str));
                writeln!(text, "{}", self.line(cells, &widths).trim_end());
            }
        }
        text.finish()
    }

    /// One line of cells that fit into their columns.
    fn line<'a>(&self, cells: impl Iterator<Item = &'a str>, widths: &[usize]) -> String {
        let mut line = String::new();
        for ((cell, column), width) in cells.zip(&self.columns).zip(widths) {
            let padding = " ".repeat(width.saturating_sub(cell.chars().count()));
            line += &if column.is_right {
                padding + cell
            } else {
                cell.to_owned() + &padding
            };
            line += self.gap;
        }
        line
    }
}

/// Widths of columns: the usual ones where all cells fit; else no column is wider than its longest cell, and what
/// that leaves free goes to the columns that need more, the first of them first.
fn widths(natural: &[usize], usual: Vec<usize>) -> Vec<usize> {
    if natural
        .iter()
        .zip(&usual)
        .all(|(cells, usual)| cells <= usual)
    {
        return usual;
    }
    let least = natural.iter().zip(&usual);
    let mut widths: Vec<usize> = least.map(|(cells, usual)| *cells.min(usual)).collect();
    let mut free = usual.iter().sum::<usize>() - widths.iter().sum::<usize>();
    for (width, cells) in widths.iter_mut().zip(natural) {
        let more = (cells - *width).min(free);
        *width += more;
        free -= more;
    }
    widths
}

/// Takes letters from the widest columns until all have the room.
fn narrow(widths: &mut [usize], room: usize) {
    while widths.iter().sum::<usize>() > room {
        match widths.iter_mut().max() {
            Some(widest) if *widest > 1 => *widest -= 1,
            Some(_) | None => return,
        }
    }
}

/// A text in lines of at most `width` letters, broken between words, and within those that are longer.
fn folded(text: &str, width: usize) -> Vec<String> {
    if text.chars().count() <= width {
        return vec![text.to_owned()];
    }
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let letters: Vec<char> = word.chars().collect();
        for (place, part) in letters.chunks(width.max(1)).enumerate() {
            let last = lines.last_mut().expect("there is always a line");
            let blank = usize::from(!last.is_empty());
            if place > 0 || last.chars().count() + blank + part.len() > width {
                lines.push(part.iter().collect());
                continue;
            }
            if blank > 0 {
                last.push(' ');
            }
            last.extend(part);
        }
    }
    lines
}

/// Beginning and end that some labels share, and the rest of each.
///
/// Whole words count; every label keeps one at least.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Shortened {
    /// Words that all have; empty where there are none.
    pub(super) common: String,
    /// The rest of each label.
    pub(super) rest: Vec<String>,
}

impl Shortened {
    /// Labels that tell apart what they name; where all fit into `width` letters they stay as they are.
    pub(super) fn of(labels: Vec<String>, width: usize) -> Self {
        let words: Vec<Vec<&str>> = labels.iter().map(|it| it.split(' ').collect()).collect();
        let fit = labels.iter().all(|label| label.chars().count() <= width);
        let least = words.iter().map(Vec::len).min().unwrap_or(0);
        let (Some(first), false) = (words.first().filter(|_| words.len() > 1), fit) else {
            return Self {
                common: String::new(),
                rest: labels,
            };
        };
        let alike = |at: &dyn Fn(&[&str]) -> String| words.iter().all(|it| at(it) == at(first));
        let from_end = |words: &[&str], place: usize| words[words.len() - 1 - place].to_owned();
        let most = least.saturating_sub(1);
        let head = (0..most)
            .take_while(|place| alike(&|words| words[*place].to_owned()))
            .count();
        let tail = (0..most - head)
            .take_while(|place| alike(&|words| from_end(words, *place)))
            .count();
        let common = [&first[..head], &first[first.len() - tail..]].concat();
        let rest = words.iter().map(|it| it[head..it.len() - tail].join(" "));
        Self {
            common: common.join(" "),
            rest: rest.collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use itertools::Itertools as _;
    use proptest::prelude::*;

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

    // 9 and 4 letters: the second column needs one, so three go to the first.
    #[test]
    fn a_long_cell_takes_the_room_that_others_leave() {
        let mut table = Table::fixed(&[("", 9), (">", 4)]);
        table.row(["dgx-h100 2:1".to_owned(), "8".to_owned()]);
        assert_eq!(table.render(), "dgx-h100 2:1 8\n");
    }

    #[test]
    fn cells_that_fit_keep_their_blanks() {
        let mut table = Table::new(&["", ">"]);
        table.row(["  indented  twice".to_owned(), "8".to_owned()]);
        assert_eq!(table.render(), "  indented  twice  8\n");
    }

    // 12 + 1 + 4 letters need 17; in 14 the first column has 9, and its words go on below. A pipe has all the room.
    #[test]
    fn a_table_is_as_wide_as_the_terminal_lets_it() {
        let table = |room| {
            let mut table = Table::within(&["", ">"], room);
            table.row(["dgx-h100 2:1".to_owned(), "1024".to_owned()]);
            table.render()
        };
        assert_eq!(table(Some(17)), "dgx-h100 2:1 1024\n");
        assert_eq!(table(None), "dgx-h100 2:1 1024\n");
        assert_eq!(table(Some(14)), "dgx-h100  1024\n2:1\n");
    }

    // 60 + 1 + 12 + 1 + 9 letters need 83; the 12 of the middle become 9, and what is copied from the first stays whole.
    #[test]
    fn one_column_folds_and_the_others_stay_whole() {
        let mut table = Table::folding(&["NAME", "TITLE", ">TIMES"], 1);
        table.row(["n".repeat(60), "one two four".to_owned(), "9".repeat(9)]);
        let names = format!("NAME{} TITLE", " ".repeat(56));
        assert_eq!(
            table.render(),
            format!(
                "{names}{}TIMES\n{} one two   {}\n{}four\n",
                " ".repeat(9),
                "n".repeat(60),
                "9".repeat(9),
                " ".repeat(61)
            )
        );
    }

    proptest! {
        // Whatever the cells and headings are, every table is made, and no letter of a cell is lost.
        #[test]
        fn tables_of_any_cells_are_made(
            rows in prop::collection::vec(prop::collection::vec("[a-zµ .]{0,120}", 3), 1..6),
            headings in prop::collection::vec("[a-z>]{0,30}", 3),
            (fixed, narrowed, room) in (prop::collection::vec(0..40_usize, 3), 0..3_usize, 0..100_usize),
        ) {
            let headings: Vec<&str> = headings.iter().map(String::as_str).collect();
            let usual: Vec<(&str, usize)> = headings.iter().copied().zip(fixed).collect();
            let tables = [
                Table::new(&headings),
                Table::fixed(&usual),
                Table::within(&headings, Some(room)),
                Table::within(&headings, None),
                Table::folding(&headings, narrowed),
            ];
            let letters = |text: &str| text.chars().filter(|it| *it != ' ' && *it != '\n').sorted().collect_vec();
            for mut table in tables {
                for row in &rows {
                    table.row(row.clone());
                }
                let heads = headings.iter().map(|it| it.strip_prefix('>').unwrap_or(it));
                let all: String = heads.chain(rows.iter().flatten().map(String::as_str)).collect();
                prop_assert_eq!(letters(&table.render()), letters(&all));
            }
        }
    }

    // 40 + 1 + 45 letters leave nothing of 80 to the column that folds: it keeps 8, and the lines are longer.
    #[test]
    fn the_column_that_folds_stays_wide_enough_to_be_read() {
        let mut table = Table::folding(&["", "", ""], 2);
        table.row([
            "n".repeat(40),
            "u".repeat(45),
            "one two three four".to_owned(),
        ]);
        let lines = table.render();
        let rest: Vec<&str> = lines.lines().map(|line| line[87..].trim()).collect();
        assert_eq!(rest, ["one two", "three", "four"]);
    }

    // Nothing is cut: words that do not fit go into the next line, words longer than the column are broken.
    #[test]
    fn long_cells_of_a_fixed_width_go_on_below() {
        let mut table = Table::fixed(&[("", 9), (">", 4)]);
        table.row(["dgx-h100 2:1 fat-tree".to_owned(), "8".to_owned()]);
        table.row(["oversubscription 4".to_owned(), "1024".to_owned()]);
        assert_eq!(
            table.render(),
            "dgx-h100     8\n2:1\nfat-tree\noversubsc 1024\nription 4\n"
        );
    }

    // `dgx-h100` and `ring` are common to all; each keeps what tells it apart, and one that is nothing but
    // what is common keeps a word.
    #[test]
    fn labels_that_do_not_fit_lose_what_all_of_them_have() {
        let labels = |labels: &[&str]| labels.iter().map(|it| (*it).to_owned()).collect();
        let long = labels(&["dgx-h100 oversub 1 ring", "dgx-h100 oversub 4 rail ring"]);
        let shortened = Shortened::of(long, 20);
        assert_eq!(shortened.common, "dgx-h100 oversub ring");
        assert_eq!(shortened.rest, ["1", "4 rail"]);
        let fits: Vec<String> = labels(&["dgx-h100 1", "dgx-h100 4"]);
        assert_eq!(Shortened::of(fits.clone(), 20).rest, fits);
        let one: Vec<String> = labels(&["dgx-h100 oversubscription 1"]);
        assert_eq!(Shortened::of(one.clone(), 20).rest, one);
        let same = Shortened::of(labels(&["abc def", "abc def ghi"]), 3);
        assert_eq!(
            (same.common.as_str(), same.rest),
            ("abc", labels(&["def", "def ghi"]))
        );
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
