#!/usr/bin/env python3
"""Runs every case of cases.json through the program ptx-sim and compares what it saves with NumPy's results.

    cargo build --release -p ptx-sim && python3 host/ptx-sim/tests/foreign/check.py [PTX_SIM]

Needs NumPy. Exits with 1 when a case differs, has another finding than the one that it names, or cannot run.
"""

import json
import pathlib
import struct
import subprocess
import sys
import tempfile

import numpy as np

HERE = pathlib.Path(__file__).resolve().parent
DTYPES = {"F32": np.float32, "F16": np.float16, "I32": np.int32, "I8": np.int8, "U8": np.uint8}


def load(path):
    blob = path.read_bytes()
    (length,) = struct.unpack_from("<Q", blob)
    header = json.loads(blob[8 : 8 + length])
    header.pop("__metadata__", None)
    tensors = {}
    for name, entry in header.items():
        start, end = (8 + length + offset for offset in entry["data_offsets"])
        tensors[name] = np.frombuffer(blob[start:end], DTYPES[entry["dtype"]]).reshape(entry["shape"])
    return tensors


def differs(found, expected, tolerance):
    """Why the result is wrong, or nothing."""
    if tolerance == 0:
        return None if found.tobytes() == expected.tobytes() else "not the same bits"
    found, expected = found.astype(np.float64), expected.astype(np.float64)
    error = np.abs(found - expected) / np.maximum(1, np.abs(expected))
    return None if error.max() <= tolerance else f"error {error.max():.3g}, {tolerance} is allowed"


def run(program, case, folder):
    saved = folder / "saved.safetensors"
    command = [program, case["file"], "--kernel", case["kernel"], "--shared", str(case["shared"]), "--save", saved]
    for name in ("grid", "block"):
        command += [f"--{name}", ",".join(map(str, case[name]))]
    for spec in case["args"]:
        command += ["--arg", spec]
    done = subprocess.run(command, cwd=HERE, capture_output=True, text=True)
    said = done.stdout + done.stderr
    known = case.get("finding")
    if done.returncode != (1 if known else 0) or (known and known not in said):
        return f"exit {done.returncode}: {said.strip()[-600:]}"
    for name, found in load(saved).items():
        file, tensor = name.split(".")
        wrong = differs(found, load(HERE / "data" / f"{file}.safetensors")[tensor], case["tolerance"])
        if wrong:
            return f"{name}: {wrong}"
    return None


def main():
    program = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else "target/release/ptx-sim").resolve()
    bad = 0
    with tempfile.TemporaryDirectory() as folder:
        for case in json.loads((HERE / "cases.json").read_text()):
            wrong = run(program, case, pathlib.Path(folder))
            bad += wrong is not None
            print(f"{'WRONG' if wrong else 'equal'}  {case['file']}: {case['kernel']}{': ' + wrong if wrong else ''}")
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
