//! Atomic operations, lane by lane in ascending order.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU16, AtomicU32, AtomicU64, Ordering};

use super::access::{addresses, by_space};
use super::context::{Context, Stopped};
use super::float::{canonical32, flush32};
use super::float16;
use super::global::{Read, initialised, lookup, misaligned, out_of_bounds};
use super::hazards::unread;
use super::lanes::{self, LANES, lanes_of};
use super::races::{self, Deed, Kind, Span, Strength};
use super::shared;
use super::traffic;
use super::warp::Warp;
use crate::ir::atomics::AtomicPair;
use crate::ir::op::{Addr, Atomic, Float2, MemoryOrder, Op};
use crate::ir::types::{File, FloatKind, Space, Type};

/// What the operation makes of the old value. Sums of f32 flush subnormals in global memory, and only there.
pub(super) fn combine(op: Atomic, ty: Type, space: Space, [old, b, c]: [u64; 3]) -> u64 {
    let signed = |value: u64| if ty == Type::S32 { i64::from(value as i32) } else { value as i64 };
    let flush = |value: f32| if matches!(space, Space::Shared | Space::Cluster) { value } else { flush32(value) };
    let float = |value: u64| flush(f32::from_bits(value as u32));
    match (op, ty) {
        (Atomic::Add, Type::F32) => u64::from(canonical32(flush(float(old) + float(b)))),
        (Atomic::Add, Type::F64) => {
            let sum = f64::from_bits(old) + f64::from_bits(b);
            if sum.is_nan() { 0x7FFF_FFFF_FFFF_FFFF } else { sum.to_bits() }
        }
        (_, Type::F16 | Type::F16x2 | Type::BF16 | Type::BF16x2) => {
            let op = match op {
                Atomic::Min => Float2::Min,
                Atomic::Max => Float2::Max,
                _ => Float2::Add,
            };
            FloatKind::of(ty).map_or(old, |kind| u64::from(float16::once(op, kind, old as u32, b as u32)))
        }
        (Atomic::Add, _) => old.wrapping_add(b),
        (Atomic::Min, Type::S32 | Type::S64) => {
            if signed(b) < signed(old) {
                b
            } else {
                old
            }
        }
        (Atomic::Max, Type::S32 | Type::S64) => {
            if signed(b) > signed(old) {
                b
            } else {
                old
            }
        }
        (Atomic::Min, _) => old.min(b),
        (Atomic::Max, _) => old.max(b),
        (Atomic::And, _) => old & b,
        (Atomic::Or, _) => old | b,
        (Atomic::Xor, _) => old ^ b,
        (Atomic::Exch, _) => b,
        (Atomic::Cas, _) => {
            if old == b {
                c
            } else {
                old
            }
        }
        (Atomic::Inc, _) => {
            if old >= b {
                0
            } else {
                old + 1
            }
        }
        (Atomic::Dec, _) => {
            if old == 0 || old > b {
                b
            } else {
                old - 1
            }
        }
    }
}

pub(super) fn atomic(warp: &mut Warp, cx: &mut Context<'_>, mask: u32, op: &Op) -> Result<(), Stopped> {
    let Op::Atomic { op, ty, align, space, order, d, addr, b, c } = *op else { return Ok(()) };
    warp.strong_reads += 1;
    let wide = ty.file() == File::W64;
    let operand = |reg: crate::ir::op::Reg, lane: usize| match () {
        () if reg.is_none() => 0,
        () if wide => warp.files.r64(reg)[lane],
        () => u64::from(warp.files.r32(reg)[lane]),
    };
    let (mut first, mut second) = ([0; LANES], [0; LANES]);
    for lane in lanes_of(mask) {
        first[lane] = operand(b, lane);
        second[lane] = operand(c, lane);
    }
    let mut old = [0; LANES];
    let mut each = |space: Space, mask: u32, at: &[u64; LANES]| -> Result<(), Stopped> {
        let width = ty.bytes() as usize;
        match space {
            Space::Shared | Space::Cluster => traffic::shared(cx, warp.pc, mask, at, width),
            _ => traffic::global(cx, warp.pc, mask, at, width),
        }
        for lane in lanes_of(mask) {
            if !at[lane].is_multiple_of(u64::from(align)) {
                return Err(misaligned(cx, warp, warp.pc, lane, at[lane], usize::from(align)));
            }
            let change = |value: u64| combine(op, ty, space, [value, first[lane], second[lane]]);
            old[lane] = match space {
                Space::Shared | Space::Cluster => {
                    shared::update(warp, cx, (lane, mask), at[lane], width, order, change)?
                }
                _ => {
                    let kind = if d.is_none() { Kind::Reduction } else { Kind::Update };
                    in_global(warp, cx, (lane, mask), (at[lane], width), (kind, order), change)?
                }
            };
        }
        if order.release {
            cx.order.advance(warp.agent);
        }
        Ok(())
    };
    let at = addresses(warp, Addr { ..addr });
    match space {
        Space::Generic => by_space(mask, &at, each)?,
        _ => each(space, mask, &at)?,
    }
    if !d.is_none() {
        match wide {
            true => warp.files.put64(d, mask, &old),
            false => warp.files.put32(d, mask, &lanes::each(&old, |value| value as u32)),
        }
    }
    Ok(())
}

/// Held while a 128-bit operation on global memory does its two halves.
static PAIRS: Mutex<()> = Mutex::new(());

/// `exch` and `cas` of 128 bits. Both halves are read before either is written; a block runs on one thread, and
/// blocks take turns at [`PAIRS`].
pub(super) fn atomic_pair(warp: &mut Warp, cx: &mut Context<'_>, mask: u32, op: &AtomicPair) -> Result<(), Stopped> {
    let pool = &cx.grid.program.pool;
    let (read, written) = (op.read(), op.written());
    let source = |index: u32| *warp.files.r64(pool[(read.start + index) as usize]);
    let first = [source(0), source(1)];
    let second = if op.cas { [source(2), source(3)] } else { first };
    let mut old = [[0_u64; LANES]; 2];
    let each = |space: Space, mask: u32, at: &[u64; LANES]| -> Result<(), Stopped> {
        match space {
            Space::Shared | Space::Cluster => traffic::shared(cx, warp.pc, mask, at, 16),
            _ => traffic::global(cx, warp.pc, mask, at, 16),
        }
        let _turn = PAIRS.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        for lane in lanes_of(mask) {
            if !at[lane].is_multiple_of(16) {
                return Err(misaligned(cx, warp, warp.pc, lane, at[lane], 16));
            }
            let mut half = |index: usize, new: Option<u64>| {
                let (at, change) = (at[lane] + 8 * index as u64, |old: u64| new.unwrap_or(old));
                match space {
                    Space::Shared => shared::update(warp, cx, (lane, mask), at, 8, op.order, change),
                    _ => in_global(warp, cx, (lane, mask), (at, 8), (Kind::Update, op.order), change),
                }
            };
            let found = [half(0, None)?, half(1, None)?];
            if !op.cas || found == [first[0][lane], first[1][lane]] {
                half(0, Some(second[0][lane]))?;
                half(1, Some(second[1][lane]))?;
            }
            (old[0][lane], old[1][lane]) = (found[0], found[1]);
        }
        if op.order.release {
            cx.order.advance(warp.agent);
        }
        Ok(())
    };
    let at = addresses(warp, op.addr);
    let mut each = each;
    match op.space {
        Space::Generic => by_space(mask, &at, each)?,
        space => each(space, mask, &at)?,
    }
    for (index, value) in old.iter().enumerate() {
        warp.files.put64(cx.grid.program.pool[written.start as usize + index], mask, value);
    }
    Ok(())
}

fn in_global(
    warp: &Warp,
    cx: &mut Context<'_>,
    (lane, mask): (usize, u32),
    (at, width): (u64, usize),
    (kind, order): (Kind, MemoryOrder),
    change: impl Fn(u64) -> u64,
) -> Result<u64, Stopped> {
    if !at.is_multiple_of(width as u64) {
        return Err(misaligned(cx, warp, warp.pc, lane, at, width));
    }
    let Some((found, offset)) = lookup(cx, warp.pc, at, width) else {
        return Err(out_of_bounds(cx, warp, warp.pc, lane, at, width));
    };
    initialised(cx, warp, warp.pc, lane, Read { found, offset, len: width })?;
    unread(cx, warp, warp.pc, lane, at, width)?;
    let span = Span { found, offset, len: width, width, first: Some(lane), lanes: mask };
    let strength = Strength::of(&cx.grid.program.code[warp.pc].op);
    races::touch(warp, cx, warp.pc, span, Deed::Update, strength)?;
    let target = found.writable(offset, width);
    // The bytes lie in the allocation and in one chunk; chunks and bases are aligned to 256 bytes, so that
    // `target` is aligned as the address is.
    let update = || match width {
        8 => {
            // SAFETY: valid and aligned, as said above; other blocks use atomics too, unless the kernel races.
            let cell = unsafe { AtomicU64::from_ptr(target.cast()) };
            cell.fetch_update(Ordering::AcqRel, Ordering::Acquire, |old| Some(change(old))).unwrap_or_else(|old| old)
        }
        4 => {
            // SAFETY: as for the 64-bit cell.
            let cell = unsafe { AtomicU32::from_ptr(target.cast()) };
            let update = |old: u32| Some(change(u64::from(old)) as u32);
            u64::from(cell.fetch_update(Ordering::AcqRel, Ordering::Acquire, update).unwrap_or_else(|old| old))
        }
        _ => {
            // SAFETY: as for the 64-bit cell.
            let cell = unsafe { AtomicU16::from_ptr(target.cast()) };
            let update = |old: u16| Some(change(u64::from(old)) as u16);
            u64::from(cell.fetch_update(Ordering::AcqRel, Ordering::Acquire, update).unwrap_or_else(|old| old))
        }
    };
    Ok(races::strong(warp, cx, lane, (at, width as u64), (kind, order), update))
}
