#!/usr/bin/env python3
"""Writes the signs of list.txt anew: python3 record.py PTXAS (ptxas of nvidia-cuda-nvcc 13.0)."""

import concurrent.futures
import pathlib
import subprocess
import sys
import tempfile

LIST = pathlib.Path(__file__).resolve().parent / "list.txt"
TEXT = """.version 9.0
.target sm_90a
.address_size 64
.visible .entry k()
{{
.reg .pred %p<16>;
.reg .b16 %h<16>;
.reg .b32 %r<64>;
.reg .b64 %l<32>;
.reg .b128 %q<8>;
{statement}
ret;
}}
"""


def sign(statement):
    with tempfile.NamedTemporaryFile("w", suffix=".ptx") as file:
        file.write(TEXT.format(statement=statement))
        file.flush()
        command = [sys.argv[1], "-arch=sm_90a", file.name, "-o", "/dev/null"]
        return "+" if subprocess.run(command, capture_output=True).returncode == 0 else "-"


lines = LIST.read_text().splitlines()
comments = [line for line in lines if line.startswith("#")]
statements = [line.removeprefix("+ ").removeprefix("- ") for line in lines if line and not line.startswith("#")]
with concurrent.futures.ThreadPoolExecutor(2) as pool:
    signs = pool.map(sign, statements)
    LIST.write_text("\n".join(comments + [f"{sign} {text}" for sign, text in zip(signs, statements)]) + "\n")
