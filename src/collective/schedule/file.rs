//! Custom schedules, without code: a text of rounds, or MSCCL's XML.
//!
//! ```text
//! op all-reduce
//! ranks 2
//! chunks 2
//! round
//! 0 1 1 add
//! 1 0 0 add
//! round
//! 1 0 1
//! 0 1 0
//! ```
//!
//! A transfer is `sender receiver chunk`, with `add` where the receiver sums. `#` begins a comment.

use roxmltree::{Document, Node};

use crate::collective::op::CollectiveOp;
use crate::collective::schedule::rounds::{Schedule, Transfer};
use crate::collective::schedule::verify::ScheduleFault;

/// Why a file is no schedule.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScheduleFileFault {
    /// A line cannot be read.
    #[error("line {line}: {message}")]
    Line {
        /// The line, from 1.
        line: u32,
        /// The fault, and the way out.
        message: String,
    },
    /// The schedule can be read, but does not carry its operation out.
    #[error(transparent)]
    Wrong(#[from] ScheduleFault),
}

fn at_line(line: u32, message: impl Into<String>) -> ScheduleFileFault {
    ScheduleFileFault::Line {
        line,
        message: message.into(),
    }
}

/// Reads a schedule from a text of rounds, or from MSCCL's XML, and checks it.
///
/// # Errors
/// If a line cannot be read, or the schedule loses or repeats a contribution, waits for what never
/// comes, or names a rank or chunk that is not there.
pub fn read_schedule(text: &str) -> Result<Schedule, ScheduleFileFault> {
    let schedule = if text.trim_start().starts_with('<') {
        read_xml(text)?
    } else {
        read_rounds(text)?
    };
    check_size(&schedule)?;
    schedule.verify()?;
    Ok(schedule)
}

/// Most messages of a schedule.
const TRANSFERS_MAX: usize = 1 << 22;

/// Most words that the contributions in all chunks of all ranks take while a schedule is played.
const WORDS_MAX: u64 = 1 << 24;

/// Whether a schedule has rounds, chunks that its operation can share out, and a size that can be
/// played.
fn check_size(schedule: &Schedule) -> Result<(), ScheduleFileFault> {
    let Schedule {
        op, ranks, chunks, ..
    } = *schedule;
    let needed = match op {
        CollectiveOp::AllGather | CollectiveOp::ReduceScatter if !chunks.is_multiple_of(ranks) => {
            Some(format!("a multiple of {ranks}"))
        }
        CollectiveOp::AllToAll if chunks != ranks * ranks => {
            Some(format!("one per pair, {}", ranks * ranks))
        }
        CollectiveOp::SendRecv if chunks != ranks => Some(format!("one per rank, {ranks}")),
        CollectiveOp::AllGather
        | CollectiveOp::ReduceScatter
        | CollectiveOp::AllToAll
        | CollectiveOp::SendRecv
        | CollectiveOp::AllReduce
        | CollectiveOp::Broadcast => None,
    };
    if let Some(needed) = needed {
        let message = format!("{op} over {ranks} ranks has {chunks} chunks; it needs {needed}");
        return Err(at_line(1, message));
    }
    let words = u64::from(ranks) * u64::from(chunks) * u64::from(ranks.div_ceil(64));
    if words > WORDS_MAX {
        let message = format!(
            "{ranks} ranks with {chunks} chunks are too many to be checked; take fewer chunks"
        );
        return Err(at_line(1, message));
    }
    if schedule.rounds.is_empty() && ranks > 1 {
        return Err(at_line(1, "it has no rounds"));
    }
    Ok(())
}

fn read_rounds(text: &str) -> Result<Schedule, ScheduleFileFault> {
    let (mut op, mut ranks, mut chunks) = (None, None, None);
    let mut rounds: Vec<Vec<Transfer>> = Vec::new();
    for (content, line) in text.lines().zip(1..) {
        let content = content.split('#').next().unwrap_or_default();
        let words: Vec<&str> = content.split_whitespace().collect();
        let number = |word: &str| {
            word.parse::<u32>()
                .map_err(|_| at_line(line, format!("`{word}` is no whole number")))
        };
        match words[..] {
            [] => {}
            ["op", name] => {
                let parsed = name.parse::<CollectiveOp>();
                op = Some(parsed.map_err(|error| at_line(line, error.to_string()))?);
            }
            ["ranks", count] => ranks = Some(number(count)?),
            ["chunks" | "pieces", count] => chunks = Some(number(count)?),
            ["round"] => rounds.push(Vec::new()),
            [from, to, chunk] | [from, to, chunk, "add"] => {
                let transfer = Transfer {
                    from: number(from)?,
                    to: number(to)?,
                    chunk: number(chunk)?,
                    adds: words.len() == 4,
                };
                let Some(round) = rounds.last_mut() else {
                    return Err(at_line(line, "a transfer before the first `round`"));
                };
                round.push(transfer);
            }
            _ => {
                let message =
                    "expected `op`, `ranks`, `chunks`, `round`, or `sender receiver chunk [add]`";
                return Err(at_line(line, message));
            }
        }
    }
    let missing = |key: &str| at_line(1, format!("`{key}` is missing at the top"));
    let ranks = ranks.ok_or_else(|| missing("ranks"))?;
    let op = op.ok_or_else(|| missing("op"))?;
    if !(1..=4096).contains(&ranks) {
        return Err(at_line(1, format!("`ranks` is 1 to 4096, not {ranks}")));
    }
    let chunks = chunks.unwrap_or_else(|| Schedule::shares(op, ranks));
    if !(1..=1 << 20).contains(&chunks) {
        return Err(at_line(
            1,
            format!("`chunks` is 1 to 1048576, not {chunks}"),
        ));
    }
    Ok(Schedule {
        op,
        ranks,
        switches: 0,
        chunks,
        rounds,
    })
}

/// One instruction of an MSCCL thread block.
struct Step {
    kind: String,
    target: u32,
    count: u32,
}

/// One MSCCL thread block: a serial queue with one sending and one receiving peer.
struct Queue {
    rank: u32,
    send: Option<u32>,
    receive: Option<u32>,
    steps: Vec<Step>,
    next: usize,
}

/// MSCCL's XML (`algo`, `gpu`, `tb`, `step`): each round takes every thread block's next step that
/// can go: sends whose receiver waits for them, receives with their sender.
fn read_xml(text: &str) -> Result<Schedule, ScheduleFileFault> {
    let document =
        Document::parse(text).map_err(|error| at_line(error.pos().row, error.to_string()))?;
    let root = document.root_element();
    let line = |node: &Node<'_, '_>| document.text_pos_at(node.range().start).row;
    let number = |node: &Node<'_, '_>, key: &str| -> Result<i64, ScheduleFileFault> {
        node.attribute(key)
            .and_then(|value| value.parse().ok())
            .ok_or_else(|| at_line(line(node), format!("`{key}` is missing or no whole number")))
    };
    let op = match root.attribute("coll") {
        Some("allreduce") => CollectiveOp::AllReduce,
        Some("allgather") => CollectiveOp::AllGather,
        Some("reduce_scatter" | "reducescatter") => CollectiveOp::ReduceScatter,
        other => {
            let name = other.unwrap_or_default();
            let message = format!(
                "`coll` is `{name}`; expected `allreduce`, `allgather` or `reduce_scatter`"
            );
            return Err(at_line(1, message));
        }
    };
    let (ranks, chunks) = (number(&root, "ngpus")?, number(&root, "nchunksperloop")?);
    if !(1..=4096).contains(&ranks) || !(1..=1 << 20).contains(&chunks) {
        return Err(at_line(
            1,
            "`ngpus` is 1 to 4096 and `nchunksperloop` 1 to 1048576",
        ));
    }
    // Numbers of chunks, which leave the range of the schedule nowhere.
    let within = |node: &Node<'_, '_>, key: &str| {
        let value = number(node, key)?;
        u32::try_from(value.max(0))
            .ok()
            .filter(|value| i64::from(*value) <= chunks)
            .ok_or_else(|| {
                let message = format!("`{key}` is {value}, there are {chunks} chunks");
                at_line(line(node), message)
            })
    };
    let mut queues = Vec::new();
    for gpu in root.children().filter(|node| node.has_tag_name("gpu")) {
        for block in gpu.children().filter(|node| node.has_tag_name("tb")) {
            let mut steps = Vec::new();
            for step in block.children().filter(|node| node.has_tag_name("step")) {
                steps.push(Step {
                    kind: step.attribute("type").unwrap_or_default().to_owned(),
                    target: within(&step, "dstoff")?,
                    count: within(&step, "cnt")?,
                });
            }
            queues.push(Queue {
                rank: number(&gpu, "id")?.max(0) as u32,
                send: u32::try_from(number(&block, "send")?).ok(),
                receive: u32::try_from(number(&block, "recv")?).ok(),
                steps,
                next: 0,
            });
        }
    }
    Ok(Schedule {
        op,
        ranks: ranks as u32,
        switches: 0,
        chunks: chunks as u32,
        rounds: rounds_of(queues)?,
    })
}

/// Matches sends with receives round by round.
fn rounds_of(mut queues: Vec<Queue>) -> Result<Vec<Vec<Transfer>>, ScheduleFileFault> {
    let mut rounds: Vec<Vec<Transfer>> = Vec::new();
    let mut transfers = 0;
    while queues.iter().any(|queue| queue.next < queue.steps.len()) {
        let (mut round, mut advanced) = (Vec::new(), vec![false; queues.len()]);
        for index in 0..queues.len() {
            let queue = &queues[index];
            let Some(step) = queue.steps.get(queue.next) else {
                continue;
            };
            match step.kind.as_str() {
                "nop" | "cpy" => advanced[index] = true,
                "s" => {
                    let partner = queues.iter().position(|other| {
                        Some(other.rank) == queue.send
                            && other.receive == Some(queue.rank)
                            && other
                                .steps
                                .get(other.next)
                                .is_some_and(|step| matches!(step.kind.as_str(), "r" | "rrc"))
                    });
                    let Some(partner) = partner.filter(|partner| !advanced[*partner]) else {
                        continue;
                    };
                    let receive = &queues[partner].steps[queues[partner].next];
                    round.extend((0..step.count).map(|at| Transfer {
                        from: queue.rank,
                        to: queues[partner].rank,
                        chunk: receive.target + at,
                        adds: receive.kind == "rrc",
                    }));
                    advanced[index] = true;
                    advanced[partner] = true;
                }
                "r" | "rrc" => {}
                other => {
                    let sentence = format!("step type `{other}`; expected s, r, rrc, cpy or nop");
                    return Err(stuck(&rounds, queue.rank, sentence));
                }
            }
        }
        if !advanced.contains(&true) {
            let waiting = queues.iter().find(|queue| queue.next < queue.steps.len());
            let rank = waiting.map_or(0, |queue| queue.rank);
            return Err(stuck(
                &rounds,
                rank,
                "it waits for a message that never comes".to_owned(),
            ));
        }
        transfers += round.len();
        if transfers > TRANSFERS_MAX {
            let message = format!("more than {TRANSFERS_MAX} messages of one chunk");
            return Err(at_line(1, message));
        }
        for (queue, moved) in queues.iter_mut().zip(advanced) {
            queue.next += usize::from(moved);
        }
        if !round.is_empty() {
            rounds.push(round);
        }
    }
    Ok(rounds)
}

fn stuck(rounds: &[Vec<Transfer>], rank: u32, sentence: String) -> ScheduleFileFault {
    ScheduleFault::at(rounds.len() + 1, rank, sentence).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TWO: &str = "op all-reduce\nranks 2\nround\n0 1 1 add\n1 0 0 add\nround\n1 0 1\n0 1 0\n";

    #[test]
    fn a_text_of_rounds_becomes_a_checked_schedule() {
        let schedule = read_schedule(TWO).expect("it reduces and gathers");
        assert_eq!((schedule.rounds.len(), schedule.chunks), (2, 2));
    }

    #[test]
    fn a_schedule_that_loses_repeats_or_misses_is_refused_with_round_and_rank() {
        let refused = |text: &str| read_schedule(text).expect_err("it is wrong").to_string();
        assert_eq!(
            refused(&TWO.replace("1 0 1\n", "")),
            "round 2, rank 0: chunk 1 ends without the contribution of rank 1"
        );
        assert_eq!(
            refused(&TWO.replace("1 0 1\n", "1 0 1 add\n")),
            "round 2, rank 0: chunk 1 has a contribution twice"
        );
        assert_eq!(
            refused(&TWO.replace("1 0 1\n", "5 0 1\n")),
            "round 2, rank 5: there is no rank 5; ranks are 0 to 1"
        );
        assert_eq!(
            refused("op all-gather\nranks 2\nround\n0 1 1\n"),
            "round 1, rank 0: it sends chunk 1, which it does not have yet"
        );
        assert_eq!(
            refused("op all-gather\nranks 2\npieces 3\nround\n0 1 0\n"),
            "line 1: all-gather over 2 ranks has 3 chunks; it needs a multiple of 2"
        );
        assert_eq!(
            refused("op all-reduce\nranks 2\n"),
            "line 1: it has no rounds"
        );
        assert_eq!(
            refused("op all-reduce\nranks 4096\npieces 1048576\nround\n0 1 0 add\n"),
            "line 1: 4096 ranks with 1048576 chunks are too many to be checked; take fewer chunks"
        );
        assert_eq!(
            refused("op all-reduce\nranks two\n"),
            "line 2: `two` is no whole number"
        );
    }

    const XML: &str = r#"<algo name="two" proto="Simple" nchannels="1" nchunksperloop="2" ngpus="2" coll="allgather" inplace="1">
  <gpu id="0"><tb id="0" send="1" recv="1" chan="0">
    <step s="0" type="s" srcbuf="o" srcoff="0" dstbuf="o" dstoff="0" cnt="1" depid="-1" deps="-1" hasdep="0"/>
    <step s="1" type="r" srcbuf="o" srcoff="1" dstbuf="o" dstoff="1" cnt="1" depid="-1" deps="-1" hasdep="0"/>
  </tb></gpu>
  <gpu id="1"><tb id="0" send="0" recv="0" chan="0">
    <step s="0" type="r" srcbuf="o" srcoff="0" dstbuf="o" dstoff="0" cnt="1" depid="-1" deps="-1" hasdep="0"/>
    <step s="1" type="s" srcbuf="o" srcoff="1" dstbuf="o" dstoff="1" cnt="1" depid="-1" deps="-1" hasdep="0"/>
  </tb></gpu>
</algo>"#;

    #[test]
    fn msccl_steps_are_matched_into_rounds() {
        let schedule = read_schedule(XML).expect("each gets the other's share");
        assert_eq!(schedule.rounds.len(), 2);
    }

    #[test]
    fn msccl_blocks_that_wait_for_each_other_are_refused() {
        let stuck = XML.replace("type=\"s\"", "type=\"r\"");
        let fault = read_schedule(&stuck).expect_err("nobody sends");
        assert_eq!(
            fault.to_string(),
            "round 1, rank 0: it waits for a message that never comes"
        );
    }
}
