#!/usr/bin/env python3
"""Makes presets.safetensors: what other libraries make of the same numbers, for the tests of the presets.

    pip install -r requirements.txt && python make.py

torchao, bitsandbytes (its CPU backend), compressed-tensors and onnxruntime are called themselves. vLLM and TensorRT-LLM
have no CPU path for this: theirs, and the classic kernel with roundf, are the operations of their sources
in torch, one rounding each: absmax / 127, 127 / absmax, a product, round to nearest (ties to even, or away from zero), saturate.

Tensors: x f32 [R, K]; for each preset, scheme and type of x "PRESET.SCHEME.TYPE.codes" i8 [R, K] and ".scales" f32 [R], as
the library stores them; x is narrowed to f16 and bf16 by torch, to nearest even. "static_scale" f32 [1] is the given one.
"""

import os

os.environ.setdefault("TRANSFORMERS_OFFLINE", "1")

import bitsandbytes.functional as bnb
import numpy as np
import onnx
import onnxruntime
import torch
from compressed_tensors.quantization import QuantizationArgs, QuantizationStrategy
from compressed_tensors.quantization.lifecycle.forward import quantize as ct_quantize
from compressed_tensors.quantization.utils import calculate_qparams
from onnx import TensorProto, helper
from safetensors.torch import load_file, save_file
from torchao.quantization.granularity import PerRow, PerTensor
from torchao.quantization.quant_primitives import MappingType
from torchao.quantization.quantize_.workflows.int8.int8_tensor import Int8Tensor

HERE = os.path.dirname(os.path.abspath(__file__))
K = 96
TYPES = {"f32": torch.float32, "f16": torch.float16, "bf16": torch.bfloat16}
# Not a power of two, and so small that large values saturate on both sides; the same number in every type.
STATIC_SCALE = 0.0390625 * 1.5


def rows():
    """Rows that tell rules apart: ties and near ties of each divisor, zeros, subnormals, large values, a real layer."""
    rng = np.random.default_rng(20260)
    out = []

    def add(row):
        out.append(np.asarray(row, dtype=np.float32))

    for size in (1e-3, 1.0, 30.0):
        for _ in range(3):
            add(rng.normal(size=K) * size)
    for divisor in (127.0, 127.5):
        # s a power of two: (q + 1/2) s is exact, and the largest is divisor * s.
        for s in (2.0**-6, 2.0**-3, 1.0):
            row = (rng.integers(-127, 127, K) + 0.5) * s
            row[int(rng.integers(K))] = divisor * s
            add(row)
        # Beside ties: one or two units in the last place off.
        for _ in range(8):
            absmax = np.float32(rng.uniform(0.5, 8.0))
            ties = ((rng.integers(-126, 126, K) + 0.5) * (absmax / np.float32(divisor))).astype(np.float32)
            row = (ties.view(np.int32) + rng.integers(-2, 3, K).astype(np.int32)).view(np.float32)
            row[int(rng.integers(K))] = absmax
            add(row)
    # The same beside ties of f16 and of bf16, whose units are larger.
    for step in (1 << 13, 1 << 16):
        for divisor in (127.0, 127.5):
            absmax = np.float32(rng.uniform(0.5, 8.0))
            ties = ((rng.integers(-126, 126, K) + 0.5) * (absmax / np.float32(divisor))).astype(np.float32)
            row = (ties.view(np.int32) // step * step + step * rng.integers(-1, 2, K)).astype(np.int32).view(np.float32)
            row[int(rng.integers(K))] = absmax
            add(row)
    add(np.zeros(K))
    add(-np.zeros(K))
    for size in (1e-44, 3e-39, 1e-37, 1e-36, 1e-30, 6e-8, 3e-6, 1e-5, 1e-4):
        add(rng.uniform(-size, size, K))
    for size in (1000.0, 60000.0, 1e30, 3e38):
        add(rng.uniform(-size, size, K))
    one = np.zeros(K)
    one[5] = -3.7
    add(one)
    layer = load_file(os.path.join(HERE, "../../data/L1_output_dense.safetensors"))["x"]
    for token in (0, 1, 50, 117):
        add(layer[token, 100 : 100 + K].numpy())
        add(layer[token, 900 : 900 + K].numpy())
    return torch.from_numpy(np.stack(out))


def compressed_tensors(x, scale=None):
    if scale is None:
        args = QuantizationArgs(num_bits=8, symmetric=True, strategy=QuantizationStrategy.CHANNEL)
        low, high = x.amin(dim=-1, keepdim=True), x.amax(dim=-1, keepdim=True)
        scale, zero = calculate_qparams(low, high, args)
    else:
        args = QuantizationArgs(num_bits=8, symmetric=True, strategy=QuantizationStrategy.TENSOR)
        scale, zero = torch.tensor([scale], dtype=x.dtype), torch.zeros(1, dtype=x.dtype)
    return ct_quantize(x, scale, zero, args, dtype=torch.int8), scale


def torchao(x, scale=None):
    granularity = PerRow() if scale is None else PerTensor()
    given = None if scale is None else torch.tensor([[scale]])
    q = Int8Tensor.from_hp(x, granularity, mapping_type=MappingType.SYMMETRIC, scale=given)
    return q.qdata, q.scale


def bitsandbytes(x):
    codes, absmax, _ = bnb.int8_vectorwise_quant(x)
    return codes, absmax


def saturate(v, least=-128):
    """cvt.rni.sat.s8.f32, or roundf and a clamp: NaN gives 0."""
    return torch.nan_to_num(v, nan=0.0, posinf=127.0, neginf=least).clamp(least, 127).to(torch.int8)


def vllm(x, scale=None):
    """csrc/quantization/w8a8/int8/scaled_quant.cu."""
    x = x.float()
    if scale is not None:
        return saturate(torch.round(x / torch.tensor([scale]))), torch.tensor([scale])
    absmax = x.abs().amax(dim=-1, keepdim=True)
    inverse = torch.where(absmax == 0, torch.zeros(()), torch.tensor(127.0) / absmax)
    return saturate(torch.round(x * inverse)), absmax / torch.tensor(127.0)


def tensorrt_llm(x):
    """cpp/tensorrt_llm/kernels/quantization.cuh, perTokenQuantization: the row's maximum begins at 1e-6."""
    x = x.float()
    absmax = x.abs().amax(dim=-1, keepdim=True).clamp(min=torch.tensor(1e-6))
    return saturate(torch.round(x * (torch.tensor(127.0) / absmax))), absmax / torch.tensor(127.0)


def roundf(x, scale=None):
    x = x.float()
    if scale is None:
        scale = x.abs().amax(dim=-1, keepdim=True) / torch.tensor(127.0)
        scale = torch.where(scale == 0, torch.ones(()), scale).clamp(min=2.0**-100)
    else:
        scale = torch.tensor([scale])
    v = x / scale
    # roundf: to nearest, ties away from zero. v - trunc(v) is exact.
    whole = torch.trunc(v)
    v = torch.where((v - whole).abs() >= 0.5, whole + torch.sign(v), whole)
    return saturate(v, least=-127), scale


def ort_quantize_linear(x, scale):
    of = {torch.float32: (TensorProto.FLOAT, np.float32), torch.float16: (TensorProto.FLOAT16, np.float16)}[x.dtype]
    graph = helper.make_graph(
        [helper.make_node("QuantizeLinear", ["x", "s", "z"], ["q"])],
        "quantize",
        [helper.make_tensor_value_info("x", of[0], [None, K])],
        [helper.make_tensor_value_info("q", TensorProto.INT8, [None, K])],
        [helper.make_tensor("s", of[0], [], np.array([scale], of[1]).tobytes(), raw=True), helper.make_tensor("z", TensorProto.INT8, [], [0])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 19)], ir_version=9)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return torch.from_numpy(session.run(None, {"x": x.numpy()})[0]), torch.tensor([scale])


def main():
    x = rows()
    tensors = {"x": x, "static_scale": torch.tensor([STATIC_SCALE])}
    token = {"vllm": vllm, "compressed-tensors": compressed_tensors, "bitsandbytes": bitsandbytes, "tensorrt-llm": tensorrt_llm, "torchao": torchao, "roundf": roundf}
    static = {"vllm": vllm, "compressed-tensors": compressed_tensors, "torchao": torchao, "onnxruntime": ort_quantize_linear, "roundf": roundf}
    for name, dtype in TYPES.items():
        # What is past a type's range would be infinite in it: such rows are scaled down.
        typed = torch.where(x.abs() > torch.finfo(dtype).max, torch.sign(x) * torch.finfo(dtype).max, x).to(dtype)
        for preset, rule in token.items():
            codes, scales = rule(typed.clone())
            tensors[f"{preset}.token.{name}.codes"] = codes.contiguous()
            tensors[f"{preset}.token.{name}.scales"] = scales.float().reshape(-1).contiguous()
        for preset, rule in static.items():
            if preset == "onnxruntime" and dtype == torch.bfloat16:
                continue  # Its CPU provider has no QuantizeLinear of bf16.
            tensors[f"{preset}.static.{name}.codes"] = rule(typed.clone(), STATIC_SCALE)[0].contiguous()
    for key, tensor in tensors.items():
        assert tensor.dtype in (torch.int8, torch.float32), key
    assert torch.tensor(STATIC_SCALE).bfloat16().float().item() == STATIC_SCALE
    save_file(tensors, os.path.join(HERE, "presets.safetensors"))
    print(f"{len(tensors)} tensors, {x.shape[0]} rows of {K}")


main()
