//! A page: headings, sentences, tables and plots in one file that needs no other.

use super::colour::PAGE;
use maud::{DOCTYPE, Markup, PreEscaped, html};

/// A table: its columns of `right` are numbers.
#[derive(Clone, Debug)]
pub struct Table {
    /// The headings of the columns.
    pub heading: Vec<String>,
    /// Columns whose cells stand at the right.
    pub right: Vec<usize>,
    /// The rows.
    pub rows: Vec<Vec<String>>,
}

/// A piece of a page.
#[derive(Clone, Debug)]
pub enum Block {
    /// A heading of a section.
    Heading(String),
    /// A paragraph.
    Text(String),
    /// A paragraph that stands out: what is recommended, what is to be known first.
    Notice(String),
    /// A table.
    Table(Table),
    /// A plot as SVG, and a sentence of what to see in it.
    Plot {
        /// The drawing, by a plot's `svg`.
        svg: String,
        /// What to see.
        caption: String,
    },
}

/// A page.
#[derive(Clone, Debug)]
pub struct Page {
    /// What it is.
    pub title: String,
    /// Its pieces, in order.
    pub blocks: Vec<Block>,
}

impl Page {
    /// The file. Every word is escaped: names of files and tensors are anyone's.
    pub fn html(&self) -> String {
        let page = html! {
            (DOCTYPE)
            html lang="en" {
                head {
                    meta charset="utf-8";
                    meta name="viewport" content="width=device-width";
                    meta name="color-scheme" content="light dark";
                    title { (self.title) }
                    style { (PreEscaped(style())) }
                }
                body {
                    main {
                        h1 { (self.title) }
                        @for block in &self.blocks { (markup(block)) }
                    }
                }
            }
        };
        page.into_string()
    }
}

fn markup(block: &Block) -> Markup {
    match block {
        Block::Heading(text) => html! { h2 { (text) } },
        Block::Text(text) => html! { p { (text) } },
        Block::Notice(text) => html! { p class="notice" { (text) } },
        Block::Table(table) => html! { div class="table" { (rows(table)) } },
        Block::Plot { svg, caption } => html! {
            figure { (PreEscaped(svg)) figcaption { (caption) } }
        },
    }
}

fn rows(table: &Table) -> Markup {
    let side = |column: usize| table.right.contains(&column).then_some("number");
    html! {
        table {
            thead { tr { @for (column, cell) in table.heading.iter().enumerate() { th class=[side(column)] { (cell) } } } }
            tbody {
                @for row in &table.rows {
                    tr { @for (column, cell) in row.iter().enumerate() { td class=[side(column)] { (cell) } } }
                }
            }
        }
    }
}

/// The style sheet: the reader's own choice of light or dark, figures no wider than the page.
fn style() -> String {
    let [light, dark] = PAGE.map(|(r, g, b)| format!("#{r:02x}{g:02x}{b:02x}"));
    format!(
        ":root {{ color-scheme: light dark; --page: {light}; --ink: #1c2128; --faint: #d5d9df; --notice: #eef3f9 }}
@media (prefers-color-scheme: dark) {{ :root {{ --page: {dark}; --ink: #dfe3e8; --faint: #3a3f47; --notice: #222a35 }} }}
body {{ background: var(--page); color: var(--ink); font: 15px/1.5 sans-serif; margin: 2rem 1rem }}
main {{ max-width: 68rem; margin: auto }}
h1 {{ font-size: 1.6rem }} h2 {{ font-size: 1.25rem; margin-top: 2.5rem; border-bottom: 1px solid var(--faint) }}
figure {{ margin: 1.5rem 0 }} svg {{ max-width: 100%; height: auto; color: var(--ink) }}
figcaption {{ max-width: 48rem }} p {{ max-width: 56rem }}
.notice {{ background: var(--notice); padding: .7rem 1rem; border-left: 4px solid #3b82c4 }}
.table {{ overflow-x: auto }} table {{ border-collapse: collapse; font-size: .85rem }}
th, td {{ padding: .25rem .6rem; text-align: left; vertical-align: top; border-bottom: 1px solid var(--faint) }}
.number {{ text-align: right; font-variant-numeric: tabular-nums }} td.number, td:first-child {{ white-space: nowrap }}
"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{Axis, Bar, Bars, Body, Chart, Panel, Panels, Series, Shape};

    fn body(html: &str) -> &str {
        let from = html.find("<body>").unwrap();
        &html[from..html.find("</body>").unwrap() + "</body>".len()]
    }

    #[test]
    fn a_page_is_sound_and_names_cannot_break_it() {
        let evil = "<script>alert('x')</script> & \"co\"";
        let series = |name: &str, shape| Series {
            name: name.to_owned(),
            colour: 11,
            shape,
            points: vec![(1.0, 0.5), (2.0, f64::NAN), (3.0, 0.25), (4.0, 1.0)],
        };
        let chart = Chart {
            title: evil,
            x: Axis::linear("sample"),
            y: Axis::log(evil),
            series: vec![series(evil, Shape::Line), series("b", Shape::Dashed), series("c", Shape::Points)],
            events: vec![(2.0, evil.to_owned())],
        };
        let bar = |value| Bar { name: evil.to_owned(), colour: 0, value, words: evil.to_owned(), body: Body::Outline };
        let bars = Bars { title: evil, x: Axis::log(evil), bars: vec![bar(0.1), bar(f64::INFINITY), bar(0.0)] };
        let panel = Panel { name: evil.to_owned(), colour: 21, bins: vec![(-1.0, 0.1), (0.0, 0.0), (1.0, 0.9)] };
        let panels = Panels { title: evil, x: Axis::linear(evil), y: Axis::log(evil), panels: vec![panel; 4] };
        let plot = |svg: String| Block::Plot { svg, caption: evil.to_owned() };
        let page = Page {
            title: evil.to_owned(),
            blocks: vec![
                Block::Heading(evil.to_owned()),
                Block::Notice(evil.to_owned()),
                Block::Table(Table {
                    heading: vec![evil.to_owned()],
                    right: vec![0],
                    rows: vec![vec![evil.to_owned()]],
                }),
                plot(chart.svg()),
                plot(bars.svg()),
                plot(panels.svg()),
            ],
        };
        let html = page.html();
        let parsed = roxmltree::Document::parse(body(&html)).unwrap_or_else(|e| panic!("{e}"));
        let named = |name: &'static str| parsed.descendants().filter(move |node| node.has_tag_name(name));
        assert_eq!((named("script").count(), named("figure").count()), (0, 3));
        assert_eq!(named("td").next().and_then(|cell| cell.text()), Some(evil), "the name is there as it is");
        let svgs: Vec<_> =
            parsed.descendants().filter(|n| n.tag_name().name() == "svg").map(|n| n.attribute("width")).collect();
        assert_eq!(svgs, [Some("760"); 3]);
        assert!(!html.contains("#010203") && html.contains("currentColor"));
        // Nothing is fetched: the only address is the name of SVG itself.
        assert_eq!(html.matches("http").count(), html.matches("xmlns=\"http://www.w3.org/2000/svg\"").count());
    }
}
