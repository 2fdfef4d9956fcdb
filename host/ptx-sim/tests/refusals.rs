//! Modifiers that contradict each other, the type or the state space are refused, as ptxas refuses them.

mod common;
use common::{load, load_error, module};

/// Each of `statements` must be refused, with its own mnemonic in the message.
fn all_refused(statements: &[&str]) {
    for statement in statements {
        let error = load_error(&module("", "", statement));
        assert_eq!(error.line, 11, "{statement}: {error}");
    }
}

/// Each of `statements` must be understood: a check that refuses everything would pass the other tests.
fn all_loaded(statements: &[&str]) {
    for statement in statements {
        load(&module("", "", statement));
    }
}

#[test]
fn floats_refuse_what_their_type_does_not_have() {
    all_refused(&[
        "fma.f32 %r1, %r2, %r3, %r4;",
        "mad.f32 %r1, %r2, %r3, %r4;",
        "mad.rn.f16 %h1, %h2, %h3, %h4;",
        "fma.rn.sat.relu.f16 %h1, %h2, %h3, %h4;",
        "fma.rn.sat.bf16 %h1, %h2, %h3, %h4;",
        "sqrt.approx.f64 %l1, %l2;",
        "rcp.approx.f64 %l1, %l2;",
        "div.approx.f64 %l1, %l2, %l3;",
        "div.full.f64 %l1, %l2, %l3;",
        "min.NaN.f64 %l1, %l2, %l3;",
    ]);
    all_loaded(&["fma.rn.ftz.sat.f32 %r1, %r2, %r3, %r4;", "sqrt.rn.f64 %l1, %l2;", "div.full.ftz.f32 %r1, %r2, %r3;"]);
}

#[test]
fn integers_and_comparisons_refuse_types_of_the_wrong_sign() {
    all_refused(&[
        "popc.u32 %r1, %r2;",
        "clz.s32 %r1, %r2;",
        "brev.u32 %r1, %r2;",
        "bfind.b32 %r1, %r2;",
        "setp.lo.s32 %p1, %r1, %r2;",
        "setp.hs.s64 %p1, %l1, %l2;",
        "setp.hi.f32 %p1, %r1, %r2;",
        "setp.lt.ftz.f64 %p1, %l1, %l2;",
        "setp.lt.ftz.bf16 %p1, %h1, %h2;",
        "slct.pred.s32 %p1, %p2, %p3, %r1;",
    ]);
    all_loaded(&["setp.lo.u32 %p1, %r1, %r2;", "setp.lt.ftz.f16 %p1, %h1, %h2;", "bfind.shiftamt.u64 %r1, %l1;"]);
}

#[test]
fn conversions_refuse_pairs_and_modifiers_that_would_do_nothing() {
    all_refused(&[
        "cvt.rni.s32.f16x2 %r1, %r2;",
        "cvt.f64.f16x2 %l1, %r2;",
        "cvt.rni.ftz.s32.f64 %r1, %l1;",
        "cvt.rni.ftz.s32.f16 %r1, %h1;",
        "cvt.ftz.f64.f16 %l1, %h1;",
        "cvt.rn.sat.bf16.f32 %h1, %r1;",
        "cvt.rn.sat.relu.f16.f32 %h1, %r1;",
        // A generic address does not fit 32 bits.
        "cvta.shared.u32 %r1, %r2;",
    ]);
    all_loaded(&["cvt.rni.ftz.s32.f32 %r1, %r2;", "cvt.rn.sat.f16.f32 %h1, %r1;", "cvta.shared.u64 %l1, %l2;"]);
}

#[test]
fn accesses_refuse_hints_orders_and_spaces_that_contradict() {
    all_refused(&[
        "ld.global.ca.cg.u32 %r1, [%l1];",
        "ld.global.ca.ca.u32 %r1, [%l1];",
        "ld.global.wb.u32 %r1, [%l1];",
        "ld.shared.nc.u32 %r1, [%r2];",
        "ld.nc.u32 %r1, [%l1];",
        "ld.global.cv.nc.u32 %r1, [%l1];",
        "ld.acquire.gpu.global.nc.u32 %r1, [%l1];",
        "ld.volatile.global.ca.u32 %r1, [%l1];",
        "ld.volatile.gpu.global.u32 %r1, [%l1];",
        "ld.weak.gpu.global.u32 %r1, [%l1];",
        "ld.gpu.global.u32 %r1, [%l1];",
        "ld.relaxed.global.u32 %r1, [%l1];",
        "ld.global.L1::evict_last.L1::evict_first.u32 %r1, [%l1];",
        "ld.shared.L2::128B.u32 %r1, [%r2];",
        "st.global.nc.u32 [%l1], %r1;",
        "st.global.ca.u32 [%l1], %r1;",
        "st.global.L2::128B.u32 [%l1], %r1;",
        "st.const.u32 [%l1], %r1;",
        "atom.const.add.u32 %r1, [%l1], %r2;",
        "atom.global.add.s64 %l1, [%l2], %l3;",
        "red.acquire.gpu.global.add.u32 [%l1], %r2;",
        "cp.async.ca.shared.global.nc [%r1], [%l1], 16;",
        "cp.async.ca.shared.global.L1::evict_last [%r1], [%l1], 16;",
        "cp.async.ca.global.shared [%r1], [%l1], 16;",
        "cp.async.ca.shared.global [%r1], [%l1], 12;",
        "prefetch.shared.L1 [%r1];",
    ]);
    all_loaded(&[
        "ld.global.nc.L1::no_allocate.L2::256B.u32 %r1, [%l1];",
        "ld.global.ca.nc.u32 %r1, [%l1];",
        "ld.global.lu.u32 %r1, [%l1];",
        "ld.acquire.gpu.global.u32 %r1, [%l1];",
        "ld.volatile.shared.u32 %r1, [%r2];",
        "st.release.sys.global.u32 [%l1], %r1;",
        "st.global.wt.u32 [%l1], %r1;",
        "cp.async.ca.shared.global.L2::128B [%r1], [%l1], 16;",
        "red.release.gpu.global.add.u32 [%l1], %r2;",
    ]);
}

#[test]
fn operations_of_warps_refuse_what_they_would_not_do() {
    all_refused(&[
        // The predicate would never be written.
        "match.any.sync.b32 %r1|%p1, %r2, -1;",
        "bar.sync.aligned 0;",
        // The other layout is another product.
        "mma.sync.aligned.m16n8k32.col.row.s32.s8.s8.s32 {%r0,%r1,%r2,%r3}, {%r0,%r1,%r2,%r3}, {%r4,%r5}, \
         {%r0,%r1,%r2,%r3};",
        "mma.sync.aligned.m8n8k16.row.col.s32.s8.s8.s32 {%r0,%r1}, %r2, {%r3}, {%r0,%r1};",
        "mma.sync.aligned.m16n8k32.row.col.s32.s4.s4.s32 {%r0,%r1,%r2,%r3}, {%r0,%r1}, {%r4}, {%r0,%r1,%r2,%r3};",
    ]);
    all_loaded(&[
        "match.all.sync.b32 %r1|%p1, %r2, -1;",
        "barrier.sync.aligned 0;",
        "mma.sync.aligned.m16n8k32.row.col.satfinite.s32.s8.u8.s32 {%r0,%r1,%r2,%r3}, {%r0,%r1,%r2,%r3}, {%r4,%r5}, \
         {%r0,%r1,%r2,%r3};",
    ]);
}
