//! Approximations, hints, atomics of every type, and control: what `isa.rs` and `integer.rs` leave.

mod common;
use common::{Rig, check, evaluate, load_error, module, samples};
use half::f16;
use ptx_sim::FaultKind;

fn f(bits: u64) -> f32 {
    f32::from_bits(bits as u32)
}

/// The result of `op` lies within `bound` of `exact`, relative to it and never less than `bound` itself.
fn close(op: &str, values: &[f32], bound: f64, exact: impl Fn(f64) -> f64) {
    let sources: Vec<[u64; 3]> = values.iter().map(|value| [u64::from(value.to_bits()), 0, 0]).collect();
    for (value, found) in values.iter().zip(evaluate(op, 32, &sources)) {
        let exact = exact(f64::from(*value));
        let error = (f64::from(f(found)) - exact).abs();
        assert!(error <= bound * exact.abs().max(1.0), "{op} of {value}: {}, not {exact}", f(found));
    }
}

#[test]
fn approximations_stay_within_the_documents_bounds() {
    let angles: Vec<f32> = (-314..=314).map(|step| step as f32 / 100.0).collect();
    close("sin.approx.f32 %r4, %r1;", &angles, 2e-6, f64::sin);
    close("cos.approx.ftz.f32 %r4, %r1;", &angles, 2e-6, f64::cos);
    let positive: Vec<f32> = (1..2000).map(|step| step as f32 * 0.37).collect();
    close("lg2.approx.f32 %r4, %r1;", &positive, 3e-7, f64::log2);
    close("rsqrt.approx.ftz.f32 %r4, %r1;", &positive, 2e-7, |x| 1.0 / x.sqrt());
    close("sqrt.approx.f32 %r4, %r1;", &positive, 2e-7, f64::sqrt);
    close("rcp.approx.ftz.f32 %r4, %r1;", &positive, 2e-7, |x| 1.0 / x);
    close("ex2.approx.ftz.f32 %r4, %r1;", &angles, 3e-7, f64::exp2);
    close("tanh.approx.f32 %r4, %r1;", &angles, 5e-4, f64::tanh);
    let special = |op: &str, bits: u64| evaluate(op, 32, &[[bits, 0, 0]])[0];
    assert_eq!(special("lg2.approx.f32 %r4, %r1;", 0), 0xFF80_0000);
    assert_eq!(special("lg2.approx.f32 %r4, %r1;", 0xBF80_0000), 0x7FFF_FFFF);
    assert_eq!(special("ex2.approx.f32 %r4, %r1;", 0xFF80_0000), 0);
    assert_eq!(special("rsqrt.approx.f32 %r4, %r1;", 0), 0x7F80_0000);
    check("copysign.f32 %r4, %r1, %r2;", 32, &samples(32), |a, b, _| (a & 0x8000_0000) | (b & 0x7FFF_FFFF));
    check("copysign.f64 %l4, %l1, %l2;", 64, &samples(64), |a, b, _| (a >> 63 << 63) | (b << 1 >> 1));
}

#[test]
fn numbers_pack_clamped() {
    let clamp = |value: u64, bits: u32, signed: bool| {
        let value = i64::from(value as u32 as i32);
        let (least, most) = if signed { (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) } else { (0, (1 << bits) - 1) };
        value.clamp(least, most) as u64 & ((1 << bits) - 1)
    };
    let mut values = samples(32);
    values.extend((-300_i64..300).map(|at| [at as u64 & 0xFFFF_FFFF, -at as u64 & 0xFFFF_FFFF, 0x1234_5678]));
    for (ty, bits, signed) in [("u8", 8, false), ("s8", 8, true), ("u4", 4, false), ("s2", 2, true)] {
        check(&format!("cvt.pack.sat.{ty}.s32.b32 %r4, %r1, %r2, %r3;"), 32, &values, |a, b, c| {
            (c << (2 * bits) | clamp(a, bits, signed) << bits | clamp(b, bits, signed)) & 0xFFFF_FFFF
        });
    }
    check("cvt.pack.sat.s16.s32 %r4, %r1, %r2;", 32, &values, |a, b, _| clamp(a, 16, true) << 16 | clamp(b, 16, true));
}

#[test]
fn hints_change_nothing() {
    let hints = "prefetch.global.L2 [%l5];\nprefetch.L1 [%l5];\nprefetchu.L1 [%l5];\nldu.global.u32 %r7, [%l5];\n\
        applypriority.global.L2::evict_normal [%l5], 128;\npmevent 3;\nnanosleep.u32 20;\nmembar.gl;\nmembar.cta;\n\
        createpolicy.fractional.L2::evict_last.b64 %l10, 0f3F000000;\ncreatepolicy.cvt.L2.b64 %l11, %l10;\n\
        createpolicy.range.global.L2::evict_last.b64 %l12, [%l5], 64, 128;\n\
        ld.global.L2::cache_hint.L1::evict_last.u64 %l4, [%l5], %l12;";
    check(hints, 64, &samples(64), |a, _, _| a);
    check("ldu.global.v2.u32 {%r5, %r4}, [%l5];", 32, &samples(64), |a, _, _| a >> 32);
    check("activemask.b32 %r4;", 32, &samples(32)[..64], |_, _, _| 0xFFFF_FFFF);
    let rig = Rig::new("", "st.global.u32 [%l0], 7;\ndiscard.global.L2 [%l0], 128;\nst.global.u32 [%l0], 9;", 128);
    assert_eq!(rig.result(1, 1)[0], 9);
}

#[test]
fn barriers_under_both_names() {
    let body = "setp.gt.u32 %p1, %r0, 31;\nsetp.lt.u32 %p2, %r0, 40;\n@%p1 bar.cta.arrive 1, 64;\n@!%p1 barrier.cta.sync 1, 64;\n\
        barrier.cta.red.popc.u32 %r4, 2, %p2;\nbarrier.sync 3;\nbar.arrive 4, 64;\nbarrier.arrive 5, 64;\nbar.sync 6, 64;\n\
        barrier.red.and.pred %p3, 7, %p2;\nselp.u32 %r5, 100, 0, %p3;\nadd.u32 %r4, %r4, %r5;\n\
        mul.wide.u32 %l1, %r0, 4;\nadd.u64 %l1, %l0, %l1;\nst.global.u32 [%l1], %r4;";
    // Whole warps part at the first barrier; the arrivals on 4 and 5 complete them unread.
    assert_eq!(Rig::new("", body, 256).result(1, 64), vec![40; 64]);
}

#[test]
fn tables_of_branches_and_traps() {
    let body = "T: .branchtargets A, B, C;\nand.b32 %r2, %r0, 3;\nmin.u32 %r2, %r2, 2;\nbrx.idx %r2, T;\nA: mov.u32 %r4, 10;\n\
        bra.uni END;\nB: mov.u32 %r4, 20;\nbra.uni END;\nC: mov.u32 %r4, 30;\nEND: mul.wide.u32 %l1, %r0, 4;\n\
        add.u64 %l1, %l0, %l1;\nst.global.u32 [%l1], %r4;";
    let wanted: Vec<u32> = (0..32).map(|lane| [10, 20, 30, 30][lane % 4]).collect();
    assert_eq!(Rig::new("", body, 128).result(1, 32), wanted);
    for stop in ["trap;", "brkpt;"] {
        let fault = Rig::new("", &format!("setp.eq.u32 %p1, %r0, 5;\n@%p1 {stop}"), 4).fault(1, 32);
        assert_eq!((fault.kind, fault.thread), (FaultKind::Trap, Some([5, 0, 0])));
    }
}

/// One thread runs `body` for sm_90 on 32 bytes of global memory that hold `words`; returns them.
fn on_memory(words: [u32; 8], body: &str) -> Vec<u32> {
    let text = module("", ".param .u64 out", &format!("ld.param.u64 %l0, [out];\n.reg .b128 %q<4>;\n{body}"));
    let text = text.replace(".target sm_80", ".target sm_90");
    let module = common::load(&text);
    let memory = ptx_sim::Memory::new();
    let instance = module.instantiate(&memory).unwrap();
    let out = memory.alloc(32).unwrap();
    memory.write(out, &words.iter().flat_map(|word| word.to_le_bytes()).collect::<Vec<u8>>()).unwrap();
    let params = out.to_le_bytes();
    let request = ptx_sim::Launch::new(module.kernel("k").unwrap(), [1, 1, 1], [1, 1, 1], &params);
    ptx_sim::launch(&instance, &memory, &request).unwrap_or_else(|fault| panic!("{fault}"));
    let mut bytes = [0; 32];
    memory.read(out, &mut bytes).unwrap();
    bytes.chunks_exact(4).map(|word| u32::from_le_bytes(word.try_into().unwrap())).collect()
}

fn pair(low: f32, high: f32) -> u32 {
    u32::from(f16::from_f32(high).to_bits()) << 16 | u32::from(f16::from_f32(low).to_bits())
}

#[test]
fn atomics_on_halves_and_vectors() {
    let start = [pair(1.5, -2.0), pair(0.25, 8.0), 1.0_f32.to_bits(), 2.0_f32.to_bits(), 0x3F80_4000, 0, 7, 7];
    let one = format!("mov.b32 %r1, {};\nmov.b32 {{%h1, %h2}}, %r1;\n", pair(0.5, 4.0));
    let add = format!(
        "{one}atom.global.add.noftz.f16 %h3, [%l0], %h1;\nred.global.add.noftz.f16x2 [%l0+4], %r1;\n\
        mov.b32 %r2, {{%h3, %h3}};\nst.global.b32 [%l0+28], %r2;"
    );
    let found = on_memory(start, &add);
    assert_eq!((found[0], found[1], found[7]), (pair(2.0, -2.0), pair(0.75, 12.0), pair(1.5, 1.5)));
    let vector = format!(
        "{one}mov.b32 %r2, 0f3F000000;\natom.global.v2.add.f32 {{%r3, %r4}}, [%l0+8], {{%r2, %r2}};\n\
        red.relaxed.gpu.global.v2.min.noftz.f16 [%l0], {{%h1, %h1}};\nst.global.v2.b32 [%l0+24], {{%r3, %r4}};"
    );
    let found = on_memory(start, &vector);
    assert_eq!(found[0], pair(0.5, -2.0));
    assert_eq!(found[2..4], [1.5_f32.to_bits(), 2.5_f32.to_bits()]);
    assert_eq!(found[6..8], [1.0_f32.to_bits(), 2.0_f32.to_bits()]);
    // 0x4000 is 2 in bf16, and 0x3F80 is 1.
    let brain = "mov.b32 %r1, 0x3F803F80;\natom.global.max.noftz.v2.bf16x2 {%r2, %r3}, [%l0+16], {%r1, %r1};";
    assert_eq!(on_memory(start, brain)[4..6], [0x3F80_4000, 0x3F80_3F80]);
    let cas = "mov.b16 %h1, 7;\nmov.b16 %h2, 9;\natom.global.cas.b16 %h3, [%l0+26], 0, %h2;\natom.global.cas.b16 %h3, [%l0+24], %h1, %h2;";
    assert_eq!(on_memory(start, cas)[6], 9 << 16 | 9);
}

#[test]
fn atomics_on_sixteen_bytes() {
    let body = "mov.b128 %q1, {3, 4};\natom.global.exch.b128 %q2, [%l0], %q1;\nst.global.b128 [%l0+16], %q2;";
    assert_eq!(on_memory([1, 2, 3, 4, 0, 0, 0, 0], body), [3, 0, 4, 0, 1, 2, 3, 4]);
    let cas = |compare: &str| {
        format!(
            "mov.u64 %l1, {compare};\nmov.u64 %l2, 8589934593;\nmov.b128 %q1, {{%l2, %l1}};\nmov.b128 %q3, {{5, 6}};\n\
             atom.global.cas.b128 %q2, [%l0], %q1, %q3;\nst.global.b128 [%l0+16], %q2;"
        )
    };
    let start = [1, 2, 3, 4, 0, 0, 0, 0];
    assert_eq!(on_memory(start, &cas("17179869187")), [5, 0, 6, 0, 1, 2, 3, 4]);
    assert_eq!(on_memory(start, &cas("17179869188")), [1, 2, 3, 4, 1, 2, 3, 4]);
}

#[test]
fn registers_without_a_value_are_named_with_the_reason() {
    for (name, reason) in [("%envreg3", "driver"), ("%pm0", "counters"), ("%current_graph_exec", "graphs")] {
        let error = load_error(&module("", "", &format!("mov.u32 %r1, {name};")));
        assert!(error.message.contains(name) && error.message.contains(reason), "{error}");
    }
}

#[test]
fn addresses_in_a_cluster_know_their_rank() {
    // Without a cluster, a block is the only one of its own: rank 0.
    let body = "griddepcontrol.wait;\nmov.u32 %r1, own;\nmapa.shared::cluster.u32 %r2, %r1, 0;\n\
        getctarank.shared::cluster.u32 %r3, %r2;\nst.shared.u32 [%r1], 41;\nld.shared::cluster.u32 %r4, [%r2];\n\
        add.u32 %r4, %r4, %r3;\nadd.u32 %r4, %r4, 1;\ngriddepcontrol.launch_dependents;\nst.global.u32 [%l0], %r4;";
    let text = module(".shared .align 4 .u32 own;", ".param .u64 out", &format!("ld.param.u64 %l0, [out];\n{body}"));
    let module = common::load(&text.replace(".target sm_80", ".target sm_90"));
    let memory = ptx_sim::Memory::new();
    let instance = module.instantiate(&memory).unwrap();
    let out = memory.alloc(4).unwrap();
    let params = out.to_le_bytes();
    let request = ptx_sim::Launch::new(module.kernel("k").unwrap(), [1, 1, 1], [1, 1, 1], &params);
    ptx_sim::launch(&instance, &memory, &request).unwrap_or_else(|fault| panic!("{fault}"));
    let mut bytes = [0; 4];
    memory.read(out, &mut bytes).unwrap();
    assert_eq!(u32::from_le_bytes(bytes), 42);
}
