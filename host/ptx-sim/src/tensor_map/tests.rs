use super::*;

fn every_valid_shape() -> Vec<TensorMap> {
    let mut maps = Vec::new();
    for element in TensorElement::ALL {
        for rank in 1..=TENSOR_RANK {
            for swizzle in [Swizzle::None, Swizzle::B32, Swizzle::B64, Swizzle::B128] {
                let inner = 16 / element.bytes();
                let dims: Vec<u64> = (0..rank).map(|axis| u64::from(inner) * 4 + 3 * axis as u64).collect();
                let sides: Vec<u32> = (0..rank).map(|axis| if axis == 0 { inner } else { 2 + axis as u32 }).collect();
                maps.push(TensorMap::packed(element, 0x1000, &dims, &sides).unwrap().with_swizzle(swizzle));
            }
        }
    }
    maps
}

#[test]
fn encoding_and_decoding_return_the_same_map() {
    for map in every_valid_shape() {
        let mut map = map;
        map.element_strides = [1, 2, 3, 4, 8];
        let bytes = map.encode().unwrap();
        assert_eq!(TensorMap::decode(&bytes).unwrap(), map);
    }
}

#[test]
fn every_rule_of_the_driver_is_checked() {
    let good = TensorMap::packed(TensorElement::F16, 0x100, &[64, 32, 8], &[64, 8, 2]).unwrap();
    good.validate().unwrap();
    let check = |word: &str, change: &dyn Fn(&mut TensorMap)| {
        let mut map = good;
        change(&mut map);
        let error = map.encode().unwrap_err().to_string();
        assert!(error.contains(word), "{word}: {error}");
    };
    check("rank of 0", &|map| map.rank = 0);
    check("rank of 6", &|map| map.rank = 6);
    check("0x108", &|map| map.address = 0x108);
    check("dimension 1 has 0", &|map| map.dims[1] = 0);
    check("dimension 2", &|map| map.dims[2] = (1 << 32) + 1);
    check("257", &|map| map.box_dims[1] = 257);
    check("0 elements along dimension 2", &|map| map.box_dims[2] = 0);
    check("element stride of dimension 1 is 9", &|map| map.element_strides[1] = 9);
    check("element stride of dimension 0 is 0", &|map| map.element_strides[0] = 0);
    check("stride of dimension 1 is 136", &|map| map.strides[0] = 136);
    check("below 2^40", &|map| map.strides[1] = 1 << 40);
    check("not a multiple of 16", &|map| map.box_dims[0] = 12);
    check("rows have 64", &|map| map.swizzle = Swizzle::B64);
    check("NaN", &|map| (map.element, map.fill) = (TensorElement::U16, OutOfBoundsFill::Nan));
    let mut edge = good;
    (edge.dims[2], edge.strides[1], edge.box_dims[1]) = (1 << 32, (1 << 40) - 16, 256);
    edge.validate().unwrap();
    assert!(TensorMap::packed(TensorElement::U8, 0, &[16; 6], &[16; 6]).is_err());
    assert!(TensorMap::decode(&[0; 128]).unwrap_err().to_string().contains("no tensor map"));
}

#[test]
fn a_swizzle_permutes_the_pieces_of_its_pattern() {
    for (swizzle, span, pattern) in [(Swizzle::B32, 32, 256), (Swizzle::B64, 64, 512), (Swizzle::B128, 128, 1024)] {
        assert_eq!(swizzle.span(), Some(span));
        let mut seen = vec![false; 4096];
        for address in 0..4096_u32 {
            let to = swizzle.apply(address);
            assert!(!std::mem::replace(&mut seen[to as usize], true), "{swizzle:?} sends two bytes to {to}");
            assert_eq!(swizzle.apply(to), address);
            // It stays in its row and keeps the byte in its piece; the next pattern is the same.
            assert_eq!((to / span, to % 16), (address / span, address % 16));
            assert_eq!(swizzle.apply(address + pattern), to + pattern);
            // PTX ISA 5.5.7: the piece's number XOR that of the row of 128 bytes in the pattern.
            let piece = address % span / 16;
            let line = address / 128 % (pattern / 128);
            assert_eq!(to % span / 16, piece ^ (line % (span / 16)));
        }
        assert!(seen.iter().all(|hit| *hit));
        // The pattern is not shorter than said.
        assert!(
            (0..pattern).any(|address| swizzle.apply(address + pattern / 2) != swizzle.apply(address) + pattern / 2)
        );
    }
    assert!((0..4096).all(|address| Swizzle::None.apply(address) == address));
}

/// Every element of a box by plain arithmetic: its place in the box, and its global address if it is inside.
fn elements(tile: &Tile) -> Vec<Option<u64>> {
    let map = &tile.map;
    let sides = map.sides();
    let mut out = Vec::new();
    let count: u32 = sides.iter().product();
    for number in 0..count {
        let (mut left, mut address, mut inside) = (number, map.address as i64, true);
        for (axis, side) in sides.iter().enumerate().take(map.rank as usize) {
            let step = if axis == 0 { 1 } else { i64::from(map.element_strides[axis]) };
            let at = i64::from(tile.coords[axis]) + i64::from(left % side) * step;
            left /= side;
            inside &= at >= 0 && at < map.dims[axis] as i64;
            let stride = if axis == 0 { i64::from(map.element.bytes()) } else { map.strides[axis - 1] as i64 };
            address += at * stride;
        }
        out.push(inside.then_some(address as u64));
    }
    out
}

#[test]
fn rows_agree_with_plain_arithmetic_at_every_edge() {
    for map in every_valid_shape() {
        for steps in [[1; 5], [1, 2, 1, 3, 8]] {
            for shift in [-3, -1, 0, 2] {
                for base in [0, 1] {
                    let mut map = map;
                    map.element_strides = steps;
                    let coords = std::array::from_fn(|axis| {
                        shift + base * (map.dims[axis] as i32 - map.box_dims[axis] as i32 / 2)
                    });
                    let tile = Tile { map, coords };
                    let expected = elements(&tile);
                    let size = map.element.bytes();
                    let mut found = vec![None; expected.len()];
                    for row in tile.rows() {
                        for byte in (row.inside.0..row.inside.1).step_by(size as usize) {
                            let place = (row.start + byte) / size;
                            found[place as usize] = Some(row.address + u64::from(byte - row.inside.0));
                        }
                    }
                    assert_eq!(found, expected, "{map:?} at {coords:?}");
                    assert_eq!(map.box_bytes(), expected.len() as u32 * size);
                }
            }
        }
    }
}

#[test]
fn a_swizzled_box_covers_its_bytes_once() {
    for map in every_valid_shape() {
        let tile = Tile { map, coords: [0; 5] };
        let mut seen = vec![0; map.box_bytes().next_multiple_of(1024) as usize];
        for row in tile.rows() {
            tile.places(4096, &row, |bytes, address| {
                let start = address as usize - 4096;
                seen[start..start + bytes.len()].iter_mut().for_each(|hits| *hits += 1);
            });
        }
        assert!(seen.iter().all(|hits| *hits <= 1), "{map:?}");
        assert_eq!(seen.iter().sum::<u32>(), map.box_bytes());
    }
}

#[test]
fn fills_are_zeros_or_the_nan_of_the_type() {
    let mut tile = Tile { map: TensorMap::packed(TensorElement::BF16, 0, &[8], &[8]).unwrap(), coords: [0; 5] };
    let mut row = [1; 16];
    tile.fill_row(&mut row);
    assert_eq!(row, [0; 16]);
    tile.map.fill = OutOfBoundsFill::Nan;
    tile.fill_row(&mut row);
    assert!(row.chunks_exact(2).all(|two| half::bf16::from_le_bytes([two[0], two[1]]).is_nan()));
}

#[test]
fn replaced_fields_make_the_map_that_was_meant() {
    let first = TensorMap::packed(TensorElement::U8, 0x100, &[16], &[16]).unwrap();
    let mut wanted = TensorMap::packed(TensorElement::BF16, 0x4_0000, &[96, 40, 7], &[32, 4, 2]).unwrap();
    (wanted.swizzle, wanted.fill, wanted.element_strides[1]) = (Swizzle::B64, OutOfBoundsFill::Nan, 2);
    let mut bytes = first.encode().unwrap();
    let mut put = |field: Field, value: u64| field.replace(&mut bytes, value).unwrap();
    put(Field::GlobalAddress, wanted.address);
    put(Field::Rank, 2);
    put(Field::Element, 10);
    put(Field::Swizzle, 2);
    put(Field::Fill, 1);
    put(Field::Interleave, 0);
    put(Field::Atomicity, 0);
    for axis in 0..3 {
        put(Field::BoxDim(axis), u64::from(wanted.box_dims[usize::from(axis)]));
        put(Field::GlobalDim(axis), wanted.dims[usize::from(axis)]);
        put(Field::ElementStride(axis), u64::from(wanted.element_strides[usize::from(axis)]));
    }
    put(Field::GlobalStride(0), wanted.strides[0]);
    put(Field::GlobalStride(1), wanted.strides[1]);
    assert_eq!(TensorMap::decode(&bytes).unwrap(), wanted);
    assert!(Field::Element.replace(&mut bytes, 13).is_err());
    assert!(Field::Swizzle.replace(&mut bytes, 4).is_err());
    assert!(Field::Interleave.replace(&mut bytes, 1).is_err());
    assert!(Field::Fill.replace(&mut [1; 128], 0).unwrap_err().to_string().contains("neither a tensor map"));
    let mut fresh = [0; 128];
    Field::Rank.replace(&mut fresh, 2).unwrap();
    assert!(TensorMap::decode(&fresh).unwrap_err().to_string().contains("dimension 0 has 0 elements"));
    assert!(Field::GlobalStride(0).wide() && !Field::GlobalDim(0).wide());
    assert_eq!((Field::GlobalStride(0).last_ordinal(), Field::BoxDim(0).last_ordinal()), (3, 4));
}
