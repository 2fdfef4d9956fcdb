//! Device code that reads matrices row by row, shared by the modules `reduce` and `quantize`.
//!
//! - [`Element`]: f32, f16, bf16 or int8 in memory, and how sixteen bytes of them are looked at.
//! - [`Row`]: one row as whole 16-byte windows plus two edges, whatever its alignment.
//! - [`Group`]: the warp or the block that works on a row, and the maximum over its threads.
//! - [`Team`]: any number of a block's threads that work on a row together.
//! - [`numeric`]: the few formulas of NUMERICS.md that more than one kernel needs.
#![no_std]

mod element;
mod group;
pub mod numeric;
mod row;
mod team;

pub use element::{Bf16, Element, F16, Float};
pub use group::{BLOCK_MAXIMA, Block, Group, Warp, warp_sum};
pub use row::{Edge, Row, Share, WINDOW_BYTES, Window};
pub use team::Team;
