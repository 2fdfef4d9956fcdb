#!/usr/bin/env python3
"""Puts what gpu.sh measured into one file under bench/runs: record.py WORK RUNS COMMIT. Standard library only."""
import csv
import datetime
import json
import re
import statistics
import subprocess
import sys
from pathlib import Path

FIELDS = ["name", "driver_version", "vbios_version", "power.limit", "clocks.max.sm", "clocks.max.mem", "ecc.mode.current", "mig.mode.current"]


def machine():
    """What the GPU and the machine say of themselves; nothing that names the machine or its owner."""
    query = ["nvidia-smi", "--id=0", "--format=csv,noheader", f"--query-gpu={','.join(FIELDS)}"]
    values = subprocess.run(query, capture_output=True, text=True, check=True).stdout.strip().split(", ")
    cpu = next((line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), None)
    return dict(zip(FIELDS, values)) | {"cpu": cpu}


def spread(values):
    values = sorted(values)
    return {"median": statistics.median(values), "least": values[0], "most": values[-1]} if values else None


def samples(file):
    """Clocks, power and temperature over the whole run, and every reason for which the clocks were held down."""
    columns = {"sm_mhz": [], "memory_mhz": [], "watts": [], "celsius": []}
    reasons = set()
    for row in csv.reader(open(file)):
        for column, value in zip(columns.values(), row[1:5]):
            try:
                column.append(float(value))
            except ValueError:
                pass  # "[N/A]" where a GPU does not tell
        if len(row) > 5:
            reasons.add(row[5].strip())
    return {name: spread(values) for name, values in columns.items()} | {"clocks_event_reasons": sorted(reasons)}


def main():
    work, runs, commit = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
    # NAME.ROUND.SHAPE.json, in the order of the rounds.
    rounds = lambda name: [{"round": int(f.name.split(".")[1])} | json.load(open(f)) for f in sorted(work.glob(f"{name}.*.json"))]
    gpu = machine()
    now = datetime.datetime.now(datetime.timezone.utc)
    record = {
        "date": now.isoformat(timespec="seconds"),
        "commit": commit,
        "machine": gpu,
        "during_the_run": samples(work / "samples.csv"),
        "verify": json.load(open(work / "verify.json")),
        "ours": rounds("ours"),
        "peers": rounds("peers"),
    }
    name = re.sub(r"[^A-Za-z0-9]+", "-", gpu["name"]).strip("-").lower()
    out = runs / f"{now:%Y-%m-%d}-{name}-{commit}.json"
    out.write_text(json.dumps(record, indent=1) + "\n")
    print(out)


if __name__ == "__main__":
    main()
