//! The reductions against the oracle.

use super::check::{Check, Results};
use super::data::{LAYOUTS, Pattern, describe, layout, matrix};
use super::quantizers::{SHAPES, by_dtype};
use crate::{Activations, ColumnAbsmax, Float, Layout, Result, ops};
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

pub(crate) fn column_absmax(check: &mut Check<'_>) -> Result<()> {
    by_dtype!(check, column_absmax_of)
}

/// Rows of more than one block, and more than a warp has in flight; columns of more than one group of windows.
const TALL: [(u64, u64); 4] = [(300, 5), (41, 700), (257, 130), (64, 257)];

fn column_absmax_of<T: Float>(check: &mut Check<'_>) -> Result<()> {
    let shapes = SHAPES.into_iter().filter(|(_, cols)| *cols < 4000).chain(TALL);
    for (index, (rows, cols)) in shapes.enumerate() {
        for (way, pattern) in Pattern::SINGLE.into_iter().enumerate() {
            let absmax = ColumnAbsmax::new(check.gpu, cols)?;
            let mut want = vec![0.0; cols as usize];
            // Two batches, not laid out alike: the second goes on where the first ended.
            for batch in 0..2 {
                let at = layout(index as u64 + way as u64 + batch, rows, cols);
                let case = format!("batch {batch}, {}", describe(pattern, &at));
                let x = matrix::<T>(&mut check.next_case(), pattern, rows, cols);
                let operand = Activations::upload(check.gpu, &x, at)?;
                ops::column_absmax(check.gpu, &operand, &absmax, check.choice())?;
                let wide: Vec<f32> = x.iter().map(|v| v.widen()).collect();
                want = oracle::column_absmax(&want, &wide, rows as usize);
                check.same(Results { name: "absmax", cols: cols as usize, case: &case }, &absmax.download()?, &want);
                if check.found() {
                    return Ok(());
                }
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
