//! Smoothing: the factors against the oracle's own statement, and folding, which must change nothing.

use outerscale::{
    host::{HostMatrix, Values},
    smooth::{Factors, Norm, weight_absmax},
};
use outerscale_tests::{data::Kind, harness::*, random::Random};
use proptest::prelude::*;

fn matrix(rows: usize, cols: usize, w: &[f32]) -> HostMatrix {
    HostMatrix { rows: rows as u64, cols: cols as u64, values: Values::F32(w.to_vec()) }
}

/// Exponents with the ends of their range among them.
fn some_alpha() -> impl Strategy<Value = f64> {
    prop_oneof![1 => prop::sample::select(vec![0.0, 0.5, 1.0]), 3 => 0.0..=1.0]
}

proptest! {
    #![proptest_config(cases(200))]

    /// Several linears that read one input, any numbers in them: the same factors, or a refusal on both sides.
    #[test]
    fn factors_equal_the_oracle(
        (k, consumers) in (1usize..40, prop::collection::vec(1usize..6, 1..4)),
        kind in prop::sample::select(&Kind::ALL[..]),
        alpha in some_alpha(),
        seed: u64,
    ) {
        let x_absmax: Vec<f32> = kind.matrix::<f32>(1, k, seed).into_iter().map(f32::abs).collect();
        let weights: Vec<Vec<f32>> =
            consumers.iter().enumerate().map(|(i, n)| kind.matrix(*n, k, seed ^ (i as u64 + 1))).collect();
        let matrices: Vec<HostMatrix> = consumers.iter().zip(&weights).map(|(n, w)| matrix(*n, k, w)).collect();
        let absmax = weight_absmax(&matrices.iter().collect::<Vec<_>>()).unwrap();
        let slices: Vec<&[f32]> = weights.iter().map(Vec::as_slice).collect();
        match (Factors::new(&x_absmax, &absmax, alpha), oracle::smooth_factors(&x_absmax, &slices, alpha)) {
            (Ok(got), Ok(want)) => {
                assert_bits("factors", got.values(), &want, k);
                let w = got.weights(&matrices[0]).values.widen();
                assert_bits("w'", &w, &oracle::smooth_weights(&weights[0], &want), k);
                let x: Vec<f32> = kind.matrix(3, k, !seed);
                let divided: Vec<f32> = got.divide_columns(&x).into_iter().map(oracle::canonical).collect();
                let want: Vec<f32> = oracle::smooth_tokens(&x, &want).into_iter().map(oracle::canonical).collect();
                assert_bits("x'", &divided, &want, k);
            }
            (Err(got), Err(want)) => {
                let oracle::Error::NoFactor { channel } = want else { panic!("{want}") };
                // Of several bad channels either may be named first; this one is bad for the library too.
                let is_bad = |v: f32| !v.is_finite();
                let too_large = f64::from(x_absmax[channel]).powf(alpha) > 1e25;
                prop_assert!(is_bad(x_absmax[channel]) || is_bad(absmax[channel]) || too_large, "{got} against {want}");
            }
            (got, want) => prop_assert!(false, "{got:?} against {want:?}"),
        }
    }

    /// Norm and linears in f64, the factors exact numbers: folded and unfolded agree to 1e-12, both norms, two
    /// linears behind one norm.
    #[test]
    fn folding_changes_nothing(
        (k, n, tokens) in (1usize..200, 1usize..12, 1usize..5),
        alpha in some_alpha(),
        is_layer_norm: bool,
        seed: u64,
    ) {
        let mut random = Random::new(seed);
        let mut numbers = |len: usize| (0..len).map(|_| random.normal()).collect::<Vec<f32>>();
        let (input, weight, bias) = (numbers(tokens * k), numbers(k), numbers(k));
        let linears = [numbers(n * k), numbers(2 * n * k)];
        let wide = |v: &[f32]| v.iter().map(|v| f64::from(*v)).collect::<Vec<f64>>();
        let norm = match is_layer_norm {
            true => Norm::LayerNorm { weight: wide(&weight), bias: wide(&bias) },
            false => Norm::RmsNorm { weight: wide(&weight) },
        };
        let x = apply(&norm, &wide(&input), k);
        let x_absmax: Vec<f32> =
            (0..k).map(|j| x.iter().skip(j).step_by(k).fold(0.0, |m: f64, v| m.max(v.abs())) as f32).collect();
        let absmax = weight_absmax(&[&matrix(n, k, &linears[0]), &matrix(2 * n, k, &linears[1])]).unwrap();
        let factors = Factors::new(&x_absmax, &absmax, alpha).unwrap();
        let folded = apply(&norm.folded(&factors).unwrap(), &wide(&input), k);
        for w in linears {
            let w = wide(&w);
            let (plain, smoothed) = (product(&x, &w, k), product(&folded, &factors.multiply_columns(&w), k));
            for (plain, smoothed) in plain.iter().zip(&smoothed) {
                // Relative to the sum of magnitudes, which is what rounding errors are relative to.
                prop_assert!((plain.0 - smoothed.0).abs() <= 1e-12 * plain.1, "{} against {}", plain.0, smoothed.0);
            }
        }
    }
}

/// The norm of each row of K numbers, in f64.
fn apply(norm: &Norm<f64>, input: &[f64], k: usize) -> Vec<f64> {
    let mut x = Vec::with_capacity(input.len());
    for row in input.chunks(k) {
        let mean = match norm {
            Norm::LayerNorm { .. } => row.iter().sum::<f64>() / k as f64,
            Norm::RmsNorm { .. } => 0.0,
        };
        let variance = row.iter().map(|v| (v - mean) * (v - mean)).sum::<f64>() / k as f64;
        let normalized = row.iter().map(|v| (v - mean) / (variance + 1e-12).sqrt());
        match norm {
            Norm::LayerNorm { weight, bias } => x.extend(normalized.zip(weight).zip(bias).map(|((v, w), b)| v * w + b)),
            Norm::RmsNorm { weight } => x.extend(normalized.zip(weight).map(|(v, w)| v * w)),
        }
    }
    x
}

/// x · wᵀ, each sum with the sum of its terms' magnitudes.
fn product(x: &[f64], w: &[f64], k: usize) -> Vec<(f64, f64)> {
    let sum = |(sum, size): (f64, f64), term: f64| (sum + term, size + term.abs());
    x.chunks(k)
        .flat_map(|x| w.chunks(k).map(move |w| x.iter().zip(w).map(|(x, w)| x * w).fold((0.0, 0.0), sum)))
        .collect()
}
