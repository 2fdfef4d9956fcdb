//! Floating-point instructions and conversions against plain Rust, exhaustively where the domain is small.

mod common;
use common::{check, evaluate};
use half::{bf16, f16};

const NAN: u64 = 0x7FFF_FFFF;

fn floats() -> Vec<[u64; 3]> {
    let edges: Vec<f32> = vec![
        0.0,
        -0.0,
        1.0,
        -1.0,
        0.5,
        -0.5,
        1.5,
        2.5,
        -2.5,
        126.5,
        127.5,
        128.5,
        -128.5,
        1e-40,
        -1e-40,
        1e38,
        -3e38,
        f32::MIN_POSITIVE,
        f32::MAX,
        f32::INFINITY,
        f32::NEG_INFINITY,
        f32::NAN,
        16_777_217.0,
        65_504.0,
        65_519.0,
        65_520.0,
    ];
    let mut out = Vec::new();
    for a in &edges {
        for b in &edges {
            out.push([*a, *b, 0.25].map(|value| u64::from(value.to_bits())));
        }
    }
    let mut state = 3_u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        state >> 32
    };
    out.extend((0..4000).map(|_| [next(), next(), next()]));
    out
}

fn f(bits: u64) -> f32 {
    f32::from_bits(bits as u32)
}

fn canonical(value: f32) -> u64 {
    if value.is_nan() { NAN } else { u64::from(value.to_bits()) }
}

#[test]
fn arithmetic_is_ieee_and_nan_is_canonical() {
    let values = floats();
    check("add.rn.f32 %r4, %r1, %r2;", 32, &values, |a, b, _| canonical(f(a) + f(b)));
    check("sub.f32 %r4, %r1, %r2;", 32, &values, |a, b, _| canonical(f(a) - f(b)));
    check("mul.rn.f32 %r4, %r1, %r2;", 32, &values, |a, b, _| canonical(f(a) * f(b)));
    check("div.rn.f32 %r4, %r1, %r2;", 32, &values, |a, b, _| canonical(f(a) / f(b)));
    check("fma.rn.f32 %r4, %r1, %r2, %r3;", 32, &values, |a, b, c| canonical(f(a).mul_add(f(b), f(c))));
    check("rcp.rn.f32 %r4, %r1;", 32, &values, |a, _, _| canonical(1.0 / f(a)));
    check("sqrt.rn.f32 %r4, %r1;", 32, &values, |a, _, _| canonical(f(a).sqrt()));
    check("abs.f32 %r4, %r1;", 32, &values, |a, _, _| a & 0x7FFF_FFFF);
    check("neg.f32 %r4, %r1;", 32, &values, |a, _, _| a ^ 0x8000_0000);
    let flush = |a: u64| if f(a).is_subnormal() { f(a & 0x8000_0000) } else { f(a) };
    check("mul.ftz.f32 %r4, %r1, %r2;", 32, &values, |a, b, _| {
        canonical(flush(u64::from((flush(a) * flush(b)).to_bits())))
    });
    check("add.sat.f32 %r4, %r1, %r2;", 32, &values, |a, b, _| {
        let sum = f(a) + f(b);
        u64::from(if sum > 0.0 { sum.min(1.0) } else { 0.0 }.to_bits())
    });
}

#[test]
fn minimum_and_maximum_ignore_nan_and_order_zeros() {
    // Zeros compare by sign, a NaN loses unless both are; `.NaN` keeps it.
    let order = |value: f32| {
        let bits = value.to_bits() as i32;
        if bits < 0 { i32::MIN.wrapping_sub(bits) - 1 } else { bits }
    };
    let pick = move |a: u64, b: u64, less: bool| match (f(a).is_nan(), f(b).is_nan()) {
        (true, true) => NAN,
        (true, false) => b,
        (false, true) => a,
        _ => {
            if (order(f(a)) <= order(f(b))) == less {
                a
            } else {
                b
            }
        }
    };
    check("min.f32 %r4, %r1, %r2;", 32, &floats(), |a, b, _| pick(a, b, true));
    check("max.f32 %r4, %r1, %r2;", 32, &floats(), |a, b, _| pick(a, b, false));
    check("max.NaN.f32 %r4, %r1, %r2;", 32, &floats(), |a, b, _| {
        if f(a).is_nan() || f(b).is_nan() { NAN } else { pick(a, b, false) }
    });
}

#[test]
fn comparisons_know_unordered() {
    for (name, holds) in [
        ("eq", (|a, b| a == b) as fn(f32, f32) -> bool),
        ("ne", |a, b| a != b && !a.is_nan() && !b.is_nan()),
        ("lt", |a, b| a < b),
        ("le", |a, b| a <= b),
        ("gt", |a, b| a > b),
        ("ge", |a, b| a >= b),
        ("equ", |a, b| a == b || a.is_nan() || b.is_nan()),
        ("neu", |a, b| a != b),
        ("ltu", |a, b| !matches!(a.partial_cmp(&b), Some(std::cmp::Ordering::Equal | std::cmp::Ordering::Greater))),
        ("geu", |a, b| !matches!(a.partial_cmp(&b), Some(std::cmp::Ordering::Less))),
        ("num", |a, b| !a.is_nan() && !b.is_nan()),
        ("nan", |a, b| a.is_nan() || b.is_nan()),
    ] {
        let op = format!("setp.{name}.f32 %p1, %r1, %r2;\nselp.b32 %r4, 1, 0, %p1;");
        check(&op, 32, &floats(), |a, b, _| u64::from(holds(f(a), f(b))));
    }
}

#[test]
fn every_f16_and_bf16_widens_exactly() {
    let all: Vec<[u64; 3]> = (0..0x1_0000).map(|bits| [bits, 0, 0]).collect();
    check("cvt.f32.f16 %r4, %h1;", 32, &all, |a, _, _| canonical(f16::from_bits(a as u16).to_f32()));
    check("cvt.f32.bf16 %r4, %h1;", 32, &all, |a, _, _| canonical(bf16::from_bits(a as u16).to_f32()));
    check("cvt.f32.f16 %r4, %h1;\ncvt.rn.f16.f32 %h4, %r4;", 16, &all, |a, _, _| {
        if f16::from_bits(a as u16).is_nan() { 0x7FFF } else { a }
    });
}

#[test]
fn narrowing_rounds_to_nearest_even_at_every_half_way_point() {
    // Each f16 or bf16, and the values next to the middle of it and its successor.
    let mut values = Vec::new();
    for bits in 0..0xFFFF_u32 {
        let pair = [f16::from_bits(bits as u16), f16::from_bits(bits as u16 + 1)].map(f16::to_f32);
        let middle = (f64::from(pair[0]) + f64::from(pair[1])) / 2.0;
        let m = (middle as f32).to_bits();
        let b = bits << 16 | 0x8000;
        values.extend([m, m.wrapping_sub(1), m.wrapping_add(1), b, b - 1, b + 1].map(|bits| [u64::from(bits), 0, 0]));
    }
    values.extend(floats());
    let half16 = |a: u64| if f(a).is_nan() { 0x7FFF } else { u64::from(f16::from_f32(f(a)).to_bits()) };
    let brain = |a: u64| if f(a).is_nan() { 0x7FFF } else { u64::from(bf16::from_f32(f(a)).to_bits()) };
    check("cvt.rn.f16.f32 %h4, %r1;", 16, &values, |a, _, _| half16(a));
    check("cvt.rn.bf16.f32 %h4, %r1;", 16, &values, |a, _, _| brain(a));
    check("cvt.rn.bf16x2.f32 %r4, %r1, %r2;", 32, &values[..5000], |a, b, _| brain(a) << 16 | brain(b));
    check("cvt.rn.f16x2.f32 %r4, %r1, %r2;", 32, &floats(), |a, b, _| half16(a) << 16 | half16(b));
}

#[test]
fn conversions_to_integers_clamp_and_turn_nan_into_zero() {
    let mut values = floats();
    // Every quarter around the limits of s8, ties included.
    values.extend((-600..600).map(|quarter| [u64::from((quarter as f32 / 4.0).to_bits()), 0, 0]));
    check("cvt.rni.sat.s8.f32 %r4, %r1;", 32, &values, |a, _, _| {
        u64::from(i32::from(f(a).round_ties_even() as i8) as u32)
    });
    check("cvt.rni.s8.f32 %h4, %r1;", 16, &values, |a, _, _| u64::from(i16::from(f(a).round_ties_even() as i8) as u16));
    check("cvt.rzi.u8.f32 %r4, %r1;", 32, &values, |a, _, _| u64::from(f(a) as u8));
    check("cvt.rzi.s32.f32 %r4, %r1;", 32, &values, |a, _, _| u64::from(f(a) as i32 as u32));
    check("cvt.rmi.s32.f32 %r4, %r1;", 32, &values, |a, _, _| u64::from(f(a).floor() as i32 as u32));
    check("cvt.rpi.u32.f32 %r4, %r1;", 32, &values, |a, _, _| u64::from(f(a).ceil() as u32));
    check("cvt.rni.s64.f32 %l4, %r1;", 64, &values, |a, _, _| {
        if f(a).is_nan() { 1 << 63 } else { f(a).round_ties_even() as i64 as u64 }
    });
    check("cvt.rni.f32.f32 %r4, %r1;", 32, &values, |a, _, _| canonical(f(a).round_ties_even()));
    check("cvt.rzi.f32.f32 %r4, %r1;", 32, &values, |a, _, _| canonical(f(a).trunc()));
}

#[test]
fn conversions_from_integers() {
    let values = common::samples(32);
    check("cvt.rn.f32.s32 %r4, %r1;", 32, &values, |a, _, _| u64::from((a as u32 as i32 as f32).to_bits()));
    check("cvt.rn.f32.u32 %r4, %r1;", 32, &values, |a, _, _| u64::from((a as u32 as f32).to_bits()));
    check("cvt.rn.f64.s32 %l4, %r1;", 64, &values, |a, _, _| f64::from(a as u32 as i32).to_bits());
    check("cvt.rn.f16.s32 %h4, %r1;", 16, &values, |a, _, _| {
        u64::from(f16::from_f64(f64::from(a as u32 as i32)).to_bits())
    });
    let wide = common::samples(64);
    check("cvt.rn.f32.u64 %r4, %l1;", 32, &wide, |a, _, _| u64::from((a as f32).to_bits()));
    check("cvt.s64.s32 %l4, %r1;", 64, &wide, |a, _, _| a as i32 as u64);
    check("cvt.u64.u32 %l4, %r1;", 64, &wide, |a, _, _| a & 0xFFFF_FFFF);
    check("cvt.s32.s8 %r4, %r1;", 32, &wide, |a, _, _| u64::from(a as i8 as u32));
    check("cvt.sat.u8.s32 %r4, %r1;", 32, &wide, |a, _, _| (a as i32).clamp(0, 255) as u64);
    check("cvt.sat.s16.s64 %h4, %l1;", 16, &wide, |a, _, _| u64::from((a as i64).clamp(-32768, 32767) as u16));
    check("cvt.s8.s32 %h4, %r1;", 16, &wide, |a, _, _| u64::from(i16::from(a as i8) as u16));
}

#[test]
fn arithmetic_of_halves_rounds_once() {
    let mut values: Vec<[u64; 3]> = Vec::new();
    let mut state = 11_u64;
    for _ in 0..20_000 {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(99);
        values.push([state >> 48, state >> 32 & 0xFFFF, state >> 16 & 0xFFFF]);
    }
    let wide = |a: u64| f16::from_bits(a as u16).to_f64();
    let narrow = |value: f64| nearest(value, |bits| f16::from_bits(bits).to_f64(), 0x7C00);
    // Sums, products and their sums of f16 are exact in f64, or far from a tie.
    check("add.rn.f16 %h4, %h1, %h2;", 16, &values, |a, b, _| narrow(wide(a) + wide(b)));
    check("mul.rn.f16 %h4, %h1, %h2;", 16, &values, |a, b, _| narrow(wide(a) * wide(b)));
    check("fma.rn.f16 %h4, %h1, %h2, %h3;", 16, &values, |a, b, c| narrow(wide(a) * wide(b) + wide(c)));
    let brain = |a: u64| bf16::from_bits(a as u16).to_f64();
    check("mul.rn.bf16 %h4, %h1, %h2;", 16, &values, |a, b, _| {
        nearest(brain(a) * brain(b), |bits| bf16::from_bits(bits).to_f64(), 0x7F80)
    });
}

/// The bits of the value nearest to `value` in a 16-bit format, ties to even. Found by bisection: the `half`
/// crate's own f64 conversions drop low bits and round some sums the wrong way.
fn nearest(value: f64, widen: impl Fn(u16) -> f64, infinity: u16) -> u64 {
    if value.is_nan() {
        return 0x7FFF;
    }
    let sign = if value.is_sign_negative() { 0x8000 } else { 0 };
    let value = value.abs();
    let (mut low, mut high) = (0_u16, infinity);
    while high - low > 1 {
        let middle = low + (high - low) / 2;
        if widen(middle) <= value { low = middle } else { high = middle }
    }
    // Infinity rounds as if the format went on for one more step.
    let above = if high == infinity { 2.0 * widen(low) - widen(low - 1) } else { widen(high) };
    let (down, up) = (value - widen(low), above - value);
    let rounds_up = up < down || (up == down && low & 1 == 1);
    u64::from(sign | if rounds_up || value >= above { high } else { low })
}

#[test]
fn a_third_part_decides_a_tie_however_small_it_is() {
    let one = |value: f32| u64::from(bf16::from_f32(value).to_bits());
    // 1.0078125 squared is 1 + 2^-6 + 2^-14; 1.5 * 1.0078125 = 1.51171875 lies half way between two bf16.
    let (a, b, tiny) = (one(1.5), one(1.0078125), one(1e-30));
    let sum = |c: u64| evaluate("fma.rn.bf16 %h4, %h1, %h2, %h3;", 16, &[[a, b, c]])[0];
    let (below, tie, above) = (sum(tiny | 0x8000), sum(0), sum(tiny));
    assert_eq!((below, above), (0x3FC1, 0x3FC2));
    assert_eq!(tie, 0x3FC2, "ties go to even");
}
