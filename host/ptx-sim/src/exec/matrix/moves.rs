//! `ldmatrix`, `stmatrix`, `movmatrix`: 8x8 matrices of 16-bit elements, a register of each in every lane.
//!
//! Lanes 8 j to 8 j + 7 hold the addresses of the eight 16-byte rows of matrix j (PTX ISA 9.7.14.5.15 to 17).
//! With g = lane / 4 and t = lane % 4, a register holds elements (g, 2 t) and (g, 2 t + 1) of a matrix, or of its
//! transpose.

use crate::exec::access::{addresses, space_of};
use crate::exec::context::{Context, Stopped, Who};
use crate::exec::global::Stage;
use crate::exec::lanes::{ALL, LANES, Lanes32, Lanes64, lanes_of};
use crate::exec::shared::{self, Manner};
use crate::exec::warp::Warp;
use crate::fault::FaultKind;
use crate::ir::op::{Addr, List, Reg};
use crate::ir::types::Space;

/// Bytes of a row.
const ROW: usize = 16;

/// Row and column of the lower of the two elements that a lane holds.
#[inline(always)]
fn place(lane: usize) -> (usize, usize) {
    (lane / 4, 2 * (lane % 4))
}

/// The addresses of the rows of `matrices` matrices in the window of shared memory, and the lanes that have them.
fn rows(warp: &Warp, cx: &Context<'_>, addr: Addr, space: Space, matrices: u32) -> Result<(u32, Lanes64), Stopped> {
    let mask = ALL >> (LANES as u32 - 8 * matrices);
    let mut at = addresses(warp, addr);
    if space == Space::Generic {
        for lane in lanes_of(mask) {
            let (found, start) = space_of(at[lane]);
            if found != Space::Shared {
                let who = Who::access(warp.index, lane, at[lane], ROW);
                let explanation = "this generic address does not lie in shared memory, where matrices have to be";
                return Err(cx.fault(FaultKind::OutOfBounds, warp.pc, who, explanation.to_owned()));
            }
            at[lane] -= start;
        }
    }
    Ok((mask, at))
}

/// The registers' part of a matrix whose rows are the `rows` of a stage.
fn take(rows: &[u8], transposed: bool) -> Lanes32 {
    let element = |row: usize, col: usize| {
        let at = row * ROW + 2 * col;
        u32::from(u16::from_le_bytes([rows[at], rows[at + 1]]))
    };
    std::array::from_fn(|lane| {
        let (row, col) = place(lane);
        match transposed {
            false => element(row, col) | element(row, col + 1) << 16,
            true => element(col, row) | element(col + 1, row) << 16,
        }
    })
}

/// Writes the matrix that `words` hold, or its transpose, to rows.
fn give(words: &Lanes32, transposed: bool, rows: &mut [u8]) {
    for (lane, word) in words.iter().enumerate() {
        let (row, col) = place(lane);
        for (e, half) in [*word as u16, (*word >> 16) as u16].into_iter().enumerate() {
            let (row, col) = if transposed { (col + e, row) } else { (row, col + e) };
            rows[row * ROW + 2 * col..][..2].copy_from_slice(&half.to_le_bytes());
        }
    }
}

/// `ldmatrix`.
#[inline(never)]
pub(super) fn load(
    warp: &mut Warp,
    cx: &mut Context<'_>,
    transposed: bool,
    space: Space,
    regs: List,
    addr: Addr,
) -> Result<(), Stopped> {
    let (mask, at) = rows(warp, cx, addr, space, regs.len)?;
    let mut stage: Stage = [0; LANES * 32];
    shared::load(warp, cx, mask, &at, Manner::MATRIX, ROW, &mut stage)?;
    let pool = &cx.grid.program.pool[regs.start as usize..(regs.start + regs.len) as usize];
    for (reg, rows) in pool.iter().zip(stage.chunks_exact(8 * ROW)) {
        warp.files.put32(*reg, ALL, &take(rows, transposed));
    }
    Ok(())
}

/// `stmatrix`.
#[inline(never)]
pub(super) fn store(
    warp: &Warp,
    cx: &mut Context<'_>,
    transposed: bool,
    space: Space,
    regs: List,
    addr: Addr,
) -> Result<(), Stopped> {
    let (mask, at) = rows(warp, cx, addr, space, regs.len)?;
    let mut stage: Stage = [0; LANES * 32];
    let pool = &cx.grid.program.pool[regs.start as usize..(regs.start + regs.len) as usize];
    for (reg, rows) in pool.iter().zip(stage.chunks_exact_mut(8 * ROW)) {
        give(warp.files.r32(*reg), transposed, rows);
    }
    shared::store(warp, cx, mask, &at, Manner::MATRIX, ROW, &stage)
}

/// `movmatrix`.
pub(super) fn transpose(warp: &mut Warp, d: Reg, a: Reg) {
    let mut rows = [0; 8 * ROW];
    give(warp.files.r32(a), false, &mut rows);
    warp.files.put32(d, ALL, &take(&rows, true));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn registers_hold_every_element_once_whichever_way_they_go() {
        // Element (row, col) is row * 8 + col.
        let matrix: Vec<u8> = (0..64_u16).flat_map(u16::to_le_bytes).collect();
        for transposed in [false, true] {
            let words = take(&matrix, transposed);
            for (lane, word) in words.iter().enumerate() {
                for e in 0..2 {
                    let (row, col) = (lane / 4, 2 * (lane % 4) + e);
                    let wanted = if transposed { col * 8 + row } else { row * 8 + col };
                    assert_eq!((word >> (16 * e)) as u16, wanted as u16, "lane {lane}, element {e}, {transposed}");
                }
            }
            let mut back = vec![0; 128];
            give(&words, transposed, &mut back);
            assert_eq!(back, matrix, "{transposed}");
        }
    }
}
