//! Integer instructions against plain Rust.

mod common;
use common::{check, samples};

#[test]
fn arithmetic_of_32_bits() {
    let values = samples(32);
    let s = |value: u64| value as u32 as i32;
    let u = |value: u64| value as u32;
    check("add.s32 %r4, %r1, %r2;", 32, &values, |a, b, _| u64::from(u(a).wrapping_add(u(b))));
    check("sub.u32 %r4, %r1, %r2;", 32, &values, |a, b, _| u64::from(u(a).wrapping_sub(u(b))));
    check("mul.lo.s32 %r4, %r1, %r2;", 32, &values, |a, b, _| u64::from(u(a).wrapping_mul(u(b))));
    check("mul.hi.s32 %r4, %r1, %r2;", 32, &values, |a, b, _| {
        ((i64::from(s(a)) * i64::from(s(b))) >> 32) as u64 & 0xFFFF_FFFF
    });
    check("mul.hi.u32 %r4, %r1, %r2;", 32, &values, |a, b, _| (a * b) >> 32);
    check("mad.lo.s32 %r4, %r1, %r2, %r3;", 32, &values, |a, b, c| {
        u64::from(u(a).wrapping_mul(u(b)).wrapping_add(u(c)))
    });
    check("mul.wide.u32 %l4, %r1, %r2;", 64, &values, |a, b, _| a * b);
    check("mul.wide.s32 %l4, %r1, %r2;", 64, &values, |a, b, _| (i64::from(s(a)) * i64::from(s(b))) as u64);
    check("mad.wide.s32 %l4, %r1, %r2, %l3;", 64, &values, |a, b, c| {
        (i64::from(s(a)) * i64::from(s(b))).wrapping_add(c as i64) as u64
    });
    check("add.sat.s32 %r4, %r1, %r2;", 32, &values, |a, b, _| u64::from(s(a).saturating_add(s(b)) as u32));
    check("min.s32 %r4, %r1, %r2;", 32, &values, |a, b, _| u64::from(s(a).min(s(b)) as u32));
    check("max.u32 %r4, %r1, %r2;", 32, &values, |a, b, _| a.max(b));
    check("abs.s32 %r4, %r1;", 32, &values, |a, _, _| u64::from(s(a).wrapping_abs() as u32));
    check("neg.s32 %r4, %r1;", 32, &values, |a, _, _| u64::from(u(a).wrapping_neg()));
    check("div.u32 %r4, %r1, %r2;", 32, &values, |a, b, _| a.checked_div(b).unwrap_or(0xFFFF_FFFF));
    check("rem.u32 %r4, %r1, %r2;", 32, &values, |a, b, _| a.checked_rem(b).unwrap_or(a));
    let nonzero: Vec<_> = values.iter().copied().filter(|[_, b, _]| *b != 0).collect();
    check("div.s32 %r4, %r1, %r2;", 32, &nonzero, |a, b, _| u64::from(s(a).wrapping_div(s(b)) as u32));
    check("rem.s32 %r4, %r1, %r2;", 32, &nonzero, |a, b, _| u64::from(s(a).wrapping_rem(s(b)) as u32));
    check("sad.s32 %r4, %r1, %r2, %r3;", 32, &values, |a, b, c| u64::from(s(a).abs_diff(s(b)).wrapping_add(u(c))));
}

#[test]
fn arithmetic_of_64_bits() {
    let values = samples(64);
    let s = |value: u64| value as i64;
    check("add.s64 %l4, %l1, %l2;", 64, &values, |a, b, _| a.wrapping_add(b));
    check("sub.s64 %l4, %l1, %l2;", 64, &values, |a, b, _| a.wrapping_sub(b));
    check("mul.lo.s64 %l4, %l1, %l2;", 64, &values, |a, b, _| a.wrapping_mul(b));
    check("mul.hi.u64 %l4, %l1, %l2;", 64, &values, |a, b, _| ((u128::from(a) * u128::from(b)) >> 64) as u64);
    check("mul.hi.s64 %l4, %l1, %l2;", 64, &values, |a, b, _| ((i128::from(s(a)) * i128::from(s(b))) >> 64) as u64);
    check("mad.lo.s64 %l4, %l1, %l2, %l3;", 64, &values, |a, b, c| a.wrapping_mul(b).wrapping_add(c));
    check("min.u64 %l4, %l1, %l2;", 64, &values, |a, b, _| a.min(b));
    check("max.s64 %l4, %l1, %l2;", 64, &values, |a, b, _| s(a).max(s(b)) as u64);
    check("div.u64 %l4, %l1, %l2;", 64, &values, |a, b, _| a.checked_div(b).unwrap_or(u64::MAX));
    check("rem.u64 %l4, %l1, %l2;", 64, &values, |a, b, _| a.checked_rem(b).unwrap_or(a));
    check("and.b64 %l4, %l1, %l2;", 64, &values, |a, b, _| a & b);
    check("not.b64 %l4, %l1;", 64, &values, |a, _, _| !a);
    check("popc.b64 %r4, %l1;", 32, &values, |a, _, _| u64::from(a.count_ones()));
    check("clz.b64 %r4, %l1;", 32, &values, |a, _, _| u64::from(a.leading_zeros()));
    check("brev.b64 %l4, %l1;", 64, &values, |a, _, _| a.reverse_bits());
    let sum = "add.cc.u32 %r5, %r1, %r2;\nshr.u64 %l7, %l1, 32;\ncvt.u32.u64 %r6, %l7;\nshr.u64 %l7, %l2, 32;\n\
               cvt.u32.u64 %r7, %l7;\naddc.u32 %r6, %r6, %r7;\nmov.b64 %l4, {%r5, %r6};";
    check(sum, 64, &values, |a, b, _| a.wrapping_add(b));
    let difference = sum.replace("add.cc", "sub.cc").replace("addc", "subc");
    check(&difference, 64, &values, |a, b, _| a.wrapping_sub(b));
}

#[test]
fn arithmetic_of_16_bits_stays_in_16_bits() {
    let values = samples(16);
    let s = |value: u64| value as u16 as i16;
    check("add.s16 %h4, %h1, %h2;", 16, &values, |a, b, _| (a + b) & 0xFFFF);
    check("mul.lo.s16 %h4, %h1, %h2;", 16, &values, |a, b, _| (a * b) & 0xFFFF);
    check("mul.wide.s16 %r4, %h1, %h2;", 32, &values, |a, b, _| u64::from((i32::from(s(a)) * i32::from(s(b))) as u32));
    check("mul.wide.u16 %r4, %h1, %h2;", 32, &values, |a, b, _| a * b);
    check("max.s16 %h4, %h1, %h2;", 16, &values, |a, b, _| u64::from(s(a).max(s(b)) as u16));
    check("neg.s16 %h4, %h1;", 16, &values, |a, _, _| a.wrapping_neg() & 0xFFFF);
    check("shr.s16 %h4, %h1, %r2;", 16, &values, |a, b, _| u64::from((i32::from(s(a)) >> b.min(15)) as u16));
    check("not.b16 %h4, %h1;", 16, &values, |a, _, _| !a & 0xFFFF);
}

#[test]
fn shifts_clamp_and_funnels_take_both_words() {
    let values = samples(32);
    check("shl.b32 %r4, %r1, %r2;", 32, &values, |a, b, _| if b > 31 { 0 } else { a << b & 0xFFFF_FFFF });
    check("shr.u32 %r4, %r1, %r2;", 32, &values, |a, b, _| if b > 31 { 0 } else { a >> b });
    check("shr.s32 %r4, %r1, %r2;", 32, &values, |a, b, _| u64::from((a as u32 as i32 >> b.min(31)) as u32));
    check("shf.l.wrap.b32 %r4, %r1, %r2, %r3;", 32, &values, |a, b, c| ((b << 32 | a) << (c & 31) >> 32) & 0xFFFF_FFFF);
    check("shf.r.clamp.b32 %r4, %r1, %r2, %r3;", 32, &values, |a, b, c| ((b << 32 | a) >> c.min(32)) & 0xFFFF_FFFF);
    let wide = samples(64);
    check("shl.b64 %l4, %l1, %r2;", 64, &wide, |a, b, _| if b as u32 > 63 { 0 } else { a << (b as u32) });
    check("shr.s64 %l4, %l1, %r2;", 64, &wide, |a, b, _| (a as i64 >> (b as u32).min(63)) as u64);
}

/// The loop of the PTX document, bit by bit.
fn bfe(a: u64, pos: u32, len: u32, signed: bool, bits: u32) -> u64 {
    let (pos, len) = (pos & 0xFF, len & 0xFF);
    let bit = |at: u32| a >> at & 1;
    let sign = if !signed || len == 0 { 0 } else { bit((pos + len - 1).min(bits - 1)) };
    (0..bits).fold(0, |d, i| d | if i < len && pos + i < bits { bit(pos + i) } else { sign } << i)
}

#[test]
fn bit_fields_follow_the_document() {
    let mut values = Vec::new();
    for [a, b, _] in samples(32).into_iter().step_by(7) {
        for (pos, len) in
            [(0, 0), (0, 8), (8, 8), (24, 8), (24, 16), (31, 1), (32, 4), (0, 32), (5, 40), (255, 255), (3, 29)]
        {
            values.push([a, pos, len | b << 8 & 0xFFFF_0000]);
        }
    }
    let [p, l] = ["and.b32 %r2, %r2, 255;", "and.b32 %r3, %r3, 511;"];
    for signed in [false, true] {
        let ty = if signed { "s32" } else { "u32" };
        check(&format!("{p}{l}bfe.{ty} %r4, %r1, %r2, %r3;"), 32, &values, |a, b, c| {
            bfe(a, b as u32, c as u32 & 511, signed, 32)
        });
    }
    check(&format!("{l}bfe.s64 %l4, %l1, %r2, %r3;"), 64, &values, |a, b, c| {
        bfe(a, b as u32, c as u32 & 511, true, 64)
    });
    check(&format!("{l}bfi.b32 %r4, %r1, 0x5A5A1234, %r2, %r3;"), 32, &values, |a, pos, len| {
        let (pos, len) = (pos as u32 & 0xFF, len as u32 & 0xFF);
        (0..32).fold(0x5A5A_1234_u64, |d, i| {
            if i < len && pos + i < 32 { d & !(1 << (pos + i)) | (a >> i & 1) << (pos + i) } else { d }
        })
    });
}

#[test]
fn bytes_and_tables() {
    let values = samples(32);
    check("prmt.b32 %r4, %r1, %r2, %r3;", 32, &values, |a, b, c| {
        (0..4).fold(0, |out, i| {
            let pick = c >> (4 * i) & 15;
            let byte = (b << 32 | a) >> (8 * (pick & 7)) & 0xFF;
            let byte = if pick & 8 != 0 { if byte & 0x80 != 0 { 0xFF } else { 0 } } else { byte };
            out | byte << (8 * i)
        })
    });
    for table in [0x00_u32, 0x96, 0xE8, 0xCA, 0x80, 0xFE, 0xFF, 0x1B] {
        check(&format!("lop3.b32 %r4, %r1, %r2, %r3, {table};"), 32, &values, |a, b, c| {
            (0..32).fold(0, |out, i| {
                let row = (a >> i & 1) << 2 | (b >> i & 1) << 1 | c >> i & 1;
                out | u64::from(table >> row & 1) << i
            })
        });
    }
    check("popc.b32 %r4, %r1;", 32, &values, |a, _, _| u64::from(a.count_ones()));
    check("bfind.s32 %r4, %r1;", 32, &values, |a, _, _| {
        let a = a as u32;
        let a = if a >> 31 == 1 { !a } else { a };
        u64::from(if a == 0 { u32::MAX } else { 31 - a.leading_zeros() })
    });
    check("dp4a.s32.s32 %r4, %r1, %r2, %r3;", 32, &values, |a, b, c| {
        let byte = |v: u64, i: u32| i32::from((v >> (8 * i)) as u8 as i8);
        u64::from((0..4).fold(c as u32 as i32, |s, i| s.wrapping_add(byte(a, i) * byte(b, i))) as u32)
    });
}

#[test]
fn comparisons_and_selection() {
    let values = samples(32);
    let s = |value: u64| value as u32 as i32;
    let with = |compare: &str| format!("{compare}\nselp.b32 %r4, 1, 0, %p1;");
    check(&with("setp.lt.s32 %p1, %r1, %r2;"), 32, &values, |a, b, _| u64::from(s(a) < s(b)));
    check(&with("setp.hi.u32 %p1, %r1, %r2;"), 32, &values, |a, b, _| u64::from(a > b));
    check(&with("setp.ne.b32 %p1, %r1, %r2;"), 32, &values, |a, b, _| u64::from(a != b));
    let combined = "setp.gt.u32 %p2, %r3, 1000;\nsetp.le.and.s32 %p1|%p3, %r1, %r2, !%p2;\n";
    check(&with(combined), 32, &values, |a, b, c| u64::from(s(a) <= s(b) && c <= 1000));
    // The second result is the negated comparison, combined in the same way.
    let second = "setp.gt.u32 %p2, %r3, 1000;\nsetp.le.and.s32 %p3|%p1, %r1, %r2, !%p2;\n";
    check(&with(second), 32, &values, |a, b, c| u64::from(s(a) > s(b) && c <= 1000));
    // A guard on a comparison that writes its own guard: the second result still sees the old one.
    let own = "setp.lt.u32 %p1, %r1, 5000;\nsetp.lt.u32 %p2, %r1, 5000;\n@%p1 setp.eq.u32 %p1|%p2, %r2, 0;\n\
               selp.b32 %r4, 1, 0, %p2;";
    check(own, 32, &values, |a, b, _| u64::from(a < 5000 && b != 0));
    check("set.lt.u32.s32 %r4, %r1, %r2;", 32, &values, |a, b, _| if s(a) < s(b) { 0xFFFF_FFFF } else { 0 });
    check("slct.u32.s32 %r4, %r1, %r2, %r3;", 32, &values, |a, b, c| if s(c) >= 0 { a } else { b });
    check("setp.lt.s16 %p1, %h1, %h2;\nselp.b32 %r4, 1, 0, %p1;", 32, &samples(16), |a, b, _| {
        u64::from((a as u16 as i16) < (b as u16 as i16))
    });
}

#[test]
fn moves_split_and_join() {
    let values = samples(64);
    check("mov.b64 {%r5, %r6}, %l1;\nmov.b64 %l4, {%r6, %r5};", 64, &values, |a, _, _| a.rotate_left(32));
    check("mov.b32 {%h5, %h6}, %r1;\nmov.b32 %r4, {%h6, %h5};", 32, &values, |a, _, _| {
        u64::from((a as u32).rotate_left(16))
    });
    check(
        "{ .reg .b32 %inner; mov.b32 {_, %h5}, %r1; cvt.u32.u16 %inner, %h5; mov.b32 %r4, %inner; }",
        32,
        &values,
        |a, _, _| a >> 16 & 0xFFFF,
    );
    check("mov.u32 %r4, -1;", 32, &values, |_, _, _| 0xFFFF_FFFF);
}
