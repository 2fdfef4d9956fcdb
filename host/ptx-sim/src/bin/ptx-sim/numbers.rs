//! Scalars of a parameter block: types, ranges and bytes.

use half::{bf16, f16};

/// The little-endian bytes of `value` as a `kind` (`u32`, `f16`, ..); `None` when `kind` is no type.
pub(crate) fn scalar(kind: &str, value: &str) -> Option<Result<Vec<u8>, String>> {
    let float =
        || value.parse::<f64>().map_err(|_| format!("'{value}' is no number of type {kind}, as 0.5, nan or -inf"));
    match kind {
        // By way of f64, which holds every f32: rounded once.
        "f64" => return Some(float().map(|value| value.to_le_bytes().to_vec())),
        "f32" => {
            let parsed =
                value.parse::<f32>().map_err(|_| format!("'{value}' is no number of type f32, as 0.5, nan or -inf"));
            return Some(parsed.map(|value| value.to_le_bytes().to_vec()));
        }
        "f16" => return Some(float().map(|value| f16::from_f64(value).to_le_bytes().to_vec())),
        "bf16" => return Some(float().map(|value| bf16::from_f64(value).to_le_bytes().to_vec())),
        _ => {}
    }
    let (sign, bits) = kind.split_at_checked(1)?;
    let bits: u32 = bits.parse().ok().filter(|bits| [8, 16, 32, 64].contains(bits))?;
    let (low, high) = match sign {
        "u" | "b" => (0, (1_i128 << bits) - 1),
        "s" | "i" => (-(1_i128 << (bits - 1)), (1_i128 << (bits - 1)) - 1),
        _ => return None,
    };
    Some(match integer(value) {
        Some(value) if (low..=high).contains(&value) => Ok(value.to_le_bytes()[..bits as usize / 8].to_vec()),
        Some(_) => Err(format!("{value} is no {kind}; that goes from {low} to {high}")),
        None => Err(format!("'{value}' is no integer, as 42, -1 or 0x2a")),
    })
}

fn integer(text: &str) -> Option<i128> {
    let (negative, digits) = text.strip_prefix('-').map_or((false, text), |digits| (true, digits));
    let magnitude = match digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X")) {
        Some(digits) if !digits.starts_with(['+', '-']) => i128::from_str_radix(digits, 16).ok()?,
        Some(_) => return None,
        None if digits.starts_with(['+', '-']) => return None,
        None => digits.parse().ok()?,
    };
    Some(if negative { -magnitude } else { magnitude })
}

/// Pairs of hexadecimal digits.
pub(crate) fn hex(text: &str) -> Result<Vec<u8>, String> {
    let digits = text.as_bytes();
    if digits.is_empty() || !digits.len().is_multiple_of(2) || !digits.iter().all(u8::is_ascii_hexdigit) {
        return Err(format!("'{text}' are no bytes; give two hexadecimal digits for each, as 00ff"));
    }
    let value = |digit: u8| (digit as char).to_digit(16).unwrap_or(0) as u8;
    Ok(digits.chunks_exact(2).map(|pair| value(pair[0]) << 4 | value(pair[1])).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scalars_have_their_bytes_and_ranges() {
        let bytes = |kind: &str, value: &str| scalar(kind, value).unwrap().unwrap();
        assert_eq!(bytes("u32", "5"), 5_u32.to_le_bytes());
        assert_eq!(bytes("i64", "-1"), [0xFF; 8]);
        assert_eq!(bytes("s8", "-128"), [0x80]);
        assert_eq!(bytes("u16", "0xBEEF"), 0xBEEF_u16.to_le_bytes());
        assert_eq!(bytes("b64", "0xFFFFFFFFFFFFFFFF"), [0xFF; 8]);
        assert_eq!(bytes("f32", "0.1"), 0.1_f32.to_le_bytes());
        assert_eq!(bytes("f32", "-inf"), f32::NEG_INFINITY.to_le_bytes());
        assert_eq!(bytes("f64", "1e-300"), 1e-300_f64.to_le_bytes());
        assert_eq!(bytes("f16", "0.5"), 0x3800_u16.to_le_bytes());
        assert_eq!(bytes("bf16", "1.0"), 0x3F80_u16.to_le_bytes());
        for (kind, value) in [
            ("u32", "-1"),
            ("u8", "256"),
            ("i8", "128"),
            ("u32", "1.5"),
            ("u32", ""),
            ("u32", "--1"),
            ("u32", "0x-1"),
            ("f32", "x"),
        ] {
            assert!(scalar(kind, value).unwrap().is_err(), "{kind}:{value}");
        }
        for kind in ["u7", "u", "", "q32", "f8", "é32"] {
            assert!(scalar(kind, "1").is_none(), "{kind}");
        }
        assert_eq!(hex("00fF").unwrap(), [0, 255]);
        assert!(hex("0").is_err() && hex("0g").is_err() && hex("").is_err());
    }
}
