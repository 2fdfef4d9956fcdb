//! How the addresses of a warp's lanes lie, and which lanes can be served together.

use super::context::Stopped;
use super::lanes::{ALL, LANES, Lanes64, lanes_of};

/// How the lanes' addresses lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pattern {
    /// All lanes at one address.
    Uniform,
    /// Lane after lane without a gap.
    Contiguous,
    /// Anything else, or not all lanes.
    Scattered,
}

#[inline(always)]
pub(crate) fn pattern(mask: u32, addresses: &Lanes64, width: usize) -> Pattern {
    if mask != ALL {
        return Pattern::Scattered;
    }
    // The first step decides which of the two it can be; differences are gathered without branches.
    let first = addresses[0];
    let step = addresses[1].wrapping_sub(first);
    if step != 0 && step != width as u64 {
        return Pattern::Scattered;
    }
    let mut difference = 0;
    let mut expected = first;
    for address in addresses {
        difference |= address ^ expected;
        expected = expected.wrapping_add(step);
    }
    match (difference == 0, step == 0) {
        (false, _) => Pattern::Scattered,
        (true, true) => Pattern::Uniform,
        (true, false) => Pattern::Contiguous,
    }
}

/// Lanes that one step of an access takes care of: neighbours whose bytes lie side by side, or lanes that share
/// their bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Group {
    pub(super) lanes: u32,
    pub(super) address: u64,
    /// Bytes of all of them together.
    pub(super) len: usize,
    /// Whether all of them have the same bytes.
    pub(super) shared: bool,
}

impl Group {
    pub(super) fn one(lane: usize, address: u64, width: usize) -> Self {
        Self { lanes: 1 << lane, address, len: width, shared: false }
    }

    /// The lowest lane.
    #[inline(always)]
    pub(super) fn first(&self) -> usize {
        self.lanes.trailing_zeros() as usize
    }
}

/// The lowest lanes of `mask` that go together, `share` of one address too.
#[inline(always)]
fn next_group(mask: u32, addresses: &Lanes64, width: usize, share: bool) -> Group {
    let first = mask.trailing_zeros() as usize;
    let mut group = Group::one(first, addresses[first], width);
    for lane in lanes_of(mask & (mask - 1)) {
        let same = addresses[lane] == group.address;
        let follows = addresses[lane] == group.address.wrapping_add(group.len as u64);
        if share && same && (group.shared || group.len == width) {
            group.shared = true;
        } else if !(follows && !group.shared && group.lanes >> (lane - 1) & 1 == 1) {
            break;
        }
        group.len += if group.shared { 0 } else { width };
        group.lanes |= 1 << lane;
    }
    group
}

/// Carries out an access group by group; full warps of the two usual patterns are one group each.
#[inline(always)]
pub(super) fn in_groups(
    mask: u32,
    addresses: &Lanes64,
    width: usize,
    share: bool,
    mut each: impl FnMut(Group) -> Result<(), Stopped>,
) -> Result<(), Stopped> {
    match pattern(mask, addresses, width) {
        Pattern::Contiguous => {
            return each(Group { lanes: ALL, address: addresses[0], len: LANES * width, shared: false });
        }
        Pattern::Uniform if share => {
            return each(Group { lanes: ALL, address: addresses[0], len: width, shared: true });
        }
        Pattern::Uniform | Pattern::Scattered => {}
    }
    let mut left = mask;
    while left != 0 {
        let group = next_group(left, addresses, width, share);
        each(group)?;
        left &= !group.lanes;
    }
    Ok(())
}
