//! The product's kernels for Hopper, held to what makes them fast and to what makes them right whatever the timing.

use contract::{
    decode_tile,
    hopper_tile::{HopperTile, TILES},
};
use cuda_builder::{NvvmArch, ptxas::sass};
use outerscale::{
    Dtype,
    ops::{Problem, Variant},
    ptx::{ARCHS, Module},
    registry,
};
use outerscale_tests::{
    figures::{File, Table},
    harness::{ptxas, skipped},
    machine::{How, Machine},
    referee::{HOPPER_PRODUCTS, judge},
};
use ptx_sim::Schedule;
use std::collections::BTreeMap;

const FIGURES: File = File {
    name: "hopper.md",
    title: "The main loops on Hopper",
    test: "hopper",
    about: "\
What a warpgroup executes for a k_block of 128 bytes, in machine code for sm_90a. Products are IGMMA, each of 64 rows.\n\
Instructions are all of the loop's, uniform, vector, waits and arrivals parts of them; the vector ones are operands of waits, of\n\
arrivals and of the branch. The same test demands 60 at most for four products, 8 of them vector, and nothing else.",
};

/// Machine code of the entries.
type Code = BTreeMap<String, String>;

fn text() -> &'static str {
    let arch = ARCHS.iter().find(|arch| arch.own(Module::GemmSm90).is_some()).expect("a Hopper module is embedded");
    arch.own(Module::GemmSm90).expect("just found")
}

/// The variants of Hopper's tiles whose clusters have so many blocks, each with its tile; 1 and 2 launch the same kernels, and so
/// do those that share tiles, which are left out.
fn variants(cluster: u32) -> impl Iterator<Item = (&'static Variant, &'static HopperTile)> {
    let all = registry::op("gemm").expect("the op").table.variants.iter();
    let whole = move |variant: &&Variant| variant.cluster == cluster && !variant.name.ends_with("_streamk");
    all.filter(whole).filter_map(|variant| {
        let tile = TILES.iter().find(|tile| variant.stem == format!("gemm_{}", tile.name))?;
        Some((variant, tile))
    })
}

/// What the loop over k_blocks may hold besides uniform arithmetic: products, waits and arrivals, the branch. Loads, stores, fences
/// of memory and moves into uniform registers (R2UR) are what a lost assumption of ptxas brings in.
const BESIDES: [&str; 4] = ["IGMMA", "WARPGROUP", "SYNCS", "BRA"];

/// Arithmetic of vector registers, for the addresses and parities that waits and arrivals take, and for the loop's end.
const VECTOR: [&str; 9] = ["IMAD", "SHF", "VIADD", "ISETP", "MOV", "LOP3", "LEA", "SEL", "PLOP3"];

/// How much of it there may be: the address and the parity of the wait, the address of the arrival, which differs by lane, and what
/// the branch depends on; 5 to 7 are there (ptxas 13.0.88).
const MOST_VECTOR: u32 = 8;

/// Instructions of the loop for four products, at most: 27 to 46 are there (ptxas 13.0.88).
const MOST: u32 = 60;

/// The loops of these entries, a row each, and what is wrong with them. `operands` is how many m64 operands a warpgroup has.
fn loops<'a>(code: &Code, entries: impl Iterator<Item = (String, u32)> + 'a) -> (Table, Vec<String>) {
    let mut table =
        Table::new(&["kernel", "products", "instructions", "uniform", "vector", "waits and arrivals", "for four"]);
    let mut problems = Vec::new();
    for (entry, operands) in entries {
        let Some(found) = code.get(&entry).and_then(|code| sass::innermost(code, "IGMMA")) else {
            problems.push(format!("{entry}: no loop with products"));
            continue;
        };
        let products = found.count("IGMMA");
        if products != 4 * operands {
            problems.push(format!("{entry}: {products} products a k_block"));
        }
        if found.len() > MOST * operands {
            problems.push(format!("{entry}: {} instructions a k_block", found.len()));
        }
        let vector: u32 = VECTOR.iter().map(|name| found.count(name)).sum();
        if vector > MOST_VECTOR {
            problems.push(format!("{entry}: {vector} instructions of vector arithmetic a k_block"));
        }
        let allowed = |name: &str| BESIDES.contains(&name) || VECTOR.contains(&name) || name.starts_with('U');
        let others = found.instructions.keys().filter(|name| !allowed(name));
        problems.extend(others.map(|name| format!("{entry}: {name} in the loop")));
        let waits = found.count("SYNCS") + found.count("WARPGROUP");
        let four = found.len() / operands;
        table.row(&[&format!("`{entry}`"), &products, &found.len(), &uniform(&found), &vector, &waits, &four]);
    }
    (table, problems)
}

/// Instructions of the uniform path.
fn uniform(found: &sass::Loop) -> u32 {
    found.instructions.iter().filter(|(name, _)| name.starts_with('U')).map(|(_, count)| count).sum()
}

#[test]
fn the_main_loops_are_products_and_uniform_arithmetic() {
    let Some(ptxas) = ptxas("Hopper's main loops", env!("CARGO_TARGET_TMPDIR")) else { return };
    if ptxas.nvdisasm.is_none() {
        return skipped("Hopper's main loops", "there is no nvdisasm beside ptxas", "OUTERSCALE_REQUIRE_PTXAS");
    }
    let code = ptxas.sass(text(), NvvmArch::Compute90a).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(variants(1).count(), TILES.len());
    let tiles = variants(1).flat_map(|(variant, tile)| variant.entries().into_iter().map(|e| (e, tile.frags_m())));
    let outputs = ["f32", "f16", "bf16", "i32"];
    let exchanged = decode_tile::TILES.iter().flat_map(|tile| outputs.map(|y| (format!("gemm_{}_{y}", tile.name), 1)));
    let ((tiles, mut problems), (exchanged, others)) = (loops(&code, tiles), loops(&code, exchanged));
    problems.extend(others);
    assert!(problems.is_empty(), "{}", problems.join("\n"));
    let body = format!("## Tiles\n\n{}\n## With the operands exchanged\n\n{}", tiles.text(), exchanged.text());
    FIGURES.hold(&ptxas.version, &body);
}

/// Pairs of blocks refill each other's slots: with one tile a cluster a slot that is released too early shows nothing.
#[test]
fn no_schedule_finds_anything_with_several_tiles_a_cluster() {
    assert_eq!(variants(2).count(), TILES.len());
    for (variant, tile) in variants(2) {
        let several = HOPPER_PRODUCTS.iter().any(|&(m, n, k)| {
            let problem = Problem {
                m: m as u64,
                n: n as u64,
                k: k as u64,
                multiprocessors: 2,
                shared_limit: variant.shared_bytes,
                thread_limit: 1024,
                workspace_bytes: 0,
                arch: ARCHS.last().expect("there is an architecture"),
                version: (9, 0),
            };
            let (down, across) = tile.cluster_tiles(problem.m, problem.n, true);
            (variant.grid)(&problem) == 2 && down * across >= 2
        });
        assert!(several, "{}: no product of the referee gives a pair two tiles", variant.name);
        for dtype in [Dtype::Bf16, Dtype::I32] {
            let entry = variant.entry(dtype);
            let mut machine = Machine::load(text(), &entry).unwrap_or_else(|e| panic!("{e}"));
            // A pair alone; then three, to which tiles do not go evenly: they share them.
            for (schedule, blocks) in Schedule::list(5).into_iter().flat_map(|how| [(how, 2), (how, 6)]) {
                machine.how = How { schedule, blocks: Some(blocks) };
                judge(&machine, &entry).unwrap_or_else(|e| panic!("{entry}, {schedule:?}: {e}"));
            }
        }
    }
}

/// In a pair both blocks bring half of w, of its last panel too where their number is odd: else one is a round ahead of what
/// the other has waited for.
#[test]
fn no_schedule_finds_anything_in_pairs_with_the_operands_exchanged() {
    let op = registry::op("gemm").expect("the op of the products");
    let pairs: Vec<_> = op.table.variants.iter().filter(|v| v.cluster == 2 && v.name.starts_with('d')).collect();
    assert!(!pairs.is_empty());
    for variant in pairs {
        let entry = variant.entry(Dtype::Bf16);
        let mut machine = Machine::load(text(), &entry).unwrap_or_else(|e| panic!("{e}"));
        for (schedule, blocks) in Schedule::list(5).into_iter().flat_map(|how| [(how, 2), (how, 4)]) {
            machine.how = How { schedule, blocks: Some(blocks) };
            judge(&machine, &entry).unwrap_or_else(|e| panic!("{entry}, {schedule:?}, {blocks}: {e}"));
        }
    }
}
