//! What the README promises, as properties: a token's result depends on nothing but the token.

use crate::gemm::{tokens, weights};
use half::f16;
use outerscale::{
    Activations, Bias, Layout, Output, PerChannel, PerTensor, PerToken, Scales, Weights, ops,
    ops::{Choice, Product, StaticScale},
};
use outerscale_tests::{
    data::{Codes, Kind, scales},
    harness::*,
    random::Random,
};
use proptest::prelude::*;

/// A layer through the library: codes, scales, y.
#[derive(PartialEq, Debug)]
struct Result {
    q_x: Vec<i8>,
    s_x: Vec<u32>,
    y: Vec<u32>,
}

#[derive(Clone, Copy, Debug)]
enum Scheme {
    Token,
    Static(f32),
}

struct Layer {
    w: Vec<f16>,
    bias: Vec<f32>,
    n: usize,
    k: usize,
}

impl Layer {
    fn new(n: usize, k: usize, seed: u64) -> Layer {
        Layer { w: Kind::Uniform.matrix(n, k, seed), bias: scales(n, seed), n, k }
    }

    fn run(&self, x: &[f16], place: Place, scheme: Scheme, tile: Choice<'_>) -> Result {
        let gpu = gpu();
        let w = Weights::upload(gpu, &self.w, Layout::contiguous(self.n as u64, self.k as u64)).unwrap();
        let (w, _) = ops::quantize_weights(gpu, &w, Choice::Auto).unwrap();
        let bias = Bias::upload(gpu, &self.bias).unwrap();
        let x = Activations::upload(gpu, x, place.layout()).unwrap();
        let mut y = Output::<f16>::new(gpu, Layout::contiguous(place.rows as u64, self.n as u64)).unwrap();
        let (q_x, s_x) = match scheme {
            Scheme::Token => {
                let (q, _) = ops::quantize_token(gpu, &x, Choice::Auto).unwrap();
                ops::gemm(gpu, Product { x: &q, w: &w, bias: Some(&bias) }, &mut y, &mut workspace(), tile).unwrap();
                (q.download_codes().unwrap(), q.scales().download().unwrap())
            }
            Scheme::Static(scale) => {
                let uploaded = Scales::upload(gpu, &[scale]).unwrap();
                let with = StaticScale { scale: &uploaded, counters: None };
                let (q, _) = ops::quantize_static(gpu, &x, with, Choice::Auto).unwrap();
                ops::gemm(gpu, Product { x: &q, w: &w, bias: Some(&bias) }, &mut y, &mut workspace(), tile).unwrap();
                (q.download_codes().unwrap(), vec![scale; place.rows])
            }
        };
        Result {
            q_x,
            s_x: s_x.iter().map(|s| s.to_bits()).collect(),
            y: y.download().unwrap().iter().map(|y| u32::from(y.to_bits())).collect(),
        }
    }
}

impl Result {
    /// The part that belongs to one token.
    fn token(&self, row: usize, n: usize, k: usize) -> Result {
        Result { q_x: self.q_x[row * k..][..k].to_vec(), s_x: vec![self.s_x[row]], y: self.y[row * n..][..n].to_vec() }
    }
}

fn some_scheme() -> impl Strategy<Value = Scheme> {
    prop_oneof![2 => Just(Scheme::Token), 1 => (1u32..400).prop_map(|step| Scheme::Static(step as f32 * 1e-3))]
}

/// (tokens, N, K): around the edges of all tiles, so that a token's company changes the tile that is chosen.
fn some_layer() -> impl Strategy<Value = (usize, usize, usize)> {
    (2usize..70, 1usize..70, 1usize..300)
}

proptest! {
    #![proptest_config(cases(12))]

    /// A token alone gives the bits that it gives in a batch, which may be run by another tile.
    #[test]
    fn batch_invariance((m, n, k) in some_layer(), kind in prop::sample::select(&Kind::ALL[..]), scheme in some_scheme(), seed: u64) {
        let layer = Layer::new(n, k, seed);
        let x = kind.matrix::<f16>(m, k, seed);
        let batch = layer.run(&x, Place::contiguous(m, k), scheme, Choice::Auto);
        for row in [0, m / 2, m - 1] {
            let alone = layer.run(&x[row * k..][..k], Place::contiguous(1, k), scheme, Choice::Auto);
            prop_assert_eq!(alone, batch.token(row, n, k), "row {}", row);
        }
    }

    /// Tokens in another order give the same results in that order.
    #[test]
    fn permutation((m, n, k) in some_layer(), kind in prop::sample::select(&Kind::ALL[..]), scheme in some_scheme(), seed: u64) {
        let layer = Layer::new(n, k, seed);
        let x = kind.matrix::<f16>(m, k, seed);
        let mut order: Vec<usize> = (0..m).collect();
        Random::new(seed).shuffle(&mut order);
        let shuffled: Vec<f16> = order.iter().flat_map(|row| x[row * k..][..k].iter().copied()).collect();
        let (before, after) = (
            layer.run(&x, Place::contiguous(m, k), scheme, Choice::Auto),
            layer.run(&shuffled, Place::contiguous(m, k), scheme, Choice::Auto),
        );
        for (new, old) in order.into_iter().enumerate() {
            prop_assert_eq!(after.token(new, n, k), before.token(old, n, k));
        }
    }

    /// Every tile gives the same bits.
    #[test]
    fn tile_invariance((m, n, k) in some_layer(), kind in prop::sample::select(&Kind::ALL[..]), scheme in some_scheme(), seed: u64) {
        let layer = Layer::new(n, k, seed);
        let x = kind.matrix::<f16>(m, k, seed);
        let auto = layer.run(&x, Place::contiguous(m, k), scheme, Choice::Auto);
        for tile in variants("gemm") {
            prop_assert_eq!(&layer.run(&x, Place::contiguous(m, k), scheme, tile), &auto, "{:?}", tile);
        }
    }

    /// Where x lies changes nothing: rows apart, or at an address of any element alignment.
    #[test]
    fn stride_and_alignment_invariance((m, n, k) in some_layer(), scheme in some_scheme(), gap in 0usize..20, offset in 0usize..16, seed: u64) {
        let layer = Layer::new(n, k, seed);
        let x = Kind::Outliers.matrix::<f16>(m, k, seed);
        let moved = layer.run(&x, Place { rows: m, cols: k, gap, offset }, scheme, Choice::Auto);
        prop_assert_eq!(moved, layer.run(&x, Place::contiguous(m, k), scheme, Choice::Auto));
    }

    /// x times a power of two gives the same codes and the scale times that power.
    #[test]
    fn powers_of_two(m in 1usize..10, k in 1usize..300, power in -30i32..30, seed: u64) {
        // 4 · 2³⁰ and the smallest of these numbers times 2⁻³⁰ are ordinary f32 numbers: nothing is rounded.
        let x: Vec<f32> = Kind::Uniform.matrix(m, k, seed);
        let scaled: Vec<f32> = x.iter().map(|v| v * 2f32.powi(power)).collect();
        let quantize = |x: &[f32]| {
            let x = Activations::upload(gpu(), x, Place::contiguous(m, k).layout()).unwrap();
            let (q, _) = ops::quantize_token(gpu(), &x, Choice::Auto).unwrap();
            (q.download_codes().unwrap(), q.scales().download().unwrap())
        };
        let ((q, s), (q_scaled, s_scaled)) = (quantize(&x), quantize(&scaled));
        prop_assert_eq!(q, q_scaled);
        for (row, (s, s_scaled)) in s.iter().zip(s_scaled).enumerate() {
            // A row of zeros has scale 1 at any power.
            let zero = x[row * k..][..k].iter().all(|v| *v == 0.0);
            prop_assert_eq!(if zero { 1.0 } else { s * 2f32.powi(power) }, s_scaled);
        }
    }

    /// The fused epilogue is the accumulators, dequantized on the host.
    #[test]
    fn fused_is_two_steps((m, n, k) in some_layer(), codes in prop::sample::select(&Codes::ALL[..]), seed in 0u64..1 << 32) {
        let (q_x, q_w) = (codes.matrix(m, k, seed), codes.matrix(n, k, seed + 1));
        let (s_x, s_w, bias) = (scales(m, seed), scales(n, seed + 1), scales(n, seed + 2));
        let (x, w) = (tokens::<PerToken>(gpu(), &q_x, k, &s_x), weights::<PerChannel>(gpu(), &q_w, k, &s_w));
        let on_gpu = Bias::upload(gpu(), &bias).unwrap();
        let product = Product { x: &x, w: &w, bias: Some(&on_gpu) };
        let layout = Layout::contiguous(m as u64, n as u64);
        for tile in variants("gemm") {
            let mut acc = Output::<i32>::new(gpu(), layout).unwrap();
            ops::gemm(gpu(), product, &mut acc, &mut workspace(), tile).unwrap();
            let mut y = Output::<f16>::new(gpu(), layout).unwrap();
            ops::gemm(gpu(), product, &mut y, &mut workspace(), tile).unwrap();
            let by = oracle::Dequant { s_x: &s_x, s_w: &s_w, bias: Some(&bias) };
            let want = oracle::dequant_f16(&acc.download().unwrap(), m, n, &by);
            assert_bits("fused", &y.download().unwrap(), &want, n);
        }
    }
}

/// A spoilt token spoils its own row of y and no other; a spoilt weight row its own column.
#[test]
fn nan_stays_where_it_is() {
    let (m, n, k) = (20, 70, 130);
    for spoil in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let mut layer = Layer::new(n, k, 1);
        layer.w[33 * k + 129] = f16::from_f32(spoil);
        let mut x = Kind::Uniform.matrix::<f16>(m, k, 2);
        x[17 * k + 1] = f16::from_f32(spoil);
        for tile in variants("gemm") {
            let result = layer.run(&x, Place::contiguous(m, k), Scheme::Token, tile);
            for (at, y) in result.y.iter().enumerate() {
                let spoilt = at / n == 17 || at % n == 33;
                assert_eq!(*y == 0x7fff, spoilt, "({}, {}) with {spoil} under {tile:?}: {y:#x}", at / n, at % n);
            }
        }
    }
}

/// Under one dynamic scale for the whole batch, a NaN spoils all of y: nothing is silently erased.
#[test]
fn per_tensor_nan_spoils_all() {
    let (m, n, k) = (9, 10, 40);
    let mut x = Kind::Uniform.matrix::<f32>(m, k, 3);
    x[5 * k + 7] = f32::NAN;
    let x = Activations::upload(gpu(), &x, Place::contiguous(m, k).layout()).unwrap();
    let (partials, _) = ops::tensor_absmax(gpu(), &x, Choice::Auto).unwrap();
    let (q, _) = ops::quantize_tensor(gpu(), &x, &partials, Choice::Auto).unwrap();
    let w = weights::<PerTensor>(gpu(), &Codes::Uniform.matrix(n, k, 4), k, &[0.5]);
    let mut y = Output::<f32>::new(gpu(), Layout::contiguous(m as u64, n as u64)).unwrap();
    ops::gemm(gpu(), Product { x: &q, w: &w, bias: None }, &mut y, &mut workspace(), Choice::Auto).unwrap();
    assert!(y.download().unwrap().iter().all(|y| y.to_bits() == 0x7fff_ffff));
}
