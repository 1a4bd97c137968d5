//! Columns for facts that a source states in words: phrases of `data/validation/wording.csv`.

use std::sync::LazyLock;

use serde::Deserialize;

/// Match of a phrase in a cell; case is ignored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Match {
    Is,
    Begins,
    Contains,
    /// The phrase, a space and digits: the value is the number.
    NumberAfter,
}

/// One row of the file: a phrase in the cells of `column` gives the cell of column `sets`.
#[derive(Clone, Debug, Deserialize)]
struct Wording {
    column: String,
    #[serde(rename = "match")]
    found: Match,
    phrase: String,
    sets: String,
    value: String,
}

impl Wording {
    fn value<'a>(&'a self, cell: &'a str) -> Option<&'a str> {
        let (text, phrase) = (cell.to_ascii_lowercase(), &self.phrase.to_ascii_lowercase());
        let found = match self.found {
            Match::Is => text == *phrase,
            Match::Begins => text.starts_with(phrase),
            Match::Contains => text.contains(phrase),
            Match::NumberAfter => {
                let start = text.find(&format!("{phrase} "))? + phrase.len() + 1;
                let digits = cell[start..].split(|c: char| !c.is_ascii_digit()).next();
                return digits.filter(|digits| !digits.is_empty());
            }
        };
        found.then_some(self.value.as_str())
    }
}

static WORDINGS: LazyLock<Vec<Wording>> = LazyLock::new(|| {
    let text = include_str!("../../data/validation/wording.csv");
    csv::Reader::from_reader(text.as_bytes())
        .into_deserialize()
        .collect::<Result<_, _>>()
        .expect("the file ships with the program and is read in every test")
});

/// A cell as its row states it, `stated` giving the text of any column: filled cells as they are, unless a phrase
/// of their own column spells them anew; empty and unknown ones by the first phrase that another column holds.
///
/// # Panics
/// If `wording.csv` has a fault, which a test excludes.
pub(crate) fn cell<'a>(column: &str, stated: impl Fn(&str) -> &'a str) -> &'a str {
    let written = stated(column);
    let is_unstated = matches!(written, "" | "unknown");
    WORDINGS
        .iter()
        .filter(|wording| wording.sets == column)
        .filter(|wording| wording.column == column || is_unstated)
        .find_map(|wording| wording.value(stated(&wording.column)))
        .unwrap_or(written)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(column: &str, cells: &[(&str, &'static str)]) -> &'static str {
        cell(column, |name| {
            cells
                .iter()
                .find(|(other, _)| *other == name)
                .map_or("", |(_, text)| text)
        })
    }

    #[test]
    fn a_note_limits_a_measurement_to_one_stage() {
        assert_eq!(
            said("stage", &[("notes", "GQA; PP STAGE 1 ONLY (ranks 4-7)")]),
            "1"
        );
        assert_eq!(said("stage", &[("notes", "max over 8 ranks")]), "");
        assert_eq!(said("stage", &[("notes", "first stage")]), "");
    }

    // `untied embeddings` contains `tied embeddings`, so the order of the file decides.
    #[test]
    fn the_first_phrase_of_the_file_wins_and_a_filled_cell_over_all() {
        let notes = ("notes", "RoPE, untied embeddings");
        assert_eq!(said("tied_embeddings", &[notes]), "no");
        assert_eq!(
            said("tied_embeddings", &[notes, ("tied_embeddings", "yes")]),
            "yes"
        );
    }

    #[test]
    fn what_a_source_does_not_know_may_stand_in_its_notes() {
        let notes = "chunked loss; AC of upstream gpt_oss_20b not stated";
        let cells = [("recompute", "unknown"), ("notes", notes)];
        assert_eq!(said("recompute", &cells), "full");
        assert_eq!(said("recompute", &cells[..1]), "");
    }

    // A version says more than the name, and a name that is denied says the opposite.
    #[test]
    fn attention_is_the_version_that_a_note_names() {
        let attention = |notes| said("attention", &[("notes", notes)]);
        assert_eq!(attention("fused AdamW, FlashAttention; packed"), "flash2");
        assert_eq!(attention("FlashAttention-3, FSDP2"), "flash3");
        assert_eq!(attention("ALiBi, no FlashAttention"), "unfused");
        assert_eq!(attention("fused AdamW"), "");
    }

    #[test]
    fn a_column_s_own_phrases_spell_it_anew() {
        let precision = |text| said("precision", &[("precision", text)]);
        assert_eq!(
            precision("float8 linear + bf16 (fp32 sharded params)"),
            "fp8"
        );
        assert_eq!(precision("fp16/bf16 (not stated), 16-bit grads"), "fp16");
        assert_eq!(precision("mxfp8"), "mxfp8");
    }

    #[test]
    fn names_of_runs_give_the_algorithm_or_leave_it_open() {
        let algorithm = |text| said("algorithm", &[("algo/proto", text)]);
        assert_eq!(algorithm("Ring tuned"), "ring");
        assert_eq!(algorithm("NVLS per caption"), "nvls");
        assert_eq!(
            algorithm("caption says NVLS but A100 has none (ring/tree)"),
            ""
        );
        assert_eq!(algorithm("default"), "");
        let sharp = [("algo/proto", "CollNetDirect (IB SHARP)")];
        assert_eq!(said("algorithm", &sharp), "nvls");
        assert_eq!(said("in_network_reduction", &sharp), "yes");
    }
}
