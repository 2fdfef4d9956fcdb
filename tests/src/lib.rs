//! What the property tests and the benches share: content, shapes, an exact check of large products.
//!
//! The tests themselves are in `tests/`: every kernel against the oracle, bit for bit, on whatever
//! drivers there are.

pub mod data;
pub mod figures;
pub mod freivalds;
pub mod harness;
pub mod machine;
pub mod random;
pub mod referee;
pub mod simulation;
