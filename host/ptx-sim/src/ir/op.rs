//! The closed set of operations.

use super::types::{Compare, Extend, FloatKind, IntKind, Logic, Round, Space, Type, Width};

/// A register: virtual while a kernel is lowered, a slot of its file once it is ready to run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Reg(pub(crate) u32);

impl Reg {
    /// Marks a virtual register that stands for a constant.
    pub(crate) const CONSTANT: u32 = 1 << 31;
    /// Stands for a result that nobody wants (`_`), or an operand that is absent.
    pub(crate) const NONE: Self = Self(u32::MAX);

    pub(crate) fn is_none(self) -> bool {
        self == Self::NONE
    }

    #[inline(always)]
    pub(crate) fn at(self) -> usize {
        self.0 as usize
    }
}

/// `@p`, `@!p`, or nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Guard {
    /// [`Reg::NONE`] for an instruction without a guard.
    pub(crate) pred: Reg,
    pub(crate) negated: bool,
}

impl Guard {
    pub(crate) const ALWAYS: Self = Self { pred: Reg::NONE, negated: false };
}

/// A run of registers in [`super::Program::pool`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct List {
    pub(crate) start: u32,
    pub(crate) len: u32,
}

/// `base + offset`; the base is a 64-bit register, or a 32-bit one in `shared`, `local` and `param` space.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Addr {
    pub(crate) base: Reg,
    pub(crate) wide: bool,
    pub(crate) offset: i32,
}

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
    CopySign,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Float1 {
    Neg,
    Abs,
    Sqrt,
    Rcp,
    Rsqrt,
    Ex2,
    Lg2,
    Sin,
    Cos,
    Tanh,
}

/// `.ftz` and `.sat` of a floating-point operation; `.relu` of an `fma`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct FloatMode {
    pub(crate) flush: bool,
    pub(crate) saturate: bool,
    pub(crate) relu: bool,
}

/// A conversion, every combination of its own kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Convert {
    /// Between integers: widen with the source's sign, clamp where `.sat`, cut.
    IntToInt { from: Type, to: Type, saturate: bool },
    /// To an integer, with rounding; out of range clamps, NaN gives what the PTX ISA says.
    FloatToInt { from: FloatKind, to: Type, round: Round, flush: bool },
    /// From an integer, rounding to nearest even.
    IntToFloat { from: Type, to: FloatKind },
    /// Between floating-point types (round to nearest even, or to zero), or to an integral value of the same type.
    FloatToFloat { from: FloatKind, to: FloatKind, round: Option<Round>, integral: bool, mode: FloatMode },
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

/// The element types of a matrix product.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum MatrixKind {
    /// m16n8k32 (k = 32) or m16n8k16 (k = 16), int8 operands of either sign, int32 accumulators.
    Int8 { k: u8, a_signed: bool, b_signed: bool, saturate: bool },
    /// m16n8k16 (k = 16) or m16n8k8 (k = 8), f16 operands, f32 accumulators.
    F16 { k: u8 },
    /// m16n8k16 (k = 16) or m16n8k8 (k = 8), bf16 operands, f32 accumulators.
    BF16 { k: u8 },
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
    /// `.volatile`, `.relaxed`, `.acquire`, `.release`: may be meant to be seen by other threads at once.
    pub(crate) strong: bool,
}

/// One operation.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Op {
    Int2 {
        op: Int2,
        width: Width,
        d: Reg,
        a: Reg,
        b: Reg,
    },
    Int1 {
        op: Int1,
        width: Width,
        d: Reg,
        a: Reg,
    },
    Count {
        op: Count,
        width: Width,
        d: Reg,
        a: Reg,
    },
    Shift {
        op: Shift,
        width: Width,
        d: Reg,
        a: Reg,
        b: Reg,
    },
    /// `d = lo or hi(a * b) + c`; `op` is one of the products of [`Int2`].
    Mad {
        op: Int2,
        width: Width,
        d: Reg,
        a: Reg,
        b: Reg,
        c: Reg,
    },
    MulWide {
        kind: IntKind,
        d: Reg,
        a: Reg,
        b: Reg,
    },
    MadWide {
        kind: IntKind,
        d: Reg,
        a: Reg,
        b: Reg,
        c: Reg,
    },
    /// `add.cc`, `addc`, `sub.cc`, `subc`.
    Carry {
        subtract: bool,
        width: Width,
        carry_in: bool,
        carry_out: bool,
        d: Reg,
        a: Reg,
        b: Reg,
    },
    BitExtract {
        signed: bool,
        width: Width,
        d: Reg,
        a: Reg,
        b: Reg,
        c: Reg,
    },
    BitInsert {
        width: Width,
        d: Reg,
        a: Reg,
        b: Reg,
        c: Reg,
        e: Reg,
    },
    Permute {
        d: Reg,
        a: Reg,
        b: Reg,
        c: Reg,
    },
    Lop3 {
        table: u8,
        d: Reg,
        a: Reg,
        b: Reg,
        c: Reg,
    },
    Funnel {
        left: bool,
        clamp: bool,
        d: Reg,
        a: Reg,
        b: Reg,
        c: Reg,
    },
    Dot4 {
        a_signed: bool,
        b_signed: bool,
        d: Reg,
        a: Reg,
        b: Reg,
        c: Reg,
    },
    /// |a - b| + c.
    Sad {
        kind: IntKind,
        d: Reg,
        a: Reg,
        b: Reg,
        c: Reg,
    },
    Mov {
        wide: bool,
        d: Reg,
        a: Reg,
    },
    /// Sources, lowest first, each of `bits` (8, 16 or 32), into one register.
    Pack {
        bits: u8,
        wide: bool,
        d: Reg,
        parts: List,
    },
    Unpack {
        bits: u8,
        wide: bool,
        parts: List,
        a: Reg,
    },
    Select {
        wide: bool,
        d: Reg,
        a: Reg,
        b: Reg,
        p: Reg,
    },
    Special {
        what: Special,
        d: Reg,
    },
    ActiveMask {
        d: Reg,
    },
    PredConst {
        d: Reg,
        value: bool,
    },
    PredMov {
        d: Reg,
        a: Reg,
        negated: bool,
    },
    PredLogic {
        op: Logic,
        d: Reg,
        a: Reg,
        b: Reg,
    },
    CompareInt {
        op: Compare,
        kind: IntKind,
        d: Reg,
        a: Reg,
        b: Reg,
    },
    CompareFloat {
        op: Compare,
        kind: FloatKind,
        flush: bool,
        d: Reg,
        a: Reg,
        b: Reg,
    },
    TestFloat {
        kind: FloatKind,
        test: FloatTest,
        d: Reg,
        a: Reg,
    },
    Float2 {
        op: Float2,
        kind: FloatKind,
        mode: FloatMode,
        d: Reg,
        a: Reg,
        b: Reg,
    },
    Float1 {
        op: Float1,
        kind: FloatKind,
        mode: FloatMode,
        d: Reg,
        a: Reg,
    },
    Fma {
        kind: FloatKind,
        mode: FloatMode,
        d: Reg,
        a: Reg,
        b: Reg,
        c: Reg,
    },
    /// `reg` is the width of the destination register, which may be larger than that of the type.
    Convert {
        how: Convert,
        reg: Width,
        d: Reg,
        a: Reg,
    },
    /// `cvt.rn.f16x2.f32 d, a, b` and its like: `a` into the high half.
    ConvertPack {
        to: FloatKind,
        round: Round,
        relu: bool,
        d: Reg,
        a: Reg,
        b: Reg,
    },
    /// From a state space's own address to a generic one.
    ToGeneric {
        space: Space,
        d: Reg,
        a: Reg,
        wide: bool,
    },
    /// From a generic address to a state space's own one.
    FromGeneric {
        space: Space,
        d: Reg,
        a: Reg,
        wide: bool,
    },
    IsSpace {
        space: Space,
        d: Reg,
        a: Reg,
    },
    Load {
        access: Access,
        regs: List,
        addr: Addr,
    },
    Store {
        access: Access,
        regs: List,
        addr: Addr,
    },
    /// `d` is [`Reg::NONE`] for `red`; `c` is the second operand of `cas`.
    Atomic {
        op: Atomic,
        ty: Type,
        space: Space,
        d: Reg,
        addr: Addr,
        b: Reg,
        c: Reg,
    },
    Shuffle {
        op: Shuffle,
        d: Reg,
        p: Reg,
        a: Reg,
        b: Reg,
        c: Reg,
        mask: Reg,
    },
    /// `p` is the source; `d` a predicate, or a 32-bit register for `ballot`.
    Vote {
        op: Vote,
        d: Reg,
        p: Reg,
        negated: bool,
        mask: Reg,
    },
    Match {
        all: bool,
        wide: bool,
        d: Reg,
        p: Reg,
        a: Reg,
        mask: Reg,
    },
    Redux {
        op: Redux,
        d: Reg,
        a: Reg,
        mask: Reg,
    },
    Elect {
        d: Reg,
        p: Reg,
        mask: Reg,
    },
    WarpSync {
        mask: Reg,
    },
    /// `count` is [`Reg::NONE`] for all threads; `d` and `p` only for reductions.
    Barrier {
        kind: BarrierKind,
        aligned: bool,
        id: Reg,
        count: Reg,
        d: Reg,
        p: Reg,
        negated: bool,
    },
    /// Nothing to do in one thread of execution; counted as a synchronisation.
    Fence,
    /// A hint: its operands were checked when it was decoded, and nothing happens.
    Hint,
    /// d, a, b and c of one `mma`, in this order.
    Mma {
        kind: MatrixKind,
        regs: List,
    },
    LoadMatrix {
        transposed: bool,
        regs: List,
        addr: Addr,
    },
    /// `source_bytes` and `ignore` may be [`Reg::NONE`].
    CopyAsync {
        bytes: u8,
        target: Addr,
        source: Addr,
        source_bytes: Reg,
        ignore: Reg,
    },
    CopyCommit,
    /// `pending` groups may stay in flight; `all` also takes the copies that no group holds.
    CopyWait {
        pending: u32,
        all: bool,
    },
    /// A place where lanes can meet again.
    Join,
    Jump {
        target: u32,
    },
    /// The guard of the instruction is the condition.
    Branch {
        target: u32,
    },
    BranchTable {
        table: u32,
        index: Reg,
    },
    Exit,
    Trap,
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
