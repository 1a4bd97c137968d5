//! Low-rank adapters beside frozen weights.

use super::{Direction, ExpertRows, LayerBuilder, Linear, memory};
use crate::model::{Calls, Operator};

impl LayerBuilder {
    /// Counts the calls of an adapter: two modules and a sum in either direction, and the gradients of two weights.
    fn call_adapter(&mut self, experts: u32) {
        let calls = Calls {
            operators: 1,
            experts: 2 * experts,
            ..Calls::modules(2, false)
        };
        self.call(Direction::Forward, calls);
        self.call(Direction::BackwardInput, calls);
        let gradients = Calls {
            experts: 2 * experts,
            ..Calls::operators(2)
        };
        self.call(Direction::BackwardWeight, gradients);
    }

    /// Two narrow products beside a frozen linear layer, and the sum of both outputs (arXiv 2106.09685); they run in 16
    /// bits, and keep what lies between them.
    pub(super) fn adapter(&mut self, beside: Linear) {
        let Linear {
            tokens,
            outputs,
            inputs,
            ..
        } = beside;
        let rank = u64::from(self.gradients.lora_rank());
        let gemm = |m, n, k| Operator::Gemm {
            batch: 1,
            m,
            n,
            k,
            low_precision: false,
        };
        self.push_forward(gemm(tokens, rank, inputs));
        self.push_forward(gemm(tokens, outputs, rank));
        self.call_adapter(0);
        self.parameters.tensors += 2;
        let sum = 3 * tokens * outputs * self.element_bytes;
        self.push_forward(memory(sum, 1));
        // Lists are turned around in the end: the gradient of the input is the sum of two.
        let gradients = 3 * tokens * inputs * self.element_bytes;
        self.backward_input.push(memory(gradients, 1));
        self.backward_input.push(gemm(tokens, inputs, rank));
        self.backward_input.push(gemm(tokens, rank, outputs));
        self.backward_weight.push(gemm(rank, inputs, tokens));
        self.backward_weight.push(gemm(outputs, rank, tokens));
        self.parameters.dense += rank * (inputs + outputs);
        self.keep(tokens * rank * self.element_bytes);
        self.model_flops += 2.0 * (tokens * rank) as f64 * (inputs + outputs) as f64;
    }

    /// Adapters of each expert.
    pub(super) fn expert_adapters(&mut self, rows: ExpertRows, beside: Linear) {
        let ExpertRows { experts, .. } = rows;
        let Linear {
            tokens,
            outputs,
            inputs,
            ..
        } = beside;
        let rank = u64::from(self.gradients.lora_rank());
        let (grouped, over_tokens) = (rows.product(false), rows.product(true));
        let rows = experts * tokens;
        self.call_adapter(experts as u32);
        self.parameters.tensors += 2 * self.expert_stacks(experts);
        self.push_forward(grouped(tokens, rank, inputs));
        self.push_forward(grouped(tokens, outputs, rank));
        self.push_forward(memory(3 * rows * outputs * self.element_bytes, 1));
        self.backward_input
            .push(memory(3 * rows * inputs * self.element_bytes, 1));
        self.backward_input.push(grouped(tokens, inputs, rank));
        self.backward_input.push(grouped(tokens, rank, outputs));
        self.backward_weight.push(over_tokens(rank, inputs, tokens));
        self.backward_weight
            .push(over_tokens(outputs, rank, tokens));
        self.parameters.expert += experts * rank * (inputs + outputs);
        self.keep(rows * rank * self.element_bytes);
        self.model_flops += 2.0 * (rows * rank) as f64 * (inputs + outputs) as f64;
    }
}
