//! Criterion benches of the simulator and the oracle, and what drives the GPU benches.
