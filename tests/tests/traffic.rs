//! How much memory the kernels touch, by the simulator's counts: x is read once, a tile's operands once a tile.
//!
//! The counts are the whole process's, so that this is one test in a process of its own.

use contract::stream::{STREAM8, STREAM16};
use contract::{
    decode_tile::{self, DecodeTile},
    gemm_tile::TILES,
    grid, hopper_tile,
    limits::padded_row_bytes,
};
use half::{bf16, f16};
use outerscale::{
    Activations, Backend, Gpu, Layout, Output, PerChannel, PerToken, QuantizedTokens, QuantizedWeights, Weights,
    Workspace, ops, ops::Choice,
};
use outerscale_tests::data::{Kind, Value};
use ptx_sim::{Counters, Way};

/// The counts of what `run` launches, by entry.
fn counted(run: impl FnOnce()) -> Vec<(String, Counters)> {
    ptx_sim::driver::reset_counters();
    run();
    ptx_sim::driver::counters().into_iter().collect()
}

/// Bytes that the variant with `team` threads to a row reads for x [rows, cols]. Where rows are whole 16-byte windows,
/// accesses to x and the codes must be whole sectors as well.
fn quantize_token_reads<T: Value>(gpu: &Gpu, team: u32, rows: usize, cols: usize) -> u64 {
    let x: Vec<T> = Kind::ALL[0].matrix(rows, cols, 1);
    let x = Activations::upload(gpu, &x, Layout::contiguous(rows as u64, cols as u64)).unwrap();
    let variant = format!("t{team}");
    let counts = counted(|| drop(ops::quantize_token(gpu, &x, Choice::Named(&variant)).unwrap()));
    let [(entry, counts)] = &counts[..] else { panic!("one kernel quantizes, got {counts:?}") };
    let what = format!("{entry} {variant} [{rows}, {cols}]");
    assert_eq!(counts.global_bytes_written, rows as u64 * (padded_row_bytes(cols as u64) + 4), "{what}");
    if cols.is_multiple_of(128) {
        let loads = counts.global.way(Way::Load);
        assert_eq!(loads.excessive(), 0, "{what}: sectors of x");
        // A store of a row's scale is 4 bytes of a sector of its own.
        assert!(counts.global.way(Way::Store).excessive() <= rows as u64, "{what}: sectors of the codes");
    }
    counts.global_bytes_read
}

fn tokens_are_read_once<T: Value>(gpu: &Gpu) {
    let bytes = |elements: usize| elements as u64 * T::DTYPE.bytes();
    for team in [8, 32, 256] {
        let held = grid::held_cols(team) as usize;
        // Two rows more than a block takes at most, and few where they are long.
        let rows = (4096 / held).max(1) + 2;
        for cols in [1, 127, 384, 1000, held - 8, held].into_iter().filter(|cols| *cols <= held) {
            let reads = quantize_token_reads::<T>(gpu, team, rows, cols);
            assert_eq!(reads, bytes(rows * cols), "{team} threads, {} K = {cols}: x is read once", T::DTYPE);
        }
        // Beyond what is held only the rest is read again.
        let cols = held + 1024;
        let reads = quantize_token_reads::<T>(gpu, team, 2, cols);
        assert_eq!(reads, bytes(2 * (cols + 1024)), "{team} threads, K = {cols}");
    }
}

/// x [m, k] and w [n, k], quantized.
fn operands(gpu: &Gpu, (m, n, k): (u64, u64, u64)) -> (QuantizedTokens<PerToken>, QuantizedWeights<PerChannel>) {
    let x: Vec<f32> = Kind::ALL[0].matrix(m as usize, k as usize, 2);
    let x = Activations::upload(gpu, &x, Layout::contiguous(m, k)).unwrap();
    let w: Vec<f32> = Kind::ALL[0].matrix(n as usize, k as usize, 3);
    let w = Weights::upload(gpu, &w, Layout::contiguous(n, k)).unwrap();
    let (x, _) = ops::quantize_token(gpu, &x, Choice::Auto).unwrap();
    let (w, _) = ops::quantize_weights(gpu, &w, Choice::Auto).unwrap();
    (x, w)
}

/// Aligned shapes: what the tiling needs, and the scales of each tile's rows and columns by every lane that uses them.
fn tiles_are_read_once(gpu: &Gpu) {
    for tile in TILES {
        let (m, n, k) = (2 * u64::from(tile.block_m), 2 * u64::from(tile.block_n), 1024);
        let (x, w) = operands(gpu, (m, n, k));
        let mut y = Output::<i32>::new(gpu, Layout::contiguous(m, n)).unwrap();
        let product = ops::Product { x: &x, w: &w, bias: None };
        let counts = counted(|| {
            drop(ops::gemm(gpu, product, &mut y, &mut Workspace::none(), Choice::Named(tile.name)).unwrap())
        });
        let [(entry, counts)] = &counts[..] else { panic!("one kernel multiplies, got {counts:?}") };
        let operands = tile.tiles(m, n) * (tile.block_m + tile.block_n) as u64 * k;
        // The ring's slots are filled once more with zeros, which are not read from anywhere, as K ends.
        let zeros = tile.tiles(m, n) * tile.shared_bytes() as u64;
        assert_eq!(counts.async_copy_bytes, operands + zeros, "{entry}: operands, once a tile");
        assert_eq!(counts.global_bytes_read, operands, "{entry}: nothing but operands");
        assert_eq!(counts.global_bytes_written, m * n * 4, "{entry}: y, once");
        assert_eq!(counts.macs, m * n * k, "{entry}: no product is formed twice");
    }
}

/// Aligned shapes on Hopper: each block's operands once a tile, those that a pair of blocks shares once for both; whole boxes of y,
/// without a bank conflict.
fn hopper_tiles_are_read_once(gpu: &Gpu) {
    let (m, n, k) = (256u64, 512, 1024);
    let (x, w) = operands(gpu, (m, n, k));
    for tile in hopper_tile::TILES {
        let pair = format!("{}_pair", tile.name);
        for (choice, in_pair) in
            [(Choice::Named(tile.name), false), (Choice::Limited { variant: &pair, blocks: 2 }, true)]
        {
            let (rows, cols) = tile.cluster_tile(in_pair);
            let (down, across) = tile.cluster_tiles(m, n, in_pair);
            let operands = down * across * (rows + cols) * k;
            let product = ops::Product { x: &x, w: &w, bias: None };
            let mut sums = Output::<i32>::new(gpu, Layout::contiguous(m, n)).unwrap();
            let counts = counted(|| drop(ops::gemm(gpu, product, &mut sums, &mut Workspace::none(), choice).unwrap()));
            let [(entry, counts)] = &counts[..] else { panic!("one kernel multiplies, got {counts:?}") };
            let what = format!("{entry}, in pairs: {in_pair}");
            assert_eq!(counts.global_bytes_read, operands, "{what}: operands, once a tile");
            assert_eq!(counts.global_bytes_written, m * n * 4, "{what}: y, once");
            assert_eq!(counts.macs, m * n * k, "{what}: no product is formed twice");
            assert_eq!(counts.shared.total().excessive(), 0, "{what}: wavefronts of 32-bit boxes");
            assert_eq!(counts.shared.total().moved, m * n * 4 / 128, "{what}: y through shared memory, once");
            let mut y = Output::<bf16>::new(gpu, Layout::contiguous(m, n)).unwrap();
            let counts = counted(|| drop(ops::gemm(gpu, product, &mut y, &mut Workspace::none(), choice).unwrap()));
            let [(entry, counts)] = &counts[..] else { panic!("one kernel multiplies, got {counts:?}") };
            let what = format!("{entry}, in pairs: {in_pair}");
            // Besides the operands, the scales of each tile's rows and columns.
            assert!(counts.global_bytes_read * 100 <= operands * 102, "{what}: {} bytes", counts.global_bytes_read);
            assert_eq!(counts.global_bytes_written, m * n * 2, "{what}: y, once");
            assert_eq!(counts.global.total().excessive(), 0, "{what}: sectors");
            assert_eq!(counts.shared.total().excessive(), 0, "{what}: wavefronts of 16-bit boxes");
        }
    }
}

/// A variant whose steps are dealt out: its tokens, rows of w in a tile, tokens that its matrix instructions compute, blocks of a
/// cluster, which read w once for all of them.
struct Dealt {
    variant: &'static str,
    m: u64,
    rows: u64,
    computed: u64,
    cluster: u64,
}

/// Aligned shapes: w once whatever the split, in whole sectors and without a bank conflict.
fn weights_are_streamed_once(gpu: &Gpu) {
    let (n, k) = (256u64, 2048);
    let w: Vec<f32> = Kind::ALL[0].matrix(n as usize, k as usize, 3);
    let w = Weights::upload(gpu, &w, Layout::contiguous(n, k)).unwrap();
    let (w, _) = ops::quantize_weights(gpu, &w, Choice::Auto).unwrap();
    let streams = [(STREAM8, 1), (STREAM16, 16)];
    let streams = streams.map(|(stream, m)| Dealt { variant: stream.name, m, rows: 64, computed: 16, cluster: 1 });
    let exchanged = |variant, tile: DecodeTile, cluster| {
        let m = u64::from(tile.tokens) * cluster;
        Dealt { variant, m, rows: decode_tile::ROWS.into(), computed: m, cluster }
    };
    let exchanged = [
        exchanged("d128x16", decode_tile::D128X16, 1),
        exchanged("d128x64", decode_tile::D128X64, 1),
        exchanged("d128x96", decode_tile::D128X96, 1),
        exchanged("d128x144_pair", decode_tile::D128X144, 2),
        exchanged("d128x192_pair", decode_tile::D128X192, 2),
    ];
    for Dealt { variant, m, rows, computed, cluster } in streams.into_iter().chain(exchanged) {
        let x: Vec<f32> = Kind::ALL[0].matrix(m as usize, k as usize, 2);
        let x = Activations::upload(gpu, &x, Layout::contiguous(m, k)).unwrap();
        let (x, _) = ops::quantize_token(gpu, &x, Choice::Auto).unwrap();
        let mut workspace = Workspace::new(gpu, ops::workspace_bytes(gpu, m, n, k)).unwrap();
        // A tile in one or two blocks, and in several.
        for blocks in [3, 13] {
            let mut y = Output::<i32>::new(gpu, Layout::contiguous(m, n)).unwrap();
            let product = ops::Product { x: &x, w: &w, bias: None };
            let choice = Choice::Limited { variant, blocks };
            let counts = counted(|| drop(ops::gemm(gpu, product, &mut y, &mut workspace, choice).unwrap()));
            let [(entry, counts)] = &counts[..] else { panic!("one kernel multiplies, got {counts:?}") };
            let what = format!("{entry}, {m} tokens, {blocks} blocks");
            assert_eq!(counts.blocks, u64::from(blocks) / cluster * cluster, "{what}");
            let operands = n * k + n / rows * m * k;
            // Besides the operands: the sums of each tile that is shared, taken once.
            let sums = counts.global_bytes_read - operands;
            assert!(sums <= n * m * 4 && sums.is_multiple_of(rows * m * 4), "{what}: {sums} bytes besides w and x");
            assert_eq!(counts.global.total().excessive(), 0, "{what}: sectors");
            assert_eq!(counts.shared.total().excessive(), 0, "{what}: wavefronts");
            assert_eq!(counts.macs, computed * n * k, "{what}: no product is formed twice");
        }
    }
}

#[test]
fn memory_is_touched_once() {
    let gpu = Gpu::open(Backend::Sim).unwrap();
    tokens_are_read_once::<f32>(&gpu);
    tokens_are_read_once::<f16>(&gpu);
    tokens_are_read_once::<bf16>(&gpu);
    tiles_are_read_once(&gpu);
    hopper_tiles_are_read_once(&gpu);
    weights_are_streamed_once(&gpu);
}
