//! The quantizers that smooth, against the oracle.

use super::check::{Check, Results};
use super::data::{Pattern, Random, describe, layout, matrix};
use super::quantizers::{SHAPES, TENSORS, by_dtype, padded, results};
use crate::{Activations, Float, InputCounters, Result, Scales, ops, ops::StaticScale};
use contract::limits::{SCALE_MAX, SCALE_MIN, padded_row_bytes};

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

pub(crate) fn quantize_smooth_static(check: &mut Check<'_>) -> Result<()> {
    by_dtype!(check, quantize_smooth_static_of)
}

fn quantize_smooth_static_of<T: Float>(check: &mut Check<'_>) -> Result<()> {
    for (index, (rows, cols)) in TENSORS.into_iter().enumerate() {
        for (way, pattern) in [Pattern::Mixed].into_iter().chain(Pattern::SINGLE).enumerate() {
            let at = layout((index + way) as u64, rows, cols);
            let mut random = check.next_case();
            let x = matrix::<T>(&mut random, pattern, rows, cols);
            let factors = if way % 3 == 0 { vec![1.0; cols as usize] } else { factors(&mut random, cols) };
            let wide: Vec<f32> = x.iter().map(|v| v.widen()).collect();
            // About a twentieth of the numbers saturate; both ends of the range, where all do or none.
            for scale in [0.005, 0.25, SCALE_MIN, SCALE_MAX] {
                let case = format!("{}, scale {scale:e}", describe(pattern, &at));
                let operand = Activations::upload(check.gpu, &x, at)?;
                let counters = InputCounters::new(check.gpu)?;
                let uploaded = Scales::upload(check.gpu, &[scale])?;
                let with = StaticScale { scale: &uploaded, counters: Some(&counters) };
                let on_gpu = Scales::upload(check.gpu, &factors)?;
                let (q, _) = ops::quantize_smooth_static(check.gpu, &operand, &on_gpu, with, check.choice())?;
                let want = oracle::quantize_smooth_static(&wide, &factors, scale).expect("the scale is in its range");
                let codes = padded(&want.codes, rows, cols);
                check.same(results("codes", padded_row_bytes(cols), &case), &q.download_padded()?, &codes);
                let counts = counters.read()?;
                let got = [counts.non_finite as i32, counts.saturated as i32];
                let what = results("counts of non-finite and saturated inputs", 2, &case);
                check.same(what, &got, &[want.non_finite as i32, want.saturated as i32]);
                if check.found() {
                    return Ok(());
                }
            }
        }
    }
    Ok(())
}
