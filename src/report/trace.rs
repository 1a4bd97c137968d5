//! The timeline of a step as Chrome trace JSON, which Perfetto and `chrome://tracing` open.
//!
//! One process per pipeline stage, one thread per stream. Process ids start at 1 and thread ids
//! are unique over all processes: Perfetto drops slices otherwise.

use serde_json::{Value, json};

use crate::simulation::training::{Slice, SliceKind, Trace, Track};
use crate::units::{SimDuration, SimTime};

/// The trace as JSON text; `name` is that of the point.
pub fn chrome_json(trace: &Trace, name: &str) -> String {
    let mut events: Vec<Value> = Vec::new();
    for stage in 0..trace.stages {
        events.push(json!({
            "ph": "M", "name": "process_name", "pid": process(stage), "tid": thread(stage, Track::Compute),
            "args": {"name": format!("stage {stage} of {name}")},
        }));
        events.push(json!({
            "ph": "M", "name": "process_sort_index", "pid": process(stage), "tid": thread(stage, Track::Compute),
            "args": {"sort_index": stage},
        }));
        for track in Track::ALL {
            events.push(json!({
                "ph": "M", "name": "thread_name", "pid": process(stage), "tid": thread(stage, *track),
                "args": {"name": track.as_str()},
            }));
        }
    }
    events.extend(trace.slices.iter().map(slice_event));
    for (id, (from, to)) in trace.flows.iter().enumerate() {
        if let (Some(from), Some(to)) = (trace.slices.get(*from), trace.slices.get(*to)) {
            events.push(flow_event("s", id, from, last_moment(from)));
            events.push(flow_event("f", id, to, microseconds(to.start)));
        }
    }
    events.extend(trace.counters.iter().map(|counter| {
        json!({
            "ph": "C", "name": "activations", "pid": process(counter.stage),
            "ts": microseconds(counter.at), "args": {"GiB": counter.activations.as_gib()},
        })
    }));
    json!({"displayTimeUnit": "ms", "traceEvents": events}).to_string()
}

const fn process(stage: u32) -> u32 {
    stage + 1
}

const fn thread(stage: u32, track: Track) -> u32 {
    match track {
        Track::Compute => 2 * stage + 1,
        Track::Communication => 2 * stage + 2,
    }
}

fn microseconds(time: SimTime) -> f64 {
    time.as_picos() as f64 / 1e6
}

fn length(duration: SimDuration) -> f64 {
    duration.as_picos() as f64 / 1e6
}

/// The last moment that still lies inside a slice, for the arrow that leaves it.
fn last_moment(slice: &Slice) -> f64 {
    microseconds(slice.start) + 0.999 * length(slice.duration)
}

fn slice_event(slice: &Slice) -> Value {
    let mut args = serde_json::Map::new();
    if let Some(microbatch) = slice.microbatch {
        args.insert("microbatch".to_owned(), json!(microbatch));
    }
    if let Some((first, end)) = slice.layers {
        args.insert("first_layer".to_owned(), json!(first));
        args.insert("last_layer".to_owned(), json!(end.saturating_sub(1)));
    }
    let parts = &slice.parts;
    for (name, time) in [
        ("compute_us", parts.compute),
        ("recompute_us", parts.recompute),
        ("communication_us", parts.exposed_communication()),
        ("overhead_us", parts.overhead),
    ] {
        if time > SimDuration::ZERO {
            args.insert(name.to_owned(), json!(length(time)));
        }
    }
    json!({
        "ph": "X", "cat": slice.kind.as_str(), "name": slice_name(slice),
        "pid": process(slice.stage), "tid": thread(slice.stage, slice.track),
        "ts": microseconds(slice.start), "dur": length(slice.duration), "args": args,
    })
}

/// `forward 3 · layers 0–7`.
fn slice_name(slice: &Slice) -> String {
    let kind = match slice.kind {
        SliceKind::Forward
        | SliceKind::Backward
        | SliceKind::Send
        | SliceKind::Replication
        | SliceKind::Optimizer
        | SliceKind::Host => slice.kind.as_str(),
    };
    let microbatch = slice
        .microbatch
        .map(|m| format!(" {m}"))
        .unwrap_or_default();
    let layers = match slice.layers {
        Some((first, end)) if end > first => format!(" · layers {first}–{}", end - 1),
        Some(_) | None => String::new(),
    };
    format!("{kind}{microbatch}{layers}")
}

fn flow_event(phase: &str, id: usize, slice: &Slice, at: f64) -> Value {
    let mut event = json!({
        "ph": phase, "cat": "send", "name": "send", "id": id,
        "pid": process(slice.stage), "tid": thread(slice.stage, slice.track), "ts": at,
    });
    if phase == "f" {
        event["bp"] = json!("e");
    }
    event
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulation::TimeShares;

    fn slice(stage: u32, start: u64) -> Slice {
        Slice {
            stage,
            track: Track::Compute,
            kind: SliceKind::Forward,
            microbatch: Some(3),
            chunk: Some(0),
            layers: Some((0, 8)),
            start: SimTime::from_picos(start),
            duration: SimDuration::from_micros(5),
            parts: TimeShares::default(),
        }
    }

    #[test]
    fn ids_start_at_one_and_no_two_threads_share_one() {
        let trace = Trace {
            stages: 2,
            slices: vec![slice(0, 0), slice(1, 5_000_000)],
            flows: vec![(0, 1)],
            counters: Vec::new(),
        };
        let value: Value = serde_json::from_str(&chrome_json(&trace, "point 1")).unwrap();
        let events = value["traceEvents"].as_array().unwrap();
        assert!(events.iter().all(|event| event["pid"].as_u64() >= Some(1)));
        let mut threads: Vec<u64> = events
            .iter()
            .filter(|event| event["name"] == "thread_name")
            .map(|event| event["tid"].as_u64().unwrap())
            .collect();
        let count = threads.len();
        threads.sort_unstable();
        threads.dedup();
        assert_eq!(threads.len(), count);
        // The second slice starts where the first ends: 5 µs.
        let slices: Vec<&Value> = events.iter().filter(|event| event["ph"] == "X").collect();
        assert_eq!(slices[1]["ts"], 5.0);
        assert_eq!(slices[0]["name"], "forward 3 · layers 0–7");
        let ends = events.iter().filter(|event| event["ph"] == "f").count();
        assert_eq!(ends, 1);
    }
}
