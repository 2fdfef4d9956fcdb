//! Device module: gemm.
