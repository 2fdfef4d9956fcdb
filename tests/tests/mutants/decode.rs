//! What is done to the kernels for few tokens, and to the meeting of blocks that share a tile.

use crate::edit::{Line, Mutant, at_sites, dropped, instruction, swap};
use crate::table::{Mutation, drop_barrier, split_fma};
use std::cell::RefCell;

const STREAMS: &[&str] = &["gemm_stream8_f32", "gemm_stream16_i32"];

pub(crate) const MUTATIONS: &[Mutation] = &[
    Mutation { what: "drop a barrier", entries: STREAMS, edit: drop_barrier },
    Mutation {
        what: "learn without a barrier whether the tile is whole",
        entries: STREAMS,
        edit: |text| at_sites(text, own_answer),
    },
    Mutation {
        what: "drop a fence of a meeting",
        entries: STREAMS,
        edit: |text| at_sites(text, |l| dropped(l, "fence.")),
    },
    Mutation { what: "leave a sum out", entries: STREAMS, edit: |text| at_sites(text, |l| dropped(l, "red.")) },
    Mutation { what: "overwrite another block's sum", entries: STREAMS, edit: |text| at_sites(text, overwrite) },
    Mutation { what: "count one step more", entries: STREAMS, edit: |text| at_sites(text, count_more) },
    Mutation { what: "leave a sum or a counter in the workspace", entries: STREAMS, edit: left },
    Mutation {
        what: "exchange two rows of w",
        entries: STREAMS,
        edit: |text| at_sites(text, |l| swap(l, "st.shared.v2", 1)),
    },
    Mutation {
        what: "other words of w",
        entries: STREAMS,
        edit: |text| at_sites(text, |l| swap(l, "ld.global.nc.L1::no_allocate.v4", 0)),
    },
    Mutation {
        what: "other words of x",
        entries: STREAMS,
        edit: |text| at_sites(text, |l| swap(l, "ld.global.nc.v4", 0)),
    },
    Mutation {
        what: "round the product before the bias is added",
        entries: &["gemm_stream8_f16", "gemm_stream16_bf16"],
        edit: |text| at_sites(text, split_fma),
    },
];

/// Each thread's own predicate in place of the block's.
pub(crate) fn own_answer(line: &Line<'_>) -> Option<String> {
    let p = line.parts();
    line.mnemonic.starts_with("bar.red").then(|| instruction("mov.pred", &[p[0], p[3]]))
}

/// A store in place of an addition.
pub(crate) fn overwrite(line: &Line<'_>) -> Option<String> {
    line.mnemonic.starts_with("red.").then(|| instruction("st.global.b32", &line.parts()))
}

/// A block that counts itself for more than it did: the tile is never whole, or too early.
pub(crate) fn count_more(line: &Line<'_>) -> Option<String> {
    let p = line.parts();
    line.mnemonic
        .starts_with("atom.")
        .then(|| [instruction("add.s32", &["%m0", p[2], "1"]), line.with(2, "%m0")].join("\n"))
}

/// No zero where a sum was taken, or where a counter was counted up.
pub(crate) fn left(text: &str) -> Vec<Mutant> {
    let read = RefCell::new(Vec::new());
    at_sites(text, |line| {
        if ["ld.global.b32", "ld.global.v4.b32"].contains(&line.mnemonic) || line.mnemonic.starts_with("atom.") {
            read.borrow_mut().push(line.operands[1].clone());
        }
        (["st.global.b32", "st.global.v4.b32", "st.relaxed.gpu.global.b32"].contains(&line.mnemonic)
            && read.borrow().contains(&line.operands[0]))
        .then(String::new)
    })
}
