//! What is done to the kernels of LLM.int8().

use crate::edit::{Line, at_sites, constant, instruction, renamed, swap};
use crate::table::{Mutation, drop_barrier, split_fma};

pub(crate) const MUTATIONS: &[Mutation] = &[
    Mutation {
        what: "round the product of an outlier column before it is added",
        entries: &["gemm_outliers_t64x64_f16", "gemm_outliers_t16x64_f32"],
        edit: |text| at_sites(text, split_fma),
    },
    Mutation {
        what: "take every other outlier column",
        entries: &["gemm_outliers_t64x64_bf16", "gemm_outliers_t16x64_f32"],
        edit: |text| at_sites(text, |l| constant(l, "add.s32", "-1", "-2")),
    },
    Mutation {
        what: "other weights of outlier columns, or other biases",
        entries: &["gemm_outliers_t64x64_f16", "gemm_outliers_t16x64_bf16"],
        edit: |text| at_sites(text, |l| swap(l, "ld.global.nc.v2", 0)),
    },
    Mutation {
        what: "take what is less than the threshold",
        entries: &["outlier_columns_f32", "outlier_columns_bf16"],
        edit: |text| at_sites(text, |l| renamed(l, "setp.ge.f32", "setp.gt.f32")),
    },
    Mutation {
        what: "take NaN for an outlier",
        entries: &["outlier_columns_f32", "outlier_columns_f16"],
        edit: |text| at_sites(text, |l| renamed(l, "setp.ge.f32", "setp.geu.f32")),
    },
    Mutation {
        what: "lose the lowest column of a word",
        entries: &["outlier_columns_f32", "outlier_list"],
        edit: |text| at_sites(text, lowest_column_lost),
    },
    Mutation { what: "drop the barrier of the count", entries: &["outlier_list"], edit: drop_barrier },
    Mutation {
        what: "count a lane twice or not",
        entries: &["outlier_list"],
        edit: |text| at_sites(text, other_distance),
    },
    Mutation {
        what: "leave another column out",
        entries: &["quantize_outliers_f16", "quantize_outliers_f32"],
        edit: |text| at_sites(text, |l| constant(l, "and.b32", "4", "8")),
    },
];

/// A vote or a word of joined masks without its lowest bit.
fn lowest_column_lost(line: &Line<'_>) -> Option<String> {
    let p = line.parts();
    ["vote.sync.ballot.b32", "or.b32"]
        .contains(&line.mnemonic)
        .then(|| [line.renamed(line.mnemonic), instruction("and.b32", &[p[0], p[0], "-2"])].join("\n"))
}

/// A step of a running sum takes another lane's.
fn other_distance(line: &Line<'_>) -> Option<String> {
    let other = if line.operands.get(2)? == "1" { "2" } else { "1" };
    line.mnemonic.starts_with("shfl.sync.up").then(|| line.with(2, other))
}
