//! Histograms side by side, on the same axes so that they can be compared.

use super::{
    Axis,
    canvas::{self, Area, Drawn, UNIT},
    chart::place,
    colour::colour,
};
use plotters::{
    element::Polygon,
    style::{Color, FontStyle, text_anchor::HPos},
};

/// A histogram.
#[derive(Clone, Debug)]
pub struct Panel {
    /// Its name.
    pub name: String,
    /// The number of its colour.
    pub colour: usize,
    /// (left end of a bin of width 1, height).
    pub bins: Vec<(f64, f64)>,
}

/// Histograms of one kind.
#[derive(Clone, Debug)]
pub struct Panels<'a> {
    /// What is shown.
    pub title: &'a str,
    /// The axis of the bins.
    pub x: Axis<'a>,
    /// The axis of their heights.
    pub y: Axis<'a>,
    /// The histograms.
    pub panels: Vec<Panel>,
}

/// Panels a row, a panel's height in pixels, and the width of all.
const ACROSS: usize = 3;
const HEIGHT: i32 = 190;
const WIDTH: i32 = 760;

impl Panels<'_> {
    /// The plot as SVG, to be put into a page.
    pub fn svg(&self) -> String {
        let down = self.panels.len().div_ceil(ACROSS).max(1);
        canvas::draw(self.title, (WIDTH, 40 + HEIGHT * down as i32), |area| {
            let cells = area.split_evenly((down, ACROSS));
            self.panels.iter().zip(&cells).try_for_each(|(panel, cell)| self.paint(panel, cell))
        })
    }

    fn paint(&self, panel: &Panel, cell: &Area<'_>) -> Drawn {
        canvas::words(cell, &panel.name, (68 * UNIT, 9 * UNIT), (HPos::Left, 12, FontStyle::Normal))?;
        let area = cell.margin(18 * UNIT, 0, 0, 0);
        let bins = || self.panels.iter().flat_map(|panel| &panel.bins);
        let x = self.x.scale(bins().flat_map(|bin| [bin.0, bin.0 + 1.0]));
        let y = self.y.scale(bins().map(|bin| bin.1));
        let frame = canvas::frame(&area, (&self.x, &self.y), (x, y), (62 * UNIT, 0))?;
        // One outline: polygons side by side would show their seams.
        let floor = |at| (at, y.range.0);
        let (Some(first), Some(last)) = (panel.bins.first(), panel.bins.last()) else { return Ok(()) };
        let steps = panel.bins.iter().flat_map(|(left, height)| [(*left, *height), (left + 1.0, *height)]);
        // A height that the axis does not show lies on the floor.
        let steps = steps.map(|(at, height)| if self.y.shows(height) { (at, height) } else { floor(at) });
        let outline = [floor(first.0)].into_iter().chain(steps).chain([floor(last.0 + 1.0)]);
        let outline: Vec<_> = outline.map(|corner| place(&area, &frame, corner)).collect();
        area.draw(&Polygon::new(outline, colour(panel.colour).filled()))?;
        Ok(())
    }
}
