//! `gemm` for few tokens: w streams through the registers once, at the memory's speed. Entries of op `gemm`.
//!
//! | entry | argument | block | shared bytes | collectives |
//! |---|---|---|---|---|
//! | `gemm_STREAM_OUTPUT` | `GemmArgs` | `stream::THREADS` | static | two barriers a part of a panel, two more where blocks share one; mma.sync |
//!
//! STREAM is one of `contract::stream::STREAMS`, OUTPUT is f32, f16, bf16 or i32.
//!
//! - Operands and y as in `gemm`; x is read in chunks of 16 bytes that hold a code.
//! - workspace: `split::bytes(grid, stream::sums(STREAM.tile_tokens(M)))` bytes.
//!
//! A tile is a panel of w for up to `STREAM.tokens` tokens, a step of it a k_block for each warp of a block, and a block has
//! steps side by side (`contract::split`). As panels lie one after the other in memory, so do the steps of the first
//! tokens: a block reads one piece of w from its beginning to its end. Where its steps leave a tile the warps add up in
//! shared memory, and blocks that share the tile meet in the workspace. More tokens than a tile has read w again.
//!
//! Why mma.sync even for one token: an H200 hands a multiprocessor 8 KiB of w, a k_block of a panel, in 412 cycles (4.8 TB/s,
//! 132 multiprocessors, 1.83 GHz), which are 1648 issue slots. They are 16 loads a lane and either 32 `mma.sync`, whatever
//! the tokens up to 16, or 64 `dp4a` a token. This loop takes 96 to 121 slots (ptxas 13.0.88, moves into operand A
//! included); with `dp4a` it would be some 90 for one token, 150 for two and over 530 for eight, of which the 512 `dp4a`
//! alone keep their half-rate units busy for 256 of the 412 cycles, and every sum would be in eight lanes still. So
//! for one token it does not matter, and beyond the tensor cores win. Rows of operand A that have no token are zero
//! registers: they cost no load and, as 32 `mma.sync` are at most 128 cycles of tensor cores that have nothing else to do,
//! no time.
//!
//! Who may diverge: warps go their own ways along K, blocks everywhere. The loops over panels are uniform in a block;
//! loads of x, adds and stores depend on the thread, collectives do not.

use contract::args::GemmArgs;
use contract::fragment::c_element;
use contract::packed::{self, PANEL_ROWS, TILE_BYTES};
use contract::split::LongShares;
use contract::stream::{
    self, GROUP_ROWS, GROUPS, HALF_TOKENS, STREAM8, STREAM16, Stream, THREADS, WARPS, a_word, b_word, lane_code,
    lane_offset, shared_word,
};
use contract::swizzle::ROW_BYTES;
use cuda_std::memory::{ld_global_nc_l1_no_allocate_v4_b32, ld_global_nc_v4_b32, ld_shared_b32, st_shared_v2_b32};
use cuda_std::mma::mma_sync_m16n8k32_s32_s8;
use cuda_std::sync::sync_threads;
use cuda_std::thread::{block_idx_x, grid_dim_x, thread_idx_x};
use cuda_std::warp::{WARP_SIZE, lane_id};
use cuda_std::{kernel, shared_array};
use product::split::{Meeting, Team};
use product::{Output, affine, load_bias, load_scale};
use rows::{Bf16, F16};

shared_array! {
    /// The sums of the warps of a block, for eight tokens (`stream::shared_word`).
    fn sums8() -> [u32; stream::shared_words(8) as usize];
}
shared_array! {
    /// The same for sixteen.
    fn sums16() -> [u32; stream::shared_words(16) as usize];
}

/// 16 bytes of a row, or of a token.
type Chunk = [u32; 4];

/// What a lane has of the tokens of half a k_block.
type Tokens<const TOKENS: usize> = [Chunk; TOKENS];

/// A lane's sums of a panel: groups of eight rows × registers.
type Sums = [[i32; 4]; GROUPS as usize];

/// A panel of w and a group of tokens. More of either than 32 bits can count are more bytes than there are addresses.
#[derive(Clone, Copy)]
struct Tile {
    panel: u32,
    group: u32,
}

impl Tile {
    /// The tile after it, of `panels` panels.
    #[inline(always)]
    fn next(self, panels: u32) -> Self {
        if self.panel + 1 < panels {
            Self { panel: self.panel + 1, ..self }
        } else {
            Self { panel: 0, group: self.group + 1 }
        }
    }

    /// Its first token.
    #[inline(always)]
    fn first_token(self, stream: Stream) -> u64 {
        self.group as u64 * stream.tokens as u64
    }
}

/// Where a lane reads.
struct Source {
    /// Address of its first chunk in the panel's first k_block, for each half.
    w: [u64; 2],
    /// Address of its first chunk of x, of its first token.
    x: u64,
    /// Bytes to its second token.
    x_step: u64,
    /// Its tokens that exist.
    tokens: u32,
    /// K.
    codes: u32,
}

impl Source {
    #[inline(always)]
    fn new(args: &GemmArgs, stream: Stream, at: Tile, k_blocks: u32) -> Self {
        let (lane, token) = (lane_id(), at.first_token(stream) + (lane_id() / 4) as u64);
        let w = args.q_w.ptr + packed::tile(at.panel as u64, 0, k_blocks as u64);
        let left = args.y.rows.saturating_sub(token);
        Self {
            w: [w + lane_offset(lane, 0) as u64, w + lane_offset(lane, 1) as u64],
            x: args.q_x.ptr + token * args.q_x.row_bytes + lane_code(lane, 0) as u64,
            x_step: HALF_TOKENS as u64 * args.q_x.row_bytes,
            tokens: left.div_ceil(HALF_TOKENS as u64).min(2) as u32,
            codes: args.q_w.cols as u32,
        }
    }

    /// The lane's part of eight rows of half a k_block.
    ///
    /// # Safety
    /// The panel has that k_block; w is not written.
    #[inline(always)]
    unsafe fn group(&self, k_block: u32, half: usize, group: usize) -> Chunk {
        let in_panel = k_block as u64 * TILE_BYTES + (group as u32 * GROUP_ROWS * ROW_BYTES) as u64;
        // SAFETY: the caller's; a panel has all its rows and codes.
        unsafe { ld_global_nc_l1_no_allocate_v4_b32(self.w[half] + in_panel) }
    }

    /// The lane's part of the tokens of half a k_block; zero where there is no token or no code. Codes past K in a chunk
    /// meet weights that are zero.
    ///
    /// # Safety
    /// x is readable up to the last chunk that holds a code, and not written.
    #[inline(always)]
    unsafe fn tokens<const TOKENS: usize>(&self, k_block: u32, half: usize) -> Tokens<TOKENS> {
        let mut chunks = [[0; 4]; TOKENS];
        let code = k_block * ROW_BYTES + lane_code(lane_id(), half as u32);
        let in_row = (k_block * ROW_BYTES + lane_code(0, half as u32)) as u64;
        for token in 0..TOKENS {
            if (token as u32) < self.tokens && code < self.codes {
                // SAFETY: the token exists, and a code of the chunk.
                chunks[token] = unsafe { ld_global_nc_v4_b32(self.x + token as u64 * self.x_step + in_row) };
            }
        }
        chunks
    }
}

/// Operands A of the two products of half a k_block.
#[inline(always)]
fn operands<const TOKENS: usize>(x: &Tokens<TOKENS>) -> [[u32; 4]; 2] {
    let mut a = [[0; 4]; 2];
    for product in 0..2 {
        for reg in 0..4 {
            if reg % 2 < TOKENS {
                a[product][reg] = x[reg % 2][a_word(product as u32, reg as u32) as usize];
            }
        }
    }
    a
}

/// Adds the products of the tokens and eight rows in half a k_block.
///
/// # Safety
/// All lanes of the warp call it together.
#[inline(always)]
unsafe fn multiply(a: &[[u32; 4]; 2], w: &Chunk, sums: &mut [i32; 4]) {
    for product in 0..2 {
        let b = [w[b_word(product as u32, 0) as usize], w[b_word(product as u32, 1) as usize]];
        // SAFETY: the caller's.
        *sums = unsafe { mma_sync_m16n8k32_s32_s8(a[product], b, *sums) };
    }
}

/// The warp's sums of k_blocks `k_block`, `k_block + WARPS` and so on below `end`.
///
/// Registers go round: as soon as a chunk has been multiplied the same chunk of the warp's next k_block is loaded, so that
/// nearly all of a lane's 16 loads of w are on their way at any time, and those of x as far ahead.
///
/// # Safety
/// The panel has the k_blocks; operands are readable and not written; all lanes of the warp call it together.
#[inline(always)]
unsafe fn accumulate<const TOKENS: usize>(source: &Source, mut k_block: u32, end: u32) -> Sums {
    let mut sums = [[0; 4]; GROUPS as usize];
    // Warp-uniform, as all below.
    if k_block >= end {
        return sums;
    }
    // SAFETY: the caller's; what is loaded in the loop is below the end.
    unsafe {
        let mut x = [[[0; 4]; TOKENS]; 2];
        let mut w = [[[0; 4]; GROUPS as usize]; 2];
        for half in 0..2 {
            x[half] = source.tokens(k_block, half);
            for group in 0..GROUPS as usize {
                w[half][group] = source.group(k_block, half, group);
            }
        }
        while k_block + WARPS < end {
            k_block += WARPS;
            for half in 0..2 {
                let a = operands(&x[half]);
                x[half] = source.tokens(k_block, half);
                for group in 0..GROUPS as usize {
                    multiply(&a, &w[half][group], &mut sums[group]);
                    w[half][group] = source.group(k_block, half, group);
                }
            }
        }
        for half in 0..2 {
            let a = operands(&x[half]);
            for group in 0..GROUPS as usize {
                multiply(&a, &w[half][group], &mut sums[group]);
            }
        }
    }
    sums
}

/// Computes the block's steps; `shared` is the shared address of the sums of the warps.
///
/// # Safety
/// `args` describes live memory that keeps to the contract of this file; all threads of the block call it together.
#[inline(always)]
unsafe fn gemm_stream<O: Output, const TOKENS: usize>(args: &GemmArgs, stream: Stream, shared: u32) {
    let warp = thread_idx_x() / WARP_SIZE;
    let block = block_idx_x();
    let k_blocks = packed::k_blocks(args.q_w.cols) as u32;
    let of = stream::steps_a_tile(args.q_w.cols);
    let panels = packed::panels(args.q_w.rows);
    let shares = LongShares::new(stream.tiles(args.y.rows, args.q_w.rows) * of as u64, grid_dim_x());
    let step = shares.first(block);
    let mut left = shares.first(block + 1) - step;
    // Where there is a step no divisor is 0: `max` keeps the panic of a division away.
    let tile = step / of.max(1) as u64;
    let mut first = (step - tile * of as u64) as u32;
    let group = tile / panels.max(1);
    let mut at = Tile { panel: (tile - group * panels) as u32, group: group as u32 };
    // All tiles but the first begin in this block.
    let mut place = shares.block_of(tile * of as u64);
    // Block-uniform.
    while left > 0 {
        let steps = left.min((of - first) as u64) as u32;
        let end = ((first + steps) * WARPS).min(k_blocks);
        // SAFETY: the k_blocks are the panel's; all sums of the block are in shared memory when it finishes.
        unsafe {
            let sums = accumulate::<TOKENS>(&Source::new(args, stream, at, k_blocks), first * WARPS + warp, end);
            // The sums of the tile before may still be read.
            sync_threads();
            share::<TOKENS>(shared, &sums);
            sync_threads();
            finish::<O, TOKENS>(args, stream, shared, Part { at, steps, of, place });
        }
        left -= steps as u64;
        (first, place) = (0, block);
        at = at.next(panels as u32);
    }
}

/// Puts the lane's sums into shared memory.
///
/// # Safety
/// `shared` is the address of `shared_words` words that nobody reads before a barrier.
#[inline(always)]
unsafe fn share<const TOKENS: usize>(shared: u32, sums: &Sums) {
    let warp = thread_idx_x() / WARP_SIZE;
    for group in 0..GROUPS as usize {
        for half in 0..TOKENS {
            let (token, row) = c_element(lane_id(), 2 * half as u32);
            let word = shared_word(warp, token, GROUP_ROWS * group as u32 + row, HALF_TOKENS * TOKENS as u32);
            let pair = [sums[group][2 * half] as u32, sums[group][2 * half + 1] as u32];
            // SAFETY: the caller's; rows of a pair are even and odd.
            unsafe { st_shared_v2_b32(shared + 4 * word, pair) };
        }
    }
}

/// A block's part of a tile: `steps` of `of` steps, and the place where the tile's blocks meet.
#[derive(Clone, Copy)]
struct Part {
    at: Tile,
    steps: u32,
    of: u32,
    place: u32,
}

/// Adds up the sums of the warps and, where other blocks share the tile, of the blocks; the last makes y of them.
///
/// A thread has one row of the panel and every second token: lanes side by side store elements of y side by side.
///
/// # Safety
/// As [`gemm_stream`]; the sums of the block's warps are in shared memory, behind a barrier.
#[inline(always)]
unsafe fn finish<O: Output, const TOKENS: usize>(args: &GemmArgs, stream: Stream, shared: u32, part: Part) {
    const TOKEN_STEP: u32 = THREADS / PANEL_ROWS as u32;
    let Part { at, steps, of, place } = part;
    let first_row = at.first_token(stream);
    let meeting = Meeting::at(&args.workspace, place, grid_dim_x(), stream::sums(stream.tile_tokens(args.y.rows)));
    let thread = thread_idx_x();
    let (row, first_token) = (thread % PANEL_ROWS as u32, thread / PANEL_ROWS as u32);
    let col = at.panel as u64 * PANEL_ROWS + row as u64;
    // None where the thread's column is not in y.
    let tokens = if col < args.y.cols { (args.y.rows - first_row).min(stream.tokens as u64) as u32 } else { 0 };
    let (mut s_w, mut bias) = (0.0, 0.0);
    if O::SCALED && tokens > 0 {
        // SAFETY: the column is in y.
        (s_w, bias) = unsafe { (load_scale(&args.s_w, col), load_bias(&args.bias, col)) };
    }
    let of_block = |token: u32| {
        let mut sum = 0;
        for warp in 0..WARPS {
            let word = shared_word(warp, token, row, HALF_TOKENS * TOKENS as u32);
            // SAFETY: the caller's.
            sum += unsafe { ld_shared_b32(shared + 4 * word) } as i32;
        }
        sum
    };
    // Block-uniform.
    if steps < of {
        let mut token = first_token;
        while token < tokens {
            // SAFETY: the place has a sum for every row of every token.
            unsafe { meeting.add(token * PANEL_ROWS as u32 + row, of_block(token)) };
            token += TOKEN_STEP;
        }
        let team = Team { barrier: 0, threads: THREADS, thread };
        // SAFETY: the block is the team, and its steps of the tile are counted once.
        if !unsafe { meeting.arrive(team, steps, of) } {
            return;
        }
    }
    let mut token = first_token;
    while token < tokens {
        let y_row = first_row + token as u64;
        // SAFETY: this thread alone takes the sum, and stores the element, which is in y.
        unsafe {
            let sum = if steps < of { meeting.take(token * PANEL_ROWS as u32 + row) } else { of_block(token) };
            let mut value = 0.0;
            if O::SCALED {
                value = affine(load_scale(&args.s_x, y_row), s_w, sum, bias);
            }
            O::store(args.y.ptr + (y_row * args.y.row_stride + col) * O::BYTES as u64, O::bits(sum, value));
        }
        token += TOKEN_STEP;
    }
}

/// The entries of one configuration. Counts of collectives are those in the PTX of the entry.
macro_rules! entries {
    ($stream:path, $shared:ident: $($entry:ident: $output:ty),*) => {
        $(
            /// The product for few tokens, of one type of y.
            ///
            /// # Safety
            /// The launch keeps to this file's contract and `args` describes live memory of these shapes.
            #[kernel(launch_bounds(THREADS, $stream.blocks), collectives(bar_sync = 3, bar_red = 1, mma_sync = 64))]
            pub unsafe fn $entry(args: GemmArgs) {
                // SAFETY: the caller's.
                unsafe { gemm_stream::<$output, { $stream.lane_tokens() as usize }>(&args, $stream, $shared()) }
            }
        )*
    };
}

entries!(
    STREAM8, sums8:
    gemm_stream8_f32: f32, gemm_stream8_f16: F16, gemm_stream8_bf16: Bf16, gemm_stream8_i32: i32
);
entries!(
    STREAM16, sums16:
    gemm_stream16_f32: f32, gemm_stream16_f16: F16, gemm_stream16_bf16: Bf16, gemm_stream16_i32: i32
);
