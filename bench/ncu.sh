#!/usr/bin/env bash
# Profiles one kernel with Nsight Compute.
#
# usage: bench/ncu.sh KERNEL M,N,K [OUTERSCALE_BINARY]
#   KERNEL  the beginning of an entry's name: gemm, gemm_t128x128, quantize_token_warp. The kernel that is
#           preferred for the shape is the one that runs: ncu says so if no other was found.
#   M,N,K   the shape; kernels of one matrix take its M and K
# needs: ncu, and the right to read counters (root, or NVreg_RestrictProfilingToAdminUsers=0)
#
# Opens nothing: the report, KERNEL-MxNxK.ncu-rep, is for ncu-ui, whose source page shows Rust lines.
set -euo pipefail

fail() { echo "ncu.sh: $*" >&2; exit 2; }
[[ $# -ge 2 ]] || fail "usage: bench/ncu.sh KERNEL M,N,K [OUTERSCALE_BINARY]"
kernel=$1 shape=$2
here=$(cd "$(dirname "$0")" && pwd)
binary=${3:-$here/../target/release/outerscale}
[[ $shape =~ ^[0-9]+,[0-9]+,[0-9]+$ ]] || fail "the shape is M,N,K, as 4096,4096,4096, got $shape"
[[ $kernel =~ ^[a-z0-9_]+$ ]] || fail "a kernel's name has letters, digits and _, got $kernel"
command -v ncu >/dev/null || fail "no ncu on PATH: it is part of the CUDA toolkit (Nsight Compute)"
[[ -x $binary ]] || fail "no program $binary: build it with 'cargo build --release', or name one"

# The bench is named as the op, with which an entry's name begins.
op=
for name in row_absmax tensor_absmax quantize_token quantize_tensor quantize_static pack_rows gemm; do
    [[ $kernel == "$name"* ]] && op=$name
done
[[ $op ]] || fail "no op's kernels begin with $kernel: '$binary inspect' lists them"

# The first launches warm up; one is enough to look at. --set full replays it for every group of counters.
exec ncu --set full --import-source yes --kernel-name "regex:^$kernel" --launch-skip 3 --launch-count 1 \
    --force-overwrite --export "$kernel-${shape//,/x}" \
    "$binary" bench --backend cuda --only "$op" --shape "$shape"
