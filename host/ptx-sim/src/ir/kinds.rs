//! What the members of one family of operations differ in.

use super::op::Reg;
use super::types::{Extend, FloatKind, Round, Space, Type, Width};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Int2 {
    Add,
    Sub,
    MulLo,
    MulHiS,
    MulHiU,
    DivS,
    DivU,
    RemS,
    RemU,
    MinS,
    MinU,
    MaxS,
    MaxU,
    And,
    Or,
    Xor,
    AddSatS,
    SubSatS,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Int1 {
    Neg,
    Abs,
    Not,
    /// Logical not of C: 1 for 0, else 0.
    CNot,
    Brev,
}

/// Counts with a 32-bit result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Count {
    Clz,
    Popc,
    FindS,
    FindU,
    FindShiftS,
    FindShiftU,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Shift {
    Left,
    RightS,
    RightU,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Float2 {
    Add,
    Sub,
    Mul,
    Div,
    Min,
    Max,
    MinNan,
    MaxNan,
    /// `.xorsign.abs`: of the magnitudes, with the product of the signs.
    MinSigns,
    MaxSigns,
    MinNanSigns,
    MaxNanSigns,
    CopySign,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Float1 {
    Neg,
    Abs,
    Sqrt,
    Rcp,
    Rsqrt,
    /// `.approx.ftz.f64`: of the upper word, into the upper word.
    RcpGross,
    RsqrtGross,
    Ex2,
    Lg2,
    Sin,
    Cos,
    Tanh,
}

/// `.ftz`, `.sat` and the rounding of a floating-point operation; `.relu` and `.oob` of an `fma`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct FloatMode {
    pub(crate) flush: bool,
    pub(crate) saturate: bool,
    pub(crate) relu: bool,
    /// A source that is the NaN of elements out of bounds makes the result zero.
    pub(crate) oob: bool,
    pub(crate) round: Round,
}

/// A conversion, every combination of its own kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Convert {
    /// Between integers: widen with the source's sign, clamp where `.sat`, cut.
    IntToInt { from: Type, to: Type, saturate: bool },
    /// To an integer, with rounding; out of range clamps, NaN gives what the PTX ISA says.
    FloatToInt { from: FloatKind, to: Type, round: Round, flush: bool },
    /// From an integer, with rounding; `.sat` clamps to [0, 1].
    IntToFloat { from: Type, to: FloatKind, round: Round, saturate: bool },
    /// Between floating-point types, or to an integral value of the same type.
    FloatToFloat { from: FloatKind, to: FloatKind, integral: bool, mode: FloatMode },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Special {
    Tid(u8),
    NTid(u8),
    CtaId(u8),
    NCtaId(u8),
    LaneId,
    WarpId,
    NWarpId,
    SmId,
    NSmId,
    GridId,
    LaneMaskEq,
    LaneMaskLt,
    LaneMaskLe,
    LaneMaskGt,
    LaneMaskGe,
    Clock,
    Clock64,
    GlobalTimer,
    DynamicSharedSize,
    TotalSharedSize,
    /// With the bytes that the system keeps.
    AllSharedSize,
    ClockHigh,
    ClusterCtaId(u8),
    ClusterNCtaId(u8),
    ClusterCtaRank,
    ClusterNCtaRank,
    /// What addresses of the block's own shared memory have beside the place in it: its rank, where a cluster has several.
    SharedWindow,
    ClusterId(u8),
    NClusterId(u8),
    IsExplicitCluster,
}

impl Special {
    /// Whether the register has 64 bits.
    pub(crate) fn wide(self) -> bool {
        matches!(self, Self::GridId | Self::Clock64 | Self::GlobalTimer)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Atomic {
    Add,
    Min,
    Max,
    And,
    Or,
    Xor,
    Exch,
    Cas,
    Inc,
    Dec,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Shuffle {
    Up,
    Down,
    Bfly,
    Idx,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Vote {
    All,
    Any,
    Uni,
    Ballot,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Redux {
    Add,
    MinS,
    MinU,
    MaxS,
    MaxU,
    And,
    Or,
    Xor,
}

/// What `bar.red` makes of the predicates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum BarrierKind {
    Sync,
    Arrive,
    RedPopc,
    RedAnd,
    RedOr,
}

/// `testp`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum FloatTest {
    Finite,
    Infinite,
    Number,
    NotANumber,
    Normal,
    Subnormal,
}

/// `base + offset`; the base is a 64-bit register, or a 32-bit one in `shared`, `local` and `param` space.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Addr {
    pub(crate) base: Reg,
    pub(crate) wide: bool,
    pub(crate) offset: i32,
}

/// How a load or store moves its registers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Access {
    pub(crate) space: Space,
    /// Bytes of one element: 1, 2, 4 or 8.
    pub(crate) bytes: u8,
    pub(crate) extend: Extend,
    /// Width of the registers, at least that of the elements.
    pub(crate) reg: Width,
    pub(crate) order: MemoryOrder,
}

/// Among which threads an access or a fence orders.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Scope {
    Cta,
    Cluster,
    Gpu,
    Sys,
}

/// How an access is ordered. `.volatile` is `.relaxed.sys`; atomics are `.relaxed.gpu` by default.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct MemoryOrder {
    /// May be meant to be seen by other threads at once; all others are weak.
    pub(crate) strong: bool,
    pub(crate) acquire: bool,
    pub(crate) release: bool,
    pub(crate) scope: Scope,
}

impl MemoryOrder {
    /// An access that nothing is said of.
    pub(crate) const WEAK: Self = Self { strong: false, acquire: false, release: false, scope: Scope::Cta };
    /// An atomic operation that nothing is said of.
    pub(crate) const ATOMIC: Self = Self { strong: true, acquire: false, release: false, scope: Scope::Gpu };
}
