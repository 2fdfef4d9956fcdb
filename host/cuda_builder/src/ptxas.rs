//! Runs ptxas.
