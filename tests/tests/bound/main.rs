//! The main loop of the portable product in machine code, and what bounds it: instructions, wavefronts, bytes.
//!
//! The counts are the whole process's, so that this is one test in a process of its own.
//! `cargo test -p outerscale-tests --test bound -- --nocapture` prints the table of bench/README.md.

mod rates;

use contract::gemm_tile::{GemmTile, T128X128, T128X256, T128X256S3, TILES};
use cuda_builder::ptxas::{Ptxas, sass};
use outerscale::{
    Backend, Gpu, Int8Matrix, Layout, Output, PerChannel, PerToken, QuantizedTokens, QuantizedWeights, Scales,
    Workspace, ops,
    ops::Choice,
    ptx::{ARCHS, Module},
};
use outerscale_tests::{harness::skipped, ptx_text::only_entry};
use ptx_sim::Counters;
use rates::{MULTIPROCESSORS, Multiprocessor, Round, SHARE};

/// Those that the bound has to hold for.
const BIG: [GemmTile; 3] = [T128X256, T128X256S3, T128X128];

/// What a product of one tile counts, K of `k_blocks`.
fn counted(gpu: &Gpu, tile: &GemmTile, k_blocks: u64) -> Counters {
    let (m, n, k) = (u64::from(tile.block_m), u64::from(tile.block_n), 128 * k_blocks);
    let codes = |rows: u64| {
        let codes: Vec<i8> = (0..rows * k).map(|i| (i * 37 % 251) as i8).collect();
        Int8Matrix::upload(gpu, &codes, Layout::contiguous(rows, k)).unwrap()
    };
    let (x, _) = ops::pack_rows(gpu, &codes(m), Choice::Auto).unwrap();
    let (w, _) = ops::pack_weights(gpu, &codes(n), Choice::Auto).unwrap();
    let x = QuantizedTokens::from_packed(x, Scales::<PerToken>::upload(gpu, &vec![1.0; m as usize]).unwrap()).unwrap();
    let w =
        QuantizedWeights::from_packed(w, Scales::<PerChannel>::upload(gpu, &vec![1.0; n as usize]).unwrap()).unwrap();
    let mut y = Output::<f32>::new(gpu, Layout::contiguous(m, n)).unwrap();
    ptx_sim::driver::reset_counters();
    let product = ops::Product { x: &x, w: &w, bias: None };
    let launch = ops::gemm(gpu, product, &mut y, &mut Workspace::none(), Choice::Named(tile.name)).unwrap();
    ptx_sim::driver::counters()[&launch.entry]
}

/// What one k_block more takes: everything but the beginning and the end of a tile. Machine code gives the issue slots.
fn round(gpu: &Gpu, tile: &GemmTile) -> Round {
    let (few, more) = (counted(gpu, tile, 3), counted(gpu, tile, 5));
    let a_round = |count: fn(&Counters) -> u64| (count(&more) - count(&few)) / 2;
    let name = tile.name;

    // No request could come to less: neither of global memory nor of shared memory.
    assert_eq!(a_round(|c| c.global.total().excessive()), 0, "{name}: sectors beyond the ideal");
    assert_eq!(a_round(|c| c.shared.total().excessive()), 0, "{name}: wavefronts beyond the ideal");
    assert_eq!(more.global.total().excessive(), 0, "{name}: sectors beyond the ideal at a tile's beginning or end");
    assert_eq!(more.shared.total().excessive(), 0, "{name}: wavefronts beyond the ideal at a tile's beginning or end");
    // The tiling needs each operand once, and once the scales, which each lane loads for itself.
    let operands = u64::from(tile.block_m + tile.block_n) * 128;
    assert_eq!(a_round(|c| c.global_bytes_read), operands, "{name}: bytes of a round");
    let (needed, scales) = (32 * operands, more.global_bytes_read - 5 * operands);
    assert!(50 * scales <= needed || !BIG.contains(tile), "{name}: {scales} bytes of scales where K is 4096");

    Round {
        operations: 2.0 * a_round(|c| c.macs) as f64,
        issue_slots: 0.0,
        wavefronts: a_round(|c| c.shared.total().moved) as f64,
        l2_bytes: a_round(|c| c.global_bytes_read) as f64,
    }
}

#[test]
fn the_tensor_cores_bound_the_big_tiles() {
    let ptxas = match Ptxas::find() {
        Ok(ptxas) => ptxas,
        Err(why) => return skipped("the bound of the main loop", &why.to_string(), "OUTERSCALE_REQUIRE_PTXAS"),
    };
    let gpu = Gpu::open(Backend::Sim).unwrap();
    let ptx = ARCHS[0].own(Module::Gemm).expect("it is compiled for sm_80");
    let rounds: Vec<Round> = TILES.iter().map(|tile| round(&gpu, tile)).collect();
    println!("| tile | GPU | IMMA | instructions | padding | issue | shared | L2 | tensor | reach |");
    println!("|---|---|---|---|---|---|---|---|---|---|");
    let mut problems = Vec::new();
    for (tile, round) in TILES.iter().zip(&rounds) {
        let entry = format!("gemm_{}_f32", tile.name);
        let text = only_entry(ptx, &entry);
        for multiprocessor in &MULTIPROCESSORS {
            let Multiprocessor { arch, gpu, .. } = multiprocessor;
            let code = ptxas.sass(&text, *arch).unwrap_or_else(|e| panic!("{entry} for {arch}: {e}"));
            let main_loop =
                sass::innermost(&code[&entry], "IMMA").unwrap_or_else(|| panic!("{entry}: no loop of IMMA"));
            let (imma, instructions) = (main_loop.count("IMMA"), main_loop.len());
            let is_big = BIG.contains(tile);
            if is_big && instructions * 64 > 130 * imma {
                problems.push(format!("{entry} for {arch}: {instructions} instructions for {imma} IMMA"));
            }
            // Every warp of the block goes through the loop.
            let issue_slots = f64::from(main_loop.issue_slots() * tile.threads() / 32);
            let clocks = multiprocessor.clocks(&Round { issue_slots, ..*round });
            let reach = clocks.reach();
            if is_big && reach.is_some_and(|reach| reach < SHARE) {
                problems.push(format!("{entry} for {arch}: {clocks:?} leaves less than {SHARE} of the tensor cores"));
            }
            let known = |value: Option<f64>| value.map_or("?".to_owned(), |value| format!("{value:.0}"));
            println!(
                "| `{}` | {gpu} | {imma} | {instructions} | {} | {:.0} | {:.0} | {:.0} | {} | {} |",
                tile.name,
                main_loop.padding,
                clocks.issue,
                clocks.shared,
                clocks.l2,
                known(clocks.tensor),
                reach.map_or("?".to_owned(), |reach| format!("{:.0} %", 100.0 * reach)),
            );
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}
