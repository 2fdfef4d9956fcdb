"""Triton kernels, compiled to PTX for the simulator's tests (see README.md). Matrices are row-major."""

import triton
import triton.language as tl


@triton.jit
def vector_add(x_ptr, y_ptr, z_ptr, n, BLOCK: tl.constexpr):
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = at < n
    tl.store(z_ptr + at, tl.load(x_ptr + at, mask=inside) + tl.load(y_ptr + at, mask=inside), mask=inside)


@triton.jit
def softmax(x_ptr, y_ptr, cols, BLOCK: tl.constexpr):
    """One row a program; cols <= BLOCK."""
    at = tl.arange(0, BLOCK)
    row = tl.program_id(0) * cols + at
    x = tl.load(x_ptr + row, mask=at < cols, other=-float("inf"))
    e = tl.exp(x - tl.max(x, axis=0))
    tl.store(y_ptr + row, e / tl.sum(e, axis=0), mask=at < cols)


@triton.jit
def layer_norm(x_ptr, weight_ptr, bias_ptr, y_ptr, cols, eps, BLOCK: tl.constexpr):
    """One row of f16 a program; cols <= BLOCK."""
    at = tl.arange(0, BLOCK)
    inside = at < cols
    x = tl.load(x_ptr + tl.program_id(0) * cols + at, mask=inside, other=0.0).to(tl.float32)
    mean = tl.sum(x, axis=0) / cols
    centred = tl.where(inside, x - mean, 0.0)
    scale = 1.0 / tl.sqrt(tl.sum(centred * centred, axis=0) / cols + eps)
    weight = tl.load(weight_ptr + at, mask=inside).to(tl.float32)
    bias = tl.load(bias_ptr + at, mask=inside).to(tl.float32)
    y = centred * scale * weight + bias
    tl.store(y_ptr + tl.program_id(0) * cols + at, y.to(tl.float16), mask=inside)


@triton.jit
def int8_gemm(a_ptr, b_ptr, c_ptr, m, n, k, BM: tl.constexpr, BN: tl.constexpr, BK: tl.constexpr):
    """C[m][n] = A[m][k] B[n][k]^T in int32; k a multiple of 16."""
    rows = tl.program_id(1) * BM + tl.arange(0, BM)
    cols = tl.program_id(0) * BN + tl.arange(0, BN)
    sums = tl.zeros((BM, BN), dtype=tl.int32)
    for start in range(0, k, BK):
        ks = start + tl.arange(0, BK)
        a = tl.load(a_ptr + rows[:, None] * k + ks[None, :], mask=(rows[:, None] < m) & (ks[None, :] < k), other=0)
        b = tl.load(b_ptr + cols[None, :] * k + ks[:, None], mask=(cols[None, :] < n) & (ks[:, None] < k), other=0)
        sums = tl.dot(a, b, acc=sums, out_dtype=tl.int32)
    tl.store(c_ptr + rows[:, None] * n + cols[None, :], sums, mask=(rows[:, None] < m) & (cols[None, :] < n))


@triton.jit
def tma_gemm_host(a, b, c, k, BM: tl.constexpr, BN: tl.constexpr, BK: tl.constexpr):
    """C = A B in f16 with f32 sums; the descriptors of A [m][k], B [k][n] and C [m][n] come from the host."""
    row, col = tl.program_id(1) * BM, tl.program_id(0) * BN
    sums = tl.zeros((BM, BN), dtype=tl.float32)
    for start in range(0, k, BK):
        sums = tl.dot(a.load([row, start]), b.load([start, col]), acc=sums)
    c.store([row, col], sums.to(tl.float16))


@triton.jit
def tma_gemm_device(a_ptr, b_ptr, c_ptr, m, n, k, BM: tl.constexpr, BN: tl.constexpr, BK: tl.constexpr):
    """C = A B^T, int8 into int32; the descriptors of A [m][k], B [n][k] and C [m][n] are made on the device."""
    a = tl.make_tensor_descriptor(a_ptr, shape=[m, k], strides=[k, 1], block_shape=[BM, BK])
    b = tl.make_tensor_descriptor(b_ptr, shape=[n, k], strides=[k, 1], block_shape=[BN, BK])
    c = tl.make_tensor_descriptor(c_ptr, shape=[m, n], strides=[n, 1], block_shape=[BM, BN])
    row, col = tl.program_id(1) * BM, tl.program_id(0) * BN
    sums = tl.zeros((BM, BN), dtype=tl.int32)
    for start in range(0, k, BK):
        sums = tl.dot(a.load([row, start]), b.load([col, start]).T, acc=sums, out_dtype=tl.int32)
    c.store([row, col], sums)
