//! The choice among the products' variants: no cliff, nothing idle, nothing that is never taken.

use super::{
    tuned::tests::{row, tuned},
    *,
};
use crate::{
    ops::{self, Choice, tables::GEMM},
    ptx::ARCHS,
};
use chips::CHIPS;
use cost::Sharing;
use std::collections::BTreeSet;

/// N and K of linears: Llama-3-8B and 70B, and smaller ones, SigLIP's among them.
const LINEARS: [(u64, u64); 14] = [
    (6144, 4096),
    (4096, 4096),
    (28672, 4096),
    (4096, 14336),
    (10240, 8192),
    (8192, 8192),
    (57344, 8192),
    (8192, 28672),
    (384, 384),
    (1536, 384),
    (768, 3072),
    (1024, 1024),
    (1152, 4304),
    (4304, 1152),
];

/// GPUs: version, multiprocessors, shared memory of a block.
const GPUS: [((u32, u32), u64, u32); 6] = [
    ((8, 0), 108, 163 << 10),
    ((8, 6), 82, 99 << 10),
    ((8, 9), 128, 99 << 10),
    ((9, 0), 132, 227 << 10),
    ((10, 0), 148, 227 << 10),
    ((12, 0), 170, 99 << 10),
];

fn problem((version, multiprocessors, shared_limit): ((u32, u32), u64, u32), (m, n, k): (u64, u64, u64)) -> Problem {
    let runs = |arch: &&crate::ptx::Arch| arch.runs_on(version.0, version.1);
    let arch = ARCHS.iter().rev().find(runs).expect("sm_80 runs everywhere");
    Problem { m, n, k, multiprocessors, shared_limit, thread_limit: 1024, workspace_bytes: 1 << 30, arch, version }
}

/// The choice and the clocks that it is modelled to take.
fn chosen(problem: &Problem) -> (&'static str, f64) {
    let (variant, _) = best(&GEMM, problem, &candidates(&GEMM, problem, Dtype::Bf16)).unwrap();
    (variant.name, modelled(variant, problem, Dtype::Bf16).unwrap().clocks)
}

/// The plan of a product's variant by its name.
fn planned(name: &str) -> cost::Plan {
    plans::plan(GEMM.variants.iter().find(|variant| variant.name == name).unwrap()).unwrap()
}

#[test]
fn the_model_knows_every_variant_of_every_product() {
    for op in ["gemm", "gemm_asym", "gemm_outliers"] {
        for variant in crate::registry::op(op).unwrap().table.variants {
            assert!(plans::plan(variant).is_some(), "{op}: the model does not know {}", variant.name);
        }
    }
}

/// The most that a token more may cost on each of [`GPUS`]. Tiles of 160, 128, 96, 80, 64 and 48 rows leave no more than 1.3
/// where `mma.sync` multiplies, tiles of 96, 144 and 192 tokens, also in pairs, little more where `wgmma` does:
///
/// - H200, N 4,096, K 4,096, M 512 to 513: 128 tiles of `h128x128_pair` are a wave of 132; six rows of `d128x96_pair`, whose
///   steps are dealt out, have an eighth more to multiply, and to add up in the workspace what the short K does not hide, 1.35.
///   Likewise N 8,192, K 8,192, 1.32.
/// - H200, N 4,304, K 1,152, M 384 to 385: 102 tiles of `h128x128` become 136, where a wave is 132, 1.33.
const CLIFFS: [f64; 6] = [1.28, 1.25, 1.22, 1.36, 1.3, 1.24];

#[test]
fn a_token_more_is_no_cliff() {
    for (gpu, cliff) in GPUS.into_iter().zip(CLIFFS) {
        for (n, k) in LINEARS {
            let clocks: Vec<f64> = (1..=513).map(|m| chosen(&problem(gpu, (m, n, k))).1).collect();
            for (m, pair) in clocks.windows(2).enumerate() {
                assert!(pair[1] <= cliff * pair[0], "{gpu:?}: N {n}, K {k}, M {} to {}: {pair:?}", m + 1, m + 2);
            }
        }
    }
}

#[test]
fn more_work_takes_no_less_time() {
    for gpu in GPUS {
        for variant in GEMM.variants {
            let cost = |m, n, k| modelled(variant, &problem(gpu, (m, n, k)), Dtype::Bf16).unwrap();
            let clocks = |m, n, k| cost(m, n, k).clocks;
            for (n, k) in LINEARS {
                for m in [1, 16, 17, 64, 100, 512, 4096] {
                    // Where steps are dealt out, twice as many may fit more blocks, or fill the wave so that none meet.
                    let dealt = plans::plan(variant).is_some_and(|plan| plan.sharing == Sharing::LastWave);
                    let met = if dealt { cost(m, n, k).overhead } else { 0.0 };
                    let here = (clocks(m, n, k) - met) / if dealt { 1.3 } else { 1.0 };
                    assert!(
                        here <= clocks(2 * m, n, k) && here <= clocks(m, n, 2 * k),
                        "{gpu:?} {} {m} {n} {k}",
                        variant.name
                    );
                }
            }
        }
    }
}

#[test]
fn nothing_is_faster_than_its_tensor_cores_or_its_memory() {
    for (gpu, chip) in GPUS.iter().zip(CHIPS) {
        for variant in GEMM.variants {
            for (n, k) in LINEARS {
                for m in [1, 64, 4096] {
                    let cost = modelled(variant, &problem(*gpu, (m, n, k)), Dtype::Bf16).unwrap();
                    let peak = 2.0 * (m * n * k) as f64 / (chip.int8_operations * gpu.1 as f64);
                    assert!(
                        cost.clocks >= peak && cost.clocks >= cost.memory,
                        "{} {m} {n} {k}: {cost:?}",
                        variant.name
                    );
                }
            }
        }
    }
}

/// What the model never takes: a pair of 256 × 128 multiplies, moves and waits for just what a pair of 128 × 256 does. What
/// tells them apart, how shared memory bears the one and the other, is for `outerscale tune` to measure.
const MEASURED_ONLY: [&str; 1] = ["h256x128_pair"];

#[test]
fn each_variant_is_chosen_somewhere() {
    let mut taken = BTreeSet::new();
    // Among them an odd multiple of 128, as Qwen2.5-72B's gate and up have.
    let wide = [(29568, 8192)];
    for gpu in GPUS {
        for (n, k) in LINEARS.into_iter().chain(wide) {
            let few =
                [1, 4, 8, 9, 16, 17, 24, 32, 33, 48, 64, 65, 96, 128, 129, 144, 160, 192, 200, 256, 288, 350, 400];
            for m in few.into_iter().chain([512, 513, 640, 1000, 2048, 4096, 16384]) {
                for workspace_bytes in [0, 1 << 30] {
                    taken.insert(chosen(&Problem { workspace_bytes, ..problem(gpu, (m, n, k)) }).0);
                }
            }
        }
    }
    let idle: Vec<_> = GEMM.variants.iter().map(|v| v.name).filter(|name| !taken.contains(name)).collect();
    assert_eq!(idle, MEASURED_ONLY, "never chosen");
}

#[test]
fn pairs_are_taken_where_they_save_what_l2_sends() {
    let clocks = |name, shape| {
        let variant = GEMM.variants.iter().find(|variant| variant.name == name).unwrap();
        modelled(variant, &problem(GPUS[3], shape), Dtype::Bf16).unwrap().clocks
    };
    // Alone a block takes 48 bytes a clock of its tensor cores from L2, which sends 46.6; in pairs 32.
    let large = (8192, 8192, 8192);
    assert!(chosen(&problem(GPUS[3], large)).0.starts_with("h128x256_pair"));
    assert!(clocks("h128x256", large) > 1.05 * clocks("h128x256_pair", large));
    // Three rows of tiles: a quarter of the pairs' work would be for no row of y.
    let odd = (384, 57344, 8192);
    assert!(clocks("h128x256", odd) < clocks("h128x256_pair", odd));
    // A row of tiles: the second block of each pair would have nothing.
    assert!(clocks("h128x256", (128, 57344, 8192)) < clocks("h128x256_pair", (128, 57344, 8192)));
}

#[test]
fn large_products_take_large_tiles_and_few_tokens_small_ones() {
    let plan = |gpu, shape| planned(chosen(&problem(gpu, shape)).0);
    for gpu in GPUS {
        let (large, small) = (plan(gpu, (8192, 8192, 8192)), plan(gpu, (1, 8192, 8192)));
        assert!(large.block_m * large.block_n >= 128 * 128, "{gpu:?}: {large:?}");
        assert!(small.block_m <= 16, "{gpu:?}: {small:?}");
    }
}

#[test]
fn what_was_measured_goes_before_what_is_modelled() {
    let table = Box::leak(Box::new(tuned(vec![row(16, "t64x64"), row(64, "gone")])));
    let problem = problem(GPUS[3], (16, 4096, 4096));
    let all = candidates(&GEMM, &problem, Dtype::Bf16);
    let eligible: Vec<_> = all.iter().filter(|candidate| candidate.refused.is_none()).collect();
    let (variant, why) = by_table(Some(table), "gemm", &problem, &eligible).unwrap();
    assert_eq!(variant.name, "t64x64");
    assert_eq!(why.to_string(), "the fastest measured, 1.5 µs on 2030-01-31 at 0123456789ab");
    // A variant that cannot run, or that there is no more, leaves the choice to the model.
    assert!(by_table(Some(table), "gemm", &Problem { m: 64, ..problem }, &eligible).is_none());
    assert!(by_table(Some(table), "gemm", &Problem { m: 65, ..problem }, &eligible).is_none());
    assert!(by_table(None, "gemm", &problem, &eligible).is_none());
}

#[test]
fn reasons_name_the_next_best() {
    let problem = problem(GPUS[0], (4096, 4096, 4096));
    let why = ops::choose(&GEMM, &problem, Dtype::F16, Choice::Auto).unwrap().why.to_string();
    assert!(why.starts_with("the fewest clocks modelled, ") && why.contains("; next t"), "{why}");
    // Few tokens wait for the weights whatever the tile: the one that multiplies least is taken.
    let plan = planned(chosen(&self::problem(GPUS[0], (1, 28672, 4096))).0);
    assert_eq!(plan.block_m, 16);
    let none: Vec<&Candidate> = Vec::new();
    assert!(by_model(&none).is_none());
}
