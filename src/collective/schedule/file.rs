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

use crate::collective::op::CollectiveOp;
use crate::collective::schedule::custom::CustomSchedule;
use crate::collective::schedule::fault::{ScheduleFileFault, at_line};
use crate::collective::schedule::msccl::read_msccl;
use crate::collective::schedule::rounds::{Schedule, Transfer};

/// Reads a schedule from a text of rounds, or from MSCCL's XML, and checks it.
///
/// # Errors
/// If a line cannot be read, or the schedule loses or repeats a contribution, waits for what never
/// comes, or names a rank or chunk that is not there.
pub fn read_schedule(text: &str) -> Result<CustomSchedule, ScheduleFileFault> {
    // A byte order mark is no part of the text.
    let text = text.trim_start_matches('\u{feff}');
    if text.trim_start().starts_with('<') {
        return Ok(CustomSchedule::Program(read_msccl(text)?));
    }
    let schedule = read_rounds(text)?;
    check_size(&schedule)?;
    schedule.verify()?;
    Ok(CustomSchedule::Rounds(schedule))
}

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

#[cfg(test)]
mod tests {
    use super::*;

    const TWO: &str = "op all-reduce\nranks 2\nround\n0 1 1 add\n1 0 0 add\nround\n1 0 1\n0 1 0\n";

    #[test]
    fn a_text_of_rounds_becomes_a_checked_schedule() {
        let schedule = read_schedule(TWO).expect("it reduces and gathers");
        assert_eq!((schedule.rounds(), schedule.chunks()), (2, 2));
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
}
