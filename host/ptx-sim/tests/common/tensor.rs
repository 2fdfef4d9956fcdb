//! Kernels for tensor cores.

/// `{%p4, %p5}` for prefix p, first 4, count 2.
pub(crate) fn list(prefix: &str, first: usize, count: usize) -> String {
    let names: Vec<String> = (first..first + count).map(|i| format!("%{prefix}{i}")).collect();
    format!("{{{}}}", names.join(", "))
}

/// A module with one kernel `k` for that target, with registers and a tile of shared memory.
pub(crate) fn text(target: &str, params: &str, body: &str) -> String {
    format!(
        ".version 8.7\n.target {target}\n.address_size 64\n.visible .entry k({params})\n{{\n.reg .pred %p<8>;\n\
         .reg .b32 %r<64>;\n.reg .f32 %f<16>;\n.reg .b64 %l<16>;\n.reg .f64 %d<32>;\n\
         .shared .align 1024 .b8 tile[4096];\n{body}\nret;\n}}\n"
    )
}

/// An element type: its name, its bits, and its value by definition.
#[derive(Clone, Copy)]
pub(crate) struct Kind {
    pub(crate) name: &'static str,
    pub(crate) bits: usize,
    pub(crate) value: fn(u64) -> f64,
}

/// A number of `exponent` and `mantissa` bits under a sign, with the usual bias; finite encodings only.
fn number(bits: u64, exponent: u32, mantissa: u32) -> f64 {
    let bias = (1 << (exponent - 1)) - 1;
    let field = (bits >> mantissa & ((1 << exponent) - 1)) as i32;
    let fraction = (bits & ((1 << mantissa) - 1)) as f64 / 2_f64.powi(mantissa as i32);
    let value = if field == 0 { fraction * 2_f64.powi(1 - bias) } else { (1.0 + fraction) * 2_f64.powi(field - bias) };
    if bits >> (exponent + mantissa) & 1 == 1 { -value } else { value }
}

pub(crate) const S8: Kind = Kind { name: "s8", bits: 8, value: |bits| f64::from(bits as i8) };
pub(crate) const U8: Kind = Kind { name: "u8", bits: 8, value: |bits| f64::from(bits as u8) };
pub(crate) const E4M3: Kind = Kind { name: "e4m3", bits: 8, value: |bits| number(bits, 4, 3) };
pub(crate) const E5M2: Kind = Kind { name: "e5m2", bits: 8, value: |bits| number(bits, 5, 2) };
pub(crate) const F16: Kind = Kind { name: "f16", bits: 16, value: |bits| number(bits, 5, 10) };
pub(crate) const BF16: Kind = Kind { name: "bf16", bits: 16, value: |bits| number(bits, 8, 7) };
// The 13 low bits of a register do not take part.
pub(crate) const TF32: Kind = Kind { name: "tf32", bits: 32, value: |bits| number(bits & !0x1FFF, 8, 23) };
pub(crate) const F64: Kind = Kind { name: "f64", bits: 64, value: f64::from_bits };
pub(crate) const S32: Kind = Kind { name: "s32", bits: 32, value: |bits| f64::from(bits as i32) };
pub(crate) const F32: Kind = Kind { name: "f32", bits: 32, value: |bits| f64::from(f32::from_bits(bits as u32)) };

/// Pseudo-random numbers.
pub(crate) struct Noise(pub(crate) u64);

impl Noise {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.0 ^ (self.0 >> 31)
    }

    /// Bits of a value of moderate size: exponents near the middle, so that sums neither overflow nor vanish.
    pub(crate) fn bits(&mut self, kind: Kind) -> u64 {
        let raw = self.next();
        let sign = |at: u32| (raw >> 63) << at;
        match kind.name {
            "e4m3" => sign(7) | (4 + raw % 6) << 3 | raw >> 20 & 7,
            "e5m2" => sign(7) | (12 + raw % 6) << 2 | raw >> 20 & 3,
            "f16" => sign(15) | (12 + raw % 6) << 10 | raw >> 20 & 0x3FF,
            "bf16" => sign(15) | (124 + raw % 6) << 7 | raw >> 20 & 0x7F,
            "tf32" | "f32" => sign(31) | (124 + raw % 6) << 23 | raw >> 20 & 0x7F_FFFF,
            "f64" => sign(63) | (1020 + raw % 6) << 52 | raw & 0xF_FFFF_FFFF_FFFF,
            _ => raw & (u64::MAX >> (64 - kind.bits)),
        }
    }
}
