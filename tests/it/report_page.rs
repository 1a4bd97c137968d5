//! `report.html` stands alone, is well-formed where it can be checked, and stays small.

use clustersweep::report::{Heading, page, plots};

use crate::analysis::{Row, analysed, strong};

fn rows(gpus: &[&'static str]) -> Vec<Row> {
    gpus.iter().flat_map(|gpu| strong(gpu)).collect()
}

const HEADING: Heading<'_> = Heading {
    name: "synthetic",
    question: "Where does <it> stop?",
    origin: "clustersweep",
};

#[test]
fn the_page_needs_nothing_but_itself() {
    let mut rows = rows(&["h100-sxm", "a100-80gb-sxm"]);
    rows[2].parts = None;
    let html = page(&analysed(&rows), &HEADING);
    for outside in ["src=", "@import", "url(", "https:"] {
        assert!(!html.contains(outside), "{outside}");
    }
    // The one address in it names the markup of SVG and is never fetched.
    let addresses = html.matches("http:").count();
    assert_eq!(
        addresses,
        html.matches("http://www.w3.org/2000/svg").count()
    );
    assert!(html.contains("<h1>Where does &lt;it&gt; stop?</h1>"));
    assert!(html.contains("memory: 90.0 GiB needed per GPU"));
    assert_eq!(html, page(&analysed(&rows), &HEADING));
}

#[test]
fn every_chart_is_well_formed_and_draws_every_size() {
    let findings = analysed(&rows(&["h100-sxm", "a100-80gb-sxm"]));
    let plots = plots(&findings);
    // No prices here, so no chart of costs.
    let names: Vec<&str> = plots.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["rate.svg", "efficiency.svg", "parts.svg"]);
    for (name, svg) in &plots {
        let document = roxmltree::Document::parse(svg).unwrap();
        let tips = document
            .descendants()
            .filter(|node| node.has_tag_name("title"))
            .count();
        // Two series of five sizes; the stacked parts show the faster series, of which compute is
        // drawn at five sizes and gradients at four.
        let expected = if name == "parts.svg" { 9 } else { 10 };
        assert_eq!(tips, expected, "{name}");
        assert!(!svg.contains("NaN"), "{name}");
    }
}

#[test]
fn a_page_of_ten_thousand_series_says_what_it_leaves_out() {
    let rows: Vec<Row> = (0..10_000)
        .flat_map(|number| {
            strong("h100-sxm").into_iter().map(move |row| Row {
                global_batch: 1_024.0 + f64::from(number),
                ..row
            })
        })
        .collect();
    let html = page(&analysed(&rows), &HEADING);
    assert!(html.contains("The 1500 fastest of 10000 series"));
    assert!(html.len() < 2_000_000, "{} bytes", html.len());
}
