//! Cluster tables.

use crate::hardware::{
    Cluster, CollectiveLibrary, Fabric, MessageClass, ScaleUp, ScaleUpKind, TopologyKind,
};

use super::fault::Faults;
use super::fields::Fields;
use super::key::{Key, ValueKind as Kind};

/// The keys of a cluster table.
pub(super) const KEYS: &[Key] = &[
    Key::optional("title", Kind::Text, "Name for people; default: the name."),
    Key::required("gpus_per_node", Kind::CountTo(1024), "GPUs of one server."),
    Key::optional(
        "domain_gpus",
        Kind::CountTo(65_536),
        "GPUs of one scale-up domain, a multiple of those of a server; default: one server's.",
    ),
    Key::required(
        "library",
        Kind::Choice(CollectiveLibrary::NAMES),
        "Communication library of its GPUs.",
    ),
    Key::required("nics_per_node", Kind::CountTo(1024), "NICs of one server."),
    Key::required(
        "nic_bandwidth",
        Kind::Bandwidth,
        "Line rate of one NIC, one direction.",
    ),
    Key::required(
        "scale_up.kind",
        Kind::Choice(ScaleUpKind::NAMES),
        "Shape of the network inside a domain.",
    ),
    Key::required(
        "scale_up.bandwidth",
        Kind::Bandwidth,
        "Line rate per GPU inside a domain, one direction, all links together.",
    ),
    Key::required(
        "scale_up.efficiency",
        Kind::Fraction,
        "Fraction of that rate that large messages reach.",
    ),
    Key::required(
        "scale_up.latency",
        Kind::Duration,
        "Latency of one hop from GPU to GPU.",
    ),
    Key::optional(
        "scale_up.in_network_reduction",
        Kind::Flag,
        "Whether its switches reduce (NVLink SHARP); default: false.",
    ),
    Key::required(
        "fabric.topology",
        Kind::Choice(TopologyKind::NAMES),
        "Shape of the network between nodes.",
    ),
    Key::optional(
        "fabric.oversubscription",
        Kind::Ratio,
        "Downlink over uplink capacity at the leaves; default: 1.",
    ),
    Key::required(
        "fabric.nodes_per_leaf",
        Kind::CountTo(1_048_576),
        "Nodes under one leaf switch (rail group, torus cube, dragonfly group).",
    ),
    Key::required(
        "fabric.latency",
        Kind::Duration,
        "Latency of one message from NIC to NIC.",
    ),
    Key::optional(
        "fabric.plugin_latency",
        Kind::Duration,
        "Latency that the network plugin adds to every message over InfiniBand's; default: 0.",
    ),
    Key::optional(
        "fabric.message_overhead",
        Kind::Duration,
        "Time a rank's plugin needs per message when it talks to many peers in turn; default: 0.",
    ),
    Key::optional(
        "fabric.short_message_overhead",
        Kind::Duration,
        "The same for messages of up to `fabric.short_message_bytes`; default: `fabric.message_overhead`.",
    ),
    Key::optional(
        "fabric.short_message_bytes",
        Kind::Bytes,
        "Largest message of that kind; default: none are.",
    ),
    Key::optional(
        "fabric.rendezvous_latency",
        Kind::Duration,
        "Time that the ends of a message agree on it before it is sent, from `fabric.rendezvous_bytes` on; default: 0.",
    ),
    Key::optional(
        "fabric.rendezvous_bytes",
        Kind::Bytes,
        "Smallest message of that kind; default: none is.",
    ),
    Key::required(
        "fabric.efficiency",
        Kind::Fraction,
        "Fraction of the line rate that large messages reach.",
    ),
    Key::optional(
        "fabric.scattered_efficiency",
        Kind::Fraction,
        "Fraction of the line rate that pairwise traffic reaches (all-to-all, pipeline sends); default: `efficiency`.",
    ),
    Key::optional(
        "fabric.in_network_reduction",
        Kind::Flag,
        "Whether its switches reduce (InfiniBand SHARP); default: false.",
    ),
];

/// What a complete table says.
pub(super) fn read(name: &str, fields: Fields<'_>, faults: &mut Faults<'_>) -> Cluster {
    let gpus_per_node = fields.count("gpus_per_node");
    let domain_gpus = fields.find_count("domain_gpus").unwrap_or(gpus_per_node);
    if !domain_gpus.is_multiple_of(gpus_per_node) {
        let message = format!(
            "a domain of {domain_gpus} GPUs is not made of whole servers of {gpus_per_node}"
        );
        let hint = format!("write a multiple of `gpus_per_node = {gpus_per_node}`");
        faults.key("domain_gpus", message, Some(hint));
    }
    Cluster {
        name: name.to_owned(),
        title: fields.find("title").unwrap_or_else(|| name.to_owned()),
        gpus_per_node,
        domain_gpus,
        scale_up: ScaleUp {
            kind: fields.get("scale_up.kind"),
            bandwidth: fields.get("scale_up.bandwidth"),
            efficiency: fields.number("scale_up.efficiency"),
            latency: fields.get("scale_up.latency"),
            in_network_reduction: fields
                .find_flag("scale_up.in_network_reduction")
                .unwrap_or(false),
        },
        library: fields.get("library"),
        nics_per_node: fields.count("nics_per_node"),
        nic_bandwidth: fields.get("nic_bandwidth"),
        fabric: Fabric {
            topology: fields.get::<TopologyKind>("fabric.topology").into(),
            oversubscription: fields.find_number("fabric.oversubscription").unwrap_or(1.0),
            nodes_per_leaf: fields.count("fabric.nodes_per_leaf"),
            latency: fields.get("fabric.latency"),
            plugin_latency: fields.find("fabric.plugin_latency").unwrap_or_default(),
            message_overhead: fields.find("fabric.message_overhead").unwrap_or_default(),
            short_messages: messages(
                fields,
                "fabric.short_message_bytes",
                "fabric.short_message_overhead",
            ),
            rendezvous: messages(
                fields,
                "fabric.rendezvous_bytes",
                "fabric.rendezvous_latency",
            ),
            efficiency: fields.number("fabric.efficiency"),
            scattered_efficiency: fields
                .find_number("fabric.scattered_efficiency")
                .unwrap_or_else(|| fields.number("fabric.efficiency")),
            in_network_reduction: fields
                .find_flag("fabric.in_network_reduction")
                .unwrap_or(false),
        },
    }
}

/// The messages on one side of a limit, where both it and their cost are there.
fn messages(fields: Fields<'_>, limit: &str, cost: &str) -> Option<MessageClass> {
    Some(MessageClass {
        limit: fields.find(limit)?,
        cost: fields.find(cost)?,
    })
}
