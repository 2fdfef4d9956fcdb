//! Registers of a warp, and the loops over its 32 lanes.
//!
//! Everything here is inlined into the step loop, which is compiled once for each set of processor features:
//! plain loops over arrays of 32 become vector instructions there.

use crate::ir::op::Reg;
use crate::ir::{Constants, FileSizes};
use crate::memory::POISON;

/// Lanes of a warp.
pub(crate) const LANES: usize = 32;

/// The mask of all lanes.
pub(crate) const ALL: u32 = u32::MAX;

pub(crate) type Lanes32 = [u32; LANES];
pub(crate) type Lanes64 = [u64; LANES];

/// The register files of a warp; constants come first in each.
#[derive(Debug, Default)]
pub(crate) struct Files {
    w32: Vec<Lanes32>,
    w64: Vec<Lanes64>,
    pred: Vec<u32>,
}

impl Files {
    /// Files of the given sizes, constants in place, everything else poison.
    pub(crate) fn reset(&mut self, sizes: FileSizes, constants: &Constants) {
        let byte = u64::from(POISON) * 0x0101_0101_0101_0101;
        self.w32.clear();
        self.w32.extend(constants.w32.iter().map(|value| [*value; LANES]));
        self.w32.resize(sizes.w32, [byte as u32; LANES]);
        self.w64.clear();
        self.w64.extend(constants.w64.iter().map(|value| [*value; LANES]));
        self.w64.resize(sizes.w64, [byte; LANES]);
        self.pred.clear();
        self.pred.resize(sizes.pred, byte as u32);
    }

    #[inline(always)]
    pub(crate) fn r32(&self, reg: Reg) -> &Lanes32 {
        &self.w32[reg.at()]
    }

    #[inline(always)]
    pub(crate) fn r64(&self, reg: Reg) -> &Lanes64 {
        &self.w64[reg.at()]
    }

    #[inline(always)]
    pub(crate) fn pred(&self, reg: Reg) -> u32 {
        self.pred[reg.at()]
    }

    #[inline(always)]
    pub(crate) fn put32(&mut self, reg: Reg, mask: u32, value: &Lanes32) {
        let slot = &mut self.w32[reg.at()];
        if mask == ALL {
            *slot = *value;
        } else {
            for lane in 0..LANES {
                slot[lane] = if mask >> lane & 1 == 1 { value[lane] } else { slot[lane] };
            }
        }
    }

    #[inline(always)]
    pub(crate) fn put64(&mut self, reg: Reg, mask: u32, value: &Lanes64) {
        let slot = &mut self.w64[reg.at()];
        if mask == ALL {
            *slot = *value;
        } else {
            for lane in 0..LANES {
                slot[lane] = if mask >> lane & 1 == 1 { value[lane] } else { slot[lane] };
            }
        }
    }

    #[inline(always)]
    pub(crate) fn put_pred(&mut self, reg: Reg, mask: u32, value: u32) {
        let slot = &mut self.pred[reg.at()];
        *slot = (*slot & !mask) | (value & mask);
    }

    #[inline(always)]
    pub(crate) fn map1_32(&mut self, mask: u32, d: Reg, a: Reg, f: impl Fn(u32) -> u32) {
        let a = self.r32(a);
        let mut out = [0; LANES];
        for lane in 0..LANES {
            out[lane] = f(a[lane]);
        }
        self.put32(d, mask, &out);
    }

    #[inline(always)]
    pub(crate) fn map2_32(&mut self, mask: u32, [d, a, b]: [Reg; 3], f: impl Fn(u32, u32) -> u32) {
        let (a, b) = (self.r32(a), self.r32(b));
        let mut out = [0; LANES];
        for lane in 0..LANES {
            out[lane] = f(a[lane], b[lane]);
        }
        self.put32(d, mask, &out);
    }

    #[inline(always)]
    pub(crate) fn map3_32(&mut self, mask: u32, [d, a, b, c]: [Reg; 4], f: impl Fn(u32, u32, u32) -> u32) {
        let (a, b, c) = (self.r32(a), self.r32(b), self.r32(c));
        let mut out = [0; LANES];
        for lane in 0..LANES {
            out[lane] = f(a[lane], b[lane], c[lane]);
        }
        self.put32(d, mask, &out);
    }

    #[inline(always)]
    pub(crate) fn map1_64(&mut self, mask: u32, d: Reg, a: Reg, f: impl Fn(u64) -> u64) {
        let a = self.r64(a);
        let mut out = [0; LANES];
        for lane in 0..LANES {
            out[lane] = f(a[lane]);
        }
        self.put64(d, mask, &out);
    }

    #[inline(always)]
    pub(crate) fn map2_64(&mut self, mask: u32, [d, a, b]: [Reg; 3], f: impl Fn(u64, u64) -> u64) {
        let (a, b) = (self.r64(a), self.r64(b));
        let mut out = [0; LANES];
        for lane in 0..LANES {
            out[lane] = f(a[lane], b[lane]);
        }
        self.put64(d, mask, &out);
    }

    #[inline(always)]
    pub(crate) fn map3_64(&mut self, mask: u32, [d, a, b, c]: [Reg; 4], f: impl Fn(u64, u64, u64) -> u64) {
        let (a, b, c) = (self.r64(a), self.r64(b), self.r64(c));
        let mut out = [0; LANES];
        for lane in 0..LANES {
            out[lane] = f(a[lane], b[lane], c[lane]);
        }
        self.put64(d, mask, &out);
    }

    /// One bit for each lane.
    #[inline(always)]
    pub(crate) fn test2_32(&mut self, mask: u32, [d, a, b]: [Reg; 3], f: impl Fn(u32, u32) -> bool) {
        let (a, b) = (self.r32(a), self.r32(b));
        let mut out = 0;
        for lane in 0..LANES {
            out |= u32::from(f(a[lane], b[lane])) << lane;
        }
        self.put_pred(d, mask, out);
    }

    /// One bit for each lane.
    #[inline(always)]
    pub(crate) fn test2_64(&mut self, mask: u32, [d, a, b]: [Reg; 3], f: impl Fn(u64, u64) -> bool) {
        let (a, b) = (self.r64(a), self.r64(b));
        let mut out = 0;
        for lane in 0..LANES {
            out |= u32::from(f(a[lane], b[lane])) << lane;
        }
        self.put_pred(d, mask, out);
    }
}

/// `f` of every lane's value. A loop, as `array::map` of so many elements stays a call in the midst of vector code.
#[inline(always)]
pub(crate) fn each<A: Copy, B: Copy + Default>(values: &[A; LANES], f: impl Fn(A) -> B) -> [B; LANES] {
    let mut out = [B::default(); LANES];
    for lane in 0..LANES {
        out[lane] = f(values[lane]);
    }
    out
}

/// The lanes of a mask, lowest first.
#[inline(always)]
pub(crate) fn lanes_of(mut mask: u32) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        if mask == 0 {
            return None;
        }
        let lane = mask.trailing_zeros();
        mask &= mask - 1;
        Some(lane as usize)
    })
}
