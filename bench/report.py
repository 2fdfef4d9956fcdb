#!/usr/bin/env python3
"""What a record says: targets reached or not, a table (Markdown), a plot (SVG). usage: report.py RECORD.json

Standard library only. Every figure is computed here from the record's rows, so that a table can be made again from it.
"""
import json
import math
import statistics
import sys
from pathlib import Path

import plot
import record as records
import shapes

NO_LAYER_QUANTIZATION = "torch linear bf16"


def times(job, who):
    return [row["median_us"] for row in job["rows"] if row["who"] == who and "median_us" in row]


def median_us(job, who):
    """The median over the rounds of a row's medians, in microseconds; None where there is none."""
    found = times(job, who)
    return statistics.median(found) if found else None


def best_peer(job):
    """(name, microseconds) of the fastest peer that quantizes to int8; None where none ran."""
    peers = [(median_us(job, who), who) for who in job["peers"] if who != NO_LAYER_QUANTIZATION]
    peers = [(us, who) for us, who in peers if us]
    return min(peers)[::-1] if peers else None


def speedup(job, who):
    """How many times as fast as `who` ours is; None where either is missing."""
    ours, theirs = median_us(job, "ours"), median_us(job, who)
    return theirs / ours if ours and theirs else None


def copy_rate(record):
    """The measured copy bandwidth in bytes a microsecond: the best of ours (the driver's copy) and torch's."""
    us = [time for job in record["jobs"] if job["op"] == "copy" for who in ("ours", "torch copy") for time in times(job, who)]
    job = next((job for job in record["jobs"] if job["op"] == "copy"), None)
    return shapes.least_bytes(job) / min(us) if us else None


def share_of_copy(record, job):
    """Bytes that a job must move, in its time, as a share of the copy bandwidth."""
    rate, us = copy_rate(record), median_us(job, "ours")
    return shapes.least_bytes(job) / us / rate if rate and us else None


def tops(job, who):
    us = median_us(job, who)
    return shapes.operations(job) / us / 1e6 if us and shapes.operations(job) else None


def clock_share(record, job):
    """Ours as a share of the int8 peak at the clock that was measured beside it; None where a part is not known."""
    about = record["about"]["ours"]["place"]
    mhz = [row["clocks"]["sm_mhz"]["median"] for row in job["rows"] if row["who"] == "ours" and row.get("clocks", {}).get("sm_mhz")]
    per_clock = about.get("int8_operations_per_clock")
    return tops(job, "ours") * 1e6 / (per_clock * statistics.median(mhz)) if mhz and per_clock and tops(job, "ours") else None


def of(record, group):
    return [job for job in record["jobs"] if job["group"] == group]


def least(pairs):
    """The smallest of (value, job) and what it is about, or nothing."""
    pairs = [(value, job) for value, job in pairs if value is not None]
    value, job = min(pairs, key=lambda pair: pair[0], default=(None, None))
    return value, f"{len(pairs)} shapes; least at M,N,K = {job['m']},{job['n']},{job['k']}" if job else "not measured"


def targets(record):
    """Each target of the project: what is wanted, what was found, on what, whether it is reached (None: not measured)."""
    out = []

    def add(name, want, got, note, show="{:.3f} x"):
        reached = None if got is None else got >= want
        out.append({"target": name, "want": show.format(want), "got": None if got is None else show.format(got), "note": note, "reached": reached})

    headline = of(record, "headline")
    like = [job for job in headline if job["data"] == "normal" and job["out"] == "i32"]
    add("8192^3, i32 out, against torch._int_mm", 1.05, *least([(speedup(job, "torch._int_mm"), job) for job in like]))
    add("8192^3, TOPS where power allows", 1400, *least([(tops(job, "ours"), job) for job in like]), show="{:.0f}")
    prefill = [(speedup(job, best[0]), job) for job in of(record, "prefill") if (best := best_peer(job))]
    add("Llama-3 linears, M 512 to 16,384, each against the best peer", 1.0, *least(prefill))
    ratios = [ratio for ratio, _ in prefill if ratio]
    mean = math.exp(statistics.mean(map(math.log, ratios))) if ratios else None
    add("the same, geometric mean", 1.1, mean, f"{len(ratios)} shapes")
    decode = [(share_of_copy(record, job), job) for job in of(record, "decode")]
    add("M 1 to 64, at least 64 MB of weights: share of the copy bandwidth", 0.85, *least(decode), show="{:.1%}")
    quantize = [(share_of_copy(record, job), job) for job in of(record, "quantize")]
    add("per-token quantize of bf16 [8192, 8192]: share of the copy bandwidth", 0.9, *least(quantize), show="{:.1%}")
    layer = [(speedup(job, NO_LAYER_QUANTIZATION), job) for job in of(record, "layer")]
    add("whole W8A8 linear from M = 2,048 on, against the bf16 linear", 1.6, *least(layer))
    return out


def steps(record):
    """(M, time at M + 1 as a multiple of that at M) of ours, where both were measured."""
    sweep = {job["m"]: median_us(job, "ours") for job in of(record, "sweep")}
    return [(m, sweep[m + 1] / us) for m, us in sweep.items() if us and sweep.get(m + 1)]


def cell(value, show):
    return show.format(value) if value is not None else ""


def why_not(job, who):
    """What a peer said instead of a time."""
    row = next((row for row in job["rows"] if row["who"] == who), {})
    return "wrong" if "wrong" in row else "refused" if "refused" in row else ""


def table(heading, rows):
    lines = ["| " + " | ".join(heading) + " |", "|" + "---|" * len(heading)]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows]) + "\n"


def job_row(record, job, peers):
    clocks = [row["clocks"] for row in job["rows"] if row["who"] == "ours" and "clocks" in row]
    middle = lambda name: statistics.median(values) if (values := [c[name]["median"] for c in clocks if c.get(name)]) else None
    best = best_peer(job)
    rate = tops(job, "ours") if job["m"] > 64 else None
    row = [job["name"] or job["op"], f"{job['m']}, {job['n']}, {job['k']}", job["data"], job["out"], cell(median_us(job, "ours"), "{:.1f}")]
    row += [cell(rate, "{:.0f}"), cell(clock_share(record, job), "{:.1%}"), cell(share_of_copy(record, job), "{:.1%}")]
    row += [cell(median_us(job, who), "{:.1f}") or why_not(job, who) for who in peers]
    row += [cell(speedup(job, best[0]), "{:.2f}") if best else "", cell(middle("sm_mhz"), "{:.0f}"), cell(middle("watts"), "{:.0f}")]
    return row


def markdown(record):
    """The whole table, with what it was measured on."""
    machine, about = record["machine"], record["about"]
    text = f"# {machine['name']}, {record['date']}, commit {record['commit']}\n\n"
    text += f"Driver {machine['driver_version']}, power limit {machine['power.limit']} W, highest SM clock {machine['clocks.max.sm']} MHz. "
    peers = about.get("peers")
    text += f"Peers: torch {peers['torch']} (CUDA {peers['cuda']}), triton {peers['triton']}.\n" if peers else "Without peers.\n"
    rate = copy_rate(record)
    text += f"Copy bandwidth, read and written: {rate / 1e6:.2f} TB/s.\n" if rate else "The copy bandwidth was not measured.\n"
    for failed in record["failed"]:
        text += f"\n**Failed**: {failed}\n"
    word = {True: "yes", False: "NO", None: "not measured"}
    rows = [[t["target"], t["want"], t["got"] or "", t["note"], word[t["reached"]]] for t in targets(record)]
    text += "\n" + table(["target", "wanted", "found", "of", "reached"], rows)
    if found := steps(record):
        m, step = max(found, key=lambda pair: pair[1])
        text += f"\nFrom M to M + 1 the time grows most at M = {m}: {step:.2f} times ({len(found)} steps).\n"
    for group in dict.fromkeys(job["group"] for job in record["jobs"]):
        jobs = of(record, group)
        names = list(dict.fromkeys(who for job in jobs for who in job["peers"]))
        heading = ["what", "M, N, K", "data", "out", "ours µs", "TOPS", "of peak at the clock", "of copy"]
        heading += [f"{who} µs" for who in names] + ["× best int8 peer", "MHz", "W"]
        text += f"\n## {group}\n\n" + table(heading, [job_row(record, job, names) for job in jobs])
    if record["not_reached"]:
        text += f"\nNot reached in {record['budget_seconds']:.0f} s: {len(record['not_reached'])} jobs.\n"
    if record["kernels"]:
        heading = ["kernel", "registers", "local bytes", "static shared", "binary", "PTX"]
        keys = ["registers", "local_bytes", "static_shared_bytes", "binary_version", "ptx_version"]
        text += "\n## What the driver's JIT made\n\n"
        loads = ", ".join(f"{m['module']} {1e3 * m['seconds']:.0f} ms" for m in record["kernels"]["modules"])
        text += f"Time of cuModuleLoadDataEx: {loads}.\n\n"
        text += table(heading, [[k["kernel"], *(str(k[key]) for key in keys)] for k in record["kernels"]["kernels"]])
    return text


def panels(record):
    """The plots: against the best peer, the share of the copy bandwidth, the sweep."""
    names = list(dict.fromkeys(job["name"] for job in of(record, "prefill")))
    against = {name: [] for name in names}
    for job in of(record, "prefill"):
        if best := best_peer(job):
            against[job["name"]].append((job["m"], speedup(job, best[0])))
    share = {}
    for job in of(record, "decode"):
        share.setdefault(job["name"], []).append((job["m"], share_of_copy(record, job)))
    sweep = {}
    for job in of(record, "sweep"):
        for who in ["ours", *job["peers"]]:
            sweep.setdefault(who, []).append((job["m"], median_us(job, who)))
    yield plot.Panel("Llama-3 linears: times as fast as the best int8 peer", "M", against, 1.0)
    yield plot.Panel("Decode: share of the copy bandwidth", "M", share, 0.85)
    n, k = shapes.SWEEP
    yield plot.Panel(f"M = 1 to 128, N = {n}, K = {k}: microseconds", "M", sweep, None)


def make(path):
    """Writes the table and the plot beside a record; their paths."""
    path = Path(path)
    record = json.loads(path.read_text())
    made = [path, path.with_suffix(".md")]
    records.write(made[1], markdown(record))
    drawn = plot.svg(list(panels(record)))
    if drawn:
        made.append(path.with_suffix(".svg"))
        records.write(made[2], drawn)
    return made


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: report.py RECORD.json")
    for made in make(sys.argv[1]):
        print(made)
