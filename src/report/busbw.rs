//! The answer of a collective study: the fastest algorithm by size, and the bus bandwidth of each cluster.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::path::Path;

use itertools::Itertools;

use crate::analysis::busbw::largest;
use crate::analysis::{AUTO, AlgorithmCurve, CollectiveJob, CollectiveRun, Collectives};
use crate::report::quantity::{count, gpus, percent, seconds, short_bytes, three_digits};
use crate::report::text::{Shortened, Table, Text, WIDTH};
use crate::report::words::counts_line;

/// Rows of the table on the screen.
const ROWS: usize = 20;

/// Letters of a place in one line of that table.
const PLACE: usize = 20;

/// Largest ratio of times that counts as equally fast.
const AS_FAST: f64 = 1.05;

/// The question, the answer, the largest job of each operation and cluster, where the files are, and how the points ended.
pub(crate) fn busbw_summary(
    found: &Collectives,
    question: Option<&str>,
    folder: Option<&Path>,
) -> String {
    summary(found, question, |text| {
        push_table(text, found);
        if let Some(files) = folder.and_then(|folder| files(folder, found)) {
            text.wrap(&files, "", "  ");
        }
    })
}

/// As [`busbw_summary`], with the times of every algorithm and size of the jobs.
pub(crate) fn busbw_details(found: &Collectives, question: Option<&str>) -> String {
    summary(found, question, |text| {
        push_times(text, found);
        push_table(text, found);
    })
}

fn summary(found: &Collectives, question: Option<&str>, tables: impl Fn(&mut Text)) -> String {
    let section = |fill: &dyn Fn(&mut Text)| {
        let mut text = Text::default();
        fill(&mut text);
        text.finish()
    };
    let question = question.unwrap_or_default().trim();
    [
        section(&|text| {
            if !question.is_empty() {
                text.wrap(question, "", "");
            }
        }),
        section(&|text| {
            for sentence in busbw_sentences(found) {
                text.wrap(&sentence, "  ", "    ");
            }
        }),
        section(&|text| {
            tables(text);
            text.wrap(&counts_line(&found.counts), "", "  ");
        }),
    ]
    .iter()
    .filter(|part| !part.is_empty())
    .join("\n")
}

/// The answer in sentences: the fastest algorithm by size where several were asked for, then the bus
/// bandwidth of each cluster, then how good the library's own choice is.
pub(crate) fn busbw_sentences(found: &Collectives) -> Vec<String> {
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
    if found.is_thinned {
        let thinned = "Curves of over 1,024 sizes are compared and drawn at some of them, spread evenly over each doubling.";
        compared.push(thinned.to_owned());
    }
    compared
}

/// Algorithms by size: `double-binary-tree up to 1 MiB, then ring`.
pub(super) fn carried_by<'a>(runs: impl IntoIterator<Item = (u64, &'a str)>) -> String {
    // Algorithms of consecutive sizes, with the last size of each.
    let mut ranges: Vec<(&str, u64)> = Vec::new();
    for (size, algorithm) in runs {
        match ranges.last_mut() {
            Some((same, up_to)) if *same == algorithm => *up_to = size,
            Some(_) | None => ranges.push((algorithm, size)),
        }
    }
    let last = ranges.pop().map(|(algorithm, _)| algorithm.to_owned());
    (ranges.iter())
        .map(|(algorithm, up_to)| format!("{algorithm} up to {}", short_bytes(*up_to as f64)))
        .chain(last)
        .join(", then ")
}

/// Cluster and size of a job: `dgx-h100, 512 GPUs`.
fn whereabouts(job: &CollectiveJob) -> String {
    let size = gpus(job.gpus);
    if job.place.is_empty() {
        size
    } else {
        format!("{}, {size}", job.place)
    }
}

/// What holds over numbers of GPUs, said once for neighbours of which the same holds: `over 16 to 64 GPUs ring`.
fn by_scale(words: impl Iterator<Item = (u64, String)>) -> Vec<String> {
    let all: Vec<(u64, String)> = words.collect();
    let alike = all.chunk_by(|(_, a), (_, b)| a == b);
    let said = alike.map(|run| {
        let (first, words) = &run[0];
        let (last, _) = &run[run.len() - 1];
        let number = |scale: u64| count(scale as f64);
        let scales = match run.len() {
            1 => gpus(*first),
            2 => format!("{} and {}", number(*first), gpus(*last)),
            _ => format!("{} to {}", number(*first), gpus(*last)),
        };
        format!("over {scales} {words}")
    });
    said.collect()
}

/// Most numbers of GPUs in a sentence: the smallest two and the largest two.
const SCALES: usize = 4;

fn ends<T>(mut items: Vec<T>) -> Vec<T> {
    if items.len() > SCALES {
        items.drain(SCALES / 2..items.len() - SCALES / 2);
    }
    items
}

/// The algorithm that is fastest on most clusters, by size and number of GPUs; then the sizes from which ring
/// beats tree.
fn algorithms(jobs: &[CollectiveJob]) -> Vec<String> {
    let compared: Vec<&CollectiveJob> = jobs.iter().filter(|job| job.asked().count() > 1).collect();
    let scales = compared.iter().map(|job| job.gpus).sorted().dedup();
    let words = by_scale(scales.map(|scale| {
        let of_scale = compared.iter().filter(|job| job.gpus == scale);
        (scale, carried_by(winners(of_scale.copied())))
    }));
    let words = ends(words).join("; ");
    let Some(job) = compared.first() else {
        return Vec::new();
    };
    let mut found = vec![format!("{}, fastest: {words}.", job.op)];
    for tree in ["double-binary-tree", "tree"] {
        found.extend(crossing(&compared, tree, "ring"));
    }
    found
}

/// The algorithm that is fastest on most clusters, by size.
fn winners<'a>(jobs: impl Iterator<Item = &'a CollectiveJob>) -> Vec<(u64, &'a str)> {
    let mut votes: BTreeMap<u64, BTreeMap<&str, usize>> = BTreeMap::new();
    for run in jobs.flat_map(CollectiveJob::fastest) {
        let of_size = votes.entry(run.size_bytes).or_default();
        *of_size.entry(run.collective_used.as_ref()).or_default() += 1;
    }
    votes
        .into_iter()
        .filter_map(|(size, of_size)| {
            let most = of_size
                .into_iter()
                .max_by_key(|(name, votes)| (*votes, Reverse(*name)));
            most.map(|(name, _)| (size, name))
        })
        .collect()
}

/// The size from which the algorithm `large` beats `small`, by number of GPUs: the median of the clusters.
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
    let words = by_scale(by_gpus.into_iter().map(|(scale, mut sizes)| {
        sizes.sort_by(f64::total_cmp);
        let middle = sizes[(sizes.len() - 1) / 2];
        let from = if middle.is_infinite() {
            "never".to_owned()
        } else if middle == 0.0 {
            "always".to_owned()
        } else {
            format!("from {} on", short_bytes(middle))
        };
        (scale, from)
    }));
    let words = ends(words);
    (!words.is_empty()).then(|| format!("{large} beats {small}: {}.", words.join(", ")))
}

/// The size from which `large` stays faster than `small`: 0 where it always is, infinite where never.
fn overtakes(small: &AlgorithmCurve, large: &AlgorithmCurve) -> f64 {
    let pairs = small.runs.iter().filter_map(|run| {
        let mut others = large.runs.iter();
        let other = others.find(|other| other.size_bytes == run.size_bytes)?;
        Some((run.size_bytes as f64, other.time_s < run.time_s))
    });
    let pairs: Vec<(f64, bool)> = pairs.collect();
    match pairs.iter().rposition(|(_, is_faster)| !is_faster) {
        None => 0.0,
        Some(last) => pairs.get(last + 1).map_or(f64::INFINITY, |(size, _)| *size),
    }
}

/// Bus bandwidth of each cluster at the largest size that all of them ran, best first.
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
    let words = reached.iter().take(PLACES).map(|(job, busbw)| {
        let rate = three_digits(busbw / 1e9);
        format!("{rate} GB/s on {} ({})", job.place, gpus(job.gpus))
    });
    Some(format!(
        "{} of {} reaches a bus bandwidth of {}.",
        first.op,
        short_bytes(size as f64),
        words.into_iter().join(", ")
    ))
}

fn with_size<'a>(runs: &[&'a CollectiveRun], size: u64) -> Option<&'a CollectiveRun> {
    runs.iter().copied().find(|run| run.size_bytes == size)
}

/// Share of runs in which the library's own choice is as fast as the best algorithm, and the worst case.
fn library(jobs: &[CollectiveJob]) -> Option<String> {
    let compared = jobs.iter().filter(|job| job.asked().next().is_some());
    let runs = compared.flat_map(|job| {
        let fastest = job.fastest();
        let auto = job.curves.iter().filter(|curve| curve.collective == AUTO);
        // A single GPU takes no time, whatever the algorithm.
        let runs = auto
            .flat_map(|curve| &curve.runs)
            .filter(|run| run.time_s > 0.0);
        runs.filter_map(move |run| {
            let best = with_size(&fastest, run.size_bytes)?;
            Some((run.time_s / best.time_s, job, run, best))
        })
    });
    let runs: Vec<_> = runs.collect();
    // The first of the worst runs.
    let worst = runs.iter().rev().max_by(|a, b| a.0.total_cmp(&b.0));
    let (behind, job, run, best) = worst?;
    let as_fast = runs
        .iter()
        .filter(|(behind, ..)| *behind <= AS_FAST)
        .count();
    let most = if *behind > AS_FAST {
        format!(
            "; at most it takes {} times as long ({} of {} on {}, where it takes {} and {} is fastest)",
            three_digits(*behind),
            job.op,
            short_bytes(run.size_bytes as f64),
            whereabouts(job),
            run.collective_used,
            best.collective_used
        )
    } else {
        String::new()
    };
    Some(format!(
        "The library's own choice is within 5% of the fastest in {} of {} runs{most}.",
        percent(as_fast as f64 / runs.len() as f64),
        count(runs.len() as f64)
    ))
}

fn push_table(text: &mut Text, found: &Collectives) {
    let rows: Vec<&CollectiveJob> = found.largest().collect();
    if rows.is_empty() {
        return;
    }
    let shown = &rows[..rows.len().min(ROWS)];
    let places = shown.iter().map(|job| job.place.clone()).collect();
    let places = Shortened::of(places, PLACE);
    if !places.common.is_empty() {
        text.wrap(&format!("All of them on: {}.", places.common), "", "");
    }
    // Where all jobs are on the same cluster there is no column for it.
    let has_places = places.rest.iter().any(|place| !place.is_empty());
    let columns = [
        Some((if has_places { "op" } else { "op, largest job" }, 15)),
        has_places.then_some(("largest job on", PLACE)),
        Some((">GPUs", 6)),
        Some((">smallest", 8)),
        Some((">GB/s", 9)),
        Some(("fastest", 17)),
    ];
    let columns: Vec<_> = columns.into_iter().flatten().collect();
    let mut table = Table::fixed(&columns);
    for (job, place) in shown.iter().zip(places.rest) {
        let fastest = job.fastest();
        let (Some(first), Some(last)) = (fastest.first(), fastest.last()) else {
            continue;
        };
        let algorithms = [&last.collective_used, &first.collective_used].map(AsRef::as_ref);
        let cells = [
            Some(job.op.clone()),
            has_places.then_some(place),
            Some(count(job.gpus as f64)),
            Some(seconds(first.time_s)),
            Some(three_digits(last.busbw_bytes_per_s / 1e9)),
            Some(algorithms.into_iter().dedup().join(", ")),
        ];
        table.row(cells.into_iter().flatten().collect::<Vec<_>>());
    }
    let more = match found.jobs.len() - rows.len().min(ROWS) {
        0 => String::new(),
        1 => "; 1 more job is in report.html".to_owned(),
        n => format!("; {n} more jobs are in report.html"),
    };
    let note = format!(
        "smallest: time of the smallest message; GB/s and fastest: bus bandwidth and algorithm of the largest (and of the smallest, where it differs){more}."
    );
    writeln!(text, "{}", table.render());
    text.wrap(&note, "", "");
    text.wrap(TRUST, "", "  ");
}

/// Most jobs whose times are listed.
const LISTED: usize = 12;

/// The times of every algorithm by size, a table for each of the largest jobs.
fn push_times(text: &mut Text, found: &Collectives) {
    for job in found.largest().take(LISTED) {
        text.wrap(&format!("{} on {}:", job.op, whereabouts(job)), "", "  ");
        let names = job.curves.iter().map(|curve| curve.collective.as_str());
        let headings: Vec<String> = [">size".to_owned()]
            .into_iter()
            .chain(names.map(|name| format!(">{name}")))
            .chain(["fastest".to_owned()])
            .collect();
        let headings: Vec<&str> = headings.iter().map(String::as_str).collect();
        let mut table = Table::within(&headings, Some(WIDTH));
        for best in job.fastest() {
            let times = job.curves.iter().map(|curve| {
                let run = curve
                    .runs
                    .iter()
                    .find(|run| run.size_bytes == best.size_bytes);
                run.map_or_else(|| "–".to_owned(), |run| seconds(run.time_s))
            });
            let size = short_bytes(best.size_bytes as f64);
            let cells = [size].into_iter().chain(times);
            let cells = cells.chain([best.collective_used.to_string()]);
            table.row(cells.collect::<Vec<_>>());
        }
        writeln!(text, "{}", table.render());
    }
}

/// `In results/net: …`, and how a point is explained; `None` where nothing ran.
fn files(folder: &Path, found: &Collectives) -> Option<String> {
    let fastest = found.largest().next()?.fastest();
    let (folder, point) = (folder.display(), fastest.last()?.point);
    Some(format!(
        "In {folder}: report.html, points.parquet. `-v` says more; `sweep explain {folder} {point}` explains a point."
    ))
}

/// How far to trust the times of communications.
pub(crate) const TRUST: &str = "How far to trust it: communications have no range of error; `sweep validate` has the errors of measured ones, all of them on networks \
     of the catalogue.";

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
                    collective_used: if asked == AUTO { "tree" } else { asked }.into(),
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
                "all-reduce, fastest: over 64 GPUs tree up to 1 MiB, then ring.",
                "ring beats tree: over 64 GPUs from 1 GiB on.",
                "The library's own choice is within 5% of the fastest in 67% of 3 runs; at most it takes 2.00 times as long (all-reduce of 1 GiB on dgx-h100, 64 GPUs, where it takes tree and ring is fastest).",
            ]
        );
    }

    #[test]
    fn numbers_of_gpus_with_the_same_answer_are_said_together() {
        let on = |gpus: u64, large: f64| {
            let ring = curve("ring", [3e-5, 3e-5, 2e-2]);
            let tree = curve("tree", [1e-5, 2e-5, large]);
            CollectiveJob {
                gpus,
                ..job("", vec![ring, tree])
            }
        };
        // The tree takes 40 ms for 1 GiB, twice the ring's; over 128 GPUs 10 ms, half of them.
        let jobs = [8, 16, 32].map(|gpus| on(gpus, 4e-2));
        let sentences = sentences(jobs.into_iter().chain([on(128, 1e-2)]).collect());
        assert_eq!(
            sentences,
            [
                "all-reduce, fastest: over 8 to 32 GPUs tree up to 1 MiB, then ring; over 128 GPUs tree.",
                "ring beats tree: over 8 to 32 GPUs from 1 GiB on, over 128 GPUs never.",
            ]
        );
    }

    // Three jobs on one cluster: no column of nothing. The run of 1 GiB is the last one, point 0.
    #[test]
    fn a_screen_says_where_the_files_are_and_has_no_empty_column() {
        let found = Collectives {
            jobs: vec![job("", vec![curve("ring", [3e-5, 3e-5, 2e-2])])],
            ..Collectives::default()
        };
        let text = busbw_summary(&found, None, Some(Path::new("results/net")));
        assert!(
            text.starts_with("op, largest job   GPUs smallest"),
            "{text}"
        );
        assert!(
            text.contains("\nIn results/net: report.html, points.parquet."),
            "{text}"
        );
        assert!(text.contains("`sweep explain\n  results/net 0`"), "{text}");
        let whole = busbw_details(&found, None);
        assert!(
            whole.contains("all-reduce on 64 GPUs:\n size    ring fastest\n1 KiB 30.0 µs ring\n"),
            "{whole}"
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
