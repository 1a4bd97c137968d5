//! Schedules written in short: blocks as `(send, recv, channel, steps)`, steps as
//! `type source target ×count @block.step !`, with `!` where others wait for it.

use super::*;
use crate::collective::op::{CollectiveOp, Protocol};
use crate::collective::schedule::messages::Messages;
use crate::units::{Bytes, Seconds};

type ShortBlock<'a> = (i64, i64, u32, &'a [&'a str]);

fn step(number: usize, text: &str) -> String {
    let (mut count, mut depends, mut told) = ("1", ("-1", "-1"), 0);
    let mut places = Vec::new();
    let mut words = text.split_whitespace();
    let kind = words.next().expect("a step has a type");
    for word in words {
        if let Some(number) = word.strip_prefix('×') {
            count = number;
        } else if let Some(waits) = word.strip_prefix('@') {
            depends = waits.split_once('.').expect("block.step");
        } else if word == "!" {
            told = 1;
        } else {
            places.push(word.split_at(1));
        }
    }
    let [source, target] = [0, 1].map(|place| places.get(place).copied().unwrap_or(("i", "-1")));
    format!(
        r#"<step s="{number}" type="{kind}" srcbuf="{}" srcoff="{}" dstbuf="{}" dstoff="{}" cnt="{count}" depid="{}" deps="{}" hasdep="{told}"/>"#,
        source.0, source.1, target.0, target.1, depends.0, depends.1
    )
}

/// An `algo` with further attributes, and a list of blocks for each GPU, with 4 chunks of scratch.
fn algo(attributes: &str, chunks: u32, gpus: &[&[ShortBlock<'_>]]) -> String {
    let ranks = gpus.len();
    let gpus = gpus.iter().zip(0..).map(|(blocks, gpu)| {
        let blocks = blocks
            .iter()
            .zip(0..)
            .map(|((send, receive, channel, steps), id)| {
                let steps = steps.iter().enumerate();
                let steps: Vec<_> = steps.map(|(number, short)| step(number, short)).collect();
                let steps = steps.concat();
                format!(
                    r#"<tb id="{id}" send="{send}" recv="{receive}" chan="{channel}">{steps}</tb>"#
                )
            });
        let blocks = blocks.collect::<Vec<_>>().concat();
        format!(
            r#"<gpu id="{gpu}" i_chunks="{chunks}" o_chunks="{chunks}" s_chunks="4">{blocks}</gpu>"#
        )
    });
    let gpus = gpus.collect::<Vec<_>>().join("\n");
    format!(
        r#"<algo name="mine" nchannels="1" {attributes} nchunksperloop="{chunks}" ngpus="{ranks}">
{gpus}</algo>"#
    )
}

fn read(text: &str) -> Program {
    read_msccl(text).unwrap_or_else(|fault| panic!("{fault}\n{text}"))
}

fn refused(text: &str) -> String {
    read_msccl(text).expect_err("it is wrong").to_string()
}

const IN_PLACE_GATHER: &str = r#"coll="allgather" inplace="1" proto="Simple""#;
const REDUCE: &str = r#"coll="allreduce" inplace="1" proto="Simple""#;

// Both send before they receive: the connection holds what nobody has taken yet. The two messages are
// on their way at once, one hop of 2 s.
#[test]
fn sends_do_not_wait_for_their_receives() {
    let gather = algo(
        IN_PLACE_GATHER,
        2,
        &[
            &[(1, 1, 0, &["s o0 o0", "r o1 o1"])],
            &[(0, 0, 0, &["s o1 o1", "r o0 o0"])],
        ],
    );
    let program = read(&gather);
    let rounds: Vec<_> = program.by_round().collect();
    assert_eq!(rounds.len(), 1);
    assert_eq!(
        Vec::from_iter(&rounds[0]),
        [(&(0, 1), &1.0), (&(1, 0), &1.0)]
    );
    assert_eq!(
        program.slowest_chain(&mut |_, _| Seconds::new(2.0)),
        Seconds::new(2.0)
    );
}

#[test]
fn steps_that_wait_for_each_other_are_named() {
    let gather = |first: [&str; 2], second: [&str; 2]| {
        algo(
            IN_PLACE_GATHER,
            2,
            &[&[(1, 1, 0, &first)], &[(0, 0, 0, &second)]],
        )
    };
    assert_eq!(
        refused(&gather(["r o1 o1", "s o0 o0"], ["r o0 o0", "s o1 o1"])),
        "gpu 0, threadblock 0, step 0: deadlock: it waits for gpu 1, threadblock 0, step 0, which waits for the first"
    );
    // Nobody sends: no circle, but the end of the wait.
    assert_eq!(
        refused(&gather(["nop", "r o1 o1"], ["nop", "nop"])),
        "gpu 0, threadblock 0, step 1: it waits for a message that gpu 1 never sends"
    );
    assert_eq!(
        refused(&gather(["s o0 o0", "s o0 o0"], ["r o0 o0", "nop"])),
        "gpu 0, threadblock 0, step 1: gpu 1 never receives what it sends"
    );
    let itself = algo(
        IN_PLACE_GATHER,
        2,
        &[&[(1, 1, 0, &["nop @0.1", "cpy o0 o0 !"])], &[]],
    );
    assert_eq!(
        refused(&itself),
        "gpu 0, threadblock 0, step 0: deadlock: it waits for its own threadblock"
    );
}

// A message of Simple takes 4 of the 8 slots, one of LL a single slot: three messages ahead of the
// receiver fit under LL alone.
#[test]
fn a_connection_holds_as_many_messages_as_the_protocol_has_slots() {
    let exchange = |proto: &str| {
        algo(
            &format!(r#"coll="alltoall" inplace="0" proto="{proto}""#),
            6,
            &[
                &[
                    (
                        1,
                        1,
                        0,
                        &[
                            "s i3 o0", "s i4 o1", "s i5 o2", "r i0 o3", "r i1 o4", "r i2 o5",
                        ],
                    ),
                    (-1, -1, 0, &["cpy i0 o0 ×3"]),
                ],
                &[
                    (
                        0,
                        0,
                        0,
                        &[
                            "s i0 o3", "s i1 o4", "s i2 o5", "r i3 o0", "r i4 o1", "r i5 o2",
                        ],
                    ),
                    (-1, -1, 0, &["cpy i3 o3 ×3"]),
                ],
            ],
        )
    };
    for proto in ["LL", "LL128"] {
        assert_eq!(read(&exchange(proto)).rounds(), 1);
    }
    assert_eq!(
        refused(&exchange("Simple")),
        "gpu 0, threadblock 0, step 2: deadlock: it waits for gpu 1, threadblock 0, step 2, which waits for the first"
    );
}

/// The ring of msccl-tools over `ranks`, one chunk each.
fn ring(ranks: u32, attributes: &str) -> String {
    let steps = (0..ranks).map(|rank| {
        let chunk = |back: u32| (rank + 2 * ranks - back) % ranks;
        let mut steps = vec![("s", chunk(0))];
        steps.extend((1..ranks - 1).map(|back| ("rrs", chunk(back))));
        steps.push(("rrcs", chunk(ranks - 1)));
        steps.extend((0..ranks - 2).map(|back| ("rcs", chunk(back))));
        steps.push(("r", chunk(ranks - 2)));
        let steps = steps.iter();
        let steps = steps.map(|(kind, chunk)| format!("{kind} i{chunk} i{chunk}"));
        steps.collect()
    });
    let steps: Vec<Vec<String>> = steps.collect();
    let steps: Vec<Vec<&str>> = steps
        .iter()
        .map(|steps| steps.iter().map(String::as_str).collect())
        .collect();
    let blocks: Vec<[ShortBlock<'_>; 1]> = steps
        .iter()
        .zip(0_i64..)
        .map(|(steps, rank)| {
            let ranks = i64::from(ranks);
            [(
                (rank + 1) % ranks,
                (rank + ranks - 1) % ranks,
                0,
                &steps[..],
            )]
        })
        .collect();
    let gpus: Vec<&[ShortBlock<'_>]> = blocks.iter().map(|blocks| &blocks[..]).collect();
    algo(attributes, ranks, &gpus)
}

// 2 (n − 1) messages one after another; in each round every rank sends one of its n chunks.
#[test]
fn a_ring_takes_its_rounds() {
    for ranks in [2, 3, 4, 8] {
        let program = read(&ring(ranks, REDUCE));
        assert_eq!(
            (program.op, program.ranks),
            (Some(CollectiveOp::AllReduce), ranks)
        );
        assert_eq!(program.rounds() as u32, 2 * (ranks - 1));
        for round in program.by_round() {
            assert_eq!(round.len() as u32, ranks);
            assert!(round.values().all(|chunks| (chunks - 1.0).abs() < 1e-12));
        }
        let hops = program.slowest_chain(&mut |_, _| Seconds::new(1.0));
        assert_eq!(hops, Seconds::new(f64::from(2 * (ranks - 1))));
    }
}

// Two ranks send each other their whole input into scratch; another block adds it once it is told.
#[test]
fn blocks_wait_for_steps_of_other_blocks() {
    let reduce = |waits: &str, told: &str| {
        let (arrives, adds) = (format!("r i0 s0 ×2 {told}"), format!("re s0 i0 ×2 {waits}"));
        let own = |peer: i64| {
            let exchanged = ["s i0 s0 ×2".to_owned(), arrives.clone()];
            (peer, exchanged)
        };
        let blocks: Vec<_> = [own(1), own(0)]
            .into_iter()
            .map(|(peer, exchanged)| (peer, exchanged, [adds.clone()]))
            .collect();
        let short: Vec<Vec<&str>> = blocks
            .iter()
            .map(|(_, exchanged, _)| exchanged.iter().map(String::as_str).collect())
            .collect();
        let adds = [&*blocks[0].2[0]];
        let gpus: Vec<[ShortBlock<'_>; 2]> = blocks
            .iter()
            .zip(&short)
            .map(|((peer, ..), exchanged)| {
                [(-1, -1, 0, &adds[..]), (*peer, *peer, 0, &exchanged[..])]
            })
            .collect();
        algo(REDUCE, 2, &[&gpus[0], &gpus[1]])
    };
    let program = read(&reduce("@1.1", "!"));
    assert_eq!(program.rounds(), 1);
    assert_eq!(
        refused(&reduce("", "")),
        "gpu 0, threadblock 0, step 0: it takes chunk 0 of `s`, where nothing has been put yet"
    );
    assert_eq!(
        refused(&reduce("@1.1", "")),
        "gpu 0, threadblock 0, step 0: it waits for threadblock 1, step 1, which tells nobody that it is done (`hasdep` is 0)"
    );
    assert_eq!(
        refused(&reduce("@2.0", "!")),
        "gpu 0, threadblock 0, step 0: it waits for threadblock 2, step 0; the gpu has no such threadblock"
    );
}

// Each GPU gives its neighbour's share and adds its own: in place the sum lies in its share of the
// input, else in the output of one chunk.
#[test]
fn outputs_lie_where_the_operation_puts_them() {
    let scatter = |attributes: &str, outs: [&str; 2]| {
        let sums = outs.map(|out| format!("rrc {out}"));
        algo(
            &format!(r#"coll="reduce_scatter" {attributes}"#),
            2,
            &[
                &[(1, 1, 0, &["s i1 i1", &sums[0]])],
                &[(0, 0, 0, &["s i0 i0", &sums[1]])],
            ],
        )
    };
    read(&scatter(r#"inplace="0""#, ["i0 o0", "i1 o0"]));
    read(&scatter(r#"inplace="1""#, ["i0 i0", "i1 i1"]));
    read(&scatter(
        r#"inplace="1" outofplace="1""#,
        ["i0 o0", "i1 o0"],
    ));
    assert_eq!(
        refused(&scatter(r#"inplace="0""#, ["i0 i0", "i1 i1"])),
        "gpu 0: chunk 0 of its output is never written"
    );
}

#[test]
fn operations_besides_reductions_are_checked() {
    let exchange = algo(
        r#"coll="alltoall" inplace="0" minBytes="1024" maxBytes="4096" proto="LL""#,
        2,
        &[
            &[(1, 1, 0, &["s i1 o0", "r i0 o1", "cpy i0 o0"])],
            &[(0, 0, 0, &["s i0 o1", "r i1 o0", "cpy i1 o1"])],
        ],
    );
    let program = read(&exchange);
    assert_eq!(
        (program.op, program.protocol()),
        (Some(CollectiveOp::AllToAll), Protocol::Ll)
    );
    let sizes = [1023, 1024, 4096, 4097].map(|size| program.is_for(Bytes::new(size)));
    assert_eq!(sizes, [false, true, true, false]);
    assert_eq!(
        refused(&exchange.replace(
            r#"srcoff="1" dstbuf="o" dstoff="0""#,
            r#"srcoff="0" dstbuf="o" dstoff="0""#
        )),
        "gpu 1: chunk 0 of its output has chunk 0 of the inputs, not chunk 1, as threadblock 0, step 1 leaves it"
    );
    // Rank 1 gives its buffer to 0 and, by way of 0, to 2.
    let broadcast = |coll: &str| {
        let attributes = format!(r#"coll="{coll}" inplace="0""#);
        algo(
            &attributes,
            1,
            &[
                &[(2, 1, 0, &["rcs i0 o0"])],
                &[(0, -1, 0, &["s i0 o0"])],
                &[(-1, 0, 0, &["r i0 o0"])],
            ],
        )
    };
    assert_eq!(
        read(&broadcast("broadcast")).op,
        Some(CollectiveOp::Broadcast)
    );
    assert_eq!(read(&broadcast("custom")).op, Some(CollectiveOp::Broadcast));
    let chain = |coll: &str| {
        let attributes = format!(r#"coll="{coll}" inplace="0""#);
        algo(
            &attributes,
            1,
            &[
                &[(1, -1, 0, &["s i0 o0"])],
                &[(2, 0, 0, &["s i0 o0", "r i0 o0"])],
                &[(-1, 1, 0, &["r i0 o0"])],
            ],
        )
    };
    assert_eq!(read(&chain("alltonext")).op, Some(CollectiveOp::SendRecv));
    assert_eq!(read(&chain("custom")).op, Some(CollectiveOp::SendRecv));
    // Only rank 1 gets something: none of the usual operations.
    let lone = algo(
        r#"coll="custom" inplace="0""#,
        1,
        &[
            &[(1, -1, 0, &["s i0 o0"])],
            &[(-1, 0, 0, &["r i0 o0"])],
            &[],
        ],
    );
    assert_eq!(read(&lone).op, None);
}

#[test]
fn a_schedule_that_loses_or_repeats_names_the_gpu_and_the_step() {
    let ring = ring(4, REDUCE);
    let once = |from: &str, to: &str| {
        assert!(ring.contains(from), "{from}");
        refused(&ring.replacen(from, to, 1))
    };
    let first = r#"<step s="1" type="rrs""#;
    assert_eq!(
        once(first, r#"<step s="1" type="rcs""#),
        "gpu 0: chunk 3 of its output lacks the contribution of gpu 0, as threadblock 0, step 5 leaves it"
    );
    assert_eq!(
        once(first, r#"<step s="1" type="xs""#),
        "gpu 0, threadblock 0, step 1: unknown step type `xs`; expected one of: s, r, cpy, re, rrc, rcs, rrs, rrcs, nop"
    );
    assert_eq!(
        once(
            r#"<step s="1" type="rrs" srcbuf="i" srcoff="3""#,
            r#"<step s="1" type="rrs" srcbuf="i" srcoff="4""#
        ),
        "gpu 0, threadblock 0, step 1: buffer `i` has 4 chunks, not chunk 4"
    );
    assert_eq!(
        once(
            r#"<step s="1" type="rrs" srcbuf="i" srcoff="3""#,
            r#"<step s="1" type="rrs" srcbuf="i" srcoff="2""#
        ),
        "gpu 0, threadblock 0, step 1: it adds chunks 3 and 2 of the inputs; all-reduce never does"
    );
    let twice = algo(
        REDUCE,
        1,
        &[
            &[(1, 1, 0, &["s i0 i0", "rrc i0 i0", "re i0 i0"])],
            &[(0, 0, 0, &["s i0 i0", "rrc i0 i0"])],
        ],
    );
    assert_eq!(
        refused(&twice),
        "gpu 0, threadblock 0, step 2: it counts the contribution of gpu 0 twice"
    );
    assert_eq!(
        refused(&ring.replace("allreduce", "gather")),
        "line 1: `coll` is `gather`; expected `allreduce`, `allgather`, `reduce_scatter`, `alltoall`, `alltonext`, `broadcast` or `custom`"
    );
}

#[test]
fn channels_are_connections_of_their_own() {
    let two = |channel: u32| {
        algo(
            r#"coll="allgather" inplace="1""#,
            4,
            &[
                &[
                    (1, 1, 0, &["s o0 o0", "r o2 o2"]),
                    (1, 1, channel, &["s o1 o1", "r o3 o3"]),
                ],
                &[
                    (0, 0, 0, &["s o2 o2", "r o0 o0"]),
                    (0, 0, channel, &["s o3 o3", "r o1 o1"]),
                ],
            ],
        )
    };
    let rounds: Vec<_> = read(&two(1)).by_round().collect();
    assert_eq!((rounds.len(), rounds[0][&(0, 1)]), (1, 2.0));
    assert_eq!(
        refused(&two(0)),
        "gpu 0, threadblock 1, step 0: threadblock 0 sends to gpu 1 on channel 0 already"
    );
}

// GPU 0 copies its buffer to scratch in one block and sends it from there in another: in the order of
// the blocks that is right by chance, in the other one it is not.
#[test]
fn what_a_schedule_does_must_not_depend_on_the_order_of_its_blocks() {
    let broadcast = |copy: &str, send: &str| {
        algo(
            r#"coll="broadcast" inplace="0""#,
            1,
            &[
                &[(-1, -1, 0, &[copy]), (1, -1, 0, &[send])],
                &[(-1, 0, 0, &["r i0 o0"])],
            ],
        )
    };
    assert_eq!(read(&broadcast("cpy i0 s0 !", "s s0 o0 @0.0")).rounds(), 1);
    assert_eq!(
        refused(&broadcast("cpy i0 s0", "s s0 o0")),
        "gpu 0, threadblock 1, step 0: it takes chunk 0 of `s`, where nothing has been put yet"
    );
}
