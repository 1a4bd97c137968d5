//! Network cases in JSON: links, flows and the arrival of each flow's last byte.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::des::{Crossing, Flow, FlowLink, finish_times};
use crate::units::{Bandwidth, Bytes, SimDuration, SimTime};

use super::case::{Case, CaseGroups, CaseKind, Subject};
use super::table::{TableFault, TableFaults};

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
        TableFaults(vec![TableFault {
            file: file.to_owned(),
            line: error.line().max(1) as u64,
            field: error.column().max(1),
            message: error.to_string(),
        }])
    })?;
    let (links, flows) = network(file, &case)?;
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
fn network(file: &str, case: &NetworkCase) -> Result<(Vec<FlowLink>, Vec<Flow>), TableFaults> {
    let mut faults = Vec::new();
    let mut fault = |message: String| {
        faults.push(TableFault {
            file: file.to_owned(),
            line: 1,
            field: 1,
            message,
        });
    };
    let mut places = BTreeMap::new();
    let mut links = Vec::with_capacity(case.links.len());
    for (link, place) in case.links.iter().zip(0_u32..) {
        let LinkEntry {
            name,
            bandwidth_bytes_per_s: bandwidth,
            latency_s,
        } = link;
        let sound = *bandwidth > 0.0 && bandwidth.is_finite() && (0.0..1e6).contains(latency_s);
        if !sound {
            fault(format!(
                "link `{name}`: {bandwidth} B/s and {latency_s} s; a bandwidth is above 0, a latency at least 0"
            ));
            continue;
        }
        if places.insert(name.as_str(), place).is_some() {
            fault(format!(
                "link `{name}` is there twice; every link has a name of its own"
            ));
        }
        links.push(FlowLink {
            capacity: Bandwidth::bytes_per_s(*bandwidth),
            latency: SimDuration::from_secs_f64(*latency_s),
        });
    }
    let mut flows = Vec::with_capacity(case.flows.len());
    for entry in &case.flows {
        let FlowEntry {
            id,
            bytes,
            start_s,
            route,
            ..
        } = entry;
        if !(0.0..1e18).contains(bytes) || !(0.0..1e6).contains(start_s) {
            fault(format!(
                "flow {id}: {bytes} bytes from {start_s} s are out of range"
            ));
            continue;
        }
        let hops = route.iter().filter_map(|name| {
            let place = places.get(name.as_str()).copied();
            if place.is_none() {
                fault(format!(
                    "flow {id}: no link `{name}`; a route names links of the file"
                ));
            }
            place
        });
        flows.push(Flow {
            start: SimTime::ZERO + SimDuration::from_secs_f64(*start_s),
            bytes: Bytes::from_f64(*bytes),
            route: hops.map(Crossing::whole).collect(),
        });
    }
    if faults.is_empty() {
        Ok((links, flows))
    } else {
        Err(TableFaults(faults))
    }
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
