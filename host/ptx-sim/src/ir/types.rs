//! Types, state spaces and modifiers as operations carry them.

/// A fundamental type of PTX.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Type {
    B8,
    B16,
    B32,
    B64,
    B128,
    U8,
    U16,
    U32,
    U64,
    S8,
    S16,
    S32,
    S64,
    F16,
    F16x2,
    BF16,
    BF16x2,
    F32,
    F64,
    Pred,
}

impl Type {
    /// The type of that name in a mnemonic or a declaration.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "b8" => Self::B8,
            "b16" => Self::B16,
            "b32" => Self::B32,
            "b64" => Self::B64,
            "b128" => Self::B128,
            "u8" => Self::U8,
            "u16" => Self::U16,
            "u32" => Self::U32,
            "u64" => Self::U64,
            "s8" => Self::S8,
            "s16" => Self::S16,
            "s32" => Self::S32,
            "s64" => Self::S64,
            "f16" => Self::F16,
            "f16x2" => Self::F16x2,
            "bf16" => Self::BF16,
            "bf16x2" => Self::BF16x2,
            "f32" => Self::F32,
            "f64" => Self::F64,
            "pred" => Self::Pred,
            _ => return None,
        })
    }

    /// Bytes in memory; predicates have none.
    pub(crate) fn bytes(self) -> u32 {
        match self {
            Self::Pred => 0,
            Self::B8 | Self::U8 | Self::S8 => 1,
            Self::B16 | Self::U16 | Self::S16 | Self::F16 | Self::BF16 => 2,
            Self::B32 | Self::U32 | Self::S32 | Self::F32 | Self::F16x2 | Self::BF16x2 => 4,
            Self::B64 | Self::U64 | Self::S64 | Self::F64 => 8,
            Self::B128 => 16,
        }
    }

    /// The register file that holds a value of this type.
    pub(crate) fn file(self) -> File {
        match self.bytes() {
            0 => File::Pred,
            8 | 16 => File::W64,
            _ => File::W32,
        }
    }

    pub(crate) fn is_signed(self) -> bool {
        matches!(self, Self::S8 | Self::S16 | Self::S32 | Self::S64)
    }

    pub(crate) fn is_unsigned(self) -> bool {
        matches!(self, Self::U8 | Self::U16 | Self::U32 | Self::U64)
    }

    pub(crate) fn is_integer(self) -> bool {
        self.is_signed() || self.is_unsigned()
    }

    pub(crate) fn is_bits(self) -> bool {
        matches!(self, Self::B8 | Self::B16 | Self::B32 | Self::B64 | Self::B128)
    }

    pub(crate) fn is_float(self) -> bool {
        !self.is_integer() && !self.is_bits() && self != Self::Pred
    }

    /// Whether a register declared as this can be an operand of type `ty`, sizes apart (PTX ISA 9.2, operand
    /// type checking): integers of either sign go together, bits with everything, floats with no integers.
    pub(crate) fn agrees(self, ty: Self) -> bool {
        !(self.is_float() && ty.is_integer() || self.is_integer() && ty.is_float())
    }

    /// The width that integer operations on this type have.
    pub(crate) fn width(self) -> Option<Width> {
        Some(match self.bytes() {
            2 => Width::W16,
            4 => Width::W32,
            8 => Width::W64,
            _ => return None,
        })
    }
}

/// A register file: 32-bit slots also hold everything narrower.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum File {
    W32,
    W64,
    Pred,
}

/// Width of an integer operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Width {
    W16,
    W32,
    W64,
}

/// An integer type of a comparison or of a wide product.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum IntKind {
    S16,
    U16,
    S32,
    U32,
    S64,
    U64,
}

impl IntKind {
    /// Bits count as unsigned.
    pub(crate) fn of(ty: Type) -> Option<Self> {
        Some(match ty {
            Type::S16 => Self::S16,
            Type::U16 | Type::B16 => Self::U16,
            Type::S32 => Self::S32,
            Type::U32 | Type::B32 => Self::U32,
            Type::S64 => Self::S64,
            Type::U64 | Type::B64 => Self::U64,
            _ => return None,
        })
    }
}

/// A floating-point type of arithmetic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum FloatKind {
    F16,
    F16x2,
    BF16,
    BF16x2,
    F32,
    F64,
}

impl FloatKind {
    pub(crate) fn of(ty: Type) -> Option<Self> {
        Some(match ty {
            Type::F16 => Self::F16,
            Type::F16x2 => Self::F16x2,
            Type::BF16 => Self::BF16,
            Type::BF16x2 => Self::BF16x2,
            Type::F32 => Self::F32,
            Type::F64 => Self::F64,
            _ => return None,
        })
    }
}

/// A state space of an access. Constant memory is global memory that kernels only read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Space {
    Generic,
    Global,
    Shared,
    /// Shared memory of any block of the cluster.
    Cluster,
    Local,
    Param,
}

/// How a load fills a register that is wider than what it loads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Extend {
    Zero,
    Sign,
}

/// A comparison; the unordered ones are true where an operand is NaN.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Compare {
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
    Equ,
    Neu,
    Ltu,
    Leu,
    Gtu,
    Geu,
    Num,
    Nan,
}

/// A logical operation on predicates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Logic {
    And,
    Or,
    Xor,
}

/// A rounding: `.rn`, `.rz`, `.rm`, `.rp`, and their forms to an integral value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) enum Round {
    #[default]
    NearestEven,
    Zero,
    Down,
    Up,
}
