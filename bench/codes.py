"""The random codes that ours and the peers multiply: the same bits in Rust (`host/outerscale/src/bench/codes.rs`) and here.

A matrix is made by counting: element (row, col) of a [rows, cols] matrix follows from its index and a salt alone, by
splitmix64 (Steele, Lea, Flood, OOPSLA 2014). Column 0 is 127, so that a quantizer's scale of every row is that of the
codes, a power of two, and quantizing gives back the codes that the peers are handed.
"""

X_SALT, W_SALT = 1, 2
# Values are codes times these: exact in bf16, whose 8 bits hold every code.
X_UNIT, W_UNIT = 2.0**-5, 2.0**-9

KINDS = {
    "normal": "codes as a per-token quantizer makes them of normally distributed values: standard deviation 36, ends at 127",
    "uniform": "all codes from -127 to 127 alike: more bits toggle, which takes more power",
}

GOLDEN, FIRST, SECOND = 0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB
# The sum of eight bytes has mean 1020 and standard deviation 209; 731 is 3.5 of those.
MEAN, LARGEST = 1020, 731
WORD = (1 << 64) - 1


def mix(index, salt):
    """64 random bits."""
    z = (index * GOLDEN + salt * SECOND) & WORD
    z = (z ^ z >> 30) * FIRST & WORD
    z = (z ^ z >> 27) * SECOND & WORD
    return z ^ z >> 31


def code(kind, salt, index, cols):
    """One code, in plain integers: what the two fast ways are held against."""
    if index % cols == 0:
        return 127
    z = mix(index, salt)
    if kind == "uniform":
        return (z >> 32) % 255 - 127
    centred = sum(z.to_bytes(8, "little")) - MEAN
    magnitude = min((abs(centred) * 127 + LARGEST // 2) // LARGEST, 127)
    return magnitude if centred >= 0 else -magnitude


def _signed(word):
    """An unsigned 64-bit constant as the int64 with its bits: torch multiplies those with wrap-around."""
    return word - (1 << 64) if word >> 63 else word


def _shift(z, bits):
    """A logical shift of int64: torch's is arithmetic."""
    return (z >> bits) & ((1 << 64 - bits) - 1)


def matrix(torch, kind, salt, rows, cols, device):
    """Codes i8 [rows, cols] on `device`."""
    out = torch.empty(rows * cols, dtype=torch.int8, device=device)
    # Int64 takes eight times the bytes of the codes: in parts, so that the largest weights need no gigabytes of it.
    part = 1 << 24
    for start in range(0, rows * cols, part):
        index = torch.arange(start, min(start + part, rows * cols), dtype=torch.int64, device=device)
        z = index * _signed(GOLDEN) + _signed(salt * SECOND & WORD)
        z = (z ^ _shift(z, 30)) * _signed(FIRST)
        z = (z ^ _shift(z, 27)) * _signed(SECOND)
        z = z ^ _shift(z, 31)
        if kind == "uniform":
            codes = _shift(z, 32) % 255 - 127
        else:
            centred = sum(_shift(z, 8 * byte) & 255 for byte in range(8)) - MEAN
            codes = ((centred.abs() * 127 + LARGEST // 2) // LARGEST).clamp(max=127) * centred.sign()
        codes[index % cols == 0] = 127
        out[start : start + codes.numel()] = codes.to(torch.int8)
    return out.view(rows, cols)


def checksum(matrix):
    """Sum and sum of magnitudes, which ours prints too."""
    wide = matrix.view(-1).long()
    return [int(wide.sum()), int(wide.abs().sum())]
