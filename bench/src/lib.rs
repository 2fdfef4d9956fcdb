//! What the criterion benches share: operands on the simulated GPU, filled by the tests' own generators.
//!
//! How long the simulator takes is a matter of tests, not of GPUs: nothing here says how fast a kernel is.
//! For that see `gpu.sh`.

use half::f16;
use outerscale::{
    Activations, Backend, Gpu, Int8Matrix, Layout, PerTensor, QuantizedTokens, QuantizedWeights, Scales, ops,
};
use outerscale_tests::data::{Codes, Kind};
use ptx_sim::{Fault, Instance, Launch, Memory, Module, Report};

/// The simulated GPU.
///
/// # Panics
/// If it cannot be opened.
pub fn simulator() -> Gpu {
    Gpu::open(Backend::Sim).unwrap_or_else(|e| panic!("{e}"))
}

/// x f16 [rows, cols] with outlier channels, on the GPU.
///
/// # Panics
/// On a CUDA error.
pub fn activations(gpu: &Gpu, rows: usize, cols: usize) -> Activations<f16> {
    let x: Vec<f16> = Kind::Outliers.matrix(rows, cols, 1);
    Activations::upload(gpu, &x, Layout::contiguous(rows as u64, cols as u64)).unwrap_or_else(|e| panic!("{e}"))
}

/// Codes of x [m, k] and of w [n, k] on the GPU, with one scale each, and the codes themselves.
///
/// # Panics
/// On a CUDA error.
pub fn operands(gpu: &Gpu, m: usize, n: usize, k: usize) -> Operands {
    let (codes_x, codes_w) = (Codes::Uniform.matrix(m, k, 1), Codes::Uniform.matrix(n, k, 2));
    let matrix = |codes: &[i8], rows: usize| {
        let layout = Layout::contiguous(rows as u64, k as u64);
        Int8Matrix::upload(gpu, codes, layout).unwrap_or_else(|e| panic!("{e}"))
    };
    let (x, _) = ops::pack_rows(gpu, &matrix(&codes_x, m), ops::Choice::Auto).unwrap_or_else(|e| panic!("{e}"));
    let (w, _) = ops::pack_weights(gpu, &matrix(&codes_w, n), ops::Choice::Auto).unwrap_or_else(|e| panic!("{e}"));
    let one = || Scales::upload(gpu, &[1.0]).unwrap_or_else(|e| panic!("{e}"));
    let x = QuantizedTokens::from_packed(x, one()).unwrap_or_else(|e| panic!("{e}"));
    let w = QuantizedWeights::from_packed(w, one()).unwrap_or_else(|e| panic!("{e}"));
    Operands { x, w, codes_x, codes_w }
}

/// What [`operands`] makes.
pub struct Operands {
    /// Tokens [m, k].
    pub x: QuantizedTokens<PerTensor>,
    /// Weights [n, k].
    pub w: QuantizedWeights<PerTensor>,
    /// The codes of `x`.
    pub codes_x: Vec<i8>,
    /// The codes of `w`.
    pub codes_w: Vec<i8>,
}

/// A kernel of matrix products that one block runs, so that one core has all the work: bench/ptx.
pub struct Products {
    module: Module,
    instance: Instance,
    memory: Memory,
    sums: u64,
}

impl Products {
    /// Bytes of the sums that a kernel may leave.
    const BYTES: usize = 4 * 64 * 256;

    /// The only kernel of the PTX `text`; its one parameter is the buffer of the sums.
    ///
    /// # Panics
    /// If the text is refused.
    pub fn load(text: &str, name: &str) -> Self {
        let module = Module::load(text, name).unwrap_or_else(|e| panic!("{e}"));
        let memory = Memory::new();
        let instance = module.instantiate(&memory).unwrap_or_else(|e| panic!("{e}"));
        let sums = memory.alloc(Self::BYTES as u64).unwrap_or_else(|e| panic!("{e}"));
        memory.fill(sums, Self::BYTES as u64, &[0]).unwrap_or_else(|e| panic!("{e}"));
        Self { module, instance, memory, sums }
    }

    /// One launch of a block of 128 threads, every check on.
    ///
    /// # Errors
    /// The launch's finding.
    ///
    /// # Panics
    /// If the text has no kernel.
    pub fn run(&self) -> Result<Report, Box<Fault>> {
        let kernel = self.module.kernels().next().expect("the text has a kernel");
        let params = self.sums.to_le_bytes();
        ptx_sim::launch(&self.instance, &self.memory, &Launch::new(kernel, [1; 3], [128, 1, 1], &params))
    }

    /// All sums added up.
    ///
    /// # Panics
    /// If they cannot be read.
    pub fn total(&self) -> u64 {
        let mut bytes = vec![0; Self::BYTES];
        self.memory.read(self.sums, &mut bytes).unwrap_or_else(|e| panic!("{e}"));
        bytes.chunks_exact(4).map(|b| u64::from(u32::from_le_bytes([b[0], b[1], b[2], b[3]]))).sum()
    }
}
