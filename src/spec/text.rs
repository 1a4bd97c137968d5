//! Text of a spec that runs by itself: includes, `--set` and `--where` resolved.

use std::fmt::Write as _;

use itertools::Itertools;

use crate::spec::analysis::{AnalysisSettings, BesideStep};
use crate::spec::axis_values::AxisValues;
use crate::spec::question::Question;
use crate::spec::read::{Given, Heading, Parts, Table};
use crate::spec::value::AxisValue;
use crate::units::SimDuration;

/// Writes everything that the points and the analysis depend on.
pub(super) fn resolved(heading: &Heading, parts: &Parts, tables: &toml::Table) -> String {
    let mut text = String::new();
    line(&mut text, "name", &quoted(&heading.name));
    if !heading.description.is_empty() {
        line(&mut text, "description", &quoted(&heading.description));
    }
    line(&mut text, "kind", &quoted(heading.kind.as_str()));
    if !heading.clauses.is_empty() {
        let clauses = heading.clauses.iter().map(|it| quoted(&it.text)).join(", ");
        line(&mut text, "where", &format!("[{clauses}]"));
    }
    let headroom = heading.analysis.thresholds.memory_headroom;
    line(
        &mut text,
        "memory_headroom",
        &AxisValue::Real(headroom).to_toml(),
    );
    for grid in &parts.grids {
        table(&mut text, "[[grid]]", grid, values);
    }
    for zip in &parts.zips {
        table(&mut text, "[[zip]]", zip, values);
    }
    for point in &parts.points {
        table(&mut text, "[[point]]", point, AxisValue::to_toml);
    }
    if !parts.defaults.is_empty() {
        text.push_str("\n[defaults]\n");
        axes(&mut text, &parts.defaults, AxisValue::to_toml);
    }
    analysis(&mut text, &heading.analysis);
    text.push_str(&limits(&heading.analysis.question));
    if !tables.is_empty() {
        let tables = toml::to_string(tables).expect("a table of plain values has a text");
        write!(text, "\n{tables}").expect("writing to a text cannot fail");
    }
    text
}

/// Text of a table that was read from a resolved text, its axes in their order. A serializer writes tables behind plain values, and so would
/// move an axis with a range behind the others: the points would have other numbers.
pub(super) fn written(mut table: toml::Table) -> String {
    let products = ["grid", "zip"].map(|key| (key, table.remove(key)));
    let mut text = toml::to_string(&table).expect("a table of plain values has a text");
    for (key, tables) in &products {
        let tables = tables.as_ref().and_then(toml::Value::as_array);
        let tables = tables.into_iter().flatten();
        for axes in tables.filter_map(toml::Value::as_table) {
            writeln!(text, "\n[[{key}]]").expect("writing to a text cannot fail");
            for (axis, values) in axes {
                line(&mut text, axis, &values.to_string());
            }
        }
    }
    text
}

fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

fn line(text: &mut String, key: &str, value: &str) {
    writeln!(text, "{key} = {value}").expect("writing to a text cannot fail");
}

fn table<T>(text: &mut String, header: &str, table: &Table<T>, write: fn(&T) -> String) {
    writeln!(text, "\n{header}").expect("writing to a text cannot fail");
    axes(text, &table.axes, write);
}

fn axes<T>(text: &mut String, axes: &[Given<T>], write: fn(&T) -> String) {
    for given in axes {
        line(text, given.axis.as_str(), &write(&given.values));
    }
}

fn values(values: &AxisValues) -> String {
    match values {
        AxisValues::List(values) => {
            format!("[{}]", values.iter().map(AxisValue::to_toml).join(", "))
        }
        AxisValues::Counts { from, step, len } => {
            let to = from + step * (len - 1);
            format!("{{ from = {from}, to = {to}, step = {step} }}")
        }
        AxisValues::Reals { from, to, step, .. } => {
            let [from, to, step] =
                [from, to, step].map(|number| AxisValue::Real(*number).to_toml());
            format!("{{ from = {from}, to = {to}, step = {step} }}")
        }
    }
}

fn analysis(text: &mut String, settings: &AnalysisSettings) {
    let AnalysisSettings {
        efficiency_threshold,
        question,
        phases,
        beside,
        thresholds,
    } = settings;
    let real = |number: f64| AxisValue::Real(number).to_toml();
    text.push_str("\n[analysis]\n");
    line(text, "efficiency_threshold", &real(*efficiency_threshold));
    for (key, amount) in [("tokens", question.tokens), ("samples", question.samples)] {
        if let Some(amount) = amount {
            line(text, key, &real(amount));
        }
    }
    beside_step(text, beside);
    text.push_str("\n[analysis.thresholds]\n");
    line(text, "gpu_utilization", &real(thresholds.gpu_utilization));
    line(text, "memory", &real(thresholds.memory));
    line(
        text,
        "exposed_communication",
        &real(thresholds.exposed_communication),
    );
    line(text, "bubble", &real(thresholds.bubble));
    let unit = if question.samples.is_some() {
        "samples"
    } else {
        "tokens"
    };
    for phase in phases {
        text.push_str("\n[[analysis.phases]]\n");
        line(text, unit, &real(phase.amount));
        let counts = [
            ("global_batch", phase.global_batch),
            ("seq_len", phase.seq_len),
        ];
        for (key, count) in counts {
            if let Some(count) = count {
                line(text, key, &count.to_string());
            }
        }
    }
}

/// The limits of a question as a table, which no point depends on; nothing without limits.
pub(super) fn limits(question: &Question) -> String {
    let Question {
        tokens: _,
        samples: _,
        deadline,
        budget_usd,
        gpus_max,
        confidence,
    } = question;
    let real = |number: f64| AxisValue::Real(number).to_toml();
    let lines = [
        (
            "deadline",
            deadline.map(|time| quoted(&format!("{} s", real(time.get())))),
        ),
        (
            "budget",
            budget_usd.map(|usd| quoted(&format!("{} USD", real(usd)))),
        ),
        ("gpus_max", gpus_max.map(|gpus| gpus.to_string())),
        ("confidence", confidence.map(real)),
    ];
    let mut text = String::new();
    for (key, value) in lines {
        if let Some(value) = value {
            if text.is_empty() {
                text.push_str("\n[question]\n");
            }
            line(&mut text, key, &value);
        }
    }
    text
}

fn beside_step(text: &mut String, settings: &BesideStep) {
    let BesideStep {
        node_mtbf_hours,
        restart_time,
        checkpoint_size,
        checkpoint_bandwidth,
        checkpoint_async,
        checkpoint_interval,
        evaluation,
        data_bandwidth,
        slow_nodes,
    } = settings;
    let real = |number: f64| AxisValue::Real(number).to_toml();
    let numbers = [
        ("node_mtbf_hours", *node_mtbf_hours),
        ("evaluation_every", evaluation.map(|it| it.every)),
        ("evaluation_steps", evaluation.map(|it| it.steps)),
        ("slow_nodes", slow_nodes.map(|it| it.nodes)),
        ("slow_factor", slow_nodes.map(|it| it.factor)),
    ];
    for (key, number) in numbers {
        if let Some(number) = number {
            line(text, key, &real(number));
        }
    }
    if let Some(size) = checkpoint_size {
        line(text, "checkpoint_size", &AxisValue::Size(*size).to_toml());
    }
    let rates = [
        ("checkpoint_bandwidth", checkpoint_bandwidth),
        ("data_bandwidth", data_bandwidth),
    ];
    for (key, rate) in rates {
        if let Some(rate) = rate {
            let bytes = real(rate.as_bytes_per_s());
            line(text, key, &quoted(&format!("{bytes} B/s")));
        }
    }
    if *checkpoint_async {
        line(text, "checkpoint_async", "true");
    }
    let times = [
        ("restart_time", restart_time),
        ("checkpoint_interval", checkpoint_interval),
    ];
    for (key, time) in times {
        if let Some(time) = time {
            line(text, key, &quoted(&exact_time(*time)));
        }
    }
}

fn exact_time(time: SimDuration) -> String {
    format!("{} ps", time.as_picos())
}
