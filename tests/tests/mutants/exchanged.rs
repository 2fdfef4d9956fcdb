//! What makes Hopper's products for few tokens wrong: the ring, the way of sums through shared memory, and the meeting of
//! blocks.

use crate::decode::{count_more, left, overwrite, own_answer};
use crate::edit::{Line, Mutant, at_sites, constant, dropped, instruction, swap};
use crate::hopper::{never_wait, other_bytes};
use crate::table::{Mutation, split_fma};

/// The narrowest tile, which is tried in the least time: the others are the same text but for numbers.
const NARROW: &[&str] = &["gemm_d128x8_bf16"];

/// A tile whose sums are exchanged in two parts, and whose blocks share w in pairs.
const IN_PAIRS: &[&str] = &["gemm_d128x96_bf16"];

pub(crate) const MUTATIONS: &[Mutation] = &[
    Mutation {
        what: "multicast to one block only",
        entries: IN_PAIRS,
        edit: |text| at_sites(text, |l| constant(l, "mov.b16", "3", "1")),
    },
    Mutation {
        what: "drop the release of a slot",
        entries: IN_PAIRS,
        edit: |text| at_sites(text, |l| dropped(l, "mbarrier.arrive.shared::cluster")),
    },
    Mutation {
        what: "drop a wait of the cluster",
        entries: IN_PAIRS,
        edit: |text| at_sites(text, |l| dropped(l, "barrier.cluster.wait")),
    },
    Mutation {
        what: "drop a barrier of those that multiply",
        entries: IN_PAIRS,
        edit: |text| at_sites(text, |l| dropped(l, "bar.sync").filter(|_| l.operands[0] == "1")),
    },
    Mutation { what: "drop the wait for an mbarrier", entries: NARROW, edit: |text| at_sites(text, never_wait) },
    Mutation { what: "expect other bytes", entries: NARROW, edit: |text| at_sites(text, other_bytes) },
    Mutation { what: "release a slot before its products are done", entries: NARROW, edit: released_early },
    Mutation { what: "put a sum where another belongs", entries: NARROW, edit: |text| at_sites(text, elsewhere) },
    Mutation {
        what: "swap two columns of a token",
        entries: NARROW,
        edit: |text| at_sites(text, |l| swap(l, "ld.shared.v4", 0)),
    },
    Mutation {
        what: "drop a barrier of those that multiply",
        entries: NARROW,
        edit: |text| at_sites(text, |l| dropped(l, "bar.sync").filter(|_| l.operands[0] == "1")),
    },
    Mutation { what: "a share begins or ends a step late", entries: NARROW, edit: |text| at_sites(text, late) },
    Mutation {
        what: "learn without a barrier whether the tile is whole",
        entries: NARROW,
        edit: |text| at_sites(text, own_answer),
    },
    Mutation {
        what: "drop a fence of a meeting",
        entries: NARROW,
        edit: |text| at_sites(text, |l| dropped(l, "fence.acq_rel")),
    },
    Mutation { what: "overwrite another block's sum", entries: NARROW, edit: |text| at_sites(text, overwrite) },
    Mutation { what: "count one step more", entries: NARROW, edit: |text| at_sites(text, count_more) },
    Mutation { what: "leave a sum or a counter in the workspace", entries: NARROW, edit: left },
    Mutation {
        what: "round the product before the bias is added",
        entries: NARROW,
        edit: |text| at_sites(text, split_fma),
    },
];

/// Where a share begins or ends, the lesser of two numbers more than some, and one more.
fn late(line: &Line<'_>) -> Option<String> {
    let p = line.parts();
    let of_registers = line.mnemonic == "min.u64" && p[1].starts_with('%') && p[2].starts_with('%');
    of_registers.then(|| [instruction("min.u64", &p), instruction("add.s64", &[p[0], p[0], "1"])].join("\n"))
}

/// A sum goes to the next row's place.
fn elsewhere(line: &Line<'_>) -> Option<String> {
    let place = line.operands.first()?.strip_suffix(']')?;
    (line.mnemonic == "st.shared.b32").then(|| line.with(0, &format!("{place}+4]")))
}

/// Not the first wait for products: a tile's first step stands before the loop and has none before it to wait for.
fn released_early(text: &str) -> Vec<Mutant> {
    at_sites(text, |l| constant(l, "wgmma.wait_group.sync.aligned", "1", "2")).split_off(1)
}
