//! Values worked out by hand from NUMERICS.md, so that the oracle is not its own witness.

use half::{bf16, f16};
use oracle::*;

const NAN: u32 = 0x7fff_ffff;

fn bits(v: &[f32]) -> Vec<u32> {
    v.iter().map(|v| v.to_bits()).collect()
}

#[test]
fn absmax_keeps_nan_and_ignores_signs() {
    let payload = f32::from_bits(0xffc0_1234);
    let x = [1.0, -3.0, 2.0, 0.0, -0.0, 0.0, 9.0, payload, f32::INFINITY, f32::NEG_INFINITY, 1e-45, 1.0];
    assert_eq!(bits(&row_absmax(&x, 4, 3)), [3f32.to_bits(), 0, NAN, f32::INFINITY.to_bits()]);
    assert_eq!(tensor_absmax(&x).to_bits(), NAN);
    // NaN first, in the middle and last: none may be dropped.
    for at in 0..3 {
        let mut row = [1.0f32; 3];
        row[at] = f32::NAN;
        assert_eq!(bits(&row_absmax(&row, 1, 3)), [NAN]);
    }
    assert_eq!(tensor_absmax(&[]).to_bits(), 0);
    assert_eq!(bits(&row_absmax(&[], 2, 0)), [0, 0]);
}

#[test]
fn scale_has_a_floor_a_one_and_keeps_what_is_not_finite() {
    assert_eq!(scale_from_absmax(127.0), 1.0);
    assert_eq!(scale_from_absmax(254.0), 2.0);
    assert_eq!(scale_from_absmax(0.0), 1.0);
    // 1 / 127 = 0x3C010204 to 24 bits (0.00787401574…).
    assert_eq!(scale_from_absmax(1.0).to_bits(), 0x3c01_0204);
    let floor = f32::from_bits(27 << 23);
    assert_eq!(floor, 2f32.powi(-100));
    assert_eq!(scale_from_absmax(1e-45), floor);
    // 127 · 2⁻¹⁰⁰ gives the floor itself, twice that twice the floor.
    assert_eq!(scale_from_absmax(127.0 * floor), floor);
    assert_eq!(scale_from_absmax(254.0 * floor), 2.0 * floor);
    assert_eq!(scale_from_absmax(f32::INFINITY), f32::INFINITY);
    assert_eq!(scale_from_absmax(f32::from_bits(0x7fa0_0001)).to_bits(), NAN);
}

#[test]
fn codes_round_ties_to_even_and_stop_at_127() {
    let ties = [0.5, 1.5, 2.5, 3.5, -0.5, -1.5, -2.5, 125.5, 126.5, 127.5, -126.5, -127.5, -128.0, 1e30, -0.0];
    let want = [0, 2, 2, 4, 0, -2, -2, 126, 126, 127, -126, -127, -127, 127, 0];
    assert_eq!(ties.map(|x| code(x, 1.0)), want);
    assert_eq!(ties.map(|x| code(x * 0.25, 0.25)), want);
    assert_eq!([f32::NAN, f32::INFINITY, f32::NEG_INFINITY].map(|x| code(x, 1.0)), [0, 127, -127]);
    // Under a scale that is not finite every quotient is NaN or 0.
    assert_eq!([1.0, f32::MAX, f32::INFINITY, f32::NAN].map(|x| code(x, f32::INFINITY)), [0; 4]);
    assert_eq!([1.0, 0.0, f32::INFINITY].map(|x| code(x, f32::NAN)), [0; 3]);
}

#[test]
fn quotient_is_the_f32_one() {
    // x next to (q + ½) · s: what lies beside a half exactly can lie on it after rounding to f32, so that a
    // float64 division, or a product with 1 / s, gives another code.
    let mut differ_f64 = 0;
    let mut differ_reciprocal = 0;
    for i in 0..1000u32 {
        let s = scale_from_absmax(1.0 + i as f32 / 1000.0);
        for q in 0..127 {
            let x = ((f64::from(q) + 0.5) * f64::from(s)) as f32;
            let of_f64 = (f64::from(x) / f64::from(s)).round_ties_even() as i8;
            let of_reciprocal = (x * (1.0 / s)).round_ties_even() as i8;
            differ_f64 += u32::from(of_f64 != code(x, s));
            differ_reciprocal += u32::from(of_reciprocal != code(x, s));
        }
    }
    // Near ties all three formulas are tried hard: if they never differed, this test would prove nothing.
    assert!(differ_f64 > 1000, "{differ_f64}");
    assert!(differ_reciprocal > 1000, "{differ_reciprocal}");
}

#[test]
fn token_rows_are_independent() {
    #[rustfmt::skip]
    let x = [
        127.0, 63.5, -0.5, 2.0,
        0.0, -0.0, 0.0, 0.0,
        1.0, f32::NAN, 2.0, 3.0,
        1.0, f32::NEG_INFINITY, 2.0, 3.0,
    ];
    let (q, s) = quantize_token(&x, 4, 4);
    assert_eq!(q, [127, 64, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    assert_eq!(bits(&s), [1f32.to_bits(), 1f32.to_bits(), NAN, f32::INFINITY.to_bits()]);
    assert_eq!(quantize_token(&[], 0, 4), (vec![], vec![]));
}

#[test]
fn tensor_scale_of_nothing_is_one() {
    assert_eq!(quantize_tensor(&[]), (vec![], 1.0));
    assert_eq!(quantize_tensor(&[254.0, -1.0, 3.0]), (vec![127, 0, 2], 2.0));
}

#[test]
fn static_scale_counts_what_it_cannot_carry() {
    let x = [1.0, f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 1000.0, -1000.0];
    let quantized = quantize_static(&x, 2.0).unwrap();
    assert_eq!((quantized.codes, quantized.non_finite, quantized.saturated), (vec![0, 0, 127, -127, 127, -127], 3, 4));
    // 127.5 rounds to 128, the even one; the number before it to 127.
    assert_eq!(quantize_static(&[127.5, -127.5, 127.5f32.next_down(), 127.0], 1.0).unwrap().saturated, 2);
    let (least, most) = (2f32.powi(-100), 2f32.powi(100));
    for scale in [least, most] {
        assert!(quantize_static(&x, scale).is_ok());
    }
    for scale in [least.next_down(), most.next_up(), 0.0, -1.0, f32::INFINITY, f32::NAN] {
        let error = quantize_static(&x, scale).unwrap_err();
        assert!(matches!(error, Error::ScaleOutOfRange { .. }) && error.to_string().contains("2^-100"), "{error}");
    }
}

#[test]
fn packing_pads_with_zeros_to_128_and_skips_what_lies_between() {
    let packed = pack_rows(&[1, -128, 99, 99, 3, 4], 2, 2, 4);
    assert_eq!(packed.len(), 256);
    assert_eq!((&packed[..3], &packed[128..131]), (&[1, -128, 0][..], &[3, 4, 0][..]));
    assert_eq!(packed.iter().filter(|&&q| q != 0).count(), 4);
    // A row that is a multiple of 128 already gets nothing more.
    assert_eq!(pack_rows(&[7; 128], 1, 128, 128), [7; 128]);
}

#[test]
fn products_are_exact_up_to_the_limit() {
    assert_eq!(gemm_i32(&[1, 2, 3, -4, 5, 6], &[1, 0, -1, 2, 2, 2], 2, 2, 3), Ok(vec![-2, 12, -10, 14]));
    let (most, k) = (vec![127i8; MAX_K], MAX_K);
    let least: Vec<i8> = most.iter().map(|q| -q).collect();
    assert_eq!(gemm_i32(&most, &most, 1, 1, k), Ok(vec![127 * 127 * 133_144]));
    assert_eq!(gemm_i32(&most, &least, 1, 1, k), Ok(vec![-127 * 127 * 133_144]));
    assert_eq!(gemm_i32(&[], &[], 0, 0, MAX_K + 1), Err(Error::KTooLarge { k: 133_145 }));
    // Codes of -128 are not ours; K = 131,072 of them leaves int32 by one, and it does not wrap.
    let foreign = vec![-128i8; 131_072];
    let error = Error::AccumulatorOverflow { row: 0, col: 0, sum: 1 << 31 };
    assert_eq!(gemm_i32(&foreign, &foreign, 1, 1, 131_072), Err(error));
    assert_eq!(gemm_i32(&[], &[1, 2], 0, 1, 2), Ok(vec![]));
}

#[test]
fn epilogue_rounds_where_the_contract_says() {
    let one = |acc: i32, s_x: f32, s_w: f32, bias: f32| {
        let bias = [bias];
        let by = Dequant { s_x: &[s_x], s_w: &[s_w], bias: Some(&bias) };
        (dequant_f32(&[acc], 1, 1, &by)[0], dequant_f16(&[acc], 1, 1, &by)[0], dequant_bf16(&[acc], 1, 1, &by)[0])
    };
    // int32 to f32: 2²⁴ + 1 falls to 2²⁴, 2²⁴ + 3 rises to 2²⁴ + 4.
    assert_eq!(one(16_777_217, 1.0, 1.0, 0.0).0, 16_777_216.0);
    assert_eq!(one(16_777_219, 1.0, 1.0, 0.0).0, 16_777_220.0);
    // fma, not product and sum: (1 + 2⁻²³)² − 1 = 2⁻²² + 2⁻⁴⁶ is exact under one rounding only.
    let a = 1.0 + f32::EPSILON;
    assert_eq!(one(1, a, a, -1.0).0, 2f32.powi(-22) + 2f32.powi(-46));
    // The order: s_w · acc first. s_x · s_w first would leave the range of f32 (2⁻¹⁵⁰) and give 0.
    let (tiny, step) = (2f32.powi(-75), 1.0 + f32::EPSILON);
    assert_eq!(one(1 << 30, tiny, tiny * step, 0.0).0, 2f32.powi(-120) * step);
    // f16 overflows to infinity from 65,520 on, and rounds the f32: 2049 is a tie, 2048 is even.
    assert_eq!(one(65_519, 1.0, 1.0, 0.0).1, f16::MAX);
    assert_eq!(one(-65_520, 1.0, 1.0, 0.0).1, f16::NEG_INFINITY);
    assert_eq!(one(2049, 1.0, 1.0, 0.0).1.to_f32(), 2048.0);
    // Two roundings: 2049 + 2⁻¹⁴ is 2049 in f32 and then 2048; straight to f16 it would be 2050.
    assert_eq!(one(2049, 1.0, 1.0, 2f32.powi(-14)).1.to_f32(), 2048.0);
    assert_eq!(one(257, 1.0, 1.0, 0.0).2, bf16::from_f32(256.0));
    assert_eq!(one(259, 1.0, 1.0, 0.0).2, bf16::from_f32(260.0));
    // NaN is the one NaN in each type.
    let nan = one(0, f32::INFINITY, 1.0, 0.0);
    assert_eq!((nan.0.to_bits(), nan.1.to_bits(), nan.2.to_bits()), (NAN, 0x7fff, 0x7fff));
    // No bias adds +0: -0 does not survive.
    let none = Dequant { s_x: &[-1.0], s_w: &[1.0], bias: None };
    assert_eq!(dequant_f32(&[0], 1, 1, &none)[0].to_bits(), 0);
}

#[test]
fn a_nan_stays_in_its_row_or_column() {
    let (m, n, k) = (3, 4, 5);
    let mut x: Vec<f32> = (0..m * k).map(|i| i as f32 - 6.0).collect();
    let mut w: Vec<f32> = (0..n * k).map(|i| (i * i % 17) as f32 - 8.0).collect();
    x[k + 2] = f32::NAN;
    w[3 * k] = f32::INFINITY;
    let layer = linear(&x, &w, k, Scheme::Token).unwrap();
    let y = dequant_f32(&layer.acc, m, n, &layer.dequant(Some(&[1.0; 4])));
    for row in 0..m {
        for col in 0..n {
            assert_eq!(y[row * n + col].is_nan(), row == 1 || col == 3, "({row}, {col})");
        }
    }
    let all = linear(&x, &w, k, Scheme::Tensor).unwrap();
    assert!(dequant_f32(&all.acc, m, n, &all.dequant(None)).iter().all(|y| y.to_bits() == NAN));
    // A static scale carries none of it: finite where w is.
    let fixed = linear(&x, &w, k, Scheme::Static(0.05)).unwrap();
    assert!(
        dequant_f32(&fixed.acc, m, n, &fixed.dequant(None)).iter().enumerate().all(|(i, y)| y.is_nan() == (i % n == 3))
    );
}

#[test]
fn metrics_of_known_errors() {
    let exact = metrics(&[3.0, 4.0], &[3.0, 4.0], 1, 2);
    assert_eq!((exact.relative_error, exact.sqnr_db, exact.worst_token), (0.0, f64::INFINITY, Some(0)));
    // Noise 0.05 and 0.1 against signals 5 and 10: 1 % each, 40 dB; then the second row 3 %.
    let tenth = metrics(&[3.0, 4.05, 10.0, 0.1], &[3.0, 4.0, 10.0, 0.0], 2, 2);
    assert!((tenth.relative_error - 0.01).abs() < 1e-12 && (tenth.sqnr_db - 40.0).abs() < 1e-9, "{tenth:?}");
    let worst = metrics(&[3.0, 4.05, 10.0, 0.3], &[3.0, 4.0, 10.0, 0.0], 2, 2);
    assert_eq!(worst.worst_token, Some(1));
    assert!((worst.worst_token_error - 0.03).abs() < 1e-12);
    // A NaN where the reference is a number is an infinite error; one that the reference has is left out.
    assert_eq!(metrics(&[f64::NAN], &[1.0], 1, 1).relative_error, f64::INFINITY);
    let left_out = metrics(&[1.0, 2.0], &[f64::NAN, 2.0], 2, 1);
    assert_eq!((left_out.left_out, left_out.relative_error, left_out.worst_token), (1, 0.0, Some(1)));
    assert_eq!(metrics(&[], &[], 0, 3).worst_token, None);
}

#[test]
fn reference_sums_in_float64() {
    let big = 16_777_216.0;
    assert_eq!(reference(&[big, 1.0], &[1.0, 1.0, 2.0, -1.0], Some(&[0.5, -1.0]), 2), [16_777_217.5, 33_554_430.0]);
}

#[test]
fn asymmetric_rows_spend_all_codes_on_their_range() {
    // 255 steps of 1/4 from 0 up; the same down; a quarter below 0.
    let up = [0.0, 63.75, 0.125, 0.375, 0.25, 31.875];
    let Asymmetric { codes, scales, zero_points } = quantize_asym(&up, 1, 6);
    // Ties go to even before the shift: rne(0.5) = 0, rne(1.5) = 2, rne(127.5) = 128.
    assert_eq!((scales, zero_points, codes), (vec![0.25], vec![-128], vec![-128, 127, -128, -126, -127, 0]));
    let down = up.map(|x| -x);
    let Asymmetric { codes, scales, zero_points } = quantize_asym(&down, 1, 6);
    assert_eq!((scales, zero_points, codes), (vec![0.25], vec![127], vec![127, -128, 127, 125, 126, -1]));
    // A tie for the zero point and one for the largest code: 128 before the clamp.
    let both = [-0.375, 63.375];
    let Asymmetric { codes, scales, zero_points } = quantize_asym(&both, 1, 2);
    assert_eq!((scales, zero_points, codes), (vec![0.25], vec![-126], vec![-128, 127]));
    // Constant rows, zeros, and the floor of the scale.
    let Asymmetric { codes, scales, zero_points } = quantize_asym(&[5.1, 5.1, -0.0, 0.0, -1e-40, 0.0], 3, 2);
    assert_eq!(codes, [127, 127, -128, -128, -128, -128]);
    assert_eq!((scales, zero_points), (vec![5.1 / 255.0, 1.0, 2f32.powi(-100)], vec![-128, -128, -128]));
}

#[test]
fn asymmetric_rows_keep_what_is_not_finite() {
    let x = [1.0, f32::NAN, -f32::NAN, 2.0, 1.0, f32::INFINITY, f32::NEG_INFINITY, 1.0, f32::MAX, -f32::MAX];
    let Asymmetric { codes, scales, zero_points } = quantize_asym(&x, 5, 2);
    assert_eq!(codes, [0; 10]);
    assert_eq!(zero_points, [0; 5]);
    let infinite = f32::INFINITY.to_bits();
    assert_eq!(bits(&scales), [NAN, NAN, infinite, infinite, infinite]);
}
