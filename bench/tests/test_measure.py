"""A whole run without a GPU: workers and nvidia-smi are stand-ins, everything between is what runs on a GPU."""
import json
import os
import stat
import sys
import tempfile
import time
import unittest
import xml.etree.ElementTree
from pathlib import Path
from unittest import mock

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
import measure
import record
import report
import shapes

NVIDIA_SMI = """#!/bin/sh
case "$*" in
  *clocks_event_reasons*,*|*loop-ms*) while :; do echo "1900, 3201, 650.5, 60, 0x0000000000000004"; sleep 0.01; done ;;
  *clocks_event_reasons*) echo 0x0 ;;
  *) echo "NVIDIA Fake 9000, 580.1, 96.0, 700.00, 1980, 3201, Enabled, Disabled" ;;
esac
"""
OURS = {"ours": 100.0}
PEERS = {"torch copy": 120.0, "torch._int_mm": 110.0, "torch linear bf16": 190.0, "triton int8": 150.0, "triton quantize": 300.0}


class Stand(unittest.TestCase):
    """A folder with stand-ins for both workers and nvidia-smi."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        smi = self.folder / "nvidia-smi"
        smi.write_text(NVIDIA_SMI)
        smi.chmod(smi.stat().st_mode | stat.S_IXUSR)
        path = mock.patch.dict(os.environ, {"PATH": f"{self.folder}:{os.environ['PATH']}"})
        path.start()
        self.addCleanup(path.stop)

    def worker(self, name, us, codes=(1, 2), fail=None):
        rules = self.folder / f"{name}.json"
        rules.write_text(json.dumps({"us": us, "codes": list(codes), "fail": fail}))
        worker = measure.Worker([sys.executable, str(HERE / "fake_worker.py"), str(rules)])
        self.addCleanup(worker.stop)
        return worker

    def run_all(self, workers, jobs=None, seconds=60):
        sampler = record.Sampler()
        while not sampler.lines:
            time.sleep(0.01)
        done = measure.run(jobs or list(shapes.jobs()), workers, sampler, time.monotonic() + seconds, lambda job: None)
        sampler.stop()
        return done


class Runs(Stand):
    def test_a_whole_run_is_recorded_and_told(self):
        workers = {"ours": self.worker("ours", OURS), "peers": self.worker("peers", PEERS)}
        done, left, failed = self.run_all(workers)
        self.assertEqual((len(done), left, failed), (len(list(shapes.jobs())), [], []))
        kept = {
            "format": 2, "date": "2030-01-02T00:00:00+00:00", "commit": "abc-dirty", "machine": record.machine(), "data": {},
            "budget_seconds": 60, "failed": failed, "during_the_run": {}, "verify": None,
            "about": {name: worker.about for name, worker in workers.items()},
            "kernels": workers["ours"].ask({"kernels": None}), "jobs": done, "not_reached": left,
        }
        path = record.keep(kept, self.folder / "runs")
        self.assertEqual(path.name, "2030-01-02-nvidia-fake-9000-abc-dirty.json")
        self.assertEqual(record.keep(kept, self.folder / "runs").name, "2030-01-02-nvidia-fake-9000-abc-dirty-2.json")
        made = report.make(path)
        self.assertEqual([file.suffix for file in made], [".json", ".md", ".svg"])
        text = made[1].read_text()
        for part in ("power limit 700.00 W", "| gemm | 168 | 0 | 0 | 90 | 80 |", "gemm 250 ms", "refused", "1900", "650"):
            self.assertIn(part, text)
        xml.etree.ElementTree.fromstring(made[2].read_text())
        reached = {t["target"]: t["reached"] for t in report.targets(json.loads(path.read_text()))}
        self.assertEqual(list(reached.values()).count(None), 0, reached)

    def test_clocks_lie_beside_each_time(self):
        done, _, _ = self.run_all({"ours": self.worker("ours", OURS)}, list(shapes.jobs())[:2])
        clocks = done[1]["rows"][0]["clocks"]
        self.assertEqual((clocks["sm_mhz"]["median"], clocks["watts"]["median"]), (1900, 650.5))
        self.assertEqual(clocks["clocks_event_reasons"], ["0x0000000000000004"])

    def test_turns_alternate(self):
        workers = {"ours": self.worker("ours", OURS), "peers": self.worker("peers", PEERS)}
        done, _, _ = self.run_all(workers, [next(j for j in shapes.jobs() if j["group"] == "quantize")])
        order = [(row["round"], row["who"]) for row in done[0]["rows"]]
        ours, peer = "ours", "triton quantize"
        self.assertEqual(order, [(1, ours), (1, peer), (2, peer), (2, ours), (3, ours), (3, peer)])

    def test_what_the_time_did_not_reach_is_listed(self):
        jobs = list(shapes.jobs())
        done, left, _ = self.run_all({"ours": self.worker("ours", OURS)}, jobs, seconds=-1)
        self.assertEqual((done, left), ([], jobs))

    def test_a_failed_job_is_told_and_the_others_go_on(self):
        jobs = list(shapes.jobs())[:6]
        done, left, failed = self.run_all({"ours": self.worker("ours", OURS, fail="quantize_token")}, jobs)
        self.assertEqual((len(done), left, len(failed)), (5, [], 1))
        self.assertIn("no quantize_token", failed[0])

    def test_other_data_are_no_comparison(self):
        workers = {"ours": self.worker("ours", OURS), "peers": self.worker("peers", PEERS, codes=(1, 3))}
        done, _, failed = self.run_all(workers, list(shapes.jobs())[1:2])
        self.assertEqual(done, [])
        self.assertIn("codes differ", failed[0])

    def test_our_sweep_asks_peers_only_where_they_are_wanted(self):
        job = next(job for job in shapes.jobs() if job["group"] == "sweep" and job["m"] == 2)
        workers = {"ours": self.worker("ours", OURS), "peers": self.worker("peers", PEERS, fail="gemm")}
        done, _, failed = self.run_all(workers, [job])
        self.assertEqual(([row["who"] for row in done[0]["rows"]], failed), (["ours"], []))


if __name__ == "__main__":
    unittest.main()
