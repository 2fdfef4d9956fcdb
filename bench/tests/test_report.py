"""Data, shapes, targets and plots on figures that are known."""
import math
import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
import codes
import plot
import report
import shapes


class Codes(unittest.TestCase):
    def test_the_first_codes(self):
        # The same figures stand in bench/codes.rs.
        self.assertEqual([codes.code("normal", 2, i, 101) for i in range(10)], [127, -27, 90, 46, 13, 17, 27, 7, 88, -55])
        self.assertEqual([codes.code("uniform", 2, i, 101) for i in range(10)], [127, 79, 98, 3, 69, 61, 12, -25, 41, -76])

    def test_they_are_spread_as_said(self):
        for kind, deviation in (("normal", 36.3), ("uniform", 73.6)):
            found = [codes.code(kind, 1, i, 1 << 30) for i in range(1, 20001)]
            mean = sum(found) / len(found)
            spread = math.sqrt(sum((c - mean) ** 2 for c in found) / len(found))
            self.assertLess(abs(mean), 1.5)
            self.assertLess(abs(spread / deviation - 1), 0.02)
            self.assertEqual((min(found), max(found)), (-127, 127))

    def test_every_row_begins_with_the_largest_code(self):
        self.assertEqual([codes.code("normal", 1, row * 7, 7) for row in range(5)], [127] * 5)


class Shapes(unittest.TestCase):
    def test_the_first_jobs_are_the_headline(self):
        groups = [job["group"] for job in shapes.jobs()]
        self.assertEqual(groups[:5], ["copy", "headline", "headline", "headline", "quantize"])

    def test_no_linear_and_no_count_of_tokens_is_left_out(self):
        prefill = {(job["m"], job["n"], job["k"]) for job in shapes.jobs() if job["group"] == "prefill"}
        self.assertEqual(len(prefill), 8 * 6)
        decode = [job for job in shapes.jobs() if job["group"] == "decode"]
        self.assertTrue(all(job["n"] * job["k"] >= 64e6 for job in decode))
        self.assertEqual({job["m"] for job in decode}, {1, 2, 4, 8, 16, 32, 64})
        self.assertEqual([job["m"] for job in shapes.jobs() if job["group"] == "sweep"], list(range(1, 129)))
        self.assertTrue(all(job["m"] >= 2048 for job in shapes.jobs() if job["group"] == "layer"))

    def test_least_bytes(self):
        self.assertEqual(shapes.least_bytes(shapes.job("", "gemm", 2, 3, 5, [])), 10 + 15 + 12)
        self.assertEqual(shapes.least_bytes(shapes.job("", "gemm", 2, 3, 5, [], out="i32")), 10 + 15 + 24)
        self.assertEqual(shapes.least_bytes(shapes.job("", "layer", 2, 3, 5, [])), 20 + 15 + 12)
        self.assertEqual(shapes.least_bytes(shapes.job("", "quantize_token", 2, 1, 5, [])), 30)


def measured(job, **us):
    rows = [{"round": 1, "who": who.replace("_", " "), "median_us": time} for who, time in us.items()]
    return job | {"rows": rows}


class Targets(unittest.TestCase):
    def record(self, jobs):
        return {"jobs": jobs, "about": {"ours": {"place": {"int8_operations_per_clock": 1000}}}}

    def copy(self):
        # 2 GiB in 1000 us.
        return measured(shapes.job("copy", "copy", 1 << 30, 1, 1, ["torch copy"]), ours=1100.0, torch_copy=1000.0)

    def found(self, jobs, start):
        return next(t for t in report.targets(self.record(jobs)) if t["target"].startswith(start))

    def test_nothing_measured_reaches_nothing(self):
        self.assertEqual({t["reached"] for t in report.targets(self.record([]))}, {None})

    def test_the_best_peer_is_an_int8_peer(self):
        job = measured(shapes.job("prefill", "gemm", 4096, 64, 64, shapes.GEMM), ours=10.0, torch_linear_bf16=5.0, triton_int8=12.0)
        self.assertEqual(report.best_peer(job), ("triton int8", 12.0))
        target = self.found([job], "Llama")
        self.assertEqual((target["got"], target["reached"]), ("1.200 x", True))

    def test_the_least_decides_and_the_mean_is_geometric(self):
        def job(theirs):
            return measured(shapes.job("prefill", "gemm", 512, 64, 64, shapes.GEMM), ours=10.0, triton_int8=theirs)

        target = self.found([job(40.0), job(9.0)], "Llama")
        self.assertEqual((target["got"], target["reached"]), ("0.900 x", False))
        self.assertEqual(self.found([job(40.0), job(10.0)], "the same")["got"], "2.000 x")

    def test_decode_is_held_against_the_faster_copy(self):
        decode = measured(shapes.job("decode", "gemm", 1, 8192, 8192, shapes.GEMM), ours=40.0)
        target = self.found([self.copy(), decode], "M 1 to 64")
        share = (8192 * 8192 + 8192 + 2 * 8192) / 40 / (2 << 30) * 1000
        self.assertEqual((target["got"], target["reached"]), (f"{share:.1%}", False))

    def test_only_int32_and_normal_data_count_as_the_headline(self):
        job = measured(shapes.job("headline", "gemm", 8192, 8192, 8192, shapes.GEMM), **{"ours": 1.0})
        job["rows"].append({"round": 1, "who": "torch._int_mm", "median_us": 9.0})
        self.assertIsNone(self.found([job], "8192^3, i32")["reached"])
        self.assertTrue(self.found([job | {"out": "i32"}], "8192^3, i32")["reached"])

    def test_share_of_the_peak_at_the_clock(self):
        job = measured(shapes.job("headline", "gemm", 100, 100, 100, []), ours=2.0)
        job["rows"][0]["clocks"] = {"sm_mhz": {"median": 2000.0}}
        # 2e6 operations in 2 us at 1000 a clock and 2000 clocks a us.
        self.assertEqual(report.clock_share(self.record([job]), job), 0.5)

    def test_steps_are_between_neighbours(self):
        sweep = [measured(shapes.job("sweep", "gemm", m, 8, 8, []), ours=us) for m, us in ((1, 1.0), (2, 3.0), (4, 9.0))]
        self.assertEqual(report.steps(self.record(sweep)), [(1, 3.0)])


class Plots(unittest.TestCase):
    def test_nothing_to_draw_draws_nothing(self):
        self.assertIsNone(plot.svg([plot.Panel("a", "M", {"b": []}, 1.0)]))
        self.assertIsNone(plot.svg([plot.Panel("a", "M", {"b": [(1, None)]}, None)]))

    def test_names_are_escaped_and_points_lie_within(self):
        svg = plot.svg([plot.Panel("a < b", "M", {"c & d": [(1, 0.5), (64, 2.0)]}, 1.0)])
        self.assertIn("a &lt; b", svg)
        self.assertIn("c &amp; d", svg)
        import re

        for x, y in re.findall(r'cx="([\d.]+)" cy="([\d.]+)"', svg):
            self.assertTrue(plot.LEFT <= float(x) <= plot.WIDTH and 0 <= float(y) <= plot.HEIGHT)

    def test_one_point_is_a_plot(self):
        self.assertIn("<circle", plot.svg([plot.Panel("a", "M", {"b": [(1, 1.0)]}, None)]))


if __name__ == "__main__":
    unittest.main()
