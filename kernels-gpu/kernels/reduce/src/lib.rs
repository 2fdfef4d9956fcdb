//! Device module: reduce.
