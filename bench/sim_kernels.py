"""The kernels of ptx-sim's peers, for sim_peers.py: each call returns its seconds and its result.

Triton and Numba find what they simulate among a module's globals, so the kernels have a module. It is imported
with TRITON_INTERPRET=1 and NUMBA_ENABLE_CUDASIM=1 in the environment.
"""
import time

import numpy as np
import torch
import triton
import triton.language as tl
from numba import cuda, float32


@triton.jit
def quantize_token(x, q, s, K: tl.constexpr):
    row = tl.program_id(0)
    k = tl.arange(0, K)
    v = tl.load(x + row * K + k)
    absmax = tl.max(tl.abs(v), 0)
    scale = tl.where(absmax == 0.0, 1.0, absmax / 127.0)
    # Adding and taking away 1.5 * 2^23 rounds to the nearest integer, ties to even.
    v = (v / scale + 12582912.0) - 12582912.0
    tl.store(s + row, scale)
    tl.store(q + row * K + k, v.to(tl.int8))


@triton.jit
def gemm(a, b, c, M, N, K, T: tl.constexpr):
    rows = tl.program_id(0) * T + tl.arange(0, T)
    cols = tl.program_id(1) * T + tl.arange(0, T)
    ks = tl.arange(0, T)
    acc = tl.zeros((T, T), dtype=tl.int32)
    for k in range(0, K, T):
        x = tl.load(a + rows[:, None] * K + (k + ks)[None, :])
        w = tl.load(b + cols[None, :] * K + (k + ks)[:, None])
        acc = tl.dot(x, w, acc, out_dtype=tl.int32)
    tl.store(c + rows[:, None] * N + cols[None, :], acc)


@cuda.jit
def quantize_token_numba(x, q, s):
    best = cuda.shared.array(128, float32)
    row, t = cuda.blockIdx.x, cuda.threadIdx.x
    absmax = float32(0.0)
    for k in range(t, x.shape[1], 128):
        absmax = max(absmax, abs(x[row, k]))
    best[t] = absmax
    cuda.syncthreads()
    step = 64
    while step > 0:
        if t < step:
            best[t] = max(best[t], best[t + step])
        cuda.syncthreads()
        step //= 2
    scale = best[0] / float32(127.0)
    if best[0] == 0.0:
        scale = float32(1.0)
    if t == 0:
        s[row] = scale
    for k in range(t, x.shape[1], 128):
        q[row, k] = round(x[row, k] / scale)


def timed(call):
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def triton_quantize(x):
    x, q = torch.from_numpy(x), torch.empty(x.shape, dtype=torch.int8)
    s = torch.empty(x.shape[0])
    return timed(lambda: quantize_token[(x.shape[0],)](x, q, s, x.shape[1])), q.numpy()


def triton_gemm(a, b):
    (m, k), n = a.shape, b.shape[0]
    a, b, c = torch.from_numpy(a), torch.from_numpy(b), torch.empty((m, n), dtype=torch.int32)
    return timed(lambda: gemm[(m // 64, n // 64)](a, b, c, m, n, k, 64)), c.numpy()


def numba_quantize(x):
    q, s = np.zeros(x.shape, dtype=np.int8), np.zeros(x.shape[0], dtype=np.float32)
    return timed(lambda: quantize_token_numba[x.shape[0], 128](x, q, s)), q
