//! GPU tables.

use crate::data_table::{Key, Need};
use crate::hardware::{GemmRate, Gpu, KernelRates, Precision};

use super::fault::Faults;

/// The keys of a GPU table.
pub(super) fn keys() -> Vec<Key> {
    let mut keys = Gpu::keys("", Need::Always);
    keys.extend(GemmRate::keys_of_formats());
    keys.extend(KernelRates::keys("", Need::Always));
    keys
}

/// Notes faults of a GPU that no single key shows.
pub(super) fn check(gpu: &Gpu, faults: &mut Faults<'_>) {
    let peaks = &gpu.peaks;
    if peaks.get(Precision::Bf16).is_none() && peaks.get(Precision::Fp16).is_none() {
        let hint = "write `peaks.bf16` with a rate like \"989 TFLOP/s\"".to_owned();
        let message = "neither `peaks.bf16` nor `peaks.fp16` is given".to_owned();
        faults.key("peaks", message, Some(hint));
    }
    if gpu.rates.expert_tile_rows.is_none() {
        let given = [
            (
                "expert_tile_columns",
                gpu.rates.expert_tile_columns.is_some(),
            ),
            ("expert_tile_devices", gpu.rates.expert_tile_devices > 1),
        ];
        for (key, _) in given.into_iter().filter(|(_, is_given)| *is_given) {
            let message = format!("`{key}` says nothing without `expert_tile_rows`");
            faults.key(key, message, None);
        }
    }
    let mut formats = peaks.0.keys();
    if let Some(bare) = formats.find(|format| !gpu.rates.gemm.contains_key(format)) {
        let message = format!("no `gemm` rate covers {bare}");
        let hint = "give `gemm.bf16` (or `gemm.fp16`) its ceiling, k_half, tile_half, sustained \
                    and floor, or name a `base` that has them";
        faults.key("", message, Some(hint.to_owned()));
    }
}
