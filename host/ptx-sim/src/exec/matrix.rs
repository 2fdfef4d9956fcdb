//! Matrix products and the loads of their fragments.
//!
//! Fragment maps of m16n8k32 (PTX ISA, "Matrix Fragments for mma.m16n8k32"), g = lane / 4, t = lane % 4:
//! register q, byte e of A holds row g + 8 (q mod 2), column 4 t + e + 16 (q / 2); of B: k = 4 t + e + 16 q,
//! column g; register i of C and D: row g + 8 (i / 2), column 2 t + i mod 2. The 16-bit shapes follow with
//! elements of two bytes.

use super::context::{Context, Stopped, Who};
use super::half::{bf16_to_f32, f16_to_f32};
use super::lanes::{ALL, LANES};
use super::shared;
use super::warp::Warp;
use crate::fault::FaultKind;
use crate::ir::op::{Addr, List, MatrixKind};

const ROWS: usize = 16;
const COLS: usize = 8;

/// A fragment of `regs` registers in which a register holds `per` elements, as rows of `k` elements.
/// `row_step` registers lie between two groups of eight rows, 1 for A and none for B.
#[inline(always)]
fn unpack<T: Copy + Default, const LEN: usize>(
    warp: &Warp,
    regs: &[crate::ir::op::Reg],
    (per, k, tall): (usize, usize, bool),
    element: impl Fn(u32, usize) -> T,
) -> [T; LEN] {
    let mut out = [T::default(); LEN];
    for (q, reg) in regs.iter().enumerate() {
        let values = warp.files.r32(*reg);
        let (row_base, col_base) = if tall { (8 * (q % 2), 4 * per * (q / 2)) } else { (0, 4 * per * q) };
        for (lane, value) in values.iter().enumerate() {
            let (g, t) = (lane / 4, lane % 4);
            let at = (row_base + g) * k + col_base + per * t;
            for e in 0..per {
                out[at + e] = element(*value, e);
            }
        }
    }
    out
}

#[inline(always)]
pub(super) fn mma(warp: &mut Warp, cx: &Context<'_>, kind: MatrixKind, regs: List) -> Result<(), Stopped> {
    if warp.live != ALL {
        let explanation = "threads of the warp have exited or do not exist; a matrix product needs all 32".to_owned();
        return Err(cx.fault(FaultKind::Divergence, warp.pc, Who::warp(warp.index), explanation));
    }
    let pool = &cx.grid.program.pool[regs.start as usize..(regs.start + regs.len) as usize];
    let split = pool.len() - 4;
    let (d, sources, c) = (&pool[..4], &pool[4..split], &pool[split..]);
    let (a, b) = sources.split_at(sources.len() * 2 / 3);
    match kind {
        MatrixKind::Int8 { k, a_signed, b_signed, saturate } => {
            let byte = |signed: bool| {
                move |value: u32, e: usize| {
                    let byte = (value >> (8 * e)) as u8;
                    if signed { i16::from(byte as i8) } else { i16::from(byte) }
                }
            };
            let k = usize::from(k);
            let a: [i16; ROWS * 32] = unpack(warp, a, (4, k, true), byte(a_signed));
            let b: [i16; COLS * 32] = unpack(warp, b, (4, k, false), byte(b_signed));
            let sums = if k == 32 { int_products::<32>(&a, &b) } else { int_products::<16>(&a, &b) };
            finish(warp, d, c, |c, row, col| {
                let sum = sums[row * COLS + col];
                match saturate {
                    false => (c as i32).wrapping_add(sum) as u32,
                    true => (c as i32).saturating_add(sum) as u32,
                }
            });
        }
        MatrixKind::F16 { k } | MatrixKind::BF16 { k } => {
            let half = |value: u32, e: usize| {
                let bits = (value >> (16 * e)) as u16;
                if matches!(kind, MatrixKind::F16 { .. }) { f16_to_f32(bits) } else { bf16_to_f32(bits) }
            };
            let k = usize::from(k);
            let a: [f32; ROWS * 16] = unpack(warp, a, (2, k, true), half);
            let b: [f32; COLS * 16] = unpack(warp, b, (2, k, false), half);
            finish(warp, d, c, |c, row, col| {
                // Hardware leaves order and rounding open; here the products are exact and the sum is rounded once.
                let start = f64::from(f32::from_bits(c));
                let sum = (0..k).fold(start, |sum, at| sum + f64::from(a[row * k + at]) * f64::from(b[col * k + at]));
                super::float::canonical32(sum as f32)
            });
        }
    }
    Ok(())
}

/// Every row of `a` times every row of `b`.
#[inline(always)]
fn int_products<const K: usize>(a: &[i16; ROWS * 32], b: &[i16; COLS * 32]) -> [i32; ROWS * COLS] {
    let mut sums = [0_i32; ROWS * COLS];
    for row in 0..ROWS {
        for col in 0..COLS {
            let mut sum = 0_i32;
            for at in 0..K {
                sum += i32::from(a[row * K + at]) * i32::from(b[col * K + at]);
            }
            sums[row * COLS + col] = sum;
        }
    }
    sums
}

#[inline(always)]
fn finish(
    warp: &mut Warp,
    d: &[crate::ir::op::Reg],
    c: &[crate::ir::op::Reg],
    value: impl Fn(u32, usize, usize) -> u32,
) {
    // All of C is read before any of D is written: they may be the same registers.
    let mut out = [[0_u32; LANES]; 4];
    for (i, (reg, out)) in c.iter().zip(&mut out).enumerate() {
        let start = warp.files.r32(*reg);
        for lane in 0..LANES {
            let (g, t) = (lane / 4, lane % 4);
            out[lane] = value(start[lane], g + 8 * (i / 2), 2 * t + i % 2);
        }
    }
    for (reg, out) in d.iter().zip(&out) {
        warp.files.put32(*reg, ALL, out);
    }
}

/// `ldmatrix`: lanes 8 j to 8 j + 7 hold the addresses of the eight 16-byte rows of matrix j.
#[inline(always)]
pub(super) fn load_matrix(
    warp: &mut Warp,
    cx: &mut Context<'_>,
    transposed: bool,
    regs: List,
    addr: Addr,
) -> Result<(), Stopped> {
    if warp.live != ALL {
        let explanation = "threads of the warp have exited or do not exist; ldmatrix needs all 32".to_owned();
        return Err(cx.fault(FaultKind::Divergence, warp.pc, Who::warp(warp.index), explanation));
    }
    let at = super::access::addresses(warp, addr);
    let pc = warp.pc;
    super::traffic::matrices(cx, pc, &at, regs.len as usize);
    for matrix in 0..regs.len as usize {
        let mut rows = [[0_u8; 16]; 8];
        for (row, bytes) in rows.iter_mut().enumerate() {
            let lane = matrix * 8 + row;
            *bytes = shared::read_row(warp, cx, pc, lane, at[lane])?;
        }
        let element = |row: usize, col: usize| u16::from_le_bytes([rows[row][2 * col], rows[row][2 * col + 1]]);
        let mut out = [0_u32; LANES];
        for (lane, slot) in out.iter_mut().enumerate() {
            let (g, t) = (lane / 4, lane % 4);
            let (low, high) = match transposed {
                false => (element(g, 2 * t), element(g, 2 * t + 1)),
                true => (element(2 * t, g), element(2 * t + 1, g)),
            };
            *slot = u32::from(high) << 16 | u32::from(low);
        }
        let reg = cx.grid.program.pool[regs.start as usize + matrix];
        warp.files.put32(reg, ALL, &out);
    }
    Ok(())
}
