//! Closed sets that files of measured runs name.

use crate::closed_set;

closed_set! {
    /// Kind of measurement that a file holds, spelled as the column or the JSON key that tells it.
    pub enum CaseKind: "kind of measurement" {
        /// Training steps.
        Step = "measured_step_time_s",
        /// Peaks of memory.
        Memory = "measured_gib",
        /// Collectives of nccl-tests.
        Collective = "busbw_GBps",
        /// Collectives of another simulator on ideal links.
        IdealCollective = "predicted_network_ns",
        /// Arrivals of concurrent flows on given links.
        Flow = "links",
    }
}

closed_set! {
    /// Weight of a case in the error table.
    pub(crate) enum Score: "score" {
        /// Counted: the measured value is compared with the prediction.
        Value = "step",
        /// Compared, but reported apart: repeats differ by more than 15%.
        Noisy = "noisy",
        /// Counted in its scaling series only.
        Series = "scaling",
        /// Shown and never counted: the configuration is incomplete.
        Unscored = "no",
    }
}

closed_set! {
    /// Reading of a memory peak.
    pub enum MemoryMeasure: "memory measure" {
        /// Bytes of tensors (PyTorch's `max_memory_allocated`).
        Allocated = "max_allocated",
        /// Bytes held by the allocator (`max_memory_reserved`).
        Reserved = "max_reserved",
        /// Bytes that the driver reports, CUDA context included.
        Device = "nvidia_smi",
        /// Not stated; taken as the driver's.
        Unknown = "unknown",
    }
}
