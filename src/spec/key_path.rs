//! Keys and list positions from the top of a text to one of its values.

use std::fmt;
use std::sync::Arc;

/// Keys and list positions from the top: `grid.nodes[2]`. Each step is held once, however many values lie below it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyPath(Arc<Step>);

#[derive(Debug, PartialEq, Eq)]
struct Step {
    above: Option<KeyPath>,
    to: To,
}

#[derive(Debug, PartialEq, Eq)]
enum To {
    Key(Box<str>),
    Item(usize),
}

impl KeyPath {
    /// The path to a key of what lies at another one.
    pub(super) fn key(above: Option<&Self>, key: &str) -> Self {
        Self::step(above, To::Key(key.into()))
    }

    /// The path to an item of the list at another one.
    pub(super) fn item(above: Option<&Self>, place: usize) -> Self {
        Self::step(above, To::Item(place))
    }

    fn step(above: Option<&Self>, to: To) -> Self {
        let above = above.cloned();
        Self(Arc::new(Step { above, to }))
    }
}

impl fmt::Display for KeyPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Step { above, to } = &*self.0;
        if let Some(above) = above {
            write!(f, "{above}")?;
        }
        match to {
            To::Key(key) if above.is_some() => write!(f, ".{key}"),
            To::Key(key) => f.write_str(key),
            To::Item(place) => write!(f, "[{place}]"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_written_from_the_top() {
        let grid = KeyPath::key(None, "grid");
        let nodes = KeyPath::key(Some(&grid), "nodes");
        assert_eq!(KeyPath::item(Some(&nodes), 2).to_string(), "grid.nodes[2]");
        assert_eq!(KeyPath::item(None, 0).to_string(), "[0]");
    }
}
