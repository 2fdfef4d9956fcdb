//! Laws of the contract that hold for every input: the division in three operations that the kernels use,
//! and the invariances that the README promises.

use oracle::*;
use proptest::prelude::*;

/// What a kernel computes instead of x / s, with r = 1 / s made once a row. The clamp belongs to static
/// scales, where x may be far out of range.
fn three_operations(x: f32, s: f32, clamp: Clamp) -> f32 {
    let r = 1.0 / s;
    let t = match clamp {
        Clamp::To128 => (x * r).clamp(-128.0, 128.0),
        Clamp::None => x * r,
    };
    (-t).mul_add(s, x).mul_add(r, t)
}

#[derive(Clone, Copy, Debug)]
enum Clamp {
    To128,
    None,
}

/// As the instruction `cvt.rni.sat.s8.f32` and an integer maximum do it.
fn saturate(quotient: f32) -> i8 {
    (quotient.round_ties_even() as i8).max(-127)
}

/// x next to (q + ½) · s on both sides, with the tie itself if it is an f32.
fn near_ties(q: i32, s: f32) -> impl Iterator<Item = f32> {
    let tie = ((f64::from(q) + 0.5) * f64::from(s)) as f32;
    (-3..=3).map(move |ulps| f32::from_bits((tie.to_bits() as i32 + ulps) as u32)).chain([-tie])
}

fn assert_division(s: f32) {
    // Quotients up to 255: those of a range that is all on one side of 0.
    for q in 0..=255 {
        for x in near_ties(q, s) {
            assert_eq!(three_operations(x, s, Clamp::None).to_bits(), (x / s).to_bits(), "{x:e} / {s:e}");
            for clamp in [Clamp::To128, Clamp::None] {
                assert_eq!(saturate(three_operations(x, s, clamp)), code(x, s), "{x:e} / {s:e} {clamp:?}");
            }
        }
    }
}

#[test]
fn division_is_exact_near_ties_at_chosen_significands() {
    // The significands next to a power of two are where 1 / s rounds worst; the exponents are the ends of
    // the range of scales and some in between.
    for exponent in [27u32, 28, 64, 110, 120, 126, 127, 128, 150, 200, 226] {
        for fraction in (0..64).chain(0x40_0000 - 32..0x40_0000 + 32).chain(0x80_0000 - 64..0x80_0000) {
            assert_division(f32::from_bits(exponent << 23 | fraction));
        }
    }
    assert_division(2f32.powi(100));
}

#[test]
fn division_is_exact_near_ties_over_a_lattice_of_significands() {
    // A stride coprime to 2²³ meets every residue; 4,093 is prime and gives 2,050 significands.
    for fraction in (0..0x80_0000u32).step_by(4093) {
        assert_division(f32::from_bits(120 << 23 | fraction));
    }
}

#[test]
fn division_gives_the_same_codes_for_special_values() {
    let tiny = [0.0, 1e-45, f32::MIN_POSITIVE, f32::MIN_POSITIVE.next_down(), 2f32.powi(-100)];
    let huge = [1.0, 127.0, 128.0, 1e30, f32::MAX, f32::INFINITY, f32::NAN];
    let scales = [2f32.powi(-100), 2f32.powi(-100).next_up(), 1e-20, 1.0 / 127.0, 1.0, 1e20, 2f32.powi(100)];
    for x in tiny.into_iter().chain(huge).flat_map(|x| [x, -x]) {
        for s in scales {
            assert_eq!(saturate(three_operations(x, s, Clamp::To128)), code(x, s), "{x:e} / {s:e}");
        }
        // Scales from data with NaN or infinity: every code 0, whatever the operations make of them.
        for s in [f32::INFINITY, f32::NAN] {
            assert_eq!(saturate(three_operations(x, s, Clamp::None)), 0, "{x:e} / {s:e}");
        }
    }
}

#[test]
fn division_fails_below_the_floor_of_the_scale() {
    // Why there is a floor: if this found nothing, near-tie pairs would not be a hard test.
    let s = 2f32.powi(-126) * 1.234_567;
    let wrong =
        (0..127).flat_map(|q| near_ties(q, s)).filter(|&x| three_operations(x, s, Clamp::None) != x / s).count();
    assert!(wrong > 0);
}

fn any_f32() -> impl Strategy<Value = f32> {
    prop_oneof![8 => -10f32..10.0, 1 => any::<u32>().prop_map(f32::from_bits), 1 => Just(0.0)]
}

/// (rows, cols, values)
fn matrix() -> impl Strategy<Value = (usize, usize, Vec<f32>)> {
    (0usize..6, 1usize..40)
        .prop_flat_map(|(rows, cols)| (Just(rows), Just(cols), prop::collection::vec(any_f32(), rows * cols)))
}

fn bits(v: &[f32]) -> Vec<u32> {
    v.iter().map(|v| v.to_bits()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn division_is_exact_for_any_scale(exponent in 27u32..227, fraction in 0u32..0x80_0000) {
        assert_division(f32::from_bits(exponent << 23 | fraction));
    }

    #[test]
    fn a_token_does_not_see_the_others((rows, cols, x) in matrix()) {
        let (q, s) = quantize_token(&x, rows, cols);
        for row in 0..rows {
            let (q_row, s_row) = quantize_token(&x[row * cols..][..cols], 1, cols);
            prop_assert_eq!(&q_row, &q[row * cols..][..cols]);
            prop_assert_eq!(bits(&s_row), bits(&s[row..=row]));
        }
    }

    #[test]
    fn codes_stay_inside_127_and_reach_it((rows, cols, x) in matrix()) {
        let (q, s) = quantize_token(&x, rows, cols);
        prop_assert!(q.iter().all(|&q| q != -128));
        for row in 0..rows {
            let largest = q[row * cols..][..cols].iter().map(|q| q.unsigned_abs()).max().unwrap();
            let absmax = row_absmax(&x[row * cols..][..cols], 1, cols)[0];
            // Away from the floor the largest element always gets the largest code.
            if s[row].is_finite() && absmax >= 127.0 * 2f32.powi(-100) {
                prop_assert_eq!(largest, 127);
            }
        }
    }

    #[test]
    fn a_power_of_two_moves_the_scale_only(x in prop::collection::vec(-10f32..10.0, 1..40), power in -20i32..20) {
        let scaled: Vec<f32> = x.iter().map(|x| x * 2f32.powi(power)).collect();
        let ((q, s), (q_scaled, s_scaled)) = (quantize_token(&x, 1, x.len()), quantize_token(&scaled, 1, x.len()));
        prop_assert_eq!(q, q_scaled);
        if tensor_absmax(&x) != 0.0 {
            prop_assert_eq!(s[0] * 2f32.powi(power), s_scaled[0]);
        }
    }

    #[test]
    fn negation_negates_the_codes((rows, cols, x) in matrix()) {
        let negated: Vec<f32> = x.iter().map(|x| -x).collect();
        let ((q, s), (q_negated, s_negated)) = (quantize_token(&x, rows, cols), quantize_token(&negated, rows, cols));
        prop_assert_eq!(q.iter().map(|q| -q).collect::<Vec<_>>(), q_negated);
        prop_assert_eq!(bits(&s), bits(&s_negated));
    }

    #[test]
    fn reconstruction_is_within_half_a_step(x in prop::collection::vec(-100f32..100.0, 1..40)) {
        let (q, s) = quantize_token(&x, 1, x.len());
        for (x, q) in x.iter().zip(q) {
            let error = (f64::from(*x) - f64::from(q) * f64::from(s[0])).abs();
            // Half a step, and the rounding of the quotient (at most 127 steps to 24 bits).
            prop_assert!(error <= f64::from(s[0]) * (0.5 + 127.0 * 2f64.powi(-24)));
        }
    }

    #[test]
    fn zero_points_leave_the_sums_of_what_is_above_them(
        (x, w) in (1usize..40).prop_flat_map(|k| (
            prop::collection::vec(any::<i8>(), 3 * k),
            prop::collection::vec(any::<i8>(), 2 * k),
        )),
        zero_points in prop::collection::vec(-128i32..128, 3),
    ) {
        let k = x.len() / 3;
        let acc = gemm_i32(&x, &w, 3, 2, k).unwrap();
        let got = gemm_asym(&acc, &zero_points, &row_sums(&w, 2, k)).unwrap();
        for (at, got) in got.into_iter().enumerate() {
            let (row, col) = (at / 2, at % 2);
            let pairs = x[row * k..][..k].iter().zip(&w[col * k..][..k]);
            let want: i32 = pairs.map(|(x, w)| (i32::from(*x) - zero_points[row]) * i32::from(*w)).sum();
            prop_assert_eq!(got, want);
        }
    }

    #[test]
    fn asymmetric_reconstruction_is_within_a_step((rows, cols, x) in matrix()) {
        let Asymmetric { codes, scales, zero_points } = quantize_asym(&x, rows, cols);
        for (at, (x, code)) in x.iter().zip(&codes).enumerate() {
            let (s, zero_point) = (f64::from(scales[at / cols]), zero_points[at / cols]);
            if !s.is_finite() {
                prop_assert_eq!((*code, zero_point), (0, 0));
                continue;
            }
            // Half a step by the code's rounding, half by the zero point's, where the clamp takes the sum of both.
            let value = f64::from(i32::from(*code) - zero_point) * s;
            prop_assert!((f64::from(*x) - value).abs() <= s * (1.0 + 256.0 * 2f64.powi(-24)), "{} as {}", x, value);
        }
    }
}
