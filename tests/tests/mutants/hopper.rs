//! What makes Hopper's products wrong: barriers, proxies, clusters and the fragments of `wgmma`.
//!
//! Left out are changes that are none: without the fence of new mbarriers the cluster's barrier, which follows, still
//! releases them; of two m64 operands' fences one orders the sums of both.

use crate::edit::{Line, Mutant, at_sites, constant, dropped, instruction, swap};
use crate::table::Mutation;

const ALL: &[&str] = &["gemm_h128x256_bf16", "gemm_h256x128_i32", "gemm_h128x128_f32"];
const BOTH_SCHEDULES: &[&str] = &["gemm_h128x256_bf16", "gemm_h128x128_f32"];
const NARROW: &[&str] = &["gemm_h128x256_bf16"];
const WIDE: &[&str] = &["gemm_h256x128_i32", "gemm_h128x128_f32"];
const PING_PONG: &[&str] = &["gemm_h128x128_f32"];

pub(crate) const MUTATIONS: &[Mutation] = &[
    Mutation { what: "drop the wait for an mbarrier", entries: ALL, edit: |text| at_sites(text, never_wait) },
    Mutation { what: "wait for the other parity", entries: ALL, edit: |text| at_sites(text, other_parity) },
    Mutation { what: "expect other bytes", entries: ALL, edit: |text| at_sites(text, other_bytes) },
    Mutation {
        what: "drop the release of a slot",
        entries: BOTH_SCHEDULES,
        edit: |text| at_sites(text, |l| dropped(l, "mbarrier.arrive.shared::cluster")),
    },
    Mutation {
        what: "release a slot before its products are done",
        entries: BOTH_SCHEDULES,
        edit: |text| at_sites(text, |l| constant(l, "wgmma.wait_group.sync.aligned", "1", "2")),
    },
    Mutation {
        what: "drop the proxy fence before a store by TMA",
        entries: BOTH_SCHEDULES,
        edit: |text| at_sites(text, |l| dropped(l, "fence.proxy.async")),
    },
    Mutation {
        what: "drop a wait of the cluster",
        entries: ALL,
        edit: |text| at_sites(text, |l| dropped(l, "barrier.cluster.wait")),
    },
    Mutation {
        what: "multicast to one block only",
        entries: ALL,
        edit: |text| at_sites(text, |l| constant(l, "mov.b16", "3", "1")),
    },
    Mutation {
        what: "swap two sums of a wgmma",
        entries: BOTH_SCHEDULES,
        edit: |text| at_sites(text, |l| swap(l, "wgmma.mma_async", 0)),
    },
    Mutation {
        what: "leave the block's rank in a descriptor",
        entries: ALL,
        edit: |text| at_sites(text, whole_address),
    },
    Mutation { what: "drop the first fence of wgmma", entries: NARROW, edit: drop_fence },
    Mutation {
        what: "overwrite a box that TMA still reads",
        entries: BOTH_SCHEDULES,
        edit: |text| at_sites(text, |l| constant(l, "cp.async.bulk.wait_group.read", "1", "2")),
    },
    Mutation {
        what: "swap two matrices of an stmatrix",
        entries: NARROW,
        edit: |text| at_sites(text, |l| swap(l, "stmatrix", 1)),
    },
    Mutation {
        what: "swap two columns on their way to a box",
        entries: WIDE,
        edit: |text| at_sites(text, |l| swap(l, "st.shared.v2.b32", 1)),
    },
    Mutation {
        what: "take a turn at the ring unasked",
        entries: PING_PONG,
        edit: |text| at_sites(text, |l| dropped(l, "barrier.cta.sync").or_else(|| dropped(l, "bar.sync"))),
    },
];

/// A wait that is over at once.
pub(crate) fn never_wait(line: &Line<'_>) -> Option<String> {
    let parts = line.parts();
    line.mnemonic.starts_with("mbarrier.try_wait").then(|| instruction("setp.eq.u32", &[parts[0], "0", "0"]))
}

fn other_parity(line: &Line<'_>) -> Option<String> {
    let parts = line.parts();
    line.mnemonic.starts_with("mbarrier.try_wait").then(|| {
        let flip = instruction("xor.b32", &["%m0", parts[2], "1"]);
        format!("{flip}\n{}", line.with(2, "%m0"))
    })
}

pub(crate) fn other_bytes(line: &Line<'_>) -> Option<String> {
    let parts = line.parts();
    line.mnemonic.starts_with("mbarrier.arrive.expect_tx").then(|| {
        let more = instruction("add.u32", &["%m0", parts[2], "8192"]);
        format!("{more}\n{}", line.with(2, "%m0"))
    })
}

/// A place of shared memory made of all of its address, of which a cluster's blocks have their rank in the upper bits.
fn whole_address(line: &Line<'_>) -> Option<String> {
    let parts = line.parts();
    let is_place = line.mnemonic == "bfe.u32" && parts[2..] == ["4", "14"];
    is_place.then(|| instruction("shr.u32", &[parts[0], parts[1], "4"]))
}

/// Without the first fence of a tile: the others stand between products, where sums are not touched.
fn drop_fence(text: &str) -> Vec<Mutant> {
    let is_fence = |line: &str| line.trim_start().starts_with("wgmma.fence");
    let at = text.lines().position(is_fence);
    at.map(|at| {
        let kept = text.lines().enumerate().filter(|(i, _)| *i != at).map(|(_, line)| line);
        (at + 1, kept.flat_map(|line| [line, "\n"]).collect())
    })
    .into_iter()
    .collect()
}
