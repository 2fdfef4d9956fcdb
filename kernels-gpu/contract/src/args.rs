//! The one argument of each kernel: a `repr(C)` value that the host fills and the device reads.
//!
//! A device address is a plain `u64`, as the driver has it (`CUdeviceptr`); 0 is "none" where a field
//! says so. Element types are named by the entry (`quantize_token_f16`), strides count elements.

/// A device address; 0 is null.
pub type DevicePtr = u64;

/// A row-major matrix in device memory: element (i, j) is at `ptr + (i * row_stride + j) * size`.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Matrix {
    /// Address of element (0, 0), aligned to one element.
    pub ptr: DevicePtr,
    /// Number of rows.
    pub rows: u64,
    /// Number of columns.
    pub cols: u64,
    /// Elements from one row to the next, at least `cols`.
    pub row_stride: u64,
}

/// Codes of tokens: int8 `[rows, cols]`, rows `row_bytes` apart. A row is readable to the end of the 16-byte chunk that
/// holds its last code ([`crate::limits::readable_row_bytes`]), and what is there beyond `cols` is anything: the weights
/// are zero there. Quantizers write zeros up to [`crate::limits::padded_row_bytes`].
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Codes {
    /// Address of code (0, 0), aligned to 16 bytes.
    pub ptr: DevicePtr,
    /// Number of rows.
    pub rows: u64,
    /// Number of codes in a row that mean something (K).
    pub cols: u64,
    /// Bytes from one row to the next, a multiple of 16.
    pub row_bytes: u64,
}

/// Codes of weights: int8 `[rows, cols]`, laid out as [`crate::packed`] says.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packed {
    /// Address of the first byte, aligned to [`crate::packed::ALIGN_BYTES`].
    pub ptr: DevicePtr,
    /// Number of rows (N).
    pub rows: u64,
    /// Number of codes in a row that mean something (K).
    pub cols: u64,
}

/// Memory that the blocks of a launch share: every byte 0 before a launch, and 0 again after it.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Workspace {
    /// Address of the first byte, aligned to 256 bytes; 0: there is none.
    pub ptr: DevicePtr,
    /// Bytes.
    pub bytes: u64,
}

impl Workspace {
    /// None: the blocks do not meet.
    pub const NONE: Workspace = Workspace { ptr: 0, bytes: 0 };
}

/// f32 scales of the rows of a matrix: scale i is at `ptr + 4 * i * stride`.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scales {
    /// Address of the first scale, aligned to 4 bytes.
    pub ptr: DevicePtr,
    /// 1: one scale a row. 0: one scale for all.
    pub stride: u64,
}

/// `row_absmax`: x `[rows, cols]` → absmax f32 `[rows]`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct RowAbsmaxArgs {
    /// The matrix.
    pub x: Matrix,
    /// f32 `[rows]`.
    pub absmax: DevicePtr,
}

/// `tensor_absmax`: x → the absmax of each block's share, f32 `[grid]`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct TensorAbsmaxArgs {
    /// The matrix.
    pub x: Matrix,
    /// f32 `[gridDim.x]`; every block writes its own (0 if it has no share).
    pub partials: DevicePtr,
}

/// `column_absmax`: x `[rows, cols]` → the absmax of each column, on top of what is there.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct ColumnAbsmaxArgs {
    /// The matrix.
    pub x: Matrix,
    /// f32 `[cols]`, magnitudes: zeros before the first batch. Nothing but atomics accesses it meanwhile.
    pub absmax: DevicePtr,
}

/// `running_scale`: the partial maxima of a batch → its scale, and the state that the next batch finds.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct RunningScaleArgs {
    /// f32 `[partial_count]`, from `tensor_absmax`.
    pub partials: DevicePtr,
    /// Number of partial maxima; 0 means absmax 0.
    pub partial_count: u64,
    /// The [`RunningState`], aligned to 16 bytes.
    pub state: DevicePtr,
    /// f32 `[1]`: the scale of this batch.
    pub scale: DevicePtr,
    /// Samples from one update to the next; 0 counts as 1.
    pub every: u32,
    /// What an update keeps of the average, in [0, 1).
    pub momentum: f32,
}

/// What is known of the batches so far, in device memory.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RunningState {
    /// Moving average of the windows' absmax; 0: not begun.
    pub average: f32,
    /// absmax of the batches since the last update.
    pub window: f32,
    /// Batches since the last update.
    pub samples: u32,
    /// Batches left out, as their absmax was over the limit, Inf or NaN; stays at its largest value.
    pub left_out: u32,
}

/// `quantize_token`: x → codes with one scale a row, the reduction fused. Also quantizes weight rows.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct QuantizeTokenArgs {
    /// Tokens or weight rows.
    pub x: Matrix,
    /// The codes.
    pub q: Codes,
    /// f32 `[rows]`.
    pub scales: DevicePtr,
}

/// `quantize_smooth_token`: x / s → codes with one scale a row.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct QuantizeSmoothTokenArgs {
    /// As for `quantize_token`.
    pub token: QuantizeTokenArgs,
    /// f32 `[cols]` from a 16-byte boundary on, each in [2⁻¹⁰⁰, 2¹⁰⁰].
    pub factors: DevicePtr,
}

/// `quantize_tensor`: x → codes with the one scale that the partial maxima give.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct QuantizeTensorArgs {
    /// The matrix.
    pub x: Matrix,
    /// The codes.
    pub q: Codes,
    /// f32 `[partial_count]`, from `tensor_absmax`.
    pub partials: DevicePtr,
    /// Number of partial maxima; 0 means absmax 0.
    pub partial_count: u64,
    /// f32 `[1]`, written by block 0.
    pub scale: DevicePtr,
}

/// `quantize_static`: x → codes with a given scale.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct QuantizeStaticArgs {
    /// The matrix.
    pub x: Matrix,
    /// The codes.
    pub q: Codes,
    /// f32 `[1]`: the scale, in [2⁻¹⁰⁰, 2¹⁰⁰].
    pub scale: DevicePtr,
    /// u64 `[2]`, or 0: the number of NaN and Inf inputs is added to the first, that of saturated ones to the second.
    pub counts: DevicePtr,
}

/// `outlier_columns`: x → which columns have an outlier, bit masks by chunks of rows.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct OutlierColumnsArgs {
    /// The matrix, at least one row.
    pub x: Matrix,
    /// u32 `[ceil(rows / chunk_rows), ceil(cols / 32)]`: bit i of word j is column 32 j + i.
    pub masks: DevicePtr,
    /// Rows of a chunk, at least 1.
    pub chunk_rows: u64,
    /// An element of at least this magnitude is an outlier; NaN: none is.
    pub threshold: f32,
    /// Padding, 0.
    pub reserved: u32,
}

/// `outlier_list`: the masks of chunks → one mask, and the columns in ascending order.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct OutlierListArgs {
    /// u32 `[chunks, ceil(cols / 32)]`, from `outlier_columns`; bits from `cols` on are 0.
    pub masks: DevicePtr,
    /// Number of chunks.
    pub chunks: u64,
    /// Number of columns, at most 2³².
    pub cols: u64,
    /// u32 `[ceil(cols / 32)]`.
    pub mask: DevicePtr,
    /// u32 `[cols]`, of which the first `count` are written.
    pub columns: DevicePtr,
    /// u32 `[1]`.
    pub count: DevicePtr,
}

/// `quantize_outliers`: `quantize_token` with the outlier columns left out: neither in a maximum nor coded but as 0.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct QuantizeOutliersArgs {
    /// Tokens, codes and scales.
    pub rows: QuantizeTokenArgs,
    /// u32 `[ceil(cols / 32)]`, from `outlier_list`.
    pub mask: DevicePtr,
}

/// `quantize_smooth_static`: x / s → codes with a given scale.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct QuantizeSmoothStaticArgs {
    /// As for `quantize_static`.
    pub given: QuantizeStaticArgs,
    /// f32 `[cols]` from a 16-byte boundary on, each in [2⁻¹⁰⁰, 2¹⁰⁰].
    pub factors: DevicePtr,
}

/// `quantize_asym`: x → codes with one scale and one zero point a row, the reduction fused.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct QuantizeAsymArgs {
    /// Tokens.
    pub x: Matrix,
    /// The codes.
    pub q: Codes,
    /// f32 `[rows]`.
    pub scales: DevicePtr,
    /// i32 `[rows]`.
    pub zero_points: DevicePtr,
}

/// `row_sums`: codes of weights → the sum of each row, i32 `[rows]`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct RowSumsArgs {
    /// The codes.
    pub q: Packed,
    /// i32 `[rows]`.
    pub sums: DevicePtr,
}

/// `pack_rows`: int8 with any row stride and alignment → codes as our quantizers write them.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct PackRowsArgs {
    /// int8 from elsewhere.
    pub x: Matrix,
    /// The packed codes.
    pub q: Codes,
}

/// `pack_weights`: int8 with any row stride and alignment → codes as the products read weights.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct PackWeightsArgs {
    /// Rows of codes, of ours or from elsewhere.
    pub x: Matrix,
    /// The packed codes.
    pub q: Packed,
}

/// A bias `[N]` of a type that is known when the kernel runs: it only matters in a load.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bias {
    /// Address of the first element, aligned to one; 0: none, +0 is added.
    pub ptr: DevicePtr,
    /// One of [`input_type`].
    pub dtype: u32,
    /// Padding, 0.
    pub reserved: u32,
}

impl Bias {
    /// No bias.
    pub const NONE: Bias = Bias { ptr: 0, dtype: input_type::F32, reserved: 0 };
}

/// `gemm`: y = cast(fma(s_x, s_w · f32(q_x · q_wᵀ), bias)), or the int32 accumulators themselves.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct GemmArgs {
    /// int8 `[M, K]`.
    pub q_x: Codes,
    /// int8 `[N, K]`.
    pub q_w: Packed,
    /// f32 `[M]` or `[1]`; not read for i32 output.
    pub s_x: Scales,
    /// f32 `[N]` or `[1]`; not read for i32 output.
    pub s_w: Scales,
    /// `[N]`, or none; not read for i32 output.
    pub bias: Bias,
    /// `[M, N]`, any row stride, element-aligned.
    pub y: Matrix,
    /// Where blocks that share a tile of y meet; none for the variants whose blocks do not.
    pub workspace: Workspace,
}

/// Types of an input that a kernel tells apart at run time: they only matter in a load.
pub mod input_type {
    /// IEEE binary32.
    pub const F32: u32 = 0;
    /// IEEE binary16.
    pub const F16: u32 = 1;
    /// bfloat16.
    pub const BF16: u32 = 2;
}

/// `gemm_outliers`: `gemm` with the products of the outlier columns, in f32, added to the bias.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct GemmOutliersArgs {
    /// The product of the codes, which are 0 in the outlier columns.
    pub product: GemmArgs,
    /// `[M, K]`, as it was quantized.
    pub x: Matrix,
    /// u32 `[count]`, ascending.
    pub columns: DevicePtr,
    /// u32 `[1]`.
    pub count: DevicePtr,
    /// Weights f16 `[K, w_stride]`, column j of w in row j, from an 8-byte boundary on; 0: the codes of w and `s_w`.
    pub w: DevicePtr,
    /// Elements from one row of `w` to the next: N up to a multiple of 4.
    pub w_stride: u64,
    /// The type of x: one of [`input_type`].
    pub x_type: u32,
    /// Padding, 0.
    pub reserved: u32,
}

/// `gemm_asym`: y = cast(fma(s_x, s_w · f32(q_x · q_wᵀ − zero point · sum), bias)).
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct GemmAsymArgs {
    /// The product of the codes; s_x, s_w, bias and y as there.
    pub product: GemmArgs,
    /// Zero points of the tokens, i32 `[M]`.
    pub zero_points: DevicePtr,
    /// Sums of the rows of q_w, i32 `[N]`.
    pub w_sums: DevicePtr,
}

/// A tensor map of TMA (`CUtensorMap`), which the host encodes and only the hardware reads.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TensorMap(pub [u64; 16]);

/// `gemm` on Hopper: the same product, its x and y also as tensor maps.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct GemmSm90Args {
    /// q_x in boxes of [`crate::hopper_tile::X_BOX_ROWS`] rows of 128 bytes, with the 128-byte swizzle.
    pub x_map: TensorMap,
    /// y in boxes of [`crate::hopper_tile::Y_BOX_ROWS`] rows of 128 bytes, with the 128-byte swizzle; not read where
    /// `y_by_map` is 0.
    pub y_map: TensorMap,
    /// The product.
    pub product: GemmArgs,
    /// 1 where y begins at a 16-byte boundary and its rows lie a multiple of 16 bytes apart, 0 otherwise.
    pub y_by_map: u64,
}

/// `gemm` for few tokens on Hopper: the same product, its x also as a tensor map.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct GemmDecodeArgs {
    /// q_x in boxes of as many rows of 128 bytes as the tile has tokens, with the 128-byte swizzle.
    pub x_map: TensorMap,
    /// The product.
    pub product: GemmArgs,
}
