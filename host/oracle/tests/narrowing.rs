//! Narrowing to f16 and bf16 at every place where it can go wrong: each midpoint of two neighbours, and the
//! f32 numbers on either side of it. Between those, rounding is monotone.

use half::{bf16, f16};
use oracle::float::{narrow_bf16, narrow_f16};

/// Holds the rounding of every f32 next to a midpoint of neighbours whose bit patterns are below `past`.
fn every_midpoint(past: u16, widen: impl Fn(u16) -> f32, narrow: impl Fn(f32) -> u16) {
    for low in 0..past {
        let (below, high) = (widen(low), low + 1);
        // The value after the largest finite one is what the format would hold next: where infinity begins.
        let above =
            if high == past { 2.0 * f64::from(below) - f64::from(widen(low - 1)) } else { f64::from(widen(high)) };
        // Exact: one bit more than the format has.
        let middle = ((f64::from(below) + above) / 2.0) as f32;
        let even = if low % 2 == 0 { low } else { high };
        for (value, want) in [(middle.next_down(), low), (middle, even), (middle.next_up(), high)] {
            assert_eq!(narrow(value), want, "{value:e} between {low:#x} and {high:#x}");
            assert_eq!(narrow(-value), want | 0x8000, "-{value:e}");
        }
        assert_eq!(narrow(below), low, "what was widened comes back");
    }
}

#[test]
fn f16() {
    every_midpoint(0x7c00, |bits| f16::from_bits(bits).to_f32(), |v| narrow_f16(v).to_bits());
}

#[test]
fn bf16() {
    every_midpoint(0x7f80, |bits| bf16::from_bits(bits).to_f32(), |v| narrow_bf16(v).to_bits());
}

#[test]
fn nan_is_the_one_nan() {
    for bits in [0x7f80_0001u32, 0x7fc0_0000, 0x7fff_ffff, 0xff80_0001, 0xffc0_1234, 0xffff_ffff] {
        let nan = f32::from_bits(bits);
        assert_eq!((narrow_f16(nan).to_bits(), narrow_bf16(nan).to_bits()), (0x7fff, 0x7fff));
        assert_eq!(oracle::canonical(nan).to_bits(), 0x7fff_ffff);
    }
    assert_eq!(narrow_f16(f32::NEG_INFINITY), f16::NEG_INFINITY);
    assert_eq!(narrow_bf16(f32::INFINITY), bf16::INFINITY);
}
