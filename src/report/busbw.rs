//! The summary of a collective study on the screen.

use crate::analysis::BusbwCurve;
use crate::report::markup::push;
use crate::report::quantity::{bytes, seconds, three_digits};

/// The question, and for each curve its ends and who is fastest where.
pub fn busbw_summary(curves: &[BusbwCurve], question: Option<&str>) -> String {
    let mut text = String::new();
    if let Some(question) = question {
        push(&mut text, format_args!("{question}\n\n"));
    }
    for curve in curves {
        let (Some(first), Some(last)) = (curve.fastest.first(), curve.fastest.last()) else {
            continue;
        };
        push(
            &mut text,
            format_args!(
                "{} on {}, {} GPUs: {} in {}, {} at {} GB/s busbw\n    {}\n",
                curve.op,
                curve.place,
                curve.gpus,
                bytes(first.size),
                seconds(first.time_s),
                bytes(last.size),
                three_digits(last.busbw / 1e9),
                ranges(curve)
            ),
        );
    }
    text
}

/// `fastest: double-binary-tree up to 1 MiB, then ring`.
fn ranges(curve: &BusbwCurve) -> String {
    let mut parts: Vec<(&str, f64)> = Vec::new();
    for run in &curve.fastest {
        match parts.last_mut() {
            Some((algorithm, up_to)) if *algorithm == run.algorithm => *up_to = run.size,
            _ => parts.push((&run.algorithm, run.size)),
        }
    }
    let last = parts.len() - 1;
    let words: Vec<String> = parts
        .iter()
        .enumerate()
        .map(|(place, (algorithm, up_to))| {
            if place == last {
                (*algorithm).to_owned()
            } else {
                format!("{algorithm} up to {}", bytes(*up_to))
            }
        })
        .collect();
    format!("fastest: {}", words.join(", then "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::FastestRun;

    fn run(size: f64, algorithm: &str) -> FastestRun {
        FastestRun {
            size,
            algorithm: algorithm.to_owned(),
            time_s: 1e-5,
            busbw: 1e9,
        }
    }

    #[test]
    fn neighbouring_sizes_of_one_algorithm_are_one_range() {
        let curve = BusbwCurve {
            place: "dgx-h100".to_owned(),
            op: "all-reduce".to_owned(),
            gpus: 64,
            fastest: vec![
                run(8.0, "tree"),
                run(1024.0, "tree"),
                run(1_048_576.0, "ring"),
            ],
        };
        let expected = format!("fastest: tree up to {}, then ring", bytes(1024.0));
        assert_eq!(ranges(&curve), expected);
    }
}
