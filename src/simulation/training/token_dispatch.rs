//! Ways of tokens to their experts: which one a layout takes, and what a fabric has to have for it.

use crate::collective::{GroupPattern, TokenExchange};
use crate::hardware::{Cluster, CollectiveLibrary, ScaleUpKind};
use crate::model::{ExpertDispatch, TokenLibrary};
use crate::simulation::{Infeasible, TrainingScenario};
use crate::stack::PipelineSchedule;
use crate::units::Bytes;

/// How tokens get to experts on `ep` groups of `etp` ranks: as was asked for, else the first way of the stack that the
/// fabric carries; `None` where no token leaves its rank.
///
/// # Errors
/// If the fabric does not carry what was asked for.
pub(super) fn dispatcher(
    scenario: &TrainingScenario,
    (ep, etp): (u32, u32),
) -> Result<Option<ExpertDispatch>, Infeasible> {
    if ep <= 1 {
        return Ok(None);
    }
    let cluster = &scenario.cluster;
    let crosses = u64::from(ep) * u64::from(etp) > u64::from(cluster.domain_gpus);
    if let Some(asked) = scenario.communication.expert_dispatch {
        return match lacks(cluster, asked, crosses) {
            Some(lack) => Err(Infeasible::Unsupported(lack.words(cluster, asked))),
            None => Ok(Some(asked)),
        };
    }
    let mut ways = scenario.stack.expert_dispatch.iter();
    let carried = ways.find(|way| lacks(cluster, **way, crosses).is_none());
    Ok(Some(carried.copied().unwrap_or(ExpertDispatch::AllToAll)))
}

/// Sentence about the fabric that the asked way of tokens to their experts needs and the job's cluster has not; `None` where the
/// cluster has it, or nothing is asked.
pub(crate) fn lacking_fabric(scenario: &TrainingScenario) -> Option<String> {
    let (cluster, layout) = (&scenario.cluster, &scenario.layout);
    let asked = scenario.communication.expert_dispatch?;
    let ranks = u64::from(layout.ep.unwrap_or(1)) * u64::from(layout.etp.unwrap_or(1));
    let lack = lacks(cluster, asked, ranks > u64::from(cluster.domain_gpus))?;
    Some(lack.words(cluster, asked))
}

/// Whether exchanges with experts may run behind the compute of another microbatch under some schedule: as was asked for,
/// else as the stack does it, or as a schedule does that runs passes in pairs.
pub(super) fn may_overlap(scenario: &TrainingScenario) -> bool {
    let asked = scenario.communication.overlap_ep;
    let pairs = || match scenario.layout.schedule {
        Some(schedule) => schedule.pairs_passes(),
        None => scenario
            .stack
            .offers
            .schedules
            .iter()
            .any(|it| it.pairs_passes()),
    };
    asked.unwrap_or_else(|| scenario.stack.overlap.experts || pairs())
}

/// Whether exchanges with experts run behind the compute of another microbatch on `pp` stages under a schedule.
pub(super) fn overlaps(
    scenario: &TrainingScenario,
    (pp, schedule): (u32, PipelineSchedule),
) -> bool {
    let usual = scenario.stack.overlap.experts || schedule.pairs_passes();
    let asked = scenario.communication.overlap_ep;
    asked.unwrap_or(usual) && merges(scenario, (pp, schedule))
}

/// Whether a schedule merges the forward pass of a microbatch with the backward pass of another: those that run passes in
/// pairs, and the interleaved one. With a chunk per stage the last stage has none to merge: a backward pass follows on its
/// own forward pass. Without a pipeline microbatches are merged on request (`combined_1f1b_schedule_for_no_pipelining` and
/// `..._for_interleaved_pipelining` of NVIDIA/Megatron-LM megatron/core/pipeline_parallel/combined_1f1b.py).
fn merges(scenario: &TrainingScenario, (pp, schedule): (u32, PipelineSchedule)) -> bool {
    schedule == PipelineSchedule::Interleaved
        || schedule.pairs_passes()
        || pp == 1 && scenario.communication.overlap_ep == Some(true)
}

/// Refuses a schedule that merges no passes where exchanges with experts were asked to overlap.
///
/// # Errors
/// If `overlap_ep` was asked for, and the schedule merges none.
pub(super) fn check_merges(
    scenario: &TrainingScenario,
    (pp, schedule): (u32, PipelineSchedule),
) -> Result<(), Infeasible> {
    if scenario.communication.overlap_ep != Some(true) || merges(scenario, (pp, schedule)) {
        return Ok(());
    }
    Err(Infeasible::Unsupported(format!(
        "overlap_ep merges passes of two microbatches, which schedule {schedule} on pp {pp} does not; take the interleaved schedule (vpp over 1), a dualpipe, or pp 1"
    )))
}

/// Fabric that a cluster lacks for a dispatch.
enum Lack {
    /// GPUs, or links between them, that the kernels run on.
    Gpus(TokenLibrary),
    /// A network between domains that the kernels write to.
    Rdma,
}

impl Lack {
    /// A sentence with the way out.
    fn words(&self, cluster: &Cluster, way: ExpertDispatch) -> String {
        let name = &cluster.name;
        match self {
            Self::Gpus(library) => {
                let from = match library {
                    TokenLibrary::DeepEp => "Ampere",
                    TokenLibrary::HybridEp => "Hopper",
                };
                format!(
                    "expert_dispatch {way} needs NVIDIA GPUs from {from} on joined by NVLink, which {name} has not; take all-to-all"
                )
            }
            Self::Rdma => format!(
                "expert_dispatch {way} beyond the {} GPUs of a domain needs RDMA over InfiniBand or RoCE, which the network of {name} has not; take all-to-all, or a smaller ep",
                cluster.domain_gpus
            ),
        }
    }
}

/// Fabric that a cluster lacks for a dispatch; `crosses` says whether tokens leave a domain.
fn lacks(cluster: &Cluster, way: ExpertDispatch, crosses: bool) -> Option<Lack> {
    let library = way.token_library()?;
    if !runs_on(library, cluster) {
        return Some(Lack::Gpus(library));
    }
    (crosses && !cluster.fabric.rdma).then_some(Lack::Rdma)
}

/// Whether the kernels of a library run on a cluster's GPUs and the links between them: DeepEP's from SM80 on
/// (deepseek-ai/DeepEP README), HybridEP's from SM90 on, whose bulk copies they use.
fn runs_on(library: TokenLibrary, cluster: &Cluster) -> bool {
    let nvlink = match cluster.scale_up.kind {
        ScaleUpKind::NvSwitch | ScaleUpKind::NvLinkMesh => true,
        ScaleUpKind::HybridCubeMesh
        | ScaleUpKind::XgmiMesh
        | ScaleUpKind::XgmiPairs
        | ScaleUpKind::Pcie
        | ScaleUpKind::Ici => false,
    };
    nvlink
        && match (cluster.library, library) {
            (CollectiveLibrary::NcclHopper | CollectiveLibrary::NcclBlackwell, _)
            | (CollectiveLibrary::NcclAmpere, TokenLibrary::DeepEp) => true,
            (CollectiveLibrary::NcclAmpere, TokenLibrary::HybridEp)
            | (
                CollectiveLibrary::NcclVolta | CollectiveLibrary::Rccl | CollectiveLibrary::Xla,
                _,
            ) => false,
        }
}

/// The exchange of `bytes` of copies of tokens by the kernels of a library; `None` where a collective carries them.
pub(super) fn token_exchange(
    scenario: &TrainingScenario,
    dispatch: Option<ExpertDispatch>,
    (bytes, groups): (Bytes, GroupPattern),
) -> Option<TokenExchange> {
    let library = dispatch?.token_library()?;
    let moe = scenario.model.transformer()?.moe?;
    Some(TokenExchange {
        library,
        bytes,
        visits: moe.experts_per_token,
        most_groups: moe.node_limit.map(std::num::NonZeroU32::get),
        groups,
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::catalog::Catalog;
    use crate::model::ExpertImbalance;
    use crate::simulation::training::tests::scenario;
    use crate::simulation::{Scratch, StepPart, StepReport, simulate_training};

    /// 16 GPUs, tokens of Qwen3 30B over 16 expert-parallel ranks.
    fn job(gpu: &str, cluster: &str, way: Option<ExpertDispatch>) -> TrainingScenario {
        let catalog = Catalog::builtin();
        let mut job = scenario("qwen3-30b-a3b", 16, 64);
        job.gpu = Arc::clone(&catalog.gpus[gpu]);
        job.cluster = Arc::clone(&catalog.clusters[cluster]);
        job.communication.expert_dispatch = way;
        (job.layout.tp, job.layout.pp, job.layout.cp) = (Some(1), Some(1), Some(1));
        (job.layout.ep, job.layout.micro_batch) = (Some(16), Some(1));
        job
    }

    fn run(job: &TrainingScenario) -> Result<StepReport, Infeasible> {
        simulate_training(job, &mut Scratch::default())
    }

    fn refusal(job: &TrainingScenario) -> String {
        run(job).expect_err("it is refused").to_string()
    }

    #[test]
    fn a_way_without_its_fabric_is_refused_and_auto_leaves_it_out() {
        use ExpertDispatch::{AllToAll, DeepEp, HybridEp};
        let amd = refusal(&job("mi300x", "mi300x-node", Some(DeepEp)));
        assert_eq!(
            amd,
            "unsupported: expert_dispatch deepep needs NVIDIA GPUs from Ampere on joined by NVLink, which mi300x-node has not; take all-to-all"
        );
        let efa = refusal(&job("h100-sxm", "aws-p5", Some(HybridEp)));
        assert!(
            efa.contains("beyond the 8 GPUs of a domain needs RDMA"),
            "{efa}"
        );
        // Inside a server no network is needed.
        let mut inside = job("h100-sxm", "aws-p5", Some(HybridEp));
        inside.layout.ep = Some(8);
        assert!(run(&inside).is_ok());
        for (gpu, cluster, taken) in [
            ("mi300x", "mi300x-node", AllToAll),
            ("h100-sxm", "aws-p5", AllToAll),
            ("h100-sxm", "dgx-h100", HybridEp),
            ("a100-80gb-sxm", "dgx-a100", DeepEp),
        ] {
            let step = run(&job(gpu, cluster, None)).unwrap();
            assert_eq!(step.layout.expert_dispatch, Some(taken), "{cluster}");
        }
    }

    #[test]
    fn tokens_that_stay_on_their_rank_take_no_way() {
        let mut whole = job("h100-sxm", "dgx-h100", None);
        whole.layout.ep = Some(1);
        let step = run(&whole).unwrap();
        assert_eq!(
            (step.layout.expert_dispatch, step.layout.overlap_ep),
            (None, false)
        );
    }

    // A pass exchanges 4,096 tokens of 2,048 values twice. To the other server an all-to-all sends 8 copies, 1/2 of them:
    // 67.1 MB at 42.5 GB/s are 1.58 ms; the libraries send 0.996 copies, 16.7 MB, in 0.39 ms. Gathered on 16 ranks they
    // are 268 MB, of which half crosses, shared out among the 8 NICs of a server: twice 1/8 of 134 MB, 0.35 ms each way
    // and less than 1.58.
    #[test]
    fn each_way_takes_the_time_of_its_bytes() {
        use ExpertDispatch::{AllGather, AllToAll, DeepEp, HybridEp};
        let [copies, gathered, deepep, hybridep] = [AllToAll, AllGather, DeepEp, HybridEp]
            .map(|way| run(&job("h100-sxm", "dgx-h100", Some(way))).unwrap());
        let exposed = |step: &StepReport| step.shares[StepPart::EpComm].as_secs_f64();
        // 48 layers, 4 microbatches, 4 exchanges of forward and backward passes.
        let all = 48.0 * 4.0 * 4.0;
        let per_copy = exposed(&copies) / all;
        assert!((1.58e-3..1.8e-3).contains(&per_copy), "{per_copy}");
        let once = exposed(&hybridep) / all;
        assert!((0.39e-3..0.55e-3).contains(&once), "{once}");
        assert!(exposed(&gathered) < exposed(&copies));
        assert!((exposed(&deepep) / exposed(&hybridep) - 1.0).abs() < 0.2);
    }

    // 128 experts on 16 ranks, 8 each: with twice the mean on the busiest, its rank has (2 + 7·126/127)/8 = 1.118 times the
    // rows, which bounds what products and exchanges grow; it is another rank in every layer, so that what a layer works on grows
    // alone. A token visits 8 experts, so that none has more than 16 times the
    // mean.
    #[test]
    fn the_others_wait_for_the_busiest_expert() {
        let mut job = job("h100-sxm", "dgx-h100", Some(ExpertDispatch::AllToAll));
        job.layout.recompute = Some(crate::stack::Recompute::None);
        let even = run(&job).unwrap();
        job.workload.expert_imbalance = ExpertImbalance::new(2.0);
        let uneven = run(&job).unwrap();
        let exposed = |step: &StepReport| step.shares[StepPart::EpComm].as_secs_f64();
        let grown = exposed(&uneven) / exposed(&even);
        assert!((1.10..1.12).contains(&grown), "{grown}");
        let grown = uneven.step_time().as_secs_f64() / even.step_time().as_secs_f64();
        assert!((1.02..1.12).contains(&grown), "{grown}");
        let grown = uneven.memory.activations.get() as f64 / even.memory.activations.get() as f64;
        assert!((1.0..1.02).contains(&grown), "{grown}");
        job.workload.expert_imbalance = ExpertImbalance::new(17.0);
        let words = refusal(&job);
        assert!(words.contains("expert_imbalance 17 is over 16"), "{words}");
    }

    // Without a pipeline all microbatches but one are merged with the next; a pipeline of one chunk per stage merges none.
    #[test]
    fn exchanges_hide_behind_another_microbatch_where_passes_are_merged() {
        let mut plain = job("h100-sxm", "dgx-h100", Some(ExpertDispatch::AllToAll));
        let alone = run(&plain).unwrap();
        plain.communication.overlap_ep = Some(true);
        let merged = run(&plain).unwrap();
        assert!(!alone.layout.overlap_ep && merged.layout.overlap_ep);
        let exposed = |step: &StepReport| step.shares[StepPart::EpComm].as_secs_f64();
        // One microbatch of four stays as it was.
        assert!(exposed(&merged) >= 0.25 * exposed(&alone));
        assert!(merged.step_time() < alone.step_time());
        (plain.layout.ep, plain.layout.pp) = (Some(8), Some(2));
        plain.layout.vpp = Some(1);
        let words = refusal(&plain);
        assert!(words.contains("take the interleaved schedule"), "{words}");
        plain.layout.vpp = Some(2);
        assert!(run(&plain).unwrap().layout.overlap_ep);
    }
}
