#!/usr/bin/env bash
# Times our kernels and their peers on this machine's GPU, in one run, and keeps a record of it.
#
# usage: [ROUNDS=3] [SHAPES="M,N,K M,N,K ..."] bench/gpu.sh [OUTERSCALE_BINARY]      default: target/release/outerscale
# needs: nvidia-smi, python3; torch with CUDA (and triton) for the peers, which are left out without it
#
# Ours and the peers are measured in turns, so that a GPU that gets warmer or slower does so for both. Clocks,
# power and temperature are sampled all the while. The record goes to bench/runs/DATE-GPU-COMMIT.json.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
binary=${1:-$here/../target/release/outerscale}
rounds=${ROUNDS:-3}
shapes=${SHAPES:-1,4096,4096 16,4096,4096 256,4096,4096 1024,1024,1024 4096,4096,4096 8192,8192,8192}

fail() { echo "gpu.sh: $*" >&2; exit 2; }
command -v nvidia-smi >/dev/null || fail "no nvidia-smi here: run this on a machine with an NVIDIA GPU"
nvidia-smi -L >/dev/null 2>&1 || fail "nvidia-smi finds no GPU"
[[ -x $binary ]] || fail "no program $binary: build it with 'cargo build --release', or name one"

work=$(mktemp -d)
sampler=
trap '[[ -n $sampler ]] && kill "$sampler" 2>/dev/null; rm -rf "$work"' EXIT

# A fast wrong kernel is no result: everything is compared with the reference first.
echo "verify ..." >&2
"$binary" verify --backend cuda --json >"$work/verify.json" || fail "a kernel is wrong on this GPU: see '$binary verify --backend cuda'"

nvidia-smi --id=0 --format=csv,noheader,nounits --loop-ms=100 \
    --query-gpu=timestamp,clocks.sm,clocks.mem,power.draw,temperature.gpu,clocks_event_reasons.active >"$work/samples.csv" 2>/dev/null &
sampler=$!

peers=yes
if ! why=$(python3 -c 'import torch, sys; sys.exit(0 if torch.cuda.is_available() else "torch sees no CUDA device")' 2>&1); then
    peers=
    echo "gpu.sh: without the peers: ${why##*$'\n'}" >&2
fi
for ((round = 1; round <= rounds; round++)); do
    for shape in $shapes; do
        echo "round $round of $rounds, $shape" >&2
        "$binary" bench --backend cuda --json --shape "$shape" >"$work/ours.$round.$shape.json"
        [[ -z $peers ]] || python3 "$here/peers.py" --shape "${shape//,/x}" --out "$work/peers.$round.$shape.json"
    done
done
kill "$sampler" && wait "$sampler" 2>/dev/null || true
sampler=

python3 "$here/record.py" "$work" "$here/runs" "$(git -C "$here" describe --always --dirty --abbrev=12 2>/dev/null || echo unknown)"
