#!/usr/bin/env python3
"""Writes ptx/, data/ and cases.json: kernels compiled by nvcc and Triton, and what NumPy makes of their inputs.

    python3 host/ptx-sim/tests/foreign/generate.py

README.md says what has to be installed. No GPU is needed. The same versions write the same bytes.
"""

import json
import os
import pathlib
import re
import struct
import subprocess
import sys

os.environ["TRITON_DISABLE_LINE_INFO"] = "1"
os.environ["TRITON_DEFAULT_FP_FUSION"] = "1"

import numpy as np
import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
import triton_kernels

def save_safetensors(path, tensors):
    """The format by hand: it is a length, a JSON header and the bytes."""
    header, blob = {}, b""
    names = {np.float32: "F32", np.float16: "F16", np.int8: "I8", np.int32: "I32"}
    for name, value in tensors.items():
        data = np.ascontiguousarray(value).tobytes()
        header[name] = {
            "dtype": names[value.dtype.type],
            "shape": list(value.shape),
            "data_offsets": [len(blob), len(blob) + len(data)],
        }
        blob += data
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text + blob)


def make_data(folder):
    """Inputs from fixed seeds, and NumPy's results in f64 or exact integers, rounded once."""
    rng = np.random.default_rng(20240607)
    x, y = (rng.standard_normal(3001, dtype=np.float32) for _ in range(2))
    save_safetensors(folder / "vector_add.safetensors", {"x": x, "y": y, "z": x + y})

    x = (rng.standard_normal((5, 700)) * 4).astype(np.float32)
    wide = x.astype(np.float64)
    e = np.exp(wide - wide.max(axis=1, keepdims=True))
    y = (e / e.sum(axis=1, keepdims=True)).astype(np.float32)
    save_safetensors(folder / "softmax.safetensors", {"x": x, "y": y})

    x = rng.standard_normal((5, 770)).astype(np.float16)
    weight, bias = (rng.standard_normal(770).astype(np.float16) for _ in range(2))
    wide = x.astype(np.float64)
    centred = wide - wide.mean(axis=1, keepdims=True)
    normal = centred / np.sqrt((centred**2).mean(axis=1, keepdims=True) + 1e-5)
    y = (normal * weight.astype(np.float64) + bias.astype(np.float64)).astype(np.float16)
    save_safetensors(folder / "layer_norm.safetensors", {"x": x, "weight": weight, "bias": bias, "y": y})

    a, b = (rng.integers(-128, 128, (rows, 176), dtype=np.int8) for rows in (100, 72))
    c = a.astype(np.int32) @ b.astype(np.int32).T
    save_safetensors(folder / "int8_gemm.safetensors", {"a": a, "b": b, "c": c})

    # Small integers: products and sums are exact in f16, whatever the order.
    a, b = (rng.integers(-3, 4, shape).astype(np.float16) for shape in ((130, 136), (136, 72)))
    c = (a.astype(np.float64) @ b.astype(np.float64)).astype(np.float16)
    save_safetensors(folder / "f16_gemm.safetensors", {"a": a, "b": b, "c": c})


def tidy(text):
    """Without comments (they name the build), blank lines and the space at the ends of lines."""
    lines = (re.sub(r"\s*//.*$", "", line).rstrip() for line in text.splitlines())
    return "\n".join(line for line in lines if line.strip()) + "\n"


def compile_cuda(folder):
    root = pathlib.Path(np.__file__).resolve().parents[1] / "nvidia" / "cu13"
    for sm in (80, 90):
        out = folder / f"nvcc_sm{sm}.ptx"
        command = [root / "bin" / "nvcc", f"-arch=sm_{sm}", "--ptx", f"-I{root / 'include'}", "-o", out]
        subprocess.run([*command, HERE / "kernels.cu"], check=True)
        out.write_text(tidy(out.read_text()))


def compile_triton(folder, name, sm, types, constants, aligned, **options):
    """Compiles one kernel; returns its metadata."""
    fn = getattr(triton_kernels, name)
    signature = {arg: types.get(arg, "constexpr") for arg in fn.arg_names}
    attrs = {(fn.arg_names.index(arg),): [["tt.divisibility", 16]] for arg in sorted(aligned)}
    source = ASTSource(fn, signature, constexprs=constants, attrs=attrs)
    kernel = triton.compile(source, target=GPUTarget("cuda", sm, 32), options=options)
    (folder / f"triton_{name}_sm{sm}.ptx").write_text(tidy(kernel.asm["ptx"]))
    return kernel.metadata


def main():
    ptx, data = HERE / "ptx", HERE / "data"
    ptx.mkdir(exist_ok=True)
    data.mkdir(exist_ok=True)
    make_data(data)
    compile_cuda(ptx)
    cases = []

    def case(file, kernel, grid, block, shared, args, tolerance):
        cases.append(
            {
                "file": f"ptx/{file}.ptx",
                "kernel": kernel,
                "grid": grid,
                "block": block,
                "shared": shared,
                "args": args,
                # |found - NumPy| <= tolerance * max(1, |NumPy|); 0 asks for the same bits.
                "tolerance": tolerance,
            }
        )

    def at(file, name):
        return f"in:data/{file}.safetensors#{name}"

    def out(file, name, shape):
        return f"out:{file}.{name}={shape}"

    vector = [at("vector_add", "x"), at("vector_add", "y"), out("vector_add", "z", "F32[3001]"), "u32:3001"]
    soft = [at("softmax", "x"), out("softmax", "y", "F32[5,700]"), "u32:700"]
    norm_in = [at("layer_norm", name) for name in ("x", "weight", "bias")]
    norm = [*norm_in, out("layer_norm", "y", "F16[5,770]"), "u32:770", "f32:1e-5"]
    gemm_in = [at("int8_gemm", "a"), at("int8_gemm", "b")]
    gemm = [*gemm_in, out("int8_gemm", "c", "I32[100,72]"), "u32:100", "u32:72", "u32:176"]
    for sm in (80, 90):
        file = f"nvcc_sm{sm}"
        case(file, "vector_add", [4, 1, 1], [128, 1, 1], 0, vector, 0)
        case(file, "softmax", [5, 1, 1], [128, 1, 1], 0, soft, 1e-6)
        case(file, "layer_norm", [5, 1, 1], [96, 1, 1], 0, norm, 2e-3)
        case(file, "int8_gemm", [3, 4, 1], [32, 8, 1], 0, gemm, 0)

    # What Triton's own launcher adds behind the arguments: buffers for scratch and for profiles.
    nothing = ["u64:0", "u64:0"]

    def triton_case(name, sm, meta, grid, args, tolerance, scratch=nothing):
        block = [32 * meta.num_warps, 1, 1]
        case(f"triton_{name}_sm{sm}", name, grid, block, meta.shared, [*args, *scratch], tolerance)

    for sm in (80, 90):
        types = {"x_ptr": "*fp32", "y_ptr": "*fp32", "z_ptr": "*fp32", "n": "i32"}
        meta = compile_triton(ptx, "vector_add", sm, types, {"BLOCK": 512}, types.keys() - {"n"})
        triton_case("vector_add", sm, meta, [6, 1, 1], vector, 0)
        types = {"x_ptr": "*fp32", "y_ptr": "*fp32", "cols": "i32"}
        meta = compile_triton(ptx, "softmax", sm, types, {"BLOCK": 1024}, types.keys() - {"cols"})
        triton_case("softmax", sm, meta, [5, 1, 1], soft, 1e-6)
        types = {"x_ptr": "*fp16", "weight_ptr": "*fp16", "bias_ptr": "*fp16", "y_ptr": "*fp16"}
        types |= {"cols": "i32", "eps": "fp32"}
        meta = compile_triton(ptx, "layer_norm", sm, types, {"BLOCK": 1024}, types.keys() - {"cols", "eps"})
        triton_case("layer_norm", sm, meta, [5, 1, 1], norm, 2e-3)
        types = {"a_ptr": "*i8", "b_ptr": "*i8", "c_ptr": "*i32", "m": "i32", "n": "i32", "k": "i32"}
        tiles = {"BM": 64, "BN": 64, "BK": 64}
        aligned = ["a_ptr", "b_ptr", "c_ptr", "k"]
        meta = compile_triton(ptx, "int8_gemm", sm, types, tiles, aligned, num_warps=4, num_stages=3)
        triton_case("int8_gemm", sm, meta, [2, 2, 1], gemm, 0)

    aligned = ["a_ptr", "b_ptr", "c_ptr", "n", "k"]
    tiles = {"BM": 64, "BN": 64, "BK": 64}
    meta = compile_triton(ptx, "tma_gemm_device", 90, types, tiles, aligned, num_warps=4, num_stages=3)
    # Each block makes its descriptors in its own part of the scratch buffer.
    scratch = [f"scratch:U8[{4 * meta.global_scratch_size}]", "u64:0"]
    triton_case("tma_gemm_device", 90, meta, [2, 2, 1], gemm, 0, scratch)
    # C is stored through a descriptor with a pitch of its own rows, inputs are read past their ends as zeros.
    tensor = "tensordesc<fp16[64,64]>"
    types = {"a": tensor, "b": tensor, "c": tensor, "k": "i32"}
    meta = compile_triton(ptx, "tma_gemm_host", 90, types, tiles, [], num_warps=4, num_stages=3)
    args = []
    for name, rows, cols in (("a", 130, 136), ("b", 136, 72), ("c", 130, 72)):
        described = meta.tensordesc_meta["abc".index(name)]
        # The descriptor's code for swizzles: 0 is none, 1 to 3 are 32, 64 and 128 bytes.
        box, swizzle = described["block_size"], [0, 32, 64, 128][described["swizzle"]]
        spec = at("f16_gemm", name) if name != "c" else out("f16_gemm", "c", "F16[130,72]")
        args += [f"tmap:{spec},box={box[0]}x{box[1]},swizzle={swizzle}"]
        args += [f"u32:{rows}", f"u32:{cols}", f"u64:{cols}", "u64:1"]
    triton_case("tma_gemm_host", 90, meta, [2, 3, 1], [*args, "u32:136"], 0)
    # Triton initialises an mbarrier and lets a copy use it without the fence that the PTX ISA asks for.
    cases[-1]["finding"] = "fence.mbarrier_init"
    (HERE / "cases.json").write_text(json.dumps(cases, indent=1) + "\n")


if __name__ == "__main__":
    main()
