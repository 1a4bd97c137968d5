//! Text that people see, without the letters that a terminal or a browser obeys instead of showing.

use std::borrow::Cow;

/// Whether a letter is obeyed instead of shown: a control character, or one that turns the direction of the text around it, which
/// can make a line read as another one (Unicode Technical Report 36). Lines and tabs are shown.
pub(crate) fn is_obeyed(letter: char) -> bool {
    let is_control = letter.is_control() && !matches!(letter, '\n' | '\t');
    is_control || is_bidi_control(letter)
}

/// Letters with the property `Bidi_Control` of Unicode.
const fn is_bidi_control(letter: char) -> bool {
    matches!(
        letter,
        '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
    )
}

/// Text whose obeyed letters are written `\u001b`; JSON says the same with it.
pub(crate) fn escaped(text: &str) -> Cow<'_, str> {
    if !text.contains(is_obeyed) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len());
    for letter in text.chars() {
        if is_obeyed(letter) {
            let code = format!("\\u{:04x}", u32::from(letter));
            shown.push_str(&code);
        } else {
            shown.push(letter);
        }
    }
    Cow::Owned(shown)
}

/// A document of XML or HTML with `�` for letters that are obeyed, and for those that XML 1.0 cannot have, not even escaped.
///
/// Source: Extensible Markup Language 1.0, fifth edition, production 2 (`Char`).
pub(crate) fn in_markup(text: String) -> String {
    let is_foreign = |letter: char| is_obeyed(letter) || matches!(letter, '\u{fffe}' | '\u{ffff}');
    if text.contains(is_foreign) {
        text.replace(is_foreign, "\u{fffd}")
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // Colours, a title, a bell, the one-character CSI of 8-bit terminals, and a turn to right-to-left.
    #[test]
    fn a_terminal_obeys_nothing_that_a_spec_says() {
        assert_eq!(
            escaped("\u{1b}[31mRED\u{1b}]0;t\u{7}\n\u{9b}2J\tq\r \u{202e}gpj\u{2069}"),
            "\\u001b[31mRED\\u001b]0;t\\u0007\n\\u009b2J\tq\\u000d \\u202egpj\\u2069"
        );
        assert!(matches!(escaped("µs\n"), Cow::Borrowed(_)));
    }

    #[test]
    fn markup_has_only_letters_that_are_shown() {
        let text = "a\u{1b}b \u{202e}c\u{ffff}\n\tµ".to_owned();
        assert_eq!(in_markup(text), "a\u{fffd}b \u{fffd}c\u{fffd}\n\tµ");
    }
}
