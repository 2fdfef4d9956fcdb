//! `mma.sync` of every type and shape against plain loops.

mod common;

use common::tensor::{BF16, E4M3, E5M2, F16, F32, F64, Kind, Noise, S8, S32, TF32, U8, list, text};
use common::{load, load_error};
use ptx_sim::{Launch, Memory, launch};

/// One lane's registers, filled from elements in the order of the fragment.
fn words(elements: &[u64], kind: Kind) -> Vec<u8> {
    elements.iter().flat_map(|bits| bits.to_le_bytes()[..kind.bits / 8].to_vec()).collect()
}

struct Mma {
    shape: &'static str,
    m: usize,
    k: usize,
    a: Kind,
    b: Kind,
    sum: Kind,
    saturate: bool,
}

impl Mma {
    /// Runs D = A B + C on random elements and holds D against plain loops.
    fn check(&self, seed: u64) {
        let Self { shape, m, k, a, b, sum, saturate } = *self;
        let mut noise = Noise(seed);
        let left: Vec<u64> = (0..m * k).map(|_| noise.bits(a)).collect();
        let right: Vec<u64> = (0..k * 8).map(|_| noise.bits(b)).collect();
        let start: Vec<u64> = (0..m * 8)
            .map(|index| match (sum.name, saturate) {
                // Close to the ends of the range, so that sums overflow.
                ("s32", _) if index % 3 == 0 => u64::from(i32::MAX as u32 - (noise.next() as u32 & 0xFFF)),
                ("s32", _) if index % 3 == 1 => u64::from(i32::MIN as u32 + (noise.next() as u32 & 0xFFF)),
                _ => noise.bits(sum),
            })
            .collect();
        let per = (32 / a.bits).max(1);
        let mut data = Vec::new();
        for lane in 0..32 {
            let (g, t) = (lane / 4, lane % 4);
            let of_a: Vec<u64> = (0..m * k / 32)
                .map(|i| left[(g + 8 * (i / per % 2)) * k + per * t + i % per + 4 * per * (i / per / 2)])
                .collect();
            let of_b: Vec<u64> =
                (0..k * 8 / 32).map(|i| right[(per * t + i % per + 4 * per * (i / per)) * 8 + g]).collect();
            let of_c: Vec<u64> = (0..m * 8 / 32).map(|i| start[(g + 8 * (i / 2)) * 8 + 2 * t + i % 2]).collect();
            data.extend(words(&of_a, a));
            data.extend(words(&of_b, b));
            data.extend(words(&of_c, sum));
        }
        let out = self.run(&data);
        for lane in 0..32 {
            for i in 0..m * 8 / 32 {
                let (row, col) = (lane / 4 + 8 * (i / 2), 2 * (lane % 4) + i % 2);
                let bytes = sum.bits / 8;
                let at = (lane * (m * 8 / 32) + i) * bytes;
                let mut found = [0; 8];
                found[..bytes].copy_from_slice(&out[at..at + bytes]);
                let found = (sum.value)(u64::from_le_bytes(found));
                let products = (0..k).map(|at| (a.value)(left[row * k + at]) * (b.value)(right[at * 8 + col]));
                let first = (sum.value)(start[row * 8 + col]);
                let (total, size) = products.fold((first, first.abs()), |(s, z), p| (s + p, z + p.abs()));
                let wanted = match sum.name {
                    "s32" if saturate => total.clamp(f64::from(i32::MIN), f64::from(i32::MAX)),
                    "s32" => f64::from(total as i64 as i32),
                    _ => total,
                };
                // Sums may be rounded in any order; integers not at all.
                let room = match sum.name {
                    "s32" => 0.0,
                    "f16" => size * 2_f64.powi(-11),
                    "f32" => size * 2_f64.powi(-23),
                    _ => size * 2_f64.powi(-50),
                };
                assert!(
                    (found - wanted).abs() <= room,
                    "{shape} {} {} {}: row {row}, column {col}: {found}, not {wanted}",
                    a.name,
                    b.name,
                    sum.name
                );
            }
        }
    }

    /// Loads each lane's registers from `data`, multiplies once, and returns what the lanes hold then.
    fn run(&self, data: &[u8]) -> Vec<u8> {
        let Self { shape, m, k, a, b, sum, saturate } = *self;
        let wide = sum.name == "f64";
        let (prefix, bytes) = if wide { ("d", 8) } else { ("r", 4) };
        let regs = |elements: usize, bits: usize| elements / 32 * bits / 8 / bytes;
        let (of_a, of_b, of_d) = (regs(m * k, a.bits), regs(k * 8, b.bits), regs(m * 8, sum.bits));
        let total = of_a + of_b + of_d;
        let ty = if wide { "f64" } else { "b32" };
        let loads: String =
            (0..total).map(|i| format!("ld.global.{ty} %{prefix}{i}, [%l1+{}];\n", bytes * i)).collect();
        // Results go to registers of their own: nothing may come from the accumulators by chance.
        let (results, moves, sums) = match sum.name {
            "f32" => {
                let moves = (0..of_d).map(|i| format!("mov.b32 %f{i}, %r{};\n", of_a + of_b + i)).collect::<String>();
                (list("f", 8, of_d), moves, list("f", 0, of_d))
            }
            _ => (list(prefix, total, of_d), String::new(), list(prefix, of_a + of_b, of_d)),
        };
        let stores: String = (0..of_d)
            .map(|i| match sum.name {
                "f32" => format!("st.global.f32 [%l2+{}], %f{};\n", 4 * i, 8 + i),
                _ => format!("st.global.{ty} [%l2+{}], %{prefix}{};\n", bytes * i, total + i),
            })
            .collect();
        let body = format!(
            "mov.u32 %r60, %tid.x;\nld.param.u64 %l1, [in];\nld.param.u64 %l2, [out];\n\
             mul.wide.u32 %l3, %r60, {};\nadd.u64 %l1, %l1, %l3;\nmul.wide.u32 %l3, %r60, {};\nadd.u64 %l2, %l2, %l3;\n\
             {loads}{moves}mma.sync.aligned.{shape}.row.col{}.{}.{}.{}.{} {results}, {}, {}, {sums};\n{stores}",
            total * bytes,
            of_d * bytes,
            if saturate { ".satfinite" } else { "" },
            sum.name,
            a.name,
            b.name,
            sum.name,
            list(prefix, 0, of_a),
            list(prefix, of_a, of_b),
        );
        let module = load(&text("sm_90", ".param .u64 in, .param .u64 out", &body));
        let memory = Memory::new();
        let instance = module.instantiate(&memory).unwrap();
        let (input, out) =
            (memory.alloc(data.len() as u64).unwrap(), memory.alloc((32 * of_d * bytes) as u64).unwrap());
        memory.write(input, data).unwrap();
        let params: Vec<u8> = [input, out].iter().flat_map(|value| value.to_le_bytes()).collect();
        let request = Launch::new(module.kernel("k").unwrap(), [1; 3], [32, 1, 1], &params);
        let report = launch(&instance, &memory, &request).unwrap_or_else(|fault| panic!("{fault}"));
        assert_eq!((report.counters.mma, report.counters.macs), (1, (m * 8 * k) as u64), "{shape}");
        let mut bytes = vec![0; 32 * of_d * bytes];
        memory.read(out, &mut bytes).unwrap();
        bytes
    }
}

#[test]
fn int8_products_are_exact_and_wrap_or_saturate() {
    for (shape, m, k) in [("m8n8k16", 8, 16), ("m16n8k16", 16, 16), ("m16n8k32", 16, 32)] {
        for (a, b) in [(S8, S8), (S8, U8), (U8, S8), (U8, U8)] {
            for saturate in [false, true] {
                for seed in 0..4 {
                    Mma { shape, m, k, a, b, sum: S32, saturate }.check(seed);
                }
            }
        }
    }
}

#[test]
fn float_products_are_right_in_every_type_and_shape() {
    let mut cases = Vec::new();
    for sum in [F32, F16] {
        for (shape, k) in [("m16n8k8", 8), ("m16n8k16", 16)] {
            cases.push((shape, 16, k, F16, F16, sum));
        }
        for (shape, k) in [("m16n8k16", 16), ("m16n8k32", 32)] {
            for (a, b) in [(E4M3, E4M3), (E4M3, E5M2), (E5M2, E4M3), (E5M2, E5M2)] {
                cases.push((shape, 16, k, a, b, sum));
            }
        }
    }
    cases.extend([("m16n8k8", 16, 8, BF16, BF16, F32), ("m16n8k16", 16, 16, BF16, BF16, F32)]);
    cases.extend([("m16n8k4", 16, 4, TF32, TF32, F32), ("m16n8k8", 16, 8, TF32, TF32, F32)]);
    cases.extend([("m8n8k4", 8, 4, F64, F64, F64), ("m16n8k4", 16, 4, F64, F64, F64)]);
    cases.extend([("m16n8k8", 16, 8, F64, F64, F64), ("m16n8k16", 16, 16, F64, F64, F64)]);
    for (shape, m, k, a, b, sum) in cases {
        for seed in 10..14 {
            Mma { shape, m, k, a, b, sum, saturate: false }.check(seed);
        }
    }
}

/// Every shape, pair of types, type of sums and modifier that the table below names, and no other, is loaded.
/// The table is what ptxas 13.0 assembles for sm_90.
#[test]
fn products_that_ptxas_refuses_are_refused() {
    const TAKEN: [(&str, &str, &str, &str, &str); 11] = [
        ("m8n8k4 m16n8k4 m16n8k8 m16n8k16", "f64", "f64", "f64", ".rn"),
        ("m8n8k16 m16n8k16 m16n8k32", "s8", "s8 u8", "s32", ".satfinite"),
        ("m8n8k16 m16n8k16 m16n8k32", "u8", "s8 u8", "s32", ".satfinite"),
        ("m16n8k4 m16n8k8", "tf32", "tf32", "f32", ""),
        ("m16n8k8 m16n8k16", "f16", "f16", "f32", ""),
        ("m16n8k8 m16n8k16", "f16", "f16", "f16", ""),
        ("m16n8k8 m16n8k16", "bf16", "bf16", "f32", ""),
        ("m16n8k16 m16n8k32", "e4m3", "e4m3 e5m2", "f32", ""),
        ("m16n8k16 m16n8k32", "e4m3", "e4m3 e5m2", "f16", ""),
        ("m16n8k16 m16n8k32", "e5m2", "e4m3 e5m2", "f32", ""),
        ("m16n8k16 m16n8k32", "e5m2", "e4m3 e5m2", "f16", ""),
    ];
    let all = [S8, U8, E4M3, E5M2, F16, BF16, TF32, F64];
    let (mut loaded, mut refused) = (0, 0);
    for (shape, m, k) in [
        ("m8n8k4", 8, 4),
        ("m8n8k16", 8, 16),
        ("m8n8k32", 8, 32),
        ("m16n8k4", 16, 4),
        ("m16n8k8", 16, 8),
        ("m16n8k16", 16, 16),
        ("m16n8k32", 16, 32),
    ] {
        for a in all {
            for b in all {
                for sum in [S32, F32, F16, F64] {
                    for modifier in ["", ".satfinite", ".rn"] {
                        let taken = TAKEN.iter().any(|(shapes, x, y, s, optional)| {
                            shapes.split(' ').any(|name| name == shape)
                                && *x == a.name
                                && y.split(' ').any(|name| name == b.name)
                                && *s == sum.name
                                && (modifier.is_empty() || modifier == *optional)
                        });
                        let regs = |elements: usize, kind: Kind| match kind.name {
                            "f64" => list("d", 0, elements / 32),
                            "f32" => list("f", 0, elements / 32),
                            _ => list("r", 0, (elements * kind.bits / 1024).max(1)),
                        };
                        let (d, c) = (regs(m * 8, sum), regs(m * 8, sum));
                        let (x, y) = (regs(m * k, a), regs(k * 8, b));
                        let statement = format!(
                            "mma.sync.aligned.{shape}.row.col{modifier}.{}.{}.{}.{} {d}, {x}, {y}, {c};",
                            sum.name, a.name, b.name, sum.name
                        );
                        if taken {
                            load(&text("sm_90", "", &statement));
                            loaded += 1;
                        } else {
                            load_error(&text("sm_90", "", &statement));
                            refused += 1;
                        }
                    }
                }
            }
        }
    }
    assert_eq!((loaded, refused), (8 + 24 + 2 + 4 + 2 + 16, 7 * 64 * 12 - 56));
}

#[test]
fn what_is_newer_than_the_target_is_refused() {
    for (target, statement) in [
        (
            "sm_80",
            "mma.sync.aligned.m16n8k32.row.col.f32.e4m3.e4m3.f32 {%f0,%f1,%f2,%f3}, {%r0,%r1,%r2,%r3}, {%r4,%r5}, {%f0,%f1,%f2,%f3};",
        ),
        (
            "sm_80",
            "mma.sync.aligned.m16n8k4.row.col.f64.f64.f64.f64 {%d0,%d1,%d2,%d3}, {%d4,%d5}, {%d6}, {%d0,%d1,%d2,%d3};",
        ),
        ("sm_80", "stmatrix.sync.aligned.m8n8.x1.shared.b16 [%r2], {%r1};"),
    ] {
        let error = load_error(&text(target, "", statement));
        assert!(error.to_string().contains(".target sm_"), "{error}");
        load(&text("sm_90", "", statement));
    }
    for statement in [
        // Braces are needed around a single register too.
        "ldmatrix.sync.aligned.m8n8.x1.shared.b16 %r1, [%r2];",
        "ldmatrix.sync.aligned.m8n8.x1.shared::cluster.b16 {%r1}, [%r2];",
        "ldmatrix.sync.aligned.m8n8.x2.shared.b16 {%r1}, [%r2];",
        "ldmatrix.sync.aligned.m16n16.x1.trans.shared.b8 {%r1, %r2}, [%r2];",
        "stmatrix.sync.aligned.m8n8.x1.shared.b16 [%r2], {%r1, %r3};",
        "stmatrix.sync.aligned.m16n8.x1.trans.shared.b8 [%r2], {%r1};",
        "movmatrix.sync.aligned.m8n8.b16 %r1, %r2;",
        "movmatrix.sync.aligned.m8n8.trans.b16 %r1, 3;",
    ] {
        load_error(&text("sm_90", "", statement));
    }
}
