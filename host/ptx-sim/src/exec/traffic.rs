//! What a warp's accesses cost the memory system: requests, 32-byte sectors and wavefronts, from addresses alone.
//!
//! The definitions are Nsight Compute's (Kernel Profiling Guide, "Metrics Decoder" and "Memory Tables"): a
//! request is one instruction of a warp; its sectors are the distinct aligned 32 bytes that its active lanes touch;
//! shared memory has 32 banks of 4 bytes, and a wavefront serves each bank once. An access of 8 or 16 bytes a
//! lane goes in 2 or 4 phases of 16 or 8 lanes; a word that several lanes of a phase read is served once.

use super::context::Context;
use super::lanes::{ALL, LANES, Lanes64, lanes_of};
use crate::counters::Traffic;

/// Bytes of a sector.
const SECTOR: u64 = 32;
/// Bytes that one wavefront can serve: 32 banks of 4.
const WAVEFRONT: u64 = 128;

/// What one place of the code did to memory.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Moved {
    pub(crate) global: Traffic,
    pub(crate) shared: Traffic,
    /// Shared memory of other blocks of the cluster.
    pub(crate) remote: Traffic,
    pub(crate) local: Traffic,
}

impl Moved {
    pub(crate) fn add(&mut self, other: &Self) {
        self.global.add(&other.global);
        self.shared.add(&other.shared);
        self.remote.add(&other.remote);
        self.local.add(&other.local);
    }
}

/// Counts an access of `width` bytes a lane to global memory.
#[inline(always)]
pub(crate) fn global(cx: &mut Context<'_>, pc: usize, mask: u32, addresses: &Lanes64, width: usize) {
    let profile = cx.grid.launch.profile;
    let row = &mut cx.moved[pc].global;
    if ask(row, mask, width) && profile {
        put(row, sectors(mask, addresses), least(mask, width, SECTOR));
    }
}

/// Counts an access of `width` bytes a lane to shared memory, of the own block or another one of its cluster.
#[inline(always)]
pub(crate) fn shared(cx: &mut Context<'_>, pc: usize, mask: u32, addresses: &Lanes64, width: usize) {
    let mask = if cx.shared.len() == 1 { mask } else { remote(cx, pc, mask, addresses, width) };
    if mask == 0 {
        return;
    }
    let profile = cx.grid.launch.profile;
    let row = &mut cx.moved[pc].shared;
    if ask(row, mask, width) && profile {
        let (actual, ideal) = wavefronts(mask, addresses, width);
        row.moved += actual;
        row.ideal += ideal;
    }
}

/// Counts the lanes of `mask` that go to other blocks' shared memory, and returns the rest. No rules of banks are
/// published for it.
#[inline(never)]
fn remote(cx: &mut Context<'_>, pc: usize, mask: u32, addresses: &Lanes64, width: usize) -> u32 {
    let own = |lane: &usize| cx.named_place(addresses[*lane], width).is_none_or(|place| place.rank == cx.rank);
    let here = lanes_of(mask).filter(own).fold(0, |mask, lane| mask | 1 << lane);
    if here != mask {
        ask(&mut cx.moved[pc].remote, mask & !here, width);
    }
    here
}

/// Counts `bytes` bytes that a bulk copy moves out of or into global memory.
pub(crate) fn bulk_global(cx: &mut Context<'_>, pc: usize, bytes: usize) {
    ask(&mut cx.moved[pc].global, 1, bytes);
}

/// Counts `bytes` bytes that a bulk copy moves out of or into the shared memory of the block of that rank.
pub(crate) fn bulk_shared(cx: &mut Context<'_>, pc: usize, rank: usize, bytes: usize) {
    let own = rank == cx.rank;
    let row = &mut cx.moved[pc];
    ask(if own { &mut row.shared } else { &mut row.remote }, 1, bytes);
}

/// Counts an access of `width` bytes a lane to local memory. Words of the same place lie side by side for
/// the 32 lanes, so that lanes that agree on a place touch 128 bytes in a row.
pub(crate) fn local(cx: &mut Context<'_>, pc: usize, mask: u32, addresses: &Lanes64, width: usize) {
    let profile = cx.grid.launch.profile;
    let row = &mut cx.moved[pc].local;
    if ask(row, mask, width) && profile {
        let mut actual = 0;
        for word in 0..(width as u64).div_ceil(4) {
            let mut lies = [0; LANES];
            for (lane, at) in lies.iter_mut().enumerate() {
                *at = (addresses[lane] / 4 + word) * WAVEFRONT + lane as u64 * 4;
            }
            actual += sectors(mask, &lies);
        }
        put(row, actual, least(mask, width, SECTOR));
    }
}

/// Counts the source of copies, of which each lane reads as many bytes as `bytes` says.
pub(crate) fn copied_from_global(cx: &mut Context<'_>, pc: usize, addresses: &Lanes64, bytes: &[u8; LANES]) {
    let profile = cx.grid.launch.profile;
    let row = &mut cx.moved[pc].global;
    let (mut mask, mut total) = (0, 0);
    for (lane, bytes) in bytes.iter().enumerate() {
        mask |= u32::from(*bytes != 0) << lane;
        total += u64::from(*bytes);
    }
    row.requests += 1;
    row.bytes += total;
    if profile && mask != 0 {
        put(row, sectors(mask, addresses), total.div_ceil(SECTOR));
    }
}

/// Counts the request and its bytes; false when no lane takes part.
#[inline(always)]
fn ask(row: &mut Traffic, mask: u32, width: usize) -> bool {
    row.requests += 1;
    row.bytes += u64::from(mask.count_ones()) * width as u64;
    mask != 0
}

#[inline(always)]
fn put(row: &mut Traffic, actual: u64, least: u64) {
    row.moved += actual;
    // Lanes that share bytes need less than what their number says.
    row.ideal += least.min(actual);
}

/// The fewest units that the lanes of `mask` fit in with `width` bytes each.
#[inline(always)]
fn least(mask: u32, width: usize, unit: u64) -> u64 {
    (u64::from(mask.count_ones()) * width as u64).div_ceil(unit)
}

/// Distinct sectors among the addresses of `mask`, each of which lies in one: accesses are aligned and not longer.
#[inline(always)]
fn sectors(mask: u32, addresses: &Lanes64) -> u64 {
    if mask == ALL {
        // Without branches, so that it becomes vector instructions; exact where addresses do not descend.
        let (mut changes, mut descends) = (0, false);
        for lane in 1..LANES {
            let (before, here) = (addresses[lane - 1] / SECTOR, addresses[lane] / SECTOR);
            changes += u64::from(before != here);
            descends |= here < before;
        }
        if !descends {
            return changes + 1;
        }
    }
    scattered_sectors(mask, addresses)
}

#[inline(never)]
fn scattered_sectors(mask: u32, addresses: &Lanes64) -> u64 {
    let (mut low, mut high) = (u64::MAX, 0);
    for lane in lanes_of(mask) {
        let sector = addresses[lane] / SECTOR;
        low = low.min(sector);
        high = high.max(sector);
    }
    if high - low < 128 {
        let set = lanes_of(mask).fold(0_u128, |set, lane| set | 1 << (addresses[lane] / SECTOR - low));
        return u64::from(set.count_ones());
    }
    let (mut seen, mut count) = ([0; LANES], 0);
    for lane in lanes_of(mask) {
        seen[count] = addresses[lane] / SECTOR;
        count += 1;
    }
    let seen = &mut seen[..count];
    seen.sort_unstable();
    1 + seen.windows(2).filter(|pair| pair[0] != pair[1]).count() as u64
}

/// Wavefronts of an access, and the fewest that its lanes could do with: one for each phase.
#[inline(always)]
fn wavefronts(mask: u32, addresses: &Lanes64, width: usize) -> (u64, u64) {
    match width {
        16 => phases::<16, 8>(mask, addresses),
        8 => phases::<8, 16>(mask, addresses),
        32 => phases::<32, 4>(mask, addresses),
        // Lanes that share a word share its bank.
        _ => phases::<4, 32>(mask, addresses),
    }
}

/// `LEN` lanes of `UNIT` bytes are a phase; an aligned unit takes the same banks as every unit of its group,
/// the units that lie a multiple of 128 bytes away.
#[inline(always)]
fn phases<const UNIT: u64, const LEN: usize>(mask: u32, addresses: &Lanes64) -> (u64, u64) {
    let (mut actual, mut ideal) = (0, 0);
    for start in (0..LANES).step_by(LEN) {
        let lanes = mask >> start & (u32::MAX >> (32 - LEN));
        if lanes == 0 {
            continue;
        }
        let mut units = [0_u64; LEN];
        let mut groups = 0_u32;
        for lane in 0..LEN {
            units[lane] = addresses[start + lane] / UNIT;
            groups |= (lanes >> lane & 1) << (units[lane] % LEN as u64);
        }
        ideal += 1;
        // As many groups as lanes: no two of them meet.
        actual += if groups.count_ones() == lanes.count_ones() { 1 } else { conflicts(lanes, &units) };
    }
    (actual, ideal)
}

/// The most distinct units that a phase asks one group of banks for.
#[inline(never)]
fn conflicts<const LEN: usize>(lanes: u32, units: &[u64; LEN]) -> u64 {
    let (mut asked, mut most) = ([0_u8; LEN], 0);
    for lane in lanes_of(lanes) {
        let unit = units[lane];
        // Found before in this phase: a broadcast.
        if lanes_of(lanes & ((1 << lane) - 1)).any(|earlier| units[earlier] == unit) {
            continue;
        }
        let group = &mut asked[unit as usize % LEN];
        *group += 1;
        most = most.max(*group);
    }
    u64::from(most)
}

#[cfg(test)]
mod tests;
