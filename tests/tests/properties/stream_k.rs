//! Products whose blocks share tiles: the same bits whatever the grid, and a workspace that stays zero.

use crate::gemm::{tokens, weights};
use contract::gemm_tile::{
    GemmTile, T16X64, T32X64, T48X128, T64X64, T80X128, T96X128, T128X128, T128X256, T128X256S3, T160X192,
};
use half::f16;
use outerscale::{
    Output, OutputElement, PerChannel, PerToken, QuantizedTokens, QuantizedWeights, Workspace, ops, ops::Choice,
};
use outerscale_tests::{
    data::{Codes, scales},
    harness::*,
};

/// M, N, K, blocks among which the tiles do not go evenly, and tiles.
type Shared = ((usize, usize, usize), u32, &'static [GemmTile]);

/// With whole waves before and without, parts of several tiles in a share, and several shares in a tile.
const SHARED: [Shared; 3] = [
    ((3, 70, 1300), 7, &[T16X64, T32X64, T64X64]),
    ((40, 130, 1100), 5, &[T16X64, T64X64, T48X128]),
    ((129, 200, 1100), 3, &[T80X128, T96X128, T128X128, T160X192, T128X256, T128X256S3]),
];

struct Operands {
    x: QuantizedTokens<PerToken>,
    w: QuantizedWeights<PerChannel>,
    /// q_x · q_wᵀ.
    acc: Vec<i32>,
    s_x: Vec<f32>,
    s_w: Vec<f32>,
}

fn operands((m, n, k): (usize, usize, usize)) -> Operands {
    let (q_x, q_w) = (Codes::Uniform.matrix(m, k, 1), Codes::Uniform.matrix(n, k, 2));
    let (s_x, s_w) = (scales(m, 3), scales(n, 4));
    let (x, w) = (tokens(gpu(), &q_x, k, &s_x), weights(gpu(), &q_w, k, &s_w));
    Operands { x, w, acc: oracle::gemm_i32(&q_x, &q_w, m, n, k).unwrap(), s_x, s_w }
}

/// A product into a y of its own.
fn product<T: OutputElement>(of: &Operands, workspace: &mut Workspace, choice: Choice<'_>) -> (Vec<T>, u32) {
    let mut y =
        Output::<T>::new(gpu(), outerscale::Layout::contiguous(of.s_x.len() as u64, of.s_w.len() as u64)).unwrap();
    let product = ops::Product { x: &of.x, w: &of.w, bias: None };
    let launch = ops::gemm(gpu(), product, &mut y, workspace, choice).unwrap();
    (y.download().unwrap(), launch.grid)
}

#[test]
fn tiles_that_are_shared_add_up_and_leave_the_workspace_zero() {
    for ((m, n, k), blocks, tiles) in SHARED {
        let of = operands((m, n, k));
        let mut workspace = workspace();
        for tile in tiles {
            let variant = &format!("{}_streamk", tile.name);
            let (y, grid) = product::<i32>(&of, &mut workspace, Choice::Limited { variant, blocks });
            assert_eq!(grid, blocks);
            assert_bits(&format!("gemm {} [{m}, {n}, {k}] by {grid} blocks", tile.name), &y, &of.acc, n);
        }
        assert!(workspace.download().unwrap().iter().all(|byte| *byte == 0), "[{m}, {n}, {k}]");
    }
}

#[test]
fn a_grid_of_the_gpus_size_shares_the_tiles_of_a_deep_product() {
    let (m, n, k) = (5, 70, 1500);
    let of = operands((m, n, k));
    let by = oracle::Dequant { s_x: &of.s_x, s_w: &of.s_w, bias: None };
    let (f32s, f16s) = (oracle::dequant_f32(&of.acc, m, n, &by), oracle::dequant_f16(&of.acc, m, n, &by));
    for tile in [T16X64, T48X128] {
        let name = format!("{}_streamk", tile.name);
        let choice = Choice::Named(&name);
        let mut workspace = Workspace::new(gpu(), ops::workspace_bytes(gpu(), m as u64, n as u64, k as u64)).unwrap();
        // Twice: the second finds what the first has left.
        for _ in 0..2 {
            assert_bits(&name, &product::<f32>(&of, &mut workspace, choice).0, &f32s, n);
        }
        assert_bits(&name, &product::<f16>(&of, &mut workspace, choice).0, &f16s, n);
        assert!(workspace.download().unwrap().iter().all(|byte| *byte == 0), "{name}");
    }
}

#[test]
fn without_a_workspace_the_reason_names_its_bytes() {
    let of = operands((5, 70, 6000));
    let mut y = Output::<i32>::new(gpu(), outerscale::Layout::contiguous(5, 70)).unwrap();
    let product = ops::Product { x: &of.x, w: &of.w, bias: None };
    let choice = Choice::Named("t16x64_streamk");
    let error = ops::gemm(gpu(), product, &mut y, &mut Workspace::none(), choice).err().unwrap().to_string();
    // Two tiles of 47 k_blocks: 23 shares of four and five, each with 4 KiB of sums; the counters fill 256 bytes.
    assert!(
        error.ends_with(&format!("it needs a workspace of {} bytes, the one given has 0", 256 + 23 * 4096)),
        "{error}"
    );
}
