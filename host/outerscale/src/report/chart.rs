//! Lines and points over two axes.

use super::{
    Axis,
    canvas::{self, Area, Drawn, Entry, Frame},
    colour::colour,
};
use plotters::style::{FontStyle, text_anchor::HPos};

/// How a series is drawn.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Shape {
    /// A line through its points.
    Line,
    /// A dashed one.
    Dashed,
    /// A mark at each point.
    Points,
}

/// Points that belong together.
#[derive(Clone, Debug)]
pub struct Series {
    /// Its name in the legend.
    pub name: String,
    /// The number of its colour; one thing keeps its colour through all plots of a page.
    pub colour: usize,
    /// How it is drawn.
    pub shape: Shape,
    /// (x, y). What an axis has no place for is left out.
    pub points: Vec<(f64, f64)>,
}

/// A plot of series.
#[derive(Clone, Debug)]
pub struct Chart<'a> {
    /// What is shown.
    pub title: &'a str,
    /// The horizontal axis.
    pub x: Axis<'a>,
    /// The vertical axis.
    pub y: Axis<'a>,
    /// The series; two or more get a legend beside the data.
    pub series: Vec<Series>,
    /// Places along x that are marked, and what is there.
    pub events: Vec<(f64, String)>,
}

/// A plot's size in pixels.
const SIZE: (i32, i32) = (760, 400);

impl Chart<'_> {
    /// The plot as SVG, to be put into a page.
    pub fn svg(&self) -> String {
        let entries: Vec<Entry<'_>> =
            self.series.iter().map(|s| Entry { name: &s.name, colour: s.colour, shape: s.shape }).collect();
        // Every line of the legend has its height.
        let height = SIZE.1.max(70 + 20 * entries.len() as i32);
        canvas::draw(self.title, (SIZE.0, height), |area| {
            let legend = if entries.len() > 1 { canvas::legend_width(self.series.iter().map(|s| &*s.name)) } else { 0 };
            let (plot, beside) = area.split_horizontally(area.dim_in_pixel().0 as i32 - legend);
            if legend > 0 {
                canvas::legend(&beside, &entries)?;
            }
            self.paint(&plot)
        })
    }

    fn paint(&self, area: &Area<'_>) -> Drawn {
        let points = || self.series.iter().flat_map(|series| self.shown(&series.points)).flatten();
        let events = self.events.iter().map(|(at, _)| *at);
        let scales = (self.x.scale(points().map(|p| p.0).chain(events)), self.y.scale(points().map(|p| p.1)));
        // What happens is told above the data, not over it.
        let above = if self.events.is_empty() { 0 } else { 18 * canvas::UNIT };
        let frame = canvas::frame(area, (&self.x, &self.y), scales, (68 * canvas::UNIT, above))?;
        for (at, what) in &self.events {
            self.event(area, &frame, (*at, what))?;
        }
        for (index, series) in self.series.iter().enumerate() {
            // Later points are smaller, so that those that coincide show as rings.
            let size = canvas::MARK - canvas::UNIT + 2 * (self.series.len() - 1 - index) as i32;
            for run in self.shown(&series.points) {
                let places: Vec<_> = run.iter().map(|point| place(area, &frame, *point)).collect();
                match series.shape {
                    Shape::Points => places.iter().try_for_each(|at| canvas::mark(area, *at, (series.colour, size)))?,
                    shape => canvas::line(area, &places, (colour(series.colour), shape))?,
                }
            }
        }
        Ok(())
    }

    /// The points that the axes have a place for, in runs without a gap.
    fn shown<'p>(&self, points: &'p [(f64, f64)]) -> Vec<&'p [(f64, f64)]> {
        points.split(|(x, y)| !self.x.shows(*x) || !self.y.shows(*y)).filter(|run| !run.is_empty()).collect()
    }

    /// A dashed line over the whole height, named above it, on the side where there is more room.
    fn event(&self, area: &Area<'_>, frame: &Frame<'_, '_>, (at, what): (f64, &str)) -> Drawn {
        let (across, down) = frame.plotting_area().get_pixel_range();
        let base = area.get_base_pixel();
        let x = place(area, frame, (at, 1.0)).0;
        canvas::rule(area, [(x, down.start - base.1 - 16 * canvas::UNIT), (x, down.end - base.1)])?;
        let is_left = x + base.0 < (across.start + across.end) / 2;
        let (side, gap) = if is_left { (HPos::Left, 5) } else { (HPos::Right, -5) };
        let y = down.start - base.1 - 8 * canvas::UNIT;
        canvas::words(area, what, (x + gap * canvas::UNIT, y), (side, 11, FontStyle::Normal))
    }
}

/// A point's place in the area that holds the frame.
pub(super) fn place(area: &Area<'_>, frame: &Frame<'_, '_>, point: (f64, f64)) -> (i32, i32) {
    let (x, y) = frame.plotting_area().map_coordinate(&point);
    let base = area.get_base_pixel();
    (x - base.0, y - base.1)
}
