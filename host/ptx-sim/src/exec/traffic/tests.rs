use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;

/// Distinct sectors, byte by byte.
fn sectors_by_hand(mask: u32, addresses: &Lanes64, width: usize) -> u64 {
    let bytes = lanes_of(mask).flat_map(|lane| addresses[lane]..addresses[lane] + width as u64);
    bytes.map(|byte| byte / 32).collect::<BTreeSet<_>>().len() as u64
}

/// Phases of 128 bytes of lanes; each costs what its busiest bank has to give, byte by byte.
fn wavefronts_by_hand(mask: u32, addresses: &Lanes64, width: usize) -> (u64, u64) {
    let (lanes, mut actual, mut ideal) = (128 / width.max(4), 0, 0);
    for phase in 0..LANES / lanes {
        let mut banks: BTreeMap<u64, BTreeSet<u64>> = BTreeMap::new();
        for lane in (phase * lanes..(phase + 1) * lanes).filter(|lane| mask >> lane & 1 == 1) {
            for byte in addresses[lane]..addresses[lane] + width as u64 {
                banks.entry(byte / 4 % 32).or_default().insert(byte / 4);
            }
        }
        actual += banks.values().map(BTreeSet::len).max().unwrap_or(0) as u64;
        ideal += u64::from(!banks.is_empty());
    }
    (actual, ideal)
}

/// Addresses as kernels make them: strides up and down, swizzles, broadcasts, and any at all.
fn pattern() -> impl Strategy<Value = (Lanes64, usize)> {
    let width = prop::sample::select(vec![1_usize, 2, 4, 8, 16]);
    (width, 0_u64..64, -40_i64..40, 0_u64..16, 0_u32..5, prop::array::uniform32(0_u64..4096)).prop_map(
        |(width, start, step, xor, kind, random)| {
            let unit = |lane: usize| match kind {
                0 => random[lane],
                1 => random[lane / 4],
                2 => random[lane] % 40,
                _ => ((4096 + start) as i64 + step * lane as i64) as u64 ^ xor,
            };
            (std::array::from_fn(|lane| unit(lane) * width as u64), width)
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn sectors_are_the_distinct_ones((addresses, width) in pattern(), some: u32, all: bool) {
        let mask = if all { ALL } else { some | 1 };
        prop_assert_eq!(sectors(mask, &addresses), sectors_by_hand(mask, &addresses, width));
    }

    #[test]
    fn wavefronts_are_what_the_busiest_bank_gives((addresses, width) in pattern(), some: u32, all: bool) {
        let mask = if all { ALL } else { some | 1 };
        prop_assert_eq!(wavefronts(mask, &addresses, width), wavefronts_by_hand(mask, &addresses, width));
    }
}

fn at(address: impl Fn(u64) -> u64) -> Lanes64 {
    std::array::from_fn(|lane| address(lane as u64))
}

#[test]
fn published_figures_are_met() {
    // Full contiguous warps, and one lane a line (NVIDIA's own figures for sectors of a request).
    for (width, expected) in [(1, 1), (2, 2), (4, 4), (8, 8), (16, 16)] {
        assert_eq!(sectors(ALL, &at(|lane| lane * width)), expected);
    }
    assert_eq!(sectors(ALL, &at(|lane| lane * 128)), 32);
    assert_eq!(sectors(ALL, &at(|lane| lane * 4 + 16)), 5, "off by half a sector");
    assert_eq!(sectors(1 << 7, &at(|lane| lane * 4)), 1);
    // 16-byte loads of a good and of a bad layout: 4 and 32 wavefronts (measured on hardware).
    assert_eq!(wavefronts(ALL, &at(|lane| lane * 16), 16), (4, 4));
    assert_eq!(wavefronts(ALL, &at(|lane| lane * 128), 16), (32, 4));
    // A column of a square of words, and the same with a word of padding a row.
    assert_eq!(wavefronts(ALL, &at(|lane| lane * 128), 4), (32, 1));
    assert_eq!(wavefronts(ALL, &at(|lane| lane * 132), 4), (1, 1));
    assert_eq!(wavefronts(ALL, &at(|_| 64), 4), (1, 1), "a broadcast");
    assert_eq!(wavefronts(0x0001_0001, &at(|lane| lane * 8), 8), (2, 2), "two phases, one lane each");
}
