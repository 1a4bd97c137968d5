//! Charts as PNG, for programs that take no SVG.
//!
//! All text is drawn in a font that is built in, so that a machine without any fonts draws the same
//! picture as one with many.

use resvg::tiny_skia::{Pixmap, Transform};
use resvg::usvg::{Options, Tree, fontdb};
use std::sync::Arc;

/// Inter Regular, cut down by `scripts/subset-font`.
const REGULAR: &[u8] = include_bytes!("font/inter-regular.ttf");
/// The heavier one, for titles.
const SEMIBOLD: &[u8] = include_bytes!("font/inter-semibold.ttf");
/// The family that both belong to.
const FAMILY: &str = "Inter";

/// Width of a picture in pixels: a column of print, 85 mm, at 400 dots per inch.
pub(super) const WIDTH: u32 = 1_340;

/// Error of turning a chart into a picture.
#[derive(Debug, thiserror::Error)]
pub enum RasterError {
    /// The chart is not valid SVG.
    #[error("a chart is not valid SVG: {0}")]
    NoSvg(String),
    /// The picture could not be encoded.
    #[error("a picture could not be encoded as PNG: {0}")]
    NoPng(String),
}

/// Fonts and settings of a rasteriser; made once for many charts.
#[derive(Debug)]
pub struct Rasteriser {
    options: Options<'static>,
}

impl Default for Rasteriser {
    fn default() -> Self {
        let mut fonts = fontdb::Database::new();
        for font in [REGULAR, SEMIBOLD] {
            fonts.load_font_data(font.to_vec());
        }
        // Whatever family a style asks for, it is drawn in the one there is.
        fonts.set_serif_family(FAMILY);
        fonts.set_sans_serif_family(FAMILY);
        fonts.set_monospace_family(FAMILY);
        let options = Options {
            fontdb: Arc::new(fonts),
            font_family: FAMILY.to_owned(),
            ..Options::default()
        };
        Self { options }
    }
}

impl Rasteriser {
    fn tree(&self, svg: &str) -> Result<Tree, RasterError> {
        Tree::from_str(svg, &self.options).map_err(|error| RasterError::NoSvg(error.to_string()))
    }

    /// Renders a standalone SVG chart as PNG, `WIDTH` pixels wide.
    ///
    /// # Errors
    /// If the text is no SVG with a size.
    pub fn png(&self, svg: &str) -> Result<Vec<u8>, RasterError> {
        let tree = self.tree(svg)?;
        let size = tree.size();
        let scale = WIDTH as f32 / size.width();
        let height = libm::ceilf(size.height() * scale) as u32;
        let mut picture = Pixmap::new(WIDTH, height)
            .ok_or_else(|| RasterError::NoSvg(format!("it would be {WIDTH} by {height} pixels")))?;
        resvg::render(
            &tree,
            Transform::from_scale(scale, scale),
            &mut picture.as_mut(),
        );
        picture
            .encode_png()
            .map_err(|error| RasterError::NoPng(error.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use maud::html;

    use super::*;
    use crate::report::chart::letters;

    fn file(text: &str) -> String {
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"chart\" width=\"85mm\" height=\"20mm\" \
             viewBox=\"0 0 425 100\"><style>.chart text {{ font-family: Helvetica; font-size: 12px; }}</style>\
             <text x=\"10\" y=\"50\">{text}</text></svg>"
        )
    }

    #[test]
    fn a_picture_has_its_width_and_its_text() {
        let rasteriser = Rasteriser::default();
        let png = rasteriser.png(&file("h100-sxm")).unwrap();
        // Width and height follow the 16 bytes of signature and chunk head: 85 by 20 mm.
        assert_eq!(png[..8], *b"\x89PNG\r\n\x1a\n");
        assert_eq!(png[16..20], WIDTH.to_be_bytes());
        let height = u32::from_be_bytes([png[20], png[21], png[22], png[23]]);
        assert!(height.abs_diff(WIDTH * 20 / 85) <= 1, "{height}");
        assert!(png == rasteriser.png(&file("h100-sxm")).unwrap());
        // Text is drawn, in the font that is built in, although the style asks for another.
        assert!(png != rasteriser.png(&file("")).unwrap());
        assert!(rasteriser.png("no picture").is_err());
    }

    #[test]
    fn the_table_of_widths_is_that_of_the_font() {
        let rasteriser = Rasteriser::default();
        let drawn = |letter: char, times: usize| {
            let text: String = std::iter::repeat_n(letter, times).collect();
            let text = html! { (text) }.into_string();
            let tree = rasteriser.tree(&file(&text)).unwrap();
            f64::from(tree.root().abs_bounding_box().width())
        };
        for letter in '!'..='~' {
            // What is drawn is narrower than its letters by the room beside the first and the last, so
            // ten letters more are wider by exactly ten: at 12 of 425 units over 85 mm, which is 321.26
            // pixels of 1/96 inch.
            let found = drawn(letter, 12) - drawn(letter, 2);
            let text: String = std::iter::repeat_n(letter, 10).collect();
            let expected = letters::width(&text, 12.0) / letters::SLACK * 321.26 / 425.0;
            assert!(
                (found - expected).abs() < 0.005 * expected,
                "{letter}: {found} against {expected}"
            );
        }
    }
}
