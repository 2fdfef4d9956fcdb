//! From sums to y where rows of w are the rows of the accumulators: exchange through shared memory, meet, scale, store.
//!
//! A lane holds few rows of w, which are columns of y, for many tokens. Through shared memory it gets four columns side by side
//! of one token, so that a warp stores 128 elements of a row of y one after the other.

use contract::args::GemmArgs;
use contract::decode_tile::{DecodeTile, ROWS, sum_element, sum_word};
use contract::hopper_tile::GROUP_THREADS;
use contract::packed::PANEL_ROWS;
use contract::split::Part;
use cuda_std::cluster::{cluster_ctarank, cluster_nctarank};
use cuda_std::memory::{ld_shared_b32, ld_shared_v4_b32, st_shared_b32};
use cuda_std::sync::bar_sync;
use cuda_std::thread::grid_dim_x;
use cuda_std::warp::{WARP_SIZE, lane_id};
use product::split::{Meeting, Team};
use product::{Output, affine, load_bias, load_four_biases, load_four_scales, load_scale};

use crate::accumulators::Sums;
use crate::decode::own_tile;
use crate::uniform::uniform;

/// Columns of y that a lane stores at once.
const QUAD: usize = 4;

/// Puts part `part` of the sums of a warpgroup, of so many tokens, where all of the team can read them; none where there are none.
///
/// # Safety
/// `words` is the shared address of the words of the layout. The whole team calls it together.
#[inline(always)]
unsafe fn exchange<S: Sums>(words: u32, team: Team, part: u32, tokens: u32, sums: Option<&S>) {
    let thread = team.thread % GROUP_THREADS;
    let first_row = team.thread / GROUP_THREADS * PANEL_ROWS as u32;
    // SAFETY: each word is one lane's; nobody reads them before the second barrier, or any more after the first.
    unsafe {
        bar_sync(team.barrier, team.threads);
        if let Some(sums) = sums {
            for i in 0..tokens / 2 {
                let (row, token) = sum_element(thread / WARP_SIZE, lane_id(), i);
                let word = sum_word(token, first_row + row);
                st_shared_b32(words + 4 * word, sums.get((part * (tokens / 2) + i) as usize) as u32);
            }
        }
        bar_sync(team.barrier, team.threads);
    }
}

/// What four columns multiply and add.
struct Columns {
    s_w: [f32; QUAD],
    bias: [f32; QUAD],
}

impl Columns {
    /// From column `col` on, a multiple of four; those that are not in y get zeros.
    ///
    /// One load each where all four are: element by element a warp would ask four times for every sector.
    ///
    /// # Safety
    /// The argument describes live memory.
    #[inline(always)]
    unsafe fn load<O: Output>(args: &GemmArgs, col: u64) -> Self {
        let mut columns = Self { s_w: [0.0; QUAD], bias: [0.0; QUAD] };
        if O::SCALED && col + QUAD as u64 <= args.y.cols {
            // SAFETY: the columns are in y.
            unsafe {
                columns.s_w = load_four_scales(&args.s_w, col);
                columns.bias = load_four_biases(&args.bias, col);
            }
        } else if O::SCALED {
            for e in 0..QUAD {
                let col = col + e as u64;
                if col < args.y.cols {
                    // SAFETY: the column is in y.
                    unsafe {
                        columns.s_w[e] = load_scale(&args.s_w, col);
                        columns.bias[e] = load_bias(&args.bias, col);
                    }
                }
            }
        }
        columns
    }
}

/// Where a block's outputs go, and what they are made with: of four columns for each lane, and of all tokens.
struct Outputs<'a> {
    args: &'a GemmArgs,
    columns: Columns,
    /// Column of y of the first of the lane's four, and how many of them are in y.
    col: u64,
    cols: u32,
    /// Whether four are stored at once.
    is_whole: bool,
}

impl Outputs<'_> {
    /// Stores the outputs of row `row` of y from their sums.
    ///
    /// # Safety
    /// The row is in y, and nobody else stores there.
    #[inline(always)]
    unsafe fn store<O: Output>(&self, row: u64, sums: [i32; QUAD]) {
        let (args, columns) = (self.args, &self.columns);
        // SAFETY: the elements are in y and this lane's.
        unsafe {
            let s_x = if O::SCALED { load_scale(&args.s_x, row) } else { 0.0 };
            let mut bits = [0; QUAD];
            for e in 0..QUAD {
                bits[e] = O::bits(sums[e], affine(s_x, columns.s_w[e], sums[e], columns.bias[e]));
            }
            let addr = args.y.ptr + (row * args.y.row_stride + self.col) * O::BYTES as u64;
            if self.is_whole {
                O::store_four(addr, bits);
            } else {
                for e in 0..QUAD {
                    if (e as u32) < self.cols {
                        O::store(addr + e as u64 * O::BYTES as u64, bits[e]);
                    }
                }
            }
        }
    }
}

/// Adds the sums to those of other blocks where they share the tile, and makes y of the whole: a warp has every eighth token.
/// `sums` are those of the thread's warpgroup, if it has a panel.
///
/// # Safety
/// The sums were waited for. The whole team calls it together.
#[inline(always)]
pub(crate) unsafe fn finish<O: Output, S: Sums>(
    args: &GemmArgs,
    tile: DecodeTile,
    words: u32,
    team: Team,
    part: Part,
    sums: Option<&S>,
) {
    let warps = team.threads / WARP_SIZE;
    let (warp, lane) = (team.thread / WARP_SIZE, lane_id());
    let y = &args.y;
    // The second block of the last pair may have no tokens.
    let first_row = own_tile(part) as u64 * tile.tokens as u64;
    let tokens = y.rows.saturating_sub(first_row).min(tile.tokens as u64) as u32;
    let first_col = part.across as u64 * ROWS as u64;
    let cols = (y.cols - first_col).min(ROWS as u64) as u32;
    let of = contract::packed::k_blocks(args.q_w.cols) as u32;
    let is_shared = part.steps < of;
    let place = part.place * cluster_nctarank() + cluster_ctarank();
    let meeting = Meeting::at(&args.workspace, place, grid_dim_x(), DecodeTile::sums(tile.tile_tokens(y.rows)));
    let row = QUAD as u32 * lane;
    let is_whole = row + QUAD as u32 <= cols
        && y.ptr.is_multiple_of((QUAD as u32 * O::BYTES) as u64)
        && y.row_stride.is_multiple_of(QUAD as u64);
    let col = first_col + row as u64;
    // SAFETY: those of the columns that are not in y get zeros.
    let columns = unsafe { Columns::load::<O>(args, col) };
    let outputs = Outputs { args, columns, col, cols: cols.saturating_sub(row), is_whole };
    for exchanged in 0..tile.exchanges() {
        let first = exchanged * tile.exchanged_tokens();
        let end = tokens.min(first + tile.exchanged_tokens());
        // SAFETY: the whole team is here.
        unsafe { exchange(words, team, exchanged, tile.exchanged_tokens(), sums) };
        let mut token = first + warp;
        while token < end {
            let at = |row| words + 4 * sum_word(token - first, row);
            // SAFETY: the words are there, and the place has a sum for every row of every token; the outputs are this lane's.
            unsafe {
                if is_shared {
                    for quarter in 0..ROWS / WARP_SIZE {
                        let row = quarter * WARP_SIZE + lane;
                        if row < cols {
                            meeting.add(token * ROWS + row, ld_shared_b32(at(row)) as i32);
                        }
                    }
                } else if outputs.cols > 0 {
                    let sums = ld_shared_v4_b32(at(row)).map(|sum| sum as i32);
                    outputs.store::<O>(first_row + token as u64, sums);
                }
            }
            token += warps;
        }
    }
    // SAFETY: the team is here, and its steps of the tile are counted once; then the sums are this block's, those of rows past
    // y being zero.
    unsafe {
        let is_last = is_shared && uniform(meeting.arrive(team, part.steps, of) as u32) != 0;
        if is_last && outputs.cols > 0 {
            let mut token = warp;
            while token < tokens {
                let sums = meeting.take_four(token * ROWS + row);
                outputs.store::<O>(first_row + token as u64, sums);
                token += warps;
            }
        }
    }
}
