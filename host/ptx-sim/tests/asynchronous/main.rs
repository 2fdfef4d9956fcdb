//! Mbarriers, bulk copies, tensor maps and clusters, each from its definition in the PTX ISA.

mod bulk;
mod cluster;
mod mbarrier;
mod multicast;
mod pipeline;
mod rig;
mod tensor;
