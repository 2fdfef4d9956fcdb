//! The quantizers that smooth, against the oracle.

use super::check::{Check, Results};
use super::data::{Pattern, Random, describe, layout, matrix};
use super::quantizers::{SHAPES, by_dtype, padded, results};
use crate::{Activations, Float, Result, Scales, ops};
use contract::limits::{SCALE_MAX, padded_row_bytes};

/// Factors `[cols]`: within a few powers of two of 1, with ones and the ends of their range among them.
fn factors(random: &mut Random, cols: u64) -> Vec<f32> {
    let one = |random: &mut Random| match random.below(8) {
        0 => 1.0,
        1 => [1e-5, SCALE_MAX, 1f32.next_down(), 2f32.next_down()][random.below(4) as usize],
        _ => (1.5 + 0.49 * random.unit()) * 2f32.powi(random.below(12) as i32 - 6),
    };
    (0..cols).map(|_| one(random)).collect()
}

pub(crate) fn quantize_smooth_token(check: &mut Check<'_>) -> Result<()> {
    by_dtype!(check, quantize_smooth_token_of)
}

fn quantize_smooth_token_of<T: Float>(check: &mut Check<'_>) -> Result<()> {
    for (index, (rows, cols)) in SHAPES.into_iter().enumerate() {
        for (way, pattern) in Pattern::ROWS.into_iter().enumerate() {
            let at = layout((index + way) as u64, rows, cols);
            let case = describe(pattern, &at);
            let mut random = check.next_case();
            let x = matrix::<T>(&mut random, pattern, rows, cols);
            // Without factors that differ, the patterns of x are those of x'.
            let factors = if way == 0 { vec![1.0; cols as usize] } else { factors(&mut random, cols) };
            let operand = Activations::upload(check.gpu, &x, at)?;
            let on_gpu = Scales::upload(check.gpu, &factors)?;
            let (q, _) = ops::quantize_smooth_token(check.gpu, &operand, &on_gpu, check.choice())?;
            let wide: Vec<f32> = x.iter().map(|v| v.widen()).collect();
            let (codes, scales) = oracle::quantize_smooth_token(&wide, &factors, rows as usize);
            check.same(Results { name: "scales", cols: 1, case: &case }, &q.scales().download()?, &scales);
            let want = padded(&codes, rows, cols);
            check.same(results("codes", padded_row_bytes(cols), &case), &q.download_padded()?, &want);
            if check.found() {
                return Ok(());
            }
        }
    }
    Ok(())
}
