//! The whole way of the data through a layer: quantize x, quantize w, multiply, dequantize.

use crate::{
    Activations, Bias, Dtype, Error, Gpu, Launch, Layout, NonFiniteCounter, Output, PerChannel, QuantizedTokens,
    QuantizedWeights, Result, TokenScale, Weights,
    files::Layer,
    host::{Values, with_values},
    ops::{self, Choice, Product, StaticScale},
};
use contract::limits::CODE_MAX;

/// How x is quantized; w has one scale an output channel in every scheme.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Scheme {
    /// One scale a token, from the data.
    #[default]
    Token,
    /// One scale for all tokens, from the data.
    Tensor,
    /// One scale for all tokens, from calibration: max(calib_absmax) / 127.
    Static,
}

impl Scheme {
    /// Every scheme.
    pub const ALL: [Scheme; 3] = [Scheme::Token, Scheme::Tensor, Scheme::Static];

    /// The word of the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Scheme::Token => "w8a8-token",
            Scheme::Tensor => "w8a8-tensor",
            Scheme::Static => "w8a8-static",
        }
    }
}

/// One kernel of the way: what it was and what it made.
#[derive(Clone)]
pub struct Step {
    /// The op.
    pub op: &'static str,
    /// The names of the results that it made.
    pub made: &'static str,
    /// The launch.
    pub launch: Launch,
}

/// What the kernels computed, copied to the host; T tokens, K inputs, N outputs.
pub struct LinearResult {
    /// Codes of x, i8 [T, K].
    pub q_x: Vec<i8>,
    /// Scales of x, f32 `[T]` or `[1]`.
    pub s_x: Vec<f32>,
    /// Codes of w, i8 [N, K].
    pub q_w: Vec<i8>,
    /// Scales of w, f32 `[N]`.
    pub s_w: Vec<f32>,
    /// Accumulators, i32 [T, N], by a second launch of the same variant with i32 output.
    pub acc: Vec<i32>,
    /// The layer's output [T, N].
    pub y: Values,
    /// The maxima that [`Scheme::Tensor`] made its scale of, one a block.
    pub partial_absmax: Option<Vec<f32>>,
    /// NaN and Inf inputs that a static scale could not carry.
    pub non_finite: Option<u64>,
    /// The kernels, in order.
    pub steps: Vec<Step>,
}

/// Runs a layer on the GPU: x and w are quantized, their codes multiplied, the product dequantized to
/// `out` (f32, f16 or bf16).
///
/// # Errors
/// `calib_absmax` where [`Scheme::Static`] lacks it or its scale is out of range; shapes as the ops say; a CUDA error.
pub fn linear(gpu: &Gpu, layer: &Layer, scheme: Scheme, out: Dtype) -> Result<LinearResult> {
    let mut steps = Vec::new();
    let mut step = |op, made, launch| steps.push(Step { op, made, launch });
    let x_layout = Layout::contiguous(layer.x.rows, layer.x.cols);
    let w_layout = Layout::contiguous(layer.w.rows, layer.w.cols);

    let (q_w, launch) = with_values!(&layer.w.values, w => {
        ops::quantize_weights(gpu, &Weights::upload(gpu, w, w_layout)?, Choice::Auto)
    })?;
    step("quantize_token", "q_w, s_w", launch);

    match scheme {
        Scheme::Token => {
            let (q_x, launch) = with_values!(&layer.x.values, x => {
                ops::quantize_token(gpu, &Activations::upload(gpu, x, x_layout)?, Choice::Auto)
            })?;
            step("quantize_token", "q_x, s_x", launch);
            multiply(gpu, (&q_x, &q_w), layer.bias(), out, steps)
        }
        Scheme::Tensor => {
            let (q_x, partials, absmax, launch) = with_values!(&layer.x.values, x => {
                let x = Activations::upload(gpu, x, x_layout)?;
                let (partials, absmax) = ops::tensor_absmax(gpu, &x, Choice::Auto)?;
                ops::quantize_tensor(gpu, &x, &partials, Choice::Auto)
                    .map(|(q_x, launch)| (q_x, partials, absmax, launch))
            })?;
            step("tensor_absmax", "maxima of x", absmax);
            step("quantize_tensor", "q_x, s_x", launch);
            let result = multiply(gpu, (&q_x, &q_w), layer.bias(), out, steps)?;
            Ok(LinearResult { partial_absmax: Some(partials.download()?), ..result })
        }
        Scheme::Static => {
            let counter = NonFiniteCounter::new(gpu)?;
            let with = StaticScale { scale: static_scale(layer)?, non_finite: Some(&counter) };
            let (q_x, launch) = with_values!(&layer.x.values, x => {
                ops::quantize_static(gpu, &Activations::upload(gpu, x, x_layout)?, with, Choice::Auto)
            })?;
            step("quantize_static", "q_x", launch);
            let result = multiply(gpu, (&q_x, &q_w), layer.bias(), out, steps)?;
            Ok(LinearResult { non_finite: Some(counter.read()?), ..result })
        }
    }
}

/// The scale of [`Scheme::Static`]: max(calib_absmax) / 127.
///
/// # Errors
/// `calib_absmax` where the layer has none or the scale is out of range.
pub fn static_scale(layer: &Layer) -> Result<f32> {
    let refuse = |rule: String| Error::argument("w8a8-static", "calib_absmax", rule);
    let calibration = layer.calib_absmax.as_ref();
    let calibration =
        calibration.ok_or_else(|| refuse("is missing; add it to the file or take w8a8-token".to_owned()))?;
    let scale = calibration.iter().copied().fold(0.0, f32::max) / CODE_MAX;
    crate::operands::check_scale(scale)
        .map_err(|rule| refuse(format!("its maximum / 127 is the scale, and {rule}")))?;
    Ok(scale)
}

/// The product in the output's type and once more as accumulators, and everything back to the host.
fn multiply<S: TokenScale>(
    gpu: &Gpu,
    (x, w): (&QuantizedTokens<S>, &QuantizedWeights<PerChannel>),
    bias: Option<&[f32]>,
    out: Dtype,
    mut steps: Vec<Step>,
) -> Result<LinearResult> {
    let bias = bias.map(|bias| Bias::upload(gpu, bias)).transpose()?;
    let product = Product { x, w, bias: bias.as_ref() };
    let layout = Layout::contiguous(x.rows(), w.rows());
    macro_rules! into {
        ($type:ty, $values:path) => {{
            let mut y = Output::<$type>::new(gpu, layout)?;
            let launch = ops::gemm(gpu, product, &mut y, Choice::Auto)?;
            ($values(y.download()?), launch)
        }};
    }
    let (y, launch) = match out {
        Dtype::F32 => into!(f32, Values::F32),
        Dtype::F16 => into!(half::f16, Values::F16),
        Dtype::Bf16 => into!(half::bf16, Values::Bf16),
        Dtype::I32 | Dtype::I8 => {
            return Err(Error::argument("linear", "out", format!("must be f32, f16 or bf16, got {out}")));
        }
    };
    let mut acc = Output::<i32>::new(gpu, layout)?;
    let same = Choice::Named(launch.variant);
    steps.push(Step { op: "gemm", made: "y", launch });
    let mut launch = ops::gemm(gpu, product, &mut acc, same)?;
    launch.why = "the variant of y";
    steps.push(Step { op: "gemm", made: "acc", launch });
    Ok(LinearResult {
        q_x: x.download_codes()?,
        s_x: x.scales().download()?,
        q_w: w.download_codes()?,
        s_w: w.scales().download()?,
        acc: acc.download()?,
        y,
        partial_absmax: None,
        non_finite: None,
        steps,
    })
}
