//! Time and cost of a whole training: what comes beside its steps.

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::{DataType, Float64Type};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use crate::desk::Desk;

/// A small and a large job of 16-bit weights, beside fp32 master weights.
const SPEC: &str = "
name = 'whole'
[grid]
gpu = 'h100-sxm'
nodes = [1, 16]
model = 'llama3-8b'
stack = 'megatron-2025'
global_batch = 128
[analysis]
";

/// Columns of one table of a run.
struct Columns(RecordBatch);

impl Columns {
    fn read(desk: &Desk, file: &str) -> Self {
        let file = std::fs::File::open(desk.path(file)).unwrap();
        let builder = ParquetRecordBatchReaderBuilder::try_new(file).unwrap();
        Self(builder.build().unwrap().next().unwrap().unwrap())
    }

    /// Both rows of a column.
    fn both(&self, name: &str) -> [Option<f64>; 2] {
        let column = self.0.column_by_name(name).unwrap();
        let reals = arrow::compute::cast(column, &DataType::Float64).unwrap();
        let reals: Vec<Option<f64>> = reals.as_primitive::<Float64Type>().iter().collect();
        [reals[0], reals[1]]
    }

    /// Both numbers of a column.
    fn numbers(&self, name: &str) -> [f64; 2] {
        self.both(name).map(Option::unwrap)
    }
}

fn ran(analysis: &str) -> Columns {
    let desk = Desk::new();
    desk.write("whole.toml", format!("{SPEC}{analysis}"));
    let run = ["run", "whole.toml", "-o", "run", "--progress", "never"];
    desk.sweep(&run).expect_code(0);
    Columns::read(&desk, "run/points.parquet")
}

#[track_caller]
fn assert_near(found: f64, expected: f64) {
    assert!(
        (found / expected - 1.0).abs() < 1e-9,
        "{found}, expected {expected}"
    );
}

// Steps alone: 10¹² tokens at tokens_per_s, each step at its price and its energy.
#[test]
fn a_training_of_steps_alone_takes_its_tokens_over_their_rate() {
    let columns = ran("tokens = 1e12");
    let of = |name| columns.numbers(name);
    for row in 0..2 {
        assert_near(of("goodput")[row], 1.0);
        let seconds = 1e12 / of("tokens_per_s")[row];
        assert_near(of("days")[row], seconds / 86_400.0);
        assert_near(
            of("total_cost_usd")[row],
            of("cost_per_mtoken_usd")[row] * 1e6,
        );
        let steps = seconds / of("step_time_s")[row];
        assert_near(
            of("total_energy_kwh")[row],
            of("energy_per_step_kwh")[row] * steps,
        );
    }
}

// Samples of 8,192 tokens: 10¹² tokens are 122,070,312.5 of them.
#[test]
fn samples_say_the_same_as_their_tokens() {
    let [tokens, samples] = ["tokens = 1e12", "samples = 122_070_312.5"].map(ran);
    assert_eq!(tokens.both("days"), samples.both("days"));
}

#[test]
fn without_tokens_nothing_is_said_of_the_training() {
    let columns = ran("efficiency_threshold = 0.9");
    for column in ["goodput", "days", "total_cost_usd", "total_energy_kwh"] {
        assert_eq!(columns.both(column), [None, None], "{column}");
    }
    let images = |model: &str, analysis: &str| {
        let spec = SPEC
            .replace("llama3-8b", model)
            .replace("megatron-2025", "current");
        let desk = Desk::new();
        desk.write("images.toml", format!("{spec}{analysis}"));
        let run = ["run", "images.toml", "-o", "run", "--progress", "never"];
        desk.sweep(&run).expect_code(0);
        Columns::read(&desk, "run/points.parquet")
    };
    // Images have no tokens.
    assert_eq!(
        images("resnet50", "tokens = 1e12").both("days"),
        [None, None]
    );
    // 90 times 1,281,167 images, each of 3 · 224² bytes: reading 128 of them at 1 MB/s takes 19.27 s.
    for model in ["resnet50", "vit-b16"] {
        let read = images(model, "samples = 115_305_030\ndata_bandwidth = '1 MB/s'");
        let days = 115_305_030.0 / 128.0 * 19.267_584 / 86_400.0;
        assert_near(read.numbers("days")[0], days);
    }
}

// 8,030,261,248 parameters of 14 bytes at 10 GB/s are 11.24 s after every half hour; written behind the steps, nothing.
#[test]
fn a_checkpoint_holds_the_steps_up_unless_it_is_written_behind_them() {
    let every = "tokens = 1e12\ncheckpoint_bandwidth = '10 GB/s'\ncheckpoint_interval = '30 min'\n";
    let write = 8_030_261_248.0 * 14.0 / 10e9;
    for goodput in ran(every).numbers("goodput") {
        assert_near(goodput, 1.0 / (1.0 + write / 1_800.0));
    }
    let behind = ran(&format!("{every}checkpoint_async = true"));
    assert_eq!(behind.both("goodput"), [Some(1.0); 2]);
    let sized = ran(&format!("{every}checkpoint_size = '90 GB'"));
    assert_near(sized.numbers("goodput")[0], 1.0 / (1.0 + 9.0 / 1_800.0));
}

// A node that fails every 1,000 hours: a job of 16 every 62.5. Without checkpoints to pay for only the restart is lost,
// a factor of e^(R/M).
#[test]
fn a_larger_job_fails_more_often() {
    let restarts = ran("tokens = 1e12\nnode_mtbf_hours = 1_000\nrestart_time = '10 min'");
    for (goodput, nodes) in restarts.numbers("goodput").into_iter().zip([1.0, 16.0]) {
        assert_near(goodput, (-600.0 * nodes / 3.6e6_f64).exp());
    }
    let all = "tokens = 1e12\nnode_mtbf_hours = 1_000\nrestart_time = '10 min'\ncheckpoint_bandwidth = '1 GB/s'\n";
    let [waits, goes_on] =
        [all.to_owned(), format!("{all}checkpoint_async = true")].map(|it| ran(&it));
    for row in 0..2 {
        let goodput = |columns: &Columns| columns.numbers("goodput")[row];
        assert!(goodput(&waits) < goodput(&goes_on) && goodput(&goes_on) < goodput(&restarts));
    }
}

// 128 samples of 8,192 tokens in four bytes each (a vocabulary of 128,256) are 4.19 MB a step.
#[test]
fn a_step_waits_for_its_data() {
    let slow = ran("tokens = 1e12\ndata_bandwidth = '1 MB/s'");
    let tokens: f64 = 128.0 * 8_192.0;
    for (row, days) in slow.numbers("days").into_iter().enumerate() {
        let step = slow.numbers("step_time_s")[row];
        let reading = 4.0 * tokens / 1e6;
        assert_near(days, 1e12 / tokens * reading.max(step) / 86_400.0);
    }
    let fast = ran("tokens = 1e12\ndata_bandwidth = '1 GB/s'");
    assert_eq!(fast.both("goodput"), [Some(1.0); 2]);
}

// Kernels of a fifth more time on one node are waited for by all; every 100 steps ten more forward passes, each with its
// share of the bubble.
#[test]
fn slow_nodes_and_evaluations_add_to_a_step() {
    let slow = ran("tokens = 1e12\nslow_nodes = 1\nslow_factor = 1.2");
    let evaluated = ran("tokens = 1e12\nevaluation_every = 100\nevaluation_steps = 10");
    for row in 0..2 {
        let of = |name| slow.numbers(name)[row];
        let kernels = of("compute_s") + of("recompute_s") + of("optimizer_s");
        assert_near(
            of("goodput"),
            1.0 / (1.0 + 0.2 * kernels / of("step_time_s")),
        );
        let of = |name| evaluated.numbers(name)[row];
        let (forward, backward) = (of("forward_s"), of("backward_s"));
        let pass = forward + of("bubble_s") * forward / (forward + backward);
        assert_near(of("goodput"), 1.0 / (1.0 + 0.1 * pass / of("step_time_s")));
    }
}

// A failure every minute, checkpoints every 20 hours that take one: e^((72,000 + 3,600)/60) is beyond any number, and no
// training ends.
#[test]
fn a_training_that_never_ends_has_no_days() {
    let columns = ran(
        "tokens = 1e12\nnode_mtbf_hours = 0.01666\ncheckpoint_size = '3_600_000 GB'\n\
                       checkpoint_bandwidth = '1_000 GB/s'\ncheckpoint_interval = '20 h'",
    );
    assert_eq!(columns.both("days"), [None, None]);
}

/// Everything at once.
const ALL: &str = "
tokens = 1e12
node_mtbf_hours = 1_000
restart_time = '5 min'
checkpoint_size = '100 GB'
checkpoint_bandwidth = '10 GB/s'
checkpoint_async = true
checkpoint_interval = '1 h'
evaluation_every = 1_000
evaluation_steps = 10
data_bandwidth = '2 GB/s'
slow_nodes = 1
slow_factor = 1.05
";

#[test]
fn the_scaling_table_and_the_run_of_its_own_spec_say_the_same() {
    let desk = Desk::new();
    desk.write("whole.toml", format!("{SPEC}{ALL}"));
    for (spec, out) in [("whole.toml", "run"), ("run/spec.toml", "again")] {
        desk.sweep(&["run", spec, "-o", out, "--progress", "never"])
            .expect_code(0);
    }
    let (points, scaling) = (
        Columns::read(&desk, "run/points.parquet"),
        Columns::read(&desk, "run/scaling.parquet"),
    );
    for column in ["goodput", "days", "total_cost_usd", "total_energy_kwh"] {
        assert_eq!(points.both(column), scaling.both(column), "{column}");
    }
    for file in ["points.parquet", "scaling.parquet"] {
        let [one, two] = ["run", "again"].map(|run| desk.read(&format!("{run}/{file}")));
        assert!(one == two, "{file}");
    }
    let explained = desk.sweep(&["explain", "run", "0"]).expect_code(0).stdout;
    assert!(
        explained.contains("  days ") && explained.contains("  goodput "),
        "{explained}"
    );
}

// The training begins with a fifth at half the batch, and goes on as the row says: n·t of both parts.
#[test]
fn phases_run_with_their_own_batch_and_sequence_length() {
    let phase = "[[analysis.phases]]\ntokens = 2e11\n";
    let columns = ran(&format!(
        "tokens = 1e12\n{phase}global_batch = 64\nseq_len = 4096"
    ));
    let desk = Desk::new();
    let alone = SPEC.replace("global_batch = 128", "global_batch = 64\nseq_len = 4096");
    desk.write("alone.toml", format!("{alone}tokens = 2e11"));
    let run = ["run", "alone.toml", "-o", "run", "--progress", "never"];
    desk.sweep(&run).expect_code(0);
    let begins = Columns::read(&desk, "run/points.parquet").numbers("days");
    let goes_on = ran("tokens = 8e11").numbers("days");
    for row in 0..2 {
        assert_near(columns.numbers("days")[row], begins[row] + goes_on[row]);
        assert_near(columns.numbers("goodput")[row], 1.0);
    }
    // A phase that says what the row says changes nothing.
    let same = ran(&format!("tokens = 1e12\n{phase}global_batch = 128"));
    assert_near(
        same.numbers("days")[0],
        ran("tokens = 1e12").numbers("days")[0],
    );
}

// Ten million tokens on 8 GPUs keep 32 layers of 1.25 million tokens of 8 KiB, 328 GB each, in the best case; on 128
// GPUs 20 GB.
#[test]
fn a_phase_that_cannot_run_leaves_the_training_open() {
    let columns = ran("tokens = 1e12\n[[analysis.phases]]\ntokens = 1e9\nseq_len = 10_000_000");
    let [eight, more] = columns.both("days");
    assert!(eight.is_none() && more.is_some(), "{eight:?} {more:?}");
    assert!(columns.both("step_time_s").iter().all(Option::is_some));
}
