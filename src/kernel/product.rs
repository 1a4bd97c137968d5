//! Time of a matrix product: tiles, waves, a ramp in k, the roofline and the power limit.
//!
//! A GPU cuts the `m × n` result into tiles and hands them to its SMs in waves; the last wave is
//! rarely full. A library tries several tiles, and cuts a long k into parts when there are too few
//! of them; so does [`product_seconds`], which takes the fastest:
//!
//! `t = floor + max(min over tiles ⁴√(compute⁴ + memory⁴), FLOPs / (peak · sustained))`
//!
//! with `compute = waves · 2ab·(k/split + k_half) / (peak/SMs · ceiling · i/(i + tile_half))` for a
//! tile of `a × b` with reuse `i = ab/(a+b)`, and `memory` the bytes of operands, result and partial
//! sums over the bandwidth that streams reach. `scripts/fit-kernels` fits the constants to measured
//! products with the same formulas and prints the errors.

use crate::hardware::{ExpertTile, GemmRate, Precision};
use crate::kernel::machine::Machine;

/// Tiles that libraries choose from.
const TILES: [(u64, u64); 6] = [
    (256, 128),
    (128, 256),
    (128, 128),
    (128, 64),
    (64, 128),
    (64, 64),
];
/// Parts that k may be cut into.
const SPLITS: [u64; 4] = [1, 2, 4, 8];
/// Shortest part of k.
const SPLIT_K_MIN: u64 = 256;
/// Share of the last, partly filled wave that costs a full one; the rest is balanced.
const QUANTISED: f64 = 0.85;

/// `batch` products of `m × k` by `k × n`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Product {
    pub(super) batch: u64,
    pub(super) m: u64,
    pub(super) n: u64,
    pub(super) k: u64,
    /// Bytes read and written once.
    pub(super) bytes: f64,
}

impl Product {
    /// A product whose operands and result are each moved once.
    pub(super) fn of([batch, m, n, k]: [u64; 4], precision: Precision) -> Self {
        let operands = (batch * (m * k + n * k)) as f64 * operand_bytes(precision);
        let result = (batch * m * n * precision.storage_bytes()) as f64;
        Self {
            batch,
            m,
            n,
            k,
            bytes: operands + result,
        }
    }
}

impl Product {
    /// Products of all experts of a rank in one kernel, whose tiles run over the rows of all experts end to end. A tile over the
    /// end of an expert's rows is computed for that expert and the next one with the other's rows masked, so that `e` experts
    /// take up to `e − 1` tiles more; operands are read for every tile that needs them: inputs for each tile of columns and
    /// weights for each tile of rows, or, where tokens are summed over, both operands for each tile of the other's columns
    /// (`make_group_metadata`, and the bytes that `gmm` and `tgmm` state, in AI-Hypercomputer/maxtext@e591f30cb
    /// src/maxtext/kernels/megablox/backend.py).
    pub(super) fn tiled(
        [experts, m, n, k]: [u64; 4],
        over_tokens: bool,
        (tile, precision): (ExpertTile, Precision),
    ) -> Self {
        let (rows, columns) = (u64::from(tile.rows), u64::from(tile.columns));
        let further = (experts - 1) * u64::from(tile.devices) * rows;
        let tokens = if over_tokens { k } else { m };
        let tokens = experts * tokens + further;
        let (read, results) = if over_tokens {
            let read = tokens * (m * n.div_ceil(columns) + n * m.div_ceil(columns));
            (read, experts * m * n)
        } else {
            let read = tokens * k * n.div_ceil(columns) + tokens.div_ceil(rows) * k * n;
            (read, tokens * n)
        };
        let (batch, m, k) = if over_tokens {
            (experts, m, tokens.div_ceil(experts))
        } else {
            (1, tokens, k)
        };
        Self {
            batch,
            m,
            n,
            k,
            bytes: read as f64 * operand_bytes(precision)
                + (results * precision.storage_bytes()) as f64,
        }
    }
}

/// Bytes of an operand's element.
fn operand_bytes(precision: Precision) -> f64 {
    match precision {
        Precision::Fp32 | Precision::Tf32 => 4.0,
        Precision::Fp16 | Precision::Bf16 => 2.0,
        Precision::Fp8 | Precision::MxFp8 | Precision::Int8 => 1.0,
        Precision::NvFp4 | Precision::MxFp4 => 0.5,
    }
}

/// Seconds of a product.
pub(super) fn product_seconds(product: &Product, rate: &GemmRate, machine: &Machine) -> f64 {
    let per_sm = machine.peak / f64::from(machine.sms) * rate.ceiling * machine.fraction;
    let free = u64::from(machine.free_sms.clamp(1, machine.sms));
    let memory = product.bytes / machine.stream;
    let results = (product.batch * product.m * product.n) as f64;
    let mut best = f64::INFINITY;
    for (a, b) in TILES {
        let blocks = product.batch * product.m.div_ceil(a) * product.n.div_ceil(b);
        let area = (a * b) as f64;
        let reuse = area / (a + b) as f64;
        let per_k = 2.0 * area * (reuse + rate.tile_half) / (per_sm * reuse);
        for split in SPLITS {
            if split > 1 && (product.k < SPLIT_K_MIN * split || blocks * split > free) {
                break;
            }
            let filled = (blocks * split) as f64 / free as f64;
            let whole = (blocks * split).div_ceil(free) as f64;
            let waves = QUANTISED * whole + (1.0 - QUANTISED) * filled.max(1.0);
            let compute = waves * per_k * (product.k as f64 / split as f64 + rate.k_half);
            // Partial sums are written and read in 32 bits.
            let partial = if split == 1 {
                0.0
            } else {
                8.0 * split as f64 * results / machine.stream
            };
            best = best.min(smooth_max(compute, memory + partial));
        }
    }
    let flops = 2.0 * results * product.k as f64;
    let share = free as f64 / f64::from(machine.sms);
    let sustained = flops / (machine.peak * rate.sustained * machine.fraction * share);
    rate.floor.as_secs_f64() + best.max(sustained)
}

/// Part of a product's seconds that at least grows with its sizes: no product takes less, and of products that
/// differ in m, n or k alone the larger takes no more of it per size.
///
/// [`product_seconds`] without the launch's floor, all tiles filled, all waves full, nothing split: `waves ≥
/// blocks·split/SMs` and `blocks ≥ batch·mn/ab` leave `2·batch·mn·(k + k_half)·(i + tile_half)/i` over the peak, and
/// `i` is largest for the largest tile.
pub(super) fn product_growth(product: &Product, rate: &GemmRate, machine: &Machine) -> f64 {
    let results = (product.batch * product.m * product.n) as f64;
    let reuse = TILES
        .iter()
        .map(|(a, b)| (a * b) as f64 / (a + b) as f64)
        .fold(0.0, f64::max);
    let reached = machine.peak * machine.fraction;
    let work = 2.0 * results * (product.k as f64 + rate.k_half) * (1.0 + rate.tile_half / reuse);
    let compute = work / (reached * rate.ceiling);
    let sustained = 2.0 * results * product.k as f64 / (reached * rate.sustained);
    smooth_max(compute, product.bytes / machine.stream).max(sustained)
}

/// A maximum with a rounded corner: never below either, 19% above both where they are equal.
fn smooth_max(x: f64, y: f64) -> f64 {
    let (x2, y2) = (x * x, y * y);
    libm::sqrt(libm::sqrt(x2 * x2 + y2 * y2))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::SimDuration;

    const RATE: GemmRate = GemmRate {
        ceiling: 1.0,
        k_half: 0.0,
        tile_half: 0.0,
        sustained: 1.0,
        floor: SimDuration::from_micros(5),
    };

    fn machine() -> Machine {
        Machine {
            peak: 100e12,
            sms: 100,
            free_sms: 100,
            stream: 1e15,
            fraction: 1.0,
        }
    }

    fn square(size: u64) -> Product {
        Product {
            batch: 1,
            m: size,
            n: size,
            k: size,
            bytes: 0.0,
        }
    }

    // 100 tiles of 256 × 128 on 100 SMs of 1 TFLOP/s: 2·256·128·1000 / 10¹² = 65.536 µs, and 5 µs.
    #[test]
    fn a_full_wave_takes_the_time_of_one_tile() {
        let product = Product {
            batch: 1,
            m: 2560,
            n: 1280,
            k: 1000,
            bytes: 0.0,
        };
        let time = product_seconds(&product, &RATE, &machine());
        assert!((time - 70.536e-6).abs() < 1e-11, "{time}");
    }

    // One tile more is a second wave of 101 tiles: 0.85·2 + 0.15·1.01 = 1.8515 waves of 65.536 µs.
    // Smaller tiles waste less: 128 × 64 has 20·21 = 420 tiles, 0.85·5 + 0.15·4.2 = 4.88 waves of
    // 16.384 µs = 79.95 µs; 64 × 64 has 40·21 = 840, 0.85·9 + 0.15·8.4 = 8.91 waves of 8.192 = 72.99 µs.
    #[test]
    fn a_wave_that_is_hardly_filled_is_avoided_by_smaller_tiles() {
        let product = Product {
            batch: 1,
            m: 2560,
            n: 1281,
            k: 1000,
            bytes: 0.0,
        };
        let time = product_seconds(&product, &RATE, &machine());
        assert!((time - 77.990_72e-6).abs() < 1e-10, "{time}");
    }

    // 2·8192³ = 1.0995 · 10¹² FLOPs at half of 100 TFLOP/s: 21.99 ms.
    #[test]
    fn the_power_limit_bounds_large_products() {
        let rate = GemmRate {
            sustained: 0.5,
            ..RATE
        };
        let time = product_seconds(&square(8192), &rate, &machine());
        assert!((time - 5e-6 - 21.990_232_555e-3).abs() < 1e-9, "{time}");
    }

    // 16 tiles of 256 × 128 would leave 84 SMs idle for k = 4096; four parts of k fill 64 of them
    // (64 × 64 tiles even 64·1): either way faster than one part on 16 SMs.
    #[test]
    fn few_tiles_with_a_long_k_are_split() {
        let product = Product {
            batch: 1,
            m: 512,
            n: 512,
            k: 4096,
            bytes: 0.0,
        };
        let unsplit = 2.0 * 512.0 * 512.0 * 4096.0 / 16e12;
        assert!(product_seconds(&product, &RATE, &machine()) < 0.5 * unsplit);
    }

    // Half of the SMs cannot be faster than all of them.
    #[test]
    fn communication_overlapped_with_a_product_slows_it_down() {
        let busy = Machine {
            free_sms: 50,
            ..machine()
        };
        assert!(
            product_seconds(&square(4096), &RATE, &busy)
                > product_seconds(&square(4096), &RATE, &machine())
        );
    }
}
