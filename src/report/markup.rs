//! Text put together piece by piece.

use std::fmt::{Arguments, Write as _};

/// Appends formatted text: `push(&mut html, format_args!("<li>{name}</li>"))`.
pub(super) fn push(text: &mut String, piece: Arguments<'_>) {
    text.write_fmt(piece).expect("writing to a string succeeds");
}
