//! Trials of the products: hard operands, a bias of every type, sums that cancel, in a workspace that must be zero again.

use super::{Trial, problem, shapes::Case};
use crate::{
    data::{self, Codes, Value},
    harness::Place,
};
use contract::{args, limits::padded_row_bytes};
use half::{bf16, f16};
use outerscale::{Dtype, Element, ops::Problem, ptx::Module};

/// The type that a bias is rounded to beside these codes.
fn bias_type(codes: Codes) -> Dtype {
    match codes {
        Codes::Uniform => Dtype::F32,
        Codes::Large => Dtype::F16,
        Codes::OneHot => Dtype::Bf16,
    }
}

impl Trial<'_> {
    pub(super) fn products<T: Element>(
        &self,
        dequant: fn(&[i32], usize, usize, &oracle::Dequant<'_>) -> Vec<T>,
    ) -> Result<(), String> {
        for Case { shape: (m, n, k), codes, bias_offset } in self.product_cases() {
            for &codes in codes {
                let (x, w) = (codes.matrix(m, k, 1), codes.matrix(n, k, 2));
                let mut bias = data::scales(n, 3);
                // NaNs that are not the one that results have, and an infinity.
                bias.iter_mut().step_by(3).for_each(|b| *b = f32::from_bits(0xffa0_0001));
                bias[n / 2] = f32::INFINITY;
                let (s_x, s_w) = (data::scales(m, 1), data::scales(n, 2));
                let product = Product { m, n, k, x, w, s_x, s_w, bias, bias_type: bias_type(codes), bias_offset };
                self.product(&product, dequant).map_err(|e| format!("{e} [{codes:?}, {m} × {n} × {k}]"))?;
            }
            let product = Product { bias_offset, ..Product::cancelling(m, n, k) };
            self.product(&product, dequant).map_err(|e| format!("{e} [cancelling, {m} × {n} × {k}]"))?;
        }
        Ok(())
    }

    fn product<T: Element>(
        &self,
        p: &Product,
        dequant: fn(&[i32], usize, usize, &oracle::Dequant<'_>) -> Vec<T>,
    ) -> Result<(), String> {
        let (m, n, k) = (p.m, p.n, p.k);
        let acc = oracle::gemm_i32(&p.x, &p.w, m, n, k).map_err(|e| e.to_string())?;
        // Zero points by row, both ends among them; none where the op knows none.
        let has_zero_points = self.variant.stem.starts_with("gemm_asym");
        let zero_points: Vec<i32> = (0..m as i32).map(|row| [-128, 127, 5 * row % 128][row as usize % 3]).collect();
        let w_sums = oracle::row_sums(&p.w, n, k);
        let corrected = if has_zero_points { oracle::gemm_asym(&acc, &zero_points, &w_sums) } else { Ok(acc) };
        let acc = corrected.map_err(|e| e.to_string())?;
        let (bias, widened) = self.bias(&p.bias, p.bias_type, p.bias_offset);
        let want = dequant(&acc, m, n, &oracle::Dequant { s_x: &p.s_x, s_w: &p.s_w, bias: Some(&widened) });
        let operand = |q: &[i8], rows: usize| args::Codes {
            ptr: self.machine.vector(&oracle::pack_rows(q, rows, k, k)),
            rows: rows as u64,
            cols: k as u64,
            row_bytes: padded_row_bytes(k as u64),
        };
        let y = args::Matrix {
            ptr: self.machine.room(m * n * T::DTYPE.bytes() as usize),
            rows: m as u64,
            cols: n as u64,
            row_stride: n as u64,
        };
        let scales = |s: &[f32]| args::Scales { ptr: self.machine.vector(s), stride: 1 };
        let (s_x, s_w) = (scales(&p.s_x), scales(&p.s_w));
        let q_w = self.weights(&p.w, n, k);
        let workspace = self.workspace();
        let args = args::GemmArgs { q_x: operand(&p.x, m), q_w, s_x, s_w, bias, y, workspace };
        let problem = Problem { n: n as u64, k: k as u64, ..problem(Place::contiguous(m, k)) };
        if has_zero_points {
            let (zero_points, w_sums) = (self.machine.vector(&zero_points), self.machine.vector(&w_sums));
            let args = args::GemmAsymArgs { product: args, zero_points, w_sums };
            self.machine.launch(self.entry, self.variant, &problem, &args)?;
        } else if let Some(args) = self.decode_args(args) {
            self.machine.launch(self.entry, self.clustered(), &problem, &args)?;
        } else if let Some(args) = self.sm90_args(args, T::DTYPE.bytes()) {
            self.machine.launch(self.entry, self.clustered(), &problem, &args)?;
        } else {
            self.machine.launch(self.entry, self.variant, &problem, &args)?;
        }
        self.compare("y", y.ptr, &want)?;
        match self.machine.download(workspace.ptr, workspace.bytes as usize).iter().position(|byte| *byte != 0) {
            Some(at) => Err(format!("the workspace is not zero again at byte {at}")),
            None => Ok(()),
        }
    }

    /// A workspace as a launch finds it: zero. As much as any product here needs in any grid, more for Hopper's large tiles.
    fn workspace(&self) -> args::Workspace {
        let zeros = vec![0i8; if self.variant.module == Module::GemmSm90 { 1 << 22 } else { 1 << 20 }];
        args::Workspace { ptr: self.machine.vector(&zeros), bytes: zeros.len() as u64 }
    }

    /// A bias rounded to a type, on the device `offset` elements off a boundary, and what it is in f32 then.
    pub(super) fn bias(&self, bias: &[f32], dtype: Dtype, offset: usize) -> (args::Bias, Vec<f32>) {
        fn narrowed<T: Value>(bias: &[f32]) -> Vec<T> {
            bias.iter().map(|b| T::narrow(*b)).collect()
        }
        let (ptr, dtype, widened) = match dtype {
            Dtype::F16 => {
                let bias = narrowed::<f16>(bias);
                (
                    self.machine.upload(&bias, bias.len(), bias.len(), offset),
                    args::input_type::F16,
                    oracle::widen_f16(&bias),
                )
            }
            Dtype::Bf16 => {
                let bias = narrowed::<bf16>(bias);
                (
                    self.machine.upload(&bias, bias.len(), bias.len(), offset),
                    args::input_type::BF16,
                    oracle::widen_bf16(&bias),
                )
            }
            _ => (self.machine.upload(bias, bias.len(), bias.len(), offset), args::input_type::F32, bias.to_vec()),
        };
        (args::Bias { ptr, dtype, reserved: 0 }, widened)
    }
}

/// A product's operands on the host.
struct Product {
    m: usize,
    n: usize,
    k: usize,
    x: Vec<i8>,
    w: Vec<i8>,
    s_x: Vec<f32>,
    s_w: Vec<f32>,
    bias: Vec<f32>,
    /// What it is rounded to.
    bias_type: Dtype,
    /// Elements by which it lies off a boundary.
    bias_offset: usize,
}

impl Product {
    /// One token many times over, and a bias that takes away its y: what is left is what the epilogue rounded
    /// off, so that its every rounding shows even in 16 bits.
    fn cancelling(m: usize, n: usize, k: usize) -> Product {
        let x = Codes::Uniform.matrix(1, k, 5).repeat(m);
        let w = Codes::Uniform.matrix(n, k, 6);
        let (s_x, s_w) = (data::scales(1, 5).repeat(m), data::scales(n, 6));
        let bias = data::cancelling_bias(&x[..k], &w, s_x[0], &s_w);
        Product { m, n, k, x, w, s_x, s_w, bias, bias_type: Dtype::F32, bias_offset: 0 }
    }
}
