//! Block sizes and grids of the row and tensor kernels.

/// Threads of every block of `reduce` and `quantize`.
pub const THREADS: u32 = 256;

/// The most blocks `tensor_absmax` is launched with, hence the most partial maxima.
pub const MAX_PARTIALS: u64 = 1024;

/// The most chunks of rows, hence masks, of `outlier_columns`.
pub const MAX_OUTLIER_CHUNKS: u64 = 128;

/// The most blocks along x that any kernel is launched with (the hardware's limit is 2³¹ − 1):
/// every kernel walks on in steps of the grid, so any number of rows or tiles is right.
pub const MAX_BLOCKS: u64 = 1 << 20;

/// Columns up to which `quantize_token` holds a row in registers and reads x once from memory.
pub const CACHED_COLS: u64 = 16_384;

/// Columns up to which the `_warp` variants, one warp a row, are preferred.
pub const WARP_COLS: u64 = 1_024;

/// Rows that a block of the `_warp` variants handles at a time.
pub const WARP_ROWS: u64 = THREADS as u64 / 32;

const fn at_least_one(blocks: u64, most: u64) -> u32 {
    if blocks == 0 {
        1
    } else if blocks > most {
        most as u32
    } else {
        blocks as u32
    }
}

/// Blocks for a kernel that handles `rows_per_block` rows a block at a time.
pub const fn row_blocks(rows: u64, rows_per_block: u64) -> u32 {
    at_least_one(rows.div_ceil(rows_per_block), MAX_BLOCKS)
}

/// Blocks, and partial maxima, for `tensor_absmax`: a share of about 8,192 elements or one row each.
pub const fn partials(rows: u64, cols: u64) -> u32 {
    let rows_per_block = 8192u64.div_ceil(if cols == 0 { 1 } else { cols });
    at_least_one(rows.div_ceil(rows_per_block), MAX_PARTIALS)
}

/// Rows that a block of `column_absmax` reduces at a time, each warp every eighth of them.
pub const COLUMN_ROWS: u64 = 256;

/// Blocks for `column_absmax`: one for [`COLUMN_ROWS`] rows of 128 columns, which are a warp's windows of f32. For
/// 16-bit elements every second one has nothing to do.
pub const fn column_blocks(rows: u64, cols: u64) -> u32 {
    at_least_one(rows.div_ceil(COLUMN_ROWS).saturating_mul(cols / 128 + 1), MAX_BLOCKS)
}

/// Rows of a chunk of `outlier_columns`: at least 64, and so many that a block can join the masks of all chunks.
pub const fn outlier_chunk_rows(rows: u64) -> u64 {
    let share = rows.div_ceil(MAX_OUTLIER_CHUNKS);
    if share < 64 { 64 } else { share }
}

/// Blocks for `outlier_columns`: one a chunk of rows and [`THREADS`] columns.
pub const fn outlier_blocks(rows: u64, cols: u64) -> u32 {
    let chunks = rows.div_ceil(outlier_chunk_rows(rows));
    at_least_one(chunks.saturating_mul(cols.div_ceil(THREADS as u64)), MAX_BLOCKS)
}

/// Blocks for the GEMM: one a tile.
pub const fn tile_blocks(tiles: u64) -> u32 {
    at_least_one(tiles, MAX_BLOCKS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grids_have_a_block_and_at_most_the_most() {
        assert_eq!(row_blocks(0, 1), 1);
        assert_eq!(row_blocks(17, WARP_ROWS), 3);
        assert_eq!(row_blocks(u64::MAX, 1) as u64, MAX_BLOCKS);
        assert_eq!((tile_blocks(0), tile_blocks(5)), (1, 5));
        assert_eq!(tile_blocks(u64::MAX) as u64, MAX_BLOCKS);
        assert_eq!((column_blocks(0, 5), column_blocks(257, 384)), (1, 8));
        assert_eq!(column_blocks(u64::MAX, u64::MAX) as u64, MAX_BLOCKS);
    }

    #[test]
    fn a_share_of_the_tensor_is_8192_elements_or_a_row() {
        assert_eq!(partials(0, 4096), 1);
        assert_eq!(partials(5, 4096), 3);
        assert_eq!(partials(5, 100_000), 5);
        assert_eq!(partials(1 << 40, 1) as u64, MAX_PARTIALS);
        assert_eq!(partials(3, 0), 1);
    }

    #[test]
    fn outliers_are_sought_in_few_chunks() {
        assert_eq!((outlier_chunk_rows(0), outlier_chunk_rows(8192), outlier_chunk_rows(8193)), (64, 64, 65));
        assert_eq!((outlier_blocks(1, 1), outlier_blocks(65, 257), outlier_blocks(1 << 40, 256)), (1, 4, 128));
    }
}
