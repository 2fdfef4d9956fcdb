//! Matrix products of a warpgroup, and the operations that watch their registers.
//!
//! A `wgmma.mma_async` owns its accumulators and the registers of A from its issue to the wait that covers it.
//! So that nobody else pays, the kernels that have one get an operation in front of each instruction that
//! touches such a register ([`Matrix::Touch`]); and the waits keep the registers alive ([`Matrix::Wait`]), so
//! that their slots are not used again while a result is on its way to them.

use std::collections::{BTreeSet, HashMap};

use super::liveness::Numbering;
use super::lower::Lowered;
use super::matrix::{Element, Matrix, Sum};
use super::op::{Guard, List, Op, Reg};
use super::visit::visit;
use super::{Inst, Origin};

/// Rows of D and A of one warpgroup; each of its four warps has sixteen.
pub(crate) const GROUP_ROWS: usize = 64;

/// What one `wgmma.mma_async` computes: D = A B + D with A of 64 rows and B of n columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Wgmma {
    pub(crate) n: u16,
    pub(crate) a: Element,
    pub(crate) b: Element,
    pub(crate) sum: Sum,
    pub(crate) saturate: bool,
    /// Whether A comes from registers.
    pub(crate) a_in_registers: bool,
    pub(crate) negate_a: bool,
    pub(crate) negate_b: bool,
    /// Whether rows of A lie side by side in shared memory (M-major), not its columns.
    pub(crate) a_transposed: bool,
    /// Whether columns of B lie side by side (N-major), not its rows.
    pub(crate) b_transposed: bool,
}

impl Wgmma {
    /// Columns of A and rows of B: 32 bytes of them.
    pub(crate) fn k(self) -> usize {
        256 / self.a.bits()
    }

    /// Registers of a lane that hold D, and A where it is in registers.
    pub(crate) fn registers(self) -> [usize; 2] {
        [usize::from(self.n) / 2 / self.sum.per_register(), if self.a_in_registers { 4 } else { 0 }]
    }

    /// Multiplications with an addition that one of the four warps does.
    pub(crate) fn macs_of_warp(self) -> u64 {
        (GROUP_ROWS / 4 * usize::from(self.n) * self.k()) as u64
    }
}

/// The registers that are watched.
#[derive(Clone, Debug, Default)]
pub(super) struct Watched {
    /// Their names.
    pub(super) names: Vec<String>,
    /// Lists of their numbers, which operations name by their places here.
    pub(super) numbers: Vec<u32>,
}

/// Numbers the registers of all wgmma in laid-out code and puts the watching operations into it.
pub(super) fn watch(lowered: &mut Lowered) -> Watched {
    let numbering = Numbering::new(lowered);
    let mut numbers = HashMap::new();
    let mut watched = Watched::default();
    for at in 0..lowered.code.len() {
        let Op::Matrix(Matrix::Asynchronous { product, regs, .. }) = lowered.code[at].op else { continue };
        let start = watched.numbers.len() as u32;
        for index in regs.start..regs.start + regs.len {
            let reg = lowered.pool[index as usize];
            let Some(number) = numbering.of(reg, product.sum.file()) else { continue };
            let next = numbers.len() as u32;
            let own = *numbers.entry(number).or_insert_with(|| {
                let name = lowered.names.get(&(product.sum.file(), reg.0)).cloned();
                watched.names.push(name.unwrap_or_else(|| "of an intermediate result".to_owned()));
                next
            });
            watched.numbers.push(own);
        }
        if let Op::Matrix(Matrix::Asynchronous { watched, .. }) = &mut lowered.code[at].op {
            *watched = start;
        }
    }
    if numbers.is_empty() {
        return watched;
    }
    keep_until_waits(lowered);
    insert_touches(lowered, &numbering, &numbers, &mut watched.numbers);
    watched
}

/// Where control may go from place `at`.
fn successors(lowered: &Lowered, at: usize) -> Vec<usize> {
    let inst = lowered.code[at];
    let mut next = match inst.op {
        Op::Jump { target } => return vec![target as usize],
        Op::Branch { target } => vec![target as usize],
        Op::BranchTable { table, .. } => lowered.tables[table as usize].iter().map(|to| *to as usize).collect(),
        _ => Vec::new(),
    };
    let ends = matches!(inst.op, Op::Exit | Op::Trap | Op::BranchTable { .. }) && inst.guard == Guard::ALWAYS;
    next.extend((!ends && at + 1 < lowered.code.len()).then_some(at + 1));
    next
}

/// Gives each wait the registers of the products that may be pending there.
fn keep_until_waits(lowered: &mut Lowered) {
    let mut kept: HashMap<usize, BTreeSet<u32>> = HashMap::new();
    // Unrolled loops have many products of one set of registers: those next to each other reach the same waits.
    for start in 0..lowered.code.len() {
        let Op::Matrix(Matrix::Asynchronous { regs, .. }) = lowered.code[start].op else { continue };
        let registers: Vec<u32> =
            lowered.pool[regs.start as usize..(regs.start + regs.len) as usize].iter().map(|reg| reg.0).collect();
        let mut seen = vec![false; lowered.code.len()];
        let mut open = successors(lowered, start);
        while let Some(at) = open.pop() {
            if std::mem::replace(&mut seen[at], true) {
                continue;
            }
            match lowered.code[at].op {
                Op::Matrix(Matrix::Wait { pending, .. }) => {
                    kept.entry(at).or_default().extend(&registers);
                    // Nothing is pending behind a wait for all.
                    if pending == 0 && lowered.code[at].guard == Guard::ALWAYS {
                        continue;
                    }
                }
                // The same registers are in its own list.
                Op::Matrix(Matrix::Asynchronous { regs: others, .. })
                    if others.len == regs.len && same(lowered, regs, others) =>
                {
                    continue;
                }
                _ => {}
            }
            open.extend(successors(lowered, at));
        }
    }
    for (at, registers) in kept {
        let start = lowered.pool.len() as u32;
        lowered.pool.extend(registers.into_iter().map(Reg));
        let len = lowered.pool.len() as u32 - start;
        if let Op::Matrix(Matrix::Wait { keep, .. }) = &mut lowered.code[at].op {
            *keep = List { start, len };
        }
    }
}

fn same(lowered: &Lowered, a: List, b: List) -> bool {
    (0..a.len).all(|index| lowered.pool[(a.start + index) as usize] == lowered.pool[(b.start + index) as usize])
}

/// Puts a [`Matrix::Touch`] in front of every other operation on watched registers.
fn insert_touches(lowered: &mut Lowered, numbering: &Numbering, numbers: &HashMap<usize, u32>, lists: &mut Vec<u32>) {
    let mut code = Vec::with_capacity(lowered.code.len());
    let mut origins = Vec::with_capacity(lowered.code.len());
    let mut places = Vec::with_capacity(lowered.code.len());
    for at in 0..lowered.code.len() {
        places.push(code.len() as u32);
        let mut inst = lowered.code[at];
        let ours = matches!(inst.op, Op::Matrix(Matrix::Asynchronous { .. } | Matrix::Wait { .. }));
        let mut touched = BTreeSet::new();
        if !ours {
            visit(&mut inst, &mut lowered.pool, |reg, file, _| {
                touched.extend(numbering.of(*reg, file).and_then(|number| numbers.get(&number)));
            });
        }
        if !touched.is_empty() {
            let watched = List { start: lists.len() as u32, len: touched.len() as u32 };
            lists.extend(&touched);
            code.push(Inst { op: Op::Matrix(Matrix::Touch { watched }), guard: inst.guard });
            origins.push(Origin { class: None, ..lowered.origins[at].clone() });
        }
        code.push(inst);
        origins.push(lowered.origins[at].clone());
    }
    for inst in &mut code {
        if let Op::Jump { target } | Op::Branch { target } = &mut inst.op {
            *target = places[*target as usize];
        }
    }
    for table in &mut lowered.tables {
        table.iter_mut().for_each(|target| *target = places[*target as usize]);
    }
    lowered.code = code;
    lowered.origins = origins;
}
