//! Time of fused attention.

use crate::hardware::AttentionRate;
use crate::kernel::machine::Machine;
use crate::model::Operator;

/// Rows of the score matrix that one SM works on.
const BLOCK: u64 = 128;
/// Keys that such a block computes in vain where it crosses the diagonal.
const DIAGONAL: f64 = 128.0;
/// Head width at which the rates of [`AttentionRate`] hold.
const WIDE: f64 = 128.0;

/// Seconds of a fused attention without the floor of its kernels; zero for any other operator.
///
/// `t = FLOPs / (peak · rate · s/(s + half)) · idle`, where `s` are the keys that a query sees on
/// average in a kernel (a causal mask adds the keys computed in vain to `half`), and `idle` is how many SMs there are for each block of rows when there are too few.
pub(super) fn attention_seconds(
    operator: &Operator,
    rate: &AttentionRate,
    machine: &Machine,
) -> f64 {
    let Operator::Attention {
        batch,
        heads,
        seq_q,
        seq_kv,
        kv_blocks,
        backward,
        ..
    } = *operator
    else {
        return 0.0;
    };
    let rows = if backward {
        seq_kv.div_ceil(kv_blocks)
    } else {
        seq_q
    };
    let blocks = (batch * heads * rows.div_ceil(BLOCK)) as f64;
    let free = f64::from(machine.free_sms.clamp(1, machine.sms));
    let idle = (free / blocks).max(1.0) * f64::from(machine.sms) / free;
    attention_growth(operator, rate, machine) * idle
}

/// Seconds of a fused attention that leaves no SM idle: they grow with its sequences, and none takes less.
pub(super) fn attention_growth(
    operator: &Operator,
    rate: &AttentionRate,
    machine: &Machine,
) -> f64 {
    let Operator::Attention {
        seq_q,
        dim_qk,
        dim_v,
        kv_blocks,
        causal,
        backward,
        ..
    } = *operator
    else {
        return 0.0;
    };
    let (reached, half) = if backward {
        (rate.backward, rate.backward_half)
    } else {
        (rate.forward, rate.forward_half)
    };
    // Around a ring the slowest rank has all of its queries see half of each block.
    let seen = operator.visible_scores() / (seq_q * kv_blocks) as f64;
    let masked = if causal { DIAGONAL } else { 0.0 };
    let ramp = seen / (seen + half + masked);
    let width = width_factor(rate.narrow, (dim_qk + dim_v) as f64 / 2.0);
    operator.flops().get() / (machine.peak * reached * ramp * width * machine.fraction)
}

/// Fraction of the rate at width 128 that a head of `dim` reaches: 1 from there on, `narrow` at 64, and the
/// same factor again for every further halving.
fn width_factor(narrow: f64, dim: f64) -> f64 {
    let halvings = libm::log2(WIDE / dim).max(0.0);
    libm::pow(narrow, halvings)
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: AttentionRate = AttentionRate {
        forward: 0.5,
        backward: 0.25,
        forward_half: 896.0,
        backward_half: 0.0,
        narrow: 0.75,
    };

    fn seconds(operator: &Operator) -> f64 {
        let machine = Machine {
            peak: 1e12,
            sms: 100,
            free_sms: 100,
            stream: 1e15,
            fraction: 1.0,
        };
        attention_seconds(operator, &RATE, &machine)
    }

    fn attention(heads: u64, dim: u64, causal: bool, backward: bool) -> Operator {
        Operator::Attention {
            batch: 1,
            heads,
            kv_heads: heads,
            seq_q: 2048,
            seq_kv: 2048,
            dim_qk: dim,
            dim_v: dim,
            kv_blocks: 1,
            causal,
            window: None,
            backward,
        }
    }

    // 100 heads: 4·100·2048²·128 = 2.147·10¹¹ FLOPs, half masked; a query sees 1,024 keys of 1,024 +
    // 896 + 128, so half of the rate of 0.5 · 10¹²: 1.0737·10¹¹ / 0.25·10¹² = 0.4295 s.
    #[test]
    fn a_causal_forward_pass_counts_half_of_the_square_and_ramps_with_what_is_seen() {
        let time = seconds(&attention(100, 128, true, false));
        assert!((time - 0.429_496_729_6).abs() < 1e-9, "{time}");
    }

    // In two blocks a kernel sees 512 keys of 512 + 896 + 128: a third of the rate in place of half of it.
    #[test]
    fn keys_that_come_in_blocks_are_seen_by_several_kernels() {
        let mut blocks = attention(100, 128, true, false);
        let whole = seconds(&blocks);
        if let Operator::Attention { kv_blocks, .. } = &mut blocks {
            *kv_blocks = 2;
        }
        assert!((seconds(&blocks) / whole - 1.5).abs() < 1e-9);
    }

    // Five products instead of two, at half the rate and without a ramp: 2.5 · 2.147·10¹¹ / 0.25·10¹².
    #[test]
    fn the_backward_pass_has_five_products() {
        let time = seconds(&attention(100, 128, false, true));
        assert!((time - 2.147_483_648).abs() < 1e-9, "{time}");
    }

    // Half the width is half the work at three quarters of the rate: 2/3 of the time.
    #[test]
    fn narrow_heads_are_slower() {
        let wide = seconds(&attention(100, 128, true, false));
        let narrow = seconds(&attention(100, 64, true, false));
        assert!((narrow / wide - 2.0 / 3.0).abs() < 1e-9);
    }

    // One head has 16 blocks of 128 rows for 100 SMs: 6.25 times the time of a full GPU.
    #[test]
    fn too_few_rows_leave_multiprocessors_idle() {
        let full = seconds(&attention(100, 128, true, false));
        let one = seconds(&attention(1, 128, true, false));
        assert!((one * 100.0 / full - 6.25).abs() < 1e-9);
    }
}
