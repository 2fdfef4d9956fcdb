//! The report for people: tables and plots of a study.

use super::{
    LayerStudy, Study, per_channel,
    recommend::{MOST_ADDED, MOST_ERROR, MOST_HELD, MOST_LAUNCHES, NEAR, Recommendation},
    rows::{Row, Source},
};
use crate::report::{
    Axis, Bar, Bars, Block, Body, Chart, Page, Panel, Panels, Series, Shape, Table, percent, quantity,
};

impl Study {
    /// The report.
    pub fn page(&self) -> Page {
        let layers = self.layers.len();
        let title = format!("Outerscale study: {layers} {}", if layers == 1 { "layer" } else { "layers" });
        let mut blocks = vec![
            Block::Notice(self.advice("For all layers", &self.recommendation)),
            Block::Text(MEASURED.to_owned()),
            Block::Heading("All layers".to_owned()),
            Block::Table(self.overall_table()),
            self.overall_bars(),
            Block::Text(rules()),
        ];
        blocks.extend(self.layers.iter().flat_map(|layer| self.layer_blocks(layer)));
        blocks.push(Block::Heading("What it costs, by formula".to_owned()));
        blocks.push(Block::Text(FORMULAS.to_owned()));
        blocks.extend(self.layers.first().map(|layer| Block::Table(formulas(layer))));
        Page { title, blocks }
    }

    /// Each scheme over all layers.
    pub fn overall_table(&self) -> Table {
        let row = |all: &super::Overall| {
            let layers = format!("{} of {}", all.layers, self.layers.len());
            vec![all.scheme.clone(), layers, percent(all.geometric_mean), percent(all.worst), all.worst_layer.clone()]
        };
        let heading = ["scheme", "layers", "relative error, geometric mean", "worst", "on"];
        Table {
            heading: heading.map(str::to_owned).to_vec(),
            right: vec![1, 2, 3],
            rows: self.overall.iter().map(row).collect(),
        }
    }

    /// The recommendation with its subject.
    pub fn advice(&self, subject: &str, of: &Recommendation) -> String {
        let scheme = of.scheme.as_deref().unwrap_or("no 8-bit scheme");
        format!("{subject}, {}: {scheme}. {}", self.workload.name(), of.reason)
    }

    /// The number of a scheme's colour, the same in every plot.
    fn colour(&self, scheme: &str) -> usize {
        self.overall.iter().position(|all| all.scheme == scheme).unwrap_or(0)
    }

    fn overall_bars(&self) -> Block {
        let mut bars: Vec<Bar> = self.overall.iter().map(|all| self.bar(&all.scheme, all.geometric_mean)).collect();
        bars.sort_by(|a, b| a.value.total_cmp(&b.value));
        let x = Axis::log("geometric mean of ‖y − y64‖ / ‖y64‖ over the layers, %, log scale");
        plot(
            Bars { title: "Relative error by scheme, all layers", x, bars }.svg(),
            "The shortest bar loses least; the outline is in float alone. A scheme that one layer spoils shows in the table's column of the worst.",
        )
    }

    fn layer_blocks(&self, layer: &LayerStudy) -> Vec<Block> {
        let mut blocks = vec![
            Block::Heading(layer.name.clone()),
            Block::Text(format!(
                "{} tokens, K {}, N {}; {} tokens measured.",
                layer.tokens, layer.k, layer.n, layer.measured
            )),
            Block::Notice(self.advice("For this layer", &layer.recommendation)),
            Block::Table(layer.table()),
        ];
        let refused = layer.recommendation.refused.iter();
        blocks.extend(refused.map(|r| Block::Text(format!("Refused: {}: {}.", r.scheme, r.why))));
        blocks.extend(layer.left_out.iter().map(|l| Block::Text(format!("Not run: {}: {}.", l.scheme, l.why))));
        blocks.push(self.errors(layer));
        blocks.push(self.channels(layer));
        blocks.extend(self.curves(layer));
        blocks.push(self.histograms(layer));
        blocks.push(self.lost(layer));
        blocks.extend(running(layer));
        blocks.extend(self.costs(layer));
        blocks
    }

    fn bars(&self, layer: &LayerStudy, value: impl Fn(&Row) -> f64) -> Vec<Bar> {
        layer.rows.iter().map(|row| self.bar(&row.scheme, value(row))).collect()
    }

    /// A scheme's bar; what no kernel computed is an outline alone.
    fn bar(&self, scheme: &str, value: f64) -> Bar {
        let body = if scheme == per_channel::NAME { Body::Outline } else { Body::Filled };
        Bar { name: scheme.to_owned(), colour: self.colour(scheme), value: 100.0 * value, words: percent(value), body }
    }

    fn errors(&self, layer: &LayerStudy) -> Block {
        let bars = self.bars(layer, |row| row.relative_error);
        let x = Axis::log("‖y − y64‖ / ‖y64‖ without bias, %, log scale");
        plot(
            Bars { title: "Relative error by scheme", x, bars }.svg(),
            "A filled bar is the distance of the kernels' output from float64; the outline is computed in float, and no GEMM can have it.",
        )
    }

    fn lost(&self, layer: &LayerStudy) -> Block {
        let bars = self.bars(layer, |row| row.lost_share);
        plot(
            Bars {
                title: "Non-zero inputs that became code 0",
                x: Axis::linear("share of the non-zero inputs, %"),
                bars,
            }
            .svg(),
            "What became 0 counts no more: a scale that an outlier stretches erases small values first.",
        )
    }

    fn histograms(&self, layer: &LayerStudy) -> Block {
        let panels = layer.rows.iter().filter(|row| row.source == Source::Kernels).map(|row| {
            let all = row.histogram.iter().sum::<u64>().max(1) as f64;
            let bins = row.histogram.iter().enumerate().map(|(i, n)| (i as f64 - 128.0, *n as f64 / all)).collect();
            Panel { name: row.scheme.clone(), colour: self.colour(&row.scheme), bins }
        });
        let (x, y) = (Axis::linear("code of x"), Axis::log("share, log scale"));
        plot(
            Panels { title: "Histogram of the codes of x", x, y, panels: panels.collect() }.svg(),
            "A scheme that uses its codes fills the width; one whose scale an outlier sets crowds around 0.",
        )
    }

    /// Channel maxima, the largest first.
    fn channels(&self, layer: &LayerStudy) -> Block {
        let sorted = |name: &str, colour, shape, absmax: &[f32]| {
            let mut sorted = absmax.to_vec();
            sorted.sort_by(|a, b| b.total_cmp(a));
            let points = sorted.iter().enumerate().map(|(i, v)| (i as f64 + 1.0, f64::from(*v))).collect();
            Series { name: name.to_owned(), colour, shape, points }
        };
        let mut series = vec![sorted("x", 0, Shape::Line, &layer.channels.before)];
        let after = layer.channels.after.iter();
        series.extend(
            after.map(|a| sorted(&format!("x / s, {}", a.scheme), self.colour(&a.scheme), Shape::Dashed, &a.absmax)),
        );
        let chart = Chart {
            title: "Largest magnitude of each input channel, before and after smoothing",
            x: Axis::log("channel, the largest first, log scale"),
            y: Axis::log("largest magnitude, log scale"),
            series,
            events: Vec::new(),
        };
        plot(
            chart.svg(),
            "A steep left end is a few outlier channels that set the scale of every token for all others.",
        )
    }

    /// The error over α.
    fn curves(&self, layer: &LayerStudy) -> Option<Block> {
        let of = |curve: &super::Curve| {
            let series =
                |name: String, shape, points| Series { name, colour: self.colour(&curve.scheme), shape, points };
            let points: Vec<(f64, f64)> = curve.points.iter().map(|(alpha, error)| (*alpha, 100.0 * error)).collect();
            let ends = [points.first()?.0, points.last()?.0].map(|alpha| (alpha, 100.0 * curve.plain)).to_vec();
            let chosen = points.iter().copied().filter(|(alpha, _)| curve.chosen == Some(*alpha)).collect();
            Some([
                series(curve.scheme.clone(), Shape::Line, points),
                series(format!("{}, none", curve.scheme), Shape::Dashed, ends),
                series(format!("{}, chosen", curve.scheme), Shape::Points, chosen),
            ])
        };
        let series: Vec<Series> =
            layer.curves.iter().filter_map(of).flatten().filter(|s| !s.points.is_empty()).collect();
        let chart = Chart {
            title: "Relative error over α, on the sentences that choose it",
            x: Axis::linear("α: 0 leaves the outliers in x, 1 puts all of them into w"),
            y: Axis::log("relative error, %, log scale"),
            series,
            events: Vec::new(),
        };
        (!chart.series.is_empty()).then(|| {
            plot(
                chart.svg(),
                "The dashed line is the same scheme without smoothing; a dot is what was chosen, where smoothing won.",
            )
        })
    }

    /// Costs against the error.
    fn costs(&self, layer: &LayerStudy) -> [Block; 2] {
        let points = |value: fn(&super::cost::Cost) -> u64| -> Vec<Series> {
            let of = |row: &Row| {
                let cost = row.cost.as_ref()?;
                Some(Series {
                    name: row.scheme.clone(),
                    colour: self.colour(&row.scheme),
                    shape: Shape::Points,
                    points: vec![(value(cost) as f64, 100.0 * row.relative_error)],
                })
            };
            layer.rows.iter().filter_map(of).collect()
        };
        let chart = |title, x, series| {
            let y = Axis::log("relative error, %, log scale");
            Chart { title, x: Axis::log(x), y, series, events: Vec::new() }.svg()
        };
        [
            plot(
                chart(
                    "Bytes that the layer holds beside its int8 weights, against the error",
                    "bytes, log scale",
                    points(|cost| cost.held_bytes()),
                ),
                "Left is small, down is exact; a scheme with another to its left that is no higher is not worth its price. Rings are schemes that coincide.",
            ),
            plot(
                chart(
                    "Operations a token beside quotients and int8 product, against the error",
                    "operations + 1, log scale",
                    // A scale that is given costs none, which a logarithm has no place for.
                    points(|cost| cost.operations_a_token() + 1),
                ),
                "What a token costs outside of the tensor cores: a given scale costs nothing, an absmax a pass over the token.",
            ),
        ]
    }
}

impl LayerStudy {
    /// The schemes on this layer.
    pub fn table(&self) -> Table {
        let heading = [
            "scheme",
            "error",
            "SQNR",
            "worst token, its number",
            "to 0",
            "bytes/layer",
            "bytes/token",
            "ops/token",
            "ops/load",
            "x reads",
            "launches",
        ];
        let row = |row: &Row| {
            let worst = row.worst_token.map_or(String::new(), |t| format!("{}, {t}", percent(row.worst_token_error)));
            let name = match row.source {
                Source::Kernels => match &row.chose {
                    Some(chose) => format!("{} ({chose})", row.scheme),
                    None => row.scheme.clone(),
                },
                Source::Float => format!("{} (float only)", row.scheme),
            };
            let mut cells = vec![
                name,
                percent(row.relative_error),
                format!("{:.2} dB", row.sqnr_db),
                worst,
                percent(row.lost_share),
            ];
            let costs = row.cost.as_ref().map(|cost| {
                let numbers = [
                    cost.held_bytes(),
                    cost.bytes_a_token(),
                    cost.operations_a_token(),
                    cost.operations_a_load(),
                    cost.x_reads,
                    cost.launches,
                ];
                numbers.map(quantity)
            });
            cells.extend(costs.unwrap_or(["", "", "", "", "", ""].map(|_| "–".to_owned())));
            cells
        };
        Table {
            heading: heading.map(str::to_owned).to_vec(),
            right: (1..heading.len()).collect(),
            rows: self.rows.iter().map(row).collect(),
        }
    }
}

fn plot(svg: String, caption: &str) -> Block {
    Block::Plot { svg, caption: caption.to_owned() }
}

/// The running scale over the sentences, where there is more than one.
fn running(layer: &LayerStudy) -> Option<Block> {
    if layer.running.len() < 2 {
        return None;
    }
    let series = |name: &str, colour, shape, value: fn(&super::RunningSample) -> f32| Series {
        name: name.to_owned(),
        colour,
        shape,
        points: layer.running.iter().enumerate().map(|(i, s)| (i as f64 + 1.0, f64::from(value(s)))).collect(),
    };
    let chart = Chart {
        title: "Running scale, sample by sample",
        x: Axis::linear("sample (sentence) number"),
        y: Axis::from_zero("scale of x"),
        series: vec![
            series("running scale", 0, Shape::Line, |s| s.running),
            series("the sample's own absmax / 127", 1, Shape::Points, |s| s.own),
        ],
        events: Vec::new(),
    };
    Some(plot(
        chart.svg(),
        "The running scale is a moving average over the samples before, begun by calibration where the file has it; a sample above it saturates.",
    ))
}

/// Every part of every cost.
fn formulas(layer: &LayerStudy) -> Table {
    let rows = layer.rows.iter().filter_map(|row| row.cost.as_ref().map(|cost| (row, cost))).flat_map(|(row, cost)| {
        let groups = [
            ("bytes a layer", &cost.layer_bytes),
            ("bytes a token", &cost.token_bytes),
            ("operations a token", &cost.token_operations),
            ("operations a load", &cost.load_operations),
        ];
        groups.into_iter().flat_map(|(unit, items)| items.iter().map(move |item| (unit, item))).map(|(unit, item)| {
            let cells = [&*row.scheme, item.what, item.formula, &quantity(item.amount), unit];
            cells.map(str::to_owned).to_vec()
        })
    });
    let heading = ["scheme", "what", "formula", "on the first layer", "unit"];
    Table { heading: heading.map(str::to_owned).to_vec(), right: vec![3], rows: rows.collect() }
}

const MEASURED: &str = "Every row but one is what the kernels computed. Errors are of the output without bias, against \
    the same layer in float64. SQNR is −20 · log₁₀ of the relative error. A token's own error is relative to its own \
    output; its number follows it. What a scheme chose for a layer stands in brackets; hybrid chooses by the spread \
    of this file's own tokens. The row of scales per channel of x is computed in float alone: such a scale stands \
    inside the sum over the channels and cannot be taken out of it, so no int8 GEMM can have it.";

const FORMULAS: &str = "N output channels, K input channels. Beside what is listed, every scheme holds N · K bytes of \
    int8 weights, divides and rounds every element of x, and multiplies N · K pairs of codes a token.";

fn rules() -> String {
    format!(
        "How it is chosen: decode refuses schemes that launch more than {MOST_LAUNCHES} kernels a batch or hold more \
         than {:.0} % of the weights beside them; prefill and batch refuse those whose operations outside of the tensor \
         cores add more than {:.0} % to the product's time, and batch those whose results depend on the other tokens. \
         Of the rest, an error of at most {NEAR} times the best counts as good as the best, and the cheapest of those \
         is taken: by launches and bytes for decode, by operations and launches otherwise. Where the best error is \
         over {:.0} %, the layer is better left in 16 bits.",
        100.0 * MOST_HELD,
        100.0 * MOST_ADDED,
        100.0 * MOST_ERROR
    )
}
