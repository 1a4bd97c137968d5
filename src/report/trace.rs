//! The timeline of a step as Chrome trace JSON, which Perfetto and `chrome://tracing` open.
//!
//! One process per pipeline stage, one thread per stream. Perfetto drops slices unless process ids
//! start at 1, thread ids are unique over all processes and no thread has the id of a process (it
//! would be that one's main thread), and no slice of a thread begins before the one before it ends.
//! Perfetto truncates the microseconds of the file to whole nanoseconds; so both ends of every slice are
//! rounded to whole nanoseconds here, and written such that truncation keeps them.

use serde_json::{Value, json};

use crate::simulation::StepPart;
use crate::simulation::training::{Slice, Trace, Track};
use crate::units::{SimDuration, SimTime};

/// The trace as JSON text; `name` is that of the point.
pub(crate) fn chrome_json(trace: &Trace, name: &str) -> String {
    let mut events: Vec<Value> = Vec::new();
    // Where Perfetto sorts by name, 10 comes before 2 unless all numbers have as many digits.
    let digits = trace.stages.saturating_sub(1).to_string().len();
    for stage in 0..trace.stages {
        let mut metadata = |what: &str, track: Track, args: Value| {
            events.push(json!({
                "ph": "M", "name": what, "pid": process(stage), "tid": thread(stage, track), "args": args,
            }));
        };
        let name = format!("stage {stage:0digits$} of {name}");
        metadata("process_name", Track::Compute, json!({"name": name}));
        metadata(
            "process_sort_index",
            Track::Compute,
            json!({"sort_index": stage}),
        );
        for (place, track) in Track::ALL.iter().enumerate() {
            metadata("thread_name", *track, json!({"name": track.as_str()}));
            metadata("thread_sort_index", *track, json!({"sort_index": place}));
        }
    }
    events.extend(trace.slices.iter().map(slice_event));
    for (id, (from, to)) in trace.flows.iter().enumerate() {
        if let (Some(from), Some(to)) = (trace.slices.get(*from), trace.slices.get(*to)) {
            // The last nanosecond that lies inside the slice, for the arrow that leaves it.
            let (start, end) = ends(from);
            let last = end.saturating_sub(1).max(start);
            events.push(flow_event("s", id, from, last));
            events.push(flow_event("f", id, to, ends(to).0));
        }
    }
    events.extend(trace.counters.iter().map(|counter| {
        json!({
            "ph": "C", "name": "activations", "pid": process(counter.stage),
            "ts": microseconds(nanoseconds(counter.at)), "args": {"GiB": counter.activations.as_gib()},
        })
    }));
    json!({"displayTimeUnit": "ms", "traceEvents": events}).to_string()
}

const fn process(stage: u32) -> u32 {
    stage + 1
}

/// Thread id, above every process id: no trace has a million stages.
const fn thread(stage: u32, track: Track) -> u32 {
    let stream = match track {
        Track::Compute => 1,
        Track::Communication => 2,
        Track::Sends => 3,
    };
    1_000_000 + 10 * stage + stream
}

/// Whole nanoseconds since the step began.
const fn nanoseconds(time: SimTime) -> u64 {
    (time.as_picos() + 500) / 1_000
}

/// Nanoseconds as the microseconds of a Chrome trace. A reader that multiplies by 1,000 and truncates gets the
/// same nanoseconds, even if its number parser is off by the last bit: a hundredth of a nanosecond is added
/// where truncation might give the nanosecond below.
fn microseconds(nanoseconds: u64) -> f64 {
    const HUNDREDTH_NS: f64 = 1e-5;
    let value = nanoseconds as f64 / 1_000.0;
    let cut = |value: f64| (value * 1_000.0) as u64;
    if value.fract() == 0.0 || cut(value.next_down()) == nanoseconds {
        value
    } else {
        value + HUNDREDTH_NS
    }
}

fn length_us(duration: SimDuration) -> f64 {
    duration.as_picos() as f64 / 1e6
}

/// First nanosecond of a slice, and the first after it.
fn ends(slice: &Slice) -> (u64, u64) {
    (
        nanoseconds(slice.start),
        nanoseconds(slice.start + slice.duration),
    )
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
        ("compute_us", parts[StepPart::Compute]),
        ("recompute_us", parts[StepPart::Recompute]),
        ("communication_us", parts.exposed_communication()),
        ("overhead_us", parts[StepPart::Overhead]),
    ] {
        if time > SimDuration::ZERO {
            args.insert(name.to_owned(), json!(length_us(time)));
        }
    }
    let (start, end) = ends(slice);
    json!({
        "ph": "X", "cat": slice.kind.as_str(), "name": slice_name(slice),
        "pid": process(slice.stage), "tid": thread(slice.stage, slice.track),
        "ts": microseconds(start), "dur": microseconds(end - start), "args": args,
    })
}

/// `forward 3 · layers 0–7`.
fn slice_name(slice: &Slice) -> String {
    let kind = slice.kind.as_str();
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

fn flow_event(phase: &str, id: usize, slice: &Slice, at: u64) -> Value {
    let mut event = json!({
        "ph": phase, "cat": "send", "name": "send", "id": id,
        "pid": process(slice.stage), "tid": thread(slice.stage, slice.track),
        "ts": microseconds(at),
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
    use crate::simulation::training::SliceKind;

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

    fn events(trace: &Trace) -> Vec<Value> {
        let value: Value = serde_json::from_str(&chrome_json(trace, "point 1")).unwrap();
        value["traceEvents"].as_array().unwrap().clone()
    }

    #[test]
    fn ids_start_at_one_and_no_two_threads_share_one() {
        let trace = Trace {
            stages: 20,
            slices: vec![slice(0, 0), slice(19, 5_000_000)],
            flows: vec![(0, 1)],
            counters: Vec::new(),
        };
        let events = events(&trace);
        let named = |name: &str, id: &str| -> Vec<u64> {
            events
                .iter()
                .filter(|event| event["name"] == name)
                .map(|event| event[id].as_u64().unwrap())
                .collect()
        };
        let processes = named("process_name", "pid");
        assert!(processes.iter().all(|pid| *pid >= 1));
        let mut threads = named("thread_name", "tid");
        // Three streams of each stage; none may be taken for the main thread of a process.
        assert_eq!(threads.len(), 60);
        assert!(threads.iter().all(|tid| !processes.contains(tid)));
        threads.sort_unstable();
        threads.dedup();
        assert_eq!(threads.len(), 60);
        // The second slice starts where the first ends: 5 µs.
        let slices: Vec<&Value> = events.iter().filter(|event| event["ph"] == "X").collect();
        assert_eq!(slices[1]["ts"], 5.0);
        assert_eq!(slices[0]["name"], "forward 3 · layers 0–7");
        let ends = events.iter().filter(|event| event["ph"] == "f").count();
        assert_eq!(ends, 1);
    }

    // Twelve stages: by their sort index, and by their names where a reader does not know it.
    #[test]
    fn stages_are_sorted_by_number_also_by_their_names() {
        let trace = Trace {
            stages: 12,
            slices: Vec::new(),
            flows: Vec::new(),
            counters: Vec::new(),
        };
        let events = events(&trace);
        let of = |what: &str, key: &str| -> Vec<Value> {
            let metadata = events.iter().filter(|event| event["name"] == what);
            metadata.map(|event| event["args"][key].clone()).collect()
        };
        let names = of("process_name", "name");
        let names: Vec<&str> = names.iter().filter_map(Value::as_str).collect();
        assert_eq!(names.len(), 12);
        assert_eq!(
            (names[2], names[11]),
            ("stage 02 of point 1", "stage 11 of point 1")
        );
        assert!(names.is_sorted(), "{names:?}");
        let indices = of("process_sort_index", "sort_index");
        assert_eq!(indices, (0..12).map(Value::from).collect::<Vec<_>>());
    }

    #[test]
    fn slices_that_touch_do_not_overlap_in_whole_nanoseconds() {
        // Slices of 1.7 ns to 1.7 µs and odd picoseconds, back to back over some seconds.
        let mut start = SimTime::from_picos(0);
        let slices: Vec<Slice> = (0..20_000_u64)
            .map(|number| {
                let mut slice = slice(0, start.as_picos());
                slice.duration = SimDuration::from_picos(1_700 + number * 7_919 % 1_700_000);
                start = start + slice.duration;
                slice
            })
            .collect();
        let trace = Trace {
            stages: 1,
            slices,
            flows: Vec::new(),
            counters: Vec::new(),
        };
        // As Perfetto reads it: microseconds times 1,000, cut off.
        let cut = |value: &Value| (value.as_f64().unwrap() * 1_000.0) as u64;
        let mut free_from = 0;
        for event in events(&trace).iter().filter(|event| event["ph"] == "X") {
            let (from, length) = (cut(&event["ts"]), cut(&event["dur"]));
            assert_eq!(from, free_from, "slices touch");
            free_from = from + length;
        }
        // Rounded once, at the end: not the sum of twenty thousand roundings.
        assert_eq!(free_from, nanoseconds(start));
    }
}
