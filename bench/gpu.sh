#!/usr/bin/env bash
# Measures ours and the peers on this machine's GPU, in one run, and keeps a record of it with a table and a plot.
#
# usage: bench/gpu.sh [OUTERSCALE_BINARY] [FLAGS OF measure.py]      bench/gpu.sh --help lists them
#   SECONDS_LIMIT=480   for everything; what is not reached in it is listed in the record (the most important comes first)
# needs: nvidia-smi, python3; torch with CUDA (and triton) for the peers, which are left out without it
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
limit=${SECONDS_LIMIT:-480}

fail() { echo "gpu.sh: $*" >&2; exit 2; }
command -v python3 >/dev/null || fail "no python3 on PATH: it drives the run"
[[ ${1:-} != --help ]] || exec python3 "$here/measure.py" --help
# Beside this script in a bundle, under target/ in a checkout.
binary=$here/outerscale
[[ -x $binary ]] || binary=$here/../target/release/outerscale
if [[ $# -gt 0 && $1 != -* ]]; then binary=$1; shift; fi
[[ $limit =~ ^[0-9]+$ ]] || fail "SECONDS_LIMIT is a number of seconds, got '$limit'"
command -v nvidia-smi >/dev/null || fail "no nvidia-smi here: run this on a machine with an NVIDIA GPU"
nvidia-smi -L >/dev/null 2>&1 || fail "nvidia-smi finds no GPU"
[[ -x $binary ]] || fail "no program $binary: build it with 'cargo build --release', or name one"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# A fast wrong kernel is no result: everything is compared with the reference first.
echo "verify ..." >&2
"$binary" verify --backend cuda --json >"$work/verify.json" || fail "a kernel is wrong on this GPU: see '$binary verify --backend cuda'"

peers=()
if ! why=$(python3 -c 'import torch, sys; sys.exit(0 if torch.cuda.is_available() else "torch sees no CUDA device")' 2>&1); then
    peers=(--no-peers)
    echo "gpu.sh: without the peers: ${why##*$'\n'}" >&2
fi
commit=$(git -C "$here" describe --always --dirty --abbrev=12 2>/dev/null || cat "$here/commit" 2>/dev/null || echo unknown)
left=$((limit - SECONDS))
((left > 0)) || fail "verify took all of the $limit seconds: give more with SECONDS_LIMIT"
python3 "$here/measure.py" --ours "$binary" --verify "$work/verify.json" --commit "$commit" --seconds "$left" "${peers[@]}" "$@"
