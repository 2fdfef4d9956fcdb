#!/usr/bin/env python3
"""One measuring run: ours and the peers in turns on the same data, the most important first, until the time is up.

usage: measure.py --ours BINARY [--seconds N] [--groups NAME,..] [--runs FOLDER] [--verify FILE.json] [--commit C] [--no-peers]

gpu.sh is what people call: it checks what is needed, verifies the kernels and calls this. Two workers stay alive for the whole
run, `outerscale bench --serve` and `peers.py --serve`; each answers a line of JSON with one. Standard library only.
"""
import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import codes
import record
import report
import shapes

HERE = Path(__file__).resolve().parent


class Worker:
    """A program that answers a line with a line, and ends after an error: a GPU's context is of no use then."""

    def __init__(self, command, environment=None):
        self.command, self.environment = command, os.environ | (environment or {})
        self.start()

    def start(self):
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(self.command, stdin=pipe, stdout=pipe, text=True, bufsize=1, env=self.environment)
        self.about = self._answer()

    def _answer(self):
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"{Path(self.command[0]).name} ended with status {self.process.wait()}")
        answer = json.loads(line)
        if "error" in answer:
            raise RuntimeError(answer["error"])
        return answer

    def ask(self, request):
        try:
            self.process.stdin.write(json.dumps(request) + "\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            pass  # The answer, or the want of one, tells.
        return self._answer()

    def stop(self):
        try:
            self.process.stdin.close()
            self.process.wait(timeout=20)
        except (BrokenPipeError, subprocess.TimeoutExpired):
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()


def same_data(job, facts):
    """Holds the workers' checksums against each other: other data would be no comparison."""
    sums = [{key: fact.get(key) for key in ("x_codes", "w_codes")} for fact in facts.values()]
    if any(other != sums[0] for other in sums):
        raise RuntimeError(f"the workers' codes differ: {sums}")


def measure(job, workers, sampler):
    """All rows of a job: round by round, every second round in the opposite order."""
    # A sweep's shapes between those of the peers are ours alone.
    asked = {name: worker for name, worker in workers.items() if name == "ours" or job["peers"]}
    facts = {name: worker.ask({"prepare": job}) for name, worker in asked.items()}
    same_data(job, facts)
    turns = [("ours", "ours")] + [("peers", peer) for peer in job["peers"] if "peers" in asked]
    rows, out = [], set()
    for number in range(job["rounds"]):
        for worker, who in turns if number % 2 == 0 else turns[::-1]:
            if who in out:
                continue
            row = asked[worker].ask({"time": who})
            if "median_us" not in row:
                out.add(who)
            elif sampler:
                # The answer comes right after the last sample.
                end = time.monotonic()
                row["clocks"] = sampler.between(end - row["timed_seconds"] - record.SAMPLE_MS / 1000, end)
            rows.append({"round": number + 1} | row | {"who": who})
    return job | {"facts": facts, "rows": rows}


def run(jobs, workers, sampler, deadline, tell):
    """Measures until the deadline: (jobs done, jobs that were not reached, what failed)."""
    done, failed = [], []
    for index, job in enumerate(jobs):
        if time.monotonic() >= deadline:
            return done, jobs[index:], failed
        try:
            done.append(measure(job, workers, sampler))
            tell(done[-1])
        except RuntimeError as error:
            failed.append(f"{' '.join(shapes.label(job).split())}: {error}")
            print(f"FAILED {failed[-1]}", file=sys.stderr)
            # One job is lost, not the run: both begin afresh, as operands of either may be gone.
            for worker in workers.values():
                worker.stop()
                worker.start()
    return done, [], failed


def line(job, seconds):
    """What is said of a job when it is done."""
    times = {who: report.median_us(job, who) for who in dict.fromkeys(row["who"] for row in job["rows"])}
    said = ", ".join(f"{who} {us:.1f} us" if us else f"{who} -" for who, us in times.items())
    return f"{seconds:6.1f} s  {shapes.label(job)}  {said}"


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--ours", required=True, metavar="BINARY")
    parser.add_argument("--backend", default="cuda", help=argparse.SUPPRESS)
    parser.add_argument("--seconds", type=float, default=420, help="for the measuring; what is not reached is listed")
    parser.add_argument("--groups", help=f"only these, of {', '.join(dict.fromkeys(j['group'] for j in shapes.jobs()))}")
    parser.add_argument("--runs", type=Path, default=HERE / "runs")
    parser.add_argument("--verify", type=Path, help="what `outerscale verify --json` said before")
    parser.add_argument("--commit", default="unknown")
    parser.add_argument("--no-peers", action="store_true")
    args = parser.parse_args()

    deadline = time.monotonic() + args.seconds
    jobs = list(shapes.jobs())
    if args.groups:
        groups = args.groups.split(",")
        if unknown := set(groups) - {job["group"] for job in jobs}:
            parser.error(f"--groups: there is no {', '.join(sorted(unknown))}")
        jobs = [job for job in jobs if job["group"] in groups]
    machine = record.machine()
    # The JIT works anew and at once: its time is a fact of the record.
    jit = {"CUDA_CACHE_DISABLE": "1", "CUDA_MODULE_LOADING": "EAGER"}
    workers = {"ours": Worker([args.ours, "bench", "--serve", "--backend", args.backend], jit)}
    if not args.no_peers:
        workers["peers"] = Worker([sys.executable, str(HERE / "peers.py"), "--serve"])
    sampler = record.Sampler()
    start = time.monotonic()
    tell = lambda job: print(line(job, time.monotonic() - start), file=sys.stderr)
    done, left, failed = run(jobs, workers, sampler, deadline, tell)
    during = sampler.between(start, time.monotonic())
    kernels = workers["ours"].ask({"kernels": None})
    for worker in workers.values():
        worker.stop()
    sampler.stop()

    kept = {
        "format": 2, "date": record.now(), "commit": args.commit, "machine": machine, "data": codes.KINDS,
        "budget_seconds": args.seconds, "failed": failed, "during_the_run": during,
        "verify": json.loads(args.verify.read_text()) if args.verify else None,
        "about": {name: worker.about for name, worker in workers.items()},
        "kernels": kernels, "jobs": done, "not_reached": [shapes.label(job) for job in left],
    }
    path = record.keep(kept, args.runs)
    for made in report.make(path):
        print(made)
    if failed:
        sys.exit(f"measure.py: {len(failed)} jobs failed, the first: {failed[0]}")


if __name__ == "__main__":
    main()
