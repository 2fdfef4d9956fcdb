//! A layer whose weights are codes: prepared once, run on any number of batches.

use super::{
    Calibration, Hybrid, PresetScale, Scheme, Step, TokenCodes, Tokens, asym::Asym, llm_int8::LlmInt8, missing,
    presets::Presets, running::Running, smoothing::Smoothing, tokens::other_room,
};
use crate::{
    Activations, Bias, DeviceVector, Error, Float, Gpu, InputCounters, Launch, Layout, Output, OutputElement,
    PartialAbsmax, PerChannel, PerTensor, QuantizedTokens, QuantizedWeights, Result, RunningState, Scales, WeightSums,
    Weights, Workspace,
    host::{HostMatrix, with_values},
    ops::{self, Choice, Product, StaticScale},
    smooth::{Alpha, Factors},
};

/// What a scheme keeps between batches.
pub(super) enum Method {
    Token,
    Tensor,
    Static { scale: Scales<PerTensor> },
    Running(Running),
    Asym(Asym),
    LlmInt8(LlmInt8),
    Smoothed(Smoothing),
    Preset(Presets),
}

impl Method {
    /// One scale, from calibration.
    fn fixed(gpu: &Gpu, calibration: &Calibration) -> Result<Self> {
        Ok(Method::Static { scale: Scales::upload(gpu, &[calibration.static_scale()?])? })
    }
}

/// A linear layer on the device: weights as codes [N, K], bias, and what its scheme needs.
///
/// [`QuantizedLinear::forward`] is [`quantize`](QuantizedLinear::quantize) and
/// [`multiply`](QuantizedLinear::multiply), one after the other; nothing waits for the device. What ends in `_into` does
/// not allocate either.
pub struct QuantizedLinear {
    pub(super) weights: QuantizedWeights<PerChannel>,
    pub(super) bias: Option<Bias>,
    pub(super) method: Method,
    pub(super) steps: Vec<Step>,
    /// As it runs: a choice between schemes has been made.
    pub(super) scheme: Scheme,
}

impl QuantizedLinear {
    /// Quantizes w [N, K], one scale an output channel, and makes ready what `scheme` needs; bias f32 `[N]`.
    ///
    /// # Errors
    /// `calib_absmax` where a calibrated scheme lacks it, or its length or scale is wrong; `threshold` where it is
    /// negative or NaN; `alpha` where it is still to be searched for ([`smooth::search`](crate::smooth::search())); `w` as
    /// [`ops::quantize_weights`]; a CUDA error.
    pub fn new(
        gpu: &Gpu,
        w: &HostMatrix,
        bias: Option<&[f32]>,
        scheme: Scheme,
        calibration: Option<&Calibration>,
    ) -> Result<Self> {
        let calibrated = || required(scheme, calibration, w.cols);
        let smoothing = match scheme.alpha() {
            // No smoothing is division by ones: the plain kernels do without.
            None | Some(Alpha::Off) => None,
            Some(alpha) => Some(Smoothing::new(gpu, w, alpha, scheme, calibrated()?)?),
        };
        let multiplied = smoothing.as_ref().map(|smoothing| smoothing.factors.weights(w));
        let w = multiplied.as_ref().unwrap_or(w);
        let layout = Layout::contiguous(w.rows, w.cols);
        let mut presets = match scheme {
            Scheme::Preset(preset, PresetScale::Token) => Some(Presets::new(preset, None)?),
            Scheme::Preset(preset, PresetScale::Static) => Some(Presets::new(preset, Some(calibrated()?))?),
            _ => None,
        };
        let (weights, step) = with_values!(&w.values, w => {
            let w = Weights::upload(gpu, w, layout)?;
            match &mut presets {
                Some(presets) => presets.weights(gpu, &w),
                None => ops::quantize_weights(gpu, &w, Choice::Auto).map(|(weights, launch)| {
                    (weights, Step { op: "quantize_token", made: "q_w, s_w", launch })
                }),
            }
        })?;
        let mut steps = vec![step];
        let method = match scheme {
            Scheme::Preset(..) => presets.map_or(Method::Token, Method::Preset),
            Scheme::SmoothToken { .. } => smoothing.map_or(Method::Token, Method::Smoothed),
            Scheme::SmoothStatic { .. } => match smoothing {
                Some(smoothing) => Method::Smoothed(smoothing),
                None => Method::fixed(gpu, calibrated()?)?,
            },
            Scheme::Token => Method::Token,
            Scheme::Tensor => Method::Tensor,
            Scheme::Static => Method::fixed(gpu, calibrated()?)?,
            Scheme::Hybrid => match Hybrid::choose(calibrated()?)?.scheme {
                Scheme::Static => Method::fixed(gpu, calibrated()?)?,
                _ => Method::Token,
            },
            Scheme::Running(by) => {
                let begun = calibration.is_some().then(calibrated).transpose()?;
                Method::Running(Running::new(gpu, by, begun)?)
            }
            Scheme::Asym => {
                let (asym, step) = Asym::new(gpu, &weights)?;
                steps.push(step);
                Method::Asym(asym)
            }
            Scheme::LlmInt8 { threshold, outlier_weights } => {
                Method::LlmInt8(LlmInt8::new(gpu, w, threshold, outlier_weights)?)
            }
        };
        let bias = bias.map(|bias| Bias::upload(gpu, bias)).transpose()?;
        let scheme = match method {
            Method::Token => Scheme::Token,
            Method::Static { .. } => Scheme::Static,
            _ => scheme,
        };
        Ok(QuantizedLinear { weights, bias, method, steps, scheme })
    }

    /// The scheme as it runs: where the hybrid one or a search has chosen, what was chosen.
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// The weights.
    pub fn weights(&self) -> &QuantizedWeights<PerChannel> {
        &self.weights
    }

    /// The sums of the rows of the weights' codes, where the scheme needs them.
    pub(super) fn w_sums(&self) -> Option<&WeightSums> {
        match &self.method {
            Method::Asym(asym) => Some(&asym.w_sums),
            _ => None,
        }
    }

    /// The absmax of each row of w, where a preset stores it in place of the scale.
    pub(super) fn w_absmax(&self) -> Option<&DeviceVector<f32>> {
        match &self.method {
            Method::Preset(presets) => presets.w_absmax.as_ref(),
            _ => None,
        }
    }

    /// The kernels that made the layer ready.
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// The factors that x is divided by and w was multiplied by, where a scheme smooths.
    pub fn factors(&self) -> Option<&Factors> {
        match &self.method {
            Method::Smoothed(smoothing) => Some(&smoothing.factors),
            _ => None,
        }
    }

    /// The state of a scale that follows the batches, under [`Scheme::Running`]: `None` under the others.
    pub fn running_state(&self) -> Option<&RunningState> {
        match &self.method {
            Method::Running(running) => Some(&running.state),
            _ => None,
        }
    }

    /// Room for batches of up to `most` tokens, for [`QuantizedLinear::quantize_into`]: a layer of the same scheme and K
    /// can use it too.
    ///
    /// # Errors
    /// A CUDA error.
    pub fn room(&self, gpu: &Gpu, most: u64) -> Result<Tokens> {
        let k = self.weights.cols();
        match &self.method {
            Method::Token => Ok(Tokens::with_room(TokenCodes::ByToken(QuantizedTokens::with_room(gpu, most, k)?))),
            Method::Tensor => {
                let partials = PartialAbsmax::with_room(gpu, most, k)?;
                let codes = TokenCodes::ByTensor(QuantizedTokens::with_room(gpu, most, k)?);
                Ok(Tokens { partial_absmax: Some(partials), ..Tokens::with_room(codes) })
            }
            Method::Static { .. } => given_scale_room(gpu, most, k),
            Method::Running(_) => Running::room(gpu, most, k),
            Method::Asym(_) => Asym::room(gpu, most, k),
            Method::LlmInt8(_) => LlmInt8::room(gpu, most, k),
            Method::Smoothed(smoothing) => smoothing.room(gpu, most, k),
            Method::Preset(presets) => presets.room(gpu, most, k),
        }
    }

    /// x [tokens, K] → codes. Under [`Scheme::Running`] the batch is a sample, and counts for those after it.
    ///
    /// # Errors
    /// `x` where its K is not that of the weights; a CUDA error.
    pub fn quantize<T: Float>(&self, gpu: &Gpu, x: &Activations<T>) -> Result<Tokens> {
        self.check_input(x)?;
        let mut tokens = self.room(gpu, x.rows())?;
        self.quantize_into(gpu, x, &mut tokens)?;
        Ok(tokens)
    }

    /// As [`QuantizedLinear::quantize`], into room that is there: nothing is allocated, and nothing waits.
    ///
    /// # Errors
    /// As there, and `tokens` where they have no room for x, or room for another scheme.
    pub fn quantize_into<T: Float>(&self, gpu: &Gpu, x: &Activations<T>, tokens: &mut Tokens) -> Result<()> {
        self.check_input(x)?;
        tokens.steps = match &self.method {
            Method::Token => {
                let launch = ops::quantize_token_into(gpu, x, tokens.codes.by_token()?, Choice::Auto)?;
                vec![Step { op: "quantize_token", made: "q_x, s_x", launch }]
            }
            Method::Tensor => {
                let partials = tokens.partial_absmax.as_mut().ok_or_else(other_room)?;
                let absmax = ops::tensor_absmax_into(gpu, x, partials, Choice::Auto)?;
                let launch = ops::quantize_tensor_into(gpu, x, partials, tokens.codes.by_tensor()?, Choice::Auto)?;
                vec![
                    Step { op: "tensor_absmax", made: "maxima of x", launch: absmax },
                    Step { op: "quantize_tensor", made: "q_x, s_x", launch },
                ]
            }
            Method::Static { scale } => vec![given_scale(gpu, x, scale, tokens)?],
            Method::Running(running) => running.quantize(gpu, x, tokens)?,
            Method::Asym(_) => Asym::quantize(gpu, x, tokens)?,
            Method::LlmInt8(llm_int8) => llm_int8.quantize(gpu, x, tokens)?,
            Method::Smoothed(smoothing) => smoothing.quantize(gpu, x, tokens)?,
            Method::Preset(presets) => presets.quantize(gpu, x, tokens)?,
        };
        // Room of another layer may have been divided by its factors.
        tokens.divided_by = self.factors().cloned();
        Ok(())
    }

    fn check_input<T: Float>(&self, x: &Activations<T>) -> Result<()> {
        let k = self.weights.cols();
        if x.cols() == k {
            return Ok(());
        }
        Err(Error::argument("quantize", "x", format!("K must be that of the weights, {k}, got {}", x.cols())))
    }

    /// Codes of tokens → y [tokens, N], dequantized; i32 output is the accumulators of the codes. Tokens that another
    /// layer quantized will do if they were smoothed by the same factors: q, k and v read one input.
    ///
    /// # Errors
    /// `tokens` where a layer of another scheme quantized them, or one with other smoothing factors; `x` or `y` where a
    /// shape does not fit; a variant that cannot be used; a CUDA error.
    pub fn multiply<O: OutputElement>(
        &self,
        gpu: &Gpu,
        tokens: &Tokens,
        y: &mut Output<O>,
        workspace: &mut Workspace,
        choice: Choice<'_>,
    ) -> Result<Launch> {
        match (&tokens.divided_by, self.factors()) {
            (None, None) => {}
            (Some(of_x), Some(of_w)) if of_x.same(of_w) => {}
            _ => {
                let rule = "were not smoothed by the factors of these weights; quantize them by this layer, or give all \
                            linears that read them one calibration with their weights (Calibration::with_consumers)";
                return Err(Error::argument("multiply", "tokens", rule));
            }
        }
        let (w, bias) = (&self.weights, self.bias.as_ref());
        match (&tokens.codes, &self.method) {
            (TokenCodes::ByToken(x), _) => ops::gemm(gpu, Product { x, w, bias }, y, workspace, choice),
            (TokenCodes::ByTensor(x), _) => ops::gemm(gpu, Product { x, w, bias }, y, workspace, choice),
            (TokenCodes::Asymmetric(x), Method::Asym(asym)) => asym.multiply(gpu, (x, w, bias), y, workspace, choice),
            (TokenCodes::Asymmetric(_), _) => {
                let rule = "they have zero points: multiply them by a layer of the scheme w8a8-asym";
                Err(Error::argument("multiply", "tokens", rule))
            }
            (TokenCodes::Outliers(x), Method::LlmInt8(llm_int8)) => {
                llm_int8.multiply(gpu, (x, w, bias), y, workspace, choice)
            }
            (TokenCodes::Outliers(_), _) => {
                let rule = "they are without their outlier columns: multiply them by a layer of the scheme llm-int8";
                Err(Error::argument("multiply", "tokens", rule))
            }
        }
    }

    /// x [tokens, K] → y [tokens, N], in memory of its own: [`QuantizedLinear::forward_into`] allocates nothing.
    ///
    /// # Errors
    /// `x` where its K is not that of the weights; a CUDA error.
    pub fn forward<T: Float, O: OutputElement>(&self, gpu: &Gpu, x: &Activations<T>) -> Result<Output<O>> {
        self.check_input(x)?;
        let mut buffers = self.buffers(gpu, x.rows())?;
        let mut y = Output::new(gpu, Layout::contiguous(x.rows(), self.weights.rows()))?;
        self.forward_into(gpu, x, &mut buffers, &mut y)?;
        Ok(y)
    }
}

/// Room for codes under a given scale, and counters of what it does not fit.
pub(super) fn given_scale_room(gpu: &Gpu, most: u64, k: u64) -> Result<Tokens> {
    let codes = TokenCodes::ByTensor(QuantizedTokens::with_room(gpu, most, k)?);
    Ok(Tokens { counters: Some(InputCounters::new(gpu)?), ..Tokens::with_room(codes) })
}

/// x and a scale that was there before it → codes, and counts of what it does not fit.
pub(super) fn given_scale<T: Float>(
    gpu: &Gpu,
    x: &Activations<T>,
    scale: &Scales<PerTensor>,
    tokens: &mut Tokens,
) -> Result<Step> {
    let (with, codes) = (StaticScale { scale, counters: tokens.counters.as_ref() }, tokens.codes.by_tensor()?);
    let launch = ops::quantize_static_into(gpu, x, with, codes, Choice::Auto)?;
    Ok(Step { op: "quantize_static", made: "q_x", launch })
}

/// The calibration that a scheme cannot do without.
fn required(scheme: Scheme, calibration: Option<&Calibration>, k: u64) -> Result<&Calibration> {
    let calibration = calibration.ok_or_else(|| missing(scheme))?;
    match calibration.channel_absmax.len() as u64 {
        len if len == k => Ok(calibration),
        len => {
            let rule = format!("must have a magnitude for each of the {k} input channels, has {len}");
            Err(Error::argument(scheme.name(), "calib_absmax", rule))
        }
    }
}
