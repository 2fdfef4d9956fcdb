//! LLM.int8() (Dettmers et al. 2022): columns with outliers are multiplied in floating point, the rest in int8.

use super::{Step, TokenCodes, Tokens};
use crate::{
    Activations, Bias, Error, Float, Gpu, HalfWeights, Launch, OutlierTokens, Output, OutputElement, PerChannel,
    QuantizedWeights, Result, Workspace,
    host::{HostMatrix, with_values},
    ops::{self, Choice, OutlierProduct},
};

/// What the outlier columns are multiplied by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OutlierWeights {
    /// The weights in f16: a second copy of them.
    #[default]
    F16,
    /// The values of the int8 codes, as bitsandbytes has it: no second copy.
    Int8,
}

/// What the scheme keeps between batches.
pub(super) struct LlmInt8 {
    threshold: f32,
    half_w: Option<HalfWeights>,
}

impl LlmInt8 {
    pub(super) fn new(gpu: &Gpu, w: &HostMatrix, threshold: f32, weights: OutlierWeights) -> Result<Self> {
        ops::check_threshold(threshold).map_err(|rule| Error::argument("llm-int8", "threshold", rule))?;
        let half_w = match weights {
            OutlierWeights::Int8 => None,
            OutlierWeights::F16 => {
                Some(with_values!(&w.values, values => HalfWeights::upload(gpu, values, w.rows, w.cols))?)
            }
        };
        Ok(LlmInt8 { threshold, half_w })
    }

    pub(super) fn quantize<T: Float>(&self, gpu: &Gpu, x: &Activations<T>) -> Result<Tokens> {
        let (masks, find) = ops::outlier_columns(gpu, x, self.threshold, Choice::Auto)?;
        let (columns, list) = ops::outlier_list(gpu, &masks, Choice::Auto)?;
        let (codes, launch) = ops::quantize_outliers(gpu, x, &columns, Choice::Auto)?;
        let steps = vec![
            Step { op: "outlier_columns", made: "masks of outlier columns", launch: find },
            Step { op: "outlier_list", made: "outlier_columns", launch: list },
            Step { op: "quantize_outliers", made: "q_x, s_x", launch },
        ];
        Ok(Tokens::new(TokenCodes::Outliers(OutlierTokens::new(codes, columns, x)?), steps))
    }

    pub(super) fn multiply<O: OutputElement>(
        &self,
        gpu: &Gpu,
        (x, w, bias): (&OutlierTokens, &QuantizedWeights<PerChannel>, Option<&Bias>),
        y: &mut Output<O>,
        workspace: &mut Workspace,
        choice: Choice<'_>,
    ) -> Result<Launch> {
        ops::gemm_outliers(gpu, OutlierProduct { x, w, half_w: self.half_w.as_ref(), bias }, y, workspace, choice)
    }
}

#[cfg(test)]
mod tests {
    use crate::{
        Activations, Backend, Dtype, Gpu, Layout, Output, Workspace,
        files::Layer,
        host::{HostMatrix, Values},
        linear::{QuantizedLinear, Scheme, TokenCodes, linear},
        ops::Choice,
    };
    use std::{ffi::c_void, ptr::null_mut};

    unsafe extern "C" {
        fn cuStreamBeginCapture_v2(stream: *mut c_void, mode: u32) -> u32;
        fn cuStreamEndCapture(stream: *mut c_void, graph: *mut *mut c_void) -> u32;
        fn cuGraphInstantiateWithFlags(exec: *mut *mut c_void, graph: *mut c_void, flags: u64) -> u32;
        fn cuGraphLaunch(exec: *mut c_void, stream: *mut c_void) -> u32;
        fn cuGraphExecDestroy(exec: *mut c_void) -> u32;
        fn cuGraphDestroy(graph: *mut c_void) -> u32;
        fn cuMemcpyHtoD_v2(to: u64, from: *const c_void, bytes: usize) -> u32;
    }

    const GLOBAL: u32 = 0;
    const SHAPE: (u64, u64, u64) = (20, 33, 150);

    /// Tokens whose columns `outliers` have one.
    fn layer(outliers: &[usize]) -> Layer {
        let (m, n, k) = SHAPE;
        let wave = |count: u64, step: f32| (0..count).map(|i| (i as f32 * step).sin()).collect::<Vec<f32>>();
        let mut x = wave(m * k, 1.7);
        outliers.iter().for_each(|col| x[(col % m as usize) * k as usize + col] = -9.0);
        Layer {
            x: HostMatrix { rows: m, cols: k, values: Values::F32(x) },
            w: HostMatrix { rows: n, cols: k, values: Values::F32(wave(n * k, 0.3)) },
            bias: None,
            calib_absmax: None,
            sentence_id: None,
        }
    }

    /// The kernels of a batch as a CUDA graph, which no word from the host can reach while it runs: on other data it
    /// finds other columns, more of them, and gives their y.
    #[test]
    fn a_captured_batch_finds_the_outliers_of_the_next() {
        let gpu = Gpu::open(Backend::Sim).unwrap();
        let (first, second) = (layer(&[3]), layer(&[0, 31, 32, 99, 149]));
        let (m, n, k) = SHAPE;
        let Values::F32(x) = &first.x.values else { unreachable!() };
        let ready = QuantizedLinear::new(&gpu, &first.w, None, Scheme::LLM_INT8, None).unwrap();
        let x = Activations::upload(&gpu, x, Layout::contiguous(m, k)).unwrap();
        let tokens = ready.quantize(&gpu, &x).unwrap();
        let mut y = Output::<f32>::new(&gpu, Layout::contiguous(m, n)).unwrap();
        let product = ready.multiply(&gpu, &tokens, &mut y, &mut Workspace::none(), Choice::Auto).unwrap();
        let TokenCodes::Outliers(found) = &tokens.codes else { panic!("other codes") };
        assert_eq!(found.columns().download().unwrap(), [3]);

        let stream = gpu.stream().as_inner().cast();
        let (mut graph, mut exec) = (null_mut(), null_mut());
        let Values::F32(other) = &second.x.values else { unreachable!() };
        // SAFETY: the operands of all launches are alive, x has as many elements as `other`, and both handles are
        // what the driver gave.
        unsafe {
            assert_eq!(cuStreamBeginCapture_v2(stream, GLOBAL), 0);
            tokens.steps.iter().for_each(|step| step.launch.again().unwrap());
            product.again().unwrap();
            assert_eq!(cuStreamEndCapture(stream, &mut graph), 0);
            assert_eq!(cuGraphInstantiateWithFlags(&mut exec, graph, 0), 0);
            assert_eq!(cuMemcpyHtoD_v2(x.0.memory.ptr(), other.as_ptr().cast(), size_of_val(&other[..])), 0);
            assert_eq!(cuGraphLaunch(exec, stream), 0);
        }
        let want = linear(&gpu, &second, Scheme::LLM_INT8, Dtype::F32).unwrap();
        assert_eq!(found.columns().download().unwrap(), [0, 31, 32, 99, 149]);
        assert_eq!(want.outlier_columns.unwrap(), [0, 31, 32, 99, 149]);
        assert_eq!(Values::F32(y.download().unwrap()).bits(), want.y.bits());
        // SAFETY: nothing runs any more, and nothing uses them afterwards.
        unsafe { assert_eq!((cuGraphExecDestroy(exec), cuGraphDestroy(graph)), (0, 0)) };
    }
}
