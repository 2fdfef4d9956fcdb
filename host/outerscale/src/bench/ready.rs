//! The operands of each op's bench, and whether its results are the oracle's.

use super::Shape;
use crate::{
    Activations, Bias, ColumnAbsmax, Element, Gpu, HalfWeights, Int8Matrix, Launch, Layout, OutlierTokens, Output,
    Result, RunningState, Scales, Weights, Workspace,
    ops::{self, AsymmetricProduct, Choice, OutlierProduct, Preset, Product, StaticScale, Window},
};
use half::f16;

/// Rows of a product that are held against the oracle: a token's result does not depend on the others.
const CHECKED_TOKENS: u64 = 3;

/// The threshold of an outlier: a fair share of the columns of some thousand tokens, not all.
const OUTLIERS: f32 = 0.9995;

/// Operands of one launch, made ready and launched once.
pub(super) struct Ready {
    pub(super) launch: Launch,
    /// Whether the results have the oracle's bits; asked once.
    pub(super) equal: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Check {
    Yes,
    No,
}

/// Values that fill f16 evenly enough: their bits do not matter for time, their codes do for the check.
fn values(count: u64, salt: u64) -> Vec<f16> {
    let mix = |i: u64| (i.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(salt) >> 40) as f32 / (1u64 << 23) as f32;
    (0..count).map(|i| f16::from_f32(mix(i + 1) - 1.0)).collect()
}

/// Makes the operands of an op and launches it once.
pub(super) fn ready(gpu: &Gpu, op: &str, Shape { m, n, k }: Shape, check: Check) -> Result<Ready> {
    let layout = Layout::contiguous(m, k);
    let host = values(m * k, 1);
    let x = Activations::upload(gpu, &host, layout)?;
    let wide = || host.iter().map(|v| v.to_f32()).collect::<Vec<f32>>();
    let (rows, cols) = (m as usize, k as usize);
    let no = check == Check::No;
    let (launch, equal) = match op {
        "row_absmax" => {
            let (got, launch) = ops::row_absmax(gpu, &x, Choice::Auto)?;
            (launch, no || same(&got.download()?, &oracle::row_absmax(&wide(), rows, cols)))
        }
        "column_absmax" => {
            let absmax = ColumnAbsmax::new(gpu, k)?;
            let launch = ops::column_absmax(gpu, &x, &absmax, Choice::Auto)?;
            (launch, no || same(&absmax.download()?, &oracle::column_absmax(&vec![0.0; cols], &wide(), rows)))
        }
        "tensor_absmax" => {
            let (got, launch) = ops::tensor_absmax(gpu, &x, Choice::Auto)?;
            let largest = got.download()?.iter().map(|v| v.to_bits()).max().unwrap_or(0);
            (launch, no || largest == oracle::tensor_absmax(&wide()).to_bits())
        }
        "running_scale" => {
            let (partials, _) = ops::tensor_absmax(gpu, &x, Choice::Auto)?;
            let state = RunningState::new(gpu, None)?;
            let (scale, launch) = ops::running_scale(gpu, &partials, &state, Window::DEFAULT, Choice::Auto)?;
            (launch, no || same(&scale.download()?, &[oracle::scale_from_absmax(oracle::tensor_absmax(&wide()))]))
        }
        "quantize_smooth_token" => {
            let factors: Vec<f32> = values(k, 4).iter().map(|v| 1.0 + v.to_f32().abs()).collect();
            let (q, launch) = ops::quantize_smooth_token(gpu, &x, &Scales::upload(gpu, &factors)?, Choice::Auto)?;
            let equal = no || {
                let (codes, scales) = oracle::quantize_smooth_token(&wide(), &factors, rows);
                q.download_codes()? == codes && same(&q.scales().download()?, &scales)
            };
            (launch, equal)
        }
        "quantize_smooth_static" => {
            let (factors, scale) = (vec![0.75; cols], 1.0 / 90.0);
            let (on_gpu, uploaded) = (Scales::upload(gpu, &factors)?, Scales::upload(gpu, &[scale])?);
            let with = StaticScale { scale: &uploaded, counters: None };
            let (q, launch) = ops::quantize_smooth_static(gpu, &x, &on_gpu, with, Choice::Auto)?;
            let codes = || oracle::quantize_smooth_static(&wide(), &factors, scale).map(|quantized| quantized.codes);
            (launch, no || Ok(q.download_codes()?) == codes())
        }
        "quantize_tensor" => {
            let (partials, _) = ops::tensor_absmax(gpu, &x, Choice::Auto)?;
            let (q, launch) = ops::quantize_tensor(gpu, &x, &partials, Choice::Auto)?;
            (launch, no || q.download_codes()? == oracle::quantize_tensor(&wide()).0)
        }
        "quantize_static" => {
            let scale = 1.0 / 127.0;
            let uploaded = Scales::upload(gpu, &[scale])?;
            let with = StaticScale { scale: &uploaded, counters: None };
            let (q, launch) = ops::quantize_static(gpu, &x, with, Choice::Auto)?;
            let codes = || oracle::quantize_static(&wide(), scale).map(|quantized| quantized.codes);
            (launch, no || Ok(q.download_codes()?) == codes())
        }
        "outlier_columns" => {
            let (masks, launch) = ops::outlier_columns(gpu, &x, OUTLIERS, Choice::Auto)?;
            (launch, no || masks.download()? == oracle::outlier_columns(&wide(), rows, cols, OUTLIERS))
        }
        "outlier_list" => {
            let (masks, _) = ops::outlier_columns(gpu, &x, OUTLIERS, Choice::Auto)?;
            let (columns, launch) = ops::outlier_list(gpu, &masks, Choice::Auto)?;
            let want = || oracle::outlier_list(&oracle::outlier_columns(&wide(), rows, cols, OUTLIERS));
            (launch, no || columns.download()?.into_iter().map(|col| col as usize).eq(want()))
        }
        "quantize_outliers" => {
            let (masks, _) = ops::outlier_columns(gpu, &x, OUTLIERS, Choice::Auto)?;
            let (columns, _) = ops::outlier_list(gpu, &masks, Choice::Auto)?;
            let (q, launch) = ops::quantize_outliers(gpu, &x, &columns, Choice::Auto)?;
            let is_outlier = || oracle::outlier_columns(&wide(), rows, cols, OUTLIERS);
            (launch, no || q.download_codes()? == oracle::quantize_outliers(&wide(), rows, cols, &is_outlier()).0)
        }
        "pack_rows" => {
            let codes: Vec<i8> = host.iter().map(|v| v.bits() as i8).collect();
            let (packed, launch) = ops::pack_rows(gpu, &Int8Matrix::upload(gpu, &codes, layout)?, Choice::Auto)?;
            (launch, no || packed.download_codes()? == codes)
        }
        "pack_weights" => {
            let codes: Vec<i8> = host.iter().map(|v| v.bits() as i8).collect();
            let (packed, launch) = ops::pack_weights(gpu, &Int8Matrix::upload(gpu, &codes, layout)?, Choice::Auto)?;
            (launch, no || packed.download_codes()? == codes)
        }
        "quantize_asym" => {
            let (q, launch) = ops::quantize_asym(gpu, &x, Choice::Auto)?;
            let equal = no || {
                let want = oracle::quantize_asym(&wide(), rows, cols);
                q.download_codes()? == want.codes
                    && q.zero_points().download()? == want.zero_points
                    && same(&q.scales().download()?, &want.scales)
            };
            (launch, equal)
        }
        "quantize_preset" => {
            let (q, _, launch) = ops::quantize_preset(gpu, &x, Preset::CompressedTensors, Choice::Auto)?;
            let by = (oracle::Preset::CompressedTensors, oracle::Type::F16);
            let want = || oracle::quantize_preset(&wide(), rows, cols, by.0, by.1);
            (launch, no || Some(q.download_codes()?) == want().map(|want| want.codes))
        }
        "row_sums" => {
            let (q, _) = ops::quantize_weights(gpu, &Weights::upload(gpu, &host, layout)?, Choice::Auto)?;
            let (sums, launch) = ops::row_sums(gpu, &q, Choice::Auto)?;
            (launch, no || sums.download()? == oracle::row_sums(&q.download_codes()?, rows, cols))
        }
        "gemm_asym" => {
            let (q_x, _) = ops::quantize_asym(gpu, &x, Choice::Auto)?;
            let w = Weights::upload(gpu, &values(n * k, 2), Layout::contiguous(n, k))?;
            let (q_w, _) = ops::quantize_weights(gpu, &w, Choice::Auto)?;
            let (w_sums, _) = ops::row_sums(gpu, &q_w, Choice::Auto)?;
            let mut y = Output::<f16>::new(gpu, Layout::contiguous(m, n))?;
            let product = AsymmetricProduct { x: &q_x, w: &q_w, w_sums: &w_sums, bias: None };
            let launch = ops::gemm_asym(gpu, product, &mut y, &mut Workspace::none(), Choice::Auto)?;
            let tokens = (q_x.download_codes()?, q_x.scales().download()?, Some(q_x.zero_points().download()?));
            (launch, no || product_is_right(tokens, &q_w, None, &y)?)
        }
        "gemm" => {
            let (q_x, _) = ops::quantize_token(gpu, &x, Choice::Auto)?;
            let w = Weights::upload(gpu, &values(n * k, 2), Layout::contiguous(n, k))?;
            let (q_w, _) = ops::quantize_weights(gpu, &w, Choice::Auto)?;
            let bias: Vec<f32> = values(n, 3).iter().map(|v| v.to_f32()).collect();
            let device_bias = Bias::upload(gpu, &bias)?;
            let mut y = Output::<f16>::new(gpu, Layout::contiguous(m, n))?;
            let product = Product { x: &q_x, w: &q_w, bias: Some(&device_bias) };
            let mut workspace = Workspace::new(gpu, ops::workspace_bytes(gpu, m, n, k))?;
            let launch = ops::gemm(gpu, product, &mut y, &mut workspace, Choice::Auto)?;
            let tokens = (q_x.download_codes()?, q_x.scales().download()?, None);
            (launch, no || product_is_right(tokens, &q_w, Some(&bias), &y)?)
        }
        "gemm_outliers" => {
            let (masks, _) = ops::outlier_columns(gpu, &x, OUTLIERS, Choice::Auto)?;
            let (columns, _) = ops::outlier_list(gpu, &masks, Choice::Auto)?;
            let (q_x, _) = ops::quantize_outliers(gpu, &x, &columns, Choice::Auto)?;
            let tokens = OutlierTokens::new(q_x, columns, &x)?;
            let host_w = values(n * k, 2);
            let w = Weights::upload(gpu, &host_w, Layout::contiguous(n, k))?;
            let (q_w, _) = ops::quantize_weights(gpu, &w, Choice::Auto)?;
            let half_w = HalfWeights::upload(gpu, &host_w, n, k)?;
            let mut y = Output::<f16>::new(gpu, Layout::contiguous(m, n))?;
            let product = OutlierProduct { x: &tokens, w: &q_w, half_w: Some(&half_w), bias: None };
            let launch = ops::gemm_outliers(gpu, product, &mut y, &mut Workspace::none(), Choice::Auto)?;
            (launch, no || outlier_product_is_right(&tokens, &q_w, (&host, &host_w), &y)?)
        }
        _ => {
            let (q, launch) = ops::quantize_token(gpu, &x, Choice::Auto)?;
            let equal = no || {
                let (codes, scales) = oracle::quantize_token(&wide(), rows, cols);
                q.download_codes()? == codes && same(&q.scales().download()?, &scales)
            };
            (launch, equal)
        }
    };
    Ok(Ready { launch, equal })
}

/// The first, the middle and the last of `m` tokens.
fn some_tokens(m: u64) -> impl Iterator<Item = usize> {
    (0..CHECKED_TOKENS.min(m)).map(move |index| (index * (m - 1) / (CHECKED_TOKENS - 1)) as usize)
}

/// Some tokens of a product, given as codes, scales and zero points, against the oracle: first, middle and last.
fn product_is_right(
    (q_x, s_x, zp_x): (Vec<i8>, Vec<f32>, Option<Vec<i32>>),
    w: &crate::QuantizedWeights<crate::PerChannel>,
    bias: Option<&[f32]>,
    y: &Output<f16>,
) -> Result<bool> {
    let (m, n, k) = (y.rows(), w.rows() as usize, w.cols() as usize);
    let (q_w, s_w) = (w.download_codes()?, w.scales().download()?);
    let got = y.download()?;
    let mut equal = true;
    for row in some_tokens(m) {
        let acc = oracle::gemm_i32(&q_x[row * k..][..k], &q_w, 1, n, k);
        let acc = acc.and_then(|acc| match &zp_x {
            Some(zp_x) => oracle::gemm_asym(&acc, &zp_x[row..=row], &oracle::row_sums(&q_w, n, k)),
            None => Ok(acc),
        });
        let Ok(acc) = acc else { return Ok(false) };
        let by = oracle::Dequant { s_x: &s_x[row..=row], s_w: &s_w, bias };
        let want = oracle::dequant_f16(&acc, 1, n, &by);
        equal &= got[row * n..][..n].iter().zip(&want).all(|(got, want)| got.bits() == want.bits());
    }
    Ok(equal)
}

/// The same of a product with outlier columns.
fn outlier_product_is_right(
    tokens: &OutlierTokens,
    w: &crate::QuantizedWeights<crate::PerChannel>,
    (x, half_w): (&[f16], &[f16]),
    y: &Output<f16>,
) -> Result<bool> {
    let codes = tokens.codes();
    let (m, n, k) = (codes.rows(), w.rows() as usize, codes.cols() as usize);
    let (q_x, q_w, s_x, s_w) =
        (codes.download_codes()?, w.download_codes()?, codes.scales().download()?, w.scales().download()?);
    let columns: Vec<usize> = tokens.columns().download()?.into_iter().map(|col| col as usize).collect();
    let half_w: Vec<f32> = half_w.iter().map(|v| v.to_f32()).collect();
    let got = y.download()?;
    let mut equal = true;
    for row in some_tokens(m) {
        let Ok(acc) = oracle::gemm_i32(&q_x[row * k..][..k], &q_w, 1, n, k) else { return Ok(false) };
        let by = oracle::Dequant { s_x: &s_x[row..=row], s_w: &s_w, bias: None };
        let x = x[row * k..][..k].iter().map(|v| v.to_f32()).collect();
        let part = oracle::OutlierPart { columns: columns.clone(), x, w: half_w.clone() };
        let want = oracle::gemm_outliers(&acc, 1, n, &by, &part).into_iter().map(oracle::float::narrow_f16);
        equal &= got[row * n..][..n].iter().zip(want).all(|(got, want)| got.bits() == want.bits());
    }
    Ok(equal)
}

fn same(got: &[f32], want: &[f32]) -> bool {
    got.len() == want.len() && got.iter().zip(want).all(|(got, want)| got.bits() == want.bits())
}
