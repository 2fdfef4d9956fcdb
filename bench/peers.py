#!/usr/bin/env python3
"""The peers of the INT8 linear layer on this GPU, timed as `outerscale bench` times ours.

usage: peers.py --serve             answers jobs from standard input, as measure.py sends them
       peers.py --shape M,N,K ...   measures the peers' products and layers of these shapes, and prints JSON
       peers.py --dry-run           lists the jobs of a run and their peers; needs neither a GPU nor torch
needs: torch with CUDA; triton for its rows

A sample is a run of calls between two CUDA events that takes at least 0.2 ms, and a call's time is its share of it: a
model calls layer after layer, and an event takes about as long as the start of a kernel. The calls are replayed from a CUDA
graph, so that Python's own time is in none of them. Each call takes the next of several sets of operands, together more
than twice the L2 cache. A result is compared with an exact product first; a peer whose result is wrong is reported as
wrong and not timed. A peer that refuses a shape is reported as refused, in its own words.
"""
import argparse
import json
import statistics
import sys

import codes
import shapes

SAMPLE_US, SAMPLES, LEAST_SAMPLES = 200, 1000, 5


class Operands:
    """One set of operands: codes and values of x [M, K] and w [N, K], their scales, room for y."""

    def __init__(self, torch, job, q_x, q_w):
        m, n = job["m"], job["n"]
        self.q_x, self.q_w = q_x.clone(), q_w.clone()
        self.s_x = torch.full((m,), codes.X_UNIT, device=q_x.device)
        self.s_w = torch.full((n,), codes.W_UNIT, device=q_x.device)
        # Values are the codes times a power of two: exact, and the same numbers for the peers without quantization.
        self.x = (self.q_x * codes.X_UNIT).bfloat16() if job["op"] != "gemm" or "torch linear bf16" in job["peers"] else None
        self.w = (self.q_w * codes.W_UNIT).bfloat16() if "torch linear bf16" in job["peers"] else None
        self.y = torch.empty(m, n, device=q_x.device, dtype=torch.bfloat16)
        self.q = torch.empty_like(self.q_x)
        self.s = torch.empty_like(self.s_x)


class Peers:
    """Every peer by its name: what it calls, and whether its result on the first operands is right."""

    def __init__(self, torch):
        self.torch = torch
        try:
            import peers_triton

            self.triton = peers_triton
        except ImportError as error:
            self.triton, self.no_triton = None, str(error)

    def call(self, name):
        """The function of a set of operands that is timed."""
        torch = self.torch
        if name.startswith("triton") and self.triton is None:
            raise RuntimeError(f"triton is not there: {self.no_triton}")

        def dequant(acc, s_x, s_w):
            return (s_x[:, None] * (s_w * acc.float())).bfloat16()

        def w8a8(o):
            s = o.x.abs().amax(1).float() / 127
            q = (o.x / s[:, None]).round().to(torch.int8)
            return dequant(torch._int_mm(q, o.q_w.T), s, o.s_w)

        return {
            "torch copy": lambda o: o[1].copy_(o[0]),
            "torch._int_mm": lambda o: torch._int_mm(o.q_x, o.q_w.T),
            "torch._int_mm + dequant": lambda o: dequant(torch._int_mm(o.q_x, o.q_w.T), o.s_x, o.s_w),
            "torch linear bf16": lambda o: torch.nn.functional.linear(o.x, o.w),
            "torch W8A8": w8a8,
            "triton int8": lambda o: self.triton.linear(o.q_x, o.q_w, o.s_x, o.s_w, o.y),
            "triton quantize": lambda o: self.triton.quantize(o.x, o.q, o.s),
            "triton W8A8": lambda o: self.triton.linear(self.triton.quantize(o.x, o.q, o.s), o.q_w, o.s, o.s_w, o.y),
        }[name]

    def wrong(self, name, got, o):
        """What is wrong with a result, or nothing. Of products some rows are looked at, over all columns."""
        torch = self.torch
        if name == "torch copy":
            return None if torch.equal(got, o[0]) else "the copy differs"
        if name == "triton quantize":
            return None if torch.equal(got, o.q_x) else "the codes differ"
        rows = torch.linspace(0, o.q_x.shape[0] - 1, 32, device=got.device).long().unique()
        exact = o.q_x[rows].double() @ o.q_w.double().T
        got = got[rows].double()
        if name == "torch._int_mm":
            return None if torch.equal(got, exact) else "the sums differ"
        want = exact * (codes.X_UNIT * codes.W_UNIT)
        # bf16 keeps 8 bits: a unit in the last place is at most 2^-7 of the value, and some round down; f32 sums are a little off.
        if torch.allclose(got, want, rtol=2**-7, atol=1e-3 * want.abs().max().item()):
            return None
        return "the result is not the exact product"


class Worker:
    """Holds the operands of one job after the other, and times peers on them."""

    def __init__(self):
        import torch

        if not torch.cuda.is_available():
            sys.exit("peers.py: torch sees no CUDA device")
        self.torch, self.peers, self.sets = torch, Peers(torch), []
        device = torch.cuda.get_device_properties(0)
        self.l2 = getattr(device, "L2_cache_size", 64 << 20)
        triton = getattr(self.peers.triton, "VERSION", None)
        self.about = {"gpu": device.name, "torch": torch.__version__, "cuda": torch.version.cuda, "triton": triton}
        self.about["triton_configs"] = getattr(self.peers.triton, "CONFIGS", None)
        self.about["l2_bytes"] = self.l2

    def prepare(self, job):
        """Makes the operands of a job; answers with checksums of its codes."""
        torch = self.torch
        self.sets, self.job = [], job
        torch.cuda.empty_cache()
        if job["op"] == "copy":
            source = torch.arange(job["m"] // 4, device="cuda", dtype=torch.int32)
            self.sets = [(source, torch.empty_like(source))]
            return {}
        q_x = codes.matrix(torch, job["data"], codes.X_SALT, job["m"], job["k"], "cuda")
        q_w = codes.matrix(torch, job["data"], codes.W_SALT, job["n"], job["k"], "cuda")
        count = min(64, 2 + 2 * self.l2 // shapes.least_bytes(job))
        self.sets = [Operands(torch, job, q_x, q_w) for _ in range(count)]
        return {"x_codes": codes.checksum(q_x), "w_codes": codes.checksum(q_w), "operand_sets": count}

    def time(self, name):
        """One row: times of a peer, or why there are none."""
        row = {"who": name}
        try:
            call = self.peers.call(name)
            wrong = self.peers.wrong(name, call(self.sets[0]), self.sets[0])
            return row | ({"wrong": wrong} if wrong else self.timed(call))
        # Libraries refuse a shape by whatever exception they have; after an error of CUDA's own nothing runs any more.
        except Exception as error:
            if "CUDA error" in str(error):
                raise
            return row | {"refused": first_line(error)}

    def timed(self, call):
        torch = self.torch
        torch.cuda.synchronize()
        side = torch.cuda.Stream()
        with torch.cuda.stream(side):
            for o in self.sets:
                call(o)
            once = self.elapsed(lambda: [call(o) for o in self.sets]) / len(self.sets)
            # Every sample goes through all sets.
            calls = max(len(self.sets), round(SAMPLE_US / max(once, 1)))
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph, stream=side):
                for i in range(calls):
                    call(self.sets[i % len(self.sets)])
            graph.replay()
            samples = int(self.job["seconds"] * 1e6 / max(self.elapsed(graph.replay), 1))
            # Nothing waits between samples: the GPU is never idle, and no start of a graph is in a time.
            graph.replay()
            pairs = [self.between_events(graph.replay) for _ in range(min(max(samples, LEAST_SAMPLES), SAMPLES))]
            torch.cuda.synchronize()
        us = [start.elapsed_time(end) * 1000 for start, end in pairs]
        seconds = sum(us) / 1e6
        us = [sample / calls for sample in us]
        us.sort()
        return {
            "median_us": statistics.median(us), "p10_us": us[len(us) // 10], "p90_us": us[len(us) * 9 // 10],
            "samples": len(us), "calls_a_sample": calls, "timed_seconds": seconds,
        }

    def between_events(self, work):
        start, end = (self.torch.cuda.Event(enable_timing=True) for _ in range(2))
        start.record()
        work()
        end.record()
        return start, end

    def elapsed(self, work):
        start, end = self.between_events(work)
        end.synchronize()
        return start.elapsed_time(end) * 1000


def serve(worker):
    """One JSON object a line in, one out: {"prepare": job}, {"time": name}. Ends after an error."""
    print(json.dumps(worker.about), flush=True)
    for line in sys.stdin:
        request = json.loads(line)
        try:
            answer = worker.prepare(request["prepare"]) if "prepare" in request else worker.time(request["time"])
        except Exception as error:
            print(json.dumps({"error": first_line(error)}), flush=True)
            sys.exit(1)
        print(json.dumps(answer), flush=True)


def first_line(error):
    return (str(error).splitlines() or [type(error).__name__])[0][:300]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--serve", action="store_true", help="answer jobs from standard input")
    parser.add_argument("--dry-run", action="store_true", help="list the jobs and their peers")
    parser.add_argument("--shape", action="append", default=[], metavar="M,N,K", help="again for more")
    args = parser.parse_args()
    wanted = list(shapes.jobs())
    if args.shape:
        mnk = [[int(v) for v in shape.split(",")] for shape in args.shape]
        wanted = [shapes.job("asked", op, *s, peers) for s in mnk for op, peers in (("gemm", shapes.GEMM), ("layer", shapes.LAYER))]
    if args.dry_run:
        for job in wanted:
            print(f"{shapes.label(job)}  [{', '.join(job['peers'])}]")
        return
    if args.serve:
        return serve(Worker())
    if not args.shape:
        parser.error("give --shape, --serve or --dry-run")
    worker, rows = Worker(), []
    for job in wanted:
        facts = worker.prepare(job)
        rows += [job | facts | worker.time(name) for name in job["peers"]]
    print(json.dumps({"about": worker.about, "rows": rows}, indent=1))


if __name__ == "__main__":
    main()
