//! Which element of a tile each lane of a warp holds: `mma.sync.m16n8k32` for 8-bit integers
//! (PTX ISA 9.1, section 9.7.14.5.10) and the `ldmatrix` addresses that fill its operands (9.7.14.5.15).

/// (row, k) of byte `byte` of register `reg` (0..4) of operand A (16 × 32) in lane `lane`.
#[inline(always)]
pub const fn a_element(lane: u32, reg: u32, byte: u32) -> (u32, u32) {
    (lane / 4 + 8 * (reg % 2), 4 * (lane % 4) + byte + 16 * (reg / 2))
}

/// (k, column) of byte `byte` of register `reg` (0..2) of operand B (32 × 8) in lane `lane`.
#[inline(always)]
pub const fn b_element(lane: u32, reg: u32, byte: u32) -> (u32, u32) {
    (4 * (lane % 4) + byte + 16 * reg, lane / 4)
}

/// (row, column) of register `reg` (0..4) of the accumulator (16 × 8) in lane `lane`.
#[inline(always)]
pub const fn c_element(lane: u32, reg: u32) -> (u32, u32) {
    (lane / 4 + 8 * (reg / 2), 2 * (lane % 4) + reg % 2)
}

/// (row, 16-byte chunk) of a 16 × 32-byte A tile whose address lane `lane` gives to `ldmatrix.x4`:
/// matrix j of the four becomes register j of A.
#[inline(always)]
pub const fn a_ldmatrix(lane: u32) -> (u32, u32) {
    (lane % 8 + 8 * (lane / 8 % 2), lane / 16)
}

/// (row of W, 16-byte chunk) of a 16 × 32-byte tile of W, two n8 operands, whose address lane `lane`
/// gives to `ldmatrix.x4`: registers (0, 1) are the first operand B and (2, 3) the second.
/// The other order of the pairs costs over 100 moves (ptxas 13.0.88, sm_80).
#[inline(always)]
pub const fn b_ldmatrix(lane: u32) -> (u32, u32) {
    (lane % 8 + 8 * (lane / 16), lane / 8 % 2)
}

/// Row of W, counted from the tile's first, that lies in row `slot` of the w tile in shared memory.
///
/// In every 16 rows of W, two n8 operands, the rows are dealt out so that what a lane accumulates for the two lies
/// in four columns side by side: one 16-byte store of f32, and 32-byte sectors filled by four lanes of a 16-bit type.
#[inline(always)]
pub const fn w_row(slot: u32) -> u32 {
    slot / 16 * 16 + 4 * (slot % 8 / 2) + 2 * (slot / 8 % 2) + slot % 2
}

/// (row, column) of register `reg` (0..4) of the accumulator of n8 operand `operand` (0..2) of a pair, in the
/// 16 × 16 outputs of m16 operand and pair, when W lies as [`w_row`] has it.
#[inline(always)]
pub const fn pair_element(lane: u32, operand: u32, reg: u32) -> (u32, u32) {
    let (row, col) = c_element(lane, reg);
    (row, w_row(8 * operand + col))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::swizzle;

    /// Every element of a `rows × cols` operand is in exactly one lane, register and byte.
    fn covers_once<const ELEMENTS: usize>(cols: u32, elements: impl Iterator<Item = (u32, u32)>) {
        let mut seen = [0u8; ELEMENTS];
        for (row, col) in elements {
            assert!(col < cols);
            seen[(row * cols + col) as usize] += 1;
        }
        assert!(seen.iter().all(|&n| n == 1));
    }

    fn lanes_and(registers: u32, bytes: u32) -> impl Iterator<Item = (u32, u32, u32)> {
        (0..32).flat_map(move |lane| (0..registers).flat_map(move |reg| (0..bytes).map(move |byte| (lane, reg, byte))))
    }

    #[test]
    fn operands_are_bijections() {
        covers_once::<512>(32, lanes_and(4, 4).map(|(lane, reg, byte)| a_element(lane, reg, byte)));
        covers_once::<256>(8, lanes_and(2, 4).map(|(lane, reg, byte)| b_element(lane, reg, byte)));
        covers_once::<128>(8, lanes_and(4, 1).map(|(lane, reg, _)| c_element(lane, reg)));
    }

    /// `ldmatrix` (PTX ISA 9.7.14.5.15): register j of a lane is bytes 4·(lane % 4).. of row lane / 4 of matrix j,
    /// whose address lane 8·j + row has given.
    fn ldmatrix(lane: u32, reg: u32, byte: u32, address: fn(u32) -> (u32, u32)) -> (u32, u32) {
        let (row, chunk) = address(8 * reg + lane / 4);
        (row, 16 * chunk + 4 * (lane % 4) + byte)
    }

    #[test]
    fn ldmatrix_fills_operand_a() {
        for (lane, reg, byte) in lanes_and(4, 4) {
            assert_eq!(ldmatrix(lane, reg, byte, a_ldmatrix), a_element(lane, reg, byte));
        }
    }

    #[test]
    fn ldmatrix_fills_two_operands_b() {
        for (lane, reg, byte) in lanes_and(4, 4) {
            let (k, col) = b_element(lane, reg % 2, byte);
            assert_eq!(ldmatrix(lane, reg, byte, b_ldmatrix), (8 * (reg / 2) + col, k));
        }
    }

    /// A phase of `ldmatrix` is the eight rows of one matrix; it is free of conflicts if they lie in 32 banks.
    #[test]
    fn ldmatrix_phases_have_no_bank_conflicts() {
        for address in [a_ldmatrix, b_ldmatrix] {
            for (matrix, step, tile_row) in [(0, 0, 0), (1, 1, 16), (2, 2, 32), (3, 3, 112)] {
                let mut banks = 0u32;
                for lane in 8 * matrix..8 * matrix + 8 {
                    let (row, chunk) = address(lane);
                    let first = swizzle::offset(tile_row + row, chunk + 2 * step) / 4 % 32;
                    banks |= 0b1111 << first;
                }
                assert_eq!(banks, u32::MAX, "matrix {matrix}, step {step}");
            }
        }
    }

    #[test]
    fn rows_of_w_are_dealt_out_within_their_sixteen() {
        let mut seen = [false; 128];
        for slot in 0..128 {
            let row = w_row(slot);
            assert_eq!(row / 16, slot / 16, "also what lets a loader step by 16 rows");
            assert!(!core::mem::replace(&mut seen[row as usize], true));
        }
    }

    #[test]
    fn a_lane_has_four_columns_side_by_side() {
        covers_once::<256>(16, lanes_and(4, 2).map(|(lane, reg, operand)| pair_element(lane, operand, reg)));
        for lane in 0..32 {
            for half in 0..2 {
                let (row, first) = pair_element(lane, 0, 2 * half);
                assert!(first % 4 == 0 && row == lane / 4 + 8 * half);
                for e in 0..4 {
                    assert_eq!(pair_element(lane, e / 2, 2 * half + e % 2), (row, first + e));
                }
            }
        }
    }
}
