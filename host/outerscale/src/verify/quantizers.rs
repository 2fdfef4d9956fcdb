//! The quantizers and the packing of codes against the oracle.

use super::check::{Check, Results};
use super::data::{LAYOUTS, Pattern, describe, layout, matrix};
use crate::{
    Activations, Float, InputCounters, Int8Matrix, Result, Scales,
    ops::{self, Choice, StaticScale},
};
use contract::limits::{ROW_ALIGN_BYTES, SCALE_MAX, SCALE_MIN, padded_row_bytes};

/// Runs a generic function for the element type of a check.
macro_rules! by_dtype {
    ($check:expr, $function:ident) => {
        match $check.dtype {
            $crate::Dtype::F32 => $function::<f32>($check),
            $crate::Dtype::F16 => $function::<half::f16>($check),
            _ => $function::<half::bf16>($check),
        }
    };
}
pub(super) use by_dtype;

/// Rows and columns at and beside every edge: a lane's vector, a warp, padding, a block's rows, the row held
/// in registers, and no rows at all.
pub(super) const SHAPES: [(u64, u64); 18] = [
    (0, 7),
    (1, 1),
    (3, 1),
    (5, 31),
    (9, 32),
    (2, 33),
    (8, 127),
    (17, 128),
    (4, 129),
    (3, 384),
    (2, 1000),
    (9, 1024),
    (2, 1025),
    (3, 4097),
    (1, 8192),
    (2, 16_384),
    (2, 16_385),
    (1, 20_011),
];

/// Codes with the padding that the product relies on.
pub(super) fn padded(codes: &[i8], rows: u64, cols: u64) -> Vec<i8> {
    oracle::pack_rows(codes, rows as usize, cols as usize, cols as usize)
}

pub(super) fn results<'a>(name: &'a str, cols: u64, case: &'a str) -> Results<'a> {
    Results { name, cols: cols as usize, case }
}

pub(crate) fn quantize_token(check: &mut Check<'_>) -> Result<()> {
    by_dtype!(check, quantize_token_of)
}

fn quantize_token_of<T: Float>(check: &mut Check<'_>) -> Result<()> {
    for (index, (rows, cols)) in SHAPES.into_iter().enumerate() {
        for (way, pattern) in Pattern::ROWS.into_iter().enumerate() {
            let at = layout((index + way) as u64, rows, cols);
            let case = describe(pattern, &at);
            let x = matrix::<T>(&mut check.next_case(), pattern, rows, cols);
            let operand = Activations::upload(check.gpu, &x, at)?;
            let (q, _) = ops::quantize_token(check.gpu, &operand, check.choice())?;
            let wide: Vec<f32> = x.iter().map(|v| v.widen()).collect();
            let (codes, scales) = oracle::quantize_token(&wide, rows as usize, cols as usize);
            check.same(results("scales", 1, &case), &q.scales().download()?, &scales);
            let want = padded(&codes, rows, cols);
            check.same(results("codes", padded_row_bytes(cols), &case), &q.download_padded()?, &want);
            if check.found() {
                return Ok(());
            }
        }
    }
    Ok(())
}

pub(crate) fn quantize_asym(check: &mut Check<'_>) -> Result<()> {
    by_dtype!(check, quantize_asym_of)
}

fn quantize_asym_of<T: Float>(check: &mut Check<'_>) -> Result<()> {
    for (index, (rows, cols)) in SHAPES.into_iter().enumerate() {
        for (way, pattern) in Pattern::SHIFTED_ROWS.into_iter().enumerate() {
            let at = layout((index + way) as u64, rows, cols);
            let case = describe(pattern, &at);
            let x = matrix::<T>(&mut check.next_case(), pattern, rows, cols);
            let operand = Activations::upload(check.gpu, &x, at)?;
            let (q, _) = ops::quantize_asym(check.gpu, &operand, check.choice())?;
            let wide: Vec<f32> = x.iter().map(|v| v.widen()).collect();
            let want = oracle::quantize_asym(&wide, rows as usize, cols as usize);
            check.same(results("scales", 1, &case), &q.scales().download()?, &want.scales);
            check.same(results("zero points", 1, &case), &q.zero_points().download()?, &want.zero_points);
            let codes = padded(&want.codes, rows, cols);
            check.same(results("codes", padded_row_bytes(cols), &case), &q.download_padded()?, &codes);
            if check.found() {
                return Ok(());
            }
        }
    }
    Ok(())
}

/// Shapes for one scale a tensor: one row, ragged, several blocks.
pub(super) const TENSORS: [(u64, u64); 6] = [(0, 5), (1, 1), (3, 129), (33, 384), (5, 2049), (70, 1000)];

pub(crate) fn quantize_tensor(check: &mut Check<'_>) -> Result<()> {
    by_dtype!(check, quantize_tensor_of)
}

fn quantize_tensor_of<T: Float>(check: &mut Check<'_>) -> Result<()> {
    for (index, (rows, cols)) in TENSORS.into_iter().enumerate() {
        for pattern in Pattern::SINGLE {
            let at = layout(index as u64 % LAYOUTS, rows, cols);
            let case = describe(pattern, &at);
            let x = matrix::<T>(&mut check.next_case(), pattern, rows, cols);
            let operand = Activations::upload(check.gpu, &x, at)?;
            let (partials, _) = ops::tensor_absmax(check.gpu, &operand, Choice::Auto)?;
            let (q, _) = ops::quantize_tensor(check.gpu, &operand, &partials, check.choice())?;
            let wide: Vec<f32> = x.iter().map(|v| v.widen()).collect();
            let (codes, scale) = oracle::quantize_tensor(&wide);
            check.same(results("scale", 1, &case), &q.scales().download()?, &[scale]);
            let want = padded(&codes, rows, cols);
            check.same(results("codes", padded_row_bytes(cols), &case), &q.download_padded()?, &want);
            if check.found() {
                return Ok(());
            }
        }
    }
    Ok(())
}

pub(crate) fn quantize_static(check: &mut Check<'_>) -> Result<()> {
    by_dtype!(check, quantize_static_of)
}

fn quantize_static_of<T: Float>(check: &mut Check<'_>) -> Result<()> {
    for (index, (rows, cols)) in TENSORS.into_iter().enumerate() {
        for (way, pattern) in [Pattern::Mixed].into_iter().chain(Pattern::SINGLE).enumerate() {
            let at = layout((index + way) as u64, rows, cols);
            let x = matrix::<T>(&mut check.next_case(), pattern, rows, cols);
            let wide: Vec<f32> = x.iter().map(|v| v.widen()).collect();
            let fitting = oracle::scale_from_absmax(finite_absmax(&wide)).clamp(SCALE_MIN, SCALE_MAX);
            // Fitting; too small, so that both ends saturate, where -128 must not appear; a power of two,
            // which has ties; and both ends of the range.
            for scale in [fitting, (fitting / 8.0).max(SCALE_MIN), 0.25, SCALE_MIN, SCALE_MAX] {
                let case = format!("{}, scale {scale:e}", describe(pattern, &at));
                let operand = Activations::upload(check.gpu, &x, at)?;
                let counters = InputCounters::new(check.gpu)?;
                let uploaded = Scales::upload(check.gpu, &[scale])?;
                let with = StaticScale { scale: &uploaded, counters: Some(&counters) };
                let (q, _) = ops::quantize_static(check.gpu, &operand, with, check.choice())?;
                let want = oracle::quantize_static(&wide, scale).expect("the scale is in its range");
                let codes = padded(&want.codes, rows, cols);
                check.same(results("codes", padded_row_bytes(cols), &case), &q.download_padded()?, &codes);
                let counts = counters.read()?;
                let (got, want) = ([counts.non_finite, counts.saturated], [want.non_finite, want.saturated]);
                let counts = got.map(|count| count as i32);
                let what = results("counts of non-finite and saturated inputs", 2, &case);
                check.same(what, &counts, &want.map(|count| count as i32));
                if check.found() {
                    return Ok(());
                }
            }
        }
    }
    Ok(())
}

fn finite_absmax(x: &[f32]) -> f32 {
    x.iter().map(|v| v.abs()).filter(|v| v.is_finite()).fold(0.0, f32::max)
}

pub(crate) fn pack_weights(check: &mut Check<'_>) -> Result<()> {
    for (index, (rows, cols)) in SHAPES.into_iter().enumerate() {
        for way in 0..LAYOUTS {
            let at = layout(index as u64 + way, rows, cols);
            let case = describe("Random", &at);
            let mut random = check.next_case();
            let codes: Vec<i8> = (0..rows * cols).map(|_| random.bits() as i8).collect();
            let operand = Int8Matrix::upload(check.gpu, &codes, at)?;
            let (packed, _) = ops::pack_weights(check.gpu, &operand, check.choice())?;
            let want = oracle::pack_weights(&codes, rows as usize, cols as usize, cols as usize);
            check.same(results("codes", ROW_ALIGN_BYTES, &case), &packed.download_packed()?, &want);
            if check.found() {
                return Ok(());
            }
        }
    }
    Ok(())
}

pub(crate) fn pack_rows(check: &mut Check<'_>) -> Result<()> {
    for (index, (rows, cols)) in SHAPES.into_iter().enumerate() {
        for way in 0..LAYOUTS {
            let at = layout(index as u64 + way, rows, cols);
            let case = describe("Random", &at);
            let mut random = check.next_case();
            let codes: Vec<i8> = (0..rows * cols).map(|_| random.bits() as i8).collect();
            let operand = Int8Matrix::upload(check.gpu, &codes, at)?;
            let (packed, _) = ops::pack_rows(check.gpu, &operand, check.choice())?;
            let want = padded(&codes, rows, cols);
            check.same(results("codes", padded_row_bytes(cols), &case), &packed.download_padded()?, &want);
            if check.found() {
                return Ok(());
            }
        }
    }
    Ok(())
}
