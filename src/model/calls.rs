//! Calls by which the host has the kernels of a layer launched.
//!
//! A kernel runs when a thread of the CPU has called for it: an operator of the framework calls for one; a function
//! around a fused kernel, and a module (a linear layer, attention), do bookkeeping of their own beside that.

use std::ops::AddAssign;

use crate::model::Operator;

/// Calls of the host.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Calls {
    /// Operators of the framework, one kernel each.
    pub operators: u32,
    /// Functions around one fused kernel: norm, activation, softmax, dropout with the residual addition.
    pub functions: u32,
    /// Modules: linear layers, attention, the products of a group of experts.
    pub modules: u32,
    /// Modules that cast their inputs to 8 or 4 bits besides.
    pub casting: u32,
    /// Experts of which each is a product of its own, over all modules, and those in 8 or 4 bits.
    pub experts: u32,
    pub low_experts: u32,
    /// Experts whose rows a module of a group splits off and keeps, and those in 8 or 4 bits.
    pub rows: u32,
    pub low_rows: u32,
}

impl Calls {
    /// So many operators.
    pub(super) const fn operators(count: u32) -> Self {
        Self {
            operators: count,
            functions: 0,
            modules: 0,
            casting: 0,
            experts: 0,
            low_experts: 0,
            rows: 0,
            low_rows: 0,
        }
    }

    /// So many functions.
    pub(super) const fn functions(count: u32) -> Self {
        Self {
            functions: count,
            ..Self::operators(0)
        }
    }

    /// The products of so many experts.
    pub(super) fn experts(count: u32, low_precision: bool) -> Self {
        let (experts, low_experts) = by_format(count, low_precision);
        Self {
            experts,
            low_experts,
            ..Self::default()
        }
    }

    /// The rows of so many experts.
    pub(super) fn rows(count: u32, low_precision: bool) -> Self {
        let (rows, low_rows) = by_format(count, low_precision);
        Self {
            rows,
            low_rows,
            ..Self::default()
        }
    }

    /// So many modules, which may cast their inputs.
    pub(super) fn modules(count: u32, casting: bool) -> Self {
        let mut calls = Self::default();
        if casting {
            calls.casting = count;
        } else {
            calls.modules = count;
        }
        calls
    }

    /// Calls for an operator that stands alone. A cast belongs to the module of its product; communications are
    /// launched by their library.
    pub(super) fn of(operator: &Operator) -> Self {
        match *operator {
            Operator::Gemm { .. } | Operator::FullGemm { .. } | Operator::Conv { .. } => {
                Self::operators(1)
            }
            Operator::Attention { .. } | Operator::GroupedGemm { .. } => Self::modules(1, false),
            Operator::Scan { kernels, .. } | Operator::Memory { kernels, .. } => {
                Self::operators(kernels)
            }
            Operator::Cast { .. } | Operator::Comm { .. } => Self::default(),
        }
    }

    /// All calls.
    pub(crate) const fn count(self) -> u32 {
        self.operators + self.functions + self.modules + self.casting
    }
}

/// A count of what is in 16 or 32 bits, and of what is in 8 or 4.
const fn by_format(count: u32, low_precision: bool) -> (u32, u32) {
    if low_precision {
        (0, count)
    } else {
        (count, 0)
    }
}

impl AddAssign for Calls {
    fn add_assign(&mut self, other: Self) {
        self.operators += other.operators;
        self.functions += other.functions;
        self.modules += other.modules;
        self.casting += other.casting;
        self.experts += other.experts;
        self.low_experts += other.low_experts;
        self.rows += other.rows;
        self.low_rows += other.low_rows;
    }
}

/// Calls of one pass of a layer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct PassCalls {
    /// Those whose sizes are the same in every step, so that a graph can hold them.
    pub fixed: Calls,
    /// Those whose sizes routing decides.
    pub routed: Calls,
}

impl AddAssign for PassCalls {
    fn add_assign(&mut self, other: Self) {
        self.fixed += other.fixed;
        self.routed += other.routed;
    }
}

/// Calls of all passes of a layer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct LayerCalls {
    /// Forward pass.
    pub forward: PassCalls,
    /// Gradients of the inputs.
    pub backward_input: PassCalls,
    /// Gradients of the weights.
    pub backward_weight: PassCalls,
    /// Calls that selective recomputation repeats.
    pub selective: PassCalls,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::samples::last_layer;
    use crate::model::{ExpertDispatch, Fusion, Shard};

    // Llama 3 forward: the products in front of and behind attention, attention itself, and the two of the MLP; two
    // norms, the rotation of queries and keys, the activation, two additions. Backward: the same modules, of whose four
    // products each computes a second one for its weights; the functions but the additions, whose gradient is the
    // output's; the gradients that meet in front of each norm, and those of six tensors that are handed over.
    #[test]
    fn a_dense_layer_is_called_by_its_modules_and_fused_kernels() {
        let calls = last_layer("llama3-8b", |_| {}).calls;
        let forward = Calls {
            functions: 7,
            ..Calls::modules(5, false)
        };
        assert_eq!(calls.forward.fixed, forward);
        let backward = Calls {
            functions: 5,
            operators: 2,
            ..Calls::modules(5, false)
        };
        assert_eq!(calls.backward_input.fixed, backward);
        assert_eq!(calls.backward_weight.fixed, Calls::operators(4 + 6));
    }

    // Query, key and value are three products for one, gate and input of the MLP two: three modules more, three more
    // products backward, three sums of their gradients, three tensors more.
    #[test]
    fn separate_projections_are_modules_of_their_own() {
        let separate = |shard: &mut Shard| {
            shard.fusion = Fusion {
                projections: false,
                ..Fusion::ALL
            };
        };
        let calls = last_layer("llama3-8b", separate).calls;
        assert_eq!(calls.forward.fixed.modules, 8);
        assert_eq!(calls.backward_input.fixed.operators, 2 + 3);
        assert_eq!(calls.backward_weight.fixed, Calls::operators(7 + 9));
    }

    // In 8 bits every product's module casts; attention stays in 16 bits.
    #[test]
    fn products_in_8_bits_are_casting_modules() {
        let low = |shard: &mut Shard| shard.format.low_precision = true;
        let forward = last_layer("llama3-8b", low).calls.forward.fixed;
        assert_eq!((forward.modules, forward.casting), (1, 4));
    }

    // A tensor with a scale for each block is gathered by a function: the inputs of the first products of attention and MLP
    // forward and, for their weights, once more backward; the gradients of the outputs of both last products backward.
    #[test]
    fn scales_of_blocks_are_gathered_by_functions() {
        let calls = |block_scales| {
            let shard = |shard: &mut Shard| {
                (shard.tp, shard.sequence_parallel) = (2, true);
                (shard.format.low_precision, shard.format.block_scales) = (true, block_scales);
            };
            let calls = last_layer("llama3-8b", shard).calls;
            [calls.forward, calls.backward_input].map(|pass| pass.fixed.functions)
        };
        let [plain, blocks] = [false, true].map(calls);
        assert_eq!([blocks[0] - plain[0], blocks[1] - plain[1]], [2, 4]);
    }

    // Of a layer of experts a graph holds attention and router, not the two products over the eight experts of
    // Mixtral, the activation between them, and both permutations of tokens: two functions each. Where a rank exchanges no
    // tokens seven operators count and map rows, around an all-to-all sixteen; none backward.
    #[test]
    fn what_routing_decides_is_apart() {
        let routed = last_layer("mixtral-8x7b", |_| {}).calls.forward.routed;
        let expected = Calls {
            functions: 1 + 4,
            experts: 16,
            rows: 16,
            ..Calls::modules(2, false)
        };
        assert_eq!(routed, expected);
        for (ep, operators) in [(1, 7), (8, 16)] {
            let calls = last_layer("mixtral-8x7b", |shard| {
                shard.expert_dispatch = ExpertDispatch::AllToAll;
                shard.ep = ep;
            })
            .calls;
            assert_eq!(calls.forward.routed.operators, operators);
            assert_eq!(calls.backward_input.routed.operators, 0);
        }
    }

    // Six tensors of a Llama layer: four matrices and two norms.
    #[test]
    fn tensors_of_parameters_are_counted() {
        assert_eq!(last_layer("llama3-8b", |_| {}).parameters.tensors, 6);
        let experts = last_layer("mixtral-8x7b", |_| {}).parameters.tensors;
        let stacked = last_layer("mixtral-8x7b", |shard| shard.fusion.stacked_experts = true);
        assert_eq!(experts - stacked.parameters.tensors, 2 * 7);
    }
}
