//! Integer, comparison and move instructions that compilers write less often, against the loops of the document.

mod common;
use common::{check, samples};
use half::{bf16, f16};

fn s(value: u64) -> i32 {
    value as u32 as i32
}

fn word(value: i32) -> u64 {
    u64::from(value as u32)
}

#[test]
fn fns_walks_as_the_document_does() {
    let mut values = Vec::new();
    for [a, b, _] in samples(32).into_iter().step_by(3) {
        values.extend([-40_i64, -3, -1, 0, 1, 2, 7, 33].map(|nth| [a, b & 31, nth as u64]));
    }
    check("fns.b32 %r4, %r1, %r2, %r3;", 32, &values, |a, base, nth| {
        let (nth, set) = (s(nth), |at: i32| a >> at & 1 == 1);
        if nth == 0 {
            return if set(base as i32) { base } else { 0xFFFF_FFFF };
        }
        let (mut at, mut count) = (base as i32, nth.abs() - 1);
        while (0..32).contains(&at) {
            if set(at) {
                if count == 0 {
                    return at as u64;
                }
                count -= 1;
            }
            at += nth.signum();
        }
        0xFFFF_FFFF
    });
}

#[test]
fn szext_and_bmsk_follow_the_document() {
    let mut values = Vec::new();
    for [a, b, _] in samples(32).into_iter().step_by(5) {
        values.extend((0..34).map(|bits| [a, bits, 0]));
        values.push([a, b, 0]);
    }
    for (mode, clamp) in [("clamp", true), ("wrap", false)] {
        for signed in [false, true] {
            let ty = if signed { "s32" } else { "u32" };
            check(&format!("szext.{mode}.{ty} %r4, %r1, %r2;"), 32, &values, |a, b, _| {
                let low = b & 0x1F;
                let large = b >= 32 && clamp;
                let mask = if large { 0 } else { (u64::from(u32::MAX) << low) & 0xFFFF_FFFF };
                let sign = !(low == 0 || large || !signed) && a >> ((low + 31) & 31) & 1 == 1;
                (a & !mask) | if sign { mask } else { 0 }
            });
        }
        let places: Vec<[u64; 3]> = (0..40).flat_map(|a| (0..40).map(move |b| [a, b, 0])).collect();
        check(&format!("bmsk.{mode}.b32 %r4, %r1, %r2;"), 32, &places, |a, b, _| {
            let ones = u32::MAX;
            let (a1, b1) = (a & 31, b & 31);
            let mask0 = if clamp && a >= 32 { 0 } else { ones << a1 };
            let over = a1 + b1 >= 32 || (clamp && (a >= 32 || b >= 32));
            let mask1 = match () {
                () if over => 0,
                () if b1 == 0 => ones,
                () => ones << (a1 + b1),
            };
            u64::from(mask0 & !mask1)
        });
    }
}

#[test]
fn dot_products_of_two_and_four() {
    let values = samples(32);
    for (a_type, b_type) in [("s32", "s32"), ("s32", "u32"), ("u32", "s32"), ("u32", "u32")] {
        let byte = |v: u64, at: u32| match b_type {
            "s32" => i64::from((v >> (8 * at)) as i8),
            _ => i64::from((v >> (8 * at)) as u8),
        };
        for (name, first) in [("dp2a.lo", 0), ("dp2a.hi", 2)] {
            let half = |v: u64, at: u32| match a_type {
                "s32" => i64::from((v >> (16 * at)) as i16),
                _ => i64::from((v >> (16 * at)) as u16),
            };
            check(&format!("{name}.{a_type}.{b_type} %r4, %r1, %r2, %r3;"), 32, &values, |a, b, c| {
                let sum: i64 = (0..2).map(|i| half(a, i) * byte(b, first + i)).sum();
                (sum as u64).wrapping_add(c) & 0xFFFF_FFFF
            });
        }
        let left = |v: u64, at: u32| match a_type {
            "s32" => i64::from((v >> (8 * at)) as i8),
            _ => i64::from((v >> (8 * at)) as u8),
        };
        check(&format!("dp4a.{a_type}.{b_type} %r4, %r1, %r2, %r3;"), 32, &values, |a, b, c| {
            let sum: i64 = (0..4).map(|i| left(a, i) * byte(b, i)).sum();
            (sum as u64).wrapping_add(c) & 0xFFFF_FFFF
        });
    }
}

#[test]
fn prmt_has_six_modes_with_the_tables_of_the_document() {
    // Sources of d.b0 to d.b3 for c = 0 to 3.
    let tables: [(&str, [[u32; 4]; 4]); 6] = [
        ("f4e", [[0, 1, 2, 3], [1, 2, 3, 4], [2, 3, 4, 5], [3, 4, 5, 6]]),
        ("b4e", [[0, 7, 6, 5], [1, 0, 7, 6], [2, 1, 0, 7], [3, 2, 1, 0]]),
        ("rc8", [[0; 4], [1; 4], [2; 4], [3; 4]]),
        ("ecl", [[0, 1, 2, 3], [1, 1, 2, 3], [2, 2, 2, 3], [3; 4]]),
        ("ecr", [[0; 4], [0, 1, 1, 1], [0, 1, 2, 2], [0, 1, 2, 3]]),
        ("rc16", [[0, 1, 0, 1], [2, 3, 2, 3], [0, 1, 0, 1], [2, 3, 2, 3]]),
    ];
    for (mode, table) in tables {
        check(&format!("prmt.b32.{mode} %r4, %r1, %r2, %r3;"), 32, &samples(32), |a, b, c| {
            let source = b << 32 | a;
            (0..4).fold(0, |out, i| out | (source >> (8 * table[(c & 3) as usize][i]) & 0xFF) << (8 * i))
        });
    }
}

#[test]
fn products_of_24_bits_and_high_ones_that_saturate() {
    let values = samples(32);
    let signed24 = |v: u64| i64::from(s(v) << 8 >> 8);
    let unsigned24 = |v: u64| (v & 0xFF_FFFF) as i64;
    for (ty, low24) in [("s32", &signed24 as &dyn Fn(u64) -> i64), ("u32", &unsigned24)] {
        for (mul, mad, shift) in [("mul24.lo", "mad24.lo", 0), ("mul24.hi", "mad24.hi", 16)] {
            let product = |a: u64, b: u64| (low24(a) * low24(b)) >> shift;
            check(&format!("{mul}.{ty} %r4, %r1, %r2;"), 32, &values, |a, b, _| product(a, b) as u64 & 0xFFFF_FFFF);
            check(&format!("{mad}.{ty} %r4, %r1, %r2, %r3;"), 32, &values, |a, b, c| {
                (product(a, b) as u64).wrapping_add(c) & 0xFFFF_FFFF
            });
        }
    }
    let clamp = |sum: i64| word(sum.clamp(i64::from(i32::MIN), i64::from(i32::MAX)) as i32);
    check("mad24.hi.sat.s32 %r4, %r1, %r2, %r3;", 32, &values, |a, b, c| {
        clamp(i64::from(((signed24(a) * signed24(b)) >> 16) as i32) + i64::from(s(c)))
    });
    check("mad.hi.sat.s32 %r4, %r1, %r2, %r3;", 32, &values, |a, b, c| {
        clamp(((i64::from(s(a)) * i64::from(s(b))) >> 32) + i64::from(s(c)))
    });
    check("mad.hi.u32 %r4, %r1, %r2, %r3;", 32, &values, |a, b, c| ((a * b) >> 32).wrapping_add(c) & 0xFFFF_FFFF);
    check("mul.hi.s16 %h4, %h1, %h2;", 16, &samples(16), |a, b, _| {
        u64::from(((i32::from(a as i16) * i32::from(b as i16)) >> 16) as u16)
    });
}

#[test]
fn carries_run_through_additions_and_products() {
    // 64 by 64 bits into 128 from 32-bit halves, as compilers write it; the upper half is kept.
    let text = "mov.b64 {%r10, %r11}, %l1;\nmov.b64 {%r12, %r13}, %l2;\n\
        mul.lo.u32 %r20, %r10, %r12;\nmul.hi.u32 %r21, %r10, %r12;\n\
        mad.lo.cc.u32 %r21, %r10, %r13, %r21;\nmadc.hi.u32 %r22, %r10, %r13, 0;\n\
        mad.lo.cc.u32 %r21, %r11, %r12, %r21;\nmadc.hi.cc.u32 %r22, %r11, %r12, %r22;\naddc.u32 %r23, 0, 0;\n\
        mad.lo.cc.u32 %r22, %r11, %r13, %r22;\nmadc.hi.u32 %r23, %r11, %r13, %r23;\nmov.b64 %l4, {%r22, %r23};";
    check(text, 64, &samples(64), |a, b, _| ((u128::from(a) * u128::from(b)) >> 64) as u64);
    let wide = "mad.lo.cc.u64 %l7, %l1, %l2, %l3;\nmadc.hi.u64 %l4, %l1, %l2, 0;";
    check(wide, 64, &samples(64), |a, b, c| ((u128::from(a) * u128::from(b) + u128::from(c)) >> 64) as u64);
    let signed = "mad.hi.cc.s32 %r7, %r1, %r2, %r3;\nmadc.lo.s32 %r4, 0, 0, 0;";
    check(signed, 32, &samples(32), |a, b, c| {
        let high = ((i64::from(s(a)) * i64::from(s(b))) >> 32) as u32;
        u64::from(high.overflowing_add(c as u32).1)
    });
    let borrow = "sub.cc.u64 %l7, %l1, %l2;\nsubc.cc.u64 %l8, 0, 0;\nsubc.u64 %l4, 5, 0;";
    check(borrow, 64, &samples(64), |a, b, _| 5 - u64::from(a < b));
}

#[test]
fn halves_of_integers_add_and_compare() {
    let values = samples(32);
    let pairs = |a: u64, b: u64, f: &dyn Fn(u16, u16) -> u16| {
        u64::from(f((a >> 16) as u16, (b >> 16) as u16)) << 16 | u64::from(f(a as u16, b as u16))
    };
    for ty in ["u16x2", "s16x2"] {
        check(&format!("add.{ty} %r4, %r1, %r2;"), 32, &values, |a, b, _| pairs(a, b, &u16::wrapping_add));
    }
    check("min.u16x2 %r4, %r1, %r2;", 32, &values, |a, b, _| pairs(a, b, &|a, b| a.min(b)));
    check("max.s16x2 %r4, %r1, %r2;", 32, &values, |a, b, _| pairs(a, b, &|a, b| (a as i16).max(b as i16) as u16));
    check("min.relu.s16x2 %r4, %r1, %r2;", 32, &values, |a, b, _| {
        pairs(a, b, &|a, b| (a as i16).min(b as i16).max(0) as u16)
    });
    check("max.relu.s32 %r4, %r1, %r2;", 32, &values, |a, b, _| word(s(a).max(s(b)).max(0)));
    check("min.relu.s32 %r4, %r1, %r2;", 32, &values, |a, b, _| word(s(a).min(s(b)).max(0)));
}

#[test]
fn lop3_combines_its_predicate() {
    let values = samples(32);
    let ask = |op: &str, target: &str, q: &str| {
        format!(
            "setp.gt.u32 %p2, %r3, 1000;\nlop3.{op}.b32 {target}|%p1, %r1, %r2, %r3, 0x96, {q};\nselp.b32 %r4, 1, 0, %p1;"
        )
    };
    check(&ask("or", "%r5", "%p2"), 32, &values, |a, b, c| u64::from(a ^ b ^ c != 0 || c > 1000));
    check(&ask("and", "_", "!%p2"), 32, &values, |a, b, c| u64::from(a ^ b ^ c != 0 && c <= 1000));
    check(&ask("and", "%r3", "%p2").replace("selp.b32 %r4, 1, 0, %p1", "mov.b32 %r4, %r3"), 32, &values, |a, b, c| {
        a ^ b ^ c
    });
}

#[test]
fn counts_and_bits_of_both_widths() {
    let (words, wide) = (samples(32), samples(64));
    let find = |a: u64, bits: u32, signed: bool| {
        let a = if signed && a >> (bits - 1) & 1 == 1 { !a & (u64::MAX >> (64 - bits)) } else { a };
        if a == 0 { 0xFFFF_FFFF } else { u64::from(63 - a.leading_zeros()) }
    };
    check("bfind.u32 %r4, %r1;", 32, &words, |a, _, _| find(a, 32, false));
    check("bfind.s64 %r4, %l1;", 32, &wide, |a, _, _| find(a, 64, true));
    check("bfind.shiftamt.u32 %r4, %r1;", 32, &words, |a, _, _| match find(a, 32, false) {
        0xFFFF_FFFF => 0xFFFF_FFFF,
        at => 31 - at,
    });
    check("bfind.shiftamt.s64 %r4, %l1;", 32, &wide, |a, _, _| match find(a, 64, true) {
        0xFFFF_FFFF => 0xFFFF_FFFF,
        at => 63 - at,
    });
    check("clz.b32 %r4, %r1;", 32, &words, |a, _, _| u64::from((a as u32).leading_zeros()));
    check("brev.b32 %r4, %r1;", 32, &words, |a, _, _| u64::from((a as u32).reverse_bits()));
    check("cnot.b32 %r4, %r1;", 32, &words, |a, _, _| u64::from(a == 0));
    check("cnot.b64 %l4, %l1;", 64, &wide, |a, _, _| u64::from(a == 0));
    check("or.b64 %l4, %l1, %l2;", 64, &wide, |a, b, _| a | b);
    check("xor.b16 %h4, %h1, %h2;", 16, &samples(16), |a, b, _| a ^ b);
    check("shf.r.wrap.b32 %r4, %r1, %r2, %r3;", 32, &words, |a, b, c| ((b << 32 | a) >> (c & 31)) & 0xFFFF_FFFF);
    check("shf.l.clamp.b32 %r4, %r1, %r2, %r3;", 32, &words, |a, b, c| {
        (u128::from(b << 32 | a) << c.min(32) >> 32) as u64 & 0xFFFF_FFFF
    });
    check("sub.sat.s32 %r4, %r1, %r2;", 32, &words, |a, b, _| word(s(a).saturating_sub(s(b))));
    check("sad.u64 %l4, %l1, %l2, %l3;", 64, &wide, |a, b, c| a.abs_diff(b).wrapping_add(c));
    check("bfi.b64 %l4, %l1, %l2, 9, 30;", 64, &wide, |a, b, _| {
        let mask = ((1 << 30) - 1) << 9;
        (b & !mask) | (a << 9 & mask)
    });
}

#[test]
fn set_writes_every_result_type() {
    let values = samples(32);
    let less = |a: u64, b: u64| s(a) < s(b);
    check("set.lt.f32.s32 %r4, %r1, %r2;", 32, &values, |a, b, _| if less(a, b) { 0x3F80_0000 } else { 0 });
    check("set.lt.f16.s32 %h4, %r1, %r2;", 16, &values, |a, b, _| if less(a, b) { 0x3C00 } else { 0 });
    let with = "setp.gt.u32 %p2, %r3, 1000;\n";
    check(&format!("{with}set.lt.xor.u32.s32 %r4, %r1, %r2, %p2;"), 32, &values, |a, b, c| {
        if less(a, b) != (c > 1000) { 0xFFFF_FFFF } else { 0 }
    });
    let halves: Vec<[u64; 3]> = samples(32);
    let f = |v: u64, at: u32| f16::from_bits((v >> (16 * at)) as u16);
    let g = |v: u64, at: u32| bf16::from_bits((v >> (16 * at)) as u16);
    check("set.lt.f16x2.f16x2 %r4, %r1, %r2;", 32, &halves, |a, b, _| {
        (0..2).map(|at| if f(a, at) < f(b, at) { 0x3C00_u64 << (16 * at) } else { 0 }).sum()
    });
    check("set.geu.u32.bf16x2 %r4, %r1, %r2;", 32, &halves, |a, b, _| {
        (0..2).map(|at| if g(a, at) < g(b, at) { 0 } else { 0xFFFF_u64 << (16 * at) }).sum()
    });
    check("set.gt.s16.f16 %h4, %h1, %h2;", 16, &samples(16), |a, b, _| if f(a, 0) > f(b, 0) { 0xFFFF } else { 0 });
    check("set.gt.bf16.bf16 %h4, %h1, %h2;", 16, &samples(16), |a, b, _| if g(a, 0) > g(b, 0) { 0x3F80 } else { 0 });
    let both = "setp.gt.u32 %p3, %r3, 1000;\nsetp.lt.or.f16x2 %p1|%p2, %r1, %r2, %p3;\nselp.b32 %r4, 1, 0, %p1;\n\
        selp.b32 %r5, 2, 0, %p2;\nor.b32 %r4, %r4, %r5;";
    check(both, 32, &halves, |a, b, c| (0..2).map(|at| u64::from(f(a, at) < f(b, at) || c > 1000) << at).sum());
    check("slct.f64.f32 %l4, %l1, %l2, %r3;", 64, &samples(64), |a, b, c| {
        // -0 selects the first, NaN the second.
        if f32::from_bits(c as u32) >= 0.0 { a } else { b }
    });
}

#[test]
fn wide_registers_move_in_halves() {
    let swap = "{ .reg .b128 %q<3>; mov.b128 %q1, {%l2, %l1}; mov.b128 %q2, %q1; mov.b128 {%l5, %l4}, %q2; }";
    check(swap, 64, &samples(64), |a, _, _| a);
    let first = swap.replace("{%l5, %l4}", "{%l4, %l5}");
    check(&first, 64, &samples(64), |_, b, _| b);
    // The halves of the target are sources too.
    let crossed = "{ .reg .b128 %q; mov.b128 %q, {%l1, %l2}; mov.b128 {%l2, %l1}, %q; sub.u64 %l4, %l1, %l2; }";
    check(crossed, 64, &samples(64), |a, b, _| b.wrapping_sub(a));
}

#[test]
fn special_registers_in_other_widths() {
    let values: Vec<[u64; 3]> = (0..64).map(|at| [at, 0, 0]).collect();
    check("cvt.u64.u32 %l4, %tid.x;", 64, &values, |a, _, _| a & 31);
    check("mov.u16 %h4, %laneid;", 16, &values, |a, _, _| a & 31);
    check("mov.u32 %r4, WARP_SZ;", 32, &values, |_, _, _| 32);
    check("mov.u32 %r4, %lanemask_gt;", 32, &values, |a, _, _| (0xFFFF_FFFE_u64 << (a & 31)) & 0xFFFF_FFFF);
    check(
        "mov.u32 %r4, %aggr_smem_size;\nmov.u32 %r5, %total_smem_size;\nsub.u32 %r4, %r4, %r5;",
        32,
        &values,
        |_, _, _| 1024,
    );
    check("mov.u64 %l4, %clock64;\nmov.u32 %r5, %clock_hi;\nshr.u64 %l4, %l4, 32;", 64, &values, |_, _, _| 0);
}
