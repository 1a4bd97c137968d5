//! The host's calls of each layer, as `explain` shows them.

use crate::report::text::{Table, Text};
use crate::simulation::LayerLaunches;
use crate::units::SimDuration;

/// Calls of the host in each kind of layer, and what they cost.
pub(super) fn push_launches(text: &mut Text, launches: &[LayerLaunches]) {
    if launches.is_empty() {
        return;
    }
    writeln!(text, "\nhost: calls of each layer and microbatch");
    let mut table = Table::new(&["", ">", ">", ">", ">", ">"]);
    let head = ["", "layers", "forward", "time", "backward", "time"];
    table.row(head.map(str::to_owned));
    for it in launches {
        let time = |time: SimDuration| format!("{:.0} µs", time.as_secs_f64() * 1e6);
        table.row([
            format!("  {}", it.layer),
            it.layers.to_string(),
            it.calls[0].to_string(),
            time(it.time[0]),
            it.calls[1].to_string(),
            time(it.time[1]),
        ]);
    }
    write!(text, "{}", table.render());
}
