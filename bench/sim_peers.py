#!/usr/bin/env python3
"""ptx-sim and the other ways to run a GPU kernel without a GPU, side by side in one run. Needs no GPU.

usage: python3 bench/sim_peers.py [--venv DIR] [--binary FILE] [--rounds N] [--write]

Makes the Python environment of its peers on first use (sim_peers.txt, in target/peers) and goes on in it; builds
the simulator's side (`cargo build --release -p outerscale-bench --bin sim_work`). Then, in turns, round by round:

- per-token quantize of x f32, ours with every check on, on all cores: [1024, 1024] against the same kernel under
  Triton's interpreter (TRITON_INTERPRET=1), [64, 1024] against Numba's CUDA simulator (NUMBA_ENABLE_CUDASIM=1);
- int8 GEMM 256^3: ours; Triton's tl.dot in tiles of 64^3.

Every result is compared element by element before its time counts. A figure is the median over the rounds; a
ratio is of medians. `--write` puts the table between the marks in host/ptx-sim/README.md.
"""
import argparse
import datetime
import os
import pathlib
import platform
import statistics
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent
MARKS = ("<!-- peers: python3 bench/sim_peers.py --write -->\n", "<!-- /peers -->")
# Both are read when the packages are imported.
SWITCHES = {"TRITON_INTERPRET": "1", "NUMBA_ENABLE_CUDASIM": "1"}
MANY, FEW, COLS, EDGE = 1024, 64, 1024, 256


def enter(venv):
    """Goes on in the environment of the peers, which is made first if it is not there."""
    python = venv / "bin" / "python"
    if pathlib.Path(sys.prefix).resolve() == venv.resolve() and all(os.environ.get(k) == v for k, v in SWITCHES.items()):
        return
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", venv], check=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", "-r", HERE / "sim_peers.txt"], check=True)
    os.execve(python, [str(python), *sys.argv], os.environ | SWITCHES)


def build():
    """The path of the simulator's side, built from the sources as they are."""
    subprocess.run(["cargo", "build", "--release", "-q", "-p", "outerscale-bench", "--bin", "sim_work"], cwd=ROOT, check=True)
    return pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "release" / "sim_work"


class Ours:
    """The simulator's side: a process that does a piece of work a line."""

    def __init__(self, binary, threads=None):
        env = os.environ | ({"RAYON_NUM_THREADS": str(threads)} if threads else {})
        self.process = subprocess.Popen([binary], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env)

    def ask(self, *words):
        print(*words, file=self.process.stdin, flush=True)
        answer = self.process.stdout.readline().split()
        if not answer:
            sys.exit(f"sim_peers.py: the simulator could not do `{' '.join(map(str, words))}`")
        return [float(word) for word in answer]


class Table:
    """The rows of the README's table."""

    def __init__(self):
        self.lines = ["| what | ours | theirs | ratio | target |", "|---|---|---|---|---|"]

    def row(self, what, ours, theirs, ratio, target):
        self.lines.append(f"| {what} | {ours} | {theirs} | {ratio} | {target} |")


def same(what, found, wanted):
    if not (found == wanted).all():
        sys.exit(f"sim_peers.py: {what}: {int((found != wanted).sum())} of {wanted.size} elements differ: nothing was measured")


def measure(binary, rounds, folder):
    import numpy as np
    from sim_kernels import numba_quantize, triton_gemm, triton_quantize

    ours, single = Ours(binary), Ours(binary, threads=1)
    g = np.random.default_rng(0)
    x = g.standard_normal((4096, COLS), dtype=np.float32)
    a, b = (g.integers(-127, 128, (EDGE, EDGE), dtype=np.int8) for _ in range(2))
    for name, values in {"a": a, "b": b}.items():
        values.tofile(folder / name)

    scale = np.abs(x).max(1, keepdims=True) / np.float32(127)
    codes = np.rint(x / scale).astype(np.int8)
    sums = a.astype(np.int32) @ b.astype(np.int32).T
    many, few = x[:MANY].copy(), x[:FEW].copy()
    times, load = {}, os.getloadavg()[0]

    def our_quantize(rows):
        x[:rows].tofile(folder / "x")
        seconds = ours.ask("quantize", rows, COLS, folder / "x", folder / "q")[0]
        same("our codes", np.fromfile(folder / "q", dtype=np.int8).reshape(rows, COLS), codes[:rows])
        return seconds

    def took(what, seconds):
        times.setdefault(what, []).append(seconds)

    for _ in range(rounds):
        # What takes seconds is asked once a round.
        for _ in range(5):
            took("quantize many", our_quantize(MANY))
            took("quantize few", our_quantize(FEW))
            seconds = ours.ask("gemm", EDGE, EDGE, EDGE, folder / "a", folder / "b", folder / "c")[0]
            same("our sums", np.fromfile(folder / "c", dtype=np.int32).reshape(EDGE, EDGE), sums)
            took("gemm", seconds)
            seconds, found = triton_gemm(a, b)
            same("Triton's sums", found, sums)
            took("triton gemm", seconds)
        seconds, found = triton_quantize(many)
        same("Triton's codes", found, codes[:MANY])
        took("triton quantize many", seconds)
        seconds, found = numba_quantize(few)
        same("Numba's codes", found, codes[:FEW])
        took("numba quantize few", seconds)
        for kind, total in {"mma": 64 * 16 * 16384 * 32, "wgmma": 2048 * 32 * 32 * 384}.items():
            macs, seconds, found = single.ask("product", HERE / "ptx" / f"{kind}.ptx")
            if found != total:
                sys.exit(f"sim_peers.py: the sums of {kind} add up to {found}, not {total}")
            took(kind, seconds / macs)
        for rows in (64, 256, 1024, 4096):
            took(f"rows {rows}", our_quantize(rows) / (rows * COLS))

    median = {what: statistics.median(seconds) for what, seconds in times.items()}
    table = Table()
    rate = lambda what, work, unit, scale: f"{work / median[what] / scale:.3g} {unit}"
    for peer, what, key, work, unit, scale, target in [
        ("Triton's interpreter", "per-token quantize 1024 x 1024", "quantize many", MANY * COLS, "M elements/s", 1e6, 100),
        ("Triton's interpreter", "int8 GEMM 256^3 (its tl.dot on tiles of 64^3)", "gemm", EDGE**3, "M MAC/s", 1e6, 20),
        ("Numba's simulator", "per-token quantize 64 x 1024", "quantize few", FEW * COLS, "M elements/s", 1e6, 4000),
    ]:
        theirs = f"{peer.split(chr(39))[0].lower()} {key}"
        ratio = median[theirs] / median[key]
        table.row(f"{what}, against {peer}", rate(key, work, unit, scale), rate(theirs, work, unit, scale), f"{ratio:,.0f}", f"{target:,}")
    for kind in ("mma", "wgmma"):
        table.row(f"`{kind}` of int8 on one core", f"{1e-9 / median[kind]:.3g} G MAC/s", "", "", "0.5 G MAC/s")
    spread = max(median[f"rows {rows}"] for rows in (64, 256, 1024, 4096)) / min(median[f"rows {rows}"] for rows in (64, 256, 1024, 4096))
    each = ", ".join(f"{median[f'rows {rows}'] * 1e9:.3g}" for rows in (64, 256, 1024, 4096))
    table.row("time an element, quantize of 64, 256, 1024, 4096 x 1024", f"{each} ns", "", f"slowest / fastest {spread:.2f}", "linear")
    size = 64 << 20
    for kind, how in (("touch_rows", "16 bytes a thread, side by side"), ("touch_bytes", "byte by byte, neighbours backwards")):
        # A process of its own for each: memory that was given back would hide what is taken next.
        bytes_each = Ours(binary, threads=1).ask("touch", HERE / "ptx" / f"{kind}.ptx", size)[0] / size
        table.row(f"shadow of a buffer written {how}", f"{bytes_each:.2f} bytes a byte", "", "", "at most 12")
    import numba, torch, triton

    versions = f"Triton {triton.__version__}, Numba {numba.__version__}, NumPy {np.__version__}, Python {platform.python_version()}"
    cores = len(os.sched_getaffinity(0))
    day = datetime.datetime.now(datetime.timezone.utc).date()
    note = f"{day}, {cores} cores {platform.machine().replace('_', '-')}, {versions}; medians of {rounds} rounds, load {load:.1f} at the start. Ours has every check on."
    return "\n".join(table.lines) + f"\n\n{note}\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--venv", type=pathlib.Path, default=ROOT / "target" / "peers", help="the environment of the peers")
    parser.add_argument("--binary", type=pathlib.Path, help="a sim_work that is built already")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--write", action="store_true", help="put the table into the simulator's README")
    args = parser.parse_args()
    enter(args.venv)
    with tempfile.TemporaryDirectory() as folder:
        table = measure(args.binary or build(), args.rounds, pathlib.Path(folder))
    print(table, end="")
    if args.write:
        path = ROOT / "host" / "ptx-sim" / "README.md"
        before, _, rest = path.read_text().partition(MARKS[0])
        old, end, after = rest.partition(MARKS[1])
        if not end:
            sys.exit(f"sim_peers.py: {path} has no line {MARKS[0].strip()}")
        path.write_text(before + MARKS[0] + table + end + after)


if __name__ == "__main__":
    main()
