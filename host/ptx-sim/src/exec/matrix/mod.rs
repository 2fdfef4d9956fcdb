//! Matrix products and the moves of their fragments.

mod dense;
mod descriptor;
mod formats;
mod fragments;
mod group;
mod land;
mod moves;
mod multiply;
mod pending;
mod registers;
mod wgmma;

pub(super) use formats::{e4m3 as e4m3_value, e5m2 as e5m2_value};
pub(crate) use group::{Warpgroups, check_end};
pub(crate) use pending::{Pending, check_exit};
pub(crate) use registers::{holds, set_registers, waits_for_registers};

use super::context::{Context, Stopped, Who};
use super::gates::{self, Gate};
use super::lanes::ALL;
use super::warp::Warp;
use crate::fault::FaultKind;
use crate::ir::matrix::Matrix;

/// Refuses a warp of which threads have exited or never were.
fn needs_all(warp: &Warp, cx: &Context<'_>) -> Result<(), Stopped> {
    if warp.live == ALL {
        return Ok(());
    }
    let explanation = "threads of the warp have exited or do not exist; this needs all 32".to_owned();
    Err(cx.fault(FaultKind::Divergence, warp.pc, Who::warp(warp.index), explanation))
}

/// Runs one operation on matrices, for which all threads of the warp have to be here.
#[inline(never)]
pub(super) fn matrix(warp: &mut Warp, cx: &mut Context<'_>, active: u32, op: &Matrix) -> Result<Gate, Stopped> {
    if let Matrix::Touch { watched } = *op {
        pending::touch(warp, cx, watched)?;
        return Ok(Gate::Open);
    }
    if gates::aligned_gate(warp, cx, active)? == Gate::Shut {
        return Ok(Gate::Shut);
    }
    needs_all(warp, cx)?;
    match *op {
        Matrix::Multiply { product, regs } => {
            let pool = &cx.grid.program.pool[regs.start as usize..(regs.start + regs.len) as usize];
            multiply::multiply(warp, product, pool);
        }
        Matrix::Load { transposed, space, regs, addr } => moves::load(warp, cx, transposed, space, regs, addr)?,
        Matrix::Store { transposed, space, regs, addr } => moves::store(warp, cx, transposed, space, regs, addr)?,
        Matrix::Transpose { d, a } => moves::transpose(warp, d, a),
        Matrix::Asynchronous { .. } | Matrix::Fence | Matrix::Commit | Matrix::Wait { .. } => {
            wgmma::wgmma(warp, cx, op)?;
        }
        // The step loop takes these, or they are done above.
        Matrix::Registers { .. } | Matrix::Touch { .. } => {}
    }
    Ok(Gate::Open)
}
