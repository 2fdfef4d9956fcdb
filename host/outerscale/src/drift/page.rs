//! The study as a page.

use super::{Course, SPAN, Scenario, Study, Summary, summary::root_mean_square};
use crate::{
    linear::{Hybrid, Scheme},
    report::{Axis, Block, Chart, Page, Series, Shape, Table, percent},
};

/// The study of the linear called `name` as a page of its own: for each gain a table, the errors, what saturates, and
/// the scales, sample by sample.
pub fn page(name: &str, study: &Study) -> Page {
    let plan = &study.plan;
    let every = plan.windows.first().map_or(0, |by| by.every);
    let mut blocks = vec![
        Block::Text(format!(
            "{} samples (sentences, {} tokens) after {} that calibrate by the rule {}. From sample {} on, x is \
             multiplied by a gain. The running scales are updated every {every} samples.",
            study.samples, study.tokens, plan.calibration, plan.observer, plan.from
        )),
        Block::Text(format!(
            "Errors are ‖y_q − y‖ / ‖y‖ of a sample against float64, without bias, y_q being what the kernels made, \
             over {} of the outputs. \
             The lag is the number of samples from the gain on until the error over {SPAN} samples is within a \
             factor of {} of that of the dynamic per-tensor scale over the same samples.",
            study.outputs, plan.factor
        )),
    ];
    if let Ok(hybrid) = Hybrid::choose(&study.calibration) {
        blocks.push(Block::Text(format!("The hybrid scheme would quantize this linear {hybrid}.")));
    }
    for scenario in &study.scenarios {
        blocks.push(Block::Heading(heading(scenario)));
        blocks.push(Block::Table(table(study, scenario)));
        blocks.extend(plots(study, scenario));
    }
    Page { title: format!("{name} under drift"), blocks }
}

/// A scenario in words.
fn heading(scenario: &Scenario) -> String {
    if scenario.gain == 1.0 { "No gain".to_owned() } else { format!("Gain × {}", scenario.gain) }
}

impl Summary {
    /// The lag in words.
    pub fn lag_in_words(&self) -> String {
        self.lag.map_or("never".to_owned(), |lag| lag.to_string())
    }
}

fn table(study: &Study, scenario: &Scenario) -> Table {
    let heading = ["scale of x", "error before", "the first 16 after", "the last 100", "saturated", "lag"];
    let row = |course: &Course| {
        let summary = study.summary(scenario, course);
        let errors = [summary.before, summary.after, summary.last, summary.saturated].map(percent);
        [vec![course.name()], errors.to_vec(), vec![summary.lag_in_words()]].concat()
    };
    Table {
        heading: heading.map(str::to_owned).to_vec(),
        right: vec![1, 2, 3, 4, 5],
        rows: scenario.courses.iter().map(row).collect(),
    }
}

/// Errors, saturated shares and scales over the samples.
fn plots(study: &Study, scenario: &Scenario) -> Vec<Block> {
    let events = match scenario.gain {
        1.0 => Vec::new(),
        gain => vec![(study.plan.from as f64, format!("× {gain}"))],
    };
    let x = Axis::linear("sample");
    let series = |value: &dyn Fn(&Course, usize) -> f64| -> Vec<Series> {
        let of = |(colour, course): (usize, &Course)| Series {
            name: course.name(),
            colour,
            shape: if matches!(course.scheme, Scheme::Tensor | Scheme::Token) { Shape::Dashed } else { Shape::Line },
            points: (0..study.samples).map(|i| (i as f64, value(course, i))).collect(),
        };
        scenario.courses.iter().enumerate().map(of).collect()
    };
    let error = |course: &Course, i: usize| root_mean_square(&course.samples[span(study, i)]);
    let saturated = |course: &Course, i: usize| {
        let samples = &course.samples[span(study, i)];
        100.0 * samples.iter().map(|sample| sample.saturated).sum::<f64>() / samples.len() as f64
    };
    let scale = |course: &Course, i: usize| course.samples[i].scale.map_or(f64::NAN, f64::from);
    let chart = |title, y, mut series: Vec<Series>| {
        series.retain(|series| series.points.iter().any(|point| point.1 > 0.0));
        Chart { title, x, y, series, events: events.clone() }.svg()
    };
    let plot = |svg, caption: String| Block::Plot { svg, caption };
    let mut plots = vec![plot(
        chart("Error", Axis::log("error relative to ‖y‖, log scale"), series(&error)),
        format!("The root mean square over the {SPAN} samples up to each, none of them across the change."),
    )];
    if scenario.courses.iter().flat_map(|course| &course.samples).any(|sample| sample.saturated > 0.0) {
        plots.push(plot(
            chart("Saturated inputs", Axis::linear("percent of inputs"), series(&saturated)),
            format!("The mean over the {SPAN} samples up to each. A dynamic scale lets nothing saturate."),
        ));
    }
    plots.push(plot(
        chart("Scale of x", Axis::log("scale"), series(&scale)),
        format!("A step of the codes; static: {:.3e}.", study.calibration.absmax() / 127.0),
    ));
    plots
}

/// The samples up to `i` on its side of the change, [`SPAN`] of them at most.
fn span(study: &Study, i: usize) -> std::ops::Range<usize> {
    let side = if i < study.plan.from { 0 } else { study.plan.from };
    (i + 1).saturating_sub(SPAN).max(side)..i + 1
}
