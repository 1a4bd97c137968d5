//! Network cases in JSON: links, flows and the arrival of each flow's last byte.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::des::{Crossing, Flow, FlowLink, finish_times};
use crate::units::{Bandwidth, Bytes, SimDuration, SimTime};

use super::case::{Case, CaseGroups, Subject};
use crate::measured::CaseKind;
use crate::measured::{TableFault, TableFaults};

#[derive(Deserialize)]
struct NetworkCase {
    #[serde(default)]
    case: String,
    links: Vec<LinkEntry>,
    flows: Vec<FlowEntry>,
}

#[derive(Deserialize)]
struct LinkEntry {
    name: String,
    bandwidth_bytes_per_s: f64,
    #[serde(default)]
    latency_s: f64,
}

#[derive(Deserialize)]
struct FlowEntry {
    id: serde_json::Value,
    bytes: f64,
    #[serde(default)]
    start_s: f64,
    route: Vec<String>,
    finish_s: Option<f64>,
}

/// Reads the cases of a JSON file, one per flow. Flows share links, so they are simulated together here.
///
/// # Errors
/// When the text is no such JSON, a route names a link that is not there, or a number is out of range.
pub(super) fn cases(file: &str, text: &str) -> Result<Vec<Case>, TableFaults> {
    let case: NetworkCase = serde_json::from_str(text).map_err(|error| {
        let (line, field) = (error.line().max(1) as u64, error.column().max(1));
        TableFault::new(file, line, field, error.to_string())
    })?;
    let mut faults = Vec::new();
    let (links, flows) = network(&case, &mut |message| {
        faults.push(TableFault::new(file, 1, 1, message));
    });
    TableFaults::none_or(faults, ())?;
    let finishes = finish_times(&links, &flows);
    let judged = case.flows.iter().zip(finishes);
    Ok(judged
        .map(|(entry, finish)| arrival(&case.case, entry, finish))
        .collect())
}

fn arrival(case: &str, entry: &FlowEntry, finish: SimTime) -> Case {
    let id = match &entry.id {
        serde_json::Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    Case {
        groups: CaseGroups {
            family: case.to_owned(),
            source: case.to_owned(),
            lineage: case.to_owned(),
            stated: true,
            ..CaseGroups::default()
        },
        measured: entry.finish_s,
        ..Case::new(CaseKind::Flow, id, Ok(Subject::Arrival(finish)))
    }
}

/// Links and flows of a case, with routes as link indices.
fn network(case: &NetworkCase, fault: &mut impl FnMut(String)) -> (Vec<FlowLink>, Vec<Flow>) {
    let mut indices = BTreeMap::new();
    let mut links = Vec::with_capacity(case.links.len());
    for (link, index) in case.links.iter().zip(0_u32..) {
        let (name, bandwidth, latency) = (&link.name, link.bandwidth_bytes_per_s, link.latency_s);
        if !(bandwidth > 0.0 && bandwidth.is_finite() && (0.0..1e6).contains(&latency)) {
            fault(format!(
                "link `{name}`: {bandwidth} B/s and {latency} s; a bandwidth is above 0, a latency at least 0"
            ));
            continue;
        }
        if indices.insert(name.as_str(), index).is_some() {
            fault(format!(
                "link `{name}` is there twice; every link has a name of its own"
            ));
        }
        links.push(FlowLink {
            capacity: Bandwidth::bytes_per_s(bandwidth),
            latency: SimDuration::from_secs_f64(latency),
        });
    }
    let mut flows = Vec::with_capacity(case.flows.len());
    for flow in &case.flows {
        let (id, bytes, start) = (&flow.id, flow.bytes, flow.start_s);
        if !(0.0..1e18).contains(&bytes) || !(0.0..1e6).contains(&start) {
            fault(format!(
                "flow {id}: {bytes} bytes from {start} s are out of range"
            ));
            continue;
        }
        let mut route = Vec::with_capacity(flow.route.len());
        for name in &flow.route {
            match indices.get(name.as_str()) {
                Some(index) => route.push(Crossing::whole(*index)),
                None => fault(format!(
                    "flow {id}: no link `{name}`; a route names links of the file"
                )),
            }
        }
        flows.push(Flow {
            start: SimTime::ZERO + SimDuration::from_secs_f64(start),
            bytes: Bytes::from_f64(bytes),
            route,
        });
    }
    (links, flows)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARKING_LOT: &str = r#"{"case":"lot","links":[
        {"name":"a","bandwidth_bytes_per_s":1e10,"latency_s":1e-6},
        {"name":"b","bandwidth_bytes_per_s":4e9,"latency_s":1e-6}],
        "flows":[
        {"id":0,"src":0,"dst":1,"bytes":1000000000,"start_s":0.0,"route":["a","b"],"finish_s":0.500001},
        {"id":1,"src":2,"dst":3,"bytes":1000000000,"start_s":0.0,"route":["a"],"finish_s":0.12500075}]}"#;

    // The second flow joins at 1 µs and is alone for 1 µs: 10 GB/s · 1 µs = 10 kB, then 6 or 8 GB/s …
    // Only that every flow is there, with a time after its latency, is held here; the published
    // cases hold the values.
    #[test]
    fn every_flow_is_a_case_with_its_arrival() {
        let cases = cases("lot.json", PARKING_LOT).expect("the case is sound");
        assert_eq!(cases.len(), 2);
        assert_eq!(cases[1].id, "1");
        assert!(matches!(
            cases[1].subject,
            Ok(Subject::Arrival(at)) if at > SimTime::from_picos(1_000_000)
        ));
    }

    #[test]
    fn a_route_over_a_missing_link_and_a_link_without_bandwidth_are_refused() {
        let text = PARKING_LOT.replace("\"route\":[\"a\"]", "\"route\":[\"c\"]");
        let faults = cases("lot.json", &text).expect_err("no link c");
        assert!(faults.to_string().contains("no link `c`"));
        let text = PARKING_LOT.replace("4e9", "0.0");
        assert!(cases("lot.json", &text).is_err());
    }
}
