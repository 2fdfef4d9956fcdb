#!/usr/bin/env bash
# Profiles one kernel with Nsight Compute.
#
# usage: bench/ncu.sh KERNEL MxNxK [OUTERSCALE_BINARY]
#   KERNEL  an entry's name or the beginning of it: gemm_t128x128_f32, quantize_token_warp
#   MxNxK   the shape; N is left alone by kernels without one
# needs: ncu, and the right to read counters (root, or NVreg_RestrictProfilingToAdminUsers=0)
#
# Opens nothing: the report, KERNEL-MxNxK.ncu-rep, is for ncu-ui, whose source page shows Rust lines.
set -euo pipefail

fail() { echo "ncu.sh: $*" >&2; exit 2; }
[[ $# -ge 2 ]] || fail "usage: bench/ncu.sh KERNEL MxNxK [OUTERSCALE_BINARY]"
kernel=$1 shape=$2
here=$(cd "$(dirname "$0")" && pwd)
binary=${3:-$here/../target/release/outerscale}
[[ $shape =~ ^[0-9]+x[0-9]+x[0-9]+$ ]] || fail "the shape is MxNxK, as 4096x4096x4096, got $shape"
[[ $kernel =~ ^[a-z0-9_]+$ ]] || fail "a kernel's name has letters, digits and _, got $kernel"
command -v ncu >/dev/null || fail "no ncu on PATH: it is part of the CUDA toolkit (Nsight Compute)"
[[ -x $binary ]] || fail "no program $binary: build it with 'cargo build --release', or name one"

# The first launches warm up; one is enough to look at. --set full replays it for every group of counters.
exec ncu --set full --import-source yes --kernel-name "regex:^$kernel" --launch-skip 3 --launch-count 1 \
    --force-overwrite --export "$kernel-$shape" \
    "$binary" bench --backend cuda --only "$kernel" --shape "$shape"
