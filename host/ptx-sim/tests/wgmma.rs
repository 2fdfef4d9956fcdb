//! `wgmma.mma_async` of every type, layout and source against plain loops.

mod common;

use common::tensor::{BF16, E4M3, E5M2, F16, F32, Kind, Noise, S8, S32, TF32, U8, list};
use common::wgmma::{FENCE, text};
use common::{load, load_error};
use ptx_sim::{Launch, Memory, Schedule, launch};

/// How an operand lies in shared memory.
#[derive(Clone, Copy, Debug)]
struct Layout {
    /// Bytes of a row of the pattern: 16 without a swizzle, else 32, 64 or 128.
    width: usize,
    transposed: bool,
}

impl Layout {
    const PLAIN: Self = Self { width: 16, transposed: false };

    /// Leading and stride byte offsets of a tile of `rows` rows, and its bytes.
    fn offsets(self, rows: usize) -> (usize, usize, usize) {
        match (self.transposed, self.width) {
            (false, 16) => (rows * 16, 128, rows * 32),
            (false, width) => (16, 8 * width, rows * width),
            (true, 16) => (rows * 16, 128, rows * 32),
            (true, width) => (16 * width, 8 * width, (rows * 2).div_ceil(width) * 16 * width),
        }
    }

    /// Where byte `byte` of the element at (row, k) of `size` bytes lies: the formulas of the PTX document.
    fn place(self, rows: usize, row: usize, k: usize, size: usize) -> usize {
        let (leading, stride, _) = self.offsets(rows);
        let width = self.width;
        let at = match (self.transposed, width) {
            (false, 16) => row % 8 * 16 + row / 8 * stride + k * size / 16 * leading + k * size % 16,
            (false, _) => row % 8 * width + row / 8 * stride + k * size,
            (true, 16) => row % 8 * 2 + row / 8 * stride + k % 8 * 16 + k / 8 * leading,
            (true, _) => row * 2 % width + row * 2 / width * leading + k % 8 * width + k / 8 * stride,
        };
        at ^ (at >> 3 & (width - 16))
    }

    /// The descriptor but for its start address.
    fn descriptor(self, rows: usize) -> u64 {
        let (leading, stride, _) = self.offsets(rows);
        let mode = match self.width {
            16 => 0_u64,
            32 => 3,
            64 => 2,
            _ => 1,
        };
        mode << 62 | (stride as u64 >> 4) << 32 | (leading as u64 >> 4) << 16
    }
}

struct Case {
    n: usize,
    a: Kind,
    b: Kind,
    sum: Kind,
    /// `None` for A in registers.
    a_layout: Option<Layout>,
    b_layout: Layout,
    signs: [i32; 2],
    saturate: bool,
    /// What stands for scale-d, and whether it means to add.
    scale: (&'static str, bool),
}

impl Case {
    fn new(n: usize, a: Kind, b: Kind, sum: Kind) -> Self {
        let plain = Layout::PLAIN;
        Self {
            n,
            a,
            b,
            sum,
            a_layout: Some(plain),
            b_layout: plain,
            signs: [1, 1],
            saturate: false,
            scale: ("1", true),
        }
    }

    fn k(&self) -> usize {
        256 / self.a.bits
    }

    /// Bytes of a lane's D.
    fn d_bytes(&self) -> usize {
        self.n / 2 * self.sum.bits / 8
    }

    fn name(&self) -> String {
        let Self { n, a, b, sum, a_layout, b_layout, signs, saturate, scale } = self;
        format!(
            "m64n{n} {} {} {}, A {a_layout:?}, B {b_layout:?}, {signs:?}, satfinite {saturate}, scale-d {}",
            a.name, b.name, sum.name, scale.0
        )
    }

    fn instruction(&self, regs: usize) -> String {
        let prefix = if self.sum.name == "f32" { "f" } else { "r" };
        let a = if self.a_layout.is_some() { "%l4".to_owned() } else { list("r", 200, 4) };
        let mut tail = format!("{}, %l5, {}", a, self.scale.0);
        if self.sum.name != "s32" {
            tail += &format!(", {}, {}", self.signs[0], self.signs[1]);
        }
        if self.a.bits == 16 {
            if let Some(layout) = self.a_layout {
                tail += &format!(", {}", u8::from(layout.transposed));
            }
            tail += &format!(", {}", u8::from(self.b_layout.transposed));
        }
        format!(
            "wgmma.mma_async.sync.aligned.m64n{}k{}{}.{}.{}.{} {}, {tail};",
            self.n,
            self.k(),
            if self.saturate { ".satfinite" } else { "" },
            self.sum.name,
            self.a.name,
            self.b.name,
            list(prefix, 0, regs)
        )
    }

    /// The kernel: the image to shared memory, D and A to registers, one product, D back.
    fn kernel(&self, b_at: usize, image_bytes: usize) -> String {
        let regs = self.d_bytes() / 4;
        let (prefix, ty) = if self.sum.name == "f32" { ("f", "f32") } else { ("r", "b32") };
        let each = |form: &str| -> String {
            (0..regs)
                .map(|i| form.replace("REG", &format!("%{prefix}{i}")).replace("AT", &(4 * i).to_string()))
                .collect()
        };
        let loads_a: String = match self.a_layout {
            None => (0..4).map(|q| format!("ld.global.b32 %r{}, [%l7+{}];\n", 200 + q, 4 * q)).collect(),
            Some(_) => String::new(),
        };
        let a_descriptor = self.a_layout.map_or(0, |layout| layout.descriptor(64));
        format!(
            "ld.param.u64 %l0, [image];\nld.param.u64 %l1, [d];\nld.param.u64 %l2, [a];\nmov.u32 %r250, %tid.x;\n\
             mul.wide.u32 %l3, %r250, {d_bytes};\nadd.u64 %l1, %l1, %l3;\n\
             mul.wide.u32 %l7, %r250, 16;\nadd.u64 %l7, %l2, %l7;\n\
             mov.u32 %r251, tile;\nmul.lo.u32 %r252, %r250, 16;\nCOPY:\ncvt.u64.u32 %l8, %r252;\nadd.u64 %l8, %l0, %l8;\n\
             ld.global.v4.b32 {{%r240, %r241, %r242, %r243}}, [%l8];\nadd.u32 %r253, %r251, %r252;\n\
             st.shared.v4.b32 [%r253], {{%r240, %r241, %r242, %r243}};\nadd.u32 %r252, %r252, 2048;\n\
             setp.lt.u32 %p1, %r252, {image_bytes};\n@%p1 bra COPY;\n{FENCE}bar.sync 0;\n{loads}{loads_a}\
             setp.ne.u32 %p2, %r250, 999999;\n\
             cvt.u64.u32 %l6, %r251;\nshr.u64 %l6, %l6, 4;\nand.b64 %l6, %l6, 0x3FFF;\n\
             or.b64 %l4, %l6, {a_descriptor};\nadd.u64 %l5, %l6, {b_chunks};\nor.b64 %l5, %l5, {b_descriptor};\n\
             wgmma.fence.sync.aligned;\n{product}\nwgmma.commit_group.sync.aligned;\nwgmma.wait_group.sync.aligned 0;\n{stores}",
            d_bytes = self.d_bytes(),
            loads = each(&format!("ld.global.{ty} REG, [%l1+AT];\n")),
            stores = each(&format!("st.global.{ty} [%l1+AT], REG;\n")),
            b_chunks = b_at / 16,
            b_descriptor = self.b_layout.descriptor(self.n) as i64,
            a_descriptor = a_descriptor as i64,
            product = self.instruction(regs),
        )
    }

    fn check(&self, seed: u64, schedule: Schedule) {
        let (n, k) = (self.n, self.k());
        let mut noise = Noise(seed);
        let left: Vec<u64> = (0..64 * k).map(|_| noise.bits(self.a)).collect();
        let right: Vec<u64> = (0..n * k).map(|_| noise.bits(self.b)).collect();
        let start: Vec<u64> = (0..64 * n)
            .map(|index| match (self.sum.name, index % 3) {
                ("s32", 0) => u64::from(i32::MAX as u32 - (noise.next() as u32 & 0xFFF)),
                ("s32", 1) => u64::from(i32::MIN as u32 + (noise.next() as u32 & 0xFFF)),
                _ => noise.bits(self.sum),
            })
            .collect();
        // The image of shared memory: A, then B on the next boundary of 1024 bytes.
        let size = self.a.bits / 8;
        let a_bytes = self.a_layout.map_or(0, |layout| layout.offsets(64).2).next_multiple_of(1024);
        let mut image = vec![0xEE; (a_bytes + self.b_layout.offsets(n).2).next_multiple_of(2048)];
        let mut put = |base: usize, layout: Layout, rows: usize, values: &[u64]| {
            for row in 0..rows {
                for at in 0..k {
                    let place = base + layout.place(rows, row, at, size);
                    image[place..place + size].copy_from_slice(&values[row * k + at].to_le_bytes()[..size]);
                }
            }
        };
        if let Some(layout) = self.a_layout {
            put(0, layout, 64, &left);
        }
        put(a_bytes, self.b_layout, n, &right);
        let per = 32 / self.a.bits;
        let (mut of_a, mut of_d) = (Vec::new(), Vec::new());
        for thread in 0..128 {
            let (base, g, t) = (thread / 32 * 16, thread % 32 / 4, thread % 4);
            for i in 0..4 * per {
                let (row, col) = (base + g + 8 * (i / per % 2), per * t + i % per + 4 * per * (i / per / 2));
                of_a.extend_from_slice(&left[row * k + col].to_le_bytes()[..size]);
            }
            for i in 0..n / 2 {
                let (row, col) = (base + g + 8 * (i >> 1 & 1), 8 * (i >> 2) + 2 * t + (i & 1));
                of_d.extend_from_slice(&start[row * n + col].to_le_bytes()[..self.sum.bits / 8]);
            }
        }
        let found = self.run(&image, &of_a, &of_d, a_bytes, schedule);
        let value = |kind: Kind, bits: u64| (kind.value)(bits);
        for thread in 0..128 {
            for i in 0..n / 2 {
                let (base, g, t) = (thread / 32 * 16, thread % 32 / 4, thread % 4);
                let (row, col) = (base + g + 8 * (i >> 1 & 1), 8 * (i >> 2) + 2 * t + (i & 1));
                let bytes = self.sum.bits / 8;
                let at = (thread * (n / 2) + i) * bytes;
                let mut bits = [0; 8];
                bits[..bytes].copy_from_slice(&found[at..at + bytes]);
                let found = value(self.sum, u64::from_le_bytes(bits));
                let first = if self.scale.1 { value(self.sum, start[row * n + col]) } else { 0.0 };
                let sign = f64::from(self.signs[0] * self.signs[1]);
                let (total, size) = (0..k)
                    .map(|at| sign * value(self.a, left[row * k + at]) * value(self.b, right[col * k + at]))
                    .fold((first, first.abs()), |(sum, size), term| (sum + term, size + term.abs()));
                let (wanted, room) = match self.sum.name {
                    "s32" if self.saturate => (total.clamp(f64::from(i32::MIN), f64::from(i32::MAX)), 0.0),
                    "s32" => (f64::from(total as i64 as i32), 0.0),
                    "f16" => (total, size * 2_f64.powi(-11)),
                    _ => (total, size * 2_f64.powi(-23)),
                };
                let name = self.name();
                assert!((found - wanted).abs() <= room, "{name}: row {row}, column {col}: {found}, not {wanted}");
            }
        }
    }

    fn run(&self, image: &[u8], a: &[u8], d: &[u8], b_at: usize, schedule: Schedule) -> Vec<u8> {
        let params = ".param .u64 image, .param .u64 d, .param .u64 a";
        let module = load(&text(params, &self.kernel(b_at, image.len())));
        let memory = Memory::new();
        let instance = module.instantiate(&memory).unwrap();
        let place = |bytes: &[u8]| {
            let at = memory.alloc(bytes.len() as u64).unwrap();
            memory.write(at, bytes).unwrap();
            at
        };
        let (image, d_at, a) = (place(image), place(d), place(a));
        let params: Vec<u8> = [image, d_at, a].iter().flat_map(|value| value.to_le_bytes()).collect();
        let request = Launch::new(module.kernel("k").unwrap(), [1; 3], [128, 1, 1], &params).with_schedule(schedule);
        let report = launch(&instance, &memory, &request).unwrap_or_else(|fault| panic!("{}: {fault}", self.name()));
        let counted = &report.counters;
        assert_eq!((counted.wgmma, counted.mma), (4, 0), "{}: one for each warp", self.name());
        assert_eq!(counted.macs, (64 * self.n * self.k()) as u64, "{}", self.name());
        let mut out = vec![0; d.len()];
        memory.read(d_at, &mut out).unwrap();
        out
    }
}

const WIDTHS: [usize; 4] = [16, 32, 64, 128];

#[test]
fn int8_products_are_exact_for_every_number_of_columns() {
    let mut seed = 0;
    for n in (8..=32).step_by(8).chain((48..=256).step_by(16)) {
        for (a, b) in [(S8, S8), (S8, U8), (U8, S8), (U8, U8)] {
            seed += 1;
            let width = WIDTHS[seed % 4];
            let mut case = Case::new(n, a, b, S32);
            case.a_layout = (seed % 3 != 0).then_some(Layout { width, transposed: false });
            case.b_layout = Layout { width: WIDTHS[seed / 4 % 4], transposed: false };
            case.saturate = seed % 2 == 0;
            case.scale = [("1", true), ("0", false), ("%p2", true), ("!%p2", false)][seed / 2 % 4];
            case.check(seed as u64, [Schedule::Late, Schedule::Eager, Schedule::Random(seed as u64)][seed % 3]);
        }
    }
}

#[test]
fn float_products_are_right_in_every_type() {
    let mut seed = 0;
    for (a, b, sum) in [
        (F16, F16, F32),
        (F16, F16, F16),
        (BF16, BF16, F32),
        (TF32, TF32, F32),
        (E4M3, E4M3, F32),
        (E4M3, E5M2, F16),
        (E5M2, E4M3, F32),
        (E5M2, E5M2, F16),
    ] {
        for n in [8, 40, 64, 120, 256] {
            for signs in [[1, 1], [-1, 1], [1, -1], [-1, -1]] {
                seed += 1;
                let mut case = Case::new(n, a, b, sum);
                case.signs = signs;
                case.a_layout = (seed % 2 == 0).then_some(Layout { width: WIDTHS[seed % 4], transposed: false });
                case.b_layout = Layout { width: WIDTHS[seed / 4 % 4], transposed: false };
                case.scale = [("1", true), ("0", false), ("%p2", true)][seed % 3];
                case.check(seed as u64, Schedule::Late);
            }
        }
    }
}

#[test]
fn sixteen_bit_operands_lie_in_either_order_under_every_swizzle() {
    let mut seed = 100;
    for kind in [F16, BF16] {
        for a_width in WIDTHS {
            for b_width in WIDTHS {
                for (a_transposed, b_transposed) in [(false, true), (true, false), (true, true)] {
                    seed += 1;
                    let mut case = Case::new([64, 128, 96, 8][seed as usize % 4], kind, kind, F32);
                    case.a_layout = Some(Layout { width: a_width, transposed: a_transposed });
                    case.b_layout = Layout { width: b_width, transposed: b_transposed };
                    case.check(seed, Schedule::Eager);
                    if !a_transposed {
                        case.a_layout = None;
                        case.check(seed, Schedule::Random(seed));
                    }
                }
            }
        }
    }
}

/// The table of what ptxas 13.0 assembles for sm_90a, and around it what it refuses.
#[test]
fn products_that_ptxas_refuses_are_refused() {
    let kernel = |statement: &str| text("", statement);
    let (mut taken, mut refused) = (0, 0);
    for n in (4..=272).step_by(4) {
        for (k, kinds, sum, tail) in [
            (32, "s8.u8", "s32", "%p1"),
            (16, "f16.f16", "f32", "%p1, 1, 1, 0, 0"),
            (16, "f16.f16", "f16", "%p1, 1, 1, 0, 0"),
            (16, "bf16.bf16", "f32", "%p1, 1, 1, 0, 0"),
            (8, "tf32.tf32", "f32", "%p1, 1, 1"),
            (32, "e4m3.e5m2", "f16", "%p1, 1, 1"),
            (16, "bf16.bf16", "f16", "%p1, 1, 1, 0, 0"),
            (8, "tf32.tf32", "f16", "%p1, 1, 1"),
            (16, "s8.s8", "s32", "%p1"),
            (32, "s8.s8", "f32", "%p1"),
            (32, "f16.f16", "f32", "%p1, 1, 1, 0, 0"),
            (16, "f16.bf16", "f32", "%p1, 1, 1, 0, 0"),
        ] {
            let regs = n / if sum == "f16" { 4 } else { 2 };
            let d = list(if sum == "f32" { "f" } else { "r" }, 0, regs);
            let statement = format!("wgmma.mma_async.sync.aligned.m64n{n}k{k}.{sum}.{kinds} {d}, %l1, %l2, {tail};");
            let known = n % 8 == 0 && n <= 256;
            let known = match (kinds, sum, k) {
                ("s8.u8", ..) => known && (n <= 32 || n % 16 == 0),
                ("f16.f16", _, 16) | ("bf16.bf16", "f32", _) | ("tf32.tf32", "f32", _) | ("e4m3.e5m2", ..) => known,
                _ => false,
            };
            if known {
                load(&kernel(&statement));
                taken += 1;
            } else {
                load_error(&kernel(&statement));
                refused += 1;
            }
        }
    }
    assert_eq!((taken, refused), (18 + 5 * 32, 68 * 12 - 178));
    let d = list("r", 0, 4);
    let f = list("f", 0, 4);
    for (head, tail) in [
        ("m64n8k32.s32.s8.s8", "%l1, %l2, 2"),
        ("m64n8k32.s32.s8.s8", "%l1, %l2, -1"),
        ("m64n8k32.s32.s8.s8", "%l1, %l2, %p1, 1, 1"),
        ("m64n8k32.s32.s8.s8", "{0, 0, 0, 0}, %l2, %p1"),
        ("m64n8k32.s32.s8.s8", "{%r4, %r5}, %l2, %p1"),
    ] {
        load_error(&kernel(&format!("wgmma.mma_async.sync.aligned.{head} {d}, {tail};")));
    }
    for tail in ["%p1", "%p1, 1, 1", "%p1, 1, 1, 0", "%p1, 0, 1, 0, 0", "%p1, 2, 1, 0, 0", "%p1, 1, 1, 0, 2"] {
        load_error(&kernel(&format!("wgmma.mma_async.sync.aligned.m64n8k16.f32.f16.f16 {f}, %l1, %l2, {tail};")));
    }
    for statement in [
        "wgmma.fence.sync;",
        "wgmma.wait_group.sync.aligned %r1;",
        "wgmma.wait_group.sync.aligned;",
        "wgmma.commit_group.sync.aligned 0;",
    ] {
        load_error(&kernel(statement));
    }
    // Both places of .satfinite are taken; sm_90 without its letter has none of this.
    for head in ["m64n8k32.satfinite.s32.s8.s8", "m64n8k32.s32.s8.s8.satfinite"] {
        load(&kernel(&format!("wgmma.mma_async.sync.aligned.{head} {d}, %l1, %l2, 1;")));
    }
    let error = load_error(&kernel("wgmma.fence.sync.aligned;").replace("sm_90a", "sm_90"));
    assert!(error.to_string().contains("sm_90a"), "{error}");
}
