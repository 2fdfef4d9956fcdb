//! The CUDA driver's functions, found when the program runs: NVIDIA's, or the simulator's.
