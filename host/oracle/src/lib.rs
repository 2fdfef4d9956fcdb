//! The numeric contract as plain scalar loops; knows nothing of kernels.
