//! The last tile of products whose y, x or packed w has more than 2³¹ elements, by every kind of product.

use crate::{assert_bytes, last_rows, machine, problem, variant};
use contract::{
    args,
    decode_tile::{self, DecodeTile},
    gemm_tile::{self, GemmTile},
    hopper_tile::{self, HopperTile},
    limits::padded_row_bytes,
    packed,
    stream::{self, Stream},
};
use outerscale::{Dtype, ops::Variant, ptx::Module};
use outerscale_tests::{
    data::{self, Codes},
    machine::Machine,
};

/// A configuration of one of the kinds of products.
#[derive(Clone, Copy, Debug)]
enum Config {
    Portable(GemmTile),
    Stream(Stream),
    Hopper(HopperTile),
    Decode(DecodeTile),
}

impl Config {
    fn module(self) -> Module {
        match self {
            Config::Portable(_) | Config::Stream(_) => Module::Gemm,
            Config::Hopper(_) | Config::Decode(_) => Module::GemmSm90,
        }
    }

    fn variant(self) -> &'static Variant {
        let name = match self {
            Config::Portable(tile) => tile.name,
            Config::Stream(stream) => stream.name,
            Config::Hopper(tile) => tile.name,
            Config::Decode(tile) => tile.name,
        };
        variant("gemm", name)
    }

    /// Rows and columns of y in a tile.
    fn tile(self) -> (u64, u64) {
        match self {
            Config::Portable(tile) => (tile.block_m.into(), tile.block_n.into()),
            Config::Stream(stream) => (stream.tokens.into(), packed::PANEL_ROWS),
            Config::Hopper(tile) => (tile.block_m.into(), tile.block_n.into()),
            Config::Decode(tile) => (tile.tokens.into(), decode_tile::ROWS.into()),
        }
    }

    /// The number of the tile in the last row and column of `down` × `across`.
    fn last(self, down: u32, across: u32) -> u64 {
        let at = match self {
            Config::Portable(_) => GemmTile::position,
            Config::Hopper(_) => hopper_tile::position,
            // Tokens after tokens, and along w inside.
            Config::Stream(_) | Config::Decode(_) => |tile, _, across| (tile / across, tile % across),
        };
        (0..down * across).rev().find(|tile| at(*tile, down, across) == (down - 1, across - 1)).unwrap().into()
    }

    fn launch(self, machine: &Machine, product: args::GemmArgs, last: u64) {
        let (x, y, variant) = (product.q_x, product.y, self.variant());
        let entry = variant.entry(Dtype::F32);
        let problem = problem(y.rows, y.cols, x.cols);
        let block = last..last + 1;
        let blocks = std::slice::from_ref(&block);
        let x_map = |rows| machine.tensor_map((x.ptr, 1), [x.rows, x.cols], x.row_bytes, rows);
        let done = match self {
            Config::Portable(_) | Config::Stream(_) => machine.launch_some(&entry, variant, &problem, &product, blocks),
            Config::Decode(tile) => {
                let args = args::GemmDecodeArgs { x_map: x_map(tile.tokens), product };
                machine.launch_some(&entry, variant, &problem, &args, blocks)
            }
            Config::Hopper(_) => {
                let y_by_map = (4 * y.row_stride).is_multiple_of(16);
                let y_map = match y_by_map {
                    true => machine.tensor_map((y.ptr, 4), [y.rows, y.cols], 4 * y.row_stride, hopper_tile::Y_BOX_ROWS),
                    false => args::TensorMap([0; 16]),
                };
                let x_map = x_map(hopper_tile::X_BOX_ROWS);
                let args = args::GemmSm90Args { x_map, y_map, product, y_by_map: y_by_map.into() };
                machine.launch_some(&entry, variant, &problem, &args, blocks)
            }
        };
        done.unwrap_or_else(|e| panic!("{self:?}: {e}"));
    }
}

/// The address of a vector of which only `last` is there, behind `before` elements.
fn last_of_vector(machine: &Machine, last: &[f32], before: u64) -> args::Scales {
    let ptr = machine.upload(last, last.len(), last.len(), before as usize) - 4 * before;
    args::Scales { ptr, stride: 1 }
}

/// The last tile of a product [m, n, k] in as many blocks as there are tiles; of the operands only what it needs is there.
fn last_tile_is_right(config: Config, (m, n, k): (u64, u64, u64)) {
    let mut machine = machine(config.module());
    let (tile_m, tile_n) = config.tile();
    let (down, across) = (m.div_ceil(tile_m), n.div_ceil(tile_n));
    let (row, col) = ((down - 1) * tile_m, (across - 1) * tile_n);
    let (rows, cols) = ((m - row) as usize, (n - col) as usize);
    machine.how.blocks = Some(u32::try_from(down * across).unwrap());

    let (x, w) = (Codes::Uniform.matrix(rows, k as usize, 1), Codes::Large.matrix(cols, k as usize, 2));
    let row_bytes = padded_row_bytes(k);
    let padded = oracle::pack_rows(&x, rows, k as usize, k as usize);
    let q_x = args::Codes { ptr: last_rows(&machine, m, row_bytes, &padded).ptr, rows: m, cols: k, row_bytes };
    // Tiles begin where panels do.
    let panels = oracle::pack_weights(&w, cols, k as usize, k as usize);
    let before = packed::bytes(n, k) - panels.len() as u64;
    let ptr = machine.upload(&panels, panels.len(), panels.len(), before as usize) - before;
    let q_w = args::Packed { ptr, rows: n, cols: k };
    let (s_x, s_w) = (data::scales(rows, 1), data::scales(cols, 2));
    let y = args::Matrix { ptr: machine.room(4 * (m * n) as usize), rows: m, cols: n, row_stride: n };
    let product = args::GemmArgs {
        q_x,
        q_w,
        s_x: last_of_vector(&machine, &s_x, row),
        s_w: last_of_vector(&machine, &s_w, col),
        bias: args::Bias::NONE,
        y,
        workspace: args::Workspace { ptr: 0, bytes: 0 },
    };
    config.launch(&machine, product, config.last(down as u32, across as u32));

    let acc = oracle::gemm_i32(&x, &w, rows, cols, k as usize).unwrap();
    let want = oracle::dequant_f32(&acc, rows, cols, &oracle::Dequant { s_x: &s_x, s_w: &s_w, bias: None });
    for (row, want) in (row..m).zip(want.chunks(cols)) {
        assert_bytes(&machine, &format!("{config:?}, row {row}"), y.ptr + 4 * (row * n + col), want);
    }
}

/// Every configuration.
fn configs() -> impl Iterator<Item = Config> {
    let portable = gemm_tile::TILES.map(Config::Portable).into_iter();
    let hopper = hopper_tile::TILES.map(Config::Hopper).into_iter();
    portable.chain(hopper).chain(stream::STREAMS.map(Config::Stream)).chain(decode_tile::TILES.map(Config::Decode))
}

/// y, 2.3 · 10⁹ outputs; on Hopper by its tensor map, and without one where rows are no multiple of 16 bytes.
#[test]
fn the_last_tile_of_a_large_product_is_right() {
    for config in configs() {
        last_tile_is_right(config, (70_001, 33_003, 200));
    }
    for tile in hopper_tile::TILES {
        last_tile_is_right(Config::Hopper(tile), (70_001, 33_004, 200));
    }
}

/// w, 4.3 · 10⁹ bytes of panels: the last begins past 2³².
#[test]
fn the_last_panels_of_large_weights_are_read() {
    for config in configs() {
        last_tile_is_right(config, (5, 11_200_001, 300));
    }
}

/// x, 4.3 · 10⁹ codes: the last row begins past 2³².
#[test]
fn the_last_rows_of_many_tokens_are_read() {
    for config in configs() {
        last_tile_is_right(config, (11_200_001, 70, 300));
    }
}

/// Both operands, 2.2 · 10⁹ codes each, with a long K.
#[test]
fn the_last_tile_of_large_operands_is_right() {
    let smallest = gemm_tile::TILES.into_iter().min_by_key(|tile| tile.block_m * tile.block_n).unwrap();
    for config in [Config::Portable(smallest), Config::Stream(stream::STREAM8), Config::Decode(decode_tile::D128X8)] {
        last_tile_is_right(config, (16_501, 16_503, 131_000));
    }
}
