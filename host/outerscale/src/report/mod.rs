//! What reports are made of: numbers as people read them, tables, plots as SVG, and a page that holds them.
//!
//! A report is one HTML file that needs no other. Plots take their ink from the page ([`colour`]), so that they can be
//! read on a light and on a dark one. Nothing here knows of quantization.

mod axis;
mod bars;
mod canvas;
mod chart;
pub mod colour;
mod number;
mod page;
mod panels;

pub use axis::{Axis, Spacing};
pub use bars::{Bar, Bars, Body};
pub use chart::{Chart, Series, Shape};
pub use number::{decimal, json_number, percent, quantity};
pub use page::{Block, Page, Table};
pub use panels::{Panel, Panels};
