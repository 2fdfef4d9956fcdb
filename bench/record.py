"""The machine of a run, its clocks and power while it lasts, and the record's file. Standard library only."""
import datetime
import json
import os
import re
import statistics
import subprocess
import tempfile
import threading
import time
from pathlib import Path

FIELDS = ["name", "driver_version", "vbios_version", "power.limit", "clocks.max.sm", "clocks.max.mem", "ecc.mode.current", "mig.mode.current"]
SAMPLED = {"sm_mhz": "clocks.sm", "memory_mhz": "clocks.mem", "watts": "power.draw", "celsius": "temperature.gpu"}
# The reasons for held-down clocks, by the name of newer and of older drivers.
REASONS = ["clocks_event_reasons.active", "clocks_throttle_reasons.active"]
SAMPLE_MS = 50


def smi(fields, *more):
    return ["nvidia-smi", "--id=0", "--format=csv,noheader,nounits", f"--query-gpu={','.join(fields)}", *more]


def machine():
    """What the GPU and the machine say of themselves; nothing that names the machine or its owner."""
    values = subprocess.run(smi(FIELDS), capture_output=True, text=True, check=True).stdout.strip().split(", ")
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        cpu = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), None)
    except OSError:
        cpu = None
    return dict(zip(FIELDS, values)) | {"cpu": cpu}


def spread(values):
    values = sorted(values)
    return {"median": statistics.median(values), "least": values[0], "most": values[-1]} if values else None


class Sampler:
    """Reads clocks, power and temperature all the while, by the time at which each line arrived."""

    def __init__(self):
        reasons = next((r for r in REASONS if subprocess.run(smi([r]), capture_output=True).returncode == 0), None)
        fields = list(SAMPLED.values()) + ([reasons] if reasons else [])
        self.lines = []
        command = smi(fields, f"--loop-ms={SAMPLE_MS}")
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self):
        for line in self.process.stdout:
            self.lines.append((time.monotonic(), [word.strip() for word in line.split(",")]))

    def stop(self):
        self.process.terminate()
        self.process.wait()
        self.reader.join()
        self.process.stdout.close()

    def between(self, start, end):
        """Spread of each quantity over the samples that arrived from `start` to `end` (of time.monotonic)."""
        # A copy: the reader appends meanwhile.
        words = [words for at, words in list(self.lines) if start <= at <= end]
        out = {}
        for index, name in enumerate(SAMPLED):
            values = []
            for row in words:
                try:
                    values.append(float(row[index]))
                except (ValueError, IndexError):
                    pass  # "[N/A]" where a GPU does not tell
            out[name] = spread(values)
        held = {row[len(SAMPLED)] for row in words if len(row) > len(SAMPLED)}
        return out | {"clocks_event_reasons": sorted(held)}


def file_name(record):
    """DATE-GPU-COMMIT, without an ending."""
    gpu = re.sub(r"[^A-Za-z0-9]+", "-", record["machine"]["name"]).strip("-").lower()
    commit = re.sub(r"[^A-Za-z0-9.-]+", "-", record["commit"])
    return f"{record['date'][:10]}-{gpu}-{commit}"


def write(path, text):
    """Writes a file that is complete or absent."""
    with tempfile.NamedTemporaryFile("w", dir=path.parent, delete=False) as part:
        part.write(text)
    os.chmod(part.name, 0o644)
    os.replace(part.name, path)


def keep(record, folder):
    """Writes the record under a name of its own, and says which; an earlier record is never written over."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    stem = file_name(record)
    count = 1
    while (path := folder / f"{stem}{'' if count == 1 else f'-{count}'}.json").exists():
        count += 1
    write(path, json.dumps(record, indent=1) + "\n")
    return path


def now():
    return datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")
