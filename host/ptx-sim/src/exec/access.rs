//! Loads and stores: addresses, state spaces, and the way between bytes and registers.

use super::context::{Context, LOCAL_WINDOW, PARAM_WINDOW, SHARED_WINDOW, Stopped, WINDOW, Who};
use super::global::{self, Stage, misaligned};
use super::lanes::{LANES, Lanes64, each, lanes_of};
use super::shared::{self, Manner};
use super::traffic;
use super::warp::Warp;
use crate::fault::FaultKind;
use crate::ir::op::{Access, Addr, List, Reg};
use crate::ir::types::{Extend, Space, Width};

/// The addresses of all lanes; those of lanes that do not take part mean nothing.
#[inline(always)]
pub(super) fn addresses(warp: &Warp, addr: Addr) -> Lanes64 {
    let offset = i64::from(addr.offset) as u64;
    let mut out = [offset; LANES];
    if addr.base.is_none() {
        return out;
    }
    if addr.wide {
        let base = warp.files.r64(addr.base);
        for lane in 0..LANES {
            out[lane] = base[lane].wrapping_add(offset);
        }
    } else {
        let base = warp.files.r32(addr.base);
        for lane in 0..LANES {
            // 32-bit addresses wrap in their window.
            out[lane] = u64::from(base[lane].wrapping_add(addr.offset as u32));
        }
    }
    out
}

/// The state space that a generic address lies in, and the start of its window.
#[inline(always)]
pub(super) fn space_of(address: u64) -> (Space, u64) {
    match address {
        SHARED_WINDOW.. if address < SHARED_WINDOW + WINDOW => (Space::Shared, SHARED_WINDOW),
        LOCAL_WINDOW.. if address < LOCAL_WINDOW + WINDOW => (Space::Local, LOCAL_WINDOW),
        PARAM_WINDOW.. if address < PARAM_WINDOW + WINDOW => (Space::Param, PARAM_WINDOW),
        _ => (Space::Global, 0),
    }
}

/// Splits a generic access by state space: calls `each` with the lanes of each, addresses made its own.
pub(super) fn by_space(
    mask: u32,
    addresses: &Lanes64,
    mut each: impl FnMut(Space, u32, &Lanes64) -> Result<(), Stopped>,
) -> Result<(), Stopped> {
    let mut left = mask;
    while left != 0 {
        let (space, start) = space_of(addresses[left.trailing_zeros() as usize]);
        let mut here = 0;
        let mut own = *addresses;
        for lane in lanes_of(left) {
            if space_of(addresses[lane]).0 == space {
                here |= 1 << lane;
                own[lane] = addresses[lane].wrapping_sub(start);
            }
        }
        each(space, here, &own)?;
        left &= !here;
    }
    Ok(())
}

#[inline(always)]
pub(super) fn load(
    warp: &mut Warp,
    cx: &mut Context<'_>,
    mask: u32,
    access: Access,
    regs: List,
    addr: Addr,
) -> Result<(), Stopped> {
    let width = usize::from(access.bytes) * regs.len as usize;
    let mut stage: Stage = [0; LANES * 32];
    let at = addresses(warp, addr);
    warp.strong_reads += u32::from(access.order.strong);
    match access.space {
        Space::Global => global::load(warp, cx, mask, &at, Manner::of(access), width, &mut stage)?,
        Space::Shared | Space::Cluster => shared::load(warp, cx, mask, &at, Manner::of(access), width, &mut stage)?,
        _ => load_elsewhere(warp, cx, mask, access, &at, width, &mut stage)?,
    }
    let bytes = usize::from(access.bytes);
    for index in 0..regs.len as usize {
        let reg = cx.grid.program.pool[regs.start as usize + index];
        fill(warp, mask, reg, access, &stage, width, index * bytes);
    }
    Ok(())
}

#[inline(never)]
fn load_elsewhere(
    warp: &Warp,
    cx: &mut Context<'_>,
    mask: u32,
    access: Access,
    at: &Lanes64,
    width: usize,
    stage: &mut Stage,
) -> Result<(), Stopped> {
    match access.space {
        Space::Param => load_param(warp, cx, mask, at, width, stage),
        Space::Local => load_local(warp, cx, mask, at, width, stage),
        _ => by_space(mask, at, |space, mask, at| match space {
            Space::Shared => shared::load(warp, cx, mask, at, Manner::of(access), width, stage),
            Space::Param => load_param(warp, cx, mask, at, width, stage),
            Space::Local => load_local(warp, cx, mask, at, width, stage),
            _ => global::load(warp, cx, mask, at, Manner::of(access), width, stage),
        }),
    }
}

fn load_param(
    warp: &Warp,
    cx: &Context<'_>,
    mask: u32,
    at: &Lanes64,
    width: usize,
    stage: &mut Stage,
) -> Result<(), Stopped> {
    let params = cx.grid.launch.params;
    let first = mask.trailing_zeros() as usize & 31;
    // Parameters mostly have fixed places, the same for all lanes.
    let uniform = at.iter().all(|address| *address == at[first]);
    for lane in lanes_of(if uniform { 1 << first } else { mask }) {
        let start = at[lane] as usize;
        if !start.is_multiple_of(width) {
            return Err(misaligned(cx, warp, warp.pc, lane, at[lane], width));
        }
        let Some(bytes) = start.checked_add(width).and_then(|end| params.get(start..end)) else {
            let who = Who::access(warp.index, lane, at[lane], width);
            let explanation = format!("the kernel has {} bytes of parameters", params.len());
            return Err(cx.fault(FaultKind::OutOfBounds, warp.pc, who, explanation));
        };
        stage[lane * width..(lane + 1) * width].copy_from_slice(bytes);
    }
    if uniform {
        stage.copy_within(first * width..(first + 1) * width, 0);
        global::repeat(stage, width);
    }
    Ok(())
}

/// The bytes of a lane in the warp's local memory.
fn local_range(
    warp: &Warp,
    cx: &Context<'_>,
    lane: usize,
    at: u64,
    width: usize,
) -> Result<std::ops::Range<usize>, Stopped> {
    let size = cx.grid.program.local_bytes as usize;
    if !at.is_multiple_of(width as u64) {
        return Err(misaligned(cx, warp, warp.pc, lane, at, width));
    }
    if at > size as u64 || size - (at as usize) < width {
        let explanation = format!("a thread of this kernel has {size} bytes of local memory");
        let who = Who::access(warp.index, lane, at, width);
        return Err(cx.fault(FaultKind::OutOfBounds, warp.pc, who, explanation));
    }
    let start = lane * size + at as usize;
    Ok(start..start + width)
}

/// The word of [`Warp::local_written`] with the bits of `width` bytes at `at` of a lane, and these bits. The
/// access is aligned, so that they all lie in one word.
fn local_bits(cx: &Context<'_>, lane: usize, at: u64, width: usize) -> (usize, u64) {
    let words = (cx.grid.program.local_bytes as usize).div_ceil(64);
    (lane * words + at as usize / 64, u64::MAX >> (64 - width) << (at % 64))
}

fn load_local(
    warp: &Warp,
    cx: &mut Context<'_>,
    mask: u32,
    at: &Lanes64,
    width: usize,
    stage: &mut Stage,
) -> Result<(), Stopped> {
    traffic::local(cx, warp.pc, mask, at, width);
    for lane in lanes_of(mask) {
        let range = local_range(warp, cx, lane, at[lane], width)?;
        let (word, bits) = local_bits(cx, lane, at[lane], width);
        let missing = bits & !warp.local_written[word];
        if missing != 0 && cx.grid.launch.checks.init {
            let bad = at[lane] / 64 * 64 + u64::from(missing.trailing_zeros());
            let explanation = format!("byte {bad} of this thread's local memory was never written");
            let who = Who::access(warp.index, lane, at[lane], width);
            return Err(cx.fault(FaultKind::Uninitialised, warp.pc, who, explanation));
        }
        stage[lane * width..(lane + 1) * width].copy_from_slice(&warp.local[range]);
    }
    Ok(())
}

#[inline(always)]
fn gather<const BYTES: usize>(stage: &Stage, width: usize, start: usize, lane: usize) -> [u8; BYTES] {
    let mut bytes = [0; BYTES];
    let from = lane * width + start;
    bytes.copy_from_slice(&stage[from..from + BYTES]);
    bytes
}

/// Bytes `start..` of each lane's part of the stage into a register.
#[inline(always)]
fn fill(warp: &mut Warp, mask: u32, reg: Reg, access: Access, stage: &Stage, width: usize, start: usize) {
    if access.bytes == 8 {
        let mut out = [0; LANES];
        for (lane, slot) in out.iter_mut().enumerate() {
            *slot = u64::from_le_bytes(gather::<8>(stage, width, start, lane));
        }
        return warp.files.put64(reg, mask, &out);
    }
    let mut out = [0; LANES];
    match access.bytes {
        4 => {
            for (lane, slot) in out.iter_mut().enumerate() {
                *slot = u32::from_le_bytes(gather::<4>(stage, width, start, lane));
            }
        }
        2 => {
            for (lane, slot) in out.iter_mut().enumerate() {
                *slot = u32::from(u16::from_le_bytes(gather::<2>(stage, width, start, lane)));
            }
        }
        _ => {
            for (lane, slot) in out.iter_mut().enumerate() {
                *slot = u32::from(stage[lane * width + start]);
            }
        }
    }
    let sign = access.extend == Extend::Sign;
    if sign && access.bytes == 1 {
        out = each(&out, |value| value as u8 as i8 as u32);
    } else if sign && access.bytes == 2 {
        out = each(&out, |value| value as u16 as i16 as u32);
    }
    match access.reg {
        Width::W16 => warp.files.put32(reg, mask, &each(&out, |value| value & 0xFFFF)),
        Width::W32 => warp.files.put32(reg, mask, &out),
        Width::W64 if sign => warp.files.put64(reg, mask, &each(&out, |value| value as i32 as u64)),
        Width::W64 => warp.files.put64(reg, mask, &each(&out, u64::from)),
    }
}

#[inline(always)]
pub(super) fn store(
    warp: &mut Warp,
    cx: &mut Context<'_>,
    mask: u32,
    access: Access,
    regs: List,
    addr: Addr,
) -> Result<(), Stopped> {
    let bytes = usize::from(access.bytes);
    let width = bytes * regs.len as usize;
    let mut stage: Stage = [0; LANES * 32];
    for index in 0..regs.len as usize {
        let reg = cx.grid.program.pool[regs.start as usize + index];
        let start = index * bytes;
        if access.reg == Width::W64 {
            let values = warp.files.r64(reg);
            for (lane, value) in values.iter().enumerate() {
                let from = lane * width + start;
                stage[from..from + bytes].copy_from_slice(&value.to_le_bytes()[..bytes]);
            }
            continue;
        }
        let values = warp.files.r32(reg);
        match access.bytes {
            4 => put_stage::<4>(&mut stage, width, start, values),
            2 => put_stage::<2>(&mut stage, width, start, values),
            _ => put_stage::<1>(&mut stage, width, start, values),
        }
    }
    let at = addresses(warp, addr);
    match access.space {
        Space::Global => global::store(warp, cx, mask, &at, Manner::of(access), width, &stage),
        Space::Shared | Space::Cluster => shared::store(warp, cx, mask, &at, Manner::of(access), width, &stage),
        _ => store_elsewhere(warp, cx, mask, access, &at, width, &stage),
    }
}

#[inline(always)]
fn put_stage<const BYTES: usize>(stage: &mut Stage, width: usize, start: usize, values: &[u32; LANES]) {
    for (lane, value) in values.iter().enumerate() {
        let from = lane * width + start;
        stage[from..from + BYTES].copy_from_slice(&value.to_le_bytes()[..BYTES]);
    }
}

#[inline(never)]
fn store_elsewhere(
    warp: &mut Warp,
    cx: &mut Context<'_>,
    mask: u32,
    access: Access,
    at: &Lanes64,
    width: usize,
    stage: &Stage,
) -> Result<(), Stopped> {
    if access.space == Space::Local {
        return store_local(warp, cx, mask, at, width, stage);
    }
    by_space(mask, at, |space, mask, at| match space {
        Space::Shared => shared::store(warp, cx, mask, at, Manner::of(access), width, stage),
        Space::Local => store_local(warp, cx, mask, at, width, stage),
        Space::Param => {
            let lane = mask.trailing_zeros() as usize;
            let who = Who::access(warp.index, lane, at[lane], width);
            Err(cx.fault(FaultKind::OutOfBounds, warp.pc, who, "a kernel cannot write its parameters".to_owned()))
        }
        _ => global::store(warp, cx, mask, at, Manner::of(access), width, stage),
    })
}

fn store_local(
    warp: &mut Warp,
    cx: &mut Context<'_>,
    mask: u32,
    at: &Lanes64,
    width: usize,
    stage: &Stage,
) -> Result<(), Stopped> {
    traffic::local(cx, warp.pc, mask, at, width);
    for lane in lanes_of(mask) {
        let range = local_range(warp, cx, lane, at[lane], width)?;
        let (word, bits) = local_bits(cx, lane, at[lane], width);
        warp.local_written[word] |= bits;
        warp.local[range].copy_from_slice(&stage[lane * width..(lane + 1) * width]);
    }
    Ok(())
}
