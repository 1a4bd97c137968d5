//! `report.html` stands alone, is well-formed where it can be checked, and stays small.

use clustersweep::analysis::{BreakdownStatus, Findings};
#[cfg(feature = "png")]
use clustersweep::report::chart::Rasteriser;
use clustersweep::report::{Heading, page, plots};

use crate::analysis::{Row, analysed, strong};
use crate::desk::{Desk, FABRIC};

fn rows(gpus: &[&'static str]) -> Vec<Row> {
    gpus.iter().flat_map(|gpu| strong(gpu)).collect()
}

pub(crate) const HEADING: Heading<'_> = Heading {
    name: "synthetic",
    question: "Where does <it> stop?",
    origin: "clustersweep",
    trust: "How far to trust it: so far",
};

#[test]
fn the_page_needs_nothing_but_itself() {
    let mut rows = rows(&["h100-sxm", "a100-80gb-sxm"]);
    rows[2].parts = None;
    let html = page(&analysed(&rows), &[], &HEADING);
    for outside in ["src=", "@import", "url(", "http:", "https:"] {
        assert!(!html.contains(outside), "{outside}");
    }
    assert!(html.contains("<h1>Where does &lt;it&gt; stop?</h1>"));
    assert!(html.contains("memory: 90.0 GiB needed per GPU"));
    assert!(html.contains("<p>How far to trust it: so far</p>"));
    assert_eq!(html, page(&analysed(&rows), &[], &HEADING));
}

// With one model there is no column of models, with one GPU besides none of what differs.
#[test]
fn every_row_of_every_table_has_a_cell_under_each_heading() {
    let mut unpriced = rows(&["h100-sxm"]);
    unpriced[4].parts = None;
    for rows in [
        rows(&["h100-sxm"]),
        rows(&["h100-sxm", "a100-80gb-sxm"]),
        unpriced,
    ] {
        let page = page(&analysed(&rows), &[], &HEADING);
        let tables: Vec<&str> = page.split("<table").skip(1).collect();
        assert!(tables.len() >= 2);
        for table in tables {
            let (table, _) = table.split_once("</table>").unwrap();
            let (head, body) = table.split_once("</thead>").unwrap();
            let cells = |of: &str| of.matches("<th").count() + of.matches("<td").count();
            let headings = cells(head.split_once("<tr").unwrap().1);
            for row in body.split("<tr").skip(1) {
                assert_eq!(cells(row), headings, "{head}{row}");
            }
        }
    }
}

#[test]
fn every_chart_is_well_formed_and_draws_every_size() {
    let findings = analysed(&rows(&["h100-sxm", "a100-80gb-sxm"]));
    let plots = plots(&findings);
    // No memory and no prices here, so no charts of them.
    let names: Vec<&str> = plots.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["rate", "efficiency", "reach", "parts"]);
    for (name, drawing) in &plots {
        let svg = drawing.file();
        let document = roxmltree::Document::parse(&svg).unwrap();
        let tips = document
            .descendants()
            .filter(|node| node.has_tag_name("title"))
            .count();
        // Two series that lie on one another are one line of five sizes, with a breakdown point each; the stacked parts
        // show the faster series, of which compute is drawn at five sizes and gradients at four; `reach` has no lines.
        let expected = match name.as_str() {
            "parts" => 9,
            "reach" => 12,
            _ => 7,
        };
        assert_eq!(tips, expected, "{name}");
        assert!(!svg.contains("NaN") && !svg.contains("var("), "{name}");
    }
}

// 5,000 batches at five sizes are 25,000 rows in 5,000 series; 20,000 sizes of two series are 40,000 rows.
#[test]
fn the_page_of_a_large_study_is_under_2_mb_and_says_what_it_leaves_out() {
    let batches = (0..5_000).flat_map(|batch| {
        strong("h100-sxm").into_iter().map(move |row| Row {
            global_batch: 1_024.0 + f64::from(batch),
            ..row
        })
    });
    let sizes = ["h100-sxm", "a100-80gb-sxm"].into_iter().flat_map(|gpu| {
        (1..=20_000).map(move |nodes| Row {
            nodes: f64::from(nodes),
            parts: Some((8.0 / f64::from(nodes), 0.5)),
            ..strong(gpu)[0]
        })
    });
    let many_series = page(&analysed(&batches.collect::<Vec<_>>()), &[], &HEADING);
    let many_sizes = page(&analysed(&sizes.collect::<Vec<_>>()), &[], &HEADING);
    for page in [&many_series, &many_sizes] {
        assert!(page.len() < 2_000_000, "{} bytes", page.len());
        assert!(page.contains("nearer to one another than 6 pixels"));
    }
    let rows = many_series.matches("<tr").count();
    assert!((200..1_100).contains(&rows), "{rows} rows");
    assert!(many_series.contains("fastest of 5,000 series; scaling.parquet holds all."));
    assert!(many_sizes.contains("(one size in 334)"));
}

// The first words of the page are the answer, the table of choices follows, and where scaling ends comes after it.
#[test]
fn the_answer_comes_first_then_its_trust_then_the_choices_then_where_scaling_ends() {
    let html = page(&analysed(&rows(&["h100-sxm"])), &[], &HEADING);
    let place = |text: &str| html.find(text).unwrap_or_else(|| panic!("{text}"));
    let order = [
        "class=\"answer\"><p>Fastest",
        "How far to trust it: so far",
        "nothing else is both faster and of fewer GPU-hours than",
        "breaks down",
    ];
    let places: Vec<usize> = order.into_iter().map(place).collect();
    assert!(places.is_sorted(), "{places:?}");
}

#[test]
fn the_efficiency_of_a_frozen_layout_is_a_dashed_line() {
    let mut findings = analysed(&rows(&["h100-sxm"]));
    let efficiency = |findings: &Findings| {
        let mut plots = plots(findings).into_iter();
        let (_, drawing) = plots.find(|(name, _)| name == "efficiency").unwrap();
        drawing.file()
    };
    assert!(!efficiency(&findings).contains("layout frozen"));
    // One that does not differ would only hide the other line.
    findings.frozen = vec![findings.series[0].clone()];
    assert!(!efficiency(&findings).contains("layout frozen"));
    let last = findings.frozen[0].sizes[4].efficiency.as_mut().unwrap();
    last.of_baseline -= 0.1;
    let svg = efficiency(&findings);
    assert!(svg.contains(">layout frozen<"));
    // The line in the colour of its series, and a sample in the legend that stands for the lines of all series.
    assert_eq!(svg.matches("class=\"line dashed s0\"").count(), 1);
    assert_eq!(svg.matches("class=\"line any\"").count(), 1);
}

#[cfg(feature = "png")]
#[test]
fn every_chart_becomes_a_picture_a_column_wide() {
    let rasteriser = Rasteriser::default();
    for (name, drawing) in plots(&analysed(&rows(&["h100-sxm", "a100-80gb-sxm"]))) {
        let png = rasteriser.png(&drawing.file()).unwrap();
        assert_eq!(png[..8], *b"\x89PNG\r\n\x1a\n", "{name}");
        // 85 mm at 400 dots per inch is 1,338.6.
        assert_eq!(png[16..20], 1_340_u32.to_be_bytes(), "{name}");
    }
}

#[test]
fn a_size_that_did_not_run_is_a_cross_with_its_reason() {
    let mut rows = rows(&["h100-sxm"]);
    rows[0].parts = None;
    for (name, drawing) in plots(&analysed(&rows)) {
        let svg = drawing.file();
        let document = roxmltree::Document::parse(&svg).unwrap();
        let crosses: Vec<&str> = document
            .descendants()
            .filter(|node| node.attribute("class") == Some("cross"))
            .filter_map(|node| node.first_element_child()?.text())
            .collect();
        // The rate and its efficiency are drawn over the sizes that ran.
        let expected = usize::from(matches!(name.as_str(), "reach" | "parts"));
        assert_eq!(crosses.len(), expected, "{name}");
        assert!(crosses.iter().all(|tip| tip.contains("90.0 GiB needed")));
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
    let html = page(&analysed(&rows), &[], &HEADING);
    assert!(html.contains("fastest of 10,000 series; scaling.parquet holds all."));
    assert!(html.len() < 2_000_000, "{} bytes", html.len());
}

#[test]
fn a_collective_study_has_a_page_with_its_curves() {
    let desk = Desk::new();
    desk.write("fabric.toml", FABRIC);
    desk.sweep(&["run", "fabric.toml"]).expect_code(0);
    let page = String::from_utf8(desk.read("results/fabric/report.html")).unwrap();
    assert!(page.contains("<h1>Ring or tree?</h1>"));
    assert!(!page.contains(">NaN") && !page.contains("\"NaN"));
    // For each operation bandwidth and time on 16 and on 32 GPUs: eight charts.
    assert_eq!(page.matches("<svg class=\"chart\"").count(), 8);
    // An all-reduce has two lines of two sizes in each of its four charts. An all-gather has no tree,
    // so half of it is infeasible: one line of two sizes.
    let marks = page.matches("<title>").count() - 1;
    assert_eq!(marks, 4 * 4 + 4 * 2);
    assert!(page.contains("16 points: 12 ran, 4 infeasible"));
    assert!(page.contains("What cannot run"));
}

// Of 31 batches one breaks down, the slowest, which is in no group of the fastest: its ring is drawn where curves have rings.
#[test]
fn the_breakdown_that_the_answer_names_is_found_in_the_charts() {
    let efficient = (0..30).flat_map(|number| {
        strong("h100-sxm").into_iter().map(move |row| Row {
            global_batch: 4_096.0 + f64::from(number),
            parts: Some((8.0 / row.nodes, 0.0)),
            ..row
        })
    });
    let rows: Vec<Row> = efficient.chain(strong("h100-sxm")).collect();
    let findings = analysed(&rows);
    let broken = findings.series.iter();
    let broken = broken.filter(|series| series.breakdown.status == BreakdownStatus::Confirmed);
    assert_eq!(broken.count(), 1);
    for (name, drawing) in plots(&findings) {
        let rings = drawing.file().matches("falls under 80% efficiency").count();
        let expected = usize::from(matches!(name.as_str(), "efficiency" | "reach"));
        assert_eq!(rings, expected, "{name}");
    }
}
