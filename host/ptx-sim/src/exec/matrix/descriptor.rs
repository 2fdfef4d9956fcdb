//! Matrix descriptors of wgmma: where the elements of A and B lie in shared memory.
//!
//! PTX ISA 9.7.15.5.1.2. All layouts are made of chunks of 16 bytes. With K-major order a chunk holds neighbours
//! along k of one row of A (column of B), with MN-major order neighbouring rows (columns) of one k. A swizzle
//! moves chunks within 128 bytes: bits 4 to 6 of an address are crossed with bits 7 to 9, as many of them as
//! the mode has, counted from where the pattern starts.

use crate::exec::asynchronous::rank_address;

/// Bytes of a chunk.
pub(super) const CHUNK: usize = 16;

/// What a descriptor says, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Descriptor {
    start: u32,
    leading: u32,
    stride: u32,
    /// Where the pattern of a swizzle starts, in units of 128 bytes from a boundary of 1024.
    base: u32,
    /// Bytes of a row of the pattern: 16 (none), 32, 64 or 128.
    width: u32,
}

/// The bits that no field has.
const UNUSED: u64 = 0x3FF1_C000_C000_C000;

impl Descriptor {
    /// Takes a descriptor apart; `None` where bits are set that mean nothing.
    pub(super) fn decode(bits: u64) -> Option<Self> {
        if bits & UNUSED != 0 {
            return None;
        }
        let field = |at: u32| ((bits >> at) as u32 & 0x3FFF) << 4;
        let width = [16, 128, 64, 32][(bits >> 62) as usize];
        Some(Self { start: field(0), leading: field(16), stride: field(32), base: (bits >> 49) as u32 & 7, width })
    }

    /// Whether the leading offset, where the layout has none, is the rank of a shared address: one that was not cut to 18
    /// bits, as `matrix-descriptor-encode` does (PTX ISA 9.7.15.5.1.2).
    pub(super) fn holds_rank(&self, rank: usize, transposed: bool) -> bool {
        self.width > 16 && !transposed && u64::from(self.leading) == rank_address(rank, 0) >> 16
    }

    fn swizzled(&self, at: u32) -> u32 {
        let mask = self.width / 16 - 1;
        at ^ (((at >> 7).wrapping_sub(self.base) & mask) << 4)
    }

    /// Address of the chunk of row `row` that begins with byte `byte` of the row, K-major.
    fn k_major(&self, row: u32, byte: u32) -> u32 {
        let inside = match self.width {
            16 => row % 8 * 16 + byte / 16 * self.leading,
            width => row % 8 * width + byte,
        };
        self.swizzled(self.start.wrapping_add(inside).wrapping_add(row / 8 * self.stride))
    }

    /// Address of the chunk of `k` that begins with byte `byte` along rows, MN-major.
    fn mn_major(&self, byte: u32, k: u32) -> u32 {
        let inside = match self.width {
            16 => (byte / 16 * self.stride).wrapping_add(k / 8 * self.leading),
            width => (byte % width).wrapping_add(byte / width * self.leading).wrapping_add(k / 8 * self.stride),
        };
        self.swizzled(self.start.wrapping_add(inside).wrapping_add(k % 8 * self.width))
    }

    /// Addresses of all chunks of an operand of `rows` rows and 32 bytes along k, of `bits` bits an element:
    /// row after row, or k after k where it is `transposed`.
    pub(super) fn chunks(&self, rows: usize, bits: usize, transposed: bool) -> Vec<u32> {
        let chunk = CHUNK as u32;
        if transposed {
            let (k, bytes) = (256 / bits, rows * bits / 8);
            let line = |k: u32| (0..bytes as u32 / chunk).map(move |at| self.mn_major(at * chunk, k));
            return (0..k as u32).flat_map(line).collect();
        }
        (0..rows as u32).flat_map(|row| [self.k_major(row, 0), self.k_major(row, chunk)]).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    fn encode(start: u64, leading: u64, stride: u64, mode: u64) -> Descriptor {
        let field = |bytes: u64| (bytes & 0x3FFFF) >> 4;
        Descriptor::decode(field(start) | field(leading) << 16 | field(stride) << 32 | mode << 62).unwrap()
    }

    /// Modes with their bytes of a row.
    const MODES: [(u64, u64); 4] = [(0, 16), (1, 128), (2, 64), (3, 32)];

    #[test]
    fn every_layout_gives_every_element_its_own_place() {
        for (mode, width) in MODES {
            for rows in (8..=256).step_by(8) {
                // The tightest tiles: whole patterns side by side.
                let (leading, stride) = if mode == 0 { (rows * 16, 128) } else { (16, 8 * width) };
                let tile = encode(4096, leading, stride, mode);
                let steps = if mode == 0 { 1 } else { width / 32 };
                let mut seen = HashSet::new();
                for step in 0..steps {
                    let moved = Descriptor { start: tile.start + 32 * step as u32, ..tile };
                    for at in moved.chunks(rows as usize, 8, false) {
                        assert!(seen.insert(at), "mode {mode}, {rows} rows: {at} twice");
                    }
                }
                // Steps along k fill whole patterns: no gap is left.
                let bytes = if mode == 0 { rows * 32 } else { rows * width };
                assert_eq!(seen.len() as u64 * 16, bytes, "mode {mode}, {rows} rows");
                assert!(seen.iter().all(|at| (4096..4096 + bytes as u32).contains(at)), "mode {mode}, {rows} rows");

                let repeat = width / 2;
                let (leading, stride) = match mode {
                    0 => (rows / 8 * 128, 128),
                    _ => (8 * width * 2, 8 * width),
                };
                if rows % repeat == 0 {
                    let seen: HashSet<u32> =
                        encode(4096, leading, stride, mode).chunks(rows as usize, 16, true).into_iter().collect();
                    let wanted: HashSet<u32> = (0..rows as u32 * 2).map(|chunk| 4096 + chunk * 16).collect();
                    assert_eq!(seen, wanted, "mode {mode}, {rows} rows, transposed");
                }
            }
        }
    }

    /// CuTe's canonical layouts as the document has them, in elements of 16 bytes before the swizzle.
    #[test]
    fn layouts_are_the_canonical_ones() {
        let swizzle = |at: u32, width: u32| at ^ ((at >> 3) & (width - 16));
        for (mode, width) in MODES {
            let width = width as u32;
            let (leading, stride) = (5120_u32, 2048_u32);
            let tile = encode(8192, u64::from(leading), u64::from(stride), mode);
            for row in 0..64 {
                for chunk in 0..2 {
                    // ((8, m), (T, 2k)) : ((w T, SBO), (1, T or LBO))
                    let along = if mode == 0 { chunk * leading } else { chunk * 16 };
                    let wanted = swizzle(8192 + row % 8 * width + row / 8 * stride + along, width);
                    assert_eq!(tile.k_major(row, 16 * chunk), wanted, "mode {mode}, row {row}");
                }
            }
            for k in 0..16 {
                for chunk in 0..32 {
                    // None: ((T, 1, m), (8, k)) : ((1, T, SBO), (1T, LBO)); else ((T, w, m), (8, k)) : ((1, T, LBO), (w T, SBO))
                    let per = width / 16;
                    let (inner, outer) = if mode == 0 { (leading, stride) } else { (stride, leading) };
                    let at = 8192 + chunk % per * 16 + chunk / per * outer + k % 8 * width + k / 8 * inner;
                    assert_eq!(tile.mn_major(16 * chunk, k), swizzle(at, width), "mode {mode}, k {k}, chunk {chunk}");
                }
            }
        }
    }

    #[test]
    fn a_pattern_that_starts_elsewhere_says_so_in_the_base_offset() {
        for (mode, width) in MODES {
            let at_boundary = encode(0, 16, 8 * width, mode).chunks(8, 8, false);
            for shift in 0..8_u32 {
                let start = 128 * shift;
                let moved = Descriptor { start, base: shift, ..encode(0, 16, 8 * width, mode) };
                let moved: Vec<u32> = moved.chunks(8, 8, false).iter().map(|at| at - start).collect();
                assert_eq!(moved, at_boundary, "mode {mode}, {shift} times 128 bytes behind a boundary");
            }
        }
    }

    #[test]
    fn bits_that_mean_nothing_are_noticed() {
        for bit in 0..64 {
            let field = matches!(bit, 0..=13 | 16..=29 | 32..=45 | 49..=51 | 62..=63);
            assert_eq!(Descriptor::decode(1 << bit).is_some(), field, "bit {bit}");
        }
    }
}
