//! A value each: bars that lie, so that names can be read.

use super::{
    Axis,
    canvas::{self, UNIT},
    chart::place,
    colour::{INK, colour},
};
use plotters::{
    element::Rectangle,
    style::{Color, FontStyle, text_anchor::HPos},
};

/// A named value.
#[derive(Clone, Debug)]
pub struct Bar {
    /// Its name.
    pub name: String,
    /// The number of its colour.
    pub colour: usize,
    /// Where it ends.
    pub value: f64,
    /// The value in words, written behind the bar.
    pub words: String,
    /// How it is drawn.
    pub body: Body,
}

/// How a bar is drawn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Body {
    /// Filled with its colour.
    #[default]
    Filled,
    /// An outline in the page's ink: it is of another kind than the others.
    Outline,
}

/// A plot of bars from the least value's side.
#[derive(Clone, Debug)]
pub struct Bars<'a> {
    /// What is shown.
    pub title: &'a str,
    /// The axis along the bars.
    pub x: Axis<'a>,
    /// The bars, from the top.
    pub bars: Vec<Bar>,
}

/// The height that a bar has with its gap, in pixels, and the width of the plot.
const STEP: i32 = 24;
const WIDTH: i32 = 760;

impl Bars<'_> {
    /// The plot as SVG, to be put into a page.
    pub fn svg(&self) -> String {
        let count = self.bars.len() as i32;
        canvas::draw(self.title, (WIDTH, 94 + STEP * count), |area| {
            let left = canvas::label_width(self.bars.iter().map(|bar| &*bar.name)) + 14 * UNIT;
            let right = canvas::label_width(self.bars.iter().map(|bar| &*bar.words));
            // The words behind the longest bar have their place outside of the axes.
            let (plot, _) = area.split_horizontally(area.dim_in_pixel().0 as i32 - right);
            let x = self.x.scale(self.bars.iter().map(|bar| bar.value));
            let names = Axis::named();
            let y = names.scale((0..count).map(f64::from));
            let frame = canvas::frame(&plot, (&self.x, &names), (x, y), (left, 0))?;
            for (index, bar) in self.bars.iter().enumerate() {
                // The first is at the top, where y is largest.
                let y = f64::from(count - 1) - index as f64;
                let start = place(area, &frame, (x.range.0, y));
                let end = if self.x.shows(bar.value) { place(area, &frame, (bar.value, y)) } else { start };
                let half = 8 * UNIT;
                let style = match bar.body {
                    Body::Filled => colour(bar.colour).filled(),
                    Body::Outline => INK.into(),
                };
                area.draw(&Rectangle::new([(start.0, start.1 - half), (end.0, end.1 + half)], style))?;
                canvas::words(area, &bar.name, (start.0 - 8 * UNIT, start.1), (HPos::Right, 12, FontStyle::Normal))?;
                canvas::words(area, &bar.words, (end.0 + 6 * UNIT, end.1), (HPos::Left, 11, FontStyle::Normal))?;
            }
            Ok(())
        })
    }
}
