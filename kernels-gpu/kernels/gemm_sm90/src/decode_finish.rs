//! From sums to y where rows of w are the rows of the accumulators: exchange through shared memory, meet, scale, store.
//!
//! A lane holds few rows of w, which are columns of y, for many tokens. Through shared memory it gets four columns side by side
//! of one token, so that a warp stores 128 elements of a row of y one after the other.

use contract::args::GemmArgs;
use contract::decode_tile::{DecodeTile, ROWS, sum_element, sum_word};
use contract::packed::PANEL_ROWS;
use contract::split::Part;
use cuda_std::memory::{ld_shared_b32, ld_shared_v4_b32, st_shared_b32};
use cuda_std::sync::bar_sync;
use cuda_std::thread::grid_dim_x;
use cuda_std::warp::{WARP_SIZE, lane_id};
use product::split::{Meeting, Team};
use product::{Output, affine, load_bias, load_four_biases, load_four_scales, load_scale};

use crate::accumulators::Sums;
use crate::ring::GROUP_WARPS;

/// Columns of y that a lane stores at once.
const QUAD: usize = 4;

/// Puts the sums of warpgroup `group` where all of the team can read them; none where it `has_panel` not.
///
/// # Safety
/// `words` is the shared address of the words of the layout. The whole team calls it together.
#[inline(always)]
pub(crate) unsafe fn exchange<S: Sums, const REGISTERS: usize>(
    words: u32,
    team: Team,
    group: u32,
    sums: &S,
    has_panel: bool,
) {
    let warp = team.thread / WARP_SIZE % GROUP_WARPS;
    // SAFETY: each word is one lane's; nobody reads them before the second barrier, or any more after the first.
    unsafe {
        bar_sync(team.barrier, team.threads);
        if has_panel {
            for i in 0..REGISTERS {
                let (row, token) = sum_element(warp, lane_id(), i as u32);
                let word = sum_word(token, group * PANEL_ROWS as u32 + row);
                st_shared_b32(words + 4 * word, sums.get(i) as u32);
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

/// Adds the sums to those of other blocks where they share the tile, and makes y of the whole.
///
/// A warp has every eighth token.
///
/// # Safety
/// The sums of the block are exchanged. The whole team calls it together.
#[inline(always)]
pub(crate) unsafe fn finish<O: Output>(args: &GemmArgs, tile: DecodeTile, words: u32, team: Team, part: Part) {
    let warps = team.threads / WARP_SIZE;
    let (warp, lane) = (team.thread / WARP_SIZE, lane_id());
    let y = &args.y;
    let first_row = part.down as u64 * tile.tokens as u64;
    let tokens = (y.rows - first_row).min(tile.tokens as u64) as u32;
    let first_col = part.across as u64 * ROWS as u64;
    let cols = (y.cols - first_col).min(ROWS as u64) as u32;
    let of = contract::packed::k_blocks(args.q_w.cols) as u32;
    let is_shared = part.steps < of;
    let sums = DecodeTile::sums(tile.tile_tokens(y.rows));
    let meeting = Meeting::at(&args.workspace, part.place, grid_dim_x(), sums);
    // Uniform in the team.
    if is_shared {
        let mut token = warp;
        while token < tokens {
            for quarter in 0..ROWS / WARP_SIZE {
                let row = quarter * WARP_SIZE + lane;
                if row < cols {
                    // SAFETY: the place has a sum for every row of every token.
                    unsafe {
                        let sum = ld_shared_b32(words + 4 * sum_word(token, row)) as i32;
                        meeting.add(token * ROWS + row, sum);
                    }
                }
            }
            token += warps;
        }
        // SAFETY: the team is here, and its steps of the tile are counted once.
        if !unsafe { meeting.arrive(team, part.steps, of) } {
            return;
        }
    }
    let (row, col) = (QUAD as u32 * lane, first_col + (QUAD as u32 * lane) as u64);
    if row >= cols {
        return;
    }
    // SAFETY: the first of the four columns is in y.
    let columns = unsafe { Columns::load::<O>(args, col) };
    let is_whole = row + QUAD as u32 <= cols
        && y.ptr.is_multiple_of((QUAD as u32 * O::BYTES) as u64)
        && y.row_stride.is_multiple_of(QUAD as u64);
    let mut token = warp;
    while token < tokens {
        let y_row = first_row + token as u64;
        // SAFETY: the elements are in y and this lane's; so are their sums, those of rows past y being zero.
        unsafe {
            let sums = if is_shared {
                meeting.take_four(token * ROWS + row)
            } else {
                ld_shared_v4_b32(words + 4 * sum_word(token, row)).map(|sum| sum as i32)
            };
            let s_x = if O::SCALED { load_scale(&args.s_x, y_row) } else { 0.0 };
            let mut bits = [0; QUAD];
            for e in 0..QUAD {
                bits[e] = O::bits(sums[e], affine(s_x, columns.s_w[e], sums[e], columns.bias[e]));
            }
            let addr = y.ptr + (y_row * y.row_stride + col) * O::BYTES as u64;
            if is_whole {
                O::store_four(addr, bits);
            } else {
                for e in 0..QUAD {
                    if row + (e as u32) < cols {
                        O::store(addr + e as u64 * O::BYTES as u64, bits[e]);
                    }
                }
            }
        }
        token += warps;
    }
}
