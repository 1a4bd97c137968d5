//! A collective study: every communication that ran, by what was asked for.

use std::collections::BTreeMap;
use std::path::Path;

use super::files::FilesError;
use super::input::Rows;
use crate::record::{Column, PointsReader, columns};
use crate::spec::{AXES, Axis, ColumnType, StudyKind};

/// One communication that ran.
#[derive(Clone, Debug, PartialEq)]
pub struct Transfer {
    /// Number of its point.
    pub point: u64,
    /// Operation.
    pub op: String,
    /// Where it ran: the axes that differ between places, in words.
    pub place: String,
    /// GPUs.
    pub gpus: u64,
    /// Algorithm that was asked for, `auto` where it was left open.
    pub algorithm: String,
    /// Algorithm that carried it.
    pub used: String,
    /// Bytes, as nccl-tests counts them.
    pub size: f64,
    /// Its time in seconds.
    pub time_s: f64,
    /// Its bus bandwidth in bytes per second.
    pub busbw: f64,
}

/// All of a study.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Transfers {
    /// Those that ran, in the order of the grid.
    pub ran: Vec<Transfer>,
    /// Rows of the study.
    pub rows: u64,
    /// Why others did not run, by kind: how many, and one example.
    pub reasons: BTreeMap<String, (u64, String)>,
}

/// Axes that do not belong to a place: each has a part of its own in a [`Transfer`].
const OWN: &[Axis] = &[
    Axis::Op,
    Axis::Size,
    Axis::Collective,
    Axis::Nodes,
    Axis::Gpus,
];

/// A row, before it is known which axes differ.
struct RawRow {
    inputs: Vec<Option<String>>,
    reason: Option<String>,
    transfer: Option<Transfer>,
}

/// Reads a collective study's `points.parquet`.
///
/// # Errors
/// If the file cannot be read, or is not of a collective study.
pub fn transfers(file: &Path) -> Result<Transfers, FilesError> {
    let axes: Vec<Axis> = AXES
        .iter()
        .map(|info| info.axis)
        .filter(|axis| axis.belongs_to(StudyKind::Collective) && !OWN.contains(axis))
        .collect();
    let fixed = [
        Column::of_axis(Axis::Op.info()),
        Column::of_axis(Axis::Size.info()),
        Column::of_axis(Axis::Collective.info()),
        columns::POINT,
        columns::GPUS,
        columns::TIME_S,
        columns::BUSBW_BYTES_PER_S,
        columns::COLLECTIVE_USED,
        columns::REASON,
    ];
    let wanted: Vec<Column> = axes
        .iter()
        .map(|axis| Column::of_axis(axis.info()))
        .chain(fixed)
        .collect();
    let name = file.display().to_string();
    let mut raw = Vec::new();
    for batch in PointsReader::open(file)?.read(&wanted)? {
        let rows = Rows {
            file: &name,
            batch: &batch,
        };
        raw.extend(raw_rows(&rows, &axes, &fixed)?);
    }
    let varied = varied(&raw, &axes);
    let mut found = Transfers::default();
    for row in raw {
        found.rows += 1;
        if let Some(mut transfer) = row.transfer {
            let words: Vec<String> = varied
                .iter()
                .map(|place| place_word(axes[*place], row.inputs[*place].as_deref()))
                .collect();
            transfer.place = words.join(" ");
            found.ran.push(transfer);
        } else if let Some(reason) = row.reason {
            let kind = reason.split(':').next().unwrap_or_default().to_owned();
            let known = found.reasons.entry(kind).or_insert((0, reason));
            known.0 += 1;
        }
    }
    Ok(found)
}

/// A name says what it is; a number does with its axis.
fn place_word(axis: Axis, value: Option<&str>) -> String {
    match (value, axis.info().domain.column_type()) {
        (Some(value), ColumnType::Text) => value.to_owned(),
        (Some(value), _) => format!("{axis} {value}"),
        (None, _) => format!("{axis} auto"),
    }
}

fn raw_rows(
    rows: &Rows<'_>,
    axes: &[Axis],
    fixed: &[Column; 9],
) -> Result<Vec<RawRow>, FilesError> {
    let [op, size, asked, point, gpus, time, busbw, used, reason] = fixed;
    let (op, asked) = (rows.text(op)?, rows.text(asked)?);
    let (used, reason) = (rows.text(used)?, rows.text(reason)?);
    let (size, point, gpus) = (
        rows.numbers(size)?,
        rows.numbers(point)?,
        rows.numbers(gpus)?,
    );
    let (time, busbw) = (rows.numbers(time)?, rows.numbers(busbw)?);
    let inputs = axes
        .iter()
        .map(|axis| rows.words(*axis))
        .collect::<Result<Vec<_>, _>>()?;
    let text = |name: Option<&std::sync::Arc<str>>| name.map(ToString::to_string);
    Ok((0..rows.len())
        .map(|row| RawRow {
            inputs: inputs.iter().map(|words| words[row].clone()).collect(),
            reason: text(reason.get(row)),
            transfer: time
                .get(row)
                .zip(size.get(row))
                .map(|(time_s, size)| Transfer {
                    point: point.get(row).unwrap_or(row as f64) as u64,
                    op: text(op.get(row)).unwrap_or_default(),
                    place: String::new(),
                    gpus: gpus.get(row).unwrap_or(0.0) as u64,
                    algorithm: text(asked.get(row)).unwrap_or_else(|| "auto".to_owned()),
                    used: text(used.get(row)).unwrap_or_default(),
                    size,
                    time_s,
                    busbw: busbw.get(row).unwrap_or(0.0),
                }),
        })
        .collect())
}

/// Axes that differ between rows, clusters first, without those that another one decides.
fn varied(rows: &[RawRow], axes: &[Axis]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..axes.len()).collect();
    order.sort_by_key(|place| {
        (
            axes[*place] != Axis::Cluster,
            axes[*place] != Axis::Gpu,
            *place,
        )
    });
    let mut kept: Vec<usize> = Vec::new();
    for place in order {
        let differs = rows
            .iter()
            .any(|row| row.inputs[place] != rows[0].inputs[place]);
        let decided = kept.iter().any(|by| {
            let mut seen: BTreeMap<&Option<String>, &Option<String>> = BTreeMap::new();
            rows.iter().all(|row| {
                *seen.entry(&row.inputs[*by]).or_insert(&row.inputs[place]) == &row.inputs[place]
            })
        });
        if differs && !decided {
            kept.push(place);
        }
    }
    kept
}
