//! The element types of matrix products as numbers. Every one of them is exact in f32.

use crate::exec::half::bf16_to_f32;
use crate::ir::matrix::Element;

/// e4m3: bias 7, no infinity, NaN is the greatest magnitude only.
pub(in crate::exec) const fn e4m3(bits: u8) -> f32 {
    let (exponent, mantissa) = (bits >> 3 & 15, bits & 7);
    if bits & 0x7F == 0x7F {
        return f32::NAN;
    }
    signed(bits, scaled(exponent, mantissa, 3, 7))
}

/// e5m2: bias 15, with infinity and NaN as in IEEE 754.
pub(in crate::exec) const fn e5m2(bits: u8) -> f32 {
    let (exponent, mantissa) = (bits >> 2 & 31, bits & 3);
    match (exponent, mantissa) {
        (31, 0) => signed(bits, f32::INFINITY),
        (31, _) => f32::NAN,
        _ => signed(bits, scaled(exponent, mantissa, 2, 15)),
    }
}

const fn signed(bits: u8, magnitude: f32) -> f32 {
    if bits & 0x80 != 0 { -magnitude } else { magnitude }
}

/// (mantissa / 2^width, with its leading one unless it is subnormal) · 2^(exponent - bias).
const fn scaled(exponent: u8, mantissa: u8, width: u32, bias: i32) -> f32 {
    let (lead, power) = if exponent == 0 { (0, 1 - bias) } else { (1 << width, exponent as i32 - bias) };
    // A power of two as f32: its exponent field alone.
    let scale = f32::from_bits(((power - width as i32 + 127) as u32) << 23);
    (mantissa as u32 + lead) as f32 * scale
}

const fn table(of_e4m3: bool) -> [f64; 256] {
    let mut out = [0.0; 256];
    let mut bits = 0;
    while bits < 256 {
        out[bits] = if of_e4m3 { e4m3(bits as u8) } else { e5m2(bits as u8) } as f64;
        bits += 1;
    }
    out
}

/// All values of e4m3 and of e5m2.
static E4M3: [f64; 256] = table(true);
static E5M2: [f64; 256] = table(false);

/// f16 → f32 without a branch, so that loops over it become vector instructions.
#[inline(always)]
fn f16(bits: u16) -> f32 {
    let magnitude = u32::from(bits & 0x7FFF);
    let sign = u32::from(bits & 0x8000) << 16;
    // The exponent's bias moves by a product with 2^112, which is exact for subnormals as well.
    let finite = f32::from_bits(magnitude << 13) * f32::from_bits((127 + 112) << 23);
    let special = if magnitude > 0x7C00 { f32::NAN } else { f32::INFINITY };
    let value = if magnitude >= 0x7C00 { special } else { finite };
    f32::from_bits(value.to_bits() | sign)
}

/// tf32 → f32: the product reads the upper 19 bits of a register only.
#[inline(always)]
fn tf32(bits: u32) -> f32 {
    f32::from_bits(bits & 0xFFFF_E000)
}

/// Calls `each` with every element of `words`, each of which holds `32 / bits` of them, lowest first.
///
/// The place in `words` comes first, then that in the word. Integers and f64 have ways of their own.
#[inline(always)]
pub(super) fn for_each(element: Element, words: &[u32], mut each: impl FnMut(usize, usize, f64)) {
    let per = element.per_register();
    let mut all = |value: fn(u32, usize) -> f64| {
        for (at, word) in words.iter().enumerate() {
            for e in 0..per {
                each(at, e, value(*word, e));
            }
        }
    };
    match element {
        Element::E4M3 => all(|word, e| E4M3[(word >> (8 * e)) as usize & 255]),
        Element::E5M2 => all(|word, e| E5M2[(word >> (8 * e)) as usize & 255]),
        Element::F16 => all(|word, e| f64::from(f16((word >> (16 * e)) as u16))),
        Element::BF16 => all(|word, e| f64::from(bf16_to_f32((word >> (16 * e)) as u16))),
        Element::TF32 => all(|word, _| f64::from(tf32(word))),
        Element::S8 | Element::U8 | Element::F64 => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exec::half::f16_to_f32;

    #[test]
    fn f16_without_a_branch_is_f16() {
        for bits in 0..=u16::MAX {
            let (plain, fast) = (f16_to_f32(bits), f16(bits));
            assert!(plain == fast || (plain.is_nan() && fast.is_nan()), "{bits:#06x}: {fast}, not {plain}");
            assert!(plain.is_nan() || plain.is_sign_negative() == fast.is_sign_negative(), "{bits:#06x}");
        }
    }

    /// The definition in words: sign, significand, power of two.
    fn by_definition(bits: u8, mantissa_bits: i32, bias: i32) -> f64 {
        let magnitude = i32::from(bits & 0x7F);
        let (exponent, mantissa) = (magnitude >> mantissa_bits, magnitude & ((1 << mantissa_bits) - 1));
        let significand = f64::from(mantissa) / f64::from(1 << mantissa_bits);
        let value = match exponent {
            0 => significand * 2_f64.powi(1 - bias),
            _ => (1.0 + significand) * 2_f64.powi(exponent - bias),
        };
        if bits >= 0x80 { -value } else { value }
    }

    #[test]
    fn tables_of_eight_bits_follow_the_definition() {
        for bits in 0..=u8::MAX {
            let at = usize::from(bits);
            if bits & 0x7F == 0x7F {
                assert!(E4M3[at].is_nan(), "{bits:#04x}");
            } else {
                assert_eq!(E4M3[at].to_bits(), by_definition(bits, 3, 7).to_bits(), "{bits:#04x}");
            }
            match bits & 0x7F {
                0x7D.. => assert!(E5M2[at].is_nan(), "{bits:#04x}"),
                0x7C => assert_eq!(E5M2[at], if bits >= 0x80 { f64::NEG_INFINITY } else { f64::INFINITY }),
                _ => assert_eq!(E5M2[at].to_bits(), by_definition(bits, 2, 15).to_bits(), "{bits:#04x}"),
            }
        }
    }
}
