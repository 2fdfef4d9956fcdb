//! Operations on matrices that a warp holds in its registers or reads from shared memory.

use super::op::{Addr, List, Reg};
use super::types::{File, Space};
use super::visit::{Role, Visitor};
use super::wgmma::Wgmma;

/// Type of the elements of a multiplicand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Element {
    S8,
    U8,
    E4M3,
    E5M2,
    F16,
    BF16,
    TF32,
    F64,
}

impl Element {
    /// The type of that name in a mnemonic.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "s8" => Self::S8,
            "u8" => Self::U8,
            "e4m3" => Self::E4M3,
            "e5m2" => Self::E5M2,
            "f16" => Self::F16,
            "bf16" => Self::BF16,
            "tf32" => Self::TF32,
            "f64" => Self::F64,
            _ => return None,
        })
    }

    pub(crate) fn bits(self) -> usize {
        match self {
            Self::S8 | Self::U8 | Self::E4M3 | Self::E5M2 => 8,
            Self::F16 | Self::BF16 => 16,
            Self::TF32 => 32,
            Self::F64 => 64,
        }
    }

    pub(crate) fn is_int8(self) -> bool {
        matches!(self, Self::S8 | Self::U8)
    }

    pub(crate) fn is_float8(self) -> bool {
        matches!(self, Self::E4M3 | Self::E5M2)
    }

    /// Elements that one register of a fragment holds.
    pub(crate) fn per_register(self) -> usize {
        (32 / self.bits()).max(1)
    }
}

/// Type of accumulators and results.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Sum {
    S32,
    F16,
    F32,
    F64,
}

impl Sum {
    /// The type of that name in a mnemonic.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "s32" => Self::S32,
            "f16" => Self::F16,
            "f32" => Self::F32,
            "f64" => Self::F64,
            _ => return None,
        })
    }

    /// Elements that one register holds.
    pub(crate) fn per_register(self) -> usize {
        if self == Self::F16 { 2 } else { 1 }
    }

    pub(crate) fn file(self) -> File {
        if self == Self::F64 { File::W64 } else { File::W32 }
    }
}

/// What one `mma.sync` computes: D = A B + C with A of m rows and k columns, B of k rows and 8 columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Product {
    /// 16 or 8.
    pub(crate) m: u8,
    pub(crate) k: u8,
    pub(crate) a: Element,
    pub(crate) b: Element,
    pub(crate) sum: Sum,
    pub(crate) saturate: bool,
}

impl Product {
    /// Registers of a lane that hold D (and C), A and B.
    pub(crate) fn registers(self) -> [usize; 3] {
        let (m, k) = (usize::from(self.m), usize::from(self.k));
        let d = m * 8 / 32 / self.sum.per_register();
        [d, m * k / 32 / self.a.per_register(), 8 * k / 32 / self.b.per_register()]
    }

    /// Multiplications with an addition in one instruction.
    pub(crate) fn macs(self) -> u64 {
        u64::from(self.m) * 8 * u64::from(self.k)
    }
}

/// An operation on matrices.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Matrix {
    /// `mma.sync`: registers of d, a, b and c, in this order.
    Multiply { product: Product, regs: List },
    /// `ldmatrix`: one register for each 8x8 matrix of 16-bit elements.
    Load { transposed: bool, space: Space, regs: List, addr: Addr },
    /// `stmatrix`.
    Store { transposed: bool, space: Space, regs: List, addr: Addr },
    /// `movmatrix`.
    Transpose { d: Reg, a: Reg },
    /// `wgmma.mma_async`: registers of d, then of a where it is in registers.
    Asynchronous {
        product: Wgmma,
        regs: List,
        /// Where the numbers of these registers begin in [`crate::ir::Program::wgmma_numbers`].
        watched: u32,
        /// Descriptors; that of A is [`Reg::NONE`] where A is in registers.
        a: Reg,
        b: Reg,
        scale: Scale,
    },
    /// `wgmma.fence`
    Fence,
    /// `wgmma.commit_group`
    Commit,
    /// `wgmma.wait_group`: `pending` groups may stay in flight. `keep` are the registers of what may be.
    Wait { pending: u32, keep: List },
    /// `setmaxnreg.inc` (`more`) and `.dec`.
    Registers { count: u32, more: bool },
    /// The instruction behind this touches registers of some wgmma: a part of
    /// [`crate::ir::Program::wgmma_numbers`].
    Touch { watched: List },
}

/// Whether a product is added to the accumulators (`scale-d`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scale {
    Always,
    Never,
    /// Where the predicate holds, or does not.
    Where(Reg, bool),
}

impl Matrix {
    /// Calls the visitor for every register: those that are read first, then those that are written.
    pub(super) fn visit<F: FnMut(&mut Reg, File, Role)>(&mut self, v: &mut Visitor<'_, F>) {
        match self {
            Self::Multiply { product, regs } => {
                let [d, a, b] = product.registers().map(|count| count as u32);
                let (sums, elements) =
                    (product.sum.file(), if product.a == Element::F64 { File::W64 } else { File::W32 });
                let part = |start: u32, len: u32| List { start: regs.start + start, len };
                v.list(part(d, a + b), elements, Role::Read);
                v.list(part(d + a + b, d), sums, Role::Read);
                v.list(part(0, d), sums, Role::Write);
            }
            Self::Load { regs, addr, .. } => {
                v.addr(addr);
                v.list(*regs, File::W32, Role::Write);
            }
            Self::Store { regs, addr, .. } => {
                v.addr(addr);
                v.list(*regs, File::W32, Role::Read);
            }
            Self::Transpose { d, a } => {
                v.read(File::W32, [a]);
                v.write(File::W32, d);
            }
            Self::Asynchronous { product, regs, a, b, scale, .. } => {
                let [d_regs, a_regs] = product.registers().map(|count| count as u32);
                v.read(File::W64, [a, b]);
                if let Scale::Where(reg, _) = scale {
                    v.read(File::Pred, [reg]);
                }
                v.list(List { start: regs.start + d_regs, len: a_regs }, File::W32, Role::Read);
                let d = List { start: regs.start, len: d_regs };
                // Without them the accumulators are not looked at.
                v.list(d, File::W32, if *scale == Scale::Never { Role::Write } else { Role::Update });
            }
            Self::Wait { keep, .. } => v.list(*keep, File::W32, Role::Keep),
            Self::Fence | Self::Commit | Self::Registers { .. } | Self::Touch { .. } => {}
        }
    }
}
