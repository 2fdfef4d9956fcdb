//! Layers: the schemes, a layer made ready once ([`QuantizedLinear`]), and the whole way of the data through one,
//! with everything that the kernels made on it ([`linear()`]).
//!
//! `scheme` names the ways to quantize, `calibration` what some of them must know beforehand, `quantized` is the
//! layer and what it does with a batch, `tokens` the batch between quantizer and product, `buffers` the memory of one.

mod asym;
mod buffers;
mod calibration;
mod hybrid;
mod llm_int8;
mod packed;
mod presets;
mod quantized;
mod reference;
mod running;
mod scheme;
mod smoothing;
mod tokens;

pub use buffers::Buffers;
pub use calibration::Calibration;
pub(crate) use calibration::missing;
pub use hybrid::{Hybrid, SPREAD_LIMIT};
pub use llm_int8::OutlierWeights;
pub use packed::{Broken, PackedLayer};
pub use presets::PresetScale;
pub use quantized::QuantizedLinear;
pub use reference::{Distance, Reference, products};
pub use scheme::Scheme;
pub use tokens::{TokenCodes, Tokens};

use crate::{
    Activations, Dtype, Error, Gpu, InputCounts, Launch, Layout, Output, Result, Workspace,
    calibration::samples,
    files::Layer,
    host::{Values, with_values},
    ops::Choice,
    smooth::{Alpha, AlphaSearch, search_layer},
};

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
    /// Zero points of x, i32 `[T]`, under [`Scheme::Asym`].
    pub zp_x: Option<Vec<i32>>,
    /// Sums of the rows of q_w, i32 `[N]`, under [`Scheme::Asym`].
    pub w_sums: Option<Vec<i32>>,
    /// Outlier columns of x, ascending, under [`Scheme::LlmInt8`].
    pub outlier_columns: Option<Vec<u32>>,
    /// The absmax of each token, f32 `[T]`, and of each row of w, f32 `[N]`, where a preset stores them in place of scales.
    pub absmax: Option<[Vec<f32>; 2]>,
    /// The layer's output [T, N].
    pub y: Values,
    /// The maxima that a scale was made of as the batch ran, one a block.
    pub partial_absmax: Option<Vec<f32>>,
    /// Inputs that a given scale did not fit.
    pub counts: Option<InputCounts>,
    /// The smoothing factors, f32 `[K]`, where the scheme smooths: ones where α was searched for and none was better.
    pub smooth: Option<Vec<f32>>,
    /// The search for α, where the scheme left it to be chosen.
    pub search: Option<AlphaSearch>,
    /// The scheme as it ran: the α that was chosen in place of [`Alpha::Auto`].
    pub scheme: Scheme,
    /// The kernels, in order.
    pub steps: Vec<Step>,
    /// How many of them made the layer ready, before there was any token.
    pub prepared: usize,
}

impl LinearResult {
    /// The kernels that a batch costs: without those that made the layer ready, and without the second product that
    /// only shows the accumulators.
    pub fn batch_steps(&self) -> impl Iterator<Item = &Step> {
        self.steps.iter().skip(self.prepared).filter(|step| step.made != "acc")
    }
}

/// Runs a layer on the GPU: x and w are quantized, their codes multiplied, the product dequantized to
/// `out` (f32, f16 or bf16).
///
/// # Errors
/// As [`linear_calibrated`], calibration being the layer's `calib_absmax`.
pub fn linear(gpu: &Gpu, layer: &Layer, scheme: Scheme, out: Dtype) -> Result<LinearResult> {
    let calibration = Calibration::given(layer, scheme)?;
    linear_calibrated(gpu, layer, scheme, calibration.as_ref(), out)
}

/// As [`linear()`], with a calibration from elsewhere.
///
/// # Errors
/// Those of [`QuantizedLinear`]'s methods and of [`smooth::search`](crate::smooth::search()); `out` where it is no floating-point type.
pub fn linear_calibrated(
    gpu: &Gpu,
    layer: &Layer,
    scheme: Scheme,
    calibration: Option<&Calibration>,
    out: Dtype,
) -> Result<LinearResult> {
    let (ready, search) = ready(gpu, layer, scheme, calibration)?;
    let scheme = search.as_ref().map_or(scheme, |search| scheme.with_alpha(search.chosen));
    Ok(LinearResult { search, ..run(gpu, &ready, layer, (scheme, out))? })
}

/// A layer made ready under a scheme: where its exponent is left open, after a search on the layer's own tokens.
///
/// # Errors
/// Those of [`QuantizedLinear::new`] and of [`smooth::search`](crate::smooth::search()).
pub fn ready(
    gpu: &Gpu,
    layer: &Layer,
    scheme: Scheme,
    calibration: Option<&Calibration>,
) -> Result<(QuantizedLinear, Option<AlphaSearch>)> {
    let auto = scheme.alpha() == Some(Alpha::Auto);
    let search = auto.then(|| search_layer(gpu, layer, scheme, calibration)).transpose()?;
    let scheme = search.as_ref().map_or(scheme, |search| scheme.with_alpha(search.chosen));
    Ok((QuantizedLinear::new(gpu, &layer.w, layer.bias(), scheme, calibration)?, search))
}

/// As [`linear()`], by a layer that is ready, whatever its weights were made of: the given layer's `x` alone goes in, and
/// its `w` and `bias` do not.
///
/// # Errors
/// `x` where its K is not that of the weights; `out` where it is no floating-point type; a CUDA error.
pub fn linear_ready(gpu: &Gpu, layer: &Layer, ready: &QuantizedLinear, out: Dtype) -> Result<LinearResult> {
    run(gpu, ready, layer, (ready.scheme(), out))
}

/// As [`linear_calibrated`], each sentence of the layer's tokens a batch of its own and in order: for a scheme that
/// carries something from one batch to the next. A layer that knows no sentences is one batch.
///
/// # Errors
/// As [`linear_calibrated`].
pub fn linear_by_sentence(
    gpu: &Gpu,
    layer: &Layer,
    scheme: Scheme,
    calibration: Option<&Calibration>,
    out: Dtype,
) -> Result<Vec<LinearResult>> {
    let ready = QuantizedLinear::new(gpu, &layer.w, layer.bias(), scheme, calibration)?;
    let sentences = samples(layer.sentence_id.as_deref(), layer.x.rows as usize);
    sentences.into_iter().map(|tokens| run(gpu, &ready, &layer.tokens(tokens), (scheme, out))).collect()
}

/// The layer's tokens through a layer that is ready.
fn run(gpu: &Gpu, ready: &QuantizedLinear, layer: &Layer, (scheme, out): (Scheme, Dtype)) -> Result<LinearResult> {
    let ones = || scheme.alpha().map(|_| vec![1.0; layer.x.cols as usize]);
    let smooth = ready.factors().map(|factors| factors.values().to_vec()).or_else(ones);
    let layout = Layout::contiguous(layer.x.rows, layer.x.cols);
    let tokens = with_values!(&layer.x.values, x => ready.quantize(gpu, &Activations::upload(gpu, x, layout)?))?;
    let layout = Layout::contiguous(layer.x.rows, layer.w.rows);
    macro_rules! into {
        ($type:ty, $values:path) => {{
            let mut y = Output::<$type>::new(gpu, layout)?;
            let launch = ready.multiply(gpu, &tokens, &mut y, &mut Workspace::none(), Choice::Auto)?;
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
    let mut again = ready.multiply(gpu, &tokens, &mut acc, &mut Workspace::none(), Choice::Named(launch.variant))?;
    again.why = crate::choice::Why::Preferred("the variant of y");
    let mut steps = ready.steps().to_vec();
    steps.extend(tokens.steps.iter().cloned());
    steps.push(Step { op: tokens.codes.product(), made: "y", launch });
    steps.push(Step { op: "gemm", made: "acc", launch: again });
    Ok(LinearResult {
        q_x: tokens.codes.download_codes()?,
        s_x: tokens.codes.download_scales()?,
        q_w: ready.weights().download_codes()?,
        s_w: ready.weights().scales().download()?,
        acc: acc.download()?,
        zp_x: tokens.codes.download_zero_points()?,
        w_sums: ready.w_sums().map(|sums| sums.download()).transpose()?,
        outlier_columns: tokens.codes.download_outlier_columns()?,
        absmax: match (&tokens.absmax, ready.w_absmax()) {
            (Some(of_x), Some(of_w)) => Some([of_x.download()?, of_w.download()?]),
            _ => None,
        },
        y,
        partial_absmax: tokens.partial_absmax.as_ref().map(|partials| partials.download()).transpose()?,
        counts: tokens.counters.as_ref().map(|counters| counters.read()).transpose()?,
        smooth,
        search: None,
        scheme,
        steps,
        prepared: ready.steps().len(),
    })
}
