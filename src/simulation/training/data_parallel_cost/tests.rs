//! Hybrid sharding: bytes inside and across, memory, what is refused.

use crate::catalog::Catalog;
use crate::collective::{Algorithm, CollectiveAlgorithm};
use crate::simulation::{
    Infeasible, LayoutRequest, Scratch, StepReport, TrainingScenario, ZeroGroup, simulate_training,
};
use crate::stack::{Recompute, ZeroStage};
use crate::units::Bytes;

/// A job of A100s in nodes of 8, whose collectives are rings, fully sharded with two microbatches of one sample.
fn job(model: &str, gpus: u32, zero_group: Option<u32>) -> TrainingScenario {
    let catalog = Catalog::builtin();
    let mut gpu = (*catalog.gpus["a100-80gb-sxm"]).clone();
    gpu.memory = Bytes::gib(1000);
    let mut job = TrainingScenario::new(
        catalog.models[model].clone(),
        gpu,
        catalog.clusters["dgx-a100"].clone(),
        catalog.stacks["fsdp-2024"].clone(),
    );
    (job.gpus, job.workload.global_batch) = (gpus, 2 * gpus);
    job.workload.seq_len = 1024;
    job.communication.collective = Some(Algorithm::BuiltIn(CollectiveAlgorithm::Ring));
    job.layout = LayoutRequest {
        tp: Some(1),
        pp: Some(1),
        ep: Some(1),
        micro_batch: Some(1),
        recompute: Some(Recompute::None),
        zero: Some(ZeroStage::Z3),
        zero_group: zero_group.map(ZeroGroup::Ranks),
        ..LayoutRequest::default()
    };
    job
}

fn run(job: &TrainingScenario) -> Result<StepReport, Infeasible> {
    simulate_training(job, &mut Scratch::default())
}

fn refused(job: &TrainingScenario) -> String {
    run(job).expect_err("it cannot run").to_string()
}

// Per microbatch each of the G ranks of a group sends (G − 1)/G of the parameters twice as they are gathered and once as
// their gradients are scattered, 2 bytes each; with S groups a shard's gradients are all-reduced across,
// 2(S − 1)/S of 1/G of them. Groups of a node keep the first inside and have only the second between nodes.
// Llama 3 8B: 32 layers of 4096·(4096 + 2·1024) + 4096² + 3·4096·14336 weights, embedding and head of 128,256·4096
// and 65 norms of 4,096.
#[test]
fn hybrid_sharding_gathers_inside_and_all_reduces_shards_across() {
    let parameters = 32.0 * (4096.0 * 6144.0 + 4096.0 * 4096.0 + 3.0 * 4096.0 * 14336.0)
        + 2.0 * 128_256.0 * 4096.0
        + 65.0 * 4096.0;
    for (gpus, group) in [(16, 8), (32, 8), (64, 8), (64, 4), (32, 2), (32, 16)] {
        let network = run(&job("llama3-8b", gpus, Some(group)))
            .expect("it runs")
            .network;
        let [g, sets] = [group, gpus / group].map(f64::from);
        let inside = 2.0 * 3.0 * (g - 1.0) / g * 2.0 * parameters;
        let across = 2.0 * 2.0 * (sets - 1.0) / sets * 2.0 * parameters / g;
        let (intra, inter) = (network.intra_node.as_f64(), network.inter_node.as_f64());
        let all = (intra + inter) / (inside + across);
        assert!((all - 1.0).abs() < 1e-5, "{group} of {gpus}: {all}");
        if group == 8 {
            assert!(
                (intra / inside - 1.0).abs() < 1e-5,
                "{gpus}: {}",
                intra / inside
            );
        }
    }
}

// Mixtral's dense weights are over 16 ranks in groups of 8; with ep 2 an expert is on 8 of them, in two groups of 4.
#[test]
fn experts_are_sharded_in_as_many_groups_as_dense_weights() {
    let mut hybrid = job("mixtral-8x7b", 16, Some(8));
    hybrid.layout.ep = Some(2);
    let dense = 32.0 * (4096.0 * 6144.0 + 4096.0 * 4096.0 + 4096.0 * 8.0)
        + 2.0 * 32_000.0 * 4096.0
        + 65.0 * 4096.0;
    let experts = 32.0 * 4.0 * 3.0 * 4096.0 * 14336.0;
    let of = |ranks: f64, parameters: f64| {
        2.0 * (3.0 * (ranks - 1.0) / ranks + 2.0 * 0.5 / ranks) * 2.0 * parameters
    };
    // Every token visits two experts and comes back, and so do its gradients, half of them on the other rank.
    let tokens = 2.0 * 32.0 * 4.0 * 0.5 * 2.0 * 1024.0 * 4096.0 * 2.0;
    let expected = of(8.0, dense) + of(4.0, experts) + tokens;
    let network = run(&hybrid).expect("it runs").network;
    let sent = network.intra_node.as_f64() + network.inter_node.as_f64();
    assert!((sent / expected - 1.0).abs() < 1e-4, "{}", sent / expected);
}

// A rank holds 1/G of everything, as in a job of G ranks.
#[test]
fn groups_of_shards_hold_what_a_job_of_their_size_does() {
    let memory = |gpus, group| run(&job("llama3-8b", gpus, group)).expect("it runs").memory;
    assert_eq!(memory(32, Some(8)), memory(8, Some(8)));
    assert_eq!(memory(32, Some(32)), memory(32, Some(32)));
    assert!(memory(32, Some(8)).total() > memory(32, None).total());
}

// With slow NICs, sets of shards inside nodes beat one over all; left to the search, the best group is found.
#[test]
fn the_search_finds_groups_that_spare_a_slow_network() {
    let slow = |group| {
        let mut job = job("llama3-8b", 32, group);
        let mut cluster = (*job.cluster).clone();
        cluster.nic_bandwidth = cluster.nic_bandwidth.scaled(0.25);
        job.cluster = cluster.into();
        run(&job).expect("it runs")
    };
    let (auto, hybrid, full) = (slow(None), slow(Some(8)), slow(Some(32)));
    assert!(hybrid.step_time() < full.step_time());
    assert!(auto.step_time() <= hybrid.step_time());
    assert!(auto.layout.shard_sets() > 1);
}

#[test]
fn groups_that_do_not_go_are_refused_with_a_way_out() {
    let told = refused(&job("llama3-8b", 16, Some(32)));
    assert!(
        told.contains("zero_group 32") && told.contains("16 ranks"),
        "{told}"
    );
    let told = refused(&job("llama3-8b", 16, Some(3)));
    assert!(told.contains("zero_group 3"), "{told}");
    let mut replicated = job("llama3-8b", 16, Some(8));
    replicated.layout.zero = Some(ZeroStage::Z1);
    let told = refused(&replicated);
    assert!(told.contains("zero 1 leaves parameters whole"), "{told}");
    let mut other = job("llama3-8b", 16, Some(8));
    other.stack = Catalog::builtin().stacks["megatron-2025"].clone();
    let told = refused(&other);
    assert!(told.contains("does not offer hybrid sharding"), "{told}");
    // 8 experts over 8 ranks: each is on two ranks, which four sets cannot share.
    let mut experts = job("mixtral-8x7b", 16, Some(4));
    experts.layout.ep = Some(8);
    let told = refused(&experts);
    assert!(told.contains("2 replicas of each expert"), "{told}");
}
