//! `[topologies.NAME]`: named devices and switches, and the links between them.

use std::collections::BTreeMap;

use crate::hardware::{CustomLink, CustomNetwork, CustomTopology, CustomTopologyFault, DeviceUnit};
use crate::spec::diagnostic::{Diagnostic, Faults};
use crate::spec::keys::{LINK, TOPOLOGY, check_keys};
use crate::spec::source::Place;
use crate::spec::syntax::{Entry, Node, Value, find};
use crate::units::{Bandwidth, SimDuration};

/// Most devices: each keeps its distances to all vertices.
const DEVICES_MAX: usize = 1024;

/// Most devices and switches together.
const VERTICES_MAX: usize = 8192;

/// Most links of one bundle.
const COUNT_MAX: i64 = 65_536;

/// Names of devices and switches with the places where they are written.
struct Vertices<'a> {
    names: Vec<&'a str>,
    places: Vec<&'a Place>,
    numbers: BTreeMap<&'a str, u32>,
}

/// Reads one topology, or notes all that is wrong with it.
pub(super) fn read(entry: &Entry, faults: &mut Faults) -> Option<CustomTopology> {
    let name = &entry.key;
    let entries = entry.node.entries(&format!("topology `{name}`"), faults)?;
    let mut found = Faults::default();
    check_keys(entries, &[TOPOLOGY], &mut found);
    let unit = find(entries, "devices_are")
        .map_or(DeviceUnit::Nodes, |entry| unit(&entry.node, &mut found));
    let mut vertices = Vertices {
        names: Vec::new(),
        places: Vec::new(),
        numbers: BTreeMap::new(),
    };
    match find(entries, "devices") {
        Some(devices) => vertices.take(&devices.node, "devices", &mut found),
        None => found.push(missing(entry, "devices", "a list of at least two names")),
    }
    let devices = vertices.names.len();
    if let Some(entry) = find(entries, "devices").filter(|_| found.is_empty()) {
        count_fault(devices, &entry.node, &mut found);
    }
    if let Some(switches) = find(entries, "switches") {
        vertices.take(&switches.node, "switches", &mut found);
    }
    let mut places = Vec::new();
    let links = if let Some(links) = find(entries, "links") {
        links_of(&links.node, &vertices, &mut places, &mut found)
    } else {
        let example = "tables with `from`, `to` and `bandwidth`";
        found.push(missing(entry, "links", example));
        Vec::new()
    };
    if !found.is_empty() {
        faults.extend(found.into_found());
        return None;
    }
    let listed = find(entries, "links").map_or(&[][..], |entry| entry.node.items());
    let has_latency = listed.iter().any(states_latency);
    let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    let network = CustomNetwork {
        name: name.clone(),
        unit,
        devices: owned(&vertices.names[..devices]),
        switches: owned(&vertices.names[devices..]),
        links,
        has_latency,
    };
    CustomTopology::new(&network)
        .map_err(|wrong| {
            faults.extend(wrong.iter().map(|it| placed(it, &vertices, &places)));
        })
        .ok()
}

fn missing(entry: &Entry, key: &str, expected: &str) -> Diagnostic {
    let message = format!("topology `{}` has no `{key}`", entry.key);
    Diagnostic::error(&entry.key_place, message).hint(format!("write `{key}` as {expected}"))
}

fn unit(node: &Node, faults: &mut Faults) -> DeviceUnit {
    let text = node.text().unwrap_or_default();
    text.parse().unwrap_or_else(|_| {
        let names = DeviceUnit::NAMES;
        faults.push(
            node.mismatch("devices_are", &format!("one of: {}", names.join(", ")))
                .did_you_mean(text, names.iter().copied()),
        );
        DeviceUnit::Nodes
    })
}

fn count_fault(devices: usize, node: &Node, faults: &mut Faults) {
    if !(2..=DEVICES_MAX).contains(&devices) {
        let message = format!("a topology has 2 to {DEVICES_MAX} devices, not {devices}");
        faults.push(Diagnostic::error(&node.place, message));
    }
}

impl<'a> Vertices<'a> {
    /// Takes a list of names, each of which is new.
    fn take(&mut self, node: &'a Node, key: &str, faults: &mut Faults) {
        let Value::List(items) = &node.value else {
            faults.push(node.mismatch(key, "a list of names"));
            return;
        };
        if self.names.len() + items.len() > VERTICES_MAX {
            let message = format!("a topology has at most {VERTICES_MAX} devices and switches");
            faults.push(Diagnostic::error(&node.place, message));
            return;
        }
        for item in items {
            let Some(name) = item.text() else {
                let message = format!("`{key}` holds names, not {}", item.described());
                faults.push(Diagnostic::error(&item.place, message));
                continue;
            };
            let number = self.names.len() as u32;
            if let Some(first) = self.numbers.get(name) {
                let (line, _) = self.places[*first as usize].line_column();
                let message = format!("`{name}` is there twice (first on line {line})");
                faults.push(
                    Diagnostic::error(&item.place, message)
                        .hint("devices and switches have different names"),
                );
                continue;
            }
            self.names.push(name);
            self.places.push(&item.place);
            self.numbers.insert(name, number);
        }
    }

    fn number(&self, node: &Node, key: &str) -> Result<u32, Diagnostic> {
        let name = node
            .text()
            .ok_or_else(|| node.mismatch(key, "the name of a device or switch"))?;
        self.numbers.get(name).copied().ok_or_else(|| {
            let message = format!("unknown device or switch `{name}`");
            let fault = Diagnostic::error(&node.place, message);
            fault
                .did_you_mean(name, self.names.iter().copied())
                .hint("add it to `devices` or `switches`")
        })
    }
}

fn states_latency(link: &Node) -> bool {
    link.table()
        .is_some_and(|entries| find(entries, "latency").is_some())
}

fn links_of<'a>(
    node: &'a Node,
    vertices: &Vertices<'_>,
    places: &mut Vec<&'a Place>,
    faults: &mut Faults,
) -> Vec<CustomLink> {
    let some_have = node.items().iter().any(states_latency);
    let mut links = Vec::new();
    for item in node.items() {
        let Some(entries) = item.entries("a link", faults) else {
            continue;
        };
        check_keys(entries, &[LINK], faults);
        if some_have && !states_latency(item) {
            let message = "this link has no `latency`, others of its topology have one";
            faults.push(
                Diagnostic::error(&item.place, message)
                    .hint("give all links a latency, or none for that of the cluster's fabric"),
            );
        }
        if let Some(link) = link(item, entries, vertices, faults) {
            links.push(link);
            places.push(&item.place);
        }
    }
    links
}

fn link(
    item: &Node,
    entries: &[Entry],
    vertices: &Vertices<'_>,
    faults: &mut Faults,
) -> Option<CustomLink> {
    let mut end = |key: &str| {
        let Some(entry) = find(entries, key) else {
            let message = format!("this link has no `{key}`");
            faults.push(Diagnostic::error(&item.place, message));
            return None;
        };
        faults.ok(vertices.number(&entry.node, key))
    };
    let (from, to) = (end("from"), end("to"));
    let bandwidth = if let Some(entry) = find(entries, "bandwidth") {
        faults.ok(bandwidth(&entry.node))
    } else {
        faults.push(
            Diagnostic::error(&item.place, "this link has no `bandwidth`")
                .hint("write `bandwidth = \"400 Gbit/s\"`: one direction"),
        );
        None
    };
    let latency = match find(entries, "latency") {
        Some(entry) => faults.ok(latency(&entry.node)),
        None => Some(SimDuration::ZERO),
    };
    let one_way = match find(entries, "one_way") {
        Some(entry) => faults.ok(flag(&entry.node)),
        None => Some(false),
    };
    let count = match find(entries, "count") {
        Some(entry) => faults.ok(count(&entry.node)),
        None => Some(1),
    };
    Some(CustomLink {
        from: from?,
        to: to?,
        bandwidth: bandwidth?,
        latency: latency?,
        one_way: one_way?,
        count: count?,
    })
}

fn bandwidth(node: &Node) -> Result<Bandwidth, Diagnostic> {
    let rate: Bandwidth = node.quantity("bandwidth", "400 Gbit/s")?;
    if (1e3..=1e18).contains(&rate.as_bytes_per_s()) {
        return Ok(rate);
    }
    let text = node.text().unwrap_or_default();
    let message = format!("`{text}` is out of range; expected 0.001 MB/s to 1000000 TB/s");
    Err(Diagnostic::error(&node.place, message).hint("leave a link without bandwidth out"))
}

fn latency(node: &Node) -> Result<SimDuration, Diagnostic> {
    let span: SimDuration = node.quantity("latency", "1 us")?;
    if span.as_secs_f64() <= 1.0 {
        return Ok(span);
    }
    let text = node.text().unwrap_or_default();
    let message = format!("`{text}` is out of range; expected 0 to 1 s");
    Err(Diagnostic::error(&node.place, message))
}

fn flag(node: &Node) -> Result<bool, Diagnostic> {
    let Value::Bool(answer) = node.value else {
        return Err(node.mismatch("one_way", "true or false"));
    };
    Ok(answer)
}

fn count(node: &Node) -> Result<u32, Diagnostic> {
    if let Value::Int(number) = node.value
        && (1..=COUNT_MAX).contains(&number)
    {
        return Ok(number as u32);
    }
    Err(node.mismatch("count", &format!("a whole number from 1 to {COUNT_MAX}")))
}

/// A fault of the network at the place of its link or name.
fn placed(fault: &CustomTopologyFault, vertices: &Vertices<'_>, links: &[&Place]) -> Diagnostic {
    let named = |numbers: &[u32]| -> Vec<&Place> {
        numbers
            .iter()
            .map(|vertex| vertices.places[*vertex as usize])
            .collect()
    };
    let (places, hint) = match fault {
        CustomTopologyFault::SelfLink { link, .. } => {
            (vec![links[*link]], "a link joins two different vertices")
        }
        CustomTopologyFault::Twice { links: later, .. } => (
            later.iter().map(|link| links[*link]).collect(),
            "`count` makes a bundle of alike links, `one_way` a link of one direction",
        ),
        CustomTopologyFault::Untouched { vertices, .. } => {
            (named(vertices), "give it a link, or take its name out")
        }
        CustomTopologyFault::Disconnected { vertices, .. } => (
            named(vertices),
            "every device reaches every other one over links, devices and switches",
        ),
    };
    let (first, rest) = places.split_first().expect("a fault has a place");
    Diagnostic::error(first, fault.to_string())
        .also_at(rest.iter().copied())
        .hint(hint)
}
