//! The one binary of integration tests.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on may panic")]

mod again;
mod analysis;
mod analyze_options;
mod bad_results;
mod cli;
mod cli_bad_input;
mod collective_studies;
mod counterfactual;
mod custom_networks;
mod desk;
mod diagnostics;
mod diff;
mod golden;
mod guide;
mod hardware;
mod house;
mod limits_of_a_point;
mod measured_scaling;
mod metamorphic;
mod metrics_and_charts;
mod models;
mod money;
mod names_typed;
mod overwrite;
mod points_table;
mod python_types;
mod question;
mod readme;
mod report_page;
mod resume_and_shards;
mod sweeps;
mod synthetic_curves;
mod validation;
mod validation_bad_input;
mod whole_training;
