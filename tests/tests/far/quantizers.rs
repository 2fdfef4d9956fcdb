//! Rows far apart, and the last of many rows, as they are quantized and packed.

use crate::{FAR, assert_bytes, codes, last_rows, machine, problem, variant};
use contract::{args, grid};
use half::bf16;
use outerscale::ptx::Module;
use outerscale_tests::data::{Codes, Kind, Value};

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
