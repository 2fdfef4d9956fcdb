//! `cuTensorMapEncodeTiled` checks every rule and says which was broken.

mod common;
#[path = "common/raw.rs"]
mod raw;

use raw::*;

/// A `CUtensorMap`.
#[repr(C, align(64))]
#[derive(Clone, Copy)]
struct Map([u8; 128]);

/// The arguments of one call; two dimensions of f16 with a box of 64 by 8.
#[derive(Clone, Copy)]
struct Arguments {
    data_type: i32,
    rank: u32,
    address: u64,
    dims: [u64; 5],
    strides: [u64; 4],
    box_dims: [u32; 5],
    element_strides: [u32; 5],
    interleave: i32,
    swizzle: i32,
    promotion: i32,
    fill: i32,
}

const GOOD: Arguments = Arguments {
    data_type: 6,
    rank: 2,
    address: 0x7000_0000,
    dims: [128, 32, 0, 0, 0],
    strides: [256, 0, 0, 0],
    box_dims: [64, 8, 0, 0, 0],
    element_strides: [1, 1, 0, 0, 0],
    interleave: 0,
    swizzle: 3,
    promotion: 2,
    fill: 1,
};

fn encode(map: *mut Map, a: &Arguments) -> u32 {
    // SAFETY: arrays for five dimensions; the map is checked before it is written.
    unsafe {
        cuTensorMapEncodeTiled(
            map.cast(),
            a.data_type,
            a.rank,
            a.address,
            a.dims.as_ptr(),
            a.strides.as_ptr(),
            a.box_dims.as_ptr(),
            a.element_strides.as_ptr(),
            a.interleave,
            a.swizzle,
            a.promotion,
            a.fill,
        )
    }
}

#[test]
fn a_map_is_encoded_and_gets_another_address() {
    let _context = common::simulated();
    let (mut first, mut second) = (Map([0; 128]), Map([0; 128]));
    assert_eq!(encode(&mut first, &GOOD), 0, "{:?}", libcuda::refusal());
    assert_ne!(first.0, [0; 128]);
    assert_eq!(encode(&mut second, &Arguments { address: 0x9000_0010, ..GOOD }), 0);
    assert_ne!(first.0, second.0);
    // SAFETY: both maps are there.
    unsafe {
        assert_eq!(cuTensorMapReplaceAddress((&raw mut first).cast(), 0x9000_0011), 1);
        assert_eq!(cuTensorMapReplaceAddress((&raw mut first).cast(), 0x9000_0010), 0);
        assert_eq!(first.0, second.0);
        let mut none = Map([7; 128]);
        assert_eq!(cuTensorMapReplaceAddress((&raw mut none).cast(), 0x1000), 1);
        assert!(libcuda::refusal().unwrap().contains("no tensor map"));
        assert_eq!(cuTensorMapEncodeIm2col((&raw mut none).cast()), 801);
    }
    // Five dimensions, each of the 13 types, with a box of 16 bytes along the first.
    for (data_type, bytes) in [1_u32, 2, 4, 4, 8, 8, 2, 4, 8, 2, 4, 4, 4].into_iter().enumerate() {
        let arguments = Arguments {
            data_type: data_type as i32,
            rank: 5,
            dims: [1 << 32, 3, 5, 7, 1],
            strides: [1 << 36, 1 << 38, (1 << 40) - 16, 16],
            box_dims: [16 / bytes, 3, 256, 2, 1],
            element_strides: [1, 2, 3, 4, 8],
            fill: 0,
            ..GOOD
        };
        assert_eq!(encode(&mut first, &arguments), 0, "type {data_type}: {:?}", libcuda::refusal());
    }
}

#[test]
fn every_rule_has_its_refusal() {
    let _context = common::simulated();
    let cases: [(&str, u32, Arguments); 24] = [
        ("data type 16 is unknown", 1, Arguments { data_type: 16, ..GOOD }),
        ("data type -1 is unknown", 1, Arguments { data_type: -1, ..GOOD }),
        ("needs sm_100", 801, Arguments { data_type: 13, ..GOOD }),
        ("a rank of 0", 1, Arguments { rank: 0, ..GOOD }),
        ("a rank of 6", 1, Arguments { rank: 6, ..GOOD }),
        ("not a multiple of 16", 1, Arguments { address: 0x7000_0008, ..GOOD }),
        ("dimension 0 has 0 elements", 1, Arguments { dims: [0, 32, 0, 0, 0], ..GOOD }),
        ("dimension 1 has 4294967297 elements", 1, Arguments { dims: [128, (1 << 32) + 1, 0, 0, 0], ..GOOD }),
        ("stride of dimension 1 is 264 bytes", 1, Arguments { strides: [264, 0, 0, 0], ..GOOD }),
        ("multiple of 16 below 2^40", 1, Arguments { strides: [1 << 40, 0, 0, 0], ..GOOD }),
        ("box has 0 elements along dimension 1", 1, Arguments { box_dims: [64, 0, 0, 0, 0], ..GOOD }),
        ("box has 257 elements along dimension 1", 1, Arguments { box_dims: [64, 257, 0, 0, 0], ..GOOD }),
        ("has 8 bytes, not a multiple of 16", 1, Arguments { box_dims: [4, 8, 0, 0, 0], ..GOOD }),
        ("has 144 bytes, the swizzle's rows have 128", 1, Arguments { box_dims: [72, 8, 0, 0, 0], ..GOOD }),
        ("swizzle's rows have 32", 1, Arguments { swizzle: 1, ..GOOD }),
        ("swizzle's rows have 64", 1, Arguments { swizzle: 2, ..GOOD }),
        ("element stride of dimension 1 is 0", 1, Arguments { element_strides: [1, 0, 0, 0, 0], ..GOOD }),
        ("element stride of dimension 1 is 9", 1, Arguments { element_strides: [1, 9, 0, 0, 0], ..GOOD }),
        ("interleaved tensor maps", 801, Arguments { interleave: 1, ..GOOD }),
        ("interleave 3 is unknown", 1, Arguments { interleave: 3, ..GOOD }),
        ("swizzle 7 is unknown", 1, Arguments { swizzle: 7, ..GOOD }),
        ("L2 promotion 4 is unknown", 1, Arguments { promotion: 4, ..GOOD }),
        ("out-of-bounds fill 2 is unknown", 1, Arguments { fill: 2, ..GOOD }),
        ("cannot be filled with NaN", 1, Arguments { data_type: 1, ..GOOD }),
    ];
    let mut map = Map([1; 128]);
    for (words, code, arguments) in cases {
        assert_eq!(encode(&mut map, &arguments), code, "{words}");
        let why = libcuda::refusal().unwrap();
        assert!(why.contains(words), "{words} is not in: {why}");
    }
    assert_eq!(map.0, [1; 128], "a refused call writes nothing");
    assert_eq!(encode(std::ptr::null_mut(), &GOOD), 1);
    let mut two = [map; 2];
    assert_eq!(encode(two.as_mut_ptr().wrapping_byte_add(32), &GOOD), 1);
    assert!(libcuda::refusal().unwrap().contains("not aligned to 64 bytes"));
}
