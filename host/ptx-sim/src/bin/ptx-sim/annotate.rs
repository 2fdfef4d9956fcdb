//! The PTX with what each line was counted for, at 120 columns.

use std::collections::BTreeMap;
use std::fmt::Write;

use ptx_sim::{Row, Traffic};

/// Columns of the listing.
const WIDTH: usize = 120;
/// Lines without counts between two that have some that are still shown.
const GAP: usize = 12;
/// Lines above the first instruction of a piece in which its header is looked for.
const HEADER: usize = 60;
/// What a line was counted for; several statements of one line are added up.
#[derive(Default)]
struct Line {
    warps: u64,
    threads: u64,
    divergent: u64,
    global: Traffic,
    shared: Traffic,
    local: Traffic,
}

/// The lines of `source` around the instructions of `rows`.
pub(crate) fn listing(source: &str, rows: &[Row]) -> String {
    let mut lines: BTreeMap<usize, Line> = BTreeMap::new();
    for row in rows {
        let line = lines.entry(row.ptx_line as usize).or_default();
        line.warps += row.warps;
        line.threads += row.threads;
        line.divergent += row.divergent;
        line.global.add(&row.global);
        line.shared.add(&row.shared);
        line.local.add(&row.local);
    }
    // Hot is what runs at least half as often as anything does, unless everything does.
    let most = rows.iter().map(|row| row.warps).max().unwrap_or(0);
    let cold = |row: &Row| row.warps < most.div_ceil(2);
    let hot = if rows.iter().any(cold) { most.div_ceil(2) } else { u64::MAX };
    let text: Vec<&str> = source.lines().collect();
    let mut out = format!(
        "\n* runs most often   ! moves more than its lanes need   / parts the lanes of a warp\n\
         {:>8} {:>7} {:>13} {:>13}     {:>6}  PTX\n",
        "warps", "threads", "sectors/ideal", "waves/ideal", "line"
    );
    let mut shown = 0;
    for number in lines.keys() {
        let start = match shown {
            // The header of the kernel or function that begins here.
            done if done == 0 || number - done > GAP => {
                let least = number.saturating_sub(HEADER).max(done + 1);
                let header = |at: &usize| text[at - 1].contains(".entry") || text[at - 1].contains(".func");
                (least..=*number).rev().filter(|at| *at <= text.len()).find(header).unwrap_or(*number)
            }
            done => done + 1,
        };
        if shown != 0 && start > shown + 1 {
            out += "   ...\n";
        }
        for at in start..=(*number).min(text.len()) {
            print(&mut out, at, text[at - 1], lines.get(&at), hot);
        }
        shown = *number;
    }
    out
}

fn print(out: &mut String, number: usize, text: &str, line: Option<&Line>, hot: u64) {
    let empty = Line::default();
    let counted = line.unwrap_or(&empty);
    let (mut warps, mut threads) = (String::new(), String::new());
    if line.is_some() {
        warps = short(counted.warps);
        threads = if counted.warps == 0 { String::new() } else { per(counted.threads, counted.warps) };
    }
    let hot = counted.warps >= hot;
    let mut sectors = counted.global;
    sectors.add(&counted.local);
    let excess = sectors.excessive() + counted.shared.excessive() != 0;
    let mark = |on: bool, mark: char| if on { mark } else { ' ' };
    let marks: String = [mark(hot, '*'), mark(excess, '!'), mark(counted.divergent != 0, '/')].iter().collect();
    let (sectors, waves) = (ratio(&sectors), ratio(&counted.shared));
    let start = format!("{warps:>8} {threads:>7} {sectors:>13} {waves:>13} {marks} {number:>6}  ");
    let room = WIDTH - start.chars().count();
    let text = text.trim_end().replace('\t', "    ");
    let cut = match text.chars().count() > room {
        true => text.chars().take(room - 3).chain("...".chars()).collect(),
        false => text,
    };
    _ = writeln!(out, "{}", format!("{start}{cut}").trim_end());
}

fn ratio(traffic: &Traffic) -> String {
    if traffic.moved == 0 { String::new() } else { format!("{}/{}", short(traffic.moved), short(traffic.ideal)) }
}

/// Threads of a warp, with one digit behind the point.
fn per(threads: u64, warps: u64) -> String {
    format!("{:.1}", threads as f64 / warps as f64)
}

/// A count in at most six columns.
fn short(count: u64) -> String {
    let scaled = |unit: f64, letter: char| {
        let value = count as f64 / unit;
        if value < 99.95 { format!("{value:.1}{letter}") } else { format!("{value:.0}{letter}") }
    };
    match count {
        0..=99_999 => count.to_string(),
        100_000..=999_499 => scaled(1e3, 'k'),
        999_500..=999_499_999 => scaled(1e6, 'M'),
        999_500_000..=999_499_999_999 => scaled(1e9, 'G'),
        _ => scaled(1e12, 'T'),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_short() {
        let cases = [(0, "0"), (99_999, "99999"), (100_000, "100k"), (999_499, "999k"), (999_500, "1.0M")];
        for (count, expected) in cases {
            assert_eq!(short(count), expected);
        }
        assert_eq!(
            (short(12_345_678), short(123_456_789), short(5_000_000_000)),
            ("12.3M".into(), "123M".into(), "5.0G".into())
        );
        assert!(short(u64::MAX).len() <= 9);
    }
}
