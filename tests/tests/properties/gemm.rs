//! `gemm`: every tile, every output type, against the oracle; large products by an exact check.

use half::{bf16, f16};
use outerscale::{
    Bias, Gpu, Int8Matrix, Layout, Output, OutputElement, PerChannel, PerTensor, PerToken, QuantizedTokens,
    QuantizedWeights, Scales, TokenScale, WeightScale, Workspace, ops, ops::Choice, registry,
};
use outerscale_tests::{
    data::{Codes, cancelling_bias, scales},
    freivalds::check_product,
    harness::*,
};
use proptest::prelude::*;

/// The byte that the memory of y holds beforehand: what a kernel must not touch still has it afterwards.
const FILL: u8 = 0xc3;

pub(crate) fn tokens<S: TokenScale>(gpu: &Gpu, q: &[i8], k: usize, s: &[f32]) -> QuantizedTokens<S> {
    let layout = Layout::contiguous((q.len() / k) as u64, k as u64);
    let (packed, _) = ops::pack_rows(gpu, &Int8Matrix::upload(gpu, q, layout).unwrap(), Choice::Auto).unwrap();
    QuantizedTokens::from_packed(packed, Scales::upload(gpu, s).unwrap()).unwrap()
}

pub(crate) fn weights<S: WeightScale>(gpu: &Gpu, q: &[i8], k: usize, s: &[f32]) -> QuantizedWeights<S> {
    let layout = Layout::contiguous((q.len() / k) as u64, k as u64);
    let (packed, _) = ops::pack_weights(gpu, &Int8Matrix::upload(gpu, q, layout).unwrap(), Choice::Auto).unwrap();
    QuantizedWeights::from_packed(packed, Scales::upload(gpu, s).unwrap()).unwrap()
}

/// One product's shape and operands.
#[derive(Clone, Copy, Debug)]
struct Case {
    m: usize,
    n: usize,
    k: usize,
    /// Elements between the rows of y, and before the first.
    gap: usize,
    offset: usize,
    codes: Codes,
    bias: BiasKind,
    seed: u64,
}

#[derive(Clone, Copy, Debug)]
enum BiasKind {
    Absent,
    Finite,
    NotFinite,
}

fn bias(kind: BiasKind, n: usize, seed: u64) -> Option<Vec<f32>> {
    let finite = || scales(n, seed + 2).iter().map(|s| 1e3 * s - 1.0).collect::<Vec<_>>();
    match kind {
        BiasKind::Absent => None,
        BiasKind::Finite => Some(finite()),
        BiasKind::NotFinite => {
            let mut bias = finite();
            bias[n / 2] = f32::from_bits(0xff81_2345);
            bias[0] = f32::NEG_INFINITY;
            Some(bias)
        }
    }
}

/// An output type and how the oracle makes it.
pub(crate) trait Out: OutputElement {
    fn dequant(acc: &[i32], m: usize, n: usize, by: &oracle::Dequant<'_>) -> Vec<Self>;
}

impl Out for f32 {
    fn dequant(acc: &[i32], m: usize, n: usize, by: &oracle::Dequant<'_>) -> Vec<f32> {
        oracle::dequant_f32(acc, m, n, by)
    }
}

impl Out for f16 {
    fn dequant(acc: &[i32], m: usize, n: usize, by: &oracle::Dequant<'_>) -> Vec<f16> {
        oracle::dequant_f16(acc, m, n, by)
    }
}

impl Out for bf16 {
    fn dequant(acc: &[i32], m: usize, n: usize, by: &oracle::Dequant<'_>) -> Vec<bf16> {
        oracle::dequant_bf16(acc, m, n, by)
    }
}

impl Out for i32 {
    fn dequant(acc: &[i32], _: usize, _: usize, _: &oracle::Dequant<'_>) -> Vec<i32> {
        acc.to_vec()
    }
}

/// Every tile against the oracle, the gaps of y included.
fn check<T: Out, X: TokenScale, W: WeightScale>(case: Case) {
    let Case { m, n, k, seed, .. } = case;
    let (q_x, q_w) = (case.codes.matrix(m, k, seed), case.codes.matrix(n, k, seed + 1));
    let (s_x, s_w) = (scales(X::count(m as u64) as usize, seed), scales(W::count(n as u64) as usize, seed + 1));
    let bias = bias(case.bias, n, seed);
    let acc = oracle::gemm_i32(&q_x, &q_w, m, n, k).unwrap();
    let by = oracle::Dequant { s_x: &s_x, s_w: &s_w, bias: bias.as_deref() };
    let want = T::dequant(&acc, m, n, &by);
    let (x, w) = (tokens::<X>(gpu(), &q_x, k, &s_x), weights::<W>(gpu(), &q_w, k, &s_w));
    let bias = bias.map(|bias| Bias::upload(gpu(), &bias).unwrap());
    let layout = Place { rows: m, cols: n, gap: case.gap, offset: case.offset }.layout();
    for variant in variants("gemm") {
        let mut y = Output::<T>::filled(gpu(), layout, FILL).unwrap();
        ops::gemm(gpu(), ops::Product { x: &x, w: &w, bias: bias.as_ref() }, &mut y, &mut workspace(), variant)
            .unwrap();
        let what = format!("gemm {variant:?} to {}", T::DTYPE);
        assert_bits(&what, &y.download().unwrap(), &want, n);
        let mut untouched = y.download_span().unwrap();
        let fill = u32::from_ne_bytes([FILL; 4]) >> (32 - 8 * T::DTYPE.bytes());
        // In reverse, so that the ranges that are left keep their place.
        layout.row_ranges().collect::<Vec<_>>().into_iter().rev().for_each(|row| drop(untouched.drain(row)));
        assert!(untouched.iter().all(|v| v.bits() == fill), "{what} wrote outside of y");
    }
}

fn case() -> impl Strategy<Value = Case> {
    let m = prop_oneof![3 => prop::sample::select(vec![1usize, 2, 15, 16, 17, 63, 64, 65, 127, 128, 129]), 1 => 1usize..140, 1 => Just(0)];
    let n =
        prop_oneof![3 => prop::sample::select(vec![1usize, 2, 7, 8, 63, 64, 65, 66, 127, 128, 129]), 1 => 1usize..140];
    let k = prop_oneof![3 => prop::sample::select(vec![1usize, 2, 31, 32, 33, 127, 128, 129, 255, 256, 257, 384, 513, 641]), 1 => 1usize..700];
    let gap = prop_oneof![2 => Just(0usize), 2 => 1usize..9];
    let offset = prop_oneof![2 => Just(0usize), 1 => 1usize..9];
    let codes = prop::sample::select(&Codes::ALL[..]);
    let bias = prop::sample::select(vec![BiasKind::Absent, BiasKind::Finite, BiasKind::Finite, BiasKind::NotFinite]);
    (m, n, k, gap, offset, codes, bias, 0u64..1 << 32).prop_map(|(m, n, k, gap, offset, codes, bias, seed)| Case {
        m,
        n,
        k,
        gap,
        offset,
        codes,
        bias,
        seed,
    })
}

proptest! {
    #![proptest_config(cases(16))]

    #[test]
    fn to_f32(case in case()) {
        check::<f32, PerToken, PerChannel>(case);
    }

    #[test]
    fn to_f16(case in case()) {
        check::<f16, PerToken, PerChannel>(case);
    }

    #[test]
    fn to_bf16(case in case()) {
        check::<bf16, PerToken, PerChannel>(case);
    }

    #[test]
    fn to_i32(case in case()) {
        check::<i32, PerToken, PerChannel>(case);
    }

    #[test]
    fn one_scale_for_all_tokens(case in case()) {
        check::<f32, PerTensor, PerChannel>(case);
    }

    #[test]
    fn one_scale_for_all_weights(case in case()) {
        check::<f32, PerToken, PerTensor>(case);
    }
}

/// One token many times over, and a bias that takes away its y: what is left is what the epilogue rounded off,
/// so that its order and each of its roundings show in every type.
fn cancelled<T: Out>() {
    let (m, n, k) = (40, 130, 515);
    let (q_x, q_w) = (Codes::Uniform.matrix(1, k, 5).repeat(m), Codes::Uniform.matrix(n, k, 6));
    let (s_x, s_w) = (scales(1, 5).repeat(m), scales(n, 6));
    let bias = cancelling_bias(&q_x[..k], &q_w, s_x[0], &s_w);
    let acc = oracle::gemm_i32(&q_x, &q_w, m, n, k).unwrap();
    let want = T::dequant(&acc, m, n, &oracle::Dequant { s_x: &s_x, s_w: &s_w, bias: Some(&bias) });
    let (x, w) = (tokens::<PerToken>(gpu(), &q_x, k, &s_x), weights::<PerChannel>(gpu(), &q_w, k, &s_w));
    let bias = Bias::upload(gpu(), &bias).unwrap();
    for variant in variants("gemm") {
        let mut y = Output::<T>::new(gpu(), Layout::contiguous(m as u64, n as u64)).unwrap();
        ops::gemm(gpu(), ops::Product { x: &x, w: &w, bias: Some(&bias) }, &mut y, &mut workspace(), variant).unwrap();
        assert_bits(&format!("gemm {variant:?} to {}", T::DTYPE), &y.download().unwrap(), &want, n);
    }
}

#[test]
fn every_rounding_of_the_epilogue() {
    cancelled::<f32>();
    cancelled::<f16>();
    cancelled::<bf16>();
}

/// Every register of every fragment: a single code 1 in each place of x and of w in turn must arrive at its
/// own place of y, with its own partner along K.
#[test]
fn each_code_meets_its_partner() {
    let k = 160;
    for shape in [(16, 64), (64, 64), (128, 128)] {
        let (m, n) = shape;
        // Row i of x is hot at column 7 i, row j of w counts along k: the sum at (i, j) is w[j][7 i].
        let mut q_x = vec![0i8; m * k];
        (0..m).for_each(|i| q_x[i * k + 7 * i % k] = 1);
        let q_w: Vec<i8> =
            (0..n * k).map(|at| ((at % k + 31 * (at / k)) % 255) as i16 - 127).map(|q| q as i8).collect();
        let want: Vec<i32> = (0..m * n).map(|at| i32::from(q_w[at % n * k + 7 * (at / n) % k])).collect();
        let (x, w) = (tokens::<PerTensor>(gpu(), &q_x, k, &[1.0]), weights::<PerTensor>(gpu(), &q_w, k, &[1.0]));
        for variant in variants("gemm") {
            let mut y = Output::<i32>::filled(gpu(), Layout::contiguous(m as u64, n as u64), FILL).unwrap();
            ops::gemm(gpu(), ops::Product { x: &x, w: &w, bias: None }, &mut y, &mut workspace(), variant).unwrap();
            assert_bits(&format!("gemm {variant:?}"), &y.download().unwrap(), &want, n);
        }
    }
}

/// Sums far past 24 bits: an accumulation in f32, or a dequantization that goes through one too early, shows.
#[test]
fn long_sums_of_large_codes() {
    let (m, n, k) = (18, 70, 9000);
    let (q_x, q_w) = (Codes::Large.matrix(m, k, 1), Codes::Large.matrix(n, k, 2));
    let acc = oracle::gemm_i32(&q_x, &q_w, m, n, k).unwrap();
    assert!(acc.iter().all(|a| a.unsigned_abs() > 1 << 26));
    let (s_x, s_w) = (scales(m, 3), scales(n, 4));
    let want = oracle::dequant_f32(&acc, m, n, &oracle::Dequant { s_x: &s_x, s_w: &s_w, bias: None });
    let (x, w) = (tokens::<PerToken>(gpu(), &q_x, k, &s_x), weights::<PerChannel>(gpu(), &q_w, k, &s_w));
    let layout = Layout::contiguous(m as u64, n as u64);
    for variant in variants("gemm") {
        let mut y = Output::<i32>::new(gpu(), layout).unwrap();
        ops::gemm(gpu(), ops::Product { x: &x, w: &w, bias: None }, &mut y, &mut workspace(), variant).unwrap();
        assert_bits(&format!("gemm {variant:?} to i32"), &y.download().unwrap(), &acc, n);
        let mut y = Output::<f32>::new(gpu(), layout).unwrap();
        ops::gemm(gpu(), ops::Product { x: &x, w: &w, bias: None }, &mut y, &mut workspace(), variant).unwrap();
        assert_bits(&format!("gemm {variant:?} to f32"), &y.download().unwrap(), &want, n);
    }
}

/// A tile of any variant for each multiprocessor.
fn large_workspace() -> Workspace {
    Workspace::new(gpu(), 32 << 20).unwrap()
}

/// A variant for each way that sums come about: one tile's fragments, both kinds of `mma` and of `wgmma`, a workspace's.
/// Larger tiles of a kind only have more of them.
const ADDING: [&str; 5] = ["t16x64", "t16x64_streamk", "stream8", "h128x128", "d128x8"];

/// The largest K, all codes 127: the sum is 127 · 127 · 133,144 = 2,147,479,576, and must not wrap.
#[test]
fn the_largest_k_reaches_the_end_of_int32() {
    let k = oracle::MAX_K;
    let (q_x, q_w) = (vec![127i8; k], [vec![127i8; k], vec![-127i8; k]].concat());
    let gpu = gpu();
    let layout = Layout::contiguous(1, k as u64);
    // Our own quantizer makes the codes, as its codes cannot be -128: codes from elsewhere have a lower limit.
    let x = outerscale::Activations::upload(gpu, &vec![127.0f32; k], layout).unwrap();
    let w: Vec<f32> = q_w.iter().map(|q| f32::from(*q)).collect();
    let w = outerscale::Weights::upload(gpu, &w, Layout::contiguous(2, k as u64)).unwrap();
    let (x, _) = ops::quantize_token(gpu, &x, Choice::Auto).unwrap();
    let (w, _) = ops::quantize_weights(gpu, &w, Choice::Auto).unwrap();
    assert!(x.download_codes().unwrap() == q_x && w.download_codes().unwrap() == q_w);
    let mut workspace = large_workspace();
    for variant in variants("gemm").filter(|variant| ADDING.map(Choice::Named).contains(variant)) {
        let mut y = Output::<i32>::new(gpu, Layout::contiguous(1, 2)).unwrap();
        ops::gemm(gpu, ops::Product { x: &x, w: &w, bias: None }, &mut y, &mut workspace, variant).unwrap();
        assert_eq!(y.download().unwrap(), [2_147_479_576, -2_147_479_576], "gemm {variant:?}");
    }
}

/// Products too large for the oracle, by Freivalds' exact check.
#[test]
fn large_products() {
    let mut workspace = large_workspace();
    for (m, n, k, codes) in [(260, 515, 520, Codes::Uniform), (130, 190, 2100, Codes::Large)] {
        let (q_x, q_w) = (codes.matrix(m, k, 8), codes.matrix(n, k, 9));
        let (x, w) = (tokens::<PerTensor>(gpu(), &q_x, k, &[1.0]), weights::<PerTensor>(gpu(), &q_w, k, &[1.0]));
        for variant in variants("gemm") {
            let mut y = Output::<i32>::new(gpu(), Layout::contiguous(m as u64, n as u64)).unwrap();
            ops::gemm(gpu(), ops::Product { x: &x, w: &w, bias: None }, &mut y, &mut workspace, variant).unwrap();
            check_product(&y.download().unwrap(), &q_x, &q_w, k, 10)
                .unwrap_or_else(|e| panic!("gemm {variant:?}: {e}"));
        }
    }
}

/// A pair of blocks shares what each loads: one block alone would wait for the other for ever.
#[test]
fn a_pair_in_one_block_is_refused() {
    let (x, w) = (tokens::<PerTensor>(gpu(), &[1; 40], 20, &[1.0]), weights::<PerTensor>(gpu(), &[1; 60], 20, &[1.0]));
    for variant in registry::op("gemm").unwrap().table.variants.iter().filter(|variant| variant.cluster == 2) {
        let mut y = Output::<i32>::new(gpu(), Layout::contiguous(2, 3)).unwrap();
        let product = ops::Product { x: &x, w: &w, bias: None };
        let one = Choice::Limited { variant: variant.name, blocks: 1 };
        let refused =
            ops::gemm(gpu(), product, &mut y, &mut Workspace::none(), one).err().expect("one block").to_string();
        let why = if gpu().version().0 == 9 {
            "a pair of blocks needs 2 multiprocessors, it may have 1"
        } else {
            "is not for"
        };
        assert!(refused.contains(why), "{}: {refused}", variant.name);
    }
}
