//! Linear layers with 8-bit activations and 8-bit weights, bit for bit as the numeric contract says.
