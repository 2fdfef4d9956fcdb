//! The product of tokens whose outlier columns are apart, against the oracle.

use super::check::Check;
use super::data::{LAYOUTS, Pattern, Random, layout, matrix};
use super::outliers::some_columns;
use super::product::{Codes, SHAPES, bias_name, bias_of_type, codes, compare};
use crate::{
    Activations, Dtype, Float, HalfWeights, OutlierColumns, OutlierTokens, OutputElement, PackedCodes, PackedWeights,
    PerChannel, PerToken, QuantizedTokens, QuantizedWeights, Result, Scales, Workspace,
    operands::CodeMatrix,
    ops::{self, OutlierProduct},
};
use half::{bf16, f16};

pub(crate) fn gemm_outliers(check: &mut Check<'_>) -> Result<()> {
    match check.dtype {
        Dtype::F32 => verify::<f32>(check, oracle::canonical),
        Dtype::F16 => verify::<f16>(check, oracle::float::narrow_f16),
        _ => verify::<bf16>(check, oracle::float::narrow_bf16),
    }
}

fn verify<T: OutputElement>(check: &mut Check<'_>, narrow: fn(f32) -> T) -> Result<()> {
    for (index, shape) in SHAPES.into_iter().enumerate() {
        let way = index as u64;
        for half in [true, false] {
            // x of each type in turn, so that every type meets several shapes.
            match (way + u64::from(half)) % 3 {
                0 => case::<T, f32>(check, Case { shape, way, half }, narrow)?,
                1 => case::<T, f16>(check, Case { shape, way, half }, narrow)?,
                _ => case::<T, bf16>(check, Case { shape, way, half }, narrow)?,
            }
            if check.found() {
                return Ok(());
            }
        }
    }
    Ok(())
}

#[derive(Clone, Copy)]
struct Case {
    shape: (u64, u64, u64),
    way: u64,
    /// Whether the outlier columns meet f16 weights, or those of the codes.
    half: bool,
}

/// Codes that are given, outlier columns of any numbers, NaN and Inf among them.
fn case<T: OutputElement, X: Float>(check: &mut Check<'_>, case: Case, narrow: fn(f32) -> T) -> Result<()> {
    let Case { shape: (m, n, k), way, half } = case;
    let (gpu, mut random) = (check.gpu, check.next_case());
    let (rows, cols, inner) = (m as usize, n as usize, k as usize);
    let q_w = codes(&mut random, Codes::Any, n * k);
    let mut q_x = codes(&mut random, Codes::Any, m * k);
    let columns = some_columns(&mut random, way, k);
    for row in q_x.chunks_mut(inner) {
        columns.iter().for_each(|col| row[*col as usize] = 0);
    }
    let x = matrix::<X>(&mut random, if way % 2 == 0 { Pattern::Normal } else { Pattern::Mixed }, m, k);
    let w = matrix::<f32>(&mut random, Pattern::Normal, n, k);
    let scale = |random: &mut Random| (1.25 + 0.75 * random.unit()) * 2f32.powi(random.below(24) as i32 - 20);
    let s_x: Vec<f32> = (0..m).map(|_| scale(&mut random)).collect();
    let s_w: Vec<f32> = (0..n).map(|_| scale(&mut random)).collect();
    let (bias, device_bias) = bias_of_type(gpu, (0..n).map(|_| 100.0 * random.unit()).collect(), way)?;

    let acc = oracle::gemm_i32(&q_x, &q_w, rows, cols, inner).expect("K is within its limit");
    let part = oracle::OutlierPart {
        columns: columns.iter().map(|col| *col as usize).collect(),
        x: x.iter().map(|v| v.widen()).collect(),
        w: if half { oracle::half_weights(&w) } else { oracle::coded_weights(&q_w, &s_w, inner) },
    };
    let by = oracle::Dequant { s_x: &s_x, s_w: &s_w, bias: bias.as_deref() };
    let want: Vec<T> = oracle::gemm_outliers(&acc, rows, cols, &by, &part).into_iter().map(narrow).collect();

    let codes = PackedCodes(CodeMatrix::upload(gpu, &q_x, m, k, 128)?);
    let codes = QuantizedTokens::from_packed(codes, Scales::<PerToken>::upload(gpu, &s_x)?)?;
    let on_gpu = Activations::upload(gpu, &x, layout((way + 1) % LAYOUTS, m, k))?;
    let tokens = OutlierTokens::new(codes, OutlierColumns::upload(gpu, &columns, k)?, &on_gpu)?;
    let q_w = PackedWeights::upload(gpu, &q_w, n, k, 128)?;
    let q_w = QuantizedWeights::from_packed(q_w, Scales::<PerChannel>::upload(gpu, &s_w)?)?;
    let half_w = if half { Some(HalfWeights::upload(gpu, &w, n, k)?) } else { None };
    let bias = bias_name(&device_bias);
    let what = format!("{} outlier columns of {} x, f16 weights {half}, bias {bias}", columns.len(), X::DTYPE);
    compare(check, (layout(way % LAYOUTS, m, n), k), &want, &what, |y, choice| {
        let product = OutlierProduct { x: &tokens, w: &q_w, half_w: half_w.as_ref(), bias: device_bias.as_ref() };
        ops::gemm_outliers(gpu, product, y, &mut Workspace::none(), choice)
    })
}
