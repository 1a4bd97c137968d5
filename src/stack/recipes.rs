//! Recipes that a job asks for in place of its stack's own.

use crate::model::Modules;
use crate::stack::{SelectiveRecompute, Stack};

/// Changes that a job makes to the recipes of its stack; what is `None` stays as the stack has it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct RecipeChange {
    /// Modules that selective recomputation repeats.
    pub(crate) recompute_modules: Option<Modules>,
}

impl RecipeChange {
    /// Whether the stack's recipes all stay.
    pub(crate) fn is_none(&self) -> bool {
        *self == Self::default()
    }
}

impl Stack {
    /// The stack with changed recipes.
    pub(crate) fn with(&self, change: &RecipeChange) -> Self {
        let mut stack = self.clone();
        if let Some(modules) = change.recompute_modules {
            stack.recompute_modules = Some(modules);
            stack.selective = SelectiveRecompute::AttentionCore;
        }
        stack
    }
}
