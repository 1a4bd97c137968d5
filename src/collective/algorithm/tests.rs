//! Schedules of all algorithms, played.

mod pairs;

use super::*;
use crate::collective::schedule::Messages;

fn layouts(ranks: u32) -> Vec<GroupLayout> {
    [1, 2, 4, 8, ranks]
        .into_iter()
        .filter(|members| ranks.is_multiple_of(*members))
        .flat_map(|members| {
            [(1, false), (4, false), (3, true)].map(|(chunks, fabric_reduces)| GroupLayout {
                ranks,
                members,
                chunks,
                fabric_reduces,
            })
        })
        .collect()
}

// Primes and odd numbers included; what an algorithm carries, it carries without losing or
// counting twice.
#[test]
fn every_rank_ends_with_every_contribution_once() {
    for &algorithm in CollectiveAlgorithm::ALL {
        for &op in CollectiveOp::ALL {
            for ranks in 2..=64 {
                for group in layouts(ranks) {
                    let Some(made) = algorithm.schedule(op, group) else {
                        continue;
                    };
                    if let Err(fault) = made.verify() {
                        panic!("{algorithm} {op} {group:?}: {fault}");
                    }
                }
            }
        }
    }
}

#[test]
fn every_algorithm_carries_an_all_reduce_on_any_number_of_ranks() {
    for &algorithm in CollectiveAlgorithm::ALL {
        for ranks in 2..=64 {
            let group = GroupLayout::new(ranks, ranks);
            assert!(algorithm.schedule(CollectiveOp::AllReduce, group).is_some());
        }
    }
}

// A ring sends n − 1 chunks of n on each rank, each way: 2 (n − 1) / n of the buffer.
#[test]
fn a_ring_all_reduce_sends_twice_the_buffer_less_two_shares() {
    for ranks in 2..=64 {
        let group = GroupLayout::new(ranks, 1);
        let made = CollectiveAlgorithm::Ring
            .schedule(CollectiveOp::AllReduce, group)
            .expect("a ring carries it");
        let sent = made.rounds.iter().flatten().filter(|t| t.from == 0).count() as f64;
        let n = f64::from(ranks);
        assert!((sent * made.chunk_of_buffer() - 2.0 * (n - 1.0) / n).abs() < 1e-12);
    }
}

// The example of an algorithm in docs/contributing.md, which its tests hold to this file. Every rank sends its
// share to each of the n − 1 others: as much as a ring does.
#[test]
fn the_algorithm_of_the_guide_loses_nothing_and_sends_what_a_ring_does() {
    for op in [
        CollectiveOp::AllReduce,
        CollectiveOp::AllGather,
        CollectiveOp::ReduceScatter,
    ] {
        for ranks in 2..=64 {
            let group = GroupLayout::new(ranks, 1);
            let Some(Plan::Rounds(made)) = (pairs::ROW.plan)(op, group) else {
                panic!("it reduces in rounds");
            };
            made.verify().expect("it is sound");
            let ring = CollectiveAlgorithm::Ring.schedule(op, group);
            let transfers = |it: &Schedule| it.rounds.iter().flatten().count();
            assert_eq!(transfers(&made), transfers(&ring.expect("a ring does")));
        }
    }
    let group = GroupLayout::new(4, 1);
    assert!((pairs::ROW.plan)(CollectiveOp::Broadcast, group).is_none());
}
