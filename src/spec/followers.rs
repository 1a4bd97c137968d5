//! Axes that a spec leaves out and whose values follow from those of another axis.

use std::collections::BTreeSet;

use toml::{Table, Value};

use crate::spec::axis::{AXES, Axis, AxisDefault, AxisInfo};

/// Tables of a spec that give axes values.
const TABLES: [&str; 4] = ["grid", "zip", "point", "defaults"];

/// Axes that the resolved text of a spec leaves out, and whose values follow from those of an axis, by themselves or over
/// others: the cluster from the GPU, its topology from the cluster. None of a text that is no TOML.
pub(crate) fn follow_from(axis: Axis, spec: &str) -> BTreeSet<Axis> {
    let Ok(table) = spec.parse::<Table>() else {
        return BTreeSet::new();
    };
    let given = given(&table);
    let mut found = BTreeSet::from([axis]);
    loop {
        let next = AXES.iter().find(|info| {
            !found.contains(&info.axis)
                && !given.contains(&info.axis)
                && has_source(info, &given)
                && info.default.follows().iter().any(|it| found.contains(it))
        });
        match next {
            Some(info) => found.insert(info.axis),
            None => break,
        };
    }
    found.remove(&axis);
    found
}

/// Whether an axis that stands for another one has that to follow from.
fn has_source(info: &AxisInfo, given: &BTreeSet<Axis>) -> bool {
    let AxisDefault::OneOf(other, _) = info.default else {
        return true;
    };
    given.contains(&other)
}

/// The axes to which the tables of a spec give values.
fn given(spec: &Table) -> BTreeSet<Axis> {
    let tables = TABLES.iter().filter_map(|name| spec.get(*name));
    let each = tables.flat_map(|value| {
        let several = value.as_array().map(Vec::as_slice);
        several.unwrap_or(std::slice::from_ref(value))
    });
    let keys = each.filter_map(Value::as_table).flat_map(Table::keys);
    keys.filter_map(|key| key.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(axis: Axis, spec: &str) -> Vec<&'static str> {
        let found = follow_from(axis, spec);
        found.into_iter().map(Axis::as_str).collect()
    }

    // The GPU brings its format and its cluster, which brings the rest of the network; of a grid in nodes also the GPUs.
    #[test]
    fn what_is_left_out_follows() {
        let grid =
            "[[grid]]\ngpu = ['b200']\nmodel = ['gpt2-small']\nnodes = [1]\nglobal_batch = [8]\n";
        let of_gpu = names(Axis::Gpu, grid);
        for axis in [
            "precision",
            "cluster",
            "topology",
            "pue",
            "gpus_per_node",
            "gpus",
        ] {
            assert!(of_gpu.contains(&axis), "{axis}: {of_gpu:?}");
        }
        assert!(
            !of_gpu.contains(&"nodes") && !of_gpu.contains(&"seq_len"),
            "{of_gpu:?}"
        );
        assert!(names(Axis::Model, grid).contains(&"seq_len"));
        // A cluster that is given does not follow, and neither does what belongs to it.
        let given = format!("{grid}[defaults]\ncluster = 'dgx-b200'\n");
        let of_gpu = names(Axis::Gpu, &given);
        assert!(
            !of_gpu.contains(&"cluster") && !of_gpu.contains(&"topology"),
            "{of_gpu:?}"
        );
        assert!(names(Axis::Gpu, "no toml").is_empty());
    }
}
