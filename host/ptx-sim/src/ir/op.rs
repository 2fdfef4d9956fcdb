//! The closed set of operations.

use super::asynchronous::Async;
use super::atomics::AtomicPair;
pub(crate) use super::kinds::*;
use super::matrix::Matrix;
use super::narrow::Narrow;
use super::types::{Compare, FloatKind, IntKind, Logic, Space, Type, Width};
use super::words::{MadCarry, WordOp};

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
    Word(WordOp),
    MadCarry(MadCarry),
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
    /// Conversions to and from the types of tensor cores, and into pairs.
    Narrow(Narrow),
    /// From a state space's own address to a generic one.
    ToGeneric {
        space: Space,
        d: Reg,
        a: Reg,
    },
    /// From a generic address to a state space's own one.
    FromGeneric {
        space: Space,
        d: Reg,
        a: Reg,
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
        /// Bytes that the address has to be a multiple of.
        align: u8,
        space: Space,
        order: MemoryOrder,
        d: Reg,
        addr: Addr,
        b: Reg,
        c: Reg,
    },
    AtomicPair(AtomicPair),
    Shuffle {
        op: Shuffle,
        d: Reg,
        p: Reg,
        a: Reg,
        b: Reg,
        c: Reg,
        mask: Reg,
        /// Predicates: the lanes in which `a` is defined, and `d` after it; where that is watched.
        defined: [Reg; 2],
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
    /// `membar` and `fence`: acquires what was seen, and releases what was done, by strong accesses.
    Fence {
        scope: Scope,
    },
    /// A hint: its operands were checked when it was decoded, and nothing happens.
    Hint,
    /// Matrix products, and moves of their fragments.
    Matrix(Matrix),
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
    Async(Async),
    /// Stops lanes in which `p` is false: they are about to read a register that they have not written. `name`
    /// is its place in [`super::Program::register_names`].
    Defined {
        p: Reg,
        name: u32,
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
