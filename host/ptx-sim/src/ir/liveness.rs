//! Which registers are alive where: backwards over the blocks of laid-out code, to a fixed point.

use super::lower::Lowered;
use super::op::{Guard, Op, Reg};
use super::types::File;
use super::visit::{Role, visit};

/// Numbers of all virtual registers: each file's follow those of the one before.
pub(super) struct Numbering {
    base: [usize; 3],
    pub(super) total: usize,
}

impl Numbering {
    pub(super) fn new(lowered: &Lowered) -> Self {
        let [w32, w64, pred] = lowered.registers.map(|count| count as usize);
        Self { base: [0, w32, w32 + w64], total: w32 + w64 + pred }
    }

    /// The number of a virtual register; `None` for a constant.
    pub(super) fn of(&self, reg: Reg, file: File) -> Option<usize> {
        (reg.0 & Reg::CONSTANT == 0).then(|| self.base[file as usize] + reg.at())
    }

    /// The number of the first register of a file.
    pub(super) fn first(&self, file: File) -> usize {
        self.base[file as usize]
    }

    /// The register of that number.
    pub(super) fn register(&self, number: usize) -> (Reg, File) {
        let file = match number {
            number if number >= self.base[File::Pred as usize] => File::Pred,
            number if number >= self.base[File::W64 as usize] => File::W64,
            _ => File::W32,
        };
        (Reg((number - self.base[file as usize]) as u32), file)
    }
}

/// First and last position at which a register is alive; `(MAX, 0)` for one that is never used.
pub(super) type Range = (u32, u32);

/// A set of register numbers.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Set(Vec<u64>);

impl Set {
    pub(super) fn new(total: usize) -> Self {
        Self(vec![0; total.div_ceil(64)])
    }

    pub(super) fn insert(&mut self, number: usize) {
        self.0[number / 64] |= 1 << (number % 64);
    }

    pub(super) fn contains(&self, number: usize) -> bool {
        self.0[number / 64] >> (number % 64) & 1 == 1
    }

    pub(super) fn members(&self) -> impl Iterator<Item = usize> + '_ {
        // Sets have thousands of places and few members: each costs what it has, not what it could have.
        self.0.iter().enumerate().filter(|(_, bits)| **bits != 0).flat_map(|(word, bits)| {
            let mut bits = *bits;
            std::iter::from_fn(move || {
                let bit = (bits != 0).then(|| bits.trailing_zeros() as usize)?;
                bits &= bits - 1;
                Some(word * 64 + bit)
            })
        })
    }
}

/// Where registers are alive.
pub(super) struct Liveness {
    /// Of each register, by its number.
    pub(super) ranges: Vec<Range>,
    /// Registers whose first value may be seen: some path from the entry reads them before it writes them.
    pub(super) at_entry: Set,
}

impl Liveness {
    pub(super) fn new(lowered: &mut Lowered, numbering: &Numbering) -> Self {
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
        let (mut live_in, live_out) = flow(&used, &killed, &successors, numbering.total);
        for block in 0..count {
            let (first, last) = (heads[block] as u32, heads[block + 1] as u32 - 1);
            for number in live_in[block].members() {
                ranges[number] = (ranges[number].0.min(first), ranges[number].1.max(first));
            }
            for number in live_out[block].members() {
                ranges[number] = (ranges[number].0.min(last), ranges[number].1.max(last));
            }
        }
        let at_entry = live_in.swap_remove(0);
        Self { ranges, at_entry }
    }
}

fn starts_block(lowered: &Lowered, at: usize) -> bool {
    // Layout puts a `Join` where lanes can meet, and a jump of its own behind a branch whose fall-through lies elsewhere.
    matches!(lowered.code[at].op, Op::Join)
        || matches!(lowered.code[at - 1].op, Op::Branch { .. } | Op::BranchTable { .. })
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
