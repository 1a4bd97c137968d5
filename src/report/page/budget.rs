//! Bytes of a page: under 2 MB in all, whatever the study holds.

use maud::Markup;

use crate::report::chart::Drawing;

/// Bytes of the charts and of the rows of the large table; what else stands on a page takes less than 150 kB.
const ALL: usize = 1_800_000;

/// Bytes of the charts alone.
const CHARTS: usize = 1_200_000;

/// Most rows of a table.
const ROWS: usize = 1_000;

/// Bytes that are left.
#[derive(Debug)]
pub(super) struct Budget {
    all: usize,
    charts: usize,
}

impl Default for Budget {
    fn default() -> Self {
        Self {
            all: ALL,
            charts: CHARTS,
        }
    }
}

impl Budget {
    /// The charts of a section as they stand on the page, the first ones, as far as their bytes are left; and how many are left
    /// out.
    pub(super) fn fitting(&mut self, charts: &[Drawing]) -> (Vec<Markup>, usize) {
        let mut drawn = Vec::new();
        for chart in charts {
            let Some(chart) = self.spent(chart.on_page()) else {
                break;
            };
            drawn.push(chart);
        }
        let left_out = charts.len() - drawn.len();
        (drawn, left_out)
    }

    /// Charts as they stand on the page, where their bytes are left.
    pub(super) fn spent(&mut self, charts: Markup) -> Option<Markup> {
        let bytes = charts.0.len();
        self.charts = self.charts.checked_sub(bytes)?;
        self.all = self.all.saturating_sub(bytes);
        Some(charts)
    }

    /// Rows of a table that fit beside the charts, by one of them.
    pub(super) fn rows(&self, example: Option<&Markup>) -> usize {
        let bytes = example.map_or(1, |row| row.0.len().max(1));
        // Other rows may be longer than this one.
        (self.all * 4 / 5 / bytes).clamp(1, ROWS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use maud::PreEscaped;

    fn bytes(count: usize) -> Markup {
        PreEscaped("x".repeat(count))
    }

    // 4/5 of 1.8 MB hold 16,000 rows of 90 bytes, of which 1,000 are shown, and 400 of 3,600 bytes; after charts of 0.9 MB 200.
    #[test]
    fn a_table_has_a_thousand_rows_at_most_and_less_where_they_are_long() {
        let mut budget = Budget::default();
        assert_eq!(budget.rows(Some(&bytes(90))), 1_000);
        assert_eq!(budget.rows(Some(&bytes(3_600))), 400);
        assert_eq!(budget.rows(None), 1_000);
        budget.spent(bytes(900_000)).expect("it fits");
        assert_eq!(budget.rows(Some(&bytes(3_600))), 200);
    }

    #[test]
    fn a_chart_that_does_not_fit_any_more_is_left_out() {
        let mut budget = Budget::default();
        assert!(budget.spent(bytes(1_000_000)).is_some());
        assert!(budget.spent(bytes(300_000)).is_none());
        assert!(budget.spent(bytes(200_000)).is_some());
    }
}
