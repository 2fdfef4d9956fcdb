//! `pack_rows` and `pack_weights`.

use outerscale::{Int8Matrix, ops};
use outerscale_tests::{harness::*, random::Random};
use proptest::prelude::*;

proptest! {
    #![proptest_config(cases(60))]

    /// Any int8, -128 included, at any byte alignment.
    #[test]
    fn any_codes(place in some_place(), seed: u64) {
        let mut random = Random::new(seed);
        let codes: Vec<i8> = (0..place.rows * place.cols).map(|_| random.bits() as i8).collect();
        let want = oracle::pack_rows(&codes, place.rows, place.cols, place.cols);
        let from = Int8Matrix::upload(gpu(), &codes, place.layout()).unwrap();
        for variant in variants("pack_rows") {
            let (packed, _) = ops::pack_rows(gpu(), &from, variant).unwrap();
            let got = packed.download_padded().unwrap();
            assert_bits(&format!("pack_rows {variant:?}"), &got, &want, place.cols.next_multiple_of(128));
        }
    }

    /// The same, packed as the products read weights, and back.
    #[test]
    fn any_weights(place in some_place(), seed: u64) {
        let mut random = Random::new(seed);
        let codes: Vec<i8> = (0..place.rows * place.cols).map(|_| random.bits() as i8).collect();
        let want = oracle::pack_weights(&codes, place.rows, place.cols, place.cols);
        let from = Int8Matrix::upload(gpu(), &codes, place.layout()).unwrap();
        for variant in variants("pack_weights") {
            let (packed, _) = ops::pack_weights(gpu(), &from, variant).unwrap();
            let got = packed.download_packed().unwrap();
            assert_bits(&format!("pack_weights {variant:?}"), &got, &want, 128);
            assert_bits("unpacked", &packed.download_codes().unwrap(), &codes, place.cols.max(1));
        }
    }
}
