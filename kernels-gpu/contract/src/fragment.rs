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
