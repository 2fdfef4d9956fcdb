//! The reductions against the oracle.

use super::check::{Check, Results};
use super::data::{LAYOUTS, Pattern, describe, layout, matrix};
use super::quantizers::{SHAPES, by_dtype};
use crate::{
    Activations, ColumnAbsmax, DeviceVector, Float, Layout, PackedWeights, PartialAbsmax, PerTensor, QuantizedWeights,
    Result, RunningState, Scales,
    ops::{self, Window},
};
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

/// Rules of update: after every batch, seldom, and with nothing kept.
const WINDOWS: [Window; 3] =
    [Window { every: 1, momentum: 0.9 }, Window { every: 3, momentum: 0.75 }, Window { every: 4, momentum: 0.0 }];

/// absmax of batches in order: what cannot count, zeros, subnormals, both sides of the limit, and ordinary ones, whose
/// averages round.
const BATCHES: [f32; 20] = [
    f32::NAN,
    0.0,
    f32::INFINITY,
    1.1,
    7.3,
    0.0,
    f32::MAX,
    0.3,
    contract::limits::RUNNING_ABSMAX_MAX,
    contract::limits::RUNNING_ABSMAX_MAX.next_up(),
    1e-40,
    0.0,
    0.0,
    0.0,
    5.7,
    f32::NEG_INFINITY,
    19.9,
    0.7,
    1.3,
    0.123,
];

pub(crate) fn running_scale(check: &mut Check<'_>) -> Result<()> {
    for by in WINDOWS {
        for start in [None, Some(3.7f32)] {
            let state = RunningState::new(check.gpu, start)?;
            let mut want = oracle::RunningState { average: start.unwrap_or(0.0), ..Default::default() };
            let oracle_by = oracle::Window { every: by.every, momentum: by.momentum };
            for (index, absmax) in BATCHES.into_iter().enumerate() {
                let mut random = check.next_case();
                // Small batches have one partial maximum, large ones more than a block has threads.
                let count = if index % 2 == 0 { 300 } else { 1 };
                let place = random.bits() as usize % count;
                let mut batch = vec![0.0; count];
                batch[place] = oracle::canonical(absmax.abs());
                let partials = PartialAbsmax(DeviceVector::upload(check.gpu, &batch)?);
                let (scale, _) = ops::running_scale(check.gpu, &partials, &state, by, check.choice())?;
                let case = format!("batch {index} of absmax {absmax:e}, {by:?}, begun with {start:?}");
                let scales = [oracle::running_scale(&batch, &mut want, oracle_by)];
                check.same(Results { name: "scale", cols: 1, case: &case }, &scale.download()?, &scales);
                let got = state.read()?;
                let (floats, counts) = ([got.average, got.window], [got.samples as i32, got.left_out as i32]);
                let averages = Results { name: "average and window", cols: 2, case: &case };
                check.same(averages, &floats, &[want.average, want.window]);
                let counted = Results { name: "samples and batches left out", cols: 2, case: &case };
                check.same(counted, &counts, &[want.samples as i32, want.left_out as i32]);
                if check.found() {
                    return Ok(());
                }
            }
        }
    }
    Ok(())
}

pub(crate) fn row_sums(check: &mut Check<'_>) -> Result<()> {
    for (rows, cols) in SHAPES {
        // Any codes, and the ones whose sums are the largest.
        for ends in [false, true] {
            let mut random = check.next_case();
            let codes: Vec<i8> = (0..rows * cols).map(|_| if ends { i8::MIN } else { random.bits() as i8 }).collect();
            let packed = PackedWeights::upload(check.gpu, &codes, rows, cols, 128)?;
            let scales = Scales::<PerTensor>::upload(check.gpu, &[1.0])?;
            let w = QuantizedWeights::from_packed(packed, scales)?;
            let got = ops::row_sums(check.gpu, &w, check.choice())?.0.download()?;
            let want = oracle::row_sums(&codes, rows as usize, cols as usize);
            let case = format!("{} codes [{rows}, {cols}]", if ends { "smallest" } else { "random" });
            check.same(Results { name: "sums", cols: 1, case: &case }, &got, &want);
            if check.found() {
                return Ok(());
            }
        }
    }
    Ok(())
}
