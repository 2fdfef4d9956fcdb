//! Basic blocks, and the order in which they are laid out.
//!
//! The step loop always runs the set of lanes that stands lowest. Lanes that parted therefore meet at the
//! earliest place if every block lies after all that lead to it: topological order with loops kept together,
//! so that no lane leaves a loop for good before the last one has.

use super::lower::Lowered;
use super::op::{Guard, Op};
use super::{Inst, Origin};

/// A basic block of the lowered code: a range, and where it goes.
#[derive(Clone, Debug)]
struct Block {
    start: usize,
    end: usize,
    successors: Vec<usize>,
}

/// Lays `lowered` out: the code in its final order, branch targets being places in it.
pub(crate) fn lay_out(lowered: &mut Lowered) {
    let blocks = split(lowered);
    let order = order(&blocks);
    let code = std::mem::take(&mut lowered.code);
    let origins = std::mem::take(&mut lowered.origins);
    let mut starts = vec![0_u32; blocks.len()];
    let mut laid: Vec<Inst> = Vec::with_capacity(code.len() + 2 * blocks.len());
    let mut laid_origins: Vec<Origin> = Vec::with_capacity(code.len() + 2 * blocks.len());
    let block_of = block_index(&blocks, code.len());
    // Lanes can only meet where a branch leads to, or where one did not branch.
    let falls = |block: &Block| {
        let last = &code[block.end - 1];
        let table = matches!(last.op, Op::BranchTable { .. }) && last.guard == Guard::ALWAYS;
        !table && !matches!(last.op, Op::Jump { .. }) && !ends_here(last)
    };
    let mut meets = vec![false; blocks.len()];
    for (position, index) in order.iter().enumerate() {
        let block = &blocks[*index];
        let next = order.get(position + 1);
        let moved = falls(block) && next != Some(&block_of[block.end]);
        if moved || is_last(&code[block.end - 1]) {
            block.successors.iter().for_each(|successor| meets[*successor] = true);
        }
    }
    let silent = |origin: &Origin| Origin { class: None, ..origin.clone() };
    for (position, index) in order.iter().enumerate() {
        let block = &blocks[*index];
        starts[*index] = laid.len() as u32;
        if meets[*index] {
            laid.push(Inst { op: Op::Join, guard: Guard::ALWAYS });
            laid_origins.push(silent(&origins[block.start]));
        }
        laid.extend_from_slice(&code[block.start..block.end]);
        laid_origins.extend_from_slice(&origins[block.start..block.end]);
        // Where control falls through, it does so to the next block of the text; that may now lie elsewhere.
        if falls(block) && order.get(position + 1) != Some(&block_of[block.end]) {
            let target = block_of[block.end] as u32;
            laid.push(Inst { op: Op::Jump { target: LAID | target }, guard: Guard::ALWAYS });
            laid_origins.push(silent(&origins[block.end - 1]));
        }
    }
    let place = |label: u32| starts[block_of[lowered.labels[label as usize] as usize]];
    for inst in &mut laid {
        if let Op::Jump { target } | Op::Branch { target } = &mut inst.op {
            *target = if *target & LAID != 0 { starts[(*target & !LAID) as usize] } else { place(*target) };
        }
    }
    // A table that is never reached may name a label in a block that was dropped; its place is never used.
    for table in &mut lowered.tables {
        table.iter_mut().for_each(|target| *target = place(*target));
    }
    lowered.code = laid;
    lowered.origins = laid_origins;
}

/// Marks a jump that names a block, not a label.
const LAID: u32 = 1 << 31;

fn ends_here(inst: &Inst) -> bool {
    matches!(inst.op, Op::Exit | Op::Trap) && inst.guard == Guard::ALWAYS
}

fn is_last(inst: &Inst) -> bool {
    matches!(inst.op, Op::Jump { .. } | Op::Branch { .. } | Op::BranchTable { .. }) || ends_here(inst)
}

fn split(lowered: &Lowered) -> Vec<Block> {
    let code = &lowered.code;
    let mut leads = vec![false; code.len() + 1];
    leads[0] = true;
    leads[code.len()] = true;
    // Only labels that something branches to: debug information leaves many others.
    let mut lead = |label: u32| leads[lowered.labels[label as usize] as usize] = true;
    for inst in code {
        match inst.op {
            Op::Jump { target } | Op::Branch { target } => lead(target),
            Op::BranchTable { table, .. } => lowered.tables[table as usize].iter().for_each(|label| lead(*label)),
            _ => {}
        }
    }
    for (at, inst) in code.iter().enumerate() {
        leads[at + 1] |= is_last(inst);
    }
    let heads: Vec<usize> = (0..=code.len()).filter(|at| leads[*at]).collect();
    let mut blocks: Vec<Block> =
        heads.windows(2).map(|pair| Block { start: pair[0], end: pair[1], successors: Vec::new() }).collect();
    let block_of = block_index(&blocks, code.len());
    for (index, block) in blocks.iter_mut().enumerate() {
        let last = &code[block.end - 1];
        let target = |label: u32| block_of[lowered.labels[label as usize] as usize];
        match last.op {
            Op::Jump { target: label } => block.successors.push(target(label)),
            // The fall-through comes last, so that the search leaves it adjacent.
            Op::Branch { target: label } => block.successors.extend([target(label), index + 1]),
            Op::BranchTable { table, .. } => {
                block.successors.extend(lowered.tables[table as usize].iter().map(|label| target(*label)));
                // Under a guard, the lanes that do not branch fall through.
                block.successors.extend((last.guard != Guard::ALWAYS).then_some(index + 1));
            }
            _ if ends_here(last) => {}
            _ => block.successors.push(index + 1),
        }
    }
    blocks
}

/// For each position of the code, the block that starts there (or holds it).
fn block_index(blocks: &[Block], len: usize) -> Vec<usize> {
    let mut index = vec![0; len + 1];
    for (number, block) in blocks.iter().enumerate() {
        index[block.start..block.end].fill(number);
    }
    index[len] = blocks.len().saturating_sub(1);
    index
}

/// The blocks that can be reached, topologically, each loop together.
fn order(blocks: &[Block]) -> Vec<usize> {
    let mut order = Vec::with_capacity(blocks.len());
    // A work list in place of recursion: loops may nest deeply in a hostile text.
    let mut work = vec![Task::Region { nodes: (0..blocks.len()).collect(), entry: 0, cut: None }];
    while let Some(task) = work.pop() {
        match task {
            Task::Block(block) => order.push(block),
            Task::Region { nodes, entry, cut } => {
                let components = components(blocks, &nodes, entry, cut);
                // Tarjan's algorithm finds the last component first, which is what a stack wants.
                for component in components {
                    match component[..] {
                        [single] => work.push(Task::Block(single)),
                        _ => {
                            let head = head_of(blocks, &component, &nodes, entry, cut);
                            work.push(Task::Region { nodes: component, entry: head, cut: Some(head) });
                        }
                    }
                }
            }
        }
    }
    order
}

enum Task {
    Block(usize),
    /// The blocks of a loop: edges back to `cut`, its head, do not count.
    Region {
        nodes: Vec<usize>,
        entry: usize,
        cut: Option<usize>,
    },
}

/// Where control enters a strongly connected component: its first block, in text order, that has a
/// predecessor outside of it, or the region's own entry.
fn head_of(blocks: &[Block], component: &[usize], nodes: &[usize], entry: usize, cut: Option<usize>) -> usize {
    let mut inside = vec![false; blocks.len()];
    component.iter().for_each(|block| inside[*block] = true);
    if inside[entry] {
        return entry;
    }
    let outside = nodes.iter().filter(|block| !inside[**block]);
    let entered = outside.flat_map(|block| &blocks[*block].successors);
    let entered = entered.filter(|target| inside[**target] && Some(**target) != cut);
    entered.min().copied().unwrap_or(component[0])
}

/// Strongly connected components of the region that `entry` reaches, in reverse topological order.
fn components(blocks: &[Block], nodes: &[usize], entry: usize, cut: Option<usize>) -> Vec<Vec<usize>> {
    const UNSEEN: u32 = u32::MAX;
    let mut number = vec![UNSEEN; blocks.len()];
    let mut low = vec![0_u32; blocks.len()];
    let mut member = vec![false; blocks.len()];
    let mut on_stack = vec![false; blocks.len()];
    nodes.iter().for_each(|block| member[*block] = true);
    let mut next = 0;
    let (mut stack, mut path, mut found) = (Vec::new(), vec![(entry, 0_usize)], Vec::new());
    while let Some((block, edge)) = path.pop() {
        if edge == 0 {
            number[block] = next;
            low[block] = next;
            next += 1;
            stack.push(block);
            on_stack[block] = true;
        }
        if let Some(target) = blocks[block].successors.get(edge).copied() {
            path.push((block, edge + 1));
            if !member[target] || Some(target) == cut {
                continue;
            }
            if number[target] == UNSEEN {
                path.push((target, 0));
            } else if on_stack[target] {
                low[block] = low[block].min(number[target]);
            }
            continue;
        }
        if let Some((parent, _)) = path.last() {
            low[*parent] = low[*parent].min(low[block]);
        }
        if low[block] == number[block] {
            let at = stack.iter().rposition(|other| *other == block).unwrap_or(0);
            let component = stack.split_off(at);
            component.iter().for_each(|block| on_stack[*block] = false);
            found.push(component);
        }
    }
    found
}
