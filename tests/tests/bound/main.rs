//! What bounds the hot kernels. The main loop of the portable product in machine code: instructions, wavefronts, bytes; the
//! kernels that memory bounds: instructions for a window, bytes on their way; all of them: what they read beside what they need.
//!
//! The simulator's counts are the whole process's: who launches holds [`alone`].

mod memory;
mod rates;
mod traffic;

use contract::gemm_tile::{GemmTile, T128X128, T128X256, T128X256S3, T160X192, TILES};
use cuda_builder::ptxas::sass;
use outerscale::{
    Backend, Gpu, Int8Matrix, Layout, Output, PerChannel, PerToken, QuantizedTokens, QuantizedWeights, Scales,
    Workspace, ops,
    ops::Choice,
    ptx::{ARCHS, Module, only_entries},
};
use outerscale_tests::{
    figures::{File, Table},
    harness::ptxas,
};
use ptx_sim::Counters;
use rates::{MULTIPROCESSORS, Multiprocessor, Round, SHARE};
use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard},
};

/// Held as long as a test launches: what others launch meanwhile would be counted too.
fn alone() -> MutexGuard<'static, ()> {
    static LAUNCHING: Mutex<()> = Mutex::new(());
    LAUNCHING.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

const PORTABLE: File = File {
    name: "portable.md",
    title: "The portable product's main loops",
    test: "bound",
    about: "\
A round is a k_block of 128 bytes for a whole block. IMMA, instructions and padding (what ptxas keeps instructions apart with) are a\n\
warp's, in machine code. Issue, shared, L2 and tensor are clocks of a multiprocessor: turns of its four schedulers, wavefronts of\n\
shared memory, bytes from L2 and the tensor cores' products at published rates. Reach is the share of the tensor cores' peak that\n\
the longest of the others leaves. y is bf16. No round moves a wavefront or a sector more than it needs, which the same test demands.",
};

const MEMORY: File = File {
    name: "memory.md",
    title: "The kernels that memory bounds",
    test: "bound",
    about: "\
A window is the 16 bytes that a thread loads at a time. Loads is how many of them a thread has on their way at once, KiB what that is\n\
for all blocks that a multiprocessor holds, if their rows are long enough. Instructions are a window's: of a quantizer, for the load\n\
and the look at it, and for its codes, aligned rows given. Issue and memory are clocks of a multiprocessor for a warp's window: turns\n\
of its four schedulers, and its share of the memory's rate. At most 75 % is let pass, and no less than 43 KiB.",
};

const TRAFFIC: File = File {
    name: "traffic.md",
    title: "What the hot kernels move",
    test: "bound",
    about: "\
Bytes of the sectors that one launch reads from global memory, by the simulator's count, beside those of the operands, once for each tile; sectors\n\
of global memory and wavefronts of shared memory that better addresses would save. Aligned shapes, bf16 out; at most 1.02 is let pass.",
};

/// Counts of what `run` launches, by entry.
fn counted(run: impl FnOnce()) -> BTreeMap<String, Counters> {
    ptx_sim::driver::reset_counters();
    run();
    ptx_sim::driver::counters().into_iter().collect()
}

/// Those that the bound has to hold for.
const BIG: [GemmTile; 4] = [T128X256, T128X256S3, T160X192, T128X128];

/// What a product of one tile counts, K of `k_blocks`.
fn tile_counts(gpu: &Gpu, tile: &GemmTile, k_blocks: u64) -> Counters {
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
    let product = ops::Product { x: &x, w: &w, bias: None };
    let choice = Choice::Named(tile.name);
    let counts = counted(|| drop(ops::gemm(gpu, product, &mut y, &mut Workspace::none(), choice).unwrap()));
    *counts.values().next().expect("a launch")
}

/// What one k_block more takes: everything but the beginning and the end of a tile. Machine code gives the issue slots.
fn round(gpu: &Gpu, tile: &GemmTile) -> Round {
    let (few, more) = (tile_counts(gpu, tile, 3), tile_counts(gpu, tile, 5));
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
    let Some(ptxas) = ptxas("the bound of the main loop", env!("CARGO_TARGET_TMPDIR")) else { return };
    let gpu = Gpu::open(Backend::Sim).unwrap();
    let ptx = ARCHS[0].own(Module::Gemm).expect("it is compiled for sm_80");
    let rounds: Vec<Round> = {
        let _alone = alone();
        TILES.iter().map(|tile| round(&gpu, tile)).collect()
    };
    let mut table =
        Table::new(&["tile", "GPU", "IMMA", "instructions", "padding", "issue", "shared", "L2", "tensor", "reach"]);
    let mut problems = Vec::new();
    for (tile, round) in TILES.iter().zip(&rounds) {
        let entry = format!("gemm_{}_bf16", tile.name);
        let text = only_entries(ptx, |name| name == entry);
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
            table.row(&[
                &format!("`{}`", tile.name),
                gpu,
                &imma,
                &instructions,
                &main_loop.padding,
                &format!("{:.0}", clocks.issue),
                &format!("{:.0}", clocks.shared),
                &format!("{:.0}", clocks.l2),
                &known(clocks.tensor),
                &reach.map_or("?".to_owned(), |reach| format!("{:.0} %", 100.0 * reach)),
            ]);
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
    PORTABLE.hold(&ptxas.version, table.text());
}

#[test]
fn memory_bounds_the_quantizers_and_the_streams() {
    let Some(ptxas) = ptxas("the kernels that memory bounds", env!("CARGO_TARGET_TMPDIR")) else { return };
    let mut table = Table::new(&[
        "kernel",
        "GPU",
        "registers",
        "blocks",
        "loads",
        "KiB",
        "instructions",
        "issue",
        "memory",
        "busy",
    ]);
    let modules = [(Module::Quantize, &memory::QUANTIZERS[..]), (Module::Gemm, &memory::STREAMS[..])];
    let mut problems = Vec::new();
    for (module, kernels) in modules {
        let ptx = ARCHS[0].own(module).expect("it is compiled for sm_80");
        for (kernel, multiprocessor) in
            kernels.iter().flat_map(|kernel| MULTIPROCESSORS.iter().map(move |m| (kernel, m)))
        {
            let found = kernel.find(&ptxas, ptx, multiprocessor).unwrap_or_else(|e| panic!("{e}"));
            problems.extend(kernel.problem(&found));
            let parts = [found.first, found.second].into_iter().filter(|part| *part > 0.0);
            let parts: Vec<_> = parts.map(|part| format!("{part:.1}")).collect();
            table.row(&[
                &format!("`{}`", kernel.entry()),
                &multiprocessor.gpu,
                &found.registers,
                &found.blocks,
                &found.loads,
                &(kernel.in_flight(&found) / 1024),
                &parts.join(" + "),
                &format!("{:.1}", found.issue),
                &format!("{:.1}", found.memory),
                &format!("{:.0} %", 100.0 * found.issue / found.memory),
            ]);
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
    MEMORY.hold(&ptxas.version, table.text());
}

#[test]
fn what_is_needed_is_read_and_little_else() {
    let _alone = alone();
    let (table, problems) = traffic::table(&Gpu::open(Backend::Sim).unwrap());
    assert!(problems.is_empty(), "{}\n{}", problems.join("\n"), table.text());
    if let Some(ptxas) = ptxas("the record of what is read", env!("CARGO_TARGET_TMPDIR")) {
        TRAFFIC.hold(&ptxas.version, table.text());
    }
}
