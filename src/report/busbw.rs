//! The answer of a collective study: which algorithm for which size, and what each place reaches.

use std::collections::BTreeMap;

use crate::analysis::busbw::AUTO;
use crate::analysis::{AlgorithmCurve, CollectiveJob};
use crate::report::markup::push;
use crate::report::quantity::{bytes, count, percent, seconds, three_digits};
use crate::report::text::{push_wrapped, shortened};

/// Rows of the table on the screen.
const ROWS: usize = 20;

/// Share by which the library's choice may be behind without being called slower.
const AS_FAST: f64 = 1.05;

/// The question, the answer, and the largest job of each operation and place.
pub fn busbw_summary(jobs: &[CollectiveJob], question: Option<&str>) -> String {
    let mut text = String::new();
    if let Some(question) = question {
        push_wrapped(&mut text, question, "", "");
        text.push('\n');
    }
    for sentence in busbw_sentences(jobs) {
        push_wrapped(&mut text, &sentence, "  ", "    ");
    }
    push_table(&mut text, jobs);
    text
}

/// The answer in sentences: first which algorithm for which size, where several were asked for, then
/// what each place reaches.
pub fn busbw_sentences(jobs: &[CollectiveJob]) -> Vec<String> {
    let mut ops: Vec<&str> = jobs.iter().map(|job| job.op.as_str()).collect();
    ops.dedup();
    let of_op =
        |op: &str| -> Vec<&CollectiveJob> { jobs.iter().filter(|job| job.op == op).collect() };
    let (mut compared, mut others) = (Vec::new(), Vec::new());
    for op in ops {
        let of_op = of_op(op);
        let algorithms = algorithms(op, &of_op);
        let places = places(op, &of_op);
        if algorithms.is_empty() {
            others.extend(places);
        } else {
            compared.extend(algorithms);
            compared.extend(places);
        }
    }
    // The table below holds them all.
    others.truncate(if compared.is_empty() { 3 } else { 0 });
    compared.extend(others);
    compared.extend(library(jobs));
    compared
}

/// Sizes in a row whose fastest algorithm is the same.
#[derive(Clone, Debug, PartialEq)]
struct SizeRange {
    algorithm: String,
    /// The last of them.
    to: f64,
}

fn ranges<'a>(runs: impl IntoIterator<Item = (f64, &'a str)>) -> Vec<SizeRange> {
    let mut found: Vec<SizeRange> = Vec::new();
    for (size, algorithm) in runs {
        match found.last_mut() {
            Some(last) if last.algorithm == algorithm => last.to = size,
            _ => found.push(SizeRange {
                algorithm: algorithm.to_owned(),
                to: size,
            }),
        }
    }
    found
}

/// `double-binary-tree up to 1.00 MiB, then ring`.
fn ranges_in_words(ranges: &[SizeRange]) -> String {
    let last = ranges.len().saturating_sub(1);
    let words: Vec<String> = ranges
        .iter()
        .enumerate()
        .map(|(place, range)| {
            if place == last {
                range.algorithm.clone()
            } else {
                format!("{} up to {}", range.algorithm, bytes(range.to))
            }
        })
        .collect();
    words.join(", then ")
}

/// Numbers of GPUs that a sentence tells apart: the smallest two and the largest two.
const SCALES: usize = 4;

fn ends<T>(mut items: Vec<T>) -> Vec<T> {
    if items.len() > SCALES {
        items.drain(SCALES / 2..items.len() - SCALES / 2);
    }
    items
}

/// Which algorithm is fastest for which size on most places, by the number of GPUs; then ring
/// against tree.
fn algorithms(op: &str, jobs: &[&CollectiveJob]) -> Vec<String> {
    let compared: Vec<&CollectiveJob> = jobs
        .iter()
        .copied()
        .filter(|job| job.asked().count() > 1)
        .collect();
    let mut scales: Vec<u64> = compared.iter().map(|job| job.gpus).collect();
    scales.sort_unstable();
    scales.dedup();
    let words: Vec<String> = ends(scales)
        .into_iter()
        .map(|gpus| {
            let of_scale = compared.iter().filter(|job| job.gpus == gpus);
            let ranges = ranges(winners(of_scale.copied()));
            let gpus = count(gpus as f64);
            format!("{} over {gpus} GPUs", ranges_in_words(&ranges))
        })
        .collect();
    if words.is_empty() {
        return Vec::new();
    }
    let mut found = vec![format!("{op}, fastest: {}.", words.join("; "))];
    for tree in ["double-binary-tree", "tree"] {
        found.extend(crossing(&compared, tree, "ring"));
    }
    found
}

/// The algorithm that is fastest on most places, by size.
fn winners<'a>(jobs: impl Iterator<Item = &'a CollectiveJob>) -> Vec<(f64, &'a str)> {
    let mut votes: BTreeMap<u64, BTreeMap<&str, usize>> = BTreeMap::new();
    for run in jobs.flat_map(CollectiveJob::fastest) {
        let of_size = votes.entry(run.size as u64).or_default();
        *of_size.entry(run.used.as_str()).or_default() += 1;
    }
    votes
        .into_iter()
        .filter_map(|(size, of_size)| {
            let most = of_size
                .into_iter()
                .max_by_key(|(name, votes)| (*votes, std::cmp::Reverse(*name)));
            most.map(|(name, _)| (size as f64, name))
        })
        .collect()
}

/// From which size on the algorithm for large messages beats that for small ones, by the number of
/// GPUs, the median of the places.
fn crossing(jobs: &[&CollectiveJob], small: &str, large: &str) -> Option<String> {
    let mut by_gpus: BTreeMap<u64, Vec<f64>> = BTreeMap::new();
    for job in jobs {
        let curve = |name: &str| job.asked().find(|curve| curve.asked == name);
        let (Some(of_small), Some(of_large)) = (curve(small), curve(large)) else {
            continue;
        };
        let size = overtakes(of_small, of_large);
        by_gpus.entry(job.gpus).or_default().push(size);
    }
    let words: Vec<String> = by_gpus
        .into_iter()
        .map(|(gpus, mut sizes)| {
            sizes.sort_by(f64::total_cmp);
            let middle = sizes[(sizes.len() - 1) / 2];
            let gpus = count(gpus as f64);
            if middle.is_infinite() {
                format!("never over {gpus} GPUs")
            } else if middle == 0.0 {
                format!("always over {gpus} GPUs")
            } else {
                format!("from {} on over {gpus} GPUs", bytes(middle))
            }
        })
        .collect();
    let words = ends(words);
    (!words.is_empty()).then(|| format!("{large} beats {small} {}.", words.join(", ")))
}

/// The size from which on one curve is below another: 0 where it always is, infinite where it never
/// stays there.
fn overtakes(small: &AlgorithmCurve, large: &AlgorithmCurve) -> f64 {
    let pairs: Vec<(f64, bool)> = small
        .runs
        .iter()
        .filter_map(|run| {
            let other = large
                .runs
                .iter()
                .find(|other| other.size as u64 == run.size as u64)?;
            Some((run.size, other.time_s < run.time_s))
        })
        .collect();
    match pairs.iter().rposition(|(_, faster)| !faster) {
        None => 0.0,
        Some(behind) => pairs
            .get(behind + 1)
            .map_or(f64::INFINITY, |(size, _)| *size),
    }
}

/// The largest job of each place.
fn largest<'a>(jobs: &[&'a CollectiveJob]) -> Vec<&'a CollectiveJob> {
    let mut largest: BTreeMap<(&str, &str), &CollectiveJob> = BTreeMap::new();
    for job in jobs {
        let there = largest.entry((&job.op, &job.place)).or_insert(job);
        if job.gpus > there.gpus {
            *there = job;
        }
    }
    largest.into_values().collect()
}

/// What the places reach with the largest messages, best first.
fn places(op: &str, jobs: &[&CollectiveJob]) -> Option<String> {
    const PLACES: usize = 6;
    let mut reached: Vec<(&CollectiveJob, f64, f64)> = largest(jobs)
        .into_iter()
        .filter_map(|job| {
            let fastest = job.fastest();
            let last = fastest.last()?;
            Some((job, last.size, last.busbw))
        })
        .collect();
    if reached.len() < 2 {
        return None;
    }
    reached.sort_by(|a, b| b.2.total_cmp(&a.2));
    let size = reached[0].1;
    let words: Vec<String> = reached
        .iter()
        .take(PLACES)
        .map(|(job, _, busbw)| {
            format!(
                "{} GB/s on {} ({} GPUs)",
                three_digits(busbw / 1e9),
                job.place,
                count(job.gpus as f64)
            )
        })
        .collect();
    Some(format!(
        "{op} of {} reaches a bus bandwidth of {}.",
        bytes(size),
        words.join(", ")
    ))
}

/// How often the library's own choice is as good as the best algorithm, and where it is furthest off.
fn library(jobs: &[CollectiveJob]) -> Option<String> {
    let (mut runs, mut as_fast) = (0_usize, 0_usize);
    let mut worst: Option<(f64, String)> = None;
    for job in jobs.iter().filter(|job| job.asked().next().is_some()) {
        let Some(auto) = job.curves.iter().find(|curve| curve.asked == AUTO) else {
            continue;
        };
        for (run, best) in auto.runs.iter().zip(job.fastest()) {
            let behind = run.time_s / best.time_s;
            runs += 1;
            as_fast += usize::from(behind <= AS_FAST);
            if worst.as_ref().is_none_or(|(most, _)| behind > *most) {
                let example = format!(
                    "{} of {} on {}, {} GPUs, where it takes {} and {} is fastest",
                    job.op,
                    bytes(run.size),
                    job.place,
                    count(job.gpus as f64),
                    run.used,
                    best.used
                );
                worst = Some((behind, example));
            }
        }
    }
    let (behind, example) = worst?;
    let share = percent(as_fast as f64 / runs as f64);
    let most = if behind > AS_FAST {
        format!(
            "; at most it takes {} times as long ({example})",
            three_digits(behind)
        )
    } else {
        String::new()
    };
    Some(format!(
        "The library's own choice is within 5% of the fastest in {share} of {} runs{most}.",
        count(runs as f64)
    ))
}

fn push_table(text: &mut String, jobs: &[CollectiveJob]) {
    let all: Vec<&CollectiveJob> = jobs.iter().collect();
    let rows = largest(&all);
    if rows.is_empty() {
        return;
    }
    let line = |text: &mut String, cells: [&str; 6]| {
        let [op, place, gpus, small, large, fastest] = cells;
        push(
            text,
            format_args!(
                "{op:14} {:20} {gpus:>6} {small:>8} {large:>9}  {}\n",
                shortened(place, 20),
                shortened(fastest, 17)
            ),
        );
    };
    text.push('\n');
    line(
        text,
        [
            "op",
            "largest job on",
            "GPUs",
            "smallest",
            "GB/s",
            "fastest",
        ],
    );
    for job in rows.iter().take(ROWS) {
        let fastest = job.fastest();
        let (Some(first), Some(last)) = (fastest.first(), fastest.last()) else {
            continue;
        };
        let algorithms = if first.used == last.used {
            first.used.clone()
        } else {
            format!("{}, {}", last.used, first.used)
        };
        line(
            text,
            [
                &job.op,
                &job.place,
                &count(job.gpus as f64),
                &seconds(first.time_s),
                &three_digits(last.busbw / 1e9),
                &algorithms,
            ],
        );
    }
    let hidden = jobs.len() - rows.len().min(ROWS);
    let more = match hidden {
        0 => String::new(),
        n => format!("; {n} more jobs are in report.html"),
    };
    let note = format!(
        "smallest: time of the smallest message; GB/s and fastest: bus bandwidth and algorithm of the largest (and of the smallest, where it differs){more}."
    );
    text.push('\n');
    push_wrapped(text, &note, "", "");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::CollectiveRun;

    fn curve(asked: &str, times: [f64; 3]) -> AlgorithmCurve {
        let sizes = [1024.0, 1_048_576.0, 1_073_741_824.0];
        AlgorithmCurve {
            asked: asked.to_owned(),
            runs: sizes
                .into_iter()
                .zip(times)
                .map(|(size, time_s)| CollectiveRun {
                    size,
                    used: if asked == AUTO { "tree" } else { asked }.to_owned(),
                    time_s,
                    busbw: size / time_s,
                })
                .collect(),
        }
    }

    // The tree is faster at 1 KiB and 1 MiB, the ring at 1 GiB only. The library takes the tree
    // always: as fast in two of three runs, twice as slow at 1 GiB.
    #[test]
    fn the_answer_says_which_algorithm_from_which_size_on() {
        let job = CollectiveJob {
            place: "dgx-h100".to_owned(),
            op: "all-reduce".to_owned(),
            gpus: 64,
            curves: vec![
                curve(AUTO, [1e-5, 2e-5, 4e-2]),
                curve("ring", [3e-5, 3e-5, 2e-2]),
                curve("tree", [1e-5, 2e-5, 4e-2]),
            ],
        };
        let sentences = busbw_sentences(&[job]);
        assert_eq!(
            sentences,
            [
                "all-reduce, fastest: tree up to 1.00 MiB, then ring over 64 GPUs.",
                "ring beats tree from 1.00 GiB on over 64 GPUs.",
                "The library's own choice is within 5% of the fastest in 67% of 3 runs; at most it takes 2.00 times as long (all-reduce of 1.00 GiB on dgx-h100, 64 GPUs, where it takes tree and ring is fastest).",
            ]
        );
    }
}
