//! Faults of a spec: place, message, and ways out.

use std::collections::BTreeMap;
use std::fmt;

use annotate_snippets::{AnnotationKind, Group, Level, Origin, Renderer, Snippet};

use crate::spec::source::Place;
use crate::spelling;
use crate::visible::escaped;

/// Faults of one spec that are written out; the rest is counted.
const FAULTS_SHOWN: usize = 50;

/// Further places of a fault that are written out; the rest is counted.
const PLACES_SHOWN: usize = 3;

/// Longest line that is shown under a message, in bytes.
const LINE_SHOWN_MAX: usize = 2_000;

/// Severity of a diagnostic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// The spec cannot be used.
    Error,
    /// The spec can be used, but may not say what was meant.
    Warning,
}

/// Fault of a spec, or doubt about it.
#[derive(Clone, Debug, PartialEq)]
pub struct Diagnostic {
    /// Whether the spec can be used.
    pub severity: Severity,
    /// The fault: lower case, without a full stop.
    pub message: String,
    /// Place of the fault; `None` when it concerns the spec as a whole.
    pub place: Option<Place>,
    /// Further places of the same fault.
    pub also: Vec<Place>,
    /// Ways out.
    pub hints: Vec<String>,
    /// Whether a file that the spec names cannot be read, as where the spec itself cannot.
    pub is_unreadable: bool,
}

impl Diagnostic {
    /// A fault at a place.
    pub(crate) fn error(place: &Place, message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Error,
            message: message.into(),
            place: Some(place.clone()),
            also: Vec::new(),
            hints: Vec::new(),
            is_unreadable: false,
        }
    }

    /// A fault of the spec as a whole.
    pub(crate) fn error_without_place(message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Error,
            message: message.into(),
            place: None,
            also: Vec::new(),
            hints: Vec::new(),
            is_unreadable: false,
        }
    }

    /// A warning at a place.
    pub(crate) fn warning(place: &Place, message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Warning,
            ..Self::error(place, message)
        }
    }

    /// The same fault at another place.
    pub(crate) fn at(self, place: &Place) -> Self {
        Self {
            place: Some(place.clone()),
            ..self
        }
    }

    /// Adds a way out.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// Adds a way out, if there is one.
    pub(crate) fn maybe_hint(mut self, hint: Option<String>) -> Self {
        self.hints.extend(hint);
        self
    }

    /// Adds further places of the same fault.
    pub(crate) fn also_at<'a>(mut self, places: impl IntoIterator<Item = &'a Place>) -> Self {
        for place in places {
            self.add_place(place.clone());
        }
        self
    }

    /// Adds a place; one that was just added adds nothing.
    fn add_place(&mut self, place: Place) {
        if self.place.as_ref() != Some(&place) && self.also.last() != Some(&place) {
            self.also.push(place);
        }
    }

    /// Takes in a fault that has the same cause: its places, and the hints that are new.
    pub(super) fn absorb(&mut self, other: Self) {
        for place in other.place.into_iter().chain(other.also) {
            self.add_place(place);
        }
        for hint in other.hints {
            if !self.hints.contains(&hint) {
                self.hints.push(hint);
            }
        }
    }

    /// The further places in words; empty where there is none.
    fn further_places(&self) -> String {
        let Some(first) = &self.place else {
            return String::new();
        };
        let shown = self.also.iter().take(PLACES_SHOWN);
        let mut words: Vec<String> = shown.map(|place| place.beside(first)).collect();
        let rest = self.also.len().saturating_sub(PLACES_SHOWN);
        if rest > 0 {
            words.push(format!("{rest} more"));
        }
        words.join(", ")
    }

    /// Adds the known names that a misspelt one was probably meant to be, if there are any.
    pub(crate) fn did_you_mean<'a>(
        self,
        name: &str,
        known: impl IntoIterator<Item = &'a str>,
    ) -> Self {
        self.maybe_hint(spelling::did_you_mean(name, known))
    }

    /// Renders the message, the line with the offending text underlined, and the hints.
    pub(crate) fn render(&self, styled: bool) -> String {
        let level = match self.severity {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
        };
        let mut group = Group::with_title(level.primary_title(escaped(&self.message)));
        if let Some(place) = &self.place {
            group = with_snippet(group, place);
            if let Some(path) = &place.path {
                group = group
                    .element(Level::NOTE.message(format!("at `{}`", escaped(&path.to_string()))));
            }
        }
        let further = self.further_places();
        if !further.is_empty() {
            group =
                group.element(Level::NOTE.message(format!("likewise at {}", escaped(&further))));
        }
        for hint in &self.hints {
            group = group.element(Level::HELP.message(escaped(hint)));
        }
        let renderer = if styled {
            Renderer::styled()
        } else {
            Renderer::plain()
        };
        renderer.render(&[group])
    }
}

/// Adds the lines of a place, or only where it is when they are too long to be read.
fn with_snippet<'a>(group: Group<'a>, place: &'a Place) -> Group<'a> {
    let text = place.source.text.as_str();
    let (line, column) = place.line_column();
    let start = text.floor_char_boundary(place.span.start);
    let line_start = text[..start].rfind('\n').map_or(0, |at| at + 1);
    let line_end = text[start..].find('\n').map_or(text.len(), |at| start + at);
    let shown = text[line_start..line_end].trim_end_matches('\r');
    if shown.len() > LINE_SHOWN_MAX {
        let origin = Origin::path(place.source.name.as_str())
            .line(line)
            .char_column(column);
        return group.element(origin);
    }
    // A span over several lines is underlined on its first.
    let from = (start - line_start).min(shown.len());
    let to = text
        .floor_char_boundary(place.span.end)
        .saturating_sub(line_start)
        .clamp(from, shown.len());
    group.element(
        Snippet::source(shown)
            .line_start(line)
            .path(place.source.name.as_str())
            .annotation(AnnotationKind::Primary.span(from..to)),
    )
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(false))
    }
}

/// Renders diagnostics one under the other.
pub(crate) fn render_all(diagnostics: &[Diagnostic], styled: bool) -> String {
    let mut parts: Vec<String> = diagnostics
        .iter()
        .take(FAULTS_SHOWN)
        .map(|diagnostic| diagnostic.render(styled))
        .collect();
    if let Some(rest) = diagnostics.len().checked_sub(FAULTS_SHOWN + 1) {
        parts.push(format!("and {} more of them", rest + 1));
    }
    parts.join("\n\n")
}

/// Faults found so far, so that all of them are reported at once.
///
/// One cause is one fault: where the same thing is wrong in several places, one message names them.
#[derive(Debug, Default)]
pub(super) struct Faults {
    found: Vec<Diagnostic>,
    /// Place in `found` of each message.
    by_message: BTreeMap<String, usize>,
    /// Faults noted so far, those of a known message included.
    noted: usize,
}

/// Faults that are kept: a spec of a million wrong values has one cause.
const FAULTS_KEPT: usize = 1_000;

impl Faults {
    pub(super) fn push(&mut self, diagnostic: Diagnostic) {
        self.noted += 1;
        if let Some(known) = self.by_message.get(&diagnostic.message) {
            self.found[*known].absorb(diagnostic);
        } else if !self.is_full() {
            let message = diagnostic.message.clone();
            self.by_message.insert(message, self.found.len());
            self.found.push(diagnostic);
        }
    }

    /// Notes a fault that would not be kept, without making it: looking for the name that each misspelt one could mean
    /// takes long.
    pub(super) fn count_one(&mut self) {
        self.noted += 1;
    }

    /// Whether no fault with another message is kept any more.
    pub(super) fn is_full(&self) -> bool {
        self.found.len() >= FAULTS_KEPT
    }

    /// Notes the faults of the values of one list: those that say the same but for the value have one cause.
    pub(super) fn extend_from_list(&mut self, diagnostics: Vec<Diagnostic>) {
        let mut distinct: Vec<Diagnostic> = Vec::new();
        for diagnostic in diagnostics {
            let alike = |known: &&mut Diagnostic| {
                known.hints == diagnostic.hints
                    && without_values(&known.message) == without_values(&diagnostic.message)
            };
            match distinct.iter_mut().find(alike) {
                Some(known) => known.absorb(diagnostic),
                None => distinct.push(diagnostic),
            }
        }
        self.extend(distinct);
    }

    pub(super) fn extend(&mut self, diagnostics: impl IntoIterator<Item = Diagnostic>) {
        for diagnostic in diagnostics {
            self.push(diagnostic);
        }
    }

    /// Notes the fault, if it is one.
    pub(super) fn ok<T>(&mut self, result: Result<T, Diagnostic>) -> Option<T> {
        result.map_err(|fault| self.push(fault)).ok()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// Faults noted so far: another count says that something was wrong in between.
    pub(super) fn count(&self) -> usize {
        self.noted
    }

    pub(super) fn into_found(self) -> Vec<Diagnostic> {
        self.found
    }
}

/// A message without what it quotes and without numbers.
fn without_values(message: &str) -> String {
    let said = message.split('`').step_by(2).flat_map(str::chars);
    said.filter(|c| !c.is_ascii_digit() && !matches!(c, '-' | '.'))
        .collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::spec::source::Source;

    fn place(text: &str, part: &str) -> Place {
        let start = text.find(part).expect("the part is in the text");
        let source = Arc::new(Source {
            name: "sweeps/llm.toml".to_owned(),
            text: text.to_owned(),
        });
        Place::new(&source, start..start + part.len())
    }

    #[test]
    fn a_fault_shows_its_line_underlined_with_the_way_out() {
        let place = place("[grid]\ngpu = [\"h1000\"]\n", "\"h1000\"");
        let fault =
            Diagnostic::error(&place, "unknown GPU `h1000`").hint("did you mean `h100-sxm`?");
        insta::assert_snapshot!(fault.render(false), @r#"
        error: unknown GPU `h1000`
         --> sweeps/llm.toml:2:8
          |
        2 | gpu = ["h1000"]
          |        ^^^^^^^
          |
          = help: did you mean `h100-sxm`?
        "#);
    }

    // Seven points name the same GPU: one fault at the first, three further places named, three counted.
    #[test]
    fn the_same_fault_in_several_places_is_one_message() {
        let line = "gpu = \"h1000\"\n";
        let text = line.repeat(7);
        let mut faults = Faults::default();
        for at in 0..7 {
            let first = place(&text, "\"h1000\"");
            let span = first.span.start + at * line.len()..first.span.end + at * line.len();
            let fault = Diagnostic::error(&Place { span, ..first }, "unknown GPU `h1000`");
            faults.push(fault.hint("did you mean `h100-sxm`?"));
        }
        assert_eq!(faults.count(), 7);
        let found = faults.into_found();
        assert_eq!(found.len(), 1);
        insta::assert_snapshot!(found[0].render(false), @r#"
        error: unknown GPU `h1000`
         --> sweeps/llm.toml:1:7
          |
        1 | gpu = "h1000"
          |       ^^^^^^^
          |
          = note: likewise at 2:7, 3:7, 4:7, 3 more
          = help: did you mean `h100-sxm`?
        "#);
    }

    // 0, -1 and 2.5 have one cause; the misspelt name beside them has another.
    #[test]
    fn wrong_values_of_one_list_are_one_message() {
        let text = "nodes = [0, -1, x]";
        let wrong = |part: &str| {
            let message = format!("nodes = {part} is out of range");
            Diagnostic::error(&place(text, part), message).hint("from 1 on")
        };
        let mut faults = Faults::default();
        faults.extend_from_list(vec![
            wrong("0"),
            wrong("-1"),
            Diagnostic::error(&place(text, "x"), "unknown value `x`"),
        ]);
        let found = faults.into_found();
        assert_eq!(found.len(), 2);
        let said = found[0].render(false);
        assert!(said.contains("likewise at 1:13 (-1)"), "{said}");
    }

    #[test]
    fn a_line_too_long_to_read_is_only_named() {
        let long = format!("x = [{}9]", "1,".repeat(2_000));
        let rendered = Diagnostic::error(&place(&long, "9"), "wrong").render(false);
        assert!(rendered.contains("sweeps/llm.toml:1:4006"), "{rendered}");
        assert!(rendered.len() < 200, "{rendered}");
    }

    #[test]
    fn more_faults_than_one_reads_are_counted() {
        let faults = vec![Diagnostic::error_without_place("wrong"); FAULTS_SHOWN + 7];
        assert!(render_all(&faults, false).ends_with("and 7 more of them"));
    }
}
