//! The products that a warp has issued and not waited for, and whom their registers belong to meanwhile.

use std::collections::VecDeque;

use super::registers::Wanted;
use crate::exec::context::{Context, Stopped, Who};
use crate::exec::warp::Warp;
use crate::fault::FaultKind;
use crate::ir::Program;
use crate::ir::matrix::Matrix;
use crate::ir::op::{List, Op};
use crate::ir::wgmma::Wgmma;

/// One product that a warp has issued.
#[derive(Clone, Copy, Debug)]
pub(super) struct Issued {
    /// Where its warpgroup keeps it.
    pub(super) slot: usize,
    pub(super) pc: usize,
    /// Whether it is added to the accumulators.
    pub(super) adds: bool,
    /// Its group, once that is committed.
    pub(super) group: Option<u64>,
    /// Whether its result is in the accumulators already.
    pub(super) landed: bool,
}

/// What is known of a register that some wgmma uses.
#[derive(Clone, Copy, Debug)]
struct Register {
    /// Place of what touched it last since a fence, or one of the two below.
    touched: u32,
    /// Number of the product that owns it; 0 for none.
    owner: u32,
}

/// Nothing has touched it since the last wgmma.fence.
const FENCED: u32 = u32::MAX;
/// There was no wgmma.fence yet.
const NEVER_FENCED: u32 = u32::MAX - 1;

/// The products of one warp in flight.
#[derive(Debug, Default)]
pub(crate) struct Pending {
    /// Oldest first.
    pub(super) queue: VecDeque<Issued>,
    /// Number of the oldest one, from 1.
    first: u32,
    pub(super) committed: u64,
    watched: Vec<Register>,
    /// Registers that each of its threads owns, and what it waits for to own more.
    pub(super) registers: u32,
    pub(super) wanted: Option<Wanted>,
}

/// The product and the registers of the wgmma at place `pc`.
pub(super) fn product_at(cx: &Context<'_>, pc: usize) -> Option<(Wgmma, List, u32)> {
    match cx.grid.program.code[pc].op {
        Op::Matrix(Matrix::Asynchronous { product, regs, watched, .. }) => Some((product, regs, watched)),
        _ => None,
    }
}

impl Pending {
    /// For a warp at the start of `program`.
    pub(crate) fn reset(&mut self, program: &Program) {
        self.registers = program.entry_registers.unwrap_or(0);
        self.wanted = None;
        self.queue.clear();
        self.first = 1;
        self.committed = 0;
        self.watched.clear();
        self.watched.resize(program.wgmma_names.len(), Register { touched: NEVER_FENCED, owner: 0 });
    }

    /// `wgmma.fence`: what touched registers before comes before the products behind.
    pub(super) fn fence(&mut self) {
        self.watched.iter_mut().for_each(|register| register.touched = FENCED);
    }

    /// The oldest product has been waited for; its registers are free unless a later one has them too.
    pub(super) fn retire(&mut self, watched: &[u32]) {
        for number in watched {
            let register = &mut self.watched[*number as usize];
            register.owner = if register.owner == self.first { 0 } else { register.owner };
        }
        self.queue.pop_front();
        self.first += 1;
    }

    /// The newest product owns these registers now.
    pub(super) fn own(&mut self, watched: &[u32]) {
        let number = self.first + self.queue.len() as u32 - 1;
        watched.iter().for_each(|register| self.watched[*register as usize].owner = number);
    }
}

/// The numbers of the watched registers of the product at `pc`: of D, and of A.
pub(super) fn watched<'c>(cx: &'c Context<'_>, product: Wgmma, start: u32) -> (&'c [u32], &'c [u32]) {
    let [d, a] = product.registers();
    let start = start as usize;
    cx.grid.program.wgmma_numbers[start..start + d + a].split_at(d)
}

/// A fault about the watched register `number`, with the instruction at `other` as the other party.
fn hazard(cx: &Context<'_>, warp: &Warp, number: u32, other: Option<usize>, what: &str) -> Stopped {
    let name = &cx.grid.program.wgmma_names[number as usize];
    let mut fault = cx.fault(FaultKind::Wgmma, warp.pc, Who::warp(warp.index), format!("register {name} {what}"));
    fault.other = other.map(|pc| cx.party(warp.agent, u32::MAX, pc));
    fault
}

/// Something but a wgmma is about to touch these registers.
pub(super) fn touch(warp: &mut Warp, cx: &Context<'_>, list: List) -> Result<(), Stopped> {
    let program = cx.grid.program;
    for index in list.start..list.start + list.len {
        let number = program.wgmma_numbers[index as usize];
        let register = warp.tensor.watched[number as usize];
        if register.owner != 0 && cx.grid.launch.checks.asynchrony {
            let issued = warp.tensor.queue[(register.owner - warp.tensor.first) as usize];
            let what = match issued.group {
                Some(_) => "belongs to a wgmma in flight; a wgmma.wait_group has to cover it before this",
                None => {
                    "belongs to a wgmma in flight; wgmma.commit_group and wgmma.wait_group have to come before this"
                }
            };
            return Err(hazard(cx, warp, number, Some(issued.pc), what));
        }
        warp.tensor.watched[number as usize].touched = warp.pc as u32;
    }
    Ok(())
}

/// Whether the wgmma that `warp` is about to issue may have its registers.
pub(super) fn check_registers(warp: &Warp, cx: &Context<'_>, product: Wgmma, start: u32) -> Result<(), Stopped> {
    if !cx.grid.launch.checks.asynchrony {
        return Ok(());
    }
    let (d, a) = watched(cx, product, start);
    for (number, accumulates) in d.iter().map(|number| (*number, true)).chain(a.iter().map(|number| (*number, false))) {
        let register = warp.tensor.watched[number as usize];
        match register.touched {
            FENCED => {}
            NEVER_FENCED => {
                let what = "is used by a wgmma without any wgmma.fence before it";
                return Err(hazard(cx, warp, number, None, what));
            }
            pc => {
                let what = "was touched since the last wgmma.fence; one has to come between that and this wgmma";
                return Err(hazard(cx, warp, number, Some(pc as usize), what));
            }
        }
        if register.owner == 0 {
            continue;
        }
        let issued = warp.tensor.queue[(register.owner - warp.tensor.first) as usize];
        let Some((other, _, other_start)) = product_at(cx, issued.pc) else { continue };
        let (other_d, other_a) = watched(cx, other, other_start);
        // Accumulators go from one wgmma to the next of the same shape; A may be read by several.
        let chained = accumulates && other_d == d && (other.k(), other.sum) == (product.k(), product.sum);
        let shared = !accumulates && other_a.contains(&number) && !other_d.contains(&number);
        if !chained && !shared {
            let what = "belongs to a wgmma in flight of another shape or in another place; wait for that first";
            return Err(hazard(cx, warp, number, Some(issued.pc), what));
        }
    }
    Ok(())
}

/// A warp exits: nothing may be in flight then.
pub(crate) fn check_exit(warp: &Warp, cx: &Context<'_>) -> Result<(), Stopped> {
    let Some(issued) = warp.tensor.queue.front() else { return Ok(()) };
    if !cx.grid.launch.checks.asynchrony {
        return Ok(());
    }
    let missing = if issued.group.is_some() { "a wgmma.wait_group" } else { "wgmma.commit_group and wgmma.wait_group" };
    let explanation = format!("the warp exits while this is in flight; {missing} that covers it is missing");
    Err(cx.fault(FaultKind::Wgmma, issued.pc, Who::warp(warp.index), explanation))
}
