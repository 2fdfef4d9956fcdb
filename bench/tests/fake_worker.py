"""A worker that answers as `outerscale bench --serve` and `peers.py --serve` do, with times by a rule: who, us for M.

usage: fake_worker.py PLACE.json    {"us": {who: microseconds}, "fail": op or absent, "codes": checksum}
"""
import json
import sys

rules = json.load(open(sys.argv[1]))
print(json.dumps({"place": {"device": "Fake", "int8_operations_per_clock": 1081344}, "gpu": "Fake", "torch": "2", "cuda": "13", "triton": "3"}), flush=True)
for line in sys.stdin:
    request = json.loads(line)
    if "prepare" in request:
        job = request["prepare"]
        if job["op"] == rules.get("fail"):
            print(json.dumps({"error": f"no {job['op']}"}), flush=True)
            sys.exit(2)
        answer = {"x_codes": rules["codes"], "w_codes": rules["codes"]}
    elif "time" in request:
        us = rules["us"].get(request["time"])
        answer = {"refused": "M must be more than 16"} if us is None else {
            "median_us": us, "p10_us": us, "p90_us": us, "samples": 5, "timed_seconds": 0.01}
    else:
        kernel = {"kernel": "gemm", "registers": 168, "local_bytes": 0, "static_shared_bytes": 0, "binary_version": 90, "ptx_version": 80}
        answer = {"modules": [{"module": "gemm", "seconds": 0.25}], "kernels": [kernel]}
    print(json.dumps(answer), flush=True)
