//! Keys of a spec's tables, each declared once: the reader refuses others, and the JSON Schema lists them.

use itertools::Itertools;

use crate::catalog::Kind;
use crate::hardware::DeviceUnit;
use crate::spec::axis::{Axis, StudyKind};
use crate::spec::diagnostic::{Diagnostic, Faults};
use crate::spec::syntax::Entry;
use crate::units::plural;

/// Key of a table.
#[derive(Clone, Copy, Debug)]
pub(super) struct Key {
    pub(super) name: &'static str,
    /// Meaning, in one sentence with a full stop.
    pub(super) doc: &'static str,
    pub(super) shape: Shape,
}

/// Values that a key takes.
#[derive(Clone, Copy, Debug)]
pub(super) enum Shape {
    Text,
    /// Text that can name a folder.
    FileName,
    /// A text or a list of texts.
    Texts,
    TextList,
    /// A name of a set, and the one that holds where the key is left out.
    OneOf(&'static [&'static str], &'static str),
    /// A number over 0, up to 1.
    Fraction,
    /// A number from 0, under 1.
    Share,
    /// A number over 0.
    Positive,
    /// A number from 1 on.
    AtLeastOne,
    Bool,
    /// Axes of a chart, or `true` for both.
    LogAxes,
    /// A whole number from 1 on.
    Count,
    /// One or several tables of axes with all their values.
    Axes,
    /// One or several tables of axes with one value each.
    Points,
    /// A table of axes with one value each.
    Values,
    /// One or several tables of a measured run, or of a file of them.
    Measured,
    /// Entries of the catalogue by name.
    Catalog(Kind),
    /// The name of a price list, one list, or lists by name.
    Prices,
    Table(&'static TableKeys),
    /// Tables by name.
    Named(&'static TableKeys),
    /// A list of tables.
    TableList(&'static TableKeys),
}

/// Keys of a table.
#[derive(Clone, Copy, Debug)]
pub(super) struct TableKeys {
    pub(super) keys: &'static [Key],
    /// Keys that have to be there.
    pub(super) required: &'static [&'static str],
    /// Keys of which exactly one has to be there.
    pub(super) one_of: &'static [&'static str],
}

macro_rules! keys {
    ($( $(#[doc = $doc:literal])* $name:literal = $shape:expr; )+) => {
        &[ $( Key {
            name: $name,
            doc: concat!($($doc),*).trim_ascii(),
            shape: $shape,
        } ),+ ]
    };
}

const fn table(keys: &'static [Key], required: &'static [&'static str]) -> TableKeys {
    TableKeys {
        keys,
        required,
        one_of: &[],
    }
}

/// Keys at the top of a spec that make it one sweep.
pub(super) const SWEEP: &[Key] = keys! {
    /// Name of the run folder; by default that of the file.
    "name" = Shape::FileName;
    /// The question that the sweep answers.
    "description" = Shape::Text;
    /// Kind of study: training steps, or single communications.
    "kind" = Shape::OneOf(StudyKind::NAMES, StudyKind::Training.as_str());
    /// Clauses like `gpus <= 1024`; a point stays when all hold.
    "where" = Shape::Texts;
    /// Cartesian product of its axes, the last fastest; several are united.
    "grid" = Shape::Axes;
    /// Axes that advance together; multiplied with every grid.
    "zip" = Shape::Axes;
    /// One explicit point besides the grid.
    "point" = Shape::Points;
};

/// Keys at the top of a spec that an included file may have too: what several specs share.
pub(super) const SHARED: &[Key] = keys! {
    /// JSON Schema of the file, for editors.
    "$schema" = Shape::Text;
    /// Files with custom tables, [defaults] and [analysis], relative to this one.
    "include" = Shape::Texts;
    /// Values for axes that grid, zip and point leave out.
    "defaults" = Shape::Values;
    /// Fraction of a GPU's memory that is better left free (0.05): a row whose peak lies in it is `tight`.
    "memory_headroom" = Shape::Share;
    /// How much is trained, and within which limits.
    "question" = Shape::Table(&table(QUESTION, &[]));
    /// Settings of the analysis.
    "analysis" = Shape::Table(&table(ANALYSIS, &[]));
    "gpus" = Shape::Catalog(Kind::Gpus);
    "clusters" = Shape::Catalog(Kind::Clusters);
    "models" = Shape::Catalog(Kind::Models);
    "stacks" = Shape::Catalog(Kind::Stacks);
    /// Columns that are added to the results, by name.
    "metrics" = Shape::Named(&table(METRIC, &["value"]));
    /// Charts that are added to the report, by name.
    "charts" = Shape::Named(&table(CHART, &["x", "y"]));
    /// Price list of every point that names none, or a price list of one's own: `own`, or several by name.
    "prices" = Shape::Prices;
    /// Power limit set on each GPU of every point that names none: "500 W".
    "power_cap" = Shape::Text;
    /// Power usage effectiveness of every point that names none.
    "pue" = Shape::Positive;
    /// Measured runs of one's own, each a table of axes with its speed, or a file of them; they correct the predictions near
    /// them.
    "measured" = Shape::Measured;
    /// Custom networks between nodes by name.
    "topologies" = Shape::Named(&table(TOPOLOGY, &["devices", "links"]));
    /// Custom collective algorithms by name.
    "collectives" = Shape::Named(&TableKeys { keys: COLLECTIVE, required: &[], one_of: &["file", "schedule"], });
};

/// Keys of `[question]`.
pub(super) const QUESTION: &[Key] = keys! {
    /// Tokens of the whole training, for its time and cost.
    "tokens" = Shape::Positive;
    /// Samples of the whole training, in place of its tokens.
    "samples" = Shape::Positive;
    /// Longest time that the training may take: "60 days".
    "deadline" = Shape::Text;
    /// Most that the training may cost, in US dollars: "700000 USD", "$700k".
    "budget" = Shape::Text;
    /// Most GPUs that it may use.
    "gpus_max" = Shape::Count;
    /// Share of measured trainings of the family that the limits have to hold for, were they predicted as this one is.
    "confidence" = Shape::Fraction;
};

/// Keys of `[analysis]`.
pub(super) const ANALYSIS: &[Key] = keys! {
    /// Breakdown: the size from which efficiency stays below it (0.8).
    "efficiency_threshold" = Shape::Fraction;
    /// Tokens of the whole training, as [question] has them.
    "tokens" = Shape::Positive;
    /// Samples of the whole training, as [question] has them.
    "samples" = Shape::Positive;
    /// Phases in which the training begins; what is left of it runs as the rows say.
    "phases" = Shape::TableList(&table(PHASE, &[]));
    /// Mean time between failures of one node, in hours.
    "node_mtbf_hours" = Shape::Positive;
    /// Time from a failure to the next step: "300 s".
    "restart_time" = Shape::Text;
    /// Size of a checkpoint, "500 GB"; by default weights and optimizer states.
    "checkpoint_size" = Shape::Text;
    /// Rate at which a checkpoint of the job is written: "20 GB/s".
    "checkpoint_bandwidth" = Shape::Text;
    /// Whether steps go on while a checkpoint is written (false).
    "checkpoint_async" = Shape::Bool;
    /// Time from one checkpoint to the next, "30 min"; by default what loses least.
    "checkpoint_interval" = Shape::Text;
    /// Steps from one evaluation to the next.
    "evaluation_every" = Shape::Count;
    /// Global batches of an evaluation, each a forward pass.
    "evaluation_steps" = Shape::Count;
    /// Rate at which the job reads its data: "2 GB/s".
    "data_bandwidth" = Shape::Text;
    /// Nodes of a job whose kernels take longer.
    "slow_nodes" = Shape::Count;
    /// Time of their kernels over that of the others.
    "slow_factor" = Shape::AtLeastOne;
    /// Fractions from which a bottleneck is listed.
    "thresholds" = Shape::Table(&table(THRESHOLDS, &[]));
};

/// Keys of `[[analysis.phases]]`.
pub(super) const PHASE: &[Key] = keys! {
    /// Tokens of the phase.
    "tokens" = Shape::Positive;
    /// Samples of the phase, where the training is given in samples.
    "samples" = Shape::Positive;
    /// Samples per optimizer step, where they differ from the rows'.
    "global_batch" = Shape::Count;
    /// Tokens per sample, where they differ from the rows'.
    "seq_len" = Shape::Count;
};

/// Keys of `[analysis.thresholds]`.
pub(super) const THRESHOLDS: &[Key] = keys! {
    /// GPU utilisation (0.8).
    "gpu_utilization" = Shape::Fraction;
    /// Peak memory over capacity (0.7).
    "memory" = Shape::Fraction;
    /// Exposed communication over the step (0.3).
    "exposed_communication" = Shape::Fraction;
    /// Pipeline bubble over the step (0.15).
    "bubble" = Shape::Fraction;
};

/// Keys of `[metrics.NAME]`.
pub(super) const METRIC: &[Key] = keys! {
    /// Expression over columns, axes and numbers of the catalogue, such as "cost_per_step_usd / step_time_s".
    "value" = Shape::Text;
    /// Unit of the value ("1").
    "unit" = Shape::Text;
};

/// Keys of `[charts.NAME]`.
pub(super) const CHART: &[Key] = keys! {
    /// Column of numbers, or metric, along the horizontal axis.
    "x" = Shape::Text;
    /// Column of numbers, or metric, along the vertical axis.
    "y" = Shape::Text;
    /// Columns whose values tell the lines apart.
    "series" = Shape::Texts;
    /// Axes with a logarithmic scale: "x", "y", a list of them, or true for both.
    "log" = Shape::LogAxes;
};

/// Keys of a run of `[measured]`, besides its axes.
pub(super) const MEASURED: &[Key] = keys! {
    /// Name of the run in messages and in `sweep explain`.
    "name" = Shape::Text;
    /// Measured seconds of an optimizer step.
    "step_time_s" = Shape::Positive;
    /// Measured tokens per second of the whole job, in place of the step's time.
    "tokens_per_s" = Shape::Positive;
    /// Measured tokens per second and GPU, in place of the step's time.
    "tokens_per_s_per_gpu" = Shape::Positive;
    /// Measured samples per second of the whole job, in place of the step's time.
    "samples_per_s" = Shape::Positive;
};

/// Keys of `[measured]` where it names a file.
pub(super) const MEASURED_FILE: &[Key] = keys! {
    /// CSV file of measured steps as `sweep validate` takes it, relative to this file.
    "file" = Shape::Text;
    /// The rows themselves, in place of a file.
    "csv" = Shape::Text;
};

/// Keys of `[topologies.NAME]`.
pub(super) const TOPOLOGY: &[Key] = keys! {
    /// Names of the devices, in the order of a job's nodes.
    "devices" = Shape::TextList;
    /// Whether a device stands for a node with all its NICs, or for one NIC.
    "devices_are" = Shape::OneOf(DeviceUnit::NAMES, DeviceUnit::Nodes.as_str());
    /// Names of the switches.
    "switches" = Shape::TextList;
    /// Links between devices and switches.
    "links" = Shape::TableList(&table(LINK, &["from", "to", "bandwidth"]));
};

/// Keys of a link of a topology.
pub(super) const LINK: &[Key] = keys! {
    /// Device or switch at one end.
    "from" = Shape::Text;
    /// Device or switch at the other end.
    "to" = Shape::Text;
    /// Bandwidth of one link and direction: "400 Gbit/s".
    "bandwidth" = Shape::Text;
    /// Latency of one passage: "1 us"; all links have one, or none for the fabric's.
    "latency" = Shape::Text;
    /// Whether it carries nothing back (false).
    "one_way" = Shape::Bool;
    /// Alike links of a bundle (1).
    "count" = Shape::Count;
};

/// Keys of `[collectives.NAME]`.
pub(super) const COLLECTIVE: &[Key] = keys! {
    /// Schedule file, rounds of transfers or MSCCL XML, relative to this one.
    "file" = Shape::Text;
    /// The schedule itself, in place of a file.
    "schedule" = Shape::Text;
};

/// Refuses every key that is in none of some tables.
pub(super) fn check_keys(entries: &[Entry], known: &[&[Key]], faults: &mut Faults) {
    let known = || known.iter().copied().flatten().map(|key| key.name);
    let unknown = entries
        .iter()
        .filter(|entry| !known().any(|name| name == entry.key));
    // Axes outside their table lack one line, however many they are.
    let (axes, others): (Vec<&Entry>, Vec<&Entry>) =
        unknown.partition(|entry| entry.key.parse::<Axis>().is_ok());
    if let Some((first, rest)) = axes.split_first() {
        let plural = plural(1 + rest.len() as u64);
        let names = axes
            .iter()
            .map(|entry| format!("`{}`", entry.key))
            .join(", ");
        let message = format!("unknown key{plural} {names}");
        let hint = match rest {
            [] => format!(
                "`{}` is an axis: write it under [grid] or [defaults]",
                first.key
            ),
            _ => "they are axes: write them under [grid] or [defaults]".to_owned(),
        };
        let fault = Diagnostic::error(&first.key_place, message).hint(hint);
        faults.push(fault.also_at(rest.iter().map(|entry| &entry.key_place)));
    }
    for entry in others {
        if faults.is_full() {
            faults.count_one();
        } else {
            faults.push(unknown_key(entry, &known().collect::<Vec<_>>()));
        }
    }
}

fn unknown_key(entry: &Entry, known: &[&str]) -> Diagnostic {
    let message = format!("unknown key `{}`", entry.key);
    let fault = Diagnostic::error(&entry.key_place, message)
        .did_you_mean(&entry.key, known.iter().copied());
    if !fault.hints.is_empty() {
        return fault;
    }
    fault.hint(format!("expected one of: {}", known.join(", ")))
}
