"""The two Triton kernels among the peers: the int8 product with scales fused, and the per-token quantizer.

Autotuned over CONFIGS, anew for each shape: every configuration that compiles is timed three times, the best median is kept.
"""
import statistics

import torch
import triton
import triton.language as tl

VERSION = triton.__version__

# (BLOCK_M, BLOCK_N, BLOCK_K, stages, warps): what serving engines' tables hold for int8 on Hopper and Ampere.
CONFIGS = [
    (128, 256, 128, 3, 8), (256, 128, 128, 3, 8), (128, 128, 128, 4, 8), (128, 128, 128, 3, 4), (128, 128, 64, 4, 4),
    (64, 128, 128, 4, 4), (64, 64, 128, 5, 4), (32, 128, 128, 5, 4), (16, 128, 128, 5, 4), (16, 64, 256, 5, 4), (16, 32, 256, 5, 2),
]
GROUP_M = 8


@triton.jit
def int8_linear(x, w, s_x, s_w, y, M, N, K, BM: tl.constexpr, BN: tl.constexpr, BK: tl.constexpr, GROUP: tl.constexpr):
    """y bf16 [M, N] = s_x[:, None] * s_w * (x i8 [M, K] @ w i8 [N, K].T), all contiguous."""
    pid = tl.program_id(0)
    tiles_m = tl.cdiv(M, BM)
    tiles_n = tl.cdiv(N, BN)
    # Tiles in groups of rows, as Triton's own matmul tutorial walks them, so that w stays in L2.
    group = pid // (GROUP * tiles_n)
    height = min(tiles_m - group * GROUP, GROUP)
    rows = (group * GROUP + (pid % (GROUP * tiles_n)) % height) * BM + tl.arange(0, BM)
    cols = ((pid % (GROUP * tiles_n)) // height) * BN + tl.arange(0, BN)
    ks = tl.arange(0, BK)
    # Indices past the end wrap, and their results are masked: no branch in the loop.
    x_at = x + (rows % M)[:, None].to(tl.int64) * K + ks[None, :]
    w_at = w + (cols % N)[None, :].to(tl.int64) * K + ks[:, None]
    acc = tl.zeros((BM, BN), dtype=tl.int32)
    for k in range(0, K, BK):
        left = K - k
        a = tl.load(x_at, mask=ks[None, :] < left, other=0)
        b = tl.load(w_at, mask=ks[:, None] < left, other=0)
        acc = tl.dot(a, b, acc, out_dtype=tl.int32)
        x_at += BK
        w_at += BK
    scale_x = tl.load(s_x + rows, mask=rows < M, other=0.0)
    scale_w = tl.load(s_w + cols, mask=cols < N, other=0.0)
    out = scale_x[:, None] * (scale_w[None, :] * acc.to(tl.float32))
    y_at = y + rows[:, None].to(tl.int64) * N + cols[None, :]
    tl.store(y_at, out.to(tl.bfloat16), mask=(rows[:, None] < M) & (cols[None, :] < N))


@triton.jit
def int8_quantize(x, q, s, K, BLOCK: tl.constexpr):
    """q i8, s f32 from x bf16 [M, K], one program a token; x * (127 / absmax), as serving engines do it."""
    row = tl.program_id(0).to(tl.int64)
    k = tl.arange(0, BLOCK)
    v = tl.load(x + row * K + k, mask=k < K, other=0.0).to(tl.float32)
    absmax = tl.maximum(tl.max(tl.abs(v)), 1e-10)
    tl.store(s + row, absmax / 127)
    v = v * (127 / absmax)
    v = tl.where(v >= 0, v + 0.5, v - 0.5).to(tl.int8)
    tl.store(q + row * K + k, v, mask=k < K)


_best = {}


def linear(q_x, q_w, s_x, s_w, y):
    """The product by the best configuration for its shape; the first call of a shape finds it."""
    m, n, k = q_x.shape[0], q_w.shape[0], q_x.shape[1]

    def launch(config):
        bm, bn, bk, stages, warps = config
        grid = (triton.cdiv(m, bm) * triton.cdiv(n, bn),)
        int8_linear[grid](q_x, q_w, s_x, s_w, y, m, n, k, BM=bm, BN=bn, BK=bk, GROUP=GROUP_M, num_stages=stages, num_warps=warps)

    if (m, n, k) not in _best:
        _best[m, n, k] = _tuned(launch, (m, n, k))
    launch(_best[m, n, k])
    return y


def _tuned(launch, shape):
    timed = []
    for config in CONFIGS:
        try:
            launch(config)
        # A configuration with more shared memory than the GPU has is no candidate.
        except triton.runtime.errors.OutOfResources:
            continue
        timed.append((statistics.median(_milliseconds(launch, config) for _ in range(3)), config))
    if not timed:
        raise RuntimeError(f"no configuration of the Triton kernel runs {shape}")
    return min(timed)[1]


def _milliseconds(launch, config):
    start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    start.record()
    launch(config)
    end.record()
    end.synchronize()
    return start.elapsed_time(end)


def quantize(x, q, s):
    """q and s of x; gives q back."""
    m, k = x.shape
    int8_quantize[(m,)](x, q, s, k, BLOCK=triton.next_power_of_2(k), num_warps=8)
    return q
