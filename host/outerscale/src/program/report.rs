//! What commands print: a text for people, a JSON object for programs.

use crate::{Gpu, gpu::Driver};
use comfy_table::{CellAlignment, LineStyle, Table, TableStyle};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::Value;
use std::io::{IsTerminal, Write};

pub use crate::report::{json_number, percent};

/// What a command has to say.
pub struct Output {
    /// For people.
    pub text: String,
    /// For programs.
    pub json: Value,
}

impl Output {
    /// Prints one of the two to stdout.
    ///
    /// # Errors
    /// Those of stdout.
    pub fn print(&self, json: bool) -> std::io::Result<()> {
        let mut out = std::io::stdout().lock();
        if json {
            writeln!(out, "{:#}", self.json)?;
        } else if !self.text.is_empty() {
            writeln!(out, "{}", self.text.trim_end())?;
        }
        out.flush()
    }
}

/// A table with a line under its heading; the columns of `right` are numbers.
pub fn table(heading: &[&str], right: &[usize], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let mut table = Table::new();
    let line = LineStyle::none().fill('─').junction('─');
    table.load_style(TableStyle::new().header_separator(line)).set_header(heading.to_vec());
    for row in rows {
        table.add_row(row);
    }
    for index in right {
        if let Some(column) = table.column_mut(*index) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table.trim_fmt()
}

/// Where the work runs, in words.
pub fn place(gpu: &Gpu) -> String {
    match gpu.driver() {
        Driver::Cuda => gpu.name().to_owned(),
        Driver::Sim => "simulator".to_owned(),
    }
}

/// The driver and the device for programs.
pub fn place_json(gpu: &Gpu) -> Value {
    let (major, minor) = gpu.version();
    let per_clock =
        crate::choice::chips::Chip::of((major, minor)).int8_operations * gpu.limits().multiprocessors as f64;
    serde_json::json!({
        "driver": gpu.driver().to_string(),
        "device": gpu.name(),
        "compute_capability": format!("{major}.{minor}"),
        "arch": gpu.arch().name,
        "int8_operations_per_clock": per_clock,
    })
}

/// A line that says where the work runs, and why not on a GPU.
pub fn place_line(gpu: &Gpu) -> String {
    let (major, minor) = gpu.version();
    // The simulated GPU has its architecture in its name.
    let version = match gpu.driver() {
        Driver::Sim => String::new(),
        Driver::Cuda => format!(" (sm_{major}{minor})"),
    };
    let device = format!("{}{version}, kernels for {}", gpu.name(), gpu.arch().name);
    match (gpu.driver(), libcuda::why_not_cuda()) {
        (Driver::Sim, Some(why)) => format!("{device}\nno GPU: {}", why.lines().next().unwrap_or_default()),
        _ => device,
    }
}

/// A progress bar on stderr, where that is a terminal.
pub struct Progress(ProgressBar);

impl Progress {
    /// A bar of no steps yet; hidden where `json` is asked for.
    pub fn new(json: bool) -> Self {
        let bar = if json || !std::io::stderr().is_terminal() { ProgressBar::hidden() } else { ProgressBar::new(0) };
        if let Ok(style) = ProgressStyle::with_template("{bar:30} {pos}/{len} {elapsed} {msg}") {
            bar.set_style(style);
        }
        Progress(bar)
    }

    /// Shows that `name`, number `index` of `count`, begins.
    pub fn step(&self, name: &str, index: usize, count: usize) {
        self.0.set_length(count as u64);
        self.0.set_position(index as u64);
        self.0.set_message(name.to_owned());
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
