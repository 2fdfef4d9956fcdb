//! What the hot kernels move, by the simulator's counts, beside what their tiling needs: aligned shapes.

use crate::counted;
use contract::{
    decode_tile,
    gemm_tile::{T128X128, T128X256, T128X256S3, T160X192},
    hopper_tile,
    packed::PANEL_ROWS,
    stream::STREAMS,
};
use half::bf16;
use outerscale::{Activations, Gpu, Layout, Output, Weights, Workspace, ops, ops::Choice};
use outerscale_tests::{
    data::{Kind, Value},
    figures::Table,
};
use ptx_sim::{Counters, Way};

/// Bytes read for those needed, at most: scales and what a tile's blocks add up come on top of operands.
const MOST_READ: f64 = 1.02;

/// Columns of y and of x, so that scales are few beside operands.
const N: u64 = 256;
const K: u64 = 4096;

/// One launch: the variant, the tokens, and the bytes of operands that its tiles need.
struct Product {
    variant: &'static str,
    m: u64,
    needed: u64,
}

/// The products whose speed counts: each tile reads its rows of x and of w once.
fn products() -> Vec<Product> {
    let product = |variant, m: u64, (rows, cols): (u64, u64)| {
        let (down, across) = (m.div_ceil(rows), N.div_ceil(cols));
        Product { variant, m, needed: (across * m + down * N) * K }
    };
    let hopper = hopper_tile::TILES.map(|t| product(t.name, 256, (t.block_m.into(), t.block_n.into())));
    let few = decode_tile::TILES.map(|t| product(t.name, t.tokens.into(), (t.tokens.into(), decode_tile::ROWS.into())));
    let big = [T128X256, T128X256S3, T160X192, T128X128];
    let big = big.map(|t| product(t.name, 256, (t.block_m.into(), t.block_n.into())));
    let streams = STREAMS.map(|s| product(s.name, s.tokens.into(), (s.tokens.into(), PANEL_ROWS)));
    hopper.into_iter().chain(few).chain(big).chain(streams).collect()
}

/// The counts of the one launch that `run` makes, with its entry.
fn one(run: impl FnOnce()) -> (String, Counters) {
    let mut counts = counted(run).into_iter();
    let (Some(one), None) = (counts.next(), counts.next()) else { panic!("one launch is counted") };
    one
}

fn matrix<T: Value>(gpu: &Gpu, rows: u64, seed: u64) -> Activations<T> {
    let values: Vec<T> = Kind::ALL[0].matrix(rows as usize, K as usize, seed);
    Activations::upload(gpu, &values, Layout::contiguous(rows, K)).unwrap()
}

/// The table, and what is wrong.
pub(crate) fn table(gpu: &Gpu) -> (Table, Vec<String>) {
    let mut table =
        Table::new(&["kernel", "y", "K", "bytes read", "needed", "ratio", "excess sectors", "excess wavefronts"]);
    let mut problems = Vec::new();
    let mut row = |entry: &str, y: &str, needed: u64, counts: &Counters| {
        // Whole sectors: lanes that load one scale together read it once. Bulk copies have no lanes.
        let sectors = counts.global.any(&[Way::Load, Way::Copy]).moved;
        let read = 32 * sectors + counts.global.way(Way::BulkLoad).bytes;
        let ratio = read as f64 / needed as f64;
        let (sectors, wavefronts) = (counts.global.total().excessive(), counts.shared.total().excessive());
        if !(1.0..=MOST_READ).contains(&ratio) || sectors + wavefronts > 0 {
            problems
                .push(format!("{entry}: {ratio:.3} of the bytes needed, {sectors} sectors, {wavefronts} wavefronts"));
        }
        let (entry, ratio) = (format!("`{entry}`"), format!("{ratio:.3}"));
        table.row(&[&entry, &y, &K, &read, &needed, &ratio, &sectors, &wavefronts]);
    };

    let w: Vec<f32> = Kind::ALL[0].matrix(N as usize, K as usize, 3);
    let w = Weights::upload(gpu, &w, Layout::contiguous(N, K)).unwrap();
    let (w, _) = ops::quantize_weights(gpu, &w, Choice::Auto).unwrap();
    for Product { variant, m, needed } in products() {
        let (x, _) = ops::quantize_token(gpu, &matrix::<f32>(gpu, m, 2), Choice::Auto).unwrap();
        let mut y = Output::<bf16>::new(gpu, Layout::contiguous(m, N)).unwrap();
        let mut workspace = Workspace::new(gpu, ops::workspace_bytes(gpu, m, N, K)).unwrap();
        let product = ops::Product { x: &x, w: &w, bias: None };
        // A single block has whole tiles and no neighbour to share one with.
        let choice = Choice::Limited { variant, blocks: 1 };
        let (entry, counts) = one(|| drop(ops::gemm(gpu, product, &mut y, &mut workspace, choice).unwrap()));
        row(&entry, &format!("{m} × {N}"), needed, &counts);
    }

    // A row of as many columns as a block's threads hold at most, so that all of their windows are there.
    let rows = 64;
    let x = matrix::<bf16>(gpu, rows, 4);
    let (entry, counts) = one(|| drop(ops::quantize_token(gpu, &x, Choice::Named("t64")).unwrap()));
    row(&entry, &format!("{rows} × {K}"), rows * K * 2, &counts);
    (table, problems)
}
