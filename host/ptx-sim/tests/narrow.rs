//! `cvt` to and from the types of tensor cores as PTX writes it. Values are held against a definition by the
//! tests beside the code, for every 8- and 16-bit input; here are operands, their order, and what is refused.

mod common;

use common::{check, load, load_error, module};

/// f32 values that fit every type, one that is too large for all but bf16 and tf32, a negative and a NaN.
fn triples() -> Vec<[u64; 3]> {
    let values = [0.0_f32, -0.0, 1.0, -2.5, 0.4375, 1.0e6, -1.0e6, f32::NAN, f32::INFINITY, f32::MAX];
    let bits = |value: f32| u64::from(value.to_bits());
    values.iter().flat_map(|a| values.iter().map(move |b| [bits(*a), bits(*b), 0])).collect()
}

fn f16(value: f32) -> u16 {
    let half = half::f16::from_f32(value);
    if half.is_nan() { 0x7FFF } else { half.to_bits() }
}

fn f32_of(bits: u64) -> f32 {
    f32::from_bits(bits as u32)
}

/// e4m3 of the values above, by hand.
fn e4m3(value: f32) -> u64 {
    let sign = if value.is_sign_negative() && !value.is_nan() { 0x80 } else { 0 };
    sign | match value.abs() {
        0.0 => 0,
        0.4375 => 0x2E,
        1.0 => 0x38,
        2.5 => 0x42,
        x if x.is_nan() => 0x7F,
        _ => 0x7E,
    }
}

/// e5m2 of the values above, by hand; 0.4375 is one and three quarters of a quarter.
fn e5m2(value: f32) -> u64 {
    let sign = if value.is_sign_negative() && !value.is_nan() { 0x80 } else { 0 };
    sign | match value.abs() {
        0.0 => 0,
        0.4375 => 0x37,
        1.0 => 0x3C,
        2.5 => 0x41,
        x if x.is_nan() => 0x7F,
        _ => 0x7B,
    }
}

#[test]
fn the_first_source_goes_into_the_upper_part() {
    let values = triples();
    check("cvt.rn.satfinite.e4m3x2.f32 %h4, %r1, %r2;", 16, &values, |a, b, _| e4m3(f32_of(a)) << 8 | e4m3(f32_of(b)));
    check("cvt.rn.satfinite.e5m2x2.f32 %h4, %r1, %r2;", 16, &values, |a, b, _| e5m2(f32_of(a)) << 8 | e5m2(f32_of(b)));
    let rectified = |value: f32| if value.is_sign_negative() { 0.0 } else { value };
    check("cvt.rn.satfinite.relu.e4m3x2.f32 %h4, %r1, %r2;", 16, &values, move |a, b, _| {
        e4m3(rectified(f32_of(a))) << 8 | e4m3(rectified(f32_of(b)))
    });
    check("cvt.rn.f16x2.f32 %r4, %r1, %r2;", 32, &values, |a, b, _| {
        u64::from(f16(f32_of(a))) << 16 | u64::from(f16(f32_of(b)))
    });
    check("cvt.rn.satfinite.f16x2.f32 %r4, %r1, %r2;", 32, &values, |a, b, _| {
        let finite = |value: f32| f16(if value.is_nan() { value } else { value.clamp(-65504.0, 65504.0) });
        u64::from(finite(f32_of(a))) << 16 | u64::from(finite(f32_of(b)))
    });
    check("cvt.rz.satfinite.bf16.f32 %h4, %r1;", 16, &values, |a, _, _| {
        let value = f32_of(a);
        let towards_zero = (value.to_bits() >> 16) as u16;
        u64::from(match value {
            x if x.is_nan() => 0x7FFF,
            x if x.is_infinite() => 0x7F7F,
            _ => towards_zero,
        })
    });
}

#[test]
fn pairs_of_halves_and_of_bytes_keep_their_order() {
    let halves: Vec<[u64; 3]> = triples()
        .iter()
        .map(|[a, b, _]| [u64::from(f16(f32_of(*a))) << 16 | u64::from(f16(f32_of(*b))), 0, 0])
        .collect();
    let half = |bits: u64| half::f16::from_bits(bits as u16).to_f32();
    check("cvt.rn.satfinite.e4m3x2.f16x2 %h4, %r1;", 16, &halves, |a, _, _| e4m3(half(a >> 16)) << 8 | e4m3(half(a)));
    // 0x3C is 1.5 in e4m3 and 1 in e5m2; 0xBC is its negative.
    check("cvt.rn.f16x2.e4m3x2 %r4, %h1;", 32, &[[0x3CBC, 0, 0], [0x7F00, 0, 0]], |a, _, _| {
        if a == 0x3CBC { 0x3E00_BE00 } else { 0x7FFF_0000 }
    });
    check("cvt.rn.relu.f16x2.e5m2x2 %r4, %h1;", 32, &[[0x3CBC, 0, 0], [0x7CFC, 0, 0]], |a, _, _| {
        if a == 0x3CBC { 0x3C00_0000 } else { 0x7C00_0000 }
    });
}

#[test]
fn tf32_keeps_nineteen_bits_by_each_rounding() {
    // A tie with an even and with an odd last place, and one past it.
    let values: Vec<[u64; 3]> =
        [0x3F80_1000_u64, 0x3F80_3000, 0x3F80_1001, 0xBF80_0FFF, 0x7F7F_FFFF].iter().map(|a| [*a, 0, 0]).collect();
    let expect = |statement: &str, wanted: [u64; 5]| {
        check(statement, 32, &values, |a, _, _| wanted[values.iter().position(|value| value[0] == a).unwrap()]);
    };
    expect("cvt.rn.tf32.f32 %r4, %r1;", [0x3F80_0000, 0x3F80_4000, 0x3F80_2000, 0xBF80_0000, 0x7F80_0000]);
    expect("cvt.rna.tf32.f32 %r4, %r1;", [0x3F80_2000, 0x3F80_4000, 0x3F80_2000, 0xBF80_0000, 0x7F80_0000]);
    expect("cvt.rz.tf32.f32 %r4, %r1;", [0x3F80_0000, 0x3F80_2000, 0x3F80_0000, 0xBF80_0000, 0x7F7F_E000]);
    expect("cvt.rna.satfinite.tf32.f32 %r4, %r1;", [0x3F80_2000, 0x3F80_4000, 0x3F80_2000, 0xBF80_0000, 0x7F7F_E000]);
    expect("cvt.rz.relu.tf32.f32 %r4, %r1;", [0x3F80_0000, 0x3F80_2000, 0x3F80_0000, 0, 0x7F7F_E000]);
}

/// For every rounding and modifier: what ptxas 13.0 assembles for sm_90 is loaded, and nothing else is.
#[test]
fn conversions_that_ptxas_refuses_are_refused() {
    // Result and source; roundings without and with .satfinite; operands.
    let table: [(&str, &str, &str, &str); 11] = [
        ("e4m3x2.f32", "", "rn", "%h1, %r1, %r2"),
        ("e5m2x2.f32", "", "rn", "%h1, %r1, %r2"),
        ("e4m3x2.f16x2", "", "rn", "%h1, %r1"),
        ("e5m2x2.f16x2", "", "rn", "%h1, %r1"),
        ("e5m2x2.bf16x2", "", "", "%h1, %r1"),
        ("f16x2.e4m3x2", "rn", "", "%r1, %h1"),
        ("f16x2.e5m2x2", "rn", "", "%r1, %h1"),
        ("bf16x2.e4m3x2", "", "", "%r1, %h1"),
        ("f16x2.f32", "rn rz", "rn rz", "%r1, %r2, %r3"),
        ("bf16x2.f32", "rn rz", "rn rz", "%r1, %r2, %r3"),
        ("tf32.f32", "rn rz rna", "rna", "%r1, %r2"),
    ];
    let (mut taken, mut refused) = (0, 0);
    for (types, plain, finite, operands) in table {
        for rounding in ["", "rn", "rz", "rna", "rm", "rp"] {
            for (modifiers, roundings) in [
                ("", plain),
                (".relu", plain),
                (".satfinite", finite),
                (".satfinite.relu", finite),
                (".sat", ""),
                (".ftz", ""),
            ] {
                let dot = if rounding.is_empty() { "" } else { "." };
                let text = module("", "", &format!("cvt{dot}{rounding}{modifiers}.{types} {operands};"));
                // .rna rounds tf32 only, and never with .relu.
                let known = roundings.split(' ').any(|name| !name.is_empty() && name == rounding);
                if known && !(rounding == "rna" && modifiers.contains("relu")) {
                    load(&text);
                    taken += 1;
                } else {
                    load_error(&text);
                    refused += 1;
                }
            }
        }
    }
    // By hand: 4 times 2, 2 times 2, 2 times 8, and for tf32 4 with .rn and .rz, 2 with .rna.
    assert_eq!((taken, refused), (8 + 4 + 16 + 6, 11 * 36 - 34));
    for refused in [
        "cvt.rn.satfinite.e4m3x2.f32 %r1, %r2, %r3;",
        "cvt.rn.satfinite.e4m3x2.f32 %h1, %r2;",
        "cvt.rn.f16x2.e4m3x2 %r1, 5;",
        "cvt.rn.f16x2.e4m3x2 %r1, %r2;",
        "cvt.rm.satfinite.f16.f32 %h1, %r1;",
        "cvt.rn.sat.satfinite.f16.f32 %h1, %r1;",
        "cvt.rn.satfinite.f16.f16 %h1, %h2;",
    ] {
        load_error(&module("", "", refused));
    }
    let old = module("", "", "cvt.rn.satfinite.e4m3x2.f32 %h1, %r1, %r2;").replace("sm_90", "sm_80");
    assert!(load_error(&old).to_string().contains("sm_89"));
}
