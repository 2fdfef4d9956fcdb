//! Directed roundings, 16-bit arithmetic and conversions, against exact arithmetic in plain Rust.

mod common;
use common::{check, evaluate, samples};
use half::{bf16, f16};
use proptest::prelude::*;

const NAN: u32 = 0x7FFF_FFFF;

fn s(value: u64) -> i32 {
    value as u32 as i32
}

fn word(value: i32) -> u64 {
    u64::from(value as u32)
}

fn float(bits: u64) -> f32 {
    f32::from_bits(bits as u32)
}

fn canonical(value: f32) -> u64 {
    u64::from(if value.is_nan() { NAN } else { value.to_bits() })
}

/// Values whose sums and products are inexact, overflow and underflow, besides random bits.
fn floats() -> Vec<[u64; 3]> {
    let edges = [
        0.0,
        -0.0,
        1.0,
        -1.0,
        1e-45,
        -1e-45,
        1e-38,
        f32::MIN_POSITIVE,
        3.0,
        f32::MAX,
        f32::MIN,
        f32::INFINITY,
        f32::NAN,
    ];
    let mut out: Vec<[u64; 3]> = samples(32);
    for a in edges {
        for b in edges {
            out.push([a, b, -a * b].map(|value| u64::from(value.to_bits())));
        }
    }
    // Near one, where cancellation and ties happen.
    out.extend(
        (0..2000_u64).map(|i| [0x3F80_0000 + i * 7919 % 4096, 0xBF80_0000 + i * 104_729 % 4096, 0x3000_0000 + i]),
    );
    out
}

/// The neighbour of `nearest` that lies in the direction of `round` as seen from the exact value, whose difference
/// to `nearest` has the sign of `error`.
fn towards(round: &str, nearest: f32, error: f64) -> f32 {
    let exact_above = error > 0.0;
    let wanted_above = match round {
        "rp" => true,
        "rm" => false,
        _ => nearest < 0.0 || (nearest == 0.0 && nearest.is_sign_negative()),
    };
    match (wanted_above, exact_above) {
        _ if error == 0.0 => nearest,
        (true, true) => nearest.next_up(),
        (false, false) => nearest.next_down(),
        _ => nearest,
    }
}

#[test]
fn directed_roundings_of_f32_enclose_the_exact_value() {
    // f64 holds products of f32 and their distance to f32 exactly, so that the error's sign is known.
    for round in ["rz", "rm", "rp"] {
        check(&format!("mul.{round}.f32 %r4, %r1, %r2;"), 32, &floats(), |a, b, _| {
            let exact = f64::from(float(a)) * f64::from(float(b));
            let near = exact as f32;
            if near.is_nan() || exact.is_infinite() {
                return canonical(near);
            }
            let error = if near.is_infinite() { -exact } else { exact - f64::from(near) };
            canonical(towards(round, near, error))
        });
        check(&format!("add.{round}.f32 %r4, %r1, %r2;"), 32, &floats(), |a, b, _| {
            let (x, y) = (f64::from(float(a)), f64::from(float(b)));
            let near = float(a) + float(b);
            if near.is_nan() || x.is_infinite() || y.is_infinite() {
                return canonical(near);
            }
            if near == 0.0 && x != 0.0 {
                return if round == "rm" { 0x8000_0000 } else { 0 };
            }
            if near == 0.0 {
                let minus = if round == "rm" {
                    x.is_sign_negative() || y.is_sign_negative()
                } else {
                    x.is_sign_negative() && y.is_sign_negative()
                };
                return if minus { 0x8000_0000 } else { 0 };
            }
            // The larger first: near - x is exact, and so is what is left of y.
            let (x, y) = if x.abs() >= y.abs() { (x, y) } else { (y, x) };
            let error = if near.is_infinite() { -f64::from(near) } else { y - (f64::from(near) - x) };
            canonical(towards(round, near, error))
        });
        check(&format!("sqrt.{round}.f32 %r4, %r1;"), 32, &floats(), |a, _, _| {
            let near = float(a).sqrt();
            if !near.is_normal() {
                return canonical(near);
            }
            canonical(towards(round, near, f64::from(float(a)) - f64::from(near) * f64::from(near)))
        });
        check(&format!("div.{round}.f32 %r4, %r1, %r2;"), 32, &floats(), |a, b, _| {
            let (x, y) = (f64::from(float(a)), f64::from(float(b)));
            let near = float(a) / float(b);
            if near.is_nan() || x == 0.0 || y == 0.0 || x.is_infinite() || y.is_infinite() {
                return canonical(near);
            }
            // x - near * y has the sign of the error times that of y; 24 by 24 bits are exact in f64.
            let rest = if near.is_infinite() { -f64::from(near) } else { (x - f64::from(near) * y) * y.signum() };
            canonical(towards(round, near, rest))
        });
        let one = evaluate(&format!("mov.b32 %r5, 0f3F800000;\ndiv.{round}.f32 %r4, %r5, %r1;"), 32, &floats());
        assert_eq!(evaluate(&format!("rcp.{round}.f32 %r4, %r1;"), 32, &floats()), one);
    }
}

#[test]
fn flushing_looks_at_the_rounded_result() {
    // The smallest normal number less half a unit rounds up to it by .rn, and is kept; towards zero it is flushed.
    let (a, b) = (0x3F7F_FFFF_u64, 0x0080_0000_u64);
    assert_eq!(evaluate("mul.rn.ftz.f32 %r4, %r1, %r2;", 32, &[[a, b, 0]]), [0x0080_0000]);
    assert_eq!(evaluate("mul.rz.ftz.f32 %r4, %r1, %r2;", 32, &[[a, b | 1 << 31, 0]]), [0x8000_0000]);
    assert_eq!(evaluate("mul.rz.f32 %r4, %r1, %r2;", 32, &[[a, b, 0]]), [0x007F_FFFF]);
    assert_eq!(evaluate("fma.rp.ftz.f32 %r4, %r1, %r2, %r3;", 32, &[[a, b, 0]]), [0x0080_0000]);
    assert_eq!(evaluate("add.rz.sat.f32 %r4, %r1, %r2;", 32, &[[0x3F80_0000, 0x3380_0000, 0]]), [0x3F80_0000]);
}

#[test]
fn xorsign_takes_magnitudes_and_multiplies_signs() {
    for (name, max) in [("min", false), ("max", true)] {
        for nan in ["", ".NaN"] {
            check(&format!("{name}{nan}.xorsign.abs.f32 %r4, %r1, %r2;"), 32, &floats(), |a, b, _| {
                let (x, y) = (float(a).abs(), float(b).abs());
                let sign = (a ^ b) & 0x8000_0000;
                match (x.is_nan(), y.is_nan()) {
                    (true, true) => u64::from(NAN),
                    (true, _) | (_, true) if !nan.is_empty() => u64::from(NAN),
                    (true, false) => u64::from(y.to_bits()) | sign,
                    (false, true) => u64::from(x.to_bits()) | sign,
                    _ => u64::from(if (x < y) != max { x } else { y }.to_bits()) | sign,
                }
            });
        }
    }
}

#[test]
fn every_unary_operation_on_every_half() {
    let all: Vec<[u64; 3]> = (0..0x1_0000).map(|bits| [bits, 0, 0]).collect();
    let half = |a: u64| f16::from_bits(a as u16);
    let brain = |a: u64| bf16::from_bits(a as u16);
    let f16_of = |value: f32| u64::from(if value.is_nan() { 0x7FFF } else { f16::from_f32(value).to_bits() });
    let bf16_of = |value: f32| u64::from(if value.is_nan() { 0x7FFF } else { bf16::from_f32(value).to_bits() });
    check("neg.f16 %h4, %h1;", 16, &all, |a, _, _| if half(a).is_nan() { 0x7FFF } else { a ^ 0x8000 });
    check("abs.bf16 %h4, %h1;", 16, &all, |a, _, _| if brain(a).is_nan() { 0x7FFF } else { a & 0x7FFF });
    check("neg.ftz.f16 %h4, %h1;", 16, &all, |a, _, _| match half(a) {
        value if value.is_nan() => 0x7FFF,
        value if value.to_f32() != 0.0 && !value.is_normal() && value.is_finite() => (a & 0x8000) ^ 0x8000,
        _ => a ^ 0x8000,
    });
    check("tanh.approx.f16 %h4, %h1;", 16, &all, |a, _, _| f16_of(f64::from(half(a).to_f32()).tanh() as f32));
    check("tanh.approx.bf16 %h4, %h1;", 16, &all, |a, _, _| bf16_of(f64::from(brain(a).to_f32()).tanh() as f32));
    check("ex2.approx.f16 %h4, %h1;", 16, &all, |a, _, _| f16_of(f64::from(half(a).to_f32()).exp2() as f32));
    check("ex2.approx.ftz.bf16 %h4, %h1;", 16, &all, |a, _, _| {
        let flush = |value: f32| if value.is_subnormal() { 0.0_f32.copysign(value) } else { value };
        bf16_of(flush(bf16::from_bits(bf16_of((f64::from(flush(brain(a).to_f32())).exp2()) as f32) as u16).to_f32()))
    });
    for (round, f) in
        [("rni", f32::round_ties_even as fn(f32) -> f32), ("rzi", f32::trunc), ("rmi", f32::floor), ("rpi", f32::ceil)]
    {
        check(&format!("cvt.{round}.f16.f16 %h4, %h1;"), 16, &all, |a, _, _| f16_of(f(half(a).to_f32())));
        check(&format!("cvt.{round}.bf16.bf16 %h4, %h1;"), 16, &all, |a, _, _| bf16_of(f(brain(a).to_f32())));
        check(&format!("cvt.{round}.s32.bf16 %r4, %h1;"), 32, &all, |a, _, _| word(f(brain(a).to_f32()) as i32));
        check(&format!("cvt.{round}.u16.f16 %h4, %h1;"), 16, &all, |a, _, _| u64::from(f(half(a).to_f32()) as u16));
    }
    check("cvt.sat.f16.f16 %h4, %h1;", 16, &all, |a, _, _| {
        let value = half(a).to_f32();
        if value > 0.0 { f16_of(value.min(1.0)) } else { 0 }
    });
}

#[test]
fn conversions_round_in_every_direction() {
    // Every f16 and its neighbours in f32: what lies between two of them goes down or up.
    let mut values = Vec::new();
    for bits in (0..0x7C00_u32).chain(0x8000..0xFC00).step_by(3) {
        let at = f16::from_bits(bits as u16).to_f32().to_bits();
        values.extend([at, at + 1, at.wrapping_sub(1) | (at & 0x8000_0000), at + 0x1FFF].map(|v| [u64::from(v), 0, 0]));
    }
    values.extend(
        [0x477F_E000_u64, 0x477F_FFFF, 0x7F80_0000, 0xFF80_0000, 0x7FC0_0000, 0x7F7F_FFFF, 0xFF7F_FFFF]
            .map(|v| [v, 0, 0]),
    );
    for round in ["rz", "rm", "rp"] {
        check(&format!("cvt.{round}.f16.f32 %h4, %r1;"), 16, &values, |a, _, _| {
            let value = float(a);
            let near = f16::from_f32(value);
            if near.is_nan() {
                return 0x7FFF;
            }
            let up = round == "rp" || (round == "rz" && value.is_sign_negative());
            let past = if up { near.to_f32() < value } else { near.to_f32() > value };
            // One step to the asked side, along the bits of the magnitude.
            let step = |bits: u16| match (up, bits) {
                (true, 0x8000..) => bits - 1,
                (true, _) => bits + 1,
                (false, 0x8000..) => bits + 1,
                (false, 0) => 0x8001,
                (false, _) => bits - 1,
            };
            u64::from(if past { step(near.to_bits()) } else { near.to_bits() })
        });
    }
    let wide = samples(64);
    for (round, direction) in [("rz", 0), ("rm", -1), ("rp", 1)] {
        check(&format!("cvt.{round}.f32.s64 %r4, %l1;"), 32, &wide, |a, _, _| {
            let value = a as i64;
            let near = value as f32;
            let past = i128::from(value) - near as i128;
            let wanted = match direction {
                0 => -(value.signum() as i128),
                other => other as i128,
            };
            u64::from(
                if past != 0 && past.signum() == wanted {
                    if wanted > 0 { near.next_up() } else { near.next_down() }
                } else {
                    near
                }
                .to_bits(),
            )
        });
        check(&format!("cvt.{round}.f64.u64 %l4, %l1;"), 64, &wide, |a, _, _| {
            let near = a as f64;
            let past = i128::from(a) - near as i128;
            let wanted = if direction == 1 { 1 } else { -1 };
            (if past != 0 && past.signum() == wanted {
                if wanted > 0 { near.next_up() } else { near.next_down() }
            } else {
                near
            })
            .to_bits()
        });
    }
    check("cvt.rn.sat.f32.s32 %r4, %r1;", 32, &samples(32), |a, _, _| if s(a) > 0 { 0x3F80_0000 } else { 0 });
    check("cvt.rn.bf16.f16 %h4, %h1;", 16, &(0..0x1_0000).map(|a| [a, 0, 0]).collect::<Vec<_>>(), |a, _, _| {
        let value = f16::from_bits(a as u16).to_f32();
        u64::from(if value.is_nan() { 0x7FFF } else { bf16::from_f32(value).to_bits() })
    });
}

#[test]
fn fused_products_of_halves_clamp_and_forgive() {
    let values: Vec<[u64; 3]> =
        samples(16).into_iter().chain([[0x7FFF, 0x3C00, 0x3C00], [0x3C00, 0x3C00, 0x7FFF]]).collect();
    let plain = evaluate("fma.rn.f16 %h4, %h1, %h2, %h3;", 16, &values);
    let relu = evaluate("fma.rn.relu.f16 %h4, %h1, %h2, %h3;", 16, &values);
    let oob = evaluate("fma.rn.oob.f16 %h4, %h1, %h2, %h3;", 16, &values);
    for (at, plain) in plain.iter().enumerate() {
        let negative = *plain >= 0x8000;
        assert_eq!(relu[at], if negative { 0 } else { *plain });
        assert_eq!(oob[at], if values[at].contains(&0x7FFF) { 0 } else { *plain });
    }
    let gross = |op: &str, a: f64| f64::from_bits(evaluate(op, 64, &[[a.to_bits(), 0, 0]])[0]);
    for a in [3.0, -0.1, 1e300, 1e-310, f64::INFINITY, -0.0] {
        let a = f64::from_bits(f64::to_bits(a) >> 32 << 32);
        let exact = 1.0 / if a.is_subnormal() { 0.0 } else { a };
        let found = gross("rcp.approx.ftz.f64 %l4, %l1;", a);
        assert!(
            found == exact || (found / exact - 1.0).abs() < 1e-6 || exact.is_subnormal(),
            "{a}: {found}, not {exact}"
        );
        assert_eq!(found.to_bits() as u32, 0);
    }
    let root = gross("rsqrt.approx.ftz.f64 %l4, %l1;", 2.0);
    assert!((root - 0.5_f64.sqrt()).abs() < 1e-6 && root.to_bits() as u32 == 0);
    assert_eq!(gross("rcp.approx.ftz.f64 %l4, %l1;", f64::NAN).to_bits(), 0x7FFF_FFFF_0000_0000);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    // TwoSum and TwoProduct give the exact error of f64 sums and products, an other way than the simulator's.
    #[test]
    fn directed_roundings_of_f64_by_error_free_transformations(pairs in prop::collection::vec((-1e10_f64..1e10, -1e10_f64..1e10), 32)) {
        let values: Vec<[u64; 3]> = pairs.iter().map(|(a, b)| [a.to_bits(), b.to_bits(), 0]).collect();
        for (round, up) in [("rm", false), ("rp", true)] {
            for op in ["add", "mul"] {
                let found = evaluate(&format!("{op}.{round}.f64 %l4, %l1, %l2;"), 64, &values);
                for ((a, b), found) in pairs.iter().zip(found) {
                    let (near, error) = if op == "add" {
                        let sum = a + b;
                        let part = sum - a;
                        (sum, (a - (sum - part)) + (b - part))
                    } else {
                        (a * b, a.mul_add(*b, -(a * b)))
                    };
                    let wanted = match error {
                        error if error > 0.0 && up => near.next_up(),
                        error if error < 0.0 && !up => near.next_down(),
                        _ => near,
                    };
                    prop_assert_eq!(f64::from_bits(found), wanted, "{}.{} of {:e} and {:e}", op, round, a, b);
                }
            }
        }
    }
}
