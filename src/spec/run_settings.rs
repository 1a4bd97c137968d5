//! Settings of a run besides its axes: what its spec defines of its own.

use itertools::Itertools as _;
use toml::{Table, Value};

/// Keys that say which points there are and what is asked of them, not what they are.
const OF_THE_GRID: [&str; 13] = [
    "name",
    "description",
    "kind",
    "include",
    "where",
    "grid",
    "zip",
    "point",
    "defaults",
    "analysis",
    "question",
    "metrics",
    "charts",
];

/// Paths and values of the settings in the resolved text of a spec: `gpus.h100-sxm.price_per_hour`, `4.92 USD`. None of
/// a text that is no TOML.
pub(crate) fn run_settings(spec: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let table: Table = spec.parse().unwrap_or_default();
    for (key, value) in &table {
        if !OF_THE_GRID.contains(&key.as_str()) {
            flatten(key, value, &mut found);
        }
    }
    found
}

/// Keys in which the resolved texts of two specs differ, with both values: `grid.nodes [1, 2] -> [1, 4]`. None of a text that is
/// no TOML.
pub(crate) fn changed_keys(base: &str, new: &str) -> Vec<String> {
    let keys = |text: &str| -> Option<Vec<(String, String)>> {
        let table: Table = text.parse().ok()?;
        let mut found = Vec::new();
        for (key, value) in &table {
            flatten(key, value, &mut found);
        }
        Some(found)
    };
    let (Some(base), Some(new)) = (keys(base), keys(new)) else {
        return Vec::new();
    };
    let value = |of: &[(String, String)], path: &str| -> String {
        let found = of.iter().find(|(name, _)| name == path);
        found.map_or_else(|| "none".to_owned(), |(_, value)| value.clone())
    };
    let paths = base.iter().chain(&new).map(|(path, _)| path).unique();
    let changed = paths.filter_map(|path| {
        let (before, after) = (value(&base, path), value(&new, path));
        (before != after).then(|| format!("{path} {before} -> {after}"))
    });
    changed.collect()
}

fn flatten(path: &str, value: &Value, found: &mut Vec<(String, String)>) {
    match value {
        Value::Table(table) => {
            for (key, value) in table {
                flatten(&format!("{path}.{key}"), value, found);
            }
        }
        // A file that the spec holds, such as a table of measured runs.
        Value::String(text) if text.contains('\n') => {
            let hash = blake3::hash(text.as_bytes()).to_hex();
            let words = format!("{} lines ({})", text.lines().count(), &hash[..8]);
            found.push((path.to_owned(), words));
        }
        Value::String(text) => found.push((path.to_owned(), text.clone())),
        Value::Array(items) if items.iter().any(Value::is_table) => {
            for (place, item) in items.iter().enumerate() {
                flatten(&format!("{path}[{place}]"), item, found);
            }
        }
        Value::Integer(_)
        | Value::Float(_)
        | Value::Boolean(_)
        | Value::Datetime(_)
        | Value::Array(_) => found.push((path.to_owned(), value.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_spec_defines_is_a_setting_and_its_grid_is_not() {
        let text = "name = \"a\"\n[grid]\nnodes = [1, 2]\n[gpus.x]\nbase = \"b200\"\nprice_per_hour = \"3 USD\"\n";
        let settings = run_settings(text);
        let paths: Vec<(&str, &str)> = (settings.iter())
            .map(|(path, value)| (path.as_str(), value.as_str()))
            .collect();
        assert_eq!(
            paths,
            [("gpus.x.base", "b200"), ("gpus.x.price_per_hour", "3 USD")]
        );
        assert!(run_settings("no toml").is_empty());
    }

    #[test]
    fn measured_runs_are_settings_of_their_own() {
        let text = "[[measured]]\ngpu = \"b200\"\n[[measured]]\ncsv = \"id\\na\\n\"\n";
        let settings = run_settings(text);
        assert_eq!(
            settings[0],
            ("measured[0].gpu".to_owned(), "b200".to_owned())
        );
        let (path, words) = &settings[1];
        assert!(
            path == "measured[1].csv" && words.starts_with("2 lines ("),
            "{words}"
        );
    }

    #[test]
    fn changed_keys_are_named_with_both_values() {
        let base = "name = \"a\"\n[grid]\nnodes = [1, 2]\ntp = 2\n";
        let new = "name = \"a\"\n[grid]\nnodes = [1, 4]\n[analysis]\nefficiency_threshold = 0.7\n";
        assert_eq!(
            changed_keys(base, new),
            [
                "grid.nodes [1, 2] -> [1, 4]",
                "grid.tp 2 -> none",
                "analysis.efficiency_threshold none -> 0.7"
            ]
        );
        assert!(changed_keys(base, base).is_empty() && changed_keys("no toml", new).is_empty());
    }
}
