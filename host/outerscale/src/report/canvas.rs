//! The paper of a plot: its size, title, legend and frame of axes, all of them outside of the data.

use super::{
    Axis,
    axis::Scale,
    chart::Shape,
    colour::{INK, colour, ink},
};
use plotters::{
    chart::{ChartBuilder, ChartContext},
    coord::{Shift, cartesian::Cartesian2d},
    drawing::{DrawingArea, DrawingAreaErrorKind, IntoDrawingArea},
    element::{Circle, PathElement, Rectangle, TriangleMarker},
    prelude::SVGBackend,
    style::{
        Color, FontStyle, IntoTextStyle, RGBColor, ShapeStyle, TextStyle,
        text_anchor::{HPos, Pos, VPos},
    },
};

/// Units of the drawing a pixel: the library's coordinates are whole numbers, and halves of pixels make smooth lines.
pub(super) const UNIT: i32 = 2;
/// The widths that are set aside for a character of a label, and for a plot's margin; in units.
const CHARACTER: i32 = 15 * UNIT / 2;
const MARGIN: i32 = 10 * UNIT;
/// Heights of the title and of a line of the legend, in units.
const TITLE: i32 = 34 * UNIT;
const LINE: i32 = 20 * UNIT;

pub(super) type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
pub(super) type Frame<'a, 'b> = ChartContext<'b, SVGBackend<'a>, Cartesian2d<Scale, Scale>>;
/// Whether a shape could be drawn.
pub(super) type Drawn = Result<(), DrawingAreaErrorKind<std::io::Error>>;

/// An entry of a legend.
pub(super) struct Entry<'a> {
    pub(super) name: &'a str,
    pub(super) colour: usize,
    pub(super) shape: Shape,
}

/// A drawing of `size` pixels under its title, as SVG to put into a page.
pub(super) fn draw(title: &str, size: (i32, i32), paint: impl FnOnce(&Area<'_>) -> Drawn) -> String {
    let mut svg = String::new();
    let units = ((size.0 * UNIT) as u32, (size.1 * UNIT) as u32);
    let root = SVGBackend::with_string(&mut svg, units).into_drawing_area();
    let drawn = words(&root, title, (MARGIN, TITLE / 2), (HPos::Left, 15, FontStyle::Bold))
        .and_then(|()| paint(&root.margin(TITLE, 0, 0, 0)))
        .and_then(|()| root.present());
    drawn.expect("writing to a String cannot fail");
    drop(root);
    // The page scales the drawing; a reader of screens hears its title.
    let (from, to) =
        (format!("width=\"{}\" height=\"{}\"", units.0, units.1), format!("width=\"{}\" role=\"img\"", size.0));
    ink(&svg.replacen(&from, &to, 1))
}

/// The width of the longest of `names` beside a legend's mark, in units.
pub(super) fn legend_width<'a>(names: impl Iterator<Item = &'a str>) -> i32 {
    names.map(|name| name.chars().count() as i32).max().map_or(0, |longest| 40 * UNIT + longest * CHARACTER)
}

/// The width of the longest of `labels`, in units.
pub(super) fn label_width<'a>(labels: impl Iterator<Item = &'a str>) -> i32 {
    labels.map(|label| label.chars().count() as i32).max().unwrap_or(0) * CHARACTER
}

/// Draws a legend from the top of an area.
pub(super) fn legend(area: &Area<'_>, entries: &[Entry<'_>]) -> Drawn {
    for (index, entry) in entries.iter().enumerate() {
        let y = MARGIN + LINE / 2 + index as i32 * LINE;
        let middle = 22 * UNIT;
        if matches!(entry.shape, Shape::Points) {
            mark(area, (middle, y), (entry.colour, MARK))?;
        } else {
            line(area, &[(middle - 11 * UNIT, y), (middle + 11 * UNIT, y)], (colour(entry.colour), entry.shape))?;
        }
        words(area, entry.name, (40 * UNIT, y), (HPos::Left, 12, FontStyle::Normal))?;
    }
    Ok(())
}

/// The frame: axes with ticks and labels, and lines that lead the eye. `left` is the room for the labels of y
/// and `above` that over the data, in units.
pub(super) fn frame<'a, 'b>(
    area: &'b Area<'a>,
    (x, y): (&Axis<'_>, &Axis<'_>),
    scales: (Scale, Scale),
    (left, above): (i32, i32),
) -> Result<Frame<'a, 'b>, DrawingAreaErrorKind<std::io::Error>> {
    let mut frame = ChartBuilder::on(area)
        .x_label_area_size(38 * UNIT)
        .y_label_area_size(left)
        .margin(MARGIN)
        .margin_top(2 * UNIT + above)
        .build_cartesian_2d(scales.0, scales.1)?;
    let (width, height) = frame.plotting_area().dim_in_pixel();
    let mut mesh = frame.configure_mesh();
    // A label has room for six digits.
    mesh.x_labels((width as i32 / (56 * UNIT)).max(2) as usize)
        .y_labels((height as i32 / (30 * UNIT)).max(2) as usize)
        .max_light_lines(0)
        .bold_line_style(INK.mix(0.14).stroke_width(UNIT as u32))
        .axis_style(INK.mix(0.6).stroke_width(UNIT as u32))
        .label_style(style(11, FontStyle::Normal))
        .axis_desc_style(style(12, FontStyle::Normal))
        .x_desc(x.label)
        .y_desc(y.label);
    mesh.draw()?;
    drop(mesh);
    Ok(frame)
}

/// A line through `points`, dashed where the shape says so.
pub(super) fn line(area: &Area<'_>, points: &[(i32, i32)], (colour, shape): (RGBColor, Shape)) -> Drawn {
    let style = colour.stroke_width(2 * UNIT as u32);
    match shape {
        Shape::Dashed => dashes(points).try_for_each(|dash| area.draw(&PathElement::new(dash, style))),
        _ => area.draw(&PathElement::new(points.to_vec(), style)),
    }
}

/// A thin line in the page's ink.
pub(super) fn rule(area: &Area<'_>, points: [(i32, i32); 2]) -> Drawn {
    dashes(&points).try_for_each(|dash| area.draw(&PathElement::new(dash, INK.mix(0.6).stroke_width(UNIT as u32))))
}

/// A path cut into dashes of 7 pixels, 5 apart.
fn dashes(points: &[(i32, i32)]) -> impl Iterator<Item = Vec<(i32, i32)>> {
    let (on, period) = (7.0 * f64::from(UNIT), 12.0 * f64::from(UNIT));
    let mut dashes = Vec::new();
    let mut run: Vec<(i32, i32)> = Vec::new();
    let mut travelled = 0.0;
    for pair in points.windows(2) {
        let (from, to) = (pair[0], pair[1]);
        let (dx, dy) = (f64::from(to.0 - from.0), f64::from(to.1 - from.1));
        let steps = dx.hypot(dy).round().max(1.0) as i32;
        for step in 0..steps {
            let part = f64::from(step) / f64::from(steps);
            let at = (from.0 + (part * dx).round() as i32, from.1 + (part * dy).round() as i32);
            if travelled % period < on {
                run.push(at);
            } else if !run.is_empty() {
                dashes.push(std::mem::take(&mut run));
            }
            travelled += dx.hypot(dy) / f64::from(steps);
        }
    }
    dashes.push(run);
    dashes.into_iter().filter(|run| run.len() > 1)
}

/// Half the size of a point's mark, in units.
pub(super) const MARK: i32 = 5 * UNIT;

/// A point: colours that begin anew after the last come with another shape.
pub(super) fn mark(area: &Area<'_>, at: (i32, i32), (index, size): (usize, i32)) -> Drawn {
    let style: ShapeStyle = colour(index).filled();
    match index / super::colour::PALETTE.len() % 3 {
        0 => area.draw(&Circle::new(at, size, style)),
        1 => area.draw(&Rectangle::new([(at.0 - size, at.1 - size), (at.0 + size, at.1 + size)], style)),
        _ => area.draw(&TriangleMarker::new(at, size + UNIT, style)),
    }
}

/// Words of a size in pixels, in the page's ink, around the height of `at`.
pub(super) fn words(area: &Area<'_>, text: &str, at: (i32, i32), (side, size, slant): (HPos, i32, FontStyle)) -> Drawn {
    area.draw_text(text, &style(size, slant).pos(Pos::new(side, VPos::Center)), at)
}

/// Words of `pixels`; the backend takes the height of a line for the size, which is 1.24 of it.
fn style(pixels: i32, slant: FontStyle) -> TextStyle<'static> {
    let size = f64::from(pixels * UNIT) * 1.24;
    ("sans-serif", size, &INK).into_text_style(&(1, 1)).font.style(slant).color(&INK)
}
