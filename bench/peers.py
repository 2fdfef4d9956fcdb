#!/usr/bin/env python3
"""The peers of the INT8 linear layer on this GPU, timed as `outerscale bench` times ours.

usage: peers.py [--shape MxNxK ...] [--samples N] [--out FILE.json]      needs: torch with CUDA; triton for its two rows

A row is one peer on one shape: the median, 10th and 90th percentile in microseconds of single calls between
two CUDA events. Every call takes the next of several sets of operands, together more than twice the L2
cache, so that none finds its input there. A result is compared with an exact product first; a peer whose
result is wrong is reported as wrong and not timed. A peer that refuses a shape is reported as refused.
"""
import argparse
import json
import statistics
import sys

import torch

SHAPES = ["1x4096x4096", "16x4096x4096", "256x4096x4096", "1024x1024x1024", "4096x4096x4096", "8192x8192x8192"]

try:
    import triton
    import triton.language as tl
except ImportError:
    triton = None

if triton is not None:

    @triton.autotune(
        configs=[
            triton.Config({"BM": bm, "BN": bn, "BK": 128}, num_stages=stages, num_warps=warps)
            for bm, bn, stages, warps in [(128, 128, 3, 4), (128, 256, 3, 8), (64, 64, 4, 4), (16, 64, 4, 4), (16, 128, 4, 4)]
        ],
        key=["M", "N", "K"],
    )
    @triton.jit
    def int8_linear(x, w, s_x, s_w, y, M, N, K, BM: tl.constexpr, BN: tl.constexpr, BK: tl.constexpr):
        """y bf16 [M, N] = s_x[:, None] * s_w * (x i8 [M, K] @ w i8 [N, K].T), all contiguous."""
        pid = tl.program_id(0)
        tiles_n = tl.cdiv(N, BN)
        rows = (pid // tiles_n) * BM + tl.arange(0, BM)
        cols = (pid % tiles_n) * BN + tl.arange(0, BN)
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
        """q i8, s f32 from x bf16 [M, K], one program a token; x · (127 / absmax), as serving engines do it."""
        row = tl.program_id(0).to(tl.int64)
        k = tl.arange(0, BLOCK)
        v = tl.load(x + row * K + k, mask=k < K, other=0.0).to(tl.float32)
        absmax = tl.maximum(tl.max(tl.abs(v)), 1e-10)
        tl.store(s + row, absmax / 127)
        v = v * (127 / absmax)
        v = tl.where(v >= 0, v + 0.5, v - 0.5).to(tl.int8)
        tl.store(q + row * K + k, v, mask=k < K)


class Operands:
    """One set of operands of a layer: x bf16 [M, K], w bf16 [N, K], their codes and scales."""

    def __init__(self, m, n, k, seed):
        g = torch.Generator(device="cuda").manual_seed(seed)
        self.x = torch.randn(m, k, device="cuda", dtype=torch.bfloat16, generator=g)
        self.w = torch.randn(n, k, device="cuda", dtype=torch.bfloat16, generator=g) / k**0.5
        self.q_x = torch.randint(-127, 128, (m, k), device="cuda", dtype=torch.int8, generator=g)
        self.q_w = torch.randint(-127, 128, (n, k), device="cuda", dtype=torch.int8, generator=g)
        self.s_x = torch.rand(m, device="cuda", generator=g) + 0.5
        self.s_w = torch.rand(n, device="cuda", generator=g) + 0.5
        self.y = torch.empty(m, n, device="cuda", dtype=torch.bfloat16)

    def exact(self):
        """The int32 sums as float64, which holds them exactly."""
        return self.q_x.double() @ self.q_w.double().T

    def bytes(self):
        return sum(t.numel() * t.element_size() for t in vars(self).values())


def int_mm(o):
    return torch._int_mm(o.q_x, o.q_w.T)


def int_mm_dequant(o):
    return (o.s_x[:, None] * (o.s_w * torch._int_mm(o.q_x, o.q_w.T).float())).bfloat16()


def linear_bf16(o):
    return torch.nn.functional.linear(o.x, o.w)


def triton_linear(o):
    (m, k), n = o.q_x.shape, o.q_w.shape[0]
    int8_linear[lambda c: (triton.cdiv(m, c["BM"]) * triton.cdiv(n, c["BN"]),)](o.q_x, o.q_w, o.s_x, o.s_w, o.y, m, n, k)
    return o.y


def triton_quantize(o):
    m, k = o.x.shape
    int8_quantize[(m,)](o.x, o.q_x, o.s_x, k, BLOCK=triton.next_power_of_2(k))
    return o.q_x


def dequantized(o):
    return o.s_x.double()[:, None] * o.s_w.double() * o.exact()


def close_to(want):
    # bf16 keeps 8 bits: half a unit in the last place is 2^-9 of the value, and f32 sums add a little.
    return lambda got, o: torch.allclose(got.double(), want(o), rtol=2**-8, atol=1e-3)


def product_close(got, o):
    want = o.x.double() @ o.w.double().T
    return ((got.double() - want).norm() / want.norm()).item() < 1e-2


def codes_close(got, o):
    want = (o.x.double() / (o.x.double().abs().amax(1, keepdim=True) / 127)).round()
    return (got.double() - want).abs().max().item() <= 1


PEERS = [
    ("torch._int_mm", "gemm, i32 out", int_mm, lambda got, o: torch.equal(got.double(), o.exact())),
    ("torch._int_mm + dequant", "gemm, bf16 out, two kernels or more", int_mm_dequant, close_to(dequantized)),
    ("torch linear bf16", "the layer without quantization", linear_bf16, product_close),
]
if triton is not None:
    PEERS += [
        ("triton int8 linear", "gemm, bf16 out, scales fused", triton_linear, close_to(dequantized)),
        ("triton int8 quantize", "quantize_token, bf16 in", triton_quantize, codes_close),
    ]


def timed(call, sets, samples):
    """Microseconds of `samples` single calls, the operands rotated."""
    for i in range(10):
        call(sets[i % len(sets)])
    events = [(torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)) for _ in range(samples)]
    torch.cuda.synchronize()
    for i, (start, end) in enumerate(events):
        start.record()
        call(sets[i % len(sets)])
        end.record()
    torch.cuda.synchronize()
    return sorted(start.elapsed_time(end) * 1000 for start, end in events)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--shape", action="append", help="MxNxK, again for more")
    parser.add_argument("--samples", type=int, default=200)
    parser.add_argument("--out", help="file for the JSON; standard output without it")
    args = parser.parse_args()
    if not torch.cuda.is_available():
        sys.exit("peers.py: torch sees no CUDA device")
    device = torch.cuda.get_device_properties(0)
    l2 = getattr(device, "L2_cache_size", 64 << 20)
    rows = []
    for shape in args.shape or SHAPES:
        m, n, k = (int(v) for v in shape.split("x"))
        first = Operands(m, n, k, 0)
        count = min(64, max(2, -(-2 * l2 // first.bytes())))
        sets = [first] + [Operands(m, n, k, seed) for seed in range(1, count)]
        for name, what, call, right in PEERS:
            row = {"peer": name, "what": what, "m": m, "n": n, "k": k, "operand_sets": count}
            try:
                if right(call(first), first):
                    us = timed(call, sets, args.samples)
                    row |= {"median_us": statistics.median(us), "p10_us": us[len(us) // 10], "p90_us": us[len(us) * 9 // 10], "samples": len(us)}
                    row["tops"] = 2e-6 * m * n * k / row["median_us"] if "quantize" not in name else None
                else:
                    row["wrong"] = "the result is not the exact product"
            except (RuntimeError, ValueError) as error:
                row["refused"] = str(error).splitlines()[0]
            rows.append(row)
            print(f"{shape:>18}  {name:26} {row.get('median_us', row.get('wrong', row.get('refused')))}", file=sys.stderr)
        del sets, first
        torch.cuda.empty_cache()
    versions = {"torch": torch.__version__, "cuda": torch.version.cuda, "triton": getattr(triton, "__version__", None)}
    text = json.dumps({"gpu": device.name, "versions": versions, "l2_bytes": l2, "rows": rows}, indent=1)
    if args.out:
        with open(args.out, "w") as file:
            file.write(text + "\n")
    else:
        print(text)


if __name__ == "__main__":
    main()
