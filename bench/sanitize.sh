#!/usr/bin/env bash
# Runs the kernels under NVIDIA's compute-sanitizer: the same questions as the simulator's checks, asked of hardware.
#
# usage: bench/sanitize.sh [NAME] [OUTERSCALE_BINARY]
#   NAME    only kernels whose name holds this, as of 'outerscale verify --only' [default: gemm, then quantize_token]
# needs: compute-sanitizer (part of the CUDA toolkit); takes minutes, since every access is looked at
#
# memcheck: bounds and alignment; racecheck: shared memory; synccheck: barriers; initcheck: reads of what nobody wrote.
set -euo pipefail

fail() { echo "sanitize.sh: $*" >&2; exit 2; }
here=$(cd "$(dirname "$0")" && pwd)
binary=$here/outerscale
[[ -x $binary ]] || binary=$here/../target/release/outerscale
binary=${2:-$binary}
names=(gemm quantize_token)
[[ $# -eq 0 ]] || names=("$1")
for name in "${names[@]}"; do
    [[ $name =~ ^[a-z0-9_]+$ ]] || fail "a kernel's name has letters, digits and _, got $name"
done
command -v compute-sanitizer >/dev/null || fail "no compute-sanitizer on PATH: it is part of the CUDA toolkit"
[[ -x $binary ]] || fail "no program $binary: build it with 'cargo build --release', or name one"

found=0
for tool in memcheck racecheck synccheck initcheck; do
    for name in "${names[@]}"; do
        echo "== $tool, $name" >&2
        # Status 1 is verify's own; 9 says that the tool found something.
        compute-sanitizer --tool "$tool" --error-exitcode 9 --print-limit 10 \
            "$binary" verify --backend cuda --only "$name" || { found=1; echo "== $tool, $name: NOT CLEAN" >&2; }
    done
done
exit "$found"
