//! Every 8- and 16-bit value, and f32 around every value of a small type, against a definition by search: the
//! result is that value of the small type which is nearest, or the next one towards zero.

use super::*;
use crate::exec::half::bf16_to_f32;

/// The finite values of a small type that are not negative, in order, with their bits.
fn ladder(to: Small) -> Vec<(f64, u32)> {
    let value = |bits: u32| -> f64 {
        match to {
            Small::E4M3 => f64::from(e4m3_value(bits as u8)),
            Small::E5M2 => f64::from(e5m2_value(bits as u8)),
            Small::F16 => f64::from(f16_to_f32(bits as u16)),
            Small::BF16 => f64::from(bf16_to_f32(bits as u16)),
            Small::TF32 => f64::from(f32::from_bits(bits << 13)),
        }
    };
    let most = match to {
        Small::E4M3 => u32::from(MAX_E4M3),
        Small::E5M2 => u32::from(MAX_E5M2),
        Small::F16 => u32::from(MAX_F16),
        Small::BF16 => u32::from(MAX_BF16),
        Small::TF32 => MAX_TF32 >> 13,
    };
    (0..=most).map(|bits| (value(bits), bits)).collect()
}

/// Sign bit, infinity (`None` where there is none) and NaN.
fn specials(to: Small) -> (u32, Option<u32>, u32) {
    match to {
        Small::E4M3 => (0x80, None, 0x7F),
        Small::E5M2 => (0x80, Some(0x7C), 0x7F),
        Small::F16 => (0x8000, Some(0x7C00), 0x7FFF),
        Small::BF16 => (0x8000, Some(0x7F80), 0x7FFF),
        Small::TF32 => (0x8000_0000, Some(0x7F80_0000), 0x7FFF_FFFF),
    }
}

fn by_search(how: Narrowing, ladder: &[(f64, u32)], value: f32) -> u32 {
    let (sign, infinity, nan) = specials(how.to);
    if value.is_nan() {
        return nan;
    }
    if how.relu && value.is_sign_negative() {
        return 0;
    }
    let place = |bits: u32| if how.to == Small::TF32 { bits << 13 } else { bits };
    let magnitude = f64::from(value.abs());
    let (most, most_bits) = ladder[ladder.len() - 1];
    let step = most - ladder[ladder.len() - 2].0;
    let above = ladder.partition_point(|(rung, _)| *rung <= magnitude);
    let (below, below_bits) = ladder[above - 1];
    let bits = if above == ladder.len() {
        // Beyond the last rung: as if there were one more.
        let beyond = match how.last {
            Last::Zero => magnitude.is_infinite(),
            // The last significand is odd, so that ties to even go up as well.
            _ => magnitude - most >= step / 2.0,
        };
        match infinity {
            Some(infinity) if beyond && !how.finite => infinity,
            _ => place(most_bits),
        }
    } else {
        let (next, next_bits) = ladder[above];
        let (down, up) = (magnitude - below, next - magnitude);
        let goes_up = match how.last {
            Last::Zero => false,
            Last::NearestAway => up <= down,
            Last::NearestEven => up < down || (up == down && below_bits & 1 == 1),
        };
        place(if goes_up { next_bits } else { below_bits })
    };
    bits | if value.is_sign_negative() { sign } else { 0 }
}

/// What one type is tried with: every rung of its ladder, the middle to the next one, and f32's next to both.
fn trials(ladder: &[(f64, u32)]) -> Vec<f32> {
    let mut out = vec![f32::NAN, f32::INFINITY, f32::MAX, f32::MIN_POSITIVE, f32::from_bits(1), 1e-30, 1e30];
    // All of them up to 16 bits; of tf32 the ends and a part that meets every exponent and both parities.
    let (part, len) = (if ladder.len() > 1 << 16 { 61 } else { 1 }, ladder.len());
    for (index, (rung, _)) in ladder.iter().enumerate() {
        if index % part != 0 && index > 1 << 10 && index < len - 32 {
            continue;
        }
        let next = ladder.get(index + 1).map_or_else(|| 2.0 * rung - ladder[index - 1].0, |(next, _)| *next);
        for value in [*rung as f32, (rung.midpoint(next)) as f32] {
            out.extend([value, value.next_up(), f32::from_bits(value.to_bits().saturating_sub(1))]);
        }
    }
    out.iter().flat_map(|value| [*value, -*value]).collect()
}

#[test]
fn every_rounding_finds_the_value_that_a_search_finds() {
    use Last::{NearestAway, NearestEven, Zero};
    let cases = [
        (Small::E4M3, vec![NearestEven], vec![true]),
        (Small::E5M2, vec![NearestEven], vec![true]),
        (Small::F16, vec![NearestEven, Zero], vec![false, true]),
        (Small::BF16, vec![NearestEven, Zero], vec![false, true]),
        (Small::TF32, vec![NearestEven, Zero, NearestAway], vec![false, true]),
    ];
    for (to, lasts, finites) in cases {
        let ladder = ladder(to);
        assert!(ladder.windows(2).all(|pair| pair[0].0 < pair[1].0), "{to:?}");
        let trials = trials(&ladder);
        for last in lasts {
            for finite in &finites {
                for relu in [false, true] {
                    let how = Narrowing { to, last, relu, finite: *finite };
                    for value in &trials {
                        let (found, wanted) = (one(how, *value), by_search(how, &ladder, *value));
                        assert_eq!(found, wanted, "{how:?} of {value:e}: {found:#x}, not {wanted:#x}");
                    }
                }
            }
        }
    }
}

#[test]
fn every_f16_goes_to_eight_bits_and_every_eight_bits_to_f16() {
    for to in [Small::E4M3, Small::E5M2] {
        let ladder = ladder(to);
        let how = Narrowing { to, last: Last::NearestEven, relu: false, finite: true };
        for bits in 0..=u16::MAX {
            let value = f16_to_f32(bits);
            assert_eq!(one(how, value), by_search(how, &ladder, value), "{to:?} of {bits:#06x}");
        }
        for bits in 0..=u8::MAX {
            let value = if to == Small::E4M3 { e4m3_value(bits) } else { e5m2_value(bits) };
            let half = f64_to_f16(f64::from(value), Round::NearestEven);
            let back = f16_to_f32(half);
            assert!(back == value || (back.is_nan() && value.is_nan()), "{to:?}: {bits:#04x} is {value}, not {back}");
            if value.is_finite() {
                assert_eq!(one(how, back), u32::from(bits), "{to:?}: {bits:#04x} and back");
            }
        }
    }
}
