//! How much a summary says.

/// How much a summary says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detail {
    /// The first screen.
    Brief {
        /// Columns of the terminal; `None` of a pipe.
        room: Option<usize>,
    },
    /// Everything.
    Full,
}
