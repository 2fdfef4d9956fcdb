//! `pack_weights`: int8 rows → panels of 64 rows, in k_blocks of 128 codes, each row's 16-code chunks swizzled.

/// Rows of a panel.
const PANEL_ROWS: usize = 64;
/// Codes of a row in a k_block.
const K_BLOCK: usize = 128;
/// Codes of a chunk.
const CHUNK: usize = 16;

/// x i8, element (i, j) at `i * row_stride + j` → `i8 [panels, k_blocks, 64, 128]`: code (i, j) lies in panel i / 64,
/// k_block j / 128, row i % 64, and there in chunk (j % 128 / 16) XOR (i % 8). What x does not have is zero, rows up to
/// a whole panel and codes up to a whole k_block.
///
/// # Panics
/// If `row_stride` is less than `cols` or x ends before the last element.
pub fn pack_weights(x: &[i8], rows: usize, cols: usize, row_stride: usize) -> Vec<i8> {
    assert!(row_stride >= cols, "rows of {cols} codes do not fit {row_stride} apart");
    let (panels, k_blocks) = (rows.div_ceil(PANEL_ROWS), cols.div_ceil(K_BLOCK));
    let mut packed = vec![0; panels * k_blocks * PANEL_ROWS * K_BLOCK];
    for row in 0..rows {
        for col in 0..cols {
            let (panel, k_block) = (row / PANEL_ROWS, col / K_BLOCK);
            let chunk = (col % K_BLOCK / CHUNK) ^ (row % 8);
            let line = (panel * k_blocks + k_block) * PANEL_ROWS + row % PANEL_ROWS;
            packed[line * K_BLOCK + chunk * CHUNK + col % CHUNK] = x[row * row_stride + col];
        }
    }
    packed
}
