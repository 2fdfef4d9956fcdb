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

/// The fewest threads that share a row in the quantizers: a power of two, more than a row has elements at either end
/// outside its 16-byte windows.
pub const LEAST_TEAM: u32 = 8;

/// Elements of a row that a thread of the quantizers holds in registers: 128 bytes of 16-bit elements, 256 of f32.
pub const HELD_COLS: u64 = 64;

/// Columns up to which `team` threads hold a row and read x once from memory.
pub const fn held_cols(team: u32) -> u64 {
    team as u64 * HELD_COLS
}

/// Columns up to which the quantizers hold a row in registers: by all threads of a block.
pub const CACHED_COLS: u64 = held_cols(THREADS);

/// Threads that share a row in the quantizers, a power of two from [`LEAST_TEAM`] to [`THREADS`]: as few as hold it,
/// so that each has many loads in flight and little else to do; more where that leaves multiprocessors without a
/// block, as long as each has at least 8 elements.
pub const fn team(rows: u64, cols: u64, multiprocessors: u64) -> u32 {
    let mut team = LEAST_TEAM;
    while team < THREADS && held_cols(team) < cols {
        team *= 2;
    }
    while team < THREADS && rows.div_ceil(team_rows(team)) < multiprocessors && 8 * (team as u64) < cols {
        team *= 2;
    }
    team
}

/// Rows of a block in which `team` threads share one.
pub const fn team_rows(team: u32) -> u64 {
    (THREADS / team) as u64
}

/// Rows that a block of the kernels with one warp a row handles at a time.
pub const WARP_ROWS: u64 = team_rows(32);

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
    fn a_team_holds_its_row_and_leaves_no_multiprocessor_idle() {
        let many = |cols| team(1 << 20, cols, 132);
        assert_eq!([1, 512, 513, 2048, 4096, 8192, 8193, 133_144].map(many), [8, 8, 16, 32, 64, 128, 256, 256]);
        // 132 blocks of four rows, a row less, and few rows; at least 8 elements a thread.
        assert_eq!([528, 525, 264, 8, 1].map(|rows| team(rows, 4096, 132)), [64, 64, 128, 256, 256]);
        assert_eq!([1, 100].map(|cols| team(1, cols, 132)), [8, 16]);
        assert_eq!(team(0, 1 << 40, 0), THREADS);
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
