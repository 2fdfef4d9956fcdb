//! Judges one kernel of any PTX text by the oracle, in the simulator, on a few hard cases.

mod hopper;
mod outliers;
mod presets;
mod products;
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

/// For variants whose blocks do not meet.
const NO_WORKSPACE: args::Workspace = args::Workspace { ptr: 0, bytes: 0 };

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
/// What is wrong: a fault of the simulator, or the first case that differs from the oracle.
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
            return trial.run(op.name, dtype.copied().unwrap_or(Dtype::I8));
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
            "column_absmax" => self.columns_of_one_number::<T>(),
            "quantize_smooth_token" => self.every_quotient::<T>(),
            _ => Ok(()),
        }
    }

    fn row_absmax<T: Value>(&self, input: &Input<T>) -> Result<(), String> {
        let rows = input.place.rows;
        let absmax = self.machine.room(4 * rows);
        self.launch(input.place, &args::RowAbsmaxArgs { x: self.matrix(input), absmax })?;
        self.compare("absmax", absmax, &oracle::row_absmax(&input.wide, rows, input.place.cols))
    }

    fn tensor_absmax<T: Value>(&self, input: &Input<T>) -> Result<(), String> {
        let blocks = self.machine.how.blocks.unwrap_or_else(|| (self.variant.grid)(&problem(input.place))) as usize;
        let partials = self.machine.room(4 * blocks);
        self.launch(input.place, &args::TensorAbsmaxArgs { x: self.matrix(input), partials })?;
        let bytes = self.machine.download(partials, 4 * blocks);
        let found: Vec<f32> = bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
        let (got, want) = (oracle::tensor_absmax(&found), oracle::tensor_absmax(&input.wide));
        if got.to_bits() == want.to_bits() {
            Ok(())
        } else {
            Err(format!("absmax differs: got {got:e}, want {want:e}"))
        }
    }

    /// Batches in order, each with the state that the one before left.
    fn running_scales(&self) -> Result<(), String> {
        let largest = contract::limits::RUNNING_ABSMAX_MAX;
        let absmax = [
            0.0,
            f32::NAN,
            1.1,
            7.3,
            0.0,
            f32::INFINITY,
            largest.next_up(),
            0.31,
            1e-40,
            0.7,
            19.9,
            5.7,
            1.3,
            largest,
            1.0,
        ];
        for (every, momentum) in [(1, 0.9f32), (3, 0.3)] {
            let mut want = oracle::RunningState::default();
            for (index, absmax) in absmax.into_iter().enumerate() {
                let mut partials = vec![0.0; 1 + 299 * (index % 2)];
                // Past what the block's threads take in their first step, where there is more.
                let last = partials.len() - 1;
                partials[last] = oracle::canonical(absmax);
                let words = [want.average.to_bits(), want.window.to_bits(), want.samples, want.left_out];
                let (state, scale) = (self.machine.vector(&words.map(|word| word as i32)), self.machine.room(4));
                let (partial_count, maxima) = (partials.len() as u64, self.machine.vector(&partials));
                let args = args::RunningScaleArgs { partials: maxima, partial_count, state, scale, every, momentum };
                self.launch(Place::contiguous(partials.len(), 1), &args)?;
                let scales = [oracle::running_scale(&partials, &mut want, oracle::Window { every, momentum })];
                self.compare("scale", scale, &scales)?;
                let words = [want.average.to_bits(), want.window.to_bits(), want.samples, want.left_out];
                self.compare("state", state, &words.map(|word| word as i32))
                    .map_err(|e| format!("{e} [batch {index}, every {every}]"))?;
            }
        }
        Ok(())
    }

    fn quantize_token<T: Value>(&self, input: &Input<T>) -> Result<(), String> {
        let (rows, cols) = (input.place.rows, input.place.cols);
        let (q, scales) = (self.codes(rows, cols), self.machine.room(4 * rows));
        self.launch(input.place, &args::QuantizeTokenArgs { x: self.matrix(input), q, scales })?;
        let (codes, want) = oracle::quantize_token(&input.wide, rows, cols);
        self.compare("scales", scales, &want)?;
        self.compare("codes", q.ptr, &oracle::pack_rows(&codes, rows, cols, cols))
    }

    fn quantize_asym<T: Value>(&self, input: &Input<T>) -> Result<(), String> {
        let (rows, cols) = (input.place.rows, input.place.cols);
        let (q, scales, zero_points) =
            (self.codes(rows, cols), self.machine.room(4 * rows), self.machine.room(4 * rows));
        let x = self.matrix(input);
        self.launch(input.place, &args::QuantizeAsymArgs { x, q, scales, zero_points })?;
        let want = oracle::quantize_asym(&input.wide, rows, cols);
        self.compare("scales", scales, &want.scales)?;
        self.compare("zero points", zero_points, &want.zero_points)?;
        self.compare("codes", q.ptr, &oracle::pack_rows(&want.codes, rows, cols, cols))
    }

    fn row_sums(&self, place: Place) -> Result<(), String> {
        let mut random = crate::random::Random::new(2);
        let (rows, cols) = (place.rows, place.cols);
        let codes: Vec<i8> = (0..rows * cols).map(|_| random.bits() as i8).collect();
        let q = self.weights(&codes, rows, cols);
        let sums = self.machine.room(4 * rows);
        self.launch(place, &args::RowSumsArgs { q, sums })?;
        self.compare("sums", sums, &oracle::row_sums(&codes, rows, cols))
    }

    fn quantize_tensor<T: Value>(&self, input: &Input<T>) -> Result<(), String> {
        let (rows, cols) = (input.place.rows, input.place.cols);
        // More partial maxima than threads, as a large tensor has.
        let partials: Vec<f32> =
            oracle::row_absmax(&input.wide, rows, cols).into_iter().chain([0.0; 300]).rev().collect();
        let (q, scale) = (self.codes(rows, cols), self.machine.room(4));
        let (partial_count, partials) = (partials.len() as u64, self.machine.vector(&partials));
        let x = self.matrix(input);
        self.launch(input.place, &args::QuantizeTensorArgs { x, q, partials, partial_count, scale })?;
        let (codes, want) = oracle::quantize_tensor(&input.wide);
        self.compare("scale", scale, &[want])?;
        self.compare("codes", q.ptr, &oracle::pack_rows(&codes, rows, cols, cols))
    }

    fn quantize_static<T: Value>(&self, input: &Input<T>) -> Result<(), String> {
        let (rows, cols) = (input.place.rows, input.place.cols);
        // A third of the scale that the data would give: two thirds of it saturate.
        let own = oracle::quantize_tensor(&input.wide).1;
        let usable = own.is_finite() && own / 3.0 >= 2f32.powi(-100) && own <= 2f32.powi(100);
        for scale in [if usable { own / 3.0 } else { 0.031 }, 0.0157] {
            let q = self.codes(rows, cols);
            let (uploaded, counts) = (self.machine.vector(&[scale]), self.machine.vector(&[5i32, 0, 7, 0]));
            let x = self.matrix(input);
            self.launch(input.place, &args::QuantizeStaticArgs { x, q, scale: uploaded, counts })?;
            let want = oracle::quantize_static(&input.wide, scale).map_err(|e| e.to_string())?;
            self.compare("codes", q.ptr, &oracle::pack_rows(&want.codes, rows, cols, cols))?;
            self.compare("counts", counts, &[want.non_finite as i32 + 5, 0, want.saturated as i32 + 7, 0])?;
        }
        Ok(())
    }

    fn pack_rows(&self, place: Place) -> Result<(), String> {
        let mut random = crate::random::Random::new(1);
        let x: Vec<i8> = (0..place.rows * place.cols).map(|_| random.bits() as i8).collect();
        let q = self.codes(place.rows, place.cols);
        let want = oracle::pack_rows(&x, place.rows, place.cols, place.cols);
        let input = Input { place, x, wide: Vec::new() };
        self.launch(place, &args::PackRowsArgs { x: self.matrix(&input), q })?;
        self.compare("codes", q.ptr, &want)
    }

    fn pack_weights(&self, place: Place) -> Result<(), String> {
        let mut random = crate::random::Random::new(1);
        let x: Vec<i8> = (0..place.rows * place.cols).map(|_| random.bits() as i8).collect();
        let want = oracle::pack_weights(&x, place.rows, place.cols, place.cols);
        let ptr = self.machine.room(want.len());
        let q = args::Packed { ptr, rows: place.rows as u64, cols: place.cols as u64 };
        let input = Input { place, x, wide: Vec::new() };
        self.launch(place, &args::PackWeightsArgs { x: self.matrix(&input), q })?;
        self.compare("codes", ptr, &want)
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
