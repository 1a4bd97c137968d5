//! Memory of a point by part, stage and moment, as `explain` shows it.

use crate::record::{Column, Record, columns};
use crate::report::text::{Table, Text};
use crate::simulation::{MemoryFootprint, MemoryMoment, StageMemory};
use crate::units::Bytes;

/// The parts of the memory, each with its share of the GPU's.
pub(super) fn parts(record: &Record) -> String {
    let bytes = |column: &Column| column.cell(record)?.count();
    let Some(capacity) = bytes(&columns::MEMORY_CAPACITY_BYTES) else {
        return String::new();
    };
    let mut table = Table::new(&["", ">", ">"]);
    let ends = [columns::MEMORY_PEAK_BYTES, columns::MEMORY_CAPACITY_BYTES];
    for column in columns::MEMORY_PARTS.iter().chain(&ends) {
        if let Some(value) = bytes(column) {
            table.row([
                format!("  {}", column.name),
                Bytes::new(value).to_string(),
                format!("{:.1}%", 100.0 * value as f64 / capacity as f64),
            ]);
        }
    }
    let tight = record.metrics().is_some_and(|metrics| metrics.tight);
    let note = "  tight: the peak lies inside the memory's headroom, so the job may not fit\n";
    table.render() + if tight { note } else { "" }
}

/// Memory of each stage at each moment of a step; stages that are alike stand in one line.
pub(super) fn push_stages(text: &mut Text, stages: &[StageMemory]) {
    if stages.is_empty() {
        return;
    }
    writeln!(
        text,
        "\nmemory of each stage: tensors between steps, with the loss, in the last and the first\n\
         layer's backward pass, in the optimizer's step; peak with libraries and allocator"
    );
    let mut columns = vec![">"; MemoryMoment::COUNT + 2];
    columns[0] = "";
    let mut table = Table::new(&columns);
    let titles = MemoryMoment::ALL.iter().map(|moment| moment.title());
    let head = ["  stage"].into_iter().chain(titles).chain(["peak"]);
    table.row(head.map(str::to_owned).collect::<Vec<_>>());
    let alike = |a: &StageMemory, b: &StageMemory| (a.tensors, a.peak) == (b.tensors, b.peak);
    for run in stages.chunk_by(alike) {
        let [first, .., last] = run else {
            table.row(stage_row(&run[0], &run[0].stage.to_string()));
            continue;
        };
        let range = format!("{}–{}", first.stage, last.stage);
        table.row(stage_row(first, &range));
    }
    write!(text, "{}", table.render());
}

fn stage_row(stage: &StageMemory, name: &str) -> Vec<String> {
    let moments = stage.tensors.iter().map(MemoryFootprint::total);
    let bytes = moments.chain([stage.peak.total()]);
    let cells = bytes.map(|bytes| bytes.to_string());
    std::iter::once(format!("  {name}")).chain(cells).collect()
}
