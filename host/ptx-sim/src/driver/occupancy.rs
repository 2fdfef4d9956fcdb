//! Occupancy: how many blocks of a kernel a multiprocessor holds at a time.

use std::ffi::{c_int, c_uint};

use super::{
    abi::Out,
    device::{MAX_BLOCK, REGISTERS_PER_MULTIPROCESSOR, SHARED_RESERVED_PER_BLOCK, Spec, WARP},
    function::{Function, REGISTERS_PER_THREAD, with_function},
    handle::Handle,
    status::{Answer, Code, Status, answer},
};

/// Registers and shared memory are given out in pieces of these sizes (CUDA occupancy calculator, sm_80 on).
const REGISTER_UNIT: u32 = 256;
const SHARED_UNIT: u32 = 128;

/// What a block of a kernel takes.
#[derive(Clone, Copy)]
struct Use {
    threads: u32,
    registers_per_thread: u32,
    shared: u32,
}

/// Blocks that fit at once, the least of four limits.
fn blocks(spec: &Spec, block: Use) -> u32 {
    let warps = block.threads.div_ceil(WARP);
    let registers = (block.registers_per_thread * WARP).next_multiple_of(REGISTER_UNIT) * warps;
    let shared = (block.shared + SHARED_RESERVED_PER_BLOCK).next_multiple_of(SHARED_UNIT);
    (spec.threads_per_multiprocessor / WARP / warps)
        .min(spec.blocks_per_multiprocessor)
        .min(REGISTERS_PER_MULTIPROCESSOR / registers.max(1))
        .min(spec.shared_per_multiprocessor / shared)
}

impl Function {
    fn block_use(&self, threads: u32, dynamic_shared: usize) -> Use {
        let dynamic = u32::try_from(dynamic_shared).unwrap_or(u32::MAX / 2);
        Use { threads, registers_per_thread: REGISTERS_PER_THREAD, shared: self.kernel.static_shared() + dynamic }
    }

    /// 0 where a launch of such a block would be refused.
    pub(super) fn active_blocks(&self, spec: &Spec, threads: u32, dynamic_shared: usize) -> u32 {
        let fits = threads <= self.max_threads() && dynamic_shared <= self.max_dynamic_shared() as usize;
        if fits { blocks(spec, self.block_use(threads, dynamic_shared)) } else { 0 }
    }
}

fn thread_count(threads: c_int) -> Answer<u32> {
    let count = u32::try_from(threads).ok().filter(|count| *count > 0);
    count.ok_or_else(|| Status::InvalidValue.because(format!("a block of {threads} threads")))
}

pub(super) extern "C" fn max_active_blocks(out: Out<c_int>, handle: Handle, threads: c_int, shared: usize) -> Code {
    answer(|| {
        let (function, spec) = with_function(handle)?;
        out.set(function.active_blocks(spec, thread_count(threads)?, shared) as c_int)
    })
}

pub(super) extern "C" fn max_active_blocks_with_flags(
    out: Out<c_int>,
    handle: Handle,
    threads: c_int,
    shared: usize,
    flags: c_uint,
) -> Code {
    match flags {
        0 | 1 => max_active_blocks(out, handle, threads, shared),
        _ => answer(|| Err(Status::InvalidValue.because(format!("occupancy flags {flags:#x}: 0 or 1")))),
    }
}

/// Dynamic shared memory that leaves room for `count` blocks of `threads`.
pub(super) extern "C" fn available_dynamic_shared(
    out: Out<usize>,
    handle: Handle,
    count: c_int,
    threads: c_int,
) -> Code {
    answer(|| {
        let (function, spec) = with_function(handle)?;
        let (count, threads) = (thread_count(count)?, thread_count(threads)?);
        if function.active_blocks(spec, threads, 0) < count {
            let why = format!("{count} blocks of {threads} threads of {} do not fit", function.kernel.name());
            return Err(Status::InvalidValue.because(why));
        }
        let each = spec.shared_per_multiprocessor / count / SHARED_UNIT * SHARED_UNIT;
        let taken = SHARED_RESERVED_PER_BLOCK + function.kernel.static_shared();
        out.set(each.saturating_sub(taken).min(function.max_dynamic_shared()) as usize)
    })
}

/// Dynamic shared memory as a function of the block's threads.
type SharedOfBlock = unsafe extern "C" fn(c_int) -> usize;

pub(super) extern "C" fn max_potential_block_size(
    least_grid: Out<c_int>,
    best_block: Out<c_int>,
    handle: Handle,
    shared_of_block: Option<SharedOfBlock>,
    shared: usize,
    limit: c_int,
) -> Code {
    answer(|| {
        let (function, spec) = with_function(handle)?;
        let most = function.max_threads().min(MAX_BLOCK[0]);
        let most = if limit > 0 { most.min(limit as u32) } else { most };
        let shared_for = |threads: u32| match shared_of_block {
            // SAFETY: the caller's own function of one number.
            Some(shared_of_block) => unsafe { shared_of_block(threads as c_int) },
            None => shared,
        };
        // The most threads at work win, and of equals the largest block.
        let candidates = (1..=most.div_ceil(WARP)).map(|warps| (warps * WARP).min(most));
        let best = candidates.map(|threads| (threads, function.active_blocks(spec, threads, shared_for(threads))));
        let Some((threads, active)) =
            best.filter(|(_, active)| *active > 0).max_by_key(|(threads, active)| (threads * active, *threads))
        else {
            return Err(Status::InvalidValue.because(format!("no block of {} fits", function.kernel.name())));
        };
        least_grid.set((active * spec.multiprocessors) as c_int)?;
        best_block.set(threads as c_int)
    })
}

#[cfg(test)]
mod tests {
    use super::{super::device::spec_of, *};

    fn hopper(threads: u32, registers_per_thread: u32, shared: u32) -> u32 {
        blocks(spec_of("sm_90"), Use { threads, registers_per_thread, shared })
    }

    #[test]
    fn each_limit_binds_in_its_turn() {
        assert_eq!(hopper(32, 16, 0), 32); // blocks
        assert_eq!(hopper(1024, 32, 0), 2); // threads
        assert_eq!(hopper(256, 128, 0), 2); // registers
        assert_eq!(hopper(256, 32, 100 << 10), 2); // shared memory with its reserve
        assert_eq!(hopper(256, 32, 227 << 10), 1);
    }
}
