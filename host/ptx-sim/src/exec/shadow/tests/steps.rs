//! The random programs.

use proptest::prelude::*;

use super::{ALL, BYTES, LANES, SLOTS, WARPS};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Read,
    Write,
    /// Strong, with or without acquire or release.
    StrongRead(bool),
    StrongWrite(bool),
    Update(bool),
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Step {
    /// Lane i of `lanes` touches `width` bytes at `(at + i * stride) % 4`.
    Access {
        warp: u32,
        lanes: u32,
        kind: Kind,
        at: usize,
        stride: usize,
        wide: bool,
        value: u8,
    },
    /// All lanes touch the same bytes as one.
    Together {
        warp: u32,
        write: bool,
        at: usize,
        value: u8,
    },
    Meet {
        warp: u32,
        lanes: u32,
    },
    /// All warps of the block, or of the cluster.
    Barrier {
        cluster: bool,
    },
    /// These warps only; those in `arrive` do not wait.
    Partial {
        warps: u32,
        arrive: u32,
    },
    Release {
        warp: u32,
        lanes: u32,
        slot: usize,
    },
    Acquire {
        warp: u32,
        lanes: u32,
        slot: usize,
    },
    Fence {
        warp: u32,
        lanes: u32,
    },
    Exit {
        warp: u32,
        lanes: u32,
    },
    /// A copy of one lane that lands at once, or at the next `Land` of the lane.
    Copy {
        warp: u32,
        lane: u32,
        at: usize,
    },
    Land {
        warp: u32,
        lane: u32,
    },
    /// Numbers the tags anew.
    Compact,
}

pub(super) fn step() -> impl Strategy<Value = Step> {
    let warp = 0..WARPS;
    let lanes = prop_oneof![Just(ALL), 1..=ALL, (0..LANES).prop_map(|lane| 1 << lane)];
    let kind = prop_oneof![
        4 => Just(Kind::Read),
        4 => Just(Kind::Write),
        1 => any::<bool>().prop_map(Kind::StrongRead),
        1 => any::<bool>().prop_map(Kind::StrongWrite),
        1 => any::<bool>().prop_map(Kind::Update),
    ];
    let access = (warp.clone(), lanes.clone(), kind, 0..BYTES, 0..2_usize, any::<bool>(), 0..2_u8).prop_map(
        |(warp, lanes, kind, at, stride, wide, value)| Step::Access { warp, lanes, kind, at, stride, wide, value },
    );
    prop_oneof![
        12 => access,
        2 => (warp.clone(), any::<bool>(), 0..BYTES, 0..2_u8)
            .prop_map(|(warp, write, at, value)| Step::Together { warp, write, at, value }),
        4 => (warp.clone(), lanes.clone()).prop_map(|(warp, lanes)| Step::Meet { warp, lanes }),
        3 => any::<bool>().prop_map(|cluster| Step::Barrier { cluster }),
        2 => (1..1_u32 << WARPS, 0..1_u32 << WARPS).prop_map(|(warps, arrive)| Step::Partial { warps, arrive }),
        2 => (warp.clone(), lanes.clone(), 0..SLOTS)
            .prop_map(|(warp, lanes, slot)| Step::Release { warp, lanes, slot }),
        2 => (warp.clone(), lanes.clone(), 0..SLOTS)
            .prop_map(|(warp, lanes, slot)| Step::Acquire { warp, lanes, slot }),
        1 => (warp.clone(), lanes.clone()).prop_map(|(warp, lanes)| Step::Fence { warp, lanes }),
        1 => (warp.clone(), lanes).prop_map(|(warp, lanes)| Step::Exit { warp, lanes }),
        1 => (warp.clone(), 0..LANES, 0..BYTES).prop_map(|(warp, lane, at)| Step::Copy { warp, lane, at }),
        1 => (warp, 0..LANES).prop_map(|(warp, lane)| Step::Land { warp, lane }),
        1 => Just(Step::Compact),
    ]
}
