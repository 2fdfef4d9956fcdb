//! Colours that are told apart on a light page and on a dark one.

use plotters::style::RGBColor;

/// What lines and words are drawn in. No plot holds it in the end: [`ink`] makes it the page's own colour.
pub(super) const INK: RGBColor = RGBColor(1, 2, 3);

/// The page's background on a light and on a dark screen, as its style sheet has them.
pub const PAGE: [(u8, u8, u8); 2] = [(0xff, 0xff, 0xff), (0x16, 0x18, 0x1d)];

/// Colours of about the same lightness, between the two pages', after the categories of Tableau and of Okabe and Ito.
pub const PALETTE: [(u8, u8, u8); 10] = [
    (0x3b, 0x82, 0xc4),
    (0xd0, 0x6f, 0x12),
    (0x2c, 0x97, 0x58),
    (0xd6, 0x45, 0x50),
    (0x8b, 0x63, 0xc9),
    (0x1b, 0x93, 0xa5),
    (0xc9, 0x5a, 0xa5),
    (0x86, 0x89, 0x1e),
    (0xa0, 0x69, 0x4a),
    (0x7c, 0x80, 0x88),
];

/// Colour number `index`; they begin anew after the last, where shapes tell further.
pub(super) fn colour(index: usize) -> RGBColor {
    let (r, g, b) = PALETTE[index % PALETTE.len()];
    RGBColor(r, g, b)
}

/// A drawing in the page's ink.
pub(super) fn ink(svg: &str) -> String {
    svg.replace("#010203", "currentColor")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Relative luminance (WCAG 2.2, section "relative luminance").
    fn luminance((r, g, b): (u8, u8, u8)) -> f64 {
        let linear = |channel: u8| {
            let c = f64::from(channel) / 255.0;
            if c <= 0.040_45 { c / 12.92 } else { ((c + 0.055) / 1.055).powf(2.4) }
        };
        0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b)
    }

    #[test]
    fn every_colour_can_be_seen_on_both_pages() {
        for colour in PALETTE {
            for page in PAGE {
                let (a, b) = (luminance(colour), luminance(page));
                let contrast = (a.max(b) + 0.05) / (a.min(b) + 0.05);
                // What WCAG asks of graphics.
                assert!(contrast >= 3.0, "{colour:x?} on {page:x?}: {contrast:.2}");
            }
        }
    }
}
