//! Price lists, power caps and the building's share of the energy.

use std::sync::Arc;

use arrow::array::{Array, Float64Array};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use crate::desk::Desk;

const JOB: &str = "model = \"llama3-8b\"\nglobal_batch = 64\n";

/// A column of numbers of a run on a spec; null is NaN.
fn column(spec: &str, name: &str) -> Vec<f64> {
    let desk = Desk::new();
    desk.write("money.toml", spec);
    desk.sweep(&["run", "money.toml", "-o", "run"])
        .expect_code(0);
    let file = std::fs::File::open(desk.path("run/points.parquet")).unwrap();
    let batches = ParquetRecordBatchReaderBuilder::try_new(file)
        .unwrap()
        .build()
        .unwrap();
    let mut values = Vec::new();
    for batch in batches {
        let batch = batch.unwrap();
        let column = Arc::clone(batch.column_by_name(name).expect("a column"));
        let numbers = column
            .as_any()
            .downcast_ref::<Float64Array>()
            .expect("reals");
        values.extend((0..numbers.len()).map(|row| {
            if numbers.is_null(row) {
                f64::NAN
            } else {
                numbers.value(row)
            }
        }));
    }
    values
}

fn close(a: f64, b: f64) -> bool {
    (a / b - 1.0).abs() < 1e-9
}

// One H100 node: 2.29 USD a GPU and hour at Verda, 55.04 USD a node at AWS on demand and 12.6935 on the spot market:
// the same step costs as the prices are to one another. Half a node still pays for the whole one at AWS.
#[test]
fn a_price_list_is_an_axis_and_node_prices_are_paid_for_whole_nodes() {
    let lists = "prices = [\"verda-2026\", \"aws-2026\", \"aws-2026-spot\"]";
    let spec = |gpus: u32| format!("[grid]\ngpu = \"h100-sxm\"\ngpus = {gpus}\n{JOB}{lists}\n");
    let whole = column(&spec(8), "cost_per_step_usd");
    assert!(
        close(whole[1] / whole[0], 55.04 / (8.0 * 2.29)),
        "{whole:?}"
    );
    assert!(close(whole[2] / whole[1], 12.6935 / 55.04), "{whole:?}");
    let (half, seconds) = (
        column(&spec(4), "cost_per_step_usd"),
        column(&spec(4), "step_time_s"),
    );
    assert!(close(half[0], 4.0 * 2.29 * seconds[0] / 3600.0), "{half:?}");
    assert!(close(half[1], 55.04 * seconds[1] / 3600.0), "{half:?}");
}

// 2.10 EUR at 1.10 USD are 2.31 USD; a bare number is in the list's currency, dollars need no rate. A GPU that changes
// another one rents like it, unless its own table says otherwise.
#[test]
fn an_own_list_states_its_currency_and_rate() {
    let spec = format!(
        "[grid]\ngpu = [\"h100-sxm\", \"h200\", \"b200\", \"mine\", \"dear\"]\nnodes = 1\n{JOB}\
         [prices]\ncurrency = \"EUR\"\nusd_rate = 1.1\nterm = \"reserved\"\ndate = \"2026-11\"\n\
         [prices.per_gpu_hour]\nH100_SXM = \"2.10 EUR\"\nh200 = 3\nb200 = \"5 USD\"\n\
         [gpus.mine]\nbase = \"h100-sxm\"\n[gpus.dear]\nbase = \"h100-sxm\"\nprice_per_hour = \"9 USD\"\n"
    );
    let costs = column(&spec, "cost_per_step_usd");
    let seconds = column(&spec, "step_time_s");
    let hourly: Vec<f64> = costs
        .iter()
        .zip(&seconds)
        .map(|(cost, s)| cost / s * 450.0)
        .collect();
    for (paid, price) in hourly.iter().zip([2.31, 3.3, 5.0, 2.31, 9.0]) {
        assert!(close(*paid, price), "{hourly:?}");
    }
}

// Several own lists by name, one of them for all points that name none.
#[test]
fn lists_have_names_and_the_top_of_the_spec_names_one() {
    let spec = format!(
        "prices = \"lambda-2026\"\npue = 1.2\npower_cap = \"500 W\"\n[grid]\ngpu = \"h100-sxm\"\nnodes = 1\n{JOB}"
    );
    let (cost, seconds) = (
        column(&spec, "cost_per_step_usd"),
        column(&spec, "step_time_s"),
    );
    assert!(close(cost[0], 8.0 * 3.99 * seconds[0] / 3600.0));
    // 8 GPUs of 500 W, and a fifth on top for the building.
    let energy = column(&spec, "energy_per_step_kwh");
    assert!(close(energy[0], 8.0 * 0.5 * 1.2 * seconds[0] / 3600.0));
    let own = format!(
        "[grid]\ngpu = \"h100-sxm\"\nnodes = 1\n{JOB}prices = [\"cheap\", \"dear\"]\n\
         [prices.cheap]\nper_gpu_hour = {{ h100-sxm = 1 }}\n[prices.dear]\nper_node_hour = {{ h100-sxm = 16 }}\n"
    );
    let costs = column(&own, "cost_per_step_usd");
    assert!(close(costs[1] / costs[0], 2.0), "{costs:?}");
}

// A cap slows the step and saves energy; one over the GPU's own limit does nothing; one that no GPU takes is no row.
#[test]
fn a_power_cap_slows_the_gpus_and_saves_energy() {
    let caps = "power_cap = [\"auto\", \"800 W\", \"500 W\", \"300 W\", \"100 W\"]";
    let spec = format!("[grid]\ngpu = \"h100-sxm\"\nnodes = 1\n{JOB}{caps}\n");
    let (times, energies) = (
        column(&spec, "step_time_s"),
        column(&spec, "energy_per_step_kwh"),
    );
    assert!(close(times[0], times[1]) && close(energies[0], energies[1]));
    assert!(times[1] < times[2] && times[2] < times[3], "{times:?}");
    assert!(energies[1] > energies[2], "{energies:?}");
    // Slower by no more than the power is lower.
    assert!(times[2] / times[1] < 700.0 / 500.0, "{times:?}");
    assert!(times[4].is_nan());
    let desk = Desk::new();
    desk.write("money.toml", &spec);
    desk.sweep(&["run", "money.toml", "-o", "run"])
        .expect_code(0);
    let explained = desk.sweep(&["explain", "run", "4"]);
    assert!(
        explained
            .stdout
            .contains("power_cap 100 W is under the least"),
        "{}",
        explained.stdout
    );
}

// 300, 400 and 500 W as a range, and by doubling from 250 W: 250 and 500.
#[test]
fn caps_are_ranges_of_powers() {
    let spec =
        |caps: &str| format!("[grid]\ngpu = \"h100-sxm\"\nnodes = 1\n{JOB}power_cap = {caps}\n");
    let linear = column(
        &spec("{ from = \"300 W\", to = \"500 W\", step = \"100 W\" }"),
        "power_cap",
    );
    assert_eq!(linear, [300.0, 400.0, 500.0]);
    let doubled = column(
        &spec("{ from = \"250 W\", to = \"0.5 kW\", times = 2 }"),
        "power_cap",
    );
    assert_eq!(doubled, [250.0, 500.0]);
    let kept = format!(
        "where = \"power_cap < 450\"\n{}",
        spec("[\"400 W\", \"500 W\"]")
    );
    assert_eq!(column(&kept, "power_cap"), [400.0]);
}

// The GPU's own limit is the highest of three, so that what is left open is the fastest.
#[test]
fn a_value_that_is_left_open_is_compared_with_those_that_are_given() {
    let desk = Desk::new();
    let text = format!(
        "[grid]\ngpu = \"h100-sxm\"\nnodes = 1\n{JOB}power_cap = [\"500 W\", \"auto\", \"400 W\"]\n"
    );
    desk.write("caps.toml", text);
    let said = desk.sweep(&["run", "caps.toml", "-o", "run"]);
    let said = said.expect_code(0).stdout;
    assert!(said.contains("power_cap auto is fastest"), "{said}");
}

#[test]
fn the_lists_are_listed_with_date_and_term() {
    let desk = Desk::new();
    let listed = desk.sweep(&["list", "prices"]).expect_code(0).stdout;
    for part in [
        "aws-2026-spot",
        "spot",
        "aws-2024-12-reserved",
        "reserved",
        "verda-2026",
    ] {
        assert!(listed.contains(part), "{listed}");
    }
    let one = desk
        .sweep(&["list", "prices", "aws-2026"])
        .expect_code(0)
        .stdout;
    assert!(
        one.contains("55.04 USD") && one.contains("vms.csv"),
        "{one}"
    );
}
