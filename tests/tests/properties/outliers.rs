//! `outlier_columns`, `outlier_list` and `quantize_outliers`: what LLM.int8() finds and leaves out.

use half::{bf16, f16};
use outerscale::{Activations, OutlierColumns, ops, ops::Choice};
use outerscale_tests::{
    data::{Kind, Value},
    harness::*,
    random::Random,
};
use proptest::prelude::*;

fn widen<T: Value>(x: &[T]) -> Vec<f32> {
    x.iter().map(|v| v.widen()).collect()
}

/// Found and listed without a word from the host, by every variant.
fn found<T: Value>(place: Place, kind: Kind, seed: u64, threshold: f32) {
    let x: Vec<T> = kind.matrix(place.rows, place.cols, seed);
    let want = oracle::outlier_columns(&widen(&x), place.rows, place.cols, threshold);
    let x = Activations::upload(gpu(), &x, place.layout()).unwrap();
    for find in variants("outlier_columns") {
        for list in variants("outlier_list") {
            let (masks, _) = ops::outlier_columns(gpu(), &x, threshold, find).unwrap();
            let (columns, _) = ops::outlier_list(gpu(), &masks, list).unwrap();
            assert_eq!(masks.download().unwrap(), want, "{find:?}");
            assert_eq!(columns.download_mask().unwrap(), want, "{list:?}");
            let listed: Vec<usize> = columns.download().unwrap().into_iter().map(|col| col as usize).collect();
            assert_eq!(listed, oracle::outlier_list(&want), "{list:?}");
        }
    }
}

/// About one column in `share` is an outlier.
fn some_outliers(cols: usize, share: u64, seed: u64) -> Vec<bool> {
    let mut random = Random::new(seed);
    (0..cols).map(|_| random.below(share) == 0).collect()
}

fn quantized<T: Value>(place: Place, kind: Kind, seed: u64, share: u64) {
    let x: Vec<T> = kind.matrix(place.rows, place.cols, seed);
    let is_outlier = some_outliers(place.cols, share, seed);
    let (codes, scales) = oracle::quantize_outliers(&widen(&x), place.rows, place.cols, &is_outlier);
    let x = Activations::upload(gpu(), &x, place.layout()).unwrap();
    let columns: Vec<u32> = oracle::outlier_list(&is_outlier).into_iter().map(|col| col as u32).collect();
    let outliers = OutlierColumns::upload(gpu(), &columns, place.cols as u64).unwrap();
    for variant in variants("quantize_outliers") {
        let (q, _) = ops::quantize_outliers(gpu(), &x, &outliers, variant).unwrap();
        let what = format!("quantize_outliers {variant:?}");
        assert_bits(&format!("{what} scales"), &q.scales().download().unwrap(), &scales, 1);
        let want = oracle::pack_rows(&codes, place.rows, place.cols, place.cols);
        assert_bits(&what, &q.download_padded().unwrap(), &want, place.cols.next_multiple_of(128));
    }
}

fn some_threshold() -> impl Strategy<Value = f32> {
    prop_oneof![3 => Just(3.9f32), 2 => 0f32..8.0, 1 => prop::sample::select(vec![0.0, 1e-45, 6e4, f32::MAX, f32::INFINITY])]
}

macro_rules! for_each_type {
    ($($type:ident: $find:ident $quantize:ident),*) => {
        proptest! {
            #![proptest_config(cases(30))]
            $(
                #[test]
                fn $find(place in some_place(), kind in prop::sample::select(&Kind::ALL[..]), seed: u64, threshold in some_threshold()) {
                    found::<$type>(place, kind, seed, threshold);
                }
                #[test]
                fn $quantize(place in some_place(), kind in prop::sample::select(&Kind::ALL[..]), seed: u64, share in 1u64..40) {
                    quantized::<$type>(place, kind, seed, share);
                }
            )*
        }
    };
}

for_each_type!(f32: found_f32 without_outliers_f32, f16: found_f16 without_outliers_f16, bf16: found_bf16 without_outliers_bf16);

/// More rows than the chunks are joined by, and more columns than the block that lists them takes at once.
#[test]
fn many_rows_and_columns() {
    for (rows, cols) in [(9000, 40), (130, 8200), (1, oracle::MAX_K)] {
        found::<f16>(Place::contiguous(rows, cols), Kind::Outliers, 4, 3.0);
    }
    quantized::<f32>(Place { rows: 2, cols: 16_385, gap: 0, offset: 3 }, Kind::NearTies, 4, 9);
}

/// One outlier in each place of the matrix in turn.
#[test]
fn no_element_is_left_out() {
    for cols in [1, 31, 33, 257] {
        for rows in [1, 9, 65] {
            for col in [0, cols / 2, cols - 1] {
                for row in [0, rows / 2, rows - 1] {
                    let mut x = vec![-1.0f32; rows * cols];
                    x[row * cols + col] = -6.0;
                    let x = Activations::upload(gpu(), &x, Place::contiguous(rows, cols).layout()).unwrap();
                    let (masks, _) = ops::outlier_columns(gpu(), &x, 6.0, Choice::Auto).unwrap();
                    let (columns, _) = ops::outlier_list(gpu(), &masks, Choice::Auto).unwrap();
                    assert_eq!(columns.download().unwrap(), [col as u32], "{rows} × {cols}, ({row}, {col})");
                }
            }
        }
    }
}

#[test]
fn what_is_no_threshold_is_refused() {
    let x = Activations::upload(gpu(), &[1.0f32], Place::contiguous(1, 1).layout()).unwrap();
    for threshold in [-1.0, -f32::MIN_POSITIVE, f32::NEG_INFINITY, f32::NAN] {
        let error = ops::outlier_columns(gpu(), &x, threshold, Choice::Auto).err().unwrap().to_string();
        assert!(error.contains("threshold: must be a number of at least 0"), "{error}");
    }
    for columns in [&[1u32, 0][..], &[2, 2], &[3]] {
        assert!(OutlierColumns::upload(gpu(), columns, 3).is_err(), "{columns:?}");
    }
    let other = OutlierColumns::upload(gpu(), &[1], 3).unwrap();
    let error = ops::quantize_outliers(gpu(), &x, &other, Choice::Auto).err().unwrap().to_string();
    assert!(error.contains("K must be that of x, 1, got 3"), "{error}");
}

#[test]
fn no_tokens_have_no_outliers() {
    let x = Activations::<f16>::upload(gpu(), &[], Place::contiguous(0, 70).layout()).unwrap();
    let (masks, launch) = ops::outlier_columns(gpu(), &x, 0.0, Choice::Auto).unwrap();
    assert_eq!(launch.grid, 0);
    let (columns, launch) = ops::outlier_list(gpu(), &masks, Choice::Auto).unwrap();
    assert_eq!((columns.download().unwrap(), launch.grid), (vec![], 0));
    assert!(!columns.download_mask().unwrap().contains(&true));
    let (q, launch) = ops::quantize_outliers(gpu(), &x, &columns, Choice::Auto).unwrap();
    assert_eq!((q.download_codes().unwrap().len(), launch.grid), (0, 0));
}
