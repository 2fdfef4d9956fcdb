//! The product of tokens with zero points against the oracle.

use super::check::Check;
use super::data::{LAYOUTS, Random, layout};
use super::product::{Codes, Dequant, SHAPES, bias_name, bias_of_type, codes, compare};
use crate::{
    AsymmetricTokens, Dtype, OutputElement, PackedCodes, PackedWeights, PerChannel, PerToken, QuantizedWeights, Result,
    Scales, Workspace, ZeroPoints,
    operands::CodeMatrix,
    ops::{self, AsymmetricProduct, Choice},
};
use half::{bf16, f16};

pub(crate) fn gemm_asym(check: &mut Check<'_>) -> Result<()> {
    match check.dtype {
        Dtype::F32 => verify::<f32>(check, oracle::dequant_f32),
        Dtype::F16 => verify::<f16>(check, oracle::dequant_f16),
        _ => verify::<bf16>(check, oracle::dequant_bf16),
    }
}

fn verify<T: OutputElement>(check: &mut Check<'_>, dequant: Dequant<T>) -> Result<()> {
    for (index, shape) in SHAPES.into_iter().enumerate() {
        for data in [Codes::Any, Codes::NearTheEnds] {
            let mut random = check.next_case();
            case(check, &mut random, (shape, index as u64 + data as u64, data), dequant)?;
            if check.found() {
                return Ok(());
            }
        }
    }
    Ok(())
}

/// Codes that are given, with zero points all over their range and at its ends.
fn case<T: OutputElement>(
    check: &mut Check<'_>,
    random: &mut Random,
    ((m, n, k), way, data): ((u64, u64, u64), u64, Codes),
    dequant: Dequant<T>,
) -> Result<()> {
    let gpu = check.gpu;
    let (q_x, q_w) = (codes(random, data, m * k), codes(random, data, n * k));
    let zero_points: Vec<i32> = (0..m)
        .map(|row| match row % 4 {
            0 => -128,
            1 => 127,
            _ => random.below(256) as i32 - 128,
        })
        .collect();
    let scale = |random: &mut Random| (1.25 + 0.75 * random.unit()) * 2f32.powi(random.below(24) as i32 - 20);
    let s_x: Vec<f32> = (0..m).map(|_| scale(random)).collect();
    let s_w: Vec<f32> = (0..n).map(|_| scale(random)).collect();
    let (bias, device_bias) = bias_of_type(gpu, (0..n).map(|_| 100.0 * random.unit()).collect(), way)?;

    let (rows, cols, inner) = (m as usize, n as usize, k as usize);
    let w_sums = oracle::row_sums(&q_w, cols, inner);
    let acc = oracle::gemm_i32(&q_x, &q_w, rows, cols, inner).expect("K is within its limit");
    let acc = oracle::gemm_asym(&acc, &zero_points, &w_sums).expect("K is within its limit");
    let want = dequant(&acc, rows, cols, &oracle::Dequant { s_x: &s_x, s_w: &s_w, bias: bias.as_deref() });

    let x = PackedCodes(CodeMatrix::upload(gpu, &q_x, m, k, 128)?);
    let x = AsymmetricTokens::from_packed(
        x,
        Scales::<PerToken>::upload(gpu, &s_x)?,
        ZeroPoints::upload(gpu, &zero_points)?,
    )?;
    let w = PackedWeights::upload(gpu, &q_w, n, k, 128)?;
    let w = QuantizedWeights::from_packed(w, Scales::<PerChannel>::upload(gpu, &s_w)?)?;
    let (w_sums, _) = ops::row_sums(gpu, &w, Choice::Auto)?;
    let what = format!("{data:?} codes, bias {}", bias_name(&device_bias));
    compare(check, (layout(way % LAYOUTS, m, n), k), &want, &what, |y, choice| {
        let product = AsymmetricProduct { x: &x, w: &w, w_sums: &w_sums, bias: device_bias.as_ref() };
        ops::gemm_asym(gpu, product, y, &mut Workspace::none(), choice)
    })
}
