//! Mbarriers, bulk copies, tensor maps and clusters, each from its definition in the PTX ISA.

mod bulk;
mod mbarrier;
mod rig;
