//! Trials of the kernels of LLM.int8().

use super::{Input, Trial, problem};
use crate::{
    data::{self, Codes, Kind, Value},
    harness::Place,
    random::Random,
};
use contract::{args, limits::padded_row_bytes};
use half::{bf16, f16};
use outerscale::{Dtype, Element, ops::Problem};

/// Rows of a chunk here: more than one of each loop's batches, and chunks that the last one is shorter than.
const CHUNK_ROWS: usize = 10;

/// Bit i of word j for element 32 j + i.
fn words(bits: &[bool]) -> Vec<i32> {
    let word = |bits: &[bool]| bits.iter().enumerate().fold(0, |word, (i, bit)| word | i32::from(*bit) << i);
    bits.chunks(32).map(word).collect()
}

/// Columns with some outliers among them, the first and the last often.
fn some_outliers(cols: usize, seed: u64) -> Vec<bool> {
    let mut random = Random::new(seed);
    let share = random.pick(&[1, 3, 40]);
    (0..cols).map(|col| random.below(if col == 0 || col + 1 == cols { 2 } else { share }) == 0).collect()
}

/// A product with outlier columns on the host.
struct OutlierCase<X> {
    shape: (usize, usize, usize),
    columns: Vec<usize>,
    x: Vec<X>,
    q_x: Vec<i8>,
    q_w: Vec<i8>,
    /// Weights of the outlier columns; those of the codes where there are none.
    half_w: Option<Vec<f16>>,
    s_x: Vec<f32>,
    s_w: Vec<f32>,
    bias: Vec<f32>,
    /// What it is rounded to.
    bias_type: Dtype,
}

impl<X: Value> OutlierCase<X> {
    fn new(shape: (usize, usize, usize), kind: Kind, half: bool) -> Self {
        let (m, n, k) = shape;
        let columns = oracle::outlier_list(&some_outliers(k, (m + n) as u64));
        let mut q_x = Codes::Uniform.matrix(m, k, 1);
        q_x.chunks_mut(k).for_each(|row| columns.iter().for_each(|col| row[*col] = 0));
        let mut bias = data::scales(n, 3);
        bias[n / 2] = f32::from_bits(0xffa0_0001);
        OutlierCase {
            shape,
            columns,
            x: kind.matrix(m, k, 4),
            q_x,
            q_w: Codes::Uniform.matrix(n, k, 2),
            half_w: half.then(|| Kind::Uniform.matrix(n, k, 5)),
            s_x: data::scales(m, 1),
            s_w: data::scales(n, 2),
            bias,
            bias_type: Dtype::F32,
        }
    }

    /// One token many times over and a bias that takes away its y, so that every rounding shows, and the order of
    /// the columns too.
    fn cancelling(shape: (usize, usize, usize), half: bool) -> Self {
        let (m, n, k) = shape;
        let mut case = Self::new(shape, Kind::Uniform, half);
        case.x = case.x[..k].repeat(m);
        case.q_x = case.q_x[..k].repeat(m);
        case.s_x = vec![case.s_x[0]; m];
        case.bias = vec![0.0; n];
        case.bias = case.y(&case.bias)[..n].iter().map(|y| -y).collect();
        case
    }

    /// The oracle's f32 before the cast.
    fn y(&self, bias: &[f32]) -> Vec<f32> {
        let (m, n, k) = self.shape;
        let acc = oracle::gemm_i32(&self.q_x, &self.q_w, m, n, k).expect("K is small");
        let w = match &self.half_w {
            Some(w) => oracle::widen_f16(w),
            None => oracle::coded_weights(&self.q_w, &self.s_w, k),
        };
        let x = self.x.iter().map(|v| v.widen()).collect();
        let part = oracle::OutlierPart { columns: self.columns.clone(), x, w };
        let by = oracle::Dequant { s_x: &self.s_x, s_w: &self.s_w, bias: Some(bias) };
        oracle::gemm_outliers(&acc, m, n, &by, &part)
    }
}

impl Trial<'_> {
    pub(super) fn outlier_products(&self, out: Dtype) -> Result<(), String> {
        match out {
            Dtype::F32 => self.outlier_products_to(oracle::canonical),
            Dtype::F16 => self.outlier_products_to(oracle::float::narrow_f16),
            _ => self.outlier_products_to(oracle::float::narrow_bf16),
        }
    }

    fn outlier_products_to<T: Element>(&self, narrow: fn(f32) -> T) -> Result<(), String> {
        for shape in self.outlier_shapes() {
            for half in [true, false] {
                let named = |e| format!("{e} [{shape:?}, f16 weights {half}]");
                // Four of a bias of 16 bits are loaded in another way than four f32.
                let bias_type = if half { Dtype::F16 } else { Dtype::Bf16 };
                let case = OutlierCase { bias_type, ..OutlierCase::<f32>::new(shape, Kind::NonFinite, half) };
                self.outlier_product(&case, narrow).map_err(named)?;
                self.outlier_product(&OutlierCase::<f16>::cancelling(shape, half), narrow).map_err(named)?;
                self.outlier_product(&OutlierCase::<bf16>::cancelling(shape, half), narrow).map_err(named)?;
            }
        }
        Ok(())
    }

    fn outlier_product<X: Value, T: Element>(&self, case: &OutlierCase<X>, narrow: fn(f32) -> T) -> Result<(), String> {
        let (m, n, k) = case.shape;
        let operand = |q: &[i8], rows: usize| args::Codes {
            ptr: self.machine.vector(&oracle::pack_rows(q, rows, k, k)),
            rows: rows as u64,
            cols: k as u64,
            row_bytes: padded_row_bytes(k as u64),
        };
        let scales = |s: &[f32]| args::Scales { ptr: self.machine.vector(s), stride: 1 };
        let matrix = |ptr, rows: usize, cols: usize, gap| args::Matrix {
            ptr,
            rows: rows as u64,
            cols: cols as u64,
            row_stride: (cols + gap) as u64,
        };
        let w_stride = n.next_multiple_of(4);
        let turned = |w: &Vec<f16>| {
            let at = |i: usize| if i % w_stride < n { w[i % w_stride * k + i / w_stride] } else { f16::NAN };
            self.machine.vector(&(0..k * w_stride).map(at).collect::<Vec<_>>())
        };
        let y = self.machine.room(m * n * T::DTYPE.bytes() as usize);
        let columns: Vec<i32> = case.columns.iter().map(|col| *col as i32).collect();
        let (bias, widened) = self.bias(&case.bias, case.bias_type, 0);
        let args = args::GemmOutliersArgs {
            product: args::GemmArgs {
                q_x: operand(&case.q_x, m),
                q_w: self.weights(&case.q_w, n, k),
                s_x: scales(&case.s_x),
                s_w: scales(&case.s_w),
                bias,
                y: matrix(y, m, n, 0),
                workspace: args::Workspace::NONE,
            },
            x: matrix(self.machine.upload(&case.x, k, k + 3, 1), m, k, 3),
            columns: self.machine.vector(&columns),
            count: self.machine.vector(&[columns.len() as i32]),
            w: case.half_w.as_ref().map_or(0, turned),
            w_stride: w_stride as u64,
            x_type: match X::DTYPE {
                Dtype::F32 => args::input_type::F32,
                Dtype::F16 => args::input_type::F16,
                _ => args::input_type::BF16,
            },
            reserved: 0,
        };
        let problem = Problem { n: n as u64, ..problem(Place::contiguous(m, k)) };
        self.machine.launch(self.entry, self.variant, &problem, &args)?;
        self.compare("y", y, &case.y(&widened).into_iter().map(narrow).collect::<Vec<_>>())
    }

    pub(super) fn outlier_columns<T: Value>(&self, input: &Input<T>) -> Result<(), String> {
        let (rows, cols) = (input.place.rows, input.place.cols);
        let (chunks, words_per_row) = (rows.div_ceil(CHUNK_ROWS), cols.div_ceil(32));
        for threshold in [0.0, 3.75, T::LARGEST.widen(), f32::INFINITY] {
            let masks = self.machine.room(4 * chunks * words_per_row);
            let given = if threshold == f32::INFINITY { f32::NAN } else { threshold };
            let args = args::OutlierColumnsArgs {
                x: self.matrix(input),
                masks,
                chunk_rows: CHUNK_ROWS as u64,
                threshold: given,
                reserved: 0,
            };
            self.launch(input.place, &args)?;
            let of_chunk = |x: &[f32]| words(&oracle::outlier_columns(x, x.len() / cols, cols, threshold));
            let want: Vec<i32> = input.wide.chunks(CHUNK_ROWS * cols).flat_map(of_chunk).collect();
            self.compare(&format!("masks of threshold {threshold:e}"), masks, &want)?;
        }
        Ok(())
    }

    pub(super) fn outlier_lists(&self) -> Result<(), String> {
        for (chunks, cols) in [(1, 1), (3, 32), (2, 261), (7, 1303), (1, 16_640)] {
            for seed in 0..4 {
                let of_chunk = |chunk: usize| match seed {
                    // Every column in one chunk alone, each bit of a word in each chunk somewhere.
                    0 => (0..cols).map(|col| (col / 32 + col) % chunks == chunk).collect(),
                    _ => some_outliers(cols, 10 * seed + chunk as u64),
                };
                let masks: Vec<Vec<bool>> = (0..chunks).map(of_chunk).collect();
                let any: Vec<bool> = (0..cols).map(|col| masks.iter().any(|mask| mask[col])).collect();
                let masks: Vec<i32> = masks.iter().flat_map(|mask| words(mask)).collect();
                let list: Vec<i32> = oracle::outlier_list(&any).into_iter().map(|col| col as i32).collect();
                // No more room than the list takes: a place too far is out of bounds.
                let (mask, columns) = (self.machine.room(4 * cols.div_ceil(32)), self.machine.room(4 * list.len()));
                let count = self.machine.room(4);
                let masks = self.machine.vector(&masks);
                let args =
                    args::OutlierListArgs { masks, chunks: chunks as u64, cols: cols as u64, mask, columns, count };
                self.launch(Place::contiguous(chunks, cols), &args)?;
                self.compare("mask", mask, &words(&any))?;
                self.compare("count", count, &[list.len() as i32])?;
                self.compare("columns", columns, &list)?;
            }
        }
        Ok(())
    }

    pub(super) fn quantize_outliers<T: Value>(&self, input: &Input<T>) -> Result<(), String> {
        let (rows, cols) = (input.place.rows, input.place.cols);
        // By the data, so that every shape meets few and many.
        let is_outlier = some_outliers(cols, u64::from(input.wide[0].to_bits()));
        // As outliers are: one that is not left out of a maximum shows.
        let large = |at: usize| is_outlier[at % cols] && (at / cols + at % cols).is_multiple_of(3);
        let x: Vec<T> = input.x.iter().enumerate().map(|(at, v)| if large(at) { T::LARGEST } else { *v }).collect();
        let input = &Input { place: input.place, wide: x.iter().map(|v| v.widen()).collect(), x };
        let mask = self.machine.vector(&words(&is_outlier));
        let (q, scales) = (self.codes(rows, cols), self.machine.room(4 * rows));
        let rows_of = args::QuantizeTokenArgs { x: self.matrix(input), q, scales };
        let args = args::QuantizeOutliersArgs { rows: rows_of, mask };
        self.machine.launch(self.entry, self.variant, &problem(input.place), &args)?;
        let (codes, want) = oracle::quantize_outliers(&input.wide, rows, cols, &is_outlier);
        self.compare("scales", scales, &want)?;
        self.compare("codes", q.ptr, &oracle::pack_rows(&codes, rows, cols, cols))
    }
}
