#!/usr/bin/env python3
"""Cuts a recorded layer to its first whole sentences of at most TOKENS tokens.

usage: cut.py RECORDED.safetensors OUT.safetensors [TOKENS]        needs: pip install numpy safetensors
"""
import sys
from safetensors.numpy import load_file, save_file

source, out = sys.argv[1:3]
tokens = int(sys.argv[3]) if len(sys.argv) > 3 else 128
recorded = load_file(source)
sentence = recorded["sentence_id"]
# Whole sentences only: row 0 of a sentence is [CLS], which carries the outliers, its last row is [SEP].
keep = max(end for end in range(1, tokens + 1) if end == len(sentence) or sentence[end] != sentence[end - 1])
cut = {"x": recorded["x"][:keep], "sentence_id": sentence[:keep]} | {name: recorded[name] for name in ("w", "bias", "calib_absmax")}
save_file(cut, out)
print(f"{keep} tokens, {sentence[keep - 1] + 1} sentences")
