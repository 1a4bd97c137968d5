//! Rows of measured collectives: results of nccl-tests.

use std::sync::Arc;

use crate::catalog::Catalog;
use crate::collective::{Algorithm, CollectiveAlgorithm, CollectiveOp};
use crate::hardware::{Cluster, Gpu};
use crate::record::metrics::bus_factor;
use crate::simulation::CollectiveScenario;
use crate::units::{Bandwidth, Bytes};

use super::case::{Case, CaseGroups, Subject};
use crate::measured::TableFaults;
use crate::measured::cells::Positive;
use crate::measured::table::{MeasuredTable, Row, columns};
use crate::measured::{CaseKind, Score};

/// Columns of nccl-tests' bandwidths, which tell the time where its own column does not.
const ALGORITHM_BANDWIDTH: &str = "algbw_GBps";
const BUS_BANDWIDTH: &str = CaseKind::Collective.as_str();

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
        size_bytes: Bytes,
        time_us: Option<Positive>,
        score: Option<Score>,
        source: Option<String>,
    }
}

/// Reads the cases of a file of nccl-tests results.
///
/// # Errors
/// When a column is missing or a cell holds what it cannot.
pub(super) fn cases(table: &MeasuredTable, catalog: &Catalog) -> Result<Vec<Case>, TableFaults> {
    table.map_rows(|cells, row: CollectiveRow| {
        let measured = row.seconds(cells);
        let size = row.size_bytes;
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
            measured,
            gpus: row.gpus,
            nodes: Some(row.nodes),
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
    /// The measured time: as printed, or from a bandwidth in GB/s, `t = S/algbw = S·f/busbw` with nccl-tests' factor
    /// `f`; `None` where no cell tells it, which is noted.
    fn seconds(&self, cells: &mut Row<'_>) -> Option<f64> {
        if let Some(Positive(micros)) = self.time_us {
            return Some(micros * 1e-6);
        }
        let of_bus = bus_factor(self.op, self.gpus);
        for (column, factor) in [(ALGORITHM_BANDWIDTH, 1.0), (BUS_BANDWIDTH, of_bus)] {
            // A cell that cannot be read has been noted.
            if let Some(Positive(rate)) = cells.cell::<Option<Positive>>(column)?
                && factor > 0.0
            {
                return Some(self.size_bytes.as_f64() * factor / (rate * 1e9));
            }
        }
        let message = "tells no time, and neither do `time_us` and `algbw_GBps`";
        cells.fault(BUS_BANDWIDTH, message);
        None
    }

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

#[cfg(test)]
mod tests {
    use super::super::assessment::Assessment;
    use super::super::case::{CaseResult, Judged};
    use super::*;

    fn read(text: &str) -> Result<Vec<Case>, TableFaults> {
        let table = MeasuredTable::read("runs.csv", text).expect("it is a table");
        cases(&table, Catalog::builtin())
    }

    // All-reduce over 4 GPUs: f = 2·3/4 = 1.5. 1 GB at 30 GB/s of bus bandwidth are 20 GB/s of algorithm
    // bandwidth and 50 ms; a printed time counts before both. All-gather, f = 3/4: 25 ms.
    #[test]
    fn a_bandwidth_tells_the_time() {
        let head = "id,op,gpu,gpus,nodes,fabric,size_bytes";
        for (columns, op, cells, seconds) in [
            ("busbw_GBps", "all-reduce", "30", 0.05),
            ("busbw_GBps", "all-gather", "30", 0.025),
            ("algbw_GBps,busbw_GBps", "all-reduce", "20,", 0.05),
            ("time_us,busbw_GBps", "all-reduce", "1000,30", 0.001),
            ("time_us,busbw_GBps", "all-reduce", ",30", 0.05),
        ] {
            let text = format!("{head},{columns}\na,{op},h100-sxm,4,1,,1000000000,{cells}\n");
            let found = read(&text).expect("the time follows");
            let measured = found[0].measured.expect("measured");
            assert!((measured - seconds).abs() < 1e-12, "{columns}: {measured}");
        }
        let text = format!(
            "{head},busbw_GBps\na,all-reduce,h100-sxm,4,1,,8,\nb,broadcast,h100-sxm,4,1,,8,1\n"
        );
        let nought = format!("{head},busbw_GBps\na,all-reduce,h100-sxm,4,1,,8,0\n");
        assert_eq!(read(&nought).expect_err("no rate is 0").0.len(), 1);
        let faults = read(&text)
            .expect_err("the first row has no time")
            .to_string();
        assert!(
            faults.contains("runs.csv:2:8") && faults.contains("`time_us`"),
            "{faults}"
        );
    }

    // 2⁶⁴ bytes fit into no buffer of 63 bits: a fault of the cell, with its place and the limit.
    #[test]
    fn a_size_over_the_largest_buffer_is_a_fault_of_its_cell() {
        let head = "id,op,gpu,gpus,nodes,size_bytes,busbw_GBps";
        for size in ["18446744073709551616", "1e300", "0", "0.5"] {
            let text = format!("{head}\na,all-reduce,h100-sxm,8,1,{size},50\n");
            let told = read(&text).expect_err("no such buffer").to_string();
            assert!(
                told.contains("runs.csv:2:6") && told.contains("8 EiB"),
                "{told}"
            );
        }
    }

    // 2 servers of 4 GPUs are 8 GPUs, but not one server.
    #[test]
    fn a_row_keeps_the_number_of_its_servers() {
        let text = "id,op,gpu,gpus,nodes,fabric,size_bytes,busbw_GBps\n\
             a,all-reduce,h100-sxm,8,2,InfiniBand NDR,8388608,50\nb,all-reduce,h100-sxm,8,1,,8388608,300\n";
        let found = read(text).expect("sound rows");
        let judged = found.into_iter().map(|case| Judged {
            case,
            result: CaseResult::predicted(1.0),
        });
        let judged: Vec<Judged> = judged.collect();
        let kinds = Assessment::of(&judged, Catalog::builtin()).kinds;
        let one_node = kinds[0]
            .subsets
            .iter()
            .find(|it| it.name.contains("one node"));
        assert_eq!(one_node.map(|it| it.errors.count), Some(1));
    }
}
