"""What a run measures, the most important first, and what is to be reached. Standard library only."""

# (name, N, K) of the linears, fused as serving engines do: q, k and v in one, gate and up in one.
LLAMA_3_8B = [("qkv", 6144, 4096), ("o", 4096, 4096), ("gate_up", 28672, 4096), ("down", 4096, 14336)]
LLAMA_3_70B = [("qkv", 10240, 8192), ("o", 8192, 8192), ("gate_up", 57344, 8192), ("down", 8192, 28672)]
LINEARS = [("8B", *linear) for linear in LLAMA_3_8B] + [("70B", *linear) for linear in LLAMA_3_70B]

PREFILL_TOKENS = [4096, 1024, 16384, 512, 8192, 2048]
DECODE_TOKENS = [1, 16, 64, 8, 32, 4, 2]
LAYER_TOKENS = [8192, 2048, 16384, 4096]
# Less than this fits the L2 cache, or nearly.
DECODE_BYTES = 64_000_000
SWEEP = (8192, 8192)
# Where peers are known to change kernels: one below, at and past each.
SWEEP_PEERS = {1, 8, 9, 16, 17, 24, 32, 33, 48, 64, 65, 96, 97, 128}

# The peers of each op, by their names in peers.py.
GEMM = ["torch._int_mm", "torch._int_mm + dequant", "triton int8", "torch linear bf16"]
LAYER = ["torch linear bf16", "torch W8A8", "triton W8A8"]
QUANTIZE = ["triton quantize"]


# group -> (rounds in turns, seconds of each measurement): the headline long enough for clocks and power to settle.
EFFORT = {"headline": (3, 1.0), "copy": (3, 0.5), "quantize": (3, 0.5), "sweep": (1, 0.05)}


def job(group, op, m, n, k, peers, data="normal", out="bf16", name=""):
    """One shape of one op, as the two workers take it."""
    rounds, seconds = EFFORT.get(group, (2, 0.12))
    what = {"group": group, "name": name, "op": op, "m": m, "n": n, "k": k, "data": data, "out": out}
    return what | {"peers": peers, "rounds": rounds, "seconds": seconds}


def jobs():
    """Every job of a run in the order in which they are measured: what the budget cuts off is the end."""
    yield job("copy", "copy", 1 << 30, 1, 1, ["torch copy"])
    cube = (8192, 8192, 8192)
    # cuBLASLt writes int32: like is held against like first.
    yield job("headline", "gemm", *cube, GEMM, out="i32")
    yield job("headline", "gemm", *cube, GEMM)
    yield job("headline", "gemm", *cube, GEMM, data="uniform", out="i32")
    yield job("quantize", "quantize_token", 8192, 1, 8192, QUANTIZE)
    heavy = [linear for linear in LINEARS if linear[2] * linear[3] >= DECODE_BYTES]
    for tokens in DECODE_TOKENS[:3]:
        for model, name, n, k in heavy:
            yield job("decode", "gemm", tokens, n, k, GEMM, name=f"{model} {name}")
    for tokens in PREFILL_TOKENS:
        for model, name, n, k in LINEARS:
            yield job("prefill", "gemm", tokens, n, k, GEMM, name=f"{model} {name}")
        # A layer at a count of tokens after the products at it, so that a run that is cut has something of each.
        if tokens in LAYER_TOKENS:
            for model, name, n, k in LINEARS:
                yield job("layer", "layer", tokens, n, k, LAYER, name=f"{model} {name}")
    for tokens in DECODE_TOKENS[3:]:
        for model, name, n, k in heavy:
            yield job("decode", "gemm", tokens, n, k, GEMM, name=f"{model} {name}")
    for tokens in range(1, 129):
        yield job("sweep", "gemm", tokens, *SWEEP, GEMM if tokens in SWEEP_PEERS else [], name="sweep")
    yield job("headline", "gemm", *cube, GEMM, data="uniform")


def least_bytes(job):
    """Bytes that must move to and from memory at least; scales are few and left out."""
    m, n, k = job["m"], job["n"], job["k"]
    if job["op"] == "copy":
        return 2 * m
    if job["op"] == "quantize_token":
        return 3 * m * k
    out = {"bf16": 2, "i32": 4}[job["out"]]
    x = 2 if job["op"] == "layer" else 1
    return x * m * k + n * k + out * m * n


def operations(job):
    """Multiplications and additions; 0 for what memory bounds."""
    return 2 * job["m"] * job["n"] * job["k"] if job["op"] in ("gemm", "layer") else 0


def label(job):
    """One line that says what a job is."""
    shape = f"{job['m']},{job['n']},{job['k']}"
    return f"{job['group']:9} {job['op']:15} {shape:18} {job['data']:8} {job['out']:5} {job['name']}".rstrip()
