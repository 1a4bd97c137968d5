//! Price lists of a spec, and the axes that may stand at its top.

use crate::catalog::{Kind, OWN_PRICES};
use crate::spec::axis::Axis;
use crate::spec::names::Names;
use crate::spec::value::AxisValue;

/// Lists by name: a table with the keys of a list is the list [`OWN_PRICES`].
pub(super) fn lists(table: toml::Table) -> toml::Table {
    let is_key = |name: &String| {
        let keys = Kind::Prices.keys().iter();
        ["base", "sources", "aliases"].contains(&name.as_str())
            || keys.map(|key| key.path.as_str()).any(|key| key == name)
    };
    if table.keys().any(is_key) {
        return [(OWN_PRICES.to_owned(), toml::Value::Table(table))]
            .into_iter()
            .collect();
    }
    table
}

/// Axes that may stand at the top of a spec, for every point that names none.
pub(super) const AT_THE_TOP: [Axis; 3] = [Axis::Prices, Axis::PowerCap, Axis::Pue];

/// The value that holds where no point names a list: the spec's own, where it has one.
pub(super) fn own(names: &Names) -> Option<AxisValue> {
    let lists = names.tables.get(Kind::Prices.as_str())?.as_table()?;
    lists
        .contains_key(OWN_PRICES)
        .then(|| AxisValue::name(OWN_PRICES))
}
