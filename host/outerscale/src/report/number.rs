//! Numbers as people read them and as JSON has them.

use serde_json::Value;

/// `number` as a percentage with three digits that count.
pub fn percent(number: f64) -> String {
    format!("{:.3} %", 100.0 * number)
}

/// A number for JSON: null where it is not finite, which JSON cannot say.
pub fn json_number(number: f64) -> Value {
    serde_json::Number::from_f64(number).map_or(Value::Null, Value::Number)
}

/// A whole number with its thousands apart: 1 048 576.
pub fn quantity(number: u64) -> String {
    let digits = number.to_string();
    let groups: Vec<&str> =
        digits.as_bytes().rchunks(3).rev().map(|group| std::str::from_utf8(group).unwrap_or_default()).collect();
    // No line is broken inside a number.
    groups.join("\u{202f}")
}

/// A decimal with as few digits as an axis needs: 0.25, 40, 20 000, 1e-6.
pub fn decimal(number: f64) -> String {
    if number == 0.0 {
        return "0".to_owned();
    }
    if number.fract() == 0.0 && (1e4..1e7).contains(&number) {
        return quantity(number as u64);
    }
    if !(1e-4..1e6).contains(&number.abs()) {
        return format!("{number:e}").replace(".0e", "e");
    }
    // Twelve digits are enough for any axis, and hide the last bits of sums such as 0.1 + 0.2.
    let text = format!("{number:.12}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short_and_exact() {
        assert_eq!([0.0, 0.1 + 0.2, 40.0, -2.5, 1e-6, 2e7].map(decimal), ["0", "0.3", "40", "-2.5", "1e-6", "2e7"]);
        assert_eq!(decimal(5e5), quantity(500_000));
        assert_eq!([0, 999, 1000, 1_048_576].map(quantity), ["0", "999", "1\u{202f}000", "1\u{202f}048\u{202f}576"]);
        assert_eq!(percent(0.012_345), "1.234 %");
        assert_eq!((json_number(f64::NAN), json_number(0.5)), (Value::Null, Value::from(0.5)));
    }
}
