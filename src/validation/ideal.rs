//! Rows of another simulator's collectives on ideal links.

use std::sync::Arc;

use crate::catalog::Catalog;
use crate::collective::{CollectiveAlgorithm, CollectiveOp, Protocol};
use crate::hardware::{Cluster, CollectiveLibrary, Fabric, ScaleUp, ScaleUpKind, TopologyKind};
use crate::simulation::CollectiveScenario;
use crate::units::{Bandwidth, Bytes, SimDuration};

use super::case::{Case, CaseGroups, Subject};
use crate::measured::CaseKind;
use crate::measured::TableFaults;
use crate::measured::cells::Positive;
use crate::measured::table::{MeasuredTable, columns};

columns! {
    /// A collective on links that are given level by level: `ring 8 x switch 128`.
    struct IdealRow {
        case: String,
        op: CollectiveOp,
        algorithm: String,
        ranks: u32,
        buffer_bytes: Bytes,
        levels: String,
        bandwidth_bytes_per_s: String,
        latency_ns_per_message: String,
        predicted_network_ns: Positive,
    }
}

/// Reads the cases of a file of collectives on ideal links.
///
/// # Errors
/// When a column is missing or a cell holds what it cannot.
pub(super) fn cases(table: &MeasuredTable, catalog: &Catalog) -> Result<Vec<Case>, TableFaults> {
    table.map_rows(|_, row: IdealRow| {
        let subject = scenario(&row, catalog).map(Subject::collective);
        Case {
            groups: CaseGroups {
                family: row.op.to_string(),
                source: row.levels,
                stated: true,
                ..CaseGroups::default()
            },
            measured: Some(row.predicted_network_ns.0 * 1e-9),
            gpus: row.ranks,
            ..Case::new(CaseKind::IdealCollective, row.case, subject)
        }
    })
}

fn scenario(row: &IdealRow, catalog: &Catalog) -> Result<CollectiveScenario, String> {
    let cluster = links(row)?;
    let algorithm = match row.algorithm.as_str() {
        "ring" => CollectiveAlgorithm::Ring,
        "hierarchical" => CollectiveAlgorithm::Hierarchical,
        other => {
            return Err(format!(
                "algorithm `{other}` is neither `ring` nor `hierarchical ring`"
            ));
        }
    };
    let gpu = catalog.gpus.values().next();
    Ok(CollectiveScenario {
        gpu: Arc::clone(gpu.ok_or("the catalogue has no GPU")?),
        cluster: Arc::new(cluster),
        gpus: row.ranks,
        op: row.op,
        size: row.buffer_bytes,
        algorithm: Some(algorithm.into()),
        protocol: Some(Protocol::Ideal),
        ranks_per_process: 1,
    })
}

/// Cluster of one or two levels, with their bandwidths and latencies: `ring 8 x switch 128`.
fn links(row: &IdealRow) -> Result<Cluster, String> {
    let sizes = parts(&row.levels, |level| {
        level
            .rsplit_once(' ')
            .and_then(|(_, size)| size.parse::<u32>().ok())
    })?;
    let bandwidths = parts(&row.bandwidth_bytes_per_s, positive)?;
    let latencies = parts(&row.latency_ns_per_message, positive)?;
    let levels = sizes.len();
    let whole: u32 = sizes.iter().product();
    if !(1..=2).contains(&levels)
        || bandwidths.len() != levels
        || latencies.len() != levels
        || whole != row.ranks
    {
        return Err(format!(
            "levels `{}` of {} ranks have to be one or two, with a bandwidth and a latency each",
            row.levels, row.ranks
        ));
    }
    let outer = levels - 1;
    let nanos = |ns: f64| SimDuration::from_secs_f64(ns * 1e-9);
    Ok(Cluster {
        name: "ideal".to_owned(),
        title: row.levels.clone(),
        pue: 1.0,
        host_speed: 1.0,
        gpus_per_node: sizes[0],
        domain_gpus: sizes[0],
        scale_up: ScaleUp {
            kind: ScaleUpKind::NvSwitch,
            bandwidth: Bandwidth::bytes_per_s(bandwidths[0]),
            mesh_gpus: None,
            efficiency: 1.0,
            latency: nanos(latencies[0]),
            in_network_reduction: false,
            torus_dimensions: None,
            torus_side: None,
            torus_switched: false,
        },
        library: CollectiveLibrary::NcclHopper,
        nics_per_node: sizes[0],
        nic_bandwidth: Bandwidth::bytes_per_s(bandwidths[outer]),
        fabric: Fabric {
            topology: TopologyKind::Switch.into(),
            oversubscription: 1.0,
            nodes_per_leaf: row.ranks,
            latency: nanos(latencies[outer]),
            hop_latency: SimDuration::ZERO,
            plugin_latency: SimDuration::ZERO,
            unawaited_latency: SimDuration::ZERO,
            message_overhead: SimDuration::ZERO,
            short_messages: None,
            rendezvous: None,
            efficiency: 1.0,
            scattered_efficiency: 1.0,
            in_network_reduction: false,
            rdma: true,
            host_bridge: false,
        },
    })
}

fn positive(text: &str) -> Option<f64> {
    text.parse::<f64>()
        .ok()
        .filter(|value| *value > 0.0 && value.is_finite())
}

/// Parts of a cell, level by level: `ring 8 x switch 128`.
fn parts<T>(cell: &str, read: impl Fn(&str) -> Option<T>) -> Result<Vec<T>, String> {
    cell.split(" x ")
        .map(|part| read(part.trim()).ok_or_else(|| format!("`{part}` of `{cell}` cannot be read")))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::validation::{judge, read_cases};

    const HEADER: &str = "case,op,algorithm,ranks,buffer_bytes,levels,bandwidth_bytes_per_s,latency_ns_per_message,predicted_network_ns\n";

    fn error_of(row: &str) -> f64 {
        let cases = read_cases("ideal.csv", &format!("{HEADER}{row}\n"), Catalog::builtin())
            .expect("the row is complete");
        judge(cases)[0].relative_error().expect("both are there")
    }

    // 14 rounds of 500 ns and 128 KiB at 50·2³⁰ B/s: 14 · (500 + 2441.4) ns = 41.18 µs.
    #[test]
    fn a_ring_on_ideal_links_takes_its_rounds() {
        let row = "a,all-reduce,ring,8,1048576,ring 8,53687091200,500,41180";
        assert!(error_of(row).abs() < 1e-4);
    }

    // Inside 3 · (500 + 2¹⁸/214.7) ns, between 1 · (2000 + 2¹⁷/26.8) ns, both twice: 24.09 µs.
    #[test]
    fn rings_over_rings_reduce_inside_before_they_cross() {
        let row = "a,all-reduce,hierarchical ring,8,1048576,ring 4 x switch 2,214748364800 x 26843545600,500 x 2000,24090";
        assert!(error_of(row).abs() < 1e-4);
    }
}
