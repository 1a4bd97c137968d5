//! Every column of `points.parquet` that is not an axis. Adding a metric is adding a row here.
//!
//! Other rooms name columns by these constants, never by a literal.

use std::borrow::Cow;
use std::sync::{Arc, LazyLock};

use itertools::Itertools as _;

use crate::hardware::Precision;
use crate::model::ExpertDispatch;
use crate::record::column::{Cell, Column, ColumnGroup, Read, TableRow, columns, with_axes};
use crate::record::metrics::StepMetrics;
use crate::record::point::Record;
use crate::simulation::{
    Layout, MemoryFootprint, Percentiles, PoolReport, ReasonKind, StepPart, StepReport,
};
use crate::spec::{AXES, Axis, AxisInfo, AxisValue, ColumnType, Operand, StudyKind};
use crate::stack::ZeroStage;
use crate::units::{Bytes, SimDuration};

columns! {
    /// Columns of a training study without those of its axes, in the order of the file.
    TRAINING;

    Identity {
        POINT = "point", "1", U64, |r| Some(r.point().index),
            "Index of the point in the full grid, before `where`.";
        STATUS = "status", "", Text, |r| Some(Cow::Borrowed(r.status().as_str())),
            "How the point ended: ok, infeasible or crashed.";
        REASON = "reason", "", Text, |r| r.reason().map(Cow::Owned),
            "Why the point did not run, with the limit, the need and what was available; null when ok.";
        REASON_KIND = "reason_kind", "", Text, |r| name(r.reason_kind().map(ReasonKind::as_str)),
            "Kind of reason: memory, divisibility, limit, unsupported, crash or timeout; null when ok.";
    }
    Layout {
        GPUS = "gpus", "1", U64, Record::gpus,
            "GPUs of the job.";
        USED_TP = "used_tp", "1", U64, |r| layout(r, |l| l.tp),
            "Tensor-parallel ranks as used.";
        USED_PP = "used_pp", "1", U64, |r| layout(r, |l| l.pp),
            "Pipeline stages as used.";
        USED_DP = "used_dp", "1", U64, |r| layout(r, |l| l.dp),
            "Data-parallel replicas as used.";
        USED_CP = "used_cp", "1", U64, |r| layout(r, |l| l.cp),
            "Context-parallel ranks as used.";
        USED_CP_EXCHANGE = "used_cp_exchange", "", Text, |r| name(r.layout().filter(|l| l.cp > 1).map(|l| l.cp_exchange.as_str())),
            "How context-parallel ranks exchanged keys and values; null with one.";
        USED_EP = "used_ep", "1", U64, |r| layout(r, |l| l.ep),
            "Expert-parallel ranks as used.";
        USED_ETP = "used_etp", "1", U64, |r| layout(r, |l| l.etp),
            "Tensor-parallel ranks inside experts as used.";
        USED_VPP = "used_vpp", "1", U64, |r| layout(r, |l| l.vpp),
            "Model chunks per pipeline stage as used.";
        USED_MICRO_BATCH = "used_micro_batch", "1", U64, |r| layout(r, |l| l.micro_batch),
            "Samples per forward pass of one replica as used.";
        MICROBATCHES = "microbatches", "1", U64, |r| layout(r, |l| l.microbatches),
            "Microbatches per step and replica: global batch / (dp · micro batch), the last one possibly in part.";
        USED_ZERO = "used_zero", "1", U64, |r| layout(r, |l| u32::from(l.zero.number())),
            "ZeRO stage as used; 3 is FSDP.";
        USED_ZERO_GROUP = "used_zero_group", "1", U64, |r| r.layout().filter(|l| l.zero == ZeroStage::Z3).map(|l| u64::from(l.zero_group)),
            "Ranks that shared one set of ZeRO-3's shards; null where parameters are whole.";
        USED_RECOMPUTE = "used_recompute", "", Text, |r| name(r.layout().map(|l| l.recompute.as_str())),
            "What the backward pass computed again.";
        USED_SCHEDULE = "used_schedule", "", Text, |r| name(r.layout().map(|l| l.schedule.as_str())),
            "Pipeline schedule as used.";
        USED_SEQUENCE_PARALLEL = "used_sequence_parallel", "", Bool, |r| r.layout().map(|l| l.sequence_parallel),
            "Whether tensor parallelism sharded the tokens of norms too.";
        USED_PRECISION = "used_precision", "", Text, |r| name(r.layout().map(|l| l.precision.as_str())),
            "Number format of the matrix products as used.";
        USED_ATTENTION = "used_attention", "", Text, |r| name(r.layout().map(|l| l.attention.as_str())),
            "Attention kernel as used.";
        USED_EXPERT_DISPATCH = "used_expert_dispatch", "", Text, |r| name(r.layout().and_then(|l| l.expert_dispatch).map(ExpertDispatch::as_str)),
            "How tokens get to their experts, as used; null where none leaves its rank.";
        USED_OVERLAP_EP = "used_overlap_ep", "", Bool, |r| r.layout().filter(|l| l.expert_dispatch.is_some()).map(|l| l.overlap_ep),
            "Whether exchanges with experts run beside the compute of another microbatch, as used; null where there are none.";
        DROPPED_TOKENS = "dropped_tokens", "1", F64, |r| r.when_ok(|r| { let t = r.training()?; t.model.transformer()?.moe?.dropped(t.workload.expert_imbalance) }),
            "Share of the visits of tokens to experts that are dropped, beyond the capacity of the busiest expert; null where experts take as many as come.";
        USED_FP8_RECIPE = "used_fp8_recipe", "", Text, |r| name(r.when_ok(|r| r.training().filter(|t| t.workload.precision == Precision::Fp8).map(|t| t.stack.fp8_recipe.as_str()))),
            "How 8-bit tensors got their scale; null where precision is not fp8.";
        USED_SEQ_LEN = "used_seq_len", "1", U64, |r| r.when_ok(|r| r.training().map(|t| u64::from(t.workload.seq_len))),
            "Tokens per sample as used; 1 for images.";
        USED_GLOBAL_BATCH = "used_global_batch", "1", U64, |r| r.when_ok(|r| r.training().map(|t| u64::from(t.workload.global_batch))),
            "Samples per optimizer step as used.";
        MICROBATCHES_BY_GPU = "microbatches_by_gpu", "", Text, |r| by_gpu(r, |pool| pool.microbatches.to_string()),
            "Microbatches of a replica on each type of gpu, in its order (3 + 5), where the job has several; null with one.";
        LAYERS_BY_GPU = "layers_by_gpu", "", Text, |r| by_gpu(r, |pool| pool.layers.map_or_else(|| "all".to_owned(), |layers| layers.to_string())),
            "Layers of the model on each type of gpu, in its order: all, or those of its pipeline stages (20 + 60); null with one type.";
        STEP_TIME_BY_GPU_S = "step_time_by_gpu_s", "", Text, |r| by_gpu(r, |pool| format!("{:.4}", pool.step_time.as_secs_f64())),
            "Seconds that each type of gpu takes for its microbatches without waiting for the others, in its order; null with one type.";
        MEMORY_PEAK_BY_GPU_GIB = "memory_peak_by_gpu_gib", "", Text, |r| by_gpu(r, |pool| format!("{:.2}", pool.memory.total().as_gib())),
            "Peak memory of the fullest GPU of each type of gpu in GiB, in its order; null with one type.";
        USED_STACK = "used_stack", "", Text, |r| r.when_ok(|r| r.training().map(|t| Cow::Borrowed(t.stack.name.as_str()))),
            "Software generation as used.";
        LAYOUTS_TRIED = "layouts_tried", "1", U64, |r| r.step().map(|s| u64::from(s.layouts_tried)),
            "Layouts that were simulated to find the one that ran.";
    }
    Time {
        STEP_TIME_S = "step_time_s", "s", F64, |r| r.step().map(|s| s.step_time().as_secs_f64()),
            "Time of one optimizer step: the sum of its exclusive parts on the critical device.";
        STEP_TIME_LOW_S = "step_time_low_s", "s", F64, |r| r.metrics()?.step_time.map(|it| it.low),
            "Lower end of the interval that would hold four of five measurements of such a step; null where nothing comparable was measured.";
        STEP_TIME_HIGH_S = "step_time_high_s", "s", F64, |r| r.metrics()?.step_time.map(|it| it.high),
            "Upper end of the interval that would hold four of five measurements of such a step; null where nothing comparable was measured.";
        STEP_TIME_UNCORRECTED_S = "step_time_uncorrected_s", "s", F64, |r| r.step()?.correction.map(|it| it.simulated.as_secs_f64()),
            "Time of the step as simulated, before the measured runs of [measured] corrected it; null where none lies near.";
        STEP_TIME_CORRECTION_S = "step_time_correction_s", "s", F64, |r| correction(r.step()?),
            "What the measured runs of [measured] add to the step, below zero where it is faster than simulated: step_time_s - \
             step_time_uncorrected_s. Every part of the step is scaled alike; null where none lies near.";
        COMPUTE_S = StepPart::Compute.column(), "s", F64, |r| share(r, StepPart::Compute),
            "Part of the step in kernels of the forward and backward pass.";
        RECOMPUTE_S = StepPart::Recompute.column(), "s", F64, |r| share(r, StepPart::Recompute),
            "Part of the step in kernels that repeat forward work.";
        TP_COMM_EXPOSED_S = StepPart::TpComm.column(), "s", F64, |r| share(r, StepPart::TpComm),
            "Part of the step that waits for tensor-parallel communication.";
        CP_COMM_EXPOSED_S = StepPart::CpComm.column(), "s", F64, |r| share(r, StepPart::CpComm),
            "Part of the step that waits for context-parallel communication.";
        EP_COMM_EXPOSED_S = StepPart::EpComm.column(), "s", F64, |r| share(r, StepPart::EpComm),
            "Part of the step that waits for expert-parallel communication.";
        PP_COMM_EXPOSED_S = StepPart::PpComm.column(), "s", F64, |r| share(r, StepPart::PpComm),
            "Part of the step that waits for sends between pipeline stages.";
        DP_COMM_EXPOSED_S = StepPart::DpComm.column(), "s", F64, |r| share(r, StepPart::DpComm),
            "Part of the step that waits for data-parallel communication: gradients, parameters, norms.";
        BUBBLE_S = StepPart::Bubble.column(), "s", F64, |r| share(r, StepPart::Bubble),
            "Part of the step that waits for another pipeline stage's work.";
        OPTIMIZER_S = StepPart::Optimizer.column(), "s", F64, |r| share(r, StepPart::Optimizer),
            "Part of the step in the optimizer's kernels.";
        OVERHEAD_S = StepPart::Overhead.column(), "s", F64, |r| share(r, StepPart::Overhead),
            "Part of the step that waits for the host.";
        FORWARD_S = "forward_s", "s", F64, |r| r.step().map(|s| s.forward.as_secs_f64()),
            "Forward passes on the critical device, exposed communication included; overlaps the exclusive parts.";
        BACKWARD_S = "backward_s", "s", F64, |r| r.step().map(|s| s.backward.as_secs_f64()),
            "Backward passes on the critical device, exposed communication included; overlaps the exclusive parts.";
        COMM_BUSY_S = "comm_busy_s", "s", F64, |r| r.step().map(|s| s.comm_busy.as_secs_f64()),
            "Time during which any communication of the critical device was under way, hidden or exposed.";
        STEP_TIME_P50_S = "step_time_p50_s", "s", F64, |r| percentile(r, |p| p.p50),
            "Median step time over the simulated iterations; null when variability is 0.";
        STEP_TIME_P95_S = "step_time_p95_s", "s", F64, |r| percentile(r, |p| p.p95),
            "95th percentile of the step time over the simulated iterations; null when variability is 0.";
        STEP_TIME_P99_S = "step_time_p99_s", "s", F64, |r| percentile(r, |p| p.p99),
            "99th percentile of the step time over the simulated iterations; null when variability is 0.";
    }
    Rate {
        SAMPLES_PER_S = "samples_per_s", "1/s", F64, |r| r.metrics().map(|m| m.samples_per_s),
            "Samples per second of the whole job: used_global_batch / step_time_s.";
        TOKENS_PER_S = "tokens_per_s", "1/s", F64, |r| r.metrics().and_then(|m| m.tokens_per_s),
            "Tokens per second of the whole job; null for images.";
        TOKENS_PER_S_PER_GPU = "tokens_per_s_per_gpu", "1/s", F64, |r| r.metrics().and_then(|m| m.tokens_per_s_per_gpu),
            "tokens_per_s / gpus; null for images.";
        MODEL_FLOPS_PER_GPU_PER_S = "model_flops_per_gpu_per_s", "FLOP/s", F64, |r| r.metrics().map(|m| m.model_flops_per_gpu_per_s),
            "Work of the model per GPU and second: no recomputation, causal attention counted once.";
        MFU = "mfu", "1", F64, |r| r.metrics().and_then(|m| m.mfu),
            "Model FLOPs utilization (arXiv 2204.02311, appendix B): model_flops_per_gpu_per_s / dense peak of used_precision.";
        HFU = "hfu", "1", F64, |r| r.metrics().and_then(|m| m.hfu),
            "Hardware FLOPs utilization: as mfu, with the work that the hardware did, recomputation included.";
        GPU_UTILIZATION = "gpu_utilization", "1", F64, |r| r.metrics().map(|m| m.gpu_utilization),
            "Fraction of the step in which compute kernels run: (compute_s + recompute_s + optimizer_s) / step_time_s.";
        COMM_FRACTION = "comm_fraction", "1", F64, |r| r.metrics().map(|m| m.comm_fraction),
            "Fraction of the step that waits for communication: the sum of the *_comm_exposed_s / step_time_s.";
    }
    Memory {
        MEMORY_PEAK_BYTES = "memory_peak_bytes", "B", U64, |r| r.step().map(|s| s.memory.total().get()),
            "Peak memory of the fullest GPU: the sum of its parts.";
        MEMORY_PEAK_LOW_BYTES = "memory_peak_low_bytes", "B", U64, |r| r.metrics()?.memory_peak.map(|it| it.low as u64),
            "Lower end of the interval that would hold four of five measurements of such a peak; null where nothing comparable was measured.";
        MEMORY_PEAK_HIGH_BYTES = "memory_peak_high_bytes", "B", U64, |r| r.metrics()?.memory_peak.map(|it| it.high as u64),
            "Upper end of the interval that would hold four of five measurements of such a peak; null where nothing comparable was measured.";
        MEMORY_CAPACITY_BYTES = "memory_capacity_bytes", "B", U64, |r| r.step().map(|s| s.memory_capacity.get()),
            "Memory of the GPU.";
        MEMORY_WEIGHTS_BYTES = "memory_weights_bytes", "B", U64, |r| memory(r, |m| m.weights),
            "Weights in the format of training.";
        MEMORY_GRADIENTS_BYTES = "memory_gradients_bytes", "B", U64, |r| memory(r, |m| m.gradients),
            "Gradient buffers.";
        MEMORY_OPTIMIZER_BYTES = "memory_optimizer_bytes", "B", U64, |r| memory(r, |m| m.optimizer),
            "Master weights and moments.";
        MEMORY_ACTIVATIONS_BYTES = "memory_activations_bytes", "B", U64, |r| memory(r, |m| m.activations),
            "What the backward pass needs, logits included.";
        MEMORY_BUFFERS_BYTES = "memory_buffers_bytes", "B", U64, |r| memory(r, |m| m.buffers),
            "Communication buffers, workspaces, context and the allocator's reserve.";
        TIGHT = "tight", "", Bool, |r| r.metrics().map(|m| m.tight),
            "Whether the peak lies inside the memory's headroom, memory_peak_bytes > (1 - memory_headroom) * memory_capacity_bytes: \
             the model errs by about as much, so the job may not fit.";
    }
    Network {
        COLLECTIVE_USED = "collective_used", "", Text, |r| r.collective_used().map(|used| Cow::Borrowed(used.as_str())),
            "Algorithm that carried the gradient reduction, or the communication of a collective study; null when nothing is reduced.";
        INTRA_NODE_BYTES = "intra_node_bytes", "B", U64, |r| r.network().map(|n| n.intra_node.get()),
            "Bytes that a GPU sends inside its scale-up domain per step.";
        INTER_NODE_BYTES = "inter_node_bytes", "B", U64, |r| r.network().map(|n| n.inter_node.get()),
            "Bytes that a GPU sends between scale-up domains per step.";
        LINK_UTILIZATION_MAX = "link_utilization_max", "1", F64, |r| r.network().map(|n| n.link_utilization_max),
            "Load of the busiest link over the time that its communication takes.";
    }
    Verdict {
        BOTTLENECK = "bottleneck", "", Text, |r| name(r.metrics().map(|m| m.bottleneck.as_str())),
            "What to change first. compute where kernels that the spec asks for fill more of the step than the threshold of \
             gpu_utilization, else what loses most: memory (recomputation that the spec did not ask for, since only the lack of memory \
             forces it), network (exposed communication), pipeline (the bubble) or host (waiting for it).";
        EXCEEDED = "exceeded", "", Text, |r| r.metrics().map(|m| Cow::Borrowed(m.exceeded.as_str())),
            "Every threshold of [analysis] that is crossed, joined by commas: gpu_utilization, memory, communication, bubble; empty when none is.";
        ADVICE = "advice", "", Text, |r| r.metrics().map(|m| Cow::Borrowed(m.advice.as_str())),
            "What removing the largest cause of lost time would gain at most, an upper bound read off the parts, not a simulation; what \
             changes it; and all causes (host, bubble, memory, recomputation, scale-up links, NICs, optimizer), which sum to the step without compute_s.";
    }
    Money {
        COST_PER_STEP_USD = "cost_per_step_usd", "USD", F64, |r| r.metrics().and_then(|m| m.cost_per_step_usd),
            "Rent of all GPUs for one step: price per GPU and hour · gpus · step_time_s / 3600, where a list has prices per node that of whole \
             nodes; null without a price. The list is that of prices; a GPU's own price_per_hour comes before it.";
        COST_PER_MTOKEN_USD = "cost_per_mtoken_usd", "USD", F64, |r| r.metrics().and_then(|m| m.cost_per_mtoken_usd),
            "Rent per million tokens; null without a price and for images.";
        ENERGY_PER_STEP_KWH = "energy_per_step_kwh", "kWh", F64, |r| r.metrics().and_then(|m| m.energy_per_step_kwh),
            "Energy for one step of the GPUs at their power limit, or at power_cap where that is lower, with what the building adds to it, hosts \
             left out: power · gpus · step_time_s · pue; null without a power limit.";
        GOODPUT = "goodput", "1", F64, |r| r.metrics().and_then(|m| m.whole).map(|w| w.goodput),
            "Time that the steps of the whole training take by themselves over its expected time with slow nodes, data, evaluations, checkpoints, \
             failures and restarts ([analysis]); null without tokens or samples.";
        DAYS = "days", "d", F64, |r| r.metrics().and_then(|m| m.whole).map(|w| w.days),
            "Expected days of the whole training, everything of goodput included; null without tokens or samples.";
        TOTAL_COST_USD = "total_cost_usd", "USD", F64, |r| r.metrics().and_then(StepMetrics::total_cost_usd),
            "Rent of all GPUs for these days; null without a price, and without tokens or samples.";
        TOTAL_ENERGY_KWH = "total_energy_kwh", "kWh", F64, |r| r.metrics().and_then(StepMetrics::total_energy_kwh),
            "Energy over these days, as energy_per_step_kwh counts it; null without a power limit, and without tokens or samples.";
    }
    Effort {
        EVENTS = "events", "1", U64, Record::events,
            "Events of the simulation, over all layouts tried.";
    }
}

columns! {
    /// Columns that only a collective study has, in the order of the file.
    COMMUNICATION;

    Time {
        TIME_S = "time_s", "s", F64, |r| r.communication().map(|c| c.time.as_secs_f64()),
            "Time of the communication.";
    }
    Rate {
        ALGBW_BYTES_PER_S = "algbw_bytes_per_s", "B/s", F64, |r| r.bandwidths().map(|b| b.algorithm),
            "Algorithm bandwidth as nccl-tests counts it: size / time_s.";
        BUSBW_BYTES_PER_S = "busbw_bytes_per_s", "B/s", F64, |r| r.bandwidths().map(|b| b.bus),
            "Bus bandwidth as nccl-tests counts it: algbw · 2(n−1)/n for all-reduce, (n−1)/n for all-gather, reduce-scatter and all-to-all, 1 otherwise.";
    }
    Network {
        PROTOCOL_USED = "protocol_used", "", Text, |r| name(r.communication().map(|c| c.protocol.as_str())),
            "Wire protocol that carried the communication.";
    }
}

/// Columns of a collective study without those of its axes, in the order of the file.
const COLLECTIVE: &[Column] = &[
    POINT,
    STATUS,
    REASON,
    REASON_KIND,
    GPUS,
    TIME_S,
    ALGBW_BYTES_PER_S,
    BUSBW_BYTES_PER_S,
    COLLECTIVE_USED,
    PROTOCOL_USED,
    LINK_UTILIZATION_MAX,
    EVENTS,
];

static TABLES: LazyLock<[Vec<Column>; 2]> = LazyLock::new(|| {
    [
        with_inputs(TRAINING, StudyKind::Training),
        with_inputs(COLLECTIVE, StudyKind::Collective),
    ]
});

/// Every column of a study's `points.parquet`, in the order of the file.
pub fn table(kind: StudyKind) -> &'static [Column] {
    match kind {
        StudyKind::Training => &TABLES[0],
        StudyKind::Collective => &TABLES[1],
    }
}

/// Adds a column for each axis of a study; [`GPUS`] is a column of its own already.
fn with_inputs(columns: &[Column], kind: StudyKind) -> Vec<Column> {
    let is_input = |info: &&AxisInfo| info.axis != Axis::Gpus && info.axis.belongs_to(kind);
    with_axes(columns, AXES.iter().filter(is_input))
}

impl TableRow for Record {
    fn axis(&self, axis: Axis) -> Option<Cell<'_>> {
        let value = self.point().value(axis)?;
        Some(match axis.info().domain.column_type() {
            ColumnType::Int => Cell::U64(match value {
                AxisValue::Size(bytes) => bytes.get(),
                AxisValue::Int(count) => *count,
                AxisValue::Auto
                | AxisValue::Text(_)
                | AxisValue::Real(_)
                | AxisValue::Bool(_)
                | AxisValue::Power(_) => {
                    return None;
                }
            }),
            ColumnType::Real => Cell::F64(value.as_number()?),
            ColumnType::Bool => Cell::Bool(value.as_bool()?),
            ColumnType::Text => Cell::Text(Cow::Borrowed(value.as_text()?)),
        })
    }

    fn metric(&self, place: usize) -> Option<f64> {
        let metric = self.metrics_of_spec().get(place)?;
        let table = table(metric.study);
        metric.at(self.point(), &|place| operand(table[place].cell(self)))
    }
}

/// A cell as metrics read it.
fn operand(cell: Option<Cell<'_>>) -> Operand {
    match cell {
        None => Operand::Null,
        Some(Cell::U64(count)) => Operand::Number(count as f64),
        Some(Cell::F64(number)) => Operand::Number(number),
        Some(Cell::Bool(switch)) => Operand::Bool(switch),
        Some(Cell::Text(text)) => Operand::Text(Arc::from(&*text)),
    }
}

/// The exclusive parts of a step in the order of [`StepPart`]; they sum to [`STEP_TIME_S`].
pub(crate) const TIME_PARTS: &[Column] = &[
    COMPUTE_S,
    RECOMPUTE_S,
    TP_COMM_EXPOSED_S,
    CP_COMM_EXPOSED_S,
    EP_COMM_EXPOSED_S,
    PP_COMM_EXPOSED_S,
    DP_COMM_EXPOSED_S,
    BUBBLE_S,
    OPTIMIZER_S,
    OVERHEAD_S,
];

/// The parts of [`MEMORY_PEAK_BYTES`].
pub(crate) const MEMORY_PARTS: &[Column] = &[
    MEMORY_WEIGHTS_BYTES,
    MEMORY_GRADIENTS_BYTES,
    MEMORY_OPTIMIZER_BYTES,
    MEMORY_ACTIVATIONS_BYTES,
    MEMORY_BUFFERS_BYTES,
];

fn layout(record: &Record, read: fn(&Layout) -> u32) -> Option<u64> {
    record.layout().map(|layout| u64::from(read(layout)))
}

/// A text of each type of GPU in the order of the point's: `3 + 5`.
fn by_gpu(record: &Record, text: fn(&PoolReport) -> String) -> Option<Cow<'_, str>> {
    let pools = &record.step()?.pools;
    let each = pools.iter().map(text).format(" + ");
    (!pools.is_empty()).then(|| Cow::Owned(each.to_string()))
}

fn share(record: &Record, part: StepPart) -> Option<f64> {
    record.step().map(|step| step.shares[part].as_secs_f64())
}

fn correction(step: &StepReport) -> Option<f64> {
    let simulated = step.correction?.simulated;
    Some(step.step_time().as_secs_f64() - simulated.as_secs_f64())
}

fn percentile(record: &Record, read: fn(&Percentiles) -> SimDuration) -> Option<f64> {
    record
        .step()
        .and_then(|step| step.percentiles.as_ref())
        .map(|percentiles| read(percentiles).as_secs_f64())
}

fn memory(record: &Record, read: fn(&MemoryFootprint) -> Bytes) -> Option<u64> {
    record.step().map(|step| read(&step.memory).get())
}

fn name(text: Option<&'static str>) -> Option<Cow<'static, str>> {
    text.map(Cow::Borrowed)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// The columns that other people's scripts depend on, without the axes.
    const PROMISED: &str = "point status reason gpus used_tp used_pp used_dp used_cp used_ep used_vpp \
        used_micro_batch microbatches used_zero used_recompute used_schedule used_sequence_parallel \
        used_precision used_attention used_expert_dispatch used_overlap_ep used_fp8_recipe used_seq_len used_global_batch used_stack layouts_tried step_time_s \
        compute_s recompute_s tp_comm_exposed_s cp_comm_exposed_s ep_comm_exposed_s pp_comm_exposed_s \
        dp_comm_exposed_s bubble_s optimizer_s overhead_s forward_s backward_s comm_busy_s step_time_p50_s \
        step_time_p95_s step_time_p99_s samples_per_s tokens_per_s tokens_per_s_per_gpu \
        model_flops_per_gpu_per_s mfu hfu gpu_utilization comm_fraction memory_peak_bytes \
        memory_capacity_bytes memory_weights_bytes memory_gradients_bytes memory_optimizer_bytes \
        memory_activations_bytes memory_buffers_bytes tight collective_used intra_node_bytes inter_node_bytes \
        link_utilization_max bottleneck exceeded advice cost_per_step_usd cost_per_mtoken_usd \
        energy_per_step_kwh events";

    #[test]
    fn the_promised_columns_are_there_and_one_for_every_axis() {
        let names: Vec<&str> = table(StudyKind::Training)
            .iter()
            .map(|column| column.name)
            .collect();
        for promised in PROMISED.split_whitespace() {
            assert!(names.contains(&promised), "{promised}");
        }
        for info in AXES
            .iter()
            .filter(|info| info.axis.belongs_to(StudyKind::Training))
        {
            assert!(names.contains(&info.axis.as_str()), "{}", info.axis);
        }
    }

    #[test]
    fn a_collective_study_has_columns_of_its_own_in_place_of_those_of_training() {
        let names: Vec<&str> = table(StudyKind::Collective)
            .iter()
            .map(|column| column.name)
            .collect();
        for promised in "op size protocol collective gpu nodes gpus time_s algbw_bytes_per_s \
            busbw_bytes_per_s collective_used link_utilization_max"
            .split_whitespace()
        {
            assert!(names.contains(&promised), "{promised}");
        }
        for absent in ["model", "global_batch", "step_time_s", "mfu"] {
            assert!(!names.contains(&absent), "{absent}");
        }
    }

    #[test]
    fn the_time_parts_are_the_parts_of_a_step() {
        let names: Vec<&str> = TIME_PARTS.iter().map(|column| column.name).collect();
        let parts: Vec<&str> = StepPart::ALL.iter().map(|part| part.column()).collect();
        assert_eq!(names, parts);
    }

    #[test]
    fn every_column_has_a_name_of_its_own_and_says_what_it_means() {
        for kind in StudyKind::ALL {
            let mut seen = BTreeSet::new();
            for column in table(*kind) {
                assert!(seen.insert(column.name), "{} is there twice", column.name);
                assert!(column.doc.ends_with('.'), "{}: {}", column.name, column.doc);
                let is_number =
                    !matches!(column.column_type(), ColumnType::Text | ColumnType::Bool);
                assert_eq!(
                    is_number,
                    !column.unit.is_empty(),
                    "unit of {}",
                    column.name
                );
            }
        }
    }

    #[test]
    fn the_unit_is_in_the_name() {
        for (suffix, unit) in [
            ("_s", "s"),
            ("_bytes", "B"),
            ("_usd", "USD"),
            ("_kwh", "kWh"),
        ] {
            for column in TRAINING.iter().filter(|it| it.unit == unit) {
                assert!(column.name.ends_with(suffix), "{} in {unit}", column.name);
            }
        }
    }
}
