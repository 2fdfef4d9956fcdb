//! From virtual registers to slots: a linear scan over live ranges.
//!
//! A compiler's PTX is nearly in single-assignment form: hundreds of registers of which few are alive at a
//! time. Slots that are used again keep a warp's registers in the processor's nearest cache.
//! Sharing slots is sound with diverged lanes too: a lane's slot is only written by that lane, along a path
//! on which the old value is not needed any more.

use super::lower::Lowered;
use super::op::{Guard, Op, Reg};
use super::types::File;
use super::visit::{Role, visit};
use super::{FileSizes, Program};

/// Numbers of all virtual registers: each file's follow those of the one before.
struct Numbering {
    base: [usize; 3],
    total: usize,
}

impl Numbering {
    fn of(&self, reg: Reg, file: File) -> Option<usize> {
        (reg.0 & Reg::CONSTANT == 0).then(|| self.base[file as usize] + reg.at())
    }
}

/// Gives the registers of laid-out code their slots and makes the program.
pub(crate) fn allocate(mut lowered: Lowered) -> Program {
    let [w32, w64, pred] = lowered.registers.map(|count| count as usize);
    let numbering = Numbering { base: [0, w32, w32 + w64], total: w32 + w64 + pred };
    let ranges = live_ranges(&mut lowered, &numbering);
    let constants = [lowered.constants.w32.len(), lowered.constants.w64.len(), 0];
    let mut slots = vec![0_u32; numbering.total];
    let mut sizes = constants;
    for file in [File::W32, File::W64, File::Pred] {
        let first = numbering.base[file as usize];
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
    }
}

/// First and last position at which a register is alive; `(MAX, 0)` for one that is never used.
type Range = (u32, u32);

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

/// A set of register numbers.
#[derive(Clone, PartialEq, Eq)]
struct Set(Vec<u64>);

impl Set {
    fn new(total: usize) -> Self {
        Self(vec![0; total.div_ceil(64)])
    }

    fn insert(&mut self, number: usize) {
        self.0[number / 64] |= 1 << (number % 64);
    }

    fn contains(&self, number: usize) -> bool {
        self.0[number / 64] >> (number % 64) & 1 == 1
    }

    fn members(&self) -> impl Iterator<Item = usize> + '_ {
        self.0.iter().enumerate().flat_map(|(word, bits)| {
            let bits = *bits;
            (0..64).filter(move |bit| bits >> bit & 1 == 1).map(move |bit| word * 64 + bit)
        })
    }
}

fn live_ranges(lowered: &mut Lowered, numbering: &Numbering) -> Vec<Range> {
    let heads: Vec<usize> = (0..lowered.code.len())
        .filter(|at| *at == 0 || starts_block(lowered, *at))
        .chain([lowered.code.len()])
        .collect();
    let mut block_at = vec![0_usize; lowered.code.len() + 1];
    for (index, pair) in heads.windows(2).enumerate() {
        block_at[pair[0]..pair[1]].fill(index);
    }
    let count = heads.len() - 1;
    let (mut used, mut killed) = (vec![Set::new(numbering.total); count], vec![Set::new(numbering.total); count]);
    let mut successors = vec![Vec::new(); count];
    let mut ranges = vec![(u32::MAX, 0_u32); numbering.total];
    for block in 0..count {
        for at in heads[block]..heads[block + 1] {
            let mut inst = lowered.code[at];
            let whole = inst.guard == Guard::ALWAYS;
            visit(&mut inst, &mut lowered.pool, |reg, file, role| {
                let Some(number) = numbering.of(*reg, file) else { return };
                let range = &mut ranges[number];
                *range = (range.0.min(at as u32), range.1.max(at as u32));
                // A write under a guard keeps the old value in the other lanes.
                match role {
                    Role::Write if whole => killed[block].insert(number),
                    _ if !killed[block].contains(number) => used[block].insert(number),
                    _ => {}
                }
            });
        }
        let end = heads[block + 1];
        let last = lowered.code[end - 1];
        let falls = match last.op {
            Op::Jump { target } => {
                successors[block].push(block_at[target as usize]);
                false
            }
            Op::Branch { target } => {
                successors[block].push(block_at[target as usize]);
                true
            }
            Op::BranchTable { table, .. } => {
                successors[block].extend(lowered.tables[table as usize].iter().map(|to| block_at[*to as usize]));
                last.guard != Guard::ALWAYS
            }
            Op::Exit | Op::Trap => last.guard != Guard::ALWAYS,
            _ => true,
        };
        if falls && end < lowered.code.len() {
            successors[block].push(block + 1);
        }
    }
    let (live_in, live_out) = flow(&used, &killed, &successors, numbering.total);
    for block in 0..count {
        let (first, last) = (heads[block] as u32, heads[block + 1] as u32 - 1);
        for number in live_in[block].members() {
            ranges[number] = (ranges[number].0.min(first), ranges[number].1.max(first));
        }
        for number in live_out[block].members() {
            ranges[number] = (ranges[number].0.min(last), ranges[number].1.max(last));
        }
    }
    ranges
}

fn starts_block(lowered: &Lowered, at: usize) -> bool {
    // Layout puts a `Join` at the head of each block; one inside a block does no harm.
    matches!(lowered.code[at].op, Op::Join)
}

/// Live-in and live-out sets, backwards to a fixed point.
fn flow(used: &[Set], killed: &[Set], successors: &[Vec<usize>], total: usize) -> (Vec<Set>, Vec<Set>) {
    let mut live_in = used.to_vec();
    let mut live_out = vec![Set::new(total); used.len()];
    let mut changed = true;
    while changed {
        changed = false;
        for block in (0..used.len()).rev() {
            for successor in &successors[block] {
                for word in 0..live_out[block].0.len() {
                    let more = live_in[*successor].0[word] & !live_out[block].0[word];
                    if more != 0 {
                        live_out[block].0[word] |= more;
                        let before = live_in[block].0[word];
                        live_in[block].0[word] |= more & !killed[block].0[word];
                        changed |= live_in[block].0[word] != before;
                    }
                }
            }
        }
    }
    (live_in, live_out)
}
