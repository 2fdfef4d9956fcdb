//! Floating-point operands: what goes in and what comes out.

use crate::{
    DeviceVector, Dtype, Element, Float, Gpu, Layout, OutputElement, Result,
    element::as_bytes,
    host::Values,
    memory::{DeviceMatrix, DeviceMemory},
};
use contract::grid;
use std::sync::Arc;

macro_rules! matrix {
    ($(#[$doc:meta])* $type:ident, $bound:ident, $name:literal) => {
        $(#[$doc])*
        pub struct $type<T>(pub(crate) DeviceMatrix<T>);

        impl<T: $bound> $type<T> {
            /// A matrix in device memory of the caller's, such as a tensor of PyTorch's: `bytes` from `ptr` on, in which
            /// `layout` says where the elements lie.
            ///
            /// # Errors
            /// The matrix where the layout is wrong or goes beyond `bytes`, or `ptr` is not aligned to an element.
            ///
            /// # Safety
            /// The bytes are device memory of the primary context of the Gpu's device. They stay allocated until this
            /// value is gone and everything launched with it has ended ([`Gpu::synchronize`]), graphs among it. What
            /// other streams do to them is ordered by the caller, as the Gpu's stream does not wait for others.
            pub unsafe fn borrow(gpu: &Gpu, ptr: u64, bytes: u64, layout: Layout) -> Result<Self> {
                // SAFETY: the caller's.
                unsafe { DeviceMatrix::borrow(gpu, $name, (ptr, bytes), layout) }.map($type)
            }

            /// Address of the first byte of its memory, for who launches kernels of their own.
            pub fn device_ptr(&self) -> u64 {
                self.0.memory.ptr()
            }

            /// Number of rows.
            pub fn rows(&self) -> u64 {
                self.0.layout.rows
            }

            /// Number of columns.
            pub fn cols(&self) -> u64 {
                self.0.layout.cols
            }

            /// Where the elements lie.
            pub fn layout(&self) -> Layout {
                self.0.layout
            }
        }
    };
}

matrix!(
    /// Activations x [tokens, K] in device memory, any row stride and element alignment.
    Activations,
    Float,
    "x"
);
matrix!(
    /// Weights w [N, K] in device memory, any row stride and element alignment.
    Weights,
    Float,
    "w"
);
matrix!(
    /// The product y [tokens, N] in device memory, any row stride and element alignment.
    Output,
    OutputElement,
    "y"
);

impl<T: Float> Activations<T> {
    /// Copies x, row-major without gaps, to the device and lays it out there.
    ///
    /// # Errors
    /// `x` where the number of elements or the layout is wrong; a CUDA error.
    pub fn upload(gpu: &Gpu, x: &[T], layout: Layout) -> Result<Self> {
        DeviceMatrix::upload(gpu, "x", x, layout).map(Activations)
    }

    /// Copies other elements, row-major without gaps, over those that are there, after what was launched before has
    /// ended: the next batch, in the memory that a captured graph reads.
    ///
    /// # Errors
    /// `x` where the number of elements is another; a CUDA error.
    pub fn write(&mut self, x: &[T]) -> Result<()> {
        self.0.write("x", x)
    }
}

impl<T: Float> Weights<T> {
    /// Copies w, row-major without gaps, to the device and lays it out there.
    ///
    /// # Errors
    /// `w` where the number of elements or the layout is wrong; a CUDA error.
    pub fn upload(gpu: &Gpu, w: &[T], layout: Layout) -> Result<Self> {
        DeviceMatrix::upload(gpu, "w", w, layout).map(Weights)
    }
}

impl<T: OutputElement> Output<T> {
    /// Memory for y; its content is unknown until a product is written to it.
    ///
    /// # Errors
    /// `y` where the layout is wrong; a CUDA error.
    pub fn new(gpu: &Gpu, layout: Layout) -> Result<Self> {
        DeviceMatrix::allocate(gpu, "y", layout, None).map(Output)
    }

    /// Memory for y in which every byte is `fill`: what a kernel leaves alone can be seen afterwards.
    ///
    /// # Errors
    /// `y` where the layout is wrong; a CUDA error.
    pub fn filled(gpu: &Gpu, layout: Layout, fill: u8) -> Result<Self> {
        DeviceMatrix::allocate(gpu, "y", layout, Some(fill)).map(Output)
    }

    /// Copies y to the host, row-major without gaps [rows, cols].
    ///
    /// # Errors
    /// A CUDA error of the copy, or of a kernel launched before.
    pub fn download(&self) -> Result<Vec<T>> {
        self.0.download()
    }

    /// Copies row `row` of y to the host.
    ///
    /// # Errors
    /// `row` where there is none of that number; as [`Output::download`].
    pub fn download_row(&self, row: u64) -> Result<Vec<T>> {
        self.0.download_row(row)
    }

    /// Copies y and the gaps between its rows to the host: [`Layout::span`] elements.
    ///
    /// # Errors
    /// As [`Output::download`].
    pub fn download_span(&self) -> Result<Vec<T>> {
        self.0.download_span()
    }
}

/// Bias `[N]` in device memory, f32, f16 or bf16: the product widens it, which is exact.
pub struct Bias {
    pub(crate) memory: Arc<DeviceMemory>,
    len: u64,
    dtype: Dtype,
}

impl Bias {
    /// Copies the bias to the device. NaN and Inf are data.
    ///
    /// # Errors
    /// A CUDA error.
    pub fn upload<T: Float>(gpu: &Gpu, bias: &[T]) -> Result<Self> {
        let memory = Arc::new(DeviceMemory::from_bytes(gpu, as_bytes(bias))?);
        Ok(Bias { memory, len: bias.len() as u64, dtype: T::DTYPE })
    }

    /// Number of elements.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The type of its elements.
    pub fn dtype(&self) -> Dtype {
        self.dtype
    }

    /// Copies the bias to the host.
    ///
    /// # Errors
    /// A CUDA error of the copy, or of a kernel launched before.
    pub fn download(&self) -> Result<Values> {
        match self.dtype {
            Dtype::F16 => self.memory.download(self.len).map(Values::F16),
            Dtype::Bf16 => self.memory.download(self.len).map(Values::Bf16),
            _ => self.memory.download(self.len).map(Values::F32),
        }
    }

    pub(crate) fn as_arg(&self) -> contract::args::Bias {
        contract::args::Bias { ptr: self.memory.ptr(), dtype: self.dtype.input_type(), reserved: 0 }
    }
}

/// The maxima that the blocks of `tensor_absmax` found: one reduction away from the absmax of the tensor.
pub struct PartialAbsmax(pub(crate) DeviceVector<f32>);

impl PartialAbsmax {
    /// Room for the maxima of up to `most` tokens of K = `k`, for `ops::tensor_absmax_into`.
    ///
    /// # Errors
    /// A CUDA error.
    pub fn with_room(gpu: &Gpu, most: u64, k: u64) -> Result<Self> {
        // More tokens never have fewer shares.
        DeviceVector::with_room(gpu, u64::from(grid::partials(most, k))).map(PartialAbsmax)
    }

    /// Copies the partial maxima to the host; their number follows from the shape alone.
    ///
    /// # Errors
    /// A CUDA error of the copy, or of a kernel launched before.
    pub fn download(&self) -> Result<Vec<f32>> {
        self.0.download()
    }
}

/// The largest magnitude of each column, f32 `[K]`, over the batches that `column_absmax` has met.
pub struct ColumnAbsmax(pub(crate) DeviceVector<f32>);

impl ColumnAbsmax {
    /// Of no batch yet: K zeros.
    ///
    /// # Errors
    /// A CUDA error.
    pub fn new(gpu: &Gpu, k: u64) -> Result<Self> {
        DeviceVector::upload(gpu, &vec![0.0; k as usize]).map(ColumnAbsmax)
    }

    /// Copies the maxima to the host, after what was launched before has ended.
    ///
    /// # Errors
    /// A CUDA error of the copy, or of a kernel launched before.
    pub fn download(&self) -> Result<Vec<f32>> {
        self.0.download()
    }
}

/// Counts the inputs that a given scale does not fit.
pub struct InputCounters(pub(crate) Arc<DeviceMemory>);

/// What [`InputCounters`] counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct InputCounts {
    /// Inputs that are NaN or infinite: such a scale does not carry them into y.
    pub non_finite: u64,
    /// Inputs whose rounded quotient was beyond ±127, infinite ones among them.
    pub saturated: u64,
}

impl InputCounters {
    /// Counters at 0.
    ///
    /// # Errors
    /// A CUDA error.
    pub fn new(gpu: &Gpu) -> Result<Self> {
        Ok(InputCounters(Arc::new(DeviceMemory::filled(gpu, 16, 0)?)))
    }

    /// The counts, after what was launched before has ended.
    ///
    /// # Errors
    /// A CUDA error of the copy, or of a kernel launched before.
    pub fn read(&self) -> Result<InputCounts> {
        let halves: Vec<i32> = self.0.download(4)?;
        let count = |i: usize| u64::from(halves[2 * i].bits()) | u64::from(halves[2 * i + 1].bits()) << 32;
        Ok(InputCounts { non_finite: count(0), saturated: count(1) })
    }
}
