//! Device module: quantize.
