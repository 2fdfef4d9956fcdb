//! A kernel in the simulator without the host library: any PTX text, any grid, any order of warps.
//!
//! This is how mutated kernels are run, and how a kernel is shown not to depend on its grid. It is also a
//! second way from arguments to results that shares no code with `outerscale`'s launches.

use contract::args;
use outerscale::{
    Element,
    ops::{Problem, Variant},
};
use ptx_sim::{Instance, Launch, Memory, Module, Schedule, Swizzle, TensorElement, TensorMap};
use std::{
    ops::Range,
    sync::{Mutex, MutexGuard, PoisonError},
};

/// An argument struct of the contract.
pub trait Argument: Copy {}
impl Argument for args::RowAbsmaxArgs {}
impl Argument for args::ColumnAbsmaxArgs {}
impl Argument for args::TensorAbsmaxArgs {}
impl Argument for args::RunningScaleArgs {}
impl Argument for args::QuantizeTokenArgs {}
impl Argument for args::QuantizeSmoothTokenArgs {}
impl Argument for args::QuantizeTensorArgs {}
impl Argument for args::QuantizeStaticArgs {}
impl Argument for args::OutlierColumnsArgs {}
impl Argument for args::OutlierListArgs {}
impl Argument for args::QuantizeOutliersArgs {}
impl Argument for args::QuantizeSmoothStaticArgs {}
impl Argument for args::QuantizeAsymArgs {}
impl Argument for args::RowSumsArgs {}
impl Argument for args::GemmOutliersArgs {}
impl Argument for contract::preset::QuantizePresetArgs {}
impl Argument for args::PackRowsArgs {}
impl Argument for args::PackWeightsArgs {}
impl Argument for args::GemmArgs {}
impl Argument for args::GemmSm90Args {}
impl Argument for args::GemmDecodeArgs {}
impl Argument for args::GemmAsymArgs {}

/// What of a launch may be chosen freely without changing its result.
#[derive(Clone, Copy, Debug, Default)]
pub struct How {
    /// The order of the warps.
    pub schedule: Schedule,
    /// Blocks, in place of what the host would take.
    pub blocks: Option<u32>,
}

/// A simulated GPU with one module.
pub struct Machine {
    memory: Memory,
    instance: Instance,
    /// The first finding that stopped no launch.
    note: Mutex<Option<String>>,
    /// How kernels are launched.
    pub how: How,
}

/// Instructions a warp may execute: mutants may loop for ever, and no case here needs a hundredth of this.
const INSTRUCTIONS: u64 = 20_000_000;

impl Machine {
    /// Loads `ptx`.
    ///
    /// # Errors
    /// The simulator's refusal.
    pub fn load(ptx: &str, file: &str) -> Result<Machine, String> {
        let memory = Memory::new();
        let module = Module::load(ptx, file).map_err(|e| format!("refused: {e}"))?;
        let instance = module.instantiate(&memory).map_err(|e| format!("refused: {e}"))?;
        Ok(Machine { memory, instance, note: Mutex::default(), how: How::default() })
    }

    /// Memory for `bytes` bytes, poisoned; 0 for none, as the host has it.
    pub fn room(&self, bytes: usize) -> u64 {
        if bytes == 0 { 0 } else { self.memory.alloc(bytes as u64).unwrap_or_else(|e| panic!("{e}")) }
    }

    /// A copy of `values`, `offset` elements into their memory and `row_stride` apart in rows of `cols`.
    pub fn upload<T: Element>(&self, values: &[T], cols: usize, row_stride: usize, offset: usize) -> u64 {
        let size = T::DTYPE.bytes() as usize;
        let rows = values.len() / cols.max(1);
        if rows == 0 {
            return 0;
        }
        let ptr = self.room((offset + (rows - 1) * row_stride + cols) * size) + (offset * size) as u64;
        for (row, values) in values.chunks(cols).enumerate() {
            let bytes: Vec<u8> = values.iter().flat_map(|v| v.bits().to_le_bytes().into_iter().take(size)).collect();
            self.memory.write(ptr + (row * row_stride * size) as u64, &bytes).unwrap_or_else(|e| panic!("{e}"));
        }
        ptr
    }

    /// A copy of `values` without gaps.
    pub fn vector<T: Element>(&self, values: &[T]) -> u64 {
        self.upload(values, values.len(), values.len(), 0)
    }

    /// The tensor map of a row-major matrix of elements of `bytes` bytes at `ptr`, with rows `row_bytes` apart, in boxes of
    /// `box_rows` rows of 128 bytes with the 128-byte swizzle.
    pub fn tensor_map(
        &self,
        (ptr, bytes): (u64, u64),
        [rows, cols]: [u64; 2],
        row_bytes: u64,
        box_rows: u32,
    ) -> args::TensorMap {
        let element = match bytes {
            1 => TensorElement::U8,
            2 => TensorElement::U16,
            _ => TensorElement::U32,
        };
        let map = TensorMap::packed(element, ptr, &[cols, rows], &[(128 / bytes) as u32, box_rows]);
        let mut map = map.unwrap_or_else(|e| panic!("{e}")).with_swizzle(Swizzle::B128);
        map.strides[0] = row_bytes;
        let encoded = map.encode().unwrap_or_else(|e| panic!("{e}"));
        let word = |i: usize| u64::from_le_bytes(encoded[8 * i..][..8].try_into().expect("eight bytes"));
        args::TensorMap(std::array::from_fn(word))
    }

    /// `bytes` bytes from `ptr`.
    pub fn download(&self, ptr: u64, bytes: usize) -> Vec<u8> {
        let mut out = vec![0; bytes];
        if bytes > 0 {
            self.memory.read(ptr, &mut out).unwrap_or_else(|e| panic!("{e}"));
        }
        out
    }

    /// Launches `variant`'s kernel `entry` for `problem`.
    ///
    /// # Errors
    /// The simulator's fault.
    pub fn launch<A: Argument>(
        &self,
        entry: &str,
        variant: &Variant,
        problem: &Problem,
        args: &A,
    ) -> Result<(), String> {
        let grid = self.how.blocks.unwrap_or_else(|| (variant.grid)(problem));
        let all = 0..grid.into();
        self.launch_some(entry, variant, problem, args, std::slice::from_ref(&all))
    }

    /// Launches these blocks of `variant`'s kernel `entry` for `problem`; the others do not run.
    ///
    /// # Errors
    /// The simulator's fault.
    pub fn launch_some<A: Argument>(
        &self,
        entry: &str,
        variant: &Variant,
        problem: &Problem,
        args: &A,
        blocks: &[Range<u64>],
    ) -> Result<(), String> {
        let kernel = self.instance.module().kernel(entry).ok_or_else(|| format!("no kernel {entry}"))?.clone();
        // SAFETY: the contract's arguments are repr(C), without padding; `args` lives through the launch.
        let params = unsafe { std::slice::from_raw_parts(std::ptr::from_ref(args).cast::<u8>(), size_of::<A>()) };
        let grid = self.how.blocks.unwrap_or_else(|| (variant.grid)(problem));
        let shape = [variant.block / variant.block_rows, variant.block_rows, 1];
        let mut launch = Launch::new(&kernel, [grid, 1, 1], shape, params)
            .with_blocks(blocks)
            .with_cluster([variant.cluster, 1, 1])
            .with_dynamic_shared(variant.shared_bytes)
            .with_schedule(self.how.schedule);
        (launch.instruction_limit, launch.listing) = (INSTRUCTIONS, false);
        let report =
            ptx_sim::launch(&self.instance, &self.memory, &launch).map_err(|fault| format!("fault: {fault}"))?;
        if let Some(note) = report.notes.first() {
            self.noted().get_or_insert_with(|| format!("note: {note}"));
        }
        Ok(())
    }

    /// The first finding since the last call, of those that stop no launch.
    pub fn take_note(&self) -> Option<String> {
        self.noted().take()
    }

    fn noted(&self) -> MutexGuard<'_, Option<String>> {
        self.note.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
