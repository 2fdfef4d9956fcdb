//! Kernels for sm_90a with several buffers, run under any schedule.

use ptx_sim::{Fault, Instance, Launch, Memory, Module, Report, Schedule, launch};

/// Late, eager, and five drawn orders.
pub(crate) const SCHEDULES: [Schedule; 7] = [
    Schedule::Late,
    Schedule::Eager,
    Schedule::Random(1),
    Schedule::Random(2),
    Schedule::Random(3),
    Schedule::Random(4),
    Schedule::Random(5),
];

/// A kernel `k` whose parameters are the addresses of buffers, and what it is launched with.
pub(crate) struct Rig {
    module: Module,
    memory: Memory,
    instance: Instance,
    pub(crate) params: Vec<u8>,
    buffers: Vec<(u64, usize)>,
    pub(crate) grid: u32,
    pub(crate) threads: u32,
    pub(crate) cluster: u32,
}

/// The text of a kernel: `params` as PTX has them, module-level text, body. Registers %p, %h, %r, %l are there.
pub(crate) fn text(globals: &str, params: &str, body: &str) -> String {
    format!(
        ".version 8.6\n.target sm_90a\n.address_size 64\n{globals}\n.visible .entry k({params})\n{{\n\
         .reg .pred %p<16>;\n.reg .b16 %h<16>;\n.reg .b32 %r<64>;\n.reg .f32 %f<8>;\n.reg .b64 %l<32>;\n{body}\nret;\n}}\n"
    )
}

impl Rig {
    /// A kernel with one 64-bit parameter `p0`, `p1`, .. for each buffer; the addresses come in %l0, %l1, ..,
    /// the thread's index in %r0. Buffers begin with the given bytes.
    pub(crate) fn new(globals: &str, buffers: &[&[u8]], body: &str) -> Self {
        let params: Vec<String> = (0..buffers.len()).map(|index| format!(".param .u64 p{index}")).collect();
        let loads: String = (0..buffers.len()).map(|index| format!("ld.param.u64 %l{index}, [p{index}];\n")).collect();
        let body = format!("mov.u32 %r0, %tid.x;\n{loads}{body}");
        let mut rig = Self::with_params(&text(globals, &params.join(", "), &body));
        for bytes in buffers {
            let at = rig.buffer(bytes);
            rig.params.extend(at.to_le_bytes());
        }
        rig
    }

    /// A whole text, without parameters yet.
    pub(crate) fn with_params(text: &str) -> Self {
        let module = Module::load(text, "test.ptx").unwrap_or_else(|error| panic!("{error}\n{text}"));
        let memory = Memory::new();
        let instance = module.instantiate(&memory).unwrap();
        Self { module, memory, instance, params: Vec::new(), buffers: Vec::new(), grid: 1, threads: 128, cluster: 1 }
    }

    /// Another buffer; its address.
    pub(crate) fn buffer(&mut self, bytes: &[u8]) -> u64 {
        let at = self.memory.alloc(bytes.len() as u64).unwrap();
        self.memory.write(at, bytes).unwrap();
        self.buffers.push((at, bytes.len()));
        at
    }

    pub(crate) fn shape(mut self, grid: u32, threads: u32, cluster: u32) -> Self {
        (self.grid, self.threads, self.cluster) = (grid, threads, cluster);
        self
    }

    pub(crate) fn run(&self, schedule: Schedule) -> Result<Report, Box<Fault>> {
        let kernel = self.module.kernel("k").unwrap();
        let request = Launch::new(kernel, [self.grid, 1, 1], [self.threads, 1, 1], &self.params);
        launch(&self.instance, &self.memory, &request.with_schedule(schedule).with_cluster([self.cluster, 1, 1]))
    }

    /// The contents of a buffer.
    pub(crate) fn bytes(&self, buffer: usize) -> Vec<u8> {
        let (at, len) = self.buffers[buffer];
        let mut bytes = vec![0; len];
        self.memory.read(at, &mut bytes).unwrap();
        bytes
    }

    pub(crate) fn words(&self, buffer: usize) -> Vec<u32> {
        self.bytes(buffer).chunks_exact(4).map(|word| u32::from_le_bytes(word.try_into().unwrap())).collect()
    }

    /// Runs under every schedule without a fault; returns the notes of the last run.
    pub(crate) fn clean(&self) -> Vec<Fault> {
        let mut notes = Vec::new();
        for schedule in SCHEDULES {
            notes = self.run(schedule).unwrap_or_else(|fault| panic!("{schedule:?}: {fault}")).notes;
        }
        notes
    }

    /// The fault that every schedule has to find; that of the late one.
    pub(crate) fn fault(&self) -> Fault {
        let faults = SCHEDULES.map(|schedule| match self.run(schedule) {
            Ok(_) => panic!("{schedule:?} found nothing"),
            Err(fault) => *fault,
        });
        let [first, ..] = faults;
        first
    }
}

/// `count` 32-bit words, the same on every run.
pub(crate) fn numbers(count: usize) -> Vec<u8> {
    (0..count as u32).flat_map(|index| (index.wrapping_mul(0x9E37_79B1) ^ 0x5A5A).to_le_bytes()).collect()
}

/// Zeros for what a kernel writes.
pub(crate) fn zeros(bytes: usize) -> Vec<u8> {
    vec![0; bytes]
}
