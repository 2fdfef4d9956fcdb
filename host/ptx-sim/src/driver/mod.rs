//! The driver functions that libcuda calls when the simulator is the GPU.
