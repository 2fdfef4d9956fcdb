//! Sentences of the PTX document that are easily read over.

mod common;
use common::{Rig, check, evaluate};
use ptx_sim::FaultKind;

#[test]
fn testp_counts_zeros_as_normal() {
    // "As a special case, positive and negative zero are considered normal numbers."
    let values = [0_u32, 0x8000_0000, 1, 0x3F80_0000, 0x7F80_0000, 0x7FC0_0000].map(|bits| [u64::from(bits), 0, 0]);
    let asks = |test: &str| format!("testp.{test}.f32 %p1, %r1;\nselp.b32 %r4, 1, 0, %p1;");
    assert_eq!(evaluate(&asks("normal"), 32, &values), [1, 1, 0, 1, 0, 0]);
    assert_eq!(evaluate(&asks("subnormal"), 32, &values), [0, 0, 1, 0, 0, 0]);
}

#[test]
fn isspacep_does_not_take_global_memory_for_constant_memory() {
    // Both lie in one address range here, so the question has no answer and is refused.
    let error = common::load_error(&common::module("", "", "isspacep.const %p1, %l1;"));
    assert!(error.message.contains("const"), "{error}");
    check("isspacep.global %p1, %l0;\nselp.b32 %r4, 1, 0, %p1;", 32, &[[0, 0, 0]], |_, _, _| 1);
}

#[test]
fn atomic_sums_of_f32_flush_in_global_memory_and_not_in_shared() {
    let body = "mov.u32 %r1, cell;\nmov.u32 %r2, 1;\nst.shared.u32 [%r1], %r2;\nst.global.u32 [%l0], %r2;\n\
        atom.shared.add.f32 %r3, [%r1], 0f00000003;\natom.global.add.f32 %r4, [%l0], 0f80000003;\n\
        ld.shared.u32 %r5, [%r1];\nst.global.u32 [%l0+4], %r5;";
    let rig = Rig::new(".shared .align 4 .u32 cell;", body, 8);
    // +0 + -0 is +0: the subnormals 1 and -3 become zeros; shared memory keeps 1 + 3.
    assert_eq!(rig.result(1, 1), [0, 4]);
}

#[test]
fn a_sink_takes_the_width_of_its_neighbours() {
    // The sink must not land in a 64-bit register that happens to have the number of a 32-bit one.
    let body = "mov.u64 %l1, 0x1122334455667788;\nmov.u64 %l2, -2;\nmov.u64 %l3, -3;\nst.global.u64 [%l0], %l1;\n\
        ld.global.v2.u32 {_, %l4}, [%l0];\nst.global.u64 [%l0], %l1;\nst.global.u64 [%l0+8], %l2;\n\
        st.global.u64 [%l0+16], %l3;\nst.global.u64 [%l0+24], %l4;";
    let [l1, l2, l3] = [[0x5566_7788, 0x1122_3344], [u32::MAX - 1, u32::MAX], [u32::MAX - 2, u32::MAX]];
    assert_eq!(Rig::new("", body, 32).result(1, 1), [l1, l2, l3, [0x1122_3344, 0]].concat());
}

#[test]
fn reductions_do_not_mix_with_other_uses_of_their_barrier() {
    let body = "setp.gt.u32 %p1, %r0, 31;\n@%p1 bra L;\nbar.red.popc.u32 %r4, 0, %p1;\nbra M;\nL: bar.sync 0;\n\
        M: mov.u32 %r5, 0;";
    let fault = Rig::new("", body, 4).fault(1, 64);
    assert_eq!(fault.kind, FaultKind::BadBarrier, "{fault}");
}

#[test]
fn atomics_touch_a_copy_in_flight_too() {
    let body = "mov.u32 %r1, cell;\ncp.async.ca.shared.global [%r1], [%l0], 4;\natom.shared.add.u32 %r3, [%r1], 1;";
    let fault = Rig::new(".shared .align 4 .u32 cell;", body, 8).fault(1, 1);
    assert_eq!(fault.kind, FaultKind::CopyInFlight, "{fault}");
}

#[test]
fn a_loop_back_keeps_its_registers_where_the_fall_through_lies_elsewhere() {
    // The inner loop's head is laid out before its end, so that a jump follows the branch to the outer loop: %r2, which only
    // the outer head reads, must not share its slot with what the inner loop writes.
    let body = "mov.u32 %r1, 0;\nmov.u32 %r2, 5;\nmov.u32 %r3, 0;\n\
        OUTER:\nsetp.ge.u32 %p1, %r1, 15;\n@%p1 bra END;\nadd.u32 %r1, %r1, %r2;\nmov.u32 %r4, 0;\nbra.uni INNER;\n\
        STEP:\nadd.u32 %r4, %r4, 1;\nsetp.eq.u32 %p2, %r4, 2;\n@%p2 bra OUTER;\n\
        INNER:\nmul.lo.u32 %r5, %r4, 10;\nadd.u32 %r6, %r5, 1;\nadd.u32 %r3, %r3, %r6;\nbra.uni STEP;\n\
        END:\nst.global.v2.u32 [%l0], {%r1, %r3};";
    assert_eq!(Rig::new("", body, 8).result(1, 1), [15, 36]);
}
