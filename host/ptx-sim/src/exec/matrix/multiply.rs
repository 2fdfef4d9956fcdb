//! `mma.sync`: the product of one warp.

use super::dense::{self, Size};
use super::formats;
use super::fragments::{a_place, b_place, d_place};
use crate::exec::float::canonical32;
use crate::exec::half::{f16_to_f32, f64_to_f16};
use crate::exec::lanes::{ALL, LANES, Lanes32};
use crate::exec::warp::Warp;
use crate::ir::matrix::{Element, Product, Sum};
use crate::ir::op::Reg;
use crate::ir::types::Round;

/// Rows of the largest A, columns of every B, and the largest k.
const ROWS: usize = 16;
const COLS: usize = 8;
const DEPTH: usize = 32;

/// D = A B + C; `regs` are the registers of d, a, b and c.
#[inline(never)]
pub(super) fn multiply(warp: &mut Warp, product: Product, regs: &[Reg]) {
    let [d, a, b] = product.registers();
    let (d_regs, sources) = regs.split_at(d);
    let (a_regs, sources) = sources.split_at(a);
    let (b_regs, c_regs) = sources.split_at(b);
    let size = Size { m: usize::from(product.m), n: COLS, k: usize::from(product.k) };
    match product.sum {
        Sum::S32 => {
            let sums = int8_sums(warp, product, size, a_regs, b_regs);
            put32(warp, d_regs, c_regs, |c, row, col| {
                let (c, sum) = (c as i32, sums[row * COLS + col]);
                (if product.saturate { c.saturating_add(sum) } else { c.wrapping_add(sum) }) as u32
            });
        }
        Sum::F64 => multiply_f64(warp, size, [d_regs, a_regs, b_regs, c_regs]),
        Sum::F32 | Sum::F16 => {
            let mut sums = [0.0; ROWS * COLS];
            start(warp, product.sum, c_regs, &mut sums);
            let mut left = [0.0; ROWS * DEPTH];
            let mut right = [0.0; DEPTH * COLS];
            let per = product.a.per_register();
            for (q, reg) in a_regs.iter().enumerate() {
                formats::for_each(product.a, warp.files.r32(*reg), |lane, e, value| {
                    let (row, col) = a_place(lane, q, e, per);
                    left[row * size.k + col] = value;
                });
            }
            for (q, reg) in b_regs.iter().enumerate() {
                formats::for_each(product.b, warp.files.r32(*reg), |lane, e, value| {
                    let (row, col) = b_place(lane, q, e, per);
                    right[row * COLS + col] = value;
                });
            }
            dense::float(size, &left, &right, &mut sums);
            finish(warp, product.sum, d_regs, &sums);
        }
    }
}

fn int8_sums(warp: &Warp, product: Product, size: Size, a: &[Reg], b: &[Reg]) -> [i32; ROWS * COLS] {
    let (mut left, mut right) = ([0_i16; ROWS * DEPTH], [0_i16; COLS * DEPTH]);
    for (q, reg) in a.iter().enumerate() {
        bytes(product.a, warp.files.r32(*reg), |lane, e, value| {
            let (row, col) = a_place(lane, q, e, 4);
            left[row * size.k + col] = value;
        });
    }
    for (q, reg) in b.iter().enumerate() {
        bytes(product.b, warp.files.r32(*reg), |lane, e, value| {
            // Columns of B lie as rows here.
            let (row, col) = b_place(lane, q, e, 4);
            right[col * size.k + row] = value;
        });
    }
    let mut sums = [0; ROWS * COLS];
    dense::int8(size, &left, &right, &mut sums);
    sums
}

#[inline(always)]
fn bytes(element: Element, words: &Lanes32, mut each: impl FnMut(usize, usize, i16)) {
    let signed = element == Element::S8;
    for (lane, word) in words.iter().enumerate() {
        for (e, byte) in word.to_le_bytes().into_iter().enumerate() {
            each(lane, e, if signed { i16::from(byte as i8) } else { i16::from(byte) });
        }
    }
}

/// The accumulators as they are before a product.
fn start(warp: &Warp, sum: Sum, regs: &[Reg], sums: &mut [f64; ROWS * COLS]) {
    let per = sum.per_register();
    for (q, reg) in regs.iter().enumerate() {
        for (lane, word) in warp.files.r32(*reg).iter().enumerate() {
            for e in 0..per {
                let (row, col) = d_place(lane, q * per + e);
                let value = if per == 1 { f32::from_bits(*word) } else { f16_to_f32((word >> (16 * e)) as u16) };
                sums[row * COLS + col] = f64::from(value);
            }
        }
    }
}

/// Rounds the sums to their type, once, and writes them.
fn finish(warp: &mut Warp, sum: Sum, regs: &[Reg], sums: &[f64; ROWS * COLS]) {
    let per = sum.per_register();
    for (q, reg) in regs.iter().enumerate() {
        let mut out = [0_u32; LANES];
        for (lane, word) in out.iter_mut().enumerate() {
            for e in 0..per {
                let (row, col) = d_place(lane, q * per + e);
                let value = sums[row * COLS + col];
                *word |= match sum {
                    Sum::F16 => u32::from(f64_to_f16(value, Round::NearestEven)) << (16 * e),
                    _ => canonical32(value as f32),
                };
            }
        }
        warp.files.put32(*reg, ALL, &out);
    }
}

/// Results from accumulators and places. All of C is read before any of D is written: they may be the same.
fn put32(warp: &mut Warp, d: &[Reg], c: &[Reg], value: impl Fn(u32, usize, usize) -> u32) {
    let mut out = [[0_u32; LANES]; 4];
    for (i, (reg, out)) in c.iter().zip(&mut out).enumerate() {
        let start = warp.files.r32(*reg);
        for lane in 0..LANES {
            let (row, col) = d_place(lane, i);
            out[lane] = value(start[lane], row, col);
        }
    }
    for (reg, out) in d.iter().zip(&out) {
        warp.files.put32(*reg, ALL, out);
    }
}

/// f64 has its own products: each is rounded with its addition, along k.
fn multiply_f64(warp: &mut Warp, size: Size, [d, a, b, c]: [&[Reg]; 4]) {
    let (mut left, mut right) = ([0.0; ROWS * 16], [0.0; 16 * COLS]);
    for (q, reg) in a.iter().enumerate() {
        for (lane, bits) in warp.files.r64(*reg).iter().enumerate() {
            let (row, col) = a_place(lane, q, 0, 1);
            left[row * size.k + col] = f64::from_bits(*bits);
        }
    }
    for (q, reg) in b.iter().enumerate() {
        for (lane, bits) in warp.files.r64(*reg).iter().enumerate() {
            let (row, col) = b_place(lane, q, 0, 1);
            right[row * COLS + col] = f64::from_bits(*bits);
        }
    }
    let mut out = [[0_u64; LANES]; 4];
    for (i, (reg, out)) in c.iter().zip(&mut out).enumerate() {
        for (lane, bits) in warp.files.r64(*reg).iter().enumerate() {
            let (row, col) = d_place(lane, i);
            let term = |sum: f64, at: usize| left[row * size.k + at].mul_add(right[at * COLS + col], sum);
            let sum = (0..size.k).fold(f64::from_bits(*bits), term);
            out[lane] = if sum.is_nan() { 0x7FFF_FFFF_FFFF_FFFF } else { sum.to_bits() };
        }
    }
    for (reg, out) in d.iter().zip(&out) {
        warp.files.put64(*reg, ALL, out);
    }
}
