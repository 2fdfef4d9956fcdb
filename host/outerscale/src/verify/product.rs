//! The product against the oracle: tiles' edges, exact sums, and the epilogue's roundings and NaN.

use super::check::{Check, Results};
use super::data::{LAYOUTS, Pattern, Random, layout, matrix};
use crate::{
    Bias, Dtype, Float, Gpu, Launch, Layout, Output, OutputElement, PackedCodes, PackedWeights, PerChannel, PerTensor,
    PerToken, QuantizedTokens, QuantizedWeights, Result, Scales, TokenScale, Weights, Workspace,
    operands::CodeMatrix,
    ops::{self, Choice, Product},
};
use half::{bf16, f16};

/// M, N, K at and beside the edges of every tile and of the padding of K; tiles enough for few blocks to walk, and K
/// enough for the pipeline to go round.
pub(super) const SHAPES: [(u64, u64, u64); 11] = [
    (0, 5, 7),
    (1, 1, 1),
    (1, 64, 127),
    (16, 65, 128),
    (17, 63, 129),
    (65, 33, 384),
    (129, 131, 257),
    (257, 129, 513),
    (3, 7, 4099),
    (33, 70, 2049),
    (2, 3, 9_001),
];

/// What every byte of y is before the product: no kernel writes a row of it by chance.
const UNTOUCHED: u8 = 0xc3;

pub(crate) fn gemm(check: &mut Check<'_>) -> Result<()> {
    match check.dtype {
        Dtype::F32 => verify::<f32>(check, oracle::dequant_f32),
        Dtype::F16 => verify::<f16>(check, oracle::dequant_f16),
        Dtype::Bf16 => verify::<bf16>(check, oracle::dequant_bf16),
        _ => verify::<i32>(check, |acc, _, _, _| acc.to_vec()),
    }
}

/// The oracle's epilogue.
pub(super) type Dequant<T> = fn(&[i32], usize, usize, &oracle::Dequant<'_>) -> Vec<T>;

fn verify<T: OutputElement>(check: &mut Check<'_>, dequant: Dequant<T>) -> Result<()> {
    for (index, shape) in SHAPES.into_iter().enumerate() {
        for data in [Codes::Any, Codes::NearTheEnds] {
            let mut random = check.next_case();
            let way = index as u64 + data as u64;
            given_codes::<T>(check, &mut random, Case { shape, way, data }, dequant)?;
            if check.found() {
                return Ok(());
            }
        }
    }
    quantized_specials::<T>(check, dequant)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Codes {
    /// All of [-127, 127], and -128 where K allows it.
    Any,
    /// From 120 up, nearly all of one sign: sums far beyond 2²⁴, odd ones among them, which f32 cannot hold.
    NearTheEnds,
}

#[derive(Clone, Copy)]
struct Case {
    shape: (u64, u64, u64),
    way: u64,
    data: Codes,
}

pub(super) fn codes(random: &mut Random, data: Codes, count: u64) -> Vec<i8> {
    let mut draw = || match data {
        Codes::Any => random.bits() as i8,
        Codes::NearTheEnds => {
            let code = 120 + random.below(8) as i8;
            if random.below(64) == 0 { -code } else { code }
        }
    };
    (0..count).map(|_| draw()).collect()
}

/// Codes that are given, with scales and bias of all sizes.
fn given_codes<T: OutputElement>(
    check: &mut Check<'_>,
    random: &mut Random,
    Case { shape: (m, n, k), way, data }: Case,
    dequant: Dequant<T>,
) -> Result<()> {
    let (q_x, q_w) = (codes(random, data, m * k), codes(random, data, n * k));
    let scale = |random: &mut Random| (1.25 + 0.75 * random.unit()) * 2f32.powi(random.below(24) as i32 - 20);
    let s_w: Vec<f32> = (0..n).map(|_| scale(random)).collect();
    let mut bias: Vec<f32> = (0..n).map(|_| 100.0 * random.unit()).collect();
    for special in [f32::NAN, f32::INFINITY, -0.0, f32::MAX] {
        bias[random.below(n) as usize] = special;
    }
    // Without a bias, and one of each type; one scale for all tokens or one each.
    let gpu = check.gpu;
    let (bias, on_gpu) = bias_of_type(gpu, bias, way)?;
    let x = PackedCodes(CodeMatrix::upload(gpu, &q_x, m, k, 128)?);
    let w = PackedWeights::upload(gpu, &q_w, n, k, 128)?;
    let w = QuantizedWeights::from_packed(w, Scales::<PerChannel>::upload(gpu, &s_w)?)?;
    let acc = oracle::gemm_i32(&q_x, &q_w, m as usize, n as usize, k as usize).expect("K is within its limit");
    let case = format!("{data:?} codes, bias {}", bias_name(&on_gpu));
    let (bias, on_gpu) = (bias.as_deref(), on_gpu.as_ref());
    if way.is_multiple_of(3) {
        let s_x = [scale(random)];
        let x = QuantizedTokens::from_packed(x, Scales::<PerTensor>::upload(gpu, &s_x)?)?;
        let want = dequant(&acc, m as usize, n as usize, &oracle::Dequant { s_x: &s_x, s_w: &s_w, bias });
        compare_gemm(check, (&x, &w, on_gpu), layout(way % LAYOUTS, m, n), &want, &case)
    } else {
        let s_x: Vec<f32> = (0..m).map(|_| scale(random)).collect();
        let x = QuantizedTokens::from_packed(x, Scales::<PerToken>::upload(gpu, &s_x)?)?;
        let want = dequant(&acc, m as usize, n as usize, &oracle::Dequant { s_x: &s_x, s_w: &s_w, bias });
        compare_gemm(check, (&x, &w, on_gpu), layout(way % LAYOUTS, m, n), &want, &case)
    }
}

/// No bias, or one of f32, f16 or bf16, by the case's number: on the device, and what it is in f32.
pub(super) fn bias_of_type(gpu: &Gpu, bias: Vec<f32>, way: u64) -> Result<(Option<Vec<f32>>, Option<Bias>)> {
    fn rounded<T: Float>(gpu: &Gpu, bias: &[f32]) -> Result<(Option<Vec<f32>>, Option<Bias>)> {
        let bias: Vec<T> = bias.iter().map(|v| T::narrow(*v)).collect();
        let widened = bias.iter().map(|v| v.widen()).collect();
        Ok((Some(widened), Some(Bias::upload(gpu, &bias)?)))
    }
    match way % 4 {
        0 => Ok((None, None)),
        1 => rounded::<f32>(gpu, &bias),
        2 => rounded::<f16>(gpu, &bias),
        _ => rounded::<bf16>(gpu, &bias),
    }
}

/// What cases call a bias.
pub(super) fn bias_name(bias: &Option<Bias>) -> &'static str {
    bias.as_ref().map_or("none", |bias| bias.dtype().name())
}

/// Codes and scales as our own quantizer gives them for NaN, Inf, zeros and the smallest and largest numbers: no
/// given scale can be like these.
fn quantized_specials<T: OutputElement>(check: &mut Check<'_>, dequant: Dequant<T>) -> Result<()> {
    let (m, n, k) = (19, 21, 200);
    let mut random = check.next_case();
    let x = matrix::<f32>(&mut random, Pattern::Mixed, m, k);
    let w = matrix::<f32>(&mut random, Pattern::Mixed, n, k);
    let gpu = check.gpu;
    let x = crate::Activations::upload(gpu, &x, Layout::contiguous(m, k))?;
    let w = Weights::upload(gpu, &w, Layout::contiguous(n, k))?;
    let (x, _) = ops::quantize_token(gpu, &x, Choice::Auto)?;
    let (w, _) = ops::quantize_weights(gpu, &w, Choice::Auto)?;
    // From the kernels' own codes and scales: a wrong quantizer is another check's finding.
    let (q_x, q_w) = (x.download_codes()?, w.download_codes()?);
    let (s_x, s_w) = (x.scales().download()?, w.scales().download()?);
    let acc = oracle::gemm_i32(&q_x, &q_w, m as usize, n as usize, k as usize).expect("K is within its limit");
    let by = oracle::Dequant { s_x: &s_x, s_w: &s_w, bias: None };
    let want = dequant(&acc, m as usize, n as usize, &by);
    compare_gemm(
        check,
        (&x, &w, None),
        Layout::contiguous(m, n),
        &want,
        "scales of NaN, Inf, zeros, the smallest and largest",
    )
}

/// Launches a product into a y whose gaps must stay as they are; K for the message.
pub(super) fn compare<T: OutputElement>(
    check: &mut Check<'_>,
    (at, k): (Layout, u64),
    want: &[T],
    case: &str,
    product: impl FnOnce(&mut Output<T>, Choice<'_>) -> Result<Launch>,
) -> Result<()> {
    let mut y = Output::<T>::filled(check.gpu, at, UNTOUCHED)?;
    product(&mut y, check.choice())?;
    let Layout { rows, cols, row_stride, offset } = at;
    let case = format!("{case}, M {rows}, N {cols}, K {k}, row stride of y {row_stride}, offset {offset}");
    let span = y.download_span()?;
    let untouched = u32::from_ne_bytes([UNTOUCHED; 4]) >> (32 - 8 * size_of::<T>());
    let mut written: Vec<i32> = span.iter().map(|v| i32::from(v.bits() != untouched)).collect();
    let mut got = Vec::with_capacity(want.len());
    for range in at.row_ranges() {
        got.extend_from_slice(&span[range.clone()]);
        written[range].fill(0);
    }
    check.same(Results { name: "y", cols: cols as usize, case: &case }, &got, want);
    let none = vec![0; written.len()];
    check.same(Results { name: "gaps of y written", cols: row_stride as usize, case: &case }, &written, &none);
    Ok(())
}

/// Runs [`ops::gemm`] into y.
fn compare_gemm<T: OutputElement, S: TokenScale>(
    check: &mut Check<'_>,
    (x, w, bias): (&QuantizedTokens<S>, &QuantizedWeights<PerChannel>, Option<&Bias>),
    at: Layout,
    want: &[T],
    case: &str,
) -> Result<()> {
    let gpu = check.gpu;
    compare(check, (at, x.cols()), want, case, |y, choice| {
        let mut workspace = Workspace::new(gpu, ops::workspace_bytes(gpu, x.rows(), w.rows(), x.cols()))?;
        ops::gemm(gpu, Product { x, w, bias }, y, &mut workspace, choice)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_near_the_ends_make_sums_that_f32_cannot_hold() {
        let mut random = Random::new(7);
        let (x, w) = (codes(&mut random, Codes::NearTheEnds, 4099), codes(&mut random, Codes::NearTheEnds, 4099));
        let sum = oracle::gemm_i32(&x, &w, 1, 1, 4099).unwrap()[0];
        assert!(sum > 1 << 25, "{sum}");
        let in_f32 = x.iter().zip(&w).fold(0f32, |sum, (x, w)| sum + f32::from(*x) * f32::from(*w));
        assert_ne!(in_f32 as i32, sum);
    }
}
