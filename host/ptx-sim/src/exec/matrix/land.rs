//! The results of a wgmma for one of its warps.

use super::dense::{self, Size};
use super::descriptor::CHUNK;
use super::formats;
use super::fragments::{a_place, d_place};
use super::group::{Product, Tiles, WARPS};
use super::pending::{Issued, product_at};
use crate::exec::context::Context;
use crate::exec::float::canonical32;
use crate::exec::half::{f16_to_f32, f64_to_f16};
use crate::exec::lanes::{ALL, LANES};
use crate::exec::warp::Warp;
use crate::ir::matrix::{Element, Sum};
use crate::ir::op::Reg;
use crate::ir::types::Round;
use crate::ir::wgmma::{GROUP_ROWS, Wgmma};

/// Rows of one warp.
const ROWS: usize = GROUP_ROWS / WARPS;
/// Words of a row of an operand along k.
const ROW_WORDS: usize = 8;

/// Puts the result of the product of that index in the warp's queue into its accumulators, unless it is there.
pub(super) fn land(warp: &mut Warp, cx: &mut Context<'_>, index: usize) {
    let issued = warp.tensor.queue[index];
    let Some((product, regs, _)) = product_at(cx, issued.pc) else { return };
    if issued.landed {
        return;
    }
    warp.tensor.queue[index].landed = true;
    let memory = &mut cx.shared[cx.rank];
    let Some(shared) = memory.tensor.product(issued.slot) else { return };
    if shared.tiles.is_none() {
        shared.tiles = Some(read(&memory.bytes, shared));
    }
    let Some(tiles) = &shared.tiles else { return };
    let pool = &cx.grid.program.pool[regs.start as usize..(regs.start + regs.len) as usize];
    let (d, a) = pool.split_at(product.registers()[0]);
    match product.sum {
        Sum::S32 => add_ints(warp, product, issued, tiles, d, a),
        _ => add_floats(warp, product, issued, tiles, d, a),
    }
}

/// The operands as they lie in shared memory now.
fn read(bytes: &[u8], product: &Product) -> Tiles {
    let words = |chunks: &[u32]| {
        let chunk = |at: &u32| &bytes[*at as usize..*at as usize + CHUNK];
        let words = chunks.iter().flat_map(|at| chunk(at).chunks_exact(4));
        words.map(|word| u32::from_le_bytes([word[0], word[1], word[2], word[3]])).collect()
    };
    Tiles { a: words(&product.chunks[0]), b: words(&product.chunks[1]) }
}

/// The words of A that a warp has rows of: the registers of its lanes, or its part of the tile.
fn words_of_a<'w>(warp: &'w Warp, product: Wgmma, tiles: &'w Tiles, a: &[Reg]) -> Vec<(usize, &'w [u32])> {
    let member = warp.index as usize % WARPS;
    if product.a_in_registers {
        return a.iter().enumerate().map(|(q, reg)| (q, &warp.files.r32(*reg)[..])).collect();
    }
    if !product.a_transposed {
        return vec![(0, &tiles.a[member * ROWS * ROW_WORDS..][..ROWS * ROW_WORDS])];
    }
    // Line k has all 64 rows; sixteen of them are the warp's.
    let (line, own) = (GROUP_ROWS * product.a.bits() / 32, ROWS * product.a.bits() / 32);
    tiles.a.chunks_exact(line).map(|line| &line[member * own..][..own]).enumerate().collect()
}

fn int8(element: Element, word: u32) -> [i16; 4] {
    word.to_le_bytes().map(|byte| if element == Element::S8 { i16::from(byte as i8) } else { i16::from(byte) })
}

fn add_ints(warp: &mut Warp, product: Wgmma, issued: Issued, tiles: &Tiles, d: &[Reg], a: &[Reg]) {
    let size = Size { m: ROWS, n: usize::from(product.n), k: product.k() };
    let mut left = [0_i16; ROWS * 32];
    for (q, words) in words_of_a(warp, product, tiles, a) {
        for (at, word) in words.iter().enumerate() {
            let bytes = int8(product.a, *word);
            let (row, col) =
                if product.a_in_registers { a_place(at, q, 0, 4) } else { (at / ROW_WORDS, at % ROW_WORDS * 4) };
            left[row * size.k + col..][..4].copy_from_slice(&bytes);
        }
    }
    let right: Vec<i16> = tiles.b.iter().flat_map(|word| int8(product.b, *word)).collect();
    let mut sums = vec![0; ROWS * size.n];
    dense::int8(size, &left, &right, &mut sums);
    for (i, reg) in d.iter().enumerate() {
        let mut out = *warp.files.r32(*reg);
        for (lane, word) in out.iter_mut().enumerate() {
            let (row, col) = d_place(lane, i);
            let (start, sum) = (if issued.adds { *word as i32 } else { 0 }, sums[row * size.n + col]);
            *word = (if product.saturate { start.saturating_add(sum) } else { start.wrapping_add(sum) }) as u32;
        }
        warp.files.put32(*reg, ALL, &out);
    }
}

fn add_floats(warp: &mut Warp, product: Wgmma, issued: Issued, tiles: &Tiles, d: &[Reg], a: &[Reg]) {
    let size = Size { m: ROWS, n: usize::from(product.n), k: product.k() };
    let per = product.a.per_register();
    let sign = |negative: bool| if negative { -1.0 } else { 1.0 };
    let mut left = [0.0; ROWS * 32];
    let factor = sign(product.negate_a);
    for (q, words) in words_of_a(warp, product, tiles, a) {
        formats::for_each(product.a, words, |at, e, value| {
            let (row, col) = match (product.a_in_registers, product.a_transposed) {
                (true, _) => a_place(at, q, e, per),
                (false, false) => (at / ROW_WORDS, at % ROW_WORDS * per + e),
                (false, true) => (at * per + e, q),
            };
            left[row * size.k + col] = factor * value;
        });
    }
    let factor = sign(product.negate_b);
    let mut right = vec![0.0; size.k * size.n];
    let line = size.n * product.b.bits() / 32;
    formats::for_each(product.b, &tiles.b, |at, e, value| {
        let (k, col) = match product.b_transposed {
            false => (at % ROW_WORDS * per + e, at / ROW_WORDS),
            true => (at / line, at % line * per + e),
        };
        right[k * size.n + col] = factor * value;
    });
    let mut sums = vec![0.0; ROWS * size.n];
    let packed = product.sum.per_register();
    if issued.adds {
        for (q, reg) in d.iter().enumerate() {
            for (lane, word) in warp.files.r32(*reg).iter().enumerate() {
                for e in 0..packed {
                    let (row, col) = d_place(lane, q * packed + e);
                    let value = if packed == 1 { f32::from_bits(*word) } else { f16_to_f32((word >> (16 * e)) as u16) };
                    sums[row * size.n + col] = f64::from(value);
                }
            }
        }
    }
    dense::float(size, &left, &right, &mut sums);
    for (q, reg) in d.iter().enumerate() {
        let mut out = [0_u32; LANES];
        for (lane, word) in out.iter_mut().enumerate() {
            for e in 0..packed {
                let (row, col) = d_place(lane, q * packed + e);
                let value = sums[row * size.n + col];
                *word |= match product.sum {
                    Sum::F16 => u32::from(f64_to_f16(value, Round::NearestEven)) << (16 * e),
                    _ => canonical32(value as f32),
                };
            }
        }
        warp.files.put32(*reg, ALL, &out);
    }
}
