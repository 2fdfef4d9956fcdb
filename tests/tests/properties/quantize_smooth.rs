//! `quantize_smooth_token` and `quantize_smooth_static`, and linears that share what they read.

use half::{bf16, f16};
use outerscale::{
    Activations, InputCounters, InputCounts, Layout, Output, Scales,
    host::{HostMatrix, Values},
    linear::{Calibration, QuantizedLinear, Scheme},
    ops::{self, Choice, StaticScale},
    smooth::{Alpha, Factors},
};
use outerscale_tests::{
    data::{self, Kind, Value},
    harness::*,
};
use proptest::prelude::*;

fn widen<T: Value>(x: &[T]) -> Vec<f32> {
    x.iter().map(|v| v.widen()).collect()
}

fn padded(codes: &[i8], place: Place) -> Vec<i8> {
    oracle::pack_rows(codes, place.rows, place.cols, place.cols)
}

fn token<T: Value>(place: Place, kind: Kind, factors: &[f32], seed: u64) {
    let x: Vec<T> = kind.matrix(place.rows, place.cols, seed);
    let (codes, scales) = oracle::quantize_smooth_token(&widen(&x), factors, place.rows);
    let x = Activations::upload(gpu(), &x, place.layout()).unwrap();
    let on_gpu = Scales::upload(gpu(), factors).unwrap();
    for variant in variants("quantize_smooth_token") {
        let (q, _) = ops::quantize_smooth_token(gpu(), &x, &on_gpu, variant).unwrap();
        let what = format!("quantize_smooth_token {variant:?}");
        assert_bits(&format!("{what} scales"), &q.scales().download().unwrap(), &scales, 1);
        assert_bits(&what, &q.download_padded().unwrap(), &padded(&codes, place), place.cols.next_multiple_of(128));
    }
}

fn fixed<T: Value>(place: Place, kind: Kind, factors: &[f32], seed: u64) {
    let x: Vec<T> = kind.matrix(place.rows, place.cols, seed);
    // By the seed: about where x' saturates or just does not, or anywhere in the range.
    let scale = match seed % 4 {
        0 => 2f32.powi((seed / 4 % 201) as i32 - 100),
        part => 0.004 * part as f32,
    };
    let want = oracle::quantize_smooth_static(&widen(&x), factors, scale).unwrap();
    let x = Activations::upload(gpu(), &x, place.layout()).unwrap();
    let (on_gpu, uploaded) = (Scales::upload(gpu(), factors).unwrap(), Scales::upload(gpu(), &[scale]).unwrap());
    for variant in variants("quantize_smooth_static") {
        let counters = InputCounters::new(gpu()).unwrap();
        for counted in [Some(&counters), None] {
            let with = StaticScale { scale: &uploaded, counters: counted };
            let (q, _) = ops::quantize_smooth_static(gpu(), &x, &on_gpu, with, variant).unwrap();
            let what = format!("quantize_smooth_static {variant:?}");
            let row_bytes = place.cols.next_multiple_of(128);
            assert_bits(&what, &q.download_padded().unwrap(), &padded(&want.codes, place), row_bytes);
        }
        let once = InputCounts { non_finite: want.non_finite, saturated: want.saturated };
        assert_eq!(counters.read().unwrap(), once, "quantize_smooth_static {variant:?}");
    }
}

macro_rules! for_each_type {
    ($($type:ident: $token:ident $fixed:ident),*) => {
        proptest! {
            #![proptest_config(cases(50))]
            $(
                #[test]
                fn $token(place in some_place(), kind in prop::sample::select(&Kind::ALL[..]), seed: u64) {
                    token::<$type>(place, kind, &data::factors(place.cols, seed), seed);
                }
                #[test]
                fn $fixed(place in some_place(), kind in prop::sample::select(&Kind::ALL[..]), seed: u64) {
                    fixed::<$type>(place, kind, &data::factors(place.cols, seed), seed);
                }
            )*
        }
    };
}

for_each_type!(f32: token_f32 static_f32, f16: token_f16 static_f16, bf16: token_bf16 static_bf16);

/// x' just below, at and just above every rounding of an f32 quotient that a shortcut by reciprocals gets wrong: x of
/// every significand's kind over factors next to powers of two, where 1 / s rounds worst.
#[test]
fn quotients_are_rounded_once() {
    let factors: Vec<f32> =
        (0..512u32).map(|i| f32::from_bits(0x3f80_0000 + if i % 2 == 0 { i } else { 0x7f_ffff - 31 * i })).collect();
    for offset in [0u32, 0x2a_aaaa, 0x55_5555] {
        let x: Vec<f32> =
            (0..8 * 512u32).map(|i| f32::from_bits(0x3f80_0000 + (i * 2039 + offset) % 0x80_0000)).collect();
        let (codes, scales) = oracle::quantize_smooth_token(&x, &factors, 8);
        let operand = Activations::upload(gpu(), &x, Layout::contiguous(8, 512)).unwrap();
        let (q, _) =
            ops::quantize_smooth_token(gpu(), &operand, &Scales::upload(gpu(), &factors).unwrap(), Choice::Auto)
                .unwrap();
        assert_bits("scales", &q.scales().download().unwrap(), &scales, 1);
        assert_bits("codes", &q.download_codes().unwrap(), &codes, 512);
    }
}

/// Rows at and past what is kept in registers, and factors for each of their columns.
#[test]
fn long_rows() {
    for cols in [16_384, 16_385, 20_001] {
        let place = Place { rows: 2, cols, gap: 0, offset: 3 };
        token::<f16>(place, Kind::Uniform, &data::factors(cols, 1), 2);
        token::<f32>(Place::contiguous(1, cols), Kind::NearTies, &data::factors(cols, 3), 4);
        fixed::<bf16>(place, Kind::Outliers, &data::factors(cols, 5), 6);
    }
}

/// Factors of one change nothing: the smoothing kernels are then the plain ones.
#[test]
fn ones_do_not_smooth() {
    let place = Place { rows: 7, cols: 130, gap: 1, offset: 1 };
    let x: Vec<bf16> = Kind::NearTies.matrix(7, 130, 9);
    let x = Activations::upload(gpu(), &x, place.layout()).unwrap();
    let ones = Scales::upload(gpu(), &[1.0; 130]).unwrap();
    let (smooth, _) = ops::quantize_smooth_token(gpu(), &x, &ones, Choice::Auto).unwrap();
    let (plain, _) = ops::quantize_token(gpu(), &x, Choice::Auto).unwrap();
    assert_eq!(smooth.download_padded().unwrap(), plain.download_padded().unwrap());
    assert_eq!(smooth.scales().download().unwrap(), plain.scales().download().unwrap());
}

#[test]
fn factors_must_be_one_a_column() {
    let x = Activations::upload(gpu(), &[1.0f32; 6], Layout::contiguous(2, 3)).unwrap();
    let two = Scales::upload(gpu(), &[1.0; 2]).unwrap();
    let error = ops::quantize_smooth_token(gpu(), &x, &two, Choice::Auto).err().unwrap().to_string();
    assert_eq!(error, "quantize_smooth_token: factors: must be one for each of the 3 columns of x, there are 2");
}

fn weights(rows: usize, k: usize, seed: u64) -> HostMatrix {
    HostMatrix { rows: rows as u64, cols: k as u64, values: Values::F32(Kind::Uniform.matrix(rows, k, seed)) }
}

/// q, k and v read one input: with one calibration that knows all their weights they have the same factors, x is quantized
/// once, and each gives what it gives alone. Without it their factors differ, and foreign tokens are refused.
#[test]
fn linears_that_read_one_input_share_its_codes() {
    let (m, k) = (9, 70);
    let consumers = [weights(12, k, 1), weights(12, k, 2), weights(5, k, 3)];
    let calibration = Calibration::from_channel_absmax(data::scales(k, 4));
    let all = calibration.clone().with_consumers(&consumers.each_ref()).unwrap();
    let x: Vec<f32> = Kind::Outliers.matrix(m, k, 5);
    let x = Activations::upload(gpu(), &x, Layout::contiguous(m as u64, k as u64)).unwrap();
    for scheme in [Scheme::SmoothToken { alpha: Alpha::Fixed(0.6) }, Scheme::SmoothStatic { alpha: Alpha::Fixed(0.6) }]
    {
        let ready = |known: &Calibration| {
            consumers.each_ref().map(|w| QuantizedLinear::new(gpu(), w, None, scheme, Some(known)).unwrap())
        };
        let together = ready(&all);
        let values = |linear: &QuantizedLinear| linear.factors().map(Factors::values).unwrap().to_vec();
        assert!(together.iter().all(|linear| values(linear) == values(&together[0])));
        let tokens = together[0].quantize(gpu(), &x).unwrap();
        for linear in &together {
            let mut y = Output::<f32>::new(gpu(), Layout::contiguous(m as u64, linear.weights().rows())).unwrap();
            linear.multiply(gpu(), &tokens, &mut y, &mut workspace(), Choice::Auto).unwrap();
            let alone: Output<f32> = linear.forward(gpu(), &x).unwrap();
            assert_bits("y", &y.download().unwrap(), &alone.download().unwrap(), linear.weights().rows() as usize);
        }
        let apart = ready(&calibration);
        let mut y = Output::<f32>::new(gpu(), Layout::contiguous(m as u64, 12)).unwrap();
        let error =
            apart[1].multiply(gpu(), &tokens, &mut y, &mut workspace(), Choice::Auto).err().unwrap().to_string();
        assert!(error.starts_with("multiply: tokens: were not smoothed by the factors of these weights"), "{error}");
        // Nor do plain tokens fit smoothed weights.
        let plain = QuantizedLinear::new(gpu(), &consumers[1], None, Scheme::Token, None).unwrap();
        assert!(plain.multiply(gpu(), &tokens, &mut y, &mut workspace(), Choice::Auto).is_err());
        let plain = plain.quantize(gpu(), &x).unwrap();
        assert!(together[1].multiply(gpu(), &plain, &mut y, &mut workspace(), Choice::Auto).is_err());
    }
}
