//! What becomes of static scales when the input changes its gain as the samples go by, and what follows it how soon.
//!
//! A linear's recorded input, sentence by sentence: the first samples calibrate, the rest is the stream. From a given
//! sample of it on, x is multiplied by a gain, as if an earlier layer or a microphone had been turned up. (A change of
//! topic changes little in an encoder, where the largest magnitudes are those of one special token.) The same stream
//! runs through the library under a static scale, under running ones, and under scales from each batch itself; every
//! error, count and scale is a kernel's result.

mod page;
mod stream;
mod summary;

pub use page::page;
pub use summary::{SPAN, Summary};

use crate::{
    Activations, Gpu, Layout, Output, Result, Workspace,
    calibration::{Observer, Statistics},
    files::Layer,
    host::{HostMatrix, Values},
    linear::{Calibration, QuantizedLinear, Scheme, TokenCodes, Tokens},
    ops::{Choice, Window},
};
use stream::Stream;

/// What to study.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// Samples that calibrate.
    pub calibration: usize,
    /// The rule that makes the static scale of them.
    pub observer: Observer,
    /// The sample of the stream, from 0, at which the gain sets in.
    pub from: usize,
    /// The gains, besides none.
    pub gains: Vec<f32>,
    /// The running scales.
    pub windows: Vec<Window>,
    /// On how many of the layer's outputs errors are measured, evenly spread: each is made without the others.
    pub outputs: usize,
    /// How near to the per-tensor dynamic scale's error a remedy must come: a factor.
    pub factor: f64,
}

/// What came of one sample.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sample {
    /// ‖y_q − y‖ / ‖y‖ against float64, without bias.
    pub error: f64,
    /// The share of its inputs that saturated; a scale from the sample itself lets none.
    pub saturated: f64,
    /// The scale of x, where there is one for all tokens.
    pub scale: Option<f32>,
}

/// One scheme's way along the stream.
#[derive(Clone, Debug, PartialEq)]
pub struct Course {
    /// The scheme.
    pub scheme: Scheme,
    /// Every sample of the stream.
    pub samples: Vec<Sample>,
}

impl Course {
    /// The scheme in words, its parameter among them where there is one.
    pub fn name(&self) -> String {
        match self.scheme {
            Scheme::Static => "static".to_owned(),
            Scheme::Running(by) => format!("running, m = {}", by.momentum),
            Scheme::Tensor => "dynamic per tensor".to_owned(),
            Scheme::Token => "dynamic per token".to_owned(),
            other => other.name().to_owned(),
        }
    }
}

/// The stream under one gain.
#[derive(Clone, Debug, PartialEq)]
pub struct Scenario {
    /// By what x is multiplied from [`Plan::from`] on; 1 for not at all.
    pub gain: f32,
    /// The schemes: static, the running ones, dynamic per tensor, dynamic per token.
    pub courses: Vec<Course>,
}

/// The whole study.
#[derive(Clone, Debug, PartialEq)]
pub struct Study {
    /// What was asked.
    pub plan: Plan,
    /// Outputs that errors are measured on.
    pub outputs: usize,
    /// What calibration said.
    pub calibration: Calibration,
    /// Samples and tokens of the stream.
    pub samples: usize,
    /// Its tokens.
    pub tokens: usize,
    /// Without a gain, then one a gain.
    pub scenarios: Vec<Scenario>,
}

/// Runs the study on a layer with `sentence_id`; `progress` hears of samples done and of how many there are.
///
/// # Errors
/// `sentence_id` where there is none, or too few sentences; `from` past the stream's end; as
/// [`QuantizedLinear::new`]; a CUDA error.
pub fn study(gpu: &Gpu, layer: &Layer, plan: &Plan, progress: &mut dyn FnMut(usize, usize)) -> Result<Study> {
    let k = layer.x.cols as usize;
    let w = thinned(&layer.w, plan.outputs);
    let (calibrating, stream) = Stream::of(layer, &w, plan)?;
    let mut seen = Statistics::new(k);
    calibrating.iter().for_each(|sample| seen.observe(sample));
    let calibration = seen.calibration(plan.observer);

    let running = plan.windows.iter().map(|by| Scheme::Running(*by));
    let schemes: Vec<Scheme> =
        [Scheme::Static].into_iter().chain(running).chain([Scheme::Tensor, Scheme::Token]).collect();
    let count = stream.samples.len();
    let total = schemes.len() * (count + plan.gains.len() * (count - plan.from));
    let mut done = 0;
    let mut scenarios: Vec<Scenario> = Vec::new();
    for gain in [1.0].into_iter().chain(plan.gains.iter().copied()) {
        let mut courses = Vec::new();
        for (index, scheme) in schemes.iter().enumerate() {
            let linear = QuantizedLinear::new(gpu, &w, None, *scheme, Some(&calibration))?;
            // Up to the gain all is as it was without: there only what is remembered has to be made again.
            let mut samples =
                scenarios.first().map_or_else(Vec::new, |first| first.courses[index].samples[..plan.from].to_vec());
            for sample in 0..count {
                let gain = if sample < plan.from { 1.0 } else { gain };
                let x = stream.x(sample, gain);
                let layout = Layout::contiguous((x.len() / k) as u64, k as u64);
                let tokens = linear.quantize(gpu, &Activations::upload(gpu, &x, layout)?)?;
                if sample >= samples.len() {
                    samples.push(outcome(gpu, &linear, &tokens, |y| stream.error(sample, gain, y))?);
                    done += 1;
                    progress(done, total);
                }
            }
            courses.push(Course { scheme: *scheme, samples });
        }
        scenarios.push(Scenario { gain, courses });
    }
    let tokens = stream.samples.iter().map(|sample| sample.len()).sum();
    Ok(Study { plan: plan.clone(), outputs: w.rows as usize, calibration, samples: count, tokens, scenarios })
}

/// At most `most` rows of w, evenly spread.
fn thinned(w: &HostMatrix, most: usize) -> HostMatrix {
    let (rows, cols) = (w.rows as usize, w.cols as usize);
    if rows <= most {
        return w.clone();
    }
    let all = w.values.widen();
    let kept = (0..most).flat_map(|row| all[row * rows / most * cols..][..cols].iter().copied()).collect();
    HostMatrix { rows: most as u64, cols: w.cols, values: Values::F32(kept) }
}

/// The product of a sample and what its kernels say.
fn outcome(gpu: &Gpu, linear: &QuantizedLinear, tokens: &Tokens, error: impl Fn(&[f32]) -> f64) -> Result<Sample> {
    let (rows, n) = (tokens.codes.rows(), linear.weights().rows());
    let mut y = Output::<f32>::new(gpu, Layout::contiguous(rows, n))?;
    linear.multiply(gpu, tokens, &mut y, &mut Workspace::none(), Choice::Auto)?;
    let inputs = rows * linear.weights().cols();
    let counts = tokens.counters.as_ref().map(|counters| counters.read()).transpose()?;
    let scale = match &tokens.codes {
        TokenCodes::ByTensor(codes) => codes.scales().download()?.first().copied(),
        _ => None,
    };
    let saturated = counts.map_or(0.0, |counts| counts.saturated as f64 / inputs as f64);
    Ok(Sample { error: error(&y.download()?), saturated, scale })
}
