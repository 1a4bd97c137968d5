//! Scales from values to places on a chart, and their ticks.

/// Spread of the values of an axis.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Scale {
    /// Linear from `low` to `high`.
    Linear {
        /// Value at the start.
        low: f64,
        /// Value at the end.
        high: f64,
    },
    /// Logarithmic from `low` to `high`.
    Log {
        /// Value at the start, above zero.
        low: f64,
        /// Value at the end.
        high: f64,
        /// Ratio of neighbouring ticks' candidates: 2 for sizes that double, 10 else.
        base: f64,
    },
}

impl Scale {
    /// A linear scale from zero to a little above the largest value.
    pub(crate) fn from_zero(values: impl Iterator<Item = f64>) -> Self {
        let high = values.fold(0.0, f64::max);
        let high = if high > 0.0 { high * 1.05 } else { 1.0 };
        Self::Linear { low: 0.0, high }
    }

    /// A logarithmic scale where the positive values span two decades or more, else a linear one from zero.
    pub(crate) fn by_spread(values: &[f64]) -> Self {
        let positive = values.iter().copied().filter(|value| *value > 0.0);
        let low = positive.fold(f64::INFINITY, f64::min);
        let values = values.iter().copied();
        if values.clone().fold(0.0, f64::max) >= 100.0 * low {
            Self::log_around(values, 10.0)
        } else {
            Self::from_zero(values)
        }
    }

    /// A linear scale over all values and zero.
    pub(crate) fn with_zero(values: impl Iterator<Item = f64>) -> Self {
        let (low, high) = values.fold((0.0, 0.0), |(low, high): (f64, f64), value| {
            (low.min(value), high.max(value))
        });
        if low >= high {
            return Self::Linear {
                low: 0.0,
                high: 1.0,
            };
        }
        Self::Linear {
            low: low * 1.05,
            high: high * 1.05,
        }
    }

    /// A logarithmic scale around positive values, with some room at both ends.
    pub(crate) fn log_around(values: impl Iterator<Item = f64>, base: f64) -> Self {
        let (low, high) = values
            .filter(|value| *value > 0.0)
            .fold((f64::INFINITY, 0.0_f64), |(low, high), value| {
                (low.min(value), high.max(value))
            });
        if high == 0.0 {
            return Self::Log {
                low: 1.0,
                high: base,
                base,
            };
        }
        // So much that a single value has ticks beside it.
        let room = if high / low < 2.0 {
            libm::sqrt(base)
        } else {
            1.12
        };
        Self::Log {
            low: low / room,
            high: high * room,
            base,
        }
    }

    /// Value at the start.
    pub(crate) fn low(self) -> f64 {
        match self {
            Self::Linear { low, .. } | Self::Log { low, .. } => low,
        }
    }

    /// Value at the end.
    pub(crate) fn high(self) -> f64 {
        match self {
            Self::Linear { high, .. } | Self::Log { high, .. } => high,
        }
    }

    /// Place of a value, 0 at the start and 1 at the end.
    pub(crate) fn place(self, value: f64) -> f64 {
        match self {
            Self::Linear { low, high } => (value - low) / (high - low),
            Self::Log { low, high, .. } => libm::log(value / low) / libm::log(high / low),
        }
    }

    /// Whether a value lies on the axis.
    pub(crate) fn holds(self, value: f64) -> bool {
        (-1e-9..=1.0 + 1e-9).contains(&self.place(value))
    }

    /// A logarithmic scale reaches up to one more value, if that is less than a decade away.
    #[must_use]
    pub(crate) fn reaching(self, value: f64) -> Self {
        match self {
            Self::Log { low, high, base } if value > high && value < 10.0 * high => Self::Log {
                low,
                high: value * 1.05,
                base,
            },
            Self::Log { .. } | Self::Linear { .. } => self,
        }
    }

    /// Values between the ticks that a faint line may mark: 2 to 9 of each decade of a logarithmic
    /// scale over at most four decades.
    pub(crate) fn minor_ticks(self) -> Vec<f64> {
        match self {
            Self::Log { low, high, base } if base > 9.0 && high / low <= 1e4 => {
                let first = libm::floor(libm::log10(low)) as i32;
                let last = libm::ceil(libm::log10(high)) as i32;
                (first..=last)
                    .flat_map(|e| {
                        (2..10).map(move |n| f64::from(n) * libm::pow(10.0, f64::from(e)))
                    })
                    .filter(|value| (low..=high).contains(value))
                    .collect()
            }
            Self::Log { .. } | Self::Linear { .. } => Vec::new(),
        }
    }

    /// Values that may mark a part of the axis that is looked at closely.
    pub(crate) fn fine_ticks(self) -> Vec<f64> {
        match self {
            Self::Linear { low, high } => linear_ticks(low, high, 60),
            Self::Log { low, high, base } => {
                let factors: &[f64] = if base > 9.0 {
                    &[1.0, 1.2, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0]
                } else {
                    &[1.0, 1.125, 1.25, 1.375, 1.5, 1.625, 1.75, 1.875]
                };
                let exponent = |value: f64| libm::floor(libm::log(value) / libm::log(base)) as i32;
                let ticks = (exponent(low)..=exponent(high)).flat_map(|e| {
                    let decade = libm::pow(base, f64::from(e));
                    factors.iter().map(move |factor| factor * decade)
                });
                ticks.filter(|tick| (low..=high).contains(tick)).collect()
            }
        }
    }

    /// Values to mark, at most about `most` of them.
    pub(crate) fn ticks(self, most: usize) -> Vec<f64> {
        match self {
            Self::Linear { low, high } => linear_ticks(low, high, most),
            Self::Log { low, high, base } => log_ticks(low, high, base, most),
        }
    }
}

fn linear_ticks(low: f64, high: f64, most: usize) -> Vec<f64> {
    let rough = (high - low) / most.max(1) as f64;
    let magnitude = libm::pow(10.0, libm::floor(libm::log10(rough)));
    let step = [1.0, 2.0, 2.5, 5.0, 10.0]
        .into_iter()
        .map(|factor| factor * magnitude)
        .find(|step| *step >= rough)
        .unwrap_or(10.0 * magnitude);
    let first = libm::ceil(low / step - 1e-9) as i64;
    let last = libm::floor(high / step + 1e-9) as i64;
    (first..=last).map(|i| i as f64 * step).collect()
}

fn log_ticks(low: f64, high: f64, base: f64, most: usize) -> Vec<f64> {
    let exponent = |value: f64| libm::log(value) / libm::log(base);
    let first = libm::ceil(exponent(low) - 1e-9) as i64;
    let last = libm::floor(exponent(high) + 1e-9) as i64;
    let count = (last - first + 1).max(0) as usize;
    if base > 9.0 && count < 3 {
        // Fewer than three decades: 1, 2 and 5 of each, or the finest of them that are not too many.
        let fine = |factors: &[f64]| -> Vec<f64> {
            (first - 1..=last)
                .flat_map(|e| factors.iter().map(move |f| f * libm::pow(base, e as f64)))
                .filter(|value| (low..=high).contains(value))
                .collect()
        };
        let all = fine(&[1.0, 2.0, 5.0]);
        return match all.len() {
            // Over so little the two scales hardly differ.
            0..3 => linear_ticks(low, high, most),
            few if few <= most + 2 => all,
            _ => fine(&[1.0, 3.0]),
        };
    }
    let every = count.div_ceil(most.max(1)).max(1);
    (first..=last)
        .step_by(every)
        .map(|e| libm::pow(base, e as f64))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubling_sizes_are_evenly_spaced() {
        let scale = Scale::Log {
            low: 8.0,
            high: 1024.0,
            base: 2.0,
        };
        // 8 to 1024 is 7 doublings; 64 is the third.
        assert!((scale.place(64.0) - 3.0 / 7.0).abs() < 1e-12);
        assert_eq!(
            scale.ticks(8),
            [8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0]
        );
        assert_eq!(scale.ticks(4), [8.0, 32.0, 128.0, 512.0]);
    }

    #[test]
    fn linear_ticks_are_round() {
        let scale = Scale::Linear {
            low: 0.0,
            high: 1.05,
        };
        // 1.05 in at most five steps is 0.21 and rounds up to quarters.
        let ticks = scale.ticks(5);
        assert_eq!(ticks, [0.0, 0.25, 0.5, 0.75, 1.0]);
    }

    #[test]
    fn a_logarithmic_scale_has_faint_lines_and_room_for_an_ideal() {
        let scale = Scale::Log {
            low: 8.0,
            high: 30.0,
            base: 10.0,
        };
        assert_eq!(scale.minor_ticks(), [8.0, 9.0, 20.0, 30.0]);
        assert!(scale.reaching(100.0).holds(100.0));
        // A decade away the lines below would have no room left.
        assert_eq!(scale.reaching(1_000.0), scale);
    }

    // 1 to 100 are two decades, 1 to 99 less; a zero has no place among decades.
    #[test]
    fn decades_have_a_logarithmic_scale() {
        let is_log = |high: f64| {
            let scale = Scale::by_spread(&[0.0, 1.0, high]);
            matches!(scale, Scale::Log { .. })
        };
        assert!(is_log(100.0) && !is_log(99.0));
    }

    // 1.5 to 4 holds 1.5, 2, 2.5, 3 and 4 of the decade, and 1.5, 1.625, … 4 of the doublings.
    #[test]
    fn a_part_of_a_logarithmic_axis_has_ticks_of_its_own() {
        let scale = |base: f64| Scale::Log {
            low: 1.5,
            high: 4.0,
            base,
        };
        assert_eq!(scale(10.0).fine_ticks(), [1.5, 2.0, 2.5, 3.0, 4.0]);
        let doublings = scale(2.0).fine_ticks();
        assert_eq!(doublings[..5], [1.5, 1.625, 1.75, 1.875, 2.0]);
        assert_eq!(doublings.last(), Some(&4.0));
    }

    #[test]
    fn few_decades_get_finer_ticks() {
        let scale = Scale::Log {
            low: 1.5,
            high: 60.0,
            base: 10.0,
        };
        assert_eq!(scale.ticks(6), [2.0, 5.0, 10.0, 20.0, 50.0]);
        // Of 1, 2 and 5 only 2 lies inside: round steps of 0.5 instead.
        let narrow = Scale::Log {
            low: 1.2,
            high: 3.4,
            base: 10.0,
        };
        assert_eq!(narrow.ticks(5), [1.5, 2.0, 2.5, 3.0]);
    }
}
