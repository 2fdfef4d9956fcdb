//! Judges one kernel of any PTX text by the oracle, in the simulator, on a few hard cases.

mod hopper;
mod outliers;
mod packs;
mod presets;
mod products;
mod quantizers;
mod reductions;
mod shapes;
mod smoothing;

use crate::{
    data::{Kind, Value},
    harness::Place,
    machine::Machine,
};
use contract::{args, limits::padded_row_bytes};
use half::{bf16, f16};
use outerscale::{
    Dtype, Element,
    ops::{Problem, Variant},
    registry,
};

pub use hopper::HOPPER_PRODUCTS;

/// A kernel with the case it is judged by.
struct Trial<'a> {
    machine: &'a Machine,
    entry: &'a str,
    variant: &'a Variant,
    /// The variants that launch the entry: `variant` is one of them.
    variants: &'a [&'a Variant],
}

/// Runs `entry` on its cases.
///
/// # Errors
/// What is wrong: a fault of the simulator, the first case that differs from the oracle, or else what the simulator noted.
///
/// # Panics
/// If no op of the registry has such an entry.
pub fn judge(machine: &Machine, entry: &str) -> Result<(), String> {
    for op in registry::OPS {
        let launches = |variant: &&Variant| variant.entries().iter().any(|name| name == entry);
        let variants: Vec<&Variant> = op.table.variants.iter().filter(launches).collect();
        if let Some(variant) = variants.first() {
            let dtype = variant.dtypes.iter().find(|dtype| variant.entry(**dtype) == entry);
            let trial = Trial { machine, entry, variant, variants: &variants };
            trial.run(op.name, dtype.copied().unwrap_or(Dtype::I8))?;
            return machine.take_note().map_or(Ok(()), Err);
        }
    }
    panic!("no op has the entry {entry}");
}

/// Shapes that meet every path of a row: short, unaligned, one past a window, more than a block's registers hold.
const PLACES: [Place; 6] = [
    Place { rows: 5, cols: 261, gap: 3, offset: 1 },
    Place { rows: 9, cols: 64, gap: 0, offset: 0 },
    Place { rows: 1, cols: 1, gap: 0, offset: 1 },
    Place { rows: 2, cols: 2304, gap: 16, offset: 8 },
    Place { rows: 24, cols: 1303, gap: 0, offset: 0 },
    Place { rows: 4, cols: 16_640, gap: 0, offset: 0 },
];

impl Trial<'_> {
    fn run(&self, op: &str, dtype: Dtype) -> Result<(), String> {
        match (op, dtype) {
            ("gemm", Dtype::F32) => self.products(oracle::dequant_f32),
            ("gemm", Dtype::F16) => self.products(oracle::dequant_f16),
            ("gemm", Dtype::Bf16) => self.products(oracle::dequant_bf16),
            ("gemm", _) => self.products(|acc, _, _, _| acc.to_vec()),
            ("outlier_list", _) => self.outlier_lists(),
            ("running_scale", _) => self.running_scales(),
            ("gemm_outliers", _) => self.outlier_products(dtype),
            ("gemm_asym", Dtype::F32) => self.products(oracle::dequant_f32),
            ("gemm_asym", Dtype::F16) => self.products(oracle::dequant_f16),
            ("gemm_asym", _) => self.products(oracle::dequant_bf16),
            ("row_sums", _) => PLACES.iter().try_for_each(|place| self.row_sums(*place)),
            ("pack_weights", _) => PLACES.iter().try_for_each(|place| self.pack_weights(*place)),
            ("pack_rows", _) => PLACES.iter().try_for_each(|place| self.pack_rows(*place)),
            (_, Dtype::F32) => self.rows::<f32>(op),
            (_, Dtype::F16) => self.rows::<f16>(op),
            (_, Dtype::Bf16) => self.rows::<bf16>(op),
            _ => panic!("no trial for {op} of {dtype}"),
        }
    }

    fn rows<T: Value>(&self, op: &str) -> Result<(), String> {
        for (at, place) in PLACES.into_iter().enumerate() {
            for (turn, kind) in Kind::ALL.into_iter().enumerate() {
                // Over all kinds every place meets every variant.
                let variant = self.variants[(at + turn) % self.variants.len()];
                let trial = Trial { variant, ..*self };
                let x: Vec<T> = kind.matrix(place.rows, place.cols, (place.rows + place.cols) as u64);
                let wide: Vec<f32> = x.iter().map(|v| v.widen()).collect();
                let input = Input { place, x, wide };
                match op {
                    "row_absmax" => trial.row_absmax(&input),
                    "column_absmax" => trial.column_absmax(&input),
                    "tensor_absmax" => trial.tensor_absmax(&input),
                    "outlier_columns" => trial.outlier_columns(&input),
                    "quantize_outliers" => trial.quantize_outliers(&input),
                    "quantize_token" => trial.quantize_token(&input),
                    "quantize_smooth_token" => trial.quantize_smooth_token(&input),
                    "quantize_preset" => trial.quantize_preset(&input),
                    "quantize_asym" => trial.quantize_asym(&input),
                    "quantize_tensor" => trial.quantize_tensor(&input),
                    "quantize_smooth_static" => trial.quantize_smooth_static(&input),
                    "quantize_static" => trial.quantize_static(&input),
                    _ => panic!("no trial for {op}"),
                }
                .map_err(|e| format!("{e} [{kind:?}, {} × {}]", place.rows, place.cols))?;
            }
        }
        match op {
            "row_absmax" => self.one_nan_a_row::<T>(),
            "column_absmax" => self.columns_of_one_number::<T>(),
            "quantize_smooth_token" => self.every_quotient::<T>(),
            _ => Ok(()),
        }
    }

    /// Weights as the products read them.
    fn weights(&self, codes: &[i8], rows: usize, cols: usize) -> args::Packed {
        let ptr = self.machine.vector(&oracle::pack_weights(codes, rows, cols, cols));
        args::Packed { ptr, rows: rows as u64, cols: cols as u64 }
    }

    fn launch<A: crate::machine::Argument>(&self, place: Place, args: &A) -> Result<(), String> {
        self.machine.launch(self.entry, self.variant, &problem(place), args)
    }

    fn matrix<T: Element>(&self, input: &Input<T>) -> args::Matrix {
        let Place { rows, cols, gap, offset } = input.place;
        let ptr = self.machine.upload(&input.x, cols, cols + gap, offset);
        args::Matrix { ptr, rows: rows as u64, cols: cols as u64, row_stride: (cols + gap) as u64 }
    }

    fn codes(&self, rows: usize, cols: usize) -> args::Codes {
        let row_bytes = padded_row_bytes(cols as u64);
        args::Codes {
            ptr: self.machine.room(rows * row_bytes as usize),
            rows: rows as u64,
            cols: cols as u64,
            row_bytes,
        }
    }

    fn compare<T: Element>(&self, what: &str, ptr: u64, want: &[T]) -> Result<(), String> {
        let size = T::DTYPE.bytes() as usize;
        let got = self.machine.download(ptr, want.len() * size);
        let differs = |(i, want): &(usize, &T)| got[i * size..][..size] != want.bits().to_le_bytes()[..size];
        match want.iter().enumerate().find(differs) {
            None => Ok(()),
            Some((i, want)) => {
                Err(format!("{what} differ at {i}: got {:02x?}, want {want:?}", &got[i * size..][..size]))
            }
        }
    }
}

struct Input<T> {
    place: Place,
    x: Vec<T>,
    wide: Vec<f32>,
}

/// A problem on a GPU of ordinary size; grids depend on the shape only.
fn problem(place: Place) -> Problem {
    Problem {
        m: place.rows as u64,
        n: 1,
        k: place.cols as u64,
        multiprocessors: 108,
        shared_limit: 99 << 10,
        workspace_bytes: 0,
        arch: outerscale::ptx::ARCHS.last().expect("there is an architecture"),
        version: (9, 0),
        thread_limit: 1024,
    }
}
