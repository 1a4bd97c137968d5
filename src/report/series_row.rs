//! One row per series: the values that the summary, the page and JSON show.

use schemars::JsonSchema;
use serde::Serialize;

use crate::analysis::{
    BreakdownCause, BreakdownStatus, Dimension, Estimate, Findings, KeyValue, Scaling,
    SeriesFinding,
};
use crate::document::by_name;
use crate::record::Bottleneck;
use crate::report::quantity::{count, decimal, dollars, percent, seconds};
use crate::report::words::{cause_words, rate};

/// Size at which a series breaks down.
#[derive(Clone, Copy, Debug, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum BreaksAt {
    /// No size ran.
    NeverRan,
    /// A single size ran, which says nothing about scaling.
    OneSize,
    /// Beyond the largest size that reaches the threshold.
    Beyond(f64),
    /// Interpolated size of the breakdown point.
    Confirmed(f64),
    /// Interpolated size; a single size of the envelope lies under the threshold.
    Unconfirmed(f64),
}

impl BreaksAt {
    fn of(findings: &Findings, series: &SeriesFinding) -> Self {
        let Some(largest_good) = series.last_good(findings.threshold) else {
            return Self::NeverRan;
        };
        if series.ran().nth(1).is_none() {
            return Self::OneSize;
        }
        match (series.breakdown.status, series.breakdown.size) {
            (BreakdownStatus::None, _) | (_, None) => Self::Beyond(largest_good.point.size),
            (BreakdownStatus::Confirmed, Some(size)) => Self::Confirmed(size),
            (BreakdownStatus::Unconfirmed, Some(size)) => Self::Unconfirmed(size),
        }
    }
}

/// A series at its recommended size. Values are absent where no size ran or the study lacks them.
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub(crate) struct SeriesRow<'a> {
    /// Number of the series.
    pub(super) series: u32,
    /// The varied dimensions with their values; `None` where the simulator chooses.
    #[serde(serialize_with = "by_name::serialize")]
    #[schemars(schema_with = "by_name::schema::<Option<KeyValue>>")]
    pub(super) axes: Vec<(Dimension, Option<&'a KeyValue>)>,
    pub(super) scaling: Scaling,
    /// Recommended size: the fastest within the threshold.
    pub(super) size: Option<f64>,
    pub(super) step_time_s: Option<f64>,
    /// Tokens per second, or samples where the workload has no tokens.
    pub(super) rate: Option<f64>,
    pub(super) mfu: Option<f64>,
    /// Scaling efficiency against the smallest size that ran.
    pub(super) efficiency: Option<f64>,
    pub(super) breaks_at: BreaksAt,
    pub(super) cause: Option<BreakdownCause>,
    /// The cause with its check, in words.
    pub(super) cause_checked: String,
    /// Confirmed breakdown with the layout of the smallest size.
    pub(super) frozen_breaks_at: Option<f64>,
    pub(super) knee: Option<f64>,
    pub(super) serial_fraction: Option<&'a Estimate>,
    /// Size of the largest rate by the Universal Scalability Law.
    pub(super) peak_size: Option<f64>,
    pub(super) cost_per_mtoken_usd: Option<f64>,
    pub(super) cheapest_size: Option<f64>,
    /// Peak over capacity of a GPU's memory.
    pub(super) memory: Option<f64>,
    /// Whether that lies inside the headroom.
    pub(super) tight: Option<bool>,
    pub(super) bottleneck: Option<Bottleneck>,
    pub(super) layout: Option<String>,
}

impl<'a> SeriesRow<'a> {
    pub(super) fn new(findings: &'a Findings, series: &'a SeriesFinding) -> Self {
        let best = series.recommended();
        let measured = best.and_then(|size| size.point.measured);
        let axes = findings.varied.iter();
        let frozen = findings.frozen_of(series);
        let cheapest = series.choice.and_then(|choice| choice.cheapest);
        Self {
            series: series.number,
            axes: axes.map(|axis| (*axis, series.dimension(*axis))).collect(),
            scaling: series.scaling,
            size: best.map(|size| size.point.size),
            step_time_s: measured.map(|it| it.step_time_s),
            rate: measured.map(|it| rate(&it).0),
            mfu: measured.and_then(|it| it.mfu),
            efficiency: best
                .and_then(|size| size.efficiency)
                .map(|it| it.of_baseline),
            breaks_at: BreaksAt::of(findings, series),
            cause: series.breakdown.cause,
            cause_checked: cause_words(series),
            frozen_breaks_at: frozen.and_then(|frozen| frozen.breakdown.confirmed_size()),
            knee: series.knee,
            serial_fraction: series.fits.serial_fraction.as_ref(),
            peak_size: series.fits.peak_size,
            cost_per_mtoken_usd: measured.and_then(|it| it.cost_per_mtoken_usd),
            cheapest_size: cheapest.map(|cheapest| cheapest.size),
            memory: measured.and_then(|it| it.memory_share()),
            tight: measured.and_then(|it| it.tight),
            bottleneck: measured.and_then(|it| it.bottleneck),
            layout: measured.map(|it| it.layout.words()),
        }
    }
}

/// The rows of all series.
pub(crate) fn series_rows(findings: &Findings) -> Vec<SeriesRow<'_>> {
    let series = findings.series.iter();
    series
        .map(|series| SeriesRow::new(findings, series))
        .collect()
}

/// A cell of the table of all series: its text and, in a column of numbers, what it sorts by.
pub(super) struct Cell {
    pub(super) text: String,
    /// `None` in a column of text; NaN, which sorts behind all others, where the value is absent.
    pub(super) number: Option<f64>,
}

impl Cell {
    fn text(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            number: None,
        }
    }

    fn number(value: Option<f64>, format: impl Fn(f64) -> String) -> Self {
        Self {
            text: value.map(format).unwrap_or_default(),
            number: Some(value.unwrap_or(f64::NAN)),
        }
    }
}

/// Title and cell of a column of the table of all series.
pub(super) type Column = (&'static str, fn(&SeriesRow<'_>) -> Cell);

/// The columns of the table of all series behind those of the varied axes.
pub(super) const COLUMNS: &[Column] = &[
    ("scaling", |row| Cell::text(row.scaling.as_str())),
    ("best size", |row| Cell::number(row.size, count)),
    ("step", |row| Cell::number(row.step_time_s, seconds)),
    ("rate /s", |row| Cell::number(row.rate, decimal)),
    ("MFU", |row| Cell::number(row.mfu, percent)),
    ("efficiency", |row| Cell::number(row.efficiency, percent)),
    ("breaks at", |row| match row.breaks_at {
        BreaksAt::Confirmed(size) => Cell::number(Some(size), count),
        BreaksAt::Unconfirmed(size) => {
            Cell::number(Some(size), |it| format!("{} unconfirmed", count(it)))
        }
        BreaksAt::NeverRan | BreaksAt::OneSize | BreaksAt::Beyond(_) => Cell::number(None, count),
    }),
    ("cause", |row| Cell::text(&row.cause_checked)),
    ("breaks at, layout frozen", |row| {
        Cell::number(row.frozen_breaks_at, count)
    }),
    ("knee", |row| Cell::number(row.knee, count)),
    ("serial fraction", |row| {
        let words = row.serial_fraction.map(bounded).unwrap_or_default();
        Cell::number(row.serial_fraction.map(|it| it.value), |_| words.clone())
    }),
    ("peak (USL)", |row| Cell::number(row.peak_size, count)),
    ("USD / M tokens", |row| {
        Cell::number(row.cost_per_mtoken_usd, dollars)
    }),
    ("cheapest size", |row| {
        Cell::number(row.cheapest_size, count)
    }),
    ("memory", |row| {
        let mark = if row.tight == Some(true) {
            " tight"
        } else {
            ""
        };
        Cell::number(row.memory, |it| percent(it) + mark)
    }),
    ("bottleneck", |row| {
        Cell::text(row.bottleneck.map_or("", Bottleneck::as_str))
    }),
    ("layout", |row| {
        Cell::text(row.layout.as_deref().unwrap_or_default())
    }),
];

/// The value of a varied axis.
pub(super) fn axis_cell(value: Option<&KeyValue>) -> Cell {
    match value {
        Some(KeyValue::Number(number)) => Cell::number(Some(*number), |it| it.to_string()),
        Some(value) => Cell::text(value.to_string()),
        None => Cell::text("auto"),
    }
}

/// `0.0021 (0.0018–0.0025)`.
fn bounded(estimate: &Estimate) -> String {
    let [value, low, high] = [estimate.value, estimate.low, estimate.high].map(small);
    format!("{value} ({low}–{high})")
}

/// Two digits that count, in powers of ten where a fraction is tiny.
fn small(value: f64) -> String {
    match value {
        0.0 => "0".to_owned(),
        tiny if tiny < 1e-3 => format!("{tiny:.1e}"),
        _ => format!("{value:.4}"),
    }
}
