//! Dispatch and combination by products with one-hot masks.

use crate::model::layer::{LayerBuilder, Passes};
use crate::model::moe::routed::Direction;
use crate::model::share::Share;
use crate::model::{Mixture, Operator};
use crate::units::Bytes;

/// One-hot masks of each token of a sample and each place of its experts, by which products bring rows of tokens into the
/// order of the experts, and their outputs back (`dense_matmul` and `generate_masks` of AI-Hypercomputer/maxtext
/// src/maxtext/layers/moe.py; arXiv 2006.16668).
pub(super) struct Masks {
    samples: u64,
    /// Tokens of a sample on this rank.
    tokens: u64,
    /// Places of all experts for a sample: `E · floor(ceil(S · k / E) · c)`, at least one each.
    places: u64,
    /// Columns of a token on this rank.
    width: u64,
}

impl Masks {
    /// The masks of a layer whose experts see tokens of a width; `None` where rows are copied.
    pub(super) fn of(share: &Share, moe: &Mixture, width: u64) -> Option<Self> {
        let factor = moe.capacity_factor?;
        if !share.shard.fusion.capacity_masks {
            return None;
        }
        let experts = u64::from(moe.experts);
        let mean = (share.seq_len * u64::from(moe.experts_per_token)).div_ceil(experts);
        let places = libm::floor(mean as f64 * factor).max(1.0) as u64;
        Some(Self {
            samples: u64::from(share.shard.micro_batch),
            tokens: share.seq_len.div_ceil(u64::from(share.shard.cp)),
            places: experts * places,
            width: share.part(width),
        })
    }

    fn elements(&self) -> u64 {
        self.samples * self.tokens * self.places
    }

    /// The product on one way, and those of its gradients. The mask of the dispatch is of truth values, without a gradient;
    /// that of the combination holds the routing weights, whose gradient is a product of the mask's size.
    ///
    /// Both masks are written as they are made, by a byte an element and in 16 bits, and kept for the backward pass, which
    /// sums up the gradient of the latter. A low-precision recipe casts both operands of each product (`get_einsum`).
    pub(super) fn multiply(&self, layer: &mut LayerBuilder, share: &Share, direction: Direction) {
        let low_precision = share.shard.format.low_precision;
        let product = |m, n, k| Operator::Gemm {
            batch: self.samples,
            m,
            n,
            k,
            low_precision,
        };
        let (tokens, places, width) = (self.tokens, self.places, self.width);
        let element = layer.element_bytes();
        let (mask, rows) = (self.elements(), self.samples * width);
        let cast = |elements| Operator::Cast {
            elements,
            tensors: 1,
        };
        if low_precision {
            let (there, back) = match direction {
                Direction::Dispatch => (mask + rows * tokens, rows * places),
                Direction::Combine => (mask + rows * places, rows * tokens),
            };
            layer.operator(cast(there), [cast(back)]);
        }
        match direction {
            Direction::Dispatch => {
                layer.operators(Passes {
                    forward: ((1 + element) * mask, 1),
                    backward: (0, 0),
                });
                layer.keep((1 + element) * mask);
                layer.operator(
                    product(places, width, tokens),
                    [product(tokens, width, places)],
                );
            }
            Direction::Combine => {
                let summed = Operator::Memory {
                    bytes: Bytes::new(element * mask),
                    kernels: 1,
                };
                layer.operator(
                    product(tokens, width, places),
                    [
                        product(places, width, tokens),
                        product(tokens, places, width),
                        summed,
                    ],
                );
                layer.transient(element * (mask + rows * places));
            }
        }
    }
}
