//! Recipes that a job asks for in place of its stack's own.

use crate::closed_set::Subset;
use crate::model::Modules;
use crate::stack::{CudaGraphs, Fp8Recipe, Loss, Offload, Optimizer, SelectiveRecompute, Stack};

/// Changes that a job makes to the recipes of its stack; what is `None` stays as the stack has it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct RecipeChange {
    /// Modules that selective recomputation repeats.
    pub(crate) recompute_modules: Option<Modules>,
    /// How much of the logits exists at once.
    pub(crate) loss: Option<Loss>,
    /// Rule by which weights follow their gradients.
    pub(crate) optimizer: Option<Optimizer>,
    /// State that is kept in the host's memory.
    pub(crate) offload: Option<Subset<Offload>>,
    /// Scope of CUDA graphs, of every model.
    pub(crate) cuda_graphs: Option<CudaGraphs>,
    /// How 8-bit tensors get their scale.
    pub(crate) fp8_recipe: Option<Fp8Recipe>,
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
        if let Some(loss) = change.loss {
            stack.recipe.chunked_loss = loss == Loss::Chunked;
        }
        stack.optimizer = change.optimizer.unwrap_or(stack.optimizer);
        stack.offload = change.offload.unwrap_or(stack.offload);
        stack.fp8_recipe = change.fp8_recipe.unwrap_or(stack.fp8_recipe);
        if let Some(scope) = change.cuda_graphs {
            (stack.host.cuda_graphs, stack.host.rack_moe_graphs) = (scope, scope);
        }
        stack
    }
}
