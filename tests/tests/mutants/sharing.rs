//! Mutations of products whose blocks share tiles (stream-K).

use crate::edit::{Line, Mutant, at_sites, dropped, instruction, read};
use crate::table::Mutation;

/// A small and a large tile, and one of Hopper whose warpgroups take turns, without the warp that brings factors, which has no use
/// for a part's k_blocks. The many sums of large tiles are tried on the small one.
const SHARING: &[&str] = &["gemm_t16x64_f32", "gemm_t128x256_i32", "gemm_h128x128_i32"];

/// Without Hopper's, where a share's end is also worked out for blocks that have none.
const PORTABLE: &[&str] = &["gemm_t16x64_f32", "gemm_t128x256_i32"];

pub(crate) const MUTATIONS: &[Mutation] = &[
    Mutation {
        what: "drop a part of a sum",
        entries: &["gemm_t16x64_f32"],
        edit: |text| at_sites(text, |l| dropped(l, "red.relaxed.gpu.global.add.s32")),
    },
    Mutation { what: "count one k_block for a part", entries: SHARING, edit: |text| at_sites(text, count_one) },
    Mutation {
        what: "drop the counting of a part",
        entries: SHARING,
        edit: |text| at_sites(text, |l| dropped(l, "atom.relaxed.gpu.global.add.u32")),
    },
    Mutation { what: "a part begins a k_block late", entries: SHARING, edit: |text| at_sites(text, one_more_begun) },
    Mutation { what: "a share ends a k_block late", entries: PORTABLE, edit: |text| at_sites(text, one_more_shared) },
    Mutation { what: "take who has a tile's end for the last to come", entries: PORTABLE, edit: end_is_last },
];

/// What the counter of a tile was before becomes how much of the tile lies before the part: right as long as the blocks
/// come in the order of their numbers.
fn end_is_last(text: &str) -> Vec<Mutant> {
    let begins = text.lines().filter_map(read).find(|line| one_more_begun(line).is_some());
    let begins = begins.expect("a part begins at the later of two beginnings");
    let [part, tile] = [begins.parts()[0], begins.parts()[2]];
    at_sites(text, |line| {
        let p = line.parts();
        let is_count = line.mnemonic == "atom.relaxed.gpu.global.add.u32";
        is_count.then(|| [instruction(line.mnemonic, &p), instruction("sub.s32", &[p[0], part, tile])].join("\n"))
    })
}

/// What is added to the counter of a tile becomes 1.
fn count_one(line: &Line<'_>) -> Option<String> {
    let p = line.parts();
    let is_count = line.mnemonic == "atom.relaxed.gpu.global.add.u32";
    is_count
        .then(|| [instruction("mov.b32", &["%m0", "1"]), instruction(line.mnemonic, &[p[0], p[1], "%m0"])].join("\n"))
}

/// The later of the beginnings of share and tile, and one more.
fn one_more_begun(line: &Line<'_>) -> Option<String> {
    one_more(line, "max.u32")
}

/// Where a share begins, hence where the one before ends, and one more.
fn one_more_shared(line: &Line<'_>) -> Option<String> {
    one_more(line, "min.u32")
}

/// The result of an instruction on two registers, and one more.
fn one_more(line: &Line<'_>, mnemonic: &str) -> Option<String> {
    let p = line.parts();
    let of_registers = line.mnemonic == mnemonic && p[1].starts_with('%') && p[2].starts_with('%');
    of_registers.then(|| [instruction(mnemonic, &p), instruction("add.s32", &[p[0], p[0], "1"])].join("\n"))
}
