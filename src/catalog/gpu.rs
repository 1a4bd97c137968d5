//! GPU tables.

use std::collections::BTreeMap;

use crate::hardware::{
    AttentionKernel, AttentionRate, GemmRate, Gpu, KernelRates, Peaks, Precision, Price,
};

use super::fault::Faults;
use super::fields::Fields;
use super::key::{Key, ValueKind as Kind};
use super::quantity::Dollars;

/// The keys of a GPU table.
pub(super) const KEYS: &[Key] = &[
    Key::optional("title", Kind::Text, "Name for people; default: the name."),
    Key::required(
        "memory",
        Kind::Bytes,
        "Memory that the driver reports to programs.",
    ),
    Key::required(
        "memory_bandwidth",
        Kind::Bandwidth,
        "Memory bandwidth of the data sheet.",
    ),
    Key::required(
        "sms",
        Kind::CountTo(1_048_576),
        "Streaming multiprocessors (AMD: compute units; TPU: tensor cores).",
    ),
    Key::optional("l2", Kind::Bytes, "Last-level cache on the die."),
    Key::optional(
        "power",
        Kind::Power,
        "Board power limit, for the energy column.",
    ),
    Key::optional(
        "price_per_hour",
        Kind::Price,
        "Rent of one GPU for an hour; without it the money columns are null.",
    ),
    Key::optional("price_date", Kind::Month, "Month the price was published."),
    Key::required(
        "cluster",
        Kind::Text,
        "Catalogue name of the cluster it usually comes in.",
    ),
    Key::optional(
        "peaks.{precision}",
        Kind::FlopRate,
        "Dense peak in this format; absent: the GPU lacks the format.",
    ),
    Key::optional(
        "gemm.{precision}.ceiling",
        Kind::Fraction,
        "Fraction of the peak that the inner loop of an endless tile reaches; absent: as in bf16 or fp16.",
    ),
    Key::optional(
        "gemm.{precision}.k_half",
        Kind::Number,
        "Filling and draining of a tile, as the length of k that takes as long; absent: likewise.",
    ),
    Key::optional(
        "gemm.{precision}.tile_half",
        Kind::Number,
        "Reuse at which a tile reaches half of the ceiling; absent: likewise.",
    ),
    Key::optional(
        "gemm.{precision}.sustained",
        Kind::Fraction,
        "Fraction of the peak that large products reach under the power limit; absent: likewise.",
    ),
    Key::optional(
        "gemm.{precision}.floor",
        Kind::Duration,
        "Time of a product from start to end if it had no work; absent: likewise.",
    ),
    Key::required(
        "attention.{attention}.forward",
        Kind::Fraction,
        "Fraction of the 16-bit peak that this kernel reaches forward (head 128, endless sequences).",
    ),
    Key::required(
        "attention.{attention}.backward",
        Kind::Fraction,
        "Likewise backward.",
    ),
    Key::required(
        "attention.{attention}.forward_half",
        Kind::Number,
        "Keys at which the forward kernel reaches half of its rate.",
    ),
    Key::required(
        "attention.{attention}.backward_half",
        Kind::Number,
        "Keys at which the backward kernel does.",
    ),
    Key::required(
        "attention.{attention}.narrow",
        Kind::Fraction,
        "Rate at head dimension 64 over the rate at 128.",
    ),
    Key::required(
        "convolution_fraction",
        Kind::Fraction,
        "Fraction of a matrix product's rate that a convolution of the same size reaches.",
    ),
    Key::required(
        "memory_fraction",
        Kind::Fraction,
        "Fraction of the memory bandwidth that a large streaming kernel reaches.",
    ),
    Key::required(
        "kernel_floor",
        Kind::Duration,
        "Time from a memory-bound kernel's start to its end if it had no work.",
    ),
    Key::optional(
        "speed_spread",
        Kind::Number,
        "Standard deviation of the speed of GPUs of this kind, over their mean; left out: 0.",
    ),
];

/// What a complete table says. `clusters` are the names that `cluster` may take.
pub(super) fn read(name: &str, fields: Fields<'_>, faults: &mut Faults<'_>) -> Gpu {
    let peaks = peaks(fields);
    if peaks.get(Precision::Bf16).is_none() && peaks.get(Precision::Fp16).is_none() {
        let hint = "write `peaks.bf16` with a rate like \"989 TFLOP/s\"".to_owned();
        let message = "neither `peaks.bf16` nor `peaks.fp16` is given".to_owned();
        faults.key("peaks", message, Some(hint));
    }
    Gpu {
        name: name.to_owned(),
        title: fields.find("title").unwrap_or_else(|| name.to_owned()),
        rates: rates(fields, &peaks, faults),
        peaks,
        memory: fields.get("memory"),
        memory_bandwidth: fields.get("memory_bandwidth"),
        sms: fields.count("sms"),
        l2: fields.find("l2"),
        power: fields.find("power"),
        price: fields
            .find("price_per_hour")
            .map(|Dollars(usd_per_hour)| Price {
                usd_per_hour,
                date: fields.find("price_date").unwrap_or_default(),
            }),
        cluster: fields.get("cluster"),
    }
}

fn peaks(fields: Fields<'_>) -> Peaks {
    Peaks(
        Precision::ALL
            .iter()
            .filter_map(|precision| Some((*precision, fields.find(&format!("peaks.{precision}"))?)))
            .collect(),
    )
}

fn rates(fields: Fields<'_>, peaks: &Peaks, faults: &mut Faults<'_>) -> KernelRates {
    let mut gemm = BTreeMap::new();
    for precision in peaks.0.keys().copied() {
        let Some(rate) = gemm_rate(fields, precision) else {
            let message = format!("no `gemm` rate covers {precision}");
            let hint = "give `gemm.bf16` (or `gemm.fp16`) its ceiling, k_half, tile_half, sustained \
                        and floor, or name a `base` that has them";
            faults.key("", message, Some(hint.to_owned()));
            break;
        };
        gemm.insert(precision, rate);
    }
    let attention = AttentionKernel::ALL
        .iter()
        .filter_map(|kernel| Some((*kernel, attention_rate(fields, *kernel)?)))
        .collect();
    KernelRates {
        gemm,
        attention,
        convolution_fraction: fields.number("convolution_fraction"),
        memory_fraction: fields.number("memory_fraction"),
        kernel_floor: fields.get("kernel_floor"),
        speed_spread: fields.find_number("speed_spread").unwrap_or(0.0),
    }
}

/// What the file says of a format, key by key, or else of the 16-bit one.
fn gemm_rate(fields: Fields<'_>, precision: Precision) -> Option<GemmRate> {
    let formats = [precision, Precision::Bf16, Precision::Fp16];
    let number = |what: &str| {
        formats
            .into_iter()
            .find_map(|format| fields.find_number(&format!("gemm.{format}.{what}")))
    };
    Some(GemmRate {
        ceiling: number("ceiling")?,
        k_half: number("k_half")?,
        tile_half: number("tile_half")?,
        sustained: number("sustained")?,
        floor: formats
            .into_iter()
            .find_map(|format| fields.find(&format!("gemm.{format}.floor")))?,
    })
}

fn attention_rate(fields: Fields<'_>, kernel: AttentionKernel) -> Option<AttentionRate> {
    let number = |what: &str| fields.find_number(&format!("attention.{kernel}.{what}"));
    Some(AttentionRate {
        forward: number("forward")?,
        backward: number("backward")?,
        forward_half: number("forward_half")?,
        backward_half: number("backward_half")?,
        narrow: number("narrow")?,
    })
}
