//! The colours of charts and pages, in one place.
//!
//! Series and parts are distinguishable for eyes without red, green or blue cones, and contrast with the paper
//! by 3:1 and text by 4.5:1 (WCAG 2.1, 1.4.3 and 1.4.11): the tests below compute both.

use itertools::Itertools;

/// Colours of one appearance, as `#rrggbb`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scheme {
    /// Background.
    pub(crate) paper: &'static str,
    /// Text.
    pub(crate) ink: &'static str,
    /// Text that matters less, and axes.
    pub(crate) soft: &'static str,
    /// Frames.
    pub(crate) line: &'static str,
    /// Grid lines, which only guide the eye.
    pub(crate) grid: &'static str,
    /// Background of boxes and table heads.
    pub(crate) tint: &'static str,
    /// Accent.
    pub(crate) accent: &'static str,
    /// Series.
    pub(crate) series: [&'static str; 8],
    /// Parts of a step's time, in the order of `StepPart`.
    pub(crate) parts: [&'static str; 10],
}

/// Colours for daylight and paper.
pub(crate) static LIGHT: Scheme = Scheme {
    paper: "#ffffff",
    ink: "#1b1f24",
    soft: "#525a64",
    line: "#d5d9de",
    grid: "#e3e6ea",
    tint: "#f4f6f8",
    accent: "#0b5cad",
    series: [
        "#545ab9", "#e56d18", "#257c4c", "#b35892", "#7c5700", "#239bd4", "#4e5153", "#301d83",
    ],
    parts: [
        "#3473b4", "#7b92c3", "#882255", "#b14c57", "#9b3689", "#e07050", "#b03900", "#a88a00",
        "#00802b", "#808080",
    ],
};

/// Colours for dark rooms.
pub(crate) static DARK: Scheme = Scheme {
    paper: "#14171a",
    ink: "#e8eaed",
    soft: "#a9b1ba",
    line: "#3a4048",
    grid: "#2a2f35",
    tint: "#1d2125",
    accent: "#7cb7f2",
    series: [
        "#589acd", "#fe8e49", "#47ce9b", "#d183a9", "#ffd85e", "#96cff7", "#cacfd6", "#999eff",
    ],
    parts: [
        "#6897cf", "#b3d1ee", "#b5447f", "#d17d8c", "#b25ba9", "#f1a992", "#fe8d49", "#e6d88f",
        "#3aa15f", "#acb1b4",
    ],
};

impl Scheme {
    /// Every colour with its name: `paper`, `c0` for series, `p0` for parts.
    fn named(&'static self) -> Vec<(String, &'static str)> {
        let single = [
            ("paper", self.paper),
            ("ink", self.ink),
            ("soft", self.soft),
            ("line", self.line),
            ("grid", self.grid),
            ("tint", self.tint),
            ("accent", self.accent),
        ];
        let numbered = |letter: char, colours: &'static [&'static str]| {
            let colours = colours.iter().enumerate();
            colours.map(move |(place, colour)| (format!("{letter}{place}"), *colour))
        };
        (single.into_iter())
            .map(|(name, colour)| (name.to_owned(), colour))
            .chain(numbered('c', &self.series))
            .chain(numbered('p', &self.parts))
            .collect()
    }

    /// The colours as custom properties of a style sheet: `--paper:#ffffff;`.
    pub(crate) fn properties(&'static self) -> String {
        let named = self.named().into_iter();
        named
            .map(|(name, colour)| format!("--{name}:{colour};"))
            .join("")
    }

    /// A style sheet with each `var(--name)` replaced by its colour, for programs that know no
    /// custom properties.
    pub(crate) fn inlined(&'static self, style: &str) -> String {
        self.named()
            .into_iter()
            .fold(style.to_owned(), |style, (name, colour)| {
                style.replace(&format!("var(--{name})"), colour)
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Linear = [f64; 3];

    /// sRGB to linear light (IEC 61966-2-1).
    fn linear(colour: &str) -> Linear {
        [1, 3, 5].map(|place| {
            let byte = u8::from_str_radix(&colour[place..place + 2], 16).expect("hexadecimal");
            let value = f64::from(byte) / 255.0;
            if value <= 0.040_45 {
                value / 12.92
            } else {
                libm::pow((value + 0.055) / 1.055, 2.4)
            }
        })
    }

    /// Contrast ratio of two colours (WCAG 2.1).
    fn contrast(a: &str, b: &str) -> f64 {
        let luminance = |colour| {
            let [red, green, blue] = linear(colour);
            0.2126 * red + 0.7152 * green + 0.0722 * blue
        };
        let (a, b) = (luminance(a), luminance(b));
        (a.max(b) + 0.05) / (a.min(b) + 0.05)
    }

    /// CIE L*a*b* under D65.
    fn lab([red, green, blue]: Linear) -> [f64; 3] {
        let x = (0.412_456 * red + 0.357_576 * green + 0.180_438 * blue) / 0.950_47;
        let y = 0.212_673 * red + 0.715_152 * green + 0.072_175 * blue;
        let z = (0.019_334 * red + 0.119_192 * green + 0.950_304 * blue) / 1.088_83;
        let f = |t: f64| {
            if t > 0.008_856 {
                libm::cbrt(t)
            } else {
                7.787 * t + 16.0 / 116.0
            }
        };
        [
            116.0 * f(y) - 16.0,
            500.0 * (f(x) - f(y)),
            200.0 * (f(y) - f(z)),
        ]
    }

    /// Colour vision without one kind of cone: Machado, Oliveira & Fernandes, IEEE TVCG 15(6), 2009,
    /// severity 1. The first is the eye with all three.
    const EYES: [(&str, [[f64; 3]; 3]); 4] = [
        (
            "all cones",
            [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]],
        ),
        (
            "protanopia",
            [
                [0.152_286, 1.052_583, -0.204_868],
                [0.114_503, 0.786_281, 0.099_216],
                [-0.003_882, -0.048_116, 1.051_998],
            ],
        ),
        (
            "deuteranopia",
            [
                [0.367_322, 0.860_646, -0.227_968],
                [0.280_085, 0.672_501, 0.047_413],
                [-0.011_820, 0.042_940, 0.968_881],
            ],
        ),
        (
            "tritanopia",
            [
                [1.255_528, -0.076_749, -0.178_779],
                [-0.078_411, 0.930_809, 0.147_602],
                [0.004_733, 0.691_367, 0.303_900],
            ],
        ),
    ];

    fn seen(eye: &[[f64; 3]; 3], colour: &str) -> [f64; 3] {
        let light = linear(colour);
        lab(eye.map(|row| {
            let sum: f64 = row
                .iter()
                .zip(light)
                .map(|(weight, part)| weight * part)
                .sum();
            sum.clamp(0.0, 1.0)
        }))
    }

    #[test]
    fn text_and_lines_stand_out_from_what_is_behind_them() {
        for scheme in [&LIGHT, &DARK] {
            for behind in [scheme.paper, scheme.tint] {
                // Text: 4.5:1 (AA).
                for text in [scheme.ink, scheme.soft, scheme.accent] {
                    assert!(contrast(text, behind) >= 4.5, "{text} on {behind}");
                }
            }
            // The text of a hover box stands on ink.
            assert!(contrast(scheme.paper, scheme.ink) >= 4.5);
            // What carries meaning in a chart: 3:1.
            for drawn in scheme.series.iter().chain(&scheme.parts) {
                let found = contrast(drawn, scheme.paper);
                assert!(found >= 3.0, "{drawn} on {}: {found:.2}", scheme.paper);
            }
        }
    }

    #[test]
    fn no_two_colours_of_a_chart_look_alike_to_any_eye() {
        // A difference of 2.3 in L*a*b* is just noticeable side by side; small marks apart from each
        // other need several times that.
        for scheme in [&LIGHT, &DARK] {
            for (colours, least) in [(&scheme.series[..], 16.0), (&scheme.parts[..], 14.0)] {
                for (eye, matrix) in &EYES {
                    let seen: Vec<[f64; 3]> =
                        colours.iter().map(|colour| seen(matrix, colour)).collect();
                    for (place, a) in seen.iter().enumerate() {
                        for (other, b) in seen.iter().enumerate().skip(place + 1) {
                            let apart = a
                                .iter()
                                .zip(b)
                                .map(|(a, b)| (a - b) * (a - b))
                                .sum::<f64>()
                                .sqrt();
                            let (one, two) = (colours[place], colours[other]);
                            assert!(
                                apart >= least,
                                "{eye}: {one} and {two} are {apart:.1} apart"
                            );
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn a_style_for_other_programs_names_its_colours() {
        let style = LIGHT.inlined(".c1{fill:var(--c1)}.p{fill:var(--paper)}");
        assert_eq!(style, ".c1{fill:#e56d18}.p{fill:#ffffff}");
        assert!(DARK.properties().starts_with("--paper:#14171a;--ink:"));
    }
}
