//! Operands of more than 2³¹ elements. The simulator's memory takes room for what is touched only, and of a launch
//! just those blocks run whose operands are there: any index that wraps leaves every allocation or reads poison.

use contract::{
    args,
    gemm_tile::{GemmTile, TILES},
    grid,
    limits::padded_row_bytes,
    packed,
};
use half::bf16;
use outerscale::{
    ops::{Problem, Variant},
    ptx::{ARCHS, Module},
    registry,
};
use outerscale_tests::{
    data::{self, Codes, Kind, Value},
    machine::Machine,
};
use std::ops::Range;

/// 2³¹.
const FAR: u64 = 1 << 31;

/// The simulator with the module of an op's kernels.
fn machine(module: Module) -> Machine {
    let text = ARCHS.iter().find_map(|arch| arch.own(module)).unwrap();
    Machine::load(text, module.name()).unwrap()
}

fn variant(op: &str, name: &str) -> &'static Variant {
    registry::op(op).unwrap().table.variants.iter().find(|variant| variant.name == name).unwrap()
}

fn problem(m: u64, n: u64, k: u64) -> Problem {
    let arch = ARCHS.first().unwrap();
    Problem {
        m,
        n,
        k,
        multiprocessors: 108,
        shared_limit: 99 << 10,
        thread_limit: 1024,
        workspace_bytes: 0,
        arch,
        version: (8, 0),
    }
}

/// Rows of codes as quantizers write them.
fn codes(machine: &Machine, rows: u64, cols: u64) -> args::Codes {
    let row_bytes = padded_row_bytes(cols);
    args::Codes { ptr: machine.room((rows * row_bytes) as usize), rows, cols, row_bytes }
}

/// The last rows of a matrix of `rows` rows; the others are not there.
fn last_rows<T: outerscale::Element>(machine: &Machine, rows: u64, cols: u64, last: &[T]) -> args::Matrix {
    let first = rows as usize * cols as usize - last.len();
    let ptr = machine.upload(last, cols as usize, cols as usize, first) - first as u64 * T::DTYPE.bytes();
    args::Matrix { ptr, rows, cols, row_stride: cols }
}

#[track_caller]
fn assert_bytes<T: outerscale::Element>(machine: &Machine, what: &str, ptr: u64, want: &[T]) {
    let size = T::DTYPE.bytes() as usize;
    let want: Vec<u8> = want.iter().flat_map(|v| v.bits().to_le_bytes().into_iter().take(size)).collect();
    let got = machine.download(ptr, want.len());
    let differs = got.iter().zip(&want).position(|(got, want)| got != want);
    assert_eq!(differs, None, "{what}: the first byte that differs");
}

/// Three rows, 2³¹ elements and a few from one to the next: their addresses need 33 bits and more.
fn rows_far_apart<T: Value>() {
    let machine = machine(Module::Quantize);
    let (rows, cols, stride) = (3, 1000, FAR + 8);
    let x: Vec<T> = Kind::Uniform.matrix(rows, cols, 1);
    let wide: Vec<f32> = x.iter().map(|v| v.widen()).collect();
    let ptr = machine.upload(&x, cols, stride as usize, 0);
    let x = args::Matrix { ptr, rows: rows as u64, cols: cols as u64, row_stride: stride };
    let (want, want_scales) = oracle::quantize_token(&wide, rows, cols);
    let want = oracle::pack_rows(&want, rows, cols, cols);
    for name in ["t8", "t256"] {
        let (q, scales) = (codes(&machine, rows as u64, cols as u64), machine.room(4 * rows));
        let args = args::QuantizeTokenArgs { x, q, scales };
        let variant = variant("quantize_token", name);
        machine.launch(&variant.entry(T::DTYPE), variant, &problem(3, 1, cols as u64), &args).unwrap();
        assert_bytes(&machine, name, q.ptr, &want);
        assert_bytes(&machine, name, scales, &want_scales);
    }
}

#[test]
fn quantized_rows_may_lie_far_apart() {
    rows_far_apart::<bf16>();
    rows_far_apart::<f32>();
}

/// More than 2³¹ elements of x and of codes without a gap, of which the last rows are there.
#[test]
fn the_last_of_many_rows_is_quantized() {
    let machine = machine(Module::Quantize);
    for (name, cols) in [("t8", 128), ("t64", 4096), ("t256", 16_384)] {
        let (team_rows, last) = (variant("quantize_token", name).block_rows as u64, 37);
        // One row past 2³¹ elements, in whole blocks but for the last rows.
        let rows = (FAR / cols).next_multiple_of(team_rows) + last;
        let x: Vec<bf16> = Kind::NearTies.matrix(last as usize, cols as usize, cols);
        let wide: Vec<f32> = x.iter().map(|v| v.to_f32()).collect();
        let x = last_rows(&machine, rows, cols, &x);
        let (q, scales) = (codes(&machine, rows, cols), machine.room(4 * rows as usize));
        let variant = variant("quantize_token", name);
        let blocks = (rows - last) / team_rows..u64::from((variant.grid)(&problem(rows, 1, cols)));
        let args = args::QuantizeTokenArgs { x, q, scales };
        machine.launch_some("quantize_token_bf16", variant, &problem(rows, 1, cols), &args, &[blocks]).unwrap();
        let (want, want_scales) = oracle::quantize_token(&wide, last as usize, cols as usize);
        assert_bytes(&machine, name, q.ptr + (rows - last) * q.row_bytes, &want);
        assert_bytes(&machine, name, scales + 4 * (rows - last), &want_scales);
    }
}

/// The same of int8 codes, which a warp each packs.
#[test]
fn the_last_of_many_rows_is_packed() {
    let machine = machine(Module::Quantize);
    let (cols, last) = (300, 21);
    let rows = (FAR / cols).next_multiple_of(grid::WARP_ROWS) + last;
    assert!(rows < grid::MAX_BLOCKS * grid::WARP_ROWS, "a warp has one row");
    let x = Codes::Uniform.matrix(last as usize, cols as usize, 1);
    let (x_arg, q) = (last_rows(&machine, rows, cols, &x), codes(&machine, rows, cols));
    let first = (rows - last) / grid::WARP_ROWS;
    let blocks = first..first + last.div_ceil(grid::WARP_ROWS);
    let args = args::PackRowsArgs { x: x_arg, q };
    machine.launch_some("pack_rows", variant("pack_rows", "block"), &problem(rows, 1, cols), &args, &[blocks]).unwrap();
    let want = oracle::pack_rows(&x, last as usize, cols as usize, cols as usize);
    assert_bytes(&machine, "pack_rows", q.ptr + (rows - last) * q.row_bytes, &want);
}

/// The number of a product's last tile, and the outputs in it.
fn last_tile(tile: &GemmTile, m: u64, n: u64) -> (u64, Range<u64>, Range<u64>) {
    let (tiles_m, tiles_n) = (m.div_ceil(tile.block_m.into()), n.div_ceil(tile.block_n.into()));
    let (rows, cols) = (u32::try_from(tiles_m).unwrap(), u32::try_from(tiles_n).unwrap());
    let is_last = |number: &u64| GemmTile::position(*number as u32, rows, cols) == (rows - 1, cols - 1);
    let number = (0..tile.tiles(m, n)).rev().find(is_last).unwrap();
    (number, (tiles_m - 1) * tile.block_m as u64..m, (tiles_n - 1) * tile.block_n as u64..n)
}

/// The last tile of a product [m, n, k], of whose operands only what it needs is there.
fn last_tile_is_right(tile: &GemmTile, (m, n, k): (u64, u64, u64)) {
    let machine = machine(Module::Gemm);
    let variant = variant("gemm", tile.name);
    let (number, rows, cols) = last_tile(tile, m, n);
    let (tile_m, tile_n) = ((rows.end - rows.start) as usize, (cols.end - cols.start) as usize);
    let (x, w) = (Codes::Uniform.matrix(tile_m, k as usize, 1), Codes::Large.matrix(tile_n, k as usize, 2));

    let row_bytes = padded_row_bytes(k);
    let padded = oracle::pack_rows(&x, tile_m, k as usize, k as usize);
    let q_x = args::Codes { cols: k, ..codes_of(last_rows(&machine, m, row_bytes, &padded), row_bytes) };
    // Tiles begin where panels do.
    let panels = oracle::pack_weights(&w, tile_n, k as usize, k as usize);
    let before = packed::bytes(n, k) - panels.len() as u64;
    let q_w = args::Packed {
        ptr: machine.upload(&panels, panels.len(), panels.len(), before as usize) - before,
        rows: n,
        cols: k,
    };
    let (s_x, s_w) = (data::scales(m as usize, 1), data::scales(n as usize, 2));
    let scales = |s: &[f32]| args::Scales { ptr: machine.vector(s), stride: 1 };
    let y = args::Matrix { ptr: machine.room(4 * (m * n) as usize), rows: m, cols: n, row_stride: n };
    let workspace = args::Workspace { ptr: 0, bytes: 0 };
    let args = args::GemmArgs { q_x, q_w, s_x: scales(&s_x), s_w: scales(&s_w), bias: args::Bias::NONE, y, workspace };
    let entry = variant.entry(outerscale::Dtype::F32);
    machine
        .launch_some(&entry, variant, &problem(m, n, k), &args, std::slice::from_ref(&(number..number + 1)))
        .unwrap();

    let acc = oracle::gemm_i32(&x, &w, tile_m, tile_n, k as usize).unwrap();
    let (s_x, s_w) = (&s_x[rows.start as usize..], &s_w[cols.start as usize..]);
    let want = oracle::dequant_f32(&acc, tile_m, tile_n, &oracle::Dequant { s_x, s_w, bias: None });
    for (row, want) in rows.zip(want.chunks(tile_n)) {
        assert_bytes(&machine, &format!("{entry}, row {row}"), y.ptr + 4 * (row * n + cols.start), want);
    }
}

/// Packed codes as codes in rows of whole bytes.
fn codes_of(rows: args::Matrix, row_bytes: u64) -> args::Codes {
    args::Codes { ptr: rows.ptr, rows: rows.rows, cols: rows.cols, row_bytes }
}

/// y, 2.3 · 10⁹ outputs, under every tile that leaves each block one: of others the blocks with the last tile have an
/// earlier one as well.
#[test]
fn the_last_tile_of_a_large_product_is_right() {
    let (m, n) = (70_001, 33_003);
    let tiles: Vec<_> = TILES.iter().filter(|tile| tile.tiles(m, n) <= grid::MAX_BLOCKS).collect();
    assert!(tiles.len() >= 4, "only {tiles:?}");
    for tile in tiles {
        last_tile_is_right(tile, (m, n, 200));
    }
}

/// Both operands, 2.2 · 10⁹ codes each.
#[test]
fn the_last_tile_of_large_operands_is_right() {
    let tile = TILES.iter().min_by_key(|tile| tile.block_m * tile.block_n).unwrap();
    last_tile_is_right(tile, (16_501, 16_503, 131_000));
}
