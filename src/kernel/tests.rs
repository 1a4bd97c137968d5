//! Kernels whose times are known.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::time::KernelTime;
use super::{KernelContext, least_time, operator_time};
use crate::hardware::{
    AttentionKernel, AttentionRate, Evidence, GemmRate, Gpu, KernelRates, Peaks, Precision,
};
use crate::model::Operator;
use crate::stack::{Fp8Recipe, KernelFractions};
use crate::units::{Bandwidth, Bytes, FlopRate, Flops, SimDuration};

const GEMM: GemmRate = GemmRate {
    ceiling: 0.82,
    k_half: 140.0,
    tile_half: 3.0,
    sustained: 0.76,
    floor: SimDuration::from_micros(5),
};
const FLASH: AttentionRate = AttentionRate {
    forward: 0.61,
    backward: 0.54,
    forward_half: 150.0,
    backward_half: 300.0,
    narrow: 0.9,
};

/// 100 TFLOP/s, 1 TB/s, 100 SMs, floors of 2 and 5 µs.
fn gpu(faster: f64, wider: f64) -> Gpu {
    Gpu {
        name: "test".to_owned(),
        title: "test".to_owned(),
        peaks: Peaks(BTreeMap::from([
            (Precision::Bf16, FlopRate::tflops(100.0 * faster)),
            (Precision::Fp8, FlopRate::tflops(200.0 * faster)),
        ])),
        evidence: Evidence::Measured,
        memory: Bytes::gib(80),
        memory_bandwidth: Bandwidth::gbyte_per_s(1000.0 * wider),
        host_link: None,
        sms: 100,
        l2: None,
        power: None,
        price_per_hour: None,
        price_date: None,
        cluster: "test".to_owned(),
        rates: KernelRates {
            gemm: BTreeMap::from([(Precision::Bf16, GEMM)]),
            attention: BTreeMap::from([(AttentionKernel::Flash2, FLASH)]),
            convolution_fraction: 0.9,
            memory_fraction: 0.8,
            eager_fraction: 0.4,
            kernel_floor: SimDuration::from_micros(2),
            speed_spread: 0.0,
            compiled: false,
            expert_tile_rows: None,
            expert_tile_columns: None,
            expert_tile_devices: 1,
        },
    }
}

fn context(gpu: &Gpu, precision: Precision) -> KernelContext<'_> {
    KernelContext {
        gpu,
        precision,
        attention: AttentionKernel::Flash2,
        recipe: Fp8Recipe::Delayed,
        fractions: KernelFractions::ALL,
        eager: false,
        free_sms: gpu.sms,
    }
}

// Three kernels over 800 MB in all: 800 MB / (1000 GB/s · 0.8) = 1 ms, and three floors of 2 µs. Those of one operation
// each reach half as much: 2 ms.
#[test]
fn memory_bound_kernels_take_their_bytes_and_their_floors() {
    let gpu = gpu(1.0, 1.0);
    let operator = Operator::Memory {
        bytes: Bytes::new(800_000_000),
        kernels: 3,
    };
    for (eager, micros) in [(false, 1006), (true, 2006)] {
        let context = KernelContext {
            eager,
            ..context(&gpu, Precision::Bf16)
        };
        let time = operator_time(&operator, &context);
        assert_eq!(time.busy, SimDuration::from_micros(micros));
        assert_eq!(time.kernels, 3);
    }
}

// 384 MB at 1000 GB/s · 0.8 are 0.48 ms, which are 1 ms at 0.48 of the roofline, and two floors of 2 µs. 36.48 TFLOP at
// 0.76 of 100 TFLOP/s are 0.48 s, and 1 s likewise.
#[test]
fn a_scan_takes_the_slower_of_its_bytes_and_products() {
    let gpu = gpu(1.0, 1.0);
    let scan = |flops, bytes| {
        let operator = Operator::Scan {
            flops: Flops::new(flops),
            bytes: Bytes::new(bytes),
            kernels: 2,
        };
        operator_time(&operator, &context(&gpu, Precision::Bf16)).busy
    };
    assert_eq!(scan(1e6, 384_000_000), SimDuration::from_micros(1_004));
    assert_eq!(scan(36.48e12, 1), SimDuration::from_micros(1_000_004));
}

// Eight experts are eight products of one: eight times the time, eight launches.
#[test]
fn experts_run_one_after_another() {
    let gpu = gpu(1.0, 1.0);
    let (m, n, k) = (300, 4096, 1024);
    let grouped = Operator::GroupedGemm {
        groups: 8,
        m,
        n,
        k,
        over_tokens: false,
        ragged: true,
    };
    let single = Operator::Gemm {
        batch: 1,
        m,
        n,
        k,
        low_precision: true,
    };
    let context = context(&gpu, Precision::Bf16);
    let (all, one) = (
        operator_time(&grouped, &context),
        operator_time(&single, &context),
    );
    let eight = 8.0 * one.busy.as_secs_f64();
    assert!((all.busy.as_secs_f64() - eight).abs() < 1e-9);
    // Eight kernels, launched by one call.
    assert_eq!(all.kernels, 8);
}

// Delayed scaling takes as long as 3.5 bytes an element: 3.5 · 200·10⁶ bytes at 800 GB/s are 875 µs, and one floor
// of 2 µs.
#[test]
fn a_cast_costs_a_pass_in_8_bits_and_nothing_in_16() {
    let gpu = gpu(1.0, 1.0);
    let cast = Operator::Cast {
        elements: 200_000_000,
        tensors: 1,
    };
    let low = operator_time(&cast, &context(&gpu, Precision::Fp8));
    assert_eq!(low.busy, SimDuration::from_micros(877));
    let high = operator_time(&cast, &context(&gpu, Precision::Bf16));
    assert_eq!(high, KernelTime::default());
}

// Four linear layers of Transformer Engine over 15,872 tokens on a B300, casts included, took 12.76 ms in bf16, 9.15 with
// current and 7.80 with delayed scaling, 8.98 in MXFP8 and 6.45 in NVFP4. The last is 26% off: its rate is the mean of
// two measurements that disagree.
#[test]
fn a_layer_of_transformer_engine_takes_what_was_measured() {
    let gpu = &crate::catalog::Catalog::builtin().gpus["b300"];
    let tokens = 15_872;
    let widths = [(4096, 12_288), (4096, 4096), (4096, 16_384), (16_384, 4096)];
    // Casts along rows alone, over those along both.
    for (precision, recipe, rows, measured, within) in [
        (Precision::Bf16, Fp8Recipe::Delayed, 0.0, 12.758, 0.05),
        (Precision::Fp8, Fp8Recipe::Current, 5.0 / 6.0, 9.147, 0.05),
        (Precision::Fp8, Fp8Recipe::Delayed, 0.75, 7.802, 0.05),
        (Precision::MxFp8, Fp8Recipe::Current, 0.75, 8.984, 0.05),
        (Precision::NvFp4, Fp8Recipe::Current, 0.9, 6.453, 0.27),
    ] {
        let context = KernelContext {
            recipe,
            ..context(gpu, precision)
        };
        let product = |m, n, k| Operator::Gemm {
            batch: 1,
            m,
            n,
            k,
            low_precision: true,
        };
        let layer = widths.iter().flat_map(|&(inputs, outputs)| {
            let both = tokens * (2 * inputs + outputs);
            let alone = 2 * inputs * outputs + tokens * outputs;
            let elements = both + (rows * alone as f64) as u64;
            [
                product(tokens, outputs, inputs),
                product(tokens, inputs, outputs),
                product(outputs, inputs, tokens),
                Operator::Cast {
                    elements,
                    tensors: 1,
                },
            ]
        });
        let seconds: f64 = layer
            .map(|operator| operator_time(&operator, &context).busy.as_secs_f64())
            .sum();
        let error = seconds * 1e3 / measured - 1.0;
        assert!(error.abs() < within, "{precision}: {error:.3}");
    }
}

// Products of experts at half of the rate: 26.8 GFLOP in 8 of m = n = 1,024 and k = 1,600 take twice their time but for the floors.
#[test]
fn grouped_products_reach_their_own_fraction() {
    let gpu = gpu(1.0, 1.0);
    let operator = Operator::GroupedGemm {
        groups: 8,
        m: 1024,
        n: 1024,
        k: 1600,
        over_tokens: false,
        ragged: true,
    };
    let whole = context(&gpu, Precision::Bf16);
    let half = KernelContext {
        fractions: KernelFractions {
            grouped: 0.5,
            ..KernelFractions::ALL
        },
        ..whole
    };
    let [whole, half] =
        [whole, half].map(|context| operator_time(&operator, &context).busy.as_secs_f64());
    let floors = 8.0 * gpu.rates.gemm[&Precision::Bf16].floor.as_secs_f64();
    assert!(half > whole, "{half} {whole}");
    assert!(half - floors <= 2.0 * (whole - floors) + 1e-12);
    let single = Operator::Gemm {
        batch: 1,
        m: 1024,
        n: 1024,
        k: 1600,
        low_precision: true,
    };
    let alone = operator_time(&single, &context(&gpu, Precision::Bf16));
    assert!((8.0 * alone.busy.as_secs_f64() - whole).abs() < 1e-12);
}

// Tiles of 512 rows over 4 experts of 1,000 rows each: three of them lie over the end of an expert's rows and are computed twice,
// 4,000 + 3 · 512 rows instead of 4,000, forward and where tokens are summed over. On two devices of a chip it is as many tiles
// on each. Large products reach all of the peak, so that the time is that of their FLOPs.
#[test]
fn tiles_over_the_ends_of_experts_are_computed_twice() {
    let mut gpu = gpu(1.0, 1.0);
    let time = |gpu: &Gpu, over_tokens, ragged| {
        let (m, n, k) = if over_tokens {
            (8192, 8192, 1000)
        } else {
            (1000, 8192, 8192)
        };
        let groups = 4;
        let operator = Operator::GroupedGemm {
            groups,
            m,
            n,
            k,
            over_tokens,
            ragged,
        };
        let time = operator_time(&operator, &context(gpu, Precision::Bf16));
        (
            time.busy.as_secs_f64() - GEMM.floor.as_secs_f64(),
            time.kernels,
        )
    };
    let rate = GEMM.sustained * gpu.peak(Precision::Bf16).as_flops_per_s();
    let flops = |rows: u64| 2.0 * (rows * 8192 * 8192) as f64 / rate;
    let expected = [flops(4000 + 3 * 512), flops(4000 + 3 * 512 * 2)];
    for (devices, expected) in [1, 2].into_iter().zip(expected) {
        gpu.rates.expert_tile_rows = Some(512);
        gpu.rates.expert_tile_columns = Some(1024);
        gpu.rates.expert_tile_devices = devices;
        for over_tokens in [false, true] {
            let (seconds, kernels) = time(&gpu, over_tokens, true);
            let error = seconds / expected - 1.0;
            assert!((0.0..0.12).contains(&error), "{over_tokens} {error}");
            assert_eq!(kernels, 1);
        }
    }
    // Experts that are padded to the same number of rows are a product each.
    let (seconds, kernels) = time(&gpu, false, false);
    assert!(seconds < flops(4000) * 1.2, "{seconds}");
    assert_eq!(kernels, 4);
}

// 200·10⁶ elements at 800 GB/s and floors of 2 µs: 6.5 bytes in three kernels with a pass for the maximum, 3.6 in one with
// scales per block, 4.1 in MXFP4; integers 6 in three whatever the recipe.
#[test]
fn a_cast_moves_the_bytes_of_its_recipe() {
    let gpu = gpu(1.0, 1.0);
    let cast = Operator::Cast {
        elements: 200_000_000,
        tensors: 1,
    };
    for (precision, recipe, micros) in [
        (Precision::Fp8, Fp8Recipe::Current, 1631.0),
        (Precision::Fp8, Fp8Recipe::Block, 902.0),
        (Precision::MxFp4, Fp8Recipe::Delayed, 1027.0),
        (Precision::Int8, Fp8Recipe::Delayed, 1506.0),
    ] {
        let context = KernelContext {
            recipe,
            ..context(&gpu, precision)
        };
        let time = operator_time(&cast, &context).busy;
        assert_eq!(
            time,
            SimDuration::from_secs_f64(micros / 1e6),
            "{precision} {recipe}"
        );
    }
}

// Of 16 experts with current scaling 3 kernels each are 48, whose floors of 2 µs are 96 µs, 90 more than those of one tensor;
// delayed scaling casts them in one kernel.
#[test]
fn experts_are_cast_one_by_one_unless_scaling_is_delayed() {
    let gpu = gpu(1.0, 1.0);
    let time = |recipe, tensors| {
        let context = KernelContext {
            recipe,
            ..context(&gpu, Precision::Fp8)
        };
        let cast = Operator::Cast {
            elements: 200_000_000,
            tensors,
        };
        operator_time(&cast, &context)
    };
    let (one, experts) = (time(Fp8Recipe::Current, 1), time(Fp8Recipe::Current, 16));
    assert_eq!((one.kernels, experts.kernels), (3, 48));
    let more = experts.busy.as_secs_f64() - one.busy.as_secs_f64();
    assert!((more - 90e-6).abs() < 1e-9, "{more}");
    let delayed = [1, 16].map(|tensors| time(Fp8Recipe::Delayed, tensors));
    assert_eq!(delayed[0], delayed[1]);
}

// With scales per block a large product takes 1/0.81 of the time, one of experts likewise, and no longer where the GPU has MXFP8.
#[test]
fn scales_per_block_cost_products_unless_the_units_apply_them() {
    let (m, n, k) = (8192, 8192, 8192);
    let single = Operator::Gemm {
        batch: 1,
        m,
        n,
        k,
        low_precision: true,
    };
    let experts = Operator::GroupedGemm {
        groups: 1,
        m,
        n,
        k,
        over_tokens: false,
        ragged: true,
    };
    for operator in [single, experts] {
        let mut gpu = gpu(1.0, 1.0);
        let time = |gpu: &Gpu, recipe| {
            let context = KernelContext {
                recipe,
                ..context(gpu, Precision::Fp8)
            };
            let busy = operator_time(&operator, &context).busy;
            busy.as_secs_f64() - GEMM.floor.as_secs_f64()
        };
        let slower = time(&gpu, Fp8Recipe::Block) / time(&gpu, Fp8Recipe::Current);
        assert!((slower - 1.0 / 0.81).abs() < 1e-3, "{slower}");
        let peak = gpu.peak(Precision::Fp8);
        gpu.peaks.0.insert(Precision::MxFp8, peak);
        let same = time(&gpu, Fp8Recipe::Block) / time(&gpu, Fp8Recipe::Current);
        assert!((same - 1.0).abs() < 1e-9, "{same}");
    }
}

// Queries, keys and values of 4·1024 tokens and 16 heads of 128: 3 · 8.39·10⁶ elements, of which a cast reads 2 bytes and
// writes 1 at 800 GB/s: 94.37 µs, and 157.29 µs where it reads them twice; three kernels each time. The kernel itself
// takes half of the time, at twice the peak.
#[test]
fn attention_on_8_bits_casts_what_it_takes() {
    let mut gpu = gpu(1.0, 1.0);
    gpu.rates.attention.insert(AttentionKernel::Fp8, FLASH);
    let operator = Operator::Attention {
        batch: 4,
        heads: 16,
        kv_heads: 16,
        seq_q: 1024,
        seq_kv: 1024,
        dim_qk: 128,
        dim_v: 128,
        kv_blocks: 1,
        causal: true,
        window: None,
        backward: false,
    };
    let plain = context(&gpu, Precision::Fp8);
    let of = |recipe| KernelContext {
        attention: AttentionKernel::Fp8,
        recipe,
        ..plain
    };
    let floor = gpu.rates.kernel_floor.as_secs_f64();
    let before = operator_time(&operator, &plain);
    for (recipe, micros, kernels) in [
        (Fp8Recipe::Delayed, 94.371_84, 3),
        (Fp8Recipe::Current, 157.286_4, 6),
    ] {
        let after = operator_time(&operator, &of(recipe));
        assert_eq!(after.kernels, before.kernels + kernels);
        let kernel = (before.busy.as_secs_f64() - floor) / 2.0;
        let casts = after.busy.as_secs_f64() - kernel - f64::from(1 + kernels) * floor;
        assert!((casts - micros / 1e6).abs() < 1e-11, "{recipe}: {casts}");
    }
}

fn product() -> impl Strategy<Value = Operator> {
    let size = || 1_u64..20_000;
    (1_u64..8, size(), size(), size(), any::<bool>()).prop_map(|(batch, m, n, k, low_precision)| {
        Operator::Gemm {
            batch,
            m,
            n,
            k,
            low_precision,
        }
    })
}

fn full_product() -> impl Strategy<Value = Operator> {
    let size = || 1_u64..20_000;
    (size(), size(), size()).prop_map(|(m, n, k)| Operator::FullGemm { m, n, k })
}

fn attention() -> impl Strategy<Value = Operator> {
    (
        1_u64..8,
        1_u64..64,
        1_u64..20_000,
        1_u64..16,
        any::<bool>(),
        any::<bool>(),
    )
        .prop_map(
            |(batch, heads, seq, kv_blocks, causal, backward)| Operator::Attention {
                batch,
                heads,
                kv_heads: heads,
                seq_q: seq,
                seq_kv: seq,
                dim_qk: 128,
                dim_v: 128,
                kv_blocks,
                causal,
                window: None,
                backward,
            },
        )
}

fn grouped() -> impl Strategy<Value = Operator> {
    let size = || 1_u64..20_000;
    (1_u64..64, 1_u64..2_000, size(), size()).prop_map(|(groups, m, n, k)| Operator::GroupedGemm {
        groups,
        m,
        n,
        k,
        over_tokens: false,
        ragged: true,
    })
}

/// The operator over so many times the tokens, in each size that may count them.
fn scaled(operator: &Operator, times: u64) -> Vec<Operator> {
    let mut larger = Vec::new();
    match operator {
        Operator::Gemm { .. } => {
            for place in 0..3 {
                let mut one = operator.clone();
                if let Operator::Gemm { batch, m, k, .. } = &mut one {
                    *[batch, m, k][place] *= times;
                }
                larger.push(one);
            }
        }
        Operator::Attention { .. } => {
            let mut one = operator.clone();
            if let Operator::Attention { batch, .. } = &mut one {
                *batch *= times;
            }
            larger.push(one);
        }
        Operator::FullGemm { m, n, k } => {
            let (n, k) = (*n, *k);
            larger.push(Operator::FullGemm { m: m * times, n, k });
            larger.push(Operator::FullGemm {
                m: *m,
                n,
                k: k * times,
            });
        }
        Operator::GroupedGemm { .. } => {
            let mut one = operator.clone();
            if let Operator::GroupedGemm { m, .. } = &mut one {
                *m *= times;
            }
            larger.push(one);
        }
        Operator::Conv { .. }
        | Operator::Scan { .. }
        | Operator::Memory { .. }
        | Operator::Cast { .. }
        | Operator::Comm { .. } => {}
    }
    larger
}

// A 3×3 convolution over 256 channels and a 1×1 convolution over nine times as many are one matrix product, whose 1.2·10¹² operations
// take all but a hundredth of its time. In fp32 the former needs 36 multiplications for every 144, and takes 0.93/1.39 of the time,
// but not on a TPU, whose compiler has no such kernel.
#[test]
fn small_filters_in_fp32_are_minimal() {
    let mut gpu = gpu(1.0, 1.0);
    gpu.peaks.0.insert(Precision::Fp32, FlopRate::tflops(10.0));
    gpu.rates.gemm.insert(Precision::Fp32, GEMM);
    let mut tpu = gpu.clone();
    tpu.rates.compiled = true;
    let seconds = |gpu: &Gpu, precision, channels_in, kernel| {
        let operator = Operator::Conv {
            batch: 256,
            channels_in,
            channels_out: 256,
            size_out: 64,
            kernel,
            stride: 1,
        };
        operator_time(&operator, &context(gpu, precision))
            .busy
            .as_secs_f64()
    };
    for (gpu, precision, expected) in [
        (&gpu, Precision::Fp32, 0.93 / 1.39),
        (&gpu, Precision::Bf16, 1.0),
        (&tpu, Precision::Fp32, 1.0),
    ] {
        let ratio = seconds(gpu, precision, 256, 3) / seconds(gpu, precision, 9 * 256, 1);
        assert!((ratio - expected).abs() < 1e-2, "{precision}: {ratio}");
    }
}

// A framework that has half of the rate of tensor cores' products takes twice as long for large ones; in fp32 it calls the same
// library as all.
#[test]
fn frameworks_differ_in_products_on_tensor_cores() {
    let mut gpu = gpu(1.0, 1.0);
    gpu.peaks.0.insert(Precision::Fp32, FlopRate::tflops(10.0));
    gpu.rates.gemm.insert(Precision::Fp32, GEMM);
    let operator = Operator::Gemm {
        batch: 1,
        m: 65_536,
        n: 8192,
        k: 8192,
        low_precision: false,
    };
    for (precision, expected) in [(Precision::Fp32, 1.0), (Precision::Bf16, 2.0)] {
        let all = context(&gpu, precision);
        let half = KernelContext {
            fractions: KernelFractions {
                gemm: 0.5,
                ..KernelFractions::ALL
            },
            ..all
        };
        let seconds = |context| operator_time(&operator, context).busy.as_secs_f64();
        let ratio = seconds(&half) / seconds(&all);
        assert!((ratio - expected).abs() < 1e-3, "{precision}: {ratio}");
    }
}

proptest! {
    #[test]
    fn nothing_beats_the_data_sheet(operator in prop_oneof![product(), attention()]) {
        let gpu = gpu(1.0, 1.0);
        let time = operator_time(&operator, &context(&gpu, Precision::Bf16));
        prop_assert!(time.busy >= operator.flops() / FlopRate::tflops(100.0));
        if let Operator::Gemm { batch, m, n, k, .. } = operator {
            let bytes = Bytes::new(2 * batch * (m * k + n * k + m * n));
            prop_assert!(time.busy >= bytes / gpu.memory_bandwidth);
        }
    }

    // Rounding to whole picoseconds is half of one.
    #[test]
    fn the_least_time_bounds_the_time_and_spreads_over_more_tokens(
        operator in prop_oneof![product(), full_product(), attention(), grouped()],
        more in 1_u64..50,
    ) {
        let gpu = gpu(1.0, 1.0);
        let context = context(&gpu, Precision::Fp8);
        let time = operator_time(&operator, &context);
        let least = least_time(&operator, &context);
        prop_assert!(least.kernels == time.kernels);
        let sum = least.launched + least.growing;
        prop_assert!(sum <= time.busy.as_secs_f64() + 1e-12, "{:?} {:?}", least, time);
        for larger in scaled(&operator, more) {
            let spread = least_time(&larger, &context).growing / more as f64;
            prop_assert!(
                spread <= least.growing * (1.0 + 1e-12),
                "{:?}: {} {}", larger, spread, least.growing
            );
        }
    }

    #[test]
    fn a_faster_gpu_is_never_slower(
        operator in prop_oneof![product(), attention()],
        faster in 1.0..4.0_f64,
        wider in 1.0..4.0_f64,
    ) {
        let (plain, better) = (gpu(1.0, 1.0), gpu(faster, wider));
        for precision in [Precision::Bf16, Precision::Fp8] {
            let before = operator_time(&operator, &context(&plain, precision));
            let after = operator_time(&operator, &context(&better, precision));
            prop_assert!(after.busy <= before.busy, "{:?} {:?}", before, after);
        }
    }

    #[test]
    fn fewer_multiprocessors_are_never_faster(
        operator in prop_oneof![product(), attention()],
        free_sms in 1_u32..100,
    ) {
        let gpu = gpu(1.0, 1.0);
        let whole = context(&gpu, Precision::Bf16);
        let part = KernelContext { free_sms, ..whole };
        prop_assert!(operator_time(&operator, &part).busy >= operator_time(&operator, &whole).busy);
    }
}
