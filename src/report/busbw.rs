//! The answer of a collective study: which algorithm for which size, and what each place reaches.

use std::collections::BTreeMap;

use crate::analysis::busbw::largest;
use crate::analysis::{AUTO, AlgorithmCurve, CollectiveJob, CollectiveRun, Collectives};
use crate::report::markup::push;
use crate::report::quantity::{count, gpus, percent, seconds, short_bytes, three_digits};
use crate::report::text::{counts_line, push_wrapped, shortened};

/// Rows of the table on the screen.
const ROWS: usize = 20;

/// Share by which the library's choice may be behind without being called slower.
const AS_FAST: f64 = 1.05;

/// The question, the answer, the largest job of each operation and place, and how the points ended.
pub fn busbw_summary(found: &Collectives, question: Option<&str>) -> String {
    let mut parts: Vec<String> = Vec::new();
    let mut text = String::new();
    if let Some(question) = question.filter(|question| !question.trim().is_empty()) {
        push_wrapped(&mut text, question.trim(), "", "");
        parts.push(std::mem::take(&mut text));
    }
    for sentence in busbw_sentences(found) {
        push_wrapped(&mut text, &sentence, "  ", "    ");
    }
    parts.push(std::mem::take(&mut text));
    push_table(&mut text, found);
    parts.push(std::mem::take(&mut text));
    push_wrapped(&mut text, &counts_line(&found.counts), "", "  ");
    parts.push(text);
    parts.retain(|part| !part.is_empty());
    parts.join("\n")
}

/// The answer in sentences: first which algorithm for which size, where several were asked for, then
/// what each place reaches; why there is none, where nothing ran.
pub fn busbw_sentences(found: &Collectives) -> Vec<String> {
    let (mut compared, mut others) = (Vec::from_iter(found.nothing.clone()), Vec::new());
    for jobs in found.by_op() {
        let algorithms = algorithms(jobs);
        let places = places(jobs);
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
    compared.extend(library(&found.jobs));
    compared
}

/// What carries each size, in words: `double-binary-tree up to 1 MiB, then ring`.
pub(super) fn carried_by<'a>(runs: impl IntoIterator<Item = (u64, &'a str)>) -> String {
    // Sizes in a row that the same algorithm carries, and the last of them.
    let mut ranges: Vec<(&str, u64)> = Vec::new();
    for (size, algorithm) in runs {
        match ranges.last_mut() {
            Some((same, up_to)) if *same == algorithm => *up_to = size,
            Some(_) | None => ranges.push((algorithm, size)),
        }
    }
    let last = ranges.len().saturating_sub(1);
    let words: Vec<String> = ranges
        .iter()
        .enumerate()
        .map(|(place, (algorithm, up_to))| {
            if place == last {
                (*algorithm).to_owned()
            } else {
                format!("{algorithm} up to {}", short_bytes(*up_to as f64))
            }
        })
        .collect();
    words.join(", then ")
}

/// Where a job runs, in words: `dgx-h100, 512 GPUs`.
fn whereabouts(job: &CollectiveJob) -> String {
    let size = gpus(job.gpus);
    if job.place.is_empty() {
        size
    } else {
        format!("{}, {size}", job.place)
    }
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
fn algorithms(jobs: &[CollectiveJob]) -> Vec<String> {
    let compared: Vec<&CollectiveJob> = jobs.iter().filter(|job| job.asked().count() > 1).collect();
    let mut scales: Vec<u64> = compared.iter().map(|job| job.gpus).collect();
    scales.sort_unstable();
    scales.dedup();
    let words: Vec<String> = ends(scales)
        .into_iter()
        .map(|scale| {
            let of_scale = compared.iter().filter(|job| job.gpus == scale);
            let fastest = carried_by(winners(of_scale.copied()));
            format!("{fastest} over {}", gpus(scale))
        })
        .collect();
    let Some(job) = compared.first() else {
        return Vec::new();
    };
    let mut found = vec![format!("{}, fastest: {}.", job.op, words.join("; "))];
    for tree in ["double-binary-tree", "tree"] {
        found.extend(crossing(&compared, tree, "ring"));
    }
    found
}

/// The algorithm that is fastest on most places, by size.
fn winners<'a>(jobs: impl Iterator<Item = &'a CollectiveJob>) -> Vec<(u64, &'a str)> {
    let mut votes: BTreeMap<u64, BTreeMap<&str, usize>> = BTreeMap::new();
    for run in jobs.flat_map(CollectiveJob::fastest) {
        let of_size = votes.entry(run.size_bytes).or_default();
        *of_size.entry(run.collective_used.as_str()).or_default() += 1;
    }
    votes
        .into_iter()
        .filter_map(|(size, of_size)| {
            let most = of_size
                .into_iter()
                .max_by_key(|(name, votes)| (*votes, std::cmp::Reverse(*name)));
            most.map(|(name, _)| (size, name))
        })
        .collect()
}

/// From which size on the algorithm for large messages beats that for small ones, by the number of
/// GPUs, the median of the places.
fn crossing(jobs: &[&CollectiveJob], small: &str, large: &str) -> Option<String> {
    let mut by_gpus: BTreeMap<u64, Vec<f64>> = BTreeMap::new();
    for job in jobs {
        let curve = |name: &str| job.asked().find(|curve| curve.collective == name);
        let (Some(of_small), Some(of_large)) = (curve(small), curve(large)) else {
            continue;
        };
        let size = overtakes(of_small, of_large);
        by_gpus.entry(job.gpus).or_default().push(size);
    }
    let words: Vec<String> = by_gpus
        .into_iter()
        .map(|(scale, mut sizes)| {
            sizes.sort_by(f64::total_cmp);
            let middle = sizes[(sizes.len() - 1) / 2];
            let scale = gpus(scale);
            if middle.is_infinite() {
                format!("never over {scale}")
            } else if middle == 0.0 {
                format!("always over {scale}")
            } else {
                format!("from {} on over {scale}", short_bytes(middle))
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
                .find(|other| other.size_bytes == run.size_bytes)?;
            Some((run.size_bytes as f64, other.time_s < run.time_s))
        })
        .collect();
    match pairs.iter().rposition(|(_, faster)| !faster) {
        None => 0.0,
        Some(behind) => pairs
            .get(behind + 1)
            .map_or(f64::INFINITY, |(size, _)| *size),
    }
}

/// What the places reach with the largest message that all of them carried, best first.
fn places(jobs: &[CollectiveJob]) -> Option<String> {
    const PLACES: usize = 6;
    let runs: Vec<(&CollectiveJob, Vec<&CollectiveRun>)> =
        largest(jobs).map(|job| (job, job.fastest())).collect();
    let ((first, of_first), others) = runs.split_first()?;
    if others.is_empty() {
        return None;
    }
    let carried = |size: &u64| (others.iter()).all(|(_, runs)| with_size(runs, *size).is_some());
    let sizes = of_first.iter().rev().map(|run| run.size_bytes);
    let size = sizes.into_iter().find(carried)?;
    let mut reached: Vec<(&CollectiveJob, f64)> = runs
        .iter()
        .filter_map(|(job, runs)| Some((*job, with_size(runs, size)?.busbw_bytes_per_s)))
        .collect();
    reached.sort_by(|(_, a), (_, b)| b.total_cmp(a));
    let words: Vec<String> = reached
        .iter()
        .take(PLACES)
        .map(|(job, busbw)| {
            format!(
                "{} GB/s on {} ({})",
                three_digits(busbw / 1e9),
                job.place,
                gpus(job.gpus)
            )
        })
        .collect();
    Some(format!(
        "{} of {} reaches a bus bandwidth of {}.",
        first.op,
        short_bytes(size as f64),
        words.join(", ")
    ))
}

fn with_size<'a>(runs: &[&'a CollectiveRun], size: u64) -> Option<&'a CollectiveRun> {
    runs.iter().copied().find(|run| run.size_bytes == size)
}

/// How often the library's own choice is as good as the best algorithm, and where it is furthest off.
fn library(jobs: &[CollectiveJob]) -> Option<String> {
    let (mut runs, mut as_fast) = (0_usize, 0_usize);
    let mut worst: Option<(f64, String)> = None;
    for job in jobs.iter().filter(|job| job.asked().next().is_some()) {
        let Some(auto) = job.curves.iter().find(|curve| curve.collective == AUTO) else {
            continue;
        };
        let fastest = job.fastest();
        // A single GPU takes no time, whatever carries it.
        for run in auto.runs.iter().filter(|run| run.time_s > 0.0) {
            let Some(best) = with_size(&fastest, run.size_bytes) else {
                continue;
            };
            let behind = run.time_s / best.time_s;
            runs += 1;
            as_fast += usize::from(behind <= AS_FAST);
            if worst.as_ref().is_none_or(|(most, _)| behind > *most) {
                let example = format!(
                    "{} of {} on {}, where it takes {} and {} is fastest",
                    job.op,
                    short_bytes(run.size_bytes as f64),
                    whereabouts(job),
                    run.collective_used,
                    best.collective_used
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

fn push_table(text: &mut String, found: &Collectives) {
    let rows: Vec<&CollectiveJob> = found.largest().collect();
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
        let (small, large) = (&first.collective_used, &last.collective_used);
        let algorithms = if small == large {
            large.clone()
        } else {
            format!("{large}, {small}")
        };
        line(
            text,
            [
                &job.op,
                &job.place,
                &count(job.gpus as f64),
                &seconds(first.time_s),
                &three_digits(last.busbw_bytes_per_s / 1e9),
                &algorithms,
            ],
        );
    }
    let hidden = found.jobs.len() - rows.len().min(ROWS);
    let more = match hidden {
        0 => String::new(),
        1 => "; 1 more job is in report.html".to_owned(),
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

    fn curve(asked: &str, times: [f64; 3]) -> AlgorithmCurve {
        let sizes = [1 << 10, 1 << 20, 1 << 30];
        AlgorithmCurve {
            collective: asked.to_owned(),
            runs: sizes
                .into_iter()
                .zip(times)
                .map(|(size_bytes, time_s)| CollectiveRun {
                    point: 0,
                    source: 0,
                    size_bytes,
                    collective_used: if asked == AUTO { "tree" } else { asked }.to_owned(),
                    time_s,
                    busbw_bytes_per_s: size_bytes as f64 / time_s,
                })
                .collect(),
        }
    }

    fn job(place: &str, curves: Vec<AlgorithmCurve>) -> CollectiveJob {
        CollectiveJob {
            place: place.to_owned(),
            op: "all-reduce".to_owned(),
            gpus: 64,
            curves,
        }
    }

    fn sentences(jobs: Vec<CollectiveJob>) -> Vec<String> {
        busbw_sentences(&Collectives {
            jobs,
            ..Collectives::default()
        })
    }

    // The tree is faster at 1 KiB and 1 MiB, the ring at 1 GiB only. The library takes the tree
    // always: as fast in two of three runs, twice as slow at 1 GiB.
    #[test]
    fn the_answer_says_which_algorithm_from_which_size_on() {
        let curves = vec![
            curve(AUTO, [1e-5, 2e-5, 4e-2]),
            curve("ring", [3e-5, 3e-5, 2e-2]),
            curve("tree", [1e-5, 2e-5, 4e-2]),
        ];
        let sentences = sentences(vec![job("dgx-h100", curves)]);
        assert_eq!(
            sentences,
            [
                "all-reduce, fastest: tree up to 1 MiB, then ring over 64 GPUs.",
                "ring beats tree from 1 GiB on over 64 GPUs.",
                "The library's own choice is within 5% of the fastest in 67% of 3 runs; at most it takes 2.00 times as long (all-reduce of 1 GiB on dgx-h100, 64 GPUs, where it takes tree and ring is fastest).",
            ]
        );
    }

    // The library was asked about 1 MiB and 1 GiB: as fast as the ring at 1 MiB, twice as slow at 1 GiB.
    #[test]
    fn the_librarys_choice_is_held_against_the_fastest_of_the_same_size() {
        let mut auto = curve(AUTO, [1.0, 2e-5, 4e-2]);
        auto.runs.remove(0);
        let ring = curve("ring", [1e-5, 2e-5, 2e-2]);
        let sentences = sentences(vec![job("", vec![auto, ring])]);
        assert_eq!(
            sentences,
            [
                "The library's own choice is within 5% of the fastest in 50% of 2 runs; at most it takes 2.00 times as long (all-reduce of 1 GiB on 64 GPUs, where it takes tree and ring is fastest)."
            ]
        );
    }

    // Both carried 1 MiB, only one of them 1 GiB: 1,048,576 B in 20 µs are 52.4 GB/s, in 40 µs 26.2.
    #[test]
    fn places_are_compared_at_a_size_that_all_of_them_carried() {
        let mut short = curve("ring", [1e-5, 2e-5, 1.0]);
        short.runs.pop();
        let long = curve("ring", [1e-5, 4e-5, 2e-2]);
        let sentences = sentences(vec![job("monday", vec![long]), job("tuesday", vec![short])]);
        assert_eq!(
            sentences,
            [
                "all-reduce of 1 MiB reaches a bus bandwidth of 52.4 GB/s on tuesday (64 GPUs), 26.2 GB/s on monday (64 GPUs)."
            ]
        );
    }
}
