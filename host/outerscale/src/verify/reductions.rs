//! The reductions against the oracle.

use super::check::{Check, Results};
use super::data::{LAYOUTS, Pattern, describe, layout, matrix};
use super::quantizers::{SHAPES, by_dtype};
use crate::{Activations, Float, Layout, Result, ops};
use contract::grid;

pub(crate) fn row_absmax(check: &mut Check<'_>) -> Result<()> {
    by_dtype!(check, row_absmax_of)
}

fn row_absmax_of<T: Float>(check: &mut Check<'_>) -> Result<()> {
    for (index, (rows, cols)) in SHAPES.into_iter().enumerate() {
        for (way, pattern) in Pattern::ROWS.into_iter().enumerate() {
            let at = layout((index + way) as u64, rows, cols);
            let x = matrix::<T>(&mut check.next_case(), pattern, rows, cols);
            let operand = Activations::upload(check.gpu, &x, at)?;
            let got = ops::row_absmax(check.gpu, &operand, check.choice())?.0.download()?;
            let wide: Vec<f32> = x.iter().map(|v| v.widen()).collect();
            let want = oracle::row_absmax(&wide, rows as usize, cols as usize);
            check.same(Results { name: "absmax", cols: 1, case: &describe(pattern, &at) }, &got, &want);
            if check.found() {
                return Ok(());
            }
        }
    }
    Ok(())
}

pub(crate) fn tensor_absmax(check: &mut Check<'_>) -> Result<()> {
    by_dtype!(check, tensor_absmax_of)
}

fn tensor_absmax_of<T: Float>(check: &mut Check<'_>) -> Result<()> {
    // One block, a few, and one row a block.
    let shapes = [(0, 3), (1, 1), (7, 33), (64, 384), (29, 1000), (3, 8193)];
    for (index, (rows, cols)) in shapes.into_iter().enumerate() {
        for pattern in Pattern::SINGLE {
            let at = layout(index as u64 % LAYOUTS, rows, cols);
            let x = matrix::<T>(&mut check.next_case(), pattern, rows, cols);
            compare_tensor_absmax(check, &x, at, &describe(pattern, &at))?;
            if check.found() {
                return Ok(());
            }
        }
    }
    Ok(())
}

fn compare_tensor_absmax<T: Float>(check: &mut Check<'_>, x: &[T], at: Layout, case: &str) -> Result<()> {
    let operand = Activations::upload(check.gpu, x, at)?;
    let partials = ops::tensor_absmax(check.gpu, &operand, check.choice())?.0.download()?;
    let blocks = if at.rows == 0 { 0 } else { check.choice().limit(grid::partials(at.rows, at.cols)) };
    check.same(Results { name: "number of partial maxima", cols: 1, case }, &[partials.len() as i32], &[blocks as i32]);
    // Patterns of magnitudes order as unsigned integers, NaN last: the contract's own definition.
    let got = f32::from_bits(partials.iter().map(|v| v.to_bits()).max().unwrap_or(0));
    let wide: Vec<f32> = x.iter().map(|v| v.widen()).collect();
    check.same(Results { name: "absmax", cols: 1, case }, &[got], &[oracle::tensor_absmax(&wide)]);
    Ok(())
}
