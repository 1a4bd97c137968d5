//! Rows of measured collectives, and of another simulator's collectives on ideal links.

use std::sync::Arc;

use crate::catalog::Catalog;
use crate::collective::{Algorithm, CollectiveAlgorithm, CollectiveOp, Protocol};
use crate::hardware::{
    Cluster, CollectiveLibrary, Fabric, Gpu, ScaleUp, ScaleUpKind, TopologyKind,
};
use crate::simulation::{CollectiveScenario, Scenario};
use crate::units::{Bandwidth, Bytes, SimDuration};

use super::case::{Case, CaseGroups, Figure, Score, Subject};
use super::table::{CaseKind, MeasuredTable, Row, TableFaults};

/// Columns that a file of measured collectives must have.
const MEASURED: [&str; 8] = [
    "id",
    "op",
    "gpu",
    "gpus",
    "nodes",
    "fabric",
    "size_bytes",
    "time_us",
];

/// Columns that a file of collectives on ideal links must have.
const IDEAL: [&str; 9] = [
    "case",
    "op",
    "algorithm",
    "ranks",
    "buffer_bytes",
    "levels",
    "bandwidth_bytes_per_s",
    "latency_ns_per_message",
    "predicted_network_ns",
];

/// The cases of a file of nccl-tests results.
///
/// # Errors
/// When a column is missing or a cell holds what it cannot.
pub(super) fn measured(table: &MeasuredTable, catalog: &Catalog) -> Result<Vec<Case>, TableFaults> {
    let launches = Launches::shipped();
    table.map_rows(&MEASURED, |row| {
        let id = row.required_text("id").to_owned();
        let op = row.parsed("op").unwrap_or(CollectiveOp::AllReduce);
        let gpus = row.required_count("gpus");
        let nodes = row.required_count("nodes");
        let size = Bytes::from_f64(row.measured("size_bytes"));
        let gpu = row.text("gpu").unwrap_or_default();
        let fabric = row.text("fabric").unwrap_or_default();
        let nic = row
            .number("nic_gbit_per_s_per_gpu")
            .filter(|rate| *rate > 0.0);
        let run = RunNames::read(row.text("algo/proto").unwrap_or_default());
        let placed = catalog
            .gpus
            .get(gpu)
            .ok_or_else(|| format!("no GPU `{gpu}` in the catalogue"))
            .and_then(|found| match fabric {
                "" if nodes > 1 => Err("the fabric between the nodes is not stated".to_owned()),
                _ => Ok(found),
            })
            .and_then(|found| Ok((found, cluster_of(found, fabric, catalog)?)));
        let subject = placed.map(|(gpu, base)| {
            let cluster = adapted(&base, gpus / nodes, nodes, nic, run.sharp);
            let scenario = CollectiveScenario {
                gpu: Arc::clone(gpu),
                cluster: Arc::new(cluster),
                gpus,
                op,
                size,
                // A send has no algorithm; its rows say whom it goes to.
                algorithm: run
                    .algorithm
                    .filter(|_| op != CollectiveOp::SendRecv)
                    .map(Algorithm::from),
                protocol: None,
                ranks_per_process: launches.ranks_per_process(row, gpus / nodes),
            };
            timed(scenario)
        });
        let scored = row.text("scored") != Some("no");
        let source = row.text("source").unwrap_or_default().to_owned();
        Case {
            id,
            kind: CaseKind::Collective,
            groups: CaseGroups {
                family: op.to_string(),
                gpu: gpu.to_owned(),
                lineage: source.clone(),
                source,
                stack: size_class(size).to_owned(),
                stated: run.algorithm.is_some(),
            },
            score: if scored {
                Score::Value
            } else {
                Score::Unscored
            },
            measured: Some(row.measured("time_us") * 1e-6),
            ran: true,
            gpus,
            samples: 0,
            series: None,
            contest: String::new(),
            subject,
        }
    })
}

/// The classes of size whose errors are reported apart.
fn size_class(size: Bytes) -> &'static str {
    if size < Bytes::mib(1) {
        "below 1 MiB"
    } else {
        "1 MiB and above"
    }
}

fn timed(scenario: CollectiveScenario) -> Subject {
    Subject {
        points: vec![(1.0, Scenario::Collective(Box::new(scenario)))],
        figure: Figure::Time,
    }
}

/// How many GPUs each process of a run launches: what its row says, or else its source.
struct Launches {
    /// Beginning of a source's name, and its GPUs per process.
    sources: Vec<(String, u32)>,
}

impl Launches {
    /// The facts that ship with the program.
    ///
    /// # Panics
    /// Never: a test reads the file.
    fn shipped() -> Self {
        let text = include_str!("../../data/validation/launches.csv");
        let mut reader = csv::Reader::from_reader(text.as_bytes());
        let sources = reader.records().map(|record| {
            let record = record.expect("the file ships with the program");
            let ranks = record[1].parse().expect("the second column is a number");
            (record[0].to_owned(), ranks)
        });
        Self {
            sources: sources.collect(),
        }
    }

    /// GPUs that a process of the row's run launches, at most those of a node; 1 where nothing says more.
    fn ranks_per_process(&self, row: &Row<'_>, per_node: u32) -> u32 {
        let notes = row.text("notes").unwrap_or_default();
        let source = row.text("source").unwrap_or_default();
        let stated = notes
            .split_once("-g ")
            .map(|(_, rest)| rest.trim_start_matches(|c: char| !c.is_ascii_digit()))
            .and_then(|rest| {
                let digits = rest.split(|c: char| !c.is_ascii_digit()).next();
                digits?.parse().ok()
            });
        let known = self
            .sources
            .iter()
            .find(|(name, _)| source.starts_with(name.as_str()));
        let ranks = stated.or(known.map(|(_, ranks)| *ranks)).unwrap_or(1);
        ranks.min(per_node)
    }
}

/// What the name of a run says about it.
struct RunNames {
    algorithm: Option<CollectiveAlgorithm>,
    /// Whether InfiniBand switches reduced.
    sharp: bool,
}

impl RunNames {
    /// Reads names like `Ring tuned`, `NVLSTree`, `CollNetDirect (IB SHARP)`, `NVLS per caption`; a name that
    /// doubts its caption, or says `default`, leaves the choice to the library.
    fn read(name: &str) -> Self {
        let name = name.to_ascii_lowercase();
        let sharp = name.contains("sharp") || name.contains("collnet");
        let algorithm = if name.starts_with("caption") || name.contains("graph") {
            None
        } else if sharp || name.starts_with("nvls") {
            Some(CollectiveAlgorithm::Nvls)
        } else if name.starts_with("ring") {
            Some(CollectiveAlgorithm::Ring)
        } else if name.starts_with("tree") {
            Some(CollectiveAlgorithm::DoubleBinaryTree)
        } else {
            None
        };
        Self { algorithm, sharp }
    }
}

/// The preset that a fabric's name stands for; the GPU's usual one where it names no provider.
fn cluster_of(gpu: &Gpu, fabric: &str, catalog: &Catalog) -> Result<Arc<Cluster>, String> {
    let named = [
        ("efa-v0", "aws-p3dn"),
        ("efa-v1", "aws-p4d"),
        ("efa-v2", "aws-p5"),
        ("efa-v3", "aws-p5en"),
        ("efa-v4 8x", "aws-p6-b200"),
        ("efa-v4", "aws-p6-b300"),
        ("tcpxo", "gcp-a3-mega"),
        ("slingshot-11 (4 GPUs", "polaris"),
    ];
    let name = named
        .iter()
        .find(|(prefix, _)| fabric.starts_with(prefix))
        .map_or(gpu.cluster.as_str(), |(_, cluster)| cluster);
    catalog
        .clusters
        .get(name)
        .cloned()
        .ok_or_else(|| format!("no cluster `{name}` in the catalogue"))
}

/// The preset with the node size and NIC rate of the row. One node alone, or a part of a rack, keeps
/// the preset's size: its GPUs are a part of it.
fn adapted(base: &Cluster, per_node: u32, nodes: u32, nic: Option<f64>, sharp: bool) -> Cluster {
    let whole = nodes > 1 && base.domain_gpus == base.gpus_per_node;
    let mut cluster = base.with_gpus_per_node(if whole { per_node } else { base.gpus_per_node });
    if let Some(per_gpu) = nic {
        cluster = cluster.with_nic_rate(Bandwidth::gbit_per_s(per_gpu));
    }
    cluster.fabric.in_network_reduction = sharp;
    cluster
}

/// The cases of a file of collectives on ideal links.
///
/// # Errors
/// When a column is missing or a cell holds what it cannot.
pub(super) fn ideal(table: &MeasuredTable, catalog: &Catalog) -> Result<Vec<Case>, TableFaults> {
    table.map_rows(&IDEAL, |row| {
        let id = row.required_text("case").to_owned();
        let op = row.parsed("op").unwrap_or(CollectiveOp::AllReduce);
        let ranks = row.required_count("ranks");
        let size = Bytes::from_f64(row.measured("buffer_bytes"));
        let measured = row.measured("predicted_network_ns") * 1e-9;
        let algorithm = row.required_text("algorithm");
        let subject = links(row, ranks).and_then(|cluster| {
            let algorithm = match algorithm {
                "ring" => CollectiveAlgorithm::Ring,
                "hierarchical ring" => CollectiveAlgorithm::Hierarchical,
                other => {
                    return Err(format!(
                        "algorithm `{other}` is neither `ring` nor `hierarchical ring`"
                    ));
                }
            };
            let gpu = catalog
                .gpus
                .values()
                .next()
                .ok_or("the catalogue has no GPU")?;
            Ok(timed(CollectiveScenario {
                gpu: Arc::clone(gpu),
                cluster: Arc::new(cluster),
                gpus: ranks,
                op,
                size,
                algorithm: Some(algorithm.into()),
                protocol: Some(Protocol::Ideal),
                ranks_per_process: 1,
            }))
        });
        Case {
            id,
            kind: CaseKind::IdealCollective,
            groups: CaseGroups {
                family: op.to_string(),
                gpu: String::new(),
                source: row.text("levels").unwrap_or_default().to_owned(),
                lineage: String::new(),
                stack: String::new(),
                stated: true,
            },
            score: Score::Value,
            measured: Some(measured),
            ran: true,
            gpus: ranks,
            samples: 0,
            series: None,
            contest: String::new(),
            subject,
        }
    })
}

/// A cluster of one level, or of two: `ring 8 x switch 128` with its bandwidths and latencies.
fn links(row: &Row<'_>, ranks: u32) -> Result<Cluster, String> {
    let cell = |column: &str| row.text(column).unwrap_or_default();
    let sizes = parts(cell("levels"), |level| {
        level
            .rsplit_once(' ')
            .and_then(|(_, size)| size.parse::<u32>().ok())
    })?;
    let bandwidths = parts(cell("bandwidth_bytes_per_s"), positive)?;
    let latencies = parts(cell("latency_ns_per_message"), positive)?;
    let levels = sizes.len();
    let whole: u32 = sizes.iter().product();
    if !(1..=2).contains(&levels)
        || bandwidths.len() != levels
        || latencies.len() != levels
        || whole != ranks
    {
        return Err(format!(
            "levels `{}` of {ranks} ranks have to be one or two, with a bandwidth and a latency each",
            cell("levels")
        ));
    }
    let outer = levels - 1;
    let nanos = |ns: f64| SimDuration::from_secs_f64(ns * 1e-9);
    Ok(Cluster {
        name: "ideal".to_owned(),
        title: cell("levels").to_owned(),
        gpus_per_node: sizes[0],
        domain_gpus: sizes[0],
        scale_up: ScaleUp {
            kind: ScaleUpKind::NvSwitch,
            bandwidth: Bandwidth::bytes_per_s(bandwidths[0]),
            efficiency: 1.0,
            latency: nanos(latencies[0]),
            in_network_reduction: false,
        },
        library: CollectiveLibrary::NcclHopper,
        nics_per_node: sizes[0],
        nic_bandwidth: Bandwidth::bytes_per_s(bandwidths[outer]),
        fabric: Fabric {
            topology: TopologyKind::Switch.into(),
            oversubscription: 1.0,
            nodes_per_leaf: ranks,
            latency: nanos(latencies[outer]),
            plugin_latency: SimDuration::ZERO,
            message_overhead: SimDuration::ZERO,
            short_messages: None,
            rendezvous: None,
            efficiency: 1.0,
            scattered_efficiency: 1.0,
            in_network_reduction: false,
        },
    })
}

fn positive(text: &str) -> Option<f64> {
    text.parse::<f64>()
        .ok()
        .filter(|value| *value > 0.0 && value.is_finite())
}

/// The parts of a cell like `ring 8 x switch 128`.
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

    #[test]
    fn names_of_runs_give_the_algorithm_or_leave_it_open() {
        assert_eq!(
            RunNames::read("Ring tuned").algorithm,
            Some(CollectiveAlgorithm::Ring)
        );
        assert_eq!(
            RunNames::read("NVLS per caption").algorithm,
            Some(CollectiveAlgorithm::Nvls)
        );
        assert_eq!(
            RunNames::read("caption says NVLS but A100 has none (ring/tree)").algorithm,
            None
        );
        assert!(RunNames::read("CollNetDirect (IB SHARP)").sharp);
        assert_eq!(RunNames::read("default").algorithm, None);
    }
}
