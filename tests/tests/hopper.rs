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
Instructions are all of the loop's, uniform, vector (for few tokens the moves to uniform registers), waits and arrivals parts of\n\
them. Of tiles the same test demands 60 at most for four products, of the loops for few tokens 64, and that neither touches memory.",
};

/// Machine code of the entries.
type Code = BTreeMap<String, String>;

fn text() -> &'static str {
    let arch = ARCHS.iter().find(|arch| arch.own(Module::GemmSm90).is_some()).expect("a Hopper module is embedded");
    arch.own(Module::GemmSm90).expect("just found")
}

/// The variants of Hopper's tiles whose clusters have so many blocks, each with its tile; 1 and 2 launch the same kernels.
fn variants(cluster: u32) -> impl Iterator<Item = (&'static Variant, &'static HopperTile)> {
    let all = registry::op("gemm").expect("the op").table.variants.iter();
    all.filter(move |variant| variant.cluster == cluster).filter_map(|variant| {
        let tile = TILES.iter().find(|tile| variant.stem == format!("gemm_{}", tile.name))?;
        Some((variant, tile))
    })
}

/// What the loop over k_blocks may hold besides uniform arithmetic: products, waits and arrivals, the branch. Loads, stores, fences
/// of memory and moves into uniform registers (R2UR) are what a lost assumption of ptxas brings in.
const BESIDES: [&str; 4] = ["IGMMA", "WARPGROUP", "SYNCS", "BRA"];

/// Arithmetic of vector registers, for the addresses and parities that waits and arrivals take, and for the loop's end.
const VECTOR: [&str; 8] = ["IMAD", "SHF", "VIADD", "ISETP", "MOV", "LOP3", "LEA", "SEL"];

/// How much of it there may be: 5 to 9 are there (ptxas 13.0.88).
const MOST_VECTOR: u32 = 12;

/// Instructions of the loop for four products, at most: 27 to 43 are there (ptxas 13.0.88).
const MOST: u32 = 60;

/// The loops of the big tiles, a row each, and what is wrong with them.
fn tiles(code: &Code) -> (Table, Vec<String>) {
    let mut table =
        Table::new(&["kernel", "products", "instructions", "uniform", "vector", "waits and arrivals", "for four"]);
    let mut problems = Vec::new();
    assert_eq!(variants(1).count(), TILES.len());
    for (variant, tile) in variants(1) {
        for entry in variant.entries() {
            let Some(found) = code.get(&entry).and_then(|code| sass::innermost(code, "IGMMA")) else {
                problems.push(format!("{entry}: no loop with products"));
                continue;
            };
            let products = found.count("IGMMA");
            if products != 4 * tile.frags_m() {
                problems.push(format!("{entry}: {products} products a k_block"));
            }
            if found.len() > MOST * tile.frags_m() {
                problems.push(format!("{entry}: {} instructions a k_block", found.len()));
            }
            let vector: u32 = VECTOR.iter().map(|name| found.count(name)).sum();
            if vector > MOST_VECTOR {
                problems.push(format!("{entry}: {vector} instructions of vector arithmetic a k_block"));
            }
            let allowed = |name: &str| BESIDES.contains(&name) || VECTOR.contains(&name) || name.starts_with('U');
            problems.extend(
                found
                    .instructions
                    .keys()
                    .filter(|name| !allowed(name))
                    .map(|name| format!("{entry}: {name} in the loop")),
            );
            let waits = found.count("SYNCS") + found.count("WARPGROUP");
            let four = found.len() / tile.frags_m();
            table.row(&[&format!("`{entry}`"), &products, &found.len(), &uniform(&found), &vector, &waits, &four]);
        }
    }
    (table, problems)
}

/// Instructions of the uniform path.
fn uniform(found: &sass::Loop) -> u32 {
    found.instructions.iter().filter(|(name, _)| name.starts_with('U')).map(|(_, count)| count).sum()
}

/// What the loop for few tokens holds at most: 63 instructions for four products, 64 where there are 8 tokens (ptxas 13.0.88).
const MOST_OF_DECODE: u32 = 64;

/// Moves into uniform registers among them: each product takes two descriptors of two words, which ptxas computes for a thread.
const MOST_MOVES_OF_DECODE: u32 = 16;

/// A step takes the memory 128 bytes of 128 rows: the loop that waits for it has time, but none for what a lost assumption
/// brings in.
fn few_tokens(code: &Code) -> (Table, Vec<String>) {
    let mut table = Table::new(&["kernel", "products", "instructions", "uniform", "moves", "waits and arrivals"]);
    let mut problems = Vec::new();
    for tile in decode_tile::TILES {
        for output in ["f32", "f16", "bf16", "i32"] {
            let entry = format!("gemm_{}_{output}", tile.name);
            let found = code.get(&entry).and_then(|code| sass::innermost(code, "IGMMA"));
            let Some(found) = found else {
                problems.push(format!("{entry}: no loop with products"));
                continue;
            };
            let (products, moves) = (found.count("IGMMA"), found.count("R2UR"));
            if products != 4 || found.len() > MOST_OF_DECODE || moves > MOST_MOVES_OF_DECODE {
                problems.push(format!("{entry}: {} instructions, {products} products, {moves} moves", found.len()));
            }
            let memory = ["LDS", "STS", "LDG", "STG", "LDL", "STL", "LDSM", "ATOM", "RED", "MEMBAR"];
            let touched = memory.into_iter().filter(|name| found.count(name) > 0);
            problems.extend(touched.map(|name| format!("{entry}: {name} in the loop")));
            let waits = found.count("SYNCS") + found.count("WARPGROUP");
            table.row(&[&format!("`{entry}`"), &products, &found.len(), &uniform(&found), &moves, &waits]);
        }
    }
    (table, problems)
}

#[test]
fn the_main_loops_are_products_and_uniform_arithmetic() {
    let Some(ptxas) = ptxas("Hopper's main loops", env!("CARGO_TARGET_TMPDIR")) else { return };
    if ptxas.nvdisasm.is_none() {
        return skipped("Hopper's main loops", "there is no nvdisasm beside ptxas", "OUTERSCALE_REQUIRE_PTXAS");
    }
    let code = ptxas.sass(text(), NvvmArch::Compute90a).unwrap_or_else(|e| panic!("{e}"));
    let ((big, mut problems), (few, others)) = (tiles(&code), few_tokens(&code));
    problems.extend(others);
    assert!(problems.is_empty(), "{}", problems.join("\n"));
    let body = format!("## Tiles\n\n{}\n## Few tokens\n\n{}", big.text(), few.text());
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
            for schedule in Schedule::list(5) {
                machine.how = How { schedule, blocks: Some(2) };
                judge(&machine, &entry).unwrap_or_else(|e| panic!("{entry}, {schedule:?}: {e}"));
            }
        }
    }
}
