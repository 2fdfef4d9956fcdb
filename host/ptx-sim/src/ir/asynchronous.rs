//! Operations of mbarriers, bulk copies, tensor maps and clusters.
//!
//! Where an operation takes several addresses they are 64-bit registers here, offsets added: that keeps the
//! operations small, and they are rare enough for the extra addition.

use super::op::{Addr, Atomic, List, Reg};
use super::types::{Space, Type};
use crate::tensor_map::Field;

/// How an mbarrier is arrived at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Arrive {
    /// The count is taken from later phases too.
    pub(crate) drop: bool,
    /// The arrival must not complete the phase.
    pub(crate) no_complete: bool,
    /// `.relaxed`: nothing is ordered by it.
    pub(crate) relaxed: bool,
}

/// How an mbarrier's phase is tested.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Wait {
    /// `try_wait`: the thread may be suspended for a while.
    pub(crate) may_block: bool,
    /// By parity instead of a state that an arrival returned.
    pub(crate) parity: bool,
    /// `.relaxed`: nothing is ordered by it.
    pub(crate) relaxed: bool,
}

/// The state spaces that a bulk copy goes between.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// From global memory to shared memory of the own block only.
    ToBlock,
    /// From global memory to shared memory of the cluster.
    ToCluster,
    /// From the block's shared memory to that of another block.
    Between,
    /// From the block's shared memory to global memory.
    ToGlobal,
    /// From global memory to a cache.
    Prefetch,
}

/// What a fence between proxies orders.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ProxyFence {
    /// `fence.proxy.async`, of all memory or of global or shared memory only.
    Async { global: bool, shared: bool },
    /// `fence.mbarrier_init`: earlier inits of the thread.
    BarrierInit,
    /// `fence.proxy.tensormap::generic.release`.
    TensorRelease,
    /// `fence.proxy.alias` and the like: nothing that exists here.
    Other,
}

/// One operation. Registers that may be [`Reg::NONE`] are absent operands.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Async {
    BarrierInit {
        space: Space,
        addr: Addr,
        count: Reg,
    },
    BarrierInval {
        space: Space,
        addr: Addr,
    },
    /// `mbarrier.expect_tx` and `complete_tx`.
    BarrierBytes {
        complete: bool,
        space: Space,
        addr: Addr,
        bytes: Reg,
    },
    /// `d` gets the state; `count` or `bytes` (of `.expect_tx`) may be absent.
    BarrierArrive {
        how: Arrive,
        space: Space,
        addr: Addr,
        d: Reg,
        count: Reg,
        bytes: Reg,
    },
    /// `phase` is a state (64 bits) or a parity (32 bits).
    BarrierWait {
        how: Wait,
        space: Space,
        addr: Addr,
        d: Reg,
        phase: Reg,
    },
    PendingCount {
        d: Reg,
        state: Reg,
    },
    /// `cp.async.mbarrier.arrive`.
    CopyArrive {
        increments: bool,
        space: Space,
        addr: Addr,
    },
    /// `cp.async.bulk` and, with `reduce`, `cp.reduce.async.bulk`.
    Bulk {
        way: Way,
        reduce: Option<(Atomic, Type)>,
        target: Reg,
        source: Reg,
        bytes: Reg,
        bar: Reg,
        blocks: Reg,
    },
    /// `cp.async.bulk.tensor` and, with `reduce`, `cp.reduce.async.bulk.tensor`.
    Tensor {
        way: Way,
        reduce: Option<Atomic>,
        map: Reg,
        coords: List,
        shared: Reg,
        bar: Reg,
        blocks: Reg,
    },
    BulkCommit,
    /// At most `pending` groups of the thread may stay behind; `read`: only their sources count.
    BulkWait {
        pending: u32,
        read: bool,
    },
    /// `st.async`: values of `ty`, to another block's shared memory.
    Store {
        ty: Type,
        addr: Addr,
        regs: List,
        bar: Reg,
    },
    /// `red.async`.
    Reduce {
        op: Atomic,
        ty: Type,
        addr: Addr,
        b: Reg,
        bar: Reg,
    },
    ProxyFence(ProxyFence),
    /// `fence.proxy.tensormap::generic.acquire`: of the 128 bytes at `map`.
    TensorAcquire {
        map: Reg,
    },
    TensorReplace {
        field: Field,
        space: Space,
        addr: Addr,
        value: Reg,
    },
    /// `tensormap.cp_fenceproxy`.
    TensorPublish {
        target: Addr,
        source: Addr,
    },
    /// `mapa`: `a` as it is in the block of rank `b`.
    MapRank {
        space: Space,
        wide: bool,
        d: Reg,
        a: Reg,
        b: Reg,
    },
    /// `getctarank`.
    RankOf {
        space: Space,
        wide: bool,
        d: Reg,
        a: Reg,
    },
    ClusterArrive {
        aligned: bool,
        relaxed: bool,
    },
    ClusterWait {
        aligned: bool,
    },
}
