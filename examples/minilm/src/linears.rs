//! Who runs the linears: float32, a quantized scheme, or float32 with an onlooker.

use crate::{
    calibrate::Plan,
    model::{Linear, Model},
    units::Unit,
};
use anyhow::{Context, Result};
use ndarray::{Array2, ArrayView2, Axis, parallel::prelude::*};
use outerscale::{
    Activations, Gpu, Layout,
    host::{HostMatrix, Values},
    linear::{QuantizedLinear, Scheme},
};

/// Rows that float32 multiplies at a time: enough for the product's blocking, few enough to share among cores.
const ROWS: usize = 256;

/// Runs the linears of a model.
pub trait Linears {
    /// x [tokens, K] → y [tokens, N], bias added.
    ///
    /// # Errors
    /// What can go wrong on the device.
    fn apply(&mut self, unit: Unit, x: &Array2<f32>) -> Result<Array2<f32>>;
}

/// In float32 on the CPU: the reference.
pub struct Float<'a>(pub &'a Model);

impl Linears for Float<'_> {
    fn apply(&mut self, unit: Unit, x: &Array2<f32>) -> Result<Array2<f32>> {
        Ok(float(&self.0.linears[unit.index()], x))
    }
}

fn float(linear: &Linear, x: &Array2<f32>) -> Array2<f32> {
    let mut y = Array2::zeros((x.nrows(), linear.w.nrows()));
    let rows = x.axis_chunks_iter(Axis(0), ROWS).into_par_iter();
    rows.zip(y.axis_chunks_iter_mut(Axis(0), ROWS)).for_each(|(x, mut y)| {
        y.assign(&x.dot(&linear.w.t()));
        y += &linear.bias;
    });
    y
}

/// In float32, with somebody who sees every input.
pub struct Observed<'a, F> {
    /// The model.
    pub model: &'a Model,
    /// Sees x [tokens, K] of each linear.
    pub observe: F,
}

impl<F: FnMut(Unit, ArrayView2<'_, f32>)> Linears for Observed<'_, F> {
    fn apply(&mut self, unit: Unit, x: &Array2<f32>) -> Result<Array2<f32>> {
        (self.observe)(unit, x.view());
        Float(self.model).apply(unit, x)
    }
}

/// Through Outerscale's kernels: weights as codes, made once.
pub struct Quantized<'a> {
    gpu: &'a Gpu,
    layers: Vec<QuantizedLinear>,
    schemes: Vec<Scheme>,
}

impl<'a> Quantized<'a> {
    /// Makes every linear ready; `tell` hears of each before.
    ///
    /// # Errors
    /// Those of [`Plan::of`] and [`QuantizedLinear::new`], with the name of the linear.
    pub fn new(gpu: &'a Gpu, model: &Model, plan: &Plan<'_>, mut tell: impl FnMut(Unit)) -> Result<Self> {
        let mut made = Quantized { gpu, layers: Vec::new(), schemes: Vec::new() };
        for unit in model.units() {
            tell(unit);
            let Linear { w, bias } = &model.linears[unit.index()];
            let (scheme, known) = plan.of(gpu, model, unit).with_context(|| unit.to_string())?;
            let layer = QuantizedLinear::new(gpu, &matrix(w.view()), bias.as_slice(), scheme, known.as_ref());
            made.layers.push(layer.with_context(|| unit.to_string())?);
            made.schemes.push(scheme);
        }
        Ok(made)
    }

    /// The scheme of each linear, by [`Unit::index`]: the plan's, but for what was searched for.
    pub fn schemes(&self) -> &[Scheme] {
        &self.schemes
    }
}

impl Linears for Quantized<'_> {
    fn apply(&mut self, unit: Unit, x: &Array2<f32>) -> Result<Array2<f32>> {
        let layer = &self.layers[unit.index()];
        let layout = Layout::contiguous(x.nrows() as u64, x.ncols() as u64);
        let elements = x.as_slice().context("activations lie row after row")?;
        let x = Activations::upload(self.gpu, elements, layout)?;
        let y = layer.forward::<f32, f32>(self.gpu, &x).with_context(|| unit.to_string())?;
        let shape = (x.rows() as usize, layer.weights().rows() as usize);
        Ok(Array2::from_shape_vec(shape, y.download()?)?)
    }
}

/// A matrix for the library.
pub fn matrix(of: ArrayView2<'_, f32>) -> HostMatrix {
    let (rows, cols) = of.dim();
    HostMatrix { rows: rows as u64, cols: cols as u64, values: Values::F32(of.iter().copied().collect()) }
}

/// Linears that tell how far they are.
pub struct Told<L, F> {
    /// Who runs them.
    pub linears: L,
    /// Hears of each linear before it runs.
    pub tell: F,
}

impl<L: Linears, F: FnMut(Unit)> Linears for Told<L, F> {
    fn apply(&mut self, unit: Unit, x: &Array2<f32>) -> Result<Array2<f32>> {
        (self.tell)(unit);
        self.linears.apply(unit, x)
    }
}
