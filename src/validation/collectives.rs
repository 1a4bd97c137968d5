//! Rows of measured collectives: results of nccl-tests.

use std::sync::Arc;

use crate::catalog::Catalog;
use crate::collective::{Algorithm, CollectiveAlgorithm, CollectiveOp};
use crate::hardware::{Cluster, Gpu};
use crate::simulation::CollectiveScenario;
use crate::units::{Bandwidth, Bytes};

use super::case::{Case, CaseGroups, CaseKind, Score, Subject};
use super::cells::Positive;
use super::fault::TableFaults;
use super::table::{MeasuredTable, columns};

columns! {
    /// A measured collective.
    struct CollectiveRow {
        id: String,
        op: CollectiveOp,
        gpu: Option<String>,
        gpus: u32,
        nodes: u32,
        fabric: Option<String>,
        cluster: Option<String>,
        nic_gbit_per_s_per_gpu: Option<f64>,
        in_network_reduction: Option<bool>,
        algorithm: Option<CollectiveAlgorithm>,
        ranks_per_process: Option<u32>,
        size_bytes: Positive,
        time_us: Positive,
        score: Option<Score>,
        source: Option<String>,
    }
}

/// Reads the cases of a file of nccl-tests results.
///
/// # Errors
/// When a column is missing or a cell holds what it cannot.
pub(super) fn cases(table: &MeasuredTable, catalog: &Catalog) -> Result<Vec<Case>, TableFaults> {
    table.map_rows(|_, row: CollectiveRow| {
        let size = Bytes::from_f64(row.size_bytes.0);
        let subject = row.scenario(size, catalog).map(Subject::collective);
        let source = row.source.unwrap_or_default();
        Case {
            groups: CaseGroups {
                family: row.op.to_string(),
                gpu: row.gpu.unwrap_or_default(),
                lineage: source.clone(),
                source,
                stack: size_class(size).to_owned(),
                stated: row.algorithm.is_some(),
            },
            score: row.score.unwrap_or(Score::Value),
            measured: Some(row.time_us.0 * 1e-6),
            gpus: row.gpus,
            ..Case::new(CaseKind::Collective, row.id, subject)
        }
    })
}

/// Class of message sizes whose errors are reported apart.
fn size_class(size: Bytes) -> &'static str {
    if size < Bytes::mib(1) {
        "below 1 MiB"
    } else {
        "1 MiB and above"
    }
}

impl CollectiveRow {
    fn scenario(&self, size: Bytes, catalog: &Catalog) -> Result<CollectiveScenario, String> {
        let name = self.gpu.as_deref().unwrap_or_default();
        let gpu = catalog
            .gpus
            .get(name)
            .ok_or_else(|| format!("no GPU `{name}` in the catalogue"))?;
        if self.fabric.is_none() && self.nodes > 1 {
            return Err("the fabric between the nodes is not stated".to_owned());
        }
        let per_node = self.gpus / self.nodes;
        Ok(CollectiveScenario {
            gpu: Arc::clone(gpu),
            cluster: Arc::new(self.cluster(gpu, per_node, catalog)?),
            gpus: self.gpus,
            op: self.op,
            size,
            // A send has no algorithm; its rows say whom it goes to.
            algorithm: self
                .algorithm
                .filter(|_| self.op != CollectiveOp::SendRecv)
                .map(Algorithm::from),
            protocol: None,
            ranks_per_process: self.ranks_per_process.unwrap_or(1).min(per_node),
        })
    }

    /// The cluster of the row, or else the GPU's usual one, with the row's node size and NIC rate.
    fn cluster(&self, gpu: &Gpu, per_node: u32, catalog: &Catalog) -> Result<Cluster, String> {
        let name = self.cluster.as_deref().unwrap_or(&gpu.cluster);
        let base = catalog
            .clusters
            .get(name)
            .ok_or_else(|| format!("no cluster `{name}` in the catalogue"))?;
        // One node alone and a part of a rack are parts of the preset.
        let resized = self.nodes > 1 && base.domain_gpus == base.gpus_per_node;
        let size = if resized {
            per_node
        } else {
            base.gpus_per_node
        };
        let stated = self.nic_gbit_per_s_per_gpu.filter(|rate| *rate > 0.0);
        let rate = stated.map_or(base.nic_bandwidth_per_gpu(), Bandwidth::gbit_per_s);
        let mut cluster = base.with_gpus_per_node(size).with_nic_rate(rate);
        cluster.fabric.in_network_reduction = self.in_network_reduction.unwrap_or(false);
        Ok(cluster)
    }
}
