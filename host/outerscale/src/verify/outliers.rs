//! The kernels of LLM.int8() against the oracle: which columns, their list, and the codes without them.

use super::check::{Check, Results};
use super::data::{LAYOUTS, Pattern, Random, describe, layout, matrix};
use super::quantizers::{SHAPES, by_dtype};
use crate::{
    Activations, Float, OutlierColumns, Result,
    ops::{self, Choice},
};
use contract::limits::padded_row_bytes;

/// Thresholds: all columns, the smallest number, some of them, those with an infinity, none.
const THRESHOLDS: [f32; 5] = [0.0, 1e-45, 6.0, f32::MAX, f32::INFINITY];

/// Rows and columns about a word, a warp, a block and a chunk, and more rows than two chunks have.
const MATRICES: [(u64, u64); 9] =
    [(0, 40), (1, 1), (3, 31), (70, 32), (9, 33), (131, 255), (2, 257), (64, 513), (1, 8225)];

fn results<'a>(name: &'a str, cols: u64, case: &'a str) -> Results<'a> {
    Results { name, cols: cols as usize, case }
}

fn words(mask: &[bool]) -> Vec<i32> {
    mask.iter().map(|bit| i32::from(*bit)).collect()
}

pub(crate) fn outlier_columns(check: &mut Check<'_>) -> Result<()> {
    by_dtype!(check, outlier_columns_of)
}

fn outlier_columns_of<T: Float>(check: &mut Check<'_>) -> Result<()> {
    for (index, (rows, cols)) in MATRICES.into_iter().enumerate() {
        for (way, pattern) in [Pattern::Mixed, Pattern::Normal].into_iter().enumerate() {
            for threshold in THRESHOLDS {
                let at = layout((index + way) as u64 % LAYOUTS, rows, cols);
                let case = format!("{}, threshold {threshold:e}", describe(pattern, &at));
                let x = matrix::<T>(&mut check.next_case(), pattern, rows, cols);
                let wide: Vec<f32> = x.iter().map(|v| v.widen()).collect();
                let operand = Activations::upload(check.gpu, &x, at)?;
                let (masks, _) = ops::outlier_columns(check.gpu, &operand, threshold, check.choice())?;
                let want = oracle::outlier_columns(&wide, rows as usize, cols as usize, threshold);
                check.same(results("outlier columns", cols, &case), &words(&masks.download()?), &words(&want));
                if check.found() {
                    return Ok(());
                }
            }
        }
    }
    Ok(())
}

pub(crate) fn outlier_list(check: &mut Check<'_>) -> Result<()> {
    for (rows, cols) in MATRICES {
        for threshold in THRESHOLDS {
            let case = format!("x [{rows}, {cols}], threshold {threshold:e}");
            let x = matrix::<f32>(&mut check.next_case(), Pattern::Mixed, rows, cols);
            let operand = Activations::upload(check.gpu, &x, layout(0, rows, cols))?;
            let (masks, _) = ops::outlier_columns(check.gpu, &operand, threshold, Choice::Auto)?;
            let (columns, _) = ops::outlier_list(check.gpu, &masks, check.choice())?;
            // From the kernel's own masks: a wrong one is another check's finding.
            let mask = masks.download()?;
            check.same(results("mask", cols, &case), &words(&columns.download_mask()?), &words(&mask));
            let want: Vec<i32> = oracle::outlier_list(&mask).into_iter().map(|col| col as i32).collect();
            let got: Vec<i32> = columns.download()?.into_iter().map(|col| col as i32).collect();
            check.same(results("columns", 1, &case), &got, &want);
            if check.found() {
                return Ok(());
            }
        }
    }
    Ok(())
}

pub(crate) fn quantize_outliers(check: &mut Check<'_>) -> Result<()> {
    by_dtype!(check, quantize_outliers_of)
}

/// Some of `cols` columns: none, one in 16, every one, or the first and the last.
pub(super) fn some_columns(random: &mut Random, way: u64, cols: u64) -> Vec<u32> {
    let chosen = |col: u64, random: &mut Random| match way % 4 {
        0 => false,
        1 => random.below(16) == 0,
        2 => true,
        _ => col == 0 || col == cols - 1,
    };
    (0..cols).filter(|col| chosen(*col, random)).map(|col| col as u32).collect()
}

fn quantize_outliers_of<T: Float>(check: &mut Check<'_>) -> Result<()> {
    for (index, (rows, cols)) in SHAPES.into_iter().enumerate() {
        for (way, pattern) in Pattern::ROWS.into_iter().enumerate() {
            let at = layout((index + way) as u64, rows, cols);
            let mut random = check.next_case();
            let x = matrix::<T>(&mut random, pattern, rows, cols);
            let columns = some_columns(&mut random, (index + way / 2) as u64, cols);
            let case = format!("{}, {} outlier columns", describe(pattern, &at), columns.len());
            let operand = Activations::upload(check.gpu, &x, at)?;
            let outliers = OutlierColumns::upload(check.gpu, &columns, cols)?;
            let (q, _) = ops::quantize_outliers(check.gpu, &operand, &outliers, check.choice())?;
            let wide: Vec<f32> = x.iter().map(|v| v.widen()).collect();
            let mut is_outlier = vec![false; cols as usize];
            columns.iter().for_each(|col| is_outlier[*col as usize] = true);
            let (codes, scales) = oracle::quantize_outliers(&wide, rows as usize, cols as usize, &is_outlier);
            check.same(results("scales", 1, &case), &q.scales().download()?, &scales);
            let want = oracle::pack_rows(&codes, rows as usize, cols as usize, cols as usize);
            check.same(results("codes", padded_row_bytes(cols), &case), &q.download_padded()?, &want);
            if check.found() {
                return Ok(());
            }
        }
    }
    Ok(())
}
