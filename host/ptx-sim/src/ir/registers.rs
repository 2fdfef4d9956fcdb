//! From virtual registers to slots: a linear scan over live ranges.
//!
//! A compiler's PTX is nearly in single-assignment form: hundreds of registers of which few are alive at a
//! time. Slots that are used again keep a warp's registers in the processor's nearest cache.
//! Sharing slots is sound with diverged lanes too: a lane's slot is only written by that lane, along a path
//! on which the old value is not needed any more.

use super::defined;
use super::liveness::{Liveness, Numbering, Range};
use super::lower::Lowered;
use super::op::Reg;
use super::types::File;
use super::visit::visit;
use super::wgmma;
use super::{FileSizes, Program};

/// Gives the registers of laid-out code their slots and makes the program.
pub(crate) fn allocate(mut lowered: Lowered) -> Program {
    let watched = wgmma::watch(&mut lowered);
    let (register_names, alive) = defined::instrument(&mut lowered);
    let numbering = Numbering::new(&lowered);
    let ranges = alive.unwrap_or_else(|| Liveness::new(&mut lowered, &numbering)).ranges;
    let constants = [lowered.constants.w32.len(), lowered.constants.w64.len(), 0];
    let mut slots = vec![0_u32; numbering.total];
    let mut sizes = constants;
    for file in [File::W32, File::W64, File::Pred] {
        let first = numbering.first(file);
        let count = lowered.registers[file as usize] as usize;
        sizes[file as usize] =
            scan(&ranges[first..first + count], &mut slots[first..first + count], sizes[file as usize]);
    }
    let mut code = lowered.code;
    let mut pool = lowered.pool;
    // A list belongs to one operation, so that each register is renamed once.
    for inst in &mut code {
        visit(inst, &mut pool, |reg, file, _| {
            *reg = match numbering.of(*reg, file) {
                Some(number) => Reg(slots[number]),
                None => Reg(reg.0 & !Reg::CONSTANT),
            };
        });
    }
    Program {
        code,
        origins: lowered.origins,
        pool,
        constants: lowered.constants,
        files: FileSizes { w32: sizes[0], w64: sizes[1], pred: sizes[2] },
        local_bytes: lowered.local_bytes,
        dynamic_shared: lowered.dynamic_shared,
        order_matters: lowered.order_matters,
        tables: lowered.tables,
        register_names,
        entry_registers: None,
        wgmma_names: watched.names,
        wgmma_numbers: watched.numbers,
    }
}

fn scan(ranges: &[Range], slots: &mut [u32], constants: usize) -> usize {
    let mut by_start: Vec<usize> = (0..ranges.len()).filter(|index| ranges[*index].0 != u32::MAX).collect();
    by_start.sort_by_key(|index| ranges[*index]);
    // Ends of the ranges that hold a slot, earliest first.
    let mut active = std::collections::BinaryHeap::new();
    let mut free: Vec<u32> = Vec::new();
    let mut size = constants;
    for index in by_start {
        let (start, end) = ranges[index];
        while let Some(std::cmp::Reverse((last, slot))) = active.peek().copied() {
            if last >= start {
                break;
            }
            active.pop();
            free.push(slot);
        }
        let slot = free.pop().unwrap_or_else(|| {
            size += 1;
            size as u32 - 1
        });
        slots[index] = slot;
        active.push(std::cmp::Reverse((end, slot)));
    }
    size
}
