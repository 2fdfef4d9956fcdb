//! Small kernels made from a few lines, run on values.
#![allow(dead_code, reason = "each test file uses its own part")]

pub(crate) mod tensor;
pub(crate) mod wgmma;

use ptx_sim::{Checks, Counters, Fault, Instance, Launch, LoadError, Memory, Module, Report, Schedule, launch};

/// A module with one kernel `k` of parameters `params` (PTX text) and the given module-level and body text.
pub(crate) fn module(globals: &str, params: &str, body: &str) -> String {
    format!(
        ".version 8.7\n.target sm_90\n.address_size 64\n{globals}\n.visible .entry k({params})\n{{\n\
         .reg .pred %p<16>;\n.reg .b16 %h<16>;\n.reg .b32 %r<64>;\n.reg .b64 %l<32>;\n{body}\nret;\n}}\n"
    )
}

/// Loads a text that has to be right.
pub(crate) fn load(text: &str) -> Module {
    Module::load(text, "test.ptx").unwrap_or_else(|error| panic!("{error}\n{text}"))
}

/// The error of a text that has to be wrong.
pub(crate) fn load_error(text: &str) -> LoadError {
    match Module::load(text, "test.ptx") {
        Ok(_) => panic!("this text should be refused:\n{text}"),
        Err(error) => error,
    }
}

/// A loaded kernel `k` with its own memory and one output buffer, whose address is the only parameter.
pub(crate) struct Rig {
    pub(crate) module: Module,
    pub(crate) memory: Memory,
    pub(crate) instance: Instance,
    pub(crate) out: u64,
    pub(crate) out_bytes: usize,
    pub(crate) schedule: Schedule,
    pub(crate) checks: Checks,
    pub(crate) dynamic_shared: u32,
    pub(crate) instruction_limit: u64,
}

impl Rig {
    /// `body` finds the output's address in %l0 and the thread's index in %r0.
    pub(crate) fn new(globals: &str, body: &str, out_bytes: usize) -> Self {
        let start = "ld.param.u64 %l0, [out];\nmov.u32 %r0, %tid.x;\n";
        let module = load(&module(globals, ".param .u64 out", &format!("{start}{body}")));
        let memory = Memory::new();
        let instance = module.instantiate(&memory).unwrap();
        let out = memory.alloc(out_bytes as u64).unwrap();
        let instruction_limit = ptx_sim::DEFAULT_INSTRUCTION_LIMIT;
        Self {
            module,
            memory,
            instance,
            out,
            out_bytes,
            schedule: Schedule::Late,
            checks: Checks::ALL,
            dynamic_shared: 0,
            instruction_limit,
        }
    }

    pub(crate) fn run(&self, blocks: u32, threads: u32) -> Result<Counters, Box<Fault>> {
        self.report(blocks, threads).map(|report| report.counters)
    }

    /// Runs and returns notes as well.
    pub(crate) fn report(&self, blocks: u32, threads: u32) -> Result<Report, Box<Fault>> {
        let params = self.out.to_le_bytes();
        let kernel = self.module.kernel("k").unwrap();
        let mut request = Launch::new(kernel, [blocks, 1, 1], [threads, 1, 1], &params);
        request = request.with_schedule(self.schedule).with_dynamic_shared(self.dynamic_shared);
        request.instruction_limit = self.instruction_limit;
        request.checks = self.checks;
        launch(&self.instance, &self.memory, &request)
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut bytes = vec![0; self.out_bytes];
        self.memory.read(self.out, &mut bytes).unwrap();
        bytes
    }

    pub(crate) fn words(&self) -> Vec<u32> {
        self.bytes().chunks_exact(4).map(|word| u32::from_le_bytes(word.try_into().unwrap())).collect()
    }

    /// Runs and returns the output as words.
    pub(crate) fn result(&self, blocks: u32, threads: u32) -> Vec<u32> {
        self.run(blocks, threads).unwrap_or_else(|fault| panic!("{fault}"));
        self.words()
    }

    /// Runs and returns the fault that has to come.
    pub(crate) fn fault(&self, blocks: u32, threads: u32) -> Fault {
        *self.run(blocks, threads).expect_err("a fault was expected")
    }
}

/// Runs `op` once for each triple. It finds its operands in %r1 to %r3 (the low words; %h1 to %h3 the low
/// halves) and in %l1 to %l3, and leaves its result in %l4, or in %r4 or %h4 when `width` says so.
pub(crate) fn evaluate(op: &str, width: u32, values: &[[u64; 3]]) -> Vec<u64> {
    let finish = match width {
        16 => "cvt.u64.u16 %l4, %h4;",
        32 => "cvt.u64.u32 %l4, %r4;",
        _ => "",
    };
    let body = format!(
        "ld.param.u64 %l0, [out];\nld.param.u64 %l5, [in];\nmov.u32 %r10, %ctaid.x;\nmov.u32 %r11, %tid.x;\n\
         mad.lo.u32 %r0, %r10, 32, %r11;\nmul.wide.u32 %l6, %r0, 24;\nadd.u64 %l5, %l5, %l6;\n\
         ld.global.u64 %l1, [%l5];\nld.global.u64 %l2, [%l5+8];\nld.global.u64 %l3, [%l5+16];\n\
         cvt.u32.u64 %r1, %l1;\ncvt.u32.u64 %r2, %l2;\ncvt.u32.u64 %r3, %l3;\n\
         cvt.u16.u32 %h1, %r1;\ncvt.u16.u32 %h2, %r2;\ncvt.u16.u32 %h3, %r3;\n\
         {op}\n{finish}\nmul.wide.u32 %l6, %r0, 8;\nadd.u64 %l0, %l0, %l6;\nst.global.u64 [%l0], %l4;"
    );
    let module = load(&module("", ".param .u64 in, .param .u64 out", &body));
    let memory = Memory::new();
    let instance = module.instantiate(&memory).unwrap();
    let blocks = values.len().div_ceil(32);
    let mut bytes: Vec<u8> = values.iter().flatten().flat_map(|value| value.to_le_bytes()).collect();
    bytes.resize(blocks * 32 * 24, 0);
    let input = memory.alloc(bytes.len() as u64).unwrap();
    memory.write(input, &bytes).unwrap();
    let output = memory.alloc(blocks as u64 * 32 * 8).unwrap();
    let params: Vec<u8> = [input, output].iter().flat_map(|value| value.to_le_bytes()).collect();
    let request = Launch::new(module.kernel("k").unwrap(), [blocks as u32, 1, 1], [32, 1, 1], &params);
    launch(&instance, &memory, &request).unwrap_or_else(|fault| panic!("{fault}"));
    let mut out = vec![0; values.len() * 8];
    memory.read(output, &mut out).unwrap();
    out.chunks_exact(8).map(|word| u64::from_le_bytes(word.try_into().unwrap())).collect()
}

/// Holds `op` against `expected` on every triple of `values`.
pub(crate) fn check(op: &str, width: u32, values: &[[u64; 3]], expected: impl Fn(u64, u64, u64) -> u64) {
    for ([a, b, c], found) in values.iter().zip(evaluate(op, width, values)) {
        let wanted = expected(*a, *b, *c);
        assert_eq!(found, wanted, "{op} of {a:#x}, {b:#x}, {c:#x}: {found:#x}, not {wanted:#x}");
    }
}

/// Triples of edge cases and of pseudo-random numbers, all below 2^bits.
pub(crate) fn samples(bits: u32) -> Vec<[u64; 3]> {
    let keep = u64::MAX >> (64 - bits);
    let top = 1_u64 << (bits - 1);
    let edges = [0, 1, 2, 3, 7, 31, 32, 33, 63, 64, 127, 128, 255, top - 1, top, top + 1, keep - 1, keep];
    let mut out = Vec::new();
    for a in edges {
        for b in edges {
            out.push([a & keep, b & keep, (a ^ b.rotate_left(3)) & keep]);
        }
    }
    let mut state = 7_u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state ^ (state >> 29)) & keep
    };
    out.extend((0..2000).map(|_| [next(), next(), next()]));
    out
}
