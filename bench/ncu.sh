#!/usr/bin/env bash
# Profiles one kernel with Nsight Compute.
#
# usage: bench/ncu.sh KERNEL M,N,K [OUTERSCALE_BINARY]
#   KERNEL  the beginning of an entry's name: gemm, gemm_h128x256, quantize_token. The kernel that is
#           chosen for the shape is the one that runs ('outerscale inspect --shape M,N,K' says which): ncu says so if no
#           other was found.
#   M,N,K   the shape; kernels of one matrix take its M and K
# needs: ncu, and the right to read counters (root, or NVreg_RestrictProfilingToAdminUsers=0)
#
# Prints the sections; the report, KERNEL-MxNxK.ncu-rep, is for ncu-ui, whose source page shows Rust lines: the PTX has line
# information, and the sources are kept in the report where this machine has them.
set -euo pipefail

fail() { echo "ncu.sh: $*" >&2; exit 2; }
[[ $# -ge 2 ]] || fail "usage: bench/ncu.sh KERNEL M,N,K [OUTERSCALE_BINARY]"
kernel=$1 shape=$2
here=$(cd "$(dirname "$0")" && pwd)
binary=$here/outerscale
[[ -x $binary ]] || binary=$here/../target/release/outerscale
binary=${3:-$binary}
[[ $shape =~ ^[0-9]+,[0-9]+,[0-9]+$ ]] || fail "the shape is M,N,K, as 4096,4096,4096, got $shape"
[[ $kernel =~ ^[a-z0-9_]+$ ]] || fail "a kernel's name has letters, digits and _, got $kernel"

# The bench is named as the op, with which an entry's name begins; of two that do the longer one is meant.
op=
for name in row_absmax row_sums column_absmax tensor_absmax running_scale quantize_token quantize_tensor quantize_static \
    quantize_asym quantize_preset quantize_outliers quantize_smooth_token quantize_smooth_static pack_rows pack_weights \
    outlier_columns outlier_list gemm gemm_asym gemm_outliers; do
    if [[ $kernel == "$name"* && ${#name} -gt ${#op} ]]; then op=$name; fi
done
[[ $op ]] || fail "no op's kernels begin with $kernel: '$binary inspect' lists them"
command -v ncu >/dev/null || fail "no ncu on PATH: it is part of the CUDA toolkit (Nsight Compute)"
[[ -x $binary ]] || fail "no program $binary: build it with 'cargo build --release', or name one"

# What the README says to look at, in its order, and the counters that the simulator has too, so that the two can be
# held against each other.
sections=(SpeedOfLight SpeedOfLight_RooflineChart ComputeWorkloadAnalysis MemoryWorkloadAnalysis MemoryWorkloadAnalysis_Tables
    MemoryWorkloadAnalysis_Chart WarpStateStats SchedulerStats InstructionStats LaunchStats Occupancy SourceCounters)
counters=smsp__inst_executed.sum,l1tex__data_bank_conflicts_pipe_lsu.sum,dram__bytes_read.sum,dram__bytes_write.sum
counters+=,lts__t_sectors_op_read.sum,lts__t_sectors_op_write.sum,sm__inst_executed_pipe_tensor.sum

# The first launches warm up; one is enough to look at. Caches are flushed and clocks held by ncu itself between replays.
exec ncu "${sections[@]/#/--section=}" --metrics "$counters" --import-source yes \
    --kernel-name "regex:^$kernel" --launch-skip 3 --launch-count 1 --force-overwrite --export "$kernel-${shape//,/x}" --print-details all \
    "$binary" bench --backend cuda --only "$op" --shape "$shape"
